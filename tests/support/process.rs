//! Processes as the kernel shows them: who belongs to a test, and waiting for their end.
//!
//! A test's processes are found by a marker, a path of its own temporary folder, in their environment, command line or
//! working folder. It survives `setsid` and double forks, and no other test has it.

use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// A process of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: i32,
    /// Its arguments, joined by spaces.
    pub(crate) command: String,
}

/// All processes, except this one, that carry the marker.
pub(crate) fn with_marker(marker: &str) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| *pid != own).filter_map(|pid| marked(pid, marker)).collect()
}

fn marked(pid: i32, marker: &str) -> Option<Process> {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ").trim_end().to_owned();
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let carries = command.contains(marker)
        || cwd.to_string_lossy().contains(marker)
        || String::from_utf8_lossy(&read("environ")).contains(marker);
    carries.then_some(Process { pid, command })
}

/// Whether a process runs (a zombie does not).
pub(crate) fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name before it is in parentheses and may itself hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// The id of a process's parent.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Sends a signal; a process that is gone already is no error.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Waits, blocking, until a process has ended; false when it still runs after `limit`.
pub(crate) fn wait_end(pid: i32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let Some(handle) = handle(pid) else { return true };
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("cannot wait for process {pid}: {error}"),
        }
    }
}

fn handle(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Waits until nobody carries the marker any more; gives back who still does after `limit`.
pub(crate) fn wait_none(marker: &str, limit: Duration) -> Vec<Process> {
    let deadline = Instant::now() + limit;
    loop {
        let Some(first) = with_marker(marker).into_iter().next() else { return Vec::new() };
        if !wait_end(first.pid, deadline.saturating_duration_since(Instant::now())) {
            return with_marker(marker);
        }
    }
}

/// Kills all who carry the marker, until nobody is left.
pub(crate) fn kill_all(marker: &str) {
    // Bounded: something that forks faster than this kills it is a fault of the test.
    for _ in 0..100 {
        let found = with_marker(marker);
        if found.is_empty() {
            return;
        }
        for process in found {
            signal(process.pid, Signal::KILL);
            wait_end(process.pid, Duration::from_secs(5));
        }
    }
    panic!("processes of {marker} keep coming back");
}
