//! Names and words that are mistyped, or that other tools use.

use super::{Case, ECS, ONCE, SHARED, SNAPSHOT, SPLIT, SUPPLY, broken};

#[test]
fn names_are_mistyped() {
    broken(NAMES_ARE_MISTYPED);
}

#[test]
fn words_are_mistyped() {
    broken(WORDS_ARE_MISTYPED);
}

#[test]
fn words_come_from_other_tools() {
    broken(WORDS_COME_FROM_OTHER_TOOLS);
}

const NAMES_ARE_MISTYPED: &[Case] = &[
    (
        "registry",
        "E301",
        SPLIT,
        "push app-dev to=dev",
        "push app-dev to=dv",
    ),
    (
        "registry_of_the_only_push",
        "E301",
        SNAPSHOT,
        "to=ecr tag=",
        "to=erc tag=",
    ),
    (
        "target",
        "E301",
        SPLIT,
        "deploy app to=production",
        "deploy app to=prodution",
    ),
    (
        "target_of_like",
        "E301",
        SPLIT,
        "like=staging",
        "like=stagging",
    ),
    (
        "secret",
        "E301",
        SPLIT,
        "password=GCP_SA_KEY",
        "password=GCP_KEY",
    ),
    (
        "secret_of_a_job",
        "E301",
        ECS,
        "secrets CODECOV_TOKEN",
        "secrets CODCOV_TOKEN",
    ),
    (
        "image",
        "E301",
        SPLIT,
        "container image=app-dev",
        "container image=app-def",
    ),
    (
        "image_in_a_push",
        "E301",
        ONCE,
        "push app migrator",
        "push app migrater",
    ),
    (
        "image_in_a_promotion",
        "E301",
        SNAPSHOT,
        "images book-shop",
        "images bookshop",
    ),
    (
        "version",
        "E406",
        SPLIT,
        "${version.release}",
        "${version.realease}",
    ),
    (
        "version_of_a_release",
        "E301",
        SUPPLY,
        "release next",
        "release nxt",
    ),
    (
        "promotion",
        "E301",
        ONCE,
        "promote to-production",
        "promote to-prod",
    ),
    (
        "step",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs pytset }",
    ),
    (
        "step_named_without_its_verb",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs app-dv }",
    ),
    (
        "artifact",
        "E504",
        ONCE,
        "artifact dist from=build",
        "artifact dits from=build",
    ),
    (
        "leg",
        "E503",
        SHARED,
        "needs cross os=linux",
        "needs cross os=windows",
    ),
    (
        "axis",
        "E503",
        SHARED,
        "needs cross os=linux",
        "needs cross system=linux",
    ),
    (
        "template",
        "E301",
        SPLIT,
        "use std.backport",
        "use std.bakport",
    ),
    (
        "template_without_its_namespace",
        "E301",
        SPLIT,
        "use std.backport",
        "use backport",
    ),
    (
        "template_parameter",
        "E307",
        SPLIT,
        "from=hotfix into=main",
        "from=hotfix to=main",
    ),
];

const WORDS_ARE_MISTYPED: &[Case] = &[
    ("node", "E201", SPLIT, "build app-dev", "biuld app-dev"),
    (
        "node_at_the_top",
        "E201",
        SUPPLY,
        "version next",
        "verison next",
    ),
    ("stage", "E201", SNAPSHOT, "stage snapshot", "stge snapshot"),
    (
        "property",
        "E202",
        SPLIT,
        "immutable=#true",
        "imutable=#true",
    ),
    ("word", "E208", SPLIT, "event=schedule", "event=cron"),
    (
        "word_of_another_tool",
        "E208",
        SNAPSHOT,
        "event=push branch=main",
        "event=merge branch=main",
    ),
    ("engine", "E208", SPLIT, "engine=podman", "engine=podmna"),
    ("field", "E402", SNAPSHOT, "${git.short-sha}", "${git.sha7}"),
    ("context", "E402", SUPPLY, "${pr.number}", "${pull.number}"),
    (
        "function",
        "E403",
        ECS,
        "${git.branch.slug}",
        "${git.branch.slugify}",
    ),
    (
        "variable_without_context",
        "E402",
        ONCE,
        "sha-${git.sha}",
        "sha-${GITHUB_SHA}",
    ),
];

const WORDS_COME_FROM_OTHER_TOOLS: &[Case] = &[
    (
        "script",
        "E201",
        ONCE,
        "job lint { run \"pnpm lint\" }",
        "job lint { script \"pnpm lint\" }",
    ),
    (
        "depends_on",
        "E201",
        SPLIT,
        "{ needs pytest }",
        "{ depends_on pytest }",
    ),
    (
        "image_of_a_job",
        "E201",
        ECS,
        "container \"python:3.11-slim\"",
        "image \"python:3.11-slim\"",
    ),
    (
        "only",
        "E201",
        ONCE,
        "when event=manual",
        "only event=manual",
    ),
    (
        "steps",
        "E201",
        ONCE,
        "job typecheck { run \"pnpm typecheck\" }",
        "job typecheck { steps { run \"pnpm typecheck\" } }",
    ),
    ("jobs", "E201", ONCE, "job unit {", "jobs unit {"),
    (
        "runs_on",
        "E201",
        ECS,
        "container \"python:3.11-slim\"",
        "runs-on \"ubuntu-latest\"",
    ),
    (
        "environment_variables",
        "E201",
        ONCE,
        "env DATABASE_URL=",
        "variables DATABASE_URL=",
    ),
    ("services", "E201", ONCE, "service redis", "services redis"),
    (
        "continue_on_error",
        "E201",
        ECS,
        "allow-failure\n",
        "continue-on-error #true\n",
    ),
    (
        "environment",
        "E201",
        ONCE,
        "target staging {",
        "environment staging {",
    ),
    (
        "timeout_of_readiness",
        "E202",
        ONCE,
        "within=\"2m\"",
        "timeout=\"2m\"",
    ),
];
