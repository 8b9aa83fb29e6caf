//! `release`: a version, its tag, its changelog, and the forge's release: GitHub's by its own program, that of others by
//! their API.

mod rest;

use dsl::model::ReleaseOptions;
use dsl::source::Spanned;

use super::github::gh;
use super::outcome::{Failure, Means};
use super::task::{Outputs, Try, version_output};
use super::work::NotDone;
use rest::{Kind, Place};

use crate::process::{self, Exit};
use crate::release::{self, Made, NoRelease, Request};
use crate::world::Git;

/// A release, with every value put in.
#[derive(Debug, Clone)]
pub(super) struct Release {
    /// The version's name in the pipeline.
    pub(super) name: String,
    pub(super) request: Request,
    pub(super) forge: Forge,
}

/// What a forge gets besides the tag.
#[derive(Debug, Clone)]
pub(super) struct Forge {
    /// Who gets a release.
    at: At,
    /// Whether the forge writes its text.
    notes_by_forge: bool,
    /// Whether it has a text.
    has_notes: bool,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Nobody,
    GitHub,
    Other(Kind),
}

/// A forge that can be told.
#[derive(Debug)]
enum Reached {
    Nobody,
    GitHub,
    Other(Place),
}

impl Forge {
    pub(super) fn of(options: &ReleaseOptions) -> Self {
        let word = |field: &Option<Spanned<String>>| {
            field.as_ref().map(|f| f.value.clone()).unwrap_or_default()
        };
        let notes = word(&options.notes);
        Self {
            at: match word(&options.forge).as_str() {
                "github" => At::GitHub,
                "gitlab" => At::Other(Kind::GitLab),
                "gitea" => At::Other(Kind::Gitea),
                _ => At::Nobody,
            },
            notes_by_forge: notes == "auto",
            has_notes: notes != "none",
        }
    }

    /// Whether it can be told from here.
    ///
    /// # Errors
    /// What is missing. Nothing has changed.
    pub(super) async fn is_there(&self, a_try: &Try<'_>) -> Result<(), NotDone> {
        self.reach(a_try).await.map(|_| ())
    }

    async fn reach(&self, a_try: &Try<'_>) -> Result<Reached, NotDone> {
        let missing = |what: String, help: &str| {
            let failure = Failure::new(what).help(format!("{help}; nothing was changed"));
            NotDone::NotBegun(failure)
        };
        match self.at {
            At::Nobody => Ok(Reached::Nobody),
            At::GitHub if process::is_there(&gh(a_try, &[], &[])) => Ok(Reached::GitHub),
            At::GitHub => Err(missing(
                "the program gh was not found in PATH".to_owned(),
                "install GitHub's `gh`, or write `forge=none`",
            )),
            At::Other(kind) => {
                let git = Git::new(&a_try.site.root, &|name| std::env::var(name).ok());
                let asking = tokio::task::spawn_blocking(move || git.remote_address());
                let remote = asking.await.ok().and_then(Result::ok).flatten();
                // What the step has of its own, its secrets among it, counts before what pipe has.
                let own = |name: &str| {
                    let mut vars = a_try.work.env.iter();
                    let found = vars.find(|(n, _)| *n == name);
                    found.map(|(_, value)| value.to_string_lossy().into_owned())
                };
                let env = |name: &str| own(name).or_else(|| std::env::var(name).ok());
                let place = Place::of(kind, remote.as_deref(), &env);
                let place = place.map_err(|unknown| missing(unknown.what, &unknown.help))?;
                Ok(Reached::Other(place))
            }
        }
    }
}

/// Makes the release.
///
/// # Errors
/// Why there is none, or that there is nothing to release.
pub(super) async fn run(release: &Release, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let made = publish(&release.request, &release.forge, true, a_try).await?;
    Ok(Outputs::from([
        (version_output(&release.name), made.version.clone()),
        ("version".to_owned(), made.version),
        ("tag".to_owned(), made.tag),
    ]))
}

