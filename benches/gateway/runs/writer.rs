//! The log alone, in this process, beside plain rusqlite that commits the same rows in batches of the same size.
//!
//! The plain side builds no records, answers nobody and publishes nothing: it is what SQLite itself takes.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use breakglass::db::{Db, connection};
use breakglass::log::{Log, LogEnd, Offer as Offered, Place, Progress};
use rusqlite::Connection;
use tokio::task::JoinSet;

use super::Options;
use crate::gateway::{data, folder};
use crate::prefill::{self, now_ms, running};
use crate::report::{Spread, median, short, table};
use crate::{cpu, disk};

const SESSIONS: usize = 100;
const EVENTS_PER_S: u64 = 1_000;

/// How the load is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// One event at a time, at a rate.
    Paced,
    /// One session's agent floods: imports of so many events, one after another.
    Flood(usize),
    /// So many single events in flight, over all sessions: they meet in one commit.
    InFlight(usize),
}

struct Written {
    events_per_s: f64,
    /// From offering to durable, us.
    us: Spread,
    /// This process's CPU time for one event, user and system, us.
    cpu_us: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let seconds = Duration::from_secs(options.pick(2, 5));
    let mut rows = Vec::new();
    for load in [Load::Paced, Load::Flood(64), Load::Flood(512), Load::InFlight(64), Load::InFlight(512)] {
        let name = match load {
            Load::Paced => format!("{EVENTS_PER_S} events/s, one by one"),
            Load::Flood(events) => format!("one session, {events} an import"),
            Load::InFlight(events) => format!("{SESSIONS} sessions, {events} in flight"),
        };
        if !options.wants(&name) {
            continue;
        }
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let root = folder()?;
            raw.push(raw::write(root.path(), load, seconds)?);
            let root = folder()?;
            ours.push(runtime.block_on(through_log(root.path(), load, seconds))?);
        }
        let rate = |rounds: &[Written]| median(rounds.iter().map(|one| one.events_per_s));
        let us = |rounds: &[Written]| {
            let spread = Spread::median(&rounds.iter().map(|one| one.us).collect::<Vec<_>>());
            format!("{:.0} / {:.0}", spread.p50, spread.p99)
        };
        let ratio = format!("{:.0} %", 100.0 * rate(&ours) / rate(&raw));
        let cpu_us = |rounds: &[Written]| median(rounds.iter().map(|one| one.cpu_us));
        let cpu = format!("{:.1} / {:.1}", cpu_us(&raw), cpu_us(&ours));
        rows.push([name, short(rate(&raw)), short(rate(&ours)), ratio, us(&raw), us(&ours), cpu]);
    }
    println!("events a second, durable (goal: at least 80 % of raw rusqlite at the same batch):\n");
    table(
        [
            "load",
            "raw rusqlite",
            "breakglass",
            "ratio",
            "raw us p50 / p99",
            "breakglass us p50 / p99",
            "CPU us an event, raw / ours",
        ],
        &rows,
    );
    let sync = disk::sync_us(folder()?.path())?;
    println!("4 KiB write + fdatasync: {:.0} / {:.0} us", sync.p50, sync.p99);
    Ok(())
}

async fn through_log(root: &Path, load: Load, how_long: Duration) -> Result<Written> {
    let log = prefill::open(root).await?;
    let mut places = Vec::new();
    for _ in 0..SESSIONS {
        places.push(running(&log).await?);
    }
    let (start, used_s) = (Instant::now(), cpu::used_s(std::process::id())?);
    let (mut events, mut took_us) = (0, Vec::new());
    match load {
        Load::Flood(size) => {
            let (mut next, mut end) = (offered(&log, places[0], 0, size as u64, None), None);
            while start.elapsed() < how_long {
                events += size as u64;
                // Encoding and drafting are the importing task's work in the gateway too, and count; there too it is done
                // while the events before become durable.
                if !next.fits(end.as_ref()) {
                    next = log.offer(places[0], next.events(), end.as_ref());
                }
                let (begun, predicted) = (Instant::now(), next.end().cloned());
                let import = async { import(&log, places[0], next).await.map(|end| (end, us(begun))) };
                let ahead = async { offered(&log, places[0], events, size as u64, predicted.as_ref()) };
                let (imported, ahead) = tokio::join!(import, ahead);
                let (imported_end, took) = imported?;
                (next, end) = (ahead, imported_end);
                took_us.push(took);
            }
        }
        Load::Paced => {
            let mut writing = JoinSet::new();
            while start.elapsed() < how_long {
                let due = Duration::from_secs_f64(events as f64 / EVENTS_PER_S as f64);
                // The runtime's clock ticks by the millisecond: who is late must not be made later by it.
                if let Some(early) = due.checked_sub(start.elapsed()) {
                    tokio::time::sleep(early).await;
                }
                let (log, place) = (log.clone(), places[usize::try_from(events)? % SESSIONS]);
                events += 1;
                writing.spawn(async move {
                    let begun = Instant::now();
                    import(&log, place, offered(&log, place, events, 1, None)).await?;
                    anyhow::Ok(us(begun))
                });
            }
            for done in writing.join_all().await {
                took_us.push(done?);
            }
        }
        Load::InFlight(producers) => {
            let mut writing = JoinSet::new();
            for producer in 0..producers {
                let (log, place) = (log.clone(), places[producer % SESSIONS]);
                writing.spawn(async move {
                    let (mut took_us, mut end) = (Vec::new(), None);
                    while start.elapsed() < how_long {
                        let begun = Instant::now();
                        let next = offered(&log, place, took_us.len() as u64, 1, end.as_ref());
                        end = import(&log, place, next).await?;
                        took_us.push(us(begun));
                    }
                    anyhow::Ok(took_us)
                });
            }
            for done in writing.join_all().await {
                took_us.extend(done?);
            }
            events = took_us.len() as u64;
        }
    }
    written(events as f64, start, used_s, took_us)
}

