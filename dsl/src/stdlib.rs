//! The standard library: templates that are part of the program.

/// Its files: the name by which they are included, and the text.
pub const FILES: &[(&str, &str)] = &[];
