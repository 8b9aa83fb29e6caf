//! A Dockerfile as far as an error can point into it: its stages, its instructions, their lines. Not a reader of all of
//! its language; what it does not know it leaves to the builder.

use std::path::Path;

use dsl::units::without_version;

use super::super::outcome::Failure;
use super::Build;

/// A Dockerfile.
#[derive(Debug, Default)]
pub(super) struct Dockerfile {
    /// Where it is, as the pipeline says it.
    path: String,
    /// Each instruction on one line, with the number of its first line.
    instructions: Vec<(usize, String)>,
}

impl Dockerfile {
    /// Reads the Dockerfile of a build.
    ///
    /// # Errors
    /// When it is not there, or has no such stage.
    pub(super) fn read(root: &Path, build: &Build) -> Result<Self, Failure> {
        let path = &build.dockerfile;
        let context = root.join(&build.context);
        if !context.is_dir() {
            return Err(
                Failure::new(format!("there is no folder {}", build.context))
                    .help("name the folder with the files of the image: `context=\"…\"`"),
            );
        }
        let text = std::fs::read_to_string(root.join(path)).map_err(|e| {
            if e.kind() != std::io::ErrorKind::NotFound {
                return Failure::new(format!("{path} cannot be read: {e}"));
            }
            Failure::new(format!("there is no {path}")).help(others(root, path))
        })?;
        let own = Self::of(path, &text);
        if let Some(target) = &build.target {
            own.has_stage(target)?;
        }
        Ok(own)
    }

    fn of(path: &str, text: &str) -> Self {
        let mut instructions: Vec<(usize, String)> = Vec::new();
        let mut goes_on = false;
        for (at, line) in text.lines().enumerate() {
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') {
                continue;
            }
            let (bare, more) = match bare.strip_suffix('\\') {
                Some(start) => (start.trim_end(), true),
                None => (bare, false),
            };
            match instructions.last_mut().filter(|_| goes_on) {
                Some((_, text)) => {
                    text.push(' ');
                    text.push_str(bare);
                }
                None => instructions.push((at + 1, bare.to_owned())),
            }
            goes_on = more;
        }
        Self {
            path: path.to_owned(),
            instructions,
        }
    }

    /// The names of its stages.
    fn stages(&self) -> Vec<&str> {
        let from = |text: &'_ str| {
            text.get(..5)
                .is_some_and(|f| f.eq_ignore_ascii_case("FROM "))
        };
        let all = self.instructions.iter().filter(|(_, text)| from(text));
        all.filter_map(|(_, text)| {
            let mut words = text.split_whitespace().rev();
            let name = words.next()?;
            words.next().filter(|w| w.eq_ignore_ascii_case("AS"))?;
            Some(name)
        })
        .collect()
    }

    /// The images that it begins with and of which it says no version: they mean others tomorrow.
    pub(super) fn moving_bases(&self) -> Vec<&str> {
        let (mut bases, mut stages) = (Vec::new(), vec!["scratch"]);
        for (_, text) in &self.instructions {
            let mut words = text.split_whitespace();
            if !words.next().is_some_and(|w| w.eq_ignore_ascii_case("FROM")) {
                continue;
            }
            let Some(base) = words.find(|w| !w.starts_with("--")) else {
                continue;
            };
            let is_stage = stages.iter().any(|s| s.eq_ignore_ascii_case(base));
            // What a variable stands for is the builder's to know.
            let moves = !is_stage && !base.contains('$') && without_version(base).is_some();
            if moves && !bases.contains(&base) {
                bases.push(base);
            }
            stages.extend(words.nth(1));
        }
        bases
    }

    fn has_stage(&self, target: &str) -> Result<(), Failure> {
        let stages = self.stages();
        let is_there = stages.iter().any(|s| s.eq_ignore_ascii_case(target));
        // A stage can be named by its number too.
        if is_there || target.parse::<u32>().is_ok() || stages.iter().any(|s| s.contains('$')) {
            return Ok(());
        }
        let path = &self.path;
        let help = match stages.as_slice() {
            [] => format!("name one in {path}: `FROM … AS {target}`"),
            some => format!("{path} has {}", some.join(", ")),
        };
        Err(Failure::new(format!("{path} has no stage {target}")).help(help))
    }

    /// Where an instruction stands: `Dockerfile:7`. Builders write it on one line.
    pub(super) fn place(&self, instruction: &str) -> Option<String> {
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = plain(instruction.trim_end_matches('…').trim_end_matches("..."));
        let same = |text: &str| {
            let own = plain(text);
            own == wanted || (wanted.len() > 20 && own.starts_with(&wanted))
        };
        let mut found = self.instructions.iter().filter(|(_, text)| same(text));
        let (line, _) = found.next()?;
        Some(format!("{}:{line}", self.path))
    }
}

/// What may be meant by a Dockerfile that is not there.
fn others(root: &Path, path: &str) -> String {
    let folder = root.join(path);
    let names = folder.parent().and_then(|f| std::fs::read_dir(f).ok());
    let names = names.into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|n| {
            let low = n.to_lowercase();
            low.contains("dockerfile") || low.contains("containerfile")
        })
        .collect();
    names.sort();
    match names.as_slice() {
        [] => "write one, or say where it is: `dockerfile=\"docker/Dockerfile\"`".to_owned(),
        some => format!("there is {}; `dockerfile=\"…\"` names it", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# syntax=x\nFROM --platform=linux/amd64 python:3.11 AS base\n\nRUN apt-get update && \\\n    # why\n    apt-get install -y \\\n      git\nfrom base as prod\nRUN false\n";

    #[test]
    fn an_instruction_is_found_by_the_text_that_a_builder_writes() {
        let file = Dockerfile::of("docker/Dockerfile", TEXT);
        let place = |text: &str| file.place(text);
        assert_eq!(place("RUN false").as_deref(), Some("docker/Dockerfile:9"));
        let long = "RUN apt-get update &&     apt-get install -y       git";
        assert_eq!(place(long).as_deref(), Some("docker/Dockerfile:4"));
        assert_eq!(place("RUN true"), None);
    }

    #[test]
    fn a_base_without_a_version_is_found() {
        let text = "FROM a AS one\nFROM --platform=x b:latest\nFROM One\nFROM a\nFROM scratch\nFROM $c\nFROM d:5000/e:1\n\
                    FROM f@sha256:0\nFROM localhost/g\n";
        let file = Dockerfile::of("Dockerfile", text);
        assert_eq!(file.moving_bases(), ["a", "b:latest"]);
    }

    #[test]
    fn a_stage_that_is_not_there_is_named_with_those_that_are() {
        let file = Dockerfile::of("Dockerfile", TEXT);
        assert!(file.has_stage("PROD").is_ok());
        assert!(file.has_stage("0").is_ok());
        let failure = file.has_stage("release").unwrap_err();
        assert_eq!(failure.what, "Dockerfile has no stage release");
        assert_eq!(failure.help.as_deref(), Some("Dockerfile has base, prod"));
    }
}
