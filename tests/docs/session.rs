//! The shell sessions of a page, run one after the other in a project of its own.
//!
//! `<!-- test: needs PROGRAM -->` ends the page where that is absent.
//! A block `…,file=NAME` writes that file. In a `console` block every line that begins with `$ ` is a command; the
//! lines below it are what it prints. `[..]` stands for anything in a line, a line `...` for any number of lines. A
//! command must succeed; the last one of a block with `exit=N` must end with that. Durations, commits and times may
//! differ.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::page::{Block, Page};
use crate::support::{PIPE, Project, has_program, skip};

/// What came of a page.
pub struct Ran {
    /// What is not as the page says.
    pub wrong: Vec<String>,
    /// What its sessions print now, by the line of the block.
    pub now: Vec<(usize, String)>,
}

/// Runs all of a page.
pub fn run(page: &Page) -> Ran {
    let mut session = Session {
        project: Project::new(),
        folder: PathBuf::new(),
        wrong: Vec::new(),
        now: Vec::new(),
    };
    let config = session.project.home().join(".gitconfig");
    std::fs::write(config, "[init]\n\tdefaultBranch = main\n").unwrap();
    for block in &page.blocks {
        let name = block.attribute("file");
        if let Some(name) = name {
            session
                .project
                .write(&session.folder.join(name).to_string_lossy(), &block.text);
        }
        match block.language() {
            "test" => {
                let program = block
                    .text
                    .strip_prefix("needs ")
                    .expect("the tests know `needs`");
                if !has_program(program) {
                    skip(&format!("{}: {program} is not here", page.at(block)));
                    break;
                }
            }
            "console" => session.block(page, block),
            _ => {}
        }
    }
    Ran {
        wrong: session.wrong,
        now: session.now,
    }
}

struct Session {
    project: Project,
    /// Where the shell is, relative to the project.
    folder: PathBuf,
    wrong: Vec<String>,
    now: Vec<(usize, String)>,
}

impl Session {
    fn block(&mut self, page: &Page, block: &Block) {
        let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in block.text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command, Vec::new())),
                (None, Some((_, output))) => output.push(line),
                (None, None) => panic!("{}: output without a command", page.at(block)),
            }
        }
        let last = commands.len().saturating_sub(1);
        let mut now = String::new();
        for (at, (command, expected)) in commands.into_iter().enumerate() {
            let wanted = if at == last {
                block.attribute("exit").map_or(0, |e| e.parse().unwrap())
            } else {
                0
            };
            let (code, raw) = self.command(command);
            if code != Some(wanted) {
                self.wrong.push(format!(
                    "{}: `{command}` ended with {code:?}, not {wanted}:\n{raw}",
                    page.at(block)
                ));
            }
            let (said, printed) = (self.plain(&expected.join("\n")), self.plain(&raw));
            let good = fits(&lines(&said), &lines(&printed));
            if !good {
                self.wrong.push(format!(
                    "{}: `{command}` prints\n{printed}\n--- and the page says\n{said}\n",
                    page.at(block)
                ));
            }
            let shown = if good { expected.join("\n") } else { raw };
            now += &format!("$ {command}\n{}", shown.trim_end());
            now = now.trim_end().to_owned() + "\n";
        }
        self.now.push((block.line, now));
    }

    fn command(&mut self, text: &str) -> (Option<i32>, String) {
        if let Some(folder) = text.strip_prefix("cd ") {
            self.folder = super::page::normal(&self.folder.join(folder));
            return (Some(0), String::new());
        }
        let mut path = vec![Path::new(PIPE).parent().unwrap().to_path_buf()];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let mut shell = Command::new("bash");
        shell.env_clear();
        for (name, value) in self.project.command(&[]).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        let out = shell
            .args(["-c", &format!("exec 2>&1\n{text}")])
            .stdin(std::process::Stdio::null())
            .current_dir(self.project.root().join(&self.folder))
            .env("PATH", std::env::join_paths(path).unwrap())
            // One step at a time, so that the order of the output is always the same.
            .env("PIPE_JOBS", "1")
            .env("CARGO_TERM_QUIET", "true")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .output()
            .unwrap();
        (
            out.status.code(),
            self.moved(&String::from_utf8_lossy(&out.stdout)),
        )
    }

    /// As if the project were where a reader could have it.
    fn moved(&self, text: &str) -> String {
        let places = [
            (self.project.root(), "/home/ada/shop"),
            (self.project.home(), "/home/ada"),
        ];
        places.iter().fold(text.to_owned(), |text, (from, to)| {
            let real = from.canonicalize().unwrap();
            text.replace(&*real.to_string_lossy(), to)
                .replace(&*from.to_string_lossy(), to)
        })
    }

    /// Without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        let lines = self.project.filtered(text);
        let lines = lines
            .lines()
            .map(|l| commits(&dates(l)).trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Words of seven hexadecimal digits become `[sha]`.
fn commits(line: &str) -> String {
    let is_commit =
        |w: &str| w.len() == 7 && w.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let words = line
        .split(' ')
        .map(|w| if is_commit(w) { "[sha]" } else { w });
    words.collect::<Vec<_>>().join(" ")
}

/// `2026-01-02 03:04:05` becomes `[date]`.
fn dates(line: &str) -> String {
    let form = "dddd-dd-dd dd:dd:dd";
    let is_date = |text: &str| {
        text.len() == form.len()
            && text
                .chars()
                .zip(form.chars())
                .all(|(c, f)| if f == 'd' { c.is_ascii_digit() } else { c == f })
    };
    let at = (0..line.len()).find(|at| line.get(*at..at + form.len()).is_some_and(is_date));
    at.map_or_else(
        || line.to_owned(),
        |at| format!("{}[date]{}", &line[..at], &line[at + form.len()..]),
    )
}

fn lines(text: &str) -> Vec<&str> {
    text.trim_end().lines().collect()
}

fn fits(expected: &[&str], printed: &[&str]) -> bool {
    match expected {
        [] => printed.is_empty(),
        ["...", rest @ ..] => (0..=printed.len()).any(|skip| fits(rest, &printed[skip..])),
        [line, rest @ ..] => printed
            .split_first()
            .is_some_and(|(p, more)| line_fits(line, p) && fits(rest, more)),
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    let mut pieces = expected.split("[..]");
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        last = Some(piece);
    }
    rest.is_empty() || last == Some("") || last.is_some_and(|piece| printed.ends_with(piece))
}

#[test]
fn wildcards_stand_for_parts_of_lines_and_for_lines() {
    assert!(line_fits("a [..] c", "a b c c"));
    assert!(line_fits("a [..]", "a b"));
    assert!(!line_fits("a [..] c", "a b"));
    assert!(!line_fits("a", "a b"));
    assert!(fits(&["a", "...", "c"], &["a", "b", "b", "c"]));
    assert!(!fits(&["a", "..."], &["b"]));
    assert_eq!(
        commits(&dates("main 1a2b3c4  at 2026-01-02 03:04:05")),
        "main [sha]  at [date]"
    );
}
