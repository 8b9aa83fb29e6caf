//! Asks a target what it runs, outside of a run. Changes nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dsl::model::{Leg, Pipeline};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deliver::fields::Fields;
use super::environment::Environment;
use super::outcome::Failure;
use super::secrets;
use crate::deploy::{Hands, verdict};
use crate::ledger::Bundle;
use crate::plan::Request;

/// How long a target may take to say what runs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked.
pub struct Observing<'a> {
    /// The pipeline.
    pub pipeline: &'a Arc<Pipeline>,
    /// What is known of git and the like.
    pub request: &'a Request,
    /// The pipeline's folder.
    pub root: &'a Path,
    /// The target.
    pub target: &'a str,
    /// What it is thought to run.
    pub bundle: &'a Bundle,
    /// The values that were recorded with it.
    pub recorded: Option<&'a BTreeMap<String, String>>,
    /// The environment, for secrets.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl Observing<'_> {
    /// How what runs differs from what is thought to; `None` where it does not, or nobody can say.
    ///
    /// # Errors
    /// When the target cannot be asked.
    pub async fn differs(&self) -> Result<Option<String>, Failure> {
        let no = |what: String| Failure::new(what);
        let target = self.pipeline.targets.get(self.target);
        let target = target.ok_or_else(|| no(format!("there is no target {}", self.target)))?;
        let key = target.ssh.as_ref().and_then(|s| s.key.as_ref());
        let names = key.iter().map(|k| k.value.as_str());
        let secrets = secrets::named(self.pipeline, names, self.root, self.env);
        let secrets = secrets.map_err(|e| no(e[0].to_string()))?;
        let scratch = tempfile::Builder::new()
            .prefix("pipe-")
            .tempdir()
            .map_err(|e| no(e.to_string()))?;
        let fields = Arc::new(Fields {
            pipeline: Arc::clone(self.pipeline),
            request: self.request.clone(),
            leg: Leg::new(),
            env: Vec::new(),
            run_id: 0,
            key: key.and_then(|k| secrets.get(&k.value).cloned()),
            root: self.root.to_path_buf(),
            target: target.clone(),
            engine: std::sync::OnceLock::new(),
        });
        let failed = |f: crate::deploy::Failure| no(f.what);
        let made = Fields::make(&fields)(self.bundle, self.recorded).map_err(failed)?;
        if !made.driver.can_observe() {
            return Ok(None);
        }
        let names = self.pipeline.pass_env.iter();
        let mut env = Environment::passed();
        env.extend(Environment::named(names.map(|n| n.value.as_str())));
        let (log, mut said) = mpsc::channel(16);
        let mut hands = Hands {
            root: self.root.to_path_buf(),
            ssh: fields.ssh(scratch.path())?,
            scratch: scratch.path().to_path_buf(),
            env,
            marker: format!("{} {}", std::process::id(), scratch.path().display()),
            grace: Duration::from_secs(2),
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            deadline: Some(Instant::now() + PATIENCE),
            log,
            said: Vec::new(),
            migrated: Arc::new(|_, _| Box::pin(async { Ok(()) })),
        };
        let observing = async {
            let observed = made.driver.observe(&mut hands).await;
            if let Some(ssh) = &hands.ssh {
                ssh.close(&hands.root);
            }
            drop(hands);
            observed
        };
        let hearing = async { while said.recv().await.is_some() {} };
        let (observed, ()) = tokio::join!(observing, hearing);
        let observed = observed.map_err(failed)?;
        let verdict = verdict::runs(&observed, self.bundle, made.driver.as_ref());
        Ok(verdict.err().map(|f| f.what))
    }
}
