//! stdout for events, stderr for what is said beside them.
//!
//! Invariant: whoever reads stdout gets whole lines in order; a reader who left ends the command quietly.

use std::io::{IsTerminal, Write};
use std::os::fd::BorrowedFd;

use tokio::io::{AsyncWriteExt, Stdout};

use super::Failure;
use super::harmless::one_line;
use super::layout::wrap;

/// Written in pieces of at least this, while there is more to write, bytes.
const PIECE_BYTES: usize = 64 << 10;
/// A terminal that says that it is narrower is not believed.
const COLUMNS_MIN: usize = 40;
/// The status of a program that SIGPIPE ended: what a shell sees of `head`'s victims.
const EXIT_NO_READER: u8 = 128 + 13;
/// stdout failed (sysexits.h, `EX_IOERR`).
const EXIT_IO: u8 = 74;

/// What a line is, to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// As it comes.
    Plain,
    /// Of less weight.
    Dim,
    /// Of more.
    Bold,
    /// What ran.
    Command,
    /// Went well.
    Good,
    /// Deserves a look.
    Notable,
    /// Went wrong.
    Bad,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Command => "36",
            Self::Good => "32",
            Self::Notable => "33",
            Self::Bad => "1;31",
        }
    }

    /// The text in this ink, where there are colours.
    pub(super) fn paint(self, text: &str, colours: bool) -> String {
        if !colours || self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        format!("\u{1b}[{}m{text}\u{1b}[0m", self.code())
    }
}

pub(super) struct Screen {
    out: Stdout,
    waiting: Vec<u8>,
    /// stdout is a terminal that shows colours.
    pub colours: bool,
    is_terminal: bool,
    colours_beside: bool,
}

impl Screen {
    /// `colours`: whether they are wanted where there is a terminal.
    pub(super) fn new(colours: bool) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self {
            out: tokio::io::stdout(),
            waiting: Vec::new(),
            colours: colours && is_terminal,
            is_terminal,
            colours_beside: colours && std::io::stderr().is_terminal(),
        }
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// The width of the terminal now, columns; `None` where lines need not fit.
    pub(super) fn wide(&self) -> Option<usize> {
        self.is_terminal.then(|| columns_of(rustix::stdio::stdout())).flatten()
    }

    /// Whether something was put here that is not written yet.
    pub(super) fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Puts bytes in line; they are written when many have come, or at [`Self::flush`].
    pub(super) async fn put(&mut self, pieces: &[&str]) -> Result<(), Failure> {
        for piece in pieces {
            self.waiting.extend_from_slice(piece.as_bytes());
        }
        if self.waiting.len() < PIECE_BYTES { Ok(()) } else { self.flush().await }
    }

    /// The same for bytes.
    pub(super) async fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() < PIECE_BYTES { Ok(()) } else { self.flush().await }
    }

    /// Writes what waits.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let written = async {
            self.out.write_all(&self.waiting).await?;
            self.out.flush().await
        };
        let written = written.await;
        self.waiting.clear();
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure { status: EXIT_NO_READER, message: None },
            _ => Failure::new(EXIT_IO, format!("cannot write to stdout: {error}")),
        })
    }

    /// Says a line on stderr, behind all that was put on stdout. It is made harmless here.
    pub(super) async fn say(&mut self, ink: Ink, text: &str) -> Result<(), Failure> {
        self.flush().await?;
        let wide = columns_of(rustix::stdio::stderr()).unwrap_or(usize::MAX);
        let mut mark = "-- ";
        for line in wrap(&one_line(text), wide.saturating_sub(mark.len())) {
            let line = ink.paint(&format!("{mark}{line}"), self.colours_beside);
            // Nothing can be done about a closed stderr.
            let _closed = writeln!(std::io::stderr(), "{line}");
            mark = "   ";
        }
        Ok(())
    }
}

/// The width of a terminal; `None` for anything else.
fn columns_of(output: BorrowedFd<'_>) -> Option<usize> {
    let columns = usize::from(rustix::termios::tcgetwinsize(output).ok()?.ws_col);
    (columns > 0).then(|| columns.max(COLUMNS_MIN))
}
