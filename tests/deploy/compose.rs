//! Targets with Compose on real Docker: PostgreSQL and Redis beside the application, migrations that count themselves,
//! images by digest from a registry that wants a login, and somebody who asks all the time.

use rustix::process::Signal;

use super::host::{
    self, Ends, answers, app, begin, container, containers, docker, migrator, on_host, redis,
    with_databases,
};
use crate::support::{Output, Project, wait_until};

/// The services of a shop. The migration writes its name into a table; it can fail, and it can take its time.
fn services() -> String {
    let (databases, redis) = (host::database_services(), redis());
    let migrate = "[ $$MIGRATION != bad ] || { echo the schema does not fit >&2; exit 3; }; [ ! -e /wait/please ] || sleep 4; psql -h postgres -U postgres -v ON_ERROR_STOP=1 -qc 'create table if not exists done(name text)' -c \"insert into done values ('$$MIGRATION')\"";
    format!(
        r#"services:
{databases}  migrator:
    image: ${{MIGRATOR_IMAGE}}
    profiles: [tools]
    volumes: ["./wait:/wait"]
    command: ["sh", "-c", {migrate:?}]
  app:
    image: ${{APP_IMAGE}}
    env_file: host.env
    stop_grace_period: 1s
    ports: ["127.0.0.1:${{PORT}}:8080"]
    depends_on:
      postgres: {{ condition: service_healthy }}
      migrator: {{ condition: service_completed_successfully }}
  untouched:
    image: {redis}
volumes:
  data:
"#
    )
}

/// A shop with databases.
fn shop(name: &str, port: u16) -> Project {
    let text = format!(
        r#"pipeline {name} {{
    pass-env DOCKER_HOST DOCKER_CONFIG
}}
param app
param migrator default=""
param says
target live {{
    assert-env RATE_LIMIT=redis
    compose "compose.yml" {{
        env-file "host.env"
        env APP_IMAGE="${{image.app}}" MIGRATOR_IMAGE="${{image.migrator}}" PORT="{port}"
        up postgres redis
        run migrator
        up app
    }}
    ready "http://127.0.0.1:{port}/" body="${{param.says}}" within="10s" every="200ms"
}}
stage ship {{
    deploy app migrator to=live {{
        digest app="${{param.app}}" migrator="${{param.migrator}}"
    }}
}}
"#
    );
    let project = Project::with(&text).file("compose.yml", &services());
    project.write("host.env", "RATE_LIMIT=redis\n");
    project.write("wait/not", "");
    project.git()
}

fn deploy(project: &Project, app: &str, migrator: &str, says: &str) -> Output {
    let params = [
        format!("app={app}"),
        format!("migrator={migrator}"),
        format!("says={says}"),
    ];
    let mut args = vec!["run", "deploy-live", "--yes"];
    args.extend(params.iter().flat_map(|p| ["--param", p.as_str()]));
    host::pipe(project, &args)
}

/// Which migrations have run, in order.
fn migrations(project: &str) -> Vec<String> {
    let database = container(project, "postgres").unwrap();
    let ask = [
        "exec",
        &database,
        "psql",
        "-h",
        "127.0.0.1",
        "-U",
        "postgres",
        "-Atc",
    ];
    let rows = docker(&[&ask[..], &["select name from done"]].concat());
    rows.lines().map(str::to_owned).collect()
}

