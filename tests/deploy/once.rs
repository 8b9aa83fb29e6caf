//! A whole life of a release, as a team would have it: two images are built once from one Dockerfile and pushed to a registry
//! that wants a login; staging and production are Compose projects with PostgreSQL and Redis behind SSH, and production
//! gets the bytes of staging when they have been healthy and somebody has agreed.

use super::host::{self, Ends, answers, container, containers, docker, with_databases};
use super::ssh::{Server, no_server};
use crate::containers::engines::Engine;
use crate::support::{Output, Project, skip, wait_until};

const DOCKERFILE: &str = r#"ARG APP_BASE
ARG MIGRATOR_BASE
FROM ${APP_BASE} AS app
COPY serve /bin/serve
CMD ["sh", "/bin/serve"]
FROM ${MIGRATOR_BASE} AS migrator
COPY migrate /bin/migrate
CMD ["sh", "/bin/migrate"]
"#;

/// Answers with its greeting and with the image that it was started from.
const SERVE: &str = r#"mkdir -p /tmp/www
echo "hello from $RELEASE" >/tmp/www/index.html
exec httpd -f -p 8080 -h /tmp/www
"#;

const MIGRATE: &str = r#"psql -h postgres -U postgres -v ON_ERROR_STOP=1 -qc "create table if not exists done(name text)" -c "insert into done values ('first')"
"#;

fn services() -> String {
    let databases = host::database_services();
    format!(
        r#"services:
{databases}  migrator:
    image: ${{MIGRATOR_IMAGE}}
    profiles: [tools]
  app:
    image: ${{APP_IMAGE}}
    env_file: .env.production
    environment: {{ RELEASE: "${{APP_IMAGE}}" }}
    stop_grace_period: 1s
    ports: ["127.0.0.1:${{HOST_PORT}}:8080"]
volumes:
  data:
"#
    )
}

/// A place on the host, with the settings that live there.
fn target(name: &str, head: &str, server: &Server, folder: &std::path::Path, port: u16) -> String {
    let dir = folder.join(name);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(".env.production"), "RATE_LIMIT_BACKEND=redis\n").unwrap();
    format!(
        r#"target {name} {head} {{
    ssh "root@127.0.0.1:{ssh}" key=HOST_KEY known-hosts="known_hosts"
    assert-env RATE_LIMIT_BACKEND=redis
    compose "docker-compose.prod.yml" dir="{dir}" {{
        copy "tooling/deploy"
        env-file ".env.production"
        env APP_IMAGE="${{image.app}}" MIGRATOR_IMAGE="${{image.migrator}}" HOST_PORT="{port}"
        up postgres redis
        run migrator
        up app
    }}
    ready "http://127.0.0.1:{port}/" version="${{image.app}}" within="20s" every="200ms"
}}
"#,
        ssh = server.port,
        dir = dir.display(),
    )
}

fn pipeline(server: &Server, folder: &std::path::Path) -> String {
    let staging = target("staging", "", server, folder, 8421);
    let production = target("production", "protected=#true", server, folder, 8422);
    format!(
        r#"pipeline once {{
    pass-env DOCKER_HOST DOCKER_CONFIG
}}
secret HOST_KEY
registry store "127.0.0.1:5000/team" immutable=#true
{staging}{production}
promotion to-production from=staging to=production {{
    images app migrator
    require healthy for="1s"
    require approval by=ops
}}
stage validate {{
    job guardrails {{ run "grep -q RATE_LIMIT_BACKEND pipeline.kdl" }}
    job unit {{ run "sh -n serve && sh -n migrate" }}
}}
stage release {{
    build app dockerfile="Dockerfile.prod" target=app {{ args APP_BASE="localhost/box:1" MIGRATOR_BASE="localhost/postgres:15" }}
    build migrator dockerfile="Dockerfile.prod" target=migrator {{ args APP_BASE="localhost/box:1" MIGRATOR_BASE="localhost/postgres:15" }}
    push app migrator to=store tag="sha-${{git.sha}}"
}}
stage staging {{ deploy app migrator to=staging }}
stage production {{ when event=manual; promote to-production }}
"#
    )
}

/// The digest with which the image of a service runs there.
fn runs(project: &str) -> String {
    let id = container(project, "app").unwrap();
    let image = docker(&["inspect", "--format", "{{.Config.Image}}", &id]);
    image.rsplit_once('@').unwrap().1.to_owned()
}

