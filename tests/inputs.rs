//! Files that jobs name, make and hand on: nothing outside the pipeline's folder, nothing that hangs or surprises.

use std::os::unix::fs::PermissionsExt;

use crate::started::{lines, nothing_is_left_of, stage};
use crate::support::{Output, Project};

/// Runs one job; a file next to the project's folder must stay as it is.
fn run(job: &str) -> (Project, Output) {
    let project = Project::with(&stage(job));
    std::fs::create_dir(project.path("../outside")).unwrap();
    std::fs::write(project.path("../outside/keep"), "kept\n").unwrap();
    let out = project.pipe(&["run"]);
    let outside: Vec<_> = std::fs::read_dir(project.path("../outside"))
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(outside, ["keep"], "{}", out.stdout);
    assert_eq!(
        std::fs::read_to_string(project.path("../outside/keep")).unwrap(),
        "kept\n"
    );
    (project, out)
}

/// The failure of the job: one line.
#[track_caller]
fn failure(job: &str) -> String {
    let (_, out) = run(job);
    let out = out.exits(1).stdout;
    let line = out
        .lines()
        .find(|l| l.contains("   defined at "))
        .unwrap_or_else(|| panic!("no failure in\n{out}"));
    let next = out
        .lines()
        .skip_while(|l| *l != line)
        .nth(1)
        .unwrap_or_default();
    let failure = line.split("   defined at ").next().unwrap_or_default();
    format!("{}\n{}", failure.trim(), next.trim())
        .trim_end()
        .to_owned()
}

#[test]
fn a_path_out_of_the_folder_is_refused_where_it_stands() {
    for (form, path) in [
        ("inputs \"PATH\"", "../../etc/passwd"),
        ("inputs \"PATH\"", "/etc/passwd"),
        ("outputs \"PATH\"", "../../etc"),
        ("outputs \"PATH\"", "a/../../b"),
        ("workdir \"PATH\"", "../.."),
        ("workdir \"PATH\"", "/etc"),
        ("artifact site \"PATH\"", "../../etc/**"),
        ("artifact site from=maker into=\"PATH\"", "../../etc"),
        ("artifact site from=maker into=\"PATH\"", "/etc"),
    ] {
        let job = format!(
            "    job maker {{ artifact site \"made\"; run \"touch made\" }}\n    job bad {{\n        {}\n        run \"true\"\n    }}",
            form.replace("PATH", path)
        );
        let project = Project::with(&stage(&job));
        for command in ["check", "run"] {
            let out = project.pipe(&[command]).exits(2);
            let all = out.stdout + &out.stderr;
            assert!(
                all.contains("pipeline.kdl:5:") && all.contains(path),
                "{form} {path}\n{all}"
            );
        }
        assert!(!project.path("made").exists());
    }
}

#[test]
fn an_output_that_is_not_made_is_a_failure() {
    assert_eq!(
        failure("    job make { outputs \"dist/**\"; run \"mkdir dist\" }"),
        "it did not make its output dist/**\nhint make it, or take it out of `outputs`"
    );
}

#[test]
fn an_output_that_a_job_links_to_the_outside_is_a_failure() {
    assert_eq!(
        failure("    job make { outputs \"dist\"; run \"ln -s ../outside dist\" }"),
        "its output dist is a link that leads out of the pipeline's folder\nhint make a file, or a link to one beside it"
    );
    assert_eq!(
        failure("    job make { outputs \"dist/keep\"; run \"ln -s ../outside dist\" }"),
        "its output dist/keep cannot be looked for: dist is a link, and links are not followed"
    );
    assert_eq!(
        failure("    job make { outputs \"dist/**\"; run \"mkdir dist; ln -s /etc dist/etc\" }"),
        "its output dist/etc is a link that leads out of the pipeline's folder\nhint make a file, or a link to one beside it"
    );
}

#[test]
fn an_artifact_that_a_job_links_to_the_outside_is_not_kept() {
    assert_eq!(
        failure(
            "    job make { artifact site \"dist/**\"; run \"mkdir dist; ln -s /etc/passwd dist/x\" }"
        ),
        "the artifact site cannot be kept: dist/x: this link leads out of the folder, and is not followed"
    );
    assert_eq!(
        failure("    job make { artifact site \"dist/keep\"; run \"ln -s ../outside dist\" }"),
        "the artifact site cannot be kept: dist is a link, and links are not followed"
    );
}

