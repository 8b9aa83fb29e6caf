//! Whatever is read directly, the KDL library reads as well, and as the same node: names, values, annotations, places.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{TestError, TestRunner};

use super::direct::Direct;
use super::finding::Findings;
use super::outline::Item;
use super::parse::{Sound, parse};
use super::tree::Node;
use super::{library, prescan};
use crate::source::SourceMap;

/// How many nodes were read directly, and how many were left to the library.
#[derive(Default)]
struct Count {
    texts: Cell<usize>,
    direct: Cell<usize>,
    left: Cell<usize>,
}

impl Count {
    /// Holds one text against the library; says where they differ.
    fn compare(&self, text: &str) -> Result<(), String> {
        let mut map = SourceMap::default();
        let id = map.add("pipeline.kdl", text);
        let source = map.get(id);
        let mut findings = Findings::new(source);
        let scan = prescan::scan(&mut findings);
        self.texts.set(self.texts.get() + 1);
        let Some(scan) = scan else { return Ok(()) };
        let items: Vec<Item> = Sound::of(&scan, &findings)
            .nodes
            .into_iter()
            .cloned()
            .collect();
        let mut direct = Direct::new(id, text, &scan.tokens);
        let ours = items.iter().map(|item| direct.node(item));
        let ours: Vec<Option<Node>> = ours.collect();
        let read = ours.iter().flatten().count();
        self.direct.set(self.direct.get() + read);
        self.left.set(self.left.get() + items.len() - read);
        let theirs = library::read(source, &scan, items.clone())?;
        for (item, both) in items.iter().zip(ours.iter().zip(&theirs)) {
            let written = &text[item.header()];
            match both {
                (None, _) => {}
                (Some(ours), Ok(theirs)) => same(written, ours, theirs)?,
                (Some(ours), Err(fault)) => {
                    return Err(format!("{written}\n{ours:#?}\n{}", fault.message));
                }
            }
        }
        if theirs.iter().any(Result::is_err) {
            return Ok(());
        }
        // Nodes that are read either way stand where the outline says.
        let whole = items
            .iter()
            .map(Item::depth)
            .zip(theirs.into_iter().flatten());
        let mut parsed = Vec::new();
        flatten(0, parse(source).0, &mut parsed);
        same(text, &parsed, &whole.collect())
    }

    /// Runs so many cases; gives the part of the nodes that were read directly, in percent.
    fn run(&self, what: &str, cases: u32, texts: impl Strategy<Value = String>) -> usize {
        let asked = std::env::var("PROPTEST_CASES").ok();
        let config = ProptestConfig {
            cases: asked.and_then(|n| n.parse().ok()).unwrap_or(cases),
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let outcome = TestRunner::new(config).run(&texts, |text| {
            self.compare(&text).map_err(TestCaseError::fail)
        });
        match outcome {
            Err(TestError::Fail(why, text)) => panic!("{why}\nin {text:?}\n{text}"),
            other => other.unwrap(),
        }
        self.tell(what)
    }

    fn tell(&self, what: &str) -> usize {
        let (texts, direct, left) = (self.texts.get(), self.direct.get(), self.left.get());
        println!("{what}: {texts} texts, {direct} nodes read directly, {left} by the library");
        100 * direct / (direct + left).max(1)
    }
}

/// Compares as text, so that a number is told from another one of the same size.
fn same<T: std::fmt::Debug>(written: &str, ours: &T, theirs: &T) -> Result<(), String> {
    let alike = format!("{ours:?}") == format!("{theirs:?}");
    let differ = || format!("{written}\n{ours:#?}\n{theirs:#?}");
    alike.then_some(()).ok_or_else(differ)
}

/// Each node before those in its block, with its depth and without them.
fn flatten(depth: usize, nodes: Vec<Node>, out: &mut Vec<(usize, Node)>) {
    for mut node in nodes {
        let block = node.children.as_mut().map(|b| {
            b.lost.clear();
            &mut b.nodes
        });
        let inner = block.map(std::mem::take).unwrap_or_default();
        out.push((depth, node));
        flatten(depth + 1, inner, out);
    }
}

fn pick(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(of).prop_map(str::to_owned)
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z][a-z0-9_.-]{0,6}",
        1 => "[-+.*@$%^&|<>?!~a-zé日_][-+.*@$%^&|<>?!~:a-zé日_]{0,5}[a-z@é日_]",
        1 => pick(&["-", "+", ".", "--", "-.", "+.", "..", "-.a", "+.-1", "r", "-x", "é", "$X", "🚀", "a\u{301}", "infx", "-in"]),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "[-+]?(0|[1-9][0-9]{0,5})",
        "[-+]?[0-9][0-9_]{0,20}",
        "[-+]?[0-9][0-9_]{0,18}\\.[0-9][0-9_]{0,18}",
        "[-+]?[0-9]{1,3}(\\.[0-9]{1,3})?[eE][-+]?[0-9]{1,3}",
        pick(&[
            "0x1F",
            "-0x1_f",
            "0b10",
            "0o17",
            "1_",
            "1__0",
            "-0",
            "+0.0",
            "-0.0",
            "0.1_",
            "007",
            "340282366920938463463374607431768211455"
        ]),
    ]
}

