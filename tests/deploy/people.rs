//! What people ask for and agree to: promotions with their requirements, approvals, rollbacks by hand; and two who come at
//! the same moment.

use super::shop::{Is, Shop, lacks};
use crate::started::Started;
use crate::support::skip;

#[test]
fn the_same_digest_goes_from_target_to_target_and_back() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::with(&|text| text.replace("    require healthy for=\"1s\"\n", ""));
    shop.version("1", Is::Good);
    let out = shop
        .project
        .pipe(&["promote", "to-production", "--yes"])
        .exits(5);
    assert!(
        out.stdout
            .contains("staging runs nothing that could be promoted"),
        "{}",
        out.stdout
    );
    let again = "   again      pipe promote to-production --yes\n";
    assert!(out.stdout.contains(again), "{}", out.stdout);
    let _ = shop.deploy().exits(0);
    let refused = shop.project.pipe(&["promote", "to-production"]).exits(5);
    insta::assert_snapshot!(refused.stderr, @r"
    error: nothing was begun; this would promote what staging runs to production
    hint: add `--yes` to say that it is meant
    ");
    let _ = shop
        .project
        .pipe(&["promote", "to-production", "--yes"])
        .exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
    shop.version("2", Is::Good);
    let _ = shop.deploy().exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
    // What is in the checkout now is not what is promoted.
    shop.version("3", Is::Good);
    let _ = shop
        .project
        .pipe(&["promote", "to-production", "--yes"])
        .exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 2"));
    let _ = shop
        .project
        .pipe(&["rollback", "production", "--yes"])
        .exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
    assert_eq!(
        shop.ledger("production"),
        [
            "promoting (to-production) v1",
            "v1 is healthy",
            "promoting (to-production) v2",
            "v2 is healthy",
            "going back to v1",
            "v1 is healthy",
        ]
    );
    // What was rolled back does not come again by itself, and may by hand.
    let out = shop.project.pipe(&["run", "production"]).exits(5);
    assert!(
        out.stderr.contains("would change the outside world"),
        "{out:?}"
    );
    let _ = shop
        .project
        .pipe(&["promote", "to-production", "--yes"])
        .exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 2"));
}

#[test]
fn a_protected_target_is_not_reached_by_a_deploy_from_a_laptop() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop =
        Shop::with(&|text| text.replace("target staging {", "target staging protected=#true {"));
    shop.version("1", Is::Good);
    let out = shop.deploy().exits(5);
    assert!(
        out.stdout.contains("staging is protected"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.answers("staging"), None);
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let rules = "    require healthy for=\"30d\"\n    require approval by=ops\n    require from-commit branch=release\n    require window from=\"00:00\" until=\"00:00\"\n";
    let shop = Shop::with(&|text| text.replace("    require healthy for=\"1s\"\n", rules));
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    let out = shop
        .project
        .pipe(&["promote", "to-production", "--yes"])
        .exits(5);
    let parts = [
        " and 30d are wanted",
        " has to be approved by ops",
        "there is no branch release here",
        "outside of the window from 00:00 until 00:00",
        "`pipe approve to-production`",
    ];
    for part in parts {
        assert!(out.stdout.contains(part), "{part}: {}", out.stdout);
    }
    assert_eq!(shop.answers("production"), None);
    assert_eq!(shop.told("production"), ("nothing".into(), None));
}

#[test]
fn a_run_waits_for_people_and_goes_on_when_they_agree() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::with(&|text| {
        text.replace(
            "    require healthy for=\"1s\"\n",
            "    require approval by=ops count=2 not=\"author\"\n",
        )
    });
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    let run = ["run", "production", "--yes"];
    let out = shop.project.pipe(&run).exits(4);
    assert!(
        out.stdout
            .contains(" has to be approved by 2 of ops, and 0 did"),
        "{}",
        out.stdout
    );
    assert!(out.stdout.contains("pipe run --resume=2"), "{}", out.stdout);
    let approve = |who: &str| {
        let by = [("GITHUB_ACTOR", who)];
        shop.project
            .pipe_env(&["approve", "to-production", "--yes"], &by)
            .exits(0)
    };
    let _ = approve("Grace");
    // Twice by one person is once, and the author's own does not count.
    let _ = approve("Grace");
    let _ = approve("Ada");
    let out = shop.project.pipe(&["run", "--resume=2"]).exits(4);
    assert!(
        out.stdout
            .contains("by 2 of ops, and 1 did; that of Ada does not count"),
        "{}",
        out.stdout
    );
    let _ = approve("Edsger");
    // The file has changed since: not what they agreed to.
    shop.project.write(
        "pipeline.kdl",
        &format!("{}\n// changed\n", shop.project.read("pipeline.kdl")),
    );
    let out = shop.project.pipe(&run).exits(4);
    assert!(out.stdout.contains("and 0 did"), "{}", out.stdout);
    shop.project
        .run_git(&["checkout", "-q", "--", "pipeline.kdl"]);
    let _ = shop.project.pipe(&["run", "--resume=2"]).exits(0);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
    // Another release is another thing.
    shop.version("2", Is::Good);
    let _ = shop.deploy().exits(0);
    let _ = shop.project.pipe(&run).exits(4);
    assert_eq!(shop.answers("production").as_deref(), Some("shop 1"));
}

