//! People are told how a run ended: once, what failed, without the secrets, and never in the way of the run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use rustix::process::Signal;
use serde_json::Value;

use crate::started::Started;
use crate::support::{Output, Project, wait_until};

/// A receiver of messages that answers with these statuses, one after the other, and then with 200.
struct Receiver {
    address: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn new(statuses: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!(
            "http://{}/secret-path-of-a-hook",
            listener.local_addr().unwrap()
        );
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let (own, mut statuses) = (Arc::clone(&bodies), Vec::from(statuses).into_iter());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut line, mut length) = (String::new(), 0);
                while reader.read_line(&mut line).unwrap_or(0) > 2 {
                    let lower = line.to_ascii_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                own.lock().unwrap().push(String::from_utf8(body).unwrap());
                let status = statuses.next().unwrap_or(200);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = (&stream).write_all(answer.as_bytes());
            }
        });
        Self { address, bodies }
    }

    fn bodies(&self) -> Vec<Value> {
        let bodies = self.bodies.lock().unwrap();
        bodies
            .iter()
            .map(|b| serde_json::from_str(b).unwrap())
            .collect()
    }
}

const FAILS: &str = r#"pipeline shop
secret HOOK
notify slack webhook=HOOK channel="deploys" {
    on failed rolled-back
}
stage test {
    job unit { run "echo '<@everyone>'; exit 3" }
    job lint { run "true" }
}
"#;

fn run(project: &Project, address: &str) -> Output {
    project.pipe_env(&["run"], &[("HOOK", address)])
}

#[test]
fn a_chat_hears_once_of_a_run_that_failed() {
    let project = Project::with(FAILS);
    let receiver = Receiver::new(&[429, 503]);
    let out = run(&project, &receiver.address).exits(1);
    assert_eq!(out.stderr, "");
    assert!(!out.stdout.contains("warning"), "{out:?}");
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies[2], bodies[0]);
    assert_eq!(bodies[2]["channel"], "deploys");
    let text = bodies[2]["text"].as_str().unwrap();
    let (text, run) = text.rsplit_once('\n').unwrap();
    assert_snapshot!(text, @r"
    shop: failed (manual)
    - test.unit failed: exit 3
    ");
    assert!(run.starts_with("run 1 on "), "{run}");
    // Whoever has the address can write there.
    for file in crate::support::tree::files(&project.root()) {
        let bytes = std::fs::read(&file).unwrap();
        let leaks = bytes.windows(11).any(|w| w == b"secret-path");
        assert!(!leaks, "{}", file.display());
    }
}

#[test]
fn nobody_is_told_what_nobody_wants_to_hear() {
    let project = Project::with(&FAILS.replace("exit 3", "exit 0"));
    let receiver = Receiver::new(&[]);
    let _ = run(&project, &receiver.address).exits(0);
    assert_eq!(receiver.bodies().len(), 0);
}

#[test]
fn an_address_gets_the_whole_message() {
    let pipeline = FAILS
        .replace(
            "slack webhook=HOOK channel=\"deploys\"",
            "webhook webhook=HOOK",
        )
        .replace("on failed rolled-back", "on passed")
        .replace("exit 3", "exit 0");
    let project = Project::with(&pipeline).git();
    let receiver = Receiver::new(&[]);
    let _ = run(&project, &receiver.address).exits(0);
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 1);
    let mut body = bodies[0].clone();
    assert_eq!(body["sha"], project.run_git(&["rev-parse", "HEAD"]).trim());
    for volatile in ["sha", "run", "text"] {
        body[volatile] = Value::from("…");
    }
    assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "version": 1,
      "topics": [
        "passed"
      ],
      "outcome": "passed",
      "exitCode": 0,
      "pipeline": "shop",
      "event": "manual",
      "at": "main",
      "sha": "…",
      "run": "…",
      "steps": [],
      "targets": [],
      "text": "…"
    }
    "#);
}

