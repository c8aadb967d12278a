//! Many sessions at once, each shown to some of the same connections: what an incident with many recoveries looks like.

use std::time::Instant;

use anyhow::{Context, Result};

use super::Options;
use super::fanout::{self, Cost, quiet};
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::load::Load;
use crate::report::{median, short, table};
use crate::source::Flow;

const SESSIONS: usize = 100;
const CONNECTIONS: usize = 100;
/// Sessions that each connection is attached to: so each session has as many viewers.
const SESSIONS_EACH: usize = SESSIONS * VIEWERS_EACH / CONNECTIONS;
const VIEWERS_EACH: usize = 10;
/// Makes a frame of about 300 bytes.
const TEXT_BYTES: usize = 110;

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let flow = Flow { events: options.pick(500, 2_000), rate: None, text_bytes: TEXT_BYTES };
    // Each event goes to as many viewers there, so a delivery costs the same share of an event.
    let alone = Flow { events: flow.events * SESSIONS as u64, ..flow };
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        bare.push(fanout::through_reference(alone, VIEWERS_EACH)?);
        let root = folder()?;
        let turns = SESSIONS.to_string();
        let gateway = Gateway::start_with(root.path(), None, &[("BREAKGLASS_MAX_CONCURRENT_TURNS", &turns)])?;
        ours.push(through_gateway(&gateway, flow)?);
    }
    let per_cpu_s = |costs: &[Cost]| median(costs.iter().map(|cost| cost.deliveries / cost.cpu_s));
    println!("{SESSIONS} sessions x {VIEWERS_EACH} viewers on {CONNECTIONS} connections, unthrottled:\n");
    let row = [
        alone.events.to_string(),
        short(per_cpu_s(&bare)),
        short(per_cpu_s(&ours)),
        format!("{:.0} %", 100.0 * per_cpu_s(&ours) / per_cpu_s(&bare)),
        format!("{:.1}", median(ours.iter().map(|cost| cost.cpu_s * 1e6 / alone.events as f64))),
    ];
    let head =
        ["events", "bare, one stream to 10, a CPU s", "breakglass, a CPU s", "ratio", "CPU us an event, breakglass"];
    table(head, &[row]);
    Ok(())
}

fn through_gateway(gateway: &Gateway, flow: Flow) -> Result<Cost> {
    let mut operator = gateway.operator()?;
    let sessions = (0..SESSIONS).map(|_| operator.create()).collect::<Result<Vec<_>>>()?;
    let list = |connection: usize| {
        let first = connection * SESSIONS_EACH;
        (first..first + SESSIONS_EACH).map(|index| sessions[index % SESSIONS].as_str()).collect()
    };
    let lists: Vec<Vec<&str>> = (0..CONNECTIONS).map(list).collect();
    let mut load = Load::attach_each(gateway.address, &gateway.token, &lists)?;
    quiet(gateway.pid())?;
    let (before_s, start) = (cpu::used_s(gateway.pid())?, Instant::now());
    for session in &sessions {
        operator.prompt(session, &flow.directive())?;
    }
    let ended = |load: &Load| load.viewers.iter().all(|viewer| viewer.has_ended(SESSIONS_EACH, flow.turn_events()));
    load.run(flow.limit(), |_, _, _| {}, ended).context("a viewer misses events")?;
    let cpu_s = cpu::used_s(gateway.pid())? - before_s;
    Ok(Cost { deliveries: load.deliveries as f64, cpu_s, wall_s: start.elapsed().as_secs_f64() })
}
