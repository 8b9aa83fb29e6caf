//! Containers beside a job: reachable by name, waited for, blamed.

use super::engines::{on_both, on_both_at_once};
use crate::started::stage;
use crate::support::Project;

fn with(services: &str, commands: &str) -> Project {
    Project::with(&stage(&format!(
        "job unit {{\n container \"localhost/box:1\"\n{services}\n{commands}\n}}"
    )))
}

#[test]
fn services_are_reached_by_name_when_they_are_ready() {
    on_both(|engine| {
        let project = with(
            r#"
            service web "localhost/web:1" {
                env GREETING="hello ${git.branch.default('nobody')}" SLOW="1"
                ready "http://web:8080/" body="hello" within="60s" every="100ms" stable-for="200ms"
            }
            service port "localhost/web:1" { ready tcp="port:8080" within="60s" every="100ms" }
            service file "localhost/web:1" { ready command="test -e /tmp/www/index.html" within="60s" every="100ms" }
            "#,
            "run \"wget -q -O - http://web:8080/; wget -q -O - http://port:8080/; wget -q -O - http://file:8080/\"",
        );
        let out = engine.pipe(&project, &["run"]).exits(0);
        let lines = out.stdout.lines().filter(|l| l.starts_with("unit | "));
        let mut lines: Vec<&str> = lines.skip(1).collect();
        lines[..3].sort_unstable();
        assert_eq!(
            lines,
            [
                "unit | service file is ready",
                "unit | service port is ready",
                "unit | service web is ready",
                "unit | hello nobody",
                "unit | ",
                "unit | ",
            ]
        );
        engine.has_nothing_of(&project);
    });
}

#[test]
fn a_service_that_never_becomes_ready_is_shown_with_its_log() {
    on_both(|engine| {
        let project = with(
            "service web \"localhost/web:1\" { ready \"http://web:8080/\" status=204 within=\"1s\" every=\"100ms\" }",
            "run \"touch ran\"",
        );
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert!(out.stdout.contains("web | serving"), "{}", out.stdout);
        let why = "service web was not ready within 1s: it answers 200 instead of 204";
        assert!(out.stdout.contains(why), "{}", out.stdout);
        assert!(!project.path("ran").exists());
        engine.has_nothing_of(&project);
    });
}

#[test]
fn a_service_that_ends_is_shown_with_its_log() {
    on_both_at_once(|engine| {
        let broken = "service web \"localhost/web:1\" { env BROKEN=\"1\"; ready tcp=\"web:8080\" within=\"60s\" every=\"100ms\" }";
        let project = with(broken, "run \"touch ran\"");
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert!(out.stdout.contains("web | serving"), "{}", out.stdout);
        let why = "service web ended with exit 7 before it was ready";
        assert!(out.stdout.contains(why), "{}", out.stdout);
        engine.has_nothing_of(&project);

        let later = "service web \"localhost/web:1\" { env SLOW=\"1\" BROKEN=\"1\" }";
        let project = with(later, "run \"sleep 2; exit 1\"");
        let out = engine.pipe(&project, &["run"]).exits(1);
        assert!(
            out.stdout.contains("service web has ended"),
            "{}",
            out.stdout
        );
        assert!(out.stdout.contains("web | serving"), "{}", out.stdout);
        engine.has_nothing_of(&project);
    });
}
