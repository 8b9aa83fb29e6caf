//! Steps that cannot be ordered or never run, and deliveries that would hurt.

use super::{Case, ECS, ONCE, SNAPSHOT, SPLIT, SUPPLY, broken};

#[test]
fn dependencies_cannot_be_ordered() {
    broken(DEPENDENCIES_CANNOT_BE_ORDERED);
}

#[test]
fn conditions_never_hold() {
    broken(CONDITIONS_NEVER_HOLD);
}

#[test]
fn deliveries_would_hurt() {
    broken(DELIVERIES_WOULD_HURT);
}

const DEPENDENCIES_CANNOT_BE_ORDERED: &[Case] = &[
    (
        "cycle_of_two_jobs",
        "E501",
        ONCE,
        "        artifact dist \"apps/web/.next/**\"\n",
        "        needs e2e\n        artifact dist \"apps/web/.next/**\"\n",
    ),
    (
        "cycle_over_stages",
        "E501",
        ONCE,
        "job guardrails { run",
        "job guardrails { needs staging; run",
    ),
    (
        "cycle_of_references",
        "E501",
        SPLIT,
        "push app-dev to=dev tag=\"pr-${pr.number}\" { needs pytest }",
        "push app-dev to=dev tag=\"pr-${pr.number}\"\n    build base { needs push-app-dev }\n    job warm { container image=base; needs pytest; run \"true\" }\n    build app-dev-2 { needs warm }\n    job again { needs build-app-dev-2 app-dev-3; run \"true\" }\n    job app-dev-3 { needs again; run \"true\" }",
    ),
    (
        "itself",
        "E501",
        ONCE,
        "job lint { run",
        "job lint { needs lint; run",
    ),
    (
        "later_stage",
        "E301",
        SNAPSHOT,
        "push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"",
        "push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\" {\n        needs promote-release\n    }",
    ),
    (
        "ambiguous",
        "E302",
        SPLIT,
        "    job prune {\n",
        "    job prune {\n        after push-app\n",
    ),
    ("twice", "E303", ONCE, "job lint { run", "job unit { run"),
    (
        "two_pushes",
        "E303",
        SUPPLY,
        "    sign app keyless=#true\n",
        "    push app to=ghcr tag=edge\n    sign app keyless=#true\n",
    ),
    (
        "named_like_a_context",
        "E304",
        ONCE,
        "job guardrails {",
        "job env {",
    ),
];

const CONDITIONS_NEVER_HOLD: &[Case] = &[
    (
        "branch_of_a_tag",
        "W501",
        SNAPSHOT,
        "when event=push branch=main",
        "when event=tag branch=main",
    ),
    (
        "into_of_a_push",
        "W501",
        SPLIT,
        "when event=pull-request into=main",
        "when event=push into=main",
    ),
    ("empty_condition", "E205", ONCE, "when event=manual", "when"),
    (
        "never_together",
        "W503",
        SPLIT,
        "    job prune {\n",
        "    job prune {\n        needs deploy-staging\n",
    ),
];

const DELIVERIES_WOULD_HURT: &[Case] = &[
    (
        "image_never_deployed",
        "E602",
        SNAPSHOT,
        "    deploy book-shop to=dev\n",
        "",
    ),
    (
        "image_never_pushed",
        "E602",
        SNAPSHOT,
        "    push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"\n",
        "",
    ),
    (
        "latest_into_an_immutable_registry",
        "E604",
        ONCE,
        "tag=\"sha-${git.sha}\"",
        "tag=latest",
    ),
    (
        "no_readiness",
        "E605",
        SNAPSHOT,
        "    ready \"http://127.0.0.1:4000/health\" within=\"1m\"\n",
        "",
    ),
    (
        "rebuild_for_production",
        "E603",
        SPLIT,
        " rebuild=#true",
        "",
    ),
    (
        "not_accepted",
        "E611",
        SPLIT,
        "accept branch=main",
        "accept branch=trunk",
    ),
    (
        "two_drivers",
        "E609",
        SNAPSHOT,
        "container dev-app publish=\"4000:8000\" prune=#true",
        "container dev-app publish=\"4000:8000\" prune=#true\n    compose \"compose.yml\" dir=\"/srv/shop\"",
    ),
    (
        "no_driver",
        "E609",
        SNAPSHOT,
        "    container dev-app publish=\"4000:8000\" prune=#true\n",
        "",
    ),
    (
        "retention",
        "W601",
        SPLIT,
        "immutable=#true {",
        "immutable=#true keep=\"30d\" {",
    ),
    (
        "approval_by_the_author",
        "E607",
        ONCE,
        "by=ops",
        "by=author",
    ),
    (
        "no_way_back",
        "E606",
        SNAPSHOT,
        "container dev-app publish=\"4000:8000\" prune=#true",
        "run { apply \"./deploy.sh\" }",
    ),
    (
        "image_not_brought",
        "E601",
        ONCE,
        "deploy app migrator to=staging",
        "deploy app to=staging",
    ),
    (
        "no_tag",
        "E205",
        SNAPSHOT,
        " tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"",
        "",
    ),
    (
        "no_login_password",
        "E205",
        SPLIT,
        "login user=ci password=GITHUB_TOKEN",
        "login user=ci",
    ),
    (
        "promotion_to_a_registry",
        "E608",
        ONCE,
        "from=staging to=production {",
        "from=staging to=ghcr {",
    ),
    (
        "version_without_a_scheme",
        "E610",
        SPLIT,
        "version release calver=\"vYY.MM.DD.i\"",
        "version release",
    ),
    (
        "nothing_to_undo",
        "W502",
        SNAPSHOT,
        "stage snapshot {",
        "stage tidy rollback=reverse {\n    job tidy { run \"true\"; }\n}\n\nstage snapshot {",
    ),
    (
        "healthy_between_registries",
        "E608",
        SPLIT,
        "stage development {",
        "promotion out from=dev to=trusted {\n    images app-dev\n    require healthy for=\"30m\"\n}\nstage development {\n    promote out",
    ),
    (
        "signature_that_proves_nothing",
        "E208",
        SUPPLY,
        "sign app keyless=#true",
        "sign app keyless=#true log=#false",
    ),
    (
        "image_without_a_version",
        "W602",
        ECS,
        "container \"python:3.11-slim\"",
        "container \"python\"",
    ),
    (
        "unused_secret",
        "W301",
        SNAPSHOT,
        "secret EC2_SSH_KEY",
        "secret AWS_SECRET_ACCESS_KEY\nsecret EC2_SSH_KEY",
    ),
    (
        "undeclared_secret",
        "E301",
        SNAPSHOT,
        "secret EC2_SSH_KEY\n",
        "",
    ),
];
