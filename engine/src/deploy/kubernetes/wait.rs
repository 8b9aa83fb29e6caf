//! Waits until a rollout is done, and says why it is not: what is wrong with the new pods, what they said last, which
//! warnings there are.

use std::time::Duration;

use serde_json::Value;

use super::super::driver::{Failure, Release};
use super::super::hands::Hands;
use super::super::patience::Patience;
use super::objects::{self, Workload, text};
use super::rollout::{self, Progress, Trouble};
use super::{EVERY, Kubernetes};
use crate::ledger::ImageAt;

/// How long a rollout may take where the target has no `ready`.
pub(super) const WITHIN: Duration = Duration::from_secs(600);
/// How long it takes to ask what is wrong.
pub(super) const ASKING: Duration = Duration::from_secs(3);
/// How many lines of a container that failed are shown.
const LINES: &str = "--tail=15";
/// What a node says instead of what a container wrote that it has taken away.
const GONE: &str = "unable to retrieve container logs for";
/// How often it is asked then.
const LOOKS: u32 = 5;
/// How many times the usual pause it is at most between two looks at a rollout that does not move.
const SELDOM: u32 = 3;

impl Kubernetes {
    /// Waits until all pods of a workload are new and available.
    ///
    /// # Errors
    /// Why they are not.
    pub(super) async fn rolled_out(
        &self,
        workload: &Workload,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let patience = Patience::new(self.ready.as_ref(), WITHIN, ASKING);
        let mut last = String::new();
        let mut same = 0;
        loop {
            let (said, why) = match self.look_at(workload, release, hands).await {
                Ok(Ok(())) => {
                    hands
                        .say(&format!("{}: rolled out", workload.title()))
                        .await;
                    return Ok(());
                }
                Ok(Err(going)) => (going.clone(), Failure::new(going)),
                // A cluster that does not answer for a moment is no reason to give up.
                Err(failure) if failure.unreachable && !hands.cancel.is_cancelled() => {
                    (failure.what.clone(), failure)
                }
                Err(failure) => return Err(failure),
            };
            same += 1;
            if said != last {
                hands.say(&format!("{}: {said}", workload.title())).await;
                (last, same) = (said, 1);
            }
            if let Some(late) = patience.is_over(hands) {
                if why.unreachable {
                    return Err(why);
                }
                let what = format!("not rolled out within {}: {}", late.so_far, why.what);
                let failure = self.explained(workload, release, &what, hands).await;
                return Err(failure.help(late.help));
            }
            // Where nothing moves, each look is as good as the last one; each may log in anew.
            hands.pause(EVERY * same.min(SELDOM)).await?;
        }
    }

