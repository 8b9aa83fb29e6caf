//! `pipe doctor`: what of this machine the pipeline needs, what is there, what is missing and what to do about it.

use std::path::Path;

use dsl::model::{Driver, StepKind};
use engine::container::{self, Found, Tried};
use engine::run::outcome::exit;
use engine::run::{SCANNER, SCANNER_MISSING, builder_of};
use serde_json::{Value, json};

use super::containers::wanted;
use super::scanner::{in_path, usual};
use crate::args::{DoctorArgs, Global, HumanOrJson};
use crate::failed::Failed;
use crate::project::{Project, cache_folder, here};
use crate::ui::out::Out;
use crate::ui::words::{BAD, CAREFUL, DIM, GOOD, STRONG, paint};

/// One thing that was looked at.
struct Look {
    name: &'static str,
    /// `ok`, `absent` where nothing needs it, `missing` where the pipeline does.
    is: Is,
    text: String,
    remedy: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Ok,
    Absent,
    Missing,
}

impl Is {
    fn word(self) -> &'static str {
        match self {
            Is::Ok => "ok",
            Is::Absent => "absent",
            Is::Missing => "missing",
        }
    }
}

impl Look {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            is: Is::Ok,
            text: text.into(),
            remedy: None,
        }
    }

    fn without(name: &'static str, needed: bool, text: impl Into<String>, remedy: &str) -> Self {
        Self {
            name,
            is: if needed { Is::Missing } else { Is::Absent },
            text: text.into(),
            remedy: Some(remedy.to_owned()),
        }
    }
}

/// Looks at everything.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn run(global: &Global, args: &DoctorArgs, out: &Out) -> Result<i32, Failed> {
    let project = match Project::open(global) {
        Ok(project) => Some(project),
        Err(failed) if global.file.is_some() => return Err(failed),
        Err(_) => None,
    };
    let root = match &project {
        Some(project) => project.root.clone(),
        None => here(global)?,
    };
    let needs = project.as_ref().map(needs).unwrap_or_default();
    let mut looks = vec![pipeline(project.as_ref())];
    looks.extend(engines(project.as_ref(), args, &needs)?);
    if needs.compose {
        looks.push(compose());
    }
    looks.push(program("git", needs.git, "install git"));
    looks.push(program(
        "bash",
        needs.bash,
        "install bash, or name another `shell`",
    ));
    looks.push(program("sh", false, "install a shell"));
    for (name, remedy) in &needs.clients {
        looks.push(program(name, true, remedy));
    }
    looks.push(folder(
        "cache folder",
        false,
        cache_folder(global)?.as_deref(),
        "set HOME or XDG_CACHE_HOME, or name a folder with `--cache-dir`; without it nothing is kept",
    ));
    looks.push(folder(
        "run folder",
        needs.record,
        Some(&root.join(".pipe")),
        "make it writable; without it runs are not recorded, and rollbacks and artifacts do not work",
    ));
    let missing = looks.iter().any(|l| l.is == Is::Missing);
    match args.format {
        HumanOrJson::Json => out.line(&as_json(&looks, missing).to_string()),
        HumanOrJson::Human => human(&looks, missing, out),
    }
    Ok(if missing {
        exit::INFRASTRUCTURE
    } else {
        exit::OK
    })
}

/// What the pipeline cannot do without.
#[derive(Default)]
struct Needs {
    engine: bool,
    builds: bool,
    git: bool,
    bash: bool,
    record: bool,
    compose: bool,
    /// Programs by which targets are driven and images scanned, each with its remedy.
    clients: Vec<(&'static str, &'static str)>,
}

