//! One mistake, one finding: drops what is only said because something else could not be read.
//! Knows findings and texts, not what they mean.

use std::collections::{BTreeMap, BTreeSet};

use crate::codes::{caching, delivery, names, shape, values};
use crate::diagnostic::{Diagnostic, Diagnostics, Label, Severity};
use crate::load::Unit;
use crate::schema::Kind;
use crate::source::{SourceMap, Span};
use crate::syntax::tree::Node;

/// How often is looked for what follows from what was lost; what stands behind it is found the first time.
const ROUNDS: usize = 4;

/// What a reference to a step names.
const STEP: &str = Kind::Step.noun();

/// More places of a word than this are not needed to know that it stands somewhere else.
const PLACES: usize = 4;

/// Sorts the findings and drops those that follow from others. A name that is said to be missing may stand in a part
/// of the file that could not be read; a warning about a value that is an error says less than the error.
pub fn tidy(diagnostics: &mut Diagnostics, units: &[Unit], sources: &SourceMap) {
    if diagnostics.iter().any(|d| d.missing.is_some()) {
        let mut lost = Lost::of(diagnostics, units, sources);
        // What names something lost is lost itself: a `push` to a registry that could not be read is no step.
        for _ in 0..ROUNDS {
            let before = diagnostics.len();
            diagnostics.retain(|d| {
                let explained = lost.explains(d);
                if explained {
                    lost.add_line(sources, d.span());
                }
                !explained
            });
            if diagnostics.len() == before {
                break;
            }
        }
    }
    if diagnostics.iter().any(is_absence) {
        let unknown = diagnostics
            .iter()
            .filter(|d| d.code == &shape::UNKNOWN_NODE);
        let unknown = unknown.map(Diagnostic::span).collect();
        let partial = units.iter().flat_map(|u| partial(&u.nodes, &unknown));
        let partial: BTreeSet<Span> = partial.collect();
        // No line lies in another one.
        let of_partial = |d: &Diagnostic| {
            let to = Span {
                end: u32::MAX,
                ..d.span()
            };
            let before = partial.range(..=to).next_back();
            before.is_some_and(|line| line.contains(d.span()))
        };
        diagnostics.retain(|d| !is_absence(d) || !of_partial(d));
    }
    diagnostics.sort_by_key(|d| (d.span().source, d.span().start, d.code.id));
    // A mistake in a template is told for its first use.
    diagnostics.dedup_by(|a, b| a.code == b.code && a.span() == b.span() && a.message == b.message);
    join(diagnostics, sources);
    let errors: BTreeSet<Span> = of_severity(diagnostics, Severity::Error)
        .map(Diagnostic::span)
        .collect();
    diagnostics.retain(|d| d.severity() == Severity::Error || !errors.contains(&d.span()));
}

/// The same mistake at several places is one finding with several labels: a name that is missing everywhere, numbers
/// without quotes side by side.
fn join(diagnostics: &mut Diagnostics, sources: &SourceMap) {
    let mut first: BTreeMap<(&'static str, String, usize), usize> = BTreeMap::new();
    let mut joined: Diagnostics = Vec::with_capacity(diagnostics.len());
    for d in diagnostics.drain(..) {
        let declared = matches!(d.code.id, "E301" | "E406")
            && d.missing.as_ref().is_some_and(|m| m.noun != STEP);
        let line = match d.code == &shape::WRONG_VALUE {
            true => sources.get(d.span().source).line_column(d.span().start).0,
            false => 0,
        };
        if !declared && line == 0 {
            joined.push(d);
            continue;
        }
        let key = (
            d.code.id,
            format!("{}/{}", d.span().source.0, d.message),
            line,
        );
        match first.get(&key) {
            Some(&at) => joined[at].labels.push(Label {
                span: d.span(),
                text: "and here".to_owned(),
            }),
            None => {
                first.insert(key, joined.len());
                joined.push(d);
            }
        }
    }
    *diagnostics = joined;
}

/// Whether an error leaves every step and declaration in place, so that the pipeline can be judged as a whole.
pub fn is_local(d: &Diagnostic) -> bool {
    let step = d.missing.as_ref().is_some_and(|m| m.noun == STEP);
    match d.code.id.as_bytes() {
        [b'W', ..] | [b'E', b'5', ..] => true,
        [b'E', b'4', ..] => d.code != &values::NOT_INTERPOLATED,
        _ => step || d.code == &names::AMBIGUOUS_NAME,
    }
}

/// Whether an error costs no more than the line on which it stands, whose words [`tidy`] knows: every other name is
/// where it was declared.
pub fn is_in_a_line(d: &Diagnostic) -> bool {
    let of_template = d.missing.as_ref().is_some_and(|m| m.noun == "template");
    let named = d.missing.is_some() && !of_template && d.code != &shape::UNKNOWN_NODE;
    is_local(d) || named || [&shape::WRONG_VALUE, &shape::UNKNOWN_PROPERTY].contains(&d.code)
}

/// The lines of nodes in whose blocks something could not be read, or is unknown and may be what is missing.
fn partial(nodes: &[Node], unknown: &BTreeSet<Span>) -> Vec<Span> {
    let is_partial = |n: &&Node| {
        !n.lost().is_empty() || n.nodes().iter().any(|c| unknown.contains(&c.name.span))
    };
    let line = |n: &Node| Span {
        end: n.children.as_ref().map_or(n.span.end, |b| b.span.start),
        ..n.span
    };
    let own = nodes.iter().filter(is_partial).map(line);
    let inner = nodes.iter().flat_map(|n| partial(n.nodes(), unknown));
    own.chain(inner).collect()
}

/// Whether it says that something is missing in a node, which may be what could not be read of its block.
fn is_absence(d: &Diagnostic) -> bool {
    [
        &shape::MISSING_CHILD,
        &shape::MISSING_PROPERTY,
        &caching::RESTORE_WITHOUT_KEY,
        &delivery::TARGET_DRIVER,
        &delivery::NOTIFY,
    ]
    .contains(&d.code)
}

/// What could not be read in the blocks of these nodes.
fn lost_in(nodes: &[Node]) -> Vec<Span> {
    let inner = nodes.iter().flat_map(|n| lost_in(n.nodes()));
    let own = nodes.iter().flat_map(|n| n.lost().iter().copied());
    own.chain(inner).collect()
}

fn of_severity(found: &[Diagnostic], severity: Severity) -> impl Iterator<Item = &Diagnostic> {
    found.iter().filter(move |d| d.severity() == severity)
}

/// What could not be read.
#[derive(Default)]
struct Lost<'a> {
    /// The words in it, each with its first places.
    words: BTreeMap<&'a str, Vec<Span>>,
    /// The lines that were added.
    lines: BTreeSet<Span>,
    /// A whole file is missing, so that any name may be declared there.
    file: bool,
    /// A template is missing, so that any step may come from it.
    template: bool,
}

