//! The command line. The comments here are the help that users read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::container::Kind;
use engine::world::Event;

/// Runs CI/CD pipelines from one declarative file, the same on a laptop and in any CI.
///
/// Without a command it shows the pipeline of this folder and what can be done with it.
#[derive(Debug, Parser)]
#[command(name = "pipe", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 a step failed, 2 the file or the command line is wrong, 3 the machine \
failed, 4 waiting for an approval, 5 refused, 6 failed and rolled back, 7 needs attention, 128+n ended by signal n."
)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The pipeline file [default: pipeline.kdl in this folder or the nearest one above]
    #[arg(short, long, global = true, env = "PIPE_FILE", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Work in this folder.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Where results are kept [default: pipe in the user's cache folder]
    #[arg(long, global = true, env = "PIPE_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// When to use colours.
    #[arg(
        long,
        global = true,
        env = "PIPE_COLOR",
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: Color,
    /// Say more about what pipe itself does.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What pipe can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the pipeline, or some steps or stages and what they need.
    Run(RunArgs),
    /// Show what a run would do, and why; change nothing.
    Plan(PlanArgs),
    /// Check the file: all mistakes at once.
    Check(CheckArgs),
    /// Draw the pipeline.
    Graph(GraphArgs),
    /// Explain why a step runs or is cached; a code (E201); or a word of the language (job.cache).
    Explain(ExplainArgs),
    /// Look after the results that are kept.
    Cache(CacheArgs),
    /// Look whether this machine has what the pipeline needs: engines, git, shells, folders.
    Doctor(DoctorArgs),
    /// Format the file; never touches strings, numbers or comments.
    Fmt(FmtArgs),
    /// List stages, steps, parameters and secrets.
    List(ListArgs),
    /// Show what a run's steps wrote.
    Logs(LogsArgs),
    /// List the runs of this checkout.
    Runs(RunsArgs),
    /// Show what runs on which target, since when, and whether it is healthy.
    Targets(TargetsArgs),
    /// Show what happened to a target, newest first.
    History(HistoryArgs),
    /// Show how often, how soon and how well targets are deployed: the five figures of software delivery.
    Metrics(MetricsArgs),
    /// Bring an earlier healthy release back to a target.
    Rollback(RollbackArgs),
    /// Move what a promotion's source runs to its destination, if every requirement holds.
    Promote(PromoteArgs),
    /// Approve a promotion, or an `approve` step, for exactly what is there now.
    Approve(ApproveArgs),
    /// Say that a target is looked after: lifts its lock, its hold and a lease that somebody left.
    Unlock(UnlockArgs),
    /// Show what of registries and of this machine's images is old and wanted by nobody; with --yes, remove it.
    Prune(PruneArgs),
    /// Write a first pipeline.kdl that fits this project.
    Init(InitArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What a run is about: from the CI's environment and git, unless a flag says otherwise.
#[derive(Debug, Args, Default)]
pub struct About {
    /// Plan as if this had happened: push, pull-request, tag, schedule, manual.
    #[arg(long, value_name = "EVENT", value_parser = event)]
    pub event: Option<Event>,
    /// Plan as if on this branch.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub branch: Option<String>,
    /// Plan as if this tag had been pushed.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub tag: Option<String>,
    /// The pull request's number.
    #[arg(long, value_name = "N", value_parser = number)]
    pub pr: Option<u64>,
    /// The commit that `when paths=` compares with.
    #[arg(long, value_name = "REF", allow_hyphen_values = true)]
    pub base: Option<String>,
    /// Give a parameter a value.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = pair, allow_hyphen_values = true)]
    pub params: Vec<(String, String)>,
}

fn event(text: &str) -> Result<Event, String> {
    text.parse::<Event>().map_err(|e| e.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    dsl::units::duration(text).map_err(|wrong| wrong.to_string())
}

fn size(text: &str) -> Result<u64, String> {
    dsl::units::size(text)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "write a whole number, such as 7".to_owned())
}

fn jobs(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(jobs @ 1..=10_000) => Ok(jobs),
        _ => Err("write a whole number from 1 to 10000".to_owned()),
    }
}

