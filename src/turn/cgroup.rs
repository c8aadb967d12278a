//! A cgroup of its own for each agent, below one that was delegated to the gateway (cgroup v2, Linux's
//! Documentation/admin-guide/cgroup-v2.rst): limits then hold for all its processes together.
//!
//! Invariant: an agent that is to run in a cgroup runs in it from its first moment, or not at all. Folders that hold nobody
//! any more are removed: by the supervisor after its turn, and by the next start where the agent left a process behind.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::ids::TurnId;
use crate::turn::spool::CageSpec;

/// What every folder of ours begins with.
const NAME: &str = "breakglass-";

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoCgroup {
    /// It is no cgroup, or not ours.
    #[error("`{}` cannot be used: {source}; it must be a cgroup v2 folder that is delegated to the gateway's user, such as systemd's with Delegate=yes", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A limit cannot hold there.
    #[error("`{}` was given no `{controller}` controller: have it delegated too, or leave --agent-{setting} out", .path.display())]
    Controller {
        /// Which folder.
        path: PathBuf,
        /// What is missing.
        controller: &'static str,
        /// What asks for it.
        setting: &'static str,
    },
}

fn wanted(cage: &CageSpec) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let memory = cage.memory_bytes.map(|bytes| ("memory", "memory-mib", bytes));
    let processes = cage.processes.map(|count| ("pids", "processes", count));
    memory.into_iter().chain(processes)
}

/// Whether the folder has what the limits need. Changes nothing.
///
/// # Errors
/// [`NoCgroup`] says what is missing.
pub fn check(folder: &Path, cage: &CageSpec) -> Result<(), NoCgroup> {
    let refused = |source| NoCgroup::Folder { path: folder.to_owned(), source };
    let there = fs::read_to_string(folder.join("cgroup.controllers")).map_err(refused)?;
    let missing = wanted(cage).find(|(controller, ..)| !there.split_whitespace().any(|name| name == *controller));
    missing.map_or(Ok(()), |(controller, setting, _)| {
        Err(NoCgroup::Controller { path: folder.to_owned(), controller, setting })
    })
}

/// Makes a delegated folder ready: hands on the controllers that the limits need, and removes what earlier agents left.
///
/// # Errors
/// [`NoCgroup`] says what is missing.
pub fn prepare(folder: &Path, cage: &CageSpec) -> Result<(), NoCgroup> {
    check(folder, cage)?;
    let refused = |source| NoCgroup::Folder { path: folder.to_owned(), source };
    for (controller, ..) in wanted(cage) {
        fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}")).map_err(refused)?;
    }
    for entry in fs::read_dir(folder).map_err(refused)?.flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(NAME.as_bytes()) {
            // One that still holds somebody stays: the kernel sees to that.
            let _occupied = fs::remove_dir(entry.path());
        }
    }
    // Whether it may be used shows only when it is.
    let trial = folder.join(format!("{NAME}trial"));
    fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial)).map_err(refused)
}

fn place(folder: &Path, turn: TurnId) -> PathBuf {
    folder.join(format!("{NAME}{turn}"))
}

/// Puts this process into the turn's cgroup.
///
/// # Errors
/// The file system's.
pub(super) fn enter(folder: &Path, turn: TurnId, cage: &CageSpec) -> io::Result<()> {
    let place = place(folder, turn);
    match fs::create_dir(&place) {
        // An earlier attempt's.
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for (controller, _, most) in wanted(cage) {
        fs::write(place.join(format!("{controller}.max")), most.to_string())?;
    }
    fs::write(place.join("cgroup.procs"), std::process::id().to_string())
}

/// Removes the turn's cgroup, if nobody is in it any more.
pub(super) fn leave(folder: &Path, turn: TurnId) {
    let _occupied = fs::remove_dir(place(folder, turn));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> CageSpec {
        CageSpec { memory_bytes: Some(1 << 30), processes: Some(99), ..CageSpec::default() }
    }

    #[test]
    fn a_folder_without_what_the_limits_need_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(prepare(dir.path(), &limits()).unwrap_err().to_string().contains("Delegate=yes"));
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        let missing = prepare(dir.path(), &limits()).unwrap_err().to_string();
        assert!(missing.contains("`pids`") && missing.contains("--agent-processes"), "{missing}");
        assert!(prepare(dir.path(), &CageSpec::default()).is_ok());
    }

    /// A folder of files in the place of the kernel's: what is written where.
    #[test]
    fn limits_are_written_before_the_process_enters() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        prepare(dir.path(), &limits()).unwrap();
        let turn = TurnId::random();
        enter(dir.path(), turn, &limits()).unwrap();
        let read = |name: &str| fs::read_to_string(place(dir.path(), turn).join(name)).unwrap();
        assert_eq!((read("memory.max"), read("pids.max")), ("1073741824".to_owned(), "99".to_owned()));
        assert_eq!(read("cgroup.procs"), std::process::id().to_string());
    }
}
