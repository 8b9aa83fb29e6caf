//! Which files of a build's context count: all that the builder is sent, which `.dockerignore` decides. Reads that file
//! and nothing else.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

/// What is left out of a context.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    /// The context's folder, relative to the pipeline's; empty where it is that.
    context: String,
    /// The lines in order, each with whether it takes back; a later one wins.
    lines: Vec<(GlobMatcher, bool)>,
    /// Folders and files that nothing takes back, as patterns.
    plain: Vec<String>,
}

impl Ignored {
    /// Reads `.dockerignore`. Where a builder may read another file instead, nothing counts as left out: a file too many
    /// in a key costs a build, one too few a wrong image.
    pub(super) fn read(root: &Path, context: &str, dockerfile: &str) -> Self {
        let folder = root.join(context);
        let others = [
            root.join(format!("{dockerfile}.dockerignore")),
            root.join(format!("{dockerfile}.containerignore")),
            folder.join(".containerignore"),
        ];
        let text = match others.iter().any(|o| o.exists()) {
            true => String::new(),
            false => std::fs::read_to_string(folder.join(".dockerignore")).unwrap_or_default(),
        };
        Self::of(context, &text)
    }

    fn of(context: &str, text: &str) -> Self {
        let context = context.trim_start_matches("./").trim_end_matches('/');
        let context = if context == "." { "" } else { context };
        let mut ignored = Self {
            context: context.to_owned(),
            ..Self::default()
        };
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (back, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let pattern = pattern.trim_matches('/').trim_start_matches("./");
            // Braces mean themselves to a builder.
            let bare = pattern.replace('{', "[{]").replace('}', "[}]");
            let glob = GlobBuilder::new(&bare).literal_separator(true).build();
            let Ok(glob) = glob else {
                // What cannot be read here may be read otherwise there: nothing before it is sure.
                ignored.lines.clear();
                ignored.plain.clear();
                continue;
            };
            ignored.lines.push((glob.compile_matcher(), back));
            if back {
                ignored.plain.clear();
            } else if !pattern.is_empty() && !pattern.contains(['*', '?', '[', '{', '\\', '!']) {
                ignored.plain.push(format!("!{}", ignored.beneath(pattern)));
            }
        }
        ignored
    }

    fn beneath(&self, path: &str) -> String {
        match self.context.as_str() {
            "" => path.to_owned(),
            context => format!("{context}/{path}"),
        }
    }

    /// Patterns of the context, without what need not even be looked at.
    pub(super) fn patterns(&self) -> Vec<String> {
        let all = match self.context.as_str() {
            "" => ".".to_owned(),
            context => context.to_owned(),
        };
        std::iter::once(all).chain(self.plain.clone()).collect()
    }

    /// Whether the builder is sent this file of the pipeline's folder.
    pub(super) fn sends(&self, path: &str) -> bool {
        let own = match self.context.as_str() {
            "" => Some(path),
            context => path.strip_prefix(context).and_then(|p| p.strip_prefix('/')),
        };
        let Some(own) = own else { return false };
        let mut out = false;
        for (glob, back) in &self.lines {
            let matches = Path::new(own)
                .ancestors()
                .any(|part| !part.as_os_str().is_empty() && glob.is_match(part));
            if matches {
                out = !back;
            }
        }
        !out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_mean_to_a_builder() {
        let text = "# a comment\n*\n!src\n!Cargo.*\nsrc/**/*.tmp\n/src/secret/\n";
        let ignored = Ignored::of(".", text);
        let sent = |path: &str| ignored.sends(path);
        let paths = ["src/main.rs", "src/a/b/c.rs", "Cargo.toml", "Cargo.lock"];
        assert!(paths.into_iter().all(sent));
        let others = [
            "README.md",
            "src/a/x.tmp",
            "src/x.tmp",
            "src/secret/key",
            ".git/HEAD",
        ];
        assert!(!others.into_iter().any(sent));
        assert_eq!(ignored.patterns(), [".", "!src/secret"]);
    }

    #[test]
    fn a_context_in_a_folder_has_its_own_lines() {
        let ignored = Ignored::of("./app/", "node_modules\n**/*.log\n");
        assert_eq!(ignored.patterns(), ["app", "!app/node_modules"]);
        assert!(ignored.sends("app/index.js"));
        assert!(!ignored.sends("app/node_modules/x/y.js"));
        assert!(!ignored.sends("app/a/b.log"));
        assert!(!ignored.sends("other/index.js"));
        assert!(ignored.sends("app/lib/node_modules/x.js"));
    }
}
