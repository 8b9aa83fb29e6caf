//! Views with names that no sane person gives, the same ones in each run.

use engine::graph::{Edge, EdgeKind, End, Matrix, Node, NodeKind, Stage, Status, View};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Texts that Mermaid or Markdown take for something else.
pub const NASTY: &[&str] = &[
    "",
    " ",
    "end",
    "graph",
    "subgraph",
    "flowchart",
    "style",
    "class",
    "click",
    "call",
    "href",
    "interpolate",
    "linkStyle",
    "classDef",
    "default",
    "_self",
    "direction TB",
    "%%",
    "%%{init: {'theme':'dark'}}%%",
    "%% x",
    "%%{",
    "a\"b",
    "\"",
    "\"\"",
    "'",
    "`",
    "`a`",
    "\"`md`\"",
    "a`b",
    "#",
    "#42;",
    "#quot;",
    "#9829;",
    "&amp;",
    "&",
    "&#35;",
    "1. x",
    "1.",
    "12) x",
    "  3. x",
    "- x",
    "* x",
    "+ x",
    "---",
    "***",
    "===",
    "# x",
    "> x",
    "a---oB",
    "a---xB",
    "a--b",
    "a-->b",
    "-.->",
    "==>",
    "--",
    "|",
    "|a|",
    "a|b",
    "[x]",
    "[[x]]",
    "(x)",
    "((x))",
    "{x}",
    "{{x}}",
    "[/x/]",
    "[\\x\\]",
    ">x]",
    "x]",
    "x\"]",
    ")",
    "]",
    "}",
    "<script>alert(1)</script>",
    "<b>x</b>",
    "<br/>",
    "a<br>b",
    "<",
    ">",
    "<!--",
    "https://a.b/c?d=e&f=g",
    "www.example.com",
    "WWW.a",
    "a@b.c",
    "@{shape: rect}",
    "_a_",
    "__a__",
    "*a*",
    "**a**",
    "~~a~~",
    "$$x$$",
    "$x$",
    "${git.sha}",
    "fa:fa-car",
    "fab:fa-x",
    ":::x",
    "a:::b",
    ":",
    "::",
    "a: b",
    "a:b",
    ";",
    ";;",
    "a;b",
    "\\",
    "\\n",
    "\\\"",
    "a\\",
    "a\nb",
    "\t",
    "\r",
    "\u{0}",
    "\u{1b}[31m",
    "\u{202e}abc",
    "\u{200b}",
    "\u{feff}x",
    "ﬂ°°35¶ß",
    "¶ß",
    "😀",
    "👩‍👩‍👧‍👦",
    "構建",
    "コンテナ",
    "éè",
    "e\u{301}",
    "\u{10ffff}",
    "مرحبا",
    "n0",
    "s0",
    "m0",
    "0",
    "x",
    "o",
    "accTitle: x",
    "title",
    "---\ntitle: x\n---",
    "info",
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    "a-name-of-sixty-characters-which-is-as-long-as-names-may-be-x",
    "%",
    "%d",
    "{",
    "}}%%",
    "^",
    "/",
    "//",
    "/*",
    "a,b",
    " lead",
    "trail ",
    "a  b",
    "(",
    "((",
    "(1. x)",
    "1",
    "0x1",
    "-1",
    "v1.2.3",
    "sha-1a2b",
    "a_b",
    "_",
    "-",
    ".",
    "...",
];

/// So many views; every nasty text is in each place at least once.
pub fn views(count: usize) -> Vec<View> {
    let mut runner = TestRunner::deterministic();
    let random = (0..count).map(|_| view().new_tree(&mut runner).unwrap().current());
    let mut views: Vec<View> = NASTY.iter().map(|text| one(text)).collect();
    views.extend(random);
    views
}

fn node(kind: NodeKind, label: &str, stage: Option<usize>) -> Node {
    Node {
        kind,
        name: label.to_owned(),
        label: label.to_owned(),
        detail: None,
        leg: None,
        stage,
        span: None,
        status: None,
    }
}

/// One text in every place.
fn one(text: &str) -> View {
    let mut nodes = vec![
        node(NodeKind::Job, text, Some(0)),
        node(NodeKind::Target, text, None),
    ];
    nodes[0].detail = Some(text.to_owned());
    View {
        pipeline: text.to_owned(),
        run: text.to_owned(),
        stages: vec![Stage {
            name: text.to_owned(),
            nodes: vec![0],
            undo_on_failure: false,
            undo: Vec::new(),
        }],
        nodes,
        matrices: Vec::new(),
        edges: vec![Edge {
            from: End::Node(0),
            to: End::Node(1),
            kind: EdgeKind::Promote,
            label: text.to_owned(),
        }],
        left_out: Vec::new(),
    }
}

