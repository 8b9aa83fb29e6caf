//! Who is believed, who may write, and who sees what.

use super::with::{KEYS, Machine, STAGE, Shared, told};
use crate::support::Output;

const STRANGER: &str = r#"{"number":7,"pull_request":{"number":7,"head":{"ref":"evil","sha":"0123456789012345678901234567890123456789","repo":{"full_name":"mallory/app","fork":true}},"base":{"ref":"main","repo":{"full_name":"acme/app"}}},"repository":{"full_name":"acme/app"}}"#;

/// Runs as a CI does for a stranger's pull request.
fn as_stranger(machine: &Machine, more: &[(&str, &str)]) -> Output {
    machine.project.write("../event.json", STRANGER);
    let event = machine.project.path("../event.json");
    let mut env = vec![
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_REPOSITORY", "acme/app"),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_HEAD_REF", "evil"),
        ("GITHUB_BASE_REF", "main"),
        ("GITHUB_EVENT_PATH", event.to_str().unwrap()),
    ];
    env.extend(more);
    machine.run_with(&["--format", "plain"], &env)
}

const AMBIENT: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE-OF-THE-CI"),
    ("AWS_SECRET_ACCESS_KEY", "can4ry-of-the-ci"),
];

#[test]
fn a_stranger_takes_what_is_trusted_and_writes_none_of_it() {
    let Some(shared) = Shared::new("stranger") else {
        return;
    };
    let _ = shared.machine(STAGE).run().exits(0);
    let trusted = shared.records("trusted");
    assert_eq!(trusted.len(), 2);
    let stranger = shared.machine(STAGE);
    let out = as_stranger(&stranger, &AMBIENT).exits(0);
    assert!(
        out.stderr.contains("this run is not trusted"),
        "{}",
        out.stderr
    );
    assert_eq!(stranger.ran(), [""; 0]);
    // What the stranger has changed is made, and is sent to where only strangers look.
    stranger.project.write("src/text", "bad text");
    let _ = as_stranger(&stranger, &AMBIENT).exits(0);
    assert_eq!(stranger.ran(), ["make", "use"]);
    assert_eq!(shared.records("trusted"), trusted);
    assert_eq!(shared.records("stranger-").len(), 2);
    // No trusted run takes it, on no machine, not even on the stranger's own.
    let other = shared.machine(STAGE);
    other.project.write("src/text", "bad text");
    let _ = other.run().exits(0);
    assert_eq!(other.ran(), ["make", "use"]);
    let _ = stranger.run().exits(0);
    assert_eq!(
        stranger.ran(),
        ["make", "use"],
        "it has the results of the other one"
    );
}

#[test]
fn a_stranger_without_credentials_reads_and_writes_nothing() {
    let Some(shared) = Shared::new("no_credentials") else {
        return;
    };
    let _ = shared.machine(STAGE).run().exits(0);
    shared.server.open(&shared.bucket);
    let before = shared.names();
    let stranger = shared.machine(STAGE);
    stranger.project.write("src/other", "new");
    let _ = as_stranger(&stranger, &[]).exits(0);
    assert_eq!(stranger.ran(), ["make"], "one of two jobs has other inputs");
    assert_eq!(shared.names(), before);
    // Where records are signed it cannot tell which is right, and takes none.
    let signed = shared.signing(STAGE);
    shared.proxy.requests();
    let _ = as_stranger(&signed, &AMBIENT).exits(0);
    assert_eq!(signed.ran(), ["make", "use"]);
    assert_eq!(shared.proxy.requests(), [""; 0]);
}

#[test]
fn without_credentials_a_bucket_is_read_and_with_those_of_the_environment_written() {
    let Some(shared) = Shared::new("ambient") else {
        return;
    };
    let open = || shared.with("", "", STAGE);
    let _ = open().run().exits(0);
    assert_eq!(shared.names(), [""; 0]);
    let _ = open().run_with(&[], &AMBIENT).exits(0);
    assert_eq!(shared.records("trusted").len(), 2);
    shared.server.open(&shared.bucket);
    let reader = open();
    let _ = reader.run().exits(0);
    assert_eq!(reader.ran(), [""; 0]);
}

/// Replaces the record of the job `make` by one whose content is another one: whole, with a right checksum, under the
/// right key.
fn forge(shared: &Shared) {
    let mut forged = 0;
    for name in shared.records("trusted") {
        let full = format!("pipe/v2/{name}");
        let record = shared.server.get(&shared.bucket, &full);
        let text = String::from_utf8(record).unwrap();
        let (json, document) = text[text.find('{').unwrap()..].split_once('\n').unwrap();
        if !json.contains("out/tool") {
            continue;
        }
        let evil = b"#!/bin/sh\necho owned\n";
        let digest = blake3::hash(evil).to_hex();
        let blob = format!("pipe/v2/blob/{digest}");
        shared.server.put(&shared.bucket, &blob, evil);
        let mut action: serde_json::Value = serde_json::from_str(json).unwrap();
        for entry in action["outputs"].as_array_mut().unwrap() {
            if entry["path"] == "out/tool" {
                entry["is"]["file"]["digest"] = digest.to_string().into();
                entry["is"]["file"]["size"] = evil.len().into();
            }
        }
        let rest = format!("{action}\n{document}");
        let sum = blake3::hash(rest.as_bytes()).to_hex();
        // The signature that was there stays there.
        let signature = match text.starts_with("signed ") {
            true => format!("{}\n", text.lines().next().unwrap()),
            false => String::new(),
        };
        let record = format!("{signature}{sum}\n{rest}");
        shared.server.put(&shared.bucket, &full, record.as_bytes());
        forged += 1;
    }
    assert_eq!(forged, 1);
}

