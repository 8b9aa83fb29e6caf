//! Changes in real repositories.

use super::*;
use crate::world::{
    context::{Flags, PullRequest},
    testing::Place,
};

fn changed(place: &Place, event: Event, edit: impl FnOnce(&mut Context)) -> Changed {
    let (mut context, _) = place.context(&[], &Flags::default());
    context.event = event;
    edit(&mut context);
    changed_paths(&place.git(), &context)
}

fn known(paths: &[&str]) -> Changed {
    Changed::Known(paths.iter().map(|&path| path.to_owned()).collect())
}

fn unknown(why: &str) -> Changed {
    Changed::Unknown(why.to_owned())
}

/// Makes the pull request go into a branch.
fn into(target: &str) -> impl FnOnce(&mut Context) {
    let target = Some(target.to_owned());
    |context| {
        context.pr = Some(PullRequest {
            target,
            ..PullRequest::default()
        });
    }
}

/// A clone in `work2`, on the branch `fix` with one commit, beside two commits on `main`.
fn clone_with_branch() -> Place {
    let place = Place::repository();
    place.run(&["clone", "--quiet", ".", "../work2"]);
    place.commit("on-main", "main moves on");
    let place = place.at("work2");
    place.run(&["checkout", "--quiet", "-b", "fix"]);
    place.commit("src/fix", "fix");
    place.run(&["fetch", "--quiet", "origin"]);
    place
}

/// A shallow clone in `shallow` of the whole of `work`.
fn shallow_clone(place: Place) -> Place {
    let from = format!("file://{}", place.root().display());
    place.run(&["clone", "--quiet", "--depth=1", &from, "../shallow"]);
    place.at("shallow")
}

#[test]
fn a_pull_request_changed_what_its_branch_did_since_it_left_the_target() {
    let place = clone_with_branch();
    assert_eq!(
        changed(&place, Event::PullRequest, into("main")),
        known(&["src/fix"])
    );
}

#[test]
fn a_trial_merge_changed_what_its_first_parent_lacks() {
    let place = clone_with_branch();
    place.run(&["checkout", "--quiet", "--detach", "origin/main"]);
    place.run(&["merge", "--quiet", "--no-ff", "-m", "trial", "fix"]);
    let expected = known(&["src/fix"]);
    assert_eq!(changed(&place, Event::PullRequest, into("main")), expected);
    for branch in ["origin/main", "origin/HEAD"] {
        place.run(&["branch", "--remotes", "--delete", branch]);
    }
    place.run(&["branch", "-D", "main"]);
    let merge = |context: &mut Context| {
        into("main")(context);
        context.git.git_ref = Some("refs/pull/3/merge".into());
    };
    assert_eq!(changed(&place, Event::PullRequest, merge), expected);
}

#[test]
fn a_target_that_was_not_fetched_comes_with_the_remedy_of_its_ci() {
    let place = shallow_clone(Place::repository());
    let github = |context: &mut Context| {
        into("release")(context);
        context.provider = Some(Provider::GitHub);
    };
    assert_eq!(
        changed(&place, Event::PullRequest, github),
        unknown(
            "the target branch `release` is not in this clone: check out with `fetch-depth: 0`"
        )
    );
    assert_eq!(
        changed(&place, Event::PullRequest, |_| ()),
        unknown("the target branch is not known: give it with `--into`")
    );
}

#[test]
fn a_target_with_the_look_of_an_option_is_no_option() {
    let place = Place::repository();
    assert_eq!(
        changed(&place, Event::PullRequest, into("--output=PWNED")),
        unknown(
            "the target branch `--output=PWNED` is not in this clone: run `git fetch origin`, or \
             name another commit with `--base`"
        )
    );
    assert_eq!(
        changed(&place, Event::Tag, |context| context.base =
            Some("--output=PWNED".into())),
        unknown(
            "`--output=PWNED` is not in this clone: run `git fetch origin`, or name another commit with `--base`"
        )
    );
    assert!(!place.root().join("PWNED").exists());
}

#[test]
fn a_push_changed_what_differs_from_the_commit_before() {
    let place = Place::repository();
    let before = place.head();
    place.commit("a", "one");
    place.commit("b", "two");
    place.run(&["mv", "README", "docs"]);
    place.run(&["commit", "--quiet", "--all", "--message", "rename"]);
    let since = |context: &mut Context| context.base = Some(before);
    assert_eq!(
        changed(&place, Event::Push, since),
        known(&["README", "a", "b", "docs"])
    );
    assert_eq!(
        changed(&place, Event::Push, |_| ()),
        known(&["README", "docs"])
    );
}

