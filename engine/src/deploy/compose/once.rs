//! One-shot services, such as migrations: each runs to its end once for a bundle on a target, also where what started it
//! was killed. Its container is kept until the ledger knows how it ended.

use super::running::Container;
use super::{At, ComposeProject};
use crate::deploy::driver::{Failure, Release};
use crate::deploy::hands::Hands;

/// The label that says for which one-shot service a container was made.
pub const SERVICE: &str = "pipe.once";
/// The label that says for which bundle.
pub const BUNDLE: &str = "pipe.bundle";

impl ComposeProject {
    /// Runs it, unless it has run for this bundle, or this is a way back.
    pub(super) async fn run_once(
        &self,
        at: At,
        service: &str,
        release: &Release,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        if release.is_back {
            let line = format!("{service} is not run on the way back");
            hands.say(&line).await;
            return Ok(());
        }
        let title = release.bundle.title();
        if release.migrated.iter().any(|m| m == service) {
            let line = format!("{service} has run for {title} before, and is not run again");
            hands.say(&line).await;
            return Ok(());
        }
        let bundle = release.bundle.id();
        if let Some(left) = self.left_of(service, &bundle, hands).await? {
            // The run that started it is gone, and the ledger was not told.
            let exit = self.wait_for(&left, hands).await?;
            if exit == 0 {
                let line = format!("{service} has run for {title} before, and is not run again");
                hands.say(&line).await;
                return self.is_done(service, &bundle, &left.id, hands).await;
            }
            self.remove(&left.id, hands).await?;
        }
        let (of, id) = (
            format!("--label={SERVICE}={service}"),
            format!("--label={BUNDLE}={bundle}"),
        );
        let args = [
            "run",
            "--no-deps",
            "--no-TTY",
            "--interactive=false",
            &of,
            &id,
            service,
        ];
        let call = self.compose(at, &args, hands).await?;
        let told = hands.ask(call).await?;
        let made = self.left_of(service, &bundle, hands).await?;
        if let (0, Some(made)) = (told.code, &made) {
            return self.is_done(service, &bundle, &made.id, hands).await;
        }
        if let Some(made) = &made {
            self.remove(&made.id, hands).await?;
        }
        let why = match told.complaint.as_str() {
            "" => String::new(),
            complaint => format!(": {complaint}"),
        };
        Err(Failure {
            command: Some(format!("docker compose run {service}")),
            ..Failure::new(format!("{service} ended with exit {}{why}", told.code))
        })
    }

    async fn is_done(
        &self,
        service: &str,
        bundle: &str,
        id: &str,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let migrated = hands.migrated.clone();
        migrated(bundle, service).await.map_err(|f| Failure {
            what: format!("{service} has run, which could not be recorded: {}", f.what),
            ..f
        })?;
        self.remove(id, hands).await
    }

    /// The container of a one-shot service of a bundle, where one is there.
    async fn left_of(
        &self,
        service: &str,
        bundle: &str,
        hands: &mut Hands,
    ) -> Result<Option<Container>, Failure> {
        let is_it = |c: &Container| {
            let once = c.once.as_ref().map(|(s, b)| (s.as_str(), b.as_str()));
            once == Some((service, bundle))
        };
        Ok(self.containers(hands).await?.into_iter().find(is_it))
    }

    /// Waits until it ends; gives its exit code.
    async fn wait_for(&self, container: &Container, hands: &mut Hands) -> Result<i32, Failure> {
        if container.state == "running" {
            let line = format!(
                "{} of an interrupted run goes on; waiting",
                container.service
            );
            hands.say(&line).await;
        }
        let exit = hands
            .run(self.engine(&["wait", &container.id]).quiet())
            .await?;
        Ok(exit.trim().parse().unwrap_or(-1))
    }

    /// Ends what still runs of one-shot services: on the way back nothing may change the data any more. Of those that ended
    /// well it is written down that they have run.
    pub(super) async fn end_once(&self, hands: &mut Hands) -> Result<(), Failure> {
        for container in self.containers(hands).await? {
            let Some((service, bundle)) = &container.once else {
                continue;
            };
            if container.state == "running" {
                hands
                    .say(&format!("{service} still runs, and is stopped"))
                    .await;
                hands
                    .run(self.engine(&["stop", &container.id]).quiet())
                    .await?;
                self.remove(&container.id, hands).await?;
            } else if container.exit == "0" && container.state == "exited" {
                self.is_done(service, bundle, &container.id, hands).await?;
            } else {
                self.remove(&container.id, hands).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, id: &str, hands: &mut Hands) -> Result<(), Failure> {
        let call = self.engine(&["rm", "--force", "--volumes", id]);
        hands.run(call.quiet().muted()).await.map(|_| ())
    }
}