/// What may stand in a text with escapes.
fn body() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-z ./${}#'-]{0,5}",
        1 => "\\PC{0,3}",
        2 => pick(&["\\n", "\\t", "\\r", "\\s", "\\b", "\\f", "\\\"", "\\\\", "\\u{e9}", "\\u{0}", "\\u{10FFFF}"]),
        1 => pick(&["\\ ", "\\  \t", "\\\n  ", "\\ \r\n\n ", "\t", "//", "/-", "/*", "*/", "{", "}", "'"]),
    ];
    let wrong = pick(&["\\u{d800}", "\\u{}", "\\q", "\\/", "\u{200b}", "\r"]);
    let piece = prop_oneof![40 => piece, 1 => wrong];
    prop::collection::vec(piece, 0..5).prop_map(|p| p.concat())
}

fn lines() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => body(),
        1 => pick(&["", " ", "\t", "      ", "\"", "\"\"", "\\", "\\ ", "\\s", "\u{3000}", "  x", "\"\"\"#", "\\\"\"\""]),
    ];
    let indent = pick(&["", "  ", "    ", "\t", " \t", "\u{3000} "]);
    let hashes = prop_oneof![2 => Just(0usize), 2 => Just(1usize), 1 => Just(2usize)];
    let line = (piece, prop_oneof![40 => Just(true), 1 => Just(false)]);
    let lines = prop::collection::vec(line, 0..5);
    let end = prop_oneof![5 => Just("\n"), 1 => Just("\r\n")];
    (hashes, indent, lines, end).prop_map(|(hashes, indent, lines, end)| {
        let hashes = "#".repeat(hashes);
        let mut out = format!("{hashes}\"\"\"{end}");
        for (line, indented) in lines {
            if indented {
                out.push_str(&indent);
            }
            out.push_str(&line);
            out.push_str(end);
        }
        out + &indent + "\"\"\"" + &hashes
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => body().prop_map(|b| format!("\"{b}\"")),
        1 => body().prop_map(|b| format!("#\"{b}\"#")),
        1 => (body(), body()).prop_map(|(a, b)| format!("##\"{a}\"#{b}\"##")),
        1 => pick(&["\"\"", "#\"\"#", "#\"\"\"#", "##\"\"#\"##", "#\"\\\"#", "\"\\\\\"", "\"\"\"\n\"\"\"", "#\"\"\"\n\"\n\"\"\"#"]),
        2 => lines(),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![8 => word(), 1 => text()]
}

fn value() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        3 => word(),
        2 => number(),
        4 => text(),
        1 => pick(&["#true", "#false", "#null", "#inf", "#-inf", "#nan"]),
    ];
    let annotation = prop_oneof![
        12 => Just(String::new()),
        2 => name().prop_map(|n| format!("({n})")),
        1 => name().prop_map(|n| format!("( {n} /* x */) ")),
    ];
    (annotation, plain).prop_map(|(a, v)| a + &v)
}

fn entry() -> impl Strategy<Value = String> {
    let space = prop_oneof![
        12 => pick(&[" "]),
        3 => pick(&["  ", "\t", "\u{a0}", " \\\n  ", " \\ // on\n", "\\\n", " /* a */ ", "/*b*/", " /* /* c */ */ ", " \\\r\n "]),
        1 => pick(&[" /-x ", " /-x=1 ", " /- \n \"a\" ", " /-{ b; } "]),
    ];
    let equals = prop_oneof![60 => Just("="), 1 => Just(" = "), 1 => Just("= ")];
    let entry = prop_oneof![
        value(),
        (name(), equals, value()).prop_map(|(n, e, v)| n + e + &v),
    ];
    (space, entry).prop_map(|(s, e)| s + &e)
}

