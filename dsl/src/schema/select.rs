//! What decides whether and when a step runs: conditions and dependencies. Shared by stages and steps.

use super::{Field, Kind, NodeSchema, Type, field, node, once, opt};

const STEPS: Field = field(
    "name",
    Type::Ref(Kind::Step),
    "A step, `stage.step`, or a stage.",
);
const LEG: Field = opt(
    "axis",
    Type::Text,
    "Only the legs of a matrix with this value: `needs test os=linux`.",
);

/// `needs`
pub static NEEDS: NodeSchema = node(
    "needs",
    "What must have succeeded before this starts. References (`image=`, `${build.outputs.x}`, `deploy app`) \
     make their edges by themselves; `needs` adds what no reference says. In a stage it replaces \
     'wait for the stages before'.",
)
.rest(opt(STEPS.name, STEPS.ty, STEPS.doc))
.props(&[
    opt(
        "optional",
        Type::Bool,
        "Do not wait for what is not part of this run.",
    ),
    opt(
        "nothing",
        Type::Bool,
        "Of a stage: start at once, without waiting for the stages before.",
    ),
])
.open_props(LEG)
.example("job publish {\n    needs test lint\n    needs docs optional=#true\n    run \"make publish\"\n}");

/// `after`
pub static AFTER: NodeSchema = node(
    "after",
    "What must have ended, with any outcome, before this starts: reports and clean-up.",
)
.rest(STEPS)
.props(&[opt(
    "optional",
    Type::Bool,
    "Do not wait for what is not part of this run.",
)])
.open_props(LEG)
.example("job report {\n    after test\n    run \"./report.sh\"\n}");

/// `on-failure`
pub static ON_FAILURE: NodeSchema = node(
    "on-failure",
    "Runs this only if one of the named steps failed. Otherwise it is skipped, and that blocks nothing.",
)
.rest(STEPS)
.props(&[opt(
    "optional",
    Type::Bool,
    "Do not wait for what is not part of this run.",
)])
.open_props(LEG)
.example("job diagnose {\n    on-failure test\n    run \"./collect-logs.sh\"\n}");

/// The events that a run can have.
pub const EVENTS: &[&str] = &["push", "pull-request", "tag", "schedule", "manual"];

const CONDITIONS: &[Field] = &[
    opt(
        "event",
        Type::Word(EVENTS),
        "What started the run. The CI's environment says it, or `--event`.",
    ),
    opt(
        "branch",
        Type::NameGlob,
        "The branch that was pushed, or is checked out.",
    ),
    opt("tag", Type::NameGlob, "The tag that was pushed."),
    opt(
        "into",
        Type::NameGlob,
        "The branch into which a pull request goes.",
    ),
    opt(
        "from",
        Type::NameGlob,
        "The branch from which a pull request comes.",
    ),
    opt(
        "paths",
        Type::Glob,
        "At least one changed file matches. For several patterns write a `paths` child.",
    ),
];

/// `paths` in a condition.
pub static PATHS: NodeSchema = node(
    "paths",
    "At least one changed file matches one of these patterns.",
)
.rest(field(
    "pattern",
    Type::Glob,
    "A pattern such as `\"src/**\"`.",
))
.example("when event=push {\n    paths \"src/**\" \"Cargo.lock\"\n}");

/// `when`
pub static WHEN: NodeSchema = node(
    "when",
    "Takes part in a run only if all properties of the node hold. Several `when` nodes are alternatives. \
     What is left out is shown with the reason.",
)
.rest(opt(
    "fact",
    Type::Word(&["released"]),
    "`released`: this run makes a release.",
))
.props(CONDITIONS)
.children(&[once(&PATHS)])
.example("stage deliver {\n    when event=push branch=main\n    when tag=\"v*\"\n    job ship { run \"make ship\" }\n}");

/// `unless`
pub static UNLESS: NodeSchema = node(
    "unless",
    "Leaves this out of a run if all properties of the node hold. Several `unless` nodes are alternatives.",
)
.rest(opt(
    "fact",
    Type::Word(&["released"]),
    "`released`: this run makes a release.",
))
.props(CONDITIONS)
.children(&[once(&PATHS)])
.example("job integration {\n    unless event=pull-request from=\"dependabot/*\"\n    run \"make integration\"\n}");
