//! What the disk itself takes: 4 KiB written in place and synced, as a write-ahead log does when it goes round.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cpu;
use crate::report::Spread;

const PAGE_BYTES: usize = 4 << 10;
/// The file goes round after so many pages.
const PAGES: usize = 1_024;
const WRITES: usize = 400;

/// Microseconds of a write and its fdatasync, one after another.
pub(crate) fn sync_us(folder: &Path) -> Result<Spread> {
    sync_every(folder, WRITES, Duration::ZERO)
}

/// The same, spread over a time in which something else is measured, on the server's core: a disk that others use is slow in
/// moments, and a short look would miss them.
pub(crate) fn sync_us_during(folder: &Path, time: Duration) -> JoinHandle<Result<Spread>> {
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        cpu::pin(cpu::SERVER_CORE)?;
        sync_every(&folder, WRITES, time / WRITES as u32)
    })
}

fn sync_every(folder: &Path, writes: usize, every: Duration) -> Result<Spread> {
    let path = folder.join("sync-floor");
    let file = File::create(&path)?;
    file.write_all_at(&vec![1; PAGE_BYTES * PAGES], 0)?;
    file.sync_all()?;
    let page = [2; PAGE_BYTES];
    let mut took_us = Vec::with_capacity(WRITES);
    for write in 0..writes {
        std::thread::sleep(every);
        let start = Instant::now();
        file.write_all_at(&page, (write * 7 % PAGES * PAGE_BYTES) as u64)?;
        file.sync_data()?;
        took_us.push(start.elapsed().as_nanos() as f64 / 1e3);
    }
    std::fs::remove_file(path)?;
    Ok(Spread::of(took_us))
}
