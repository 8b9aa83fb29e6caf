//! What stands at the top of a file: the pipeline, its parameters and secrets, templates, stages.

use super::delivery::{
    APPROVE, BUILD, DEPLOY, IMAGE, NOTIFY, PROMOTE, PROMOTION, PUSH, REGISTRY, RELEASE, SIGN,
    TARGET, VERSION,
};
use super::job::{ENV, JOB, PASS_ENV, SHELL, TIMEOUT};
use super::select::{AFTER, NEEDS, ON_FAILURE, UNLESS, WHEN};
use super::{Child, Count, Kind, NodeSchema, Type, field, many, node, once, opt};

/// The file itself.
pub static ROOT: NodeSchema = node("", "A pipeline file.").children(&[
    Child {
        node: &PIPELINE,
        count: Count::Once,
    },
    many(&INCLUDE),
    many(&PARAM),
    many(&ENV),
    many(&SECRET),
    many(&REGISTRY),
    many(&VERSION),
    many(&IMAGE),
    many(&TARGET),
    many(&PROMOTION),
    many(&TEMPLATE),
    many(&STAGE),
    many(&NOTIFY),
    once(&REMOTE_CACHE),
]);

/// `concurrency`
pub static CONCURRENCY: NodeSchema = node(
    "concurrency",
    "At most one run of a group at a time. A run that has begun to change the outside world is never cancelled.",
)
.args(&[field("group", Type::Template, "Runs with the same text are one group.")])
.props(&[opt(
    "on-new",
    Type::Word(&["wait", "cancel"]),
    "What a new run does to the one that runs: wait for it, or cancel it.",
)
.default("wait")])
.example("concurrency \"${git.ref}\" on-new=cancel");

/// `approvers`
pub static APPROVERS: NodeSchema = node(
    "approvers",
    "Whose approvals count: those signed with a key that a file of the repository lists, as the file stands on a branch. Without it whoever may push may approve.",
)
.args(&[field(
    "file",
    Type::Path,
    "The file, in the format of OpenSSH's allowed_signers: `alice,ops ssh-ed25519 AAAA…` makes Alice one of `ops`.",
)])
.props(&[opt(
    "branch",
    Type::Text,
    "The branch whose file counts, whatever else is checked out.",
)
.default("main")])
.example("pipeline webapp {\n    approvers \"deploy/allowed_signers\" branch=main\n}");

/// `pipeline`
pub static PIPELINE: NodeSchema = node(
    "pipeline",
    "The pipeline's name and what holds for all of it.",
)
.args(&[field("name", Type::Name, "The name.")])
.props(&[
    opt(
        "engine",
        Type::Word(&["auto", "docker", "podman"]),
        "The container engine; only pipelines with containers or images need one.",
    )
    .default("auto"),
    opt(
        "ledger",
        Type::Word(&["git", "files"]),
        "Where it is kept what targets run: on git refs, for all machines, or in files of one machine.",
    )
    .default("git"),
])
.children(&[
    once(&CONCURRENCY),
    once(&SHELL),
    once(&TIMEOUT),
    many(&PASS_ENV),
    once(&APPROVERS),
])
.example("pipeline webapp {\n    concurrency \"${git.ref}\" on-new=cancel\n}");

/// `include`
pub static INCLUDE: NodeSchema = node(
    "include",
    "Takes over what another file declares: one of this repository, `std/…` from the standard library, or \
     `git+https://HOST/REPOSITORY//PATH#COMMIT` from another repository, locked with `hash=`.",
)
.args(&[field("path", Type::Text, "Relative to this file, or an address.")])
.props(&[
    opt("as", Type::Name, "Puts `NAME.` in front of what the file declares."),
    opt(
        "hash",
        Type::Text,
        "The BLAKE3 hash of a file of another repository: it is used only while it says exactly this.",
    ),
])
.example("include \"ci/common.kdl\" as=common");

/// The types that a parameter can have.
pub const PARAM_TYPES: &[&str] = &["string", "int", "bool", "enum", "duration", "path", "list"];

/// `values`
pub static VALUES: NodeSchema = node("values", "The values that an `enum` parameter can have.")
    .rest(field("value", Type::Text, "A value."))
    .example("values debug release");

/// `param`
pub static PARAM: NodeSchema = node(
    "param",
    "A typed value that a run can be given (`--param name=value`), or that a template is given by `use`: `${param.name}`.",
)
.args(&[field("name", Type::Name, "The name.")])
.props(&[
    opt("type", Type::Word(PARAM_TYPES), "The type.").default("string"),
    opt("default", Type::Any, "The value where none is given; without it one must be."),
    opt("doc", Type::Text, "What it is for."),
])
.children(&[once(&VALUES)])
.example("param profile type=enum default=debug doc=\"the Cargo profile\" {\n    values debug release\n}");

