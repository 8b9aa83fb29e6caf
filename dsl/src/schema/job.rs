//! `job` and what every step has: commands, time, retries, clean-up, undo, caching.

use super::select::{AFTER, NEEDS, ON_FAILURE, UNLESS, WHEN};
use super::{Child, Field, Kind, NodeSchema, Type, field, many, node, once, opt, some};

/// `env`
pub static ENV: NodeSchema = node(
    "env",
    "Environment variables for the commands. Values from git, the event or other steps reach a script this way, \
     as data, never as part of its text. An inner `env` wins over an outer one.",
)
.open_props(field("NAME", Type::Template, "The value; a string."))
.example("env RUST_LOG=\"info\" IMAGE_TAG=\"sha-${git.short-sha}\"");

/// `pass-env`
pub static PASS_ENV: NodeSchema = node(
    "pass-env",
    "Variables that the job gets from the environment in which `pipe` was started. Everything else, but for a short \
     list (`PATH`, `HOME`, `LANG`, proxies, toolchain homes), is kept from it, so that a job does the same everywhere.",
)
.rest(field("NAME", Type::EnvName, "A variable's name."))
.example("job test {\n    pass-env SDKROOT\n    run \"make test\"\n}");

/// `timeout`
pub static TIMEOUT: NodeSchema = node(
    "timeout",
    "How long a step may take, all its tries together. Then it is asked to end, after the grace (ten seconds, `--grace`) \
     it is killed, and it has failed.",
)
.args(&[field("duration", Type::Duration, "The longest time.")])
.example("timeout \"30m\"");

/// `on-exit` in `retry`
pub static ON_EXIT: NodeSchema = node("on-exit", "Tries again only after these exit codes.")
    .rest(field("code", Type::Int(1, 255), "An exit code."))
    .example("retry 2 {\n    on-exit 75 137\n}");

/// `retry`
pub static RETRY: NodeSchema = node(
    "retry",
    "Tries a failed step again. The waiting time doubles from one try to the next.",
)
.args(&[field(
    "count",
    Type::Int(1, 10),
    "How many more tries there are after the first.",
)])
.props(&[opt("backoff", Type::Duration, "The time before the second try.").default("1s")])
.children(&[once(&ON_EXIT)])
.example("retry 2 backoff=\"5s\"");

/// `allow-failure`
pub static ALLOW_FAILURE: NodeSchema = node(
    "allow-failure",
    "The run goes on and succeeds even if this step fails; its outcome is `soft-failed`.",
)
.args(&[opt(
    "yes",
    Type::Bool,
    "`#false` switches it off, for templates.",
)])
.example("job nightly-lint {\n    allow-failure\n    run \"make lint-nightly\"\n}");

/// `lock`
pub static LOCK: NodeSchema = node(
    "lock",
    "Steps that name the same lock do not run at the same time, or at most `slots` of them do.",
)
.args(&[field("name", Type::Name, "The lock's name.")])
.props(&[opt("slots", Type::Int(1, 1000), "How many may hold it at once.").default("1")])
.example("lock test-database");

/// `shell`
pub static SHELL: NodeSchema = node(
    "shell",
    "The program that gets the text of `run`. `bash` and `sh` are started so that the first failing command ends the \
     job (`-euo pipefail`, `-eu`); any other program gets the arguments given here and then the text.",
)
.args(&[field("program", Type::Text, "`bash`, `sh`, or another program.")])
.rest(opt("argument", Type::Text, "Arguments in front of the text."))
.example("shell python3 \"-c\"");

/// `workdir`
pub static WORKDIR: NodeSchema = node("workdir", "The folder in which the commands run.")
    .args(&[field(
        "path",
        Type::Path,
        "Relative to the pipeline's folder.",
    )])
    .example("workdir \"services/api\"");

/// `run`
pub static RUN: NodeSchema = node(
    "run",
    "A command. With one argument it is shell text (several lines with `\"\"\"`); with several it is a program and its \
     arguments, started without a shell. Several `run` nodes run one after the other and stop at the first failure. \
     `${…}` is refused here: a script gets values through `env`.",
)
.args(&[field("text", Type::Script, "Shell text, or the program.")])
.rest(opt("argument", Type::Script, "An argument of the program."))
.example("run \"cargo test --workspace\"\nrun cargo build \"--release\"");

/// `always`
pub static ALWAYS: NodeSchema = node(
    "always",
    "Clean-up of the step itself: runs when its commands are done, whatever their outcome, also after a cancel.",
)
.children(&[some(&RUN)])
.example("always {\n    run \"docker compose down\"\n}");

