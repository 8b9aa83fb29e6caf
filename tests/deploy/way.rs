//! The way of one deployment: what runs before, during and after, for each thing that can be wrong.

use super::shop::{Is, Shop, lacks};
use crate::support::{skip, wait_until};

/// A shop whose first version is deployed.
fn deployed() -> Shop {
    let shop = Shop::new();
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    shop
}

/// Bad releases need not be waited for as long as good ones on a busy machine.
fn soon(shop: &Shop, also: &str) {
    shop.pipeline(&|text| text.replace("within=\"30s\"", &format!("within=\"8s\"{also}")));
}

#[test]
fn what_was_asked_for_runs_and_is_recorded_with_who_and_when() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    shop.version("2", Is::Good);
    let client = shop.asking("staging");
    let _ = shop.deploy().exits(0);
    let saw = client.saw();
    assert_eq!(saw.first().map(String::as_str), Some("shop 1"), "{saw:?}");
    assert_eq!(saw.last().map(String::as_str), Some("shop 2"), "{saw:?}");
    assert_eq!(
        shop.ledger("staging"),
        [
            "deploying v1",
            "v1 is healthy",
            "deploying v2",
            "v2 is healthy"
        ]
    );
    assert_eq!(shop.told("staging"), ("healthy".into(), Some("2".into())));
    // Once more is nothing to do, and touches nothing.
    let client = shop.asking("staging");
    let again = shop.deploy().exits(0);
    assert_eq!(client.saw(), ["shop 2"]);
    assert!(
        again.stdout.contains("runs there already, and is ready"),
        "{}",
        again.stdout
    );
    assert_eq!(shop.ledger("staging").len(), 4);
}

#[test]
fn a_release_that_is_bad_is_undone_and_the_one_before_answers() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let cases = [
        (
            Is::NeverReady,
            "it was not ready within 8s: it answers 503 instead of 200",
            "",
        ),
        (Is::NeverStarts, "accepts no connection", ""),
        (
            Is::TurnsBad,
            "it was ready, and then not: it answers 500 instead of 200",
            " stable-for=\"5s\"",
        ),
    ];
    for (is, why, also) in cases {
        let shop = deployed();
        soon(&shop, also);
        shop.version("2", is);
        let client = shop.asking("staging");
        let out = shop.deploy().exits(6);
        let saw = client.saw();
        assert_eq!(saw.first().map(String::as_str), Some("shop 1"), "{saw:?}");
        assert_eq!(saw.last().map(String::as_str), Some("shop 1"), "{saw:?}");
        assert!(out.stdout.contains(why), "{why}: {}", out.stdout);
        assert!(out.stdout.contains("; rolled back to "), "{}", out.stdout);
        let ledger = shop.ledger("staging");
        assert_eq!(
            &ledger[..3],
            ["deploying v1", "v1 is healthy", "deploying v2"]
        );
        assert!(
            ledger[3].starts_with("v2 failed, rolled back to v1: "),
            "{ledger:?}"
        );
        assert_eq!(shop.told("staging"), ("healthy".into(), Some("1".into())));
        // Its mark stays: an event does not try the same again, and nothing is promoted by itself.
        let out = shop
            .project
            .pipe(&["run", "--event", "push", "--branch", "main"])
            .exits(5);
        assert!(
            out.stdout.contains(" has failed on staging before: "),
            "{}",
            out.stdout
        );
        assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    }
}

#[test]
fn the_whole_output_of_a_deployment_that_is_undone() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    soon(&shop, "");
    shop.version("2", Is::NeverReady);
    let out = shop.deploy().exits(6);
    let log = shop
        .project
        .run_git(&["log", "--format=%h %s", "--abbrev=7"]);
    let mut text = out.whole();
    for line in log.lines() {
        let (hash, subject) = line.split_once(' ').unwrap();
        text = text.replace(hash, &format!("[commit {subject}]"));
    }
    // How much of it fits depends on how long it took.
    let lines = text
        .lines()
        .map(|l| match l.split_once("failed deploy-staging  [t]  ") {
            Some((before, _)) => format!("{before}failed deploy-staging  [t]  …"),
            None => l.to_owned(),
        });
    let text = lines.collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @"
    exit 6
    --- stdout
     pipe 0.1.0  run 2  manual on main [commit 2]  2 steps
          passed pack  [t]
    deploy-staging | if it fails, it goes back to [commit 1]
    deploy-staging | failed: it was not ready within 8s: it answers 503 instead of 200
    deploy-staging | going back to [commit 1]
          failed deploy-staging  [t]  …

    ── deploy-staging ────────────────────────────────────────────────────────────
    if it fails, it goes back to [commit 1]
    failed: it was not ready within 8s: it answers 503 instead of 200
    going back to [commit 1]
    ── 3 lines ───────────────────────────────────────────────────────────────────
     it was not ready within 8s: it answers 503 instead of 200; rolled back to [commit 1]   defined at pipeline.kdl:28
     hint find out why; if it only needs longer, raise `within` of the target's `ready`

     rolled back  1 of 2 steps in [t] · 1 passed · 1 failed
       see all    pipe logs 2 deploy-staging
       again      pipe run deploy-staging --yes
    ");
}

