//! Images, registries, versions, and the steps that deliver.

use serde::{Deserialize, Serialize};

use super::EnvVar;
use crate::expr::Template;
use crate::source::{Span, Spanned};

/// How an image is built. Made by `image`, or by the first `build` that has no `image`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Image {
    /// Its name.
    pub name: Spanned<String>,
    /// How it is built.
    pub build: Build,
    /// Whether an `image` node declares it.
    pub declared: bool,
}

/// The properties of a build, of an `image` or inline.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Build {
    /// The image that it makes.
    pub image: Option<Spanned<String>>,
    /// The folder that is sent to the builder.
    pub context: Option<Spanned<String>>,
    /// The Dockerfile.
    pub dockerfile: Option<Spanned<String>>,
    /// The stage of the Dockerfile.
    pub target: Option<Spanned<String>>,
    /// The name in a registry.
    pub repository: Option<Spanned<String>>,
    /// Building again is meant.
    pub rebuild: bool,
    /// The platforms.
    pub platforms: Vec<Spanned<String>>,
    /// Build arguments.
    pub args: Vec<EnvVar>,
    /// Labels.
    pub labels: Vec<EnvVar>,
    /// Secrets for the build.
    pub secrets: Vec<Spanned<String>>,
    /// `sbom`, `provenance`.
    pub attest: Vec<Spanned<String>>,
    /// The command that prints an SBOM.
    pub scanner: Option<Spanned<String>>,
    /// Registries in which layers are kept.
    pub cache_registries: Vec<Spanned<String>>,
    /// Of which stages layers are kept there: `min`, `max`.
    pub cache_mode: Option<Spanned<String>>,
    /// Whether what is known of layers is kept in the image itself.
    pub cache_inline: bool,
    /// The directory in which layers are kept.
    pub cache_local: Option<Spanned<String>>,
    /// How layers that are kept are packed: `gzip`, `zstd`, `estargz`.
    pub cache_compression: Option<Spanned<String>>,
    /// Patterns of the files that decide the result.
    pub inputs: Vec<Spanned<String>>,
}

impl Build {
    /// Whether it is kept beside the image what is in it.
    #[must_use]
    pub fn wants_sbom(&self) -> bool {
        self.attest.iter().any(|kind| kind.value == "sbom")
    }

    /// Takes over what it does not say itself.
    pub(crate) fn inherit(&mut self, image: &Self) {
        fn one(own: &mut Option<Spanned<String>>, other: &Option<Spanned<String>>) {
            if own.is_none() {
                own.clone_from(other);
            }
        }
        fn list(own: &mut Vec<Spanned<String>>, other: &[Spanned<String>]) {
            if own.is_empty() {
                *own = other.to_vec();
            }
        }
        fn named(own: &mut Vec<EnvVar>, other: &[EnvVar]) {
            let missing = |v: &&EnvVar| own.iter().all(|o| o.name.value != v.name.value);
            let missing: Vec<EnvVar> = other.iter().filter(missing).cloned().collect();
            own.extend(missing);
        }
        one(&mut self.context, &image.context);
        one(&mut self.dockerfile, &image.dockerfile);
        one(&mut self.target, &image.target);
        one(&mut self.repository, &image.repository);
        list(&mut self.platforms, &image.platforms);
        list(&mut self.secrets, &image.secrets);
        if self.attest.is_empty() {
            one(&mut self.scanner, &image.scanner);
        }
        list(&mut self.attest, &image.attest);
        list(&mut self.cache_registries, &image.cache_registries);
        one(&mut self.cache_mode, &image.cache_mode);
        self.cache_inline |= image.cache_inline;
        one(&mut self.cache_local, &image.cache_local);
        one(&mut self.cache_compression, &image.cache_compression);
        list(&mut self.inputs, &image.inputs);
        named(&mut self.args, &image.args);
        named(&mut self.labels, &image.labels);
    }
}

