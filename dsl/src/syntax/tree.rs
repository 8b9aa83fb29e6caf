//! The tree that the rest of the crate reads: nodes, arguments, properties, all with spans.

use crate::source::{Span, Spanned};

/// One KDL node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The node's name with its span.
    pub name: Spanned<String>,
    /// The arguments, in order.
    pub args: Vec<Value>,
    /// The properties, in order; a repeated one stands twice.
    pub props: Vec<Prop>,
    /// The children, if a block was written.
    pub children: Option<Block>,
    /// From the name to the end of the block or last entry.
    pub span: Span,
}

/// The `{ … }` of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The nodes in it.
    pub nodes: Vec<Node>,
    /// Where nodes stand in it that cannot be read.
    pub lost: Vec<Span>,
    /// From the opening to the closing brace, both included.
    pub span: Span,
}

/// `name=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Prop {
    /// The left side.
    pub name: Spanned<String>,
    /// The right side.
    pub value: Value,
}

/// An argument or the right side of a property.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// `(ty)"…"`: the type annotation's name.
    pub ty: Option<Spanned<String>>,
    /// What was written.
    pub kind: ValueKind,
    /// The value as written, quotes included, annotation excluded.
    pub span: Span,
}

/// A KDL value.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// Quoted, raw, multi-line or bare; decoded.
    String(String),
    /// A whole number.
    Int(i128),
    /// A number with a point or exponent.
    Float(f64),
    /// `#true` or `#false`.
    Bool(bool),
    /// `#null`.
    Null,
}

impl Node {
    /// The nodes in the block, none where there is no block.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        self.children.as_ref().map_or(&[], |b| b.nodes.as_slice())
    }

    /// Where nodes stand in the block that cannot be read.
    #[must_use]
    pub fn lost(&self) -> &[Span] {
        self.children.as_ref().map_or(&[], |b| b.lost.as_slice())
    }
}

impl Value {
    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            ValueKind::String(s) => Some(s),
            _ => None,
        }
    }
}
