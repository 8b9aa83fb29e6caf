//! GitHub, asked through its own program: `gh` knows the repository and the login. Knows no releases and no rules.

use std::ffi::OsString;

use super::environment::Environment;
use super::task::Try;
use super::work::{self, NotDone};
use crate::process::{Exit, Spec};
use crate::promote::checks::{Check, read};

/// What `gh` gets of the environment of pipe: who it is, and where GitHub is.
const PASSED: [&str; 6] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GH_HOST",
    "GH_REPO",
    "GH_CONFIG_DIR",
];
/// Checks and, from before there were checks, statuses: a line for each.
/// <https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference>,
/// <https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference>
const CHECKS: [(&str, &str); 2] = [
    (
        "check-runs",
        ".check_runs[] | [.status, .conclusion // \"\", .details_url // \"\", .name] | @tsv",
    ),
    (
        "status",
        ".statuses[] | [if .state == \"pending\" then .state else \"completed\" end, .state, .target_url // \"\", .context] | @tsv",
    ),
];
/// The most that is read of an answer, in bytes.
const MOST: usize = 1 << 20;

/// A call of `gh`; operands come last.
pub(super) fn gh(a_try: &Try<'_>, args: &[&str], operands: &[&str]) -> Spec {
    let mut env = Environment::named(PASSED.into_iter());
    env.set("GH_PROMPT_DISABLED", "1");
    env.set("GH_NO_UPDATE_NOTIFIER", "1");
    let mut vars = env.vars();
    // What the step has of its own, its secrets among it, comes last and counts.
    vars.extend(a_try.work.env.vars());
    let args = args.iter().chain(operands);
    Spec {
        program: "gh".into(),
        args: args.map(OsString::from).collect(),
        cwd: a_try.site.root.clone(),
        env: vars,
        marker: work::marker(a_try.site),
    }
}

/// The checks of a commit without those of this very run, which cannot wait for itself; or why nobody knows them.
///
/// # Errors
/// When the step is to end.
pub(super) async fn checks(
    commit: &str,
    a_try: &mut Try<'_>,
) -> Result<Result<Vec<Check>, String>, NotDone> {
    let own = std::env::var("GITHUB_RUN_ID")
        .ok()
        .filter(|id| !id.is_empty());
    let own = own.map(|id| format!("/actions/runs/{id}/"));
    let mut found = Vec::new();
    for (what, query) in CHECKS {
        let address = format!("repos/{{owner}}/{{repo}}/commits/{commit}/{what}");
        let call = gh(
            a_try,
            &["api", "--paginate", "--jq", query],
            &["--", &address],
        );
        let mut text = Vec::new();
        let mut look = |bytes: &[u8]| {
            let room = MOST.saturating_sub(text.len());
            text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        let exit = match a_try.program(&call, &mut look).await {
            Ok(exit) => exit,
            Err(NotDone::NotBegun(failure)) => return Ok(Err(failure.what)),
            Err(other) => return Err(other),
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        if exit != Exit::Code(0) {
            let mut lines = text.lines().rev().filter(|l| !l.trim().is_empty());
            let last = lines.next().unwrap_or("gh does not say why").trim();
            return Ok(Err(last.to_owned()));
        }
        let not_own = |check: &Check| own.as_ref().is_none_or(|own| !check.address.contains(own));
        found.extend(read(&text).into_iter().filter(not_own));
    }
    Ok(Ok(found))
}
