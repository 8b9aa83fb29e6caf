//! The engine killed at every write of the ledger and of the journal, and while the target is changed. Afterwards `pipe`
//! tells the truth; and the next run asks the target, and finishes or undoes.

use std::os::unix::fs::PermissionsExt;

use super::shop::{Is, Shop, lacks};
use super::way::in_one_stage;
use crate::started::Started;
use crate::support::{skip, wait_until};
use rustix::process::Signal;

/// A `git` that counts the calls that write a ref, and kills the engine before or after one of them.
fn deadly_git(shop: &Shop, at: usize, after: bool) -> String {
    let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|p| p.join("git"))
        .find(|p| p.exists())
        .unwrap();
    let real = real.display();
    let (kill_before, kill_after) = if after { (0, at) } else { (at, 0) };
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n*update-ref*) ;;\n*) exec {real} \"$@\" ;;\nesac\nn=$(($(cat \"$HOME/count\" 2>/dev/null || echo 0) + 1))\necho $n > \"$HOME/count\"\n[ $n = {kill_before} ] && kill -9 $PPID && exit 1\n{real} \"$@\"\nrc=$?\n[ $n = {kill_after} ] && kill -9 $PPID\nexit $rc\n"
    );
    let folder = shop.project.home().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let git = folder.join("git");
    std::fs::write(&git, text).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _ = std::fs::remove_file(shop.project.home().join("count"));
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

/// After the crash: the next run of the same puts it right, and everybody says the same.
fn is_put_right(shop: &Shop, version: &str, what: &str) {
    let (state, _) = shop.told("staging");
    let running = shop.answers("staging");
    let expected = ["healthy", "unknown"];
    assert!(expected.contains(&state.as_str()), "{what}: {state}");
    if state == "healthy" {
        // Nothing had been begun, or everything was done: then what is told is what answers.
        let (_, told) = shop.told("staging");
        assert_eq!(running, told.map(|t| format!("shop {t}")), "{what}");
    }
    let out = shop.deploy().exits(0);
    let runs = format!("shop {version}");
    assert_eq!(
        shop.answers("staging").as_deref(),
        Some(&*runs),
        "{what}: {out:?}"
    );
    let told = shop.told("staging");
    assert_eq!(told, ("healthy".into(), Some(version.into())), "{what}");
    let locks = shop.project.run_git(&["for-each-ref", "refs/pipe/locks"]);
    assert_eq!(locks, "", "{what}");
}

#[test]
fn killed_before_or_after_any_write_of_the_ledger_it_is_put_right() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::new();
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    let mut version = 1;
    for after in [false, true] {
        for at in 1.. {
            version += 1;
            let name = version.to_string();
            shop.version(&name, Is::Good);
            let path = deadly_git(&shop, at, after);
            let out = shop
                .project
                .pipe_env(&["run", "deploy-staging", "--yes"], &[("PATH", &path)]);
            let what = format!("{} {at}", if after { "after" } else { "before" });
            if out.code == Some(0) {
                assert!(at > 4, "{what}: {out:?}");
                break;
            }
            assert_eq!(out.code, Some(137), "{what}: {out:?}");
            is_put_right(&shop, &name, &what);
        }
    }
}

#[test]
fn killed_while_a_first_release_is_taken_away_it_is_gone_after_the_run_is_continued() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = in_one_stage();
    shop.version("1", Is::Good);
    shop.project.write("broken", "");
    let all = ["run", "all", "--yes"];
    // The release itself takes as many writes for both targets. What is written before one is written after the last.
    for at in 9.. {
        let path = deadly_git(&shop, at, false);
        let out = shop.project.pipe_env(&all, &[("PATH", &path)]);
        let what = format!("before {at}");
        if out.code == Some(6) {
            assert!(at > 14, "{what}: {out:?}");
            break;
        }
        assert_eq!(out.code, Some(137), "{what}: {out:?}");
        for target in ["staging", "production"] {
            let (state, _) = shop.told(target);
            let running = shop.answers(target);
            match state.as_str() {
                "healthy" => assert_eq!(running.as_deref(), Some("shop 1"), "{what}"),
                "nothing" => assert_eq!(running, None, "{what}"),
                state => assert_eq!(state, "unknown", "{what}"),
            }
        }
        let out = shop.project.pipe(&["run", "--resume", "--yes"]).exits(6);
        for target in ["staging", "production"] {
            assert_eq!(shop.answers(target), None, "{what}: {}", out.stdout);
            assert_eq!(shop.told(target), ("nothing".into(), None), "{what}");
        }
        let locks = shop.project.run_git(&["for-each-ref", "refs/pipe/locks"]);
        assert_eq!(locks, "", "{what}");
    }
}

