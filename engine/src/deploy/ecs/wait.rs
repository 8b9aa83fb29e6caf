//! Waits until a service is steady with what was ordered, and says why it is not: what the service tells of itself, and why
//! its tasks stopped.

use std::time::Duration;

use serde_json::Value;

use super::super::driver::Failure;
use super::super::hands::Hands;
use super::super::patience::Patience;
use super::task::{self, Progress, text};
use super::{EVERY, Ecs};

/// How long a rollout may take where the target has no `ready`: without a circuit breaker ECS tries for ever.
const WITHIN: Duration = Duration::from_secs(15 * 60);
/// How long it takes to ask what is wrong.
const ASKING: Duration = Duration::from_secs(8);
/// How many events of the service are told.
const EVENTS: usize = 5;

impl Ecs {
    /// Waits until all tasks are of the revision that was ordered, and the service calls that done.
    ///
    /// # Errors
    /// Why they are not.
    pub(super) async fn rolled_out(&self, hands: &mut Hands) -> Result<(), Failure> {
        let patience = Patience::new(self.ready.as_ref(), WITHIN, ASKING);
        let ordered = self.ordered.lock().await.revision.clone();
        let mut last = String::new();
        loop {
            // The answer to the order says as much as the first question would.
            let told = self.ordered.lock().await.told.take();
            let service = match told {
                Some(service) => service,
                None => self.now(hands).await?,
            };
            let revision = ordered
                .clone()
                .unwrap_or_else(|| text(&service["taskDefinition"]));
            let going = match task::progress(&service, &revision) {
                Progress::Done => {
                    let line = format!("{} runs {}", self.service, task::short(&revision));
                    hands.say(&line).await;
                    return Ok(());
                }
                Progress::Failed(why) => {
                    return Err(self.explained(&why, &service, &revision, hands).await);
                }
                Progress::Going(text) => text,
            };
            if going != last {
                hands.say(&format!("{}: {going}", self.service)).await;
                last.clone_from(&going);
            }
            if let Some(late) = patience.is_over(hands) {
                let why = format!("not steady within {}: {going}", late.so_far);
                let failure = self.explained(&why, &service, &revision, hands).await;
                return Err(failure.help(late.help));
            }
            hands.pause(EVERY).await?;
        }
    }

    /// A failure with what the service and its tasks say about it.
    async fn explained(
        &self,
        why: &str,
        service: &Value,
        revision: &str,
        hands: &mut Hands,
    ) -> Failure {
        let before = self.ordered.lock().await.events.clone();
        let new = task::events(service).filter(|e| !before.contains(&text(&e["id"])));
        let events: Vec<String> = new.take(EVENTS).map(|e| text(&e["message"])).collect();
        for event in events.iter().rev() {
            hands.say(&format!("event: {event}")).await;
        }
        let stopped = self.tasks("STOPPED", hands).await.unwrap_or_default();
        let mut of_it = stopped
            .iter()
            .filter(|t| text(&t["taskDefinitionArn"]) == revision);
        let task = of_it.next().map(task::stopped).filter(|t| !t.is_empty());
        if let Some(task) = &task {
            hands.say(&format!("a task stopped: {task}")).await;
        }
        let detail = task.or_else(|| events.into_iter().next());
        Failure::new(match detail {
            Some(detail) => format!("{}: {why}; {detail}", self.service),
            None => format!("{}: {why}", self.service),
        })
    }
}
