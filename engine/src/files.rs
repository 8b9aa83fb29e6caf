//! Files of the workspace by pattern: found without following links, opened beneath the folder, copied with their modes.
//! What a job made is not trusted: a link that it planted leads nowhere.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use indexmap::IndexSet;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::seen::Seen;
use crate::side_by_side::side_by_side;

/// Patterns such as `dist/**`, `coverage.xml`, `!**/*.tmp`, relative to a folder.
#[derive(Debug, Default)]
pub struct Patterns {
    wanted: Matcher,
    unwanted: Matcher,
    /// Where to look: the part of each pattern before its first wildcard.
    roots: Vec<PathBuf>,
    /// Also what git and pipe keep for themselves.
    own_too: bool,
}

/// Paths without wildcards are compared as such: reading a pattern costs more than looking at a file.
#[derive(Debug, Default)]
struct Matcher {
    /// A file, or a folder with everything in it.
    literal: Vec<PathBuf>,
    /// Everything in a folder.
    beneath: Vec<PathBuf>,
    globs: Option<GlobSet>,
}

impl Matcher {
    fn matches(&self, path: &Path) -> bool {
        self.literal.iter().any(|l| path.starts_with(l))
            || self
                .beneath
                .iter()
                .any(|b| path.starts_with(b) && path != b)
            || self.globs.as_ref().is_some_and(|g| g.is_match(path))
    }
}

impl Matcher {
    /// Whether everything in a folder matches, as far as that is plain to see.
    fn holds(&self, folder: &Path) -> bool {
        self.matches(folder) || self.beneath.iter().any(|b| folder == b)
    }
}

#[derive(Default)]
struct MatcherBuilder {
    literal: Vec<PathBuf>,
    beneath: Vec<PathBuf>,
    globs: Option<GlobSetBuilder>,
}

impl MatcherBuilder {
    fn add(&mut self, pattern: &str) -> Result<(), globset::Error> {
        let bare = pattern.trim_end_matches('/').trim_start_matches("./");
        let folder = bare.strip_suffix("/**");
        if bare == "." {
            self.literal.push(PathBuf::new());
        } else if let Some(folder) = folder.filter(|f| !f.contains(WILDCARDS)) {
            self.beneath.push(PathBuf::from(folder));
        } else if bare.contains(WILDCARDS) {
            let globs = self.globs.get_or_insert_with(GlobSetBuilder::new);
            globs.add(glob(bare)?);
            globs.add(glob(&format!("{bare}/**"))?);
        } else {
            self.literal.push(PathBuf::from(bare));
        }
        Ok(())
    }

    fn build(self) -> Result<Matcher, globset::Error> {
        Ok(Matcher {
            literal: self.literal,
            beneath: self.beneath,
            globs: self.globs.map(|g| g.build()).transpose()?,
        })
    }
}

