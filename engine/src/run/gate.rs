//! Steps that people or rules decide: `promote` and `approve`. What is missing is said at once, all of it; what waits for
//! people ends the run so that it can go on later.

use std::collections::BTreeMap;
use std::sync::Arc;

use dsl::model::{Approve, Approvers, Promote, Promotion};
use jiff::Timestamp;

use super::after::After;
use super::deliver::{self, About, Delivery, LedgerAt, What, of_ledger};
use super::github;
use super::outcome::{Failure, Means};
use super::task::{Outputs, Try};
use super::work::NotDone;
use crate::ledger::{Bundle, History, ImageAt, Ledger, Way};
use crate::promote::checks::Check;
use crate::promote::{self, Asked, Facts, STEPS, Signers};
use crate::world::Git;

/// What is known of the run, for rules that ask.
#[derive(Debug, Clone)]
struct Around {
    config: String,
    author: Option<String>,
    is_ci: bool,
    /// The file of those who may approve, and the branch whose file counts.
    approvers: Option<Approvers>,
}

impl Around {
    fn of(about: About<'_>) -> Self {
        let context = &about.plan.request.context;
        Self {
            config: about.options.definition.clone(),
            author: context.git.author.clone(),
            is_ci: context.provider.is_some(),
            approvers: about.plan.pipeline.approvers.clone(),
        }
    }

    /// Whose approvals count, where the pipeline says so; asked of the remote.
    async fn signers(&self, a_try: &Try<'_>) -> Option<Result<Signers, String>> {
        let approvers = self.approvers.clone()?;
        let root = a_try.site.root.clone();
        let read = move || Signers::read(&root, &approvers.file.value, &approvers.branch);
        let read = tokio::task::spawn_blocking(read).await;
        Some(read.unwrap_or_else(|e| Err(e.to_string())))
    }
}

/// A promotion from target to target.
#[derive(Debug, Clone)]
pub(super) struct Promoting {
    rule: Promotion,
    /// The destination.
    pub(super) delivery: Delivery,
    /// What it makes when the target runs the bundle.
    after: After,
    around: Around,
}

/// A gate for people.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    by: String,
    count: u32,
    not: Option<String>,
    name: String,
    subject: String,
    commit: String,
    ledger: LedgerAt,
    around: Around,
}

/// Prepares a `promote`.
///
/// # Errors
/// When the destination is no target.
pub(super) fn of_promote(about: About<'_>, promote: &Promote) -> Result<Promoting, Failure> {
    let pipeline = &about.plan.pipeline;
    let rule = pipeline.promotions.get(&promote.rule.value);
    let rule =
        rule.ok_or_else(|| Failure::new(format!("there is no promotion {}", promote.rule.value)))?;
    let target = pipeline.targets.get(&rule.to.value);
    let target = target.ok_or_else(|| {
        Failure::new(format!(
            "{} is no target; this version promotes from target to target",
            rule.to.value
        ))
    })?;
    let delivery = deliver::delivery(
        about,
        target,
        What::Bundle(Bundle::default()),
        about.is_named(),
    );
    Ok(Promoting {
        rule: rule.clone(),
        after: After::of(about, rule, &delivery)?,
        delivery,
        around: Around::of(about),
    })
}

/// Prepares an `approve`.
pub(super) fn of_approve(about: About<'_>, approve: &Approve) -> Gate {
    let name = &approve.name.value;
    Gate {
        by: approve.by.value.clone(),
        count: approve.count,
        not: approve.not.as_ref().map(|n| n.value.clone()),
        name: name.clone(),
        subject: promote::subject_of_step(name),
        commit: about
            .plan
            .request
            .context
            .git
            .sha
            .clone()
            .unwrap_or_default(),
        ledger: LedgerAt::of(about),
        around: Around::of(about),
    }
}

/// What a step of a commit is: what an approval of it is bound to.
#[must_use]
pub fn of_commit(commit: &str, config: &str) -> Bundle {
    Bundle {
        commit: commit.to_owned(),
        config: config.to_owned(),
        ..Bundle::default()
    }
}

