//! A run that continues another one: what was done is not done again, what was half done is undone first.

use rustix::process::{Signal, kill_process};

use crate::started::{Started, lines};
use crate::support::{Output, Project};

/// Each step notes its effect. `slow` hangs until somebody says `go`, `smoke` fails while there is a `bad`.
const DELIVERY: &str = r#"pipeline app
param size default="small"
stage prepare {
    job fetch { artifact data "data"; run "echo fetch >> effects; echo n=7 >> $PIPE_OUTPUT; echo x > data" }
}
stage deliver rollback=reverse {
    job migrate { run "echo migrate >> effects"; rollback { run "echo un-migrate >> effects" } }
    job slow {
        needs migrate
        artifact data from=fetch into=taken
        env N="${fetch.outputs.n}" SIZE="${param.size}"
        run "echo slow $N $SIZE >> effects; touch begun; while ! test -e go; do sleep 0.05; done"
        rollback { run "echo un-slow >> effects" }
    }
    job smoke { needs slow; run "echo smoke >> effects; test ! -e bad" }
}
"#;

/// A project whose first run was killed while `slow` was running.
#[track_caller]
fn killed() -> Project {
    let project = Project::with(DELIVERY);
    let run = Started::new(&project, &["run", "--grace", "200ms", "-p", "size=large"]);
    let run = run.until_there("begun");
    kill_process(run.engine(), Signal::KILL).unwrap();
    let _ = run.end().exits(137);
    assert_eq!(effects(&project), ["fetch", "migrate", "slow 7 large"]);
    project.write("effects", "");
    project.write("go", "");
    project
}

fn effects(project: &Project) -> Vec<String> {
    lines(project, "effects")
}

fn resume(project: &Project) -> Output {
    project.pipe(&["run", "--resume"])
}

