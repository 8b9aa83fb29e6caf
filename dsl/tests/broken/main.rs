//! The mistakes that people make, each in a whole pipeline: what they see. One mistake is one finding.

mod delivery;
mod form;
mod names;
mod templates;

use std::collections::BTreeMap;

use dsl::render::{Style, human};
use dsl::{Files, Loaded};

const SPLIT: &str = include_str!("../../../tests/pipelines/split-registries.kdl");
const ONCE: &str = include_str!("../../../tests/pipelines/build-once.kdl");
const ECS: &str = include_str!("../../../tests/pipelines/ecs-service.kdl");
const SNAPSHOT: &str = include_str!("../../../tests/pipelines/snapshot-release.kdl");
const SUPPLY: &str = include_str!("../../../tests/pipelines/supply-chain.kdl");

/// A pipeline with a template and an included file, for what the five do not have.
const SHARED: &str = r#"pipeline app

include "ci/common.kdl" as=ci

param profile type=enum default=debug {
    values debug release
}

template check doc="lints a crate" {
    param crate
    param level type=int default=1
    param features type=list
    job "check-${param.crate}" {
        env CRATE="${param.crate}" LEVEL="${param.level}"
        run "./check.sh"
    }
}

stage test {
    use check crate=dsl
    use ci.unit dir=engine
    job build {
        env PROFILE="${param.profile}"
        artifact bin "target/app"
        run "echo version=1.2.3 >> $PIPE_OUTPUT"
    }
    job cross {
        matrix {
            os linux macos
            rust stable beta
        }
        run "make"
    }
}

stage ship {
    when event=push branch=main
    job publish {
        needs cross os=linux
        artifact bin from=build
        env VERSION="${build.outputs.version}"
        run "./publish.sh"
    }
}
"#;

const COMMON: &str = r#"template unit {
    param dir type=path
    job "unit-${param.dir}" {
        workdir "${param.dir}"
        run "cargo test"
    }
}
"#;

struct Folder(BTreeMap<&'static str, String>);

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        let file = self.0.get(path).cloned();
        file.ok_or_else(|| "there is no such file".into())
    }
}

fn load_with(text: String, common: String) -> Loaded {
    let files = Folder(BTreeMap::from([("ci/common.kdl", common)]));
    dsl::load(&files, "pipeline.kdl", text)
}

fn show(loaded: &Loaded) -> String {
    let style = Style {
        color: false,
        links: false,
        width: 100,
        unicode: true,
    };
    human(&loaded.diagnostics, &loaded.sources, &style)
}

/// A mistake: its name, its code, the text, and what is written in the place of what.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// Makes each mistake and shows what is found: exactly one finding with this code.
fn broken(cases: &[Case]) {
    for (name, code, text, from, to) in cases {
        assert_eq!(text.matches(from).count(), 1, "{name}: {from}");
        let changed = text.replacen(from, to, 1);
        let loaded = match *text == COMMON {
            true => load_with(SHARED.to_owned(), changed),
            false => load_with(changed, COMMON.to_owned()),
        };
        snapshot(name, code, &format!("- {from}\n+ {to}"), &loaded);
    }
}

fn snapshot(name: &str, code: &str, change: &str, loaded: &Loaded) {
    let shown = show(loaded);
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true, description => change}, {
        insta::assert_snapshot!(name, shown);
    });
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.id).collect();
    assert_eq!(codes, [code], "{name}\n{change}\n{shown}");
}

#[test]
fn the_pipelines_themselves_have_no_finding() {
    for text in [SPLIT, ONCE, ECS, SNAPSHOT, SUPPLY, SHARED] {
        let loaded = load_with(text.to_owned(), COMMON.to_owned());
        assert_eq!(show(&loaded), "");
    }
}