/// `rollback`
pub static ROLLBACK: NodeSchema = node(
    "rollback",
    "How to undo the step. It is armed before the step begins and runs when the step fails, or when a later step of \
     the same stage fails and the stage has `rollback=reverse`.",
)
.children(&[some(&RUN), once(&TIMEOUT)])
.example("rollback {\n    run \"./migrate.sh down\"\n}");

/// `inputs`
pub static INPUTS: NodeSchema = node(
    "inputs",
    "The files that decide the result. A job with `inputs` does not run again while they, its commands, its declared \
     environment and what it is handed by other steps stay the same: what it made is put back, and what it wrote is told \
     again. It does not see the variables that say which run it is, such as `PIPE_SHA`, and its own outputs never count \
     as inputs. A job with a `rollback` always runs.",
)
.rest(field("pattern", Type::Glob, "A pattern; `\"!…\"` excludes."))
.example("inputs \"src/**\" \"Cargo.lock\" \"!src/**/*.md\"");

/// `outputs`
pub static OUTPUTS: NodeSchema = node(
    "outputs",
    "The files that the job makes. They must be there when it succeeds. Where the job need not run they are put back as \
     they were, and what else the patterns match is removed, unless another step made it.",
)
.rest(field("pattern", Type::Glob, "A path or pattern."))
.example("outputs \"target/release/app\"");

/// The parts of a key.
const PART: Field = field(
    "part",
    Type::KeyPart,
    "`os`, `arch`, `(file)\"Cargo.lock\"`, `(env)\"NAME\"`, `(run)\"rustc --version\"` or `\"text\"`.",
);

/// `key`
pub static KEY: NodeSchema = node(
    "key",
    "What decides the result of a job, besides what is declared elsewhere: a tool's version, for example. In a `cache` it \
     is the key under which the directory is kept. A `(run)` command gets the job's environment, and may take a minute.",
)
.rest(PART)
.example("key os (file)\"Cargo.lock\" (run)\"rustc --version\"");

/// `restore`
pub static RESTORE: NodeSchema = node(
    "restore",
    "A shorter key to fall back to when nothing is kept under the full one: the newest state whose key has all these parts. \
     Several are tried in order.",
)
.rest(PART)
.example("restore os");

/// `cache` of a job
pub static CACHE: NodeSchema = node(
    "cache",
    "A directory that is kept between runs, such as a package manager's. It is made where it is missing. With a `key` its \
     content is brought back before the job and kept after it, once for each key; without one it is left where it is. A \
     directory of the repository becomes exactly what is kept. One elsewhere is kept in a CI only, and files are only added.",
)
.args(&[
    field("name", Type::Name, "What to call it."),
    field("path", Type::AnyPath, "The directory; `~` is the job's home."),
])
.children(&[once(&KEY), many(&RESTORE)])
.example("cache poetry \"~/.cache/pypoetry\" {\n    key os (file)\"poetry.lock\"\n    restore os\n}");

/// `artifact`
pub static ARTIFACT: NodeSchema = node(
    "artifact",
    "Files that a step hands to later ones. With paths it keeps them when the step succeeds; with `from=` it puts them \
     in place before the commands run, and that makes the edge.",
)
.args(&[field("name", Type::Name, "The artifact's name.")])
.rest(opt("path", Type::Glob, "Files or patterns to keep."))
.props(&[
    opt("from", Type::Ref(Kind::Step), "The step that made it."),
    opt(
        "into",
        Type::Path,
        "Where to put it. Otherwise every file goes where it was made.",
    ),
])
.example("job build {\n    artifact site \"public/**\"\n    run \"make site\"\n}\njob publish {\n    artifact site from=build\n    run \"./publish.sh public\"\n}");

/// `secrets`
pub static SECRETS: NodeSchema = node(
    "secrets",
    "The secrets that the step may see, each as an environment variable of its name. Their values never appear in output.",
)
.rest(field("name", Type::Ref(Kind::Secret), "A declared secret."))
.example("secrets NPM_TOKEN");

/// `exclude` in `matrix`
pub static EXCLUDE: NodeSchema = node("exclude", "Leaves out the legs that have all these values.")
    .open_props(field("axis", Type::Text, "An axis and its value."))
    .example("exclude os=macos rust=beta");

/// `include` in `matrix`
pub static INCLUDE_LEG: NodeSchema = node("include", "Adds one leg with exactly these values.")
    .open_props(field("axis", Type::Text, "An axis and its value."))
    .example("include os=windows rust=stable");

