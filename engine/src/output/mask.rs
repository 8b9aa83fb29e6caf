//! Replaces secrets by `***` in a stream of bytes, in every usual encoding.
//! Does not know where secrets come from and never keeps their names.
//!
//! One automaton walks every byte once. Its state is the longest suffix of the stream that begins
//! some needle, so exactly these bytes are held back and nothing waits longer than it must.

use super::encodings;
use aho_corasick::{
    Anchored, MatchKind,
    automaton::{Automaton, StateID},
    nfa::{contiguous, noncontiguous},
};
use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Secrets of fewer bytes are not masked: they would hide half the log and protect nothing.
pub const SHORTEST_SECRET: usize = 6;

/// Masks the secrets of a run in one stream; [`Masker::fresh`] gives one for another stream.
pub struct Masker {
    needles: Option<Arc<Needles>>,
    state: Option<StateID>,
    /// Bytes that were read and not yet written.
    held: Vec<u8>,
    /// The position of the first held byte in the stream.
    base: u64,
    /// Up to this position the stream is already represented by a written mask.
    covered: u64,
    /// Found and not yet written: apart from each other, in order.
    found: Vec<(u64, u64)>,
}

struct Needles {
    automaton: contiguous::NFA,
    start: StateID,
    /// How many bytes of a needle each state stands for, by state.
    depths: Vec<(StateID, usize)>,
}

impl Masker {
    /// Prepares masking of these (name, value) pairs; the second result are warnings about values
    /// that cannot be masked, or not in all encodings.
    pub fn new(secrets: &[(impl AsRef<str>, impl AsRef<[u8]>)]) -> (Self, Vec<String>) {
        let mut needles = BTreeSet::new();
        let mut warnings = Vec::new();
        for (name, value) in secrets {
            let (name, value) = (name.as_ref(), value.as_ref());
            if encodings::trimmed(value).len() < SHORTEST_SECRET {
                warnings.push(format!(
                    "secret {name} has fewer than {SHORTEST_SECRET} bytes and is not masked"
                ));
            } else if encodings::collect(value, &mut needles) == encodings::Coverage::Plain {
                warnings.push(format!(
                    "secret {name} is longer than {} bytes: it is masked as it is and by line, \
                     not in other encodings",
                    encodings::LONGEST_ENCODED
                ));
            }
        }
        let needles: Vec<_> = needles.into_iter().collect();
        let automaton = Needles::new(&needles);
        if automaton.is_none() && !needles.is_empty() {
            warnings.push("the secrets are too large together: none of them is masked".to_owned());
        }
        (Self::over(automaton.map(Arc::new)), warnings)
    }

    /// A masker of the same secrets at the beginning of another stream.
    pub fn fresh(&self) -> Self {
        Self::over(self.needles.clone())
    }

    /// Whether there is nothing to mask, so that a caller may pass its bytes on as they are.
    pub fn is_empty(&self) -> bool {
        self.needles.is_none()
    }

