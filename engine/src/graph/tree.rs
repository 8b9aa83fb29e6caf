//! The tree of stages and steps, line by line. Unaware of widths of terminals: `text` cuts what it gets from here.

use unicode_width::UnicodeWidthStr;

use super::label::visible;
use super::text::{Line, Style, own, padded};
use super::view::{Edge, EdgeKind, End, NodeKind, Stage, View};

/// The widest column of names; longer names move what follows.
const NAMES: usize = 32;

pub(super) fn lines(view: &View, ascii: bool) -> Vec<Line> {
    let tree = Tree::new(view, ascii);
    let mut out = vec![tree.head()];
    for at in 0..view.stages.len() {
        out.push(Line::default());
        tree.stage(at, &mut out);
    }
    if view.stages.is_empty() {
        out.push(Line::default());
        tree.whole_stages(&mut out);
    }
    if !view.left_out.is_empty() {
        out.push(Line::default());
        tree.left_out(&mut out);
    }
    out
}

/// What joins a line to those around it.
struct Marks {
    branch: &'static str,
    last: &'static str,
    on: &'static str,
    blank: &'static str,
    to: &'static str,
}

const LINES: Marks = Marks {
    branch: "├─ ",
    last: "└─ ",
    on: "│  ",
    blank: "   ",
    to: "→",
};

const ASCII: Marks = Marks {
    branch: "|- ",
    last: "`- ",
    on: "|  ",
    blank: "   ",
    to: "->",
};

struct Tree<'a> {
    view: &'a View,
    marks: &'static Marks,
    ascii: bool,
    /// By node: the edges to it, and from it.
    before: Vec<Vec<&'a Edge>>,
    behind: Vec<Vec<&'a Edge>>,
    /// By stage: the edges to it.
    stages: Vec<Vec<&'a Edge>>,
    /// By stage: the stages that it waits for.
    earlier: Vec<Vec<usize>>,
    /// By node: its matrix.
    matrix: Vec<Option<usize>>,
    /// How wide the column of outcomes is.
    statuses: usize,
}

/// A line for a step, a job with legs, or a leg.
struct Row {
    /// Lines of the tree in front of it.
    frame: String,
    name: String,
    status: Option<super::view::Status>,
    note: String,
}

impl<'a> Tree<'a> {
    fn new(view: &'a View, ascii: bool) -> Self {
        let mut tree = Tree {
            view,
            marks: if ascii { &ASCII } else { &LINES },
            ascii,
            before: vec![Vec::new(); view.nodes.len()],
            behind: vec![Vec::new(); view.nodes.len()],
            earlier: vec![Vec::new(); view.stages.len()],
            stages: view.stages.iter().map(|_| Vec::new()).collect(),
            matrix: vec![None; view.nodes.len()],
            statuses: 0,
        };
        for (at, matrix) in view.matrices.iter().enumerate() {
            matrix
                .legs
                .iter()
                .for_each(|leg| tree.matrix[*leg] = Some(at));
        }
        for edge in &view.edges {
            // What is true of all legs is told at the first.
            let node = |end: End| match end {
                End::Node(at) => Some(at),
                End::Legs(at) => view.matrices[at].legs.first().copied(),
                End::Stage(_) => None,
            };
            if let End::Stage(to) = edge.to {
                tree.stages[to].push(edge);
                if let (End::Stage(from), EdgeKind::Needs | EdgeKind::Order) =
                    (edge.from, edge.kind)
                {
                    tree.earlier[to].push(from);
                }
            }
            if let Some(to) = node(edge.to) {
                tree.before[to].push(edge);
            }
            if let Some(from) = node(edge.from) {
                tree.behind[from].push(edge);
            }
        }
        let words = view.nodes.iter().filter_map(|n| n.status);
        tree.statuses = words.map(|s| s.word().len() + 2).max().unwrap_or(0);
        tree
    }

    fn head(&self) -> Line {
        let mut line = Line::default();
        line.push(Style::Title, visible(&self.view.pipeline));
        line.push(Style::Note, format!("  {}", visible(&self.view.run)));
        line
    }

    fn stage(&self, at: usize, out: &mut Vec<Line>) {
        let stage = &self.view.stages[at];
        let mut line = Line::default();
        line.push(Style::Stage, visible(&stage.name));
        line.push(Style::Note, self.stage_waits(at));
        out.push(line);
        let rows = self.rows(stage);
        let width = rows.iter().map(|r| r.frame.width() + r.name.width());
        let width = width.max().unwrap_or(0).min(NAMES);
        out.extend(rows.into_iter().map(|row| self.row(row, width)));
        if stage.undo_on_failure && !stage.undo.is_empty() {
            let undo = stage.undo.iter().map(|name| visible(short(name, stage)));
            let undo: Vec<String> = undo.collect();
            let mut line = Line::default();
            line.push(
                Style::Note,
                format!("   on failure undo {}", undo.join(", then ")),
            );
            out.push(line);
        }
    }