#[test]
fn a_pipe_or_a_socket_among_artifacts_is_a_failure_and_no_wait() {
    assert_eq!(
        failure("    job make { artifact site \"dist/**\"; run \"mkdir dist; mkfifo dist/pipe\" }"),
        "the artifact site cannot be kept: dist/pipe: this is neither a file nor a link"
    );
    assert_eq!(
        failure(
            "    job make { artifact site \"null\"; run \"mknod null c 1 5 2>/dev/null || mkfifo null\" }"
        ),
        "the artifact site cannot be kept: null: this is neither a file nor a link"
    );
}

#[test]
fn an_artifact_without_files_is_a_failure() {
    assert_eq!(
        failure("    job make { artifact site \"dist/**\"; run \"true\" }"),
        "the artifact site cannot be kept: none of its files is there\nhint make them, or mend the artifact's paths"
    );
}

#[test]
fn an_artifact_arrives_with_its_modes_and_links() {
    let (project, out) = run(r#"    job make {
        artifact site "dist/**" "!dist/**/*.tmp"
        run "mkdir -p dist/deep; echo x > dist/deep/x; echo t > dist/deep/t.tmp; echo '#!/bin/sh' > dist/tool; chmod 750 dist/tool; chmod 4755 dist/deep/x; ln -s deep/x dist/link; printf 'a b' > 'dist/a name'; rm -f log"
    }
    job take {
        artifact site from=make into="got"
        run "rm -rf dist; find got | sort > found"
    }"#);
    let _ = out.exits(0);
    assert_eq!(
        lines(&project, "found"),
        [
            "got",
            "got/dist",
            "got/dist/a name",
            "got/dist/deep",
            "got/dist/deep/x",
            "got/dist/link",
            "got/dist/tool"
        ]
    );
    let mode = |name: &str| {
        project
            .path(name)
            .symlink_metadata()
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("got/dist/tool"), mode("got/dist/deep/x")),
        (0o750, 0o755)
    );
    assert_eq!(
        std::fs::read_link(project.path("got/dist/link"))
            .unwrap()
            .to_str(),
        Some("deep/x")
    );
    assert_eq!(project.read("got/dist/a name"), "a b");
}

#[test]
fn an_artifact_of_several_legs_has_what_every_leg_made() {
    let (project, out) = run(r#"    job make {
        matrix { part a b c d }
        retry 1 backoff="10ms"
        artifact parts "parts/*"
        run "mkdir -p parts; echo $MATRIX_PART > parts/part-$MATRIX_PART; test $PIPE_ATTEMPT = 2"
        always { run "rm parts/part-$MATRIX_PART" }
        lock one-leg-after-the-other
    }
    job take { artifact parts from=make into="got"; run "cat got/parts/* > all" }"#);
    let _ = out.exits(0);
    assert_eq!(project.read("all"), "a\nb\nc\nd\n");
}

#[test]
fn a_try_that_fails_leaves_nothing_in_an_artifact() {
    let (project, out) = run(r#"    job make {
        retry 1 backoff="10ms"
        artifact site "dist/**"
        run "rm -rf dist; mkdir dist; touch dist/try-$PIPE_ATTEMPT; test $PIPE_ATTEMPT = 2 || echo wrong > $PIPE_OUTPUT"
    }
    job take { artifact site from=make into="got"; run "ls got/dist > found" }"#);
    let _ = out.exits(0);
    assert_eq!(lines(&project, "found"), ["try-2"]);
}

#[test]
fn an_artifact_goes_through_no_link_that_a_job_has_planted() {
    for plant in [
        "ln -s ../outside got",
        "mkdir got; ln -s ../../outside got/dist",
    ] {
        let (_, out) = run(&format!(
            "    job make {{ artifact site \"dist/**\"; run \"mkdir dist; echo evil > dist/keep; {plant}\" }}\n    job take {{ artifact site from=make into=\"got\"; run \"true\" }}"
        ));
        let out = out.exits(1).stdout;
        assert!(
            out.contains("an artifact could not be put in place"),
            "{plant}\n{out}"
        );
    }
    // A link in the place of a file is replaced, not written through.
    let (project, out) = run(
        "    job make { artifact site \"keep\"; run \"echo new > keep\" }\n    job plant { needs make; run \"ln -sf ../outside/keep keep\" }\n    job take { needs plant; artifact site from=make; run \"true\" }",
    );
    let _ = out.exits(0);
    assert_eq!(project.read("keep"), "new\n");
}

#[test]
fn artifacts_are_kept_through_no_link_in_the_record() {
    let (_, out) = run(
        "    job make { artifact site \"made\"; run \"echo x > made; ln -s \\\"$PWD/../outside\\\" .pipe/runs/1/artifacts\" }",
    );
    let out = out.exits(1).stdout;
    assert!(out.contains("the artifact site cannot be kept"), "{out}");
}

