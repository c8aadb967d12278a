//! What the drill remembers of a conversation: `.drill/ID.jsonl` in its working folder, one prompt a line.
//!
//! Invariant: the only file that the drill ever writes; appended to, never rewritten. A line that cannot be read is skipped.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// How much of a prompt is remembered, bytes: enough to know it again.
const PROMPT_BYTES_MAX: usize = 4 << 10;
/// How much of a conversation is read, bytes: thousands of prompts.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// One conversation's file.
pub(super) struct Conversation {
    file: PathBuf,
}

impl Conversation {
    /// The conversation of that id, which the caller has checked to be one.
    pub(super) fn of(cwd: &Path, id: &str) -> Self {
        Self { file: cwd.join(".drill").join(format!("{id}.jsonl")) }
    }

    pub(super) fn exists(&self) -> bool {
        self.file.exists()
    }

    /// The prompts so far, oldest first.
    pub(super) fn earlier(&self) -> Vec<String> {
        let Ok(file) = fs::File::open(&self.file) else { return Vec::new() };
        let lines = BufReader::new(file.take(FILE_BYTES_MAX)).split(b'\n').map_while(Result::ok);
        lines.filter_map(|line| prompt_of(&line)).collect()
    }

    /// Adds a prompt.
    pub(super) fn remember(&self, prompt: &str) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        let kept = &prompt[..prompt.floor_char_boundary(PROMPT_BYTES_MAX)];
        let line = json!({"time": format!("{:.3}", jiff::Timestamp::now()), "prompt": kept});
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file)?;
        file.write_all(format!("{line}\n").as_bytes())
    }
}

fn prompt_of(line: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_slice(line).ok()?;
    line.get("prompt")?.as_str().map(str::to_owned)
}