/// `matrix`
pub static MATRIX: NodeSchema = node(
    "matrix",
    "Runs the job once for every combination of the axes' values, side by side. A value is `${matrix.AXIS}`, and the \
     script gets it as `MATRIX_AXIS`. At most 256 legs.",
)
.children(&[many(&EXCLUDE), many(&INCLUDE_LEG)])
.open_children(field("value", Type::Text, "The axis's values."))
.example("matrix {\n    os linux macos\n    rust stable beta\n    exclude os=macos rust=beta\n}");

/// `resources`
pub static RESOURCES: NodeSchema = node(
    "resources",
    "What the job takes of the machine while it runs; jobs that together need more than there is wait for each other.",
)
.props(&[
    opt("cpu", Type::Int(1, 1024), "Processor cores.").default("1"),
    opt("memory", Type::Size, "Main memory."),
])
.example("resources cpu=4 memory=\"8GiB\"");

/// `ready`
pub static READY: NodeSchema = node(
    "ready",
    "When something that was started counts as ready: an HTTP answer, an open TCP port, or a command that succeeds.",
)
.args(&[opt("url", Type::Url, "Asked until it answers with the status.")])
.props(&[
    opt("tcp", Type::Template, "`host:port` that must accept a connection."),
    opt("command", Type::Script, "A command that must succeed."),
    opt("status", Type::Int(100, 599), "The HTTP status to expect.").default("200"),
    opt("body", Type::Template, "Text that the answer must contain."),
    opt(
        "version",
        Type::Template,
        "Text of the new version that the answer must contain, so that the old one cannot answer for it.",
    ),
    opt("within", Type::Duration, "How long to wait for it.").default("2m"),
    opt("every", Type::Duration, "The time between two tries.").default("1s"),
    opt("stable-for", Type::Duration, "How long it must stay ready."),
])
.example("ready \"http://127.0.0.1:3000/api/ready\" within=\"2m\"");

/// `container` of a job
pub static CONTAINER: NodeSchema = node(
    "container",
    "Runs the job's commands in a container: of an image reference, or of an image that this pipeline builds.",
)
.args(&[opt("reference", Type::ImageRef, "An image reference.")])
.props(&[
    opt("image", Type::Ref(Kind::Image), "An image of this pipeline."),
    opt("platform", Type::Text, "Such as `linux/arm64`."),
    opt(
        "pull",
        Type::Word(&["missing", "always", "never"]),
        "When to fetch the image.",
    )
    .default("missing"),
])
.example("container \"python:3.11-slim\"");

/// `service`
pub static SERVICE: NodeSchema = node(
    "service",
    "A container that runs beside the job, reachable under its name: a database, a broker.",
)
.args(&[
    field("name", Type::Name, "Its host name."),
    field("reference", Type::ImageRef, "An image reference."),
])
.children(&[many(&ENV), once(&READY)])
.example("service postgres \"postgres:15\" {\n    env POSTGRES_PASSWORD=\"test\"\n    ready tcp=\"postgres:5432\"\n}");

/// `when`, `needs` and the like, which every step may have.
macro_rules! step_children {
    ($($own:expr),* $(,)?) => {
        &[
            $($own,)*
            many(&NEEDS),
            many(&AFTER),
            many(&ON_FAILURE),
            many(&WHEN),
            many(&UNLESS),
            once(&TIMEOUT),
            once(&RETRY),
            once(&ALLOW_FAILURE),
            many(&LOCK),
            many(&ENV),
            once(&ALWAYS),
            once(&ROLLBACK),
        ]
    };
}
pub(crate) use step_children;

/// `job`
pub static JOB: NodeSchema = node(
    "job",
    "Runs commands. Jobs of a stage run side by side as far as references and `needs` allow. Lines of the form \
     `name=value` that the commands append to the file `$PIPE_OUTPUT` are the job's outputs: `${job.outputs.name}`.",
)
.args(&[field("name", Type::Name, "Unique in its stage.")])
.children(JOB_CHILDREN)
.example("job test {\n    inputs \"src/**\" \"Cargo.lock\"\n    run \"cargo test\"\n}");

const JOB_CHILDREN: &[Child] = step_children![
    some(&RUN),
    once(&SHELL),
    once(&WORKDIR),
    once(&CONTAINER),
    many(&SERVICE),
    many(&INPUTS),
    many(&OUTPUTS),
    many(&KEY),
    many(&CACHE),
    many(&ARTIFACT),
    many(&SECRETS),
    many(&PASS_ENV),
    once(&MATRIX),
    once(&RESOURCES),
];
