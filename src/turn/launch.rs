//! The gateway's hold on a supervisor: starting one, finding one again, hearing of its end, telling it to stop.
//!
//! Invariant: what is believed of a supervisor rests on evidence on disk (lock, claim, exit record), never on what a
//! starter said. So an attempt that [`launch`] reports as failed has not run and never will; the one exception is said.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{self, Path};
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::Command;

use super::claim::Liveness;
use super::processes::TURN_VARIABLE;
use super::readiness::register;
use super::spool::{SpoolDir, SpoolError, head};
use super::supervisor::THIS_PROGRAM;

/// A supervisor is ready in some 20 ms. A machine that swaps may need seconds; this is for one that hangs.
const READY_WAIT_MS: u64 = 30_000;
/// How much of a dead supervisor's last words an error repeats.
const WORDS_CHARS_MAX: usize = 500;

/// Why a turn was not started. Except after [`LaunchError::Spool`] it never will be: the spool directory holds an exit
/// record that says the same.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The spool directory cannot be used, so that nothing can be known: launching again is harmless.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// No process could be started.
    #[error("cannot start a supervisor: {0}")]
    Spawn(io::Error),
    /// It did not take the turn in time.
    #[error("the supervisor was not ready after {READY_WAIT_MS} ms: the machine may be overloaded")]
    NotReady,
    /// It ended before it took the turn.
    #[error("the supervisor gave up: {words}")]
    GaveUp {
        /// What it said.
        words: String,
    },
}

/// A supervisor, alive or not.
#[derive(Debug)]
pub struct Supervisor {
    /// None when it had ended before it could be held.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    pid: u32,
    pidfd: AsyncFd<OwnedFd>,
}

/// Starts a supervisor on a created spool directory, its environment (and the agent's) being `environment` and the
/// turn's mark, and waits until it has started the agent or written down why not: an agent that could not be started is
/// no error here. When somebody runs or ran the attempt already, that one is returned. Dropping the future does not undo
/// the launch: [`Supervisor::adopt`] finds it.
pub async fn launch(dir: &SpoolDir, environment: &[(OsString, OsString)]) -> Result<Supervisor, LaunchError> {
    launch_as(Path::new(THIS_PROGRAM), dir, environment).await
}

/// [`launch`] with another program in the place of this one: a breakglass too.
pub async fn launch_as(
    program: &Path,
    dir: &SpoolDir,
    environment: &[(OsString, OsString)],
) -> Result<Supervisor, LaunchError> {
    let failed = start(program, dir, environment).await.err();
    if let Some(supervisor) = Supervisor::adopt(dir)? {
        return Ok(supervisor);
    }
    let error = failed.unwrap_or_else(|| LaunchError::GaveUp { words: last_words(dir) });
    // Whoever claims an attempt may run it: if that is us, no late supervisor will.
    if dir.abandon(&error.to_string())? {
        return Err(error);
    }
    Ok(Supervisor::adopt(dir)?.unwrap_or(Supervisor { held: None }))
}

async fn start(program: &Path, dir: &SpoolDir, environment: &[(OsString, OsString)]) -> Result<(), LaunchError> {
    let spec = dir.spec()?;
    let path = path::absolute(dir.path()).map_err(LaunchError::Spawn)?;
    let (ready, release) = io::pipe().map_err(LaunchError::Spawn)?;
    let words_path = dir.supervisor_err_path();
    let words = OpenOptions::new().append(true).create(true).mode(0o600).open(&words_path);
    let words = words.map_err(SpoolError::io("open", &words_path))?;
    let mut ready = pipe::Receiver::from_owned_fd(ready.into()).map_err(LaunchError::Spawn)?;
    let mut command = Command::new(program);
    command.arg0("breakglass").arg("supervise").arg(path).current_dir("/");
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command.env(TURN_VARIABLE, spec.turn.to_string());
    command.stdin(Stdio::null()).stdout(release).stderr(words);
    // Out of reach of a Ctrl-C at the gateway's terminal from its first moment; it leaves the session by itself.
    command.process_group(0);
    let mut child = command.spawn().map_err(LaunchError::Spawn)?;
    // The command holds our copy of the pipe's writing end.
    drop(command);
    let released = async {
        let _ = ready.read(&mut [0]).await;
        let _ = child.wait().await;
    };
    tokio::time::timeout(Duration::from_millis(READY_WAIT_MS), released).await.map_err(|_| LaunchError::NotReady)
}

fn last_words(dir: &SpoolDir) -> String {
    let words = head(&dir.supervisor_err_path(), WORDS_CHARS_MAX);
    if words.is_empty() { "it said nothing".to_owned() } else { words }
}

impl Supervisor {
    /// Takes hold of the supervisor that runs this attempt, whoever started it; none when nobody does.
    pub fn adopt(dir: &SpoolDir) -> Result<Option<Self>, SpoolError> {
        let Liveness::Alive { pid } = dir.liveness()? else { return Ok(None) };
        let Some(pidfd) = open_pidfd(pid).map_err(SpoolError::io("hold the owner of", &dir.lock_path()))? else {
            return Ok(None);
        };
        // It held the lock before and after: the process that we hold is the one that does.
        if dir.liveness()? != (Liveness::Alive { pid }) {
            return Ok(None);
        }
        let pidfd = register(pidfd).map_err(SpoolError::io("hold the owner of", &dir.lock_path()))?;
        Ok(Some(Self { held: Some(Held { pid, pidfd }) }))
    }

    /// Its process id; none when it had ended before it could be held.
    pub fn pid(&self) -> Option<u32> {
        self.held.as_ref().map(|held| held.pid)
    }

    /// Returns when it has ended. Then its exit record is there, or it died. May be awaited again, and dropped.
    pub async fn exited(&self) -> io::Result<()> {
        let Some(held) = &self.held else { return Ok(()) };
        let _ready = held.pidfd.readable().await?;
        // A gateway that is the first process of a container inherits its supervisors and must reap them; for any other
        // this is an error that says that it is not the parent.
        let _ = waitid(WaitId::PidFd(held.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        Ok(())
    }

    /// Tells it to end the turn: in good order, and after 5 seconds by force. Harmless when it has ended, or when told
    /// before.
    pub fn stop(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Kills it, and the agent with it; what the agent started lives on until a [`super::sweep::sweep`]. For a supervisor
    /// that does not obey.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(held) = &self.held else { return Ok(()) };
        match pidfd_send_signal(held.pidfd.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn open_pidfd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::NONBLOCK) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
