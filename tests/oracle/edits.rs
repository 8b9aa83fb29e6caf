//! What somebody may do between two runs, the same in both checkouts: to files, values, definitions and outputs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::lane::{Lane, Node, State, WORDS, apply};
use crate::support::tree::{rewrite, set_mode, set_modified};

/// Does one thing to a lane in all its checkouts, and writes down what.
pub fn edit(lane: &mut Lane, roots: &[PathBuf], made: &[String]) {
    let folders: Vec<PathBuf> = roots.iter().map(|r| r.join(lane.folder())).collect();
    let before = lane.state.clone();
    let told = match lane.random.below(22) {
        0..=2 => content(lane),
        3 | 4 => return behind_the_back(lane, &folders),
        5 => mode(lane),
        6 => rename(lane),
        7 => remove(lane),
        8 => add(lane),
        9 => link(lane),
        10 => return touch(lane, &folders),
        11 => value(lane),
        12 => definition(lane),
        13..=16 => back(lane),
        17 => unrelated(lane),
        _ => return outputs(lane, &folders, made),
    };
    for folder in &folders {
        apply(folder, &before, &lane.state);
    }
    tell(lane, &told);
}

fn tell(lane: &mut Lane, what: &str) {
    lane.edits += 1;
    lane.story.push(format!("    {what}"));
}

/// A source, if there is one of this kind.
fn source(lane: &mut Lane, files: bool) -> Option<String> {
    let is = |node: &Node| matches!(node, Node::File { .. }) == files;
    let all = lane.state.files.iter().filter(|(_, n)| is(n));
    let all: Vec<String> = all.map(|(p, _)| p.clone()).collect();
    (!all.is_empty()).then(|| lane.random.of(&all))
}

fn word(lane: &mut Lane) -> &'static str {
    match lane.random.below(16) {
        0 => "fail",
        1 => "",
        2 => "longer",
        _ => lane.random.of(&WORDS),
    }
}

fn content(lane: &mut Lane) -> String {
    let (Some(path), new) = (source(lane, true), word(lane)) else {
        return add(lane);
    };
    if let Some(Node::File { text, .. }) = lane.state.files.get_mut(&path) {
        *text = new.into();
    }
    format!("{path} is `{new}`")
}

/// Other bytes with the same size, and the modification time as it was.
fn behind_the_back(lane: &mut Lane, folders: &[PathBuf]) {
    let Some(path) = source(lane, true) else {
        return;
    };
    let new = lane.random.of(&WORDS);
    if let Some(Node::File { text, .. }) = lane.state.files.get_mut(&path) {
        if text.len() != new.len() {
            return;
        }
        *text = new.into();
        for folder in folders {
            rewrite(&folder.join(&path), new);
        }
        tell(lane, &format!("{path} is `{new}`, with its time kept"));
    }
}

fn mode(lane: &mut Lane) -> String {
    let Some(path) = source(lane, true) else {
        return add(lane);
    };
    let Some(Node::File { program, .. }) = lane.state.files.get_mut(&path) else {
        return String::new();
    };
    *program = !*program;
    format!("{path} is {} program", if *program { "a" } else { "no" })
}

fn free(lane: &mut Lane) -> String {
    let names = [
        "src/a.c",
        "src/b.c",
        "src/e.c",
        "src/deep/d.c",
        "src/deep/f.c",
        "src/g.c",
    ];
    lane.random.of(&names).into()
}

fn is_source(path: &str) -> bool {
    path.starts_with("src/") && path != "src/l.c"
}

fn rename(lane: &mut Lane) -> String {
    let (Some(from), to) = (source(lane, true).filter(|p| is_source(p)), free(lane)) else {
        return content(lane);
    };
    let node = lane.state.files.remove(&from).unwrap();
    lane.state.files.insert(to.clone(), node);
    format!("{from} is called {to}")
}

fn remove(lane: &mut Lane) -> String {
    match source(lane, true).filter(|p| p != "conf") {
        Some(path) => {
            lane.state.files.remove(&path);
            format!("{path} is gone")
        }
        None => add(lane),
    }
}

fn add(lane: &mut Lane) -> String {
    let (path, text) = (free(lane), word(lane));
    lane.state.files.insert(path.clone(), Node::file(text));
    format!("{path} is new, `{text}`")
}

fn link(lane: &mut Lane) -> String {
    let sources: &[&str] = &["a.c", "b.c", "../other", "gone", "deep", "./a.c"];
    let confs: &[&str] = &["conf.1", "conf.2", "gone"];
    let (path, to) = if lane.random.once_in(2) {
        ("src/l.c", sources)
    } else {
        ("conf", confs)
    };
    // A path with a dot leads to the same file and is another text.
    let to = lane.random.of(to).to_owned();
    let node = match lane.random.below(6) {
        0 => Node::file(&to),
        _ => Node::Link { to: to.clone() },
    };
    let told = format!("{path} is {node:?}");
    lane.state.files.insert(path.into(), node);
    told
}

