//! The moving end of a terminal: lines that scroll away above, a block below that is drawn again and again.
//!
//! The cursor rests at the start of the line below the block, so that what a person types there (`^C`) cannot make a
//! line wrap and shift the block; a drawing library that rests at the end of a full line leaves stale lines then.

use std::fmt::Write;

use super::out::Out;
use super::words::cut;

/// The block, and what waits to be printed above it.
pub struct Screen {
    out: Out,
    above: String,
    drawn: usize,
}

impl Screen {
    /// A screen with nothing on it.
    #[must_use]
    pub fn new(out: &Out) -> Self {
        Self {
            out: out.clone(),
            above: String::new(),
            drawn: 0,
        }
    }

    /// Puts a line above the block; it is seen with the next drawing.
    pub fn print(&mut self, line: &str) {
        self.above += line;
        self.above.push('\n');
    }

    /// Leaves the block as it stands: what comes now is somebody else's terminal too.
    pub fn leave(&mut self) {
        self.drawn = 0;
    }

    /// Draws what was printed, and the block below it, in one write.
    pub fn draw(&mut self, block: &[String]) {
        let (width, height) = size(&self.out);
        let shown = &block[..block.len().min(height.saturating_sub(2))];
        let mut text = String::new();
        if self.drawn > 0 {
            let _ = write!(text, "\x1b[{}A\r\x1b[J", self.drawn);
        }
        let body: String = shown
            .iter()
            .map(|line| cut(line, width.saturating_sub(1)) + "\n")
            .collect();
        text += &self.out.painted(&std::mem::take(&mut self.above));
        text += &self.out.painted(&body);
        self.drawn = shown.len();
        self.out.bytes(text.as_bytes());
    }
}

/// Columns and rows, as they are now: people resize windows.
fn size(out: &Out) -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (out.width, 24),
    }
}
