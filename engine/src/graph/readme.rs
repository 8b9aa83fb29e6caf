//! A diagram within a Markdown file, between two markers. Reads and writes no file.

/// The line before the diagram.
const OPEN: &str = "<!-- pipe graph -->";
/// The line after it.
const CLOSE: &str = "<!-- /pipe graph -->";

/// Why a diagram cannot be put into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// There is no place for it.
    #[error("no line says where the graph goes: add `{OPEN}` and, below it, `{CLOSE}`")]
    NoMarkers,
    /// There are several places for it.
    #[error("line {second} is a second `{OPEN}`, the first is line {first}: keep one")]
    Several {
        /// The first marker's line.
        first: usize,
        /// The second one's.
        second: usize,
    },
    /// The place has no end.
    #[error("`{OPEN}` in line {line} is never closed: add `{CLOSE}` below it")]
    Unclosed {
        /// The marker's line.
        line: usize,
    },
    /// The place has an end and no beginning.
    #[error("`{CLOSE}` in line {line} has no `{OPEN}` above it")]
    Unopened {
        /// The marker's line.
        line: usize,
    },
}

/// The text with the diagram between its markers; the rest stays as it is, byte by byte. Markers within a block of code
/// are text about markers, unless the block of code is between the markers.
///
/// # Errors
/// Where the markers are not exactly one pair.
pub fn embed(markdown: &str, mermaid: &str) -> Result<String, EmbedError> {
    let (open, close) = markers(markdown)?;
    let lines: Vec<&str> = markdown.split_inclusive('\n').collect();
    let end = if lines[open].ends_with("\r\n") {
        "\r\n"
    } else {
        "\n"
    };
    let indent = &lines[open][..lines[open].len() - lines[open].trim_start().len()];
    let fence = "`".repeat(longest_run(mermaid).max(2) + 1);
    let mut out = lines[..=open].concat();
    let first = format!("{fence}mermaid");
    for line in [first.as_str()]
        .into_iter()
        .chain(mermaid.lines())
        .chain([fence.as_str()])
    {
        out.push_str(indent);
        out.push_str(line);
        out.push_str(end);
    }
    out.push_str(&lines[close..].concat());
    Ok(out)
}

/// The lines of the two markers, from 0.
fn markers(markdown: &str) -> Result<(usize, usize), EmbedError> {
    let mut fence: Option<(char, usize)> = None;
    let mut open: Option<usize> = None;
    let mut pair = None;
    for (at, line) in markdown.lines().enumerate() {
        let text = line.trim();
        // What stands between the markers is replaced, so it cannot hide the second one.
        if open.is_some() && pair.is_none() && text == CLOSE {
            pair = open.map(|open| (open, at));
            fence = None;
            continue;
        }
        let inside = open.is_some() && pair.is_none();
        fence = if inside {
            None
        } else {
            fence_after(fence, line)
        };
        if fence.is_some() {
            continue;
        }
        match (text == OPEN, text == CLOSE, open) {
            (true, _, Some(first)) => {
                return Err(EmbedError::Several {
                    first: first + 1,
                    second: at + 1,
                });
            }
            (true, _, None) => open = Some(at),
            (_, true, _) => return Err(EmbedError::Unopened { line: at + 1 }),
            _ => {}
        }
    }
    match (pair, open) {
        (Some(pair), _) => Ok(pair),
        (None, Some(open)) => Err(EmbedError::Unclosed { line: open + 1 }),
        (None, None) => Err(EmbedError::NoMarkers),
    }
}

/// The block of code that is open after this line: its character and how many of them open it.
fn fence_after(fence: Option<(char, usize)>, line: &str) -> Option<(char, usize)> {
    let text = line.trim_start();
    let indented = line.len() - text.len() > 3;
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'));
    let run = mark.map_or(0, |m| text.chars().take_while(|c| *c == m).count());
    let rest = &text[run..];
    match (fence, mark) {
        (None, Some(mark)) if run >= 3 && !indented && !(mark == '`' && rest.contains('`')) => {
            Some((mark, run))
        }
        (Some((open, count)), Some(mark))
            if open == mark && run >= count && !indented && rest.trim().is_empty() =>
        {
            None
        }
        (fence, _) => fence,
    }
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagram_replaces_what_is_between_the_markers_and_nothing_else() {
        let text = "# A\n<!-- pipe graph -->\nold\n```mermaid\nx\n```\n<!-- /pipe graph -->\nend";
        let new = "# A\n<!-- pipe graph -->\n```mermaid\nflowchart TD\n  n0\n```\n<!-- /pipe graph -->\nend";
        assert_eq!(embed(text, "flowchart TD\n  n0\n").as_deref(), Ok(new));
        assert_eq!(embed(new, "flowchart TD\n  n0\n").as_deref(), Ok(new));
    }

    #[test]
    fn line_ends_and_the_indentation_of_the_marker_are_kept() {
        let text = "- a\r\n  <!-- pipe graph -->\r\n  <!-- /pipe graph -->\r\n";
        let new = "- a\r\n  <!-- pipe graph -->\r\n  ```mermaid\r\n  x\r\n  ```\r\n  <!-- /pipe graph -->\r\n";
        assert_eq!(embed(text, "x\n").as_deref(), Ok(new));
    }

    #[test]
    fn markers_in_a_block_of_code_are_only_text() {
        let about = "~~~~\n<!-- pipe graph -->\n~~~\n~~~~\n";
        assert_eq!(embed(about, "x"), Err(EmbedError::NoMarkers));
        let both =
            format!("{about}<!-- pipe graph -->\n```\nunclosed\n<!-- /pipe graph -->\n{about}");
        let new = format!(
            "{about}<!-- pipe graph -->\n```mermaid\nx\n```\n<!-- /pipe graph -->\n{about}"
        );
        assert_eq!(embed(&both, "x"), Ok(new));
    }

    #[test]
    fn a_diagram_with_backticks_gets_a_longer_fence() {
        let text = "<!-- pipe graph -->\n<!-- /pipe graph -->\n";
        let new = "<!-- pipe graph -->\n````mermaid\na ``` b\n````\n<!-- /pipe graph -->\n";
        assert_eq!(embed(text, "a ``` b").as_deref(), Ok(new));
    }

    #[test]
    fn markers_that_are_no_pair_are_told_with_their_lines() {
        let cases = [
            ("text\n", EmbedError::NoMarkers),
            ("\n<!-- pipe graph -->\n", EmbedError::Unclosed { line: 2 }),
            ("<!-- /pipe graph -->\n", EmbedError::Unopened { line: 1 }),
            (
                "<!-- pipe graph -->\n<!-- /pipe graph -->\n<!-- pipe graph -->\n",
                EmbedError::Several {
                    first: 1,
                    second: 3,
                },
            ),
            (
                "<!-- pipe graph -->\n<!-- pipe graph -->\n<!-- /pipe graph -->\n",
                EmbedError::Several {
                    first: 1,
                    second: 2,
                },
            ),
        ];
        for (text, error) in cases {
            assert_eq!(embed(text, "x"), Err(error), "{text:?}");
        }
        assert_eq!(
            EmbedError::NoMarkers.to_string(),
            "no line says where the graph goes: add `<!-- pipe graph -->` and, below it, `<!-- /pipe graph -->`"
        );
    }
}
