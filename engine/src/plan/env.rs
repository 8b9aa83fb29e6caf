//! The variables of a step: those from around it, which it shares with others, and its own. Knows no values.

use std::sync::Arc;

use dsl::expr::Template;

/// A variable's name and its value.
pub type Variable = (String, Template);

/// The variables of a step, in the order in which they are set.
#[derive(Debug, Clone, Default)]
pub struct Env {
    outer: Arc<Vec<Variable>>,
    own: Vec<Variable>,
    /// The first so many of its own are of its matrix; they stand beside outer ones of the same name.
    beside: usize,
}

impl Env {
    /// Nothing but these yet.
    pub(super) fn around(outer: Arc<Vec<Variable>>) -> Self {
        Self {
            outer,
            ..Self::default()
        }
    }

    /// Adds a variable of the matrix, before all others of the step.
    pub(super) fn add_axis(&mut self, name: String, value: Template) {
        self.own.push((name, value));
        self.beside = self.own.len();
    }

    /// Sets a variable in place of any other of that name.
    pub(super) fn set(&mut self, name: &str, value: Template) {
        if let Some(at) = self.own.iter().position(|(n, _)| n == name) {
            self.own.remove(at);
            self.beside -= usize::from(at < self.beside);
        }
        self.own.push((name.to_owned(), value));
    }

    /// The value of the variable that was set last under this name.
    pub(super) fn get(&self, name: &str) -> Option<&Template> {
        let all = self.own.iter().rev().chain(self.outer.iter().rev());
        find(all, name)
    }

    /// All of them, to stand around others.
    pub(super) fn shared(self) -> Arc<Vec<Variable>> {
        match self.own.is_empty() {
            true => self.outer,
            false => Arc::new(self.iter().cloned().collect()),
        }
    }

    /// All variables, in the order in which they are set.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { env: self, at: 0 }
    }
}

/// The value of the first variable of that name.
pub(super) fn find<'v>(
    mut variables: impl Iterator<Item = &'v Variable>,
    name: &str,
) -> Option<&'v Template> {
    variables.find(|(n, _)| n == name).map(|(_, value)| value)
}

/// See [`Env::iter`].
#[derive(Debug)]
pub struct Iter<'a> {
    env: &'a Env,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Variable;

    fn next(&mut self) -> Option<Self::Item> {
        let env = self.env;
        while let Some(outer) = env.outer.get(self.at) {
            self.at += 1;
            if env.own[env.beside..].iter().all(|(n, _)| *n != outer.0) {
                return Some(outer);
            }
        }
        let own = env.own.get(self.at - env.outer.len())?;
        self.at += 1;
        Some(own)
    }
}

impl<'a> IntoIterator for &'a Env {
    type Item = &'a Variable;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(outer: &[(&str, &str)], axes: &[(&str, &str)], own: &[(&str, &str)]) -> Env {
        let outer = outer
            .iter()
            .map(|(n, v)| ((*n).to_owned(), Template::text(*v)));
        let mut env = Env::around(Arc::new(outer.collect()));
        for (name, value) in axes {
            env.add_axis((*name).to_owned(), Template::text(*value));
        }
        for (name, value) in own {
            env.set(name, Template::text(*value));
        }
        env
    }

    fn shown(env: &Env) -> String {
        let shown: Vec<String> = env.iter().map(|(n, v)| format!("{n}={v}")).collect();
        shown.join(" ")
    }

    #[test]
    fn an_inner_variable_is_set_in_place_of_an_outer_one_and_an_axis_after_it() {
        let env = env(
            &[("A", "1"), ("B", "2"), ("MATRIX_OS", "3"), ("C", "4")],
            &[("MATRIX_OS", "linux"), ("MATRIX_V", "x")],
            &[("B", "5"), ("MATRIX_V", "y"), ("B", "6")],
        );
        assert_eq!(
            shown(&env),
            "A=1 MATRIX_OS=3 C=4 MATRIX_OS=linux MATRIX_V=y B=6"
        );
        let known = |name: &str| env.get(name).and_then(Template::known);
        let values = ["A", "B", "MATRIX_OS", "MATRIX_V", "D"].map(known);
        assert_eq!(
            values,
            [Some("1"), Some("6"), Some("linux"), Some("y"), None].map(|v| v.map(str::to_owned))
        );
    }

    #[test]
    fn what_stands_around_is_shared_until_something_is_set() {
        let outer = env(&[("A", "1")], &[], &[]).shared();
        let same = Env::around(Arc::clone(&outer)).shared();
        assert!(Arc::ptr_eq(&outer, &same));
        let mut inner = Env::around(outer);
        inner.set("A", Template::text("2"));
        assert_eq!(shown(&Env::around(inner.shared())), "A=2");
    }
}
