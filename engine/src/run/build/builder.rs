//! Which program builds, and what it is told. Starts nothing but the question which version it is.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use super::super::environment::Environment;
use super::super::outcome::Failure;
use super::super::task::Try;
use super::super::work::NotDone;
use super::layers::{LAYERS, Layers};
use super::{Build, Login, login, secret_variable};
use crate::container::{Engine, Found, Kind};
use crate::process;

/// How long a program may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first version of Docker's command line that cannot build with BuildKit by itself.
const WITHOUT_BUILDKIT: u32 = 23;

/// The settings of the user's own programs, which are for them and not for jobs.
const THEIRS: &[&str] = &[
    "DOCKER_CONFIG",
    "REGISTRY_AUTH_FILE",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
    "BUILDX_CONFIG",
    "BUILDX_BUILDER",
];

/// Who builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Builder {
    /// BuildKit, by Docker's plugin, in the engine at an address, or in a container of its own, which alone can write layers
    /// to a registry.
    Buildx {
        /// The engine.
        address: String,
        /// Whether it can write layers to a registry.
        writes_layers: bool,
    },
    /// BuildKit, by Docker's command line itself.
    BuildKit(String),
    /// Buildah, in Podman.
    Podman,
}

/// One image to build.
pub(super) struct Order<'b> {
    pub(super) build: &'b Build,
    pub(super) platform: Option<&'b str>,
    pub(super) labels: &'b [(String, String)],
    /// Where the builder writes the engine's name for the image.
    pub(super) id_file: PathBuf,
    /// Whether it is the last one of several platforms.
    pub(super) is_last: bool,
    /// Whether no layer of an earlier build may be taken.
    pub(super) is_fresh: bool,
    /// A folder for files of the moment.
    pub(super) folder: &'b Path,
    /// By which what it leaves is found.
    pub(super) mark: String,
}

/// Finds the builder of an engine.
///
/// # Errors
/// When its program cannot build with BuildKit, or the step is to end.
pub(super) async fn find(
    engine: &Engine,
    wants_layers: bool,
    a_try: &Try<'_>,
) -> Result<Builder, NotDone> {
    let found = engine.found();
    if found.kind == Kind::Podman {
        return Ok(Builder::Podman);
    }
    let mut env = a_try.work.env.clone();
    theirs(&mut env);
    let asked = a_try
        .wait(docker(&env, &found.address, wants_layers))
        .await?;
    asked.map_err(NotDone::NotBegun)
}

/// Who would build with an engine, in words.
///
/// # Errors
/// What is missing, and what to do about it.
pub async fn builder_of(engine: &Found) -> Result<String, Failure> {
    let mut env = Environment::passed();
    theirs(&mut env);
    if engine.kind == Kind::Podman {
        let version = said(&env, "podman", &["--version"]).await;
        return match version {
            Some(version) => Ok(format!("Buildah, in {}", version.trim())),
            None => {
                let failure = Failure::new("the program podman was not found");
                Err(Builder::Podman.not_there(failure))
            }
        };
    }
    Ok(match docker(&env, &engine.address, false).await? {
        Builder::Buildx { .. } => "BuildKit, by `docker buildx`".to_owned(),
        _ => "BuildKit, by `docker build`".to_owned(),
    })
}

/// Adds the settings of the user's own programs.
pub(super) fn theirs(env: &mut Environment) {
    env.extend(Environment::named(THEIRS.iter().copied()));
}

/// What Docker's command line can do.
async fn docker(env: &Environment, address: &str, wants_layers: bool) -> Result<Builder, Failure> {
    if said(env, "docker", &["buildx", "version"]).await.is_some() {
        let host = format!("--host={address}");
        let writes_layers = wants_layers && {
            let told = said(env, "docker", &[&host, "buildx", "inspect"]).await;
            writes_layers(&told.unwrap_or_default())
        };
        return Ok(Builder::Buildx {
            address: address.to_owned(),
            writes_layers,
        });
    }
    let Some(version) = said(env, "docker", &["--version"]).await else {
        return Err(Failure::new("the program docker was not found").help(
            "install Docker's command line; pipe builds with it (`pipe doctor` looks for it)",
        ));
    };
    match major(&version) {
        Some(major) if major < WITHOUT_BUILDKIT => Ok(Builder::BuildKit(address.to_owned())),
        _ => Err(Failure::new(format!(
            "{} cannot build: its plugin buildx is missing",
            version.trim()
        ))
        .help(MISSING)),
    }
}

