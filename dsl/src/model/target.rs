//! Targets: where software runs, what drives them, when they are ready. And the rules by which it moves on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EnvVar, Ready, ReleaseOptions};
use crate::expr::Template;
use crate::source::{Span, Spanned};

/// `target`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: Spanned<String>,
    /// Only promotions and approved deployments reach it.
    pub protected: bool,
    /// The host, where it is reached over SSH.
    pub ssh: Option<SshHost>,
    /// What it is driven with.
    pub driver: Option<Driver>,
    /// When it counts as ready.
    pub ready: Option<Ready>,
    /// Why a failed deployment stays, where that is meant.
    pub no_rollback: Option<String>,
    /// Settings that the host must have.
    pub assert_env: Vec<(Spanned<String>, Spanned<String>)>,
    /// How a new release replaces the old one.
    pub strategy: Option<Strategy>,
    /// The commit before which there is no way back.
    pub rollback_floor: Option<Spanned<String>>,
    /// Variables of what drives it.
    pub env: Vec<EnvVar>,
    /// Images named in its fields, with the places.
    pub image_refs: Vec<(String, Span)>,
}

/// `ssh`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SshHost {
    /// `user@host` or `user@host:port`.
    pub address: Spanned<Template>,
    /// The secret with the private key.
    pub key: Option<Spanned<String>>,
    /// The file with the keys of known hosts.
    pub known_hosts: Option<Spanned<String>>,
}

/// `strategy`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strategy {
    /// `rolling`, `blue-green`, `canary`.
    pub kind: Spanned<String>,
    /// The shares of a canary.
    pub steps: Option<Spanned<String>>,
    /// The time between two of them.
    pub pause: Option<Duration>,
}

/// What drives a target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Driver {
    /// One container.
    Container(Box<OneContainer>),
    /// Docker Compose.
    Compose(Box<Compose>),
    /// Kubernetes.
    Kubernetes(Box<Kubernetes>),
    /// Amazon ECS.
    Ecs(Box<Ecs>),
    /// Own commands.
    Run(Box<OwnCommands>),
}

/// `container` of a target
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OneContainer {
    /// Its name.
    pub name: Spanned<String>,
    /// `HOST:CONTAINER` ports.
    pub publish: Option<Spanned<String>>,
    /// Whether old images are removed afterwards.
    pub prune: bool,
    /// Its variables.
    pub env: Vec<EnvVar>,
    /// Files of variables on the host.
    pub env_files: Vec<Spanned<String>>,
}

/// `compose`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compose {
    /// The Compose file.
    pub file: Spanned<String>,
    /// The folder on the host.
    pub dir: Option<Spanned<String>>,
    /// The project's name.
    pub project: Option<Spanned<String>>,
    /// What is copied there besides.
    pub copies: Vec<Spanned<String>>,
    /// Files of variables that live there.
    pub env_files: Vec<Spanned<String>>,
    /// Variables for the file.
    pub env: Vec<EnvVar>,
    /// What is done, in order.
    pub steps: Vec<ComposeStep>,
}

/// One thing to be done with the services of a Compose file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ComposeStep {
    /// Started, and waited for.
    Up(Vec<Spanned<String>>),
    /// Run to their ends, once for each bundle.
    Run(Vec<Spanned<String>>),
}

/// `kubernetes`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kubernetes {
    /// A file or folder of manifests.
    pub manifests: Option<Spanned<String>>,
    /// The Deployment.
    pub deployment: Option<Spanned<String>>,
    /// The namespace.
    pub namespace: Option<Spanned<String>>,
    /// The kubeconfig context.
    pub context: Option<Spanned<String>>,
    /// The container in the pod.
    pub container: Option<Spanned<String>>,
    /// The command for kubectl, with its first arguments.
    pub kubectl: Option<Spanned<String>>,
}

/// `ecs`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ecs {
    /// The cluster.
    pub cluster: Spanned<Template>,
    /// The service.
    pub service: Spanned<Template>,
    /// The region.
    pub region: Spanned<Template>,
    /// The container of the task.
    pub container: Option<Spanned<String>>,
}

