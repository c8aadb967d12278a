//! Signed notes that say that a session was removed because its time was over.

use super::report::{Finding, Report, Verdict};
use crate::evidence::checkpoint::Checkpoint;
use crate::ids::SessionId;

/// What was signed of one session, in the order in which it was signed.
pub(super) struct Signed {
    id: SessionId,
    /// Its checkpoints, with their numbers.
    heads: Vec<(i64, Checkpoint)>,
    removal: Option<(i64, Checkpoint)>,
    /// Somebody kept the note of its removal.
    removal_pinned: bool,
}

/// The number of a checkpoint from elsewhere: nobody knows when it was signed.
const ELSEWHERE: i64 = 0;

impl Signed {
    pub(super) fn new(id: SessionId) -> Self {
        Self { id, heads: Vec::new(), removal: None, removal_pinned: false }
    }

    pub(super) fn head(&mut self, number: i64, checkpoint: Checkpoint) {
        self.heads.push((number, checkpoint));
    }

    pub(super) fn pinned(&mut self, checkpoint: Checkpoint) {
        self.head(ELSEWHERE, checkpoint);
    }

    pub(super) fn removal(&mut self, number: i64, checkpoint: Checkpoint) {
        self.removal = Some((number, checkpoint));
    }

    pub(super) fn removal_pinned(&mut self) {
        self.removal_pinned = true;
    }

    /// What the session's records must meet, and whether that is from elsewhere.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&Checkpoint, bool)> {
        self.heads.iter().map(|(number, checkpoint)| (checkpoint, *number == ELSEWHERE))
    }

    /// How many records the session had when it was removed, if it was. Whatever is wrong with that is found.
    pub(super) fn check(&self, covered: u64, report: &mut Report) -> Option<u64> {
        let mut find = |verdict, check, seq, message: String| {
            report.add(Finding { verdict, check, session: Some(self.id), seq: Some(seq), message });
        };
        let Some((number, removal)) = self.removal.as_ref() else {
            if self.removal_pinned {
                let message = "its removal was signed, and nothing is known of it here".to_owned();
                find(Verdict::Incomplete, "pinned", 1, message);
            }
            return None;
        };
        let size = removal.size;
        let largest = self.heads.iter().map(|(_, head)| head.size).max().unwrap_or(0);
        let later = self.heads.iter().any(|(signed, _)| signed > number);
        if largest > size || later {
            let message = format!("it was removed at {size} records, and more was signed of it");
            find(Verdict::Altered, "session", size + 1, message);
        } else if self.heads.iter().any(|(_, head)| head.size == size && head.root != removal.root) {
            find(
                Verdict::Altered,
                "session",
                1,
                "its removal is of other records than those that were signed".to_owned(),
            );
        } else if *number as u64 > covered {
            let message = "its removal stands under no checkpoint of the gateway's own tree".to_owned();
            find(Verdict::Incomplete, "session", 1, message);
        }
        Some(size)
    }
}
