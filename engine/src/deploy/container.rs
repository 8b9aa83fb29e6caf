//! A target that is one container, on this machine's engine or on that of another host, by the engine's own program. The new
//! container is made beside the old one, which is only stopped when the new one can start, and kept until it is ready.

mod unmanaged;

use std::collections::BTreeMap;

use super::driver::{Answer, Driver, Failure, Observed, Release};
use super::hands::{Call, Hands};
use super::ready::Readiness;
use super::settings::Settings;
use crate::container::PATIENCE;
use crate::ledger::{Bundle, ImageAt, Place};

/// How an engine's program is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineAt {
    /// `docker` or `podman`; empty: whichever is there.
    pub program: String,
    /// Where the engine listens, where that is not the program's own choice.
    pub address: Option<String>,
}

impl EngineAt {
    /// A call of the program.
    pub fn call(&self, args: Vec<String>) -> Call {
        let mut all: Vec<String> = Vec::new();
        match (self.program.as_str(), &self.address) {
            ("", _) => {
                // What is not known before is found there; the arguments are none of the text.
                let find = "if command -v docker >/dev/null 2>&1; then exec docker \"$@\"; fi; exec podman \"$@\"";
                all.extend(["-c", find, "sh"].map(str::to_owned));
                all.extend(args);
                return Call::new("sh", all);
            }
            ("podman", Some(address)) => all.push(format!("--url={address}")),
            (_, Some(address)) => all.push(format!("--host={address}")),
            (_, None) => {}
        }
        all.extend(args);
        Call::new(&self.program, all)
    }
}

/// One container.
#[derive(Debug, Clone)]
pub struct OneContainer {
    /// The target's name.
    pub target: String,
    /// The container's name.
    pub name: String,
    /// `HOST:CONTAINER` ports.
    pub publish: Option<String>,
    /// Its variables.
    pub env: Vec<(String, String)>,
    /// Files of variables on the host.
    pub env_files: Vec<String>,
    /// Whether images without a name are removed afterwards.
    pub prune: bool,
    /// Whether it is tried out beside the old one before it takes its place.
    pub blue_green: bool,
    /// When it counts as ready, for trying it out.
    pub ready: Option<Readiness>,
    /// Settings that the host must have.
    pub settings: Settings,
    /// The engine.
    pub engine: EngineAt,
}

/// The label that says which digest a container is to run.
const DIGEST: &str = "pipe.digest";
/// The variable by which a command of `ready` knows which container is meant.
const CONTAINER: &str = "PIPE_CONTAINER";
/// The label that says which image of the pipeline that is.
const IMAGE: &str = "pipe.image";

impl OneContainer {
    fn call(&self, args: &[&str]) -> Call {
        self.engine
            .call(args.iter().map(|a| (*a).to_owned()).collect())
    }

    fn beside(&self, what: &str) -> String {
        format!("{}-{what}", self.name)
    }

