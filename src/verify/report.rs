//! What was found, in the order in which it was found.

use std::fmt;

use crate::ids::SessionId;

/// Findings that are kept; the number of all is told.
const FINDINGS_MAX: usize = 100;

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything is as it was signed.
    Proved,
    /// What is there is as it was signed, or not signed yet; something is missing.
    Incomplete,
    /// Something is not as it was signed.
    Altered,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone)]
pub struct Finding {
    /// How bad it is.
    pub verdict: Verdict,
    /// Which check failed: a word for scripts.
    pub check: &'static str,
    /// In which session; `None`: in the gateway's own tree.
    pub session: Option<SessionId>,
    /// The first seq that differs; in the gateway's tree the number of the checkpoint.
    pub seq: Option<u64>,
    /// What is wrong, for people.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.verdict == Verdict::Altered { "ALTERED" } else { "INCOMPLETE" };
        write!(f, "{verdict} {}", self.check)?;
        match self.session {
            Some(session) => write!(f, " session {session}")?,
            None => write!(f, " gateway")?,
        }
        if let Some(seq) = self.seq {
            write!(f, " seq {seq}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The outcome of a check.
#[derive(Debug, Clone, Default)]
pub struct Report {
    findings: Vec<Finding>,
    worst: Option<Verdict>,
    /// Findings beyond those that are kept.
    left_out: u64,
    /// Sessions that were checked.
    pub sessions: u64,
    /// Records that were checked.
    pub records: u64,
    /// Checkpoints that were met.
    pub checkpoints: u64,
    /// Sessions that went because their time was over, each with a signed note that says so.
    pub removed: u64,
}

impl Report {
    /// Adds a finding.
    pub(super) fn add(&mut self, finding: Finding) {
        self.worst = self.worst.max(Some(finding.verdict));
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        self.worst.unwrap_or(Verdict::Proved)
    }

    /// What was found, at most 100 of it.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings were not kept.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