#[test]
fn releases_come_and_go_and_each_migration_runs_once() {
    with_databases(|| {
        let name = "shop-live";
        let _ends = Ends(name);
        let project = shop("shop", 8401);
        let (one, two) = (migrator("one"), migrator("two"));
        let good = app("GREETING=hello-1");
        let out = deploy(&project, &good, &one, "hello-1").exits(0);
        assert_eq!(answers(8401), "hello-1", "{out:?}");
        assert_eq!(migrations(name), ["one"]);
        let services: Vec<String> = containers(name);
        let words = services.iter().map(|c| c.split(' ').next().unwrap());
        assert_eq!(words.collect::<Vec<_>>(), ["app", "postgres", "redis"]);

        // The same once more changes nothing.
        let out = deploy(&project, &good, &one, "hello-1").exits(0);
        assert!(out.stdout.contains("runs there already"), "{}", out.stdout);
        assert_eq!(containers(name), services);

        // One that starts and is never ready: back, and its migration is not run again, whatever is tried.
        let client = host::asking(8401);
        let wrong = app("GREETING=sorry");
        let out = deploy(&project, &wrong, &two, "hello-2").exits(6);
        assert!(out.stdout.contains("; rolled back to "), "{}", out.stdout);
        assert_eq!(answers(8401), "hello-1");
        assert_eq!(migrations(name), ["one", "two"]);
        let seen = client.saw();
        assert_eq!(seen.first().map(String::as_str), Some("hello-1"));
        assert_eq!(seen.last().map(String::as_str), Some("hello-1"));
        assert!(seen.contains(&"sorry".to_owned()), "{seen:?}");
        let out = deploy(&project, &wrong, &two, "hello-2").exits(6);
        let line = "migrator has run for";
        assert!(out.stdout.contains(line), "{}", out.stdout);
        assert_eq!(migrations(name), ["one", "two"]);

        // One that ends at once: back to the last healthy one, not to the one before.
        let out = deploy(&project, &app("BROKEN=1"), &two, "hello-3").exits(6);
        assert!(
            out.stdout.contains("failed: app ended with exit 7")
                || out.stdout.contains("failed: app ends with exit 7"),
            "{}",
            out.stdout
        );
        assert_eq!(answers(8401), "hello-1");
        assert_eq!(migrations(name), ["one", "two", "two"]);

        // A migration that fails: the application is never touched.
        let before = containers(name);
        let client = host::asking(8401);
        let next = app("GREETING=hello-4");
        let out = deploy(&project, &next, &migrator("bad"), "hello-4").exits(6);
        let line = "failed: migrator ended with exit 3: the schema does not fit";
        assert!(out.stdout.contains(line), "{}", out.stdout);
        assert_eq!(client.saw(), ["hello-1"]);
        assert_eq!(containers(name), before);
        assert_eq!(migrations(name), ["one", "two", "two"]);

        // A good one, and back by hand: the data are those of all of them.
        let _ = deploy(&project, &next, &two, "hello-4").exits(0);
        assert_eq!(answers(8401), "hello-4");
        let params = ["--param", "app=x", "--param", "says=x"];
        let _ = host::pipe(
            &project,
            &[&["rollback", "live", "--yes"], &params[..]].concat(),
        )
        .exits(0);
        assert_eq!(answers(8401), "hello-1");
        assert_eq!(migrations(name), ["one", "two", "two", "two"]);
        let databases = |list: &[String]| -> Vec<String> {
            list.iter()
                .filter(|c| !c.starts_with("app "))
                .cloned()
                .collect()
        };
        assert_eq!(databases(&containers(name)), databases(&services));
        let _ = docker(&["volume", "rm", "-f", "shop-live_data"]);
    });
}

#[test]
fn killed_while_a_migration_runs_the_next_deployment_waits_for_it_and_runs_it_no_second_time() {
    with_databases(|| {
        let name = "killed-live";
        let _ends = Ends(name);
        let project = shop("killed", 8402);
        project.write("wait/please", "");
        let (good, one) = (app("GREETING=hello-1"), migrator("one"));
        let params = [
            format!("app={good}"),
            format!("migrator={one}"),
            "says=hello-1".to_owned(),
        ];
        let mut args = vec!["run", "deploy-live", "--yes"];
        args.extend(params.iter().flat_map(|p| ["--param", p.as_str()]));
        let run = begin(&project, &args);
        wait_until("it migrates", || {
            container(name, "migrator").is_some_and(|id| {
                docker(&["inspect", "--format", "{{.State.Running}}", &id]) == "true"
            })
        });
        rustix::process::kill_process(run.engine(), Signal::KILL).unwrap();
        let _ = run.end();
        let told = host::pipe(&project, &["targets", "live"]);
        assert!(told.stdout.contains("unknown"), "{}", told.stdout);
        let out = deploy(&project, &good, &one, "hello-1").exits(0);
        assert_eq!(answers(8402), "hello-1", "{}", out.stdout);
        // What still ran when it was settled was stopped before it wrote anything, or had done it.
        assert_eq!(migrations(name), ["one"], "{}", out.stdout);
        let _ = docker(&["volume", "rm", "-f", "killed-live_data"]);
    });
}