/// Makes the tag, the changelog's commit, and the forge's release; `is_all` says that the step does nothing else.
///
/// # Errors
/// Why not.
pub(super) async fn publish(
    request: &Request,
    forge: &Forge,
    is_all: bool,
    a_try: &mut Try<'_>,
) -> Result<Made, NotDone> {
    let reached = forge.reach(a_try).await?;
    let git = Git::new(&a_try.site.root, &|name| std::env::var(name).ok());
    let request = request.clone();
    let making = tokio::task::spawn_blocking(move || release::make(&git, &request));
    // Not left half way: what a push did would not be known.
    let made = making.await.map_err(|e| {
        NotDone::Failed(Failure::new(format!(
            "pipe has a bug, please report it: {e}"
        )))
    })?;
    let made = made.map_err(|why| no_release(why, is_all))?;
    let line = match (made.before, &made.remote) {
        (true, _) => format!("{} was released before", made.tag),
        (false, Some(remote)) => format!("{} is tagged on {remote}", made.tag),
        (false, None) => format!("{} is tagged", made.tag),
    };
    a_try.say(line).await;
    match reached {
        Reached::Nobody => {}
        Reached::GitHub => on_github(forge, &made, a_try).await?,
        Reached::Other(place) => elsewhere(&place, forge, &made, a_try).await?,
    }
    Ok(made)
}

/// Why there is no release, for a step of which that is all, or of which other things are done already.
pub(super) fn no_release(why: NoRelease, is_all: bool) -> NotDone {
    let state = "nothing was changed";
    match why {
        NoRelease::NotNeeded(why) => NotDone::NotNeeded(why),
        NoRelease::Impossible { what, help } => NotDone::NotBegun(Failure::new(what).help(help)),
        NoRelease::NotTaken { what, help } => NotDone::NotBegun(match is_all {
            true => Failure::new(what).help(format!("{state}; {help}")),
            false => Failure::new(what).help(help),
        }),
        NoRelease::Git(error) => {
            let failure = Failure::new(error.to_string());
            NotDone::NotBegun(match (error.remedy(), is_all) {
                (Some(remedy), _) => failure.help(remedy),
                (None, true) => failure.help(state),
                (None, false) => failure,
            })
        }
    }
}

/// Makes the release of a tag at another forge, if it has none.
async fn elsewhere(
    place: &Place,
    forge: &Forge,
    made: &Made,
    a_try: &mut Try<'_>,
) -> Result<(), NotDone> {
    let (tag, name) = (made.tag.as_str(), place.kind.name());
    let notes = if forge.has_notes { &made.notes } else { "" };
    let making = async {
        if made.before && place.has(tag).await? {
            return Ok(format!("{name} has a release of {tag}"));
        }
        place.create(tag, notes).await?;
        Ok::<_, rest::Refusal>(format!("{name} has a release of {tag} now"))
    };
    match a_try.wait(making).await? {
        Ok(line) => {
            a_try.say(line).await;
            Ok(())
        }
        Err(refusal) => {
            let what = format!(
                "{tag} is tagged, and {name} has no release of it: {}",
                refusal.why
            );
            let failure = Failure::new(what).help(
                "mend that and run again: the tag is not made twice, and what is missing is made",
            );
            Err(NotDone::Failed(match refusal.is_outage {
                true => failure.means(Means::Infrastructure),
                false => failure,
            }))
        }
    }
}

/// Makes GitHub's release of a tag, if it has none.
async fn on_github(forge: &Forge, made: &Made, a_try: &mut Try<'_>) -> Result<(), NotDone> {
    let tag = made.tag.as_str();
    let view = gh(
        a_try,
        &["release", "view", "--json", "url", "--jq", ".url", "--"],
        &[tag],
    );
    if made.before && a_try.program(&view, &mut |_| ()).await? == Exit::Code(0) {
        a_try.say(format!("GitHub has a release of {tag}")).await;
        return Ok(());
    }
    let notes = a_try
        .site
        .scratch
        .join(format!("notes-{}", a_try.site.vertex));
    std::fs::write(&notes, &made.notes).map_err(|e| {
        Failure::new(format!("the release's text cannot be written: {e}")).help("is the disk full?")
    })?;
    let file = format!("--notes-file={}", notes.display());
    let text = match (forge.notes_by_forge, forge.has_notes) {
        (true, _) => "--generate-notes",
        (false, true) => &file,
        (false, false) => "--notes=",
    };
    let title = format!("--title={tag}");
    let create = ["release", "create", "--verify-tag", &title, text, "--"];
    let create = gh(a_try, &create, &[tag]);
    match a_try.program(&create, &mut |_| ()).await? {
        Exit::Code(0) => Ok(()),
        exit => {
            let code = match exit {
                Exit::Code(code) => Some(code),
                _ => None,
            };
            let failure = Failure {
                exit: code,
                ..Failure::new(format!("{tag} is tagged, and GitHub has no release of it"))
            };
            Err(failure
                .help("run again when `gh` can do it; the tag is not made twice")
                .into())
        }
    }
}
