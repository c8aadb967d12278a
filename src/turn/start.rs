//! Under what circumstances an attempt was started: `start.json`, for those who ask later how a turn came about.
//!
//! Invariant: nothing depends on it. It is no part of what recognises a launch, for no two starts are alike in it; a turn
//! without it (an older one, or one on a full disk) runs and is served like any other.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::archive::Stream;
use super::spool::{SPOOL_VERSION, SpoolDir, SpoolError};
use crate::agent::version;
use crate::clock::{Moment, WallMs};

/// What was true when the agent was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// [`SPOOL_VERSION`] of the writer.
    pub version: u32,
    /// The program that started it and that the gateway is, with its version.
    pub breakglass: String,
    /// The machine's name.
    pub host: String,
    /// When.
    pub at: Moment,
    /// The agent's program file; none when it could not be looked at.
    pub program: Option<ProgramFile>,
    /// The supervisor's process id.
    pub supervisor_pid: u32,
    /// The agent's process id; none when no process could be started.
    pub agent_pid: Option<u32>,
}

/// A program's file, as far as it can be told without reading hundreds of megabytes at each turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramFile {
    /// Where it lies, links followed.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was last changed, RFC 3339.
    pub modified: String,
}

impl StartRecord {
    /// Now, of a program that is about to be started.
    pub(super) fn now(program: &Path) -> Self {
        Self {
            version: SPOOL_VERSION,
            breakglass: crate::SERVER.to_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            at: Moment::now(),
            program: ProgramFile::look_at(program),
            supervisor_pid: std::process::id(),
            agent_pid: None,
        }
    }
}

impl ProgramFile {
    fn look_at(program: &Path) -> Option<Self> {
        let path = fs::canonicalize(program).ok()?;
        let file = fs::metadata(&path).ok()?;
        let modified = WallMs::of(file.modified().ok()?).rfc3339();
        Some(Self { path, bytes: file.len(), modified })
    }
}

impl SpoolDir {
    fn start_path(&self) -> PathBuf {
        self.path().join("start.json")
    }

    /// Under what circumstances it was started; none when nobody wrote that down.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn start_record(&self) -> Result<Option<StartRecord>, SpoolError> {
        self.read_json(&self.start_path())
    }

    pub(super) fn write_start_record(&self, record: &StartRecord) -> Result<(), SpoolError> {
        self.write_json(&self.start_path(), record)
    }

    /// Which version the agent says it is, from the beginning of its output; none when it has not said so. Blocks.
    pub fn agent_version(&self) -> Option<String> {
        version::said(self.read_back(Stream::Out).ok()??)
    }
}
