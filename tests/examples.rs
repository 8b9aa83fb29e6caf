//! Every folder of `examples/`, run for real in a copy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::{Output, Project, has_program, skip, wait_until};

/// The examples that the tests below run.
const TESTED: &[&str] = &["compose", "image", "laptop", "monorepo", "quickstart"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// A copy of an example, without what its `.gitignore` names, as a repository with one commit.
fn copy_of(example: &str) -> Project {
    let project = Project::new();
    copy(&folder().join(example), &project.root());
    project.git()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let ignored = std::fs::read_to_string(from.join(".gitignore")).unwrap_or_default();
    let ignored: BTreeSet<&str> = ignored.lines().map(|l| l.trim_matches('/')).collect();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|n| ignored.contains(n) || matches!(n, "target" | "__pycache__"))
        {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            std::fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// The plan, without the commit: it changes with every word of the example.
fn plan_of(project: &Project) -> String {
    let sha = project.run_git(&["rev-parse", "HEAD"]);
    project.pipe(&["plan"]).whole().replace(&sha[..7], "[sha]")
}

/// What ended, undos too, in the order in which it ended: `passed service`, `rolled back publish`.
fn endings(run: &Output) -> Vec<String> {
    let words = ["passed", "failed", "skipped", "rolled back"];
    let ended = |line: &&str| {
        words
            .iter()
            .any(|w| line.trim_start().starts_with(w) && line.find(w) < Some(12))
    };
    let steps = run
        .stdout
        .lines()
        .take_while(|l| !l.starts_with("──"))
        .filter(ended);
    steps
        .map(|l| l.trim().split("  ").next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_example_is_tested_and_says_what_it_shows() {
    let mut there: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, TESTED);
    for example in TESTED {
        assert!(
            folder().join(example).join("README.md").exists(),
            "{example}"
        );
        let project = copy_of(example);
        let checked = project.pipe(&["check", "--strict"]).exits(0);
        assert!(
            checked.stdout.starts_with(" ok "),
            "{example}: {}",
            checked.stdout
        );
        let _ = project.pipe(&["fmt", "--check"]).exits(0);
    }
}

#[test]
fn the_quickstart_is_what_init_writes() {
    let project = copy_of("quickstart");
    let written = project.pipe(&["init", "--stdout"]).exits(0).stdout;
    assert_eq!(project.read("pipeline.kdl"), written);
}

#[test]
fn the_quickstart_is_green_and_says_what_broke() {
    let project = copy_of("quickstart");
    insta::assert_snapshot!(plan_of(&project), @"
    exit 0
    --- stdout
     Plan for manual on main [sha]   3 steps to run
     check
       + format  cargo fmt --check
       + lint    cargo clippy --all-targets -- -D warnings
     test
       + test    cargo test
     Nothing was changed. Run it: pipe run
    ");
    let run = project.pipe(&["run"]).exits(0);
    let mut first_stage = endings(&run);
    assert_eq!(first_stage.split_off(2), ["passed test"]);
    first_stage.sort();
    assert_eq!(first_stage, ["passed format", "passed lint"]);

    let broken = project
        .read("src/lib.rs")
        .replace("two\\nthree\"), 3", "two\\nthree\"), 4");
    project.write("src/lib.rs", &broken);
    let run = project.pipe(&["run"]).exits(1);
    let end = run.stdout.split_once("── test · cargo test").unwrap().1;
    assert!(end.contains("  left: 3\n right: 4\n"), "{end}");
    let summary: Vec<&str> = end.lines().rev().take(4).collect();
    insta::assert_snapshot!(summary.into_iter().rev().collect::<Vec<_>>().join("\n"), @"

    failed  1 of 3 steps in [t] · 2 passed · 1 failed
      see all    pipe logs 2 test.test
      again      pipe run test.test
    ");
}

#[test]
fn an_image_is_built_once_tested_in_itself_and_pushed_as_it_is() {
    use crate::containers::engines::on_both;
    on_both(|engine| {
        let project = copy_of("image");
        let args = ["run", "--yes", "-p", "base=localhost/box:1"];
        let run = |project: &Project| project.output(&mut engine.building(project, &args));
        let first = run(&project).exits(0);
        assert_eq!(
            endings(&first),
            [
                "passed build-greeter",
                "passed says-hello",
                "passed push-greeter"
            ]
        );
        let at = first
            .stdout
            .find("built localhost/greeter:sha256-")
            .unwrap();
        let hex = &first.stdout[at..].split("sha256-").nth(1).unwrap()[..64];
        let index = project.read("images/greeter/index.json");
        assert!(index.contains(&format!("sha256:{hex}")), "{index}");
        let second = run(&project).exits(0);
        assert!(
            second.stdout.contains("cached build-greeter"),
            "{}",
            second.stdout
        );

        let greet = project.read("greet").replace("hello", "goodbye");
        project.write("greet", &greet);
        let broken = run(&project).exits(1);
        assert!(
            broken.stdout.contains("skipped push-greeter"),
            "{}",
            broken.stdout
        );
        assert_eq!(project.read("images/greeter/index.json"), index);
    });
}

#[test]
fn with_compose_what_staging_ran_is_what_production_gets_and_both_go_back() {
    use crate::containers::engines::Engine;
    use crate::deploy::host::{self, Ends, answers, docker, on_host};
    on_host(|| {
        let _ends = (Ends("compose-staging"), Ends("compose-production"));
        let project = copy_of("compose");
        // Where Compose is put for one user.
        let plugins = project.home().join(".docker/cli-plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        std::os::unix::fs::symlink(host::PLUGIN, plugins.join("docker-compose")).unwrap();
        let run = |args: &[&str]| {
            let args = [args, &["-p", "base=localhost/box:1"]].concat();
            let mut command = host::command(&project, &args);
            // The distribution's Docker, which builds.
            let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap());
            let engine = [("DOCKER_HOST", Engine::Docker.host()), ("PATH", path)];
            project.output(command.envs(engine))
        };
        let deploy = ["run", "deploy-staging", "--yes"];
        let commit = |from: &str, to: &str| {
            project.write("shop", &project.read("shop").replace(from, to));
            project.run_git(&["commit", "-qam", to]);
        };
        let first = run(&deploy).exits(0);
        assert_eq!(
            endings(&first).last().map(String::as_str),
            Some("passed deploy-staging")
        );
        let one = answers(8311);
        assert!(
            one.starts_with("hello, with schema 1, from localhost/app:sha256-"),
            "{one}"
        );

        commit("exec httpd", "exit 1 # httpd");
        let _ = run(&deploy).exits(6);
        assert_eq!(answers(8311), one);

        commit("exit 1 # httpd", "exec httpd");
        commit("hello", "welcome");
        let _ = run(&deploy).exits(0);
        let two = answers(8311);
        assert!(two.starts_with("welcome, with schema 1, from "), "{two}");
        // It must have been healthy for a second.
        wait_until("it is promoted", || {
            run(&["promote", "to-production", "--yes"]).code == Some(0)
        });
        assert_eq!(answers(8312), two);
        let _ = run(&["rollback", "staging", "--yes"]).exits(0);
        assert_eq!([answers(8311), answers(8312)], [one, two]);
        for place in ["staging", "production"] {
            let _ = docker(&["volume", "rm", "-f", &format!("compose-{place}_data")]);
        }
    });
}

#[test]
fn the_monorepo_hands_over_what_its_steps_make() {
    if !has_program("python3") {
        return skip("python3 is not here");
    }
    let project = copy_of("monorepo");
    insta::assert_snapshot!(plan_of(&project), @r#"
    exit 0
    --- stdout
     Plan for manual on main [sha]   12 steps to run
     check
       + service-unit         ./check.sh
       + report-unit          ./check.sh
     build
       + service              cargo build --offline --locked; echo "version=$(target/debug/q…
       + quotes (eur, small)  ./ci/quote.sh  (uses service)
       + quotes (eur, large)  ./ci/quote.sh  (uses service)
       + quotes (usd, small)  ./ci/quote.sh  (uses service)
       + report               mkdir -p site …  (uses quotes service)
     deliver
       + announce             mkdir -p public; echo maintenance > public/status
       + publish              ./ci/publish.sh  (needs announce; uses report)
       + smoke                grep -q 'total' public/current/index.html; test "$BREAK" = fal…  (need…
       + reopen               echo open > public/status  (needs smoke)
       + diagnose             ls public  (on-failure smoke)
         on failure undone in this order: publish, announce
     Nothing was changed. Run it: pipe run
    "#);
    let graph = [
        "graph",
        "--collapse",
        "matrix",
        "--into",
        "README.md",
        "--check",
    ];
    let _ = project.pipe(&graph).exits(0);
    assert!(!project.path(".pipe").exists());
    let run = project.pipe(&["run"]).exits(0);
    let mut ended = endings(&run);
    let first = |n: &str| ended.iter().position(|e| e == n).unwrap();
    assert!(
        first("passed service") < first("passed quotes (eur, small)"),
        "{ended:?}"
    );
    assert!(
        first("passed quotes (usd, small)") < first("passed report"),
        "{ended:?}"
    );
    ended.sort();
    insta::assert_snapshot!(ended.join("\n"), @"
    passed announce
    passed publish
    passed quotes (eur, large)
    passed quotes (eur, small)
    passed quotes (usd, small)
    passed reopen
    passed report
    passed report-unit
    passed service
    passed service-unit
    passed smoke
    skipped diagnose
    ");
    insta::assert_snapshot!(project.read("public/current/index.html"), @"
    <h1>Quotes of main</h1>
    <ul>
    <li>eur-large: 5397.30</li>
    <li>eur-small: 59.97</li>
    <li>usd-small: 59.97</li>
    </ul>
    <p>total of 3 quotes, made by quote 1.4.0</p>
    ");
    assert_eq!(project.read("public/status"), "open\n");
    assert!(!project.path("quotes").exists(), "`always` removes it");
    for kept in [
        "build/quotes/quotes/quotes/eur-small.txt",
        "build/report/site/site/index.html",
    ] {
        assert!(
            project.path(".pipe/runs/1/artifacts").join(kept).exists(),
            "{kept}"
        );
    }
}

#[test]
fn the_legs_of_the_monorepo_hold_its_lock_one_after_the_other() {
    let project = copy_of("monorepo");
    let _ = project.pipe(&["run", "quotes", "-j", "8"]).exits(0);
    let journal = project.read("journal.txt");
    let lines: Vec<&str> = journal.lines().collect();
    assert_eq!(lines.len(), 6, "{journal}");
    for pair in lines.chunks(2) {
        assert_eq!(
            pair[0].strip_prefix("begin "),
            pair[1].strip_prefix("end "),
            "{journal}"
        );
    }
}

#[test]
fn the_monorepo_undoes_its_delivery_in_reverse_order() {
    if !has_program("python3") {
        return skip("python3 is not here");
    }
    let project = copy_of("monorepo");
    let _ = project.pipe(&["run"]).exits(0);
    let good = project.read("public/current/index.html");
    let run = project.pipe(&["run", "--param", "break=true"]).exits(6);
    let mut delivery = endings(&run);
    let begin = delivery.iter().position(|line| line == "passed announce");
    let delivery = delivery.split_off(begin.unwrap());
    insta::assert_snapshot!(delivery.join("\n"), @"
    passed announce
    passed publish
    failed smoke
    skipped reopen
    passed diagnose
    rolled back publish
    rolled back announce
    ");
    let end = run.stdout.split_once("\n── smoke").unwrap().1;
    insta::assert_snapshot!(end, @r#"
     · test "$BREAK" = false || { echo 'the page is broken'; exit 1; } ───
    the page is broken
    ── 1 line ────────────────────────────────────────────────────────────────────
     exit 1   defined at pipeline.kdl:69

     rolled back  1 of 12 steps in [t] · 9 passed · 1 cached · 1 failed · 1 skipped
       see all    pipe logs 2 smoke
       again      pipe run smoke --param break=true
    "#);
    assert_eq!(project.read("public/current/index.html"), good);
    assert!(!project.path("public/status").exists());
}

#[test]
fn a_monorepo_that_never_ran_has_no_page_after_a_failed_first_delivery() {
    if !has_program("python3") {
        return skip("python3 is not here");
    }
    let project = copy_of("monorepo");
    let _ = project.pipe(&["run", "--param", "break=true"]).exits(6);
    assert!(!project.path("public/current").exists());
}