    /// How far it is; an error where it ends here.
    async fn look_at(
        &self,
        workload: &Workload,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<Result<(), String>, Failure> {
        let Some(live) = self.live(workload, hands).await? else {
            return Err(Failure::new(format!("{} is gone", workload.title())));
        };
        let replaced = self.unstuck(workload, &live, hands).await?;
        match rollout::progress(&live) {
            Progress::Done => Ok(replaced.map_or(Ok(()), Err)),
            Progress::Stuck(why) => Err(self.explained(workload, release, &why, hands).await),
            Progress::Going(text) => {
                let pods = self.new_pods(workload, &live, release, hands).await?;
                let mut trouble = rollout::troubles(&pods).into_iter().next();
                if let Some(pausing) = trouble.take_if(|t| t.awaits.is_some() && !t.is_final) {
                    let warnings = self.warnings(workload, &pausing.pod, hands).await;
                    trouble = Some(pausing.with(&warnings));
                }
                match trouble {
                    Some(trouble) if trouble.is_final => {
                        Err(self.told(workload, &trouble, hands).await)
                    }
                    Some(trouble) => Ok(Err(format!("{text}; {}", trouble.title()))),
                    None => Ok(Err(text)),
                }
            }
        }
    }

    /// The pods that are to run the release; all, where none is.
    async fn new_pods(
        &self,
        workload: &Workload,
        live: &Value,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<Vec<Value>, Failure> {
        let pods = self.pods(workload, live, hands).await?;
        let references: Vec<String> = release
            .bundle
            .images
            .values()
            .map(ImageAt::reference)
            .collect();
        let is_new = |pod: &Value| {
            let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
            let mut images = containers.map(|c| text(&c["image"]));
            images.any(|image| references.contains(&image))
        };
        let new: Vec<Value> = pods.iter().filter(|p| is_new(p)).cloned().collect();
        Ok(if new.is_empty() { pods } else { new })
    }

    /// Why a rollout does not end: what is wrong with its pods, or `otherwise`.
    pub(super) async fn explained(
        &self,
        workload: &Workload,
        release: &Release,
        otherwise: &str,
        hands: &mut Hands,
    ) -> Failure {
        let plain = || Failure::new(format!("{}: {otherwise}", workload.title()));
        let Ok(Some(live)) = self.live(workload, hands).await else {
            return plain();
        };
        let Ok(pods) = self.new_pods(workload, &live, release, hands).await else {
            return plain();
        };
        match rollout::troubles(&pods).first() {
            Some(trouble) => self.told(workload, trouble, hands).await,
            None => plain(),
        }
    }

    /// A trouble with what the container said last, and the cluster's warnings. More of it goes to the log.
    async fn told(&self, workload: &Workload, trouble: &Trouble, hands: &mut Hands) -> Failure {
        let warnings = self.warnings(workload, &trouble.pod, hands).await;
        let warnings = told_once(&warnings);
        for warning in &warnings {
            hands.say(&format!("warning: {warning}")).await;
        }
        let lines = match trouble.said {
            Some(before) => self.said(workload, trouble, before, hands).await,
            None => Vec::new(),
        };
        for line in &lines {
            hands.say(&format!("{}: {line}", trouble.pod)).await;
        }
        let said = lines.iter().rev().map(|l| l.trim()).find(|l| !l.is_empty());
        let mut failure = trouble.failure(
            &workload.title(),
            &dsl::text::shorten(said.unwrap_or_default(), 200),
        );
        // That it is not ready is known; how it was asked, and what it answered, is not.
        if let Some(warning) = warnings.iter().rev().find(|w| w.contains("probe")) {
            failure.what += &format!("; {warning}");
        }
        failure
    }

    /// What the container wrote last, or the try before it.
    ///
    /// A node takes the oldest try away as it starts the next, and the cluster hears of that later: where one of the
    /// two cannot be had, it is in the other, or can be had a moment later.
    async fn said(
        &self,
        workload: &Workload,
        trouble: &Trouble,
        before: bool,
        hands: &mut Hands,
    ) -> Vec<String> {
        let mut why = String::new();
        for _ in 0..LOOKS {
            let told = match self.log(workload, trouble, before, hands).await {
                Ok(lines) if !lines.is_empty() => return lines,
                told => told,
            };
            match (self.log(workload, trouble, !before, hands).await, told) {
                (Ok(lines), _) if !lines.is_empty() => return lines,
                // It has written nothing.
                (_, Ok(_)) => return Vec::new(),
                (_, Err(complaint)) => why = complaint,
            }
            if hands.pause(EVERY).await.is_err() {
                break;
            }
        }
        let what = format!(
            "{}: what it wrote cannot be had: {}",
            trouble.pod,
            why.trim()
        );
        hands.say(&what).await;
        Vec::new()
    }

    /// The last lines of a try of the container.
    ///
    /// # Errors
    /// Why they cannot be had.
    async fn log(
        &self,
        workload: &Workload,
        trouble: &Trouble,
        before: bool,
        hands: &mut Hands,
    ) -> Result<Vec<String>, String> {
        let container = format!("--container={}", trouble.container);
        let mut args = vec!["logs", &trouble.pod, &container, LINES];
        if before {
            args.push("--previous");
        }
        let call = self.call_at(workload, &args).quiet().muted();
        let told = hands.ask(call).await.map_err(|failure| failure.what)?;
        match told.code {
            0 if told.out.starts_with(GONE) => Err(told.out),
            0 => Ok(told.out.lines().map(str::to_owned).collect()),
            _ => Err(told.complaint),
        }
    }

    /// What the cluster warns of, the last one last.
    async fn warnings(&self, workload: &Workload, pod: &str, hands: &mut Hands) -> Vec<Value> {
        let field = format!("--field-selector=type=Warning,involvedObject.name={pod}");
        let args = [
            "get",
            "events",
            &field,
            "--sort-by=.lastTimestamp",
            "--output=json",
        ];
        let printed = self
            .run(self.call_at(workload, &args).quiet().muted(), hands)
            .await;
        printed.and_then(|p| objects::read(&p)).unwrap_or_default()
    }
}

/// The last few messages of events, each once.
fn told_once(events: &[Value]) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for event in events {
        let message = rollout::one_line(&event["message"]);
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    let few = messages.len().saturating_sub(5);
    messages.split_off(few)
}

/// Whether a pod was made for a workload, which may be gone.
pub(super) fn belongs(pod: &Value, workload: &Workload) -> bool {
    let mut owners = pod["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    owners.any(|owner| {
        let name = text(&owner["name"]);
        match owner["kind"].as_str() {
            // A Deployment's ReplicaSets have its name and a hash.
            Some("ReplicaSet") => name
                .rsplit_once('-')
                .is_some_and(|(of, _)| workload.kind == "deployment" && of == workload.name),
            _ => name == workload.name,
        }
    })
}
