//! `pipe approve`: a record that somebody agrees to exactly what is there now: commit, configuration, digests, destination.

use std::path::{Path, PathBuf};

use dsl::model::{Promotion, Registry, StepKind};
use engine::ledger::{Approval, Bundle, Record};
use engine::oci::client::PATIENCE;
use engine::promote::{STEPS, Signers, bundle_of, sign, subject, subject_of_step};
use engine::run::outcome::exit;
use engine::run::{of_commit, proven};
use engine::world::Git;
use jiff::{SignedDuration, Timestamp};

use super::by_hand::unknown;
use super::reach::reach;
use super::targets::ledger;
use crate::args::{About, ApproveArgs, Global, HumanOrJson};
use crate::failed::Failed;
use crate::project::Project;
use crate::ui::confirm;
use crate::ui::out::Out;

/// Approves.
///
/// # Errors
/// When there is nothing of that name, nothing to approve, or the ledger cannot be written.
pub fn run(global: &Global, args: &ApproveArgs, out: &Out) -> Result<i32, Failed> {
    let project = Project::open_sound(global, out)?;
    let ledger = ledger(&project)?;
    let trouble = |e: engine::ledger::LedgerError| Failed::of_ledger(&e);
    let asked = asked(&project, &ledger, &args.name, out)?;
    let expires = SignedDuration::try_from(args.holds)
        .ok()
        .and_then(|d| Timestamp::now().checked_add(d).ok())
        .ok_or_else(|| Failed::usage("that is too long"))?;
    let what = format!("{} for {}", asked.subject, asked.about);
    if !args.yes && !confirm::confirm(&format!("approve {what}, as one of {}?", asked.group), out) {
        return Err(
            Failed::refused(format!("nothing was approved; this would approve {what}"))
                .hint("add `--yes` to say that it is meant"),
        );
    }
    let approval = Approval {
        subject: asked.subject,
        bundle: asked.bundle.id(),
        config: project.definition(),
        expires: expires.to_string(),
        group: asked.group,
    };
    let signature = signature(&project, &approval, args)?;
    let record = Record::Approved {
        approval: approval.clone(),
        signature,
    };
    ledger.note(&asked.on, &record).map_err(trouble)?;
    if args.format == HumanOrJson::Json {
        out.line(&serde_json::to_string_pretty(&approval).unwrap_or_default());
    } else {
        let holds = dsl::units::show_duration(args.holds);
        out.line(&format!(" approved {what} by {}, for {holds}", ledger.by()));
        out.line(&format!(" continue a run that waits: {}", asked.next));
    }
    Ok(exit::OK)
}

/// The signature, where the pipeline says whose approvals count. One that would not count is not recorded.
fn signature(
    project: &Project,
    approval: &Approval,
    args: &ApproveArgs,
) -> Result<Option<String>, Failed> {
    let Some(approvers) = &project.loaded.pipeline.approvers else {
        return match args.key {
            None => Ok(None),
            Some(_) => Err(Failed::usage(
                "this pipeline does not say whose approvals count, so none is signed",
            )
            .hint("write `approvers \"FILE\"` into `pipeline`, or leave `--key` away")),
        };
    };
    let refused = |why: String| Failed::refused(format!("nothing was approved: {why}"));
    let signers = Signers::read(&project.root, &approvers.file.value, &approvers.branch);
    let signers = signers.map_err(refused)?;
    let key = match &args.key {
        Some(key) => key.clone(),
        None => signing_key(&project.root).ok_or_else(|| {
            Failed::usage("nothing was approved: it has to be signed, and git names no key")
                .hint("name it: `--key ~/.ssh/id_ed25519`, or `git config user.signingKey FILE`")
        })?,
    };
    let sign = || {
        let signature = sign(approval, &key)?;
        let _ = signers.signer(approval, &signature)?;
        Ok(signature)
    };
    let signed = sign().map_err(|why| {
        refused(why).hint(format!(
            "the key is {}; who may approve stands in {}",
            key.display(),
            signers.place()
        ))
    })?;
    Ok(Some(signed))
}

