//! Sends a message on its way: over HTTP with a few tries, or to commands. A slow receiver holds a run for half a minute
//! at most.

use std::time::Duration;

use dsl::model::Command;
use dsl::units::is_this_machine;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{How, Message, Notifier};
use crate::process::{self, Chunk, Exit, Spec};
use crate::run::environment::Environment;
use crate::web;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one try may take.
const ONE_TRY: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// The pause before the second try; it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells everybody who wants to hear of this; gives a warning for each who could not be told.
pub async fn tell(notifiers: &[Notifier], message: &Message, marker: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let wanted = |n: &&Notifier| n.on.iter().any(|topic| message.topics.contains(topic));
    let mut telling = tokio::task::JoinSet::new();
    for (at, notifier) in notifiers.iter().filter(wanted).enumerate() {
        let (how, message) = (notifier.how.clone(), message.clone());
        let marker = format!("{marker}-notify-{at}");
        telling.spawn(async move {
            let word = how.word();
            let told = timeout_at(deadline, one(&how, &message, &marker)).await;
            match (how, told) {
                (How::Not(why), _) => Some(why),
                (_, Ok(Ok(()))) => None,
                (_, Ok(Err(why))) => Some(format!("{word} was not told how the run ended: {why}")),
                (_, Err(_)) => Some(format!(
                    "{word} was not told how the run ended: no answer within {} s",
                    PATIENCE.as_secs()
                )),
            }
        });
    }
    let mut warnings: Vec<String> = telling.join_all().await.into_iter().flatten().collect();
    warnings.sort();
    warnings
}

async fn one(how: &How, message: &Message, marker: &str) -> Result<(), String> {
    match how {
        How::Not(_) => Ok(()),
        How::Slack { address, channel } => {
            let mut body = json!({ "text": escaped(&message.text) });
            if let Some(channel) = channel {
                body["channel"] = json!(channel);
            }
            post(address, &body).await
        }
        How::Webhook { address } => {
            let body = serde_json::to_value(message).map_err(|e| e.to_string())?;
            post(address, &body).await
        }
        How::Commands { run, root } => {
            for command in run {
                commanded(command, root, message, marker).await?;
            }
            Ok(())
        }
    }
}

/// What Slack takes for text and not for a mention or a link
/// (<https://docs.slack.dev/messaging/formatting-message-text/#escaping>).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Posts a document, and tries again where that may help. The address is secret, and in no error.
async fn post(address: &SecretString, body: &Value) -> Result<(), String> {
    let url = Url::parse(address.expose_secret().trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or("its secret is no http address")?;
    let here = url.host_str().is_some_and(is_this_machine);
    let client = web::client(here, ONE_TRY)?;
    let text = body.to_string();
    let mut pause = PAUSE;
    let mut tries = 1;
    loop {
        let (why, wait) = match once(&client, url.clone(), &text).await {
            Ok(()) => return Ok(()),
            Err((why, Some(wait))) if tries < TRIES => (why, wait.max(pause)),
            Err((why, _)) => return Err(why),
        };
        tracing::debug!(why, ?wait, "notification again");
        tokio::time::sleep(wait).await;
        tries += 1;
        pause *= 2;
    }
}

/// One try; where another may help, how long to wait at least.
async fn once(client: &Client, url: Url, text: &str) -> Result<(), (String, Option<Duration>)> {
    let host = url.host_str().unwrap_or_default().to_owned();
    let request = client.post(url).timeout(ONE_TRY);
    let request = request
        .header("content-type", "application/json")
        .body(text.to_owned());
    let answer = request.send().await.map_err(|e| {
        let why = web::deepest(&e.without_url());
        (format!("{host}: {why}"), Some(Duration::ZERO))
    })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let wait = answer
        .headers()
        .get("retry-after")
        .and_then(|v| v.to_str().ok());
    let wait = wait
        .and_then(|v| v.trim().parse().ok())
        .map(Duration::from_secs);
    let why = format!("{host} answers {}", status.as_u16());
    Err((why, again.then(|| wait.unwrap_or_default())))
}

/// Runs a command with the message in its environment.
async fn commanded(
    command: &Command,
    root: &std::path::Path,
    message: &Message,
    marker: &str,
) -> Result<(), String> {
    let mut env = Environment::passed();
    env.set("PIPE", "true");
    env.set("PIPE_OUTCOME", &message.outcome);
    env.set("PIPE_MESSAGE", &message.text);
    env.set(
        "PIPE_MESSAGE_JSON",
        serde_json::to_string(message).unwrap_or_default(),
    );
    let (program, args) = match command {
        Command::Shell(text) => process::bash(&text.value),
        Command::Exec(words) => (
            words[0].value.clone().into(),
            words[1..].iter().map(|w| w.value.clone().into()).collect(),
        ),
    };
    let spec = Spec {
        program,
        args,
        cwd: root.to_path_buf(),
        env: env.vars(),
        marker: marker.to_owned(),
    };
    let (output, mut written) = mpsc::channel::<Chunk>(4);
    let never = CancellationToken::new();
    let running = process::run(&spec, Some(PATIENCE), ONE_TRY, &never, &never, output);
    let reading = async { while written.recv().await.is_some() {} };
    let (ended, ()) = tokio::join!(running, reading);
    match ended.exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(format!("exit {code}")),
        Exit::Signal(signal) => Err(format!("killed by signal {signal}")),
        Exit::NotStarted(why) => Err(why.to_string()),
    }
}