impl Patterns {
    /// Reads patterns. One that names a folder means everything in it.
    ///
    /// # Errors
    /// The pattern that cannot be read; a checked pipeline has none.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, globset::Error> {
        let (mut wanted, mut unwanted) = (MatcherBuilder::default(), MatcherBuilder::default());
        let mut roots = Vec::new();
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(rest) => unwanted.add(rest)?,
                None => {
                    roots.push(literal_prefix(pattern));
                    wanted.add(pattern)?;
                }
            }
        }
        roots.sort();
        roots.dedup();
        Ok(Self {
            wanted: wanted.build()?,
            unwanted: unwanted.build()?,
            roots,
            own_too: false,
        })
    }

    /// The same, and the folders of git and pipe are folders like all others.
    ///
    /// # Errors
    /// The pattern that cannot be read.
    pub fn everything<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, globset::Error> {
        Ok(Self {
            own_too: true,
            ..Self::new(patterns)?
        })
    }

    /// Whether a pattern is no more than a path.
    #[must_use]
    pub fn is_path(pattern: &str) -> bool {
        !pattern.starts_with('!') && !pattern.contains(WILDCARDS)
    }

    /// Whether a path is meant.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.wanted.matches(path) && !self.unwanted.matches(path)
    }

    /// The files and links that match, relative to `folder`, sorted. Folders are walked, never links.
    ///
    /// # Errors
    /// When a folder cannot be read, or a pattern names what is behind a link.
    pub fn find(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let all = self.look(folder)?.into_iter();
        Ok(all.filter(|(_, m)| !m.is_dir()).map(|(p, _)| p).collect())
    }

    /// Everything that matches, folders too, with what the file system says of it; relative to `folder`, sorted.
    /// Folders are walked, never links.
    ///
    /// # Errors
    /// When a folder cannot be read, or a pattern names what is behind a link.
    pub fn look(&self, folder: &Path) -> io::Result<Vec<(PathBuf, Seen)>> {
        self.look_again(folder, None)
    }

    /// The same, for somebody who looked a moment ago.
    ///
    /// # Errors
    /// When a folder cannot be read, or a pattern names what is behind a link.
    pub fn look_again(
        &self,
        folder: &Path,
        glance: Option<&Glance<'_>>,
    ) -> io::Result<Vec<(PathBuf, Seen)>> {
        for root in &self.roots {
            no_links_before(folder, root, glance)?;
        }
        let mut found = Vec::new();
        // What is looked at next stands last. A folder that was read has told what in it are folders, and costs no look
        // at each.
        let mut open: Vec<(PathBuf, Option<bool>)> =
            self.roots.iter().rev().map(|r| (r.clone(), None)).collect();
        while let Some((relative, is_dir)) = open.pop() {
            let (is_dir, seen) = match is_dir {
                Some(is_dir) => (is_dir, None),
                None => match Glance::look(glance, folder, &relative)? {
                    Some(seen) => (seen.is_dir(), Some(seen)),
                    None => continue,
                },
            };
            let matches = self.matches(&relative) && !relative.as_os_str().is_empty();
            if is_dir {
                // A build folder may hold more than all the rest. What is not wanted is not looked into.
                if self.unwanted.holds(&relative) {
                    continue;
                }
                let name = relative.file_name();
                if !self.own_too && name.is_some_and(|n| n == ".pipe" || n == ".git") {
                    continue;
                }
                match read_folder(&folder.join(&relative)) {
                    Ok(entries) => {
                        let inside = |(name, is_dir)| (relative.join(name), Some(is_dir));
                        open.extend(entries.into_iter().map(inside));
                    }
                    Err(e) if is_not_there(&e) => continue,
                    Err(e) => return Err(e),
                }
            }
            if matches {
                found.push((relative, seen));
            }
        }
        // One tree is walked in order; the trees of several roots may lie in each other.
        if self.roots.len() > 1 {
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            found.dedup_by(|(a, _), (b, _)| a == b);
        }
        let looked = side_by_side(&found, |(relative, seen)| match seen {
            Some(seen) => Ok(Some(*seen)),
            None => Seen::at(CWD, &folder.join(relative)),
        })?;
        let found = found.into_iter().zip(looked);
        // Gone since its folder was read.
        Ok(found
            .filter_map(|((path, _), seen)| Some((path, seen?)))
            .collect())
    }
}

/// What is in a folder and whether that is a folder, the last name first.
fn read_folder(path: &Path) -> io::Result<Vec<(OsString, bool)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    let entries = fs::read_dir(path)?.map(entry).filter(|e| match e {
        Err(e) => !is_not_there(e),
        Ok(_) => true,
    });
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    Ok(entries)
}

fn is_not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn glob(pattern: &str) -> Result<globset::Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}

/// What makes a pattern more than a path.
const WILDCARDS: [char; 7] = ['*', '?', '[', ']', '{', '}', '\\'];

/// The part of a pattern before its first wildcard.
fn literal_prefix(pattern: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(pattern.len());
    path.extend(literal_parts(pattern));
    path
}

/// The names on the way to what a pattern may match, before its first wildcard.
pub(crate) fn literal_parts(pattern: &str) -> impl Iterator<Item = &str> {
    let literal = |part: &&str| !part.contains(WILDCARDS);
    let parts = pattern.split('/').take_while(literal);
    parts.filter(|p| !p.is_empty() && *p != ".")
}

/// Folders beneath one folder that were seen to be no links. To be used only while nobody changes what is there.
#[derive(Debug, Default)]
pub struct Folders {
    known: RwLock<IndexSet<PathBuf>>,
    /// The folder itself, open: a short way is looked up sooner than a long one.
    own: OnceLock<Option<OwnedFd>>,
}

impl Folders {
    fn know(&self, relative: &Path) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.contains(relative)
    }

    fn learn(&self, relative: &Path) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(relative.to_owned());
    }

    fn open(&self, folder: &Path) -> Option<&OwnedFd> {
        let open = || open_dir(folder).ok();
        self.own.get_or_init(open).as_ref()
    }
}

/// So many files are looked through sooner than one of them is looked at again.
const MOST: usize = 16;

