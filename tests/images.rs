//! Images that a pipeline builds, on real Docker and on real rootless Podman.

mod builds;
mod cached;
mod digests;
mod failures;
mod layers;
mod sboms;
mod stops;

use crate::containers::engines::Engine;
use crate::support::{Output, Project};

/// The image that tests begin with.
const BOX: &str = "localhost/box:1";

/// A project that builds the image `app` from this Dockerfile.
fn project(build: &str, dockerfile: &str) -> Project {
    with(&format!("    build app {{\n{build}\n    }}\n"), dockerfile)
}

/// A project with these steps and this Dockerfile.
fn with(steps: &str, dockerfile: &str) -> Project {
    let text = format!("pipeline app\nsecret TOKEN\nstage build {{\n{steps}}}\n");
    Project::with(&text).file("Dockerfile", dockerfile)
}

/// A run to its end. The cache is the project's own.
fn run(engine: Engine, project: &Project, args: &[&str]) -> Output {
    let mut command = engine.building(project, &[&["run"], args].concat());
    command.env("TOKEN", "a-secret-of-some-length");
    project.output(&mut command)
}

/// The digest that a run says it built.
#[track_caller]
fn digest(out: &Output) -> String {
    digest_of(out, "app")
}

/// The same of an image of another name.
#[track_caller]
fn digest_of(out: &Output, image: &str) -> String {
    let start = format!("built localhost/{image}:sha256-");
    let at = out
        .stdout
        .find(&start)
        .unwrap_or_else(|| panic!("nothing was built:\n{}", out.whole()));
    format!("sha256:{}", &out.stdout[at + start.len()..][..64])
}

/// The lines of a step, in order.
fn lines<'o>(out: &'o Output, step: &str) -> Vec<&'o str> {
    let own = |line: &'o str| {
        let (name, text) = line.split_once('|')?;
        (name.trim() == step).then(|| text.trim_start_matches(' '))
    };
    out.stdout.lines().filter_map(own).collect()
}

/// The folder in which pipe keeps the images of a project.
fn images(project: &Project) -> std::path::PathBuf {
    project.home().join(".cache/pipe/v2/images")
}
