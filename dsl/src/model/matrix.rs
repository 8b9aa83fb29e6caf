//! A job's matrix and the legs that it stands for.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::source::Spanned;

/// How many legs a matrix may have.
pub const MAX_LEGS: usize = 256;

/// `matrix`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// The axes, in file order.
    pub axes: Vec<(Spanned<String>, Vec<Spanned<String>>)>,
    /// Legs with all these values are left out.
    pub exclude: Vec<IndexMap<String, String>>,
    /// Legs with exactly these values are added.
    pub include: Vec<IndexMap<String, String>>,
}

/// One combination of values, by axis.
pub type Leg = IndexMap<String, String>;

impl Matrix {
    /// How many combinations the axes have; saturates, so that it can be asked before anything is expanded.
    #[must_use]
    pub fn combinations(&self) -> usize {
        if self.axes.is_empty() {
            return self.include.len();
        }
        let sizes = self.axes.iter().map(|(_, values)| values.len());
        sizes
            .fold(1, usize::saturating_mul)
            .saturating_add(self.include.len())
    }

    /// Whether there is any leg.
    #[must_use]
    pub fn has_legs(&self) -> bool {
        if !self.exclude.is_empty() {
            return !self.legs().is_empty();
        }
        (1..=MAX_LEGS).contains(&self.combinations())
    }

    /// The legs: the product of the axes, the last axis fastest, less `exclude`, then `include`.
    /// Empty where there would be more than [`MAX_LEGS`] combinations, which is a finding of its own.
    #[must_use]
    pub fn legs(&self) -> Vec<Leg> {
        if self.combinations() > MAX_LEGS {
            return Vec::new();
        }
        let mut legs = if self.axes.is_empty() {
            Vec::new()
        } else {
            vec![Leg::new()]
        };
        for (axis, values) in &self.axes {
            let longer = |leg: &Leg| -> Vec<Leg> {
                values
                    .iter()
                    .map(|v| {
                        let mut leg = leg.clone();
                        leg.insert(axis.value.clone(), v.value.clone());
                        leg
                    })
                    .collect()
            };
            legs = legs.iter().flat_map(longer).collect();
        }
        legs.retain(|leg| !self.exclude.iter().any(|x| matches(leg, x)));
        for extra in &self.include {
            if !legs.contains(extra) {
                legs.push(extra.clone());
            }
        }
        legs
    }
}

/// Whether the leg has all these values.
#[must_use]
pub fn matches(leg: &Leg, values: &IndexMap<String, String>) -> bool {
    !values.is_empty()
        && values
            .iter()
            .all(|(axis, value)| leg.get(axis) == Some(value))
}
