//! The remote cache of a run: its secrets, and what is told where it cannot be used. A run never fails because of it.

use dsl::model::RemoteCache;
use engine::cache::Settings;
use engine::cache::remote::{IS_BUILT, Remote};
use engine::plan::Plan;
use engine::run::remote::open;
use engine::run::secrets::{self, Secrets};

use crate::args::RunArgs;
use crate::project::Project;
use crate::ui::out::Out;

/// What a run needs for its remote cache, before it begins.
pub struct Wanted<'a> {
    node: &'a RemoteCache,
    /// What it may have of the secrets that the node names. They are masked, and no job gets them.
    pub secrets: Secrets,
}

impl<'a> Wanted<'a> {
    /// Reads the secrets, if this run has results to share and may have them.
    pub fn by(project: &Project, plan: &'a Plan, args: &RunArgs, out: &Out) -> Option<Self> {
        let node = plan.pipeline.remote_cache.as_ref()?;
        let shares = |s| engine::run::is_cacheable(plan.definition(s));
        if args.no_remote || args.keeps_nothing() || !plan.steps().any(|(_, s)| shares(s)) {
            return None;
        }
        let secrets = match IS_BUILT && plan.request.context.trusted {
            false => Ok(Secrets::default()),
            true => {
                let names = node.secrets().map(|s| s.value.as_str());
                let env = |name: &str| std::env::var(name).ok();
                secrets::named(&plan.pipeline, names, &project.root, &env)
            }
        };
        match secrets {
            Ok(secrets) => Some(Self { node, secrets }),
            Err(errors) => {
                for e in errors {
                    let address = node.address();
                    out.warning(&format!("the remote cache {address} is not used: {e}"));
                    out.hint(&format!(
                        "{}; `--no-remote` says that it is not wanted",
                        e.help
                    ));
                }
                None
            }
        }
    }

    /// Begins to use it, if that is possible.
    pub fn open(&self, cache: &Settings, out: &Out) -> Option<Remote> {
        let env = |name: &str| std::env::var(name).ok();
        match open(self.node, &self.secrets, &env, cache) {
            Ok(remote) => remote,
            Err(not_used) => {
                out.warning(&not_used.why);
                out.hint(&not_used.help);
                None
            }
        }
    }
}