    /// Takes the next bytes and appends to `out` what is certain by now.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(needles) = self.needles.clone() else {
            out.extend_from_slice(chunk);
            return;
        };
        let end = self.base + (self.held.len() + chunk.len()) as u64;
        let state = self.search(&needles, chunk);
        self.held.extend_from_slice(chunk);
        self.write(end - needles.depth(state) as u64, out);
    }

    /// Ends the stream; what was held back is written, and the next `feed` begins a new stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.write(self.base + self.held.len() as u64, out);
        self.state = None;
        self.covered = 0;
        self.base = 0;
    }

    /// Masks a whole text, for a message or a name; the stream of this masker is not touched.
    pub fn mask_str<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masker = self.fresh();
        let mut out = Vec::with_capacity(text.len());
        masker.feed(text.as_bytes(), &mut out);
        masker.finish(&mut out);
        if out == text.as_bytes() {
            return Cow::Borrowed(text);
        }
        // A needle may end inside a character only if the secret itself is not valid UTF-8.
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }

    fn over(needles: Option<Arc<Needles>>) -> Self {
        Self {
            needles,
            state: None,
            held: Vec::new(),
            base: 0,
            covered: 0,
            found: Vec::new(),
        }
    }

    fn search(&mut self, needles: &Needles, chunk: &[u8]) -> StateID {
        let automaton = &needles.automaton;
        let mut state = self.state.unwrap_or(needles.start);
        let from = self.base + self.held.len() as u64;
        for (at, &byte) in chunk.iter().enumerate() {
            state = automaton.next_state(Anchored::No, state, byte);
            if automaton.is_special(state) && automaton.is_match(state) {
                let end = from + at as u64 + 1;
                let length = (0..automaton.match_len(state))
                    .map(|index| automaton.pattern_len(automaton.match_pattern(state, index)))
                    .max()
                    .unwrap_or(0);
                self.note(end - length as u64, end);
            }
        }
        self.state = Some(state);
        state
    }

    /// Adds a found range. Ends never go back, but a longer needle may begin before earlier ranges.
    fn note(&mut self, mut start: u64, end: u64) {
        while let Some(&(earlier, until)) = self.found.last() {
            if until <= start {
                break;
            }
            start = start.min(earlier);
            self.found.pop();
        }
        self.found.push((start, end));
    }

    /// Writes everything before `safe`. A range that crosses it is written as one mask now, and
    /// `covered` remembers that the rest of it is done.
    fn write(&mut self, safe: u64, out: &mut Vec<u8>) {
        let mut cursor = self.base.max(self.covered);
        let crossed = self.found.partition_point(|&(start, _)| start < safe);
        let found: Vec<_> = self.found.drain(..crossed).collect();
        for (start, end) in found {
            // A range that begins under a written mask is part of that mask.
            if start >= self.covered {
                self.copy(cursor, start, out);
                out.extend_from_slice(MASK.as_bytes());
            }
            self.covered = self.covered.max(end);
            cursor = self.covered;
        }
        self.copy(cursor, safe, out);
        self.held.drain(..(safe - self.base) as usize);
        self.base = safe;
    }

    fn copy(&self, from: u64, to: u64, out: &mut Vec<u8>) {
        if from < to {
            out.extend_from_slice(
                &self.held[(from - self.base) as usize..(to - self.base) as usize],
            );
        }
    }
}

