//! The mistakes that people make, each in a whole pipeline: what they see. One mistake is one finding.

use std::collections::BTreeMap;

use dsl::render::{Style, human};
use dsl::{Files, Loaded};

const SPLIT: &str = include_str!("../../tests/pipelines/split-registries.kdl");
const ONCE: &str = include_str!("../../tests/pipelines/build-once.kdl");
const ECS: &str = include_str!("../../tests/pipelines/ecs-service.kdl");
const SNAPSHOT: &str = include_str!("../../tests/pipelines/snapshot-release.kdl");
const SUPPLY: &str = include_str!("../../tests/pipelines/supply-chain.kdl");

/// A pipeline with a template and an included file, for what the five do not have.
const SHARED: &str = r#"pipeline app

include "ci/common.kdl" as=ci

param profile type=enum default=debug {
    values debug release
}

template check doc="lints a crate" {
    param crate
    param level type=int default=1
    param features type=list
    job "check-${param.crate}" {
        env CRATE="${param.crate}" LEVEL="${param.level}"
        run "./check.sh"
    }
}

stage test {
    use check crate=dsl
    use ci.unit dir=engine
    job build {
        env PROFILE="${param.profile}"
        artifact bin "target/app"
        run "echo version=1.2.3 >> $PIPE_OUTPUT"
    }
    job cross {
        matrix {
            os linux macos
            rust stable beta
        }
        run "make"
    }
}

stage ship {
    when event=push branch=main
    job publish {
        needs cross os=linux
        artifact bin from=build
        env VERSION="${build.outputs.version}"
        run "./publish.sh"
    }
}
"#;

const COMMON: &str = r#"template unit {
    param dir type=path
    job "unit-${param.dir}" {
        workdir "${param.dir}"
        run "cargo test"
    }
}
"#;

struct Folder(BTreeMap<&'static str, String>);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        let file = self.0.get(path).cloned();
        file.ok_or_else(|| "there is no such file".into())
    }
}

fn load_with(text: String, common: String) -> Loaded {
    let files = Folder(BTreeMap::from([("ci/common.kdl", common)]));
    dsl::load(&files, "pipeline.kdl", text)
}

fn show(loaded: &Loaded) -> String {
    let style = Style {
        color: false,
        links: false,
        width: 100,
        unicode: true,
    };
    human(&loaded.diagnostics, &loaded.sources, &style)
}

/// Puts `to` in the place of `from` and shows what is found: exactly one finding with this code.
fn broken(name: &str, code: &str, pipeline: &str, from: &str, to: &str) {
    assert_eq!(pipeline.matches(from).count(), 1, "{name}: {from}");
    let loaded = load_with(pipeline.replacen(from, to, 1), COMMON.to_owned());
    snapshot(name, code, &format!("- {from}\n+ {to}"), &loaded);
}

fn broken_template(name: &str, code: &str, from: &str, to: &str) {
    assert_eq!(COMMON.matches(from).count(), 1, "{name}: {from}");
    let loaded = load_with(SHARED.to_owned(), COMMON.replacen(from, to, 1));
    snapshot(name, code, &format!("- {from}\n+ {to}"), &loaded);
}

fn snapshot(name: &str, code: &str, change: &str, loaded: &Loaded) {
    let shown = show(loaded);
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, description => change}, {
        insta::assert_snapshot!(name, shown);
    });
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.id).collect();
    assert_eq!(codes, [code], "{name}\n{change}\n{shown}");
}

#[test]
fn the_pipelines_themselves_have_no_finding() {
    for text in [SPLIT, ONCE, ECS, SNAPSHOT, SUPPLY, SHARED] {
        let loaded = load_with(text.to_owned(), COMMON.to_owned());
        assert_eq!(show(&loaded), "");
    }
}

