//! A data folder that has a past: made through the library, faster than any agent could talk.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use breakglass::access::Origin;
use breakglass::clock::WallMs;
use breakglass::db::Db;
use breakglass::hub::Hub;
use breakglass::ids::{PromptKey, SessionId};
use breakglass::log::{Log, NewEvent, NewSession, OpenTurn, Opened, Place, Progress};
use breakglass::protocol::event::{Body, Outcome, TurnEnd};
use futures_util::StreamExt;
use uuid::Uuid;

use crate::gateway::data;

/// Events of one import.
const BATCH_EVENTS: u64 = 500;
/// Sessions that are filled at the same time, so that they share commits.
const AT_ONCE: usize = 200;
/// Makes a frame of about 300 bytes.
pub(crate) const TEXT_BYTES: usize = 110;
/// How long closing the database may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Opens the log of a folder.
pub(crate) async fn open(root: &Path) -> Result<Log> {
    std::fs::create_dir_all(data(root))?;
    let db = Db::open(&data(root).join("breakglass.db"))?;
    Ok(Log::open(db, Hub::default(), &data(root).join("high-water")).await?)
}

/// Texts, as an agent's. Made without formatting each byte: what the load itself costs is charged to the log.
pub(crate) fn texts(first: u64, count: u64) -> Vec<NewEvent> {
    const FILL: &str = match std::str::from_utf8(&[b'x'; TEXT_BYTES]) {
        Ok(fill) => fill,
        Err(_) => unreachable!(),
    };
    let body = |index: u64| {
        let number = format!("#{index} ");
        Body::Text { text: [&number, &FILL[number.len().min(TEXT_BYTES)..]].concat().into() }
    };
    (first..first + count).map(|index| NewEvent::new(None, &body(index))).collect()
}

/// A session with a turn that runs.
pub(crate) async fn running(log: &Log) -> Result<Place> {
    let session_id = SessionId::random();
    let (agent, model, by) = ("drill".to_owned(), "sonnet".to_owned(), "bench".to_owned());
    let new = NewSession { id: session_id, title: None, by: by.clone(), agent: agent.clone(), model: model.clone() };
    let session = log.create_session(new).await?.context("a new id")?.0.key;
    let (key, text) = (PromptKey::new(Uuid::new_v4()), "measure".to_owned());
    let origin = Origin { role: by.clone(), how: by.clone(), address: None, client: by.clone() };
    match log.open_turn(OpenTurn { session, session_id, key, text, by, origin, agent, model }).await? {
        Opened::New { place, .. } => Ok(place),
        Opened::Known(_) => bail!("a random key was known"),
    }
}

/// Fills sessions with so many events each; their ids.
pub(crate) fn fill(root: &Path, sessions: usize, events: u64) -> Result<Vec<String>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let ids = runtime.block_on(async {
        let log = open(root).await?;
        let filling = futures_util::stream::iter(0..sessions).map(|_| fill_one(&log, events)).buffer_unordered(AT_ONCE);
        let ids: Vec<Result<String>> = filling.collect().await;
        ids.into_iter().collect::<Result<Vec<_>>>()
    })?;
    drop(runtime);
    closed(root)?;
    Ok(ids)
}

async fn fill_one(log: &Log, events: u64) -> Result<String> {
    let place = running(log).await?;
    // The `user` event and the `turn_end` count too.
    let texts_wanted = events.saturating_sub(2);
    let mut written = 0;
    while written < texts_wanted {
        let count = BATCH_EVENTS.min(texts_wanted - written);
        let batch = log.offer(place, texts(written + 1, count).into(), None);
        let progress =
            Progress { spool_bytes: written, started: Some(place.session_id), result_is_error: None, masked: 0 };
        log.import(place, batch, progress).await?;
        written += count;
    }
    let end = TurnEnd { outcome: Outcome::Ok, exit_code: Some(0), duration_ms: 1, left: Vec::new(), masked: 0 };
    log.end_turn(place, &Arc::from(Vec::new()), end).await.context("cannot end a turn")?;
    Ok(place.session_id.to_string())
}

/// The database is closed when the last connection has moved its write-ahead log into it.
fn closed(root: &Path) -> Result<()> {
    let deadline = Instant::now() + CLOSE_LIMIT;
    while data(root).join("breakglass.db-wal").exists() {
        if Instant::now() > deadline {
            bail!("the filled database was not closed in time");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Now, as the log writes it.
pub(crate) fn now_ms() -> i64 {
    WallMs::now().0
}