/// What was seen of some files beneath one folder. To be used only while nobody changes what is there.
#[derive(Debug)]
pub struct Glance<'f> {
    /// What was looked at first; nothing where nothing was.
    paths: RefCell<Vec<(PathBuf, Option<Seen>)>>,
    folders: &'f Folders,
}

impl<'f> Glance<'f> {
    /// Nothing was looked at but some folders.
    #[must_use]
    pub fn among(folders: &'f Folders) -> Self {
        Self {
            paths: RefCell::default(),
            folders,
        }
    }

    /// What is at a path beneath `folder`, a link as such.
    ///
    /// # Errors
    /// When it is there and cannot be looked at.
    pub fn look(glance: Option<&Self>, folder: &Path, relative: &Path) -> io::Result<Option<Seen>> {
        if let Some(known) = glance.and_then(|g| g.known(relative)) {
            return Ok(known);
        }
        let seen = match glance.and_then(|g| g.folders.open(folder)) {
            Some(open) if !relative.as_os_str().is_empty() => Seen::at(open, relative),
            _ => Seen::at(CWD, &folder.join(relative)),
        }?;
        if let Some(glance) = glance {
            let mut paths = glance.paths.borrow_mut();
            if paths.len() < MOST {
                paths.push((relative.to_owned(), seen));
            }
        }
        Ok(seen)
    }

    /// Whether a path was looked at, and what is there is remembered.
    #[must_use]
    pub fn has(&self, relative: &Path) -> bool {
        self.paths.borrow().iter().any(|(path, _)| path == relative)
    }

    fn known(&self, relative: &Path) -> Option<Option<Seen>> {
        let paths = self.paths.borrow();
        let found = paths.iter().find(|(path, _)| path == relative);
        found.map(|(_, seen)| *seen)
    }
}

/// Fails if a link stands on the way to a path beneath a folder. The path's own end may be one.
fn no_links_on_the_way(folder: &Path, relative: &Path) -> io::Result<()> {
    no_links_before(folder, relative, None)
}

/// The same, for somebody who looked a moment ago.
pub(crate) fn no_links_before(
    folder: &Path,
    relative: &Path,
    glance: Option<&Glance<'_>>,
) -> io::Result<()> {
    let above = relative.ancestors().skip(1);
    for part in above.filter(|p| !p.as_os_str().is_empty()) {
        if glance.is_some_and(|g| g.folders.know(part)) {
            continue;
        }
        if folder.join(part).is_symlink() {
            let shown = part.display();
            return Err(io::Error::other(format!(
                "{shown} is a link, and links are not followed"
            )));
        }
        if let Some(glance) = glance {
            glance.folders.learn(part);
        }
    }
    Ok(())
}

/// The first of these files that is a link out of the folder.
#[must_use]
pub fn first_that_leads_out<'f>(folder: &Path, files: &'f [PathBuf]) -> Option<&'f Path> {
    let leads =
        |file: &&PathBuf| fs::read_link(folder.join(file)).is_ok_and(|to| leads_out(file, &to));
    files.iter().find(leads).map(PathBuf::as_path)
}

