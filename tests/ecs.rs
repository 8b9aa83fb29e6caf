//! Targets that are services of ECS: the real command line of AWS, loaded once, against a fake service whose tasks are real
//! containers and are asked over HTTP whether they are healthy; and as it is against moto, which knows what AWS would accept.

use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kubernetes::cluster::{Cluster, WITHIN, cluster, impatience, was_good};
use crate::network::{self, Answer};
use crate::started::Started;
use crate::support::{Output, Project, brought_up, skip, wait_until};

/// Where the setup put the command line.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ecs/bin")
}

/// A folder with the command line as `tests/ecs/preloaded.py` has it, which ends with the test program.
fn preloaded(cluster: &'static Cluster) -> PathBuf {
    static LOADED: OnceLock<(tempfile::TempDir, Child)> = OnceLock::new();
    let (folder, _) = LOADED.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("pipe-aws-").tempdir();
        let folder = folder.unwrap();
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ecs/preloaded.py");
        let python = programs().join("python3").display().to_string();
        let text = std::fs::read_to_string(file).unwrap();
        let caller = folder.path().join("aws");
        std::fs::write(&caller, format!("#!{python} -IS\n{text}")).unwrap();
        std::fs::set_permissions(&caller, Permissions::from_mode(0o755)).unwrap();
        let socket = folder.path().join("socket");
        let mut server = cluster.command(&[&python, file, &socket.display().to_string()]);
        server
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = brought_up("aws", server, &socket, Duration::from_secs(60));
        (folder, child.unwrap())
    });
    folder.path().to_owned()
}

/// Makes the service.
const CREATE: &str =
    "create-service --cluster prod --service-name web --task-definition web:1 --desired-count 1";

/// A service of a fake ECS, and who deploys to it.
struct Service {
    cluster: &'static Cluster,
    project: Project,
    port: u16,
    fake: Child,
    /// Where its command line is.
    programs: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.fake.kill();
        let _ = self.fake.wait();
    }
}

/// Where containers come from, if they and the command line can be had.
fn can() -> Option<&'static Cluster> {
    if !programs().join("aws").exists() {
        skip("there is no aws; tests/setup-ecs.sh gets it");
        return None;
    }
    cluster()
}

impl Service {
    /// A service with this circuit breaker, that runs a shop that says `0`.
    fn new(cluster: &'static Cluster, port: u16, breaker: &Value) -> Self {
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ecs/fake.py");
        let socket = cluster.docker_socket();
        let fake = ["python3", fake, &port.to_string(), &socket];
        let mut service = Self::around(cluster, port, &fake);
        service.programs = preloaded(cluster);
        let image = cluster.good("0");
        let definition = json!({"family": "web", "containerDefinitions": containers(&image)});
        service.asked("RegisterTaskDefinition", &definition);
        let configuration = json!({"deploymentCircuitBreaker": breaker});
        let made = json!({"cluster": "prod", "serviceName": "web", "taskDefinition": "web:1",
            "desiredCount": 1, "deploymentConfiguration": configuration});
        service.asked("CreateService", &made);
        wait_until("the first task is healthy", || {
            service.now()["deployments"][0]["rolloutState"] == "COMPLETED"
        });
        service
    }

    /// What listens at the port, and a project that deploys there.
    fn around(cluster: &'static Cluster, port: u16, server: &[&str]) -> Self {
        let project = Project::with(
            "pipeline p {\n    pass-env AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_MAX_ATTEMPTS\n}\nparam digest\n\
             target live {\n    ecs cluster=prod service=web region=\"eu-central-1\"\n    ready command=\"true\" within=\"90s\"\n}\n\
             stage ship {\n    deploy web to=live {\n        digest web=\"${param.digest}\"\n    }\n}\n",
        )
        .git();
        let fake = cluster
            .command(server)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self {
            cluster,
            project,
            port,
            fake,
            programs: programs(),
        };
        wait_until("ECS listens", || {
            service.say("GET / HTTP/1.0", &json!({})).is_some()
        });
        service
    }

    fn environment(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            )
            // Whoever tries again is pipe.
            .env("AWS_MAX_ATTEMPTS", "1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
    }

