//! A target that is a Compose project, on this machine or over SSH: the rendered file is held against what the deployment
//! brings before anything changes, images are pulled by digest, services come up and are waited for, one-shot services run
//! once for each bundle. Volumes, and services that the target does not name, are left alone.

mod asserted;
mod files;
mod once;
mod render;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tokio::sync::OnceCell;

use self::render::{Rendered, Wanted, named};
use super::container::EngineAt;
use super::driver::{Answer, Driver, Failure, Observed, Release};
use super::hands::{Call, Hands};
use super::settings::Settings;
use crate::container::is_named_wrong;
use crate::ledger::Bundle;

/// Text for `sh` that finds Compose: prints its version and the words that call it; `docker` alone where that is there
/// without it; otherwise nothing.
pub const FIND: &str =
    "v=$(docker compose version --short 2>/dev/null) && { echo \"$v docker compose\"; exit; }
v=$(docker-compose version --short 2>/dev/null) && { echo \"$v docker-compose\"; exit; }
if command -v docker >/dev/null 2>&1; then echo docker; fi";

/// How services are started: only those that are named.
const UP: [&str; 5] = [
    "up",
    "--detach",
    "--no-deps",
    "--no-build",
    "--pull=missing",
];

/// A Compose project, as it is for one bundle.
#[derive(Debug, Clone, Default)]
pub struct ComposeProject {
    /// The target's name.
    pub target: String,
    /// The project's name.
    pub project: String,
    /// The Compose file, relative to the pipeline's folder.
    pub file: String,
    /// The folder on the host into which files are copied; none: the pipeline's folder, where it stays.
    pub dir: Option<String>,
    /// What is copied there besides.
    pub copies: Vec<String>,
    /// Files of variables that live on the host.
    pub env_files: Vec<String>,
    /// Variables for the file.
    pub env: Vec<(String, String)>,
    /// What is done, in order.
    pub steps: Vec<Doing>,
    /// Settings that the services must have.
    pub settings: Settings,
    /// What it is to run.
    pub bundle: Bundle,
    /// Whether it ran there before, so that its files are those that were kept.
    pub is_earlier: bool,
    /// The engine.
    pub engine: EngineAt,
    /// What is known of the host.
    pub known: Known,
}

/// One thing to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doing {
    /// Services are started and waited for.
    Up(Vec<String>),
    /// Services are run to their ends.
    Run(Vec<String>),
}

/// What was found out, once.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The words by which Compose is called.
    words: OnceCell<Vec<String>>,
    /// Where the files are that are tried out, and what Compose makes of them.
    rendered: OnceCell<(At, Rendered)>,
}

/// Where Compose finds its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In force.
    Place,
    /// Those of the release that are kept, in the project's folder.
    Kept,
    /// In the folder where they are tried out.
    Tried,
}

impl ComposeProject {
    /// The words that call Compose on the host: Docker's plugin, or the program of its own.
    async fn words(&self, hands: &mut Hands) -> Result<&[String], Failure> {
        let words = self.known.words.get_or_try_init(async || {
            let call = Call::new("sh", ["-c", FIND]).called("docker compose version");
            let told = hands.ask(call.quiet().muted()).await?;
            found(told.out.trim(), &hands.host()).map(|(_, words)| words)
        });
        words.await.map(Vec::as_slice)
    }

    async fn compose(&self, at: At, args: &[&str], hands: &mut Hands) -> Result<Call, Failure> {
        let words = self.words(hands).await?;
        let mut all: Vec<String> = words[1..].to_vec();
        let folder = Path::new(&self.file).parent().unwrap_or(Path::new(""));
        let shown = |folder: &str, rest: &Path| {
            let path = Path::new(folder).join(rest);
            match path.to_string_lossy().into_owned() {
                path if path.is_empty() => ".".to_owned(),
                path => path,
            }
        };
        let (files, project) = match at {
            At::Place => (String::new(), String::new()),
            At::Kept => (self.kept(), String::new()),
            At::Tried => (self.tried(), self.tried()),
        };
        all.extend([
            format!("--project-name={}", self.project),
            format!("--project-directory={}", shown(&project, folder)),
            format!("--file={}", shown(&files, Path::new(&self.file))),
            "--profile=*".to_owned(),
        ]);
        all.extend(self.env_files.iter().map(|f| format!("--env-file={f}")));
        all.extend(args.iter().map(|a| (*a).to_owned()));
        let title = format!("{} {}", words.join(" "), args.join(" "));
        let call = Call::new(words[0].clone(), all).called(title);
        Ok(self.here(call.envs(&self.env), hands))
    }