fn written(events: f64, start: Instant, used_s: f64, took_us: Vec<f64>) -> Result<Written> {
    let events_per_s = events / start.elapsed().as_secs_f64();
    let cpu_us = (cpu::used_s(std::process::id())? - used_s) * 1e6 / events;
    Ok(Written { events_per_s, us: Spread::of(took_us), cpu_us })
}

fn offered(log: &Log, place: Place, from: u64, count: u64, end: Option<&LogEnd>) -> Offered {
    log.offer(place, prefill::texts(from, count).into(), end)
}

async fn import(log: &Log, place: Place, offer: Offered) -> Result<Option<LogEnd>> {
    let progress = Progress { spool_bytes: 1, started: None, result_is_error: None, masked: 0 };
    Ok(log.import(place, offer, progress).await?)
}

fn us(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / 1e3
}

mod raw {
    use super::*;

    pub(super) fn write(root: &Path, load: Load, how_long: Duration) -> Result<Written> {
        std::fs::create_dir_all(data(root))?;
        let path = data(root).join("breakglass.db");
        drop(Db::open(&path)?);
        let mut connection = connection::open_writing(&path)?;
        // The log's own checkpoints run beside it; here SQLite's do, as often.
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        prepare(&connection)?;
        let (batch, sessions) = match load {
            Load::Paced => (1, SESSIONS),
            Load::Flood(size) => (size, 1),
            Load::InFlight(producers) => (producers, SESSIONS),
        };
        let record = "x".repeat(300);
        let (start, used_s) = (Instant::now(), cpu::used_s(std::process::id())?);
        let (mut events, mut took_us) = (0, Vec::new());
        while start.elapsed() < how_long {
            if load == Load::Paced {
                let due = Duration::from_secs_f64(events as f64 / EVENTS_PER_S as f64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            let begun = Instant::now();
            commit(&mut connection, &record, events, batch, sessions).context("a plain commit failed")?;
            took_us.push(us(begun));
            events += batch;
        }
        written(events as f64, start, used_s, took_us)
    }

    fn prepare(connection: &Connection) -> rusqlite::Result<()> {
        let now = now_ms();
        for session in 1..=SESSIONS {
            connection.execute(
                "INSERT INTO sessions (key, id, title, title_given, created_ms, created_by, agent, model, last_activity_ms)
                 VALUES (?1, ?2, '', 0, ?3, 'bench', 'drill', 'sonnet', ?3)",
                (session as i64, format!("session {session}"), now),
            )?;
            connection.execute(
                "INSERT INTO turns (key, id, session, prompt_key, prompt_sha256, user_seq, by, agent, model, accepted_ms)
                 VALUES (?1, ?2, ?1, ?2, x'00', 1, 'bench', 'drill', 'sonnet', ?3)",
                (session as i64, format!("turn {session}"), now),
            )?;
        }
        Ok(())
    }

    /// Inserts a batch and moves each touched session's head once, in one transaction.
    fn commit(
        connection: &mut Connection,
        record: &str,
        done: usize,
        batch: usize,
        sessions: usize,
    ) -> rusqlite::Result<()> {
        let now = now_ms();
        let (key, seq) = (|event| (event % sessions + 1) as i64, |event| (event / sessions + 1) as i64);
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events (session, seq, time_ms, turn, kind, record) VALUES (?1, ?2, ?3, ?1, 'text', ?4)",
            )?;
            for event in done..done + batch {
                insert.execute((key(event), seq(event), now, record))?;
            }
            let mut update =
                transaction.prepare_cached("UPDATE sessions SET head = ?2, last_activity_ms = ?3 WHERE key = ?1")?;
            for event in done + batch.saturating_sub(sessions)..done + batch {
                update.execute((key(event), seq(event), now))?;
            }
        }
        transaction.commit()
    }
}
