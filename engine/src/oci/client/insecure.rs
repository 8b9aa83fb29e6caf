//! Which registries are spoken to without TLS: those on this machine, and those of which the settings of Docker or Podman
//! say so. Reads those settings; writes nothing.

use std::path::{Path, PathBuf};

use dsl::units;
use serde_json::Value;

/// The hosts that the user's settings name.
#[derive(Debug, Clone, Default)]
pub struct Insecure(Vec<String>);

impl Insecure {
    /// What the settings of Docker and Podman on this machine say.
    #[must_use]
    pub fn of_machine(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut hosts = Vec::new();
        if let Ok(text) = std::fs::read_to_string("/etc/docker/daemon.json") {
            hosts.extend(of_docker(&text));
        }
        let own = env("HOME").map(|h| PathBuf::from(h).join(".config"));
        let own = env("XDG_CONFIG_HOME").map(PathBuf::from).or(own);
        // A user's file counts instead of the system's.
        let named = env("CONTAINERS_REGISTRIES_CONF").map(PathBuf::from);
        let own = own.map(|o| o.join("containers/registries.conf"));
        let system = Some(PathBuf::from("/etc/containers/registries.conf"));
        let file = [named, own, system]
            .into_iter()
            .flatten()
            .find(|f| f.is_file());
        for file in file.iter().flat_map(|f| with_folder(f)) {
            if let Ok(text) = std::fs::read_to_string(file) {
                hosts.extend(of_podman(&text));
            }
        }
        Self(hosts)
    }

    /// Whether a host, with its port, is one of them.
    #[must_use]
    pub fn has(&self, host: &str) -> bool {
        self.0.iter().any(|named| named == host)
    }
}

/// Whether a host, with its port, is this machine.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    units::is_this_machine(name)
}

/// A file and those of the folder beside it that has its name and `.d`.
fn with_folder(file: &Path) -> Vec<PathBuf> {
    let mut folder = file.as_os_str().to_owned();
    folder.push(".d");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "conf"))
        .collect();
    files.sort();
    files.insert(0, file.to_path_buf());
    files
}

fn of_docker(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let hosts = document["insecure-registries"].as_array();
    let hosts = hosts.into_iter().flatten();
    hosts.filter_map(|h| Some(h.as_str()?.to_owned())).collect()
}

/// The hosts of `[[registry]]` tables with `insecure = true`. Only the few forms that these files have are read.
fn of_podman(text: &str) -> Vec<String> {
    let mut hosts = Vec::new();
    let (mut location, mut insecure) = (None, false);
    let lines = text
        .lines()
        .map(|l| l.split('#').next().unwrap_or(l).trim());
    for line in lines.chain(["[end]"]) {
        if line.starts_with('[') {
            let host = location.take().filter(|_| insecure);
            hosts.extend(host);
            insecure = false;
        }
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = value.trim().trim_matches(['"', '\'']);
        match name.trim() {
            // A table may be for a part of a registry; the host is what counts here.
            "location" => location = value.split('/').next().map(str::to_owned),
            "insecure" => insecure = value == "true",
            _ => {}
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_docker_and_podman_are_read() {
        assert_eq!(
            of_docker(r#"{"insecure-registries":["reg:5000",1]}"#),
            ["reg:5000"]
        );
        assert_eq!(of_docker("no"), Vec::<String>::new());
        let text = "unqualified = [\"x\"]\n[[registry]]\nlocation = \"one:5000/a\" # why\ninsecure = true\n\n\
                    [[registry]]\nlocation = 'two'\ninsecure = false\n[[registry.mirror]]\nlocation=\"three\"\ninsecure=true\n";
        assert_eq!(of_podman(text), ["one:5000", "three"]);
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        let near = [
            "localhost",
            "localhost:5000",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:80",
        ];
        assert!(near.iter().all(|h| is_this_machine(h)));
        let far = ["localhost.example.com", "128.0.0.1", "ghcr.io", "[::2]"];
        assert!(!far.iter().any(|h| is_this_machine(h)));
    }
}