/// `push`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Push {
    /// The images.
    pub images: Vec<Spanned<String>>,
    /// The registry.
    pub registry: Spanned<String>,
    /// The tags.
    pub tags: Vec<Spanned<Template>>,
}

/// `sign`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sign {
    /// The images.
    pub images: Vec<Spanned<String>>,
    /// With the CI's identity.
    pub keyless: bool,
    /// The secret with the private key.
    pub key: Option<Spanned<String>>,
    /// The secret with its password.
    pub password: Option<Spanned<String>>,
    /// Whether the signature goes into the public log.
    pub is_logged: bool,
}

/// `release`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Release {
    /// The version.
    pub version: Spanned<String>,
    /// The changelog's path.
    pub changelog: Option<Spanned<String>>,
    /// The rest.
    pub options: ReleaseOptions,
}

/// How a version is published.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReleaseOptions {
    /// The forge.
    pub forge: Option<Spanned<String>>,
    /// Where the text of the forge's release comes from: `auto`, `changelog` or `none`.
    pub notes: Option<Spanned<String>>,
    /// Whether the tag is an object of its own.
    pub annotated: bool,
    /// The node.
    pub span: Span,
}

/// `promote`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Promote {
    /// The rule.
    pub rule: Spanned<String>,
}

/// `deploy`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Deploy {
    /// The images.
    pub images: Vec<Spanned<String>>,
    /// Digests of images that something else than a `build` of this run made, by the image's name.
    pub digests: Vec<EnvVar>,
    /// The target.
    pub target: Spanned<String>,
    /// An earlier release instead of images: not written in a file, but asked for.
    pub earlier: Option<Earlier>,
}

/// A release that a target had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Which: the beginning of a bundle's name, a version or a commit; otherwise the last healthy one before what runs.
    pub to: Option<String>,
}

/// `approve`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approve {
    /// What is approved.
    pub name: Spanned<String>,
    /// Who may approve.
    pub by: Spanned<String>,
    /// How many must.
    pub count: u32,
    /// Who may not.
    pub not: Option<Spanned<String>>,
}

/// `approvers`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// A file in the format of OpenSSH's `allowed_signers`.
    pub file: Spanned<String>,
    /// The branch whose file counts.
    pub branch: String,
}

/// `registry`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Registry {
    /// Its name here.
    pub name: Spanned<String>,
    /// Host and path.
    pub prefix: Spanned<Template>,
    /// A tag never moves.
    pub immutable: bool,
    /// How long `pipe prune` keeps what no target runs.
    pub keep: Option<Spanned<std::time::Duration>>,
    /// The login.
    pub login: Option<Login>,
    /// Branch patterns from which images are accepted; empty with empty `accept_tags`: all.
    pub accept_branches: Vec<Spanned<String>>,
    /// Tag patterns from which images are accepted.
    pub accept_tags: Vec<Spanned<String>>,
}

/// `login`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// The user.
    pub user: Option<Spanned<String>>,
    /// The secret with the password.
    pub password: Option<Spanned<String>>,
    /// The credential helper.
    pub helper: Option<Spanned<String>>,
    /// The host that checks the password, where the registry does not do it itself.
    pub realm: Option<Spanned<String>>,
    /// The node.
    pub span: Span,
}

/// `version`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// Its name.
    pub name: Spanned<String>,
    /// How it is made.
    pub scheme: VersionScheme,
}

/// How a version is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionScheme {
    /// A calendar pattern.
    CalVer(String),
    /// From conventional commits.
    Semantic,
    /// Read from a file.
    File(String),
    /// This text.
    Fixed(String),
}

/// `notify`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notify {
    /// `slack`, `webhook`, `command`.
    pub kind: Spanned<String>,
    /// The outcomes that are told; none: what failed and what was rolled back.
    pub on: Vec<Spanned<String>>,
    /// The secret with the address.
    pub webhook: Option<Spanned<String>>,
    /// The channel.
    pub channel: Option<Spanned<String>>,
    /// The commands.
    pub run: Vec<super::Command>,
}