    /// A call in the project's folder, with the engine of this machine where that is meant.
    fn here(&self, call: Call, hands: &Hands) -> Call {
        let call = match &self.engine.address {
            Some(address) if hands.ssh.is_none() => call.env("DOCKER_HOST", address),
            _ => call,
        };
        match &self.dir {
            Some(dir) => call.dir(dir),
            None => call,
        }
    }

    fn engine(&self, args: &[&str]) -> Call {
        self.engine
            .call(args.iter().map(|a| (*a).to_owned()).collect())
            .called(format!("docker {}", args.join(" ")))
    }

    /// The services of all `up`s.
    fn up(&self) -> BTreeSet<&str> {
        named(&self.steps, true)
    }

    /// The services of all `run`s.
    fn once(&self) -> BTreeSet<&str> {
        named(&self.steps, false)
    }

    /// What Compose makes of the files of this release. They are on the host then, and change nothing there.
    async fn rendered(&self, hands: &mut Hands) -> Result<&(At, Rendered), Failure> {
        let rendered = self.known.rendered.get_or_try_init(async || {
            let at = self.bring(hands).await?;
            let call = self
                .compose(at, &["config", "--format=json"], hands)
                .await?;
            let told = hands.ask(call.quiet().muted()).await?;
            let unset = unset(&told.errors);
            if told.code != 0 {
                return Err(self.unusable(&told.complaint, &unset));
            }
            for name in unset {
                let line = format!("{name} is not set, and is empty in {}", self.file);
                hands.say(&line).await;
            }
            Ok((at, Rendered::read(&told.out)?))
        });
        rendered.await
    }

    /// Brings the files to where they can be tried out.
    async fn bring(&self, hands: &mut Hands) -> Result<At, Failure> {
        if self.is_earlier {
            if self.has_kept(hands).await? {
                return Ok(At::Kept);
            }
            let line = format!(
                "the files of {} are not kept on {} any more; those of the repository are taken",
                self.bundle.title(),
                hands.host()
            );
            hands.say(&line).await;
        }
        self.stage(hands).await?;
        if self.dir.is_none() {
            return Ok(At::Place);
        }
        self.try_out(hands).await?;
        Ok(At::Tried)
    }

    fn unusable(&self, complaint: &str, unset: &BTreeSet<String>) -> Failure {
        let failure = Failure::new(format!("{} cannot be used: {complaint}", self.file));
        if complaint.contains("env file") {
            return failure.help(
                "an `env-file` lives on the host, where `pipe` neither makes nor changes it: put it there",
            );
        }
        if unset.is_empty() {
            return failure.help(format!(
                "`docker compose --file {} config` shows it",
                self.file
            ));
        }
        let unset: Vec<&str> = unset.iter().map(String::as_str).collect();
        failure.help(format!(
            "set {} by `env` in the target's `compose`, or in an `env-file` of the host",
            unset.join(", ")
        ))
    }

    /// Which image of the bundle each service runs that is started.
    fn images(&self) -> BTreeMap<String, &str> {
        let rendered = self.known.rendered.get();
        rendered.map_or_else(BTreeMap::new, |(_, r)| r.images(&self.up(), &self.bundle))
    }

    /// Whether the engine has an image, fetched if it has to be.
    async fn fetch(&self, reference: &str, hands: &mut Hands) -> Result<(), Failure> {
        let call = self.engine(&["image", "inspect", "--format={{.Id}}", "--", reference]);
        if hands.ask(call.quiet().muted()).await?.code == 0 {
            return Ok(());
        }
        let told = hands
            .ask(
                self.engine(&["pull", "--quiet", "--", reference])
                    .quiet()
                    .muted(),
            )
            .await?;
        if told.code == 0 {
            return Ok(());
        }
        // Where it is the engine that is away, that is what is to be told.
        self.containers(hands).await?;
        let failure = Failure::new(format!(
            "the image {reference} cannot be pulled: {}",
            told.complaint
        ))
        .help(format!(
            "it has to be in a registry that {} reaches, and is logged in to: `docker login` there",
            hands.host()
        ));
        Err(match is_named_wrong(&told.complaint) {
            true => failure,
            false => failure.infrastructure(),
        })
    }

