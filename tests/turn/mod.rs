//! Turns: supervisors and agents as real processes, and the files between them and the gateway.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's own helpers fail like tests")]

mod endings;
mod follow;
mod launching;
mod orphans;
mod spool;
mod support;
