//! What stands on a target's ledger: one record for everything that happened to it. Plain data; does not know how it is
//! kept, nor what follows from it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The newest format that this version knows. A record has the oldest one in which all of it is understood.
pub const FORMAT: u32 = 2;

/// One record, with who wrote it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The record's format.
    pub format: u32,
    /// A text that no other record has: two writers with the same news write two different records.
    pub id: String,
    /// When it was written, in UTC, RFC 3339.
    pub at: String,
    /// Who wrote it.
    pub by: String,
    /// The run that wrote it, for a person: `run 12 on build-3`.
    pub run: String,
    /// What happened.
    pub record: Record,
}

impl Entry {
    /// When it was written; the beginning of time where that cannot be read.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.at.parse().unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Something that happened to a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Record {
    /// A deployment is about to begin. Nothing is touched before this stands here.
    Intent {
        /// The deployment's name, which its outcome repeats.
        deployment: String,
        /// What the target is to run.
        bundle: Bundle,
        /// Why.
        way: Way,
        /// The bundle to which it goes back if it fails, by name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        back: Option<String>,
        /// Where no release is known, to what else it goes back. Since format 2: who does not know it would go back to
        /// nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unmanaged: Option<Unmanaged>,
        /// Whether nothing ran there before, so that it goes back to nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_nothing: bool,
        /// The values that stood in the target's fields, by what was written there: a way back needs them again.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        values: BTreeMap<String, String>,
    },
    /// A deployment is over.
    Outcome {
        /// The deployment.
        deployment: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// A one-shot service of a bundle has run to its end, and need not run again here.
    Migrated {
        /// The bundle.
        bundle: String,
        /// The service.
        service: String,
    },
    /// Somebody looked after a target that was locked or on hold.
    Unlocked {
        /// Why.
        why: String,
    },
    /// Somebody approves of something that is to happen to this target.
    Approved {
        /// What exactly.
        approval: Approval,
        /// Who signed it: a signature of OpenSSH over [`Approval::signed`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
}

impl Record {
    /// The oldest format in which all of it is understood.
    #[must_use]
    pub fn format(&self) -> u32 {
        match self {
            Self::Intent {
                unmanaged: Some(_), ..
            }
            | Self::Intent {
                way: Way::TakeAway { .. },
                ..
            } => 2,
            _ => 1,
        }
    }
}

/// What ran on a target before a deployment and was not deployed by `pipe`: how the platform itself finds it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmanaged {
    /// What the platform keeps of it, by what it is called there: `service/web`, `deployment/shop`.
    pub places: BTreeMap<String, Place>,
    /// The digests that ran, by the image's name, as they were observed.
    pub digests: BTreeMap<String, Vec<String>>,
    /// Whether it was ready as the target's `ready` has it: only then that can be asked of it again.
    pub ready: bool,
}

/// One thing that ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The platform's name of what it was: a task definition's ARN, the number of a rollout's revision.
    pub revision: String,
    /// How many of it there were to be, where a release may change that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u64>,
}

impl Unmanaged {
    /// It for a person: `service/web (web:7)`.
    #[must_use]
    pub fn title(&self) -> String {
        let one = |(name, place): (&String, &Place)| {
            let revision = place.revision.rsplit('/').next().unwrap_or_default();
            match revision.bytes().all(|b| b.is_ascii_digit()) {
                true => format!("{name} (revision {revision})"),
                false => format!("{name} ({revision})"),
            }
        };
        let all: Vec<String> = self.places.iter().map(one).collect();
        all.join(", ")
    }
}

/// Why a target gets a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Way {
    /// A `deploy` step.
    Deploy,
    /// A promotion.
    Promotion {
        /// The rule.
        rule: String,
    },
    /// Somebody wants an earlier release back.
    Rollback,
    /// A later step of the run failed, and what it did before is undone.
    Undo {
        /// The deployment that is undone.
        deployment: String,
    },
    /// The same, where no release was there before: the bundle is the one that is taken away.
    TakeAway {
        /// The deployment that is undone.
        deployment: String,
    },
}

impl Way {
    /// Whether it goes back to what ran before: without migrations, and with one attempt.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        matches!(
            self,
            Way::Rollback | Way::Undo { .. } | Way::TakeAway { .. }
        )
    }
}

