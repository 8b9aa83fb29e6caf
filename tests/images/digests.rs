//! The digest of an image: the same as other tools say, and the one in which jobs run.

use std::process::Command;

use super::{BOX, digest, images, lines, run, with};
use crate::containers::engines::on_both;

const STEPS: &str = "    build app\n    job see { container image=app; run \"cat /a\" }\n";

#[test]
fn the_digest_is_what_skopeo_says_of_the_store_and_of_a_copy() {
    on_both(|engine| {
        let project = with(STEPS, &format!("FROM {BOX}\nRUN echo one >/a\n"));
        let out = run(engine, &project, &[]).exits(0);
        let digest = digest(&out);
        let name = format!("localhost/app:{}", digest.replace(':', "-"));
        let store = format!("oci:{}:{name}", images(&project).display());
        let skopeo = |args: &[&str]| {
            let out = Command::new("skopeo").args(args).output().unwrap();
            assert!(
                out.status.success(),
                "{}",
                String::from_utf8_lossy(&out.stderr)
            );
            String::from_utf8(out.stdout).unwrap().trim().to_owned()
        };
        let said = |place: &str| skopeo(&["inspect", "--format", "{{.Digest}}", place]);
        assert_eq!(said(&store), digest);
        let drawn = project.pipe(&["graph", "--run", "latest"]).exits(0).stdout;
        assert!(drawn.contains(&digest[7..19]), "{drawn}");
        let copy = format!("oci:{}:app", project.path("copy").display());
        skopeo(&["copy", "--preserve-digests", &store, &copy]);
        assert_eq!(said(&copy), digest);
    });
}

#[test]
fn an_image_that_the_engine_has_no_more_is_loaded_again() {
    on_both(|engine| {
        let project = with(STEPS, &format!("FROM {BOX}\nRUN echo two >/a\n"));
        let out = run(engine, &project, &[]).exits(0);
        let name = format!("localhost/app:{}", digest(&out).replace(':', "-"));
        engine.client(&["rmi", "--force", &name]);
        assert!(
            engine
                .client(&["image", "inspect", &name])
                .to_lowercase()
                .contains("no such")
        );
        let again = run(engine, &project, &[]).exits(0);
        assert!(
            again.stdout.contains("cached build-app"),
            "{}",
            again.stdout
        );
        let seen = lines(&again, "see");
        assert_eq!(
            seen.first(),
            Some(&format!("loading the image {name}").as_str())
        );
        assert_eq!(seen.last(), Some(&"two"));
    });
}
