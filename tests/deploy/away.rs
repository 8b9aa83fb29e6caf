//! Targets that cannot be asked: a host, an engine, a cluster that does not answer ends a run with 3 before anything is
//! changed. Real clients, and nobody at the other end.

use std::path::Path;

use super::host::PLUGIN;
use super::shop::Is;
use super::ssh::{Server, cannot, no_server, on_ssh};
use crate::support::{Project, has_program, skip};

/// An address where nobody listens: the port is that of a service which is nowhere any more.
const NOBODY: &str = "ssh \"root@127.0.0.1:1\" known-hosts=\"known_hosts\"";

/// An engine that is not there.
const ENGINE: &str = "unix:///nowhere/docker.sock";

/// Deploys to a target with these nodes, which cannot be asked; gives what is told at the end.
fn told(nodes: &str, code: i32) -> String {
    told_by(None, nodes, code)
}

/// The same, where the step has two seconds.
fn told_soon(nodes: &str, code: i32) -> String {
    told_of(None, "timeout \"2s\"", nodes, code)
}

/// The same of a server, with its user's key.
fn told_by(server: Option<&Server>, nodes: &str, code: i32) -> String {
    told_of(server, "", nodes, code)
}

fn told_of(server: Option<&Server>, step: &str, nodes: &str, code: i32) -> String {
    let folder = Path::new(PLUGIN).parent().unwrap().parent().unwrap();
    let digest = format!("r/app@sha256:{}", "1".repeat(64));
    let project = Project::with(&format!(
        "pipeline p {{ pass-env DOCKER_HOST DOCKER_CONFIG; }}\nsecret KEY\ntarget live {{\n    {nodes}\n    ready command=\"true\" within=\"5s\"\n    no-rollback \"a test\"\n}}\nstage ship {{\n    deploy app to=live {{ {step}\n digest app=\"{digest}\"; }}\n}}\n"
    ))
    .file("known_hosts", &server.map_or(String::new(), |s| s.known("host")))
    .file("hangs", "sleep 600")
    .file("compose.yml", "services: { app: { image: \"${APP}\" } }\n")
    .git();
    let env = [
        ("DOCKER_HOST", ENGINE.to_owned()),
        ("DOCKER_CONFIG", folder.display().to_string()),
        ("KEY", server.map_or("none".to_owned(), |s| s.key("user"))),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let out = project.pipe_env(&["run", "deploy-live", "--yes"], &env);
    let out = out.exits(code).stdout;
    // Nothing was begun.
    let history = project.pipe(&["history", "live"]).stdout;
    assert!(!history.contains("unknown"), "{history}");
    let Some((_, told)) = out.rsplit_once("─\n") else {
        return String::new();
    };
    let told = told.split("   defined at").next().unwrap();
    let hint = out.lines().find(|l| l.starts_with(" hint "));
    [Some(told.trim_end()), hint]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn an_engine_of_this_machine_that_does_not_answer_ends_it_with_3() {
    for driver in [
        "container web",
        "compose \"compose.yml\" { up app; env APP=\"${image.app}\"; }",
    ] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(driver, 3), @r"
             no container engine answers:
              unix:///nowhere/docker.sock (DOCKER_HOST): there is no socket
             hint start the engine at unix:///nowhere/docker.sock, or unset DOCKER_HOST
            ");
        }
    }
}