#[test]
fn a_forced_push_changed_also_what_only_the_old_commits_had() {
    let place = Place::repository();
    let before = place.commit("gone", "old");
    place.run(&["reset", "--quiet", "--hard", "HEAD^"]);
    place.commit("new", "new");
    let since = |context: &mut Context| context.base = Some(before);
    assert_eq!(changed(&place, Event::Push, since), known(&["gone", "new"]));
}

#[test]
fn a_new_branch_in_a_ci_is_compared_with_the_default_branch() {
    let place = clone_with_branch();
    place.commit("src/more", "more");
    let ci = |context: &mut Context| context.provider = Some(Provider::GitLab);
    assert_eq!(
        changed(&place, Event::Push, ci),
        known(&["src/fix", "src/more"])
    );
}

#[test]
fn the_first_commit_changed_everything() {
    assert_eq!(
        changed(&Place::repository(), Event::Push, |_| ()),
        known(&["README"])
    );
}

#[test]
fn a_shallow_clone_does_not_pass_for_a_first_commit() {
    let place = Place::repository();
    let before = place.head();
    place.commit("a", "one");
    let place = shallow_clone(place);
    let why = "the commit before this one is not in this clone: run `git fetch --unshallow origin`";
    assert_eq!(changed(&place, Event::Push, |_| ()), unknown(why));
    let gitlab = |context: &mut Context| {
        context.provider = Some(Provider::GitLab);
        context.base = Some(before);
    };
    let why = "the commit before the push is not in this clone: set `GIT_DEPTH: 0`";
    assert_eq!(changed(&place, Event::Push, gitlab), unknown(why));
}

#[test]
fn a_manual_run_changed_also_what_is_not_committed() {
    let place = clone_with_branch();
    place.write(".gitignore", "ignored\n");
    place.write("ignored", "");
    place.write("untracked \"ä\"\n", "");
    place.write("README", "edited");
    assert_eq!(
        changed(&place, Event::Manual, |_| ()),
        known(&[".gitignore", "README", "src/fix", "untracked \"ä\"\n"])
    );
    place.run(&["branch", "--quiet", "--set-upstream-to=fix"]);
    assert_eq!(
        changed(&place, Event::Manual, |context| context.base =
            Some("HEAD".into())),
        known(&[".gitignore", "README", "untracked \"ä\"\n"])
    );
}

#[test]
fn a_manual_run_without_anything_to_compare_with_asks_for_a_base() {
    assert_eq!(
        changed(&Place::repository(), Event::Manual, |_| ()),
        unknown("there is no upstream and no default branch to compare with: give `--base`")
    );
}

#[test]
fn a_schedule_has_nothing_to_compare_with() {
    assert_eq!(
        changed(&Place::repository(), Event::Schedule, |_| ()),
        unknown("the event `schedule` has nothing to compare with: give `--base`")
    );
}

#[test]
fn paths_are_relative_to_the_pipeline_and_others_are_left_out() {
    let place = Place::repository();
    place.write("app/x", "");
    place.commit("app/src/y", "inside");
    place.run(&["add", "--all"]);
    place.commit("lib/z", "outside");
    let place = place.at("work/app");
    let base = |context: &mut Context| context.base = Some("HEAD~2".into());
    place.write("new", "");
    assert_eq!(
        changed(&place, Event::Manual, base),
        known(&["new", "src/y", "x"])
    );
}

#[test]
fn histories_with_nothing_in_common_are_unknown() {
    let place = Place::repository();
    let main = place.head();
    place.run(&["checkout", "--quiet", "--orphan", "island"]);
    place.commit("island", "alone");
    let why = format!("HEAD and {main} have no history in common: give `--base`");
    let base = |context: &mut Context| context.base = Some("main".into());
    assert_eq!(changed(&place, Event::Tag, base), unknown(&why));
}

#[test]
fn a_missing_repository_is_the_reason() {
    let place = Place::empty();
    let root = place.root().display();
    let why = format!(
        "`{root}` is not in a git repository (run `git init`, or check the repository out)"
    );
    for event in [Event::Push, Event::Manual] {
        assert_eq!(changed(&place, event, |_| ()), unknown(&why));
    }
    assert_eq!(
        changed(&place, Event::PullRequest, into("main")),
        unknown(&why)
    );
}