#[test]
fn names_are_mistyped() {
    broken(
        "registry",
        "E301",
        SPLIT,
        "push app-dev to=dev",
        "push app-dev to=dv",
    );
    broken(
        "registry_of_the_only_push",
        "E301",
        SNAPSHOT,
        "to=ecr tag=",
        "to=erc tag=",
    );
    broken(
        "target",
        "E301",
        SPLIT,
        "deploy app to=production",
        "deploy app to=prodution",
    );
    broken(
        "target_of_like",
        "E301",
        SPLIT,
        "like=staging",
        "like=stagging",
    );
    broken(
        "secret",
        "E301",
        SPLIT,
        "password=GCP_SA_KEY",
        "password=GCP_KEY",
    );
    broken(
        "secret_of_a_job",
        "E301",
        ECS,
        "secrets CODECOV_TOKEN",
        "secrets CODCOV_TOKEN",
    );
    broken(
        "image",
        "E301",
        SPLIT,
        "container image=app-dev",
        "container image=app-def",
    );
    broken(
        "image_in_a_push",
        "E301",
        ONCE,
        "push app migrator",
        "push app migrater",
    );
    broken(
        "image_in_a_promotion",
        "E301",
        SNAPSHOT,
        "images book-shop",
        "images bookshop",
    );
    broken(
        "version",
        "E406",
        SPLIT,
        "${version.release}",
        "${version.realease}",
    );
    broken(
        "version_of_a_release",
        "E301",
        SUPPLY,
        "release next",
        "release nxt",
    );
    broken(
        "promotion",
        "E301",
        ONCE,
        "promote to-production",
        "promote to-prod",
    );
    broken(
        "step",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs pytset }",
    );
    broken(
        "step_named_without_its_verb",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs app-dv }",
    );
    broken(
        "artifact",
        "E504",
        ONCE,
        "artifact dist from=build",
        "artifact dits from=build",
    );
    broken(
        "leg",
        "E503",
        SHARED,
        "needs cross os=linux",
        "needs cross os=windows",
    );
    broken(
        "axis",
        "E503",
        SHARED,
        "needs cross os=linux",
        "needs cross system=linux",
    );
    broken(
        "template",
        "E301",
        SPLIT,
        "use std.backport",
        "use std.bakport",
    );
    broken(
        "template_without_its_namespace",
        "E301",
        SPLIT,
        "use std.backport",
        "use backport",
    );
    broken(
        "template_parameter",
        "E307",
        SPLIT,
        "from=hotfix into=main",
        "from=hotfix to=main",
    );
}

#[test]
fn words_are_mistyped() {
    broken("node", "E201", SPLIT, "build app-dev", "biuld app-dev");
    broken(
        "node_at_the_top",
        "E201",
        SUPPLY,
        "version next",
        "verison next",
    );
    broken("stage", "E201", SNAPSHOT, "stage snapshot", "stge snapshot");
    broken(
        "property",
        "E202",
        SPLIT,
        "immutable=#true",
        "imutable=#true",
    );
    broken("word", "E208", SPLIT, "event=schedule", "event=cron");
    broken(
        "word_of_another_tool",
        "E208",
        SNAPSHOT,
        "event=push branch=main",
        "event=merge branch=main",
    );
    broken("engine", "E208", SPLIT, "engine=podman", "engine=podmna");
    broken("field", "E402", SNAPSHOT, "${git.short-sha}", "${git.sha7}");
    broken("context", "E402", SUPPLY, "${pr.number}", "${pull.number}");
    broken(
        "function",
        "E403",
        ECS,
        "${git.branch.slug}",
        "${git.branch.slugify}",
    );
    broken(
        "variable_without_context",
        "E402",
        ONCE,
        "sha-${git.sha}",
        "sha-${GITHUB_SHA}",
    );
}

