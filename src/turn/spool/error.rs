//! What can be wrong with a spool directory.

use std::io;
use std::path::{Path, PathBuf};

use super::{SPOOL_VERSION, is_passing};

/// Why a spool directory cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file system refused.
    #[error("cannot {doing} `{}`: {source}", .path.display())]
    Io {
        /// What was tried, a verb.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there and does not hold what it should.
    #[error("`{}` is damaged: {source}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file was written by a newer program.
    #[error(
        "`{}` has format version {found} and this program reads up to {SPOOL_VERSION}: start the newer breakglass again",
        .path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The directory already holds another launch.
    #[error("`{}` already holds a different launch: use the next attempt number", .path.display())]
    Different {
        /// Which file differs.
        path: PathBuf,
    },
    /// The turn's owner cannot be named from here.
    #[error("`{}` is locked by a process that is not visible here, perhaps in another container: end it there", .path.display())]
    ForeignOwner {
        /// The lock file.
        path: PathBuf,
    },
}

impl SpoolError {
    /// Whether it says nothing about the file, only that the system is out of descriptors or memory for now.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_passing(source))
    }

    /// Wraps what the system said while `doing` something to `path`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { doing, path, source }
    }
}
