//! From starting the process to answering, with a past.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Options, Size};
use crate::cpu;
use crate::gateway::{Gateway, folder};
use crate::prefill;
use crate::report::{median, table};
use crate::socket::PATIENCE;

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut cases = vec![(0, 0), (10_000, 30)];
    if options.size == Size::Big {
        cases.push((100_000, 30));
    }
    let mut rows = Vec::new();
    for (sessions, events_each) in cases {
        let root = folder()?;
        if sessions > 0 {
            prefill::fill(root.path(), sessions, events_each)?;
        }
        let (mut line_ms, mut ready_ms, mut kib, mut token) = (Vec::new(), Vec::new(), Vec::new(), None);
        for _ in 0..options.rounds {
            let (gateway, answered_ms) = start(root.path(), token.as_deref())?;
            line_ms.push(gateway.ready_ms);
            ready_ms.push(answered_ms);
            kib.push(cpu::resident_kib(gateway.pid())? as f64);
            token = Some(gateway.token.clone());
        }
        let list_ms = list(root.path(), token.as_deref(), options.rounds)?;
        rows.push([
            sessions.to_string(),
            (sessions as u64 * events_each).to_string(),
            format!("{:.0}", median(line_ms)),
            format!("{:.0}", median(ready_ms)),
            format!("{:.1}", median(kib) / 1024.0),
            format!("{list_ms:.1}"),
        ]);
    }
    println!("from the process's start; the reference is the empty folder:\n");
    table(
        ["sessions", "events", "sign-in line ms", "`/readyz` answered ms", "resident MiB", "first page of sessions ms"],
        &rows,
    );
    Ok(())
}

fn start(root: &Path, token: Option<&str>) -> Result<(Gateway, f64)> {
    let start = Instant::now();
    let gateway = Gateway::start(root, token)?;
    let answer = get(gateway.address, "/readyz")?;
    let took_ms = start.elapsed().as_secs_f64() * 1e3;
    ensure!(answer.starts_with("HTTP/1.1 200"), "not ready: {answer}");
    Ok((gateway, took_ms))
}

/// How long the first page of the list takes.
fn list(root: &Path, token: Option<&str>, rounds: usize) -> Result<f64> {
    let gateway = Gateway::start(root, token)?;
    let mut took_ms = Vec::new();
    for _ in 0..=rounds {
        let start = Instant::now();
        let answer = ask(gateway.address, "/api/sessions", &format!("Authorization: Bearer {}\r\n", gateway.token))?;
        took_ms.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.starts_with("HTTP/1.1 200"), "no list: {answer}");
    }
    // The first one warms up.
    Ok(median(took_ms.into_iter().skip(1)))
}

fn get(address: SocketAddr, path: &str) -> Result<String> {
    ask(address, path, "")
}

fn ask(address: SocketAddr, path: &str, headers: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
