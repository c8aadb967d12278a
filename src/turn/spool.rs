//! The on-disk format of one attempt at a turn, and nothing else.
//!
//! Invariants: `out` and `err` are append-only while the agent lives; `launch.json` and `exit.json` appear whole or not at
//! all (written aside, synced, renamed); `exit.json` is the last thing that appears. Both are versioned, and a version
//! changes only when an older program would misread the file: fields that are merely new are ignored by older programs, so
//! that a supervisor started before an upgrade and a gateway started after it understand each other.
//!
//! Knows neither processes nor the log. Who may run the turn, and whether somebody does, is [`super::claim`]'s.

mod error;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::ids::TurnId;
use crate::protocol::event::LeftProcess;

pub use self::error::SpoolError;

/// The version of `launch.json` and `exit.json` that this program writes, and the newest that it reads.
pub const SPOOL_VERSION: u32 = 1;

/// Nothing that we write as JSON comes near: a prompt in argv is at most 128 KiB and grows sixfold when escaped.
const JSON_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much of the beginning of `err` is looked at for the message of a failed turn; [`super::supervisor`] keeps it.
pub(crate) const ERR_HEAD_BYTES: u64 = 1024 * 1024;

/// What shall be run: `launch.json`. Holds no environment, for that has secrets in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSpec {
    /// [`SPOOL_VERSION`] of the writer.
    pub version: u32,
    /// Which turn.
    pub turn: TurnId,
    /// Which attempt at it, from 1.
    pub attempt: u32,
    /// The agent's program: an absolute path, or a bare name to be looked up in the agent's own `PATH`.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<String>,
    /// Whether the agent reads the file `stdin`; otherwise its standard input is empty.
    pub stdin: bool,
    /// Where it runs.
    pub workspace: PathBuf,
    /// How long it may run, milliseconds, time in suspend included; 0 means without end.
    pub timeout_ms: u64,
    /// As whom and within which limits the agent runs.
    #[serde(default)]
    pub cage: CageSpec,
}

/// As whom and within which limits an agent runs; nothing, where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CageSpec {
    /// As another user.
    pub user: Option<CageUser>,
    /// Set-uid programs give it nothing (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    pub no_new_privs: bool,
    /// Data that one process may have, bytes (`RLIMIT_DATA`: the address space itself is reserved lavishly by the agent).
    pub memory_bytes: Option<u64>,
    /// Processes and threads of its user (`RLIMIT_NPROC`).
    pub processes: Option<u64>,
    /// Size of a file that it writes, bytes (`RLIMIT_FSIZE`).
    pub file_bytes: Option<u64>,
    /// The delegated cgroup in which it has one of its own; the limits of memory and processes then also hold for all its
    /// processes together.
    pub cgroup: Option<PathBuf>,
    /// How much it stands back behind others, 0 to 19.
    pub nice: Option<i32>,
    /// The umask that the gateway was started with: its own is stricter.
    pub umask: Option<u32>,
}

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CageUser {
    /// The user.
    pub uid: u32,
    /// Their main group.
    pub gid: u32,
    /// All their groups.
    pub groups: Vec<u32>,
}

/// How the agent ended: `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`SPOOL_VERSION`] of the writer.
    pub version: u32,
    /// Why the attempt is over.
    pub reason: EndReason,
    /// The agent's exit code; none when a signal ended it, or it never ran.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// From its start to its end, milliseconds, time in suspend included.
    pub duration_ms: u64,
    /// How many bytes of `out` are the turn's; a process that lives on may append more.
    pub stdout_bytes: u64,
    /// The same for `err`, holes included.
    pub stderr_bytes: u64,
    /// Who was signalled, in order; of each signal the first [`super::sweep::LISTED_MAX`].
    #[serde(default)]
    pub signalled: Vec<Signalled>,
    /// What the agent started and is still alive.
    #[serde(default)]
    pub left: Vec<LeftProcess>,
    /// When it ended; none in what an older program wrote.
    #[serde(default)]
    pub ended: Option<Moment>,
    /// Which version the agent said it was.
    #[serde(default)]
    pub agent_version: Option<String>,
}

/// Why an attempt is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EndReason {
    /// The agent ended by itself, well or badly.
    Exited,
    /// Somebody told the supervisor to stop.
    Stopped,
    /// It took longer than `timeout_ms`.
    TimedOut,
    /// There never was an agent.
    NotStarted {
        /// What was in the way, for people.
        why: String,
    },
}

/// A signal that a process was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalled {
    /// Its process id.
    pub pid: u32,
    /// The signal's number.
    pub signal: i32,
    /// Its command line, shortened.
    pub command: String,
}

impl ExitRecord {
    /// The record of an attempt whose agent never ran.
    pub fn not_started(why: String) -> Self {
        Self {
            version: SPOOL_VERSION,
            reason: EndReason::NotStarted { why },
            exit_code: None,
            signal: None,
            duration_ms: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            signalled: Vec::new(),
            left: Vec::new(),
            ended: Some(Moment::now()),
            agent_version: None,
        }
    }
}

/// The path of a spool directory: one attempt at one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolDir(PathBuf);

impl SpoolDir {
    /// `ROOT/<turn-id>.<attempt>`.
    pub fn new(root: &Path, turn: TurnId, attempt: u32) -> Self {
        Self(root.join(format!("{turn}.{attempt}")))
    }

