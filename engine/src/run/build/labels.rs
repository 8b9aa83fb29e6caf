//! What an image says of the commit that it is built from, by the names of the OCI's image-spec. They are no part of a
//! key: an image that nothing changed stays the one that it was.

use std::path::Path;

use super::super::task::Try;
use super::super::work::NotDone;
use super::{Build, in_background};
use crate::world::git::Git;

/// The labels of the commit: none where there is none, or where the tree is not what was committed.
///
/// # Errors
/// When the step is to end.
pub(super) async fn of_commit(
    root: &Path,
    build: &Build,
    a_try: &mut Try<'_>,
) -> Result<Vec<(String, String)>, NotDone> {
    let Some(commit) = build.commit.clone() else {
        return Ok(Vec::new());
    };
    let root = root.to_path_buf();
    let asking = in_background(move || ask(&root, &commit));
    let (labels, is_dirty) = a_try.wait(asking).await??;
    if is_dirty {
        a_try
            .say("the files are not those of the commit, so the image has no labels of it")
            .await;
    }
    Ok(labels)
}

fn ask(root: &Path, commit: &str) -> (Vec<(String, String)>, bool) {
    let git = Git::new(root, &|name| std::env::var(name).ok());
    match git.dirty() {
        Ok(false) => {}
        Ok(true) => return (Vec::new(), true),
        Err(_) => return (Vec::new(), false),
    }
    let line = |args: &[&str]| {
        let printed = git.output(args).ok()?;
        let line = printed.lines().next()?.trim().to_owned();
        (!line.is_empty()).then_some(line)
    };
    let time = line(&["log", "-1", "--format=%cI", "--end-of-options", commit]);
    let source = line(&["config", "--get", "remote.origin.url"]);
    let all = [
        ("revision", Some(commit.to_owned())),
        ("created", time),
        ("source", source.map(|s| public(&s))),
    ];
    let named = all
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)));
    (named.collect(), false)
}

/// An address without who may use it.
fn public(address: &str) -> String {
    if let Some((scheme, rest)) = address.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or(host);
        return format!("{scheme}://{host}/{path}");
    }
    match address
        .split_once('@')
        .map(|(_, rest)| rest.split_once(':'))
    {
        Some(Some((host, path))) => format!("https://{host}/{path}"),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::public;

    #[test]
    fn an_address_is_told_without_a_login() {
        assert_eq!(
            [
                public("https://me:token@example.com/a/b.git"),
                public("git@example.com:a/b.git"),
                public("https://example.com/a"),
                public("/srv/git/a"),
            ],
            [
                "https://example.com/a/b.git",
                "https://example.com/a/b.git",
                "https://example.com/a",
                "/srv/git/a",
            ]
        );
    }
}
