//! A word counter: the smallest thing that is worth a pipeline.

/// How many words a text has.
pub fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn an_empty_text_has_no_words() {
        assert_eq!(words(" \n"), 0);
    }

    #[test]
    fn white_space_of_any_length_separates_words() {
        assert_eq!(words("one  two\nthree"), 3);
    }
}
