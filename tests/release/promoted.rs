//! What a promotion to a target makes when the target runs the release: tags and a release of what moved, not of what is
//! checked out; and what has to hold at the forge before.

use engine::oci::Layout;
use insta::assert_snapshot;
use serde_json::json;

use super::github::GitHub;
use super::{push, repository};
use crate::registry::images::image;
use crate::support::{Output, Project, has_program, skip};

const PIPELINE: &str = r#"pipeline app
version app from="package.json"
param digest default=""
registry store "./store"
registry public "./public" immutable=#true
target staging {
    run {
        apply "echo app $PIPE_IMAGE_APP > staging"
        observe "cat staging 2>/dev/null || true"
        undo "echo app $PIPE_IMAGE_APP > staging"
    }
    ready command="test -e staging"
}
target production protected=#true {
    run {
        apply "echo app $PIPE_IMAGE_APP > production"
        observe "cat production 2>/dev/null || true"
        undo "echo app $PIPE_IMAGE_APP > production"
    }
    ready command="test -e production"
}
promotion live from=staging to=production {
    images app
    tag "v${version.app}" in=public
    tag "live"
    release
}
stage staging {
    deploy app to=staging { digest app="./store/app@${param.digest}" }
}
stage production { when event=manual; promote live }
stage unused { when branch=never; build app; push app to=store tag=x }
"#;

struct Shop {
    project: Project,
}

impl Shop {
    fn new(pipeline: &str) -> Self {
        let project = repository(pipeline);
        project.write(".gitignore", "/store\n/public\n/staging\n/production\n");
        Self { project }
    }

    /// Commits a version and brings an image of its own to staging; gives the image's digest.
    fn staged(&self, version: &str, seed: u64) -> String {
        self.project
            .write("package.json", &json!({ "version": version }).to_string());
        self.project.run_git(&["add", "-A"]);
        self.project
            .run_git(&["commit", "-q", "--allow-empty", "-m", "feat: more"]);
        push(&self.project);
        let store = Layout::at(&self.project.path("store/app"));
        let digest = image(&store, seed, &[100]).digest.to_string();
        let param = format!("digest={digest}");
        let args = ["run", "deploy-staging", "--yes", "-p", &param];
        let _ = self.project.pipe(&args).exits(0);
        digest
    }

    fn promote(&self) -> Output {
        self.project.pipe(&["promote", "live", "--yes"])
    }

    fn digest_of(&self, place: &str, tag: &str) -> Option<String> {
        let index = std::fs::read_to_string(self.project.path(place).join("index.json")).ok()?;
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        let named = |m: &&serde_json::Value| {
            m["annotations"]["org.opencontainers.image.ref.name"] == json!(tag)
        };
        let found = index["manifests"].as_array().unwrap().iter().find(named)?;
        Some(found["digest"].as_str().unwrap().to_owned())
    }

    fn tagged_commit(&self, tag: &str) -> String {
        let name = format!("refs/tags/{tag}^{{commit}}");
        self.project
            .run_git(&["--git-dir", "../remote", "rev-parse", &name])
    }
}