/// `secret`
pub static SECRET: NodeSchema = node(
    "secret",
    "A value that only the steps which name it may see, and that never appears in output. It is read from the \
     environment variable of its name, unless a property says otherwise.",
)
.args(&[field("NAME", Type::EnvName, "The name, and the variable under which a job sees it.")])
.props(&[
    opt("env", Type::EnvName, "Another variable to read it from."),
    opt("file", Type::AnyPath, "A file to read it from."),
    opt("command", Type::Script, "A command that prints it."),
])
.example("secret NPM_TOKEN\nsecret DEPLOY_KEY file=\"~/.ssh/deploy\"");

/// `remote-cache`
pub static REMOTE_CACHE: NodeSchema = node(
    "remote-cache",
    "A bucket in an S3-compatible store in which the results of jobs are shared between machines. What a run finds there \
     it need not make; what a trusted run makes it sends there. Without `access-key` the variables `AWS_ACCESS_KEY_ID`, \
     `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` are used; without these it is only read, and nothing is signed. No \
     job sees its secrets.",
)
.args(&[field(
    "address",
    Type::Text,
    "`s3://BUCKET`, or `s3://BUCKET/PREFIX`.",
)])
.props(&[
    opt(
        "endpoint",
        Type::Text,
        "The server, `https://HOST` or `https://HOST:PORT`. Without it `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or that \
         of AWS.",
    ),
    opt(
        "region",
        Type::Text,
        "The region. Without it `AWS_REGION`, `AWS_DEFAULT_REGION` or `us-east-1`.",
    ),
    opt("access-key", Type::Ref(Kind::Secret), "The secret with the access key's id."),
    opt("secret-key", Type::Ref(Kind::Secret), "The secret with the access key."),
    opt(
        "sign",
        Type::Ref(Kind::Secret),
        "A secret of at least 16 bytes with which records are signed: only what a run with the same secret has sent is \
         believed.",
    ),
    opt(
        "plain-http",
        Type::Bool,
        "Allows an endpoint with `http://` on another machine.",
    )
    .default("#false"),
])
.example(
    "remote-cache \"s3://acme-ci/webapp\" region=\"eu-central-1\" access-key=CACHE_ID secret-key=CACHE_KEY sign=CACHE_SIGN",
);

/// `use`
pub static USE: NodeSchema = node(
    "use",
    "Puts a template's steps here, with its parameters filled in. Lists are written as children.",
)
.args(&[field(
    "template",
    Type::Ref(Kind::Template),
    "A template, `namespace.template`, or `std.template`.",
)])
.props(&[opt(
    "as",
    Type::Name,
    "Put in front of the names of the steps: `NAME-step`.",
)])
.open_props(opt("param", Type::Any, "A parameter of the template."))
.open_children(opt("value", Type::Any, "A list parameter of the template."))
.example("use cargo-test crate=\"dsl\"");

const STEPS: [Child; 9] = [
    many(&JOB),
    many(&BUILD),
    many(&PUSH),
    many(&SIGN),
    many(&RELEASE),
    many(&PROMOTE),
    many(&DEPLOY),
    many(&APPROVE),
    many(&USE),
];

/// `template`
pub static TEMPLATE: NodeSchema = node(
    "template",
    "Steps with typed parameters, to be put into stages with `use`.",
)
.args(&[field("name", Type::Name, "The name.")])
.props(&[opt("doc", Type::Text, "What it is for.")])
.children(&[
    many(&PARAM),
    STEPS[0],
    STEPS[1],
    STEPS[2],
    STEPS[3],
    STEPS[4],
    STEPS[5],
    STEPS[6],
    STEPS[7],
    STEPS[8],
])
.example("template cargo-test {\n    param crate\n    job \"test-${param.crate}\" {\n        env CRATE=\"${param.crate}\"\n        run \"cargo test -p $CRATE\"\n    }\n}");

/// `stage`
pub static STAGE: NodeSchema = node(
    "stage",
    "A phase of the way that software takes. Stages run in file order: each waits for those before it that are part of \
     the run, unless it says itself what it waits for. A stage that runs `after` others or `on-failure` of them stands \
     aside: nothing waits for it. Inside a stage everything runs side by side as far as references and `needs` allow.",
)
.args(&[field("name", Type::Name, "The name.")])
.props(&[opt(
    "rollback",
    Type::Word(&["reverse"]),
    "`reverse`: when a step fails, undo the stage's steps in reverse order of completion.",
)])
.children(&[
    many(&WHEN),
    many(&UNLESS),
    many(&NEEDS),
    many(&AFTER),
    many(&ON_FAILURE),
    many(&ENV),
    STEPS[0],
    STEPS[1],
    STEPS[2],
    STEPS[3],
    STEPS[4],
    STEPS[5],
    STEPS[6],
    STEPS[7],
    STEPS[8],
])
.example("stage test {\n    job unit { run \"cargo test\" }\n    job lint { run \"cargo clippy\" }\n}");
