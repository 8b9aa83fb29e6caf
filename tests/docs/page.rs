//! A Markdown page, as far as the tests need it: fenced blocks, links, headings. Knows nothing of what is in them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// A page.
pub struct Page {
    /// Relative to the repository.
    pub path: PathBuf,
    /// Its fenced blocks, in order.
    pub blocks: Vec<Block>,
    /// The lines outside of fenced blocks, with their numbers.
    pub prose: Vec<(usize, String)>,
}

/// A fenced block, or an instruction for the tests (`<!-- test: needs python3 -->`).
pub struct Block {
    /// What stands behind the fence.
    pub info: String,
    /// What stands in it.
    pub text: String,
    /// The line of its fence.
    pub line: usize,
}

impl Block {
    /// The first word of the info.
    pub fn language(&self) -> &str {
        self.info.split(',').next().unwrap_or_default()
    }

    /// The value of `NAME=VALUE` in the info.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.info
            .split(',')
            .skip(1)
            .filter_map(|a| a.split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v)
    }
}

impl Page {
    /// Reads a page.
    pub fn read(root: &Path, path: PathBuf) -> Self {
        let text = std::fs::read_to_string(root.join(&path))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (mut blocks, mut prose) = (Vec::new(), Vec::new());
        let mut open: Option<(Block, String)> = None;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
            open = match open {
                Some((block, fence)) if trimmed.trim_end() == fence => {
                    blocks.push(block);
                    None
                }
                Some((mut block, fence)) => {
                    block.text += line;
                    block.text.push('\n');
                    Some((block, fence))
                }
                None if ticks >= 3 => {
                    let block = Block {
                        info: trimmed[ticks..].trim().to_owned(),
                        text: String::new(),
                        line: number + 1,
                    };
                    Some((block, "`".repeat(ticks)))
                }
                None => {
                    if let Some(rest) = trimmed.strip_prefix("<!-- test: ") {
                        let text = rest.trim_end_matches("-->").trim().to_owned();
                        blocks.push(Block {
                            info: "test".to_owned(),
                            text,
                            line: number + 1,
                        });
                    }
                    prose.push((number + 1, line.to_owned()));
                    None
                }
            };
        }
        assert!(open.is_none(), "{}: a block is not closed", path.display());
        Self {
            path,
            blocks,
            prose,
        }
    }

    /// Writes the page with other texts in the blocks whose fences stand in these lines.
    pub fn replace(&self, root: &Path, texts: &[(usize, String)]) {
        let path = root.join(&self.path);
        let old = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = old.lines().collect();
        for (line, text) in texts.iter().rev() {
            let block = self.blocks.iter().find(|b| b.line == *line).unwrap();
            lines.splice(*line..*line + block.text.lines().count(), text.lines());
        }
        std::fs::write(path, lines.join("\n") + "\n").unwrap();
    }

    /// `README.md:12`
    pub fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.path.display(), block.line)
    }

    /// The targets of its links, with their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in &self.prose {
            // Every second piece between backticks is code.
            let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
            for rest in text.split("](").skip(1) {
                if let Some((target, _)) = rest.split_once(')') {
                    links.push((*number, target.to_owned()));
                }
            }
        }
        links
    }

    /// The anchors of its headings.
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose.iter().filter_map(|(_, l)| l.strip_prefix('#'));
        headings
            .map(|h| anchor(h.trim_start_matches('#').trim()))
            .collect()
    }
}

/// The anchor of a heading: the one it is given (`{#name}`), or one made of its text.
fn anchor(heading: &str) -> String {
    match heading.strip_suffix('}').and_then(|h| h.rsplit_once("{#")) {
        Some((_, given)) => given.to_owned(),
        None => slug(heading),
    }
}

/// The anchor of a heading's text, as mdBook and GitHub make it.
pub fn slug(heading: &str) -> String {
    let fit = |c: char| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c.to_ascii_lowercase()),
        _ => None,
    };
    heading.chars().filter_map(fit).collect()
}

/// A path without `..`.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}
