//! Slow, failing, lying and full: no fault of a server or of the way to it changes a result.

use std::time::{Duration, Instant};

use super::proxy::Does;
use super::with::{Machine, SAID, STAGE, Shared, said, told};

/// No run takes longer, whatever the other end does.
const SOON: Duration = Duration::from_secs(60);

/// A bucket with the results of `STAGE`, and what is there when they are.
#[track_caller]
fn filled(name: &str) -> Option<(Shared, Vec<String>)> {
    let shared = Shared::new(name)?;
    let one = shared.machine(STAGE);
    let out = one.run().exits(0);
    assert_eq!((told(&out), said(&out)), (Vec::new(), SAID.to_vec()));
    Some((shared, one.made()))
}

/// A new machine before a bucket with results has them or makes them; gives what it was told.
#[track_caller]
fn meets(
    shared: &Shared,
    made: &[String],
    rule: impl Fn(&str, &str) -> Does + Send + 'static,
) -> Vec<String> {
    let machine = shared.machine(STAGE);
    shared.proxy.does(rule);
    let told = passes(&machine, made);
    shared.proxy.does(|_, _| Does::Well);
    told
}

#[track_caller]
fn passes(machine: &Machine, made: &[String]) -> Vec<String> {
    let began = Instant::now();
    let out = machine.run().exits(0);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(said(&out), SAID);
    assert_eq!(machine.made(), made);
    told(&out)
}

fn not_read(shared: &Shared, why: &str) -> String {
    let at = &shared.bucket;
    format!("the remote cache s3://{at}/pipe cannot be read: {why}; the run goes on")
}

fn not_written(bucket: &str, why: &str) -> String {
    format!("the remote cache s3://{bucket}/pipe cannot be written: {why}; the run goes on")
}

fn not_sent(bucket: &str) -> String {
    format!("2 results were not sent to the remote cache s3://{bucket}/pipe")
}

fn blobs(does: Does) -> impl Fn(&str, &str) -> Does {
    move |method, path| match method {
        "GET" if path.contains("/blob/") => does,
        _ => Does::Well,
    }
}

fn records(does: Does) -> impl Fn(&str, &str) -> Does {
    move |method, path| match method {
        "GET" if path.contains("/action/") => does,
        _ => Does::Well,
    }
}

#[test]
fn a_slow_server_is_waited_for() {
    let Some((shared, made)) = filled("slow") else {
        return;
    };
    let slow = Does::Slow(Duration::from_millis(700));
    let machine = shared.machine(STAGE);
    shared.proxy.does(move |_, _| slow);
    assert_eq!(passes(&machine, &made), [""; 0]);
    assert_eq!(machine.ran(), [""; 0]);
}

#[test]
fn a_server_that_fails_is_told_of_once_and_left_after_three_times() {
    let Some((shared, made)) = filled("fails") else {
        return;
    };
    let statuses = [
        ("500 Internal Server Error", "InternalError"),
        ("503 Service Unavailable", "SlowDown"),
        ("403 Forbidden", "AccessDenied"),
        ("400 Bad Request", "AuthorizationHeaderMalformed"),
    ];
    for (status, code) in statuses {
        let told = meets(&shared, &made, move |_, _| Does::Status(status, code));
        let first = not_read(&shared, &format!("{status} ({code})"));
        assert_eq!(told, [first, not_sent(&shared.bucket)]);
    }
    shared.proxy.requests();
    meets(&shared, &made, |_, _| {
        Does::Status("403 Forbidden", "AccessDenied")
    });
    // Two results were looked for; with the first of what was to be sent it was enough.
    let asked = shared.proxy.requests().len();
    assert!((3..=6).contains(&asked), "{asked}");
}

#[test]
fn a_moment_of_trouble_is_not_told_at_all() {
    let Some((shared, made)) = filled("moment") else {
        return;
    };
    let machine = shared.machine(STAGE);
    let bad = std::sync::atomic::AtomicU32::new(0);
    shared.proxy.does(move |_, _| {
        // Every other request fails.
        match bad.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 4 {
            0 => Does::Status("503 Service Unavailable", "SlowDown"),
            _ => Does::Well,
        }
    });
    assert_eq!(passes(&machine, &made), [""; 0]);
    assert_eq!(machine.ran(), [""; 0]);
}

