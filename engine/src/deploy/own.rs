//! A target that is driven by the file's own commands. What they do is theirs; what is asked for, they are told by variables.

use super::driver::{Answer, Driver, Failure, Observed, Release};
use super::hands::{Call, Hands};
use super::settings::Settings;
use crate::ledger::Bundle;

/// The commands, as shell texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Own {
    /// The target's name.
    pub target: String,
    /// Makes the target run the images.
    pub apply: Option<String>,
    /// Prints the digests that run.
    pub observe: Option<String>,
    /// Goes back.
    pub undo: Option<String>,
    /// The target's variables.
    pub env: Vec<(String, String)>,
    /// Settings that the host must have.
    pub settings: Settings,
}

/// How long `observe` may take.
const OBSERVE: std::time::Duration = std::time::Duration::from_secs(60);

impl Own {
    fn call(&self, text: &str) -> Call {
        Call::shell(text)
            .env("PIPE_TARGET", &self.target)
            .envs(&self.env)
    }

    async fn make_run(&self, release: &Release, hands: &mut Hands) -> Result<(), Failure> {
        let Some(apply) = &self.apply else {
            return Err(Failure::new("the target has no `apply`"));
        };
        let call = self.call(apply).envs(&variables(&release.bundle, "PIPE"));
        hands.run(call).await.map(|_| ())
    }
}

/// What a command is told of a bundle, each name with `prefix` in front: `_BUNDLE`, `_COMMIT`, `_VERSION`, and for each image
/// `_IMAGE_NAME` and `_DIGEST_NAME`.
#[must_use]
pub fn variables(bundle: &Bundle, prefix: &str) -> Vec<(String, String)> {
    let mut vars = vec![
        (format!("{prefix}_BUNDLE"), bundle.id()),
        (format!("{prefix}_COMMIT"), bundle.commit.clone()),
        (
            format!("{prefix}_VERSION"),
            bundle.version.clone().unwrap_or_default(),
        ),
    ];
    for (name, image) in &bundle.images {
        let name = variable_name(name);
        vars.push((format!("{prefix}_IMAGE_{name}"), image.reference()));
        vars.push((format!("{prefix}_DIGEST_{name}"), image.digest.clone()));
    }
    vars
}

/// A name of the pipeline as a part of a variable's name.
pub fn variable_name(name: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    name.chars().map(one).collect()
}

/// Reads what `observe` prints: a line for each image that runs, `DIGEST`, or `NAME DIGEST` or `NAME=DIGEST`.
///
/// # Errors
/// A line that is none.
pub fn observed(text: &str) -> Result<Observed, Failure> {
    let mut observed = Observed::default();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (name, reference) = line.split_once([' ', '=']).unwrap_or(("", line));
        let image = crate::ledger::ImageAt::parse(reference.trim()).map_err(|why| {
            Failure::new(format!("`observe` printed what it should not: {why}"))
                .help("it prints a line `sha256:…` or `NAME sha256:…` for each image that runs, and nothing else")
        })?;
        observed.add(name, &image.digest);
    }
    Ok(observed)
}

impl Driver for Own {
    fn word(&self) -> &'static str {
        "run"
    }

    fn can_observe(&self) -> bool {
        self.observe.is_some()
    }

    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed> {
        Box::pin(async move {
            let Some(text) = &self.observe else {
                return Ok(Observed::default());
            };
            let call = self.call(text).quiet().within(OBSERVE);
            // How long a command of the file takes is the file's business; a host that does not answer is not.
            let is_elsewhere = hands.ssh.is_some();
            let told = hands.run(call).await.map_err(|failure| Failure {
                what: format!("`observe` cannot say what runs: {}", failure.what),
                unreachable: true,
                infrastructure: failure.infrastructure && is_elsewhere,
                ..failure
            })?;
            observed(&told)
        })
    }

    fn can_have<'a>(&'a self, _: &'a Bundle, _: &'a mut Hands) -> Answer<'a, bool> {
        // Only its own commands know.
        Box::pin(async { Ok(true) })
    }

    fn look_before<'a>(&'a self, _: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(async move {
            if self.observe.is_none() {
                hands.connect().await?;
            }
            self.settings.on_host(&self.env, &[], hands).await
        })
    }

    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        Box::pin(self.make_run(release, hands))
    }

    fn undo<'a>(
        &'a self,
        from: &'a Release,
        to: Option<&'a Release>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            match (&self.undo, to) {
                (Some(undo), to) => {
                    let call = self
                        .call(undo)
                        .envs(&variables(&from.bundle, "PIPE_FAILED"))
                        .envs(&to.map_or_else(
                            || vec![("PIPE_BUNDLE".to_owned(), String::new())],
                            |to| variables(&to.bundle, "PIPE"),
                        ));
                    hands.run(call).await.map(|_| ())
                }
                (None, Some(to)) => self.make_run(to, hands).await,
                (None, None) => Err(Failure::new(
                    "nothing ran before, and the target has no `undo`",
                )),
            }
        })
    }
}