/// Moves what is proven at the source, if every requirement holds.
pub(super) async fn promote(
    promoting: &Promoting,
    a_try: &mut Try<'_>,
) -> Result<Outputs, NotDone> {
    let (rule, delivery) = (&promoting.rule, &promoting.delivery);
    let ledger = delivery.ledger.open().await.map_err(NotDone::NotBegun)?;
    let from = a_try.wait(history(&ledger, &rule.from.value)).await??;
    let to = a_try.wait(history(&ledger, &rule.to.value)).await??;
    let bundle = promote::bundle_of(rule, &from);
    let bundle = bundle
        .map_err(|u| NotDone::NotBegun(Failure::new(u.what).help(u.help).means(Means::Refused)))?;
    let root = a_try.site.root.clone();
    let commit = bundle.commit.clone();
    let contains = move |branch: &str| contains(&root, branch, &commit);
    let trigger = ledger.by().to_owned();
    let (signers, checks) = asked(rule, &promoting.around, &bundle.commit, a_try).await?;
    let missing = promote::unmet(
        rule,
        &Facts {
            from: &from,
            to: &to,
            bundle: &bundle,
            config: &promoting.around.config,
            author: promoting.around.author.as_deref(),
            trigger: &trigger,
            is_ci: promoting.around.is_ci,
            contains: &contains,
            signers: signers.as_ref(),
            checks: checks.as_ref(),
            now: Timestamp::now(),
        },
    );
    if !missing.is_empty() {
        return Err(NotDone::NotBegun(unmet(&missing)));
    }
    let line = format!(
        "{} from {}: {}",
        bundle.title(),
        rule.from.value,
        bundle.images_in_short()
    );
    a_try.say(line).await;
    // Before anything is changed: whether the tags and the release can follow.
    let after = promoting.after.prepare(&bundle, a_try).await?;
    let way = Way::Promotion {
        rule: rule.name.value.clone(),
    };
    let mut outputs = deliver::with_bundle(delivery, bundle, way, &ledger, a_try).await?;
    outputs.extend(after.publish(&rule.to.value, a_try).await?);
    Ok(outputs)
}

/// What somebody else knows of a rule's requirements: who may approve, and the checks of the commit.
async fn asked(
    rule: &Promotion,
    around: &Around,
    commit: &str,
    a_try: &mut Try<'_>,
) -> Result<
    (
        Option<Result<Signers, String>>,
        Option<Result<Vec<Check>, String>>,
    ),
    NotDone,
> {
    let wants = |what: &str| rule.requirements.iter().any(|r| r.what.value == what);
    let signers = match wants("approval") {
        true => around.signers(a_try).await,
        false => None,
    };
    let is_hex = commit.len() >= 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let checks = match (wants("checks"), is_hex) {
        (false, _) => None,
        (true, true) => Some(github::checks(commit, a_try).await?),
        (true, false) => Some(Err("what is promoted has no commit".to_owned())),
    };
    Ok((signers, checks))
}

/// What has to hold before images move from registry to registry. Approvals stand where those of steps do: nothing runs in
/// a registry, so that it has no history.
#[derive(Debug, Clone)]
pub(super) struct Between {
    rule: Promotion,
    ledger: LedgerAt,
    around: Around,
}

impl Between {
    pub(super) fn of(about: About<'_>, rule: &Promotion) -> Self {
        Self {
            rule: rule.clone(),
            ledger: LedgerAt::of(about),
            around: Around::of(about),
        }
    }