    #[track_caller]
    fn aws(&self, words: &str, more: &[&str]) -> String {
        let aws = programs().join("aws").display().to_string();
        let mut args: Vec<&str> = words.split(' ').collect();
        args.extend(more);
        let words = [
            &[aws.as_str(), "ecs"],
            &args[..],
            &["--region", "eu-central-1"],
        ]
        .concat();
        let mut command = self.cluster.command(&words);
        self.environment(&mut command);
        let out = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "aws {args:?}: {complaint}");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// What the fake says to an operation, asked as the command line asks. That takes half a second of a processor to
    /// start, and asks for pipe.
    #[track_caller]
    fn asked(&self, operation: &str, body: &Value) -> Value {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let request = format!("POST / HTTP/1.0\r\nX-Amz-Target: {target}");
        let (status, text) = self.say(&request, body).expect("ECS answers");
        assert_eq!(status, 200, "{operation}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Says something to whoever listens at the port.
    fn say(&self, request: &str, body: &Value) -> Answer {
        let address = (Ipv4Addr::LOCALHOST, self.port).into();
        let ask = || network::ask(address, request, &body.to_string());
        network::within(self.cluster.network(), ask)
    }

    /// What goes wrong from now on; gives what was called so far.
    fn faults(&self, faults: &Value) -> Vec<String> {
        let (_, text) = self.say("POST /faults HTTP/1.0", faults).unwrap();
        let told: Value = serde_json::from_str(&text).unwrap();
        texts(&told["calls"])
    }

    /// The service as it is now.
    fn now(&self) -> Value {
        let query = json!({"cluster": "prod", "services": ["web"]});
        self.asked("DescribeServices", &query)["services"][0].take()
    }

    /// The revision that the service is to run: `web:1`.
    fn revision(&self) -> String {
        let arn = self.now()["taskDefinition"].as_str().unwrap().to_owned();
        arn.rsplit('/').next().unwrap().to_owned()
    }

    /// A revision.
    fn definition(&self, revision: &str) -> Value {
        let query = json!({"taskDefinition": revision});
        self.asked("DescribeTaskDefinition", &query)["taskDefinition"].take()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cluster.pipe(&self.project, args);
        self.environment(&mut command);
        command
    }

    fn pipe(&self, args: &[&str]) -> Output {
        self.project.output(&mut self.command(args))
    }

    /// From now on nobody waits long, or somebody does again.
    fn impatient(&self, is: bool) {
        let text = self.project.read("pipeline.kdl");
        let (before, from) = text.split_once("within=").unwrap();
        let (_, after) = from.split_once('\n').unwrap();
        let within = if is { impatience() } else { WITHIN.to_owned() };
        self.project
            .write("pipeline.kdl", &format!("{before}{within}\n{after}"));
    }

    /// From now on pipe looks whether its containers are told what the first revision tells them.
    fn asserts_its_settings(&self) {
        let text = self.project.read("pipeline.kdl");
        let text = text.replace("    ready", "    assert-env KEPT=yes TOKEN=any\n    ready");
        self.project.write("pipeline.kdl", &text);
    }

    /// Deploys an image, whatever comes of it and however long it takes.
    fn tried(&self, reference: &str) -> Output {
        let digest = format!("digest={reference}");
        self.pipe(&["run", "deploy-live", "--yes", "--param", &digest])
    }

    fn deploy(&self, reference: &str) -> Output {
        let began = Instant::now();
        let out = self.tried(reference);
        if out.code == Some(0) {
            was_good(began);
        }
        out
    }

    /// What the tasks that run are told to run.
    fn digests(&self) -> Vec<String> {
        let query = json!({"cluster": "prod", "serviceName": "web"});
        let arns = self.asked("ListTasks", &query)["taskArns"].take();
        let told = self.asked("DescribeTasks", &json!({"cluster": "prod", "tasks": arns}));
        let tasks = told["tasks"].as_array().unwrap().iter();
        let containers = tasks.flat_map(|t| t["containers"].as_array().unwrap());
        let digests = containers.filter_map(|c| c["imageDigest"].as_str());
        digests.map(str::to_owned).collect()
    }
}

fn texts(all: &Value) -> Vec<String> {
    let all = all.as_array().unwrap().iter();
    all.map(|t| t.as_str().unwrap().to_owned()).collect()
}

/// The containers of the shop, as the first revision has them.
fn containers(image: &str) -> Value {
    let kept = json!([{"name": "KEPT", "value": "yes"}]);
    let token =
        json!([{"name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-central-1:1:parameter/token"}]);
    json!([{"name": "web", "image": image, "memory": 64, "environment": kept, "secrets": token}])
}

/// Whether a service gives up, and whether it then goes back by itself.
fn breaker(enable: bool, rollback: bool) -> Value {
    json!({"enable": enable, "rollback": rollback})
}

fn digest(reference: &str) -> String {
    reference.split('@').nth(1).unwrap().to_owned()
}

#[test]
fn a_service_gets_a_new_revision_that_differs_in_its_image_alone() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5601, &breaker(false, false));
    let one = cluster.good("1");
    service.asserts_its_settings();
    // AWS is busy, and then broken.
    service.faults(&json!({"throttle": 2, "broken": 2}));
    let out = service.tried(&one).exits(0).stdout;
    assert!(out.contains("once more in a moment"), "{out}");
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);
    let kept = service.definition("web:2");
    let kept = &kept["containerDefinitions"][0]["environment"][0]["value"];
    assert_eq!(kept, "yes");
    let out = service.deploy(&one).exits(0).stdout;
    assert!(out.contains(" runs there already, and is ready"), "{out}");
    assert_eq!(service.revision(), "web:2");
}