fn touch(lane: &mut Lane, folders: &[PathBuf]) {
    let Some(path) = source(lane, true) else {
        return;
    };
    let seconds = i64::try_from(lane.random.below(2_000_000_000)).unwrap();
    for folder in folders {
        let full = folder.join(&path);
        fs::write(&full, fs::read(&full).unwrap()).unwrap();
        set_modified(&full, seconds);
    }
    tell(lane, &format!("{path} was touched"));
}

fn value(lane: &mut Lane) -> String {
    let state = &mut lane.state;
    match lane.random.below(3) {
        0 => state.env = lane.random.of(&["one", "two"]),
        1 => state.param = lane.random.of(&["x", "y", "z"]),
        _ => state.passed = lane.random.of(&[None, Some(""), Some("1"), Some("2")]),
    }
    format!(
        "env {}, param {}, passed {:?}",
        state.env, state.param, state.passed
    )
}

fn definition(lane: &mut Lane) -> String {
    let at = lane.random.below(lane.jobs.len());
    let job = lane.jobs[at];
    let index = "abcd".find(job).unwrap();
    lane.state.written[index] = lane.random.below(if job == 'a' { 6 } else { 2 });
    format!("job {job} is written in way {}", lane.state.written[index])
}

fn back(lane: &mut Lane) -> String {
    let at = lane.random.below(lane.history.len());
    lane.state = lane.history[at].clone();
    format!("everything is as before run {}", at + 1)
}

fn unrelated(lane: &mut Lane) -> String {
    let name = lane.random.of(&["src/note.md", "readme", "src/deep/x.md"]);
    let text = word(lane);
    lane.state.files.insert(name.into(), Node::file(text));
    format!("{name}, which is no input, is `{text}`")
}

/// Something is done to what a job made.
fn outputs(lane: &mut Lane, folders: &[PathBuf], made: &[String]) {
    let at = lane.random.below(lane.jobs.len());
    let job = lane.jobs[at];
    let whole = lane.random.of(Lane::products(job));
    let own: Vec<&str> = made
        .iter()
        .filter_map(|line| line.split(' ').next())
        .map(|path| path.trim_end_matches('/'))
        .filter(|path| {
            *path != "gen"
                && Lane::products(job)
                    .iter()
                    .any(|p| *path == *p || path.starts_with(&format!("{p}/")))
        })
        .collect();
    let one = if own.is_empty() {
        whole
    } else {
        lane.random.of(&own)
    };
    let how = lane.random.below(9);
    let mode = lane.random.of(&[0o600, 0o755, 0o444, 0o711]);
    let stale = match job {
        'a' => lane
            .random
            .of(&["out/stale", "out/deep/er/stale", "out/empty/stale"]),
        'b' => lane
            .random
            .of(&["gen/stale.g", "gen/x.g", "gen/folder.g/deep"]),
        _ => one,
    };
    for folder in folders {
        damage(folder, whole, one, stale, how, mode);
    }
    let how = [
        "gone",
        "gone",
        "edited",
        "edited with its time kept",
        "other bits",
        "a folder",
        "a link",
        "stale files",
        "stale files",
    ][how];
    let which = match how {
        "stale files" => stale,
        "gone" => &format!("{one} or {whole}"),
        _ => one,
    };
    tell(lane, &format!("output {which}: {how}"));
}

fn damage(folder: &Path, whole: &str, one: &str, stale: &str, how: usize, mode: u32) {
    let full = folder.join(one);
    let meta = fs::symlink_metadata(&full);
    let gone = |path: &Path| match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    };
    let is_file = meta.as_ref().is_ok_and(fs::Metadata::is_file);
    match how {
        0 => gone(&full),
        1 => gone(&folder.join(whole)),
        2 | 3 if is_file => {
            let before = meta.unwrap().permissions();
            set_mode(&full, 0o600);
            let text = fs::read_to_string(&full).unwrap();
            if how == 2 {
                fs::write(&full, "by hand").unwrap();
            } else {
                rewrite(&full, &text.chars().rev().collect::<String>());
            }
            fs::set_permissions(&full, before).unwrap();
        }
        4 if is_file => set_mode(&full, mode),
        // Its owner may always look into it and clean it up.
        4 if meta.is_ok_and(|m| m.is_dir()) => set_mode(&full, mode | 0o700),
        5 => {
            gone(&full);
            if full.parent().unwrap().is_dir() {
                fs::create_dir_all(full.join("deep")).unwrap();
                fs::write(full.join("deep/file"), "x").unwrap();
            }
        }
        6 => {
            gone(&full);
            if full.parent().unwrap().is_dir() {
                symlink("../other", &full).unwrap();
            }
        }
        7 | 8 => {
            let stale = folder.join(stale);
            if fs::create_dir_all(stale.parent().unwrap()).is_ok() && !stale.is_dir() {
                fs::write(stale, "stale").unwrap();
            }
        }
        _ => {}
    }
}

/// The whole state at first.
pub fn begin(lane: &Lane, roots: &[PathBuf]) {
    let nothing = State {
        files: std::collections::BTreeMap::new(),
        ..lane.state.clone()
    };
    for root in roots {
        apply(&root.join(lane.folder()), &nothing, &lane.state);
    }
}
