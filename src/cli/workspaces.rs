//! The folder of the workspaces, where the agent is somebody else: it must be able to walk there, and see nothing on the way.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::turn::spool::CageUser;

/// Why workspaces cannot be there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWorkspaces {
    #[error(
        "--sessions-dir: with --agent-user the workspaces cannot lie in the data folder, which the agent must not see; give a \
         folder elsewhere, such as /srv/breakglass"
    )]
    Inside,
    #[error("--sessions-dir: cannot make `{}`: {source}; make it, or choose another", .folder.display())]
    Make { folder: PathBuf, source: io::Error },
    #[error("--sessions-dir: the agent's user cannot pass through `{}`; `chmod o+x` it, or choose another", .0.display())]
    Closed(PathBuf),
}

fn other_user(config: &Config) -> Option<&CageUser> {
    let own = rustix::process::geteuid().as_raw();
    config.agent.cage.user.as_ref().filter(|user| user.uid != 0 && user.uid != own)
}

/// Whether the agent could work there. Changes nothing.
pub(super) fn check(config: &Config) -> Result<(), NoWorkspaces> {
    let Some(user) = other_user(config) else { return Ok(()) };
    if config.sessions_dir.starts_with(&config.data.root) {
        return Err(NoWorkspaces::Inside);
    }
    let closed = config.sessions_dir.ancestors().find(|folder| !may_pass(folder, user));
    closed.map_or(Ok(()), |folder| Err(NoWorkspaces::Closed(folder.to_owned())))
}

/// Makes the folder so that it can be passed through, not listed: who knows a session's id knows its folder's name. One that
/// is there stays as it is.
pub(super) fn make(config: &Config) -> Result<(), NoWorkspaces> {
    let folder = &config.sessions_dir;
    if other_user(config).is_none() {
        return Ok(());
    }
    let made = match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o711)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    };
    made.map_err(|source| NoWorkspaces::Make { folder: folder.clone(), source })
}

fn may_pass(folder: &Path, user: &CageUser) -> bool {
    // What is not there yet will be made.
    let Ok(found) = fs::metadata(folder) else { return true };
    let bit = match () {
        () if found.uid() == user.uid => 0o100,
        () if user.groups.contains(&found.gid()) => 0o010,
        () => 0o001,
    };
    found.mode() & bit != 0
}
