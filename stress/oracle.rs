//! The last word: the whole log, read page by page and as an export, against everything that anybody was told.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http;
use crate::ledger::Fate;
use crate::world::{World, hash, lock};

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
    head: u64,
}

/// One session's log.
struct Log {
    records: Vec<String>,
}

/// What a prompt became in the log.
#[derive(Debug)]
struct Found {
    session: String,
    turn: String,
    seq: u64,
}

/// Compares; the number of events and of turns in the log.
pub(crate) async fn check(world: &World, auditor: &str) -> Result<(u64, u64)> {
    let mut prompts: HashMap<String, Vec<Found>> = HashMap::new();
    let (mut events, mut turns) = (0, 0);
    for session in &world.sessions {
        let log = read(world, session).await?;
        export_is_the_same(world, auditor, session, &log).await?;
        seen_is_in(world, session, &log);
        match check_turns(session, &log, &mut prompts) {
            Ok(found) => turns += found,
            Err(broken) => world.broken(format!("session {session}: {broken}")),
        }
        events += log.records.len() as u64;
    }
    check_prompts(world, &prompts);
    Ok((events, turns))
}

async fn read(world: &World, session: &str) -> Result<Log> {
    let mut records: Vec<String> = Vec::new();
    loop {
        let path = format!("/api/sessions/{session}/events?limit=1000&after={}", records.len());
        let body = http::get(world.address, &world.token, &path).await?;
        let page: Page<'_> = serde_json::from_slice(&body).context("a page of events")?;
        records.extend(page.events.iter().map(|record| record.get().to_owned()));
        if records.len() as u64 >= page.head {
            return Ok(Log { records });
        }
        if page.events.is_empty() {
            bail!("session {session}: a page behind {} of {} is empty", records.len(), page.head);
        }
    }
}

async fn export_is_the_same(world: &World, auditor: &str, session: &str, log: &Log) -> Result<()> {
    let body = http::get(world.address, auditor, &format!("/api/sessions/{session}/export")).await?;
    let same = std::str::from_utf8(&body)?.lines().eq(log.records.iter().map(String::as_str));
    if !same {
        world.broken(format!("session {session}: the export differs from the pages"));
    }
    Ok(())
}

fn seen_is_in(world: &World, session: &str, log: &Log) {
    let seen = lock(&world.seen);
    let Some(seen) = seen.get(session) else { return };
    if seen.head > log.records.len() as u64 {
        world.broken(format!("session {session}: head {} was seen, the log has {}", seen.head, log.records.len()));
    }
    for (place, (seen, record)) in seen.hashes.iter().zip(&log.records).enumerate() {
        if *seen != 0 && *seen != hash(record.as_bytes()) {
            world.broken(format!("session {session}: record {} is not what a viewer saw: {record}", place + 1));
        }
    }
}

/// One turn at a time, each opened by its `user` and closed by exactly one `turn_end`, seqs without a hole.
fn check_turns(session: &str, log: &Log, prompts: &mut HashMap<String, Vec<Found>>) -> Result<u64, String> {
    let (mut open, mut done): (Option<String>, HashSet<String>) = (None, HashSet::new());
    for (due, record) in (1_u64..).zip(&log.records) {
        let event: Value = serde_json::from_str(record).map_err(|error| format!("record {due}: {error}"))?;
        let (seq, kind) = (event["seq"].as_u64(), event["kind"].as_str().unwrap_or_default());
        let turn = event["turn"].as_str().unwrap_or_default().to_owned();
        if seq != Some(due) || event["session"] != session {
            return Err(format!("where {due} is due there stands {record}"));
        }
        match (kind, &open) {
            ("user", Some(running)) => return Err(format!("seq {due} opens a turn while {running} runs")),
            ("user", None) if done.contains(&turn) => return Err(format!("seq {due} opens {turn} again")),
            ("user", None) => {
                let text = event["text"].as_str().unwrap_or_default();
                let key = text.rsplit(' ').next().unwrap_or_default().to_owned();
                let found = Found { session: session.to_owned(), turn: turn.clone(), seq: due };
                prompts.entry(key).or_default().push(found);
                open = Some(turn);
            }
            (_, Some(running)) if *running != turn => return Err(format!("seq {due} is of {turn} in {running}")),
            ("turn_end", Some(_)) => {
                open = None;
                done.insert(turn);
            }
            (_, Some(_)) => {}
            (_, None) => return Err(format!("seq {due} (`{kind}`) stands outside of any turn")),
        }
    }
    match open {
        Some(turn) => Err(format!("turn {turn} has no end")),
        None => Ok(done.len() as u64),
    }
}

fn check_prompts(world: &World, prompts: &HashMap<String, Vec<Found>>) {
    let ledger = lock(&world.ledger);
    for (key, entry) in &ledger.entries {
        let found = prompts.get(key).map_or(&[][..], Vec::as_slice);
        let right = match (&entry.fate, found) {
            (Fate::Accepted { turn, seq }, [one]) => {
                one.session == entry.session && one.turn == *turn && one.seq == *seq
            }
            (Fate::Refused, []) | (Fate::Unknown, [] | [_]) => true,
            _ => false,
        };
        if !right {
            world.broken(format!("prompt {key}: {entry:?}, and the log has {found:?}"));
        }
    }
    for key in prompts.keys().filter(|key| !ledger.entries.contains_key(*key)) {
        world.broken(format!("the log has a prompt that nobody sent: {key}"));
    }
}