    /// # Errors
    /// Everything that does not hold.
    pub(super) async fn holds(
        &self,
        images: BTreeMap<String, ImageAt>,
        commit: Option<&str>,
        a_try: &mut Try<'_>,
    ) -> Result<(), NotDone> {
        if self.rule.requirements.is_empty() {
            return Ok(());
        }
        let bundle = moved(images, commit, &self.around.config);
        let ledger = self.ledger.open().await.map_err(NotDone::NotBegun)?;
        let given = a_try.wait(history(&ledger, STEPS)).await??;
        let (root, trigger) = (a_try.site.root.clone(), ledger.by().to_owned());
        let (signers, checks) = asked(&self.rule, &self.around, &bundle.commit, a_try).await?;
        let missing = promote::unmet(
            &self.rule,
            &Facts {
                from: &given,
                to: &given,
                bundle: &bundle,
                config: &self.around.config,
                author: self.around.author.as_deref(),
                trigger: &trigger,
                is_ci: self.around.is_ci,
                contains: &|branch| contains(&root, branch, &bundle.commit),
                signers: signers.as_ref(),
                checks: checks.as_ref(),
                now: Timestamp::now(),
            },
        );
        match missing.is_empty() {
            true => Ok(()),
            false => Err(NotDone::NotBegun(unmet(&missing))),
        }
    }
}

/// What moves from registry to registry: what an approval of it is bound to.
pub(super) fn moved(
    images: BTreeMap<String, ImageAt>,
    commit: Option<&str>,
    config: &str,
) -> Bundle {
    Bundle {
        images,
        ..of_commit(commit.unwrap_or_default(), config)
    }
}

/// Lets the run go on if people agreed.
pub(super) async fn approve(gate: &Gate, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let ledger = gate.ledger.open().await.map_err(NotDone::NotBegun)?;
    let given = a_try.wait(history(&ledger, STEPS)).await??;
    let bundle = of_commit(&gate.commit, &gate.around.config);
    let trigger = ledger.by().to_owned();
    let asked = Asked {
        by: &gate.by,
        count: gate.count,
        not: gate.not.as_deref(),
        subject: &gate.subject,
        name: &gate.name,
    };
    let signers = gate.around.signers(a_try).await;
    let missing = promote::approval(
        &asked,
        &Facts {
            from: &given,
            to: &given,
            bundle: &bundle,
            config: &gate.around.config,
            author: gate.around.author.as_deref(),
            trigger: &trigger,
            is_ci: gate.around.is_ci,
            contains: &|_| Ok(true),
            signers: signers.as_ref(),
            checks: None,
            now: Timestamp::now(),
        },
    );
    match missing {
        None => {
            a_try.say(format!("approved by {}", gate.by)).await;
            Ok(Outputs::new())
        }
        Some(missing) => Err(NotDone::NotBegun(unmet(&[missing]))),
    }
}

fn unmet(missing: &[promote::Unmet]) -> Failure {
    let (what, help, waits) = promote::together(missing);
    let means = if waits {
        Means::Waiting
    } else {
        Means::Refused
    };
    Failure::new(what).help(help).means(means)
}

async fn history(ledger: &Arc<Ledger>, target: &str) -> Result<History, NotDone> {
    let (ledger, target) = (Arc::clone(ledger), target.to_owned());
    let read = tokio::task::spawn_blocking(move || ledger.history(&target)).await;
    match read {
        Ok(Ok(history)) => Ok(history),
        Ok(Err(error)) => Err(NotDone::NotBegun(of_ledger(&error))),
        Err(error) => Err(NotDone::NotBegun(Failure::new(error.to_string()))),
    }
}

/// Whether a branch has a commit: the remote's, where there is one, as that is what others see.
fn contains(root: &std::path::Path, branch: &str, commit: &str) -> Result<bool, String> {
    if commit.is_empty() {
        return Err("the release has no commit".to_owned());
    }
    let git = Git::new(root, &|name| std::env::var(name).ok());
    let refs = [
        format!("refs/remotes/origin/{branch}"),
        format!("refs/heads/{branch}"),
    ];
    let known = |name: &&String| {
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", name];
        git.output(&args).is_ok()
    };
    let Some(found) = refs.iter().find(known) else {
        return Err(format!("there is no branch {branch} here"));
    };
    let object = format!("{commit}^{{commit}}");
    // A commit of the ledger is never an option: it was read from a record.
    if commit.starts_with('-') || git.output(&["cat-file", "-e", &object]).is_err() {
        return Err(format!("the commit {commit} is not here"));
    }
    Ok(git
        .output(&["merge-base", "--is-ancestor", commit, found])
        .is_ok())
}