    fn image<'b>(&self, bundle: &'b Bundle) -> Result<(&'b String, &'b ImageAt), Failure> {
        let mut images = bundle.images.iter();
        match (images.next(), images.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(Failure::new(format!(
                "{} is one container and runs one image, not {}",
                self.target,
                bundle.images.len()
            ))),
        }
    }

    /// What the engine calls an image: by its digest in a registry, or by the name that `build` gives it.
    fn reference(name: &str, image: &ImageAt) -> String {
        image.on_engine(name)
    }

    async fn has(&self, reference: &str, hands: &mut Hands) -> Result<bool, Failure> {
        let call = self.call(&["image", "inspect", "--format", "{{.Id}}", "--", reference]);
        Ok(hands.ask(silent(call)).await?.code == 0)
    }

    /// Whether the image is on the engine, fetched if it has to be.
    async fn fetch(&self, name: &str, image: &ImageAt, hands: &mut Hands) -> Result<bool, Failure> {
        let reference = Self::reference(name, image);
        if self.has(&reference, hands).await? {
            return Ok(true);
        }
        if image.repository.is_empty() {
            return Ok(false);
        }
        let told = hands
            .ask(self.call(&["pull", "--quiet", "--", &reference]))
            .await?;
        Ok(told.code == 0)
    }

    /// What the engine says of a container; none where there is no such container.
    async fn inspected(
        &self,
        name: &str,
        format: &str,
        hands: &mut Hands,
    ) -> Result<Option<String>, Failure> {
        let call = self.call(&["container", "inspect", "--format", format, "--", name]);
        let told = hands.ask(silent(call).within(PATIENCE)).await;
        let told = told.map_err(Failure::unreachable)?;
        match told.code {
            0 => Ok(Some(told.out.trim().to_owned())),
            _ if is_gone(&told.complaint) => Ok(None),
            _ => Err(
                Failure::new(format!("the engine cannot be asked: {}", told.complaint))
                    .unreachable()
                    .help(no_engine(hands)),
            ),
        }
    }

    /// What a container runs: whether it does, its image's id, and what its labels say.
    async fn state(&self, name: &str, hands: &mut Hands) -> Result<Option<State>, Failure> {
        let format = format!(
            "{{{{.State.Running}}}}|{{{{.Image}}}}|{{{{index .Config.Labels \"{DIGEST}\"}}}}|{{{{index .Config.Labels \"{IMAGE}\"}}}}|{{{{.State.ExitCode}}}}"
        );
        let Some(told) = self.inspected(name, &format, hands).await? else {
            return Ok(None);
        };
        let mut fields = told.split('|').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        Ok(Some(State {
            runs: next() == "true",
            id: next(),
            digest: next(),
            image: next(),
            exit: next(),
        }))
    }

    async fn remove(&self, name: &str, hands: &mut Hands) -> Result<(), Failure> {
        let call = self.call(&["rm", "--force", "--volumes", "--", name]);
        let told = hands.ask(silent(call)).await?;
        if told.code == 0 || is_gone(&told.complaint) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the container {name} cannot be removed: {}",
            told.complaint
        )))
    }

    fn create(
        &self,
        name: &str,
        release: &Release,
        publish: Option<&str>,
    ) -> Result<Call, Failure> {
        let (image, at) = self.image(&release.bundle)?;
        let mut args: Vec<String> = vec![
            "create".into(),
            format!("--name={name}"),
            "--restart=unless-stopped".into(),
            format!("--label=pipe.target={}", self.target),
            format!("--label=pipe.bundle={}", release.bundle.id()),
            format!("--label={DIGEST}={}", at.digest),
            format!("--label={IMAGE}={image}"),
        ];
        args.extend(publish.map(|p| format!("--publish={p}")));
        args.extend(self.env_files.iter().map(|f| format!("--env-file={f}")));
        // The values are in the program's own environment, and not among its arguments.
        args.extend(self.env.iter().map(|(n, _)| format!("--env={n}")));
        args.push(Self::reference(image, at));
        Ok(self.engine.call(args).envs(&self.env).quiet())
    }

    /// Starts the new release beside the old one, on a port of its own, and waits until it is ready there.
    async fn try_out(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let name = self.beside("beside");
        self.remove(&name, hands).await?;
        let ports = self.publish.as_deref().and_then(|p| p.rsplit_once(':'));
        let inner = ports.map(|(_, inner)| inner.to_owned());
        let publish = inner.as_ref().map(|i| format!("127.0.0.1::{i}"));
        hands
            .run(self.create(&name, release, publish.as_deref())?)
            .await?;
        hands.run(self.call(&["start", &name]).quiet()).await?;
        hands.tell(CONTAINER, &name);
        let mut done = Ok(());
        if let (Some(ready), None) = (&self.ready, ports) {
            done = ready.wait(hands).await;
        }
        if let (Some(ready), Some((outer, _)), Some(inner)) = (&self.ready, ports, &inner) {
            let asked = hands
                .run(self.call(&["port", &name, inner]).quiet())
                .await?;
            let port = asked.lines().next().and_then(|l| l.trim().rsplit_once(':'));
            let port = port.map_or("", |(_, port)| port);
            let outer = outer.rsplit(':').next().unwrap_or(outer);
            hands
                .say(&format!("trying it out beside, on port {port}"))
                .await;
            let there = ready.at(&format!(":{outer}"), &format!(":{port}"));
            done = there.wait(hands).await;
        }
        if done.is_err() {
            self.show_log(&name, hands).await;
        }
        self.remove(&name, hands).await?;
        hands.tell(CONTAINER, &self.name);
        done
    }

    async fn show_log(&self, name: &str, hands: &mut Hands) {
        let _ = hands.ask(self.call(&["logs", "--tail=40", name])).await;
    }

    async fn make_run(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let (image, at) = self.image(&release.bundle)?;
        hands.tell(CONTAINER, &self.name);
        if !self.fetch(image, at, hands).await? {
            let reference = Self::reference(image, at);
            return Err(Failure::new(format!(
                "the engine has no image {reference}, and cannot fetch it"
            ))
            .help("push it to a registry, or build it on that machine"));
        }
        if self.blue_green && !release.is_back {
            self.try_out(release, hands).await?;
        }
        let (next, before) = (self.beside("next"), self.beside("before"));
        self.remove(&next, hands).await?;
        hands
            .run(self.create(&next, release, self.publish.as_deref())?)
            .await?;
        if self.state(&self.name, hands).await?.is_some() {
            self.remove(&before, hands).await?;
            // Nothing answers between these two, as only one can have the port; the names can wait.
            hands.run(self.call(&["stop", &self.name]).quiet()).await?;
            hands.run(self.call(&["start", &next]).quiet()).await?;
            hands
                .run(self.call(&["rename", &self.name, &before]).quiet())
                .await?;
        } else {
            hands.run(self.call(&["start", &next]).quiet()).await?;
        }
        hands
            .run(self.call(&["rename", &next, &self.name]).quiet())
            .await?;
        Ok(())
    }

    async fn go_back(&self, to: Option<&Release>, hands: &mut Hands) -> Result<(), Failure> {
        hands.tell(CONTAINER, &self.name);
        let before = self.beside("before");
        for name in [self.beside("next"), self.beside("beside")] {
            self.remove(&name, hands).await?;
        }
        let Some(to) = to else {
            self.show_log(&self.name, hands).await;
            self.remove(&self.name, hands).await?;
            return self.remove(&before, hands).await;
        };
        let (_, wanted) = self.image(&to.bundle)?;
        let is_wanted =
            |state: &Option<State>| state.as_ref().is_some_and(|s| s.digest == wanted.digest);
        let (now, kept) = (
            self.state(&self.name, hands).await?,
            self.state(&before, hands).await?,
        );
        if is_wanted(&kept) {
            if now.is_some() {
                self.show_log(&self.name, hands).await;
                self.remove(&self.name, hands).await?;
            }
            hands
                .run(self.call(&["rename", &before, &self.name]).quiet())
                .await?;
            hands.run(self.call(&["start", &self.name]).quiet()).await?;
            return Ok(());
        }
        if is_wanted(&now) {
            hands.run(self.call(&["start", &self.name]).quiet()).await?;
            return Ok(());
        }
        self.make_run(to, hands).await
    }
}

