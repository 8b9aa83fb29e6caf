//! The lines around the places of one finding, few, short and harmless enough for a terminal.
//! Does not draw: it says which text to show and where in that text the marks are.

use super::stand_in;
use crate::diagnostic::Diagnostic;
use crate::source::{Source, SourceId, SourceMap};
use std::ops::Range;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const MAX_PLACES: usize = 8;
const MAX_PLACE_LINES: usize = 8;
const MAX_LABEL_TEXT: usize = 200;
const TAB: usize = 4;
/// The narrowest that the text of a label is made.
pub(super) const MIN_LABEL: usize = 24;
/// What is drawn before it.
pub(super) const LABEL_LEAD: usize = 4;
/// Between two chunks of text, so that a mark at the end of one is not at the start of the next.
const GAP: &str = "\n\n";

/// Chunks of source text, one after the other, and the marks in them.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    pub(super) text: String,
    pub(super) chunks: Vec<Chunk>,
    /// By position in `text`.
    pub(super) marks: Vec<Mark>,
    /// How many labels found no room.
    pub(super) left_out: usize,
}

/// Neighbouring lines of one file.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) name: String,
    pub(super) range: Range<usize>,
    /// The number of the first line, from 1.
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// A marked place.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) range: Range<usize>,
    /// Where it begins in the file, from 1, whatever was cut or replaced before it.
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) text: String,
    pub(super) primary: bool,
}

impl Excerpt {
    /// The excerpt for a finding, for a drawing that is `width` columns wide.
    pub(super) fn new(d: &Diagnostic, sources: &SourceMap, width: usize, unicode: bool) -> Self {
        let places = places(d, sources, unicode);
        let mut files: Vec<SourceId> = Vec::new();
        for place in &places {
            if !files.contains(&place.source) {
                files.push(place.source);
            }
        }
        let columns = width.saturating_sub(gutter(&places)).max(20);
        let mut excerpt = Self {
            left_out: d.labels.len().saturating_sub(MAX_PLACES),
            ..Self::default()
        };
        for file in files {
            let source = sources.get(file);
            let here: Vec<_> = places.iter().filter(|p| p.source == file).collect();
            for run in runs(&source.text, &here) {
                excerpt.add_chunk(source, run, &here, &Pen { columns, unicode });
            }
        }
        excerpt.part_marks();
        excerpt
    }

    fn add_chunk(&mut self, source: &Source, run: Range<usize>, places: &[&Place], pen: &Pen) {
        let start = self.text.len();
        let mut cells = Vec::new();
        let mut lines = 0;
        let mut at = run.start;
        for raw in source.text[run.clone()].split('\n') {
            let focus: Vec<_> = places.iter().filter_map(|p| p.on(at, raw)).collect();
            pen.draw(raw, at, &focus, &mut self.text, &mut cells);
            at += raw.len() + 1;
            lines += 1;
        }
        for place in places
            .iter()
            .filter(|p| run.contains(&p.start) || run.end == p.start)
        {
            self.marks.push(place.mark(&cells));
        }
        self.chunks.push(Chunk {
            name: super::visible_line(&source.name, pen.unicode),
            range: start..self.text.len(),
            line: source
                .line_column(u32::try_from(run.start).unwrap_or(u32::MAX))
                .0,
            lines,
        });
        self.text.push_str(GAP);
    }

    /// Makes marks on one line disjoint, because carets can only stand next to each other.
    fn part_marks(&mut self) {
        self.marks.sort_by_key(|m| (m.range.start, m.range.end));
        for at in 1..self.marks.len() {
            let (before, after) = self.marks.split_at_mut(at);
            let (left, right) = (&mut before[at - 1].range, &mut after[0].range);
            let one_line = |r: &Range<usize>| !self.text[r.clone()].contains('\n');
            if right.start >= left.end || !one_line(left) || !one_line(right) {
                continue;
            }
            if right.start > left.start {
                left.end = right.start;
            } else {
                right.start = left.end;
                right.end = right.end.max(right.start);
            }
        }
        self.marks.sort_by_key(|m| (m.range.start, m.range.end));
    }

    /// The line of the text that has this offset, from its start to the offset.
    pub(super) fn line_before(&self, offset: usize) -> &str {
        &self.text[line_start(&self.text, offset)..offset]
    }

