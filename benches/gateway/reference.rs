//! What the gateway is measured against, each in a child process of its own, bound to the gateway's core.
//!
//! `broadcast` is the plainest fan-out that is not naive: tokio-tungstenite, every message in memory, each viewer a cursor,
//! neighbours coalesced into one write. No log, no durability, no sign-in.
//! `rows` reads the gateway's own database and writes frames to a plain socket.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use breakglass::db::connection;
use breakglass::frames::{Chunk, ChunkBuilder};
use breakglass::ids::Seq;
use futures_util::SinkExt;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::cpu;

/// What a viewer is written at once, bytes: as much as the gateway gathers for one.
const BATCH_BYTES: usize = 64 << 10;

/// Rows that are read at once: as many as the gateway reads.
const PAGE_EVENTS: i64 = 256;

/// A running reference; ends with the value.
pub(crate) struct Reference {
    child: Child,
    /// For viewers.
    pub(crate) viewers: SocketAddr,
    /// For the publisher.
    pub(crate) publisher: SocketAddr,
}

impl Reference {
    /// Starts the broadcaster.
    pub(crate) fn broadcast() -> Result<Self> {
        Self::start(&["broadcast".as_ref()])
    }

    /// Starts the loop that shows one session's rows to whoever connects and says a word.
    pub(crate) fn rows(database: &Path, session: &str) -> Result<Self> {
        Self::start(&["rows".as_ref(), database.as_os_str(), session.as_ref()])
    }

    fn start(args: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--reference").args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = cpu::spawn_on(cpu::SERVER_CORE, &mut command)?;
        let line = first_line(&mut child);
        let addresses: Vec<SocketAddr> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let Some(&[viewers, publisher]) = addresses.first_chunk() else {
            let _gone = child.kill();
            let _status = child.wait();
            bail!("the reference did not start: `{line}`");
        };
        Ok(Self { child, viewers, publisher })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn first_line(child: &mut Child) -> String {
    use std::io::BufRead;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        let _broken = std::io::BufReader::new(stdout).read_line(&mut line);
    }
    line
}

/// The child's side.
pub(crate) fn serve(args: &[String]) -> Result<()> {
    match args.first().map(String::as_str) {
        Some("broadcast") => tokio::runtime::Runtime::new()?.block_on(broadcast()),
        Some("rows") => rows(Path::new(&args[1]), &args[2]),
        _ => bail!("no such reference"),
    }
}

/// Pages of rows, made into frames, written to a socket: the least that a replay from the log can be.
fn rows(database: &Path, session: &str) -> Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    println!("{0} {0}", listener.local_addr()?);
    let connection = connection::open_reading(database)?;
    for socket in listener.incoming() {
        let mut socket = socket?;
        socket.set_nodelay(true)?;
        let _word = socket.read(&mut [0; 64])?;
        let mut after = Seq::ZERO;
        while let Some(chunk) = page(&connection, session, after)? {
            socket.write_all(chunk.wire())?;
            after = chunk.last();
        }
    }
    Ok(())
}

fn page(connection: &rusqlite::Connection, session: &str, after: Seq) -> Result<Option<Chunk>> {
    let mut statement = connection.prepare_cached(
        "SELECT record FROM events WHERE session = (SELECT key FROM sessions WHERE id = ?1) AND seq > ?2
         ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = statement.query((session, after.0 as i64, PAGE_EVENTS))?;
    let mut builder = ChunkBuilder::new(after.next());
    while let Some(row) = rows.next()? {
        builder.push(row.get_ref(0)?.as_str()?);
    }
    Ok(builder.finish())
}

/// Every message so far, and how many there are.
struct Messages {
    all: Mutex<Vec<Utf8Bytes>>,
    count: watch::Sender<usize>,
}

impl Messages {
    fn after(&self, taken: usize) -> Vec<Utf8Bytes> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let batch = all[taken..].iter().take_while(|message| {
            let has_room = bytes < BATCH_BYTES;
            bytes += message.len();
            has_room
        });
        batch.cloned().collect()
    }
}

async fn broadcast() -> Result<()> {
    let viewers = TcpListener::bind("127.0.0.1:0").await?;
    let publisher = TcpListener::bind("127.0.0.1:0").await?;
    println!("{} {}", viewers.local_addr()?, publisher.local_addr()?);
    let messages = Arc::new(Messages { all: Mutex::default(), count: watch::Sender::new(0) });
    let shown = Arc::clone(&messages);
    tokio::spawn(async move {
        while let Ok((stream, _)) = viewers.accept().await {
            tokio::spawn(show(Arc::clone(&shown), stream));
        }
    });
    let (stream, _) = publisher.accept().await?;
    let mut lines = BufReader::with_capacity(256 << 10, stream);
    let mut batch = Vec::new();
    loop {
        let mut line = String::new();
        let read = lines.read_line(&mut line).await?;
        if read > 0 {
            line.truncate(line.len() - 1);
            batch.push(Utf8Bytes::from(line));
        }
        // All that came in one read is announced at once, as a commit of the gateway's is.
        if !batch.is_empty() && (read == 0 || !lines.buffer().contains(&b'\n')) {
            let mut all = messages.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.append(&mut batch);
            messages.count.send_replace(all.len());
        }
        if read == 0 {
            break;
        }
    }
    std::future::pending().await
}

async fn show(messages: Arc<Messages>, stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await.context("no handshake")?;
    let mut count = messages.count.subscribe();
    let mut taken = 0;
    loop {
        let batch = messages.after(taken);
        if batch.is_empty() {
            count.changed().await?;
            continue;
        }
        taken += batch.len();
        for message in batch {
            socket.feed(Message::Text(message)).await?;
        }
        socket.flush().await?;
    }
}