#[test]
fn a_command_gets_the_message_in_its_environment() {
    let pipeline = r#"pipeline shop
notify command {
    on rolled-back
    run "printf '%s' \"$PIPE_MESSAGE_JSON\" > told.json"
}
stage ship rollback=reverse {
    job up { run "true"; rollback { run "true" } }
    job down { needs up; run "false" }
}
"#;
    let project = Project::with(pipeline);
    let _ = project.pipe(&["run"]).exits(6);
    let told: Value = serde_json::from_str(&project.read("told.json")).unwrap();
    assert_eq!(told["outcome"], "rolled back");
    assert_eq!(told["topics"], serde_json::json!(["failed", "rolled-back"]));
    let steps: Vec<String> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| {
            format!(
                "{} {}",
                s["step"].as_str().unwrap(),
                s["outcome"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(steps, ["ship.down failed", "ship.up rolled-back"]);
}

#[test]
fn who_cannot_be_told_is_a_warning_and_changes_nothing() {
    let project = Project::with(FAILS);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!(
            "http://{}/secret-path-of-a-hook",
            listener.local_addr().unwrap()
        )
    };
    let refused = Receiver::new(&[404]);
    for (address, why) in [
        (closed.as_str(), "127.0.0.1: Connection refused"),
        (refused.address.as_str(), "127.0.0.1 answers 404"),
        ("file:///etc/passwd", "its secret is no http address"),
    ] {
        let out = run(&project, address).exits(1);
        let warning = format!("slack was not told how the run ended: {why}");
        assert!(out.stdout.contains(&warning), "{address}: {out:?}");
        assert!(!out.whole().contains("secret-path"), "{out:?}");
    }
    assert_eq!(refused.bodies().len(), 1);
    let unset = project.pipe(&["run"]).exits(1);
    let warning = "slack was not told how the run ended: the secret HOOK has no value: the variable HOOK is not set";
    assert!(unset.stdout.contains(warning), "{unset:?}");
}

#[test]
fn a_run_that_is_not_trusted_tells_nobody() {
    let project = Project::with(FAILS).git();
    let receiver = Receiver::new(&[]);
    let ci = [("CI", "true"), ("HOOK", receiver.address.as_str())];
    let out = project.pipe_env(&["run"], &ci);
    assert!(out.stderr.contains("this run is not trusted"), "{out:?}");
    assert_eq!((out.code, receiver.bodies().len()), (Some(1), 0));
}

#[test]
fn a_receiver_that_hangs_holds_nobody_who_wants_to_leave() {
    let project = Project::with(FAILS);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let held = listener.accept();
        let _ = tell.send(());
        std::thread::park();
        drop(held);
    });
    let mut command = project.command(&["run"]);
    let run = Started::of(&project, command.env("HOOK", address));
    wait_until("the receiver is asked", || hear.try_recv().is_ok());
    run.signal(Signal::INT);
    let out = run.end();
    assert_eq!(out.code, Some(1), "{out:?}");
    let warning = "SIGINT came before everybody was told how the run ended";
    assert!(out.stdout.contains(warning), "{out:?}");
}

#[test]
fn a_notification_without_an_address_is_a_finding() {
    let project = Project::with(
        "pipeline shop\nnotify slack {\n    on failed\n}\nnotify command\nstage a { job b { run \"true\" } }\n",
    );
    let out = project.pipe(&["check"]).exits(2);
    assert_snapshot!(out.stdout, @r#"
    E620

      × `notify slack` has no address
       ╭─[pipeline.kdl:2:8]
     1 │ pipeline shop
     2 │ notify slack {
       ·        ──┬──
       ·          ╰── tells nobody
     3 │     on failed
       ╰────
      help: write the secret that holds it: `notify slack webhook=SLACK_WEBHOOK`

    E620

      × `notify command` has no command
       ╭─[pipeline.kdl:5:8]
     4 │ }
     5 │ notify command
       ·        ───┬───
       ·           ╰── tells nobody
     6 │ stage a { job b { run "true" } }
       ╰────
      help: write a `run` in it: `notify command { run "./tell.sh" }`

    2 errors in pipeline.kdl
    `pipe explain E620` tells more about a code
    "#);
}