#[test]
fn a_service_goes_back_to_the_revision_before_when_nothing_ends_its_tries() {
    let Some(cluster) = can() else { return };
    // Without a circuit breaker ECS tries for ever.
    let service = Service::new(cluster, 5608, &breaker(false, false));
    service.asserts_its_settings();
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let _ = service.deploy(&one).exits(0);
    assert_eq!(service.revision(), "web:2");
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    service.impatient(true);
    let out = service.deploy(&broken).exits(6).stdout;
    service.impatient(false);
    assert!(out.contains("web: not steady within "), "{out}");
    assert!(
        out.contains("Essential container in task exited; web: exit 7"),
        "{out}"
    );
    assert!(out.contains("; rolled back to "), "{out}");
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);

    let _ = service.deploy(&two).exits(0);
    assert_eq!(service.revision(), "web:4");
    let param = format!("digest={one}");
    let _ = service
        .pipe(&["rollback", "live", "--yes", "--param", &param])
        .exits(0);
    // The very revision that it was.
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);
}

/// What is said of a service that ran before it was deployed to.
const UNMANAGED: &str = "if it fails, it goes back to what runs there now, which pipe has not deployed: service/web (web:1)";
const BACK: &str = "; back at what ran before, which pipe had not deployed: service/web (web:1)";

#[test]
fn a_service_that_pipe_had_not_deployed_runs_again_when_the_first_release_fails() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5607, &breaker(false, false));
    let zero = cluster.good("0");
    service.impatient(true);
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = service.deploy(&broken).exits(6).stdout;
    assert!(out.contains(UNMANAGED), "{out}");
    assert!(out.contains(BACK), "{out}");
    assert_eq!(service.revision(), "web:1");
    assert_eq!(service.digests(), [digest(&zero)]);
    let out = service.pipe(&["history", "live"]).exits(0).stdout;
    assert!(!out.contains("healthy"), "{out}");

    // What was healthy once is what a later failure goes back to.
    service.impatient(false);
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    service.impatient(true);
    let out = service
        .deploy(&cluster.image(&["GREETING=6", "BROKEN=1"]))
        .exits(6)
        .stdout;
    assert!(out.contains("; rolled back to "), "{out}");
    assert_eq!(service.digests(), [digest(&one)]);
}

#[test]
fn a_service_that_pipe_had_not_deployed_runs_again_when_the_first_release_is_killed() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5609, &breaker(false, false));
    let zero = cluster.good("0");
    service.impatient(true);
    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let param = format!("digest={never}");
    let mut command = service.command(&["run", "deploy-live", "--yes", "--param", &param]);
    let run = Started::of(&service.project, &mut command);
    wait_until("it is ordered", || service.revision() == "web:2");
    rustix::process::kill_process(run.engine(), rustix::process::Signal::KILL).unwrap();
    assert_eq!(run.end().code, Some(137));
    // Whoever comes next finds what was ordered, goes back, and begins from there.
    let other = cluster.image(&["GREETING=5", "BROKEN=1"]);
    let out = service.deploy(&other).exits(6).stdout;
    for part in [
        "the interrupted deployment is settled: rolled back",
        UNMANAGED,
        BACK,
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(service.revision(), "web:1");
    assert_eq!(service.digests(), [digest(&zero)]);
}

#[test]
fn a_service_whose_circuit_breaker_ends_the_tries_is_brought_back() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5602, &breaker(true, false));
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    let gone = format!("127.0.0.1:5000/shop@sha256:{}", "0".repeat(64));
    let out = service.deploy(&gone).exits(6).stdout;
    assert!(
        out.contains("ECS deployment circuit breaker: tasks failed to start."),
        "{out}"
    );
    assert!(out.contains("CannotPullContainerError"), "{out}");
    assert!(
        out.contains("event: (service web) (deployment ecs-svc/"),
        "{out}"
    );
    assert_eq!(service.digests(), [digest(&one)]);
}

#[test]
fn a_service_that_went_back_by_itself_and_is_steady_is_no_success() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5603, &breaker(true, true));
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "BROKEN=1"]);
    // Nothing is seen of it before it has gone back.
    service.faults(&json!({"late": 1}));
    let out = service.deploy(&never).exits(6).stdout;
    let back = "the service went to web:2 by itself, and not to web:3";
    assert!(out.contains(back), "{out}");
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);
}

