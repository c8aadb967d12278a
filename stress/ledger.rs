//! What was promised about prompts: each key with what was sent under it and what was answered.
//!
//! Invariant: a key that was accepted keeps its turn and its seq for good.

use std::collections::HashMap;

/// What is known of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not answered: it may be in the log, once.
    Unknown,
    /// Sent once and refused: it is not in the log.
    Refused,
    /// It is in the log, once.
    Accepted { turn: String, seq: u64 },
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) session: String,
    pub(crate) sent: u32,
    pub(crate) fate: Fate,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: HashMap<String, Entry>,
}

impl Ledger {
    /// A prompt is about to be sent.
    pub(crate) fn sent(&mut self, key: &str, session: &str) {
        let new = Entry { session: session.to_owned(), sent: 0, fate: Fate::Unknown };
        let entry = self.entries.entry(key.to_owned()).or_insert(new);
        entry.sent += 1;
        if entry.fate == Fate::Refused {
            entry.fate = Fate::Unknown;
        }
    }

    /// It was refused. A key that was sent before may still be accepted: that request may lie in a socket.
    pub(crate) fn refused(&mut self, key: &str) -> Result<(), String> {
        let entry = self.entries.get_mut(key).ok_or_else(|| format!("key {key} was answered and never sent"))?;
        match &entry.fate {
            Fate::Accepted { turn, .. } => Err(format!("key {key} was accepted as turn {turn} and is refused now")),
            _ if entry.sent == 1 => {
                entry.fate = Fate::Refused;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// It was accepted.
    pub(crate) fn accepted(&mut self, key: &str, turn: &str, seq: u64, duplicate: bool) -> Result<(), String> {
        let entry = self.entries.get_mut(key).ok_or_else(|| format!("key {key} was answered and never sent"))?;
        let fate = Fate::Accepted { turn: turn.to_owned(), seq };
        match &entry.fate {
            Fate::Accepted { .. } if entry.fate != fate => {
                Err(format!("key {key} was {:?} and is {fate:?} now", entry.fate))
            }
            Fate::Accepted { .. } if !duplicate => Err(format!("key {key} was accepted twice as new")),
            _ if entry.sent == 1 && duplicate => Err(format!("key {key} was sent once and called a duplicate")),
            _ => {
                entry.fate = fate;
                Ok(())
            }
        }
    }
}