impl Needles {
    fn new(needles: &[Vec<u8>]) -> Option<Self> {
        if needles.is_empty() {
            return None;
        }
        let sparse = noncontiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(needles)
            .ok()?;
        let automaton = contiguous::Builder::new()
            .build_from_noncontiguous(&sparse)
            .ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let mut depths = Vec::new();
        for needle in needles {
            // Along a needle the automaton goes down its own trie, one state for each byte.
            let mut state = start;
            for (index, &byte) in needle.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, byte);
                depths.push((state, index + 1));
            }
        }
        depths.sort_unstable();
        depths.dedup();
        Some(Self {
            automaton,
            start,
            depths,
        })
    }

    fn depth(&self, state: StateID) -> usize {
        self.depths
            .binary_search_by_key(&state, |&(id, _)| id)
            .map_or(0, |index| self.depths[index].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(secrets: &[&[u8]], chunks: &[&[u8]]) -> Vec<u8> {
        let secrets: Vec<_> = secrets.iter().map(|value| ("S", *value)).collect();
        let (mut masker, _) = Masker::new(&secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            masker.feed(chunk, &mut out);
        }
        masker.finish(&mut out);
        out
    }

    fn text(secrets: &[&[u8]], text: &str) -> String {
        String::from_utf8(masked(secrets, &[text.as_bytes()])).unwrap()
    }

    #[test]
    fn a_secret_becomes_three_stars() {
        assert_eq!(text(&[b"hunter2"], "a hunter2 b hunter22"), "a *** b ***2");
    }

    #[test]
    fn overlapping_secrets_vanish_together() {
        let secrets: [&[u8]; 3] = [b"abcdefgh", b"efghijkl", b"bcdefghijklmn"];
        assert_eq!(text(&secrets[..2], "-abcdefghijkl-"), "-***-");
        assert_eq!(text(&secrets, "-abcdefghijklmn-"), "-***-");
        assert_eq!(text(&secrets, "-bcdefghijklm-"), "-bcd***m-");
    }

    #[test]
    fn a_secret_that_repeats_itself_is_one_mask_in_bounded_memory() {
        let (mut masker, _) = Masker::new(&[("S", b"aaaaaa")]);
        let mut out = Vec::new();
        for _ in 0..1000 {
            masker.feed(&[b'a'; 100], &mut out);
            assert!(masker.held.len() <= 6 && masker.found.len() <= 1);
        }
        masker.feed(b"-", &mut out);
        masker.finish(&mut out);
        assert_eq!(out, b"***-");
    }

    #[test]
    fn only_the_beginning_of_a_secret_is_held_back() {
        let (mut masker, _) = Masker::new(&[("S", b"hunter2-and-more")]);
        let mut out = Vec::new();
        masker.feed(b"waiting for hun", &mut out);
        assert_eq!(out, b"waiting for ");
        masker.feed(b"t\n", &mut out);
        assert_eq!(out, b"waiting for hunt\n");
    }

    #[test]
    fn short_secrets_are_refused_with_a_warning() {
        let (masker, warnings) = Masker::new(&[("PIN", "12345\n"), ("EMPTY", "")]);
        assert_eq!(
            warnings,
            [
                "secret PIN has fewer than 6 bytes and is not masked",
                "secret EMPTY has fewer than 6 bytes and is not masked"
            ]
        );
        assert!(masker.is_empty());
        assert_eq!(masker.mask_str("12345"), "12345");
    }

    #[test]
    fn a_large_file_is_masked_by_line_with_a_warning() {
        let file = "a line of a large file\n".repeat(1000);
        let (masker, warnings) = Masker::new(&[("FILE", &file)]);
        assert_eq!(
            warnings,
            [
                "secret FILE is longer than 16384 bytes: it is masked as it is and by line, \
                 not in other encodings"
            ]
        );
        assert_eq!(masker.mask_str("see a line of a large file."), "see ***.");
    }

    #[test]
    fn every_usual_encoding_is_masked() {
        // Each made by the tool named, from: p/ss 'w"ö$&+=?>%
        let secret = "p/ss 'w\"ö$&+=?>%";
        for (tool, encoded) in [
            ("base64", "cC9zcyAndyLDtiQmKz0/PiU="),
            ("base64 without padding", "cC9zcyAndyLDtiQmKz0/PiU"),
            ("base64 URL-safe", "cC9zcyAndyLDtiQmKz0_PiU="),
            ("python quote", "p/ss%20%27w%22%C3%B6%24%26%2B%3D%3F%3E%25"),
            (
                "python quote_plus",
                "p%2Fss+%27w%22%C3%B6%24%26%2B%3D%3F%3E%25",
            ),
            ("lower case", "p%2fss%20%27w%22%c3%b6%24%26%2b%3d%3f%3e%25"),
            (
                "encodeURIComponent",
                "p%2Fss%20'w%22%C3%B6%24%26%2B%3D%3F%3E%25",
            ),
            ("encodeURI", "p/ss%20'w%22%C3%B6$&+=?%3E%25"),
            ("json.dumps", "p/ss 'w\\\"\\u00f6$&+=?>%"),
            ("JSON.stringify", "p/ss 'w\\\"ö$&+=?>%"),
            ("twice", "p/ss 'w\\\\\\\"ö$&+=?>%"),
            ("json.Marshal", "p/ss 'w\\\"ö$\\u0026+=?\\u003e%"),
            ("json_encode", "p\\/ss 'w\\\"\\u00f6$&+=?>%"),
            ("set -x", "p/ss '\\''w\"ö$&+=?>%"),
            ("shlex.quote", "p/ss '\"'\"'w\"ö$&+=?>%"),
            ("printf %q", "p/ss\\ \\'w\\\"ö\\$\\&+=\\?\\>%"),
            ("printf %q in C", "p/ss \\'w\"\\303\\266$&+=?>%"),
            ("declare -p", "p/ss 'w\\\"ö\\$&+=?>%"),
            ("xxd -p", "702f7373202777 22c3b624262b3d3f3e25"),
            ("upper hex", "702F737320277722C3B624262B3D3F3E25"),
        ] {
            let encoded = match tool {
                "xxd -p" => encoded.replace(' ', ""),
                _ => encoded.to_owned(),
            };
            assert_eq!(
                text(&[secret.as_bytes()], &format!("<{encoded}>")),
                "<***>",
                "{tool}"
            );
        }
    }

    #[test]
    fn base64_is_masked_at_its_three_offsets() {
        // printf 'user:hunter2-hunter2:x' | base64, with one and two bytes fewer before the secret
        for encoded in [
            "dXNlcjpodW50ZXIyLWh1bnRlcjI6eA==",
            "c2VyOmh1bnRlcjItaHVudGVyMjp4",
            "ZXI6aHVudGVyMi1odW50ZXIyOng=",
        ] {
            let shown = text(&[b"hunter2-hunter2"], encoded);
            assert!(shown.contains("***") && shown.len() <= 16, "{shown}");
        }
    }

    #[test]
    fn the_lines_of_a_long_secret_are_masked_alone_and_wrapped() {
        let key = "-----BEGIN KEY-----\nMIIBVQIBADANBg\nx\n-----END KEY-----\n";
        assert_eq!(text(&[key.as_bytes()], "> MIIBVQIBADANBg <"), "> *** <");
        assert_eq!(text(&[key.as_bytes()], key), "***\n");
        assert_eq!(
            text(&[key.as_bytes()], &key.replace('\n', "\r\n")),
            "***\r\n"
        );
        assert_eq!(
            // base64
            text(
                &[key.as_bytes()],
                "LS0tLS1CRUdJTiBLRVktLS0tLQpNSUlCVlFJQkFEQU5CZwp4Ci0tLS0tRU5EIEtFWS0tLS0tCg==\n"
            ),
            "***Cg==\n"
        );
    }

    #[test]
    fn a_message_is_masked_whole() {
        let (masker, _) = Masker::new(&[("S", "hunter2")]);
        assert!(matches!(
            masker.mask_str("nothing"),
            Cow::Borrowed("nothing")
        ));
        assert_eq!(masker.mask_str("hunter2 and hunter2"), "*** and ***");
    }

    fn percent(value: &[u8]) -> Vec<u8> {
        value
            .iter()
            .flat_map(|byte| format!("%{byte:02X}").into_bytes())
            .collect()
    }

    /// An encoder that is not the one under test.
    fn encode(kind: usize, value: &[u8]) -> Vec<u8> {
        match kind {
            0 => value.to_vec(),
            1 => value
                .iter()
                .flat_map(|byte| format!("{byte:02x}").into_bytes())
                .collect(),
            2 => value
                .iter()
                .flat_map(|byte| format!("{byte:02X}").into_bytes())
                .collect(),
            3 => {
                let text = serde_json::to_string(&String::from_utf8_lossy(value)).unwrap();
                text.as_bytes()[1..text.len() - 1].to_vec()
            }
            4 => value
                .iter()
                .flat_map(|&byte| match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        vec![byte]
                    }
                    _ => percent(&[byte]),
                })
                .collect(),
            _ => String::from_utf8_lossy(value)
                .replace('\'', "'\\''")
                .into_bytes(),
        }
    }

    fn contains(text: &[u8], part: &[u8]) -> bool {
        text.windows(part.len()).any(|window| window == part)
    }

    proptest! {
        #[test]
        fn no_secret_appears_however_it_is_written_and_split(
            secrets in prop::collection::vec("[a-d \"'\\\\$é\n]{6,14}", 1..4),
            pieces in prop::collection::vec((0_usize..4, 0_usize..6, "[a-d ]{0,5}"), 0..8),
            size in 1_usize..20,
        ) {
            let values: Vec<_> = secrets.iter()
                .map(|secret| encodings::trimmed(secret.as_bytes()))
                .filter(|value| value.len() >= SHORTEST_SECRET)
                .collect();
            prop_assume!(!values.is_empty());
            let stream: Vec<u8> = pieces.iter().flat_map(|(which, kind, between)| {
                let mut bytes = encode(*kind, values[which % values.len()]);
                bytes.extend_from_slice(between.as_bytes());
                bytes
            }).collect();
            let chunks: Vec<_> = stream.chunks(size).collect();
            let out = masked(&values, &chunks);
            prop_assert_eq!(&out, &masked(&values, &[&stream]));
            for value in values {
                for kind in 0..6 {
                    let needle = encode(kind, value);
                    prop_assert!(!contains(&out, &needle), "{:?}", String::from_utf8_lossy(&out));
                }
            }
        }

        #[test]
        fn base64_never_shows_a_secret_inside_other_bytes(
            before in any::<[u8; 5]>(), skip in 0_usize..5,
            secret in any::<[u8; 12]>().prop_filter("line ends are cut off", |secret| encodings::trimmed(secret).len() == 12),
            after in prop::collection::vec(any::<u8>(), 0..5),
        ) {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let bytes = [&before[skip..], &secret, &after].concat();
            let mut encoded = Vec::new();
            for group in bytes.chunks(3) {
                let word = group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte))
                    << (8 * (3 - group.len()));
                for index in 0..=group.len() {
                    encoded.push(alphabet[(word >> (18 - 6 * index)) as usize & 63]);
                }
            }
            let out = masked(&[&secret], &[&encoded]);
            // Of the 16 characters at most those that mix with neighbours remain.
            prop_assert!(contains(&out, b"***"));
            prop_assert!(out.len() <= encoded.len() - 15 + 3);
        }

        #[test]
        fn text_without_a_secret_is_unchanged(
            bytes in prop::collection::vec(0_u8..=127, 0..300), size in 1_usize..50,
        ) {
            let chunks: Vec<_> = bytes.chunks(size).collect();
            prop_assert_eq!(masked(&["ÄÖÜäöü€".as_bytes()], &chunks), bytes);
        }
    }
}
