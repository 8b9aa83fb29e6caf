//! What the engine asks of every target, however it is driven: which digests run, make these run, are they ready, go back.
//! The order in which it asks, and what follows from the answers, is not a driver's business.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use super::hands::Hands;
use crate::ledger::{Bundle, Place};

/// What a driver's call becomes.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub what: String,
    /// The command that failed, in one line, where one did.
    pub command: Option<String>,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// Whether the target could not be asked at all, so that nobody knows what it does.
    pub unreachable: bool,
    /// Whether what the target needs did not do its part, whatever it was asked for: a host, a cluster, an engine, a registry.
    pub infrastructure: bool,
    /// Whether a policy, a lock or a state forbids it.
    pub refused: bool,
}

impl Failure {
    /// A failure with nothing more to say.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            command: None,
            help: None,
            unreachable: false,
            infrastructure: false,
            refused: false,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says that the target could not be asked, and that it is not the file that is wrong.
    #[must_use]
    pub fn unreachable(mut self) -> Self {
        self.unreachable = true;
        self.infrastructure()
    }

    /// Says that it is not the file that is wrong.
    #[must_use]
    pub fn infrastructure(mut self) -> Self {
        self.infrastructure = true;
        self
    }

    /// Says that it is forbidden.
    #[must_use]
    pub fn refused(mut self) -> Self {
        self.refused = true;
        self
    }
}

/// What runs on a target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The digests that run, by the image's name in the pipeline; under an empty name where the target does not know names,
    /// and then several.
    pub digests: BTreeMap<String, Vec<String>>,
    /// What is not as it should be although the digests may be right, each a sentence's part: a service that does not run.
    pub amiss: Vec<String>,
}

impl Observed {
    /// What runs under a name.
    pub fn add(&mut self, name: &str, digest: &str) {
        let digests = self.digests.entry(name.to_owned()).or_default();
        if !digests.iter().any(|d| d == digest) {
            digests.push(digest.to_owned());
        }
    }

    /// Whether nothing runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.values().all(Vec::is_empty)
    }

    /// Everything that runs, for a person.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.is_empty() {
            return "nothing".to_owned();
        }
        let one = |(name, digests): (&String, &Vec<String>)| {
            let short = |d: &String| d.chars().take(19).collect::<String>() + "…";
            let digests: Vec<String> = digests.iter().map(short).collect();
            match name.as_str() {
                "" => digests.join(", "),
                name => format!("{name} {}", digests.join(" and ")),
            }
        };
        let all: Vec<String> = self.digests.iter().map(one).collect();
        all.join(", ")
    }
}

/// Something that a target is to run: the bundle, and what the file says about it with every value put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What.
    pub bundle: Bundle,
    /// Whether one-shot services of the bundle have run on this target already.
    pub migrated: Vec<String>,
    /// Whether this is a way back, where nothing is migrated.
    pub is_back: bool,
}

/// A way to drive targets.
pub trait Driver: Send + Sync {
    /// The word that is written for it.
    fn word(&self) -> &'static str;

    /// The images of a bundle that run for good, by name; the others are one-shot.
    fn long_running(&self, bundle: &Bundle) -> Vec<String> {
        bundle.images.keys().cloned().collect()
    }

    /// Whether it can say what runs.
    fn can_observe(&self) -> bool {
        true
    }

    /// Whether the platform goes on by itself with what it was told, so that what runs does not say what will.
    fn goes_on(&self) -> bool {
        false
    }

    /// Asks which digests run.
    fn observe<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, Observed>;

    /// Whether the target could still be made to run this: its images can be had. Asked before anything begins.
    fn can_have<'a>(&'a self, bundle: &'a Bundle, hands: &'a mut Hands) -> Answer<'a, bool>;

    /// Checks settings that a deployment wants and does not make (`assert-env`), on the host or in what the release would
    /// get from the platform.
    fn look_before<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        let _ = (release, hands);
        Box::pin(async { Ok(()) })
    }

    /// Whether nothing would change if what it runs were applied once more. Asked where the digests are the right ones, and
    /// it is ready.
    fn is_unchanged<'a>(&'a self, hands: &'a mut Hands) -> Answer<'a, bool> {
        let _ = hands;
        Box::pin(async { Ok(true) })
    }

    /// Asks the platform whether it would take this. Changes nothing; asked before anything begins.
    fn check<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        let _ = (release, hands);
        Box::pin(async { Ok(()) })
    }

    /// Makes the target run this.
    fn apply<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()>;

    /// Waits until the platform itself says that it is up; the file's own readiness is asked afterwards, by the engine.
    fn ready<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        let _ = (release, hands);
        Box::pin(async { Ok(()) })
    }

    /// What is left to do when the release is ready and verified: the old one is stopped.
    fn settle<'a>(&'a self, release: &'a Release, hands: &'a mut Hands) -> Answer<'a, ()> {
        let _ = (release, hands);
        Box::pin(async { Ok(()) })
    }

    /// What the platform keeps of what it runs now, so that it can be gone back to without a release; `None` where it keeps
    /// nothing, or is in the middle of something. Changes nothing.
    fn remembers<'a>(
        &'a self,
        hands: &'a mut Hands,
    ) -> Answer<'a, Option<BTreeMap<String, Place>>> {
        let _ = hands;
        Box::pin(async { Ok(None) })
    }

    /// Whether the platform still keeps what it was said to keep.
    fn keeps<'a>(
        &'a self,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, bool> {
        let _ = (places, hands);
        Box::pin(async { Ok(true) })
    }

    /// Goes back to what the platform was said to keep, after `from` failed, and waits until the platform says that it is
    /// up. It may be there already.
    fn restore<'a>(
        &'a self,
        from: &'a Release,
        places: &'a BTreeMap<String, Place>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()> {
        let _ = (from, places, hands);
        Box::pin(async {
            Err(Failure::new(
                "the platform keeps nothing of what ran before",
            ))
        })
    }

    /// Goes back to `to`, or to nothing, after `from` failed.
    fn undo<'a>(
        &'a self,
        from: &'a Release,
        to: Option<&'a Release>,
        hands: &'a mut Hands,
    ) -> Answer<'a, ()>;
}
