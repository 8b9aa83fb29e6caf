//! Finds and reads the files of a pipeline: the root file, what it includes, what those include.
//! The only part of the crate that reads anything.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::codes::names as codes;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{SourceId, SourceMap, Span, Spanned};
use crate::syntax::tree::Node;
use crate::{stdlib, syntax};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// How many files one pipeline may consist of.
const MAX_FILES: usize = 64;
/// How much text they may have together before no further one is read, in bytes.
const MAX_TOTAL: usize = 4 << 20;

/// Where the files of a pipeline are.
pub trait Files {
    /// The text of a file; the path is relative to the pipeline's folder, with `/`.
    ///
    /// # Errors
    /// A sentence part that says why it cannot be read.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The text of a file of another repository, as it stands in a commit.
    ///
    /// # Errors
    /// A sentence part that says why it cannot be had.
    fn fetch(&self, remote: &Remote) -> Result<String, String> {
        let _ = remote;
        Err("files of other repositories cannot be fetched here".to_owned())
    }
}

/// A file of another repository: `git+https://host/repository//path#commit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The repository's address: `https://`, `ssh://` or `file://`.
    pub repository: String,
    /// The file in it.
    pub path: String,
    /// The whole commit, in hexadecimal.
    pub commit: String,
}

impl Remote {
    /// Reads the address of an include.
    ///
    /// # Errors
    /// What is missing or wrong, as a sentence part.
    fn parse(text: &str) -> Result<Self, String> {
        let form = "write `git+https://HOST/REPOSITORY//PATH#COMMIT`";
        let address = text.strip_prefix("git+").ok_or(form)?;
        crate::units::no_control(address)?;
        if !["https://", "ssh://", "file://"]
            .iter()
            .any(|s| address.starts_with(s))
        {
            return Err(format!(
                "it is fetched by `https://` or `ssh://` only; {form}"
            ));
        }
        let (address, commit) = address.rsplit_once('#').ok_or_else(|| {
            format!("it names no commit, and a branch may say something else tomorrow; {form}")
        })?;
        let whole =
            matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
        if !whole {
            return Err(format!(
                "`{commit}` is not a whole commit of 40 digits, which alone always means the same"
            ));
        }
        let scheme = address.find("://").map_or(0, |at| at + 3);
        let at = address[scheme..]
            .find("//")
            .ok_or_else(|| format!("it names no file in the repository; {form}"))?;
        let (repository, path) = (&address[..scheme + at], &address[scheme + at + 2..]);
        crate::units::relative_path(path)?;
        Ok(Self {
            repository: repository.to_owned(),
            path: path.to_owned(),
            commit: commit.to_lowercase(),
        })
    }
}

/// Files beneath a folder. Links that lead out of it, devices, pipes and large files are refused.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        let say = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
            _ => e.to_string(),
        };
        let root = self.0.canonicalize().map_err(say)?;
        let full = root.join(path).canonicalize().map_err(say)?;
        if !full.starts_with(&root) {
            return Err("it leads out of the pipeline's folder".to_owned());
        }
        let meta = full.metadata().map_err(say)?;
        if !meta.is_file() {
            let what = if meta.is_dir() {
                "a folder"
            } else {
                "not a regular file"
            };
            return Err(format!("it is {what}"));
        }
        if meta.len() > MAX_FILE {
            return Err(format!("it is larger than 1 MiB ({} bytes)", meta.len()));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&full).map_err(say)?;
        // A file of the system may be longer than it says.
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(say)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err("it is larger than 1 MiB".to_owned());
        }
        String::from_utf8(bytes).map_err(|e| {
            let good = e.utf8_error().valid_up_to();
            let line = e.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
            format!("it is not UTF-8: line {line} has a byte that is no text")
        })
    }
}

/// One file, read into nodes.
#[derive(Debug)]
pub struct Unit {
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// The namespace of what it declares.
    pub namespace: Option<String>,
    /// Whether it belongs to the standard library.
    pub standard: bool,
}

/// All files of a pipeline.
#[derive(Debug, Default)]
pub struct Units {
    /// The files in the order in which their declarations count.
    pub units: Vec<Unit>,
    /// Their texts.
    pub sources: SourceMap,
    /// Those that are files of the pipeline's folder.
    pub on_disk: Vec<SourceId>,
    /// Findings of reading and parsing.
    pub diagnostics: Diagnostics,
}