#[test]
fn a_first_release_that_fails_leaves_nothing_running() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::with(&|text| text.replace("within=\"15s\"", "within=\"4s\""));
    soon(&shop, "");
    shop.version("1", Is::NeverReady);
    let out = shop.deploy().exits(6);
    assert!(
        out.stdout.contains("; nothing runs, as before"),
        "{}",
        out.stdout
    );
    wait_until("nothing runs", || shop.answers("staging").is_none());
    assert_eq!(shop.told("staging"), ("nothing".into(), None));
}

#[test]
fn a_platform_that_says_done_and_runs_the_old_release_is_found_out() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    // It takes the order, is ready, and the old release goes on: only the digests tell.
    shop.pipeline(&|text| {
        text.replace("apply \"./host.py set $PIPE_TARGET\"", "apply \"true\"")
            .replace(" version=\"${image.shop.digest}\"", "")
    });
    shop.version("2", Is::Good);
    let out = shop.deploy().exits(6);
    assert!(
        out.stdout.contains("what runs is not what was asked for: "),
        "{}",
        out.stdout
    );
    assert_eq!(shop.told("staging"), ("healthy".into(), Some("1".into())));
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
}

#[test]
fn an_undo_that_fails_locks_the_target_until_somebody_has_looked() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    soon(&shop, "");
    shop.pipeline(&|text| {
        text.replace(
            "undo \"./host.py set $PIPE_TARGET\"",
            "undo \"echo 'the disk is full' >&2; exit 3\"",
        )
    });
    shop.version("2", Is::NeverReady);
    let out = shop.deploy().exits(7);
    assert!(
        out.stdout
            .contains("its undo failed, too: exit 3: the disk is full; staging is locked"),
        "{}",
        out.stdout
    );
    assert!(
        out.stdout.contains("`pipe unlock staging`"),
        "{}",
        out.stdout
    );
    assert_eq!(
        shop.told("staging"),
        ("partly rolled back".into(), Some("2".into()))
    );
    // Nothing goes on by itself.
    shop.version("3", Is::Good);
    let out = shop.deploy().exits(5);
    assert!(
        out.stdout
            .contains("staging is locked, partly rolled back: "),
        "{}",
        out.stdout
    );
    // A person may go back: that is a deployment of the older release.
    let _ = shop
        .project
        .pipe(&["rollback", "staging", "--yes"])
        .exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    assert_eq!(shop.told("staging"), ("healthy".into(), Some("1".into())));
    let _ = shop.deploy().exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 3"));
}

#[test]
fn unlock_lets_the_next_deployment_go_on() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    soon(&shop, "");
    shop.pipeline(&|text| text.replace("undo \"./host.py set $PIPE_TARGET\"", "undo \"exit 3\""));
    shop.version("2", Is::NeverReady);
    let _ = shop.deploy().exits(7);
    let refused = shop.project.pipe(&["unlock", "staging"]).exits(5);
    assert!(
        refused
            .stderr
            .contains("nothing was changed; this would lift the lock (partly rolled back)"),
        "{refused:?}"
    );
    let out = shop
        .project
        .pipe(&["unlock", "staging", "--yes", "--why", "put right"])
        .exits(0);
    assert_eq!(
        out.stdout,
        " staging: lifted the lock (partly rolled back)\n"
    );
    shop.version("3", Is::Good);
    let _ = shop.deploy().exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 3"));
}

#[test]
fn where_nobody_can_say_what_runs_the_target_is_locked_as_unknown() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    shop.pipeline(&|text| {
        text.replace(
            "observe \"./host.py show $PIPE_TARGET\"",
            "observe \"test ! -e cut; ./host.py show $PIPE_TARGET\"",
        )
        .replace(
            "apply \"./host.py set $PIPE_TARGET\"",
            "apply \"./host.py set $PIPE_TARGET; touch cut\"",
        )
    });
    shop.version("2", Is::Good);
    let out = shop.deploy().exits(7);
    assert!(
        out.stdout
            .contains("nobody knows what staging runs, and it is locked"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.told("staging").0, "unknown");
    let _ = shop.deploy().exits(5);
}

