//! A version that stands in a file of the repository: a manifest of a package manager, or a file with nothing else.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The largest manifest that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// Where manifests in TOML have it, in this order: pyproject.toml (PEP 621), Cargo.toml, a Cargo workspace, Poetry.
const IN_TOML: [&[&str]; 4] = [
    &["project", "version"],
    &["package", "version"],
    &["workspace", "package", "version"],
    &["tool", "poetry", "version"],
];

/// The version in a file of the pipeline's folder `root`.
///
/// # Errors
/// Why there is none, as a sentence part.
pub fn read(root: &Path, path: &str) -> Result<String, String> {
    let text = text(&root.join(path)).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => format!("{path} is not there"),
        _ => format!("{path}: {e}"),
    })?;
    let extension = Path::new(path).extension().and_then(|e| e.to_str());
    let found = match extension {
        Some("toml") => in_toml(path, &text)?,
        Some("json") => in_json(path, &text)?,
        _ => alone(path, &text)?,
    };
    match dsl::calver::is_sound(&found) {
        true => Ok(found),
        // What it says instead is not shown: it may be anything.
        false => Err(format!("what {path} says is no version")),
    }
}

fn text(path: &Path) -> io::Result<String> {
    // A named pipe that was put there is not waited for.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > LARGEST {
        true => Err(io::Error::other("it is larger than 1 MiB")),
        false => Ok(text),
    }
}

fn in_toml(path: &str, text: &str) -> Result<String, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| format!("{path} is no TOML: {}", e.message()))?;
    let value = |keys: &&[&str]| {
        let (last, folders) = keys.split_last()?;
        let folder = folders
            .iter()
            .try_fold(&table, |at, key| at.get(*key)?.as_table());
        folder?.get(*last)?.as_str().map(str::to_owned)
    };
    IN_TOML.iter().find_map(value).ok_or_else(|| {
        let places: Vec<String> = IN_TOML.iter().map(|keys| keys.join(".")).collect();
        format!("{path} has none of {}", places.join(", "))
    })
}

fn in_json(path: &str, text: &str) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|e| format!("{path} is no JSON: {e}"))?;
    let version = value.get("version").and_then(|v| v.as_str());
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{path} has no \"version\" that is a text"))
}

fn alone(path: &str, text: &str) -> Result<String, String> {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line.to_owned()),
        (None, _) => Err(format!("{path} is empty")),
        (Some(_), Some(_)) => Err(format!(
            "{path} has more than one line; a version is read from .toml, .json, or a file with nothing else"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        read(folder.path(), name)
    }

    #[test]
    fn a_version_is_found_where_each_kind_of_manifest_has_it() {
        let files = [
            ("pyproject.toml", "[project]\nversion = \"1.2.3\"\n"),
            ("pyproject.toml", "[tool.poetry]\nversion = \"1.2.3\"\n"),
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nversion = \"1.2.3\"\n",
            ),
            (
                "Cargo.toml",
                "[package]\nversion.workspace = true\n[workspace.package]\nversion = \"1.2.3\"\n",
            ),
            ("package.json", "{\"name\": \"a\", \"version\": \"1.2.3\"}"),
            ("VERSION", "1.2.3\n"),
            ("version.txt", "\n 1.2.3 \n\n"),
        ];
        for (name, text) in files {
            assert_eq!(of(name, text), Ok("1.2.3".to_owned()), "{name} {text}");
        }
    }

    #[test]
    fn a_file_without_a_version_says_so_and_shows_nothing_of_itself() {
        let none =
            "project.version, package.version, workspace.package.version, tool.poetry.version";
        let files = [
            (
                "a.toml",
                "[project]\n",
                format!("a.toml has none of {none}"),
            ),
            ("a.toml", "= 1", "a.toml is no TOML: ".to_owned()),
            (
                "a.json",
                "{}",
                "a.json has no \"version\" that is a text".to_owned(),
            ),
            (
                "a.json",
                "{\"version\": 3}",
                "a.json has no \"version\" that is a text".to_owned(),
            ),
            ("VERSION", "", "VERSION is empty".to_owned()),
            (
                "VERSION",
                "root:x:0:0",
                "what VERSION says is no version".to_owned(),
            ),
        ];
        for (name, text, wanted) in files {
            let why = of(name, text).unwrap_err();
            assert!(why.starts_with(&wanted), "{name}: {why}");
        }
        let folder = tempfile::tempdir().unwrap();
        let missing = read(folder.path(), "VERSION");
        assert_eq!(missing, Err("VERSION is not there".to_owned()));
    }

    #[test]
    fn a_named_pipe_in_its_place_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("VERSION");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
        assert_eq!(
            read(folder.path(), "VERSION"),
            Err("VERSION: it is no regular file".to_owned())
        );
    }
}
