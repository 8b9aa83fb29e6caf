//! Tells people how a run ended: in a chat, at an address, by a command. One message for each way that is wanted, at the
//! end of the run; what cannot be told is a warning and changes nothing.

mod message;
mod send;

use std::path::PathBuf;

use dsl::model::{Command, Notify, Pipeline};
use secrecy::SecretString;

pub use message::{Message, Story, Topic};
pub use send::tell;

/// A way in which people are told.
#[derive(Debug, Clone)]
pub struct Notifier {
    /// What is told.
    pub on: Vec<Topic>,
    /// How.
    pub how: How,
}

/// How people are told.
#[derive(Debug, Clone)]
pub enum How {
    /// By a message to an incoming webhook of Slack, or of what understands the same (Mattermost, Rocket.Chat).
    Slack {
        /// The secret address.
        address: SecretString,
        /// The channel, where it is not the webhook's own.
        channel: Option<String>,
    },
    /// By the whole message as JSON.
    Webhook {
        /// The secret address.
        address: SecretString,
    },
    /// By commands of this machine.
    Commands {
        /// The commands.
        run: Vec<Command>,
        /// Where they run.
        root: PathBuf,
    },
    /// Not at all, for this reason.
    Not(String),
}

impl How {
    /// What it is called.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::Webhook { .. } => "the webhook",
            Self::Commands { .. } => "the command of `notify`",
            Self::Not(_) => "nobody",
        }
    }
}

/// The ways that a pipeline names. `secret` gives the value of a secret, or why there is none.
pub fn notifiers(
    pipeline: &Pipeline,
    root: &std::path::Path,
    secret: &dyn Fn(&str) -> Result<SecretString, String>,
) -> Vec<Notifier> {
    let one = |notify: &Notify| {
        let named: Vec<Topic> = notify
            .on
            .iter()
            .filter_map(|w| Topic::named(&w.value))
            .collect();
        Notifier {
            on: match named.is_empty() {
                true => vec![Topic::Failed, Topic::RolledBack],
                false => named,
            },
            how: how(notify, root, secret),
        }
    };
    pipeline.notifies.iter().map(one).collect()
}

fn how(
    notify: &Notify,
    root: &std::path::Path,
    secret: &dyn Fn(&str) -> Result<SecretString, String>,
) -> How {
    let address = || match &notify.webhook {
        Some(name) => secret(&name.value),
        None => Err("it has no address".to_owned()),
    };
    match notify.kind.value.as_str() {
        "command" => How::Commands {
            run: notify.run.clone(),
            root: root.to_path_buf(),
        },
        kind => match address() {
            Err(why) => How::Not(format!("{kind} was not told how the run ended: {why}")),
            Ok(address) if kind == "slack" => How::Slack {
                address,
                channel: notify.channel.as_ref().map(|c| c.value.clone()),
            },
            Ok(address) => How::Webhook { address },
        },
    }
}