/// Reads the root file and everything it includes. Missing and broken files are findings.
pub fn read_all(files: &dyn Files, entry: &str, text: String) -> Units {
    let mut all = Loading {
        files,
        result: Units::default(),
        open: Vec::new(),
        read: BTreeSet::new(),
    };
    all.file(entry, text, None, Origin::Folder);
    let mut result = all.result;
    if uses_std(&result.units) {
        for (name, text) in stdlib::FILES {
            let id = result.sources.add(*name, *text);
            let (nodes, found) = syntax::parse(result.sources.get(id));
            result.diagnostics.extend(found);
            result.units.push(Unit {
                nodes,
                namespace: Some("std".into()),
                standard: true,
            });
        }
    }
    result
}

/// Whether some `use std.…` wants the standard library without an `include`.
fn uses_std(units: &[Unit]) -> bool {
    let is_use = |n: &Node| {
        n.name.value == "use"
            && n.args
                .first()
                .and_then(|a| a.as_str())
                .is_some_and(|t| t.starts_with("std."))
    };
    let tops = units.iter().flat_map(|u| &u.nodes);
    tops.filter(|n| matches!(n.name.value.as_str(), "stage" | "template"))
        .any(|n| n.nodes().iter().any(is_use))
}

/// Where a file comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Folder,
    Repository,
    Standard,
}

struct Loading<'a> {
    files: &'a dyn Files,
    result: Units,
    /// The files being read, outermost first, with the `include` that led to each.
    open: Vec<(String, Option<Span>)>,
    /// What was read, each file with its namespace.
    read: BTreeSet<(String, Option<String>)>,
}

