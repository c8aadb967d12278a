//! Anchors: copies of what was signed, somewhere that whoever edits this machine's files does not reach.
//!
//! Invariant: nobody waits for an anchor. Each has a queue of its own of bounded length, in which newer checkpoints push out
//! the oldest, for a newer one covers what an older one says; each delivery is tried a bounded number of times.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Method, Request, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixDatagram};
use tokio::sync::watch;

/// Checkpoints that wait for one anchor: an hour of an anchor that is away, at a busy gateway.
const WAITING_MAX: usize = 1_024;
/// A delivery is tried so often,
const TRIES: u32 = 5;
/// first so far apart, and each time twice as far.
const AGAIN: Duration = Duration::from_secs(1);
/// One try takes at most so long.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// On a planned stop what waits gets one more try, for so long altogether.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Where the system's log listens, syslog and journal alike.
const SYSTEM_LOG: &str = "/dev/log";
/// Facility `local0`, severity `informational` (RFC 3164 section 4.1.1).
const SYSTEM_LOG_PRIORITY: u32 = 16 * 8 + 6;

/// Where copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// Appended to a file, which may lie on another machine's disk.
    File(PathBuf),
    /// To the system's log, by its socket.
    SystemLog(PathBuf),
    /// Posted as JSON to an `http://` address.
    Webhook(Uri),
}

impl FromStr for Anchor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("`{text}` {why}; give file:PATH, syslog, syslog:SOCKET or http://HOST/PATH"));
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::File(path.into()));
        }
        match text.split_once(':') {
            None if text == "syslog" => Ok(Self::SystemLog(SYSTEM_LOG.into())),
            Some(("syslog", path)) if path.starts_with('/') => Ok(Self::SystemLog(path.into())),
            Some(("http", _)) => match text.parse::<Uri>() {
                Ok(uri) if uri.host().is_some() => Ok(Self::Webhook(uri)),
                _ => bad("is not an address"),
            },
            Some(("https", _)) => bad("would need TLS, which a relay on this machine can speak"),
            _ => bad("is no place for checkpoints"),
        }
    }
}

impl Anchor {
    /// In words, without what may be secret in an address.
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::SystemLog(socket) => format!("the system's log at {}", socket.display()),
            Self::Webhook(uri) => format!("http://{}", uri.authority().map_or("", |authority| authority.host())),
        }
    }

    async fn deliver(&self, note: &str) -> io::Result<()> {
        let delivered = async {
            match self {
                Self::File(path) => append(path.clone(), note.to_owned()).await,
                Self::SystemLog(socket) => log(socket, note).await,
                Self::Webhook(uri) => post(uri, note).await,
            }
        };
        tokio::time::timeout(TRY_TIMEOUT, delivered).await?
    }
}

/// Notes one behind another, as `--pinned` reads them.
async fn append(path: PathBuf, note: String) -> io::Result<()> {
    let write = move || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(format!("{note}\n").as_bytes())?;
        file.sync_data()
    };
    tokio::task::spawn_blocking(write).await?
}

/// On one line, as `--pinned` reads it.
async fn log(socket: &Path, note: &str) -> io::Result<()> {
    let line = format!("<{SYSTEM_LOG_PRIORITY}>breakglass: anchor note={}", note.replace('\n', "|"));
    UnixDatagram::unbound()?.send_to(line.as_bytes(), socket).await.map(|_| ())
}

async fn post(uri: &Uri, note: &str) -> io::Result<()> {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let body = serde_json::json!({ "note": note }).to_string();
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, crate::SERVER)
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let answer = tokio::select! {
        answer = sender.send_request(request) => answer.map_err(io::Error::other)?,
        ended = connection => {
            ended.map_err(io::Error::other)?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("it answered {}", answer.status())))
    }
}

/// All anchors. Clones are handles to the same ones.
#[derive(Clone, Default)]
pub struct Anchors(Arc<[Arc<Place>]>);

struct Place {
    anchor: Anchor,
    waiting: Mutex<VecDeque<String>>,
    more: watch::Sender<()>,
    failed: AtomicU64,
}

impl Anchors {
    /// For these places.
    pub fn new(anchors: Vec<Anchor>) -> Self {
        let place = |anchor| {
            let (waiting, more, failed) = (Mutex::default(), watch::Sender::default(), AtomicU64::new(0));
            Arc::new(Place { anchor, waiting, more, failed })
        };
        Self(anchors.into_iter().map(place).collect())
    }

    /// One piece of work for each place, each to be run until the gateway stops.
    pub fn work(&self) -> impl Iterator<Item = impl Future<Output = ()> + Send + 'static> {
        self.0.iter().cloned().map(|place| async move { place.run().await }).collect::<Vec<_>>().into_iter()
    }

    /// Hands a checkpoint to every place. Never waits.
    pub(super) fn send(&self, note: &str) {
        for place in self.0.iter() {
            place.put(note.to_owned());
        }
    }

    /// How many checkpoints came to nothing, in all places together.
    pub(super) fn failed(&self) -> u64 {
        self.0.iter().map(|place| place.failed.load(Ordering::Relaxed)).sum()
    }

    /// On a planned stop: what waits is tried once more.
    pub(super) async fn flush(&self) {
        let flushed = async {
            for place in self.0.iter() {
                while let Some(note) = place.next() {
                    if place.anchor.deliver(&note).await.is_err() {
                        break;
                    }
                }
            }
        };
        // The next start's first checkpoint covers what is left.
        let _out_of_time = tokio::time::timeout(STOP_TIMEOUT, flushed).await;
    }
}

impl Place {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<String>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, note: String) {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            waiting.pop_front();
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        waiting.push_back(note);
        self.more.send_replace(());
    }

    fn next(&self) -> Option<String> {
        self.lock().pop_front()
    }

    async fn run(&self) {
        let mut more = self.more.subscribe();
        loop {
            more.mark_unchanged();
            while let Some(note) = self.next() {
                self.persist(&note).await;
            }
            if more.changed().await.is_err() {
                return;
            }
        }
    }

    async fn persist(&self, note: &str) {
        for attempt in 1..=TRIES {
            match self.anchor.deliver(note).await {
                Ok(()) => return,
                Err(error) if attempt == TRIES => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(anchor = self.anchor.name(), %error, "a checkpoint could not be anchored");
                }
                Err(_) => tokio::time::sleep(AGAIN * (1 << (attempt - 1))).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_others_refused() {
        let read = |text: &str| text.parse::<Anchor>();
        assert_eq!(read("file:/mnt/a"), Ok(Anchor::File("/mnt/a".into())));
        assert_eq!(read("syslog"), Ok(Anchor::SystemLog(SYSTEM_LOG.into())));
        assert_eq!(read("syslog:/run/x"), Ok(Anchor::SystemLog("/run/x".into())));
        assert!(matches!(read("http://[::1]:8080/hook"), Ok(Anchor::Webhook(_))));
        for wrong in ["", "file:", "syslog:x", "https://example.org/", "http://", "stdout", "/tmp/x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_place_that_is_away_costs_a_bounded_queue() {
        let anchors = Anchors::new(vec![Anchor::File("/nowhere/at/all".into())]);
        for number in 0..WAITING_MAX + 7 {
            anchors.send(&number.to_string());
        }
        assert_eq!((anchors.failed(), anchors.0[0].next().as_deref()), (7, Some("7")));
    }
}