const MISSING: &str = "install the plugin (`docker-buildx-plugin`, on Debian `docker-buildx`), or build with Podman: \
                       `--engine podman`";

/// Whether a builder can write layers to a registry: the engine's own one cannot.
fn writes_layers(told: &str) -> bool {
    let driver = told.lines().find_map(|line| line.strip_prefix("Driver:"));
    driver.is_some_and(|driver| driver.trim() != "docker")
}

/// `Docker version 20.10.24+dfsg1, build 297e128`
fn major(version: &str) -> Option<u32> {
    let number = version
        .split_whitespace()
        .find(|w| w.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split('.').next()?.parse().ok()
}

/// What a program prints, if it is there and succeeds.
pub(super) async fn said(env: &Environment, program: &str, args: &[&str]) -> Option<String> {
    let path = env.vars().into_iter().find(|(n, _)| n == "PATH");
    let program = process::in_path(program, path?.1.as_ref())?;
    let output = tokio::process::Command::new(program)
        .args(args)
        .env_clear()
        .envs(env.vars())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.ok()?.ok()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(printed)
}

impl Builder {
    /// The program to start.
    pub(super) fn program(&self) -> &'static str {
        match self {
            Self::Buildx { .. } | Self::BuildKit(_) => "docker",
            Self::Podman => "podman",
        }
    }

    /// Whether a stopped build leaves the container in which it was working.
    pub(super) fn leaves_containers(&self) -> bool {
        matches!(self, Self::Podman)
    }

    /// What to do where the program is not there.
    pub(super) fn not_there(&self, failure: Failure) -> Failure {
        let help = match self {
            Self::Podman => "install Podman's command line; pipe builds with it",
            _ => "install Docker's command line; pipe builds with it",
        };
        failure.help(help)
    }

    /// Hands over the logins of the pipeline.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn log_in(
        &self,
        logins: &[Login],
        folder: &Path,
        env: &mut Environment,
    ) -> std::io::Result<()> {
        let kind = match self {
            Self::Podman => Kind::Podman,
            _ => Kind::Docker,
        };
        login::hand_over(logins, kind, folder, env)
    }

    /// What the program gets besides the environment of the step.
    pub(super) fn environment(&self, order: &Order<'_>, env: &mut Environment) {
        theirs(env);
        for (name, value) in order.build.secret_variables() {
            env.set(name, value);
        }
        let settings = [
            // Where the engine takes it from whoever asks, no line is lost.
            ("BUILDKIT_STEP_LOG_MAX_SIZE", "-1"),
            ("BUILDKIT_STEP_LOG_MAX_SPEED", "-1"),
            ("DOCKER_BUILDKIT", "1"),
            ("DOCKER_CLI_HINTS", "false"),
            ("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"),
        ];
        if self.leaves_containers() {
            env.set(super::left::VARIABLE, "1");
        } else {
            settings.iter().for_each(|(n, v)| env.set(*n, *v));
        }
        // The engine is named on the command line.
        for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST"] {
            env.remove(name);
        }
    }

    /// The arguments. A value stands behind a `=`, so that none is ever an option.
    pub(super) fn arguments(&self, order: &Order<'_>, root: &Path) -> Vec<OsString> {
        let build = order.build;
        let mut args: Vec<OsString> = match self {
            Self::Buildx { address, .. } => {
                let host = format!("--host={address}");
                [
                    host.as_str(),
                    "buildx",
                    "build",
                    "--progress=plain",
                    "--load",
                ]
                .map(OsString::from)
                .to_vec()
            }
            Self::BuildKit(address) => {
                let host = format!("--host={address}");
                [host.as_str(), "build", "--progress=plain"]
                    .map(OsString::from)
                    .to_vec()
            }
            // Buildah's own format has no health check, and would give another image than Docker.
            Self::Podman => ["build", "--format=docker", "--layers"]
                .map(OsString::from)
                .to_vec(),
        };
        let mut add = |name: &str, value: &std::ffi::OsStr| {
            let mut arg = OsString::from(format!("--{name}="));
            arg.push(value);
            args.push(arg);
        };
        add("file", build.dockerfile_path(root).as_os_str());
        add("iidfile", order.id_file.as_os_str());
        let mut add = |name: &str, value: String| add(name, value.as_ref());
        if let Some(target) = &build.target {
            add("target", target.clone());
        }
        if let Some(platform) = order.platform {
            add("platform", platform.to_owned());
        }
        for (name, value) in &build.args {
            add("build-arg", format!("{name}={value}"));
        }
        for (name, value) in order.labels {
            add("label", format!("{name}={value}"));
        }
        for (name, _) in &build.secrets {
            add("secret", format!("id={name},env={}", secret_variable(name)));
        }
        if self.leaves_containers() {
            let variable = super::left::VARIABLE;
            add("secret", format!("id={},env={variable}", order.mark));
        }
        self.layers(order, &mut add);
        if order.is_fresh {
            args.push("--no-cache".into());
        }
        args.push(root.join(&build.context).into());
        args
    }

    /// Where layers are looked for and kept.
    fn layers(&self, order: &Order<'_>, add: &mut dyn FnMut(&str, String)) {
        let build = order.build;
        if self.keeps_in_image() && !build.layers.is_empty()
            || build.inline && !matches!(self, Self::Podman)
        {
            add("build-arg", "BUILDKIT_INLINE_CACHE=1".to_owned());
        }
        let tagged = build
            .layers
            .iter()
            .map(|Layers { repository, .. }| match self {
                Self::Podman => repository.clone(),
                _ => format!("{repository}:{LAYERS}"),
            });
        // Buildah looks for single layers in a repository, and none is under the tag of an image.
        let inline = build.pushed_as.iter().cloned();
        let inline = inline.filter(|_| !matches!(self, Self::Podman));
        for reference in tagged.chain(inline) {
            add(
                "cache-from",
                match self {
                    Self::Buildx { .. } => format!("type=registry,ref={reference}"),
                    _ => reference,
                },
            );
        }
        if *self == Self::Podman {
            for Layers { repository, .. } in &build.layers {
                add("cache-to", repository.clone());
            }
        }
        if self.keeps_elsewhere() {
            Self::elsewhere(order, add);
        }
    }

    /// What a builder in a container can do: it writes layers itself.
    fn elsewhere(order: &Order<'_>, add: &mut dyn FnMut(&str, String)) {
        let build = order.build;
        let folder = build.local.as_ref().map(|f| f.display().to_string());
        if let Some(folder) = folder
            .as_deref()
            .filter(|f| Path::new(f).join("index.json").is_file())
        {
            add("cache-from", format!("type=local,{}", field("src", folder)));
        }
        // One that is kept for every platform would replace the one before.
        if !order.is_last {
            return;
        }
        let mode = if build.keeps_all { "max" } else { "min" };
        let packed = match &build.compression {
            Some(how) => format!(",compression={how},force-compression=true"),
            None => String::new(),
        };
        let end = format!("mode={mode}{packed},ignore-error=true");
        for Layers { repository, .. } in &build.layers {
            add(
                "cache-to",
                format!("type=registry,ref={repository}:{LAYERS},{end}"),
            );
        }
        if let Some(folder) = &folder {
            add(
                "cache-to",
                format!("type=local,{},{end}", field("dest", folder)),
            );
        }
    }

    /// What of a build's `cache` this builder cannot do, a line for each.
    pub(super) fn cannot(&self, build: &Build) -> Vec<&'static str> {
        let is_podman = *self == Self::Podman;
        let is_engine = self.keeps_in_image();
        let packs = build.compression.is_some() && build.keeps_layers();
        [
            (
                is_engine && build.keeps_all && (build.inline || !build.layers.is_empty()),
                "layers of the last stage only are kept: all of them (`mode=max`) want a builder in a container, \
                 `docker buildx create --use`",
            ),
            (
                is_engine && build.local.is_some(),
                "no layers are kept in a directory: `local` wants a builder in a container, `docker buildx create --use`",
            ),
            (
                is_engine && packs,
                "layers are packed with gzip: another `compression` wants a builder in a container, \
                 `docker buildx create --use`",
            ),
            (
                is_podman && build.inline,
                "no layers are kept in the image itself: Buildah has no `inline`; `registry` keeps them beside it",
            ),
            (
                is_podman && build.local.is_some(),
                "no layers are kept in a directory: Buildah has no `local`; `registry` keeps them beside the image",
            ),
            (
                is_podman && packs,
                "layers are packed as Buildah does it: its `compression` is in containers.conf",
            ),
        ]
        .into_iter()
        .filter_map(|(is_so, line)| is_so.then_some(line))
        .collect()
    }

    /// Whether it writes layers where it is told to.
    fn keeps_elsewhere(&self) -> bool {
        matches!(self, Self::Buildx { writes_layers, .. } if *writes_layers)
    }

    /// Whether what is known of layers is kept in the image itself, which then is pushed for the next build.
    pub(super) fn keeps_in_image(&self) -> bool {
        match self {
            Self::Buildx { writes_layers, .. } => !writes_layers,
            Self::BuildKit(_) => true,
            Self::Podman => false,
        }
    }
}

