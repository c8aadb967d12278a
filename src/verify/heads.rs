//! The gateway's own tree: no checkpoint, and so no session, went without a trace.

use std::collections::BTreeMap;

use super::report::{Finding, Report, Verdict};
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::leaf;
use crate::evidence::tree::{Frontier, Hash};

/// The check of the gateway's tree, fed with the sessions' checkpoints in the order in which they were signed.
pub(super) struct Heads<'a> {
    report: &'a mut Report,
    expected: BTreeMap<u64, Vec<(Hash, bool)>>,
    tree: Frontier,
    broken: bool,
    /// The largest size at which the tree was as signed here.
    covered: u64,
    /// Every gateway that ran signed something, if only that it had no history.
    signed: bool,
}

impl<'a> Heads<'a> {
    pub(super) fn new(report: &'a mut Report) -> Self {
        Self { report, expected: BTreeMap::new(), tree: Frontier::default(), broken: false, covered: 0, signed: false }
    }

    pub(super) fn expect(&mut self, checkpoint: &Checkpoint, pinned: bool) {
        self.signed |= !pinned;
        self.expected.entry(checkpoint.size).or_default().push((checkpoint.root, pinned));
    }

    pub(super) fn note(&mut self, seq: Option<u64>, check: &'static str, message: String) {
        self.report.add(Finding { verdict: Verdict::Altered, check, session: None, seq, message });
    }

    /// The next checkpoint.
    pub(super) fn take(&mut self, id: i64, note: &str) {
        let number = self.tree.size() + 1;
        if self.broken {
            return;
        }
        if id as u64 != number {
            self.broken = true;
            return self.note(Some(number), "checkpoints", format!("checkpoint {number} is missing, {id} follows"));
        }
        self.meet();
        self.tree.push(leaf::of_checkpoint(note));
        self.meet();
    }

    fn meet(&mut self) {
        let size = self.tree.size();
        let root = self.tree.root();
        for (expected, pinned) in self.expected.remove(&size).unwrap_or_default() {
            if expected == root {
                self.report.checkpoints += 1;
                self.covered = size;
            } else if !self.broken {
                self.broken = true;
                let check = if pinned { "pinned" } else { "heads" };
                self.note(Some(size), check, format!("the first {size} checkpoints are not those that were signed"));
            }
        }
    }

    /// After the last checkpoint; how many of them stand under a head.
    pub(super) fn finish(mut self) -> u64 {
        self.meet();
        let size = self.tree.size();
        if self.broken {
            return self.covered;
        }
        if let Some((signed, roots)) = self.expected.last_key_value() {
            let check = if roots.iter().any(|root| root.1) { "pinned" } else { "heads" };
            let message = format!("{signed} checkpoints were signed, and {size} are there");
            let (verdict, seq) = (Verdict::Incomplete, Some(size + 1));
            self.report.add(Finding { verdict, check, session: None, seq, message });
        } else if !self.signed {
            let message = "the gateway's own tree has no checkpoint".to_owned();
            self.report.add(Finding {
                verdict: Verdict::Incomplete,
                check: "heads",
                session: None,
                seq: None,
                message,
            });
        }
        self.covered
    }
}
