//! Reading what an agent writes, while it writes.
//!
//! Invariants: a line is whole (its newline was there) or not yet a line; the offset after a whole line is all that one
//! needs to go on later; every byte is looked at once, however long a line is. Does not know what the lines mean.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::spool::{ExitRecord, SpoolDir};

mod watch;

pub use self::watch::SpoolWatch;

/// A longer line is skipped: the agent's longest known are 300 KiB (claude-cli.md section 8), and memory is finite.
pub const LINE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// A line, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it says: any bytes.
    pub bytes: Bytes,
    /// Where it ends in `out`: going on from here begins with the next line.
    pub end: u64,
}

/// What one [`SpoolReader::read`] came upon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// Whole lines, in order.
    pub lines: Vec<Line>,
    /// Where to go on later: after the last whole line, skipped ones included.
    pub offset: u64,
    /// How many bytes were read; with 0 there is nothing more for now.
    pub read_bytes: usize,
    /// How many lines ended here that were longer than [`LINE_BYTES_MAX`] and are left out.
    pub skipped: u64,
    /// Somebody emptied the file (`> /dev/stdout` in a tool that inherited it does): reading went on at its new
    /// beginning, so offsets count anew.
    pub restarted: bool,
}

/// Follows the standard output of an agent.
#[derive(Debug)]
pub struct SpoolReader {
    file: File,
    /// How far the file was read.
    position: u64,
    /// Where the unfinished line begins.
    line_start: u64,
    /// The unfinished line; empty while skipping.
    pending: BytesMut,
    skipping: bool,
    end: Option<u64>,
}

impl SpoolReader {
    /// Opens `out` at an offset that a [`Chunk`] or a [`Line`] gave, or 0. It exists once the attempt was launched.
    pub fn open(dir: &SpoolDir, offset: u64) -> io::Result<Self> {
        let file = File::open(dir.out_path())?;
        Ok(Self { file, position: offset, line_start: offset, pending: BytesMut::new(), skipping: false, end: None })
    }

    /// Whether the file ends before the place to read on from although nobody emptied it: a power cut took what had not
    /// been synced, and what the log has of it already is all that there is. For an attempt that nobody runs any more.
    pub fn has_lost_its_end(&self, record: Option<&ExitRecord>) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        Ok(length < self.position && record.is_none_or(|record| record.stdout_bytes > length))
    }

    /// The agent has ended and `out` was `stdout_bytes` long (its exit record says so): nothing behind that is the turn's.
    pub fn end_at(&mut self, stdout_bytes: u64) {
        self.end = Some(stdout_bytes);
        let unfinished = usize::try_from(stdout_bytes.saturating_sub(self.line_start)).unwrap_or(usize::MAX);
        self.pending.truncate(unfinished);
        self.position = self.position.min(self.line_start.max(stdout_bytes));
    }

    /// Reads on, at most `max_bytes`. A long line takes several calls, the first ones without lines.
    pub fn read(&mut self, max_bytes: usize) -> io::Result<Chunk> {
        let mut chunk = Chunk::default();
        let length = self.file.metadata()?.len();
        if length < self.position {
            self.restart();
            chunk.restarted = true;
        }
        let there = self.end.unwrap_or(u64::MAX).min(length).saturating_sub(self.position);
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(max_bytes);
        let old_bytes = self.pending.len();
        self.pending.resize(old_bytes + wanted, 0);
        let read = self.fill(old_bytes);
        self.pending.truncate(old_bytes + *read.as_ref().unwrap_or(&0));
        chunk.read_bytes = read?;
        self.position += chunk.read_bytes as u64;
        self.split(old_bytes, &mut chunk);
        chunk.offset = self.line_start;
        Ok(chunk)
    }

    /// What stands behind the last newline, as a line: for when the agent has ended and [`read`](Self::read) gives no more.
    /// Afterwards there is nothing.
    pub fn rest(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        self.line_start = self.position;
        if self.skipping {
            self.skipping = false;
            chunk.skipped = 1;
        }
        if !self.pending.is_empty() {
            chunk.lines.push(Line { bytes: self.pending.split().freeze(), end: self.position });
        }
        chunk.offset = self.position;
        chunk
    }

    fn restart(&mut self) {
        self.position = 0;
        self.line_start = 0;
        self.pending.clear();
        self.skipping = false;
    }

    fn fill(&mut self, from: usize) -> io::Result<usize> {
        let Some(space) = self.pending.get_mut(from..) else { return Ok(0) };
        loop {
            match self.file.read_at(space, self.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// Takes the whole lines off the front; the first `searched` bytes are known to hold no newline.
    fn split(&mut self, mut searched: usize, chunk: &mut Chunk) {
        while let Some(place) = self.pending.get(searched..).and_then(|new| memchr(b'\n', new)) {
            let length = searched + place;
            searched = 0;
            let mut line = self.pending.split_to(length + 1);
            self.line_start = self.position - self.pending.len() as u64;
            if std::mem::take(&mut self.skipping) || length > LINE_BYTES_MAX {
                chunk.skipped += 1;
                continue;
            }
            line.truncate(length);
            chunk.lines.push(Line { bytes: line.freeze(), end: self.line_start });
        }
        if self.skipping || self.pending.len() > LINE_BYTES_MAX {
            self.skipping = true;
            self.pending = BytesMut::new();
        }
    }
}
