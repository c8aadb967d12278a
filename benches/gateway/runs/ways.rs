//! A long history by every way out: one viewer, a hundred at once, with cold caches, as an event stream, as an export.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use memchr::memchr_iter;

use super::replay::{self, Replay};
use super::{Options, Size};
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::load::Load;
use crate::prefill;
use crate::report::{median, short, table};
use crate::socket::PATIENCE;

/// Viewers that attach at the same moment.
const CROWD: usize = 100;
/// What they are shown: a hundred times this is enough to measure.
const CROWD_EVENTS: u64 = 10_000;
/// A replay to all of them may take so long.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn run(options: &Options) -> Result<()> {
    cpu::pin(cpu::LOAD_CORE)?;
    let events = if options.size == Size::Big { 1_000_000 } else { 100_000 };
    let root = folder()?;
    let session = prefill::fill(root.path(), 1, events)?.remove(0);
    let mut gateway = Gateway::start(root.path(), None)?;
    let token = gateway.token.clone();
    let stream = format!("/api/sessions/{session}/stream?after=0");
    let export = format!("/api/sessions/{session}/export?format=jsonl");
    let mut rows = Vec::new();
    let mut add = |name: &str, replays: &[Replay]| {
        let rate = median(replays.iter().map(|one| one.events_per_s));
        let first = median(replays.iter().map(|one| one.first_ms));
        rows.push([name.to_owned(), short(rate), format!("{first:.2}")]);
    };
    let rounds =
        |one: &mut dyn FnMut() -> Result<Replay>| (0..options.rounds).map(|_| one()).collect::<Result<Vec<_>>>();
    replay::from_gateway(&gateway, &session, events)?;
    add("WebSocket, warm", &rounds(&mut || replay::from_gateway(&gateway, &session, events))?);
    add("event stream, warm", &rounds(&mut || lines(&gateway, &stream, b"id: ", events))?);
    add("export as JSON lines, warm", &rounds(&mut || lines(&gateway, &export, b"{\"session\":", events))?);
    let mut cold = Vec::new();
    for _ in 0..options.rounds {
        drop(gateway);
        if let Err(error) = fs::write("/proc/sys/vm/drop_caches", "3") {
            println!("caches cannot be emptied here ({error}): cold starts are not measured\n");
            gateway = Gateway::start(root.path(), Some(&token))?;
            break;
        }
        gateway = Gateway::start(root.path(), Some(&token))?;
        cold.push(replay::from_gateway(&gateway, &session, events)?);
    }
    if !cold.is_empty() {
        add("WebSocket, caches emptied, gateway just started", &cold);
    }
    drop(gateway);
    let root = folder()?;
    let session = prefill::fill(root.path(), 1, CROWD_EVENTS)?.remove(0);
    let gateway = Gateway::start(root.path(), None)?;
    let name = format!("WebSocket, {CROWD} viewers at once, {CROWD_EVENTS} events each, all together");
    add(&name, &rounds(&mut || crowd(&gateway, &session))?);
    println!("{events} events:\n");
    table(["way", "events a second", "first event ms"], &rows);
    Ok(())
}

fn crowd(gateway: &Gateway, session: &str) -> Result<Replay> {
    let mut load = Load::new()?;
    for _ in 0..CROWD {
        load.add(crate::socket::open(gateway.address, &gateway.token)?)?;
    }
    let start = Instant::now();
    let mut first_ms = 0.0;
    for viewer in 0..CROWD {
        load.send(viewer, &format!(r#"{{"type":"attach","session":"{session}","after":0}}"#))?;
    }
    let first = |_: usize, event: &crate::wire::Event<'_>, _: u64| {
        if event.seq == 1 {
            // The last of all the first ones: how long the unluckiest viewer looked at nothing.
            first_ms = start.elapsed().as_secs_f64() * 1e3;
        }
    };
    load.run(LIMIT, first, |load| load.all_ended_at(CROWD_EVENTS))?;
    let events = CROWD as f64 * CROWD_EVENTS as f64;
    Ok(Replay { events_per_s: events / start.elapsed().as_secs_f64(), first_ms })
}

/// Reads an answer until it has so many lines that begin so. HTTP/1.0: without chunks, whose sizes would stand between.
fn lines(gateway: &Gateway, path: &str, beginning: &[u8], wanted: u64) -> Result<Replay> {
    let mut stream = TcpStream::connect(gateway.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (address, token) = (gateway.address, &gateway.token);
    let start = Instant::now();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n")?;
    let (mut buffer, mut kept, mut seen, mut first_ms) = (vec![0; 512 << 10], 0, 0, 0.0);
    while seen < wanted {
        let read = stream.read(&mut buffer[kept..]).with_context(|| format!("after {seen} events"))?;
        ensure!(read > 0, "{path} ended after {seen} of {wanted} events");
        let filled = kept + read;
        let mut line_start = 0;
        for end in memchr_iter(b'\n', &buffer[..filled]) {
            if buffer[line_start..end].starts_with(beginning) {
                if seen == 0 {
                    first_ms = start.elapsed().as_secs_f64() * 1e3;
                }
                seen += 1;
            }
            line_start = end + 1;
        }
        buffer.copy_within(line_start..filled, 0);
        kept = filled - line_start;
        if kept == buffer.len() {
            bail!("a line of more than {kept} bytes");
        }
    }
    Ok(Replay { events_per_s: wanted as f64 / start.elapsed().as_secs_f64(), first_ms })
}
