//! `pipe prune`: what is old and wanted by nobody goes, when somebody says so.

use std::collections::BTreeMap;

use engine::ledger::{Bundle, ImageAt, Ledger, Outcome, Record, Way};
use engine::oci::place::Place;
use engine::oci::{Descriptor, Layout};

use super::copying::bring;
use super::images::{about, aged, at, folder, image, index, layout, numbered, wait};
use super::server::registry;
use crate::support::Project;

fn project(prefix: &str) -> Project {
    Project::with(&format!(
        "registry live \"{prefix}\" keep=\"3d\"\nregistry kept \"./kept\"\nimage app\nstage deliver {{\n    build app\n    push app to=live tag=\"v1\"\n    push app to=kept tag=\"v1\" as=also\n}}\n"
    ))
    .git()
}

/// Puts images of all kinds into a place.
fn fill(place: &Place, store: &Layout) -> Vec<Descriptor> {
    let old = aged(store, 1, 9);
    let parts = [aged(store, 2, 9), aged(store, 3, 1)];
    let images = vec![
        old.clone(),
        index(store, &parts),
        aged(store, 4, 5),
        aged(store, 5, 0),
        image(store, 6, &[10]),
    ];
    about(store, &old, "text/sbom");
    let tags: [&[&str]; 5] = [
        &["old", "older"],
        &["mixed"],
        &["live"],
        &["new"],
        &["ageless"],
    ];
    for (image, tags) in images.iter().zip(tags) {
        bring(&folder(store), place, image.digest, tags).unwrap();
    }
    images
}

/// A target that runs an image.
fn runs(project: &Project, image: &Descriptor) {
    let home = project.home().display().to_string();
    let env = |name: &str| match name {
        "HOME" => Some(home.clone()),
        name => std::env::var(name).ok(),
    };
    let ledger = Ledger::open(&project.root(), &env, false, "a test").unwrap();
    let at = ImageAt {
        repository: String::new(),
        digest: image.digest.to_string(),
    };
    let bundle = Bundle {
        images: BTreeMap::from([("app".to_owned(), at)]),
        ..Bundle::default()
    };
    let intent = Record::Intent {
        deployment: "d1".to_owned(),
        bundle,
        way: Way::Deploy,
        back: None,
        unmanaged: None,
        from_nothing: false,
        values: BTreeMap::new(),
    };
    ledger.note("staging", &intent).unwrap();
    let outcome = Record::Outcome {
        deployment: "d1".to_owned(),
        outcome: Outcome::Healthy,
    };
    ledger.note("staging", &outcome).unwrap();
}

fn tags(place: &Place) -> Vec<String> {
    let mut tags = wait(place.tags()).unwrap();
    tags.sort();
    tags.retain(|t| !t.starts_with("sha256-"));
    tags
}

#[test]
fn what_is_old_and_no_target_runs_is_shown_and_goes_when_that_is_said() {
    let Some(server) = registry() else { return };
    for there in [server.host(), "./registry".to_owned()] {
        let project = project(&there);
        let place = match there.starts_with('.') {
            true => folder(&Layout::at(&project.path("registry/app"))),
            false => at(&there, "app"),
        };
        let (_a, store) = layout();
        let images = fill(&place, &store);
        runs(&project, &images[2]);
        let shown = |args: &[&str]| {
            let out = project.pipe(args).exits(0);
            numbered(&out.whole()).replace(&there, "[there]")
        };
        let all = ["ageless", "live", "mixed", "new", "old", "older"];
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown(&["prune"]), @r#"
exit 0
--- stdout
live: keeps what no target runs for 3d
    keep   [there]/app:ageless  sha256:[short 0], does not say when it was made
    keep   [there]/app:live  sha256:[short 1], 5d old, staging runs it
    keep   [there]/app:mixed  sha256:[short 2], 1d old
    keep   [there]/app:new  sha256:[short 3], new
  - remove [there]/app:old  sha256:[short 4], 9d old
  - remove [there]/app:older  sha256:[short 4], 9d old
2 tags of 6 would go; nothing was removed
--- stderr
hint: `--yes` removes it
"#);
        }
        assert_eq!(tags(&place), all);
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown(&["prune", "live", "--yes"]).lines().last().unwrap(), @r#"
removed 2 tags of 6
"#);
        }
        assert_eq!(tags(&place), ["ageless", "live", "mixed", "new"]);
        assert_eq!(wait(place.referrers(&images[0].digest)).unwrap(), []);
        for image in &images[1..] {
            let (_b, to) = layout();
            bring(&place, &folder(&to), image.digest, &["1"]).unwrap();
        }
    }
}

#[test]
fn what_cannot_be_pruned_is_told() {
    let project = project("./registry");
    let told = |args: &[&str]| project.pipe(args).exits(2).whole();
    insta::assert_snapshot!(told(&["prune", "kept"]), @r#"
exit 2
--- stderr
error: `kept` has no `keep`, so nothing in it gets old
hint: write `keep="30d"` on it, or another duration
"#);
    insta::assert_snapshot!(told(&["prune", "nowhere"]), @r#"
exit 2
--- stderr
error: there is no registry `nowhere`
hint: there is live, kept
"#);
    let out = project.pipe(&["prune"]).exits(0);
    insta::assert_snapshot!(out.whole(), @r#"
exit 0
--- stdout
live: keeps what no target runs for 3d
nothing would go
"#);
    let project = Project::with("stage test { job unit { run \"true\" } }");
    insta::assert_snapshot!(project.pipe(&["prune"]).exits(0).whole(), @r#"
exit 0
--- stdout
no registry has `keep`, so nothing gets old
--- stderr
hint: `registry ghcr "ghcr.io/acme" keep="30d"` says how long images stay that no target runs
"#);
}

#[test]
fn without_the_ledger_nothing_goes() {
    let project = project("./registry");
    let place = folder(&Layout::at(&project.path("registry/app")));
    let (_a, store) = layout();
    fill(&place, &store);
    // A remote that nobody answers at may know of targets.
    project.run_git(&["remote", "add", "origin", "/nowhere/at/all"]);
    let out = project.pipe(&["prune", "--yes"]).exits(3);
    assert!(
        out.stderr.contains("nobody can say what targets run"),
        "{}",
        out.stderr
    );
    assert_eq!(tags(&place).len(), 6);
}