/// A target that is the web server alone.
fn alone(name: &str, port: u16, ready: &str) -> Project {
    let text = format!(
        r#"pipeline {name} {{
    pass-env DOCKER_HOST DOCKER_CONFIG
}}
param app
target live {{
    compose "compose.yml" {{
        env APP_IMAGE="${{image.app}}"
        up app
    }}
    ready {ready} within="10s" every="200ms"
}}
stage ship {{
    deploy app to=live {{ digest app="${{param.app}}" }}
}}
"#
    );
    let compose = format!(
        r#"services:
  app:
    image: ${{APP_IMAGE}}
    stop_grace_period: 1s
    ports: ["127.0.0.1:{port}:8080"]
  untouched:
    image: ${{APP_IMAGE-none}}
"#
    );
    let project = Project::with(&text).file("compose.yml", &compose);
    project.git()
}

fn ship(project: &Project, app: &str) -> Output {
    let param = format!("app={app}");
    host::pipe(project, &["run", "deploy-live", "--yes", "--param", &param])
}

/// Somebody who calls Compose by hand.
fn by_hand(project: &Project, name: &str, app: &str, args: &[&str]) -> String {
    let config = host::config().display().to_string();
    let file = project.path("compose.yml").display().to_string();
    let out = std::process::Command::new("docker")
        .args(["--config", &config, "compose", "-p", name, "-f", &file])
        .args(args)
        .env("DOCKER_HOST", &host::env()[0].1)
        .env("APP_IMAGE", app)
        .output()
        .unwrap();
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

fn drift(project: &Project) -> String {
    host::pipe(project, &["targets", "live", "--drift"]).stdout
}

#[test]
fn what_somebody_changes_by_hand_is_seen_and_put_right_by_the_next_deployment() {
    on_host(|| {
        let name = "hand-live";
        let _ends = Ends(name);
        let project = alone("hand", 8403, "\"http://127.0.0.1:8403/\" body=\"hello\"");
        let (one, two) = (app("GREETING=hello-1"), app("GREETING=hello-2"));
        let _ = ship(&project, &one).exits(0);
        let said = drift(&project);
        assert!(!said.contains("differs"), "{said}");
        let _ = by_hand(&project, name, &two, &["up", "-d", "app"]);
        assert_eq!(answers(8403), "hello-2");
        let other = two.split_once('@').unwrap().1;
        let said = drift(&project);
        assert!(
            said.contains(&format!("app runs {}", &other[..19])),
            "{said}"
        );
        let _ = ship(&project, &one).exits(0);
        assert_eq!(answers(8403), "hello-1");
        let _ = by_hand(&project, name, &one, &["stop", "app"]);
        let said = drift(&project);
        assert!(said.contains("the service app ended with exit"), "{said}");
        let _ = ship(&project, &one).exits(0);
        assert_eq!(answers(8403), "hello-1");
        // The image is the right one, and its settings are not.
        let text = project
            .read("compose.yml")
            .replace("stop_grace_period: 1s", "stop_grace_period: 2s");
        project.write("compose.yml", &text);
        let out = ship(&project, &one).exits(0);
        assert!(!out.stdout.contains("runs there already"), "{}", out.stdout);
        let out = ship(&project, &one).exits(0);
        assert!(out.stdout.contains("runs there already"), "{}", out.stdout);
    });
}

#[test]
fn a_platform_that_goes_back_by_itself_and_is_healthy_is_no_success() {
    on_host(|| {
        let name = "itself-live";
        let _ends = Ends(name);
        let project = alone("itself", 8404, "command=\"sh ready.sh\"");
        // As a controller would that finds the new release wanting: the old one is put back, and is well.
        project.write(
            "ready.sh",
            "[ -e meddle ] || exit 0\nexport APP_IMAGE=$(cat meddle); rm meddle\nexec docker compose -p itself-live up -d --wait app\n",
        );
        let (one, two) = (app("GREETING=hello-1"), app("GREETING=hello-2"));
        let _ = ship(&project, &one).exits(0);
        project.write("meddle", &one);
        let out = ship(&project, &two).exits(6);
        let digest = one.split_once('@').unwrap().1;
        let line = format!(
            "failed: what runs is not what was asked for: app runs {}",
            &digest[..19]
        );
        assert!(out.stdout.contains(&line), "{}", out.stdout);
        assert_eq!(answers(8404), "hello-1");
    });
}

#[test]
fn two_targets_on_one_host_are_two() {
    on_host(|| {
        let _ends = (Ends("pair-left"), Ends("pair-right"));
        let target = |name: &str, port: u16| {
            format!(
                "target {name} {{\n    compose \"compose.yml\" {{\n        env APP_IMAGE=\"${{image.app}}\" PORT=\"{port}\"\n        up app\n    }}\n    ready \"http://127.0.0.1:{port}/\" within=\"10s\" every=\"200ms\"\n}}\n"
            )
        };
        let deploy =
            |name: &str| format!("    deploy app to={name} {{ digest app=\"${{param.app}}\" }}\n");
        let text = format!(
            "pipeline pair {{\n    pass-env DOCKER_HOST DOCKER_CONFIG\n}}\nparam app\n{}{}stage ship {{\n{}{}}}\n",
            target("left", 8405),
            target("right", 8406),
            deploy("left"),
            deploy("right"),
        );
        let compose = "services:\n  app:\n    image: ${APP_IMAGE}\n    stop_grace_period: 1s\n    ports: [\"127.0.0.1:${PORT}:8080\"]\n";
        let project = Project::with(&text).file("compose.yml", compose).git();
        let ship = |target: &str, app: &str| {
            let (step, param) = (format!("deploy-{target}"), format!("app={app}"));
            host::pipe(&project, &["run", &step, "--yes", "--param", &param])
        };
        let _ = ship("left", &app("GREETING=hello-1")).exits(0);
        let left = containers("pair-left");
        let _ = ship("right", &app("GREETING=hello-2")).exits(0);
        assert_eq!(
            (answers(8405), answers(8406)),
            ("hello-1".into(), "hello-2".into())
        );
        // The first one on the right that fails leaves nothing there, and the left one alone.
        let _ = ship("right", &app("BROKEN=1")).exits(6);
        assert_eq!(answers(8406), "hello-2");
        assert_eq!(containers("pair-left"), left);
    });
}

#[test]
fn a_first_release_that_fails_leaves_nothing_but_what_the_target_does_not_name() {
    on_host(|| {
        let name = "first-live";
        let _ends = Ends(name);
        let project = alone("first", 8407, "\"http://127.0.0.1:8407/\" body=\"hello\"");
        let bad = app("BROKEN=1");
        let _ = ship(&project, &bad).exits(6);
        assert_eq!(containers(name), Vec::<String>::new());
        let _ = by_hand(
            &project,
            name,
            &app("GREETING=mine"),
            &["up", "-d", "untouched"],
        );
        let mine = containers(name);
        assert_eq!(mine.len(), 1);
        let _ = ship(&project, &bad).exits(6);
        assert_eq!(containers(name), mine);
        let _ = ship(&project, &app("GREETING=hello-1")).exits(0);
        assert_eq!(container(name, "untouched"), container(name, "untouched"));
        assert!(containers(name).contains(&mine[0]));
    });
}

/// What a run says of its failure: the line and the hint.
fn complaint(out: &Output) -> String {
    let whole = out
        .stdout
        .split("── it wrote")
        .nth(1)
        .or_else(|| out.stdout.split("── deploy-live ").nth(1));
    let lines = whole.unwrap_or(&out.stdout).lines();
    let lines = lines.filter(|l| !l.contains("──") && !l.is_empty());
    let lines = lines.take_while(|l| !l.contains(" of 1 step in "));
    lines
        .map(|l| l.trim().split("   defined at").next().unwrap().to_owned() + "\n")
        .collect()
}

#[test]
fn what_is_wrong_with_the_files_is_said_before_anything_changes() {
    on_host(|| {
        let name = "wrong-live";
        let _ends = Ends(name);
        let good = app("GREETING=hello-1");
        let project = alone("wrong", 8408, "\"http://127.0.0.1:8408/\"");
        let gone = "  gone:\n    image: 127.0.0.1:5000/team/gone:1\n";
        let compose = project.read("compose.yml") + gone;
        project.write("compose.yml", &compose);
        let pipeline = project.read("pipeline.kdl");
        let mut said = Vec::new();
        let mut try_it = |what: &str, code: i32, file: &str, from: &str, to: &str| {
            let text = if file == "compose.yml" {
                &compose
            } else {
                &pipeline
            };
            assert!(text.contains(from), "{what}");
            project.write(file, &text.replacen(from, to, 1));
            let out = ship(&project, &good).exits(code);
            said.push(format!(
                "# {what}\n{}",
                complaint(&out).replace(&good, "[app]")
            ));
            project.write("compose.yml", &compose);
            project.write("pipeline.kdl", &pipeline);
        };
        try_it("no YAML", 1, "compose.yml", "services:", "services: [");
        try_it(
            "a service that is not there",
            1,
            "pipeline.kdl",
            "up app",
            "up ap",
        );
        try_it(
            "a variable that is not set",
            1,
            "pipeline.kdl",
            "env APP_IMAGE",
            "env AP_IMAGE",
        );
        try_it(
            "a tag",
            1,
            "compose.yml",
            "image: ${APP_IMAGE}",
            "image: 127.0.0.1:5000/team/app:latest",
        );
        try_it(
            "an image that cannot be had",
            1,
            "pipeline.kdl",
            "up app",
            "up app gone",
        );
        try_it(
            "an env-file that is not there",
            1,
            "pipeline.kdl",
            "up app",
            "env-file \"host.env\"\n        up app",
        );
        try_it(
            "settings",
            5,
            "pipeline.kdl",
            "compose \"",
            "assert-env RATE_LIMIT=redis GREETING=x\n    compose \"",
        );
        try_it(
            "a file that is not there",
            1,
            "pipeline.kdl",
            "\"compose.yml\"",
            "\"compose.yaml\"",
        );
        insta::assert_snapshot!(said.join("\n"), @r#"
        # no YAML
        compose.yml cannot be used: yaml: line 2: did not find expected ',' or ']'
        hint `docker compose --file compose.yml config` shows it

        # a service that is not there
        compose.yml has no service `ap`; the image app runs in the service `app`, which is in no `up` and no `run` of the target
        hint did you mean `app`?

        # a variable that is not set
        compose.yml cannot be used: service "app" has neither an image nor a build context specified: invalid compose project
        hint set APP_IMAGE by `env` in the target's `compose`, or in an `env-file` of the host

        # a tag
        the service `app` of compose.yml has the image 127.0.0.1:5000/team/app:latest, and not the one of this deployment, [app]
        hint write `image: ${APP_IMAGE}` in the service `app`

        # an image that cannot be had
        the image 127.0.0.1:5000/team/gone:1 cannot be pulled: Error response from daemon: manifest for 127.0.0.1:5000/team/gone:1 not found: manifest unknown: manifest unknown
        hint it has to be in a registry that this machine reaches, and is logged in to: `docker login` there

        # an env-file that is not there
        compose.yml cannot be used: Couldn't find env file: [root]/host.env
        hint an `env-file` lives on the host, where `pipe` neither makes nor changes it: put it there

        # settings
        this machine lacks settings: RATE_LIMIT is not set, and is to be `redis`; GREETING is not set, and is to be `x`
        hint correct them there, or what `assert-env` of the target expects; nothing was changed

        # a file that is not there
        compose.yaml is to be copied, and is not in the repository
        hint correct the path, or commit the file
        "#);
        assert_eq!(containers(name), Vec::<String>::new());
    });
}

#[test]
fn a_project_on_the_engine_of_this_machine_is_driven_whichever_that_is() {
    use crate::containers::engines::on_both;
    if !std::path::Path::new(host::PLUGIN).exists() {
        return crate::support::skip("there is no Compose; tests/setup-compose.sh gets it");
    }
    on_both(|engine| {
        let name = format!("either-{engine:?}").to_lowercase();
        let ready = format!(
            "docker --host $DOCKER_HOST exec {name}-live-app-1 wget -qO- http://127.0.0.1:8080/ | grep -q hello"
        );
        let text = format!(
            r#"pipeline {name} {{
    pass-env DOCKER_HOST
}}
param digest
target live {{
    compose "compose.yml" {{
        env APP_IMAGE="${{image.app}}"
        run note
        up app
    }}
    ready command="{ready}" within="15s" every="300ms"
}}
stage ship {{
    deploy app to=live {{ digest app="${{param.digest}}" }}
}}
"#
        );
        let services = "services:\n  app: { image: \"${APP_IMAGE}\", network_mode: none, stop_grace_period: 1s }\n  note: { image: \"${APP_IMAGE}\", network_mode: none, command: [\"true\"] }\n";
        let project = Project::with(&text).file("compose.yml", services).git();
        let plugins = project.home().join(".docker/cli-plugins");
        std::fs::create_dir_all(&plugins).unwrap();
        std::os::unix::fs::symlink(host::PLUGIN, plugins.join("docker-compose")).unwrap();
        let image = |env: &str| super::container::image(engine, env);
        let deploy = |digest: &str, code: i32| {
            let param = format!("digest={digest}");
            let args = ["run", "deploy-live", "--yes", "--param", &param];
            engine.pipe(&project, &args).exits(code)
        };
        let says = || super::container::says(engine, &format!("{name}-live-app-1"));
        let two = image("GREETING=hello-2");
        let _ = deploy(&image("GREETING=hello-1"), 0);
        assert_eq!(says(), "hello-1");
        let _ = deploy(&two, 0);
        assert_eq!(says(), "hello-2");
        let out = deploy(&image("BROKEN=1"), 6).stdout;
        assert!(out.contains("; rolled back to "), "{out}");
        assert_eq!(says(), "hello-2");
        // Other files are another release.
        let bundle = || {
            let out = engine.pipe(&project, &["targets", "live", "--format", "json"]);
            let told: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
            told[0]["bundle"].as_str().unwrap().to_owned()
        };
        let before = bundle();
        let _ = deploy(&two, 0);
        assert_eq!(bundle(), before);
        let more = services.replace("stop_grace_period: 1s", "stop_grace_period: 2s");
        project.write("compose.yml", &more);
        let _ = deploy(&two, 0);
        assert_ne!(bundle(), before);
        let out = engine
            .pipe(&project, &["targets", "live", "--drift"])
            .exits(0);
        assert!(out.stdout.contains("healthy"), "{}", out.stdout);
        let _ = engine.client(&["rm", "-f", &format!("{name}-live-app-1")]);
    });
}
