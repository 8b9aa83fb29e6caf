//! What is checked out: the commit, the branch, and whether history is cut off. Read from the repository's own files where
//! that is plain, for a call of git takes longer than all else that a small run does before its first step. Everything
//! that is not plain is asked of git: worktrees and submodules, other formats of references, repositories of somebody else.
//!
//! The files are those of gitrepository-layout(5), <https://git-scm.com/docs/gitrepository-layout>.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{Uid, geteuid};

use super::git::{Git, GitError};
use super::refname;

/// More than this is not read of a file with references, in bytes.
const LONGEST: u64 = 16 << 20;

/// What is checked out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CheckedOut {
    /// The commit.
    pub(super) sha: String,
    /// The branch, if it is one.
    pub(super) branch: Option<String>,
    /// Whether history is cut off.
    pub(super) shallow: bool,
}

impl CheckedOut {
    /// What is checked out in the folder of this git.
    ///
    /// # Errors
    /// What git could not do.
    pub(super) fn of(git: &Git) -> Result<Self, GitError> {
        match find(git.root(), geteuid()) {
            Found::Plain(folder) => read(&folder).map_or_else(|| ask(git), Ok),
            Found::Nothing => Err(GitError::NotARepository(git.root().to_owned())),
            Found::Unclear => ask(git),
        }
    }
}

fn ask(git: &Git) -> Result<CheckedOut, GitError> {
    let answer = git.output(&[
        "rev-parse",
        "--is-shallow-repository",
        "HEAD",
        "--symbolic-full-name",
        "HEAD",
    ])?;
    let mut lines = answer.lines();
    let shallow = lines.next() == Some("true");
    let sha = lines.next().unwrap_or_default().to_owned();
    let branch = lines.next().and_then(|name| name.strip_prefix(BRANCHES));
    Ok(CheckedOut {
        sha,
        branch: branch.map(str::to_owned),
        shallow,
    })
}

const BRANCHES: &str = "refs/heads/";

/// The same from the files of a repository; none where git has to be asked.
fn read(folder: &Path) -> Option<CheckedOut> {
    let head = text(&folder.join("HEAD"))?;
    let head = head.strip_suffix('\n')?;
    let shallow = fs::metadata(folder.join("shallow")).is_ok_and(|meta| meta.len() > 0);
    let Some(name) = head.strip_prefix("ref: ") else {
        return Some(CheckedOut {
            sha: commit(head)?,
            branch: None,
            shallow,
        });
    };
    let branch = name.strip_prefix(BRANCHES)?;
    refname::check(branch).ok()?;
    let own = folder.join(name);
    let sha = match own.symlink_metadata() {
        Ok(_) => commit(text(&own)?.strip_suffix('\n')?)?,
        Err(_) => packed(&text(&folder.join("packed-refs"))?, name)?,
    };
    Some(CheckedOut {
        sha,
        branch: Some(branch.to_owned()),
        shallow,
    })
}

/// What git would find from a folder upwards.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// An ordinary repository, and ours: this is its folder.
    Plain(PathBuf),
    /// Surely none, up to the root of the only file system.
    Nothing,
    /// Only git knows.
    Unclear,
}

fn find(root: &Path, user: Uid) -> Found {
    look_up(root, user.as_raw()).unwrap_or(Found::Unclear)
}

fn look_up(root: &Path, user: u32) -> io::Result<Found> {
    let root = root.canonicalize()?;
    let device = root.metadata()?.dev();
    for above in root.ancestors() {
        let meta = above.symlink_metadata()?;
        if meta.dev() != device {
            return Ok(Found::Unclear);
        }
        let folder = above.join(".git");
        let Some(git) = there(&folder)? else {
            // It may be a repository without a checkout, for which git has rules of its own.
            match there(&above.join("HEAD"))? {
                Some(_) => return Ok(Found::Unclear),
                None => continue,
            }
        };
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        let ordinary = git.is_dir() && has("objects") && has("refs");
        let other = has("commondir") || has("reftable");
        let ours = meta.uid() == user && git.uid() == user;
        return Ok(match ordinary && !other && ours {
            true => Found::Plain(folder),
            false => Found::Unclear,
        });
    }
    Ok(Found::Nothing)
}

