//! How a turn is brought to an end, and who is left after it.
//!
//! The schedule, from the stop or the time-out on: SIGINT to the agent's process group, for then it says goodbye; after
//! [`TERM_AFTER_MS`] SIGTERM; after [`KILL_AFTER_MS`] SIGKILL to everything that it started. Once the agent itself has ended, what
//! it left behind gets SIGTERM at once and SIGKILL when the schedule comes to it, but not within [`ORPHAN_GRACE_MS`].
//! A second stop changes nothing.

use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process, kill_process_group};

use super::agent::{Agent, Offspring, Signals};
use crate::protocol::event::LeftProcess;
use crate::turn::processes::{self, Process};
use crate::turn::spool::Signalled;
use crate::turn::sweep::{Next, Purge, name_left};

/// The real agent takes up to 1.8 s to write its result after SIGINT (claude-cli.md section 5).
const TERM_AFTER_MS: u64 = 2_000;
/// And up to 1.6 s to end its tools after SIGTERM.
const KILL_AFTER_MS: u64 = 5_000;
/// What the agent left behind has at least so long between SIGTERM and SIGKILL.
const ORPHAN_GRACE_MS: u64 = 1_000;
/// How long to wait, after a normal end, for helpers that are about to end with their agent.
const SETTLE_MS: u64 = 250;
/// How often to look meanwhile.
const SETTLE_LOOK_MS: u64 = 25;

/// Who was told, and who is alive in spite of it.
pub(super) struct Ended {
    pub(super) signalled: Vec<Signalled>,
    pub(super) left: Vec<LeftProcess>,
}

/// Ends the agent and everything that it started.
pub(super) async fn end(agent: &mut Agent, signals: &mut Signals) -> Ended {
    let begun = Instant::now();
    let kill_at = begun + Duration::from_millis(KILL_AFTER_MS);
    let mut purge = Purge::new(kill_at);
    tell_group(agent, Signal::INT, &mut purge);
    wait_until(agent, signals, begun + Duration::from_millis(TERM_AFTER_MS)).await;
    if agent.is_running() {
        tell_group(agent, Signal::TERM, &mut purge);
        wait_until(agent, signals, kill_at).await;
    }
    if agent.is_running() {
        // One call that no member can escape by forking; the purge then takes those who left the group.
        let _ = kill_process_group(agent.pid, Signal::KILL);
    } else {
        purge.force_at(kill_at.max(Instant::now() + Duration::from_millis(ORPHAN_GRACE_MS)));
    }
    clear(agent, signals, purge).await
}

async fn clear(agent: &mut Agent, signals: &mut Signals, mut purge: Purge) -> Ended {
    loop {
        if agent.reap() == Offspring::None {
            return Ended { signalled: purge.into_signalled(), left: Vec::new() };
        }
        let found = offspring();
        match purge.look(&found) {
            Next::LookAgain(wait) => child_ended(signals, wait).await,
            Next::GiveUp => return Ended { signalled: purge.into_signalled(), left: name_someone(&found) },
        }
    }
}

/// Signals the agent's process group: it exists as long as the agent has not been reaped, so its id is nobody else's.
fn tell_group(agent: &mut Agent, signal: Signal, purge: &mut Purge) {
    agent.reap();
    if !agent.is_running() {
        return;
    }
    let members: Vec<(Process, String)> = offspring()
        .into_iter()
        .filter(|process| process.group == agent.pid.as_raw_nonzero().get())
        .map(|process| {
            let command = process.command();
            (process, command)
        })
        .collect();
    // An agent that moved itself to another group is told alone.
    if kill_process_group(agent.pid, signal).or_else(|_| kill_process(agent.pid, signal)).is_ok() {
        for (process, command) in members {
            purge.note(&process, signal, command);
        }
    }
}

/// Who lives on after a normal end.
pub(super) async fn left(agent: &mut Agent, signals: &mut Signals) -> Vec<LeftProcess> {
    let until = Instant::now() + Duration::from_millis(SETTLE_MS);
    loop {
        if agent.reap() == Offspring::None {
            return Vec::new();
        }
        if Instant::now() >= until {
            return name_someone(&offspring());
        }
        child_ended(signals, Duration::from_millis(SETTLE_LOOK_MS)).await;
    }
}

/// Somebody is there: when it changes its id faster than one can look, at least that is said.
fn name_someone(found: &[Process]) -> Vec<LeftProcess> {
    match found {
        [] => vec![LeftProcess { pid: 0, command: "[a process that keeps changing its id]".to_owned() }],
        found => name_left(found),
    }
}

/// This process adopts every orphan, so all that the agent started hangs below it.
fn offspring() -> Vec<Process> {
    processes::descendants(getpid()).unwrap_or_default()
}

async fn wait_until(agent: &mut Agent, signals: &mut Signals, until: Instant) {
    loop {
        agent.reap();
        let now = Instant::now();
        if !agent.is_running() || now >= until {
            return;
        }
        child_ended(signals, until - now).await;
    }
}

/// Until a child has ended, or for so long.
async fn child_ended(signals: &mut Signals, at_most: Duration) {
    tokio::select! {
        _ = signals.child.recv() => {}
        () = tokio::time::sleep(at_most) => {}
    }
}
