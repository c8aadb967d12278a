//! Checkpoints that somebody kept elsewhere: what is checked must extend them.

use std::path::Path;

use super::VerifyError;
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::note::Verifier;

/// A pinned file is read up to here: some hundred thousand checkpoints.
const PINNED_BYTES_MAX: u64 = 64 << 20;

/// Checkpoints from elsewhere, each signed by the key.
#[derive(Debug, Clone, Default)]
pub struct Pinned(pub(super) Vec<Checkpoint>);

impl Pinned {
    /// Reads a file of signed notes, one behind another, or one on each line with `|` in the place of line ends, as the
    /// gateway's journal has them (what else stands on such a line is passed over).
    ///
    /// # Errors
    /// When it cannot be read, or something in it is signed, but not by this key.
    pub fn read(path: &Path, key: &Verifier) -> Result<Self, VerifyError> {
        let unreadable =
            |why: std::io::Error| VerifyError::Unreadable { path: path.display().to_string(), why: why.to_string() };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > PINNED_BYTES_MAX {
            return Err(VerifyError::Pinned(format!("`{}` is too large", path.display())));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut checkpoints = Vec::new();
        for note in notes(&text) {
            let opened = key.open(&note).map_err(|error| VerifyError::Pinned(error.to_string()))?;
            checkpoints.extend(Checkpoint::parse(opened));
        }
        if checkpoints.is_empty() {
            return Err(VerifyError::Pinned("there is none".to_owned()));
        }
        Ok(Self(checkpoints))
    }

    pub(super) fn of(&self, origin: &str) -> impl Iterator<Item = &Checkpoint> {
        self.0.iter().filter(move |checkpoint| checkpoint.origin == origin)
    }
}

/// The notes in a text.
pub(super) fn notes(text: &str) -> Vec<String> {
    let (mut notes, mut open, mut signed) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if let Some(note) = note_on_one_line(line) {
            notes.push(note);
            continue;
        }
        let signature = line.starts_with("— ");
        if signed && !signature {
            notes.push(std::mem::take(&mut open));
        }
        // Between two notes there may be empty lines; a note does not begin with one.
        if !(open.is_empty() && line.is_empty()) {
            open.push_str(line);
            open.push('\n');
        }
        signed = signature;
    }
    if signed {
        notes.push(open);
    }
    notes
}

fn note_on_one_line(line: &str) -> Option<String> {
    let end = line.rfind('|')?;
    let start = line.find("note=").map_or(0, |at| at + "note=".len());
    let note = line.get(start..=end)?.trim_start_matches('"');
    Some(note.replace('|', "\n"))
}
