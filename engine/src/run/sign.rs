//! `sign`: images that were pushed, by the user's own `cosign`, which keeps the signature beside them in the registry. What
//! the build attested of an image is signed with it. Knows no keys but those that it hands over.

use std::ffi::OsString;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::build::{Login, attested, hand_over};
use super::environment::Environment;
use super::outcome::Failure;
use super::task::{Outputs, Try};
use super::work::{self, NotDone};
use crate::container::Kind;
use crate::oci::Digest;
use crate::process::{self, Exit, Spec};

/// What `cosign` gets of the environment of pipe: where its services are, and by what a CI proves who it is.
const THEIRS: [&str; 15] = [
    "DOCKER_CONFIG",
    "SIGSTORE_ID_TOKEN",
    "SIGSTORE_ROOT_FILE",
    "SIGSTORE_REKOR_PUBLIC_KEY",
    "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
    "TUF_ROOT",
    "TUF_MIRROR",
    "COSIGN_FULCIO_URL",
    "COSIGN_REKOR_URL",
    "COSIGN_OIDC_ISSUER",
    "COSIGN_PKCS11_PIN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "BUILDKITE_AGENT_ACCESS_TOKEN",
    "SYSTEM_ACCESSTOKEN",
];
/// Keys that are elsewhere: the secret says where.
const ELSEWHERE: [&str; 6] = [
    "awskms://",
    "gcpkms://",
    "azurekms://",
    "hashivault://",
    "k8s://",
    "pkcs11:",
];
/// Under which variable `cosign` finds the key.
const KEY: &str = "PIPE_SIGNING_KEY";

/// What is signed, and by what.
#[derive(Debug, Clone)]
pub(super) struct Sign {
    /// The images: their names in the pipeline, their references by digest, whether their registry speaks without TLS.
    pub(super) images: Vec<(String, String, bool)>,
    /// The private key, or where it is; none: the identity of the CI.
    pub(super) key: Option<SecretString>,
    /// The key's password.
    pub(super) password: Option<SecretString>,
    /// Whether the signature goes into the public log of signatures.
    pub(super) is_logged: bool,
    /// Logins of the registries.
    pub(super) logins: Vec<Login>,
}

/// Signs the images.
///
/// # Errors
/// Why not, and what is signed all the same.
pub(super) async fn run(sign: &Sign, a_try: &mut Try<'_>) -> Result<Outputs, NotDone> {
    let folder = tempfile::Builder::new()
        .prefix("sign-")
        .tempdir_in(&a_try.site.scratch)
        .map_err(|e| Failure::new(format!("a folder for the logins cannot be made: {e}")))?;
    let mut env = Environment::named(THEIRS.into_iter());
    env.extend(a_try.work.env.clone());
    hand_over(&sign.logins, Kind::Docker, folder.path(), &mut env)
        .map_err(|e| Failure::new(format!("the logins for cosign cannot be written: {e}")))?;
    let password = sign.password.as_ref().map(ExposeSecret::expose_secret);
    // Without one it would ask.
    env.set("COSIGN_PASSWORD", password.unwrap_or_default());
    if let Some(key) = &sign.key {
        env.set(KEY, key.expose_secret());
    }
    let mut done: Vec<String> = Vec::new();
    for (image, reference, is_plain) in &sign.images {
        let mut calls = vec![sign.call(&["sign", "--recursive"], reference, *is_plain)];
        for (at, (kind, statement)) in statements(reference, a_try)?.into_iter().enumerate() {
            let file = folder.path().join(format!("statement-{at}"));
            std::fs::write(&file, statement)
                .map_err(|e| Failure::new(format!("what is attested cannot be written: {e}")))?;
            let (kind, file) = (format!("--type={kind}"), shown("--predicate=", &file));
            calls.push(sign.call(&["attest", &kind, &file], reference, *is_plain));
        }
        for args in calls {
            let spec = spec(a_try, &env, args);
            if !process::is_there(&spec) {
                let failure = Failure::new("the program cosign was not found in PATH");
                let help = "install cosign (https://docs.sigstore.dev); pipe signs with it; nothing was signed";
                return Err(NotDone::NotBegun(failure.help(help)));
            }
            let exit = a_try.program(&spec, &mut |_| ()).await?;
            if exit != Exit::Code(0) {
                return Err(failure(image, &exit, &done).into());
            }
        }
        a_try.say(format!("signed {reference}")).await;
        done.push(image.clone());
    }
    Ok(Outputs::new())
}

impl Sign {
    fn call(&self, verb: &[&str], reference: &str, is_plain: bool) -> Vec<OsString> {
        let mut args: Vec<OsString> = verb.iter().map(OsString::from).collect();
        args.push("--yes".into());
        if let Some(key) = &self.key {
            let text = key.expose_secret().trim();
            let is_elsewhere = ELSEWHERE.iter().any(|scheme| text.starts_with(scheme));
            // The key itself is never on a command line; where it is may be.
            let key = match is_elsewhere {
                true => format!("--key={text}"),
                false => format!("--key=env://{KEY}"),
            };
            args.push(key.into());
        }
        if !self.is_logged {
            args.push("--tlog-upload=false".into());
        }
        if is_plain {
            args.push("--allow-http-registry".into());
        }
        // What follows is never an option.
        args.push("--".into());
        args.push(reference.into());
        args
    }
}

/// What the build attested of an image: the types, and what stands in the statements.
fn statements(reference: &str, a_try: &Try<'_>) -> Result<Vec<(String, String)>, Failure> {
    let digest = reference.rsplit_once('@').map_or("", |(_, digest)| digest);
    let Ok(digest) = digest.parse::<Digest>() else {
        return Ok(Vec::new());
    };
    let found = attested::statements(&a_try.site.images, &digest);
    found.map_err(|e| Failure::new(format!("what was attested cannot be read: {e}")))
}

fn shown(option: &str, file: &Path) -> String {
    format!("{option}{}", file.display())
}

fn spec(a_try: &Try<'_>, env: &Environment, args: Vec<OsString>) -> Spec {
    Spec {
        program: "cosign".into(),
        args,
        cwd: a_try.site.root.clone(),
        env: env.vars(),
        marker: work::marker(a_try.site),
    }
}

fn failure(image: &str, exit: &Exit, done: &[String]) -> Failure {
    let state = match done {
        [] => "nothing was signed".to_owned(),
        some => format!("signed: {}", some.join(", ")),
    };
    let (how, exit) = match exit {
        Exit::Code(code) => (format!("cosign ended with {code}"), Some(*code)),
        Exit::Signal(signal) => (format!("cosign was ended by signal {signal}"), None),
        Exit::NotStarted(why) => (why.to_string(), None),
    };
    Failure {
        exit,
        ..Failure::new(format!("{image} is not signed: {how}; {state}"))
    }
    .help("what cosign wrote says why; to sign again adds a signature and takes none away")
}
