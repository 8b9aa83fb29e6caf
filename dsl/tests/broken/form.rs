//! Things in the wrong place or form, and text that is not KDL.

use super::{Case, ECS, ONCE, SHARED, SNAPSHOT, SPLIT, SUPPLY, broken};

#[test]
fn things_stand_in_the_wrong_place() {
    broken(THINGS_STAND_IN_THE_WRONG_PLACE);
}

#[test]
fn values_have_the_wrong_form() {
    broken(VALUES_HAVE_THE_WRONG_FORM);
}

#[test]
fn the_text_is_not_kdl() {
    broken(THE_TEXT_IS_NOT_KDL);
}

const THINGS_STAND_IN_THE_WRONG_PLACE: &[Case] = &[
    (
        "registry_in_a_stage",
        "E201",
        SNAPSHOT,
        "    deploy book-shop to=dev",
        "    registry hub \"docker.io/acme\"\n    deploy book-shop to=dev",
    ),
    (
        "job_at_the_top",
        "E201",
        SNAPSHOT,
        "stage snapshot {",
        "job lint { run \"make lint\" }\nstage snapshot {",
    ),
    (
        "run_in_a_stage",
        "E201",
        SNAPSHOT,
        "    promote release",
        "    run \"make\"\n    promote release",
    ),
    (
        "child_as_a_property",
        "E202",
        ONCE,
        "job lint {",
        "job lint timeout=\"5m\" {",
    ),
    (
        "property_as_a_child",
        "E201",
        SPLIT,
        "push app-dev to=dev tag=\"pr-${pr.number}\" { needs pytest }",
        "push app-dev tag=\"pr-${pr.number}\" {\n        to dev\n        needs pytest\n    }",
    ),
    (
        "name_as_a_property",
        "E202",
        ONCE,
        "job guardrails {",
        "job name=guardrails {",
    ),
    (
        "tag_as_a_list",
        "E202",
        ECS,
        "push app to=ghcr {",
        "push app to=ghcr tags=\"edge\" {",
    ),
    (
        "condition_as_a_list",
        "E201",
        SNAPSHOT,
        "when event=push branch=dev",
        "when { event push; branch dev }",
    ),
    (
        "two_names",
        "E204",
        SNAPSHOT,
        "stage release {",
        "stage release production {",
    ),
    ("no_name", "E203", SNAPSHOT, "stage release {", "stage {"),
    (
        "ready_in_the_driver",
        "E201",
        ONCE,
        "        up app\n",
        "        up app\n        ready \"http://127.0.0.1:3000/api/ready\"\n",
    ),
];

const VALUES_HAVE_THE_WRONG_FORM: &[Case] = &[
    (
        "duration_as_a_number",
        "E208",
        ECS,
        "timeout \"20m\"",
        "timeout 20",
    ),
    (
        "duration_in_words",
        "E208",
        ONCE,
        "for=\"30m\"",
        "for=\"30 minutes\"",
    ),
    (
        "secret_of_github_in_a_variable",
        "E402",
        ONCE,
        "RATE_LIMIT_BACKEND=\"redis\"",
        "RATE_LIMIT_BACKEND=\"${{ secrets.BACKEND }}\"",
    ),
    (
        "boolean_in_quotes",
        "E208",
        SPLIT,
        "immutable=#true",
        "immutable=\"true\"",
    ),
    (
        "path_that_leads_out",
        "E208",
        SNAPSHOT,
        "from=\"pyproject.toml\"",
        "from=\"../pyproject.toml\"",
    ),
    (
        "comma_string",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs \"pytest,app-dev\" }",
    ),
    (
        "version_as_a_number",
        "E208",
        SHARED,
        "rust stable beta",
        "rust 1.95 1.10",
    ),
    (
        "value_in_a_script",
        "E405",
        SPLIT,
        "run \"pytest -q\"",
        "run \"pytest -q --junit ${git.short-sha}.xml\"",
    ),
    (
        "two_commands_in_one_run",
        "E407",
        SPLIT,
        "run \"pytest -q\"",
        "run \"uv sync\" \"pytest -q\"",
    ),
    (
        "unclosed_reference",
        "E401",
        SNAPSHOT,
        "${git.short-sha}",
        "${git.short-sha",
    ),
    (
        "secret_of_github",
        "E402",
        SPLIT,
        "tag=\"pr-${pr.number}\"",
        "tag=\"pr-${{ github.event.number }}\"",
    ),
    (
        "tag_with_a_slash",
        "E208",
        SPLIT,
        "staging-${git.short-sha}",
        "staging/latest",
    ),
    (
        "tag_with_a_branch",
        "E208",
        ECS,
        "\"sha-${git.short-sha}\"",
        "\"release/${git.short-sha}\"",
    ),
    (
        "matrix_too_large",
        "E502",
        SHARED,
        "os linux macos",
        "os a b c d e f g h i j k l m n o p q r s t u v w x y z\n            py \"3.9\" \"3.10\" \"3.11\" \"3.12\" \"3.13\"\n            db pg my lite",
    ),
    (
        "scheme_in_a_registry",
        "E208",
        SNAPSHOT,
        "\"public.ecr.aws/acme\"",
        "\"https://public.ecr.aws/acme\"",
    ),
];

const THE_TEXT_IS_NOT_KDL: &[Case] = &[
    (
        "deleted_brace",
        "E101",
        SPLIT,
        "    deploy app to=staging\n}",
        "    deploy app to=staging\n",
    ),
    (
        "missing_quote",
        "E103",
        ONCE,
        "run \"pnpm check:architecture\"",
        "run \"pnpm check:architecture",
    ),
    (
        "yaml_colon",
        "E120",
        ECS,
        "container \"python:3.11-slim\"",
        "container: \"python:3.11-slim\"",
    ),
    (
        "yaml_list",
        "E121",
        ONCE,
        "    images app migrator\n",
        "    images {\n        - app\n        - migrator\n    }\n",
    ),
    (
        "hash_comment",
        "E109",
        SUPPLY,
        "// Without a release",
        "# Without a release",
    ),
    (
        "unquoted_reference",
        "E117",
        SPLIT,
        "tag=\"${version.release}\"",
        "tag=${version.release}",
    ),
    (
        "unquoted_address",
        "E116",
        ONCE,
        "\"http://127.0.0.1:3000/api/ready\"",
        "http://127.0.0.1:3000/api/ready",
    ),
    (
        "unquoted_duration",
        "E114",
        ECS,
        "timeout \"20m\"",
        "timeout 20m",
    ),
    (
        "bare_true",
        "E112",
        ONCE,
        "protected=#true",
        "protected=true",
    ),
    (
        "comma_between_values",
        "E119",
        ONCE,
        "images app migrator",
        "images app, migrator",
    ),
    (
        "equals_sign_with_spaces",
        "E118",
        SNAPSHOT,
        "helper=ecr-login",
        "helper = ecr-login",
    ),
    (
        "single_quotes",
        "E110",
        SPLIT,
        "run \"pytest -q\"",
        "run 'pytest -q'",
    ),
    (
        "heredoc_of_one_quote",
        "E104",
        ECS,
        "run \"poetry install\"",
        "run \"\n            poetry install\n        \"",
    ),
];
