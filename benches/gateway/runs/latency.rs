//! 200 events a second to 100 viewers: from the agent's write to the viewer's receive, with the fsync in between.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Options;
use crate::gateway::{Gateway, folder};
use crate::load::Load;
use crate::reference::Reference;
use crate::report::{Spread, median, short, table};
use crate::source::Flow;
use crate::{cpu, disk};

const VIEWERS: usize = 100;
const EVENTS_PER_S: u64 = 200;
/// Makes a frame of about 300 bytes.
const TEXT_BYTES: usize = 110;
/// Short turns for the time from prompt to accepted.
const PROMPTS: usize = 20;

/// One flow through one server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passage {
    /// From write to receive, ms.
    pub(super) ms: Spread,
    pub(super) deliveries_per_s: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let flow = Flow { events: EVENTS_PER_S * options.pick(5, 15), rate: Some(EVENTS_PER_S), text_bytes: TEXT_BYTES };
    let root = folder()?;
    let gateway = Gateway::start(root.path(), None)?;
    let (mut bare, mut ours, mut sync, mut accepted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let syncing = disk::sync_us_during(root.path(), Duration::from_secs(flow.events / EVENTS_PER_S));
        bare.push(through_reference(flow)?);
        sync.push(syncing.join().map_err(|_| anyhow::anyhow!("the disk's measurement panicked"))??);
        ours.push(through_gateway(&gateway, flow)?);
        accepted.push(prompts(&gateway)?);
    }
    print(&bare, &ours, Spread::median(&sync), Spread::median(&accepted));
    println!(
        "every one of {VIEWERS} viewers saw all {} events, in order, {} times",
        flow.turn_events(),
        options.rounds
    );
    Ok(())
}

fn through_reference(flow: Flow) -> Result<Passage> {
    let reference = Reference::broadcast()?;
    let load = Load::connect(reference.viewers, VIEWERS)?;
    // Connected is not yet subscribed; nothing tells when.
    std::thread::sleep(Duration::from_millis(200));
    let publishing = flow.publish(reference.publisher);
    let passage = measure(load, flow, flow.events + 1)?;
    publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
    Ok(passage)
}

fn through_gateway(gateway: &Gateway, flow: Flow) -> Result<Passage> {
    let mut operator = gateway.operator()?;
    let session = operator.create()?;
    let load = gateway.viewers(&session, VIEWERS)?;
    operator.prompt(&session, &flow.directive())?;
    measure(load, flow, flow.turn_events())
}

/// Reads until every viewer saw the end, at this seq; fails if one event is missing anywhere.
pub(super) fn measure(mut load: Load, flow: Flow, last_seq: u64) -> Result<Passage> {
    let mut waits_ms = Vec::with_capacity(usize::try_from(flow.events)? * load.viewers.len());
    let (mut first_ns, mut last_ns) = (u64::MAX, 0);
    load.run(
        flow.limit(),
        |_, event, now_ns| {
            if let Some(stamp_ns) = event.stamp_ns() {
                waits_ms.push(now_ns.saturating_sub(stamp_ns) as f64 / 1e6);
                (first_ns, last_ns) = (first_ns.min(now_ns), last_ns.max(now_ns));
            }
        },
        |load| load.all_ended_at(last_seq),
    )
    .context("a viewer misses events")?;
    let wanted = usize::try_from(flow.events)? * load.viewers.len();
    ensure!(waits_ms.len() == wanted, "{} deliveries instead of {wanted}", waits_ms.len());
    let deliveries_per_s = waits_ms.len() as f64 / ((last_ns - first_ns) as f64 / 1e9);
    Ok(Passage { ms: Spread::of(waits_ms), deliveries_per_s })
}

/// From sending a prompt to its `accepted`, ms.
fn prompts(gateway: &Gateway) -> Result<Spread> {
    let mut operator = gateway.operator()?;
    let session = operator.create()?;
    operator.ask(&json!({ "type": "attach", "session": session }), "attached")?;
    let mut took_ms = Vec::with_capacity(PROMPTS);
    for _ in 0..PROMPTS {
        let start = Instant::now();
        operator.prompt(&session, "[[text:done]]")?;
        took_ms.push(start.elapsed().as_secs_f64() * 1e3);
        operator.turn_end()?;
    }
    Ok(Spread::of(took_ms))
}

fn print(bare: &[Passage], ours: &[Passage], sync_us: Spread, accepted: Spread) {
    let spread = |rounds: &[Passage]| Spread::median(&rounds.iter().map(|one| one.ms).collect::<Vec<_>>());
    let rate = |rounds: &[Passage]| short(median(rounds.iter().map(|one| one.deliveries_per_s)));
    let row = |name: &str, ms: Spread, rate: String| {
        [name.to_owned(), format!("{:.2}", ms.p50), format!("{:.2}", ms.p99), format!("{:.2}", ms.max), rate]
    };
    let (bare_ms, ours_ms) = (spread(bare), spread(ours));
    let sync = Spread { p50: sync_us.p50 / 1e3, p99: sync_us.p99 / 1e3, max: sync_us.max / 1e3 };
    table(
        ["write to receive", "p50 ms", "p99 ms", "max ms", "deliveries/s"],
        &[
            row("bare broadcaster, no log", bare_ms, rate(bare)),
            row("breakglass", ours_ms, rate(ours)),
            row("4 KiB write + fdatasync", sync, String::new()),
            row("prompt to accepted", accepted, String::new()),
        ],
    );
    let each =
        |rounds: &[Passage]| rounds.iter().map(|one| format!("{:.1}", one.ms.p99)).collect::<Vec<_>>().join(", ");
    println!("p99 of each round: bare {}; breakglass {}", each(bare), each(ours));
    println!("p50 / (bare p50 + fdatasync p99): {:.2} (goal: at most 3)", ours_ms.p50 / (bare_ms.p50 + sync.p99));
    println!("p99 / (bare p99 + fdatasync p99): {:.2} (goal: at most 2)", ours_ms.p99 / (bare_ms.p99 + sync.p99));
}