fn text() -> impl Strategy<Value = String> {
    let pool = || select(NASTY).prop_map(str::to_owned);
    prop_oneof![
        pool(),
        (pool(), pool()).prop_map(|(a, b)| a + &b),
        (pool(), "[ -~]{1,3}", pool()).prop_map(|(a, b, c)| a + &b + &c),
        "[ -~]{0,60}",
        any::<String>(),
    ]
}

fn kind() -> impl Strategy<Value = NodeKind> {
    use NodeKind::{
        Approve, Build, Deploy, Image, Job, Note, Promote, Push, Registry, Release, Rollback, Sign,
        Target,
    };
    select(vec![
        Job, Build, Push, Sign, Release, Promote, Deploy, Approve, Rollback, Image, Registry,
        Target, Note,
    ])
}

fn edge_kind() -> impl Strategy<Value = EdgeKind> {
    use EdgeKind::{After, Flow, Needs, OnFailure, Order, Promote, Rollback, Uses};
    select(vec![
        Needs, Uses, After, OnFailure, Rollback, Promote, Flow, Order,
    ])
}

fn status() -> impl Strategy<Value = Status> {
    use Status::{
        Cached, Cancelled, Failed, Passed, RollbackFailed, RolledBack, Skipped, SoftFailed, Unknown,
    };
    select(vec![
        Cached,
        Passed,
        Skipped,
        SoftFailed,
        Cancelled,
        RolledBack,
        Failed,
        Unknown,
        RollbackFailed,
    ])
}

fn any_node() -> impl Strategy<Value = Node> {
    (kind(), text(), option::of(text()), option::of(status())).prop_map(
        |(kind, label, detail, status)| Node {
            detail,
            status,
            ..node(kind, &label, None)
        },
    )
}

/// Some stages with some nodes and a job with two legs, some nodes outside, edges between anything.
fn view() -> impl Strategy<Value = View> {
    let stage = (text(), vec(any_node(), 1..6));
    let edge = (
        any::<usize>(),
        any::<usize>(),
        edge_kind(),
        prop_oneof![Just(String::new()), text()],
    );
    (vec(stage, 0..5), vec(any_node(), 1..4), vec(edge, 0..30)).prop_map(
        |(stages, alone, edges)| {
            let mut view = one("x");
            (view.stages, view.nodes, view.edges) = (Vec::new(), Vec::new(), Vec::new());
            for (name, nodes) in stages {
                let (first, at) = (view.nodes.len(), view.stages.len());
                let inside = |n: Node| Node {
                    stage: Some(at),
                    ..n
                };
                view.nodes.extend(nodes.into_iter().map(inside));
                let nodes: Vec<usize> = (first..view.nodes.len()).collect();
                if let [legs @ .., _] = &nodes[..]
                    && legs.len() > 1
                {
                    view.matrices.push(Matrix {
                        name: name.clone(),
                        label: name.clone(),
                        legs: legs.to_vec(),
                    });
                }
                view.stages.push(Stage {
                    name,
                    nodes,
                    undo_on_failure: false,
                    undo: Vec::new(),
                });
            }
            view.nodes.extend(alone);
            let ends = ends(&view);
            for (from, to, kind, label) in edges {
                let (from, to) = (ends[from % ends.len()], ends[to % ends.len()]);
                if stage_of(&view, from) != stage_of(&view, to)
                    || !is_stage(from) && !is_stage(to) && from != to
                {
                    view.edges.push(Edge {
                        from,
                        to,
                        kind,
                        label,
                    });
                }
            }
            view
        },
    )
}

fn ends(view: &View) -> Vec<End> {
    let nodes = (0..view.nodes.len()).map(End::Node);
    let legs = (0..view.matrices.len()).map(End::Legs);
    nodes
        .chain(legs)
        .chain((0..view.stages.len()).map(End::Stage))
        .collect()
}

fn is_stage(end: End) -> bool {
    matches!(end, End::Stage(_))
}

fn stage_of(view: &View, end: End) -> Option<usize> {
    match end {
        End::Node(at) => view.nodes[at].stage,
        End::Legs(at) => view.nodes[view.matrices[at].legs[0]].stage,
        End::Stage(at) => Some(at),
    }
}
