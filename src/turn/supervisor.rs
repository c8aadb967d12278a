//! The owner of one agent process: `breakglass supervise DIR`, in a session of its own, independent of the gateway.
//!
//! Invariants: exactly one supervisor ever runs an attempt (the lock for the living, the claim for good); whatever
//! happens to the agent an exit record is left, last of all; after a stop or a time-out nothing that the agent started
//! is alive, or the record names what is; after a normal end the record names what lives on.
//!
//! It shares only files with the gateway: SIGTERM is the one thing that it is told. It opens no database and no socket:
//! little that can break. Its environment is, to the letter, the agent's.
//!
//! It does not touch the umask: its own files have explicit modes, and an agent that repairs `/etc` must not leave
//! files there that services cannot read.

mod agent;
mod ending;
mod errfile;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{getpid, set_child_subreaper, setsid};

use self::agent::{Agent, Signals};
use super::cgroup;
use super::processes;
use super::spool::{ExitRecord, SpoolDir, SpoolError};
use super::start::StartRecord;

pub use self::errfile::{ERR_BYTES_MAX, ERR_TAIL_BYTES};

/// This very program, also after an upgrade has replaced or removed its file.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";

/// How often to try to write the exit record when the disk is full.
const RECORD_RETRY_MS: u64 = 1_000;
/// How often at most: ten minutes, in which somebody may make room. Meanwhile the gateway sees the turn alive.
const RECORD_TRIES_MAX: u32 = 600;

/// Why a supervisor gives up before it owns the turn. Afterwards there is an exit record instead.
#[derive(Debug, thiserror::Error)]
enum SuperviseError {
    #[error("cannot open `{}`: {source}", .path.display())]
    Dir { path: std::path::PathBuf, source: io::Error },
    #[error("cannot leave the gateway's session: {0}")]
    Session(io::Error),
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// `breakglass supervise DIR`: runs the attempt at the spool directory `dir` to its end. Does nothing, successfully, when
/// somebody runs or ran it already. Whoever started it may wait for its standard output to be closed: then the agent has
/// been started, or the exit record says why not.
pub fn run(dir: &Path) -> ExitCode {
    match supervise(dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Standard error is a file of the spool directory; when that cannot be written there is nobody else to tell.
fn complain(error: &dyn std::error::Error) {
    let _ = writeln!(io::stderr(), "{error}");
}

fn supervise(dir: &Path) -> Result<(), SuperviseError> {
    let path = fs::canonicalize(dir).map_err(|source| SuperviseError::Dir { path: dir.to_path_buf(), source })?;
    if !lead_own_session().map_err(SuperviseError::Session)? {
        return start_again(&path).map_err(SuperviseError::Session);
    }
    // A label for `ps`; the program's own name there would be `exe`.
    let _ = rustix::thread::set_name(c"bg-supervise");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(SuperviseError::Signals)?.block_on(own(SpoolDir::at(path)))
}

/// False when that is impossible because this process leads a process group, as it does when the gateway started it
/// so that a Ctrl-C at the gateway's terminal never reaches it.
fn lead_own_session() -> io::Result<bool> {
    match setsid() {
        Ok(_) => Ok(true),
        Err(Errno::PERM) => processes::leads_own_session(),
        Err(error) => Err(error.into()),
    }
}

/// A child leads nothing, so it can leave; and it is not the gateway's child, which need not reap it.
fn start_again(dir: &Path) -> io::Result<()> {
    let mut command = Command::new(THIS_PROGRAM);
    command.arg0("breakglass").arg("supervise").arg(dir).stdin(Stdio::null());
    command.spawn().map(drop)
}

async fn own(dir: SpoolDir) -> Result<(), SuperviseError> {
    // Before anybody can know of this process, so that a stop is never missed and never kills it.
    let mut signals = Signals::listen().map_err(SuperviseError::Signals)?;
    let Some(_lock) = dir.lock()? else { return Ok(()) };
    let spec = dir.spec()?;
    let Some(out) = dir.claim()? else { return Ok(()) };
    let circumstances = StartRecord::now(&spec.program);
    let started = start_agent(&dir, &spec, &out);
    let record = match started {
        Ok(agent) => {
            write_down(&dir, &StartRecord { agent_pid: Some(agent.id()), ..circumstances });
            release_starter();
            let record = agent.run_to_end(&dir, &out, &mut signals).await;
            if let Some(folder) = &spec.cage.cgroup {
                cgroup::leave(folder, spec.turn);
            }
            record
        }
        Err(error) => {
            write_down(&dir, &circumstances);
            ExitRecord::not_started(error.to_string())
        }
    };
    leave_record(&dir, &out, &record).await?;
    release_starter();
    Ok(())
}

fn start_agent(dir: &SpoolDir, spec: &super::spool::LaunchSpec, out: &File) -> Result<Agent, agent::StartError> {
    set_child_subreaper(Some(getpid())).map_err(|error| agent::StartError::Subreaper(error.into()))?;
    Agent::start(dir, spec, out)
}

/// For those who ask later; a turn is not given up because this cannot be written.
fn write_down(dir: &SpoolDir, circumstances: &StartRecord) {
    if let Err(error) = dir.write_start_record(circumstances) {
        complain(&error);
    }
}

/// Closes the pipe at whose other end the starter waits, and lets go of whatever else standard output was.
fn release_starter() {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    if let Ok(null) = null {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

/// The output first, then the record: who sees the record sees all of the output.
async fn leave_record(dir: &SpoolDir, out: &File, record: &ExitRecord) -> Result<(), SpoolError> {
    if let Err(error) = out.sync_all() {
        complain(&error);
    }
    let mut tries = 1;
    loop {
        match dir.write_exit_record(record) {
            Ok(()) => return Ok(()),
            Err(error) if tries >= RECORD_TRIES_MAX => return Err(error),
            Err(error) if tries == 1 => complain(&error),
            Err(_) => {}
        }
        tries += 1;
        tokio::time::sleep(Duration::from_millis(RECORD_RETRY_MS)).await;
    }
}