/// What is known of a container.
struct State {
    runs: bool,
    id: String,
    digest: String,
    image: String,
    exit: String,
}

/// What to do about an engine that cannot be asked.
pub(super) fn no_engine(hands: &Hands) -> String {
    format!(
        "start the engine of {}; `docker version` there says whether it answers",
        hands.host()
    )
}

/// Whether an engine says that there is no such container; not that its own socket or its host is not there.
fn is_gone(complaint: &str) -> bool {
    let complaint = complaint.to_lowercase();
    let other = ["no such file", "no such host"];
    complaint.contains("no such") && !other.iter().any(|o| complaint.contains(o))
}

/// An answer, whose complaints are for the caller alone.
fn silent(call: Call) -> Call {
    call.quiet().muted()
}

impl Driver for OneContainer {
    fn word(&self) -> &'static str {
        "container"
    }

    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed> {
        Box::pin(async move {
            hands.tell(CONTAINER, &self.name);
            let mut observed = Observed::default();
            let Some(state) = self.state(&self.name, hands).await? else {
                return Ok(observed);
            };
            if !state.runs {
                return Ok(observed);
            }
            // A label only says what was meant; the image that the container has says what runs.
            let format = "{{json .RepoDigests}} {{json .RepoTags}}";
            let call = self.call(&["image", "inspect", "--format", format, "--", &state.id]);
            let told = hands.ask(silent(call)).await?;
            let names = [state.digest.clone(), state.digest.replace(':', "-")];
            let is_it =
                !state.digest.is_empty() && names.iter().any(|n| told.out.contains(n.as_str()));
            let digest = if is_it { &state.digest } else { &state.id };
            observed.add(&state.image, digest);
            Ok(observed)
        })
    }

    fn can_have<'a>(&'a self, bundle: &'a Bundle, hands: &'a mut Hands) -> Answer<'a, bool> {
        Box::pin(async move {
            let (name, image) = self.image(bundle)?;
            self.fetch(name, image, hands).await
        })
    }

    fn look_before<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.settings.on_host(&self.env, &self.env_files, hands))
    }

    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.make_run(release, hands))
    }

    fn ready<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.state(&self.name, hands).await? {
                Some(state) if state.runs => Ok(()),
                Some(state) => Err(Failure::new(format!(
                    "its container ended with exit {}",
                    state.exit
                ))),
                None => Err(Failure::new("its container is gone")),
            }
        })
    }

    fn settle<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(async move {
            self.remove(&self.beside("before"), hands).await?;
            if self.prune {
                hands
                    .ask(self.call(&["image", "prune", "--force"]).quiet())
                    .await?;
            }
            Ok(())
        })
    }

    fn remembers<'a>(
        &'a self,
        hands: &'a mut Hands,
    ) -> Answer<'a, Option<BTreeMap<String, Place>>> {
        Box::pin(self.remembered(hands))
    }

    fn keeps<'a>(
        &'a self,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.kept(places, hands).await?.is_some()) })
    }

    fn restore<'a>(
        &'a self,
        _: &'a Release,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(self.restored(places, hands))
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
