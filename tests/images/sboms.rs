//! `attest sbom`: what a scanner prints of an image, kept beside it wherever it goes.

use std::path::Path;

use serde_json::Value;

use super::{digest, images, run};
use crate::containers::engines::{Engine, on, on_both};
use crate::support::{Output, Project};

/// A scanner: the packages in the database of dpkg, in whichever layer that is.
const SCAN: &str = r#"set -eu
echo "scanning $PIPE_IMAGE" >&2
packages=$(for blob in "$PIPE_IMAGE"/blobs/sha256/*; do
    tar -xOzf "$blob" var/lib/dpkg/status 2>/dev/null || :
done | sed -n 's/^Package: \(.*\)/{"name":"\1","versionInfo":"/p; s/^Version: \(.*\)/\1"},/p' | tr -d '\n')
printf '{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","packages":[%s]}' "${packages%,}"
"#;

fn project(build: &str) -> Project {
    let text = format!(
        "pipeline app\nregistry near \"./out\"\nstage deliver {{\n    build app {{\n{build}    }}\n    push app to=near tag=\"1\"\n}}\n"
    );
    Project::with(&text)
        .file(
            "Dockerfile",
            "FROM scratch\nCOPY status /var/lib/dpkg/status\n",
        )
        .file(
            "status",
            "Package: base-files\nVersion: 12.4\n\nPackage: zlib1g\nVersion: 1:1.2.13\n",
        )
        .file(".dockerignore", "out\n.pipe\nbin\n")
        .file("scan.sh", SCAN)
}

/// The manifests of a layout that are about this one, each with its document.
fn about(layout: &Path, digest: &str) -> Vec<(Value, Value)> {
    let read = |digest: &str| -> Value {
        let path = layout.join("blobs/sha256").join(&digest[7..]);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let index = std::fs::read(layout.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let listed = index["manifests"].as_array().unwrap().iter();
    let manifests = listed.map(|entry| read(entry["digest"].as_str().unwrap()));
    let about = manifests.filter(|m| m["subject"]["digest"] == digest);
    about
        .map(|m| {
            let document = read(m["layers"][0]["digest"].as_str().unwrap());
            (m, document)
        })
        .collect()
}

#[test]
fn what_is_in_an_image_stands_beside_it_wherever_it_goes() {
    on_both(|engine| {
        // Docker's is found as `syft`, Podman's is named.
        let scanner = match engine {
            Engine::Docker => "",
            Engine::Podman => " scanner=\"sh scan.sh\"",
        };
        let project = project(&format!("        attest sbom{scanner}\n"));
        project.write(
            "bin/syft",
            "#!/bin/sh\n[ \"$1 $2 $3 $4\" = \"scan oci-dir:$PIPE_IMAGE -o spdx-json\" ]\nexec sh scan.sh\n",
        );
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(project.path("bin/syft"), mode).unwrap();
        let run = || -> Output {
            let mut command = engine.building(&project, &["run", "--yes"]);
            let path = command.get_envs().find(|(name, _)| *name == "PATH");
            let path = path.unwrap().1.unwrap().to_string_lossy().into_owned();
            command.env("PATH", format!("{}:{path}", project.path("bin").display()));
            project.output(&mut command)
        };
        let out = run().exits(0);
        let said = ", SPDX-2.3 with 2 packages";
        assert!(out.stdout.contains(said), "{}", out.whole());
        assert!(!out.whole().contains("SPDXRef-DOCUMENT"), "{}", out.whole());
        let digest = digest(&out);
        let found = about(&project.path("out/app"), &digest);
        let [(manifest, document)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(manifest["artifactType"], "application/spdx+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/spdx+json");
        assert_eq!(
            document["packages"],
            serde_json::json!([
                {"name": "base-files", "versionInfo": "12.4"},
                {"name": "zlib1g", "versionInfo": "1:1.2.13"},
            ])
        );
        let out = run().exits(0);
        assert!(out.stdout.contains("cached"), "{}", out.whole());
    });
}

#[test]
fn a_scan_replaces_the_one_before_and_every_platform_has_its_own() {
    on(Engine::Podman, || {
        let attest = "        attest sbom scanner=#\"echo '{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\"}'\"#\n";
        let project = project(attest);
        let change = |from: &str, to: &str| {
            let text = std::fs::read_to_string(project.path("pipeline.kdl")).unwrap();
            project.write("pipeline.kdl", &text.replace(from, to));
        };
        let seen = || {
            let out = run(Engine::Podman, &project, &["build-app"]).exits(0);
            let digest = digest(&out);
            let found = about(&images(&project), &digest);
            let mut seen: Vec<(String, String)> = found
                .iter()
                .map(|(manifest, document)| {
                    let platform = &manifest["annotations"]["dev.pipe.platform"];
                    (platform.to_string(), document["specVersion"].to_string())
                })
                .collect();
            seen.sort_unstable();
            (digest, seen)
        };
        let own = |platform: &str, version: &str| (platform.to_owned(), version.to_owned());
        let (first, before) = seen();
        assert_eq!(before, [own("null", "\"1.5\"")]);
        change("1.5", "1.6");
        assert_eq!(seen(), (first, vec![own("null", "\"1.6\"")]));
        change(
            "        attest",
            "        platforms \"linux/amd64\" \"linux/arm64\"\n        attest",
        );
        let both = ["\"linux/amd64\"", "\"linux/arm64\""].map(|p| own(p, "\"1.6\""));
        assert_eq!(seen().1, both);
    });
}

#[test]
fn what_is_no_sbom_is_not_kept() {
    on(Engine::Podman, || {
        let why = |scanner: &str| {
            let project = project(&format!("        attest sbom scanner=\"{scanner}\"\n"));
            let out = run(Engine::Podman, &project, &["build-app"]).exits(1);
            let at = out.stdout.rfind("app has no SBOM").unwrap();
            let rest = &out.stdout[at..];
            rest.lines()
                .take(2)
                .map(str::trim)
                .collect::<Vec<_>>()
                .join("\n")
        };
        insta::assert_snapshot!(why("echo NAME VERSION"), @"
    app has no SBOM: what the scanner printed is no JSON, and begins with `NAME VERSION`; it is not kept without   defined at pipeline.kdl:4
    hint it is to print SPDX or CycloneDX as JSON; `syft` does so with `-o spdx-json`
    ");
        insta::assert_snapshot!(why("nonesuch --json"), @r#"
    app has no SBOM: the scanner `nonesuch --json` ended with 127; it is not kept without   defined at pipeline.kdl:4
    hint install syft (https://github.com/anchore/syft), or name a command that prints an SBOM: `attest sbom scanner="…"`
    "#);
    });
}

#[test]
fn without_a_scanner_nothing_begins() {
    let project = project("        attest provenance sbom\n");
    let nowhere = project.home().display().to_string();
    let env = [("PATH", nowhere.as_str())];
    insta::assert_snapshot!(project.pipe_env(&["run", "build-app"], &env).exits(3).whole(), @r#"
    exit 3
    --- stderr
    error: deliver.build-app wants an SBOM (pipeline.kdl:5), and the program syft is not in PATH
    hint: install syft (https://github.com/anchore/syft), or name a command that prints an SBOM: `attest sbom scanner="…"`; nothing was begun
    "#);
    let out = project.pipe_env(&["doctor"], &env).exits(3).stdout;
    let wanted = " ✗ syft          not in PATH\n                 install syft (https://github.com/anchore/syft), or name a command";
    assert!(out.contains(wanted), "{out}");
}

#[test]
fn a_scanner_without_an_sbom_is_a_finding() {
    let project = project("        attest provenance scanner=\"true\"\n");
    insta::assert_snapshot!(project.pipe(&["check"]).exits(2).whole(), @r#"
    exit 2
    --- stdout
    E202

      × only `attest sbom` has a `scanner=`
       ╭─[pipeline.kdl:5:35]
     4 │     build app {
     5 │         attest provenance scanner="true"
       ·                                   ───┬──
       ·                                      ╰── means nothing here
     6 │     }
       ╰────
      help: write `attest sbom provenance scanner=…`, or leave it out

    1 error in pipeline.kdl
    `pipe explain E202` tells more about a code
    "#);
}
