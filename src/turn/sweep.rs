//! Leaving nothing alive: the schedule by which processes are told, then forced, to end.
//!
//! Invariants: a process is asked once (SIGTERM) and forced (SIGKILL) from the given moment on, again and again because
//! it may be forking meanwhile; after `GIVE_UP_MS` of forcing it is over in any case. Does not know whom it is about, nor
//! when they are all gone: the supervisor, as everybody's ancestor, is told by the kernel; [`sweep`] looks for a mark.

use std::collections::HashSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::processes::{self, Process};
use super::spool::Signalled;
use crate::ids::TurnId;
use crate::protocol::event::LeftProcess;

/// A record names at most so many processes that are left, and so many that were sent any one signal: a fork bomb must
/// not swell it.
pub const LISTED_MAX: usize = 100;

/// What survives SIGKILL so long is stuck in the kernel, or may not be signalled.
const GIVE_UP_MS: u64 = 5_000;
/// How long a turn's orphans have from SIGTERM to SIGKILL when their supervisor died.
const SWEEP_GRACE_MS: u64 = 2_000;
/// How often to look whether those who were asked have gone.
const ASKED_LOOK_MS: u64 = 50;
/// How long those who were forced have to be gone.
const FORCED_LOOK_MS: u64 = 10;
/// A sweep is over when so many looks in a row found nobody: one can miss a process that is just replacing itself.
const QUIET_LOOKS: u32 = 3;

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again after so long, or earlier.
    LookAgain(Duration),
    /// Nothing more can be done about those who were found.
    GiveUp,
}

/// One schedule, and whom it has signalled.
#[derive(Debug)]
pub(crate) struct Purge {
    force_at: Instant,
    reached: HashSet<(u32, u64, i32)>,
    signalled: Vec<Signalled>,
}

impl Purge {
    /// Asks until `force_at`, then forces.
    pub(crate) fn new(force_at: Instant) -> Self {
        Self { force_at, reached: HashSet::new(), signalled: Vec::new() }
    }

    /// Puts off, or brings forward, the moment from which to force.
    pub(crate) fn force_at(&mut self, force_at: Instant) {
        self.force_at = force_at;
    }

    /// Deals with those who were found alive.
    pub(crate) fn look(&mut self, found: &[Process]) -> Next {
        let now = Instant::now();
        if now < self.force_at {
            found.iter().for_each(|process| self.ask(process));
            return Next::LookAgain(Duration::from_millis(ASKED_LOOK_MS).min(self.force_at - now));
        }
        if now >= self.force_at + Duration::from_millis(GIVE_UP_MS) {
            return Next::GiveUp;
        }
        let forced = found.iter().filter(|process| self.send(process, Signal::KILL)).count();
        // Whoever is there and was not met is replacing itself faster than we look: there is no time to lose.
        Next::LookAgain(if forced == 0 { Duration::ZERO } else { Duration::from_millis(FORCED_LOOK_MS) })
    }

    fn ask(&mut self, process: &Process) {
        if !self.reached.contains(&key(process, Signal::TERM)) {
            self.send(process, Signal::TERM);
        }
    }

    /// True when it was there to receive it. Not being allowed to is the same as its surviving: it will be named as left.
    fn send(&mut self, process: &Process, signal: Signal) -> bool {
        let again = self.reached.contains(&key(process, signal));
        // The command line is gone with the process: read it before.
        let command = if again { String::new() } else { process.command() };
        let reached = process.signal(signal).unwrap_or(false);
        if reached && !again {
            self.note(process, signal, command);
        }
        reached
    }

    /// Writes down a signal that was sent, here or by other means.
    pub(crate) fn note(&mut self, process: &Process, signal: Signal, command: String) {
        self.reached.insert(key(process, signal));
        let signal = signal.as_raw();
        if self.signalled.iter().filter(|one| one.signal == signal).count() < LISTED_MAX {
            self.signalled.push(Signalled { pid: process.id(), signal, command });
        }
    }

    /// Whom it has signalled, each with each signal once, in order.
    pub(crate) fn into_signalled(self) -> Vec<Signalled> {
        self.signalled
    }
}

fn key(process: &Process, signal: Signal) -> (u32, u64, i32) {
    (process.id(), process.started_ticks, signal.as_raw())
}

/// The first [`LISTED_MAX`] of those who live on.
pub(crate) fn name_left(found: &[Process]) -> Vec<LeftProcess> {
    found.iter().take(LISTED_MAX).map(Process::left).collect()
}

/// What a [`sweep`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SweepReport {
    /// Who was signalled, in order.
    pub signalled: Vec<Signalled>,
    /// Who is alive in spite of that.
    pub left: Vec<LeftProcess>,
}

/// Ends everything that carries the mark of `turn`: for a turn whose supervisor died, so that nobody else does it. Never
/// for a living one, whose supervisor carries the mark too. Blocks for at most about 7 seconds, usually a few
/// milliseconds: call it where blocking is allowed.
pub fn sweep(turn: TurnId) -> io::Result<SweepReport> {
    let mut purge = Purge::new(Instant::now() + Duration::from_millis(SWEEP_GRACE_MS));
    let mut quiet_looks = 0;
    loop {
        let found = processes::tagged(turn)?;
        quiet_looks = if found.is_empty() { quiet_looks + 1 } else { 0 };
        match purge.look(&found) {
            _ if quiet_looks == QUIET_LOOKS => {
                return Ok(SweepReport { signalled: purge.into_signalled(), left: vec![] });
            }
            _ if quiet_looks > 0 => {}
            Next::LookAgain(wait) => thread::sleep(wait),
            Next::GiveUp => return Ok(SweepReport { signalled: purge.into_signalled(), left: name_left(&found) }),
        }
    }
}
