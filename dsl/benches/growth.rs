//! Large files take time in proportion to their size: four times the input, about four times the time.
//! `cargo bench -p dsl` prints, for each kind of large file, the time for 1 000 and for 4 000 of a thing, and their ratio.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dsl::Files;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".into())
    }
}

/// A kind of large file: its name, and the text of one of a given size.
type Shape = (&'static str, fn(usize) -> String);

const SHAPES: [Shape; 16] = [
    ("independent jobs", |n| {
        stage(n, |i| format!("job j{i} {{ run \"make\" }}"))
    }),
    ("a chain of jobs", |n| {
        stage(n, |i| {
            format!(
                "job j{i} {{ needs j{}; run \"make\" }}",
                i.saturating_sub(1)
            )
        })
        .replacen("needs j0; ", "", 1)
    }),
    ("jobs that need an unknown one", |n| {
        stage(n, |i| {
            format!("job j{i} {{ needs nobody{i}; run \"make\" }}")
        })
    }),
    ("jobs that need a mistyped one", |n| {
        stage(n, |i| {
            format!("job compile{i} {{ needs compiel{i}; run \"make\" }}")
        })
    }),
    ("jobs of one name", |n| {
        stage(n, |_| "job same { run \"make\" }".into())
    }),
    ("jobs with an unknown word", |n| {
        stage(n, |i| format!("job j{i} {{ script \"make\" }}"))
    }),
    ("unknown words in a stage", |n| {
        stage(n, |i| format!("word{i} x"))
    }),
    ("stages", |n| {
        lines(n, |i| format!("stage s{i} {{ job j {{ run \"make\" }} }}"))
    }),
    ("stages of one name", |n| {
        lines(n, |_| "stage s { job j { run \"make\" } }".into())
    }),
    ("stages that need an ambiguous job", |n| {
        lines(n, |i| {
            format!("stage s{i} {{ job j {{ run \"make\" }}; job k {{ after other; run \"x\" }} }}")
        })
    }),
    ("secrets", |n| {
        lines(n, |i| format!("secret S{i}"))
            + &stage(n, |i| format!("job j{i} {{ secrets S{i}; run \"make\" }}"))
    }),
    ("unknown secrets", |n| {
        lines(n, |i| format!("secret S{i}"))
            + &stage(n, |i| format!("job j{i} {{ secrets T{i}; run \"make\" }}"))
    }),
    ("uses of a template", |n| {
        "template t {\n    param x\n    job \"t-${param.x}\" { env X=\"${param.x}\"; run \"make\" }\n}\n".to_owned()
            + &stage(n, |i| format!("use t x=x{i}"))
    }),
    ("uses of a broken template", |n| {
        "template t {\n    param x\n    job \"t-${param.x}\" { env X=\"${param.y}\"; rnu \"make\" }\n}\n".to_owned()
            + &stage(n, |i| format!("use t x=x{i}"))
    }),
    ("images", |n| {
        "registry r \"ghcr.io/acme\"\n".to_owned()
            + &stage(n, |i| format!("build i{i}; push i{i} to=r tag=edge"))
    }),
    ("variables", |n| {
        "stage s {\n    job j {\n        run \"make\"\n".to_owned()
            + &lines(n, |i| format!("        env A{i}=\"${{env.A{}}}\"", i / 2))
            + "    }\n}\n"
    }),
];

fn lines(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::new(), |mut out, i| {
        let _ = writeln!(out, "{}", line(i));
        out
    })
}

fn stage(n: usize, line: impl Fn(usize) -> String) -> String {
    format!("stage big {{\n{}}}\n", lines(n, line))
}

fn time(text: &str) -> Duration {
    let start = Instant::now();
    let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.to_owned());
    let _ = dsl::render::json(&loaded.diagnostics, &loaded.sources);
    start.elapsed()
}

fn main() {
    println!("{:<36} {:>10} {:>10} {:>6}", "", "1 000", "4 000", "ratio");
    for (name, shape) in SHAPES {
        let small = time(&shape(1_000)).min(time(&shape(1_000)));
        let large = time(&shape(4_000)).min(time(&shape(4_000)));
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        let millis = |t: Duration| format!("{:.1} ms", t.as_secs_f64() * 1000.0);
        println!(
            "{name:<36} {:>10} {:>10} {ratio:>6.1}",
            millis(small),
            millis(large)
        );
    }
}
