//! What was signed last, remembered outside the database: one small file a tree.
//!
//! Invariant: a file is whole or absent, and is written before its checkpoint goes anywhere else.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::evidence::tree::Frontier;
use crate::ids::SessionId;

/// A remembered tree is some kilobytes at most.
const FILE_BYTES_MAX: u64 = 64 << 10;
const EXTENSION: &str = "signed";

/// Which tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tree {
    /// A session's.
    Session(SessionId),
    /// The gateway's own, over its sessions' checkpoints.
    Gateway,
}

impl Tree {
    /// The checkpoint's origin, under this gateway's name.
    pub(super) fn origin(self, gateway: &str) -> String {
        match self {
            Self::Session(session) => format!("{gateway}/sessions/{session}"),
            Self::Gateway => format!("{gateway}/heads"),
        }
    }
}

/// The last tree that was signed, and what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub tree: Frontier,
    pub note: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    size: u64,
    tree: String,
    note: String,
}

/// The folder of the files.
#[derive(Debug, Clone)]
pub(super) struct Memory(PathBuf);

impl Memory {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self(dir))
    }

    fn path(&self, tree: Tree) -> PathBuf {
        let name = match tree {
            Tree::Session(session) => session.to_string(),
            Tree::Gateway => "gateway".to_owned(),
        };
        self.0.join(name).with_added_extension(EXTENSION)
    }

    /// What was signed last; none for a tree that never was.
    pub(super) fn recall(&self, tree: Tree) -> io::Result<Option<Signed>> {
        let path = self.path(tree);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, format!("`{}` is damaged", path.display()));
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let hashes = HEXLOWER.decode(stored.tree.as_bytes()).map_err(|_| damaged())?;
        let tree = Frontier::from_bytes(stored.size, &hashes).ok_or_else(damaged)?;
        Ok(Some(Signed { tree, note: stored.note }))
    }

    pub(super) fn remember(&self, tree: Tree, signed: &Signed) -> io::Result<()> {
        let path = self.path(tree);
        let aside = path.with_added_extension("tmp");
        let stored = Stored {
            size: signed.tree.size(),
            tree: HEXLOWER.encode(signed.tree.as_bytes()),
            note: signed.note.clone(),
        };
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(&self.0)?.sync_all()
    }

    /// Where a tree's memory lies, for messages.
    pub(super) fn place(&self, tree: Tree) -> String {
        self.path(tree).display().to_string()
    }

    /// Every session that ever had a checkpoint.
    pub(super) fn sessions(&self) -> io::Result<Vec<SessionId>> {
        let ids = fs::read_dir(&self.0)?.filter_map(|entry| session_of(&entry.ok()?.path())).collect();
        Ok(ids)
    }
}

fn session_of(path: &Path) -> Option<SessionId> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok()
}
