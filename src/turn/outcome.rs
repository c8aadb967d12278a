//! What the end of an agent means for its turn: evidence in, last events out. Pure.
//!
//! Invariant: every way in which an agent can end gives exactly one outcome; an intent to stop that was logged wins over how
//! the agent then died.

use crate::agent::start::way_out;
use crate::protocol::event::{Body, LeftProcess, Outcome, TurnEnd};
use crate::turn::spool::{EndReason, ExitRecord};

/// Why there is no exit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The supervisor is gone.
    SupervisorDied,
    /// The spool cannot be read.
    Unreadable(String),
}

/// What is known of how the agent ended.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// Its supervisor says.
    Record(ExitRecord),
    /// Nobody does; what was left alive after cleaning up.
    Lost {
        /// Why.
        loss: Loss,
        /// What is still alive.
        left: Vec<LeftProcess>,
    },
    /// It never began.
    NotStarted {
        /// Why not.
        why: String,
    },
}

/// The rest of what is known.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Whether somebody's wish to stop is in the log.
    pub cancelled: bool,
    /// The newest `result`'s `is_error`.
    pub result_is_error: Option<bool>,
    /// The first characters of stderr, trimmed; the seed's `err.strip()[:500]`.
    pub stderr: &'a str,
    /// The turn time-out, seconds.
    pub timeout_seconds: u64,
    /// From the prompt's acceptance until now, milliseconds.
    pub duration_ms: u64,
}

/// The last events of a turn: an `error` where one is due, and the `turn_end`.
pub fn conclude(evidence: &Evidence, circumstances: Circumstances<'_>) -> (Option<Body>, TurnEnd) {
    let (outcome, error) = match evidence {
        _ if circumstances.cancelled => (Outcome::Cancelled, None),
        Evidence::Record(record) => judge(record, circumstances),
        Evidence::Lost { loss: Loss::SupervisorDied, .. } => {
            let why = "the turn was lost: its supervisor died, or the machine restarted; what the agent was doing may be half done";
            (Outcome::Lost, Some(why.to_owned()))
        }
        Evidence::Lost { loss: Loss::Unreadable(why), .. } => {
            (Outcome::Lost, Some(format!("the turn was lost: its output cannot be read: {why}")))
        }
        Evidence::NotStarted { why } => (Outcome::Error, Some(format!("the agent could not be started: {why}"))),
    };
    let (exit_code, left) = match evidence {
        Evidence::Record(record) => (record.exit_code, record.left.clone()),
        Evidence::Lost { left, .. } => (None, left.clone()),
        Evidence::NotStarted { .. } => (None, Vec::new()),
    };
    let end = TurnEnd { outcome, exit_code, duration_ms: circumstances.duration_ms, left, masked: 0 };
    (error.map(|error| Body::Error { error }), end)
}

fn judge(record: &ExitRecord, circumstances: Circumstances<'_>) -> (Outcome, Option<String>) {
    match &record.reason {
        EndReason::TimedOut => {
            (Outcome::Timeout, Some(format!("turn timed out after {}s", circumstances.timeout_seconds)))
        }
        EndReason::NotStarted { why } => (Outcome::Error, Some(format!("the agent could not be started: {why}"))),
        EndReason::Stopped => {
            let why = "the turn was lost: its supervisor was told to stop by someone other than this gateway, such as a shutdown";
            (Outcome::Lost, Some(why.to_owned()))
        }
        EndReason::Exited => match (record.exit_code, record.signal) {
            // A failed result with exit status 0 is still a failure; the result itself says what it was.
            (Some(0), _) if circumstances.result_is_error == Some(true) => (Outcome::Error, None),
            (Some(0), _) => (Outcome::Ok, None),
            (code, signal) => (Outcome::Error, Some(failure(code, signal, circumstances.stderr))),
        },
    }
}

/// The seed's `err.strip()[:500] or f"exit {proc.returncode}"`, where a signal is a negative return code.
fn failure(code: Option<i32>, signal: Option<i32>, stderr: &str) -> String {
    if let Some(way_out) = way_out(stderr) {
        return format!("{stderr}; {way_out}");
    }
    if !stderr.is_empty() {
        return stderr.to_owned();
    }
    match (code, signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("exit -{signal}"),
        (None, None) => "exit status unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Circumstances<'_> = Circumstances {
        cancelled: false,
        result_is_error: Some(false),
        stderr: "",
        timeout_seconds: 1800,
        duration_ms: 12,
    };

    fn record(reason: EndReason, exit_code: Option<i32>, signal: Option<i32>) -> Evidence {
        let none = ExitRecord::not_started(String::new());
        Evidence::Record(ExitRecord { reason, exit_code, signal, ..none })
    }

    fn concluded(evidence: &Evidence, circumstances: Circumstances<'_>) -> (Outcome, Option<i32>, String) {
        let (error, end) = conclude(evidence, circumstances);
        let text = match error {
            Some(Body::Error { error }) => error,
            Some(other) => panic!("{other:?}"),
            None => String::new(),
        };
        (end.outcome, end.exit_code, text)
    }

    #[test]
    fn every_end_has_its_outcome() {
        let exited = |code| record(EndReason::Exited, Some(code), None);
        assert_eq!(concluded(&exited(0), QUIET), (Outcome::Ok, Some(0), String::new()));
        assert_eq!(concluded(&exited(3), QUIET), (Outcome::Error, Some(3), "exit 3".into()));
        let with_stderr = Circumstances { stderr: "no such agent", ..QUIET };
        assert_eq!(concluded(&exited(1), with_stderr), (Outcome::Error, Some(1), "no such agent".into()));
        let failed = Circumstances { result_is_error: Some(true), ..QUIET };
        assert_eq!(concluded(&exited(0), failed), (Outcome::Error, Some(0), String::new()));
        let no_result = Circumstances { result_is_error: None, ..QUIET };
        assert_eq!(concluded(&exited(0), no_result).0, Outcome::Ok);
        let killed = record(EndReason::Exited, None, Some(9));
        assert_eq!(concluded(&killed, QUIET), (Outcome::Error, None, "exit -9".into()));
        let late = record(EndReason::TimedOut, Some(143), None);
        assert_eq!(concluded(&late, QUIET), (Outcome::Timeout, Some(143), "turn timed out after 1800s".into()));
        let lost = Evidence::Lost { loss: Loss::SupervisorDied, left: vec![] };
        assert_eq!(concluded(&lost, QUIET).0, Outcome::Lost);
        assert_eq!(concluded(&record(EndReason::Stopped, Some(0), None), QUIET).0, Outcome::Lost);
    }

    #[test]
    fn a_logged_stop_wins() {
        let cancelled = Circumstances { cancelled: true, ..QUIET };
        for evidence in [
            record(EndReason::Stopped, Some(143), None),
            record(EndReason::Exited, Some(1), None),
            Evidence::Lost { loss: Loss::SupervisorDied, left: vec![] },
            Evidence::NotStarted { why: "x".into() },
        ] {
            let (outcome, _, error) = concluded(&evidence, cancelled);
            assert_eq!((outcome, error.as_str()), (Outcome::Cancelled, ""));
        }
    }
}
