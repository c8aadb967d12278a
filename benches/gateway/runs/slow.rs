//! One viewer that stops reading and one that reads 1 KB a second, among a hundred who must not notice.

use anyhow::{Context, Result};

use super::Options;
use super::fanout::quiet;
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::load::Reading;
use crate::report::{Spread, median, table};
use crate::source::Flow;

/// Those who read.
const VIEWERS: usize = 100;
const EVENTS_PER_S: u64 = 500;
const TEXT_BYTES: usize = 4_000;
/// What the slow one reads.
const SLOW_BYTES_PER_S: u64 = 1_000;

struct Pass {
    ms: Spread,
    grown_kib: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let flow = Flow { events: EVENTS_PER_S * options.pick(5, 14), rate: Some(EVENTS_PER_S), text_bytes: TEXT_BYTES };
    let root = folder()?;
    let gateway = Gateway::start(root.path(), None)?;
    // Buffers that any such flow needs are not the slow ones' doing.
    pass(&gateway, flow, &[])?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        without.push(pass(&gateway, flow, &[])?);
        with.push(pass(&gateway, flow, &[Reading::Frozen, Reading::Paced(SLOW_BYTES_PER_S)])?);
    }
    let row = |name: &str, passes: &[Pass]| {
        let ms = Spread::median(&passes.iter().map(|pass| pass.ms).collect::<Vec<_>>());
        let grown = median(passes.iter().map(|pass| pass.grown_kib));
        [
            name.to_owned(),
            format!("{:.2}", ms.p50),
            format!("{:.2}", ms.p99),
            format!("{:.2}", ms.max),
            format!("{grown:.0}"),
        ]
    };
    let p99 = |passes: &[Pass]| median(passes.iter().map(|pass| pass.ms.p99));
    table(
        ["the other 100", "p50 ms", "p99 ms", "max ms", "gateway grew by KiB"],
        &[row("nobody slow", &without), row("one frozen, one at 1 KB/s", &with)],
    );
    let moved = 100.0 * (p99(&with) / p99(&without) - 1.0);
    println!("the others' p99 moves by {moved:+.0} % (goal: less than 10 %); the slow ones missed nothing");
    Ok(())
}

fn pass(gateway: &Gateway, flow: Flow, slow: &[Reading]) -> Result<Pass> {
    let mut operator = gateway.operator()?;
    let session = operator.create()?;
    let mut load = gateway.viewers(&session, VIEWERS + slow.len())?;
    for (index, reading) in slow.iter().enumerate() {
        load.set_reading(VIEWERS + index, *reading)?;
    }
    quiet(gateway.pid())?;
    let before = cpu::resident_kib(gateway.pid())? as f64;
    operator.prompt(&session, &flow.directive())?;
    let mut waits_ms = Vec::with_capacity(usize::try_from(flow.events)? * VIEWERS);
    load.run(
        flow.limit(),
        |viewer, event, now_ns| {
            if let Some(stamp_ns) = event.stamp_ns().filter(|_| viewer < VIEWERS) {
                waits_ms.push(now_ns.saturating_sub(stamp_ns) as f64 / 1e6);
            }
        },
        |load| load.viewers[..VIEWERS].iter().all(|viewer| viewer.has_ended(1, flow.turn_events())),
    )
    .context("a viewer misses events")?;
    let grown_kib = cpu::resident_kib(gateway.pid())? as f64 - before;
    for index in VIEWERS..load.viewers.len() {
        load.set_reading(index, Reading::Freely)?;
    }
    let all = |load: &crate::load::Load| load.all_ended_at(flow.turn_events());
    load.run(flow.limit(), |_, _, _| {}, all).context("a slow viewer misses events")?;
    Ok(Pass { ms: Spread::of(waits_ms), grown_kib })
}
