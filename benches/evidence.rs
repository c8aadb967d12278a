//! What sealing costs an append: the log with tamper evidence beside the log without, in turns, in one run.
//!
//! `cargo bench --bench evidence`. Goal: at least 85 % of the rate, and a p99 within 10 %, medians over the rounds.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a part of the program")]

use std::time::{Duration, Instant};

use breakglass::access::Origin;
use breakglass::db::Db;
use breakglass::hub::Hub;
use breakglass::ids::{PromptKey, SessionId};
use breakglass::log::{Log, LogEnd, NewEvent, NewSession, Offer as Offered, OpenTurn, Opened, Place, Progress, Shared};
use breakglass::protocol::event::Body;
use tokio::task::JoinSet;

const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_millis(1500);
/// As many as are at work at once at most: a session has one import at a time.
const SESSIONS: usize = 512;

/// How the load is offered.
#[derive(Clone, Copy)]
enum Offer {
    /// So many events, one at a time, at this rate a second over all sessions.
    Paced(u32),
    /// One session's imports of so many events, one after another.
    Flood(usize),
    /// So many single events in flight over all sessions.
    InFlight(usize),
}

struct Measured {
    rate: f64,
    p50_us: f64,
    p99_us: f64,
    /// This process's time on a CPU for one event, user and system: what other load on the machine hardly changes.
    cpu_us: f64,
}

/// CPU time that this process has used, seconds (proc_pid_stat(5); ticks of 10 ms).
fn used_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap()).collect();
    (fields[0] + fields[1]) / 100.0
}

fn events(count: usize) -> Shared {
    let text = |number| Body::Text { text: format!("{number} {}", "checking disk ".repeat(10)).into() };
    (0..count).map(|number| NewEvent::from(&text(number))).collect()
}

async fn places(log: &Log) -> Vec<Place> {
    let mut places = Vec::new();
    for _ in 0..SESSIONS {
        let id = SessionId::random();
        let words = || "bench".to_owned();
        let new = NewSession { id, title: None, by: words(), agent: words(), model: words() };
        let session = log.create_session(new).await.unwrap().unwrap().0.key;
        let turn = OpenTurn {
            session,
            session_id: id,
            key: PromptKey::random(),
            text: words(),
            by: words(),
            origin: Origin { role: words(), how: words(), address: None, client: words() },
            agent: words(),
            model: words(),
        };
        match log.open_turn(turn).await.unwrap() {
            Opened::New { place, .. } => places.push(place),
            Opened::Known(_) => {}
        }
    }
    places
}

/// Offers events and waits until they are durable: how many, how long that took in us, and where the log ends then.
async fn append(log: &Log, place: Place, offer: Offered) -> (usize, f64, Option<LogEnd>) {
    let (begun, count) = (Instant::now(), offer.events().len());
    let progress = Progress { spool_bytes: 1, started: None, result_is_error: None, masked: 0 };
    let end = log.import(place, offer, progress).await.unwrap();
    (count, begun.elapsed().as_secs_f64() * 1e6, end)
}

