//! git in every state, and names from outside that would like to be code or options.

use crate::started::stage;
use crate::support::Project;

const SHOW: &str = r#"    job show { env BRANCH="${git.branch.default('none')}" TAG="${git.tag.default('none')}"; run "printf '%s\\n' \"$BRANCH\" \"$TAG\" \"${PIPE_BRANCH:-}\" > shown" }"#;

fn shown(project: &Project, args: &[&str], env: &[(&str, &str)]) -> String {
    let _ = project.pipe_env(args, env).exits(0);
    project.read("shown")
}

/// Names that are code to a shell, options to git, or both.
const EVIL: [&str; 5] = [
    "x\";touch${IFS}PWNED;#",
    "$(touch${IFS}PWNED)",
    "`touch${IFS}PWNED`",
    "a'b;touch${IFS}PWNED;'",
    "${git.sha}",
];

#[test]
fn a_branch_is_data_whatever_it_is_called() {
    for name in EVIL {
        let project = Project::with(&stage(SHOW)).git();
        project.run_git(&["checkout", "-q", "-b", name]);
        assert_eq!(
            shown(&project, &["run"], &[]),
            format!("{name}\nnone\n{name}\n")
        );
        assert_eq!(
            shown(&project, &["run", "--branch", name], &[]),
            format!("{name}\nnone\n{name}\n")
        );
        let ci = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_REF", &*format!("refs/heads/{name}")),
        ];
        assert_eq!(
            shown(&project, &["run"], &ci),
            format!("{name}\nnone\n{name}\n")
        );
        for args in [
            &["plan"][..],
            &["logs"],
            &["runs"],
            &["run", "--format", "github"],
        ] {
            let _ = project.pipe(args).exits(0);
        }
        assert!(!project.path("PWNED").exists(), "{name}");
    }
}

#[test]
fn a_ref_that_looks_like_an_option_is_refused_or_data() {
    let name = "--upload-pack=touch PWNED";
    let paths =
        "    job show { when paths=\"src/**\"; run \"touch shown\" }\n    job all { run \"true\" }";
    let project = Project::with(&stage(paths)).git();
    for args in [
        vec!["run", "--branch", name],
        vec!["run", "--tag", name],
        vec!["run", "--base", name],
        vec![
            "plan",
            "--event",
            "pull-request",
            "--pr",
            "1",
            "--into",
            name,
        ],
        vec!["run", "--base", "--output=PWNED"],
    ] {
        let out = project.pipe(&args);
        assert!(matches!(out.code, Some(0 | 2)), "{args:?} {out:?}");
        assert!(
            out.code == Some(0) || out.stderr.contains("hint: "),
            "{args:?} {}",
            out.stderr
        );
        assert!(!project.path("PWNED").exists(), "{args:?}");
    }
    for variable in [
        "GITHUB_BASE_REF",
        "GITHUB_HEAD_REF",
        "GITHUB_REF",
        "GITHUB_SHA",
    ] {
        let env = [
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            (variable, name),
        ];
        let out = project.pipe_env(&["run"], &env);
        assert!(matches!(out.code, Some(0 | 2)), "{variable} {out:?}");
        assert!(!project.path("PWNED").exists(), "{variable}");
    }
}

#[test]
fn control_characters_in_a_name_reach_no_terminal() {
    let project = Project::with(&stage(SHOW)).git();
    for name in ["v1\x1b]0;title\x07", "v1\nv2", "v1\u{202e}2"] {
        for args in [
            ["run", "--tag", name],
            ["run", "--branch", name],
            ["plan", "--tag", name],
        ] {
            let out = project.pipe(&args);
            let all = format!("{}{}", out.stdout, out.stderr);
            assert!(matches!(out.code, Some(0 | 2)), "{args:?} {all}");
            assert!(
                !all.contains(['\x1b', '\x07', '\u{202e}']),
                "{args:?} {all:?}"
            );
        }
    }
}

#[test]
fn it_runs_without_a_repository_and_without_git() {
    let project = Project::with(&stage(SHOW));
    assert_eq!(shown(&project, &["run"], &[]), "none\nnone\n\n");
    // A PATH with a shell and little else.
    let bin = project.home().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in ["bash", "printf"] {
        let at = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|d| d.join(program))
            .find(|p| p.exists());
        std::os::unix::fs::symlink(at.unwrap(), bin.join(program)).unwrap();
    }
    let project = project.git();
    let path = bin.display().to_string();
    let without_git = shown(&project, &["run"], &[("PATH", &path)]);
    assert_eq!(without_git, shown(&project, &["run"], &[]));
    assert_eq!(without_git, "main\nnone\nmain\n");
    let paths = "    job show { when paths=\"src/**\"; run \"echo > shown\" }";
    project.write("pipeline.kdl", &stage(paths));
    let out = project.pipe_env(&["run"], &[("PATH", &path)]).exits(0);
    assert!(
        out.stderr.contains("changed files are not known"),
        "{}",
        out.stderr
    );
}

#[test]
fn an_unborn_branch_a_detached_head_a_worktree_and_a_shallow_clone_run() {
    let project = Project::with(&stage(SHOW));
    project.run_git(&["init", "-q", "-b", "trunk", "."]);
    assert_eq!(shown(&project, &["run"], &[]), "trunk\nnone\ntrunk\n");
    let project = project.git();
    let sha = project.run_git(&["rev-parse", "HEAD"]);
    project.run_git(&["checkout", "-q", "--detach", sha.trim()]);
    assert_eq!(shown(&project, &["run"], &[]), "none\nnone\n\n");
    project.run_git(&["worktree", "add", "-q", "-b", "side", "../side"]);
    let side = project.path("../side");
    let out = project
        .output(project.command(&["run"]).current_dir(&side))
        .exits(0);
    assert!(out.stdout.contains("on side"), "{}", out.stdout);
    assert_eq!(
        std::fs::read_to_string(side.join("shown")).unwrap(),
        "side\nnone\nside\n"
    );
    let from = format!("file://{}", side.display());
    project.run_git(&["clone", "-q", "--depth", "1", &from, "../shallow"]);
    let paths = "    job show { when paths=\"src/**\"; run \"echo > shown\" }";
    std::fs::write(project.path("../shallow/pipeline.kdl"), stage(paths)).unwrap();
    let mut run = project.command(&["run", "--event", "push"]);
    let out = project
        .output(run.current_dir(project.path("../shallow")))
        .exits(0);
    assert!(
        out.stderr.contains("changed files are not known") && out.stderr.contains("shallow"),
        "{}",
        out.stderr
    );
}

#[test]
fn a_repository_that_would_run_something_does_not() {
    let project = Project::with(&stage(
        "    job show { when paths=\"src/**\"; run \"true\" }\n    job all { run \"true\" }",
    ))
    .git();
    let monitor = project.path("monitor");
    std::fs::write(&monitor, "#!/bin/sh\ntouch PWNED\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&monitor, mode).unwrap();
    let monitor = monitor.display().to_string();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "diff.external",
    ] {
        project.run_git(&["config", key, &monitor]);
    }
    for args in [&["plan"][..], &["run"]] {
        let _ = project.pipe(args).exits(0);
    }
    assert!(!project.path("PWNED").exists());
}
