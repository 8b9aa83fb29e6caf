//! Commands on another host, by the system's `ssh`: host keys are checked, nothing is ever asked of a person, and what runs
//! there is made of quoted words.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::driver::Failure;
use super::hands::{Call, Hands};

/// A host, and how to get there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// `user@host`, or `host`.
    pub address: String,
    /// The port, where it is not the usual one.
    pub port: Option<u16>,
    /// The file with the private key, where one is named.
    pub key: Option<PathBuf>,
    /// The file with the keys of known hosts, where one is named.
    pub known_hosts: Option<PathBuf>,
    /// The socket over which several commands share a connection.
    pub control: Option<PathBuf>,
}

/// What a command reads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asks {
    /// Values of variables, in lines that end with an empty one.
    pub reads_values: bool,
    /// Something of its own.
    pub reads_input: bool,
}

impl Ssh {
    /// Reads `user@host` or `user@host:port`.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence part.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = text.escape_debug();
        let (address, port) = match text.rsplit_once(':') {
            Some((address, port)) => {
                let port = port
                    .parse()
                    .map_err(|_| format!("`{shown}` has no port after its colon"))?;
                (address, Some(port))
            }
            None => (text, None),
        };
        let ok = |c: char| c.is_alphanumeric() || "@._-".contains(c);
        let whole = !address.is_empty() && !address.starts_with('-') && address.chars().all(ok);
        if !whole
            || address
                .split('@')
                .any(|part| part.is_empty() || part.starts_with('-'))
        {
            return Err(format!("`{shown}` is not `user@host` or `user@host:port`"));
        }
        Ok(Self {
            address: address.to_owned(),
            port,
            key: None,
            known_hosts: None,
            control: None,
        })
    }

    /// The host without the user.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.rsplit('@').next().unwrap_or(&self.address)
    }

    /// What every call of `ssh` gets.
    #[must_use]
    pub fn options(&self) -> Vec<OsString> {
        let mut options: Vec<OsString> = [
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "ConnectTimeout=15",
            "-o",
            "ServerAliveInterval=5",
            "-o",
            "ServerAliveCountMax=4",
        ]
        .map(OsString::from)
        .to_vec();
        let mut set = |name: &str, value: &Path| {
            let mut option = OsString::from(name);
            // ssh takes the value apart at blanks unless it is quoted.
            option.push("\"");
            option.push(value);
            option.push("\"");
            options.extend([OsString::from("-o"), option]);
        };
        if let Some(known) = &self.known_hosts {
            set("UserKnownHostsFile=", known);
        }
        if let Some(control) = &self.control {
            set("ControlPath=", control);
        }
        if let Some(key) = &self.key {
            options.extend(["-o", "IdentitiesOnly=yes", "-i"].map(OsString::from));
            options.push(key.clone().into_os_string());
        }
        if self.control.is_some() {
            options.extend(
                ["-o", "ControlMaster=auto", "-o", "ControlPersist=30"].map(OsString::from),
            );
        }
        if let Some(port) = self.port {
            options.extend([OsString::from("-p"), port.to_string().into()]);
        }
        options
    }

    /// The program and the arguments that run a command there.
    #[must_use]
    pub fn command(
        &self,
        program: &OsStr,
        args: &[OsString],
        asks: Asks,
        dir: Option<&Path>,
    ) -> (OsString, Vec<OsString>) {
        let mut text = String::new();
        if let Some(dir) = dir {
            text += &format!("cd {} && ", quoted(&dir.to_string_lossy()));
        }
        if asks.reads_values {
            text += "nl=$(printf '\\n.') && nl=${nl%.} && ";
            text += "while IFS= read -r l && [ -n \"$l\" ]; do eval \"export $l\"; done && ";
        }
        text += "exec ";
        text += &quoted(&program.to_string_lossy());
        for arg in args {
            text += &format!(" {}", quoted(&arg.to_string_lossy()));
        }
        if asks.reads_values && !asks.reads_input {
            text += " </dev/null";
        }
        let mut all = self.options();
        all.extend([
            OsString::from("-T"),
            "--".into(),
            self.address.clone().into(),
            text.into(),
        ]);
        ("ssh".into(), all)
    }

    /// The arguments that connect to it, and run nothing there.
    #[must_use]
    pub fn connection(&self) -> Vec<OsString> {
        let mut all = self.options();
        all.extend(["-f", "-N", "-T", "--"].map(OsString::from));
        all.push(self.address.clone().into());
        all
    }

    /// Ends the connection that several commands shared.
    pub fn close(&self, cwd: &Path) {
        if self.control.as_ref().is_none_or(|c| !c.exists()) {
            return;
        }
        let null = std::process::Stdio::null;
        let mut call = std::process::Command::new("ssh");
        call.args(self.options())
            .args(["-O", "exit", "--", &self.address])
            .current_dir(cwd)
            .stdin(null())
            .stdout(null())
            .stderr(null());
        let _ = call.status();
    }

    /// What ssh's own failure means. The fingerprint of an unknown host is shown, so that a person can compare it.
    pub async fn explain(&self, complaint: &str, hands: &mut Hands) -> Failure {
        let host = self.host();
        if complaint.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
            return Failure::new(format!("the host key of {host} is not the one that is known"))
                .help("somebody may be in between, or the host was set up anew: ask whoever runs it, then correct the known_hosts file")
                .refused();
        }
        if complaint.contains("Host key verification failed") {
            let print = self.fingerprint(hands).await;
            let known = self
                .known_hosts
                .as_ref()
                .map_or("~/.ssh/known_hosts".to_owned(), |k| k.display().to_string());
            return Failure::new(format!("the host key of {host} is not known{print}"))
                .help(format!(
                    "if that is the host's own: `ssh-keyscan {}{host} >> {known}`",
                    self.port.map_or(String::new(), |p| format!("-p {p} "))
                ))
                .refused();
        }
        let line = complaint
            .lines()
            .rev()
            .map(str::trim)
            .find(|l| !l.is_empty());
        let line: String = line
            .unwrap_or("ssh said nothing")
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        let failure = Failure::new(format!("{host} cannot be reached: {line}")).unreachable();
        if complaint.contains("Permission denied") {
            return failure.help("look whether the key is right, and belongs to that user");
        }
        failure.help(format!("try `ssh {}`", self.address))
    }

    async fn fingerprint(&self, hands: &mut Hands) -> String {
        let file = hands.scratch.join("host-key");
        let mut args = vec!["-T".to_owned(), "5".to_owned()];
        if let Some(port) = self.port {
            args.extend(["-p".to_owned(), port.to_string()]);
        }
        args.extend(["--".to_owned(), self.host().to_owned()]);
        let scan = Call::new("ssh-keyscan", args).here().quiet();
        let Ok(keys) = Box::pin(hands.ask(scan)).await else {
            return String::new();
        };
        if std::fs::write(&file, keys.out).is_err() {
            return String::new();
        }
        let show = Call::new("ssh-keygen", [OsStr::new("-lf"), file.as_os_str()])
            .here()
            .quiet();
        match Box::pin(hands.ask(show)).await {
            Ok(told) if told.code == 0 => {
                let prints: Vec<&str> = told
                    .out
                    .lines()
                    .filter_map(|l| l.split(' ').nth(1))
                    .collect();
                format!(": it shows {}", prints.join(", "))
            }
            _ => String::new(),
        }
    }
}

