//! The bound on what the agent's standard error takes on disk.
//!
//! Invariant: the beginning, which tells what went wrong first, and the end are kept. The file is the agent's own
//! descriptor, so it cannot be cut or turned over; but its middle can be given back to the file system.

use std::fs::File;
use std::io;

use rustix::fs::{FallocateFlags, fallocate};

use crate::turn::spool::ERR_HEAD_BYTES;

/// From this size on the middle is given up.
pub const ERR_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What is kept of the end.
pub const ERR_TAIL_BYTES: u64 = 1024 * 1024;

/// Gives back the middle of a file that is too long. Where the file system cannot do that the file just grows.
pub(super) fn bound(err: &File) -> io::Result<()> {
    let bytes = err.metadata()?.len();
    if bytes <= ERR_BYTES_MAX {
        return Ok(());
    }
    let hole = bytes - ERR_HEAD_BYTES - ERR_TAIL_BYTES;
    fallocate(err, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, ERR_HEAD_BYTES, hole)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_middle_goes_and_both_ends_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("err");
        let mut err = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let mut block: Vec<u8> = (0..1024 * 1024).map(|place: usize| b'a' + (place % 26) as u8).collect();
        for _ in 0..20 {
            err.write_all(&block).unwrap();
        }
        bound(&err).unwrap();
        block.truncate(1024 * 1024);
        let kept = fs::read(&path).unwrap();
        assert_eq!(kept.len(), 20 * block.len());
        assert_eq!(kept[..block.len()], block);
        assert_eq!(kept[19 * block.len()..], block);
        assert!(err.metadata().unwrap().blocks() * 512 < 4 * 1024 * 1024, "the middle is still on disk");
    }
}