#[test]
fn killed_at_any_write_of_the_journal_it_is_put_right() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    if !crate::support::has_program("strace") {
        return skip("there is no `strace`");
    }
    let shop = Shop::new();
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    let mut version = 1;
    for call in ["fdatasync", "fsync", "write"] {
        for at in 1.. {
            version += 1;
            let name = version.to_string();
            shop.version(&name, Is::Good);
            let engine = shop.project.command(&["run", "deploy-staging", "--yes"]);
            let mut strace = std::process::Command::new("strace");
            let inject = format!("inject={call}:signal=KILL:when={at}");
            // Of the guardian's child the main thread writes the journal; programs that it starts are left alone.
            strace.args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={call}"),
            ]);
            strace.args(["-P", &shop.project.path(".pipe").display().to_string()]);
            let journal = shop
                .project
                .path(&format!(".pipe/runs/{}/journal", runs(&shop) + 1));
            strace.args(["-P", &journal.display().to_string(), "-e", &inject]);
            strace.arg(engine.get_program()).args(engine.get_args());
            strace.current_dir(shop.project.root()).env_clear();
            strace.envs(engine.get_envs().filter_map(|(k, v)| Some((k, v?))));
            let out = shop.project.output(&mut strace);
            let what = format!("{call} {at}");
            if out.code == Some(0) {
                break;
            }
            is_put_right(&shop, &name, &what);
        }
    }
    assert!(version > 4, "{version}");
}

fn runs(shop: &Shop) -> usize {
    let ids = std::fs::read_dir(shop.project.path(".pipe/runs")).unwrap();
    ids.flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<usize>().ok())
        .max()
        .unwrap_or(0)
}

/// The target in three states when the engine dies: still the old release, the new one, and something in between.
#[test]
fn killed_while_the_target_is_changed_the_target_is_asked() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let set = "./host.py set $PIPE_TARGET";
    let cases = [
        ("old", format!("touch there; sleep 600; {set}"), "1"),
        ("new", format!("{set}; touch there; sleep 600"), "2"),
        (
            "between",
            "PIPE_DIGEST_SHOP= ./host.py set $PIPE_TARGET; touch there; sleep 600".to_owned(),
            "1",
        ),
    ];
    for (state, apply, left) in cases {
        let shop = Shop::new();
        shop.version("1", Is::Good);
        let _ = shop.deploy().exits(0);
        shop.pipeline(&|text| {
            text.replacen(
                &format!("apply \"{set}\""),
                &format!("apply \"{apply}\""),
                1,
            )
        });
        shop.version("2", Is::Good);
        let run =
            Started::new(&shop.project, &["run", "deploy-staging", "--yes"]).until_there("there");
        if state == "new" {
            shop.until_answers("staging", "shop 2");
        }
        rustix::process::kill_process(run.engine(), Signal::KILL).unwrap();
        let _ = run.end();
        assert_eq!(
            shop.told("staging"),
            ("unknown".into(), Some("2".into())),
            "{state}"
        );
        // Somebody else's turn: the truth first, then their own.
        shop.pipeline(&|text| text.replacen(&apply, set, 1));
        shop.version("3", Is::Good);
        let out = shop.deploy().exits(0);
        let word = if left == "2" {
            "healthy"
        } else {
            "rolled back"
        };
        assert!(
            out.stdout
                .contains(&format!("the interrupted deployment is settled: {word}")),
            "{state}: {}",
            out.stdout
        );
        assert_eq!(
            shop.answers("staging").as_deref(),
            Some("shop 3"),
            "{state}"
        );
        let ledger = shop.ledger("staging");
        let settled = match left {
            "2" => "v2 is healthy",
            _ => "v2 failed, rolled back to v1: interrupted",
        };
        assert_eq!(ledger[3], settled, "{state}: {ledger:?}");
    }
}

#[test]
fn a_signal_takes_the_target_back_and_blames_nobody() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::new();
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    shop.version("2", Is::NeverReady);
    let run = Started::new(&shop.project, &["run", "deploy-staging", "--yes"]);
    wait_until("it answers", || {
        crate::network::get(shop.address("staging"), "/")
            .is_some_and(|(_, text)| text.contains("shop 2"))
    });
    run.signal(Signal::INT);
    let out = run.end().exits(130);
    assert_eq!(
        shop.answers("staging").as_deref(),
        Some("shop 1"),
        "{out:?}"
    );
    assert_eq!(shop.told("staging"), ("healthy".into(), Some("1".into())));
    let ledger = shop.ledger("staging");
    assert_eq!(
        ledger[3],
        "v2 failed, rolled back to v1: cancelled before it was ready"
    );
}
