//! Approvals that are signed: with which key, and whether a file of people's keys lets that key speak for a group. The
//! signatures and the file are OpenSSH's (`ssh-keygen -Y`, <https://man.openbsd.org/ssh-keygen#ALLOWED_SIGNERS>), and so is the
//! program that makes and checks them. Knows no rules and no ledger.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::ledger::Approval;
use crate::world::Git;

/// What signatures are for: one for anything else is none here.
const NAMESPACE: &str = "pipe-approval";
/// How long a call over the network may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The keys that may approve, as a branch has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signers {
    /// The text of the file.
    allowed: String,
    /// Where it is, for a person.
    place: String,
}

impl Signers {
    /// Reads the file as it stands on a branch: the remote's, where there is a remote, which is asked now.
    ///
    /// # Errors
    /// Why it cannot be read, as a sentence part.
    pub fn read(root: &Path, file: &str, branch: &str) -> Result<Self, String> {
        let git = Git::new(root, &|name| std::env::var(name).ok()).with_deadline(PATIENCE);
        let remote = git.remote().map_err(|e| e.to_string())?;
        let name = match &remote {
            None => format!("refs/heads/{branch}"),
            Some(remote) => {
                let name = format!("refs/remotes/{remote}/{branch}");
                let what = format!("+refs/heads/{branch}:{name}");
                let fetch = [
                    "fetch",
                    "--quiet",
                    "--no-write-fetch-head",
                    "--no-auto-maintenance",
                ];
                let fetch = [
                    &fetch[..],
                    &["--recurse-submodules=no", "--", remote, &what],
                ]
                .concat();
                git.output(&fetch).map_err(|e| {
                    format!("the branch {branch} of {remote} cannot be fetched: {e}")
                })?;
                name
            }
        };
        let place = format!("{file} on the branch {branch}");
        let allowed = git.output(&["cat-file", "blob", &format!("{name}:./{file}")]);
        let allowed = allowed.map_err(|_| format!("there is no {place}"))?;
        Ok(Self { allowed, place })
    }

    /// Where the keys are, for a person.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Who signed an approval, if that is somebody who may speak for its group.
    ///
    /// # Errors
    /// Why the signature does not count, as a sentence part.
    pub fn signer(&self, approval: &Approval, signature: &str) -> Result<String, String> {
        let scratch = tempfile::tempdir().map_err(|e| format!("no temporary folder: {e}"))?;
        let file = |name: &str, text: &str| -> Result<PathBuf, String> {
            let path = scratch.path().join(name);
            let written = std::fs::write(&path, text);
            written.map_err(|e| format!("no temporary file: {e}"))?;
            Ok(path)
        };
        let allowed = file("allowed_signers", &self.allowed)?;
        let signature = file("signature", signature)?;
        let mut verify = ssh_keygen("verify");
        verify.args(["-n", NAMESPACE, "-I", &approval.group]);
        verify.arg("-f").arg(&allowed).arg("-s").arg(&signature);
        let verified = answer(verify, &approval.signed())?;
        if !verified.status.success() {
            return Err(format!(
                "no key of {} in {} signed it",
                approval.group, self.place
            ));
        }
        // Several keys of one person are one person: whoever the file names beside the group.
        let mut find = ssh_keygen("find-principals");
        find.arg("-f").arg(&allowed).arg("-s").arg(&signature);
        let found = answer(find, &[])?;
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let names = found.split([',', '\n', '\r']).map(str::trim);
        let mut people = names.filter(|name| {
            !name.is_empty() && *name != approval.group && !name.contains(['*', '?', '!'])
        });
        let person = people.next().unwrap_or(&approval.group);
        Ok(person.to_owned())
    }
}

/// Signs an approval.
///
/// # Errors
/// Why it is not signed, as a sentence part.
pub fn sign(approval: &Approval, key: &Path) -> Result<String, String> {
    let mut sign = ssh_keygen("sign");
    sign.args(["-n", NAMESPACE, "-f"]).arg(key);
    // A passphrase is asked for on the terminal.
    let signed = answer(sign, &approval.signed())?;
    match signed.status.success() {
        true => Ok(String::from_utf8_lossy(&signed.stdout).into_owned()),
        false => Err(complaint(&signed)),
    }
}

fn ssh_keygen(what: &str) -> Command {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", what]);
    command
}

fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().map(str::trim).filter(|l| !l.is_empty());
    let last = lines.next_back().unwrap_or("ssh-keygen does not say why");
    last.chars().filter(|c| !c.is_control()).collect()
}

fn answer(mut command: Command, input: &[u8]) -> Result<Output, String> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "the program ssh-keygen was not found in PATH".to_owned(),
        _ => format!("ssh-keygen cannot be started: {e}"),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing is judged by its end.
        let _ = stdin.write_all(input);
    }
    child
        .wait_with_output()
        .map_err(|e| format!("ssh-keygen: {e}"))
}