/// What moves as one: images by digest, and what they were made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The images by name.
    pub images: BTreeMap<String, ImageAt>,
    /// The commit; empty where there is none.
    pub commit: String,
    /// The hash of the pipeline's texts.
    pub config: String,
    /// The version, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// One image of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageAt {
    /// Where it is: `ghcr.io/acme/app`; empty where it is known by its digest alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub repository: String,
    /// `sha256:…`.
    pub digest: String,
}

impl ImageAt {
    /// The reference by digest.
    #[must_use]
    pub fn reference(&self) -> String {
        if self.repository.is_empty() {
            return self.digest.clone();
        }
        format!("{}@{}", self.repository, self.digest)
    }

    /// The reference on a container engine of the image of this name: by its digest in a registry, or by the name that its
    /// `build` gave it.
    #[must_use]
    pub fn on_engine(&self, name: &str) -> String {
        if self.repository.is_empty() {
            let tag = self.digest.replace(':', "-");
            return format!("localhost/{}:{tag}", name.to_lowercase());
        }
        self.reference()
    }

    /// Reads `sha256:…` or `repository@sha256:…`.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (repository, digest) = text.rsplit_once('@').unwrap_or(("", text));
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != 64 || !hex.bytes().all(is_hex) {
            return Err(format!(
                "`{}` is no digest: `sha256:` and 64 hex digits",
                text.escape_debug()
            ));
        }
        if repository.starts_with('-') || repository.chars().any(|c| c.is_control() || c == ' ') {
            return Err(format!("`{}` is no repository", repository.escape_debug()));
        }
        Ok(Self {
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

impl Bundle {
    /// Its name: the hash of what is in it. Where the images are kept is no part of it, as a copy is the same thing.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = blake3::Hasher::new();
        let mut part = |name: &str, value: &str| {
            for text in [name, value] {
                hash.update(&(text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        };
        for (name, image) in &self.images {
            part(name, &image.digest);
        }
        part("commit", &self.commit);
        part("config", &self.config);
        part("version", self.version.as_deref().unwrap_or_default());
        hash.finalize().to_hex()[..16].to_owned()
    }

    /// What a person calls it: its version, else its commit, else its name.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.version {
            Some(version) => version.clone(),
            None if self.commit.is_empty() => self.id()[..8].to_owned(),
            None => self.commit.chars().take(7).collect(),
        }
    }

    /// The images with short digests, in one line.
    #[must_use]
    pub fn images_in_short(&self) -> String {
        let one = |(name, image): (&String, &ImageAt)| {
            let digest: String = image.digest.chars().take("sha256:".len() + 8).collect();
            format!("{name} {digest}…")
        };
        let all: Vec<String> = self.images.iter().map(one).collect();
        all.join(", ")
    }
}

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// What was asked for runs and is ready.
    Healthy,
    /// It failed, and the target was left as it is, because the file says so.
    Failed {
        /// Why.
        why: String,
    },
    /// It failed, and the target is back, ready again.
    RolledBack {
        /// The bundle that runs; none where nothing ran before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        /// Why it failed.
        why: String,
        /// Whether the bundle is to blame: not where somebody stopped it, or the run was killed.
        blamed: bool,
    },
    /// It failed, and so did its undo. The target is locked.
    PartlyRolledBack {
        /// Why it failed.
        why: String,
        /// Why its undo failed.
        undo: String,
    },
    /// Nobody knows what runs. The target is locked.
    Unknown {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failed { .. } => "failed",
            Self::RolledBack { .. } => "rolled back",
            Self::PartlyRolledBack { .. } => "partly rolled back",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// What somebody approved: exactly this, and nothing that differs in any part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// What asked for it: `promotion to-production`, `step ship.approve-go`.
    pub subject: String,
    /// The bundle's name: images by digest, commit, configuration.
    pub bundle: String,
    /// The hash of the pipeline's texts as they are now.
    pub config: String,
    /// Until when it holds, in UTC, RFC 3339.
    pub expires: String,
    /// As a member of which group.
    pub group: String,
}

impl Approval {
    /// The bytes that are signed. They are made of the record anew where a signature is looked at, so that a record with
    /// anything in it that this version does not know is not taken for signed.
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// An approval as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<'a> {
    /// What it is for.
    pub approval: &'a Approval,
    /// The signature over it, if there is one.
    pub signature: Option<&'a str>,
    /// Who wrote it down: what the writer says of itself.
    pub by: &'a str,
}