    /// Everything that can be known before anything changes.
    async fn look(&self, hands: &mut Hands) -> Result<(), Failure> {
        let (at, rendered) = self.rendered(hands).await?;
        rendered.check(&Wanted {
            file: &self.file,
            steps: &self.steps,
            bundle: &self.bundle,
            env: &self.env,
        })?;
        self.assert(*at, rendered, hands).await?;
        let all: BTreeSet<&str> = self.up().union(&self.once()).copied().collect();
        let services = all.iter().filter_map(|name| rendered.services.get(*name));
        let images: BTreeSet<&str> = services.map(|s| s.image.as_str()).collect();
        for image in images.into_iter().filter(|i| !i.is_empty()) {
            self.fetch(image, hands).await?;
        }
        Ok(())
    }

    /// Where the files are once this release is in force.
    async fn put_in_force(&self, hands: &mut Hands) -> Result<At, Failure> {
        let (at, _) = self.rendered(hands).await?;
        if self.dir.is_some() {
            self.place(hands).await?;
            return Ok(At::Place);
        }
        Ok(*at)
    }

    async fn make_run(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let at = self.put_in_force(hands).await?;
        for doing in &self.steps {
            match doing {
                Doing::Up(services) => self.start(at, services, hands).await?,
                Doing::Run(services) => {
                    for service in services {
                        self.run_once(at, service, release, hands).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn start(&self, at: At, services: &[String], hands: &mut Hands) -> Result<(), Failure> {
        let mut args = UP.to_vec();
        args.push("--wait");
        args.extend(services.iter().map(String::as_str));
        let call = self.compose(at, &args, hands).await?;
        let told = hands.ask(call).await?;
        if told.code == 0 {
            return Ok(());
        }
        let which: BTreeSet<&str> = services.iter().map(String::as_str).collect();
        let why = self.explain(&which, hands).await;
        let title = format!("docker compose up {}", services.join(" "));
        Err(Failure {
            command: Some(title),
            ..Failure::new(match why.as_slice() {
                [] => told.complaint,
                why => why.join(", "),
            })
        })
    }

    async fn go_back(&self, to: Option<&Release>, hands: &mut Hands) -> Result<(), Failure> {
        for container in self.containers(hands).await? {
            let shown = !container.is_oneoff && self.up().contains(container.service.as_str());
            if shown
                && (self.images().contains_key(&container.service) || container.amiss().is_some())
            {
                self.show_log(&container, hands).await;
            }
        }
        self.end_once(hands).await?;
        if let Some(to) = to {
            return self.make_run(to, hands).await;
        }
        // What holds data stays, and so does what the target does not name.
        let at = self.put_in_force(hands).await?;
        let mut args = vec!["rm", "--stop", "--force"];
        args.extend(self.up());
        let call = self.compose(at, &args, hands).await?;
        hands.run(call).await?;
        if self.containers(hands).await?.is_empty() {
            let call = self.compose(at, &["down"], hands).await?;
            hands.run(call).await?;
        }
        Ok(())
    }
}

/// The name of a project, where the file gives none: two targets on one host are two projects, and so are two pipelines.
#[must_use]
pub fn project_name(pipeline: &str, target: &str) -> String {
    let one = |c: char| match c {
        'a'..='z' | '0'..='9' | '_' | '-' => c,
        'A'..='Z' => c.to_ascii_lowercase(),
        _ => '-',
    };
    let name: String = format!("{pipeline}-{target}").chars().map(one).collect();
    name.trim_start_matches(['-', '_']).to_owned()
}

/// The variables of which Compose says that they are not set.
fn unset(errors: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let rest = line.split_once("The \\\"")?.1;
        Some(rest.split_once("\\\" variable is not set")?.0.to_owned())
    };
    errors.lines().filter_map(name).collect()
}

/// Reads what was found of Compose: a version and the words that call it, or that there is Docker without it.
///
/// # Errors
/// When there is none, or it is too old.
pub fn found(text: &str, host: &str) -> Result<(String, Vec<String>), Failure> {
    let mut words = text.split(' ').map(str::to_owned);
    let version = words.next().unwrap_or_default();
    let number = version.trim_start_matches('v').split('.').next();
    let words: Vec<String> = words.collect();
    if number
        .and_then(|n| n.parse::<u32>().ok())
        .is_some_and(|n| n >= 2)
        && !words.is_empty()
    {
        return Ok((version, words));
    }
    let what = match (version.as_str(), words.is_empty()) {
        ("", _) => format!("{host} has neither Docker nor Compose"),
        ("docker", true) => format!("{host} has Docker without Compose"),
        (version, _) => format!("{host} has Compose {version}, and 2 or more is wanted"),
    };
    Err(Failure::new(what).infrastructure().help(
        "install Docker's Compose plugin there: `docker compose version` must say 2 or more; nothing was changed",
    ))
}

impl Driver for ComposeProject {
    fn word(&self) -> &'static str {
        "compose"
    }

    fn long_running(&self, bundle: &Bundle) -> Vec<String> {
        let running: BTreeSet<&str> = self.images().into_values().collect();
        let all = bundle.images.keys();
        match running.is_empty() {
            true => all.cloned().collect(),
            false => all
                .filter(|n| running.contains(n.as_str()))
                .cloned()
                .collect(),
        }
    }

    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed> {
        Box::pin(self.what_runs(hands))
    }

    fn can_have<'a>(&'a self, _: &'a Bundle, hands: &'a mut Hands) -> Answer<'a, bool> {
        Box::pin(async move {
            let rendered = match self.rendered(hands).await {
                Ok((_, rendered)) => rendered,
                Err(failure) if failure.unreachable => return Err(failure),
                Err(failure) => {
                    hands.say(&failure.what).await;
                    return Ok(false);
                }
            };
            let up = self.up();
            let services = up.iter().filter_map(|name| rendered.services.get(*name));
            let images: BTreeSet<&str> = services.map(|s| s.image.as_str()).collect();
            for image in images.into_iter().filter(|i| !i.is_empty()) {
                match self.fetch(image, hands).await {
                    Ok(()) => {}
                    Err(failure) if failure.unreachable => return Err(failure),
                    Err(_) => return Ok(false),
                }
            }
            Ok(true)
        })
    }

    fn look_before<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.look(hands))
    }

    fn is_unchanged<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, bool> {
        Box::pin(async move {
            // What would be done is what Compose itself says: every container would go on as it is.
            let (at, _) = self.rendered(hands).await?;
            // Where files are only tried out, their folder is part of what is compared.
            let at = match at {
                At::Tried if !self.is_in_force(hands).await? => return Ok(false),
                At::Tried => At::Place,
                at => *at,
            };
            for doing in &self.steps {
                let Doing::Up(services) = doing else { continue };
                let mut args = vec!["--dry-run"];
                args.extend(UP);
                args.extend(services.iter().map(String::as_str));
                let call = self.compose(at, &args, hands).await?;
                let told = hands.ask(call.quiet().muted()).await?;
                let mut lines = told.errors.lines().filter(|l| l.contains(" Container "));
                if told.code != 0 || lines.any(|l| !l.trim_end().ends_with(" Running")) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.make_run(release, hands))
    }

    fn undo<'a>(
        &'a self,
        _: &'a Release,
        to: Option<&'a Release>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(self.go_back(to, hands))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_is_the_plugin_or_the_program_and_not_version_one() {
        let say = |text: &str| match found(text, "here") {
            Ok((version, words)) => format!("{version}: {}", words.join(" ")),
            Err(failure) => failure.what,
        };
        let all = [
            "2.26.1-4 docker compose",
            "v2.30.0 docker-compose",
            "1.29.2 docker-compose",
            "docker",
            "",
        ];
        insta::assert_snapshot!(all.map(say).join("\n"), @r"
        2.26.1-4: docker compose
        v2.30.0: docker-compose
        here has Compose 1.29.2, and 2 or more is wanted
        here has Docker without Compose
        here has neither Docker nor Compose
        ");
    }

    #[test]
    fn a_project_is_called_after_pipeline_and_target_in_letters_that_compose_takes() {
        let name = |pipeline, target| project_name(pipeline, target);
        assert_eq!(name("Shop", "staging"), "shop-staging");
        assert_eq!(name("_a.b", "Live 2"), "a-b-live-2");
    }
}
