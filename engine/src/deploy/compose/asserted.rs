//! Whether the services of a Compose project get the settings that the target asserts. Changes nothing, and shows no value.

use std::collections::{BTreeMap, BTreeSet};

use super::render::Rendered;
use super::{At, ComposeProject};
use crate::deploy::driver::Failure;
use crate::deploy::hands::{Call, Hands};
use crate::deploy::settings;

impl ComposeProject {
    /// Whether the services have the settings that they must have. What no service is told is looked for in what Compose
    /// puts into the file.
    pub(super) async fn assert(
        &self,
        at: At,
        rendered: &Rendered,
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        let all: BTreeSet<&str> = self.up().union(&self.once()).copied().collect();
        let mut unmet = settings::Unmet::default();
        let mut untold = Vec::new();
        for (name, expected) in &self.settings.0 {
            let values = rendered.values(&all, name);
            if values.is_empty() {
                untold.push((name, expected));
            }
            let wrong = values.iter().filter(|(_, value)| *value != expected);
            let wrong: Vec<&str> = wrong.map(|(service, _)| *service).collect();
            if !wrong.is_empty() {
                let wrong = wrong.join(", ");
                unmet.add(
                    name,
                    expected,
                    &format!("in {wrong} of {}", self.file),
                    true,
                );
            }
        }
        if !untold.is_empty() {
            let values = self.interpolated(at, &untold, hands).await?;
            for (name, expected) in untold {
                match values.get(name.as_str()) {
                    Some(value) if value == expected => {}
                    Some(value) if !value.is_empty() => unmet.add(name, expected, "", true),
                    _ => unmet.add(name, expected, "", false),
                }
            }
        }
        unmet.end(&hands.host())
    }

    /// What Compose would put in for these variables: asked with a file that has nothing else.
    async fn interpolated(
        &self,
        at: At,
        names: &[(&String, &String)],
        hands: &mut Hands,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let environment: serde_json::Map<_, _> = names
            .iter()
            .map(|(name, _)| ((*name).clone(), format!("${{{name}-}}").into()))
            .collect();
        let asks = serde_json::json!({ "services": { "asks": { "image": "none", "environment": environment } } });
        let file = hands.scratch.join("asks.json");
        std::fs::write(&file, asks.to_string())
            .map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
        let call = self.asking(at, hands).await?.input(&file);
        let told = hands.run(call.quiet()).await?;
        let rendered = Rendered::read(&told)?;
        let asks = BTreeSet::from(["asks"]);
        let value = |(name, _): &(&String, &String)| {
            let value = rendered.values(&asks, name).remove("asks")?;
            Some(((*name).clone(), value))
        };
        Ok(names.iter().filter_map(value).collect())
    }

    async fn asking(&self, at: At, hands: &mut Hands) -> Result<Call, Failure> {
        // A dash is no file of a folder.
        let folder = if at == At::Tried {
            self.tried()
        } else {
            ".".to_owned()
        };
        let words = self.words(hands).await?;
        let mut all: Vec<String> = words[1..].to_vec();
        all.extend([
            format!("--project-name={}", self.project),
            format!("--project-directory={folder}"),
            "--file=-".to_owned(),
        ]);
        all.extend(self.env_files.iter().map(|f| format!("--env-file={f}")));
        all.extend(["config".to_owned(), "--format=json".to_owned()]);
        let call = Call::new(words[0].clone(), all).called("docker compose config");
        Ok(self.here(call.envs(&self.env), hands))
    }
}
