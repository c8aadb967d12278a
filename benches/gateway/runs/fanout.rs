//! As fast as it goes: how many deliveries a CPU second of the server gives.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Options;
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::load::Load;
use crate::reference::Reference;
use crate::report::{median, short, table};
use crate::source::Flow;

/// Makes a frame of about 300 bytes.
const TEXT_BYTES: usize = 110;
/// Viewers, events for so many, and how long their texts are: enough that the server works for a second or more.
const CASES: [(usize, u64, usize); 5] = [
    (10, 300_000, TEXT_BYTES),
    (100, 60_000, TEXT_BYTES),
    (1_000, 8_000, TEXT_BYTES),
    (100, 30_000, 1_000),
    (100, 10_000, 4_000),
];

/// What one run cost.
pub(super) struct Cost {
    pub(super) deliveries: f64,
    pub(super) cpu_s: f64,
    pub(super) wall_s: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let mut rows = Vec::new();
    for (viewers, events, text_bytes) in CASES {
        if !options.wants(&viewers.to_string()) {
            continue;
        }
        let flow = Flow { events: events / options.pick(4, 1), rate: None, text_bytes };
        let root = folder()?;
        let gateway = Gateway::start(root.path(), None)?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            bare.push(through_reference(flow, viewers)?);
            ours.push(through_gateway(&gateway, flow, viewers)?);
        }
        let per_cpu_s = |costs: &[Cost]| median(costs.iter().map(|cost| cost.deliveries / cost.cpu_s));
        let per_s = |costs: &[Cost]| short(median(costs.iter().map(|cost| cost.deliveries / cost.wall_s)));
        let us_per_event = median(ours.iter().map(|cost| cost.cpu_s * 1e6 / flow.events as f64));
        rows.push([
            viewers.to_string(),
            format!("{} of {text_bytes} bytes of text", flow.events),
            short(per_cpu_s(&bare)),
            short(per_cpu_s(&ours)),
            format!("{:.0} %", 100.0 * per_cpu_s(&ours) / per_cpu_s(&bare)),
            format!("{} / {}", per_s(&bare), per_s(&ours)),
            format!("{us_per_event:.1}"),
        ]);
    }
    println!(
        "deliveries per CPU second of the server (goal: at least 60 % of the bare broadcaster with 100 and 1,000):\n"
    );
    let head =
        ["viewers", "events", "bare", "breakglass", "ratio", "a second of time, bare / ours", "CPU us an event, ours"];
    table(head, &rows);
    Ok(())
}

pub(super) fn through_reference(flow: Flow, viewers: usize) -> Result<Cost> {
    let reference = Reference::broadcast()?;
    let load = Load::connect(reference.viewers, viewers)?;
    quiet(reference.pid())?;
    let publishing = std::cell::Cell::new(None);
    let cost = measure(load, flow, flow.events + 1, reference.pid(), || {
        publishing.set(Some(flow.publish(reference.publisher)));
        Ok(())
    })?;
    let publishing = publishing.take().context("nothing was published")?;
    publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
    Ok(cost)
}

fn through_gateway(gateway: &Gateway, flow: Flow, viewers: usize) -> Result<Cost> {
    let mut operator = gateway.operator()?;
    let session = operator.create()?;
    let load = gateway.viewers(&session, viewers)?;
    quiet(gateway.pid())?;
    measure(load, flow, flow.turn_events(), gateway.pid(), || operator.prompt(&session, &flow.directive()))
}

fn measure(mut load: Load, flow: Flow, last_seq: u64, pid: u32, begin: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (before_s, start, before) = (cpu::used_s(pid)?, Instant::now(), load.deliveries);
    begin()?;
    load.run(flow.limit(), |_, _, _| {}, |load| load.all_ended_at(last_seq)).context("a viewer misses events")?;
    let cpu_s = cpu::used_s(pid)? - before_s;
    Ok(Cost { deliveries: (load.deliveries - before) as f64, cpu_s, wall_s: start.elapsed().as_secs_f64() })
}

/// Waits until a process has nothing left to do of what came before.
pub(super) fn quiet(pid: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let before = cpu::used_s(pid)?;
        std::thread::sleep(Duration::from_millis(300));
        // One tick may be anything.
        if cpu::used_s(pid)? - before < 0.015 || Instant::now() > deadline {
            return Ok(());
        }
    }
}