#[test]
fn words_come_from_other_tools() {
    broken(
        "script",
        "E201",
        ONCE,
        "job lint { run \"pnpm lint\" }",
        "job lint { script \"pnpm lint\" }",
    );
    broken(
        "depends_on",
        "E201",
        SPLIT,
        "{ needs pytest }",
        "{ depends_on pytest }",
    );
    broken(
        "image_of_a_job",
        "E201",
        ECS,
        "container \"python:3.11-slim\"",
        "image \"python:3.11-slim\"",
    );
    broken(
        "only",
        "E201",
        ONCE,
        "when event=manual",
        "only event=manual",
    );
    broken(
        "steps",
        "E201",
        ONCE,
        "job typecheck { run \"pnpm typecheck\" }",
        "job typecheck { steps { run \"pnpm typecheck\" } }",
    );
    broken("jobs", "E201", ONCE, "job unit {", "jobs unit {");
    broken(
        "runs_on",
        "E201",
        ECS,
        "container \"python:3.11-slim\"",
        "runs-on \"ubuntu-latest\"",
    );
    broken(
        "environment_variables",
        "E201",
        ONCE,
        "env DATABASE_URL=",
        "variables DATABASE_URL=",
    );
    broken("services", "E201", ONCE, "service redis", "services redis");
    broken(
        "continue_on_error",
        "E201",
        ECS,
        "allow-failure\n",
        "continue-on-error #true\n",
    );
    broken(
        "environment",
        "E201",
        ONCE,
        "target staging {",
        "environment staging {",
    );
}

#[test]
fn things_stand_in_the_wrong_place() {
    broken(
        "registry_in_a_stage",
        "E201",
        SNAPSHOT,
        "    deploy book-shop to=dev",
        "    registry hub \"docker.io/acme\"\n    deploy book-shop to=dev",
    );
    broken(
        "job_at_the_top",
        "E201",
        SNAPSHOT,
        "stage snapshot {",
        "job lint { run \"make lint\" }\nstage snapshot {",
    );
    broken(
        "run_in_a_stage",
        "E201",
        SNAPSHOT,
        "    promote release",
        "    run \"make\"\n    promote release",
    );
    broken(
        "child_as_a_property",
        "E202",
        ONCE,
        "job lint {",
        "job lint timeout=\"5m\" {",
    );
    broken(
        "property_as_a_child",
        "E201",
        SPLIT,
        "push app-dev to=dev tag=\"pr-${pr.number}\" { needs pytest }",
        "push app-dev tag=\"pr-${pr.number}\" {\n        to dev\n        needs pytest\n    }",
    );
    broken(
        "name_as_a_property",
        "E202",
        ONCE,
        "job guardrails {",
        "job name=guardrails {",
    );
    broken(
        "tag_as_a_list",
        "E202",
        ECS,
        "push app to=ghcr {",
        "push app to=ghcr tags=\"edge\" {",
    );
    broken(
        "condition_as_a_list",
        "E201",
        SNAPSHOT,
        "when event=push branch=dev",
        "when { event push; branch dev }",
    );
    broken(
        "two_names",
        "E204",
        SNAPSHOT,
        "stage release {",
        "stage release production {",
    );
    broken("no_name", "E203", SNAPSHOT, "stage release {", "stage {");
    broken(
        "ready_in_the_driver",
        "E201",
        ONCE,
        "        up app\n",
        "        up app\n        ready \"http://127.0.0.1:3000/api/ready\"\n",
    );
}