/// Removes what is at a path beneath a folder, a link as such.
///
/// # Errors
/// When it cannot be removed, or a link stands on the way to it.
pub fn remove(folder: &Path, relative: &Path) -> io::Result<()> {
    no_links_on_the_way(folder, relative)?;
    let full = folder.join(relative);
    let removed = match fs::symlink_metadata(&full) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(&full),
        Ok(_) => fs::remove_file(&full),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Copies files, with their modes and links, from one folder to `into` beneath another. Nothing outside of either is
/// touched.
///
/// # Errors
/// The file that could not be copied, and why.
pub fn copy(from: &Path, to: &Path, into: &Path, files: &[PathBuf]) -> Result<(), String> {
    let source = open_dir(from).map_err(|e| format!("{}: {e}", from.display()))?;
    let target = open_dir(to)
        .and_then(|root| beneath_dir(&root, into))
        .map_err(|e| format!("{}: {e}", to.join(into).display()))?;
    for file in files {
        copy_one(&source, &target, from, file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

fn copy_one(source: &OwnedFd, target: &OwnedFd, from: &Path, file: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from.join(file))?;
    let folder = beneath_dir(target, file.parent().unwrap_or(Path::new("")))?;
    let name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    match rustix::fs::unlinkat(&folder, name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    if meta.is_symlink() {
        let to = fs::read_link(from.join(file))?;
        if leads_out(file, &to) {
            return Err(io::Error::other(
                "this link leads out of the folder, and is not followed",
            ));
        }
        return Ok(rustix::fs::symlinkat(&to, &folder, name)?);
    }
    if !meta.is_file() {
        return Err(io::Error::other("this is neither a file nor a link"));
    }
    let mut reader = File::from(open_beneath(
        source,
        file,
        OFlags::RDONLY | OFlags::NONBLOCK,
        Mode::empty(),
    )?);
    // Only the bits that a user's own file has: a job does not get to make a set-user-id file elsewhere.
    let mode = Mode::from_raw_mode(meta.permissions().mode() & 0o777);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut writer = File::from(rustix::fs::openat(&folder, name, flags, mode)?);
    io::copy(&mut reader, &mut writer)?;
    writer.set_permissions(fs::Permissions::from_mode(mode.as_raw_mode()))
}

/// Whether a link at `file` points above the folder, or is absolute.
pub(crate) fn leads_out(file: &Path, to: &Path) -> bool {
    let mut depth = file.components().count().saturating_sub(1);
    for part in to.components() {
        match part {
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if depth > 0 => depth -= 1,
            _ => return true,
        }
    }
    false
}

pub(crate) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// The folder `relative` beneath another one, made where it is missing; a link on the way is refused.
pub(crate) fn beneath_dir(root: &OwnedFd, relative: &Path) -> io::Result<OwnedFd> {
    let mut at = root.try_clone()?;
    for part in relative.components() {
        let name = part.as_os_str();
        match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        at = open_beneath(&at, Path::new(name), flags, Mode::empty()).map_err(|e| {
            let name = name.display();
            io::Error::other(format!("{name} is no folder beneath this one ({e})"))
        })?;
    }
    Ok(at)
}

/// Opens a path beneath a folder; no link on the way, nor at the end, is followed.
pub(crate) fn open_beneath(
    root: impl AsFd,
    relative: &Path,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(&root, relative, flags, mode, resolve) {
        // Old kernels and some sandboxes have no openat2: every component is opened by itself.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            let mut at = rustix::io::dup(root.as_fd())?;
            let parts: Vec<_> = relative.components().collect();
            for part in &parts[..parts.len().saturating_sub(1)] {
                let folder =
                    OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
                at = rustix::fs::openat(&at, part.as_os_str(), folder, Mode::empty())?;
            }
            let last = parts.last().ok_or(io::ErrorKind::InvalidInput)?;
            Ok(rustix::fs::openat(&at, last.as_os_str(), flags, mode)?)
        }
        opened => Ok(opened?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a",
            "src/a.rs",
            "src/deep/b.rs",
            "src/deep/c.txt",
            "target/x.rs",
            ".git/y.rs",
        ] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::create_dir(dir.path().join("src/empty")).unwrap();
        let patterns = Patterns::new(patterns.iter().copied()).unwrap();
        let found = patterns.look(dir.path()).unwrap().into_iter();
        found
            .map(|(path, _)| path.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn paths_folders_and_globs_find_what_they_say() {
        assert_eq!(found(&["a", "missing"]), ["a"]);
        assert_eq!(
            found(&["src/deep"]),
            ["src/deep", "src/deep/b.rs", "src/deep/c.txt"]
        );
        assert_eq!(found(&["src/deep/**"]), ["src/deep/b.rs", "src/deep/c.txt"]);
        assert_eq!(found(&["src/*/b.rs"]), ["src/deep/b.rs"]);
        assert_eq!(
            found(&["src/deep/**", "a", "src"]),
            [
                "a",
                "src",
                "src/a.rs",
                "src/deep",
                "src/deep/b.rs",
                "src/deep/c.txt",
                "src/empty"
            ]
        );
        assert_eq!(
            found(&["**/*.rs"]),
            ["src/a.rs", "src/deep/b.rs", "target/x.rs"]
        );
        assert_eq!(
            found(&["**/*.rs", "!target"]),
            ["src/a.rs", "src/deep/b.rs"]
        );
        assert_eq!(
            found(&["**/*.rs", "!target/**"]),
            ["src/a.rs", "src/deep/b.rs"]
        );
        assert_eq!(found(&["**/*.rs", "!**/deep"]), ["src/a.rs", "target/x.rs"]);
        assert_eq!(
            found(&[".", "!target", "!src/deep"]),
            ["a", "src", "src/a.rs", "src/empty"]
        );
    }
}
