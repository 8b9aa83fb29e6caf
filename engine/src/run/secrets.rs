//! The values of the secrets that the steps of a run may see. They are never printed, written or passed as arguments.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use dsl::model::{Pipeline, SecretSource, StepKind};
use dsl::units::show_duration;
use indexmap::IndexMap;
use secrecy::SecretString;

use super::super::plan::Plan;

/// The largest secret that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How long a command may take that prints one.
const PATIENCE: Duration = Duration::from_secs(60);

/// Values by name.
pub type Secrets = IndexMap<String, SecretString>;

/// A secret without a value: which, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {name} has no value: {why}")]
pub struct NoSecret {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
    /// The remedy.
    pub help: String,
}

/// Reads the secrets that the steps of this plan name, before any of them begins.
///
/// # Errors
/// Every secret that has no value.
pub fn resolve(
    plan: &Plan,
    root: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secrets, Vec<NoSecret>> {
    let steps = || plan.steps().map(|(_, step)| plan.definition(step));
    let names = steps().flat_map(|step| match &step.kind {
        StepKind::Job(job) => job.secrets.as_slice(),
        StepKind::Build(build) => build.secrets.as_slice(),
        _ => &[],
    });
    let signing = steps().flat_map(|step| match &step.kind {
        StepKind::Sign(sign) => [sign.key.as_ref(), sign.password.as_ref()],
        _ => [None, None],
    });
    let names = names.chain(signing.flatten()).map(|n| n.value.as_str());
    let targets = &plan.pipeline.targets;
    let keys = steps().filter_map(|step| {
        let target = match &step.kind {
            StepKind::Deploy(deploy) => &deploy.target.value,
            StepKind::Promote(promote) => {
                &plan.pipeline.promotions.get(&promote.rule.value)?.to.value
            }
            _ => return None,
        };
        let key = targets.get(target)?.ssh.as_ref()?.key.as_ref()?;
        Some(key.value.as_str())
    });
    let registries = plan.registries().into_iter();
    let logins = registries.filter_map(|r| r.login.as_ref()?.password.as_ref());
    let passwords = logins.map(|p| p.value.as_str());
    let names = names.chain(keys).chain(passwords);
    let mut values = named(&plan.pipeline, names, root, env)?;
    for registry in plan.registries_begun_with() {
        let password = registry.login.as_ref().and_then(|l| l.password.as_ref());
        let Some(name) = password.map(|p| &p.value) else {
            continue;
        };
        let secret = plan.pipeline.secrets.get(name);
        // No command is run for what is not needed.
        let source = secret.map(|s| &s.source);
        let source = source.filter(|s| !matches!(s, SecretSource::Command(_)));
        if let Some(Ok(value)) = source.map(|s| read(s, root, env)) {
            values.entry(name.clone()).or_insert(value);
        }
    }
    Ok(values)
}

/// Reads secrets by their names.
///
/// # Errors
/// Every secret that has no value.
pub fn named<'a>(
    pipeline: &Pipeline,
    names: impl Iterator<Item = &'a str>,
    root: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secrets, Vec<NoSecret>> {
    let mut values = Secrets::new();
    let mut errors = Vec::new();
    for name in names {
        if values.contains_key(name) || errors.iter().any(|e: &NoSecret| e.name == name) {
            continue;
        }
        let Some(secret) = pipeline.secrets.get(name) else {
            continue;
        };
        match read(&secret.source, root, env) {
            Ok(value) => {
                values.insert(name.to_owned(), value);
            }
            Err((why, help)) => errors.push(NoSecret {
                name: name.to_owned(),
                why,
                help,
            }),
        }
    }
    if errors.is_empty() {
        Ok(values)
    } else {
        Err(errors)
    }
}

fn read(
    source: &SecretSource,
    root: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<SecretString, (String, String)> {
    match source {
        SecretSource::Env(name) => match env(name) {
            Some(value) if !value.is_empty() => Ok(value.into()),
            Some(_) => Err((
                format!("the variable {name} is empty"),
                format!("set it, for example from your CI's secret store: `{name}=… pipe run`"),
            )),
            None => Err((
                format!("the variable {name} is not set"),
                format!("set it, for example from your CI's secret store: `{name}=… pipe run`"),
            )),
        },
        SecretSource::File(path) => {
            let full = expand(path, root, env);
            let help = "check the path and who may read it".to_owned();
            from_file(&full).map_err(|e| (format!("{}: {e}", full.display()), help))
        }
        SecretSource::Command(text) => {
            let help = format!("run it by hand to see why: `{text}`");
            from_command(text, root).map_err(|e| (e, help))
        }
    }
}

fn expand(path: &str, root: &Path, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => root.join(path),
    }
}

fn from_file(path: &Path) -> Result<SecretString, String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err("this is no regular file of at most 1 MiB".into());
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        return Err("the file is empty".into());
    }
    Ok(text.into())
}

fn from_command(text: &str, root: &Path) -> Result<SecretString, String> {
    let child = Command::new("sh")
        .args(["-eu", "-c", text])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| format!("its command cannot be started: {e}"))?;
    let pipe = child.stdout.take().ok_or("its command has no output")?;
    let (done, printed) = mpsc::channel();
    std::thread::spawn(move || {
        let mut out = String::new();
        let read = pipe.take(LARGEST).read_to_string(&mut out).map(|_| out);
        // Nobody waits any more where the time was over.
        let _ = done.send(read);
    });
    let Ok(out) = printed.recv_timeout(PATIENCE) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!(
            "its command took longer than {}",
            show_duration(PATIENCE)
        ));
    };
    let out = out.map_err(|e| format!("its command printed no text: {e}"))?;
    let status = child.wait().map_err(|e| e.to_string())?;
    if !status.success() {
        return Err(format!("its command failed: {status}"));
    }
    let value = out.strip_suffix('\n').unwrap_or(&out);
    if value.is_empty() {
        return Err("its command printed nothing".into());
    }
    Ok(value.into())
}