#[test]
fn a_workdir_that_a_job_links_to_the_outside_is_a_failure() {
    let (project, out) = run(
        "    job plant { run \"ln -s ../outside work\" }\n    job use { needs plant; workdir \"work\"; run \"touch here; touch \\\"$PIPE_WORKSPACE/ran\\\"\" }",
    );
    let out = out.exits(1).stdout;
    assert!(
        out.contains("its workdir work leads out of the pipeline's folder"),
        "{out}"
    );
    assert!(!project.path("ran").exists());
    // Between two commands of one job, too.
    let (_, out) = run(
        "    job make { run \"mkdir src\" }\n    job swap {\n        needs make\n        workdir \"src\"\n        run \"rmdir ../src; ln -s ../outside ../src\"\n        run \"touch here\"\n    }",
    );
    let out = out.exits(1).stdout;
    assert!(
        out.contains("its workdir src leads out of the pipeline's folder"),
        "{out}"
    );
}

#[test]
fn outputs_that_cannot_be_read_are_a_failure_and_no_wait() {
    let strange = "its outputs cannot be read: the file `$PIPE_OUTPUT` is no regular file of at most 1 MiB\nhint append short `name=value` lines; larger things belong into an artifact";
    for plant in [
        "rm $PIPE_OUTPUT; mkfifo $PIPE_OUTPUT",
        "ln -sf /etc/passwd $PIPE_OUTPUT",
        "ln -sf /dev/zero $PIPE_OUTPUT",
        "rm $PIPE_OUTPUT; mkdir $PIPE_OUTPUT",
        "head -c 2M /dev/zero > $PIPE_OUTPUT",
    ] {
        assert_eq!(
            failure(&format!("    job make {{ run \"{plant}\" }}")),
            strange,
            "{plant}"
        );
    }
    assert_eq!(
        failure("    job make { run \"echo no value > $PIPE_OUTPUT\" }"),
        "its outputs cannot be read: the line \"no value\" is not `name=value`\nhint write `echo \"version=1.2\" >> \"$PIPE_OUTPUT\"`"
    );
    assert_eq!(
        failure("    job make { run \"rm $PIPE_OUTPUT\" }")
            .lines()
            .next(),
        Some("its outputs cannot be read: it removed the file `$PIPE_OUTPUT`")
    );
}

#[test]
fn a_pipe_planted_for_the_next_job_does_not_hold_it() {
    let (project, out) = run(
        "    job plant { run \"for i in 0 1 2 3 4 5 6 7 8 9; do mkfifo \\\"$(dirname $PIPE_OUTPUT)/output-$i-1\\\" 2>/dev/null || true; done; mkdir -p .pipe/runs/1/logs; mkfifo .pipe/runs/1/logs/test.next.log\" }\n    job next { needs plant; run \"echo said; echo a=1 >> $PIPE_OUTPUT; touch ran\" }",
    );
    let out = out.exits(0).stdout;
    assert!(project.path("ran").exists());
    assert!(out.contains("test.next.log is not complete"), "{out}");
    nothing_is_left_of(&project);
}

#[test]
fn outputs_are_data_for_the_next_job() {
    let value = "x\";touch${IFS}PWNED;# `touch PWNED` $(touch PWNED) ${git.sha}";
    let project = Project::with(&stage(
        "    job make { pass-env VALUE; run \"echo \\\"value=$VALUE\\\" >> $PIPE_OUTPUT; echo empty= >> $PIPE_OUTPUT\" }\n    job take { env GOT=\"<${make.outputs.value}${make.outputs.empty}>\"; run \"echo \\\"$GOT\\\" > got\" }",
    ));
    let _ = project.pipe_env(&["run"], &[("VALUE", value)]).exits(0);
    assert_eq!(project.read("got"), format!("<{value}>\n"));
    assert!(!project.path("PWNED").exists());
}

#[test]
fn an_output_that_was_not_put_out_is_a_failure_of_the_step_that_wants_it() {
    let project = Project::with(&stage(
        "    job make { run \"echo other=1 >> $PIPE_OUTPUT\" }\n    job take { env GOT=\"${make.outputs.value}\"; run \"touch ran\" }",
    ));
    let out = project.pipe(&["run"]).exits(1).stdout;
    assert!(
        out.contains("`${make.outputs.value}` has no value: it was not put out; known are other"),
        "{out}"
    );
    assert!(!project.path("ran").exists());
}
