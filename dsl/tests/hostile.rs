//! Whatever is in a file: an answer, places inside of the texts, a picture of bounded size.

use std::collections::BTreeMap;
use std::time::Duration;

use dsl::render::{Style, human};
use dsl::{Files, Folder, Loaded, MAX_FILE};

const PIPELINES: [&str; 6] = [
    include_str!("../../tests/pipelines/split-registries.kdl"),
    include_str!("../../tests/pipelines/build-once.kdl"),
    include_str!("../../tests/pipelines/ecs-service.kdl"),
    include_str!("../../tests/pipelines/snapshot-release.kdl"),
    include_str!("../../tests/pipelines/supply-chain.kdl"),
    r#"include "common.kdl" as=ci
param mode type=enum default=fast { values fast slow }
template t { param x; param l type=list; job "j-${param.x}" { needs "${param.l}"; env X="${param.x}"; run "make" } }
stage s rollback=reverse {
    job a { matrix { os x y; v "1" "2"; exclude os=x v="1" }; run "make"; rollback { run "undo" } }
    use t x=b { l a }
    use ci.u as=c
    job d { needs a os=y; artifact f "f"; retry 2 { on-exit 3 }; run "make" }
    job e { after d; on-failure a; artifact f from=d; env O="${d.outputs.o.default('x')}"; run "make" }
}
"#,
];

const COMMON: &str =
    "template u { job k { run \"make\" }; use v }\ntemplate v { job w { needs k; run \"x\" } }\n";

/// Reading is slow in a debug build, and has a deadline of its own.
const LARGE: usize = if cfg!(debug_assertions) {
    1_500
} else {
    10_000
};

struct Common;

impl Files for Common {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "common.kdl" => Ok(COMMON.to_owned()),
            _ => Err("there is no such file".into()),
        }
    }
}

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % sides
    }
}

/// The words, numbers and marks of a text.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first.is_alphanumeric() {
            true => rest
                .find(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
                .unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

const NOISE: [&str; 26] = [
    "{",
    "}",
    "\"",
    "\n",
    ";",
    "=",
    " ",
    "#true",
    "0",
    "-1",
    "1.5",
    "${",
    "}",
    "${git.sha}",
    "${param.x}",
    "app",
    "x",
    "\u{202e}",
    "\u{1b}[31m",
    "é",
    "needs",
    "use",
    "as=",
    "stage",
    "99999999999999999999",
    "..",
];

/// Pipelines with one to three words lost, doubled, exchanged or replaced.
fn mutant(dice: &mut Dice, all: &[Vec<&'static str>]) -> String {
    let mut text = all[dice.roll(all.len())].clone();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(text.len());
        match dice.roll(5) {
            0 => drop(text.remove(at)),
            1 => text.insert(at, text[at]),
            2 => {
                let other = dice.roll(text.len());
                text.swap(at, other);
            }
            3 => text[at] = NOISE[dice.roll(NOISE.len())],
            _ => {
                let other = &all[dice.roll(all.len())];
                text[at] = other[dice.roll(other.len())];
            }
        }
    }
    text.concat()
}

fn check(loaded: &Loaded, text: &str) {
    for label in loaded.diagnostics.iter().flat_map(|d| &d.labels) {
        let source = loaded.sources.get(label.span.source);
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        assert!(
            start <= end && end <= source.text.len(),
            "{label:?} in\n{text}"
        );
        assert!(
            source.text.is_char_boundary(start) && source.text.is_char_boundary(end),
            "{label:?} in\n{text}"
        );
    }
    for unicode in [true, false] {
        let style = Style {
            color: false,
            links: false,
            width: 100,
            unicode,
        };
        let shown = human(&loaded.diagnostics, &loaded.sources, &style);
        assert!(
            shown.len() < 128 * 1024,
            "{} bytes for\n{text}",
            shown.len()
        );
        let acts = |c: char| c != '\n' && c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!shown.contains(acts), "{shown}");
    }
}

#[test]
fn thousands_of_mutants_are_answered() {
    let all: Vec<Vec<&str>> = PIPELINES.iter().map(|text| pieces(text)).collect();
    let mut dice = Dice(11);
    let rounds = if cfg!(debug_assertions) { 400 } else { 20_000 };
    for _ in 0..rounds {
        let text = mutant(&mut dice, &all);
        check(&dsl::load(&Common, "pipeline.kdl", text.clone()), &text);
    }
}

