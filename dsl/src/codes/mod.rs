//! The table of findings. Each has a stable number, an explanation and an example that is tested:
//! the bad one gives exactly this code, the good one gives none.

pub mod caching;
pub mod delivery;
pub mod graph;
pub mod names;
pub mod shape;
pub mod syntax;
pub mod values;

use crate::diagnostic::{Code, CodeInfo};

/// Declares codes as statics and lists them.
macro_rules! codes {
    ($( $name:ident $id:literal $title:literal $explanation:literal bad $bad:literal good $good:literal )*) => {
        $(
            #[doc = $title]
            pub static $name: $crate::diagnostic::CodeInfo = $crate::diagnostic::CodeInfo {
                id: $id, title: $title, explanation: $explanation, bad: $bad, good: $good,
            };
        )*
        /// The codes of this group, by number.
        pub static ALL: &[$crate::diagnostic::Code] = &[ $( &$name ),* ];
    };
}
pub(crate) use codes;

/// Every code, by number.
pub fn all() -> impl Iterator<Item = Code> {
    [
        syntax::ALL,
        shape::ALL,
        names::ALL,
        values::ALL,
        graph::ALL,
        delivery::ALL,
        caching::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The code with this number, in either case.
#[must_use]
pub fn find(id: &str) -> Option<&'static CodeInfo> {
    all().find(|c| c.id.eq_ignore_ascii_case(id))
}