/// The programs by which a pipeline drives its targets and scans its images from this machine.
fn clients(pipeline: &dsl::model::Pipeline) -> Vec<(&'static str, &'static str)> {
    let scanned = pipeline.steps.iter().any(|s| usual(&s.kind).is_some());
    let targets = || pipeline.targets.values();
    let here = |driver: fn(&Driver) -> bool| {
        targets().any(|t| t.ssh.is_none() && t.driver.as_ref().is_some_and(driver))
    };
    let usual = |d: &Driver| matches!(d, Driver::Kubernetes(k) if k.kubectl.as_ref().is_none_or(|k| k.value == "kubectl"));
    let all = [
        (
            targets().any(|t| t.ssh.is_some()),
            "ssh",
            "install the OpenSSH client; a target is behind it",
        ),
        (
            here(usual),
            "kubectl",
            "install kubectl, or name the command in the target: `kubectl=\"microk8s kubectl\"`",
        ),
        (
            here(|d| matches!(d, Driver::Ecs(_))),
            "aws",
            "install the AWS command line; a target is driven with it",
        ),
        (scanned, SCANNER, SCANNER_MISSING),
    ];
    let needed = all.into_iter().filter(|(needed, ..)| *needed);
    needed.map(|(_, name, remedy)| (name, remedy)).collect()
}

fn needs(project: &Project) -> Needs {
    let pipeline = &project.loaded.pipeline;
    let jobs = || pipeline.steps.iter().filter_map(|s| s.job());
    let builds = pipeline
        .steps
        .iter()
        .any(|s| matches!(s.kind, StepKind::Build(_)));
    let is_shell = |c: &dsl::model::Command| matches!(c, dsl::model::Command::Shell(_));
    Needs {
        engine: builds || jobs().any(|j| j.container.is_some()),
        builds,
        compose: pipeline.targets.values().any(|target| {
            target.ssh.is_none() && matches!(target.driver, Some(Driver::Compose(_)))
        }),
        clients: clients(pipeline),
        // A pipeline that asks for branches and commits works without, but says so for every one of them.
        git: false,
        record: pipeline.steps.iter().any(|s| s.rollback.is_some())
            || jobs().any(|j| !j.artifacts.is_empty() || !j.takes.is_empty()),
        bash: jobs().any(|j| {
            let shell = j.shell.as_ref().or(pipeline.shell.as_ref());
            j.container.is_none()
                && j.run.iter().any(is_shell)
                && shell.is_none_or(|s| s.program.value == "bash")
        }),
    }
}

fn pipeline(project: Option<&Project>) -> Look {
    match project {
        None => Look::without(
            "pipeline",
            false,
            "there is none here",
            "`pipe init` writes one",
        ),
        Some(project) if project.loaded.has_errors() => Look::without(
            "pipeline",
            true,
            format!("{} has mistakes", project.file),
            "`pipe check` shows them",
        ),
        Some(project) => {
            let steps = project.loaded.pipeline.steps.len();
            let s = if steps == 1 { "" } else { "s" };
            Look::ok("pipeline", format!("{}, {steps} step{s}", project.file))
        }
    }
}

/// Every engine that answers, and the one that a run would take.
fn engines(
    project: Option<&Project>,
    args: &DoctorArgs,
    needs: &Needs,
) -> Result<Vec<Look>, Failed> {
    let runtime = engine::process::runtime()
        .map_err(|e| Failed::machine(format!("nothing can be asked: {e}")))?;
    let env = |name: &str| std::env::var(name).ok();
    let patience = args.engine.engine_timeout;
    let all = runtime.block_on(container::look_everywhere(&env, patience));
    let named = project.and_then(|p| p.loaded.pipeline.engine.as_ref());
    let wanted = wanted(&args.engine, named.map(|e| e.value.as_str()));
    let chosen = runtime.block_on(container::choose(&wanted, &env, patience));
    let mut looks: Vec<Look> = all.iter().map(look).collect();
    match chosen {
        Ok(engine) => {
            if let Ok(gone) = runtime.block_on(engine.sweep())
                && !gone.is_empty()
            {
                looks.push(Look::ok(
                    "left over",
                    format!("removed what a killed run left: {}", gone.join(", ")),
                ));
            }
            let found = engine.found();
            looks.push(Look::ok(
                "containers",
                format!("by {} ({})", found.title(), found.why),
            ));
            if needs.builds {
                looks.push(match runtime.block_on(builder_of(found)) {
                    Ok(how) => Look::ok("builds", format!("by {how}")),
                    Err(none) => {
                        let help = none.help.unwrap_or_default();
                        Look::without("builds", true, none.what, &help)
                    }
                });
            }
        }
        Err(none) => {
            let first = none.what().lines().next().unwrap_or_default().to_owned();
            let text = first.trim_end_matches(':').to_owned();
            looks.push(Look::without(
                "containers",
                needs.engine,
                text,
                &none.help(),
            ));
        }
    }
    Ok(looks)
}

