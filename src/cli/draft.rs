//! A file that is there whole or not at all.
//!
//! Invariant: what stands under the final name is complete and on the disk; a draft that is dropped leaves nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file in the making.
pub(super) enum Draft {
    /// Beside its place, until it is whole.
    Beside { file: File, draft: PathBuf, place: PathBuf },
    /// A pipe or a device cannot be replaced, only written to.
    Direct(File),
}

impl Draft {
    /// Begins a file for this place; only its owner may read it, for a log holds secrets.
    pub(super) fn begin(place: &Path) -> io::Result<Self> {
        // Through links, so that a link stays one.
        let place = fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        if fs::metadata(&place).is_ok_and(|found| !found.is_file()) {
            return OpenOptions::new().write(true).open(&place).map(Self::Direct);
        }
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let draft = place.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        Ok(Self::Beside { file, draft, place })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Beside { file, .. } | Self::Direct(file) => file.write_all(bytes),
        }
    }

    /// Puts the whole file in its place.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let Self::Beside { file, draft, place } = &mut self else { return Ok(()) };
        file.sync_all()?;
        fs::rename(draft, &*place)?;
        // The name too; a folder that cannot be synced does not make the file less whole.
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _unsynced = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Self::Beside { draft, .. } = self {
            // After `finish` it is gone already.
            let _gone = fs::remove_file(draft);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_draft_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let (place, link) = (dir.path().join("out"), dir.path().join("link"));
        fs::write(&place, "old").unwrap();
        std::os::unix::fs::symlink(&place, &link).unwrap();
        let mut draft = Draft::begin(&link).unwrap();
        draft.write(b"new").unwrap();
        drop(draft);
        assert_eq!(fs::read(&place).unwrap(), b"old");
        let mut draft = Draft::begin(&link).unwrap();
        draft.write(b"new").unwrap();
        draft.finish().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_device_is_written_to_and_stays() {
        let mut draft = Draft::begin(Path::new("/dev/null")).unwrap();
        draft.write(b"x").unwrap();
        draft.finish().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