fn how_many(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("write a whole number from 1".to_owned()),
        Ok(many) => Ok(many),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// The container engine of a command that may need one.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The engine for containers: docker or podman [default: `engine=` of the pipeline, DOCKER_HOST, the first that answers]
    #[arg(long, env = "PIPE_ENGINE", value_name = "ENGINE", value_parser = engine)]
    pub engine: Option<Kind>,
    /// How long an engine may take to answer.
    #[arg(long, env = "PIPE_ENGINE_TIMEOUT", value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub engine_timeout: Duration,
}

fn engine(text: &str) -> Result<Kind, String> {
    match text {
        "docker" => Ok(Kind::Docker),
        "podman" => Ok(Kind::Podman),
        "host" | "local" | "none" => Err(
            "a job that names a container never runs outside of one; take its `container` away"
                .to_owned(),
        ),
        _ => Err("write docker or podman; DOCKER_HOST names a socket".to_owned()),
    }
}

/// `pipe prune`
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Registries [default: those with `keep`]
    #[arg(value_name = "REGISTRY")]
    pub names: Vec<String>,
    /// Remove it, instead of showing what would go.
    #[arg(short, long)]
    pub yes: bool,
    /// Also images that pipe built and the container engine has, when they are older.
    #[arg(long, value_name = "AGE", value_parser = duration)]
    pub images_older_than: Option<Duration>,
    /// The container engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How long a registry may show no sign of life.
    #[arg(long, env = "PIPE_REGISTRY_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub registry_timeout: Duration,
    /// How to show it.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The engine to ask for.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How to show it.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Steps or stages to run, with what they need, whatever the event [default: what the event selects]
    pub names: Vec<String>,
    /// What the run is about.
    #[command(flatten)]
    pub about: About,
    /// The branch into which the pull request goes.
    #[arg(long, value_name = "BRANCH", allow_hyphen_values = true)]
    pub into: Option<String>,
    /// How many steps run at once [default: the number of processors]
    #[arg(short, long, env = "PIPE_JOBS", value_name = "N", value_parser = jobs)]
    pub jobs: Option<u32>,
    /// Stop everything at the first failure.
    #[arg(long, conflicts_with = "keep_going")]
    pub fail_fast: bool,
    /// Run everything that does not depend on what failed; this is the default.
    #[arg(long)]
    pub keep_going: bool,
    /// Show the plan and run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Continue a run that was interrupted, cancelled or failed, where it stood [default: the latest]
    #[arg(
        long,
        value_name = "RUN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "latest",
        conflicts_with_all = ["names", "event", "branch", "tag", "pr", "base", "params", "into"]
    )]
    pub resume: Option<String>,
    /// Run everything, or these steps or stages, whatever was kept; and keep nothing of them
    #[arg(
        long,
        value_name = "NAME,…",
        num_args = 0..=1,
        require_equals = true,
        value_delimiter = ',',
        default_missing_value = "",
        conflicts_with = "refresh"
    )]
    pub no_cache: Option<Vec<String>>,
    /// Run everything, whatever was kept, and keep the new results.
    #[arg(long)]
    pub refresh: bool,
    /// Leave the remote cache alone: take nothing from it, send nothing to it.
    #[arg(long, env = "PIPE_NO_REMOTE", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_remote: bool,
    /// How long the run may go on only to send results to the remote cache.
    #[arg(long, env = "PIPE_REMOTE_WAIT", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub remote_wait: Duration,
    /// How long what is asked to end may take until it is killed.
    #[arg(long, env = "PIPE_GRACE", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub grace: Duration,
    /// The container engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// How long a registry may show no sign of life.
    #[arg(long, env = "PIPE_REGISTRY_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub registry_timeout: Duration,
    /// Do not ask before steps that change the outside world.
    #[arg(short, long)]
    pub yes: bool,
    /// How to show the run.
    #[command(flatten)]
    pub view: ViewArgs,
    /// Show everything that the steps write, as it comes, on a terminal too.
    #[arg(long, conflicts_with = "quiet")]
    pub output: bool,
}