impl<'a> Lost<'a> {
    fn of(found: &[Diagnostic], units: &[Unit], sources: &'a SourceMap) -> Self {
        let mut lost = Lost::default();
        for source in sources.iter() {
            let unread =
                |d: &&Diagnostic| d.code.id.starts_with("E1") && d.span().source == source.id;
            if of_severity(found, Severity::Error).any(|d| unread(&d)) {
                let nodes = units.iter().flat_map(|u| &u.nodes).map(|n| n.span);
                lost.all_but(
                    sources,
                    nodes.filter(|s| s.source == source.id).collect(),
                    source.id,
                );
            }
        }
        for span in units.iter().flat_map(|u| lost_in(&u.nodes)) {
            lost.add(sources, span);
        }
        for d in found {
            let of_template = |m: &crate::diagnostic::Missing| m.noun == "template";
            lost.file |= d.code == &names::INCLUDE;
            lost.template |=
                d.missing.as_ref().is_some_and(of_template) || d.code == &names::TEMPLATE_CYCLE;
            if d.code.id.starts_with("E2") && d.code != &shape::DUPLICATE
                || d.code == &values::NOT_INTERPOLATED
            {
                lost.add_line(sources, d.span());
            }
        }
        lost
    }

    /// The text of a file between these spans.
    fn all_but(
        &mut self,
        sources: &'a SourceMap,
        mut read: Vec<Span>,
        source: crate::source::SourceId,
    ) {
        read.sort();
        let mut from = 0;
        for span in read {
            self.add(sources, Span::new(source, from, span.start as usize));
            from = span.end as usize;
        }
        self.add(
            sources,
            Span::new(source, from, sources.get(source).text.len()),
        );
    }

    /// The lines on which a span begins and ends.
    fn add_line(&mut self, sources: &'a SourceMap, span: Span) {
        let line = lines_around(sources, span);
        if self.lines.insert(line) {
            self.add(sources, line);
        }
    }

    fn add(&mut self, sources: &'a SourceMap, span: Span) {
        let text = sources.get(span.source).slice(span);
        let base = text.as_ptr() as usize;
        for word in text.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()) {
            let places = self.words.entry(word).or_default();
            if places.len() < PLACES {
                let at = word.as_ptr() as usize - base;
                places.push(span.part(at, at + word.len()));
            }
        }
    }

    /// Whether the missing name may be declared in what was lost. `build-app` may be the step of a lost `build app`.
    fn explains(&self, d: &Diagnostic) -> bool {
        let Some(missing) = &d.missing else {
            return false;
        };
        let of_step = missing.noun == STEP;
        if self.file || (self.template && of_step) {
            return true;
        }
        let last = missing.name.rsplit('.').next().unwrap_or_default();
        let tails = last.match_indices('-').map(|(at, _)| &last[at + 1..]);
        let inside = |s: &Span| d.span().contains(*s);
        std::iter::once(last)
            .chain(tails.filter(|_| of_step))
            .any(|word| {
                let places = self.words.get(word);
                places.is_some_and(|p| !p.iter().all(inside))
            })
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

/// The lines on which a span begins and ends.
fn lines_around(sources: &SourceMap, span: Span) -> Span {
    let text = &sources.get(span.source).text;
    let (start, end) = (span.start as usize, (span.end as usize).min(text.len()));
    let start = text.as_bytes()[..start.min(end)]
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let end = text.as_bytes()[end..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |at| end + at);
    Span::new(span.source, start, end)
}