    /// What a stage waits for, where it is not simply the one before it.
    fn stage_waits(&self, at: usize) -> String {
        let edges = &self.stages[at];
        if edges.is_empty() && at > 0 {
            return "  waits for nothing".to_owned();
        }
        let said = edges.iter().copied().filter(|e| e.kind != EdgeKind::Order);
        let edges: Vec<&Edge> = said.collect();
        let words = self.waits(&edges, None);
        words.iter().map(|w| format!("  {w}")).collect()
    }

    fn rows(&self, stage: &Stage) -> Vec<Row> {
        let is_row = |n: &&usize| self.view.nodes[**n].kind.is_step();
        let steps: Vec<usize> = stage.nodes.iter().filter(is_row).copied().collect();
        let jobs: Vec<&[usize]> = steps
            .chunk_by(|a, b| self.matrix[*a].is_some() && self.matrix[*a] == self.matrix[*b])
            .collect();
        let mut rows = Vec::new();
        for (at, legs) in jobs.iter().enumerate() {
            let last = at + 1 == jobs.len();
            let frame = if last {
                self.marks.last
            } else {
                self.marks.branch
            };
            let first = &self.view.nodes[legs[0]];
            let matrix = self.matrix[legs[0]].map(|m| &self.view.matrices[m]);
            rows.push(Row {
                frame: frame.to_owned(),
                name: match matrix {
                    Some(m) => own(&format!("{} ×{}", m.label, m.legs.len()), self.ascii),
                    None => own(&first.label, self.ascii),
                },
                status: if matrix.is_some() { None } else { first.status },
                note: self.note(legs[0], stage),
            });
            if matrix.is_some() {
                let outer = if last {
                    self.marks.blank
                } else {
                    self.marks.on
                };
                rows.extend(self.legs(outer, legs));
            }
        }
        rows
    }

    fn legs(&self, outer: &str, legs: &[usize]) -> Vec<Row> {
        let row = |(at, leg): (usize, &usize)| {
            let last = at + 1 == legs.len();
            let frame = if last {
                self.marks.last
            } else {
                self.marks.branch
            };
            let node = &self.view.nodes[*leg];
            Row {
                frame: format!("{outer}{frame}"),
                name: visible(node.leg.as_deref().unwrap_or(&node.label)),
                status: node.status,
                note: String::new(),
            }
        };
        legs.iter().enumerate().map(row).collect()
    }

    fn row(&self, row: Row, width: usize) -> Line {
        let mut line = Line::default();
        let name = padded(&row.name, width.saturating_sub(row.frame.width()));
        line.push(Style::Frame, row.frame);
        line.push(Style::Step, name);
        if self.statuses > 0 {
            let word = row.status.map_or("", super::view::Status::word);
            let word = padded(&format!("  {word}"), self.statuses);
            let style = row.status.map_or(Style::Frame, Style::Status);
            line.push(style, word);
        }
        if !row.note.is_empty() {
            line.push(Style::Note, format!("  {}", row.note));
        }
        line
    }

    /// Where a step's work goes, what it waits for, and how it is undone.
    fn note(&self, at: usize, stage: &Stage) -> String {
        let mut words = Vec::new();
        for edge in &self.behind[at] {
            let End::Node(to) = edge.to else { continue };
            let node = &self.view.nodes[to];
            if matches!(node.kind, NodeKind::Registry | NodeKind::Target) {
                let what = match edge.kind {
                    EdgeKind::Flow => visible(&edge.label),
                    _ => self.source(at, stage),
                };
                let blank = if what.is_empty() { "" } else { " " };
                words.push(format!(
                    "{what}{blank}{} {}",
                    self.marks.to,
                    visible(&node.label)
                ));
            }
        }
        words.extend(self.waits(&self.beyond(at), Some(stage)));
        words.extend(self.view.nodes[at].detail.as_deref().map(visible));
        words.extend(self.undo(at, stage));
        words.join(if self.ascii { "; " } else { " · " })
    }

    /// Where a promotion comes from.
    fn source(&self, at: usize, stage: &Stage) -> String {
        let mut edges = self.before[at].iter();
        let source = edges.find(|e| e.kind == EdgeKind::Promote);
        source.map_or_else(String::new, |e| self.name(e.from, Some(stage)))
    }