#[test]
fn the_tags_and_the_release_are_of_what_moved_and_not_of_what_is_checked_out() {
    let shop = Shop::new(PIPELINE);
    let first = shop.staged("1.2.3", 1);
    let commit = shop.project.run_git(&["rev-parse", "HEAD"]);
    // Somebody goes on working meanwhile.
    shop.project.write("package.json", r#"{"version":"9.9.9"}"#);
    shop.project
        .run_git(&["commit", "-q", "-a", "-m", "feat: later"]);
    let out = shop.promote().exits(0);
    assert!(out.stdout.contains("v1.2.3 is tagged on origin"), "{out:?}");
    assert_eq!(shop.digest_of("public/app", "v1.2.3"), Some(first.clone()));
    assert_eq!(shop.digest_of("store/app", "live"), Some(first.clone()));
    assert_eq!(shop.tagged_commit("v1.2.3"), commit);
    // Again: nothing is made twice, and nothing fails.
    let again = shop.promote().exits(0);
    assert!(
        again.stdout.contains("v1.2.3 was released before"),
        "{again:?}"
    );
    let second = shop.staged("1.3.0", 2);
    let _ = shop.promote().exits(0);
    assert_eq!(shop.digest_of("store/app", "live"), Some(second.clone()));
    assert_eq!(shop.digest_of("public/app", "v1.2.3"), Some(first));
    assert_eq!(shop.digest_of("public/app", "v1.3.0"), Some(second));
}

#[test]
fn what_cannot_get_its_tag_or_its_release_is_not_promoted_at_all() {
    let shop = Shop::new(PIPELINE);
    let first = shop.staged("1.2.3", 1);
    let _ = shop.promote().exits(0);
    let running = shop.project.read("production");
    // Another image under the version of the first one: the registry's tags do not move.
    let second = shop.staged("1.2.3", 2);
    let out = shop.promote().exits(5);
    let part = "app is not promoted, as it could not get its tag";
    assert!(out.stdout.contains(part), "{out:?}");
    assert_eq!(shop.project.read("production"), running);
    assert_eq!(shop.digest_of("public/app", "v1.2.3"), Some(first.clone()));
    assert_eq!(shop.digest_of("store/app", "live"), Some(first));
    // Without a registry that says so, git's own tag does.
    let text = PIPELINE.replace("    tag \"v${version.app}\" in=public\n", "");
    shop.project.write("pipeline.kdl", &text);
    let out = shop.promote().exits(1);
    let part = "v1.2.3 is the tag of another commit";
    assert!(out.stdout.contains(part), "{out:?}");
    assert!(out.stdout.contains("raise the version"), "{out:?}");
    assert_eq!(shop.project.read("production"), running);
    assert_ne!(shop.digest_of("store/app", "live"), Some(second));
}

#[test]
fn a_tag_that_fails_after_the_deployment_undoes_nothing_and_can_be_made_later() {
    let shop = Shop::new(PIPELINE);
    let digest = shop.staged("1.2.3", 1);
    // The tag is refused where nobody could know it before.
    let hook = shop.project.root().join("../remote/hooks/update");
    std::fs::write(
        &hook,
        "#!/bin/sh\ncase $1 in refs/tags/*) echo no tags today >&2; echo ask the team >&2; exit 1 ;; esac\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    let out = shop.promote().exits(1);
    for part in [
        "(hook declined); the other side says: no tags today; ask the team",
        "; production runs what was promoted",
        "what is done already is not done twice",
    ] {
        assert!(out.stdout.contains(part), "{part}: {out:?}");
    }
    assert!(shop.project.read("production").contains(&digest));
    assert_eq!(shop.digest_of("store/app", "live"), Some(digest));
    std::fs::remove_file(&hook).unwrap();
    let _ = shop.promote().exits(0);
    assert!(!shop.tagged_commit("v1.2.3").is_empty());
}

#[test]
fn the_forges_checks_of_the_promoted_commit_must_have_passed() {
    if !has_program("gh") {
        return skip("there is no gh; `tests/setup-release.sh` installs it");
    }
    let asks = "    images app\n    require checks\n    require checks name=e2e\n";
    let pipeline = PIPELINE
        .replace("    images app\n", asks)
        .replace("    release\n", "    release forge=github notes=auto\n");
    let shop = Shop::new(&pipeline);
    let _ = shop.staged("1.2.3", 1);
    let commit = shop
        .project
        .run_git(&["rev-parse", "HEAD"])
        .trim()
        .to_owned();
    let github = GitHub::start(&shop.project);
    let promote = |code: i32, more: &[(&str, &str)]| {
        let environment = github.environment();
        let mut env: Vec<(&str, &str)> =
            environment.iter().map(|(n, v)| (*n, v.as_str())).collect();
        env.extend(more);
        let args = ["promote", "live", "--yes"];
        let out = shop.project.pipe_env(&args, &env).exits(code);
        let text = out.stdout.replace(&commit[..7], "COMMIT");
        let mut lines = text
            .lines()
            .map(str::trim)
            .skip_while(|l| !l.starts_with("── promote"));
        let lines = lines
            .by_ref()
            .filter(|l| l.contains("check") || l.starts_with("hint"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let run = |name: &str, status: &str, conclusion: Option<&str>, run: u32| {
        let url = format!("https://github.com/o/r/actions/runs/{run}/job/1");
        json!({"name": name, "status": status, "conclusion": conclusion, "details_url": url})
    };
    assert_snapshot!(promote(5, &[]), @r"
    GitHub has no check of COMMIT; GitHub has no check `e2e` of COMMIT   defined at pipeline.kdl:22
    hint push the commit and wait for its checks
    ");
    github.check(&commit, run("unit", "completed", Some("success"), 1));
    github.check(&commit, run("e2e", "in_progress", None, 1));
    assert_snapshot!(promote(5, &[]), @r"
    checks of COMMIT have not ended: e2e   defined at pipeline.kdl:22
    hint try again when they have
    ");
    // What this very run does is no reason to wait.
    assert_snapshot!(promote(5, &[("GITHUB_RUN_ID", "1")]), @r"
    GitHub has no check of COMMIT; GitHub has no check `e2e` of COMMIT   defined at pipeline.kdl:22
    hint push the commit and wait for its checks
    ");
    github.check(&commit, run("e2e", "completed", Some("failure"), 1));
    assert_snapshot!(promote(5, &[]), @r"
    checks of COMMIT did not pass: e2e   defined at pipeline.kdl:22
    hint mend what they found, or run them again at GitHub
    ");
    github.check(&commit, run("e2e", "completed", Some("success"), 1));
    github.check(
        "0123456789012345678901234567890123456789",
        run("other", "completed", Some("failure"), 1),
    );
    let _ = promote(0, &[]);
    assert_eq!(github.releases()[0]["tag_name"], "v1.2.3");
}
