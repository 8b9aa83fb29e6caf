//! The one way that bytes of a job take to a log or a screen: masker, sanitiser, lines, neutraliser.
//! Knows nothing of jobs, processes or where the bytes end.
//!
//! ```text
//! bytes ─▶ mask ─┬─▶ Sink::bytes                              the raw log: masked, else untouched
//!                └─▶ sanitise ─▶ lines ─▶ neutralise ─▶ Sink::line   what people and the outer CI see
//! ```
//!
//! Every part works on a stream, in memory that depends on the longest secret and the longest line
//! but never on the amount of output.

mod encodings;
mod lines;
mod mask;
mod neutralise;
mod sanitise;

pub use lines::{LONGEST_LINE, Lines, SPLIT_MARK};
pub use mask::{MASK, Masker, SHORTEST_SECRET};
pub use neutralise::{OuterCi, neutralise};
pub use sanitise::{Sanitiser, harmless, is_calm};

/// Where the two products of the chain go.
pub trait Sink {
    /// Takes masked bytes as the job wrote them, for the raw log.
    fn bytes(&mut self, masked: &[u8]);

    /// Takes one displayable line without its line end.
    fn line(&mut self, line: &str);
}

/// The writer chain of one stream of one step.
pub struct Chain {
    masker: Masker,
    sanitiser: Sanitiser,
    lines: Lines,
    outer: OuterCi,
    masked: Vec<u8>,
    clean: String,
}

impl Chain {
    /// Starts a chain; `masker` is only asked for its secrets, its own stream is not touched.
    pub fn new(masker: &Masker, outer: OuterCi) -> Self {
        Self {
            masker: masker.fresh(),
            sanitiser: Sanitiser::default(),
            lines: Lines::default(),
            outer,
            masked: Vec::new(),
            clean: String::new(),
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        if self.masker.is_empty() {
            return self.show(chunk, sink);
        }
        let mut masked = std::mem::take(&mut self.masked);
        masked.clear();
        self.masker.feed(chunk, &mut masked);
        self.show(&masked, sink);
        self.masked = masked;
    }

    /// Ends the stream: what was held back and an unfinished last line come out.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let mut masked = Vec::new();
        self.masker.finish(&mut masked);
        self.show(&masked, sink);
        self.clean.clear();
        self.sanitiser.finish(&mut self.clean);
        let outer = self.outer;
        let mut each = |line: &str| sink.line(&neutralise(outer, line));
        self.lines.feed(&self.clean, &mut each);
        self.lines.finish(&mut each);
    }

    fn show(&mut self, masked: &[u8], sink: &mut impl Sink) {
        if masked.is_empty() {
            return;
        }
        sink.bytes(masked);
        self.clean.clear();
        self.sanitiser.feed(masked, &mut self.clean);
        let outer = self.outer;
        self.lines
            .feed(&self.clean, |line| sink.line(&neutralise(outer, line)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        raw: Vec<u8>,
        lines: Vec<String>,
    }

    impl Sink for Seen {
        fn bytes(&mut self, masked: &[u8]) {
            self.raw.extend_from_slice(masked);
        }
        fn line(&mut self, line: &str) {
            self.lines.push(line.to_owned());
        }
    }

    fn through(outer: OuterCi, secrets: &[(&str, &[u8])], chunks: &[&[u8]]) -> Seen {
        let (masker, _) = Masker::new(secrets);
        let mut chain = Chain::new(&masker, outer);
        let mut seen = Seen::default();
        for chunk in chunks {
            chain.feed(chunk, &mut seen);
        }
        chain.finish(&mut seen);
        seen
    }

    #[test]
    fn the_raw_log_is_masked_and_the_screen_is_also_clean() {
        let seen = through(
            OuterCi::GitHub,
            &[("TOKEN", b"hunter2-hunter2")],
            &[
                b"a hunter2-",
                b"hunter2 b\r\n  ::set-env::x\n\x1b]0;title\x07\xff last",
            ],
        );
        assert_eq!(
            seen.raw,
            b"a *** b\r\n  ::set-env::x\n\x1b]0;title\x07\xff last"
        );
        assert_eq!(seen.lines, ["a *** b", "  \\::set-env::x", "\u{fffd} last"]);
    }

    #[test]
    fn a_chain_without_secrets_passes_bytes_on_unchanged() {
        let seen = through(OuterCi::None, &[], &[b"one\ntw", b"o\n"]);
        assert_eq!(seen.raw, b"one\ntwo\n");
        assert_eq!(seen.lines, ["one", "two"]);
    }
}
