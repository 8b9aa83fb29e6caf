//! `remote-cache`: what it means, and what is said where it cannot be used.

use dsl::render::{self, Style};
use dsl::units::{Server, server};
use dsl::{Files, Loaded};

struct Common;

impl Files for Common {
    fn read(&self, path: &str) -> Result<String, String> {
        match path {
            "common.kdl" => Ok("remote-cache \"s3://elsewhere\"\n".into()),
            _ => Err("there is no such file".into()),
        }
    }
}

fn load(node: &str) -> Loaded {
    let text = format!(
        "pipeline app\nsecret ID\nsecret KEY\nsecret SIGN\n{node}\nstage test {{\n    job unit {{ secrets ID KEY SIGN; run \"make\" }}\n}}\n"
    );
    dsl::load(&Common, "pipeline.kdl", text)
}

/// The findings as people see them.
fn said(node: &str) -> String {
    let loaded = load(node);
    let style = Style {
        color: false,
        links: false,
        width: 100,
        unicode: true,
    };
    let text = render::human(&loaded.diagnostics, &loaded.sources, &style);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[test]
fn an_address_is_a_bucket_and_a_prefix() {
    let place = |node: &str| {
        let loaded = load(node);
        assert_eq!(loaded.diagnostics.len(), 0, "{:?}", loaded.diagnostics);
        let remote = loaded
            .pipeline
            .remote_cache
            .clone()
            .expect("a test's own data");
        (
            remote.bucket.clone(),
            remote.prefix.clone(),
            remote.address(),
        )
    };
    let is = |bucket: &str, prefix: &str, address: &str| {
        (bucket.to_owned(), prefix.to_owned(), address.to_owned())
    };
    assert_eq!(
        place("remote-cache \"s3://acme-ci\""),
        is("acme-ci", "", "s3://acme-ci")
    );
    assert_eq!(
        place("remote-cache \"s3://acme-ci/\""),
        is("acme-ci", "", "s3://acme-ci")
    );
    assert_eq!(
        place("remote-cache \"s3://acme.ci-1/pipe/web_app/\""),
        is("acme.ci-1", "pipe/web_app", "s3://acme.ci-1/pipe/web_app")
    );
}

#[test]
fn what_is_not_written_is_left_to_the_environment() {
    let all = load(
        "remote-cache \"s3://acme-ci\" endpoint=\"https://s3.example.com:9000/\" region=eu access-key=ID secret-key=KEY sign=SIGN",
    );
    let all = all
        .pipeline
        .remote_cache
        .clone()
        .expect("a test's own data");
    let named: Vec<&str> = all.secrets().map(|s| s.value.as_str()).collect();
    assert_eq!(named, ["ID", "KEY", "SIGN"]);
    let endpoint = all.endpoint.map(|e| e.value);
    assert_eq!(endpoint.as_deref(), Some("https://s3.example.com:9000"));
    assert_eq!(all.region.as_deref(), Some("eu"));
    let none = load("remote-cache \"s3://acme-ci\"")
        .pipeline
        .remote_cache
        .clone();
    let none = none.expect("a test's own data");
    assert_eq!(none.secrets().count(), 0);
    assert_eq!((none.endpoint, none.region), (None, None));
}

#[test]
fn a_secret_that_only_the_cache_has_is_used() {
    let text = "pipeline app\nsecret SIGN\nremote-cache \"s3://acme-ci\" sign=SIGN\nstage test {\n    job unit { run \"make\" }\n}\n";
    let loaded = dsl::load(&Common, "pipeline.kdl", text.to_owned());
    assert_eq!(loaded.diagnostics.len(), 0, "{:?}", loaded.diagnostics);
    let steps = &loaded.pipeline.steps;
    let secrets = steps
        .iter()
        .filter_map(|s| s.job())
        .flat_map(|j| &j.secrets);
    assert_eq!(secrets.count(), 0);
}

#[test]
fn a_server_is_read_and_only_this_machine_may_be_plain() {
    let is = |secure, here| Ok(Server { secure, here });
    for (text, wanted) in [
        ("https://s3.example.com", is(true, false)),
        ("https://s3.example.com:443", is(true, false)),
        ("http://127.0.0.1:9000", is(false, true)),
        ("http://127.8.0.1", is(false, true)),
        ("http://localhost:9000", is(false, true)),
        ("http://[::1]:9000", is(false, true)),
        ("http://[::1]", is(false, true)),
        ("http://localhost.example.com", is(false, false)),
        ("http://127.0.0.1.example.com", is(false, false)),
        ("http://10.0.0.1:9000", is(false, false)),
    ] {
        assert_eq!(server(text), wanted, "{text}");
    }
    for text in [
        "s3.example.com",
        "ftp://s3.example.com",
        "https://",
        "https://:9000",
        "https://host:",
        "https://host:0",
        "https://host:+1",
        "https://host:65536",
        "https://host:9000/path",
        "https://host?x",
        "https://user@host",
        "https://[127.0.0.1]",
        "https://[::1",
        "https://[::1]9000",
        "https://::1",
        "https://ho st",
        "HTTPS://host",
    ] {
        assert!(server(text).is_err(), "{text}");
    }
}

#[test]
fn an_address_of_the_web_is_no_bucket() {
    insta::assert_snapshot!(said("remote-cache \"https://s3.example.com/ci\""), @r#"
    E703

      × `https://s3.example.com/ci` is no address of a bucket
       ╭─[pipeline.kdl:5:14]
     4 │ secret SIGN
     5 │ remote-cache "https://s3.example.com/ci"
       ·              ─────────────┬─────────────
       ·                           ╰── expected `s3://BUCKET/PREFIX`
     6 │ stage test {
       ╰────
      help: it begins with `s3://`; the server is said with `endpoint=`

    1 error in pipeline.kdl
    `pipe explain E703` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache \"acme-ci\""), @r#"
    E703

      × `acme-ci` is no address of a bucket
       ╭─[pipeline.kdl:5:14]
     4 │ secret SIGN
     5 │ remote-cache "acme-ci"
       ·              ────┬────
       ·                  ╰── expected `s3://BUCKET/PREFIX`
     6 │ stage test {
       ╰────
      help: write `"s3://acme-ci"`

    1 error in pipeline.kdl
    `pipe explain E703` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci/../other\""), @r#"
    E703

      × `s3://acme-ci/../other` is no address of a bucket
       ╭─[pipeline.kdl:5:14]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci/../other"
       ·              ───────────┬───────────
       ·                         ╰── expected `s3://BUCKET/PREFIX`
     6 │ stage test {
       ╰────
      help: no part between two `/` is empty, `.` or `..`

    1 error in pipeline.kdl
    `pipe explain E703` tells more about a code
    "#);
}

#[test]
fn a_server_has_no_path_and_no_password() {
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" endpoint=\"https://host/ci\""), @r#"
    E703

      × `https://host/ci` is no address of a server
       ╭─[pipeline.kdl:5:38]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" endpoint="https://host/ci"
       ·                                      ────────┬────────
       ·                                              ╰── expected `https://HOST` or `https://HOST:PORT`
     6 │ stage test {
       ╰────
      help: it ends with the host or the port; what follows belongs to `s3://…`

    1 error in pipeline.kdl
    `pipe explain E703` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" endpoint=\"https://me:secret@host\""), @r#"
    E703

      × `https://me:secret@host` is no address of a server
       ╭─[pipeline.kdl:5:38]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" endpoint="https://me:secret@host"
       ·                                      ────────────┬───────────
       ·                                                  ╰─┤ expected `https://HOST` or
       ·                                                    │ `https://HOST:PORT`
     6 │ stage test {
       ╰────
      help: no user and no password stand here; name secrets

    1 error in pipeline.kdl
    `pipe explain E703` tells more about a code
    "#);
}

#[test]
fn plain_http_goes_to_another_machine_only_where_the_file_says_so() {
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" endpoint=\"http://minio.lan:9000\""), @r#"
    E704

      × results would go over the network as they are
       ╭─[pipeline.kdl:5:38]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" endpoint="http://minio.lan:9000"
       ·                                      ───────────┬───────────
       ·                                                 ╰── `http` to another machine
     6 │ stage test {
       ╰────
      help: write `https://`, or add `plain-http=#true` where everybody on the way may read and change
            them

    1 error in pipeline.kdl
    `pipe explain E704` tells more about a code
    "#);
    let allowed =
        "remote-cache \"s3://acme-ci\" endpoint=\"http://minio.lan:9000\" plain-http=#true";
    assert_eq!(said(allowed), "");
    assert_eq!(
        said("remote-cache \"s3://acme-ci\" endpoint=\"http://localhost:9000\""),
        ""
    );
}

#[test]
fn half_of_the_credentials_is_told_once() {
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" access-key=ID"), @r#"
    E705

      × `access-key=` is half of the credentials
       ╭─[pipeline.kdl:5:29]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" access-key=ID
       ·                             ─────┬────
       ·                                  ╰── `secret-key=` is missing
     6 │ stage test {
       ╰────
      help: add `secret-key=SECRET`, the name of the secret that has it

    1 error in pipeline.kdl
    `pipe explain E705` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" secret-key=NONE"), @r#"
    E705

      × `secret-key=` is half of the credentials
       ╭─[pipeline.kdl:5:29]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" secret-key=NONE
       ·                             ─────┬────
       ·                                  ╰── `access-key=` is missing
     6 │ stage test {
       ╰────
      help: add `access-key=SECRET`; both name secrets

    E301

      × there is no secret named `NONE`
       ╭─[pipeline.kdl:5:40]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" secret-key=NONE
       ·                                        ──┬─
       ·                                          ╰── not declared
     6 │ stage test {
       ╰────
      help: there is `ID`, `KEY` and `SIGN`; declare it at the top of the file: `secret NONE`

    2 errors in pipeline.kdl
    `pipe explain E705` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" access-key=IDD secret-key=KEY"), @r#"
    E301

      × there is no secret named `IDD`
       ╭─[pipeline.kdl:5:40]
     1 │ pipeline app
     2 │ secret ID
       ·        ─┬
       ·         ╰── `ID` is declared here
     3 │ secret KEY
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" access-key=IDD secret-key=KEY
       ·                                        ─┬─
       ·                                         ╰── not declared
     6 │ stage test {
       ╰────
      help: did you mean `ID`?

    1 error in pipeline.kdl
    `pipe explain E301` tells more about a code
    "#);
}

#[test]
fn it_stands_once_in_the_root_file() {
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\"\nremote-cache \"s3://other\""), @r#"
    E207

      × `remote-cache` is written twice
       ╭─[pipeline.kdl:6:1]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci"
       · ──────┬─────
       ·       ╰── the first one
     6 │ remote-cache "s3://other"
       · ──────┬─────
       ·       ╰── the second one
     7 │ stage test {
       ╰────
      help: a pipeline has one: keep one of them

    1 error in pipeline.kdl
    `pipe explain E207` tells more about a code
    "#);
    insta::assert_snapshot!(said("include \"common.kdl\""), @r#"
    E310

      × `remote-cache` cannot stand in this file
       ╭─[common.kdl:1:1]
     1 │ remote-cache "s3://elsewhere"
       · ──────┬─────
       ·       ╰── in an included file
       ╰────
      help: `remote-cache` stands once, in the root file

    1 error in common.kdl
    `pipe explain E310` tells more about a code
    "#);
    insta::assert_snapshot!(said("remote-cache"), @"
    E203

      × `remote-cache` wants an argument: its address
       ╭─[pipeline.kdl:5:1]
     4 │ secret SIGN
     5 │ remote-cache
       · ──────┬─────
       ·       ╰── the address is missing
     6 │ stage test {
       ╰────
      help: write `remote-cache <address> [endpoint=…] [region=…] [access-key=…] [secret-key=…]
            [sign=…] [plain-http=…]`

    1 error in pipeline.kdl
    `pipe explain E203` tells more about a code
    ");
    insta::assert_snapshot!(said("remote-cache \"s3://acme-ci\" key=ID"), @r#"
    E202

      × `remote-cache` has no property `key`
       ╭─[pipeline.kdl:5:29]
     4 │ secret SIGN
     5 │ remote-cache "s3://acme-ci" key=ID
       ·                             ─┬─
       ·                              ╰── unknown property
     6 │ stage test {
       ╰────
      help: its properties are `endpoint`, `region`, `access-key`, `secret-key`, `sign` and `plain-
            http`

    1 error in pipeline.kdl
    `pipe explain E202` tells more about a code
    "#);
}
