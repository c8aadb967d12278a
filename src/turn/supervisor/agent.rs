//! The running agent: starting it, waiting for whatever comes first, and telling how it went.
//!
//! Invariant: the agent's status is collected here and nowhere else, together with that of every orphan it leaves.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, getpid, wait};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::ending::{self, Ended};
use super::{THIS_PROGRAM, errfile};
use crate::clock::Moment;
use crate::turn::cage::NOT_STARTED_EXIT;
use crate::turn::processes::TURN_VARIABLE;
use crate::turn::readiness::register;
use crate::turn::spool::{EndReason, ExitRecord, LaunchSpec, SPOOL_VERSION, SpoolDir, head};

/// How often the size of `err` is looked at; also the only thing that wakes an idle supervisor.
const ERR_LOOK_MS: u64 = 1_000;
/// A reason longer than this tells nobody more.
const WHY_CHARS_MAX: usize = 2_000;

/// Why the agent could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("cannot become the parent of the agent's orphans: {0}")]
    Subreaper(io::Error),
    #[error("cannot open `{}`: {source}", .path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot set the time-out: {0}")]
    Alarm(io::Error),
    #[error("cannot start a process: {0}")]
    Spawn(io::Error),
}

/// What the supervisor listens to. While these exist none of the signals has its default effect, and none stays ignored.
pub(super) struct Signals {
    pub(super) child: SignalStream,
    stop: Stop,
}

/// Whatever asks a process to end means: stop the turn.
struct Stop([SignalStream; 4]);

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            child: signal(SignalKind::child())?,
            stop: Stop([
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ]),
        })
    }
}

impl Stop {
    async fn asked(&mut self) {
        let [term, int, hup, quit] = &mut self.0;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// A started agent, the only one of this process.
pub(super) struct Agent {
    /// Its process id, which is its process group's too.
    pub(super) pid: Pid,
    status: Option<WaitStatus>,
    err: File,
    alarm: AsyncFd<OwnedFd>,
    started: Timespec,
}

/// Whether anything that the agent started is there, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offspring {
    None,
    Some,
}

impl Agent {
    pub(super) fn start(dir: &SpoolDir, spec: &LaunchSpec, out: &File) -> Result<Self, StartError> {
        let err_path = dir.err_path();
        let err =
            OpenOptions::new().append(true).create(true).mode(0o600).open(&err_path).map_err(opening(&err_path))?;
        let stdin_path = if spec.stdin { dir.stdin_path() } else { PathBuf::from("/dev/null") };
        let stdin = File::open(&stdin_path).map_err(opening(&stdin_path))?;
        let alarm = alarm(spec.timeout_ms).map_err(StartError::Alarm)?;
        let started = clock_gettime(ClockId::Boottime);
        let mut command = Command::new(THIS_PROGRAM);
        command.arg0("breakglass").args(["cage", "--parent", &getpid().to_string()]).arg(dir.path());
        command.env(TURN_VARIABLE, spec.turn.to_string());
        command.stdin(stdin);
        command.stdout(out.try_clone().map_err(StartError::Spawn)?);
        command.stderr(err.try_clone().map_err(StartError::Spawn)?);
        command.process_group(0);
        // Dropping the handle neither kills nor waits: `reap` does all the waiting.
        let child = command.spawn().map_err(StartError::Spawn)?;
        Ok(Self { pid: Pid::from_child(&child), status: None, err, alarm, started })
    }

    /// Waits for the agent to end, or makes it end when it is told to or its time is over.
    pub(super) async fn run_to_end(mut self, dir: &SpoolDir, out: &File, signals: &mut Signals) -> ExitRecord {
        let mut reason = self.watch(signals).await;
        let ended = match &reason {
            EndReason::Stopped | EndReason::TimedOut => ending::end(&mut self, signals).await,
            EndReason::Exited | EndReason::NotStarted { .. } => {
                Ended { signalled: Vec::new(), left: ending::left(&mut self, signals).await }
            }
        };
        let mut exit_code = self.status.and_then(WaitStatus::exit_status);
        if reason == EndReason::Exited
            && let Some(why) = not_started(dir, exit_code)
        {
            (reason, exit_code) = (EndReason::NotStarted { why }, None);
        }
        ExitRecord {
            version: SPOOL_VERSION,
            reason,
            exit_code,
            signal: self.status.and_then(WaitStatus::terminating_signal),
            duration_ms: since_ms(self.started),
            stdout_bytes: out.metadata().map_or(0, |file| file.len()),
            stderr_bytes: self.err.metadata().map_or(0, |file| file.len()),
            signalled: ended.signalled,
            left: ended.left,
            ended: Some(Moment::now()),
            agent_version: dir.agent_version(),
        }
    }

    async fn watch(&mut self, signals: &mut Signals) -> EndReason {
        let mut look = tokio::time::interval(Duration::from_millis(ERR_LOOK_MS));
        look.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.reap();
            if !self.is_running() {
                return EndReason::Exited;
            }
            tokio::select! {
                biased;
                _ = signals.child.recv() => {}
                () = signals.stop.asked() => return EndReason::Stopped,
                _ = self.alarm.readable() => return EndReason::TimedOut,
                // A file system without holes lets the file grow.
                _ = look.tick() => { let _ = errfile::bound(&self.err); }
            }
        }
    }

    /// Its process id, as others write it.
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Whether the agent's own process is there.
    pub(super) fn is_running(&self) -> bool {
        self.status.is_none()
    }

    /// Collects the status of every child that has ended: the agent's, and those of the orphans it left to us. Returns
    /// who is left according to the kernel: without a child this process, which every orphan becomes a child of in the
    /// moment it is one, has no descendant.
    pub(super) fn reap(&mut self) -> Offspring {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.pid => self.status = Some(status),
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Offspring::Some,
                Err(_) => return Offspring::None,
            }
        }
    }
}

fn opening(path: &std::path::Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_path_buf();
    move |source| StartError::Open { path, source }
}

/// What the cage said when it could not become the agent. When it could, its words are empty.
fn not_started(dir: &SpoolDir, exit_code: Option<i32>) -> Option<String> {
    if exit_code != Some(NOT_STARTED_EXIT) {
        return None;
    }
    Some(head(&dir.not_started_path(), WHY_CHARS_MAX)).filter(|why| !why.is_empty())
}

/// Becomes readable after `timeout_ms`, suspend included; never when that is 0.
fn alarm(timeout_ms: u64) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let seconds = i64::try_from(timeout_ms / 1000).unwrap_or(i64::MAX);
    let nanoseconds = i64::try_from(timeout_ms % 1000).unwrap_or(0) * 1_000_000;
    let once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let at = Itimerspec { it_interval: once, it_value: Timespec { tv_sec: seconds, tv_nsec: nanoseconds } };
    timerfd_settime(&fd, TimerfdTimerFlags::empty(), &at)?;
    register(fd)
}

fn since_ms(start: Timespec) -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1_000_000;
    u64::try_from(ms).unwrap_or(0)
}
