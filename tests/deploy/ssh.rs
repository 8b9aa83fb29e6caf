//! Targets behind SSH: a real server, whose host key is known, unknown or another one; and a connection that is cut.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::shop::{Is, Shop, free_port, lacks};
use crate::containers::engines::Engine;
use crate::support::{skip, wait_until};

/// The server's program.
const SSHD: &str = "/usr/sbin/sshd";

/// A server that lets in whoever has the key, as the user who runs the tests.
pub struct Server {
    child: Child,
    pub port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    pub fn new() -> Self {
        Self::within(&[])
    }

    /// A server that is started by this command, with the server's own behind it.
    pub fn within(around: &[&str]) -> Self {
        Self::start(around, "")
    }

    /// One whose users have these variables.
    pub fn with(env: &[(&str, String)]) -> Self {
        Self::start(&[], &set_env(env))
    }

    /// One on the host with Docker, whose users have these variables.
    pub fn on_host(env: &[(&str, String)]) -> Self {
        let within = Engine::within_network();
        let around: Vec<&str> = within.iter().map(String::as_str).collect();
        Self::start(&around, &set_env(env))
    }

    fn start(around: &[&str], more: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pipe-test-ssh-")
            .tempdir()
            .unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["host", "other", "user"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", &at(name)])
                .status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        let port = free_port();
        let config = format!(
            "{more}Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nAcceptEnv none\n",
            at("host"),
            at("authorized")
        );
        std::fs::write(at("config"), config).unwrap();
        let _ = std::fs::create_dir_all("/run/sshd");
        let config = at("config");
        let words = [around, &[SSHD, "-D", "-e", "-f", &config]].concat();
        let child = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            port,
            folder,
        };
        let number = port.to_string();
        let scan = ["ssh-keyscan", "-T", "2", "-p", &number, "127.0.0.1"];
        let words = [around, &scan].concat();
        wait_until("the server listens", || {
            let out = Command::new(words[0]).args(&words[1..]).output();
            !out.unwrap().stdout.is_empty()
        });
        server
    }

    /// Where it keeps a file of its own.
    pub fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn key(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// A line of a known_hosts file.
    pub fn known(&self, name: &str) -> String {
        format!(
            "[127.0.0.1]:{} {}",
            self.port,
            self.key(&format!("{name}.pub"))
        )
    }
}

fn set_env(env: &[(&str, String)]) -> String {
    let set: Vec<String> = env.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("SetEnv {}\n", set.join(" "))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn cannot() -> Option<&'static str> {
    lacks().or_else(no_server)
}

/// Why no server can be started, if so.
pub fn no_server() -> Option<&'static str> {
    let root = rustix::process::getuid().is_root();
    match () {
        () if !Path::new(SSHD).exists() => Some("there is no sshd; tests/setup-ssh.sh gets it"),
        () if !root => Some("only root can start the ssh server"),
        () => None,
    }
}

/// The example's shop, whose machine is reached over SSH.
pub fn on_ssh(server: &Server) -> Shop {
    let address = format!("root@127.0.0.1:{}", server.port);
    Shop::with(&|text| {
        text.replacen(
            "target staging {",
            &format!("secret HOST_KEY\n\ntarget staging {{\n    ssh \"{address}\" key=HOST_KEY known-hosts=\"known_hosts\""),
            1,
        )
        .replace("./host.py", "$ROOT/host.py")
        .replacen("pipeline laptop\n", "pipeline laptop\nparam root\n", 1)
        .replacen("    run {", "    env ROOT=\"${param.root}\"\n    run {", 1)
    })
}

fn deploy(shop: &Shop, server: &Server) -> crate::support::Output {
    let root = format!("root={}", shop.project.root().display());
    let key = server.key("user");
    shop.project.pipe_env(
        &["run", "deploy-staging", "--yes", "--param", &root],
        &[("HOST_KEY", &key)],
    )
}

#[test]
fn a_host_whose_key_is_known_is_deployed_to_and_another_one_never() {
    if let Some(why) = cannot() {
        return skip(why);
    }
    let server = Server::new();
    let shop = on_ssh(&server);
    shop.version("1", Is::Good);
    shop.project.write("known_hosts", "");
    let out = deploy(&shop, &server).exits(5);
    let print = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(server.folder.path().join("host.pub"))
        .output()
        .unwrap();
    let print = String::from_utf8(print.stdout).unwrap();
    let print = print.split(' ').nth(1).unwrap();
    let expected = format!("the host key of 127.0.0.1 is not known: it shows {print}");
    assert!(out.stdout.contains(&expected), "{}", out.stdout);
    assert_eq!(shop.answers("staging"), None);

    shop.project.write("known_hosts", &server.known("other"));
    let out = deploy(&shop, &server).exits(5);
    assert!(
        out.stdout
            .contains("the host key of 127.0.0.1 is not the one that is known"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.answers("staging"), None);

    shop.project.write("known_hosts", &server.known("host"));
    let _ = deploy(&shop, &server).exits(0);
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 1"));
    let known = shop.project.path("known_hosts").display().to_string();
    // The key is nowhere but in the files of the user.
    let left = crate::support::processes_with(&known);
    assert_eq!(left, Vec::<i32>::new());
}

#[test]
fn a_host_that_goes_away_half_way_leaves_a_target_of_which_nobody_knows() {
    if let Some(why) = cannot() {
        return skip(why);
    }
    let server = Server::new();
    let shop = on_ssh(&server);
    shop.version("1", Is::Good);
    shop.project.write("known_hosts", &server.known("host"));
    let _ = deploy(&shop, &server).exits(0);
    let pid = server.child.id();
    shop.pipeline(&|text| text.replacen("apply \"", &format!("apply \"kill -9 {pid} $PPID; "), 1));
    shop.version("2", Is::Good);
    let out = deploy(&shop, &server).exits(7);
    assert!(
        out.stdout
            .contains("nobody knows what staging runs, and it is locked"),
        "{}",
        out.stdout
    );
    assert_eq!(shop.told("staging").0, "unknown");
}
