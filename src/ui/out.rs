//! Standard output and error. A pipe that somebody closed ends the output, not the program; colours go only where
//! they are wanted.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::rc::Rc;

use anstream::{AutoStream, ColorChoice};
use engine::output::{harmless, is_calm};
use engine::run::asked_to_end;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::args::Color;

/// How much is written at once: so much fits into a pipe that has room.
const AT_ONCE: usize = 4096;
/// How much text is gathered at most before it is written.
const GATHERED: usize = 64 * 1024;
/// How long one look for room takes.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Where output goes, and what it may look like.
#[derive(Debug, Clone)]
pub struct Out {
    /// Whether standard output is a terminal.
    pub terminal: bool,
    /// Whether colours are wanted on standard output.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Whether characters beyond ASCII can be shown.
    pub unicode: bool,
    closed: Rc<Cell<bool>>,
    trouble: Rc<Cell<bool>>,
}

impl Out {
    /// Looks at the terminal and the environment.
    #[must_use]
    pub fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => AutoStream::choice(&std::io::stdout()),
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        let terminal = std::io::stdout().is_terminal();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|n| std::env::var(n).ok().filter(|v| !v.is_empty()));
        let ascii = locale.is_some_and(|l| l == "C" || l == "POSIX");
        Self {
            terminal,
            color: choice != ColorChoice::Never,
            width: width(terminal),
            unicode: !(terminal && ascii),
            closed: Rc::default(),
            trouble: Rc::default(),
        }
    }

    /// Writes text and a line end to standard output.
    pub fn line(&self, text: &str) {
        self.text(&format!("{text}\n"));
    }

    /// Writes text to standard output; its colours are taken out where none are wanted.
    pub fn text(&self, text: &str) {
        let shown = self.painted(text);
        self.bytes(shown.as_bytes());
    }

    /// Writes bytes to standard output as they are.
    pub fn bytes(&self, bytes: &[u8]) {
        if self.closed.get() {
            return;
        }
        let mut out = std::io::stdout().lock();
        let mut write = || -> std::io::Result<()> {
            for piece in bytes.chunks(AT_ONCE) {
                wait_for_room()?;
                out.write_all(piece)?;
                out.flush()?;
            }
            Ok(())
        };
        if let Err(e) = write() {
            self.closed.set(true);
            if e.kind() != std::io::ErrorKind::BrokenPipe {
                self.trouble.set(true);
                self.error(&format!("standard output cannot be written: {e}"));
            }
        }
    }

    /// The text with its colours, or without. Nothing else in it acts on a terminal.
    #[must_use]
    pub fn painted<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if is_calm(text) {
            Cow::Borrowed(text)
        } else if self.color {
            harmless(text)
        } else {
            let plain = anstream::adapter::strip_str(text).to_string();
            match harmless(&plain) {
                Cow::Borrowed(_) => plain.into(),
                Cow::Owned(clean) => clean.into(),
            }
        }
    }

    /// Tells a mistake on standard error.
    pub fn error(&self, text: &str) {
        self.problem("error", text);
    }

    /// Tells something that may matter on standard error.
    pub fn warning(&self, text: &str) {
        self.problem("warning", text);
    }

    /// Tells what to do, behind an error.
    pub fn hint(&self, text: &str) {
        self.problem("hint", text);
    }

    /// Writes text to standard error as it is.
    pub fn report(&self, text: &str) {
        // There is nobody left to tell when this fails.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Whether standard output failed in another way than being closed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.trouble.get()
    }

    fn problem(&self, word: &str, text: &str) {
        let clean: String = text.chars().flat_map(visible).collect();
        self.report(&format!("{word}: {clean}\n"));
    }
}

/// Text on its way to standard output, gathered so that many lines are one write.
pub struct Gathered {
    out: Out,
    text: String,
}

impl Gathered {
    /// Nothing yet.
    #[must_use]
    pub fn new(out: &Out) -> Self {
        Self {
            out: out.clone(),
            text: String::new(),
        }
    }

    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        self.prefixed("", line);
    }

    /// Takes a line that begins with something.
    pub fn prefixed(&mut self, prefix: &str, line: &str) {
        self.text.push_str(prefix);
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() >= GATHERED {
            self.flush();
        }
    }

    /// Writes what is there.
    pub fn flush(&mut self) {
        if !self.text.is_empty() {
            self.out.text(&self.text);
            self.text.clear();
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Waits until somebody reads. When the run is asked to end, that is a moment only: what is not read then is lost.
fn wait_for_room() -> std::io::Result<()> {
    let stdout = std::io::stdout();
    let mut looks_left = 10;
    loop {
        let mut room = [PollFd::new(&stdout, PollFlags::OUT)];
        match poll(&mut room, Some(&LOOK)) {
            Ok(0) if looks_left == 0 => return Err(std::io::ErrorKind::BrokenPipe.into()),
            Ok(0) => looks_left -= i32::from(asked_to_end()),
            Err(Errno::INTR) => {}
            // What else is wrong is told by writing.
            _ => return Ok(()),
        }
    }
}

/// A control character becomes its escape, so that nothing in a message moves the cursor.
fn visible(c: char) -> Vec<char> {
    match c {
        '\n' | '\t' => vec![c],
        c if c.is_control() => c.escape_default().collect(),
        c => vec![c],
    }
}

fn width(terminal: bool) -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        (terminal && size.ws_col > 0).then_some(usize::from(size.ws_col))
    };
    told.or_else(asked).unwrap_or(100).clamp(40, 300)
}
