//! What a sound file means: which step a name is, what templates and namespaces make of names, which legs a matrix has.

use std::collections::BTreeMap;

use dsl::model::{Job, StepId, WaitTarget};
use dsl::{Files, Loaded};

struct Folder(BTreeMap<&'static str, &'static str>);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        let file = self.0.get(path).map(|t| (*t).to_owned());
        file.ok_or_else(|| "there is no such file".into())
    }
}

fn load_with(files: &[(&'static str, &'static str)], text: &str) -> Loaded {
    let files = Folder(files.iter().copied().collect());
    let loaded = dsl::load(&files, "pipeline.kdl", text.to_owned());
    let found: Vec<&str> = loaded
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(found, [""; 0]);
    loaded
}

fn load(text: &str) -> Loaded {
    load_with(&[], text)
}

fn steps(loaded: &Loaded) -> Vec<String> {
    let count = u32::try_from(loaded.pipeline.steps.len()).expect("a test's own data");
    (0..count)
        .map(|id| loaded.pipeline.full_name(StepId(id)))
        .collect()
}

/// What the last step waits for.
fn waits(loaded: &Loaded) -> Vec<String> {
    let pipeline = &loaded.pipeline;
    let last = pipeline.steps.last().expect("a test's own data");
    let name = |w: &dsl::model::Wait| match w.target {
        WaitTarget::Step(id) => pipeline.full_name(id),
        WaitTarget::Stage(id) => format!("stage {}", pipeline.stage(id).name.value),
    };
    last.waits.iter().map(name).collect()
}

fn legs(matrix: &str) -> Vec<String> {
    let loaded = load(&format!(
        "stage s {{ job j {{ matrix {{ {matrix} }}; run \"make\" }} }}"
    ));
    let matrix = loaded.pipeline.steps[0]
        .job()
        .and_then(|j: &Job| j.matrix.clone())
        .expect("a test's own data");
    let leg = |leg: &dsl::model::Leg| leg.values().cloned().collect::<Vec<_>>().join(" ");
    matrix.legs().iter().map(leg).collect()
}

#[test]
fn a_name_is_looked_up_in_the_own_stage_first() {
    let text = "stage one { job lint { run \"a\" } }\nstage two { job lint { run \"b\" }; job last { needs lint; run \"c\" } }\n";
    assert_eq!(waits(&load(text)), ["two.lint"]);
}

#[test]
fn then_in_the_stages_before_it() {
    let text = "stage one { job lint { run \"a\" } }\nstage two { job x { run \"b\" } }\nstage three { job last { needs lint; run \"c\" } }\n";
    assert_eq!(waits(&load(text)), ["one.lint"]);
}

#[test]
fn a_full_name_reaches_any_stage() {
    let text = "stage one { job lint { run \"a\" } }\nstage two { job lint { run \"b\" }; job last { needs one.lint; run \"c\" } }\n";
    assert_eq!(waits(&load(text)), ["one.lint"]);
}

#[test]
fn a_stage_is_meant_by_its_name() {
    let text = "stage one { job lint { run \"a\" } }\nstage two { needs nothing=#true; job last { needs one; run \"c\" } }\n";
    assert_eq!(waits(&load(text)), ["stage one"]);
}

#[test]
fn a_stage_with_one_step_of_its_name_is_meant_as_a_whole() {
    let text = "stage test { job test { run \"a\" }; job lint { run \"b\" } }\nstage two { job last { needs test; run \"c\" } }\n";
    assert_eq!(waits(&load(text)), ["stage test"]);
}

#[test]
fn references_make_edges() {
    let text = r#"stage one {
    job make { artifact bin "bin/app"; run "echo v=1 >> $PIPE_OUTPUT" }
    job last { artifact bin from=make; env V="${make.outputs.v}"; run "use" }
}
"#;
    assert_eq!(waits(&load(text)), ["one.make", "one.make"]);
}

#[test]
fn steps_are_called_after_their_verb_and_subject() {
    let text = r#"registry r "ghcr.io/acme"
version v fixed="1"
target t { container app; ready "http://127.0.0.1/" }
stage s {
    build app
    push app to=r tag=edge
    push app to=r tag=main as=second
    sign app keyless=#true
    release v
    deploy app to=t
    approve go by=ops
}
"#;
    assert_eq!(
        steps(&load(text)),
        [
            "s.build-app",
            "s.push-app",
            "s.second",
            "s.sign-app",
            "s.release-v",
            "s.deploy-t",
            "s.approve-go"
        ]
    );
}

#[test]
fn a_template_is_put_in_place_under_a_prefix_and_keeps_its_own_edges() {
    let text = r#"template pair {
    param name
    job "make-${param.name}" { run "make" }
    job "test-${param.name}" { needs "make-${param.name}"; run "test" }
}
stage s {
    use pair name=a
    use pair name=a as=again
}
"#;
    let loaded = load(text);
    assert_eq!(
        steps(&loaded),
        ["s.make-a", "s.test-a", "s.again-make-a", "s.again-test-a"]
    );
    assert_eq!(waits(&loaded), ["s.again-make-a"]);
}

#[test]
fn outputs_of_a_template_under_a_prefix_are_its_own() {
    let text = r#"template pair {
    job make-it { run "echo v=1 >> $PIPE_OUTPUT" }
    job use-it { env V="${make-it.outputs.v}"; run "use" }
}
stage s {
    use pair
    use pair as=again
}
"#;
    assert_eq!(waits(&load(text)), ["s.again-make-it"]);
}

#[test]
fn prefixes_of_templates_in_templates_add_up() {
    let text = "template inner { job j { run \"x\" } }\ntemplate outer { use inner as=in }\nstage s { use outer as=out; use outer }\n";
    assert_eq!(steps(&load(text)), ["s.out-in-j", "s.in-j"]);
}