/// Loads within the time that nobody would wait longer for, on another thread.
fn in_time(text: String) -> Box<Loaded> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let loaded = dsl::load(&Common, "pipeline.kdl", text);
        sender.send(Box::new(loaded)).is_ok()
    });
    receiver
        .recv_timeout(Duration::from_secs(60))
        .expect("it is answered in time")
}

fn codes(loaded: &Loaded) -> Vec<&'static str> {
    loaded.diagnostics.iter().map(|d| d.code.id).collect()
}

#[test]
fn a_matrix_of_a_billion_legs_is_one_finding() {
    let axes: String = (0..30).map(|i| format!("            a{i} x y\n")).collect();
    let text = format!(
        "stage s {{\n    job j {{\n        matrix {{\n{axes}        }}\n        run \"x\"\n    }}\n}}\n"
    );
    let loaded = in_time(text);
    assert_eq!(codes(&loaded), ["E502"]);
    let included: String = (0..5_000)
        .map(|i| format!("            include a=v{i}\n"))
        .collect();
    let text = format!(
        "stage s {{\n    job j {{\n        matrix {{\n{included}        }}\n        run \"x\"\n    }}\n}}\n"
    );
    assert_eq!(codes(&in_time(text)), ["E502"]);
}

#[test]
fn templates_that_double_at_every_level_are_refused() {
    let mut text =
        String::from("template t0 { param x; job \"j\" { env X=\"${param.x}\"; run \"x\" } }\n");
    for level in 1..15 {
        let below = level - 1;
        text += &format!(
            "template t{level} {{ param x; use t{below} x=\"${{param.x}}${{param.x}}\" as=a; use t{below} x=y as=b; use t{below} x=z as=c }}\n"
        );
    }
    text += "stage s { use t14 x=xxxxxxxxxxxxxxxxxxxxxxxx }\n";
    let loaded = in_time(text);
    assert_eq!(codes(&loaded).iter().filter(|c| **c == "E311").count(), 1);
}

#[test]
fn templates_in_each_other_end_at_a_depth() {
    let mut text = String::from("template t0 { job j { run \"x\" } }\n");
    for level in 1..40 {
        text += &format!("template t{level} {{ use t{} }}\n", level - 1);
    }
    text += "stage s { use t39 }\n";
    assert_eq!(codes(&in_time(text)), ["E308"]);
}

#[test]
fn thousands_of_jobs_are_a_pipeline() {
    let jobs: String = (1..LARGE)
        .map(|i| format!("    job j{i} {{ needs j{}; run \"x\" }}\n", i - 1))
        .collect();
    let loaded = in_time(format!(
        "stage s {{\n    job j0 {{ run \"x\" }}\n{jobs}}}\n"
    ));
    assert_eq!(codes(&loaded), [""; 0]);
    assert_eq!(loaded.pipeline.steps.len(), LARGE);
}

#[test]
fn thousands_of_mistakes_are_twenty_shown() {
    let jobs: String = (0..LARGE)
        .map(|i| format!("    job j{i} {{ needs jj{i}; run \"x\" }}\n"))
        .collect();
    let text = format!("stage s {{\n{jobs}}}\n");
    let loaded = in_time(text.clone());
    assert_eq!(loaded.diagnostics.len(), LARGE);
    check(&loaded, &text);
}

#[test]
fn mistakes_that_follow_from_each_other_are_followed_so_far_only() {
    // Each of them may be explained by the next one, which is looked at after it.
    let jobs: String = (1..LARGE)
        .rev()
        .map(|i| format!("    job j{i} {{ needs m{i}; run \"m{}\" }}\n", i + 1))
        .collect();
    let text =
        format!("registry r 3x\nstage s {{\n{jobs}    job z {{ needs r; run \"m1\" }}\n}}\n");
    let loaded = in_time(text.clone());
    check(&loaded, &text);
    let unknown: String = (0..LARGE)
        .map(|i| format!("    job j{i} {{ x{i} }}\n"))
        .collect();
    let text = format!("stage s {{\n{unknown}}}\n");
    assert_eq!(in_time(text).diagnostics.len(), LARGE);
}