fn migrations(project: &str) -> String {
    let id = container(project, "postgres").unwrap();
    let ask = "psql -h 127.0.0.1 -U postgres -Atc 'select count(*) from done'";
    docker(&["exec", &id, "sh", "-c", ask])
}

#[test]
fn what_is_built_once_and_healthy_in_staging_is_what_production_gets_when_somebody_agrees() {
    if let Some(why) = no_server() {
        return skip(why);
    }
    with_databases(|| {
        let _ends = (Ends("once-staging"), Ends("once-production"));
        let server = Server::on_host(&host::env());
        let folder = tempfile::Builder::new()
            .prefix("pipe-test-host-")
            .tempdir()
            .unwrap();
        let project = Project::with(&pipeline(&server, folder.path()))
            .file("docker-compose.prod.yml", &services())
            .file("Dockerfile.prod", DOCKERFILE)
            .file("serve", SERVE)
            .file("migrate", MIGRATE)
            .file("tooling/deploy/notes", "for the host\n")
            .git();
        project.write("known_hosts", &server.known("host"));
        let pipe = |args: &[&str]| -> Output {
            let mut command = host::command(&project, args);
            // The distribution's Docker, which builds.
            let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap());
            command.envs(host::env()).env("PATH", path);
            project.output(command.env("HOST_KEY", server.key("user")))
        };
        let commit = |from: &str, to: &str| {
            project.write("serve", &project.read("serve").replace(from, to));
            project.run_git(&["commit", "-qam", to]);
        };
        let sha = || project.run_git(&["rev-parse", "HEAD"]).trim().to_owned();

        // One run: tested, built, pushed, deployed. Then somebody has to agree, and it has to have been healthy.
        let ship = ["run", "staging", "--yes"];
        let promote = || {
            wait_until("all that is missing is that somebody agrees", || {
                pipe(&["promote", "to-production", "--yes"]).code == Some(4)
            });
            let _ = pipe(&["approve", "to-production", "--yes"]).exits(0);
            let _ = pipe(&["promote", "to-production", "--yes"]).exits(0);
        };
        let _ = pipe(&ship).exits(0);
        let one = answers(8421);
        assert!(
            one.starts_with("hello from 127.0.0.1:5000/team/app@sha256:"),
            "{one}"
        );
        assert_eq!(container("once-production", "app"), None);
        promote();
        assert_eq!(answers(8422), one);
        assert_eq!(runs("once-production"), runs("once-staging"));
        // The registry says the same, asked by another program.
        let tagged = format!("docker://127.0.0.1:5000/team/app:sha-{}", sha());
        let auth = host::config().join("config.json").display().to_string();
        let told = Engine::within("skopeo")
            .args([
                "inspect",
                "--tls-verify=false",
                "--authfile",
                &auth,
                "--format",
                "{{.Digest}}",
                &tagged,
            ])
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&told.stdout).trim(),
            runs("once-production"),
            "{told:?}"
        );
        assert_eq!(
            std::fs::read_to_string(folder.path().join("production/tooling/deploy/notes")).unwrap(),
            "for the host\n"
        );

        // A release that is never ready does not get beyond staging, and staging is what it was.
        commit("exec httpd", "exit 7 # exec httpd");
        let bad = pipe(&ship).exits(6);
        assert!(
            bad.stdout.contains("app ended with exit 7"),
            "{}",
            bad.stdout
        );
        assert_eq!([answers(8421), answers(8422)], [one.clone(), one.clone()]);

        // The next good one, and then production goes back by hand: with the old bytes, and without the migration.
        commit("exit 7 # exec httpd", "exec httpd");
        commit("hello", "welcome");
        let _ = pipe(&ship).exits(0);
        promote();
        let two = answers(8422);
        assert!(two.starts_with("welcome from "), "{two}");
        let databases = |list: Vec<String>| -> Vec<String> {
            list.into_iter()
                .filter(|c| !c.starts_with("app "))
                .collect()
        };
        let before = (
            databases(containers("once-production")),
            migrations("once-production"),
        );
        let _ = pipe(&["rollback", "production", "--yes"]).exits(0);
        assert_eq!([answers(8421), answers(8422)], [two, one]);
        let after = (
            databases(containers("once-production")),
            migrations("once-production"),
        );
        assert_eq!(after, before);
        let _ = pipe(&["targets", "--drift"]).exits(0);
    });
}