#[test]
fn list_parameters_become_several_arguments() {
    let text = "template t { param l type=list; job j { inputs \"a\" \"${param.l}\" \"b\"; run \"x\" } }\nstage s { use t { l x y } }\n";
    let loaded = load(text);
    let inputs = &loaded.pipeline.steps[0].job().unwrap().inputs;
    let inputs: Vec<&str> = inputs.iter().map(|i| i.value.as_str()).collect();
    assert_eq!(inputs, ["a", "x", "y", "b"]);
}

#[test]
fn an_included_file_has_its_own_names_in_its_namespace() {
    let common = r#"registry r "ghcr.io/common"
template ship {
    build app
    push app to=r tag=edge
}
"#;
    let text = r#"include "ci/common.kdl" as=ci
registry r "ghcr.io/own"
stage s {
    use ci.ship
    push app to=r tag=edge as=own
    push app to=ci.r tag=edge as=theirs
}
"#;
    let loaded = load_with(&[("ci/common.kdl", common)], text);
    let registry = |at: usize| match &loaded.pipeline.steps[at].kind {
        dsl::model::StepKind::Push(push) => push.registry.value.clone(),
        other => other.verb().to_owned(),
    };
    assert_eq!(
        [registry(1), registry(2), registry(3)],
        ["ci.r", "r", "ci.r"]
    );
}

#[test]
fn a_target_is_like_another_one_that_comes_later() {
    let text = "target b like=a\ntarget c like=b\ntarget a { container app; ready \"http://127.0.0.1/\" }\nstage s { build app; deploy app to=c; deploy app to=b }\n";
    let loaded = load(text);
    let drivers: Vec<bool> = loaded
        .pipeline
        .targets
        .values()
        .map(|t| t.driver.is_some() && t.ready.is_some())
        .collect();
    assert_eq!(drivers, [true, true, true]);
    let text = "target a like=b\ntarget b like=a\nstage s { build app; deploy app to=a }\n";
    let found = dsl::load(&Folder(BTreeMap::new()), "pipeline.kdl", text.to_owned()).diagnostics;
    assert_eq!(
        found.iter().map(|d| d.code.id).collect::<Vec<_>>(),
        ["E609"]
    );
}

#[test]
fn a_promotion_that_no_step_makes_is_for_the_command_line() {
    let loaded = load(
        r#"
registry ghcr "ghcr.io/acme"
target staging { container app; ready "http://127.0.0.1/" }
target live { container app; ready "http://127.0.0.1/" }
promotion to-live from=staging to=live { images app }
stage build { build app; push app to=ghcr tag=edge; deploy app to=staging }
"#,
    );
    assert_eq!(
        loaded.pipeline.promotions.keys().collect::<Vec<_>>(),
        ["to-live"]
    );
}

#[test]
fn references_in_an_included_file_mean_what_it_declares() {
    let common =
        "version v fixed=\"1\"\ntemplate t { job j { env V=\"${version.v}\"; run \"x\" } }\n";
    let loaded = load_with(
        &[("c.kdl", common)],
        "include \"c.kdl\" as=ci\nstage s { use ci.t }\n",
    );
    assert_eq!(
        loaded.pipeline.steps[0].env[0].value.value.to_string(),
        "${version.ci.v}"
    );
}

#[test]
fn namespaces_of_includes_in_includes_add_up() {
    let files = [
        ("a.kdl", "include \"b.kdl\" as=b\n"),
        ("b.kdl", "template t { job j { run \"x\" } }\n"),
    ];
    let loaded = load_with(&files, "include \"a.kdl\" as=a\nstage s { use a.b.t }\n");
    assert_eq!(steps(&loaded), ["s.j"]);
}

#[test]
fn a_matrix_is_the_product_of_its_axes_the_last_one_fastest() {
    assert_eq!(
        legs("os linux mac; rust stable beta"),
        ["linux stable", "linux beta", "mac stable", "mac beta"]
    );
}

#[test]
fn legs_are_excluded_and_included() {
    assert_eq!(
        legs(
            "os linux mac; rust stable beta; exclude os=mac rust=beta; include os=windows rust=stable"
        ),
        ["linux stable", "linux beta", "mac stable", "windows stable"]
    );
    assert_eq!(legs("os linux mac; exclude os=mac"), ["linux"]);
    assert_eq!(legs("include os=linux; include os=mac"), ["linux", "mac"]);
    assert_eq!(legs("os linux; include os=linux"), ["linux"]);
}

#[test]
fn who_made_the_commit_is_asked_only_where_something_wants_to_know() {
    let job = "stage test { job unit { run \"true\" } }";
    let asks = |text: &str| load(text).pipeline.asks_for_commit();
    for text in [
        job,
        "stage test { job unit { env SHA=\"${git.sha}\" BRANCH=\"${git.branch.slug}\"; run \"true\" } }",
        "registry hub \"hub.example.com/app\"\nstage test { build app; push app to=hub tag=\"1\" }",
    ] {
        assert!(!asks(text), "{text}");
    }
    for text in [
        "env BY=\"${git.author}\"\nstage test { job unit { run \"true\" } }",
        "stage test { env BY=\"${git.message.lower}\"; job unit { run \"true\" } }",
        "stage test { job unit { env BY=\"by ${git.author}\"; run \"true\" } }",
        "stage test { job unit { container \"hub.example.com/app:${git.message.slug}\"; run \"true\" } }",
        "pipeline app { concurrency \"${git.author}\" }\nstage test { job unit { run \"true\" } }",
        "stage test { approve go by=people }",
    ] {
        assert!(asks(text), "{text}");
    }
}
