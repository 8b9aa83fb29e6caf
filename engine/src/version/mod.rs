//! Version numbers: how each scheme makes one from what a repository has. Changes nothing, starts nothing.

pub mod calver;
pub mod changelog;
pub mod file;
pub mod semantic;

/// The git tag of a version: a number gets a `v`, unless the tags of the repository have none.
#[must_use]
pub fn tag(version: &str, latest: Option<&str>) -> String {
    let is_number = version.starts_with(|c: char| c.is_ascii_digit());
    let bare = latest.is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()));
    match is_number && !bare {
        true => format!("v{version}"),
        false => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_as_the_tags_before_it() {
        assert_eq!(tag("1.2.0", None), "v1.2.0");
        assert_eq!(tag("1.2.0", Some("v1.1.0")), "v1.2.0");
        assert_eq!(tag("1.2.0", Some("1.1.0")), "1.2.0");
        assert_eq!(tag("v26.11.25.1", None), "v26.11.25.1");
        assert_eq!(tag("release-7", Some("v1")), "release-7");
    }
}
