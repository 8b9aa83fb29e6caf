//! Hosts behind SSH with Docker and Compose: files that get there whole or not at all, values that nobody else on either
//! machine can read, and single containers.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::host::{self, Ends, answers, app, container, docker, on_host};
use super::ssh::{Server, no_server};
use crate::support::{Output, Project, skip};

/// Where the host keeps what is deployed, and a `tar` of its own that can be told to break the connection.
struct Remote {
    server: Server,
    folder: tempfile::TempDir,
}

impl Remote {
    fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pipe-test-host-")
            .tempdir()
            .unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        // A fake, for the fault: what comes in ends half way, and so does the connection.
        let break_here = folder.path().join("break");
        let fake = format!(
            "#!/bin/sh\n[ -e {} ] || exec /bin/tar \"$@\"\nhead -c 700 | /bin/tar \"$@\" 2>/dev/null\np=$PPID\nwhile [ \"$(cat /proc/$p/comm)\" != sshd ]; do p=$(cut -d' ' -f4 /proc/$p/stat); done\nkill -9 $p\n",
            break_here.display()
        );
        std::fs::write(bin.join("tar"), fake).unwrap();
        std::fs::set_permissions(bin.join("tar"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut env = host::env().to_vec();
        env.push(("PATH", path));
        Self {
            server: Server::on_host(&env),
            folder,
        }
    }

    fn dir(&self) -> String {
        self.folder.path().join("srv").display().to_string()
    }

    /// What is in the folder, without what pipe keeps for itself.
    fn files(&self) -> String {
        let text = "cd \"$1\" && find . -name .pipe -prune -o -type f -print | sort | while read -r f; do echo \"$f $(cksum <\"$f\" | cut -d' ' -f1)\"; done";
        let out = std::process::Command::new("sh")
            .args(["-c", text, "sh", &self.dir()])
            .output();
        String::from_utf8(out.unwrap().stdout).unwrap()
    }

    fn ssh(&self) -> String {
        let port = self.server.port;
        format!("ssh \"root@127.0.0.1:{port}\" key=HOST_KEY known-hosts=\"known_hosts\"")
    }

    fn deploy(&self, project: &Project, app: &str) -> Output {
        let param = format!("app={app}");
        let mut command =
            host::command(project, &["run", "deploy-live", "--yes", "--param", &param]);
        project.output(command.env("HOST_KEY", self.server.key("user")))
    }
}

#[track_caller]
fn on_remote(test: impl FnOnce()) {
    match no_server() {
        Some(why) => skip(why),
        None => on_host(test),
    }
}

/// The command lines that have this text.
fn saying(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    let lines = lines.map(|l| String::from_utf8_lossy(&l).replace('\0', " "));
    lines.filter(|l| l.contains(text)).collect()
}

/// The Compose file: what is answered stands in it, and in the host's own file.
fn compose(port: u16, says: &str) -> String {
    format!(
        "services:\n  app:\n    image: ${{APP_IMAGE}}\n    stop_grace_period: 1s\n    env_file: [\"../.env.production\"]\n    environment: {{ GREETING: {says}, TOKEN: \"${{TOKEN}}\" }}\n    volumes: [\"./conf:/conf\"]\n    ports: [\"127.0.0.1:{port}:8080\"]\n"
    )
}

fn project(remote: &Remote, name: &str, port: u16) -> Project {
    let (ssh, dir) = (remote.ssh(), remote.dir());
    let text = format!(
        r#"pipeline {name}
secret HOST_KEY
param app
target live {{
    {ssh}
    assert-env RATE_LIMIT=redis REGION=eu
    compose "deploy/compose.yml" dir="{dir}" {{
        copy "deploy/conf"
        env-file ".env.production"
        env APP_IMAGE="${{image.app}}" TOKEN="open-sesame-%{{}}$$'x"
        up app
    }}
    ready "http://127.0.0.1:{port}/" body="hello" within="10s" every="200ms"
}}
stage ship {{
    deploy app to=live {{ digest app="${{param.app}}" }}
}}
"#
    );
    let project = Project::with(&text)
        .file("deploy/compose.yml", &compose(port, "hello-1"))
        .file("deploy/conf/a", "a 1\n")
        .file("deploy/conf/b", "b 1\n")
        .git();
    project.write("known_hosts", &remote.server.known("host"));
    project
}

fn commit(project: &Project) {
    project.run_git(&["add", "-A"]);
    project.run_git(&["commit", "-q", "-m", "next"]);
}

#[test]
fn a_bundle_of_files_goes_to_the_host_and_back_with_the_release() {
    on_remote(|| {
        let name = "files-live";
        let _ends = Ends(name);
        let remote = Remote::new();
        let project = project(&remote, "files", 8411);
        let image = app("GREETING=unused");

        // The file of the host's own settings is not there, and then it says something else.
        let out = remote.deploy(&project, &image).exits(1);
        assert!(
            out.stdout.contains("an `env-file` lives on the host"),
            "{}",
            out.stdout
        );
        std::fs::write(
            remote.folder.path().join("srv/.env.production"),
            "RATE_LIMIT=memory\n",
        )
        .unwrap();
        let out = remote.deploy(&project, &image).exits(5);
        let line = "127.0.0.1 lacks settings: RATE_LIMIT is not `redis` in app of deploy/compose.yml; REGION is not set, and is to be `eu`";
        assert!(out.whole().contains(line), "{}", out.stdout);
        assert_eq!(container(name, "app"), None);
        std::fs::write(
            remote.folder.path().join("srv/.env.production"),
            "RATE_LIMIT=redis\nREGION=eu\n",
        )
        .unwrap();

        // What the target sets is on no command line, here or there.
        let stop = Arc::new(AtomicBool::new(false));
        let watching = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    seen.extend(saying("open-sesame"));
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                seen
            })
        };
        let _ = remote.deploy(&project, &image).exits(0);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(watching.join().unwrap(), Vec::<String>::new());
        assert_eq!(answers(8411), "hello-1");
        let id = container(name, "app").unwrap();
        let token = docker(&["exec", &id, "env"]);
        assert!(token.contains("TOKEN=open-sesame-%{}$'x\n"), "{token}");
        assert_eq!(docker(&["exec", &id, "cat", "/conf/a"]), "a 1");
        let first = remote.files();
        insta::assert_snapshot!(first.lines().map(|l| l.split(' ').next().unwrap()).collect::<Vec<_>>().join("\n"), @r"
        ./.env.production
        ./deploy/compose.yml
        ./deploy/conf/a
        ./deploy/conf/b
        ");

        // A release with other files, which is never ready: those of the last healthy one are back in force.
        project.write("deploy/compose.yml", &compose(8411, "sorry"));
        project.write("deploy/conf/a", "a 2\n");
        project.write("deploy/conf/c", "c 2\n");
        std::fs::remove_file(project.path("deploy/conf/b")).unwrap();
        commit(&project);
        let _ = remote.deploy(&project, &image).exits(6);
        assert_eq!(remote.files(), first);
        assert_eq!(answers(8411), "hello-1");

        // A connection that breaks while files are copied leaves those in force that were.
        project.write("deploy/compose.yml", &compose(8411, "hello-2"));
        commit(&project);
        std::fs::write(remote.folder.path().join("break"), "").unwrap();
        let out = remote.deploy(&project, &image);
        assert_eq!(out.code, Some(3), "{}", out.stdout);
        assert!(out.stdout.contains("cannot be reached"), "{}", out.stdout);
        assert_eq!(remote.files(), first);
        assert_eq!(answers(8411), "hello-1");
        std::fs::remove_file(remote.folder.path().join("break")).unwrap();
        let _ = remote.deploy(&project, &image).exits(0);
        assert_eq!(answers(8411), "hello-2");
        insta::assert_snapshot!(remote.files().lines().map(|l| l.split(' ').next().unwrap()).collect::<Vec<_>>().join("\n"), @r"
        ./.env.production
        ./deploy/compose.yml
        ./deploy/conf/a
        ./deploy/conf/c
        ");
        let out = remote.deploy(&project, &image).exits(0);
        assert!(out.stdout.contains("runs there already"), "{}", out.stdout);
    });
}

