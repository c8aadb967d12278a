//! After the turn: the agent's output, compressed for good.
//!
//! Invariant: at every moment the whole output is on disk, as it was or compressed; an original goes only after its
//! archive is durable. Whoever is interrupted anywhere does it again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ids::TurnId;

use super::spool::{ERR_HEAD_BYTES, SpoolDir, SpoolError, sync_dir};
use super::supervisor::{ERR_BYTES_MAX, ERR_TAIL_BYTES};

/// Agent output is JSON: level 3 shrinks it about tenfold at some 200 MB/s on one core.
const LEVEL: i32 = 3;

impl SpoolDir {
    /// The agent's standard output after [`archive`](Self::archive): a zstd stream.
    pub fn out_archive_path(&self) -> PathBuf {
        self.out_path().with_added_extension("zst")
    }

    /// The agent's standard error after [`archive`](Self::archive): a zstd stream. Of one that was longer than
    /// [`ERR_BYTES_MAX`] the head and the tail, with a line between them that says so.
    pub fn err_archive_path(&self) -> PathBuf {
        self.err_path().with_added_extension("zst")
    }

    /// One of the agent's streams from its beginning to where it is now, plain or archived; `None`: there is no such file.
    /// Reading it blocks.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn read_back(&self, stream: Stream) -> Result<Option<Box<dyn Read + Send>>, SpoolError> {
        let (plain, archived) = match stream {
            Stream::Out => (self.out_path(), self.out_archive_path()),
            Stream::Err => (self.err_path(), self.err_archive_path()),
        };
        // In this order: an archive is there before its original goes.
        if let Some(file) = open_if_there(&plain)? {
            let bytes = file.metadata().map_err(SpoolError::io("read", &plain))?.len();
            return Ok(Some(Box::new(file.take(bytes))));
        }
        let Some(file) = open_if_there(&archived)? else { return Ok(None) };
        let decoder = zstd::stream::Decoder::new(file).map_err(SpoolError::io("read", &archived))?;
        Ok(Some(Box::new(decoder)))
    }

    /// Compresses `out` and `err` and removes them. For a turn that has ended; doing it again is harmless. Takes as long
    /// as reading the files: call it where blocking is allowed.
    pub fn archive(&self) -> Result<(), SpoolError> {
        compress(self, &self.out_path(), &self.out_archive_path(), whole)?;
        compress(self, &self.err_path(), &self.err_archive_path(), without_hole)?;
        // Redacted while this was under way.
        if self.is_redacted() { self.remove_raw() } else { Ok(()) }
    }
}

/// Which of the agent's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Its standard output.
    Out,
    /// Its standard error.
    Err,
}

fn open_if_there(path: &Path) -> Result<Option<File>, SpoolError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SpoolError::io("read", path)(error)),
    }
}

/// Every spool that is there now, but those of the turns that run: what an earlier gateway may have left plain.
pub fn ended_spools(root: &Path, running: &[TurnId]) -> Vec<SpoolDir> {
    // Without the folder there are none.
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let dirs = entries.flatten().map(|entry| SpoolDir::at(entry.path()));
    dirs.filter(|dir| !running.iter().any(|turn| dir.is_of(*turn))).collect()
}

/// Archives spools, one after another. If it fails, the plain files stay, and the next start tries again. Takes as long as
/// reading them all: call it where blocking is allowed.
pub fn archive_all(spools: Vec<SpoolDir>) {
    for dir in spools {
        if let Err(error) = dir.archive() {
            tracing::warn!(spool = %dir.path().display(), %error, "raw output stays uncompressed");
        }
    }
}

type Source = fn(File) -> io::Result<Box<dyn Read>>;

fn compress(dir: &SpoolDir, from: &Path, to: &Path, source: Source) -> Result<(), SpoolError> {
    let original = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SpoolError::io("read", from)(error)),
    };
    // Both are there: the last attempt got as far as the rename, so the archive is whole.
    if !to.exists() {
        let aside = to.with_added_extension("tmp");
        write_compressed(original, &aside, source).map_err(SpoolError::io("write", &aside))?;
        fs::rename(&aside, to).map_err(SpoolError::io("write", to))?;
        sync_dir(dir.path())?;
    }
    fs::remove_file(from).map_err(SpoolError::io("remove", from))?;
    sync_dir(dir.path())
}

fn write_compressed(original: File, aside: &Path, source: Source) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
    zstd::stream::copy_encode(source(original)?, &mut file, LEVEL)?;
    file.sync_all()
}

/// A process that lives on may still be writing: what is there now is what is kept.
fn whole(file: File) -> io::Result<Box<dyn Read>> {
    let bytes = file.metadata()?.len();
    Ok(Box::new(file.take(bytes)))
}

fn without_hole(mut file: File) -> io::Result<Box<dyn Read>> {
    let bytes = file.metadata()?.len();
    if bytes <= ERR_BYTES_MAX {
        return whole(file);
    }
    let mut head = Vec::new();
    (&file).take(ERR_HEAD_BYTES).read_to_end(&mut head)?;
    let left_out = bytes - ERR_HEAD_BYTES - ERR_TAIL_BYTES;
    let seam = format!("\n[breakglass left out {left_out} bytes here]\n");
    file.seek(SeekFrom::Start(bytes - ERR_TAIL_BYTES))?;
    Ok(Box::new(Cursor::new(head).chain(Cursor::new(seam)).chain(file.take(ERR_TAIL_BYTES))))
}
