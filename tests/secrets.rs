//! Secrets and the environment: who sees what, and where nothing of it may appear.

use std::path::Path;

use crate::started::{Started, processes_of};
use crate::support::Project;

/// A secret of which nothing may appear anywhere.
pub const CANARY: &str = "can4ry-T0ken/with+Signs==&more";

/// Prints a secret in the usual encodings, through both outputs, as an output value and as an error.
const LEAKY: &str = r##"
secret TOKEN
stage test {
    job leak {
        secrets TOKEN
        env NOTE="fixed"
        run #"""
            touch ready
            echo "plain $TOKEN"; echo "err $TOKEN" >&2
            printf '%s' "$TOKEN" | base64 -w0; echo
            printf 'x%s' "$TOKEN" | base64 -w0; echo
            printf 'xy%s' "$TOKEN" | base64 -w0; echo
            printf '%s' "$TOKEN" | od -An -tx1 | tr -d ' \n'; echo
            printf '%s' "$TOKEN" | od -An -tx1 | tr -d ' \n' | tr a-f A-F; echo
            printf '%s' "$TOKEN" | sed 's/+/%2B/g; s/=/%3D/g; s/&/%26/g; s,/,%2F,g'; echo
            printf '{"token":"%s"}' "$TOKEN" | sed 's,/,\\/,g'; echo
            printf '%q\n' "$TOKEN"
            for ((i = 0; i < ${#TOKEN}; i++)); do printf '%s' "${TOKEN:i:1}"; sleep 0.01; done; echo
            echo "value=$TOKEN" >> "$PIPE_OUTPUT"
            "$TOKEN" || true
            """#
    }
    job fails {
        secrets TOKEN
        needs leak
        env GIVEN="${leak.outputs.value}"
        run "test \"$GIVEN\" = \"$TOKEN\" && echo same; echo \"$TOKEN is no line\" >> \"$PIPE_OUTPUT\"; echo \"bad $TOKEN\" >> \"$PIPE_OUTPUT\""
    }
}
"##;

fn leaky() -> Project {
    Project::with(&format!("pipeline app\n{LEAKY}"))
}

/// The encodings of the canary that must appear nowhere.
fn needles() -> Vec<String> {
    let hex: String = CANARY.bytes().map(|b| format!("{b:02x}")).collect();
    let url = CANARY
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('&', "%26")
        .replace('/', "%2F");
    // Without the first and the last letters, which depend on the neighbours.
    let base64 = [
        "Y2FuNHJ5LVQwa2VuL3dpdGgrU2lnbnM9PSZtb3Jl",
        "NhbjRyeS1UMGtlbi93aXRoK1NpZ25zPT0mbW9y",
        "jYW40cnktVDBrZW4vd2l0aCtTaWducz09Jm1vc",
    ];
    let mut all = vec![
        CANARY.to_owned(),
        CANARY.replace('/', "\\/"),
        hex.to_uppercase(),
        hex,
        url,
        CANARY.replace('&', "\\&"),
    ];
    all.extend(base64.map(str::to_owned));
    all
}

/// Asserts that a text has the canary in no usual encoding.
#[track_caller]
pub fn has_none(what: &str, text: &str) {
    for needle in needles() {
        assert!(!text.contains(&needle), "{needle} in {what}:\n{text}");
    }
}

/// Asserts it of every file beneath a folder; how many there are.
pub fn scan(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files += scan(&path);
        } else {
            has_none(
                &path.display().to_string(),
                &String::from_utf8_lossy(&std::fs::read(&path).unwrap()),
            );
            files += 1;
        }
    }
    files
}

#[test]
fn a_secret_appears_nowhere_in_no_encoding() {
    for format in ["plain", "json", "github", "gitlab"] {
        let project = leaky();
        let out = project
            .pipe_env(
                &["run", "--format", format, "--verbose"],
                &[("TOKEN", CANARY)],
            )
            .exits(1);
        has_none(format, &out.stdout);
        has_none(format, &out.stderr);
        assert!(out.stdout.contains("plain ***"), "{}", out.stdout);
        assert!(out.stdout.contains("same"), "{}", out.stdout);
        assert!(scan(&project.path(".pipe")) >= 4);
        for args in [&["logs"][..], &["logs", "--raw"], &["runs"]] {
            let out = project.pipe_env(args, &[("TOKEN", CANARY)]);
            has_none(&args.join(" "), &(out.stdout + &out.stderr));
        }
    }
}

#[test]
fn a_parameter_that_holds_a_secret_is_masked_in_the_record() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nparam note default=\"\"\nstage test {\n    job a {\n        secrets TOKEN\n        env NOTE=\"${param.note}\"\n        run \"echo $NOTE\"\n    }\n}\n",
    );
    let note = format!("note={CANARY}");
    let out = project
        .pipe_env(&["run", "--param", &note], &[("TOKEN", CANARY)])
        .exits(0);
    has_none("stdout", &out.stdout);
    assert!(scan(&project.path(".pipe")) >= 2);
}

#[test]
fn a_secret_is_on_no_command_line_and_on_no_disk_while_the_job_runs() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nstage test {\n    job a { secrets TOKEN; run \"touch ready; while ! test -e go; do sleep 0.05; done\" }\n}\n",
    );
    let run =
        Started::of(&project, project.command(&["run"]).env("TOKEN", CANARY)).until_there("ready");
    let pids: Vec<i32> = processes_of(&project.root());
    assert!(!pids.is_empty());
    let all = pids
        .into_iter()
        .chain([run.guardian().as_raw_pid(), run.engine().as_raw_pid()]);
    for pid in all {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        has_none("a command line", &String::from_utf8_lossy(&line));
    }
    scan(&project.root());
    project.write("go", "");
    let _ = run.end().exits(0);
}

#[test]
fn only_a_job_that_names_a_secret_sees_it() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nstage test {\n    job with { secrets TOKEN; run \"test ${#TOKEN} = 30 && echo seen >> seen\" }\n    job without { run \"env > env; test -z \\\"${TOKEN:-}\\\"\" }\n}\n",
    );
    let _ = project.pipe_env(&["run"], &[("TOKEN", CANARY)]).exits(0);
    assert_eq!(project.read("seen"), "seen\n");
    assert!(!project.read("env").contains(CANARY));
}

#[test]
fn missing_secrets_are_all_told_before_anything_runs() {
    let project = Project::with(
        "pipeline app\nsecret ONE\nsecret TWO file=\"none\"\nsecret THREE command=\"exit 3\"\nsecret UNUSED\nstage test {\n    job first { run \"touch ran\" }\n    job a { needs first; secrets ONE TWO THREE; run \"true\" }\n    job b { when event=push; secrets UNUSED; run \"true\" }\n}\n",
    );
    let out = project.pipe(&["run"]).exits(2);
    insta::assert_snapshot!(out.whole(), @"
    exit 2
    --- stderr
    error: the secret ONE has no value: the variable ONE is not set
    hint: set it, for example from your CI's secret store: `ONE=… pipe run`
    error: the secret TWO has no value: [root]/none: No such file or directory (os error 2)
    hint: check the path and who may read it
    error: the secret THREE has no value: its command failed: exit status: 3
    hint: run it by hand to see why: `exit 3`
    ");
    assert!(!project.path("ran").exists());
    assert!(!project.path(".pipe/runs").exists());
}

#[test]
fn a_secret_comes_from_a_file_or_from_a_command() {
    let project = Project::with(
        "pipeline app\nsecret FROM_FILE file=\"~/key\"\nsecret FROM_COMMAND command=\"echo secret-of-a-command\"\nstage test {\n    job a { secrets FROM_FILE FROM_COMMAND; run \"echo $FROM_FILE $FROM_COMMAND; echo ${#FROM_FILE} ${#FROM_COMMAND}\" }\n}\n",
    );
    std::fs::write(project.home().join("key"), "secret-of-a-file\n").unwrap();
    let out = project.pipe(&["run"]).exits(0).stdout;
    assert!(
        out.contains("| *** ***\n") && out.contains("| 16 19\n"),
        "{out}"
    );
}

#[test]
fn a_job_sees_a_short_list_and_what_is_declared() {
    let project = Project::with(
        "pipeline app {\n    pass-env EVERYWHERE\n}\nenv SHARED=\"outer\"\nstage test {\n    job a {\n        pass-env WANTED ABSENT\n        env SHARED=\"inner\" OWN=\"1\"\n        run \"env > env\"\n    }\n    job b { run \"env > env-b\" }\n}\n",
    );
    let outer = [
        ("WANTED", "w"),
        ("EVERYWHERE", "e"),
        ("AWS_SECRET_ACCESS_KEY", "leak"),
        ("BASH_ENV", "/evil"),
        ("LD_PRELOAD", ""),
    ];
    let _ = project.pipe_env(&["run"], &outer).exits(0);
    let env = project.read("env");
    let names = |text: &str| {
        let mut names: Vec<String> = text
            .lines()
            .filter_map(|l| l.split_once('='))
            .map(|(n, _)| n.to_owned())
            .collect();
        names.retain(|n| {
            !matches!(
                n.as_str(),
                "SHLVL" | "_" | "PWD" | "OLDPWD" | "RUSTUP_HOME" | "CARGO_HOME"
            )
        });
        names.sort();
        names.join(" ")
    };
    assert!(
        env.contains("SHARED=inner\n")
            && env.contains("WANTED=w\n")
            && env.contains("EVERYWHERE=e\n"),
        "{env}"
    );
    assert_eq!(
        names(&env),
        "CI EVERYWHERE HOME LANG OWN PATH PIPE PIPE_ATTEMPT PIPE_BRANCH PIPE_DEPTH PIPE_EVENT PIPE_MARKER PIPE_OUTPUT PIPE_RUN_ID PIPE_SHA PIPE_STAGE PIPE_STEP PIPE_TAG PIPE_TRUSTED PIPE_WORKSPACE SHARED WANTED"
    );
    assert!(!project.read("env-b").contains("WANTED"));
}

#[test]
fn a_pull_request_of_a_fork_gets_no_secrets() {
    let project = Project::with(
        "pipeline app\nsecret TOKEN\nstage test {\n    job with { secrets TOKEN; run \"touch with\" }\n    job needs-it { needs with; run \"touch needs-it\" }\n    job without { run \"env > env; touch without\" }\n}\n",
    );
    project.write(
        "event.json",
        r#"{"number":7,"pull_request":{"number":7,"head":{"ref":"evil","sha":"0123456789012345678901234567890123456789","repo":{"full_name":"mallory/app","fork":true}},"base":{"ref":"main","repo":{"full_name":"acme/app"}}},"repository":{"full_name":"acme/app"}}"#,
    );
    let event = project.path("event.json");
    let env = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_REPOSITORY", "acme/app"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_HEAD_REF", "evil"),
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
        ("TOKEN", CANARY),
    ];
    let out = project.pipe_env(&["run"], &env).exits(0);
    assert!(
        out.stderr.contains("this run is not trusted"),
        "{}",
        out.stderr
    );
    assert!(project.path("without").exists());
    assert!(!project.path("with").exists() && !project.path("needs-it").exists());
    assert!(!project.read("env").contains(CANARY));
    // Not by name either.
    let named = project.pipe_env(&["run", "with"], &env);
    assert!(!project.path("with").exists(), "{}", named.stdout);
    let plan = project.pipe_env(&["plan"], &env).exits(0).stdout;
    assert!(
        plan.contains("wants the secret TOKEN, and this run is not trusted"),
        "{plan}"
    );
}

#[test]
fn lines_of_a_secret_are_masked_alone_and_one_secret_in_another_too() {
    let project = Project::with(
        "pipeline app\nsecret LONG\nsecret PART\nstage test {\n    job a { secrets LONG PART; run \"echo \\\"$LONG\\\"; echo \\\"$LONG\\\" | tail -1; echo x${PART}x\" }\n}\n",
    );
    let secrets = [
        ("LONG", "first-line-of-it\nsecond-line-of-it"),
        ("PART", "line-of-it"),
    ];
    let out = project.pipe_env(&["run"], &secrets).exits(0);
    let shown: Vec<&str> = out
        .stdout
        .lines()
        .filter_map(|l| l.strip_prefix("a | "))
        .collect();
    assert_eq!(shown, ["***", "***", "x***x"]);
    assert_eq!(out.stderr, "");
}

#[test]
fn a_secret_too_short_to_be_masked_is_told() {
    let project = Project::with(
        "pipeline app\nsecret PIN\nstage test {\n    job a { secrets PIN; run \"echo $PIN\" }\n}\n",
    );
    let out = project.pipe_env(&["run"], &[("PIN", "123")]).exits(0);
    assert_eq!(
        out.stderr,
        "warning: secret PIN has fewer than 6 bytes and is not masked\n"
    );
}