/// The key with which git signs, where it is one of SSH in a file.
fn signing_key(root: &Path) -> Option<PathBuf> {
    let git = Git::new(root, &|name| std::env::var(name).ok());
    let set = |args: &[&str]| {
        let value = git.output(args).ok()?;
        Some(value.trim().to_owned()).filter(|v| !v.is_empty())
    };
    if set(&["config", "--get", "gpg.format"]).as_deref() != Some("ssh") {
        return None;
    }
    set(&["config", "--type=path", "--get", "user.signingKey"]).map(PathBuf::from)
}

/// The registry that a promotion starts from, where it goes from registry to registry.
fn source<'p>(project: &'p Project, rule: &Promotion) -> Option<&'p Registry> {
    let pipeline = &project.loaded.pipeline;
    let is_target = pipeline.targets.contains_key(&rule.to.value);
    let registry = pipeline.registries.get(&rule.from.value);
    registry.filter(|_| !is_target)
}

/// What of a registry would move at the commit that is here.
fn between(
    project: &Project,
    rule: &Promotion,
    registry: &Registry,
    out: &Out,
) -> Result<Asked, Failed> {
    let runtime = engine::process::runtime()
        .map_err(|e| Failed::machine(format!("nothing can be asked: {e}")))?;
    let from = reach(project, registry, PATIENCE)?;
    let request = project.request(&About::default(), None, &[], out)?;
    let commit = request.context.git.sha.as_deref();
    let config = project.definition();
    let proven = proven(&project.loaded.pipeline, rule, &from, commit, &config);
    let bundle = runtime.block_on(proven).map_err(|f| {
        let failed = Failed::refused(f.what);
        match f.help {
            Some(help) => failed.hint(help),
            None => failed,
        }
    })?;
    let name = &rule.name.value;
    Ok(Asked {
        subject: subject(name),
        about: format!("{} ({})", bundle.title(), bundle.images_in_short()),
        group: String::new(),
        on: STEPS.to_owned(),
        next: format!("pipe run --resume, or pipe promote {name}"),
        bundle,
    })
}

/// What is approved.
struct Asked {
    subject: String,
    bundle: Bundle,
    about: String,
    group: String,
    /// Where the record stands.
    on: String,
    next: String,
}

fn asked(
    project: &Project,
    ledger: &engine::ledger::Ledger,
    name: &str,
    out: &Out,
) -> Result<Asked, Failed> {
    let pipeline = &project.loaded.pipeline;
    if let Some(rule) = pipeline.promotions.get(name) {
        let wanted = rule
            .requirements
            .iter()
            .find(|r| r.what.value == "approval");
        let Some(by) = wanted.and_then(|r| r.by.as_ref()) else {
            return Err(
                Failed::usage(format!("the promotion `{name}` wants no approval"))
                    .hint(format!("`pipe promote {name}` needs none")),
            );
        };
        if let Some(registry) = source(project, rule) {
            return Ok(Asked {
                group: by.value.clone(),
                ..between(project, rule, registry, out)?
            });
        }
        let from = ledger
            .history(&rule.from.value)
            .map_err(|e| Failed::of_ledger(&e))?;
        let bundle = bundle_of(rule, &from).map_err(|u| Failed::refused(u.what).hint(u.help))?;
        return Ok(Asked {
            subject: subject(name),
            about: format!("{} ({})", bundle.title(), bundle.images_in_short()),
            group: by.value.clone(),
            on: rule.to.value.clone(),
            next: format!("pipe run --resume, or pipe promote {name}"),
            bundle,
        });
    }
    let gates = || {
        pipeline.steps.iter().filter_map(|s| match &s.kind {
            StepKind::Approve(gate) => Some((s.name.value.as_str(), gate)),
            _ => None,
        })
    };
    let found = gates().find(|(step, gate)| *step == name || gate.name.value == name);
    let Some((_, gate)) = found else {
        let known = pipeline.promotions.keys().map(String::as_str);
        let known = known.chain(gates().map(|(_, g)| g.name.value.as_str()));
        return Err(unknown("promotion or `approve` step", name, known));
    };
    let request = project.request(&About::default(), None, &[], out)?;
    let commit = request.context.git.sha.unwrap_or_default();
    let short: String = commit.chars().take(7).collect();
    Ok(Asked {
        subject: subject_of_step(&gate.name.value),
        bundle: of_commit(&commit, &project.definition()),
        about: if short.is_empty() {
            "what is here".to_owned()
        } else {
            short
        },
        group: gate.by.value.clone(),
        on: STEPS.to_owned(),
        next: "pipe run --resume".to_owned(),
    })
}
