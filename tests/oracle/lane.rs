//! A small project in a folder of its own: its files, its values, its jobs. And what decides the result of each job, as
//! far as this test knows: a model that shares no line with what it judges.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::random::Random;
use crate::support::tree::set_mode;

/// Words of the same length, so that one may take the place of another behind the back of a size.
pub const WORDS: [&str; 3] = ["red", "tan", "sky"];

/// What the jobs do, as far as it is the same for all. They clean up first, so that what they make depends on nothing
/// but what is declared; and they start few programs, so that they take no time.
pub const SCRIPTS: [(&str, &str); 3] = [
    (
        "a.sh",
        r#"
rm -rf out; mkdir -p out/empty
n=0
for f in src/*.c src/deep/*.c; do
    [ -e "$f" ] || [ -L "$f" ] || continue
    n=$((n+1)); t=-; c=none
    if [ -L "$f" ]; then t=@; fi
    if [ -f "$f" ]; then read -r c < "$f"; if [ -x "$f" ]; then t=$t+; fi; fi
    if [ -d "$f" ]; then c=folder; fi
    if [ "$c" = fail ]; then echo failing; exit 3; fi
    echo "$t $f $c" >> out/list
done
echo "$n of $E" >> out/list
case $1 in
    1|4) ln -s list out/link;;
    2|5) echo "echo $E" > out/run; chmod 755 out/run; umask 333; : > out/closed;;
esac
echo "n=$n" >> "$PIPE_OUTPUT"
echo "a has $n"
"#,
    ),
    (
        "b.sh",
        r#"
rm -rf b.txt gen/*.g; [ -d gen ] || mkdir gen
c=none; if [ -f conf ]; then read -r c < conf; if [ -x conf ]; then c=$c+; fi; fi
echo "$P $c" > "gen/$P.g"; echo "$1" > gen/v.g
if [ "$1" = 1 ]; then umask 077; fi
while read -r l; do echo "$N $l"; done < out/list > b.txt
"#,
    ),
    (
        "d.sh",
        r#"
rm -rf d
while read -r l; do echo "$l"; done < b.txt > d
if [ "$1" = c ]; then read -r l < c; echo "$l" >> d; fi
"#,
    ),
];

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    File { text: String, program: bool },
    Link { to: String },
}

impl Node {
    pub fn file(text: &str) -> Self {
        Self::File {
            text: text.into(),
            program: false,
        }
    }
}

/// Everything that somebody can edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// By path beneath the folder.
    pub files: BTreeMap<String, Node>,
    /// A variable that the file declares.
    pub env: &'static str,
    /// A parameter.
    pub param: &'static str,
    /// A variable that is passed on.
    pub passed: Option<&'static str>,
    /// How the jobs a to d are written.
    pub written: [usize; 4],
}

/// A project among others in one pipeline.
#[derive(Debug, Clone)]
pub struct Lane {
    /// Its number in the pipeline, and among all sequences.
    pub at: usize,
    pub number: u64,
    pub random: Random,
    /// Whether its inputs are patterns, or a folder without some files.
    patterns: bool,
    /// Which of its jobs there are.
    pub jobs: Vec<char>,
    pub state: State,
    /// What it was before.
    pub history: Vec<State>,
    /// What was done to it, for whoever reads of a failure.
    pub story: Vec<String>,
    pub edits: usize,
}

impl Lane {
    pub fn new(at: usize, number: u64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shapes = ["ab", "ab", "ac", "abc", "abd", "abcd"];
        let jobs = random.of(&shapes).chars().collect();
        let mut files = BTreeMap::new();
        for name in [
            "src/a.c",
            "src/b.c",
            "src/deep/d.c",
            "conf.1",
            "conf.2",
            "other",
        ] {
            files.insert(name.to_owned(), Node::file(random.of(&WORDS)));
        }
        files.insert("src/l.c".into(), Node::Link { to: "a.c".into() });
        files.insert(
            "conf".into(),
            Node::Link {
                to: "conf.1".into(),
            },
        );
        let state = State {
            files,
            env: "one",
            param: "x",
            passed: None,
            written: [0; 4],
        };
        Self {
            at,
            number,
            patterns: random.once_in(3),
            random,
            jobs,
            history: vec![state.clone()],
            state,
            story: Vec::new(),
            edits: 0,
        }
    }

    pub fn folder(&self) -> String {
        format!("s{}", self.at)
    }

    pub fn has(&self, job: char) -> bool {
        self.jobs.contains(&job)
    }

    /// The full name of a job.
    pub fn step(&self, job: char) -> String {
        format!("t.{job}{}", self.at)
    }

    /// What the jobs make, beneath the folder.
    pub fn products(job: char) -> &'static [&'static str] {
        match job {
            'a' => &["out"],
            'b' => &["b.txt", "gen"],
            'c' => &["c"],
            _ => &["d"],
        }
    }

    /// The jobs, as they stand in the file.
    pub fn definition(&self) -> String {
        let mut text = String::new();
        let at = self.at;
        for job in &self.jobs {
            let body = match job {
                'a' => self.job_a(),
                'b' => self.job_b(),
                'c' => self.job_c(),
                _ => self.job_d(),
            };
            let _ = writeln!(text, "job {job}{at} {{\n    workdir \"s{at}\"\n{body}\n}}");
        }
        text
    }

    fn job_a(&self) -> String {
        let (at, env, written) = (self.at, self.state.env, self.state.written[0]);
        let outputs = ["", "/"][written / 3];
        // Patterns take much of the time.
        let inputs = if self.patterns {
            format!(r#""s{at}/src/**" "!s{at}/**/*.md""#)
        } else {
            format!(r#""s{at}/src" "!s{at}/src/note.md" "!s{at}/src/deep/x.md""#)
        };
        format!(
            r#"    inputs {inputs}
    outputs "s{at}/out{outputs}"
    env E="{env}"
    run sh "-u" "../a.sh" "{written}""#
        )
    }

    fn job_b(&self) -> String {
        let (at, written) = (self.at, self.state.written[1]);
        format!(
            r#"    needs a{at}
    inputs "s{at}/conf"
    outputs "s{at}/gen/*.g" "s{at}/b.txt"
    env N="${{a{at}.outputs.n}}" P="${{param.p{at}}}"
    run sh "-u" "../b.sh" "{written}""#
        )
    }

    fn job_c(&self) -> String {
        let (at, written) = (self.at, self.state.written[2]);
        format!(
            r##"    pass-env X{at}
    key "c" (file)"s{at}/other"
    outputs "s{at}/c"
    run #"rm -rf c; echo "${{X{at}-none}} {written}" > c; echo "c has ${{X{at}-none}}""#"##
        )
    }

    fn job_d(&self) -> String {
        let (at, written) = (self.at, self.state.written[3]);
        let (needs, read) = if self.has('c') {
            (format!("b{at} c{at}"), "c")
        } else {
            (format!("b{at}"), "alone")
        };
        let name = ["made", "other"][written % 2];
        format!(
            r#"    needs {needs}
    key "d"
    artifact {name} "s{at}/d"
    run sh "-u" "../d.sh" "{read}""#
        )
    }

    /// What decides the result of a job. `made` has what is beneath the folder after the run, one line for each thing,
    /// and `outputs` what job a put out.
    pub fn key(&self, job: char, made: &[String], outputs: &str, language: &str) -> String {
        let state = &self.state;
        let mut key = format!(
            "{job} {:?} {language}",
            state.written["abcd".find(job).unwrap()]
        );
        let products = |key: &mut String, job: char| {
            for line in made.iter().filter_map(|l| counts(l, job)) {
                let _ = write!(key, "\n{line}");
            }
        };
        match job {
            'a' => {
                let _ = write!(key, " {}", state.env);
                for path in state
                    .files
                    .keys()
                    .filter(|p| p.starts_with("src/") && !p.ends_with(".md"))
                {
                    let _ = write!(key, "\n{path} {}", self.seen(path));
                }
            }
            'b' => {
                let _ = write!(
                    key,
                    " {} {outputs}\nconf {}",
                    state.param,
                    self.seen("conf")
                );
                products(&mut key, 'a');
            }
            'c' => {
                let _ = write!(key, " {:?} {}", state.passed, self.seen("other"));
            }
            _ => {
                products(&mut key, 'b');
                if self.has('c') {
                    products(&mut key, 'c');
                }
            }
        }
        key
    }

    /// What counts of a file, or of a link and what is behind it.
    fn seen(&self, path: &str) -> String {
        match self.state.files.get(path) {
            None => "nothing".into(),
            Some(Node::File { text, program }) => format!("{text:?} {program}"),
            Some(Node::Link { to }) => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let plain = to.trim_start_matches("./");
                let behind = match (folder, plain.strip_prefix("../")) {
                    ("", _) => plain.to_owned(),
                    (_, Some(above)) => above.to_owned(),
                    (folder, None) => format!("{folder}/{plain}"),
                };
                let inner = format!("{behind}/");
                let is_folder = self.state.files.keys().any(|p| p.starts_with(&inner));
                let behind = if is_folder {
                    "folder".into()
                } else {
                    self.seen(&behind)
                };
                format!("link {to} {behind}")
            }
        }
    }
}