#[test]
fn a_full_server_takes_nothing_and_that_is_told() {
    let Some(shared) = Shared::new("full") else {
        return;
    };
    let machine = shared.machine(STAGE);
    shared.proxy.does(|method, _| match method {
        "PUT" => Does::Status("507 Insufficient Storage", "InsufficientStorage"),
        _ => Does::Well,
    });
    let out = machine.run().exits(0);
    assert_eq!(said(&out), SAID);
    let why = "507 Insufficient Storage (InsufficientStorage)";
    assert_eq!(
        told(&out),
        [not_written(&shared.bucket, why), not_sent(&shared.bucket)]
    );
    assert_eq!(shared.names(), [""; 0]);
}

#[test]
fn a_bucket_that_is_not_there_is_told() {
    let Some(shared) = Shared::new("gone") else {
        return;
    };
    let mut machine = shared.machine(STAGE);
    let text = machine.project.read("pipeline.kdl");
    machine.project = machine.project.file(
        "pipeline.kdl",
        &text.replace(&shared.bucket, "test-there-is-none"),
    );
    let out = machine.run().exits(0);
    assert_eq!(said(&out), SAID);
    let (none, why) = ("test-there-is-none", "there is no such bucket");
    assert_eq!(told(&out), [not_written(none, why), not_sent(none)]);
}

#[test]
fn nobody_at_the_other_end_is_told() {
    let Some((mut shared, made)) = filled("nobody") else {
        return;
    };
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    shared.proxy.port = free.local_addr().unwrap().port();
    drop(free);
    let told = passes(&shared.machine(STAGE), &made);
    let first = not_read(&shared, "Connection refused (os error 111)");
    assert_eq!(told, [first, not_sent(&shared.bucket)]);
}

#[test]
fn a_server_that_does_not_answer_is_left_after_ten_seconds() {
    let Some((shared, made)) = filled("stalls") else {
        return;
    };
    let told = meets(&shared, &made, |_, _| Does::Stalls);
    let first = not_read(&shared, "nothing moved for 10s");
    assert_eq!(told, [first, not_sent(&shared.bucket)]);
}

#[test]
fn an_answer_that_stops_half_way_is_left_after_ten_seconds() {
    let Some((shared, made)) = filled("half_way") else {
        return;
    };
    let told = meets(&shared, &made, blobs(Does::StallsHalfWay));
    let first = not_read(&shared, "nothing moved for 10s");
    assert_eq!(told, [first, not_sent(&shared.bucket)]);
}

#[test]
fn a_connection_that_breaks_changes_no_result() {
    let Some((shared, made)) = filled("breaks") else {
        return;
    };
    let way = format!(
        "the remote cache s3://{}/pipe cannot be read: ",
        shared.bucket
    );
    for does in [Does::Breaks, Does::Truncates, Does::Babbles] {
        let all = meets(&shared, &made, move |_, _| does);
        assert!(all[0].starts_with(&way), "{does:?}: {all:?}");
        let one = meets(&shared, &made, blobs(does));
        let only = matches!(one.as_slice(), [one] if one.starts_with(&way));
        assert!(only, "{does:?}: {one:?}");
    }
}

#[test]
fn content_that_is_not_what_it_should_be_is_not_used() {
    let Some((shared, made)) = filled("lies") else {
        return;
    };
    let damaged = [not_read(&shared, "something in it is damaged")];
    for does in [Does::Flips, Does::AnswersAnother] {
        assert_eq!(meets(&shared, &made, blobs(does)), damaged, "{does:?}");
        let all = meets(&shared, &made, records(does));
        // The first record may be the first answer of all: there is no other one yet.
        assert!(all == damaged || all.is_empty(), "{does:?}: {all:?}");
    }
    // Nothing of it stays in the bucket, nor on the machine.
    let machine = shared.machine(STAGE);
    assert_eq!(passes(&machine, &made), [""; 0]);
    assert_eq!(machine.ran(), [""; 0]);
}

#[test]
fn an_answer_without_end_fills_nothing() {
    let Some((shared, made)) = filled("endless") else {
        return;
    };
    let damaged = [not_read(&shared, "something in it is damaged")];
    let ok = Does::NeverEnds("200 OK");
    assert_eq!(meets(&shared, &made, blobs(ok)), damaged);
    assert_eq!(meets(&shared, &made, records(ok)), damaged);
    let long = meets(
        &shared,
        &made,
        records(Does::NeverEnds("500 Internal Server Error")),
    );
    assert_eq!(long, [not_read(&shared, "its answer is too long")]);
}

#[test]
fn a_request_goes_to_no_other_place() {
    let Some((shared, made)) = filled("redirects") else {
        return;
    };
    let told = meets(&shared, &made, records(Does::Redirects));
    assert_eq!(told, [not_read(&shared, "307 Temporary Redirect")]);
}