#[test]
fn values_have_the_wrong_form() {
    broken(
        "duration_as_a_number",
        "E208",
        ECS,
        "timeout \"20m\"",
        "timeout 20",
    );
    broken(
        "duration_in_words",
        "E208",
        ONCE,
        "for=\"30m\"",
        "for=\"30 minutes\"",
    );
    broken(
        "secret_of_github_in_a_variable",
        "E402",
        ONCE,
        "RATE_LIMIT_BACKEND=\"redis\"",
        "RATE_LIMIT_BACKEND=\"${{ secrets.BACKEND }}\"",
    );
    broken(
        "boolean_in_quotes",
        "E208",
        SPLIT,
        "immutable=#true",
        "immutable=\"true\"",
    );
    broken(
        "path_that_leads_out",
        "E208",
        SNAPSHOT,
        "from=\"pyproject.toml\"",
        "from=\"../pyproject.toml\"",
    );
    broken(
        "comma_string",
        "E301",
        SPLIT,
        "{ needs pytest }",
        "{ needs \"pytest,app-dev\" }",
    );
    broken(
        "version_as_a_number",
        "E208",
        SHARED,
        "rust stable beta",
        "rust 1.95 1.10",
    );
    broken(
        "value_in_a_script",
        "E405",
        SPLIT,
        "run \"pytest -q\"",
        "run \"pytest -q --junit ${git.short-sha}.xml\"",
    );
    broken(
        "two_commands_in_one_run",
        "E407",
        SPLIT,
        "run \"pytest -q\"",
        "run \"uv sync\" \"pytest -q\"",
    );
    broken(
        "unclosed_reference",
        "E401",
        SNAPSHOT,
        "${git.short-sha}",
        "${git.short-sha",
    );
    broken(
        "secret_of_github",
        "E402",
        SPLIT,
        "tag=\"pr-${pr.number}\"",
        "tag=\"pr-${{ github.event.number }}\"",
    );
    broken(
        "tag_with_a_slash",
        "E208",
        SPLIT,
        "staging-${git.short-sha}",
        "staging/latest",
    );
    broken(
        "tag_with_a_branch",
        "E208",
        ECS,
        "\"sha-${git.short-sha}\"",
        "\"release/${git.short-sha}\"",
    );
    broken(
        "matrix_too_large",
        "E502",
        SHARED,
        "os linux macos",
        "os a b c d e f g h i j k l m n o p q r s t u v w x y z\n            py \"3.9\" \"3.10\" \"3.11\" \"3.12\" \"3.13\"\n            db pg my lite",
    );
    broken(
        "scheme_in_a_registry",
        "E208",
        SNAPSHOT,
        "\"public.ecr.aws/acme\"",
        "\"https://public.ecr.aws/acme\"",
    );
}

#[test]
fn the_text_is_not_kdl() {
    broken(
        "deleted_brace",
        "E101",
        SPLIT,
        "    deploy app to=staging\n}",
        "    deploy app to=staging\n",
    );
    broken(
        "missing_quote",
        "E103",
        ONCE,
        "run \"pnpm check:architecture\"",
        "run \"pnpm check:architecture",
    );
    broken(
        "yaml_colon",
        "E120",
        ECS,
        "container \"python:3.11-slim\"",
        "container: \"python:3.11-slim\"",
    );
    broken(
        "yaml_list",
        "E121",
        ONCE,
        "    images app migrator\n",
        "    images {\n        - app\n        - migrator\n    }\n",
    );
    broken(
        "hash_comment",
        "E109",
        SUPPLY,
        "// Without a release",
        "# Without a release",
    );
    broken(
        "unquoted_reference",
        "E117",
        SPLIT,
        "tag=\"${version.release}\"",
        "tag=${version.release}",
    );
    broken(
        "unquoted_address",
        "E116",
        ONCE,
        "\"http://127.0.0.1:3000/api/ready\"",
        "http://127.0.0.1:3000/api/ready",
    );
    broken(
        "unquoted_duration",
        "E114",
        ECS,
        "timeout \"20m\"",
        "timeout 20m",
    );
    broken(
        "bare_true",
        "E112",
        ONCE,
        "protected=#true",
        "protected=true",
    );
    broken(
        "comma_between_values",
        "E119",
        ONCE,
        "images app migrator",
        "images app, migrator",
    );
    broken(
        "equals_sign_with_spaces",
        "E118",
        SNAPSHOT,
        "helper=ecr-login",
        "helper = ecr-login",
    );
    broken(
        "single_quotes",
        "E110",
        SPLIT,
        "run \"pytest -q\"",
        "run 'pytest -q'",
    );
    broken(
        "heredoc_of_one_quote",
        "E104",
        ECS,
        "run \"poetry install\"",
        "run \"\n            poetry install\n        \"",
    );
}

