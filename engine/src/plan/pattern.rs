//! Patterns of names and paths. A pipeline has a few of them, or one for every step: the simple ones need no
//! compiling, and each of the others is compiled once for a plan. Knows no conditions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};

/// What has been compiled so far; nothing for what is no pattern.
#[derive(Default)]
pub(super) struct Patterns(RefCell<BTreeMap<String, Option<Rc<GlobMatcher>>>>);

/// One pattern, ready to be compared.
pub(super) enum Matcher<'a> {
    /// `main`: this name alone.
    Exact(&'a str),
    /// `src/**`: whatever begins with this, `/` included.
    Beneath(&'a str),
    /// Any other.
    Glob(Rc<GlobMatcher>),
}

impl Patterns {
    /// The pattern, ready to be compared; none where it is no pattern.
    pub(super) fn get<'a>(&self, pattern: &'a str) -> Option<Matcher<'a>> {
        let special = |text: &str| text.contains(['*', '?', '[', ']', '{', '}', '\\']);
        if !special(pattern) {
            return Some(Matcher::Exact(pattern));
        }
        if let Some(folder) = pattern.strip_suffix("**")
            && folder.len() > 1
            && folder.ends_with('/')
            && !special(folder)
        {
            return Some(Matcher::Beneath(folder));
        }
        let mut compiled = self.0.borrow_mut();
        if let Some(known) = compiled.get(pattern) {
            return known.clone().map(Matcher::Glob);
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.ok().map(|g| Rc::new(g.compile_matcher()));
        compiled.insert(pattern.to_owned(), glob.clone());
        glob.map(Matcher::Glob)
    }

    /// Whether a name matches.
    pub(super) fn fits(&self, pattern: &str, name: &str) -> bool {
        self.get(pattern).is_some_and(|p| p.is_match(name))
    }
}

impl Matcher<'_> {
    /// Whether a name matches.
    pub(super) fn is_match(&self, name: &str) -> bool {
        match self {
            Matcher::Exact(text) => name == *text,
            Matcher::Beneath(folder) => name.starts_with(folder),
            Matcher::Glob(glob) => glob.is_match(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        let piece = proptest::sample::select(vec![
            "a", "b", "/", "/", ".", "*", "**", "/**", "**/", "?", "[a]", "{a,b}", "\\a", ",", "é",
            "\n", "!", "",
        ]);
        proptest::collection::vec(piece, 0..7).prop_map(|p| p.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_pattern_matches_what_its_compiled_form_matches(pattern in text(), name in text()) {
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
            let compiled = glob.ok().map(|g| g.compile_matcher());
            let patterns = Patterns::default();
            for name in [&name, &pattern, &pattern.replace("**", "a/b"), &pattern.replace('*', "")] {
                let theirs = compiled.as_ref().is_some_and(|c| c.is_match(name));
                prop_assert_eq!(patterns.fits(&pattern, name), theirs, "{:?} {:?}", pattern, name);
            }
            prop_assert_eq!(patterns.get(&pattern).is_some(), compiled.is_some());
        }
    }
}
