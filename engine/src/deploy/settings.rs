//! Settings that a host must have before anything changes (`assert-env`): what is said where they are not met, and how
//! they are looked for where no platform knows better. A value that is found is never shown.

use std::collections::BTreeMap;

use super::driver::Failure;
use super::hands::{Call, Hands};

/// The settings, by name, with the values that are expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(pub Vec<(String, String)>);

/// What is known of a variable before its container runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Its value.
    Value(String),
    /// That it has one, which nobody here may see or know.
    Hidden,
}

/// The variables of one container.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// Where it is, for a person: `web of deployment/shop`.
    pub place: String,
    /// What is known, by name.
    pub told: BTreeMap<String, Told>,
}

/// Those that are not met.
#[derive(Debug, Default)]
pub struct Unmet(Vec<String>);

impl Unmet {
    /// Adds one: another value, or none.
    pub fn add(&mut self, name: &str, expected: &str, place: &str, is_set: bool) {
        let place = if place.is_empty() {
            String::new()
        } else {
            format!(" {place}")
        };
        self.0.push(match is_set {
            true => format!("{name} is not `{expected}`{place}"),
            false => format!("{name} is not set{place}, and is to be `{expected}`"),
        });
    }

    /// Says all of them.
    ///
    /// # Errors
    /// When there is one.
    pub fn end(self, host: &str) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let what = format!("{host} lacks settings: {}", self.0.join("; "));
        Err(Failure::new(what)
            .help("correct them there, or what `assert-env` of the target expects; nothing was changed")
            .refused())
    }
}

impl Settings {
    /// Looks for them in what containers would get: none may have another value, and one must have it.
    ///
    /// # Errors
    /// All that are not met.
    pub fn in_containers(&self, target: &str, all: &[Variables]) -> Result<(), Failure> {
        let mut unmet = Unmet::default();
        for (name, expected) in &self.0 {
            let told: Vec<(&str, &Told)> = all
                .iter()
                .filter_map(|one| Some((one.place.as_str(), one.told.get(name)?)))
                .collect();
            let is_other = |told: &Told| matches!(told, Told::Value(value) if value != expected);
            let wrong = told.iter().filter(|(_, told)| is_other(told));
            let wrong: Vec<&str> = wrong.map(|(place, _)| *place).collect();
            match (told.is_empty(), wrong.as_slice()) {
                (false, []) => {}
                (false, wrong) => {
                    let place = format!("in {}", wrong.join(", "));
                    unmet.add(name, expected, &place, true);
                }
                (true, _) => {
                    let places: Vec<&str> = all.iter().map(|one| one.place.as_str()).collect();
                    let place = format!("in {}", places.join(", "));
                    unmet.add(name, expected, &place, false);
                }
            }
        }
        unmet.end(target)
    }

    /// Looks for them in what is set by the target, then in these files of the host, then in the host's environment.
    ///
    /// # Errors
    /// All that are not met, or that the host could not be asked.
    pub async fn on_host(
        &self,
        set: &[(String, String)],
        files: &[String],
        hands: &mut Hands,
    ) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        let mut args = vec![
            "-c".to_owned(),
            "for n in \"$@\"; do printf '%s=%s\\n' \"$n\" \"$(printenv \"$n\")\"; done".to_owned(),
            "sh".to_owned(),
        ];
        args.extend(self.0.iter().map(|(name, _)| name.clone()));
        let told = hands
            .run(Call::new("sh", args).called("printenv").quiet())
            .await?;
        found.extend(lines(&told));
        for file in files {
            let call = Call::new("cat", ["--", file.as_str()]).quiet();
            let told = hands.run(call).await.map_err(|f| {
                if f.unreachable || f.refused {
                    return f;
                }
                Failure {
                    what: format!(
                        "the env-file {file} of {} cannot be read: {}",
                        hands.host(),
                        f.what
                    ),
                    ..f
                }
                .help(
                    "it lives on the host, where `pipe` neither makes nor changes it: put it there",
                )
            })?;
            found.extend(lines(&told));
        }
        found.extend(set.iter().cloned());
        let mut unmet = Unmet::default();
        for (name, expected) in &self.0 {
            match found.get(name).map(String::as_str) {
                Some(value) if value == expected => {}
                None | Some("") => unmet.add(name, expected, "", false),
                Some(_) => unmet.add(name, expected, "", true),
            }
        }
        unmet.end(&hands.host())
    }
}

/// `NAME=VALUE` lines, as an engine's `--env-file` has them.
fn lines(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|l| !l.starts_with('#'));
    lines.filter_map(|l| {
        let (name, value) = l.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    })
}
