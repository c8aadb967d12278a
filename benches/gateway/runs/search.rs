//! What following the log for the search costs those who write it: the same load with and without the indexing thread.
//!
//! Rounds alternate, so that both sides meet the same neighbours on the machine. Texts are like an agent's: words of a small
//! vocabulary and numbers, not one long word.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use breakglass::log::{Log, NewEvent, Place, Progress, Shared};
use breakglass::protocol::event::Body;
use breakglass::search::{Asked, Places, Query, Search};
use breakglass::tasks::Tasks;

use super::Options;
use crate::cpu;
use crate::gateway::{data, folder};
use crate::prefill::{self, running};
use crate::report::{Spread, median, short, table};

/// Sessions with a turn, as many as run at the same time by default.
const SESSIONS: usize = 4;
/// Imports a second when an agent only talks.
const IMPORTS_PER_S: u64 = 200;
/// How long indexing may take behind the load.
const BEHIND_MAX: Duration = Duration::from_secs(120);

/// How the load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// One event at a time, at a rate.
    Paced,
    /// Imports of so many events, one after another.
    Flood(usize),
}

struct Round {
    events_per_s: f64,
    /// From offering to durable, us.
    us: Spread,
    /// CPU of the whole process for one event, us.
    cpu_us: f64,
    /// From the end of the load until all is found, ms.
    behind_ms: f64,
    /// The index for one event, bytes.
    index_bytes: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let seconds = Duration::from_secs(options.pick(2, 5));
    let mut rows = Vec::new();
    for offer in [Offer::Paced, Offer::Flood(64), Offer::Flood(512)] {
        let name = match offer {
            Offer::Paced => format!("{IMPORTS_PER_S} events/s, one by one"),
            Offer::Flood(events) => format!("flood, {events} an import"),
        };
        if !options.wants(&name) {
            continue;
        }
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let root = folder()?;
            without.push(runtime.block_on(round(root.path(), offer, seconds, false))?);
            let root = folder()?;
            with.push(runtime.block_on(round(root.path(), offer, seconds, true))?);
        }
        let of = |rounds: &[Round], number: fn(&Round) -> f64| median(rounds.iter().map(number));
        let pair = |number: fn(&Round) -> f64| (of(&without, number), of(&with, number));
        let (rate, p50, p99) = (pair(|one| one.events_per_s), pair(|one| one.us.p50), pair(|one| one.us.p99));
        let cpu = pair(|one| one.cpu_us);
        rows.push([
            name,
            format!("{} / {}", short(rate.0), short(rate.1)),
            format!("{:.0} %", 100.0 * rate.1 / rate.0),
            format!("{:.0} / {:.0}", p50.0, p50.1),
            format!("{:.0} / {:.0}", p99.0, p99.1),
            format!("{:.1} / {:.1}", cpu.0, cpu.1),
            format!("{:.0}", of(&with, |one| one.behind_ms)),
            format!("{:.0}", of(&with, |one| one.index_bytes)),
        ]);
    }
    println!("durable appends without / with the index:\n");
    let heads =
        ["load", "events/s", "ratio", "p50 us", "p99 us", "CPU us an event", "indexed after ms", "index B an event"];
    table(heads, &rows);
    Ok(())
}

async fn round(root: &Path, offer: Offer, how_long: Duration, is_indexed: bool) -> Result<Round> {
    let log = prefill::open(root).await?;
    let mut places = Vec::new();
    for _ in 0..SESSIONS {
        places.push(running(&log).await?);
    }
    let index = data(root).join("search.db");
    let (tasks, used_s) = (Tasks::default(), cpu::used_s(std::process::id())?);
    let search = is_indexed
        .then(|| {
            let paths = Places { log: data(root).join("breakglass.db"), index: index.clone() };
            Search::start(paths, log.epoch(), log.hub(), &tasks)
        })
        .transpose()?;
    let (start, mut took_us, mut events) = (Instant::now(), Vec::new(), 0_u64);
    while start.elapsed() < how_long {
        let count = match offer {
            Offer::Flood(count) => count as u64,
            Offer::Paced => {
                let due = Duration::from_secs_f64(events as f64 / IMPORTS_PER_S as f64);
                tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
                1
            }
        };
        let begun = Instant::now();
        import(&log, places[usize::try_from(events)? % SESSIONS], texts(events, count)).await?;
        took_us.push(begun.elapsed().as_nanos() as f64 / 1e3);
        events += count;
    }
    let events_per_s = events as f64 / start.elapsed().as_secs_f64();
    let ended = Instant::now();
    if let Some(search) = &search {
        wait(search).await?;
    }
    let behind_ms = ended.elapsed().as_secs_f64() * 1e3;
    let cpu_us = (cpu::used_s(std::process::id())? - used_s) * 1e6 / events as f64;
    tasks.stop(BEHIND_MAX).await;
    let size = |suffix: &str| std::fs::metadata(format!("{}{suffix}", index.display())).map_or(0, |meta| meta.len());
    let index_bytes = (size("") + size("-wal")) as f64 / events as f64;
    Ok(Round { events_per_s, us: Spread::of(took_us), cpu_us, behind_ms, index_bytes })
}

/// Waits until everything can be found.
async fn wait(search: &Search) -> Result<()> {
    let query = Query::read(&Asked { q: Some("zzzz".to_owned()), ..Asked::default() })?;
    let begun = Instant::now();
    while begun.elapsed() < BEHIND_MAX {
        if search.find(query.clone()).await.is_ok_and(|answer| answer.behind == 0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("the index did not catch up")
}

async fn import(log: &Log, place: Place, events: Shared) -> Result<()> {
    let progress = Progress { spool_bytes: 1, started: None, result_is_error: None, masked: 0 };
    log.import(place, log.offer(place, events, None), progress).await?;
    Ok(())
}

const WORDS: [&str; 16] = [
    "disk",
    "is",
    "full",
    "on",
    "/dev/sdb1",
    "mounted",
    "at",
    "/var/lib/postgresql",
    "restarting",
    "service",
    "error",
    "timeout",
    "connection",
    "refused",
    "by",
    "10.0.0.7",
];

/// About 250 bytes of prose each.
fn texts(first: u64, count: u64) -> Shared {
    let word = |at: u64| WORDS[(at.wrapping_mul(2_654_435_761) >> 7) as usize % WORDS.len()];
    let body = |index: u64| {
        let prose: Vec<&str> = (0..30).map(|step| word(index * 31 + step)).collect();
        Body::Text { text: format!("#{index} {}", prose.join(" ")).into() }
    };
    (first..first + count).map(|index| NewEvent::new(None, &body(index))).collect::<Vec<_>>().into()
}
