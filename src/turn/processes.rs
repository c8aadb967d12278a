//! What runs on this machine, as `/proc` tells it: who descends from whom, who carries a turn's mark.
//!
//! Invariant: a signal reaches the process that was seen and no later one with the same id: a process is a pid and the
//! moment it started, and is held by a pidfd while that is checked again. Owns no policy: whom to signal is [`super::sweep`]'s.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::ids::TurnId;
use crate::protocol::event::LeftProcess;

/// The variable that the agent and all that it starts carry in their environment: the turn's id.
pub const TURN_VARIABLE: &str = "BG_TURN";

/// A command line in a record is for recognising a process.
const COMMAND_CHARS_MAX: usize = 200;
/// Enough for [`COMMAND_CHARS_MAX`] characters of any length.
const COMMAND_BYTES_MAX: u64 = 4096;
/// The kernel bounds arguments and environment together at 6 MiB (3/4 of its largest stack for them).
const ENVIRON_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// On a machine that starts processes all the time there is always somebody new.
const LISTINGS_MAX: u32 = 8;

/// A process, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: Pid,
    /// The id of its parent; 0 for none that is visible.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session; 0 for one whose leader is not visible.
    session: i32,
    /// When it started, clock ticks after boot: with the pid, who it is.
    pub started_ticks: u64,
    /// The file name of its program, at most 15 bytes.
    name: String,
    is_live: bool,
}

/// A process now; none when there is none.
pub(crate) fn read(pid: Pid) -> Option<Process> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether this process leads a session. `getsid` cannot say: the session of a process in a container may have its leader
/// outside, and then its id is 0, which is no process id.
pub(crate) fn leads_own_session() -> io::Result<bool> {
    let own = parse_stat(&fs::read("/proc/self/stat")?).ok_or(io::ErrorKind::InvalidData)?;
    Ok(own.session == own.pid.as_raw_nonzero().get())
}

/// Every live process that descends from `root`, itself left out. Zombies are not alive.
pub(crate) fn descendants(root: Pid) -> io::Result<Vec<Process>> {
    let mut children: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in snapshot()? {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&root.as_raw_nonzero().get()).unwrap_or_default();
    let mut looked_at = 0;
    // Children are taken out of the map, so a parent that a torn snapshot shows twice cannot make this endless.
    while let Some(process) = found.get(looked_at) {
        let mut more = children.remove(&process.pid.as_raw_nonzero().get()).unwrap_or_default();
        found.append(&mut more);
        looked_at += 1;
    }
    found.retain(|process| process.is_live);
    Ok(found)
}

/// Every live process that carries the mark of `turn` in its environment, wherever it hangs in the process tree. Does not
/// see processes whose environment may not be read (another user's, unless we are root).
pub fn tagged(turn: TurnId) -> io::Result<Vec<Process>> {
    let mark = format!("{TURN_VARIABLE}={turn}");
    let own = rustix::process::getpid();
    let mut found = snapshot()?;
    found.retain(|process| process.is_live && process.pid != own && carries(process.pid, mark.as_bytes()));
    Ok(found)
}

fn carries(pid: Pid, mark: &[u8]) -> bool {
    let environ = read_bounded(&format!("/proc/{pid}/environ"), ENVIRON_BYTES_MAX).unwrap_or_default();
    environ.split(|byte| *byte == 0).any(|entry| entry == mark)
}

/// Every process, zombies too. `/proc` is no snapshot: a listing is old when its last entry is read, and a process that
/// has just replaced itself is in it only under an id that is gone. So it is listed again until it shows nobody new.
fn snapshot() -> io::Result<Vec<Process>> {
    let mut listed = HashSet::new();
    let mut found = Vec::new();
    for _ in 0..LISTINGS_MAX {
        let listed_before = listed.len();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<i32>().ok()).filter(|pid| *pid > 0);
            if let Some(pid) = pid.and_then(Pid::from_raw)
                && listed.insert(pid)
            {
                found.extend(read(pid));
            }
        }
        if listed.len() == listed_before {
            break;
        }
    }
    Ok(found)
}

impl Process {
    /// Sends it a signal. False when it is no more.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<bool> {
        let held = match pidfd_open(self.pid, PidfdFlags::empty()) {
            Ok(held) => held,
            Err(Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if read(self.pid).is_none_or(|now| now.started_ticks != self.started_ticks) {
            return Ok(false);
        }
        match pidfd_send_signal(&held, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Its command line, shortened; the name of its program in brackets when it has none.
    pub fn command(&self) -> String {
        let raw = read_bounded(&format!("/proc/{}/cmdline", self.pid), COMMAND_BYTES_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&raw).replace(|c: char| c.is_control(), " ");
        match text.trim() {
            "" => format!("[{}]", self.name),
            command => command.chars().take(COMMAND_CHARS_MAX).collect(),
        }
    }

    /// Its id as the records have it.
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The same for a record of what lives on.
    pub fn left(&self) -> LeftProcess {
        LeftProcess { pid: self.id(), command: self.command() }
    }
}

fn read_bounded(path: &str, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads `/proc/PID/stat` (proc(5)). The name stands in parentheses and may itself hold spaces and parentheses, so the
/// last one closes it.
fn parse_stat(bytes: &[u8]) -> Option<Process> {
    let text = String::from_utf8_lossy(bytes);
    let (before, after) = text.rsplit_once(')')?;
    let (pid, name) = before.split_once(" (")?;
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let pid = pid.parse().ok().filter(|pid: &i32| *pid > 0)?;
    let is_dead = matches!(*fields.first()?, "Z" | "X" | "x");
    // A program whose main thread has ended looks like a zombie while its other threads run.
    let threads: u32 = fields.get(17)?.parse().ok()?;
    Some(Process {
        pid: Pid::from_raw(pid)?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        started_ticks: fields.get(19)?.parse().ok()?,
        name: name.to_owned(),
        is_live: !is_dead || threads > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as the kernel writes it, with a name of our choice.
    fn stat(name: &str, state: char, threads: u32) -> Vec<u8> {
        format!("42 ({name}) {state} 7 40 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 {threads} 0 987654 1 2 3").into_bytes()
    }

    #[test]
    fn a_name_may_hold_anything() {
        for name in ["sh", "a b", "(", ")", ") R 1 1", "tricky) (x", ""] {
            let process = parse_stat(&stat(name, 'S', 1)).unwrap();
            let seen = (process.pid.as_raw_nonzero().get(), process.parent, process.group, process.started_ticks);
            assert_eq!(seen, (42, 7, 40, 987_654), "{name}");
            assert_eq!(process.name, name);
            assert!(process.is_live);
        }
    }

    #[test]
    fn a_zombie_is_dead_unless_threads_run_on() {
        assert!(!parse_stat(&stat("x", 'Z', 1)).unwrap().is_live);
        assert!(parse_stat(&stat("x", 'Z', 2)).unwrap().is_live);
        assert!(parse_stat(&stat("x", 'D', 1)).unwrap().is_live);
    }

    #[test]
    fn what_is_not_a_stat_line_is_no_process() {
        for line in [&b""[..], b"42", b"42 (sh", b"42 (sh) S", b"-1 (sh) S 1 1", b"\xff\xfe)(", b"0 (x) S 1 1"] {
            assert_eq!(parse_stat(line), None);
        }
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        assert!(descendants(parent).unwrap().iter().any(|found| found.pid == rustix::process::getpid()));
    }
}
