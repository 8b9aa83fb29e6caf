//! Findings as workflow commands, which GitHub turns into annotations. Knows their escaping.

use super::{Region, in_order, visible, visible_line, word};
use crate::diagnostic::Diagnostic;
use crate::source::SourceMap;

/// One `::error …::…` or `::warning …::…` line per finding.
#[must_use]
pub fn github(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let findings = in_order(diagnostics);
    findings.iter().map(|d| command(d, sources)).collect()
}

fn command(d: &Diagnostic, sources: &SourceMap) -> String {
    let region = Region::of(d.span(), sources);
    let file = property(&sources.get(d.span().source).name);
    let mut text = visible_line(&d.message, true);
    if let Some(help) = &d.help {
        text.push('\n');
        text.push_str(&visible(help, true));
    }
    format!(
        "::{} file={file},{},title={}::{}\n",
        word(d.severity()),
        place(&region),
        property(d.code.id),
        data(&text)
    )
}

/// The runner rejects columns when the lines differ.
fn place(r: &Region) -> String {
    if r.line == r.end_line {
        format!(
            "line={},col={},endLine={},endColumn={}",
            r.line, r.column, r.end_line, r.end_column
        )
    } else {
        format!("line={},endLine={}", r.line, r.end_line)
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&visible_line(text, true))
        .replace(':', "%3A")
        .replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::syntax::UNCLOSED_BLOCK;
    use crate::source::Span;

    #[test]
    fn names_and_messages_cannot_break_out_of_the_command() {
        let mut sources = SourceMap::default();
        let id = sources.add("a,b:100%.kdl", "job {\n}\n");
        let one = Diagnostic::new(
            &UNCLOSED_BLOCK,
            "100%\n::set-env name=x::y\x1b",
            Span::new(id, 4, 5),
            "",
        )
        .help("first\r\nsecond");
        let two = Diagnostic::new(&UNCLOSED_BLOCK, "a block", Span::new(id, 4, 7), "");
        assert_eq!(
            github(&[two, one], &sources),
            "::error file=a%2Cb%3A100%25.kdl,line=1,col=5,endLine=1,endColumn=6,title=E101\
             ::100%25 ::set-env name=x::y␛%0Afirst%0Asecond\n\
             ::error file=a%2Cb%3A100%25.kdl,line=1,endLine=2,title=E101::a block\n"
        );
    }
}
