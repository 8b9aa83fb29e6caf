//! Findings for people, with the lines they are about. The only file that knows miette.

use super::excerpt::{Excerpt, LABEL_LEAD, MIN_LABEL, Mark};
use super::{count, in_order, shorten, visible, visible_line};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::SourceMap;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use std::fmt;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const MAX_SHOWN: usize = 20;
const MAX_MESSAGE: usize = 500;
const MAX_HELP: usize = 2000;

/// What the place where the text is shown can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether colours are understood.
    pub color: bool,
    /// Whether addresses may be terminal links; only when a terminal is at the other end.
    pub links: bool,
    /// Columns of a line; taken as 40 to 200.
    pub width: usize,
    /// Whether characters beyond ASCII can be drawn.
    pub unicode: bool,
}

/// The first findings with their lines, then how many there are. Empty without findings.
#[must_use]
pub fn human(diagnostics: &[Diagnostic], sources: &SourceMap, style: &Style) -> String {
    let findings = in_order(diagnostics);
    if findings.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    for d in findings.iter().take(MAX_SHOWN) {
        for line in report(d, sources, style).lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
    }
    if let Some(more) = findings.len().checked_sub(MAX_SHOWN).filter(|n| *n > 0) {
        let dots = if style.unicode { "…" } else { "..." };
        text.push_str(&format!("{dots} and {}\n\n", plural(more, "more finding")));
    }
    text.push_str(&summary(&findings, sources, style.unicode));
    text
}

fn summary(findings: &[&Diagnostic], sources: &SourceMap, unicode: bool) -> String {
    let (errors, warnings) = count(findings);
    let counts = match (errors, warnings) {
        (_, 0) => plural(errors, "error"),
        (0, _) => plural(warnings, "warning"),
        _ => format!(
            "{} and {}",
            plural(errors, "error"),
            plural(warnings, "warning")
        ),
    };
    let mut files: Vec<_> = findings.iter().map(|d| d.span().source).collect();
    files.dedup();
    let place = match files[..] {
        [file] => visible_line(&sources.get(file).name, unicode),
        _ => format!("{} files", files.len()),
    };
    let first_error = findings.iter().find(|d| d.severity() == Severity::Error);
    let code = first_error.unwrap_or(&findings[0]).code.id;
    format!("{counts} in {place}\n`pipe explain {code}` tells more about a code\n")
}

fn plural(n: usize, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

fn report(d: &Diagnostic, sources: &SourceMap, style: &Style) -> String {
    let width = style.width.clamp(40, 200);
    let mut excerpt = Excerpt::new(d, sources, width, style.unicode);
    wrap_labels(&mut excerpt, width);
    let finding = Finding {
        code: d.code.id,
        severity: d.severity(),
        message: shorten(&visible_line(&d.message, style.unicode), MAX_MESSAGE),
        help: help(d, excerpt.left_out, style.unicode),
        excerpt,
    };
    let handler = GraphicalReportHandler::new_themed(theme(&finding, style))
        .with_links(style.links)
        .with_width(width)
        .without_syntax_highlighting();
    let mut text = String::new();
    // Writing into a string cannot fail; a line without its picture is better than nothing.
    if handler.render_report(&mut text, &finding).is_err() {
        text = super::plain_line(d, sources);
    }
    text
}

fn help(d: &Diagnostic, left_out: usize, unicode: bool) -> Option<String> {
    let more = (left_out > 0).then(|| format!("({} not shown)", plural(left_out, "more place")));
    let help = d
        .help
        .as_deref()
        .map(|h| shorten(&visible(h, unicode), MAX_HELP));
    match (help, more) {
        (Some(help), Some(more)) => Some(format!("{help}\n{more}")),
        (help, more) => help.or(more),
    }
}

/// The main place has the colour of its severity, the others a calm one.
fn theme(finding: &Finding, style: &Style) -> GraphicalTheme {
    let mut theme = match (style.unicode, style.color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    let main = match finding.severity {
        Severity::Error => theme.styles.error,
        Severity::Warning => theme.styles.warning,
    };
    let other = theme.styles.advice;
    let marks = finding.excerpt.marks.iter();
    theme.styles.highlights = marks
        .map(|m| if m.primary { main } else { other })
        .collect();
    theme
}

/// Breaks the texts of labels where the line would become too long; miette does not.
fn wrap_labels(excerpt: &mut Excerpt, width: usize) {
    let last_line = excerpt.chunks.iter().map(|c| c.line + c.lines).max();
    let numbers = last_line.unwrap_or(1).to_string().len() + 4;
    let tall = excerpt.marks.iter().filter(|m| excerpt.is_tall(m)).count();
    let gutter = numbers + if tall > 0 { tall + 3 } else { 0 };
    let room = |mark: &Mark| match excerpt.is_tall(mark) {
        true => width.saturating_sub(gutter + LABEL_LEAD),
        false => width.saturating_sub(gutter + middle(excerpt, mark) + LABEL_LEAD),
    };
    let marks = excerpt.marks.iter();
    let texts: Vec<_> = marks
        .map(|m| wrap(&m.text, room(m).max(MIN_LABEL)))
        .collect();
    for (mark, text) in excerpt.marks.iter_mut().zip(texts) {
        mark.text = text;
    }
}

/// The column under which the label of a mark hangs.
fn middle(excerpt: &Excerpt, mark: &Mark) -> usize {
    let start = excerpt.line_before(mark.range.start).width();
    start + excerpt.text[mark.range.clone()].width() / 2
}

/// Breaks a text at spaces, and words that are too long anywhere.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let next = word.width();
        if column > 0 && column + 1 + next > width {
            wrapped.push('\n');
            column = 0;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if column > 0 && column + wide > width {
                wrapped.push('\n');
                column = 0;
            }
            wrapped.push(c);
            column += wide;
        }
    }
    wrapped
}

/// A finding as miette wants it.
#[derive(Debug)]
struct Finding {
    code: &'static str,
    severity: Severity,
    message: String,
    help: Option<String>,
    excerpt: Excerpt,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

impl miette::Diagnostic for Finding {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|h| Box::new(h) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.excerpt.marks.iter().map(labeled)))
    }
}

fn labeled(mark: &Mark) -> LabeledSpan {
    let text = (!mark.text.is_empty()).then(|| mark.text.clone());
    let span = (mark.range.start, mark.range.len());
    if mark.primary {
        LabeledSpan::new_primary_with_span(text, span)
    } else {
        LabeledSpan::new_with_span(text, span)
    }
}

/// Chunks of several files are one text for miette; a span that would join two is refused, and
/// miette then draws them one below the other.
impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (start, end) = (span.offset(), span.offset() + span.len());
        let holds = |r: &std::ops::Range<usize>| r.start <= start && end <= r.end;
        let chunk = self.chunks.iter().find(|c| holds(&c.range));
        let chunk = chunk.ok_or(MietteError::OutOfBounds)?;
        let (mut line, mut column) = (chunk.line, 1);
        // Without context, miette asks what line and column to write above the lines.
        if before + after == 0 {
            let at_start = |m: &&Mark| m.range.start == start;
            let mut marks = self.marks.iter().filter(at_start);
            let mark = marks.clone().find(|m| m.primary).or_else(|| marks.next());
            (line, column) = mark.map_or((line, column), |m| (m.line, m.column));
        }
        Ok(Box::new(MietteSpanContents::new_named(
            chunk.name.clone(),
            &self.text.as_bytes()[chunk.range.clone()],
            (chunk.range.start, chunk.range.len()).into(),
            line - 1,
            column - 1,
            chunk.lines,
        )))
    }
}
