//! Image references: where an image is, and what it is called there. Asks nobody.

/// The registry that is meant where none is named.
pub(super) const HUB: &str = "docker.io";

/// An image reference, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The registry's host, with its port.
    pub(super) host: &'a str,
    /// The repository in it, without tag or digest.
    pub(super) repository: String,
    /// `:tag` or `@digest`, or both.
    rest: &'a str,
}

impl<'a> Reference<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest)
            }
            _ => (HUB, text),
        };
        let end = path.find(['@', ':']).unwrap_or(path.len());
        let (name, rest) = path.split_at(end);
        let repository = if host == HUB && !name.contains('/') {
            format!("library/{name}")
        } else {
            name.to_owned()
        };
        Self {
            host,
            repository,
            rest,
        }
    }

    /// The whole reference: the same for every engine.
    pub(super) fn full(&self) -> String {
        let rest = if self.rest.is_empty() {
            ":latest"
        } else {
            self.rest
        };
        format!("{}/{}{rest}", self.host, self.repository)
    }
}

/// Whether a reference says by itself which image it is.
#[must_use]
pub fn is_by_digest(reference: &str) -> bool {
    reference.contains("@sha256:")
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn a_short_name_means_the_same_for_every_engine() {
        let full = |text: &str| Reference::of(text).full();
        assert_eq!(
            [
                full("alpine"),
                full("python:3.11"),
                full("acme/app"),
                full("localhost/box:1"),
                full("127.0.0.1:5000/a/b:c"),
                full("ghcr.io/a/b@sha256:00"),
            ],
            [
                "docker.io/library/alpine:latest",
                "docker.io/library/python:3.11",
                "docker.io/acme/app:latest",
                "localhost/box:1",
                "127.0.0.1:5000/a/b:c",
                "ghcr.io/a/b@sha256:00",
            ]
        );
        assert_eq!(Reference::of("127.0.0.1:5000/a/b:c").host, "127.0.0.1:5000");
    }
}