impl Loading<'_> {
    fn file(&mut self, name: &str, text: String, namespace: Option<String>, origin: Origin) {
        let id = self.result.sources.add(name, text);
        if origin == Origin::Folder {
            self.result.on_disk.push(id);
        }
        let (nodes, found) = syntax::parse(self.result.sources.get(id));
        self.result.diagnostics.extend(found);
        if self.open.is_empty() {
            self.open.push((name.to_owned(), None));
        }
        for node in nodes.iter().filter(|n| n.name.value == "include") {
            self.include(name, node, namespace.as_deref());
        }
        self.result.units.push(Unit {
            nodes,
            namespace,
            standard: origin == Origin::Standard,
        });
    }

    fn include(&mut self, from: &str, node: &Node, outer: Option<&str>) {
        let Some(arg) = node.args.first() else { return };
        let Some(path) = arg.as_str() else { return };
        let path = Spanned::new(path, arg.span);
        let own = node
            .props
            .iter()
            .find(|p| p.name.value == "as")
            .and_then(|p| p.value.as_str());
        let namespace = match (outer, own) {
            (Some(outer), Some(own)) => Some(format!("{outer}.{own}")),
            (outer, own) => own.or(outer).map(str::to_owned),
        };
        if let Some(name) = path.value.strip_prefix("std/") {
            return self.standard(name, path, namespace);
        }
        if path.value.starts_with("git+") {
            return self.remote(node, path, namespace);
        }
        if from.starts_with("git+") {
            return self.failed(
                path,
                "a file of another repository includes the standard library only",
            );
        }
        let target = match resolve(from, path.value) {
            Ok(target) => target,
            Err(why) => return self.failed(path, &why),
        };
        if let Some(at) = self.open.iter().position(|(n, _)| *n == target) {
            return self.cycle(at, path);
        }
        if !self.read.insert((target.clone(), namespace.clone())) {
            return; // It is there already, through another file.
        }
        if self.result.sources.iter().count() >= MAX_FILES {
            return self.failed(path, "a pipeline consists of at most 64 files");
        }
        if self
            .result
            .sources
            .iter()
            .map(|s| s.text.len())
            .sum::<usize>()
            > MAX_TOTAL
        {
            return self.failed(path, "the files of a pipeline have at most 4 MiB together");
        }
        match self.files.read(&target) {
            Ok(text) => {
                self.open.push((target.clone(), Some(path.span)));
                self.file(&target, text, namespace, Origin::Folder);
                self.open.pop();
            }
            Err(why) => self.failed(path, &why),
        }
    }

    /// A file of another repository: pinned by its commit, and locked by the hash of what it says.
    fn remote(&mut self, node: &Node, path: Spanned<&str>, namespace: Option<String>) {
        if self.result.sources.iter().count() >= MAX_FILES {
            return self.failed(path, "a pipeline consists of at most 64 files");
        }
        let fetched = Remote::parse(path.value).and_then(|remote| self.files.fetch(&remote));
        let text = match fetched {
            Ok(text) if text.len() as u64 <= MAX_FILE => text,
            Ok(_) => return self.failed(path, "it is larger than 1 MiB"),
            Err(why) => return self.failed(path, &why),
        };
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let lock = node.props.iter().find(|p| p.name.value == "hash");
        let (message, span) = match lock.map(|p| (p.value.as_str(), p.value.span)) {
            Some((Some(locked), _)) if locked == hash => {
                return self.file(path.value, text, namespace, Origin::Repository);
            }
            Some((_, span)) => (
                "this file does not say what it said when it was locked",
                span,
            ),
            None => (
                "a file of another repository is locked by the hash of its text",
                path.span,
            ),
        };
        self.result.diagnostics.push(
            Diagnostic::new(
                &codes::INCLUDE,
                message,
                span,
                "the text's hash is another, or is not written",
            )
            .help(format!(
                "read the file, and if it is what you want, write `hash=\"{hash}\"`"
            )),
        );
    }

    fn standard(&mut self, name: &str, path: Spanned<&str>, namespace: Option<String>) {
        let full = format!("std/{name}");
        match stdlib::FILES.iter().find(|(n, _)| *n == full) {
            Some((_, text)) => self.file(&full, (*text).to_owned(), namespace, Origin::Standard),
            None => {
                let known: Vec<&str> = stdlib::FILES.iter().map(|(n, _)| *n).collect();
                let near = crate::diagnostic::nearest(&full, known.iter().copied());
                let help = near.map_or_else(
                    || format!("the standard library has {}", crate::text::list(&known)),
                    |n| format!("did you mean `{n}`?"),
                );
                self.result.diagnostics.push(
                    Diagnostic::new(
                        &codes::INCLUDE,
                        format!("the standard library has no file `{name}`"),
                        path.span,
                        "not found",
                    )
                    .help(help),
                );
            }
        }
    }

    fn failed(&mut self, path: Spanned<&str>, why: &str) {
        self.result.diagnostics.push(
            Diagnostic::new(
                &codes::INCLUDE,
                format!("`{}` cannot be included: {why}", crate::text::shorten(path.value, 80)),
                path.span,
                "this file",
            )
            .help("write the path of a file of this repository, relative to the file with the `include`, or `std/…`"),
        );
    }

    fn cycle(&mut self, first: usize, path: Spanned<&str>) {
        let mut finding = Diagnostic::new(
            &codes::INCLUDE_CYCLE,
            format!("`{}` includes itself", self.open[first].0),
            path.span,
            "this leads back to a file that is being read",
        )
        .help("remove one of these `include` nodes; what both files need can stand in a third one");
        for (name, at) in &self.open[first + 1..] {
            if let Some(at) = at {
                finding = finding.label(*at, format!("`{name}` is included here"));
            }
        }
        self.result.diagnostics.push(finding);
    }
}

/// The path of an include, relative to the pipeline's folder.
fn resolve(from: &str, path: &str) -> Result<String, String> {
    if path.contains("://") {
        return Err(
            "a file of another repository is `git+https://HOST/REPOSITORY//PATH#COMMIT`".into(),
        );
    }
    if path.starts_with('/') || path.starts_with('~') {
        return Err("the path is not relative".into());
    }
    crate::units::no_control(path)?;
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<String> = Vec::new();
    for part in folder.join(path).components() {
        match part {
            Component::Normal(p) => parts.push(p.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir if parts.pop().is_some() => {}
            _ => return Err("it leads out of the pipeline's folder".into()),
        }
    }
    if parts.is_empty() {
        return Err("it is a folder".into());
    }
    Ok(parts.join("/"))
}