impl RunArgs {
    /// Whether nothing is taken from the cache, and nothing kept in it.
    #[must_use]
    pub fn keeps_nothing(&self) -> bool {
        let names = self.no_cache.as_ref();
        names.is_some_and(|names| names.iter().all(String::is_empty))
    }
}

/// How a run is to be shown.
#[derive(Debug, Clone, Copy, Args)]
pub struct ViewArgs {
    /// How to show the run.
    #[arg(
        long,
        env = "PIPE_FORMAT",
        default_value = "auto",
        value_name = "FORMAT"
    )]
    format: RunFormat,
    /// Say nothing but what goes wrong: the same as `--format quiet`
    #[arg(short, long)]
    quiet: bool,
}

impl ViewArgs {
    /// The format.
    #[must_use]
    pub fn format(&self) -> RunFormat {
        match self.quiet {
            true => RunFormat::Quiet,
            false => self.format,
        }
    }
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// What fits where it runs.
    Auto,
    /// A view that moves, for a terminal.
    Live,
    /// Lines with the step's name in front.
    Plain,
    /// Groups, annotations and the job summary of GitHub Actions.
    Github,
    /// The sections of GitLab CI.
    Gitlab,
    /// One JSON object a line for each event.
    Json,
    /// Nothing but what goes wrong.
    Quiet,
}

/// `pipe plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Steps or stages, with what they need [default: what the event selects]
    pub names: Vec<String>,
    /// What the run would be about.
    #[command(flatten)]
    pub about: About,
    /// The branch into which the pull request goes.
    #[arg(long, value_name = "BRANCH", allow_hyphen_values = true)]
    pub into: Option<String>,
    /// How to show it.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// For a person or for a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HumanOrJson {
    /// For a person.
    Human,
    /// For a program.
    Json,
}

/// `pipe check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// How to show the findings [default: github under GitHub Actions, otherwise human]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<CheckFormat>,
    /// Warnings fail the check as well.
    #[arg(long)]
    pub strict: bool,
}

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// With the lines of the file.
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}

/// `pipe graph`
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Steps or stages, with what they need [default: everything, whatever the event]
    pub names: Vec<String>,
    /// Draw only what this event selects.
    #[command(flatten)]
    pub about: About,
    /// The format [default: text on a terminal, otherwise mermaid]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<GraphFormat>,
    /// The direction of a Mermaid or DOT graph.
    #[arg(long, default_value = "TD", value_name = "DIR", ignore_case = true)]
    pub direction: Direction,
    /// Draw less: the legs of a matrix as one, or each stage as one.
    #[arg(long, value_name = "WHAT")]
    pub collapse: Option<Collapse>,
    /// Colour it with what came of a run: its number, or `latest`.
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["names", "event", "branch", "tag", "pr", "base", "params"]
    )]
    pub run: Option<String>,
    /// Put the Mermaid graph between `<!-- pipe graph -->` and `<!-- /pipe graph -->` of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "format")]
    pub into: Option<PathBuf>,
    /// With --into: change nothing, fail if the file is not up to date.
    #[arg(long, requires = "into")]
    pub check: bool,
}

/// The format of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Mermaid, which forges draw.
    Mermaid,
    /// Graphviz.
    Dot,
    /// For a program.
    Json,
    /// A tree for the terminal.
    Text,
}

/// The direction of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// From top to bottom.
    Td,
    /// From left to right.
    Lr,
}

/// What is drawn as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Collapse {
    /// The legs of a matrix.
    Matrix,
    /// The steps of a stage.
    Stage,
}

/// `pipe explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A step, a code such as E201, or a word of the language such as job or job.cache [default: the list of words and codes]
    pub subject: Option<String>,
    /// What a run would be about, where a step is explained.
    #[command(flatten)]
    pub about: About,
    /// Compare the step's key with that of this run [default: the last one]
    #[arg(long, value_name = "RUN")]
    pub against: Option<String>,
    /// Show the step's key as a whole.
    #[arg(long, conflicts_with = "against")]
    pub key: bool,
    /// Explain the word, also where a step has its name.
    #[arg(long, conflicts_with_all = ["against", "key"])]
    pub word: bool,
    /// How to show a step.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe cache`
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: CacheAction,
}