#[test]
fn a_gate_in_a_stage_waits_for_exactly_this_commit() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::with(&|text| {
        text.replace("    deploy shop to=staging {", "    approve go-live by=ops\n    deploy shop to=staging {\n        needs approve-go-live")
    });
    shop.version("1", Is::Good);
    let out = shop.deploy().exits(4);
    assert!(
        out.stdout.contains("`pipe approve go-live`"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.answers("staging"), None);
    let unknown = shop.project.pipe(&["approve", "golive", "--yes"]).exits(2);
    assert!(
        unknown.stderr.contains("did you mean `go-live`?"),
        "{unknown:?}"
    );
    let _ = shop.project.pipe(&["approve", "go-live", "--yes"]).exits(0);
    let _ = shop.project.pipe(&["run", "--resume=1"]).exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    shop.version("2", Is::Good);
    let _ = shop.deploy().exits(4);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
}

#[test]
fn of_two_who_deploy_at_one_moment_one_goes_and_the_other_is_told_who() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::with(&|text| {
        text.replacen("apply \"./host.py set $PIPE_TARGET\"", "apply \"touch there; while ! test -e go; do sleep 0.05; done; ./host.py set $PIPE_TARGET\"", 1)
    });
    shop.version("1", Is::Good);
    let first =
        Started::new(&shop.project, &["run", "deploy-staging", "--yes"]).until_there("there");
    let second = shop.deploy().exits(5);
    assert!(
        second
            .stdout
            .contains("`staging` is being changed by run 1 on "),
        "{}",
        second.stdout
    );
    shop.project.write("go", "");
    let _ = first.end().exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    assert_eq!(shop.ledger("staging"), ["deploying v1", "v1 is healthy"]);
}

#[test]
fn a_lease_that_is_taken_from_outside_ends_a_deployment_that_leaves_everything_to_the_next_one() {
    if let Some(why) = lacks() {
        return skip(why);
    }
    let shop = Shop::new();
    let git = |args: &[&str]| shop.project.run_git(args).trim().to_owned();
    git(&["init", "-q", "--bare", "-b", "main", "../remote"]);
    git(&["remote", "add", "origin", "../remote"]);
    shop.version("1", Is::Good);
    let _ = shop.deploy().exits(0);
    shop.pipeline(&|text| text.replace("within=\"30s\"", "within=\"3s\""));
    shop.version("2", Is::NeverReady);
    let run = Started::new(&shop.project, &["run", "deploy-staging", "--yes"]);
    shop.until_answers("staging", "shop 2");
    // While it waits for readiness somebody rewrites the ref.
    let remote = |args: &[&str]| git(&[&["--git-dir", "../remote"], args].concat());
    let lock = "refs/pipe/locks/staging";
    let tree = format!("{lock}^{{tree}}");
    let other = remote(&["commit-tree", &tree, "-m", "taken"]);
    remote(&["update-ref", lock, &other]);
    let out = run.end().exits(7);
    let what = "the lease of staging was taken by another run";
    assert!(out.stdout.contains(what), "{}", out.stdout);
    // Nothing is undone and nothing recorded, and the lease of the other is left alone.
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 2"));
    let ledger = ["deploying v1", "v1 is healthy", "deploying v2"];
    assert_eq!(shop.ledger("staging"), ledger);
    assert_eq!(shop.told("staging").0, "unknown");
    assert_eq!(remote(&["rev-parse", lock]), other);

    shop.version("3", Is::Good);
    let out = shop.deploy().exits(0);
    let settled = "the interrupted deployment is settled: rolled back";
    assert!(out.stdout.contains(settled), "{}", out.stdout);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 3"));
}

#[test]
fn a_name_that_is_nearly_right_is_answered_with_the_right_one() {
    let shop = crate::support::Project::with("pipeline p\ntarget staging {\n    run { apply \"x\"; observe \"x\"; undo \"x\" }\n    ready tcp=\"localhost:1\"\n}\nstage s { deploy app to=staging { digest app=\"x\" } }\n").git();
    for args in [
        ["history", "stagin"],
        ["rollback", "stagin"],
        ["unlock", "stagin"],
        ["targets", "stagin"],
    ] {
        let out = shop.pipe(&args).exits(2);
        assert_eq!(
            out.stderr, "error: there is no target `stagin`\nhint: did you mean `staging`?\n",
            "{args:?}"
        );
    }
    let out = shop.pipe(&["promote", "x", "--yes"]).exits(2);
    assert_eq!(
        out.stderr,
        "error: there is no promotion `x`\nhint: the file declares no promotion\n"
    );
    let out = shop.pipe(&["rollback", "staging", "--yes"]).exits(5);
    assert_eq!(
        out.stderr,
        "error: staging has no earlier release that was healthy\nhint: `pipe history staging` shows what it had\n"
    );
    insta::assert_snapshot!(shop.pipe(&["targets"]).whole(), @"
    exit 0
    --- stdout
     staging  nothing  -
    ");
}