fn look(one: &Result<Found, Tried>) -> Look {
    match one {
        Ok(found) => Look::ok("engine", format!("{}, API {}", found.title(), found.api)),
        Err(tried) => Look {
            name: "engine",
            is: Is::Absent,
            text: format!("{} ({}): {}", tried.address, tried.from, tried.why),
            remedy: None,
        },
    }
}

fn compose() -> Look {
    let told = std::process::Command::new("sh")
        .args(["-c", engine::deploy::FIND_COMPOSE])
        .output();
    let told = told.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    match engine::deploy::compose_found(told.unwrap_or_default().trim(), "this machine") {
        Ok((version, words)) => Look::ok("compose", format!("{version}, `{}`", words.join(" "))),
        Err(none) => {
            let remedy = none.help.unwrap_or_default();
            Look::without("compose", true, none.what, &remedy)
        }
    }
}

fn program(name: &'static str, needed: bool, remedy: &str) -> Look {
    match in_path(name) {
        Some(path) => Look::ok(name, path.display().to_string()),
        None => Look::without(name, needed, "not in PATH", remedy),
    }
}

fn folder(name: &'static str, needed: bool, path: Option<&Path>, remedy: &str) -> Look {
    let Some(path) = path else {
        return Look::without(name, needed, "there is none", remedy);
    };
    let shown = path.display();
    // What is not there yet is made in the nearest folder that is.
    let there = path.ancestors().find(|p| p.exists()).unwrap_or(path);
    match tempfile::Builder::new()
        .prefix(".pipe-doctor-")
        .tempfile_in(there)
    {
        Ok(_) => Look::ok(name, shown.to_string()),
        Err(e) => Look::without(
            name,
            needed,
            format!("{shown} cannot be written: {e}"),
            remedy,
        ),
    }
}

fn as_json(looks: &[Look], missing: bool) -> Value {
    let looks = looks.iter().map(|look| {
        json!({"name": look.name, "is": look.is.word(), "text": look.text, "remedy": look.remedy})
    });
    json!({"format": 1, "ok": !missing, "looks": looks.collect::<Vec<_>>()})
}

fn human(looks: &[Look], missing: bool, out: &Out) {
    let width = looks.iter().map(|l| l.name.len()).max().unwrap_or(0);
    for look in looks {
        let (style, sign) = match look.is {
            Is::Ok => (GOOD, "✓"),
            Is::Absent => (DIM, "-"),
            Is::Missing => (BAD, "✗"),
        };
        let sign = if out.unicode {
            sign
        } else {
            match look.is {
                Is::Ok => "+",
                Is::Absent => "-",
                Is::Missing => "x",
            }
        };
        out.line(&format!(
            " {} {:width$}  {}",
            paint(style, sign),
            look.name,
            look.text
        ));
        if let Some(remedy) = &look.remedy {
            out.line(&paint(CAREFUL, &format!("   {:width$}  {remedy}", "")));
        }
    }
    let end = if missing {
        "The pipeline cannot run here as it is."
    } else {
        "The pipeline can run here."
    };
    out.line(&format!(" {}", paint(STRONG, end)));
}
