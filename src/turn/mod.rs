//! A turn: one run of the agent for one prompt, in a process that does not belong to the gateway.
//!
//! The gateway writes a [`spool::SpoolDir`] and [`launch`]es a [`supervisor`] on it; the supervisor owns the agent, whose
//! output goes straight into files of that directory, and always leaves an exit record. Whoever is interested [`follow`]s
//! the files. So a gateway that is killed in mid-turn loses nothing and stops nothing, and the next one takes up the
//! turn again from what is on disk.
//!
//! What is on disk is all that the two sides share: neither needs the other alive.

pub mod archive;
pub mod cage;
pub mod cgroup;
pub mod claim;
pub mod follow;
pub mod import;
pub mod launch;
pub mod outcome;
pub mod persist;
pub mod processes;
mod readiness;
mod redact;
pub mod run;
pub mod spool;
pub mod start;
pub mod supervisor;
pub mod sweep;