#[test]
fn dependencies_cannot_be_ordered() {
    broken(
        "cycle_of_two_jobs",
        "E501",
        ONCE,
        "        artifact dist \"apps/web/.next/**\"\n",
        "        needs e2e\n        artifact dist \"apps/web/.next/**\"\n",
    );
    broken(
        "cycle_over_stages",
        "E501",
        ONCE,
        "job guardrails { run",
        "job guardrails { needs staging; run",
    );
    broken(
        "cycle_of_references",
        "E501",
        SPLIT,
        "push app-dev to=dev tag=\"pr-${pr.number}\" { needs pytest }",
        "push app-dev to=dev tag=\"pr-${pr.number}\"\n    build base { needs push-app-dev }\n    job warm { container image=base; needs pytest; run \"true\" }\n    build app-dev-2 { needs warm }\n    job again { needs build-app-dev-2 app-dev-3; run \"true\" }\n    job app-dev-3 { needs again; run \"true\" }",
    );
    broken(
        "itself",
        "E501",
        ONCE,
        "job lint { run",
        "job lint { needs lint; run",
    );
    broken(
        "later_stage",
        "E301",
        SNAPSHOT,
        "push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"",
        "push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\" {\n        needs promote-release\n    }",
    );
    broken(
        "ambiguous",
        "E302",
        SPLIT,
        "    job prune {\n",
        "    job prune {\n        after push-app\n",
    );
    broken("twice", "E303", ONCE, "job lint { run", "job unit { run");
    broken(
        "two_pushes",
        "E303",
        SUPPLY,
        "    sign app keyless=#true\n",
        "    push app to=ghcr tag=edge\n    sign app keyless=#true\n",
    );
    broken(
        "named_like_a_context",
        "E304",
        ONCE,
        "job guardrails {",
        "job env {",
    );
}

#[test]
fn conditions_never_hold() {
    broken(
        "branch_of_a_tag",
        "W501",
        SNAPSHOT,
        "when event=push branch=main",
        "when event=tag branch=main",
    );
    broken(
        "into_of_a_push",
        "W501",
        SPLIT,
        "when event=pull-request into=main",
        "when event=push into=main",
    );
    broken("empty_condition", "E205", ONCE, "when event=manual", "when");
    broken(
        "never_together",
        "W503",
        SPLIT,
        "    job prune {\n",
        "    job prune {\n        needs deploy-staging\n",
    );
}

#[test]
fn deliveries_would_hurt() {
    broken(
        "image_never_deployed",
        "E602",
        SNAPSHOT,
        "    deploy book-shop to=dev\n",
        "",
    );
    broken(
        "image_never_pushed",
        "E602",
        SNAPSHOT,
        "    push book-shop to=ecr tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"\n",
        "",
    );
    broken(
        "latest_into_an_immutable_registry",
        "E604",
        ONCE,
        "tag=\"sha-${git.sha}\"",
        "tag=latest",
    );
    broken(
        "no_readiness",
        "E605",
        SNAPSHOT,
        "    ready \"http://127.0.0.1:4000/health\" within=\"1m\"\n",
        "",
    );
    broken(
        "rebuild_for_production",
        "E603",
        SPLIT,
        " rebuild=#true",
        "",
    );
    broken(
        "not_accepted",
        "E611",
        SPLIT,
        "accept branch=main",
        "accept branch=trunk",
    );
    broken(
        "two_drivers",
        "E609",
        SNAPSHOT,
        "container dev-app publish=\"4000:8000\" prune=#true",
        "container dev-app publish=\"4000:8000\" prune=#true\n    compose \"compose.yml\"",
    );
    broken(
        "no_driver",
        "E609",
        SNAPSHOT,
        "    container dev-app publish=\"4000:8000\" prune=#true\n",
        "",
    );
    broken(
        "retention",
        "W601",
        SPLIT,
        "immutable=#true {",
        "immutable=#true keep=\"30d\" {",
    );
    broken(
        "approval_by_the_author",
        "E607",
        ONCE,
        "by=ops",
        "by=author",
    );
    broken(
        "no_way_back",
        "E606",
        SNAPSHOT,
        "container dev-app publish=\"4000:8000\" prune=#true",
        "run { apply \"./deploy.sh\" }",
    );
    broken(
        "image_not_brought",
        "E601",
        ONCE,
        "deploy app migrator to=staging",
        "deploy app to=staging",
    );
    broken(
        "no_tag",
        "E205",
        SNAPSHOT,
        " tag=\"${version.app}-SNAPSHOT-${git.short-sha}\"",
        "",
    );
    broken(
        "no_login_password",
        "E205",
        SPLIT,
        "login user=ci password=GITHUB_TOKEN",
        "login user=ci",
    );
    broken(
        "promotion_to_a_registry",
        "E608",
        ONCE,
        "from=staging to=production {",
        "from=staging to=ghcr {",
    );
    broken(
        "version_without_a_scheme",
        "E610",
        SPLIT,
        "version release calver=\"vYY.MM.DD.i\"",
        "version release",
    );
    broken(
        "nothing_to_undo",
        "W502",
        SNAPSHOT,
        "stage snapshot {",
        "stage snapshot rollback=reverse {",
    );
    broken(
        "unused_secret",
        "W301",
        SNAPSHOT,
        "secret EC2_SSH_KEY",
        "secret AWS_SECRET_ACCESS_KEY\nsecret EC2_SSH_KEY",
    );
    broken(
        "undeclared_secret",
        "E301",
        SNAPSHOT,
        "secret EC2_SSH_KEY\n",
        "",
    );
}

