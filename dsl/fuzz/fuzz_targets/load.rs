//! Any text: it loads, and its findings are drawn, without a panic and without control characters.
//! Run with `cargo +nightly fuzz run load ../tests/syntax/pipelines` in this folder.

#![no_main]

use dsl::Files;
use dsl::render::{Style, human};
use libfuzzer_sys::fuzz_target;

struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Result<String, String> {
        Err("there is no such file".to_owned())
    }
}

fuzz_target!(|text: &str| {
    let loaded = dsl::load(&NoFiles, "pipeline.kdl", text.to_owned());
    let style = Style {
        color: false,
        links: false,
        width: 80,
        unicode: true,
    };
    let shown = human(&loaded.diagnostics, &loaded.sources, &style);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
});
