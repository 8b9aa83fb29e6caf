//! Text to a tree of nodes with spans. The only part of the crate that knows there is a KDL library.

pub mod tree;

mod braces;
mod chars;
mod decode;
mod direct;
mod entries;
mod finding;
mod format;
mod lexer;
mod library;
mod outline;
mod parse;
mod prescan;
mod words;

pub use format::format;
pub use parse::parse;

#[cfg(test)]
mod tests;