#[test]
fn files_and_templates_do_not_fit() {
    broken(
        "missing_include",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"ci/comon.kdl\"",
    );
    broken(
        "include_of_an_absolute_path",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"/etc/common.kdl\"",
    );
    broken(
        "include_of_a_repository",
        "E305",
        SHARED,
        "\"ci/common.kdl\"",
        "\"git+https://example.com/ci.git#main\"",
    );
    broken(
        "missing_parameter",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check",
    );
    broken(
        "unknown_parameter",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl levle=3",
    );
    broken(
        "parameter_of_the_wrong_type",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl level=high",
    );
    broken(
        "parameter_list_as_a_value",
        "E307",
        SHARED,
        "use check crate=dsl",
        "use check crate=dsl features=serde",
    );
    broken(
        "enum_of_the_wrong_word",
        "E208",
        SHARED,
        "default=debug",
        "default=debg",
    );
    broken(
        "parameter_of_the_run",
        "E406",
        SHARED,
        "${param.profile}",
        "${param.profil}",
    );
    broken(
        "parameter_of_the_template",
        "E406",
        SHARED,
        "LEVEL=\"${param.level}\"",
        "LEVEL=\"${param.lvl}\"",
    );
    broken(
        "template_uses_itself",
        "E308",
        SHARED,
        "        run \"./check.sh\"\n    }\n",
        "        run \"./check.sh\"\n    }\n    use check crate=x\n",
    );
    broken(
        "output_of_a_typo",
        "E301",
        SHARED,
        "${build.outputs.version}",
        "${biuld.outputs.version}",
    );
    broken(
        "output_of_a_matrix",
        "E408",
        SHARED,
        "${build.outputs.version}",
        "${cross.outputs.version}",
    );
    broken(
        "reference_in_a_path",
        "E404",
        SHARED,
        "        artifact bin from=build\n",
        "        artifact bin from=build\n        workdir \"${git.branch}\"\n",
    );
    broken_template(
        "body_of_a_template",
        "E202",
        "workdir \"${param.dir}\"",
        "workdir path=\"${param.dir}\"",
    );
    broken_template(
        "body_of_a_template_with_a_typo",
        "E201",
        "run \"cargo test\"",
        "rnu \"cargo test\"",
    );
    broken_template(
        "value_that_does_not_fit_the_body",
        "E208",
        "workdir \"${param.dir}\"",
        "workdir \"../${param.dir}\"",
    );
}