/// A field of a list that is read as CSV.
fn field(name: &str, value: &str) -> String {
    let field = format!("{name}={value}");
    match field.contains([',', '"']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::Build;
    use super::{Builder, Layers, Order, field, major, writes_layers};

    /// A build that keeps layers wherever that can be said.
    fn keeping(local: PathBuf) -> Build {
        Build {
            image: "app".to_owned(),
            context: ".".to_owned(),
            dockerfile: "Dockerfile".to_owned(),
            target: None,
            platforms: Vec::new(),
            args: Vec::new(),
            labels: Vec::new(),
            secrets: Vec::new(),
            layers: vec![Layers {
                repository: "r/app".to_owned(),
                place: None,
            }],
            keeps_all: true,
            inline: true,
            pushed_as: vec!["r/app:main".to_owned()],
            local: Some(local),
            compression: Some("zstd".to_owned()),
            provenance: false,
            sbom: None,
            logins: Vec::new(),
            inputs: Vec::new(),
            commit: None,
        }
    }

    #[test]
    fn every_builder_is_told_of_layers_what_it_can_do() {
        let folder = tempfile::tempdir().unwrap();
        let build = keeping(folder.path().to_path_buf());
        std::fs::write(folder.path().join("index.json"), "{}").unwrap();
        let told = |builder: &Builder| {
            let order = Order {
                build: &build,
                platform: None,
                labels: &[],
                id_file: "id".into(),
                is_last: true,
                is_fresh: false,
                folder: Path::new("/"),
                mark: "m".to_owned(),
            };
            let mut all = Vec::new();
            builder.layers(&order, &mut |name, value| {
                all.push(format!("{name} {value}"));
            });
            let own = folder.path().display().to_string();
            (
                all.join("\n").replace(&own, "DIR"),
                builder.cannot(&build).len(),
            )
        };
        let buildx = |writes_layers| Builder::Buildx {
            address: String::new(),
            writes_layers,
        };
        let (args, cannot) = told(&buildx(true));
        insta::assert_snapshot!(args, @"
        build-arg BUILDKIT_INLINE_CACHE=1
        cache-from type=registry,ref=r/app:layers
        cache-from type=registry,ref=r/app:main
        cache-from type=local,src=DIR
        cache-to type=registry,ref=r/app:layers,mode=max,compression=zstd,force-compression=true,ignore-error=true
        cache-to type=local,dest=DIR,mode=max,compression=zstd,force-compression=true,ignore-error=true
        ");
        assert_eq!(cannot, 0);
        let (args, cannot) = told(&buildx(false));
        insta::assert_snapshot!(args, @"
        build-arg BUILDKIT_INLINE_CACHE=1
        cache-from type=registry,ref=r/app:layers
        cache-from type=registry,ref=r/app:main
        ");
        assert_eq!(cannot, 3);
        let (args, cannot) = told(&Builder::Podman);
        insta::assert_snapshot!(args, @"
        cache-from r/app
        cache-to r/app
        ");
        assert_eq!(cannot, 3);
    }

    #[test]
    fn a_folder_with_a_comma_is_one_field() {
        assert_eq!(field("src", "/a b"), "src=/a b");
        assert_eq!(field("src", "/a,\"b"), "\"src=/a,\"\"b\"");
    }

    #[test]
    fn the_builder_of_the_engine_writes_no_layers() {
        let told = |driver: &str| format!("Name:   x\nDriver: {driver}\n\nNodes:\n");
        assert!(!writes_layers(&told("docker")));
        assert!(writes_layers(&told("docker-container")));
        assert!(!writes_layers(""));
    }

    #[test]
    fn the_version_of_a_command_line_is_found() {
        assert_eq!(
            major("Docker version 20.10.24+dfsg1, build 297e128"),
            Some(20)
        );
        assert_eq!(major("Docker version 28.2.2, build e6534b4"), Some(28));
        assert_eq!(major("podman"), None);
    }
}