    /// A directory by its own path, as a supervisor is told.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether this is an attempt at that turn.
    pub fn is_of(&self, turn: TurnId) -> bool {
        self.0.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&turn.to_string()))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The agent's standard output.
    pub fn out_path(&self) -> PathBuf {
        self.0.join("out")
    }

    /// The agent's standard error.
    pub fn err_path(&self) -> PathBuf {
        self.0.join("err")
    }

    /// The agent's standard input, when it has any.
    pub(crate) fn stdin_path(&self) -> PathBuf {
        self.0.join("stdin")
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(crate) fn exit_path(&self) -> PathBuf {
        self.0.join("exit.json")
    }

    /// Where the cage says why it could not become the agent.
    pub(crate) fn not_started_path(&self) -> PathBuf {
        self.0.join("not-started")
    }

    /// The supervisor's own standard error.
    pub(crate) fn supervisor_err_path(&self) -> PathBuf {
        self.0.join("supervisor.err")
    }

    fn launch_path(&self) -> PathBuf {
        self.0.join("launch.json")
    }

    /// Whether the launch is written down.
    pub(crate) fn is_created(&self) -> bool {
        self.launch_path().exists()
    }

    /// Writes the directory, durable before this returns. Doing it again with the same launch is harmless; with a
    /// different one it is refused.
    pub fn create(&self, spec: &LaunchSpec, stdin: Option<&str>) -> Result<(), SpoolError> {
        let built = DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        built.map_err(SpoolError::io("create", &self.0))?;
        if self.launch_path().exists() {
            return self.check_same(spec, stdin);
        }
        if let Some(text) = stdin {
            self.write_whole(&self.stdin_path(), text.as_bytes())?;
        }
        self.write_json(&self.launch_path(), spec)?;
        let root = self.0.parent().unwrap_or(Path::new("/"));
        sync_dir(root)
    }

    fn check_same(&self, spec: &LaunchSpec, stdin: Option<&str>) -> Result<(), SpoolError> {
        if self.spec()? != *spec {
            return Err(SpoolError::Different { path: self.launch_path() });
        }
        let Some(text) = stdin else { return Ok(()) };
        let path = self.stdin_path();
        let there = fs::read(&path).map_err(SpoolError::io("read", &path))?;
        if there == text.as_bytes() { Ok(()) } else { Err(SpoolError::Different { path }) }
    }

    /// What was asked for.
    pub fn spec(&self) -> Result<LaunchSpec, SpoolError> {
        let path = self.launch_path();
        let bytes = read_bounded(&path).map_err(SpoolError::io("read", &path))?;
        decode(&path, &bytes)
    }

    /// How it ended; none while it has not, and for good when the supervisor died.
    pub fn exit_record(&self) -> Result<Option<ExitRecord>, SpoolError> {
        self.read_json(&self.exit_path())
    }

    /// Whether this program can read what is there. What a newer one wrote is not for this one to judge.
    pub fn check_version(&self) -> Result<(), SpoolError> {
        let failed = [self.spec().err(), self.exit_record().err()].into_iter().flatten();
        let mut newer = failed.filter(|error| matches!(error, SpoolError::Newer { .. }));
        newer.next().map_or(Ok(()), Err)
    }

    /// Writes the exit record: the last thing that happens to an attempt.
    pub(crate) fn write_exit_record(&self, record: &ExitRecord) -> Result<(), SpoolError> {
        self.write_json(&self.exit_path(), record)
    }

    /// The first `chars` characters of the agent's standard error, surrounding white space removed first, as the seed's
    /// `err.strip()[:500]`. Empty when there is none.
    pub fn stderr_head(&self, chars: usize) -> String {
        head(&self.err_path(), chars)
    }

    pub(super) fn rewrite_launch(&self, spec: &LaunchSpec) -> Result<(), SpoolError> {
        self.write_json(&self.launch_path(), spec)
    }

    /// What a file holds; none when there is no such file.
    pub(super) fn read_json<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, SpoolError> {
        match read_bounded(path) {
            Ok(bytes) => decode(path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SpoolError::io("read", path)(error)),
        }
    }

    pub(super) fn write_json(&self, path: &Path, value: &impl Serialize) -> Result<(), SpoolError> {
        let json = serde_json::to_vec(value).map_err(|error| SpoolError::io("write", path)(error.into()))?;
        self.write_whole(path, &json)
    }

    /// Makes a file appear whole or not at all, and durable.
    fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
        let aside = path.with_added_extension("tmp");
        let failed = SpoolError::io("write", &aside);
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        written().map_err(failed)?;
        fs::rename(&aside, path).map_err(SpoolError::io("write", path))?;
        sync_dir(&self.0)
    }
}

/// Whether the system is only out of something that it will have again.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::INTR))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), SpoolError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(SpoolError::io("sync", path))
}

/// The first `chars` characters of a file, white space around its text removed; empty when it cannot be read.
pub(crate) fn head(path: &Path, chars: usize) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(ERR_HEAD_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    text.trim_matches(is_python_space).chars().take(chars).collect()
}

/// What Python's `str.strip` removes: Unicode white space and the four ASCII separators.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(JSON_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the version first, so that a newer file is called newer and not damaged.
fn decode<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, SpoolError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let damaged = |source| SpoolError::Damaged { path: path.to_path_buf(), source };
    let Versioned { version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if version > SPOOL_VERSION {
        return Err(SpoolError::Newer { path: path.to_path_buf(), found: version });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}