fn there(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(meta) => Ok(Some(meta)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// What a regular file says.
fn text(path: &Path) -> Option<String> {
    let meta = path.symlink_metadata().ok()?;
    if !meta.is_file() || meta.len() > LONGEST {
        return None;
    }
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn commit(text: &str) -> Option<String> {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let whole = matches!(text.len(), 40 | 64) && text.bytes().all(is_digit);
    whole.then(|| text.to_owned())
}

/// The commit of a reference that has no file of its own.
fn packed(text: &str, name: &str) -> Option<String> {
    let found = text.lines().find_map(|line| {
        let (sha, own) = line.split_once(' ')?;
        (own == name).then_some(sha)
    });
    commit(found?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testing::Place;

    /// What the files say, for this user.
    fn read(root: &Path, user: Uid) -> Option<CheckedOut> {
        match find(root, user) {
            Found::Plain(folder) => super::read(&folder),
            _ => None,
        }
    }

    fn is_in_none(root: &Path) -> bool {
        find(root, geteuid()) == Found::Nothing
    }

    /// The files say what git says.
    fn plain(place: &Place) {
        let read = read(place.root(), geteuid());
        assert!(read.is_some(), "{}", place.root().display());
        assert_eq!(read, ask(&place.git()).ok());
    }

    /// Git is asked; whatever it says, the files do not say something else.
    fn asked(place: &Place) -> Result<CheckedOut, GitError> {
        assert_eq!(
            read(place.root(), geteuid()),
            None,
            "{}",
            place.root().display()
        );
        CheckedOut::of(&place.git())
    }

    #[test]
    fn branches_detached_heads_and_packed_references_are_read() {
        let place = Place::repository();
        plain(&place);
        place.run(&["checkout", "--quiet", "-b", "a/b-c.d"]);
        place.commit("README", "second");
        plain(&place);
        place.run(&["tag", "-a", "v1", "-m", "v1"]);
        place.run(&["pack-refs", "--all"]);
        assert!(!place.root().join(".git/refs/heads/a/b-c.d").exists());
        plain(&place);
        // What was packed is older than what has a file.
        place.commit("README", "third");
        plain(&place);
        place.run(&["checkout", "--quiet", "--detach", "HEAD~1"]);
        plain(&place);
    }

    #[test]
    fn a_folder_in_a_repository_is_of_it() {
        let place = Place::repository();
        place.write("a/b/c", "");
        plain(&place.at("work/a/b"));
    }

    #[test]
    fn a_shallow_clone_is_read_as_one() {
        let place = Place::shallow();
        plain(&place);
        assert!(read(place.root(), geteuid()).unwrap().shallow);
    }

    #[test]
    fn what_is_not_plain_is_asked_of_git() {
        let place = Place::unborn();
        assert_eq!(asked(&place), Err(GitError::Unborn));

        let place = Place::repository();
        place.run(&["worktree", "add", "--quiet", "-b", "side", "../side"]);
        let side = place.at("side");
        assert_eq!(asked(&side).unwrap().branch.as_deref(), Some("side"));

        // A branch that stands for another one.
        let place = Place::repository();
        place.run(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
        place.write(".git/HEAD", "ref: refs/heads/alias\n");
        assert_eq!(asked(&place).unwrap().branch.as_deref(), Some("main"));

        // A folder that only looks like a repository.
        let place = Place::repository();
        place.write("sub/.git/HEAD", "ref: refs/heads/main\n");
        let sub = place.at("work/sub");
        assert_eq!(asked(&sub).unwrap().branch.as_deref(), Some("main"));

        // Not even where it is broken.
        let place = Place::empty();
        place.write(".git", "gitdir: nowhere\n");
        assert!(!is_in_none(place.root()));
        assert!(asked(&place).is_err());

        let bare = Place::repository();
        bare.run(&["clone", "--quiet", "--bare", ".", "../bare"]);
        let bare = bare.at("bare");
        assert!(asked(&bare).is_err());
        assert!(!is_in_none(bare.root()));
    }

    #[test]
    fn where_no_repository_can_be_git_is_not_asked() {
        let place = Place::empty();
        let none = Err(GitError::NotARepository(place.root().to_owned()));
        assert_eq!(ask(&place.git()), none);
        // Unless the folder for temporary files is on a file system of its own.
        let is_alone =
            place.root().metadata().unwrap().dev() != Path::new("/").metadata().unwrap().dev();
        assert_eq!(is_in_none(place.root()), !is_alone);
        assert_eq!(CheckedOut::of(&place.git()), none);
        assert!(!is_in_none(Path::new("/nowhere")));
    }

    #[test]
    fn another_format_of_references_and_a_repository_of_somebody_else_are_for_git() {
        let place = Place::repository();
        let user = geteuid();
        let somebody = Uid::from_raw(user.as_raw() + 1);
        assert!(read(place.root(), user).is_some());
        assert_eq!(read(place.root(), somebody), None);
        fs::create_dir(place.root().join(".git/reftable")).unwrap();
        assert_eq!(read(place.root(), user), None);
    }

    #[test]
    fn no_byte_of_head_makes_more_of_it_than_git_does() {
        let place = Place::repository();
        let head = place.head();
        let heads = [
            "",
            "\n",
            "ref: ",
            "ref: \n",
            "ref: refs/heads/\n",
            "ref: refs/heads/../main\n",
            "ref: refs/tags/x\n",
            "ref: refs/heads/none\n",
            "refs/heads/main\n",
            "ref:refs/heads/main\n",
            "ref: refs/heads/main",
            "ref: refs/heads/main \n",
            "ref: refs/heads/main\nx\n",
            &head,
            &head[..39],
            &head.to_uppercase(),
        ];
        for text in heads {
            place.write(".git/HEAD", text);
            if let Some(read) = read(place.root(), geteuid()) {
                assert_eq!(Some(read), ask(&place.git()).ok(), "{text:?}");
            }
        }
    }
}