#[test]
fn a_forged_record_is_refused_where_records_are_signed() {
    let Some(shared) = Shared::new("forged") else {
        return;
    };
    let one = shared.signing(STAGE);
    let _ = one.run().exits(0);
    let reader = shared.signing(STAGE);
    assert_eq!(told(&reader.run().exits(0)), [""; 0]);
    assert_eq!(reader.ran(), [""; 0]);
    forge(&shared);
    let other = shared.signing(STAGE);
    let out = other.run().exits(0);
    assert_eq!(
        told(&out),
        [format!(
            "a record in the remote cache s3://{}/pipe has a wrong signature, and is not used",
            shared.bucket
        )]
    );
    assert_eq!(other.ran(), ["make"]);
    assert_eq!(other.made(), one.made());
    // What it has made and sent instead is right again.
    let third = shared.signing(STAGE);
    assert_eq!(told(&third.run().exits(0)), [""; 0]);
    assert_eq!((third.ran(), third.made()), (Vec::new(), one.made()));
}

#[test]
fn a_record_of_somebody_without_the_secret_counts_as_none() {
    let Some(shared) = Shared::new("unsigned") else {
        return;
    };
    let _ = shared.machine(STAGE).run().exits(0);
    forge(&shared);
    let careful = shared.signing(STAGE);
    assert_eq!(told(&careful.run().exits(0)), [""; 0]);
    assert_eq!(careful.ran(), ["make", "use"]);
}

/// What the book says: without signatures, who can write to the bucket decides what a result is.
#[test]
fn a_forged_record_is_believed_where_nothing_is_signed() {
    let Some(shared) = Shared::new("believed") else {
        return;
    };
    let _ = shared.machine(STAGE).run().exits(0);
    forge(&shared);
    let other = shared.machine(STAGE);
    let _ = other.run().exits(0);
    assert_eq!(other.project.read("out/tool"), "#!/bin/sh\necho owned\n");
}

#[test]
fn what_depends_on_a_secret_stays_on_this_machine() {
    let Some(shared) = Shared::new("secret") else {
        return;
    };
    let stage = "secret TOKEN\nstage t {\n    job with { inputs \"src/**\"; secrets TOKEN; run \"echo with >> ../ran; echo $TOKEN\" }\n    job without { inputs \"src/**\"; run \"echo without >> ../ran\" }\n}\n";
    let token = [("TOKEN", "can4ry-of-a-job")];
    let (one, other) = (shared.machine(stage), shared.machine(stage));
    let _ = one.run_with(&[], &token).exits(0);
    let asked = shared.proxy.requests();
    let records = |of: &[String]| of.iter().filter(|r| r.contains("/action/")).count();
    assert_eq!(records(&asked), 2, "one is asked for and sent: {asked:?}");
    let _ = other.run_with(&[], &token).exits(0);
    assert_eq!(other.ran(), ["with"]);
}

#[test]
fn no_secret_of_the_cache_is_seen_by_a_job_or_leaves_the_machine() {
    let Some(shared) = Shared::new("canaries") else {
        return;
    };
    let stage = "stage t {\n    job look {\n        inputs \"src/**\"\n        artifact env \"env\"\n        run \"env > env; env\"\n    }\n}\n";
    let one = shared.signing(stage);
    let out = one.run_with(&["--verbose"], &AMBIENT).exits(0);
    let seen = one.project.read("env") + &out.stdout + &out.stderr;
    let mut everything = seen;
    for name in shared.names() {
        let bytes = shared
            .server
            .get(&shared.bucket, &format!("pipe/v2/{name}"));
        everything += &String::from_utf8_lossy(&bytes);
    }
    for (name, value) in KEYS.into_iter().chain(AMBIENT) {
        assert!(!everything.contains(value), "{name}");
    }
    assert!(!one.project.read("env").contains("CACHE_"));
}

#[test]
fn a_cache_whose_secret_has_no_value_is_not_used() {
    let Some(shared) = Shared::new("no_value") else {
        return;
    };
    let one = shared.signing(STAGE);
    let at = format!("the remote cache s3://{}/pipe is not used", shared.bucket);
    let mut command = one.project.command(&["run"]);
    command.envs(KEYS).env_remove("CACHE_SIGN");
    let out = one.project.output(&mut command).exits(0);
    assert_eq!(
        out.stderr,
        format!(
            "warning: {at}: the secret CACHE_SIGN has no value: the variable CACHE_SIGN is not set\nhint: set it, for example from your CI's secret store: `CACHE_SIGN=… pipe run`; `--no-remote` says that it is not wanted\n"
        )
    );
    let short = one.run_with(&["--refresh"], &[("CACHE_SIGN", "fifteen letters")]);
    assert_eq!(
        short.exits(0).stderr,
        format!(
            "warning: {at}: the secret CACHE_SIGN has fewer than 16 bytes, and would sign nothing\nhint: take a long random one, for example from `openssl rand -hex 32`\n"
        )
    );
    assert_eq!(shared.proxy.requests(), [""; 0]);
}
