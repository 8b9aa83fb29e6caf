//! Files that a pipeline includes: of its own repository, and of others, pinned and locked.

use crate::support::Project;

const TEMPLATE: &str = "template hello {\n    param who\n    job hello { env WHO=\"${param.who}\"; run \"echo hello $WHO\" }\n}\n";

/// Another repository with the template in it; gives its address up to the `#`.
fn library() -> (Project, String, String) {
    let library = Project::new().file("ci/hello.kdl", TEMPLATE).git();
    let commit = library.run_git(&["rev-parse", "HEAD"]).trim().to_owned();
    let address = format!("git+file://{}//ci/hello.kdl", library.root().display());
    (library, address, commit)
}

fn with_include(include: &str) -> Project {
    Project::with(&format!(
        "pipeline app\n{include}\nstage test {{\n    use lib.hello who=you\n}}\n"
    ))
}

#[test]
fn a_file_of_another_repository_is_used_once_it_is_locked() {
    let (_library, address, commit) = library();
    let include = format!("include \"{address}#{commit}\" as=lib");
    let out = with_include(&include).pipe(&["check"]).exits(2);
    let hash = out
        .stdout
        .split("hash=\"")
        .nth(1)
        .and_then(|h| h.split('"').next())
        .unwrap()
        .to_owned();
    assert_eq!(hash.len(), 64, "{}", out.stdout);
    let project = with_include(&format!("{include} hash=\"{hash}\""));
    let out = project.pipe(&["run"]).exits(0);
    assert!(out.stdout.contains("hello | hello you"), "{}", out.stdout);
}

#[test]
fn what_was_fetched_once_is_not_fetched_again() {
    let (library, address, commit) = library();
    let hash = blake3::hash(TEMPLATE.as_bytes()).to_hex().to_string();
    let project = with_include(&format!(
        "include \"{address}#{commit}\" as=lib hash=\"{hash}\""
    ));
    let _ = project.pipe(&["check"]).exits(0);
    drop(library);
    let _ = project.pipe(&["check"]).exits(0);
}

#[test]
fn a_text_that_is_not_the_locked_one_is_refused() {
    let (_library, address, commit) = library();
    let wrong = "0".repeat(64);
    let out = with_include(&format!(
        "include \"{address}#{commit}\" as=lib hash=\"{wrong}\""
    ))
    .pipe(&["check"])
    .exits(2);
    assert!(
        out.stdout
            .contains("does not say what it said when it was locked"),
        "{}",
        out.stdout
    );
}

#[test]
fn a_branch_is_no_pin_and_nothing_but_an_address_is_fetched() {
    let (_library, address, _) = library();
    let cases = [
        (format!("{address}#main"), "is not a whole commit"),
        (address.clone(), "names no commit"),
        (
            "git+ext::sh -c touch% PWNED#1".to_owned(),
            "`https://` or `ssh://` only",
        ),
        (
            format!(
                "{}#{}",
                address.split("//ci").next().unwrap(),
                "1".repeat(40)
            ),
            "names no file",
        ),
        (
            format!("{address}#{}", "1".repeat(40)),
            "git could not fetch it",
        ),
        (
            format!(
                "git+file:///--upload-pack=touch PWNED//x.kdl#{}",
                "1".repeat(40)
            ),
            "git could not fetch it",
        ),
        (
            "https://example.com/ci.kdl".to_owned(),
            "a file of another repository is",
        ),
        (
            "../outside.kdl".to_owned(),
            "leads out of the pipeline's folder",
        ),
    ];
    for (include, expected) in cases {
        let project = with_include(&format!("include \"{include}\" as=lib"));
        let out = project.pipe(&["check"]).exits(2);
        let shown = out.stdout.replace("\n  │ ", " ").replace("\n        ", " ");
        assert!(shown.contains(expected), "{include}\n{}", out.stdout);
        assert!(!project.path("PWNED").exists());
    }
}