    /// Whether a mark is drawn beside its lines instead of under them.
    pub(super) fn is_tall(&self, mark: &Mark) -> bool {
        self.text[mark.range.clone()].contains('\n')
    }
}

/// A label with its span on character boundaries.
struct Place {
    source: SourceId,
    start: usize,
    end: usize,
    line: usize,
    column: usize,
    last_line: usize,
    text: String,
    primary: bool,
}

impl Place {
    /// The part of a line (that starts at byte `at`) that the place covers.
    fn on(&self, at: usize, line: &str) -> Option<Focus> {
        let end = at + line.len();
        let touches = self.start <= end && self.end >= at;
        let label = match self.last_line - self.line {
            0 if !self.text.is_empty() => LABEL_LEAD + self.text.width().min(MIN_LABEL),
            _ => 0,
        };
        touches.then(|| Focus {
            bytes: self.start.max(at) - at..self.end.min(end) - at,
            label,
        })
    }

    fn mark(&self, cells: &[Cell]) -> Mark {
        let first = cells.partition_point(|c| c.from < self.start);
        let after = cells.partition_point(|c| c.from < self.end);
        let start = cells.get(first).or(cells.last()).map_or(0, |c| c.to);
        let end = cells[..after].last().map_or(start, |c| c.to + c.len);
        Mark {
            range: start..end.max(start),
            line: self.line,
            column: self.column,
            text: self.text.clone(),
            primary: self.primary,
        }
    }
}

fn places(d: &Diagnostic, sources: &SourceMap, unicode: bool) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for label in d.labels.iter().take(MAX_PLACES) {
        let source = sources.get(label.span.source);
        let text = super::visible_line(&label.text, unicode);
        let text = super::shorten(&text, MAX_LABEL_TEXT);
        let place = place(
            source,
            label.span.start,
            label.span.end,
            text,
            places.is_empty(),
        );
        let same =
            |p: &&mut Place| (p.source, p.start, p.end) == (place.source, place.start, place.end);
        match places.iter_mut().find(same) {
            Some(twin) if twin.text.is_empty() => twin.text = place.text,
            Some(_) if place.text.is_empty() => {}
            Some(twin) => twin.text = format!("{}; {}", twin.text, place.text),
            None => places.push(place),
        }
    }
    places
}

fn place(source: &Source, start: u32, end: u32, mut text: String, primary: bool) -> Place {
    let all = source.text.as_str();
    let from = all.floor_char_boundary(start as usize);
    let to = all.ceil_char_boundary(end as usize).max(from);
    let mut covered = &all[from..to];
    let breaks = covered.matches('\n').count();
    if breaks > 0 {
        covered = covered.trim_end_matches(['\n', '\r']);
    }
    let (line, column) = source.line_column(start);
    let mut last_line = line + covered.matches('\n').count();
    if last_line - line >= MAX_PLACE_LINES {
        covered = covered.split('\n').next().unwrap_or_default();
        let until = format!("up to line {last_line}");
        text = if text.is_empty() {
            until
        } else {
            format!("{text} ({until})")
        };
        last_line = line;
    }
    Place {
        source: source.id,
        start: from,
        end: from + covered.len(),
        line,
        column,
        last_line,
        text,
        primary,
    }
}

/// How many columns the line numbers and the brackets beside the text take.
fn gutter(places: &[Place]) -> usize {
    let last = places.iter().map(|p| p.last_line + 1).max().unwrap_or(1);
    let tall = places.iter().filter(|p| p.last_line > p.line).count();
    last.to_string().len() + 4 + if tall > 0 { tall + 3 } else { 0 }
}

