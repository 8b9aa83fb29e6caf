//! The words of other tools, and what they are called here.

use crate::schema::NodeSchema;
use crate::syntax::tree::Node;

/// Words that other tools use, and ours. Several of ours are tried in order.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("after_script", "always"),
    ("allow_failure", "allow-failure"),
    ("artifacts", "artifact"),
    ("attempts", "retry"),
    ("before_script", "run"),
    ("cleanup", "always"),
    ("cmd", "run"),
    ("cmds", "run"),
    ("command", "run"),
    ("commands", "run"),
    ("continue-on-error", "allow-failure"),
    ("cron", "when"),
    ("cwd", "workdir"),
    ("dependencies", "needs"),
    ("depends", "needs"),
    ("depends-on", "needs"),
    ("depends_on", "needs"),
    ("deps", "needs"),
    ("dir", "workdir"),
    ("docker", "container"),
    ("environment", "env"),
    ("environment", "target"),
    ("environments", "target"),
    ("except", "unless"),
    ("exec", "run"),
    ("extends", "use"),
    ("finally", "always"),
    ("func", "template"),
    ("function", "template"),
    ("generates", "outputs"),
    ("group", "stage"),
    ("if", "when"),
    ("image", "container"),
    ("import", "include"),
    ("input", "inputs"),
    ("jobs", "job"),
    ("macro", "template"),
    ("mutex", "lock"),
    ("on", "when"),
    ("on_failure", "on-failure"),
    ("only", "when"),
    ("output", "outputs"),
    ("parallel", "matrix"),
    ("parameter", "param"),
    ("parameters", "param"),
    ("phase", "stage"),
    ("post", "always"),
    ("requires", "needs"),
    ("resource_group", "lock"),
    ("retries", "retry"),
    ("rules", "when"),
    ("script", "run"),
    ("secret", "secrets"),
    ("secrets", "secret"),
    ("server", "target"),
    ("services", "service"),
    ("sh", "run"),
    ("sources", "inputs"),
    ("stages", "stage"),
    ("step", "job"),
    ("steps", "job"),
    ("strategy", "matrix"),
    ("task", "job"),
    ("tasks", "job"),
    ("timeout-minutes", "timeout"),
    ("trigger", "when"),
    ("undo", "rollback"),
    ("uses", "use"),
    ("variable", "env"),
    ("variables", "env"),
    ("vars", "env"),
    ("working-directory", "workdir"),
    ("workflow", "pipeline"),
];

/// The same for properties.
const OTHER_PROPERTIES: &[(&str, &str)] = &[
    ("code", "status"),
    ("contains", "body"),
    ("deadline", "within"),
    ("delay", "backoff"),
    ("file", "dockerfile"),
    ("interval", "every"),
    ("pause", "backoff"),
    ("period", "every"),
    ("stage", "target"),
    ("timeout", "within"),
    ("wait", "backoff"),
];

const TAKE: &str = "what another job made is taken with `artifact NAME from=JOB`";

/// Words of other tools that have no counterpart, and what to do instead.
const REMARKS: &[(&str, &str)] = &[
    (
        "runs-on",
        "a job runs on the machine where `pipe` runs, or in its `container \"image:tag\"`; remove the line",
    ),
    (
        "agent",
        "a job runs on the machine where `pipe` runs, or in its `container \"image:tag\"`; remove the line",
    ),
    ("take", TAKE),
    ("takes", TAKE),
    ("consumes", TAKE),
    ("download", TAKE),
    (
        "steps",
        "the commands stand directly in the job: `run \"…\"`, one for each",
    ),
    (
        "with",
        "what a template is given stands behind its name: `use TEMPLATE name=value`",
    ),
    (
        "permissions",
        "remove it; what a job may see is said by `secrets`",
    ),
    (
        "checkout",
        "remove it; jobs work in the checkout in which `pipe` was started",
    ),
    (
        "name",
        "the name stands behind the word of the node: `job NAME { … }`, `pipeline NAME`",
    ),
];

/// Other tools' words for values, and ours.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("api", "manual"),
    ("cron", "schedule"),
    ("dispatch", "manual"),
    ("merge-request", "pull-request"),
    ("merge_request", "pull-request"),
    ("merge_request_event", "pull-request"),
    ("mr", "pull-request"),
    ("pr", "pull-request"),
    ("pull_request", "pull-request"),
    ("tag_push", "tag"),
    ("web", "manual"),
    ("workflow_dispatch", "manual"),
    ("failure", "failed"),
    ("error", "failed"),
    ("success", "passed"),
    ("text", "string"),
    ("str", "string"),
    ("number", "int"),
    ("integer", "int"),
    ("boolean", "bool"),
    ("array", "list"),
    ("choice", "enum"),
];

/// Our word for theirs, where it may stand in this block and fits what was written.
pub(super) fn ours(schema: &NodeSchema, node: &Node) -> Option<&'static NodeSchema> {
    let theirs = node.name.value.as_str();
    let words = OTHER_WORDS.iter().filter(|(t, _)| *t == theirs);
    words
        .filter_map(|(_, ours)| schema.child(ours))
        .find(|ours| fits(ours, node))
}

/// The same for a property.
pub(super) fn ours_by_name(schema: &NodeSchema, theirs: &str) -> Option<&'static NodeSchema> {
    let words = OTHER_WORDS.iter().filter(|(t, _)| *t == theirs);
    words.filter_map(|(_, ours)| schema.child(ours)).next()
}

/// Our name for a property.
pub(super) fn our_property(schema: &NodeSchema, theirs: &str) -> Option<&'static str> {
    let mut names = OTHER_PROPERTIES.iter().filter(|(t, _)| *t == theirs);
    names.find_map(|(_, ours)| schema.prop(ours).map(|p| p.name))
}

/// Our word for the value of a property.
pub(super) fn our_value(theirs: &str, words: &[&'static str]) -> Option<&'static str> {
    let mut found = OTHER_VALUES.iter().filter(|(t, _)| *t == theirs);
    let (_, ours) = found.find(|(_, o)| words.contains(o))?;
    Some(ours)
}

/// What to say about a word that has no counterpart.
pub(super) fn remark(schema: &NodeSchema, theirs: &str) -> Option<&'static str> {
    if theirs == "steps" && schema.child("run").is_none() {
        return None;
    }
    let found = REMARKS.iter().find(|(t, _)| *t == theirs);
    found.map(|(_, remark)| *remark)
}

/// Whether a node of this schema can have the arguments and the block of the one that was written.
fn fits(schema: &NodeSchema, node: &Node) -> bool {
    let takes_block = !schema.children.is_empty() || schema.open_children.is_some();
    let takes_args = !schema.args.is_empty() || schema.rest.is_some();
    (takes_block || node.nodes().is_empty()) && (takes_args || node.args.is_empty())
}
