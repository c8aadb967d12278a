//! The step between the supervisor and the agent: it makes its own process what the agent's shall be, then becomes the
//! agent.
//!
//! Invariant: the agent dies with its supervisor, however that dies. The kernel is told so here, after the fork and
//! before the exec, which safe Rust can do only in a program of its own. (It forgets when it executes a set-uid program.)
//!
//! Signals that the gateway's own starter ignored (`nohup`, a shell's background job) are not ignored by the agent: the
//! supervisor handles those that matter, and what is handled becomes the default at an exec.

use std::convert::Infallible;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::spool::{SpoolDir, SpoolError};

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
    let Err(error) = become_agent(&dir, parent);
    // When not even this can be written the exit code and standard error still tell.
    let _ = fs::write(dir.not_started_path(), error.to_string());
    let _ = writeln!(io::stderr(), "{error}");
    ExitCode::from(u8::try_from(NOT_STARTED_EXIT).unwrap_or(u8::MAX))
}

fn become_agent(dir: &SpoolDir, parent: u32) -> Result<Infallible, CageError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| CageError::Tie(error.into()))?;
    // It may have died before it was tied to us.
    if getppid().is_none_or(|now| now.as_raw_nonzero().get().unsigned_abs() != parent) {
        return Err(CageError::Orphan(parent));
    }
    let spec = dir.spec()?;
    let entered = std::env::set_current_dir(&spec.workspace);
    entered.map_err(|source| CageError::Workspace { path: spec.workspace.clone(), source })?;
    let error = Command::new(&spec.program).args(&spec.args).exec();
    Err(name_exec_error(spec.program, error))
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