#[test]
fn a_single_container_on_a_host_is_replaced_and_comes_back() {
    on_remote(|| {
        let remote = Remote::new();
        let name = "single-container";
        let ssh = remote.ssh();
        let text = format!(
            r#"pipeline single
secret HOST_KEY
param app
target live {{
    {ssh}
    strategy blue-green
    assert-env RATE_LIMIT=redis
    container {name} publish="127.0.0.1:8412:8080" {{
        env TOKEN="open-sesame"
        env-file "{dir}.env"
    }}
    ready "http://127.0.0.1:8412/" body="hello" command="docker inspect $PIPE_CONTAINER" within="10s" every="200ms"
}}
stage ship {{
    deploy app to=live {{ digest app="${{param.app}}" }}
}}
"#,
            dir = remote.dir()
        );
        let project = Project::with(&text).git();
        project.write("known_hosts", &remote.server.known("host"));
        let env_file = format!("{}.env", remote.dir());
        std::fs::write(&env_file, "RATE_LIMIT=memory\n").unwrap();
        let (one, two) = (app("GREETING=hello-1"), app("GREETING=hello-2"));
        let out = remote.deploy(&project, &one).exits(5);
        let line = "127.0.0.1 lacks settings: RATE_LIMIT is not `redis`";
        assert!(out.stdout.contains(line), "{}", out.stdout);
        std::fs::write(&env_file, "RATE_LIMIT=redis\n").unwrap();
        let _ = remote.deploy(&project, &one).exits(0);
        assert_eq!(answers(8412), "hello-1");
        assert!(docker(&["exec", name, "env"]).contains("TOKEN=open-sesame\n"));
        let client = host::asking(8412);
        let _ = remote.deploy(&project, &app("BROKEN=1")).exits(6);
        let _ = remote.deploy(&project, &app("GREETING=sorry")).exits(6);
        assert_eq!(client.saw(), ["hello-1"]);
        let client = host::asking(8412);
        let _ = remote.deploy(&project, &two).exits(0);
        let heard = client.heard();
        eprintln!(
            "gap: {} of {}",
            heard.iter().filter(|h| *h == "nothing").count(),
            heard.len()
        );
        assert_eq!(answers(8412), "hello-2");
        let _ = docker(&["rm", "-f", name]);
    });
}