async fn measure(offer: Offer, sealed: bool) -> Measured {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let db = Db::open(&dir.path().join("log.db")).unwrap();
    let log = Log::open(db, Hub::default(), &dir.path().join("mark")).await.unwrap();
    let log = if sealed { log } else { log.unsealed() };
    let places = places(&log).await;
    let (start, used, mut done, mut took_us) = (Instant::now(), used_s(), 0, Vec::new());
    let mut take = |(count, us, _): (usize, f64, Option<LogEnd>)| {
        done += count;
        took_us.push(us);
    };
    match offer {
        Offer::Flood(size) => {
            let (mut next, mut end) = (log.offer(places[0], events(size), None), None);
            let mut appending = JoinSet::new();
            while start.elapsed() < ROUND {
                // As an import does: the next is made while this one becomes durable. In a task of its own, so that the
                // time to durable is not taken for that of making the next.
                if !next.fits(end.as_ref()) {
                    next = log.offer(places[0], next.events(), end.as_ref());
                }
                let predicted = next.end().cloned();
                let (log_of_it, place, offer) = (log.clone(), places[0], next);
                appending.spawn(async move { append(&log_of_it, place, offer).await });
                next = log.offer(places[0], events(size), predicted.as_ref());
                let appended = appending.join_next().await.unwrap().unwrap();
                end = appended.2.clone();
                take(appended);
            }
        }
        Offer::Paced(rate) => {
            let mut writing = JoinSet::new();
            for number in 0.. {
                let due = Duration::from_secs(1) * number / rate;
                tokio::time::sleep(due.saturating_sub(start.elapsed())).await;
                if start.elapsed() >= ROUND {
                    break;
                }
                let (log, place) = (log.clone(), places[number as usize % SESSIONS]);
                writing.spawn(async move { append(&log, place, log.offer(place, events(1), None)).await });
            }
            writing.join_all().await.into_iter().for_each(&mut take);
        }
        Offer::InFlight(tasks) => {
            let mut writing = JoinSet::new();
            for number in 0..tasks {
                let (log, places) = (log.clone(), places.clone());
                writing.spawn(async move {
                    let (place, mut all, mut end) = (places[number % SESSIONS], Vec::new(), None);
                    while start.elapsed() < ROUND {
                        let appended = append(&log, place, log.offer(place, events(1), end.as_ref())).await;
                        end = appended.2.clone();
                        all.push(appended);
                    }
                    all
                });
            }
            writing.join_all().await.into_iter().flatten().for_each(&mut take);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    took_us.sort_by(f64::total_cmp);
    let at = |share: f64| took_us[((took_us.len() - 1) as f64 * share) as usize];
    let cpu_us = (used_s() - used) * 1e6 / done as f64;
    Measured { rate: done as f64 / seconds, p50_us: at(0.5), p99_us: at(0.99), cpu_us }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "{:28} {:>22} {:>26} {:>26} {:>16} {:>8} {:>8}",
        "load", "events/s off / on", "p50 us off / on", "p99 us off / on", "CPU us off / on", "rate", "p99"
    );
    let loads = [
        ("1,000 a second, one by one", Offer::Paced(1_000)),
        ("one session, 64 an import", Offer::Flood(64)),
        ("one session, 512 an import", Offer::Flood(512)),
        // As many as run at the same time unless told otherwise (`--max-concurrent-turns`).
        ("4 of 512 sessions at work", Offer::InFlight(4)),
        ("64 of 512 sessions at work", Offer::InFlight(64)),
        ("512 sessions at work", Offer::InFlight(512)),
    ];
    for (name, offer) in loads {
        let (mut off, mut on) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // The order alternates: whatever else the machine does hits both.
            for sealed in [round % 2 == 0, round % 2 != 0] {
                let measured = runtime.block_on(measure(offer, sealed));
                if sealed { on.push(measured) } else { off.push(measured) }
            }
        }
        let of = |list: &[Measured], what: fn(&Measured) -> f64| median(list.iter().map(what));
        let pair = |what: fn(&Measured) -> f64| (of(&off, what), of(&on, what));
        let (rate, p50, p99) = (pair(|one| one.rate), pair(|one| one.p50_us), pair(|one| one.p99_us));
        let cpu = pair(|one| one.cpu_us);
        println!(
            "{name:28} {:>10.0} / {:>9.0} {:>12.0} / {:>11.0} {:>12.0} / {:>11.0} {:>7.1} / {:>6.1} {:>6.0} % {:>6.0} %",
            rate.0,
            rate.1,
            p50.0,
            p50.1,
            p99.0,
            p99.1,
            cpu.0,
            cpu.1,
            100.0 * rate.1 / rate.0,
            100.0 * p99.1 / p99.0,
        );
    }
}