    /// The edges to a step that say more than its stage does.
    fn beyond(&self, at: usize) -> Vec<&'a Edge> {
        let own = self.view.nodes[at].stage;
        let stage_of = |end: End| match end {
            End::Node(at) => self.view.nodes[at].stage,
            End::Legs(at) => self.view.nodes[self.view.matrices[at].legs[0]].stage,
            End::Stage(at) => Some(at),
        };
        let must = |e: &Edge| matches!(e.kind, EdgeKind::Needs | EdgeKind::Uses | EdgeKind::Flow);
        let edges = &self.before[at];
        // Such a step does not wait for its stage.
        let free = edges.iter().any(|e| !must(e) && stage_of(e.from) != own);
        let elsewhere = |e: &Edge| must(e) && stage_of(e.from).is_some_and(|s| Some(s) != own);
        if free || !edges.iter().any(|e| elsewhere(e)) {
            return edges.clone();
        }
        let ended = own.map(|own| self.ended_before(own)).unwrap_or_default();
        let said = |e: &Edge| must(e) && stage_of(e.from).is_some_and(|s| ended[s]);
        edges.iter().copied().filter(|e| !said(e)).collect()
    }

    /// By stage: whether it must have succeeded before this one begins.
    fn ended_before(&self, stage: usize) -> Vec<bool> {
        let mut ended = vec![false; self.view.stages.len()];
        let mut open = self.earlier[stage].clone();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut ended[at], true) {
                open.extend(&self.earlier[at]);
            }
        }
        ended
    }

    fn undo(&self, at: usize, stage: &Stage) -> Option<String> {
        let way_back = self.behind[at]
            .iter()
            .find(|e| e.kind == EdgeKind::Rollback)?;
        let End::Node(to) = way_back.to else {
            return None;
        };
        match &self.view.nodes[to].detail {
            Some(back) => Some(format!("else back {back}")),
            None => (!stage.undo_on_failure).then(|| "else undone".to_owned()),
        }
    }

    /// What these edges say, by kind: `needs a, b`.
    fn waits(&self, edges: &[&Edge], stage: Option<&Stage>) -> Vec<String> {
        let kinds = [
            (EdgeKind::Flow, "uses"),
            (EdgeKind::Uses, "uses"),
            (EdgeKind::Needs, "needs"),
            (EdgeKind::After, "after"),
            (EdgeKind::OnFailure, "on failure of"),
        ];
        let mut out: Vec<(&str, Vec<String>)> = Vec::new();
        for (kind, word) in kinds {
            let of_kind = edges.iter().filter(|e| e.kind == kind);
            let names: Vec<String> = of_kind.map(|e| self.name(e.from, stage)).collect();
            match out.last_mut() {
                _ if names.is_empty() => {}
                Some((last, known)) if *last == word => known.extend(names),
                _ => out.push((word, names)),
            }
        }
        let line = |(word, names): (&str, Vec<String>)| format!("{word} {}", names.join(", "));
        out.into_iter().map(line).collect()
    }

    /// The name of what an edge comes from, short where it is of the same stage.
    fn name(&self, end: End, stage: Option<&Stage>) -> String {
        let name = match end {
            End::Node(at) => {
                let node = &self.view.nodes[at];
                if node.kind.is_step() {
                    &node.name
                } else {
                    &node.label
                }
            }
            End::Legs(at) => &self.view.matrices[at].name,
            End::Stage(at) => &self.view.stages[at].name,
        };
        visible(stage.map_or(name, |s| short(name, s)))
    }

    /// Every stage is one node.
    fn whole_stages(&self, out: &mut Vec<Line>) {
        for node in &self.view.nodes {
            if node.kind != NodeKind::Stage {
                continue;
            }
            let mut line = Line::default();
            line.push(Style::Stage, visible(&node.label));
            if let Some(status) = node.status {
                line.push(Style::Status(status), format!("  {}", status.word()));
            }
            let detail = node.detail.as_deref().unwrap_or_default();
            line.push(Style::Note, format!("  {detail}"));
            out.push(line);
        }
    }

    fn left_out(&self, out: &mut Vec<Line>) {
        let mut head = Line::default();
        head.push(Style::LeftOut, "not in this run");
        out.push(head);
        let names = self.view.left_out.iter().map(|l| visible(&l.name));
        let names: Vec<String> = names.collect();
        let width = names
            .iter()
            .map(|n| n.width())
            .max()
            .unwrap_or(0)
            .min(NAMES);
        for (name, left) in names.iter().zip(&self.view.left_out) {
            let mut line = Line::default();
            let name = padded(name, width);
            line.push(
                Style::LeftOut,
                format!("   {name}  {}", visible(&left.reason)),
            );
            out.push(line);
        }
    }
}

/// The name without that of its stage, if it is this one.
fn short<'a>(name: &'a str, stage: &Stage) -> &'a str {
    let own = name
        .strip_prefix(&stage.name)
        .and_then(|n| n.strip_prefix('.'));
    own.unwrap_or(name)
}