/// What counts of a line of a folder's content for whoever needs this job.
fn counts(line: &str, job: char) -> Option<String> {
    let (path, rest) = line.split_once(' ')?;
    let own = match job {
        'a' => path.starts_with("out/"),
        'b' => path == "b.txt" || (path.starts_with("gen/") && path.ends_with(".g")),
        other => path == other.to_string(),
    };
    if !own || path.ends_with('/') {
        return None;
    }
    let Some((mode, text)) = rest.split_once(' ').filter(|(mode, _)| *mode != "->") else {
        return Some(line.to_owned());
    };
    let program = u32::from_str_radix(mode, 8).unwrap() & 0o111 != 0;
    Some(format!("{path} {program} {text}"))
}

/// Makes a folder's files what they are to be; what is right already is left alone.
pub fn apply(folder: &Path, old: &State, new: &State) {
    for path in old
        .files
        .keys()
        .filter(|p| new.files.get(*p) != old.files.get(*p))
    {
        let full = folder.join(path);
        std::fs::remove_file(&full).unwrap();
        // A folder without files is none, as far as the model knows.
        let _ = std::fs::remove_dir(full.parent().unwrap());
    }
    for (path, node) in &new.files {
        if old.files.get(path) == Some(node) {
            continue;
        }
        let full = folder.join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        match node {
            Node::File { text, program } => {
                std::fs::write(&full, text).unwrap();
                set_mode(&full, if *program { 0o755 } else { 0o644 });
            }
            Node::Link { to } => std::os::unix::fs::symlink(to, &full).unwrap(),
        }
    }
}