#[test]
fn an_ecs_that_is_gone_in_the_middle_of_a_rollout_leaves_a_target_of_which_nobody_knows() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5606, &breaker(false, false));
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let digest_param = format!("digest={never}");
    let mut command = service.command(&["run", "deploy-live", "--yes", "--param", &digest_param]);
    let run = Started::of(&service.project, &mut command);
    wait_until("it is ordered", || service.revision() == "web:3");
    service.faults(&json!({"broken": 1000000}));
    let out = run.end().exits(7).stdout;
    for part in [
        "AWS does not answer (5 tries)",
        "nobody knows what live runs, and it is locked",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    service.faults(&json!({"broken": 0}));
    let out = service.deploy(&one).exits(5).stdout;
    assert!(out.contains("live is locked, unknown: "), "{out}");
    let param = format!("digest={one}");
    let _ = service
        .pipe(&["rollback", "live", "--yes", "--param", &param])
        .exits(0);
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);

    // Gone before anything is changed, it is only the network that failed.
    service.faults(&json!({"broken": 1000000}));
    let out = service.deploy(&cluster.good("2")).exits(3).stdout;
    assert!(out.contains("AWS does not answer (5 tries)"), "{out}");
    service.faults(&json!({"broken": 0}));
    assert_eq!(service.revision(), "web:2");
}

#[test]
fn a_service_or_a_container_that_is_not_there_ends_it_before_anything_is_changed() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5604, &breaker(false, false));
    let one = cluster.good("1");
    let text = service.project.read("pipeline.kdl");
    service
        .project
        .write("pipeline.kdl", &text.replace("service=web", "service=wep"));
    let out = service.deploy(&one);
    assert_ne!(out.code, Some(0));
    assert!(
        out.stdout.contains("the cluster prod has no service wep"),
        "{}",
        out.stdout
    );
    let named = text.replace("service=web", "service=web container=app");
    service.project.write("pipeline.kdl", &named);
    let out = service.deploy(&one);
    assert_ne!(out.code, Some(0));
    assert!(
        out.stdout
            .contains("there is no container `app`: the task has `web ("),
        "{}",
        out.stdout
    );
    let asserting = text.replace(
        "    ready",
        "    assert-env KEPT=yes MODE=redis TOKEN=any\n    ready",
    );
    service.project.write("pipeline.kdl", &asserting);
    let out = service.deploy(&one).exits(5).stdout;
    assert!(
        out.contains(
            "live lacks settings: MODE is not set in web of web:1, and is to be `redis`   "
        ),
        "{out}"
    );
    service.project.write(
        "pipeline.kdl",
        &asserting.replace("KEPT=yes MODE=redis TOKEN=any", "KEPT=no"),
    );
    let out = service.deploy(&one).exits(5).stdout;
    assert!(
        out.contains("live lacks settings: KEPT is not `no` in web of web:1   "),
        "{out}"
    );
    assert_eq!(service.revision(), "web:1");
    let calls = service.faults(&json!({}));
    assert!(!calls.contains(&"UpdateService".to_owned()), "{calls:?}");
}

#[test]
fn every_order_is_one_that_aws_would_understand() {
    let Some(cluster) = can() else { return };
    let moto = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/moto_server");
    if !moto.exists() {
        return skip("there is no moto; tests/setup-remote.sh gets it");
    }
    let moto = moto.display().to_string();
    let service = Service::around(cluster, 5605, &[&moto, "-H", "127.0.0.1", "-p", "5605"]);
    let (zero, one) = (cluster.good("0"), cluster.good("1"));
    service.aws("create-cluster --cluster-name prod", &[]);
    service.aws(
        "register-task-definition --family web --container-definitions",
        &[&containers(&zero).to_string()],
    );
    service.aws(CREATE, &[]);
    // Nothing runs behind moto, so that it is never ready; but every call is understood.
    let text = service.project.read("pipeline.kdl");
    let soon = text.replace("within=\"90s\"", "within=\"2s\"");
    assert_ne!(text, soon);
    service.project.write("pipeline.kdl", &soon);
    let out = service.deploy(&one);
    assert_ne!(out.code, Some(0));
    assert!(out.stdout.contains("registered web:2"), "{}", out.stdout);
    assert!(out.stdout.contains("web is to run web:2"), "{}", out.stdout);
    assert!(!out.stdout.contains("An error occurred"), "{}", out.stdout);
    let image = "taskDefinition.containerDefinitions[0].image";
    let image = service.aws(
        "describe-task-definition --task-definition web:2 --query",
        &[image, "--output", "text"],
    );
    assert_eq!(image, one);
}
