//! Whether the conditions of a step hold for what a run is about, and if not, why. Knows no other steps.

use dsl::model::{Condition, Selection};

use super::Request;
use super::pattern::{Matcher, Patterns};
use crate::world::{Changed, Event};

/// What conditions are held against.
pub(super) struct Ask<'a> {
    request: &'a Request,
    patterns: Patterns,
}

impl<'a> Ask<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self {
            request,
            patterns: Patterns::default(),
        }
    }

    /// Why conditions keep something out of the run; `None` if they do not. `releases`: something before it releases.
    pub(super) fn excluded(&self, releases: bool, selection: &Selection) -> Option<String> {
        let holds = |c: &Condition| self.unmet(releases, c).is_none();
        if let Some(condition) = selection.unless.iter().find(|c| holds(c)) {
            return Some(format!("unless {}", describe(condition)));
        }
        if selection.when.is_empty() || selection.when.iter().any(holds) {
            return None;
        }
        let wanted: Vec<String> = selection.when.iter().map(describe).collect();
        let why = self.unmet(releases, &selection.when[0]);
        let why = why
            .filter(|_| selection.when.len() == 1)
            .unwrap_or_else(|| this_run(self.request));
        Some(format!("when {}; {why}", wanted.join(" or ")))
    }

    /// The first part of a condition that does not hold, told as a fact about the run.
    fn unmet(&self, releases: bool, condition: &Condition) -> Option<String> {
        let context = &self.request.context;
        let this = || Some(this_run(self.request));
        if let Some(event) = &condition.event {
            let tag_push =
                event.value == "push" && condition.tag.is_some() && context.event == Event::Tag;
            if event.value != context.event.name() && !tag_push {
                return this();
            }
        }
        let pr = context.pr.as_ref();
        let names = [
            (&condition.branch, context.git.branch.as_deref()),
            (&condition.tag, context.git.tag.as_deref()),
        ];
        if names
            .iter()
            .any(|(pattern, name)| !self.fits(pattern.as_ref().map(|p| p.value.as_str()), *name))
        {
            return this();
        }
        let ends = [
            (
                &condition.into,
                pr.and_then(|p| p.target.as_deref()),
                "goes into",
            ),
            (
                &condition.from,
                pr.and_then(|p| p.source.as_deref()),
                "comes from",
            ),
        ];
        for (pattern, name, verb) in ends {
            if !self.fits(pattern.as_ref().map(|p| p.value.as_str()), name) {
                return Some(match (pr, name) {
                    (Some(_), Some(name)) => format!("this pull request {verb} {name}"),
                    _ => "this run is not for a pull request".to_owned(),
                });
            }
        }
        if !condition.paths.is_empty() && !self.touched(condition) {
            return Some("no changed file matches".to_owned());
        }
        if condition.released && !releases {
            return Some("this run makes no release".to_owned());
        }
        None
    }

    fn fits(&self, pattern: Option<&str>, name: Option<&str>) -> bool {
        match (pattern, name) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(pattern), Some(name)) => self.patterns.fits(pattern, name),
        }
    }

    /// Whether a changed file matches; where the changes are not known, the answer is yes.
    fn touched(&self, condition: &Condition) -> bool {
        let Changed::Known(changed) = &self.request.changed else {
            return true;
        };
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for path in &condition.paths {
            match path.value.strip_prefix('!') {
                Some(pattern) => unwanted.extend(self.patterns.get(pattern)),
                None => wanted.extend(self.patterns.get(&path.value)),
            }
        }
        let any = |patterns: &[Matcher<'_>], path: &str| patterns.iter().any(|p| p.is_match(path));
        changed
            .iter()
            .any(|path| (wanted.is_empty() || any(&wanted, path)) && !any(&unwanted, path))
    }
}

/// The condition as written, in one line.
fn describe(condition: &Condition) -> String {
    let mut words = Vec::new();
    let fields = [
        ("event", &condition.event),
        ("branch", &condition.branch),
        ("tag", &condition.tag),
        ("into", &condition.into),
        ("from", &condition.from),
    ];
    for (name, value) in fields {
        words.extend(value.as_ref().map(|v| format!("{name}={}", v.value)));
    }
    if !condition.paths.is_empty() {
        let paths: Vec<&str> = condition.paths.iter().map(|p| p.value.as_str()).collect();
        words.push(format!("paths={}", paths.join(",")));
    }
    if condition.released {
        words.push("released".into());
    }
    words.join(" ")
}

/// What this run is, for reasons: "this run is push on main".
fn this_run(request: &Request) -> String {
    let context = &request.context;
    let at = match (&context.git.tag, &context.git.branch) {
        (Some(tag), _) => format!(" for the tag {tag}"),
        (None, Some(branch)) => format!(" on {branch}"),
        (None, None) => String::new(),
    };
    format!("this run is {}{at}", context.event)
}