/// The whole lines (in bytes, without the last line break) around the places of one file.
fn runs(text: &str, places: &[&Place]) -> Vec<Range<usize>> {
    let mut around: Vec<_> = places
        .iter()
        .map(|p| {
            line_start(text, line_start(text, p.start).saturating_sub(1))
                ..next_line_end(text, p.end)
        })
        .collect();
    around.sort_by_key(|r| r.start);
    let mut runs: Vec<Range<usize>> = Vec::new();
    for next in around {
        match runs.last_mut() {
            // A gap of one line costs as much as its mark, so it is shown.
            Some(run) if next.start <= next_line_end(text, run.end) + 1 => {
                run.end = run.end.max(next.end);
            }
            _ => runs.push(next),
        }
    }
    runs
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

/// The end of the line after the one at `at`; the nothing after a final line break is no line.
fn next_line_end(text: &str, at: usize) -> usize {
    let end = line_end(text, at);
    if end + 1 < text.len() {
        line_end(text, end + 1)
    } else {
        end
    }
}

/// A part of a line that must be seen.
struct Focus {
    bytes: Range<usize>,
    /// The room that its label needs to the right of its middle.
    label: usize,
}

/// Where a character of the file went in the excerpt.
struct Cell {
    from: usize,
    to: usize,
    len: usize,
}

/// How lines are written down.
struct Pen {
    columns: usize,
    unicode: bool,
}

impl Pen {
    /// Appends a line that starts at byte `at` of its file, cut to the parts around `focus`.
    fn draw(&self, raw: &str, at: usize, focus: &[Focus], out: &mut String, cells: &mut Vec<Cell>) {
        let line = raw.strip_suffix('\r').unwrap_or(raw);
        let windows = windows(line, focus, self.columns);
        let last = windows.iter().map(|w| w.end).max().unwrap_or(0);
        let mut column = 0;
        let mut cut = false;
        for (from, c) in line.char_indices() {
            let width = columns(c, column);
            let seen = windows.iter().any(|w| w.contains(&column));
            cut |= !seen;
            if column >= last {
                break;
            }
            column += width;
            if !seen {
                continue;
            }
            self.mend(&mut cut, out);
            let to = out.len();
            self.write(c, width, at + from == 0, out);
            cells.push(Cell {
                from: at + from,
                to,
                len: out.len() - to,
            });
        }
        self.mend(&mut cut, out);
        cells.push(Cell {
            from: at + raw.len(),
            to: out.len(),
            len: 0,
        });
        out.push('\n');
    }

    fn mend(&self, cut: &mut bool, out: &mut String) {
        if std::mem::take(cut) {
            out.push_str(if self.unicode { "…" } else { "..." });
        }
    }

    fn write(&self, c: char, width: usize, first: bool, out: &mut String) {
        match c {
            '\t' => out.extend(std::iter::repeat_n(' ', width)),
            // A byte order mark is where it belongs there.
            '\u{feff}' if first => {}
            _ => out.push(stand_in(c, self.unicode).unwrap_or(c)),
        }
    }
}

/// Columns of a character. Those without width count as one, so that a line of them is cut too.
fn columns(c: char, column: usize) -> usize {
    match c {
        '\t' => TAB - column % TAB,
        _ => c.width().unwrap_or(1).max(1),
    }
}

/// The columns of a line to show: all, or a share of the room around each focus.
fn windows(line: &str, focus: &[Focus], room: usize) -> Vec<Range<usize>> {
    let columns = columns_of_bytes(line);
    let total = columns[line.len()];
    let mut focus: Vec<_> = focus
        .iter()
        .map(|f| {
            // A label may end on the carriage return that is not part of the line any more.
            let column = |byte: usize| columns[byte.min(line.len())];
            (column(f.bytes.start), column(f.bytes.end), f.label)
        })
        .collect();
    let fits = |&(start, end, label): &(usize, usize, usize)| (start + end) / 2 + label <= room;
    if total <= room && focus.iter().all(fits) {
        return std::iter::once(0..total).collect();
    }
    if focus.is_empty() {
        focus.push((0, 0, 0));
    }
    let dots = 3 * (focus.len() + 1);
    let share = (room.saturating_sub(dots) / focus.len()).max(8);
    let around = |&(start, end, _): &(usize, usize, usize)| {
        let lead = share.saturating_sub(end - start).div_ceil(2).max(share / 4);
        let from = start.saturating_sub(lead);
        from..from + share
    };
    focus.iter().map(around).collect()
}

/// The column at which each byte of a line is, and the one after the last.
fn columns_of_bytes(line: &str) -> Vec<usize> {
    let mut all = Vec::with_capacity(line.len() + 1);
    let mut column = 0;
    for c in line.chars() {
        all.resize(all.len() + c.len_utf8(), column);
        column += columns(c, column);
    }
    all.push(column);
    all
}
