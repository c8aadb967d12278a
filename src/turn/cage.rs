//! The step between the supervisor and the agent: it makes its own process what the agent's shall be, then becomes the
//! agent.
//!
//! Invariant: the agent dies with its supervisor, however that dies. The kernel is told so here, after the fork and
//! before the exec, which safe Rust can do only in a program of its own. (It forgets when it executes a set-uid program, and
//! when the user changes, so it is told after that.) And the agent runs as the user and within the limits that its launch
//! file says, or not at all.
//!
//! Signals that the gateway's own starter ignored (`nohup`, a shell's background job) are not ignored by the agent: the
//! supervisor handles those that matter, and what is handled becomes the default at an exec.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Signal, Uid};
use rustix::process::{getppid, getrlimit, nice, set_parent_process_death_signal, setrlimit, umask};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::cgroup;
use super::spool::{CageSpec, CageUser, SpoolDir, SpoolError};

/// The exit code when there is no agent, as a shell's "found but cannot be run". With it goes a message file, so that an
/// agent that exits with the same code is not mistaken.
pub(crate) const NOT_STARTED_EXIT: i32 = 126;

/// Why this process could not become the agent.
#[derive(Debug, thiserror::Error)]
enum CageError {
    #[error("cannot tie the agent to its supervisor: {0}")]
    Tie(io::Error),
    #[error("the supervisor with process id {0} is gone")]
    Orphan(u32),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("cannot become the user with id {uid}: {source}; only root can run the agent as another user")]
    User { uid: u32, source: io::Error },
    #[error("cannot put the agent into a cgroup in `{}`: {source}", .path.display())]
    Cgroup { path: PathBuf, source: io::Error },
    #[error("cannot set the agent's limit of {what}: {source}")]
    Limit { what: &'static str, source: io::Error },
    #[error("cannot enter the workspace `{}`: {source}", .path.display())]
    Workspace { path: PathBuf, source: io::Error },
    #[error("`{}` is not in the agent's `PATH`: install it, or name it by an absolute path", .program.display())]
    NotInPath { program: PathBuf },
    #[error("cannot start `{}`: the interpreter that its first line names is missing", .program.display())]
    NoInterpreter { program: PathBuf },
    #[error("cannot start `{}`: {source}", .program.display())]
    Exec { program: PathBuf, source: io::Error },
}

/// `breakglass cage --parent PID DIR`: becomes the agent of the spool directory `dir`, as the child of the supervisor
/// `parent`. Returns only when that fails; then the reason is in the directory, and on standard error.
pub fn run(dir: &Path, parent: u32) -> ExitCode {
    let dir = SpoolDir::at(dir.to_path_buf());
    let mut words = None;
    let Err(error) = become_agent(&dir, parent, &mut words);
    // When not even this can be written the exit code and standard error still tell.
    let _ =
        words.map_or_else(|| open_words(&dir), Ok).and_then(|mut words| words.write_all(error.to_string().as_bytes()));
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::from(u8::try_from(NOT_STARTED_EXIT).unwrap_or(u8::MAX))
}

fn open_words(dir: &SpoolDir) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(dir.not_started_path())
}

fn become_agent(dir: &SpoolDir, parent: u32, words: &mut Option<File>) -> Result<Infallible, CageError> {
    let spec = dir.spec()?;
    if let Some(folder) = &spec.cage.cgroup {
        let entered = cgroup::enter(folder, spec.turn, &spec.cage);
        entered.map_err(|source| CageError::Cgroup { path: folder.clone(), source })?;
    }
    limit(&spec.cage)?;
    if let Some(user) = &spec.cage.user {
        // While this process may: afterwards it is somebody who cannot see the directory. Empty, it says nothing.
        *words = open_words(dir).ok();
        become_user(user).map_err(|source| CageError::User { uid: user.uid, source })?;
    }
    if spec.cage.no_new_privs {
        set_no_new_privs(true).map_err(limiting("new privileges"))?;
    }
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| CageError::Tie(error.into()))?;
    // It may have died before it was tied to us.
    if getppid().is_none_or(|now| now.as_raw_nonzero().get().unsigned_abs() != parent) {
        return Err(CageError::Orphan(parent));
    }
    let entered = std::env::set_current_dir(&spec.workspace);
    entered.map_err(|source| CageError::Workspace { path: spec.workspace.clone(), source })?;
    let error = Command::new(&spec.program).args(&spec.args).exec();
    Err(name_exec_error(spec.program, error))
}

fn limiting(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> CageError {
    move |source| CageError::Limit { what, source: source.into() }
}

fn limit(cage: &CageSpec) -> Result<(), CageError> {
    let limits = [
        (Resource::Data, cage.memory_bytes, "memory"),
        (Resource::Nproc, cage.processes, "processes"),
        (Resource::Fsize, cage.file_bytes, "file size"),
    ];
    for (resource, wanted, what) in limits {
        let Some(wanted) = wanted else { continue };
        // A limit is never raised here: whoever started the gateway may have set a lower one.
        let most = getrlimit(resource).maximum.map_or(wanted, |maximum| maximum.min(wanted));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).map_err(limiting(what))?;
    }
    if let Some(level) = cage.nice {
        nice(level).map_err(limiting("priority"))?;
    }
    if let Some(mask) = cage.umask {
        umask(Mode::from_raw_mode(mask));
    }
    Ok(())
}

/// This process has one thread, so what holds for the thread holds for the process. The user comes last: it takes with it
/// the right to change the rest.
fn become_user(user: &CageUser) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|group| Gid::from_raw(*group)).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if rustix::process::geteuid().is_root() {
        set_thread_groups(&groups)?;
        set_thread_res_gid(Some(gid), Some(gid), Some(gid))?;
    }
    set_thread_res_uid(Some(uid), Some(uid), Some(uid))?;
    Ok(())
}

/// The system says "no such file" for three different things.
fn name_exec_error(program: PathBuf, source: io::Error) -> CageError {
    if source.kind() != io::ErrorKind::NotFound {
        return CageError::Exec { program, source };
    }
    if program.components().count() == 1 && !program.is_absolute() {
        return CageError::NotInPath { program };
    }
    if program.exists() { CageError::NoInterpreter { program } } else { CageError::Exec { program, source } }
}
