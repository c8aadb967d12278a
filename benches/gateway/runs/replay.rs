//! One viewer attaches to a long history.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Options, Size};
use crate::cpu;
use crate::gateway::{Gateway, data, folder};
use crate::load::Load;
use crate::prefill;
use crate::reference::Reference;
use crate::report::{Spread, median, short, table};
use crate::socket::{self, Opened};

/// A replay may take so long.
const LIMIT: Duration = Duration::from_secs(60);
/// Replays in each round: one of 10,000 events takes some milliseconds.
const REPLAYS: usize = 5;

pub(super) struct Replay {
    pub(super) events_per_s: f64,
    pub(super) first_ms: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let mut sizes = vec![10_000, 100_000];
    if options.size == Size::Big {
        sizes.push(1_000_000);
    }
    let mut rows = Vec::new();
    for events in sizes.into_iter().filter(|events| options.wants(&events.to_string())) {
        let root = folder()?;
        let session = prefill::fill(root.path(), 1, events)?.remove(0);
        let gateway = Gateway::start(root.path(), None)?;
        let reference = Reference::rows(&data(root.path()).join("breakglass.db"), &session)?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        // The first of each warms up and does not count.
        for replay in 0..=options.rounds * REPLAYS {
            let (plain, shown) = (from_rows(reference.viewers, events)?, from_gateway(&gateway, &session, events)?);
            if replay > 0 {
                bare.push(plain);
                ours.push(shown);
            }
        }
        let rate = |replays: &[Replay]| median(replays.iter().map(|one| one.events_per_s));
        let first = |replays: &[Replay]| Spread::of(replays.iter().map(|one| one.first_ms).collect());
        rows.push([
            events.to_string(),
            short(rate(&bare)),
            short(rate(&ours)),
            format!("{:.0} %", 100.0 * rate(&ours) / rate(&bare)),
            format!("{:.2}", first(&bare).p50),
            format!("{:.2}", first(&ours).p50),
            format!("{:.2}", first(&ours).max),
        ]);
    }
    println!(
        "events a second (goal: at least 60 % of a loop that reads the rows and writes frames; first within 5 ms):\n"
    );
    let head = ["events", "reading loop", "breakglass", "ratio", "first ms, loop", "first ms", "worst first ms"];
    table(head, &rows);
    Ok(())
}

fn from_rows(address: SocketAddr, events: u64) -> Result<Replay> {
    let mut load = Load::new()?;
    load.add(Opened { stream: TcpStream::connect(address)?, head: Vec::new() })?;
    measure(load, "go", events)
}

pub(super) fn from_gateway(gateway: &Gateway, session: &str, events: u64) -> Result<Replay> {
    let mut load = Load::new()?;
    load.add(socket::open(gateway.address, &gateway.token)?)?;
    measure(load, &format!(r#"{{"type":"attach","session":"{session}","after":0}}"#), events)
}

fn measure(mut load: Load, request: &str, events: u64) -> Result<Replay> {
    let start = Instant::now();
    load.send(0, request)?;
    let mut first_ms = 0.0;
    load.run(
        LIMIT,
        |_, event, _| {
            if event.seq == 1 {
                first_ms = start.elapsed().as_secs_f64() * 1e3;
            }
        },
        |load| load.all_ended_at(events),
    )?;
    Ok(Replay { events_per_s: events as f64 / start.elapsed().as_secs_f64(), first_ms })
}