#[test]
fn a_killed_run_goes_on_where_it_stood_and_undoes_what_was_half_done() {
    let project = killed();
    insta::assert_snapshot!(resume(&project).exits(0).whole(), @"
    exit 0
    --- stdout
     pipe 0.1.0  run 2  manual  4 steps  continues run 1
         undoing slow
     rolled back slow  [t]
            done fetch  in run 1
            done migrate  in run 1
          passed slow  [t]
          passed smoke  [t]

     ok  4 steps in [t] · 4 passed
    ");
    assert_eq!(effects(&project), ["un-slow", "slow 7 large", "smoke"]);
    assert_eq!(project.read("taken/data"), "x\n");
    insta::assert_snapshot!(resume(&project).exits(0).whole(), @"
    exit 0
    --- stderr
    run 2 has passed; there is nothing to continue
    ");
}

#[test]
fn what_an_earlier_run_did_is_undone_when_the_later_one_fails() {
    let project = killed();
    project.write("bad", "");
    let _ = resume(&project).exits(6);
    let all = ["un-slow", "slow 7 large", "smoke", "un-slow", "un-migrate"];
    assert_eq!(effects(&project), all);
    // What was undone is done again.
    project.write("effects", "");
    std::fs::remove_file(project.path("bad")).unwrap();
    let run = resume(&project).exits(0);
    assert!(
        run.stdout.contains("done fetch  in run 2"),
        "{}",
        run.stdout
    );
    assert_eq!(effects(&project), ["migrate", "slow 7 large", "smoke"]);
}

#[test]
fn a_cancelled_run_says_how_it_is_continued() {
    let project = Project::with(DELIVERY);
    let run = Started::new(&project, &["run", "--grace", "200ms"]).until_there("begun");
    run.signal(Signal::INT);
    let run = run.end().exits(130);
    let told = "continue   pipe run --resume=1";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    project.write("go", "");
    project.write("effects", "");
    let _ = project.pipe(&["run", "--resume=1"]).exits(0);
    // The cancelled run has undone its stage itself.
    assert_eq!(effects(&project), ["migrate", "slow 7 small", "smoke"]);
}

#[test]
fn a_run_that_cannot_be_continued_says_why() {
    let project = Project::with(DELIVERY);
    let told = |args: &[&str]| project.pipe(args).whole();
    insta::assert_snapshot!(told(&["run", "--resume"]), @"
    exit 5
    --- stderr
    error: there is no run to continue
    hint: `pipe run` begins one
    ");
    let project = killed();
    let told = |args: &[&str]| project.pipe(args).whole();
    insta::assert_snapshot!(told(&["run", "--resume=7"]), @"
    exit 2
    --- stderr
    error: there is no run 7
    hint: `pipe runs` lists them; the newest 100 are kept
    ");
    insta::assert_snapshot!(told(&["run", "--resume=soon"]), @"
    exit 2
    --- stderr
    error: `soon` is not the number of a run
    hint: `pipe runs` lists them
    ");
    project.write("pipeline.kdl", &DELIVERY.replace("test ! -e bad", "true"));
    insta::assert_snapshot!(told(&["run", "--resume"]), @"
    exit 5
    --- stderr
    error: the pipeline has changed since run 1
    hint: `pipe run` begins a new one; what was kept of this one is used all the same
    ");
    project.write("pipeline.kdl", DELIVERY);
    let project = project.git();
    let commit = project.run_git(&["rev-parse", "--short=7", "HEAD"]);
    let refused = resume(&project).exits(5).stderr;
    let expected = format!(
        "error: run 1 is about no commit, and this checkout is at {}\nhint: `pipe run` begins a new one; what was kept of this one is used all the same\n",
        commit.trim()
    );
    assert_eq!(refused, expected);
}

#[test]
fn a_run_that_goes_on_is_not_continued() {
    let project = Project::with(DELIVERY);
    let run = Started::new(&project, &["run"]).until_there("begun");
    let refused = resume(&project).exits(5);
    assert_eq!(
        refused.stderr,
        "error: run 1 cannot be continued: it still goes on\nhint: wait for its end, or end it\n"
    );
    project.write("go", "");
    let _ = run.end().exits(0);
}

#[test]
fn an_undo_that_is_owed_and_fails_stops_everything() {
    let project = Project::with(
        "pipeline app\nstage t { job a { run \"touch begun; sleep 60\"; rollback { run \"exit 3\" } }; job b { run \"touch did-b\" } }\n",
    );
    let run = Started::new(&project, &["run", "-j", "1", "--grace", "200ms"]).until_there("begun");
    kill_process(run.engine(), Signal::KILL).unwrap();
    let _ = run.end().exits(137);
    let run = resume(&project).exits(7);
    assert!(
        run.stdout.contains("NOT undone a  exit 3"),
        "{}",
        run.stdout
    );
    assert!(!project.path("did-b").exists());
    let refused = resume(&project).exits(5);
    assert_eq!(
        refused.stderr,
        "error: run 2 cannot be continued: the rollback of t.a failed in it\nhint: `pipe logs 2` shows why; mend it by hand, then `pipe run` begins anew\n"
    );
}

#[test]
fn what_follows_a_repeated_step_is_repeated_and_a_secret_output_is_made_again() {
    let project = Project::with(
        r#"pipeline app
secret TOKEN
stage t {
    job login { secrets TOKEN; run "echo login >> effects; echo session=$TOKEN-1 >> $PIPE_OUTPUT" }
    job use { env S="${login.outputs.session}"; run "echo use ${#S} >> effects" }
    job alone { run "echo alone >> effects" }
    job last { needs use alone; run "echo last >> effects; test -e go" }
}
"#,
    );
    let env = [("TOKEN", "a-long-secret")];
    let _ = project.pipe_env(&["run", "-j", "1"], &env).exits(1);
    project.write("effects", "");
    project.write("go", "");
    let _ = project
        .pipe_env(&["run", "--resume", "-j", "1"], &env)
        .exits(0);
    assert_eq!(effects(&project), ["login", "use 15", "last"]);
}