#[test]
fn names_cannot_act_on_the_terminal() {
    let text = "stage \"s\\u{1b}[2J\" { job \"j\\u{202e}\" { needs \"x\\u{7}\\u{202e}\"; env \"A\\u{1b}\"=\"${git.\\u{1b}}\"; run \"x\" } }\n";
    let loaded = dsl::load(&Common, "pipeline.kdl", text.to_owned());
    assert!(loaded.has_errors());
    check(&loaded, text);
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("dsl-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("sub")).expect("a test's own data");
    folder
}

fn included(folder: &std::path::Path, path: &str) -> Vec<String> {
    let text = format!("include \"{path}\"\nstage s {{ job j {{ run \"x\" }} }}\n");
    let loaded = dsl::load(&Folder(folder.to_owned()), "pipeline.kdl", text);
    loaded
        .diagnostics
        .iter()
        .map(|d| d.message.clone())
        .collect()
}

#[cfg(unix)]
#[test]
fn only_regular_files_beneath_the_folder_are_read() {
    let folder = folder("files");
    std::fs::write(folder.join("latin.kdl"), b"secret A\n// caf\xe9\n").unwrap();
    std::fs::write(
        folder.join("large.kdl"),
        vec![b'/'; usize::try_from(MAX_FILE).unwrap() + 1],
    )
    .unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.join("out.kdl")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", folder.join("zero.kdl")).unwrap();
    std::os::unix::fs::symlink("sub", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("loop.kdl", folder.join("loop.kdl")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(folder.join("fifo.kdl"))
        .status();
    assert!(fifo.unwrap().success());
    std::fs::write(folder.join("sub/good.kdl"), "secret B\n").unwrap();
    let expected = BTreeMap::from([
        (
            "latin.kdl",
            "`latin.kdl` cannot be included: it is not UTF-8: line 2 has a byte that is no text",
        ),
        (
            "large.kdl",
            "`large.kdl` cannot be included: it is larger than 1 MiB (1048577 bytes)",
        ),
        (
            "out.kdl",
            "`out.kdl` cannot be included: it leads out of the pipeline's folder",
        ),
        (
            "zero.kdl",
            "`zero.kdl` cannot be included: it leads out of the pipeline's folder",
        ),
        (
            "fifo.kdl",
            "`fifo.kdl` cannot be included: it is not a regular file",
        ),
        ("sub", "`sub` cannot be included: it is a folder"),
        (
            "../x.kdl",
            "`../x.kdl` cannot be included: it leads out of the pipeline's folder",
        ),
        (
            "nothing.kdl",
            "`nothing.kdl` cannot be included: there is no such file",
        ),
    ]);
    for (path, message) in expected {
        assert_eq!(included(&folder, path), [message]);
    }
    assert_eq!(included(&folder, "link/good.kdl"), [""; 0]);
    assert_eq!(included(&folder, "loop.kdl").len(), 1);
    assert!(dsl::load_file(std::path::Path::new("/dev/zero")).is_err());
    assert!(dsl::load_file(&folder.join("fifo.kdl")).is_err());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn sixty_four_files_are_enough() {
    let folder = folder("many");
    for i in 0..70 {
        std::fs::write(
            folder.join(format!("f{i}.kdl")),
            format!("template t{i} {{ job j{i} {{ run \"x\" }} }}\n"),
        )
        .unwrap();
    }
    let includes: String = (0..70).map(|i| format!("include \"f{i}.kdl\"\n")).collect();
    let text = format!("{includes}stage s {{ use t0 }}\n");
    let loaded = dsl::load(&Folder(folder.clone()), "pipeline.kdl", text);
    assert_eq!(codes(&loaded), ["E305"; 7]);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn files_that_include_each_other_are_one_finding_and_a_diamond_is_none() {
    let folder = folder("cycle");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("a.kdl", "include \"b.kdl\"\n");
    write("b.kdl", "include \"sub/c.kdl\"\n");
    write("sub/c.kdl", "include \"../a.kdl\"\n");
    assert_eq!(included(&folder, "a.kdl"), ["`a.kdl` includes itself"]);
    write("left.kdl", "include \"base.kdl\"\n");
    write("right.kdl", "include \"base.kdl\"\n");
    write("both.kdl", "include \"left.kdl\"\ninclude \"right.kdl\"\n");
    write("base.kdl", "template t { job j { run \"x\" } }\n");
    assert_eq!(included(&folder, "both.kdl"), [""; 0]);
    std::fs::remove_dir_all(&folder).unwrap();
}
