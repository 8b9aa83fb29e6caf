//! A plan as a drawing: Mermaid, Graphviz, JSON, a tree for the terminal. Pure: text out, prints nothing. Knows plans
//! and outcomes by name; unaware of runs, files and terminals.

mod collapse;
mod dot;
mod json;
mod label;
mod make;
mod mermaid;
mod readme;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod view;

pub use collapse::{Collapse, collapse};
pub use dot::dot;
pub use json::json;
pub use label::{mermaid_label, visible};
pub use make::view;
pub use mermaid::{Direction, MAX_EDGES, MAX_TEXT, Options, Picture, Shape, mermaid, picture};
pub use readme::{EmbedError, embed};
pub use text::{Line, Style, TextOptions, text};
pub use view::{
    Edge, EdgeKind, End, LeftOut, Matrix, Node, NodeKind, Stage, Status, Statuses, View,
};