/// Variables as the shell of another host reads them: a line for each, then an empty one.
#[must_use]
pub fn values(env: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| {
        let value = value.replace('\'', r"'\''").replace('\n', "'\"$nl\"'");
        format!("{name}='{value}'\n")
    };
    env.iter().map(line).collect::<String>() + "\n"
}

/// A word for the shell of another host.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_user_and_a_host_and_never_an_option() {
        let read = |text: &str| Ssh::parse(text).map(|s| (s.address, s.port));
        assert_eq!(
            read("deploy@host.test"),
            Ok(("deploy@host.test".into(), None))
        );
        assert_eq!(read("d@h:2222"), Ok(("d@h".into(), Some(2222))));
        for wrong in [
            "",
            "-oProxyCommand=x",
            "a@-x",
            "@h",
            "a b",
            "h:x",
            "h;id",
            "$(id)@h",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_runs_there_is_made_of_words_that_mean_nothing_to_the_shell() {
        let ssh = Ssh::parse("h").unwrap();
        let args = ["$(id)", "it's"].map(OsString::from);
        let (program, words) = ssh.command(
            OsStr::new("echo"),
            &args,
            Asks::default(),
            Some(Path::new("/a b")),
        );
        assert_eq!(program, "ssh");
        assert_eq!(
            words.last().unwrap(),
            r"cd '/a b' && exec echo '$(id)' 'it'\''s'"
        );
    }

    #[test]
    fn values_get_there_by_its_input_whole_and_before_what_the_command_reads() {
        let env = [
            ("A", "x; rm -rf ~"),
            ("B", "it's\ntwo \"lines\"\n\n$(id) \\n `id` "),
            ("C", ""),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let ssh = Ssh::parse("h").unwrap();
        let print = r#"printf '%s|%s|%s|' "$A" "$B" "$C"; cat"#;
        for (input, expected) in [(None, ""), (Some("\nA=1\n"), "\nA=1\n")] {
            let asks = Asks {
                reads_values: true,
                reads_input: input.is_some(),
            };
            let (_, words) =
                ssh.command(OsStr::new("sh"), &["-c".into(), print.into()], asks, None);
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), values(&env) + input.unwrap_or_default()).unwrap();
            let out = std::process::Command::new("sh")
                .arg("-c")
                .arg(words.last().unwrap())
                .stdin(std::fs::File::open(file.path()).unwrap())
                .output()
                .unwrap();
            let said = String::from_utf8(out.stdout).unwrap();
            let [a, b, c] = [0, 1, 2].map(|n| env[n].1.as_str());
            assert_eq!(said, format!("{a}|{b}|{c}|{expected}"));
        }
    }
}
