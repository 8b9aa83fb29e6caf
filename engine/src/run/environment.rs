//! What a job sees of the world: a short list of variables from outside, what the file declares, what pipe adds.

use std::ffi::{OsStr, OsString};
use std::sync::LazyLock;

use indexmap::IndexMap;

/// A variable that every job gets from the environment of `pipe`, if it is set there.
#[derive(Debug)]
pub struct Passed {
    /// Its name; a `*` at the end stands for anything.
    pub name: &'static str,
    /// Why.
    pub why: &'static str,
    /// Whether it chooses what a job does, so that it is part of the key of a result. The others say where things are.
    pub decides: bool,
    /// Whether a job in a container gets it too. What says where things are on this machine means nothing there.
    pub travels: bool,
}

/// The whole list. The reference prints it.
pub const PASSED: &[Passed] = &[
    passed("PATH", "to find programs"),
    passed("HOME", "where programs keep their settings"),
    passed("USER", "who runs it"),
    passed("LOGNAME", "who runs it"),
    passed("TMPDIR", "where temporary files go"),
    deciding("TZ", "the time zone"),
    deciding("LANG", "the language of messages"),
    deciding("LC_*", "the language of messages"),
    passed("XDG_*", "where programs keep settings and caches"),
    passed("SSL_CERT_FILE", "trusted certificates"),
    passed("SSL_CERT_DIR", "trusted certificates"),
    travelling("http_proxy", "the way to the network"),
    travelling("https_proxy", "the way to the network"),
    travelling("no_proxy", "the way to the network"),
    travelling("all_proxy", "the way to the network"),
    travelling("HTTP_PROXY", "the way to the network"),
    travelling("HTTPS_PROXY", "the way to the network"),
    travelling("NO_PROXY", "the way to the network"),
    travelling("ALL_PROXY", "the way to the network"),
    passed("CARGO_HOME", "where the toolchain lives"),
    passed("RUSTUP_HOME", "where the toolchain lives"),
    deciding("RUSTUP_TOOLCHAIN", "where the toolchain lives"),
    passed("GOPATH", "where the toolchain lives"),
    deciding("GOROOT", "where the toolchain lives"),
    deciding("JAVA_HOME", "where the toolchain lives"),
    passed("NVM_DIR", "where the toolchain lives"),
    passed("PYENV_ROOT", "where the toolchain lives"),
    deciding("VIRTUAL_ENV", "where the toolchain lives"),
];

const fn passed(name: &'static str, why: &'static str) -> Passed {
    Passed {
        name,
        why,
        decides: false,
        travels: false,
    }
}

const fn travelling(name: &'static str, why: &'static str) -> Passed {
    Passed {
        name,
        why,
        decides: false,
        travels: true,
    }
}

const fn deciding(name: &'static str, why: &'static str) -> Passed {
    Passed {
        name,
        why,
        decides: true,
        travels: false,
    }
}

impl Passed {
    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.name,
        }
    }
}

/// A variable that pipe sets in every job.
#[derive(Debug)]
pub struct Given {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub what: &'static str,
}

/// The whole list. The reference prints it.
pub const GIVEN: &[Given] = &[
    given("CI", "`true`, as in every CI; `env CI=…` says otherwise"),
    given("PIPE", "`true`"),
    given(
        "PIPE_MARKER",
        "by which pipe finds what a step left running",
    ),
    given("PIPE_RUN_ID", "the run's number in this checkout"),
    given("PIPE_STAGE", "the stage's name"),
    given("PIPE_STEP", "the step's name, with the leg of its matrix"),
    given("PIPE_ATTEMPT", "the try, from 1"),
    given("PIPE_WORKSPACE", "the pipeline's folder, absolute"),
    given(
        "PIPE_OUTPUT",
        "a file to which `name=value` lines are appended: the step's outputs",
    ),
    given(
        "PIPE_EVENT",
        "`push`, `pull-request`, `tag`, `schedule` or `manual`",
    ),
    given("PIPE_SHA", "the commit; empty where there is none"),
    given("PIPE_BRANCH", "the branch; empty where there is none"),
    given("PIPE_TAG", "the tag; empty unless the run is for one"),
    given("PIPE_TRUSTED", "`true`, or `false` for a stranger's change"),
    given(
        "PIPE_DEPTH",
        "how many runs are around the job: 1, and more where a job runs `pipe run`",
    ),
    given(
        "MATRIX_…",
        "the leg's value on each axis, the axis in capitals",
    ),
];

const fn given(name: &'static str, what: &'static str) -> Given {
    Given { name, what }
}

/// Variables in order; a later one of the same name wins.
#[derive(Debug, Clone, Default)]
pub struct Environment(IndexMap<OsString, OsString>);

impl Environment {
    /// What the environment of this process has of the list.
    #[must_use]
    pub fn passed() -> Self {
        /// The same for every job of a run.
        static LISTED: LazyLock<Environment> = LazyLock::new(|| Environment::listed(|_| true));
        LISTED.clone()
    }

    /// What of the list decides a result, for a job on this machine.
    #[must_use]
    pub fn deciding() -> &'static Self {
        static LISTED: LazyLock<Environment> = LazyLock::new(|| Environment::listed(|p| p.decides));
        &LISTED
    }

    /// The same for a job in a container; programs, home and language are those of its image.
    #[must_use]
    pub fn passed_into_container() -> Self {
        static LISTED: LazyLock<Environment> = LazyLock::new(|| {
            let mut listed = Environment::listed(|p| p.travels);
            // There is nobody of the caller's number in most images.
            listed.set("USER", "pipe");
            listed.set("LOGNAME", "pipe");
            listed
        });
        LISTED.clone()
    }

    fn listed(passes: fn(&Passed) -> bool) -> Self {
        let listed = |name: &OsString| {
            let name = name.to_str();
            name.is_some_and(|name| PASSED.iter().any(|p| passes(p) && p.is(name)))
        };
        Self(std::env::vars_os().filter(|(n, _)| listed(n)).collect())
    }

    /// What the environment of this process has of these names.
    pub fn named<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let set = names.filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        Self(set.collect())
    }

    /// Sets what `other` has.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether a variable of the short list is part of the key of a result.
    #[must_use]
    pub fn decides(name: &str) -> bool {
        PASSED.iter().any(|p| p.decides && p.is(name))
    }

    /// Sets a variable.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Takes a variable away.
    pub fn remove(&mut self, name: &str) {
        self.0.shift_remove(OsStr::new(name));
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(n, v)| (n.as_os_str(), v.as_os_str()))
    }

    /// All of them.
    #[must_use]
    pub fn vars(&self) -> Vec<(OsString, OsString)> {
        self.0.iter().map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::GIVEN;

    #[test]
    fn the_language_knows_which_variables_a_file_cannot_set() {
        let fixed = GIVEN
            .iter()
            .map(|g| g.name)
            .filter(|name| name.starts_with("PIPE"));
        assert_eq!(fixed.collect::<Vec<_>>(), dsl::units::FIXED_VARIABLES);
    }
}
