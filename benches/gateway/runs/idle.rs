//! Attached, and nothing happens: what a connection costs then.

use std::time::Duration;

use anyhow::Result;

use super::fanout::quiet;
use super::{Options, Size};
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::load::Load;
use crate::reference::Reference;
use crate::report::{median, table};

/// How long nothing happens. Shorter than the 20 s after which the gateway pings.
const NOTHING: Duration = Duration::from_secs(5);

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let mut counts = vec![1_000];
    if options.size == Size::Big {
        counts.push(5_000);
    }
    let mut rows = Vec::new();
    for count in counts.into_iter().filter(|count| options.wants(&count.to_string())) {
        let (mut bare, mut ours, mut ticks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let reference = Reference::broadcast()?;
            bare.push(kib_each(reference.pid(), count, || Load::connect(reference.viewers, count))?.0);
            let root = folder()?;
            let gateway = Gateway::start(root.path(), None)?;
            let session = gateway.operator()?.create()?;
            // What the first connections cost once and for all is not theirs.
            drop(gateway.viewers(&session, 10)?);
            let (kib, used_s) = kib_each(gateway.pid(), count, || gateway.viewers(&session, count))?;
            ours.push(kib);
            ticks.push(used_s * 100.0);
        }
        rows.push([
            count.to_string(),
            format!("{:.1}", median(bare)),
            format!("{:.1}", median(ours)),
            format!("{:.0}", median(ticks)),
        ]);
    }
    println!("idle, attached to one session (goal: at most 12 KiB each, no CPU):\n");
    table(["connections", "bare, KiB each", "breakglass, KiB each", "CPU ticks (10 ms) in 5 s"], &rows);
    Ok(())
}

/// Resident KiB that each of these connections adds, and CPU seconds used while nothing happens.
fn kib_each(pid: u32, count: usize, connect: impl FnOnce() -> Result<Load>) -> Result<(f64, f64)> {
    quiet(pid)?;
    let before = cpu::resident_kib(pid)?;
    let load = connect()?;
    quiet(pid)?;
    let used = cpu::used_s(pid)?;
    std::thread::sleep(NOTHING);
    let used_s = cpu::used_s(pid)? - used;
    let kib = (cpu::resident_kib(pid)? as f64 - before as f64) / count as f64;
    drop(load);
    Ok((kib, used_s))
}
