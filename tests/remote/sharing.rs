//! What one machine made, another one has.

use std::time::Instant;

use super::proxy::Does;
use super::with::{KEYS, SAID, STAGE, Shared, said, told};
use crate::started::Started;
use crate::support::wait_until;

#[test]
fn a_second_machine_has_the_results_and_runs_nothing() {
    let Some(shared) = Shared::new("second_machine") else {
        return;
    };
    let (one, other) = (shared.machine(STAGE), shared.machine(STAGE));
    let first = one.run().exits(0);
    assert_eq!((told(&first), said(&first)), (Vec::new(), SAID.to_vec()));
    let second = other.run().exits(0);
    insta::assert_snapshot!(second.whole(), @"
    exit 0
    --- stdout
     pipe 0.1.0  run 1  manual  2 steps
    make | made from a text
          cached make  [t]
    use  | 6 bytes: a text
          cached use  [t]

     ok  2 steps in [t] · 2 cached
    ");
    assert_eq!(other.ran(), [""; 0]);
    assert_eq!(other.made(), one.made());
    assert_eq!(one.made().len(), 8, "{:?}", one.made());
    // From here on it has them itself.
    shared.proxy.requests();
    let _ = other.run().exits(0);
    assert_eq!(shared.proxy.requests(), [""; 0]);
}

#[test]
fn what_is_large_and_what_is_many_come_as_they_were() {
    let Some(shared) = Shared::new("large_and_many") else {
        return;
    };
    let stage = "stage t {\n    job a {\n        inputs \"src/**\"\n        artifact out \"out/**\"\n        run \"mkdir out; seq 1 3000000 > out/large; for i in $(seq 1 200); do echo $i > out/$i; done; echo a >> ../ran\"\n    }\n}\n";
    let (one, other) = (shared.machine(stage), shared.machine(stage));
    assert_eq!(told(&one.run().exits(0)), [""; 0]);
    let size = one.project.read("out/large").len();
    assert!(size > 20 << 20, "it goes in parts: {size}");
    assert_eq!(told(&other.run().exits(0)), [""; 0]);
    assert_eq!(other.ran(), [""; 0]);
    assert!(other.made() == one.made(), "something is not as it was");
}

#[test]
fn what_is_there_is_not_sent_again() {
    let Some(shared) = Shared::new("not_again") else {
        return;
    };
    let one = shared.machine(STAGE);
    let _ = one.run().exits(0);
    shared.proxy.requests();
    let _ = one.run_with(&["--refresh"], &[]).exits(0);
    let requests = shared.proxy.requests();
    let puts: Vec<&String> = requests.iter().filter(|r| r.starts_with("PUT")).collect();
    assert!(
        puts.len() == 2 && puts.iter().all(|p| p.contains("/action/trusted/")),
        "{requests:?}"
    );
    assert!(
        !requests.iter().any(|r| r.starts_with("GET")),
        "{requests:?}"
    );
}

#[test]
fn a_bucket_is_left_alone_where_nobody_wants_it() {
    let Some(shared) = Shared::new("left_alone") else {
        return;
    };
    let one = shared.machine(STAGE);
    let _ = one.run_with(&["--no-remote"], &[]).exits(0);
    let _ = one
        .run_with(&["--refresh"], &[("PIPE_NO_REMOTE", "1")])
        .exits(0);
    let _ = one.run_with(&["--no-cache"], &[]).exits(0);
    assert_eq!(shared.proxy.requests(), [""; 0]);
    let _ = one
        .run_with(&["--refresh"], &[("PIPE_NO_REMOTE", "0")])
        .exits(0);
    assert_eq!(shared.records("trusted").len(), 2);
}

#[test]
fn a_cancelled_run_does_not_wait_for_the_bucket() {
    let Some(shared) = Shared::new("cancelled") else {
        return;
    };
    let one = shared.machine(STAGE);
    shared.proxy.does(|_, _| Does::Stalls);
    let run = Started::of(&one.project, one.project.command(&["run"]).envs(KEYS));
    wait_until("it asks", || !shared.proxy.requests().is_empty());
    let began = Instant::now();
    run.signal(rustix::process::Signal::INT);
    let out = run.end().exits(130);
    assert!(began.elapsed().as_secs() < 9, "it waited");
    assert_eq!(told(&out), [""; 0]);
    assert_eq!(one.ran(), [""; 0]);
}

#[test]
fn whoever_wants_a_run_to_end_that_only_sends_is_not_kept_waiting() {
    let Some(shared) = Shared::new("only_sends") else {
        return;
    };
    let one = shared.machine(STAGE);
    shared.proxy.does(|method, _| match method {
        "HEAD" => Does::Stalls,
        _ => Does::Well,
    });
    let run = Started::of(&one.project, one.project.command(&["run"]).envs(KEYS));
    wait_until("everything has run", || one.ran().len() == 2);
    wait_until("it sends", || {
        shared
            .proxy
            .requests()
            .iter()
            .any(|r| r.starts_with("HEAD"))
    });
    let began = Instant::now();
    // Also a run that is just ending is sure to be past its last step.
    while began.elapsed().as_millis() < 500 {
        std::thread::yield_now();
    }
    run.signal(rustix::process::Signal::INT);
    let _ = run.end().exits(0);
    assert!(began.elapsed().as_secs() < 9, "it waited");
}

#[test]
fn what_is_not_sent_in_time_is_told() {
    let Some(shared) = Shared::new("in_time") else {
        return;
    };
    let one = shared.machine(STAGE);
    shared.proxy.does(|method, _| match method {
        "PUT" => Does::Stalls,
        _ => Does::Well,
    });
    let out = one.run_with(&[], &[("PIPE_REMOTE_WAIT", "300ms")]).exits(0);
    assert_eq!(
        told(&out),
        [format!(
            "2 results were not sent to the remote cache s3://{}/pipe; `PIPE_REMOTE_WAIT` gives it more time",
            shared.bucket
        )]
    );
    assert_eq!(said(&out), SAID);
}
