//! `release`: a version, its tag, its changelog, and the forge's release, which the forge's own program makes.

use std::ffi::OsString;

use super::environment::Environment;
use super::outcome::Failure;
use super::task::{Outputs, Try, version_output};
use super::work::{self, NotDone};
use crate::process::{self, Exit, Spec};
use crate::release::{self, Made, NoRelease, Request};
use crate::world::Git;

/// What the program of a forge gets of the environment of pipe: who it is, and where the forge is.
pub(super) const GITHUB: [&str; 6] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GH_HOST",
    "GH_REPO",
    "GH_CONFIG_DIR",
];

/// A release, with every value put in.
#[derive(Debug, Clone)]
pub(super) struct Release {
    /// The version's name in the pipeline.
    pub(super) name: String,
    pub(super) request: Request,
    /// Whether GitHub gets a release.
    pub(super) github: bool,
    /// Whether GitHub writes its text.
    pub(super) notes_by_forge: bool,
    /// Whether it has a text.
    pub(super) has_notes: bool,
}

/// Makes the release.
///
/// # Errors
/// Why there is none, or that there is nothing to release.
pub(super) async fn run(release: &Release, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    // Before anything is changed.
    if release.github && !process::is_there(&gh(a_try, &[], &[])) {
        let failure = Failure::new("the program gh was not found in PATH");
        let help = "install GitHub's `gh`, or write `forge=none`; nothing was changed";
        return Err(NotDone::NotBegun(failure.help(help)));
    }
    let git = Git::new(&a_try.site.root, &|name| std::env::var(name).ok());
    let request = release.request.clone();
    let making = tokio::task::spawn_blocking(move || release::make(&git, &request));
    // Not left half way: what a push did would not be known.
    let made = making.await.map_err(|e| {
        NotDone::Failed(Failure::new(format!(
            "pipe has a bug, please report it: {e}"
        )))
    })?;
    let made = made.map_err(no_release)?;
    let line = match (made.before, &made.remote) {
        (true, _) => format!("{} was released before", made.tag),
        (false, Some(remote)) => format!("{} is tagged on {remote}", made.tag),
        (false, None) => format!("{} is tagged", made.tag),
    };
    a_try.say(line).await;
    if release.github {
        on_github(release, &made, a_try).await?;
    }
    Ok(Outputs::from([
        (version_output(&release.name), made.version.clone()),
        ("version".to_owned(), made.version),
        ("tag".to_owned(), made.tag),
    ]))
}

fn no_release(why: NoRelease) -> NotDone {
    match why {
        NoRelease::NotNeeded(why) => NotDone::NotNeeded(why),
        NoRelease::Impossible { what, help } => NotDone::NotBegun(Failure::new(what).help(help)),
        NoRelease::Git(error) => {
            let failure = Failure::new(error.to_string());
            NotDone::NotBegun(match error.remedy() {
                Some(remedy) => failure.help(remedy),
                None => failure.help("nothing was changed"),
            })
        }
    }
}

/// Makes GitHub's release of a tag, if it has none.
async fn on_github(release: &Release, made: &Made, a_try: &mut Try<'_>) -> Result<(), NotDone> {
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
    let text = match (release.notes_by_forge, release.has_notes) {
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

fn gh(a_try: &Try<'_>, args: &[&str], operands: &[&str]) -> Spec {
    let mut env = Environment::named(GITHUB.into_iter());
    env.set("GH_PROMPT_DISABLED", "1");
    env.set("GH_NO_UPDATE_NOTIFIER", "1");
    let mut vars = env.vars();
    // What the step has of its own, its secrets among it, comes last and counts.
    vars.extend(a_try.work.env.vars());
    let args = args.iter().chain(operands);
    Spec {
        program: "gh".into(),
        args: args.map(OsString::from).collect(),
        cwd: a_try.site.root.clone(),
        env: vars,
        marker: work::marker(a_try.site),
    }
}
