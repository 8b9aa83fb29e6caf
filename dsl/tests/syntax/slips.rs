//! Pipelines with one or two random slips, the same in every run.

use super::PIPELINES;

/// So many mutants of each pipeline.
pub(super) fn mutants(rounds: usize) -> impl Iterator<Item = String> {
    let mut dice = Dice(7);
    PIPELINES.into_iter().flat_map(move |text| {
        let whole = pieces(text);
        let mutants: Vec<_> = (0..rounds)
            .map(|round| {
                let mut pieces = whole.clone();
                for _ in 0..=round % 2 {
                    slip(&mut pieces, &mut dice);
                }
                pieces.concat()
            })
            .collect();
        mutants
    })
}

/// The pieces that slips move around.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let joins = c.is_alphanumeric() && before.is_alphanumeric();
        if at > 0 && !joins {
            pieces.push(&text[from..at]);
            from = at;
        }
        before = c;
    }
    pieces.push(&text[from..]);
    pieces
}

/// What does damage.
pub(super) const NOISE: [&str; 24] = [
    "{", "}", "\"", "\"\"\"", "#", "#\"", "/*", "*/", "/-", "//", "\\", "\n", ";", "=", "(", ")",
    ",", ":", "é", "\u{202e}", "\0", "${", "1x", "\r",
];

/// A sequence that is the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).map_or(0, |n| n % sides)
    }
}

fn slip(pieces: &mut Vec<&str>, dice: &mut Dice) {
    if pieces.len() < 2 {
        return;
    }
    let at = dice.roll(pieces.len());
    match dice.roll(6) {
        0 => drop(pieces.remove(at)),
        1 => pieces.insert(at, pieces[at]),
        2 => {
            let other = dice.roll(pieces.len());
            pieces.swap(at, other);
        }
        3 => pieces.truncate(at),
        _ => pieces.insert(at, NOISE[dice.roll(NOISE.len())]),
    }
}