#[test]
fn a_target_that_has_no_rollback_on_purpose_stays_where_it_is() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    soon(&shop, "");
    shop.pipeline(&|text| {
        text.replace(
            "target staging {",
            "target staging {\n    no-rollback \"a preview\"",
        )
    });
    shop.version("2", Is::NeverReady);
    let _ = shop.deploy().exits(1);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 2"));
    assert_eq!(shop.told("staging"), ("failed".into(), Some("2".into())));
}

#[test]
fn own_commands_of_the_step_undo_it_where_it_has_some() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    soon(&shop, "");
    shop.pipeline(&|text| {
        text.replace(
            "        digest shop=",
            "        rollback { run \"echo back to $PIPE_BUNDLE > undone; ./host.py set $PIPE_TARGET\" }\n        digest shop=",
        )
    });
    shop.version("2", Is::NeverReady);
    let _ = shop.deploy().exits(6);
    assert!(shop.project.read("undone").starts_with("back to "));
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
}

/// Both targets in one stage, which fails where there is a file `broken`.
pub fn in_one_stage() -> Shop {
    Shop::with(&|text| {
        let text = text.replace("protected=#true ", "");
        let (before, _) = text.split_once("promotion to-production").unwrap();
        let stage = "stage all rollback=reverse {\n    job pack {\n        run \"mkdir -p builds\"\n        run \"hash=$(sha256sum shop.py | cut -d' ' -f1); cp shop.py builds/$hash.py; echo digest=sha256:$hash >> $PIPE_OUTPUT\"\n    }\n    deploy shop to=staging { digest shop=\"${pack.outputs.digest}\" }\n    deploy shop to=production { needs deploy-staging; digest shop=\"${pack.outputs.digest}\" }\n    job smoke { needs deploy-production; run \"test ! -e broken\" }\n}\n";
        format!("{before}{stage}")
    })
}

#[test]
fn a_first_release_is_taken_away_when_its_stage_fails_later() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = in_one_stage();
    shop.version("1", Is::Good);
    shop.project.write("broken", "");
    let _ = shop.project.pipe(&["run", "all", "--yes"]).exits(6);
    let why = "a later step of its run failed";
    for target in ["staging", "production"] {
        assert_eq!(shop.answers(target), None);
        assert_eq!(shop.told(target), ("nothing".into(), None));
        assert_eq!(
            shop.ledger(target),
            [
                "deploying v1".to_owned(),
                "v1 is healthy".to_owned(),
                "taking away v1".to_owned(),
                format!("v1 failed, rolled back to nothing: {why}"),
            ]
        );
    }
    // It was not to blame.
    std::fs::remove_file(shop.project.path("broken")).unwrap();
    let _ = shop.project.pipe(&["run", "all", "--yes"]).exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
}

#[test]
fn a_later_failure_of_the_stage_takes_every_target_back() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = in_one_stage();
    shop.version("1", Is::Good);
    let _ = shop.project.pipe(&["run", "all", "--yes"]).exits(0);
    shop.version("2", Is::Good);
    shop.project.write("broken", "");
    let out = shop.project.pipe(&["run", "all", "--yes"]).exits(6);
    for target in ["staging", "production"] {
        assert_eq!(
            shop.answers(target).as_deref(),
            Some("shop 1"),
            "{}",
            out.stdout
        );
        assert_eq!(shop.told(target), ("healthy".into(), Some("1".into())));
        assert_eq!(
            shop.ledger(target)[2..],
            [
                "deploying v2",
                "v2 is healthy",
                "going back to v1",
                "v1 is healthy"
            ]
        );
    }
}

#[test]
fn without_a_journal_or_a_ledger_nothing_is_begun() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = deployed();
    shop.version("2", Is::Good);
    // The ledger cannot be written.
    let lock = shop.project.path(".git/refs/pipe/targets/staging.lock");
    std::fs::write(&lock, "").unwrap();
    let _ = shop.deploy().exits(3);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(shop.ledger("staging"), ["deploying v1", "v1 is healthy"]);
    // The journal cannot be written.
    std::fs::rename(shop.project.path(".pipe"), shop.project.path(".before")).unwrap();
    shop.project.write(".pipe", "");
    let out = shop.deploy();
    assert_ne!(out.code, Some(0), "{out:?}");
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    assert_eq!(shop.ledger("staging"), ["deploying v1", "v1 is healthy"]);
}
