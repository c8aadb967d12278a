//! Where things run and what they cost, from /proc.

use std::fs;
use std::process::{Child, Command};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What is measured runs here.
pub(crate) const SERVER_CORE: usize = 0;
/// The load, the agent and the publisher run here.
pub(crate) const LOAD_CORE: usize = 1;

/// USER_HZ, which is part of Linux's ABI.
const TICKS_PER_S: f64 = 100.0;

/// Binds the calling thread, and what it starts from now on, to one core. On a machine with only one, to that.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    if sched_setaffinity(None, &set).is_err() {
        sched_getaffinity(None)?;
    }
    Ok(())
}

/// Starts a child bound to a core. The calling thread keeps its own.
pub(crate) fn spawn_on(core: usize, command: &mut Command) -> Result<Child> {
    let own = sched_getaffinity(None)?;
    pin(core)?;
    let child = command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()));
    sched_setaffinity(None, &own)?;
    child
}

/// CPU time that a process has used, user and system, its threads included, seconds.
pub(crate) fn used_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = stat.rsplit_once(") ").context("a strange /proc/PID/stat")?.1;
    // proc_pid_stat(5): utime and stime are fields 14 and 15; state, behind the name, is field 3.
    let ticks: u64 = behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks as f64 / TICKS_PER_S)
}

/// Resident memory, KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a strange /proc/PID/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
