//! One mistake is one finding, also where much depends on what is broken; two mistakes are two.

use dsl::Files;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

/// The acceptance pipelines, by name.
fn pipelines() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/pipelines");
    let own = "a file of this repository";
    let files = std::fs::read_dir(folder).expect(own);
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect(own).path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = std::fs::read_to_string(&path).expect(own);
        (name.into_owned(), text)
    };
    files.map(read).collect()
}

/// What is found: the line, the code and the message.
fn found(text: &str) -> String {
    let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.to_owned());
    let show = |d: &dsl::diagnostic::Diagnostic| {
        let source = loaded.sources.get(d.span().source);
        let line = source.line_column(d.span().start).0;
        format!("{line}: {} {}", d.code.id, d.message)
    };
    let lines: Vec<String> = loaded.diagnostics.iter().map(show).collect();
    lines.join("\n")
}

#[test]
fn what_an_unreadable_text_declares_is_not_missed() {
    let text = r#"registry ghcr "ghcr.io/acme" immutable=true
version next semantic=conventional-commits,
target live { container app; ready "http://127.0.0.1/" }
stage build {
    build app
    push app to=ghcr tag="${version.next}"
    job report { run 'make all' }
}
stage deploy {
    needs build
    job check { needs push-app; after report; env R="${registry.ghcr}"; run "make check" }
    deploy app to=live
}
"#;
    insta::assert_snapshot!(found(text), @"
    1: E112 `true` needs a `#`
    2: E119 values are separated by spaces, not by commas
    7: E110 the quote ' neither begins nor ends a text
    ");
}

#[test]
fn what_a_broken_declaration_declares_is_not_missed() {
    let text = r#"registry ghcr
image app dockerfil="Dockerfile"
param mode type=enmu
secret NPM_TOKEN from="x"
stage build {
    biuld app
    push app to=ghcr tag="${param.mode}"
    job lint { run "make lint"; secrets NPM_TOKEN }
}
stage deploy {
    job check { needs push-app build-app; env A=1 B="${env.A}"; run "make" }
}
"#;
    insta::assert_snapshot!(found(text), @"
    1: E203 `registry` wants an argument: its prefix
    2: E202 `image` has no property `dockerfil`
    3: E208 `type` cannot be `enmu`
    4: E202 `secret` has no property `from`
    6: E201 there is no `biuld` in `stage`
    11: E208 `A` wants a text, and this is a number
    ");
}

#[test]
fn what_a_missing_file_declares_is_not_missed() {
    let text = r#"include "ci/common.kdl" as=ci
stage test {
    use ci.checks
    job report { needs check; secrets TOKEN; run "make" }
    push app to=ghcr tag=edge
}
"#;
    insta::assert_snapshot!(found(text), @"1: E305 `ci/common.kdl` cannot be included: there is no such file");
}

#[test]
fn the_steps_of_a_missing_template_are_not_missed() {
    let text = r#"template checks {
    job lint { run "make lint" }
}
stage test {
    use chekcs
    job report { needs lint; run "make" }
}
"#;
    insta::assert_snapshot!(found(text), @"5: E301 there is no template named `chekcs`");
}

#[test]
fn independent_mistakes_are_all_found_at_once() {
    let text = r#"pipeline app engin=docker
registry ghcr "ghcr.io/acme" immutable=#true
secret UNUSED
stage test {
    job a { needs b; run "make a" }
    job b { needs a; run "make b" }
    job c { needs dd; env X="${git.shaa}"; run "echo ${git.sha}" }
    job d { timeout 5; run "make d" }
}
stage ship {
    build app
    push app to=ghcr tag=latest
}
"#;
    insta::assert_snapshot!(found(text), @"
    1: E202 `pipeline` has no property `engin`
    5: E501 steps wait for each other: a → b → a
    7: E301 there is no step or stage named `dd`
    7: E402 `git` has no field `shaa`
    7: E405 `${git.sha}` is not replaced in a command
    8: E208 `timeout` wants a duration, and this is a number
    ");
}

#[test]
fn a_delivery_is_judged_although_a_reference_is_wrong() {
    let text = r#"registry ghcr "ghcr.io/acme" immutable=#true
stage ship {
    job test { needs lnit; env X="${git.shaa}"; run "make" }
    job lint { run "make lint" }
    build app
    push app to=ghcr tag=latest
}
"#;
    insta::assert_snapshot!(found(text), @"
    3: E301 there is no step or stage named `lnit`
    3: E402 `git` has no field `shaa`
    6: E604 `latest` moves, and the tags of `ghcr` do not
    ");
}

#[test]
fn a_quote_too_many_behind_a_block_is_told_once() {
    let text = r#"stage build {
    job one { run "make" }"
    job two { run "make" } "two
}
"#;
    insta::assert_snapshot!(found(text), @"
    2: E103 this text is never closed
    3: E103 this text is never closed
    ");
}

#[test]
fn a_name_that_is_declared_nowhere_is_told_beside_a_wrong_value() {
    let text = r#"registry ghcr "ghcr.io/acme"
target staging { container app; ready "http://127.0.0.1/" within=30 }
target live like=staging protected=#true
promotion to-live from=staging to=liv { images ap worker }
stage build {
    build app
    build worker tgt=worker
    push app to=ghcr tag=edge
    deploy app to=staging
}
"#;
    insta::assert_snapshot!(found(text), @"
    2: E208 `within` wants a duration, and this is a number
    4: E608 there is no target or registry named `liv`
    4: E301 there is no image named `ap`
    7: E202 `build` has no property `tgt`
    ");
}

#[test]
fn a_number_that_is_no_number_is_told_once() {
    insta::assert_snapshot!(
        found("stage test {\n    job a { env UMASK=0022; run \"make\" }\n}\n"),
        @"2: E208 `UMASK` wants a text, and this is a number"
    );
}

#[test]
fn a_line_that_cannot_be_read_costs_no_other() {
    let text = r#"registry ghcr "ghcr.io/acme"
stage test {
    job lint { needs tset; run "make lint" }
    # the tests
    job test {
        retry 3x
        tmeout "5m"
        run 'make test'
    }
    job all { needs [lint, test]; run "make all" }
}
stage build {
    build app { needs test; args A=true }
    push app to=gchr tag=edge
}
"#;
    insta::assert_snapshot!(found(text), @"
    3: E301 there is no step or stage named `tset`
    4: E109 a comment begins with `//`
    6: E114 `3x` is neither a number nor a text
    7: E201 there is no `tmeout` in `job`
    8: E110 the quote ' neither begins nor ends a text
    10: E126 a list has no brackets
    13: E112 `true` needs a `#`
    14: E301 there is no registry named `gchr`
    ");
}

/// A line with one mistake in it, in several ways.
fn damaged(line: &str) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let word = line[indent..]
        .split_inclusive(' ')
        .next()
        .unwrap_or_default();
    if !word.ends_with(' ') || !word.starts_with(|c: char| c.is_lowercase()) {
        return Vec::new();
    }
    let (name, rest) = line.split_at(indent + word.len());
    let marks = ["3x ", "[a, b] ", "'it ", "\"\\d\" ", "a=b= ", "\u{200b} "];
    let mut all: Vec<String> = marks.map(|mark| format!("{name}{mark}{rest}")).into();
    all.push(format!("{}zq{word}{rest}", &line[..indent]));
    if let Some((before, after)) = line.rsplit_once('"') {
        all.push(format!("{before}{after}"));
    }
    all
}

#[test]
fn wherever_a_line_is_broken_it_is_one_finding_and_hides_no_other_stage() {
    let (mut broken, mut told) = (0, Vec::<String>::new());
    for (name, text) in pipelines() {
        // A line's first word, where a node begins; lines of a longer text are indented just so.
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        for start in starts {
            let line = text[start..].lines().next().unwrap_or_default();
            for damaged in damaged(line) {
                let (before, after) = (&text[..start], &text[start + line.len()..]);
                let once = found(&format!("{before}{damaged}{after}"));
                // In a text or a comment it is none.
                broken += usize::from(!once.is_empty());
                let count = once.lines().count();
                let other = "stage zz { job zz { needs zq; run \"make\" } }";
                let twice = found(&format!("{before}{damaged}{after}\n{other}\n"));
                let is_told = twice.contains("E301 there is no step or stage named `zq`");
                // What begins with three quotes and never ends has the rest of the file in it.
                if count > 1 || !is_told && !line.ends_with("\"\"\"") {
                    told.push(format!("{name}: {damaged}\n{twice}"));
                }
            }
        }
    }
    println!("{broken} broken lines");
    assert_eq!(told, [""; 0]);
    assert!(broken > 500, "{broken}");
}

#[test]
fn a_text_without_its_end_and_a_hidden_character_cost_their_line() {
    let text = "stage test {
    job lint { run \"make lint }
    job unit {
        run \"make unit
        tmeout \"5m\"
    }
    job docs {
        run\u{200b} \"make docs\"
        // hidden\u{200b}
        retyr 3
    }
}
stage build {
    job app { needs lnit; run \"make\" }
}
";
    insta::assert_snapshot!(found(text), @"
    2: E103 this text is never closed
    4: E103 this text is never closed
    5: E201 there is no `tmeout` in `job`
    8: E127 the character U+200B is not allowed
    9: E127 the character U+200B is not allowed
    10: E201 there is no `retyr` in `job`
    14: E301 there is no step or stage named `lnit`
    ");
}

#[test]
fn a_service_without_a_container_is_told_unless_that_may_be_what_is_lost() {
    let job = |container: &str| {
        format!(
            "stage a {{ job b {{\n{container}\nservice db \"postgres:15\"\nrun \"make\"\n}} }}\n"
        )
    };
    insta::assert_snapshot!(found(&job("")), @"1: E206 a job with a `service` wants a `container` in its block");
    insta::assert_snapshot!(found(&job("container 'rust:1.95'")), @"2: E110 the quote ' neither begins nor ends a text");
    insta::assert_snapshot!(found(&job("contaner \"rust:1.95\"")), @"2: E201 there is no `contaner` in `job`");
    insta::assert_snapshot!(found(&job("container \"rust:1.95\"")), @"");
}

#[test]
fn what_stands_before_a_block_instead_of_in_it_is_told_once() {
    let text = r#"stage test {
    job unit "make unit"
    job lint {
        run "make lint"
        always "echo cleaned"
    }
}
"#;
    insta::assert_snapshot!(found(text), @r#"
    2: E204 `job` takes one argument, its name; `"make unit"` is one too many
    5: E204 `always` takes no argument, but `"echo cleaned"` is given
    "#);
}
