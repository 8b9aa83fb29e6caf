//! A person at a terminal is asked, and believed.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::support::{Project, has_program, skip};

const SHIPS: &str = r#"pipeline app
target live {
    run {
        apply "echo applied >> log"
        undo "echo undone >> log"
    }
    ready command="true" within="5s"
}
stage ship {
    deploy app to=live as=ship {
        digest app="sha256:0000000000000000000000000000000000000000000000000000000000000001"
    }
}
"#;

/// What a person sees who types this, when it is asked for, and the status. As in a shell with job control the program
/// has the foreground of the terminal; it is killed where it waits for ever.
fn typed(project: &Project, words: &str, keys: &[u8]) -> (String, Option<i32>) {
    let limit = ["timeout", "--foreground", "--kill-after=1", "60"].map(str::to_owned);
    let mut script = project.behind(&limit, &project.at_terminal(words));
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let (mut to, mut from) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut byte = [0];
    let mut is_answered = false;
    while from.read(&mut byte).unwrap() == 1 {
        seen.push(byte[0]);
        // Whoever types before the question is heard as well; this is what a person does.
        if !is_answered && seen.ends_with(b"[y/N] ") {
            is_answered = true;
            to.write_all(keys).unwrap();
        }
    }
    let status = script.wait().unwrap();
    (String::from_utf8_lossy(&seen).into_owned(), status.code())
}

#[test]
fn a_yes_is_heard_and_anything_else_is_a_no() {
    if !has_program("script") {
        return skip("there is no `script`");
    }
    let project = Project::with(SHIPS).git();
    let log = || std::fs::read_to_string(project.root().join("log")).unwrap_or_default();

    let (text, status) = typed(&project, "run ship", b"n\n");
    assert!(text.contains("run ship? [y/N]"), "{text}");
    assert!(text.contains("nothing was begun"), "{text}");
    assert_eq!((status, log().as_str()), (Some(5), ""));

    // Ctrl-C, as the terminal hands it on.
    let (text, status) = typed(&project, "run ship", b"\x03");
    assert_eq!((status, log().as_str()), (Some(130), ""), "{text}");

    let (text, status) = typed(&project, "run ship", b"y\n");
    assert_eq!((status, log().as_str()), (Some(0), "applied\n"), "{text}");
}
