//! One session: its records in order, against every checkpoint of it that is known.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::report::{Finding, Report, Verdict};
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::leaf::{self, Salt};
use crate::evidence::tree::{Frontier, Hash};
use crate::ids::{Epoch, Seq, SessionId};

/// A record and its seal, as they were found.
pub(super) struct Found<'r> {
    pub seq: u64,
    pub record: &'r [u8],
    pub epoch: Epoch,
    /// None: it was redacted, or never sealed.
    pub salt: Option<Salt>,
    pub commitment: Hash,
}

/// What a record says of itself. Its other members are not looked at.
#[derive(Deserialize)]
struct Envelope {
    session: SessionId,
    seq: Seq,
    kind: String,
    time: String,
    /// On a stub: the content is gone.
    #[serde(default)]
    redacted: bool,
    /// On a `redaction`: whose content went.
    of: Option<u64>,
    /// On a `redaction`: the hash of the stub.
    stub_sha256: Option<String>,
}

/// What a database says of a record beside it, to be compared.
pub(super) struct Columns {
    pub kind: String,
    pub time: String,
}

/// The check of one session, fed with its records.
pub(super) struct Session<'a> {
    id: SessionId,
    report: &'a mut Report,
    /// By size: the roots that were signed, and whether by a checkpoint from elsewhere.
    expected: BTreeMap<u64, Vec<(Hash, bool)>>,
    tree: Frontier,
    /// The last size at which the tree was as signed.
    met: u64,
    /// Stubs that no `redaction` accounts for yet, with their hashes.
    stubs: BTreeMap<u64, String>,
    broken: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(id: SessionId, report: &'a mut Report) -> Self {
        report.sessions += 1;
        let (expected, stubs) = (BTreeMap::new(), BTreeMap::new());
        Self { id, report, expected, tree: Frontier::default(), met: 0, stubs, broken: false }
    }

    /// A checkpoint that the session must meet.
    pub(super) fn expect(&mut self, checkpoint: &Checkpoint, pinned: bool) {
        self.expected.entry(checkpoint.size).or_default().push((checkpoint.root, pinned));
    }

    /// The next record or its seal cannot be read; nor can what follows be checked.
    pub(super) fn unreadable(&mut self, why: &dyn std::fmt::Display) {
        self.broken = true;
        let seq = Some(self.tree.size() + 1);
        self.add(Verdict::Altered, "seal", seq, format!("the record or its seal cannot be read: {why}"));
    }

    /// Something that was found on the way to the records.
    pub(super) fn note(&mut self, check: &'static str, message: String) {
        self.add(Verdict::Altered, check, None, message);
    }

    fn add(&mut self, verdict: Verdict, check: &'static str, seq: Option<u64>, message: String) {
        self.report.add(Finding { verdict, check, session: Some(self.id), seq, message });
    }

    /// The next record. False: what follows cannot be checked.
    pub(super) fn take(&mut self, found: &Found<'_>, columns: Option<&Columns>) -> bool {
        let seq = self.tree.size() + 1;
        if found.seq != seq {
            self.add(
                Verdict::Altered,
                "sequence",
                Some(seq),
                format!("record {seq} is missing, {} follows", found.seq),
            );
            self.broken = true;
            return false;
        }
        self.report.records += 1;
        self.check_content(found, columns);
        let hash = leaf::of_record(found.epoch, self.id, Seq(seq), &found.commitment);
        self.tree.push(hash);
        self.meet()
    }

    fn check_content(&mut self, found: &Found<'_>, columns: Option<&Columns>) {
        let seq = found.seq;
        let envelope: Envelope = match serde_json::from_slice(found.record) {
            Ok(envelope) => envelope,
            Err(error) => return self.add(Verdict::Altered, "record", Some(seq), format!("it is no record: {error}")),
        };
        let Some(salt) = found.salt else {
            if !envelope.redacted {
                return self.add(
                    Verdict::Altered,
                    "record",
                    Some(seq),
                    "its salt is gone, and it is no stub".to_owned(),
                );
            }
            self.stubs.insert(seq, HEXLOWER.encode(&Sha256::digest(found.record)));
            self.check_envelope(seq, &envelope, columns);
            return;
        };
        if leaf::commitment(&salt, found.record) != found.commitment {
            let message = "it is not what was committed to: its text, its envelope or its salt was changed";
            return self.add(Verdict::Altered, "record", Some(seq), message.to_owned());
        }
        if !self.check_envelope(seq, &envelope, columns) {
            return;
        }
        let accounts = envelope.of.zip(envelope.stub_sha256).filter(|_| envelope.kind == "redaction");
        if let Some((of, stub)) = accounts
            && self.stubs.get(&of) == Some(&stub)
        {
            self.stubs.remove(&of);
        }
    }

    /// False: it belongs elsewhere.
    fn check_envelope(&mut self, seq: u64, envelope: &Envelope, columns: Option<&Columns>) -> bool {
        if envelope.session != self.id || envelope.seq.0 != seq {
            let message = format!("it belongs to session {} seq {}", envelope.session, envelope.seq);
            self.add(Verdict::Altered, "envelope", Some(seq), message);
            return false;
        }
        if columns.is_some_and(|columns| columns.kind != envelope.kind || columns.time != envelope.time) {
            self.add(Verdict::Altered, "envelope", Some(seq), "the columns beside it say something else".to_owned());
        }
        true
    }

    /// Compares the root where one was signed.
    fn meet(&mut self) -> bool {
        let size = self.tree.size();
        let Some(roots) = self.expected.remove(&size) else { return true };
        let root = self.tree.root();
        match roots.iter().find(|(expected, _)| *expected != root) {
            None => {
                self.report.checkpoints += roots.len() as u64;
                self.met = size;
                true
            }
            Some((_, pinned)) => {
                let from = self.met + 1;
                let check = if *pinned { "pinned" } else { "root" };
                let message = format!("records {from} to {size} are not those that were signed");
                self.add(Verdict::Altered, check, Some(from), message);
                self.broken = true;
                false
            }
        }
    }

    /// After the last record that is left of a session that is being removed, which had so many. How many are left.
    pub(super) fn finish_removed(mut self, size: u64) -> u64 {
        let left = self.tree.size();
        if left < size {
            // The `redaction` that accounts for a stub may have gone before it.
            self.stubs.clear();
        }
        self.expected.clear();
        self.met = left;
        self.finish();
        left
    }

    /// After the last record.
    pub(super) fn finish(mut self) {
        for (seq, _) in std::mem::take(&mut self.stubs) {
            let message = "its content is gone, and no `redaction` accounts for what stands there".to_owned();
            self.add(Verdict::Altered, "redaction", Some(seq), message);
        }
        let size = self.tree.size();
        if self.broken {
            return;
        }
        if let Some((signed, roots)) = self.expected.last_key_value().filter(|(signed, _)| **signed > size) {
            let (check, signed) = (if roots.iter().any(|root| root.1) { "pinned" } else { "truncated" }, *signed);
            let message = format!("{signed} records were signed, and {size} are there");
            self.add(Verdict::Incomplete, check, Some(size + 1), message);
        } else if self.met < size {
            let message = format!("records {} to {size} stand under no checkpoint", self.met + 1);
            self.add(Verdict::Incomplete, "unsigned", Some(self.met + 1), message);
        }
    }
}
