//! Targets that are services of ECS: the real command line of AWS, against a fake service whose tasks are real containers and
//! are asked over HTTP whether they are healthy; and against moto, which knows what AWS would accept.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::kubernetes::cluster::{Cluster, cluster};
use crate::started::Started;
use crate::support::{Output, Project, skip, wait_until};

/// Where the setup put the command line.
fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ecs/bin")
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
    fn new(cluster: &'static Cluster, port: u16, breaker: &str) -> Self {
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ecs/fake.py");
        let socket = cluster.docker_socket();
        let service = Self::around(
            cluster,
            port,
            &["python3", fake, &port.to_string(), &socket],
        );
        let image = cluster.good("0");
        service.aws(
            "register-task-definition --family web --container-definitions",
            &[&containers(&image)],
        );
        let configuration = format!("deploymentCircuitBreaker={{{breaker}}}");
        service.aws(CREATE, &["--deployment-configuration", &configuration]);
        wait_until("the first task is healthy", || {
            service.field("deployments[0].rolloutState") == "COMPLETED"
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
        };
        wait_until("ECS listens", || !service.post("/faults", "{}").is_empty());
        service
    }

    fn environment(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", programs().display()))
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

    /// A field of the service.
    fn field(&self, name: &str) -> String {
        let query = format!("services[0].{name}");
        self.aws(
            "describe-services --cluster prod --services web --query",
            &[&query, "--output", "text"],
        )
    }

    /// The revision that the service is to run: `web:1`.
    fn revision(&self) -> String {
        let arn = self.field("taskDefinition");
        arn.rsplit('/').next().unwrap().to_owned()
    }

    /// Says something to the fake itself.
    fn post(&self, path: &str, body: &str) -> String {
        let text = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} || exit 1; printf 'POST {path} HTTP/1.0\\r\\nContent-Length: {}\\r\\n\\r\\n%s' \"$0\" >&3; cat <&3",
            self.port,
            body.len()
        );
        let out = self
            .cluster
            .command(&["bash", "-c", &text, body])
            .stderr(Stdio::null())
            .output();
        String::from_utf8_lossy(&out.unwrap().stdout).into_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.cluster.pipe(&self.project, args);
        self.environment(&mut command);
        command
    }

    fn pipe(&self, args: &[&str]) -> Output {
        self.project.output(&mut self.command(args))
    }

    /// From now on nobody waits long.
    fn impatient(&self, is: bool) {
        let text = self.project.read("pipeline.kdl");
        let (from, to) = if is { ("90s", "25s") } else { ("25s", "90s") };
        self.project.write("pipeline.kdl", &text.replace(from, to));
    }

    fn deploy(&self, reference: &str) -> Output {
        let digest = format!("digest={reference}");
        self.pipe(&["run", "deploy-live", "--yes", "--param", &digest])
    }

    /// What the tasks that run are told to run.
    fn digests(&self) -> Vec<String> {
        let arns = self.aws(
            "list-tasks --cluster prod --service-name web --query taskArns --output text",
            &[],
        );
        let query = "tasks[].containers[].imageDigest";
        let arns = arns.split_whitespace();
        let more: Vec<&str> = ["--query", query, "--tasks"]
            .into_iter()
            .chain(arns)
            .collect();
        let told = self.aws("describe-tasks --cluster prod --output text", &more);
        told.split_whitespace().map(str::to_owned).collect()
    }
}

/// The containers of the shop, as the first revision has them.
fn containers(image: &str) -> String {
    format!(
        "[{{\"name\":\"web\",\"image\":\"{image}\",\"memory\":64,\"environment\":[{{\"name\":\"KEPT\",\"value\":\"yes\"}}],\
         \"secrets\":[{{\"name\":\"TOKEN\",\"valueFrom\":\"arn:aws:ssm:eu-central-1:1:parameter/token\"}}]}}]"
    )
}

fn digest(reference: &str) -> String {
    reference.split('@').nth(1).unwrap().to_owned()
}

#[test]
fn a_service_gets_a_new_revision_and_goes_back_to_the_one_before_when_nothing_ends_its_tries() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5601, "enable=false,rollback=false");
    let (one, two) = (cluster.good("1"), cluster.good("2"));
    let text = service.project.read("pipeline.kdl");
    let text = text.replace("    ready", "    assert-env KEPT=yes TOKEN=any\n    ready");
    service.project.write("pipeline.kdl", &text);
    // AWS is busy, and then broken.
    service.post("/faults", "{\"throttle\": 2, \"broken\": 2}");
    let out = service.deploy(&one).exits(0).stdout;
    assert!(out.contains("once more in a moment"), "{out}");
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);
    let kept = "taskDefinition.containerDefinitions[0].environment[0].value";
    let kept = service.aws(
        "describe-task-definition --task-definition web:2 --query",
        &[kept, "--output", "text"],
    );
    assert_eq!(kept, "yes");
    let out = service.deploy(&one).exits(0).stdout;
    assert!(out.contains(" runs there already, and is ready"), "{out}");
    assert_eq!(service.revision(), "web:2");

    // Without a circuit breaker ECS tries for ever.
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

