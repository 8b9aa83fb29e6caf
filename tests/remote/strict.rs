//! A server that checks who asks, one that can be checked, and one that lets nobody in.

use super::server::{BUCKET, Server, start};
use super::with::{SAID, STAGE, said, told};
use crate::support::{Output, Project};

fn project(address: &str, server: &Server) -> Project {
    let node = format!(
        "remote-cache \"s3://{BUCKET}/pipe\" endpoint=\"{address}:{}\" access-key=ID secret-key=KEY",
        server.port
    );
    let text = format!("pipeline app\nsecret ID\nsecret KEY\n{node}\n{STAGE}");
    Project::with(&text).file("src/text", "a text")
}

fn run(project: &Project, env: &[(&str, &str)]) -> Output {
    let out = project.pipe_env(&["run"], env).exits(0);
    assert_eq!(said(&out), SAID);
    out
}

fn ran(project: &Project) -> usize {
    crate::started::lines(project, "../ran").len()
}

#[test]
fn a_server_that_checks_signatures_takes_ours_and_no_wrong_one() {
    let Some((server, keys)) = start(&["checked"]) else {
        return;
    };
    let own = [("ID", keys[0].as_str()), ("KEY", keys[1].as_str())];
    let address = "http://127.0.0.1";
    let (one, other) = (project(address, &server), project(address, &server));
    assert_eq!(told(&run(&one, &own)), [""; 0]);
    assert_eq!(told(&run(&other, &own)), [""; 0]);
    assert_eq!(ran(&other), 0);
    let wrong = [own[0], ("KEY", "a-key-of-somebody-else")];
    let third = project(address, &server);
    let at = format!("the remote cache s3://{BUCKET}/pipe");
    assert_eq!(
        told(&run(&third, &wrong)),
        [
            format!("{at} cannot be read: 403 Forbidden (SignatureDoesNotMatch); the run goes on"),
            format!("2 results were not sent to {at}"),
        ]
    );
}

#[test]
fn a_server_that_takes_no_connection_is_left_after_three_seconds() {
    let Some((server, _)) = start(&["deaf"]) else {
        return;
    };
    let keys = [("ID", "some-access-key"), ("KEY", "some-secret-key")];
    let one = project("http://127.0.0.1", &server);
    let at = format!("the remote cache s3://{BUCKET}/pipe");
    assert_eq!(
        told(&run(&one, &keys)),
        [
            format!("{at} cannot be read: no connection within 3s; the run goes on"),
            format!("2 results were not sent to {at}"),
        ]
    );
}

#[test]
fn a_server_is_believed_only_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, _)) = start(&["tls", folder.path().to_str().unwrap()]) else {
        return;
    };
    let authority = folder.path().join("ca.pem");
    let keys = [("ID", "some-access-key"), ("KEY", "some-secret-key")];
    let known = [
        keys[0],
        keys[1],
        ("SSL_CERT_FILE", authority.to_str().unwrap()),
    ];
    let address = "https://localhost";
    let (one, other) = (project(address, &server), project(address, &server));
    assert_eq!(told(&run(&one, &known)), [""; 0]);
    assert_eq!(told(&run(&other, &known)), [""; 0]);
    assert_eq!(ran(&other), 0);
    let third = project(address, &server);
    let at = format!("the remote cache s3://{BUCKET}/pipe");
    assert_eq!(
        told(&run(&third, &keys)),
        [
            format!(
                "{at} cannot be read: invalid peer certificate: UnknownIssuer; the run goes on"
            ),
            format!("2 results were not sent to {at}"),
        ]
    );
    // A certificate is for a name.
    let fourth = project("https://127.0.0.1", &server);
    let said = told(&run(&fourth, &known));
    assert!(
        said[0].contains("invalid peer certificate: certificate not valid for name"),
        "{said:?}"
    );
}
