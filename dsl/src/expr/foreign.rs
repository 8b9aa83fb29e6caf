//! References as other tools write them, and what they are here.

/// Their name and our reference.
const REFERENCES: &[(&str, &str)] = &[
    ("BUILDKITE_BRANCH", "git.branch"),
    ("BUILDKITE_COMMIT", "git.sha"),
    ("BUILDKITE_TAG", "git.tag"),
    ("CI_COMMIT_BRANCH", "git.branch"),
    ("CI_COMMIT_REF_NAME", "git.branch"),
    ("CI_COMMIT_REF_SLUG", "git.branch.slug"),
    ("CI_COMMIT_SHA", "git.sha"),
    ("CI_COMMIT_SHORT_SHA", "git.short-sha"),
    ("CI_COMMIT_TAG", "git.tag"),
    ("CI_MERGE_REQUEST_IID", "pr.number"),
    ("CI_PIPELINE_ID", "run.id"),
    ("GITHUB_BASE_REF", "pr.target"),
    ("GITHUB_HEAD_REF", "pr.source"),
    ("GITHUB_REF", "git.ref"),
    ("GITHUB_REF_NAME", "git.branch"),
    ("GITHUB_RUN_ID", "run.id"),
    ("GITHUB_RUN_NUMBER", "run.id"),
    ("GITHUB_SHA", "git.sha"),
    ("GIT_BRANCH", "git.branch"),
    ("GIT_COMMIT", "git.sha"),
    ("github.actor", "git.author"),
    ("github.base_ref", "pr.target"),
    ("github.event.number", "pr.number"),
    ("github.event.pull_request.number", "pr.number"),
    ("github.head_ref", "pr.source"),
    ("github.ref", "git.ref"),
    ("github.ref_name", "git.branch"),
    ("github.run_id", "run.id"),
    ("github.run_number", "run.id"),
    ("github.sha", "git.sha"),
];

/// What to write instead of another tool's reference.
pub(super) fn help(theirs: &str) -> Option<String> {
    if let Some((_, ours)) = REFERENCES.iter().find(|(t, _)| *t == theirs) {
        return Some(format!("write `${{{ours}}}`"));
    }
    let parts: Vec<&str> = theirs.split('.').collect();
    match parts.as_slice() {
        ["secrets", name] => Some(format!(
            "name it in the job, `secrets {name}`; its commands then have it as the variable `{name}`"
        )),
        ["vars" | "inputs", name] => Some(format!(
            "declare a parameter, `param {name}`, and write `${{param.{name}}}`"
        )),
        ["needs" | "steps", step, "outputs", name] => {
            Some(format!("write `${{{step}.outputs.{name}}}`"))
        }
        ["env" | "matrix", name] => Some(format!("write `${{{}.{name}}}`", parts[0])),
        _ => None,
    }
}
