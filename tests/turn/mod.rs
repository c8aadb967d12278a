//! Turns: supervisors and agents as real processes, and the files between them and the gateway.

mod endings;
mod follow;
mod launching;
mod orphans;
mod spool;
mod support;