/// `run` of a target: shell texts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OwnCommands {
    /// Makes the target run the images.
    pub apply: Option<Spanned<String>>,
    /// Prints the digests that run.
    pub observe: Option<Spanned<String>>,
    /// Goes back.
    pub undo: Option<Spanned<String>>,
}

impl Driver {
    /// The word that is written.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Driver::Container(_) => "container",
            Driver::Compose(_) => "compose",
            Driver::Kubernetes(_) => "kubernetes",
            Driver::Ecs(_) => "ecs",
            Driver::Run(_) => "run",
        }
    }

    /// Whether a failed deployment cannot be undone by it: own commands without one that does.
    #[must_use]
    pub fn lacks_undo(&self) -> bool {
        matches!(self, Driver::Run(own) if own.undo.is_none())
    }

    /// Whether it reports by itself when a release is up.
    #[must_use]
    pub fn reports_itself(&self) -> bool {
        matches!(self, Driver::Kubernetes(_) | Driver::Ecs(_))
    }

    /// Its texts with references.
    #[must_use]
    pub fn templates(&self) -> Vec<&Spanned<Template>> {
        match self {
            Driver::Container(one) => one.env.iter().map(|v| &v.value).collect(),
            Driver::Compose(compose) => compose.env.iter().map(|v| &v.value).collect(),
            Driver::Ecs(ecs) => vec![&ecs.cluster, &ecs.service, &ecs.region],
            Driver::Kubernetes(_) | Driver::Run(_) => Vec::new(),
        }
    }
}

impl Target {
    /// Its texts with references.
    #[must_use]
    pub fn templates(&self) -> Vec<&Spanned<Template>> {
        let mut all: Vec<&Spanned<Template>> = self.env.iter().map(|v| &v.value).collect();
        all.extend(self.ssh.iter().map(|s| &s.address));
        all.extend(self.driver.iter().flat_map(Driver::templates));
        let asks = self.ready.iter().flat_map(|r| &r.asks);
        all.extend(asks.flat_map(super::Ask::templates));
        all
    }
}

/// `promotion`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Promotion {
    /// Its name.
    pub name: Spanned<String>,
    /// The source: a target or a registry.
    pub from: Spanned<String>,
    /// The destination: a target or a registry.
    pub to: Spanned<String>,
    /// The images that move together.
    pub images: Vec<Spanned<String>>,
    /// What must hold before.
    pub requirements: Vec<Requirement>,
    /// Tags that the digests get, and in which registry.
    pub tags: Vec<(Spanned<Template>, Option<Spanned<String>>)>,
    /// The release that it makes, and of which version, where that is said.
    pub release: Option<(ReleaseOptions, Option<Spanned<String>>)>,
}

impl Promotion {
    /// The places to which it leads: the destination, and the registries in which it sets tags besides.
    #[must_use]
    pub fn destinations(&self) -> Vec<&Spanned<String>> {
        let mut all = vec![&self.to];
        for place in self.tags.iter().filter_map(|(_, place)| place.as_ref()) {
            if all.iter().all(|known| known.value != place.value) {
                all.push(place);
            }
        }
        all
    }
}

/// `require`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Requirement {
    /// `healthy`, `approval`, `checks`, `window`, `from-commit`.
    pub what: Spanned<String>,
    /// How long the source must have been healthy.
    pub healthy_for: Duration,
    /// Who may approve.
    pub by: Option<Spanned<String>>,
    /// How many must.
    pub count: u32,
    /// Who may not.
    pub not: Option<Spanned<String>>,
    /// The days of a window, `mon-thu`.
    pub days: Option<Spanned<String>>,
    /// Its first hour, `09:00`.
    pub from: Option<Spanned<String>>,
    /// Its last hour.
    pub until: Option<Spanned<String>>,
    /// The branch that has the commit.
    pub branch: Option<Spanned<String>>,
    /// The check that must have passed.
    pub name: Option<Spanned<String>>,
    /// The node.
    pub span: Span,
}