#[test]
fn a_host_that_does_not_answer_ends_it_with_3_whatever_runs_there() {
    if let Some(why) = no_server() {
        return skip(why);
    }
    let drivers = [
        "container web",
        "kubernetes deployment=web",
        "ecs cluster=c service=s region=r",
    ];
    for driver in drivers {
        insta::allow_duplicates! {
            insta::assert_snapshot!(told(&format!("{NOBODY}\n    {driver}"), 3), @r"
             127.0.0.1 cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused
             hint try `ssh root@127.0.0.1`
            ");
        }
    }
    let compose = "compose \"compose.yml\" dir=\"/srv/p\" { up app; env APP=\"${image.app}\"; }";
    insta::assert_snapshot!(told(&format!("{NOBODY}\n    {compose}"), 3), @r"
     the files cannot be put on the host: 127.0.0.1 cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused
     hint try `ssh root@127.0.0.1`
    ");
    let own = "run {\n        apply \"true\"\n        observe \"true\"\n    }";
    insta::assert_snapshot!(told(&format!("{NOBODY}\n    {own}"), 3), @r"
     `observe` cannot say what runs: 127.0.0.1 cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused
     hint try `ssh root@127.0.0.1`
    ");
}

#[test]
fn a_host_of_which_nobody_asks_what_runs_is_connected_to_before_anything_begins() {
    if let Some(why) = no_server() {
        return skip(why);
    }
    let own = "run { apply \"touch applied\"; }";
    insta::assert_snapshot!(told(&format!("{NOBODY}\n    {own}"), 3), @r"
     127.0.0.1 cannot be reached: ssh: connect to host 127.0.0.1 port 1: Connection refused
     hint try `ssh root@127.0.0.1`
    ");
    // Where it answers, nothing else is asked of it.
    let server = Server::new();
    let ssh = format!(
        "ssh \"root@127.0.0.1:{}\" key=KEY known-hosts=\"known_hosts\"",
        server.port
    );
    let applied = server.at("applied");
    let own = format!("run {{ apply \"echo $SSH_CONNECTION >>{applied}\"; }}");
    let _ = told_by(Some(&server), &format!("{ssh}\n    {own}"), 0);
    let lines = std::fs::read_to_string(&applied).unwrap();
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

#[test]
fn a_cluster_that_never_answers_ends_it_with_3_when_the_time_of_the_step_is_over() {
    // A fake, for the fault: a cluster that takes the question, and says nothing.
    let kubernetes = "kubernetes deployment=web kubectl=\"sh hangs\"";
    insta::assert_snapshot!(told_soon(kubernetes, 3), @r"
     `sh hangs get deployment web --ignore-not-found --output=json` did not end in time
     hint raise the `timeout` of the step, or find out why it does not answer
    ");
    let own = "run {\n        apply \"true\"\n        observe \"sleep 600\"\n    }";
    insta::assert_snapshot!(told_soon(own, 1), @r"
     `observe` cannot say what runs: `sleep 600` did not end in time
     hint raise the `timeout` of the step, or find out why it does not answer
    ");
}

#[test]
fn commands_of_the_file_that_cannot_say_what_runs_are_steps_that_fail() {
    let own = "run {\n        apply \"true\"\n        observe \"exit 4\"\n    }";
    insta::assert_snapshot!(told(own, 1), @" `observe` cannot say what runs: exit 4");
}

#[test]
fn an_engine_of_a_host_that_does_not_answer_ends_it_with_3() {
    if let Some(why) = no_server() {
        return skip(why);
    }
    if !has_program("docker") || !Path::new(PLUGIN).exists() {
        return skip("there is no Docker or no Compose; tests/setup-compose.sh gets them");
    }
    let folder = Path::new(PLUGIN).parent().unwrap().parent().unwrap();
    let server = Server::with(&[
        ("DOCKER_HOST", ENGINE.to_owned()),
        ("DOCKER_CONFIG", folder.display().to_string()),
    ]);
    let ssh = format!(
        "ssh \"root@127.0.0.1:{}\" key=KEY known-hosts=\"known_hosts\"",
        server.port
    );
    let dir = server.at("srv");
    insta::assert_snapshot!(told_by(Some(&server), &format!("{ssh}\n    container web"), 3), @r"
     the engine cannot be asked: Cannot connect to the Docker daemon at unix:///nowhere/docker.sock. Is the docker daemon running?
     hint start the engine of 127.0.0.1; `docker version` there says whether it answers
    ");
    let compose =
        format!("compose \"compose.yml\" dir=\"{dir}\" {{ up app; env APP=\"${{image.app}}\"; }}");
    insta::assert_snapshot!(told_by(Some(&server), &format!("{ssh}\n    {compose}"), 3), @r"
     the engine of live cannot be asked: exit 1: Cannot connect to the Docker daemon at unix:///nowhere/docker.sock. Is the docker daemon running?
     hint start the engine of 127.0.0.1; `docker version` there says whether it answers
    ");
}

#[test]
fn a_cluster_that_does_not_answer_ends_it_with_3() {
    let kubectl = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kubernetes/kubectl");
    if !kubectl.exists() {
        return skip("there is no kubectl; tests/setup-kubernetes.sh builds it");
    }
    let words = format!("{} --server=http://127.0.0.1:1", kubectl.display());
    insta::assert_snapshot!(told(&format!("kubernetes deployment=web kubectl=\"{words}\""), 3), @r"
     exit 1: The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?
     hint look at the context and at the kubeconfig; `pass-env KUBECONFIG` in the pipeline hands the variable on
    ");
}

#[test]
fn a_rollback_and_a_promotion_to_a_host_that_went_away_end_with_3_and_what_runs_stays_known() {
    if let Some(why) = cannot() {
        return skip(why);
    }
    let server = Server::new();
    let shop = on_ssh(&server);
    shop.project.write("known_hosts", &server.known("host"));
    let root = format!("root={}", shop.project.root().display());
    let key = server.key("user");
    let pipe = |args: &[&str]| {
        let args = [args, &["--yes", "--param", &root]].concat();
        shop.project.pipe_env(&args, &[("HOST_KEY", &key)])
    };
    shop.pipeline(&|text| text.replace("    require healthy for=\"1s\"\n", ""));
    for version in ["1", "2"] {
        shop.version(version, Is::Good);
        let _ = pipe(&["run", "deploy-staging"]).exits(0);
    }
    drop(server);
    for args in [
        &["run", "deploy-staging"][..],
        &["rollback", "staging"],
        &["promote", "to-production"],
    ] {
        let out = pipe(args).exits(3).stdout;
        let line = "`observe` cannot say what runs: 127.0.0.1 cannot be reached: ssh: connect to host 127.0.0.1 port ";
        assert!(out.contains(line), "{out}");
    }
    assert_eq!(shop.answers("staging").as_deref(), Some("shop 2"));
    assert_eq!(shop.told("staging").0, "healthy");
}
