//! What sealing costs an append: the log with tamper evidence beside the log without, in turns, in one run.
//!
//! `cargo bench --bench evidence [-- PART OF A LOAD'S NAME]`. With evidence means all of it: records are sealed, and trees
//! are signed meanwhile. Goal: at least 85 % of the rate when as much is offered as goes, and a p99 within 10 % when both get
//! the same events a second. Both logs are there at the same time and get their load in short slices, one after the other,
//! so that whatever else the machine does meets both; of the slices' rates, p50 and p99 the median counts.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a measurement, not a part of the program"
)]

mod measured;
mod session;
mod subject;

use std::time::Duration;

use measured::Measured;
use subject::{Offer, Subject};

/// Rounds, each with two new logs.
const ROUNDS: usize = 3;
/// Slices that each of the two logs gets in a round.
const SLICES: usize = 24;
/// Between two slices: what the one log still moves to its database file does not meet the other.
const PAUSE: Duration = Duration::from_millis(50);

/// The log without evidence, and the log with it.
async fn measure(offer: Offer) -> [Measured; 2] {
    let mut measured = <[Measured; 2]>::default();
    for _ in 0..ROUNDS {
        let subjects = [Subject::unsealed().await, Subject::sealed().await];
        for slice in 0..SLICES {
            // Each goes first as often as the other.
            for which in [slice % 2, 1 - slice % 2] {
                measured[which].take(|| subjects[which].slice(offer)).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    measured
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "{:28} {:>22} {:>26} {:>26} {:>16} {:>8} {:>8}",
        "load", "events/s off / on", "p50 us off / on", "p99 us off / on", "CPU us off / on", "rate", "p99"
    );
    let loads = [
        ("1,000/s, one by one", Offer::Paced(1_000)),
        ("4,000/s, one by one", Offer::Paced(4_000)),
        ("25,600/s, 64 an import", Offer::PacedImports(400, 64)),
        ("51,200/s, 512 an import", Offer::PacedImports(100, 512)),
        ("all that goes, 64 an import", Offer::Flood(64)),
        ("all that goes, 512 an import", Offer::Flood(512)),
        // As many as run at the same time unless told otherwise (`--max-concurrent-turns`).
        ("4 sessions at work", Offer::InFlight(4)),
        ("64 sessions at work", Offer::InFlight(64)),
        ("512 sessions at work", Offer::InFlight(512)),
        // Faster than any agent's output can be read.
        ("the log alone, 64 an import", Offer::AtHand(64)),
        ("the log alone, 512 an import", Offer::AtHand(512)),
    ];
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    for (name, offer) in loads {
        if wanted.as_ref().is_some_and(|part| !name.contains(part)) {
            continue;
        }
        let [off, on] = runtime.block_on(measure(offer));
        println!(
            "{name:28} {:>10.0} / {:>9.0} {:>12.0} / {:>11.0} {:>12.0} / {:>11.0} {:>7.1} / {:>6.1} {:>6.0} % {:>6.0} %",
            off.rate(),
            on.rate(),
            off.took_us(0.5),
            on.took_us(0.5),
            off.took_us(0.99),
            on.took_us(0.99),
            off.cpu_us(),
            on.cpu_us(),
            100.0 * on.rate() / off.rate(),
            100.0 * on.took_us(0.99) / off.took_us(0.99),
        );
    }
}