/// One text of nodes in nodes, mostly sound.
fn nodes() -> impl Strategy<Value = String> {
    let header = (name(), prop::collection::vec(entry(), 0..4))
        .prop_map(|(name, entries)| name + &entries.concat())
        .boxed();
    let end = || {
        prop_oneof![
            8 => pick(&["\n"]),
            1 => pick(&[";", " ;\n", "\n\n", "\r\n", " // a {\n", " /* } */\n", "\n/- off \"x\" { y; }\n"]),
        ]
    };
    let node = (header.clone(), end()).prop_map(|(h, e)| h + &e);
    let block = node.prop_recursive(3, 12, 4, move |inner| {
        let inside = prop::collection::vec(inner, 0..4).prop_map(|n| n.concat());
        (header.clone(), inside, end()).prop_map(|(h, n, e)| format!("{h} {{\n{n}}}{e}"))
    });
    let start = prop_oneof![9 => Just(""), 1 => Just("\u{feff}")];
    (start, prop::collection::vec(block, 1..5)).prop_map(|(s, n)| s.to_owned() + &n.concat())
}

/// The same, damaged in a few places.
fn damaged(texts: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        pick(&[
            "\"", "\"\"", "\"\"\"", "#", "\\", "\n", " ", "=", "(", ")", "{", "}", ";", "/", "/-",
            "//", "/*", "*/", "-", "+", ".", "0", "_", "\r", "\t", "\u{feff}", "\u{85}", "\u{a0}",
            "\\u{", "r", "x",
        ]),
    ];
    let damage = (any::<Index>(), 0..3usize, piece);
    (texts, prop::collection::vec(damage, 1..4)).prop_map(|(mut text, damages)| {
        for (at, gone, piece) in damages {
            let from = text.floor_char_boundary(at.index(text.len() + 1));
            let to = text.ceil_char_boundary((from + gone).min(text.len()));
            text.replace_range(from..to, &piece);
        }
        text
    })
}

/// Lines with pieces of the notation in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        2 => word(),
        2 => number(),
        4 => text(),
        1 => value(),
        2 => pick(&["=", "(", ")", "()", "\"", "#", "\\", "/-", "/*", "*/", "//", "{}", "a=", "(a)", "#true", "\"\"\""]),
    ];
    let space = prop_oneof![5 => Just(" "), 1 => Just("")];
    let line = prop::collection::vec((space, piece), 0..4).prop_map(|pieces| {
        let pieces = pieces
            .into_iter()
            .map(|(space, piece)| space.to_owned() + &piece);
        format!("a{}\n", pieces.collect::<String>())
    });
    prop::collection::vec(line, 1..6).prop_map(|lines| lines.concat())
}

/// Every file of this repository that is written in KDL, and every example in its texts.
fn examples() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with(".git") {
                folders.push(path);
            } else if name.ends_with(".kdl") {
                texts.push(std::fs::read_to_string(&path).unwrap());
            } else if name.ends_with(".md") || name.ends_with(".rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                texts.extend(blocks(&text));
                texts.extend(
                    text.split("r#\"")
                        .skip(1)
                        .map(|t| t.split("\"#").next().unwrap().to_owned()),
                );
            }
        }
    }
    for code in crate::codes::all() {
        texts.extend([code.bad.to_owned(), code.good.to_owned()]);
    }
    texts
}

/// What stands between two fences, whatever it is.
fn blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks
        .filter_map(|b| b.split_once('\n').map(|(_, body)| body.to_owned()))
        .collect()
}

#[test]
fn what_is_read_directly_the_library_reads_in_the_same_way() {
    let count = Count::default();
    let direct = count.run("sound", 1_000, nodes());
    assert!(direct > 60, "only {direct} % are read directly");
}

#[test]
fn a_damaged_text_is_read_directly_only_as_the_library_reads_it() {
    Count::default().run("damaged", 1_000, damaged(nodes()));
    Count::default().run("any order", 1_000, soup());
}

/// A brace that seems to close nothing, as a text in a line before it hides another one.
#[test]
fn a_brace_in_the_middle_of_a_node_is_not_read_over() {
    for text in [
        "a {\n    b \"{\n    c } d\n}\n",
        "a \"{\nb /* c */ } d 1\n}\n",
        "a \"{\nb \\\n} d 1\n}\n",
    ] {
        Count::default().compare(text).unwrap();
    }
}

#[test]
fn the_examples_of_this_repository_are_read_directly() {
    let examples = examples();
    let count = Count::default();
    for text in &examples {
        count.compare(text).unwrap();
    }
    let direct = count.tell("examples");
    assert!(direct > 95, "only {direct} % are read directly");
    Count::default().run("damaged examples", 300, damaged(select(examples)));
}