#[test]
fn a_service_that_pipe_had_not_deployed_runs_again_when_the_first_release_fails_or_is_killed() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5607, "enable=false,rollback=false");
    let zero = cluster.good("0");
    service.impatient(true);
    let broken = cluster.image(&["GREETING=3", "BROKEN=1"]);
    let out = service.deploy(&broken).exits(6).stdout;
    let before = "if it fails, it goes back to what runs there now, which pipe has not deployed: service/web (web:1)";
    assert!(out.contains(before), "{out}");
    let back = "; back at what ran before, which pipe had not deployed: service/web (web:1)";
    assert!(out.contains(back), "{out}");
    assert_eq!(service.revision(), "web:1");
    assert_eq!(service.digests(), [digest(&zero)]);
    let out = service.pipe(&["history", "live"]).exits(0).stdout;
    assert!(!out.contains("healthy"), "{out}");

    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let param = format!("digest={never}");
    let mut command = service.command(&["run", "deploy-live", "--yes", "--param", &param]);
    let run = Started::of(&service.project, &mut command);
    wait_until("it is ordered", || service.revision() == "web:3");
    rustix::process::kill_process(run.engine(), rustix::process::Signal::KILL).unwrap();
    assert_eq!(run.end().code, Some(137));
    // Whoever comes next finds what was ordered, goes back, and begins from there.
    let other = cluster.image(&["GREETING=5", "BROKEN=1"]);
    let out = service.deploy(&other).exits(6).stdout;
    for part in [
        "the interrupted deployment is settled: rolled back",
        before,
        back,
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(service.revision(), "web:1");
    assert_eq!(service.digests(), [digest(&zero)]);

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
fn a_service_whose_circuit_breaker_ends_the_tries_is_brought_back() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5602, "enable=true,rollback=false");
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
    let service = Service::new(cluster, 5603, "enable=true,rollback=true");
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "BROKEN=1"]);
    // Nothing is seen of it before it has gone back.
    service.post("/faults", "{\"late\": 1}");
    let out = service.deploy(&never).exits(6).stdout;
    let back = "the service went to web:2 by itself, and not to web:3";
    assert!(out.contains(back), "{out}");
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);
}

#[test]
fn an_ecs_that_is_gone_in_the_middle_of_a_rollout_leaves_a_target_of_which_nobody_knows() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5606, "enable=false,rollback=false");
    let one = cluster.good("1");
    let _ = service.deploy(&one).exits(0);
    let never = cluster.image(&["GREETING=4", "NEVER_READY=1"]);
    let digest_param = format!("digest={never}");
    let mut command = service.command(&["run", "deploy-live", "--yes", "--param", &digest_param]);
    let run = Started::of(&service.project, &mut command);
    wait_until("it is ordered", || service.revision() == "web:3");
    service.post("/faults", "{\"broken\": 1000000}");
    let out = run.end().exits(7).stdout;
    for part in [
        "AWS does not answer (5 tries)",
        "nobody knows what live runs, and it is locked",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    service.post("/faults", "{\"broken\": 0}");
    let out = service.deploy(&one).exits(5).stdout;
    assert!(out.contains("live is locked, unknown: "), "{out}");
    let param = format!("digest={one}");
    let _ = service
        .pipe(&["rollback", "live", "--yes", "--param", &param])
        .exits(0);
    assert_eq!(service.revision(), "web:2");
    assert_eq!(service.digests(), [digest(&one)]);

    // Gone before anything is changed, it is only the network that failed.
    service.post("/faults", "{\"broken\": 1000000}");
    let out = service.deploy(&cluster.good("2")).exits(3).stdout;
    assert!(out.contains("AWS does not answer (5 tries)"), "{out}");
    service.post("/faults", "{\"broken\": 0}");
    assert_eq!(service.revision(), "web:2");
}

#[test]
fn a_service_or_a_container_that_is_not_there_ends_it_before_anything_is_changed() {
    let Some(cluster) = can() else { return };
    let service = Service::new(cluster, 5604, "enable=false,rollback=false");
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
    assert!(!service.post("/faults", "{}").contains("UpdateService"));
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
        &[&containers(&zero)],
    );
    service.aws(CREATE, &[]);
    // Nothing runs behind moto, so that it is never ready; but every call is understood.
    service.impatient(true);
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