/// What can be done with the cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Show where it is and how much is in it.
    Size {
        /// How to show it.
        #[arg(long, default_value = "human", value_name = "FORMAT")]
        format: HumanOrJson,
    },
    /// Remove what was not used for long, and then, while it is too large, what was used longest ago.
    Trim {
        /// So much may stay.
        #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
        max_size: u64,
        /// What was used within this time may stay.
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration)]
        max_age: Duration,
    },
    /// Read everything, and remove what is damaged.
    Verify,
}

/// `pipe fmt`
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Files to format; `-` is standard input [default: the pipeline file and what it includes]
    pub files: Vec<PathBuf>,
    /// Change nothing, fail if a file is not formatted.
    #[arg(long)]
    pub check: bool,
}

/// `pipe list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// How to show it.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe logs`
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The run's number, or `latest`; and a step [default: the latest run, all its steps]
    #[arg(value_name = "RUN|STEP", num_args = 0..=2)]
    pub what: Vec<String>,
    /// Only steps that failed.
    #[arg(long)]
    pub failed: bool,
    /// The bytes as they were written (secrets are still masked).
    #[arg(long)]
    pub raw: bool,
}

/// `pipe runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// How many, newest first.
    #[arg(short = 'n', long, default_value = "20", value_name = "N", value_parser = how_many)]
    pub number: usize,
    /// How to show them.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe targets`
#[derive(Debug, Args)]
pub struct TargetsArgs {
    /// Only this one.
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Ask the targets themselves, and say where what runs is not what was deployed.
    #[arg(long)]
    pub drift: bool,
    /// How to show them.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The target.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// How many records, newest first.
    #[arg(short = 'n', long, default_value = "20", value_name = "N", value_parser = how_many)]
    pub number: usize,
    /// How to show them.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe metrics`
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// The target [default: all]
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// How far to look back.
    #[arg(long, default_value = "30d", value_name = "DURATION", value_parser = duration)]
    pub last: Duration,
    /// How to show them.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe rollback`
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The target.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// The release: its version, the beginning of its commit or of its bundle's name [default: the last healthy one before]
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,
    /// How it is run and shown.
    #[command(flatten)]
    pub by_hand: ByHandArgs,
}

/// `pipe promote`
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The promotion.
    #[arg(value_name = "RULE")]
    pub rule: String,
    /// How it is run and shown.
    #[command(flatten)]
    pub by_hand: ByHandArgs,
}

/// What is asked for by hand and changes a target.
#[derive(Debug, Args)]
pub struct ByHandArgs {
    /// Do not ask before the target is changed.
    #[arg(short, long)]
    pub yes: bool,
    /// Give a parameter a value.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = pair, allow_hyphen_values = true)]
    pub params: Vec<(String, String)>,
    /// How to show the run.
    #[command(flatten)]
    pub view: ViewArgs,
}

/// `pipe approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The promotion, or what an `approve` step is called.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How long it holds.
    #[arg(long = "for", value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub holds: Duration,
    /// The SSH key to sign with, where the pipeline names `approvers`; otherwise the one with which git signs.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// How to show it.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub format: HumanOrJson,
}

/// `pipe unlock`
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The target.
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// Why that is right now.
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub why: String,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// `pipe init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Also write the workflow that runs it in this CI.
    #[arg(long, value_name = "CI")]
    pub ci: Option<CiFile>,
    /// Overwrite a file that is there.
    #[arg(long)]
    pub force: bool,
    /// Print the pipeline (with --ci the workflow), write nothing.
    #[arg(long)]
    pub stdout: bool,
}

/// A CI for which a workflow can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CiFile {
    /// .github/workflows/pipe.yml
    Github,
    /// .gitlab-ci.yml
    Gitlab,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        super::Cli::command().debug_assert();
    }
}
