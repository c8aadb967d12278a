//! Who came: a record of its own, beside the log, of sign-ins, attachments, exports, prompts, stops and changed tokens.
//!
//! Invariant: writing it never makes anybody wait: entries go through a bounded queue of their own, and when that overflows,
//! or the disk is full for long, the record says how many are missing. It holds nothing that anybody said, and no credential.
//! Knows nothing of how people are known; whoever does hands entries in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Row, Transaction};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::WallMs;
use crate::db::{Db, ReadError, WriteError};
use crate::ids::{SessionId, TurnId};

/// Entries that wait to be written.
const QUEUE: usize = 4_096;
/// Entries written at a time.
const BATCH: usize = 256;
/// Between two tries while the disk is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Entries kept; older ones go. Some 200 MB.
const ROWS_MAX: i64 = 1_000_000;
/// The same person looks at the same session from the same address: once in so long is enough.
const SAME_LOOK: Duration = Duration::from_secs(60);
/// Looks that are remembered for that.
const LOOKS_MAX: usize = 4_096;
/// The longest text that comes from outside, characters.
const TEXT_CHARS_MAX: usize = 200;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A browser was signed in.
    SignIn,
    /// A browser was signed out.
    SignOut,
    /// A credential that does not count was shown.
    FailedSignIn,
    /// A proxy's user header came from an address that is not a trusted proxy's; it was ignored.
    UntrustedHeader,
    /// A session was attached, over WebSocket or as an event stream.
    Attach,
    /// Pages of a session's log were read.
    Read,
    /// A session was exported.
    Export,
    /// This record was read.
    ReadAccess,
    /// A session was made.
    Create,
    /// A session was renamed or put away.
    Rename,
    /// A prompt was accepted.
    Prompt,
    /// A turn was stopped.
    Cancel,
    /// A token was made.
    TokenAdd,
    /// A token was withdrawn.
    TokenRevoke,
    /// So many entries could not be written.
    Lost,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::FailedSignIn => "failed_sign_in",
            Self::UntrustedHeader => "untrusted_header",
            Self::Attach => "attach",
            Self::Read => "read",
            Self::Export => "export",
            Self::ReadAccess => "read_access",
            Self::Create => "create",
            Self::Rename => "rename",
            Self::Prompt => "prompt",
            Self::Cancel => "cancel",
            Self::TokenAdd => "token_add",
            Self::TokenRevoke => "token_revoke",
            Self::Lost => "lost",
        }
    }

    /// Looking is done again and again by one page; what changes something always counts.
    const fn is_look(self) -> bool {
        matches!(self, Self::Attach | Self::Read | Self::ReadAccess | Self::UntrustedHeader)
    }
}

/// From where and by what somebody came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visit {
    /// From which address; that of the client, where a trusted proxy names it.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub client: String,
}

/// As what, from where and by what somebody came, as it is kept with what they asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The role that they had.
    pub role: String,
    /// The kind of their credential: `token`, `cookie` or `proxy`.
    pub how: String,
    /// From which address; that of the client, where a trusted proxy names it.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub client: String,
}

impl Origin {
    /// Of somebody with this role and this kind of credential.
    pub fn of(visit: &Visit, role: &str, how: &str) -> Self {
        let (role, how) = (role.to_owned(), how.to_owned());
        Self { role, how, address: visit.address, client: plain(&visit.client) }
    }
}

/// One line of the record, to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    time: WallMs,
    what: What,
    who: Option<String>,
    role: Option<&'static str>,
    how: Option<&'static str>,
    address: Option<IpAddr>,
    client: String,
    session: Option<SessionId>,
    turn: Option<TurnId>,
    detail: Option<String>,
}

impl Entry {
    /// That somebody who came so did this, now.
    pub fn of(what: What, visit: &Visit) -> Self {
        Self {
            time: WallMs::now(),
            what,
            who: None,
            role: None,
            how: None,
            address: visit.address,
            client: plain(&visit.client),
            session: None,
            turn: None,
            detail: None,
        }
    }

    /// That somebody on this machine did this, with the program itself.
    pub fn local(what: What) -> Self {
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        let visit = Visit { address: None, client: crate::SERVER.to_owned() };
        Self { who: Some(who), how: Some("local"), ..Self::of(what, &visit) }
    }

    /// The same, by this person: the name of a token or of a proxy's user, their role, and the kind of their credential.
    #[must_use]
    pub fn by(self, who: String, role: &'static str, how: &'static str) -> Self {
        Self { who: Some(who), role: Some(role), how: Some(how), ..self }
    }

    /// The same, in this session.
    #[must_use]
    pub fn in_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The same, with this turn.
    #[must_use]
    pub fn with_turn(self, turn: TurnId) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// The same, with something else to say.
    #[must_use]
    pub fn saying(self, detail: impl AsRef<str>) -> Self {
        Self { detail: Some(plain(detail.as_ref())), ..self }
    }
}

/// What comes from outside must not paint on an auditor's terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// Writes an entry together with what it tells of.
///
/// # Errors
/// As the database says.
pub fn insert(tx: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "INSERT INTO access (time_ms, what, who, role, how, address, client, session, turn, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let texts = (
        entry.time.0,
        entry.what.as_str(),
        entry.who.as_deref(),
        entry.role,
        entry.how,
        entry.address.map(|address| address.to_string()),
        (!entry.client.is_empty()).then_some(entry.client.as_str()),
        entry.session.map(|session| session.to_string()),
        entry.turn.map(|turn| turn.to_string()),
        entry.detail.as_deref(),
    );
    tx.prepare_cached(sql)?.execute(texts).map(|_| ())
}

/// A line as it is read: by `GET /api/access` and `breakglass access`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessLine {
    /// Its place: a later line has a higher one.
    pub key: i64,
    /// When: UTC, RFC 3339, milliseconds.
    pub time: String,
    /// What was done.
    pub what: String,
    /// Who did it.
    pub who: Option<String>,
    /// As what.
    pub role: Option<String>,
    /// By what kind of credential: `token`, `cookie`, `proxy`, or `local`.
    pub how: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// By what client.
    pub client: Option<String>,
    /// In which session.
    pub session: Option<String>,
    /// Which turn.
    pub turn: Option<String>,
    /// What else there is to say.
    pub detail: Option<String>,
}

fn read_line(row: &Row<'_>) -> rusqlite::Result<AccessLine> {
    Ok(AccessLine {
        key: row.get(0)?,
        time: WallMs(row.get(1)?).rfc3339(),
        what: row.get(2)?,
        who: row.get(3)?,
        role: row.get(4)?,
        how: row.get(5)?,
        address: row.get(6)?,
        client: row.get(7)?,
        session: row.get(8)?,
        turn: row.get(9)?,
        detail: row.get(10)?,
    })
}

/// A page of the record, newest first: the lines before `before`, or the newest.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(db: &Db, before: Option<i64>, limit: usize) -> Result<Vec<AccessLine>, ReadError> {
    let read = move |connection: &Connection| {
        let sql = "SELECT key, time_ms, what, who, role, how, address, client, session, turn, detail FROM access
                   WHERE key < ?1 ORDER BY key DESC LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map((before.unwrap_or(i64::MAX), limit as i64), read_line)?;
        rows.collect()
    };
    db.readers.read(read).await
}

type Looks = HashMap<(What, String, Option<SessionId>), Instant>;

/// The record's writing end. Clones write the same one.
#[derive(Clone)]
pub struct Access {
    db: Db,
    queue: mpsc::Sender<Entry>,
    lost: Arc<AtomicU64>,
    looks: Arc<Mutex<Looks>>,
}

/// A deed that was begun. Whoever goes before it is answered, so that nobody is there to say how it went, is on record too.
#[must_use = "an answer that came is said with `answered`"]
pub struct Begun {
    access: Access,
    entry: Option<Entry>,
}

impl Begun {
    /// The answer came: what it was is recorded by whoever has it.
    pub fn answered(mut self) {
        self.entry = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.access.record(entry.saying("the client went before the answer"));
        }
    }
}

/// Takes entries out of the queue; to be run as a task.
pub struct Recorder {
    db: Db,
    queue: mpsc::Receiver<Entry>,
    lost: Arc<AtomicU64>,
}

/// A record in this database, and what writes it.
pub fn open(db: Db) -> (Access, Recorder) {
    let (queue, entries) = mpsc::channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let access = Access { db: db.clone(), queue, lost: Arc::clone(&lost), looks: Arc::default() };
    (access, Recorder { db, queue: entries, lost })
}

impl Access {
    /// Puts an entry on record; never waits. A look that was recorded a moment ago is not recorded again.
    pub fn record(&self, entry: Entry) {
        if entry.what.is_look() && !self.is_new_look(&entry) {
            return;
        }
        if self.queue.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Somebody begins with something that may come about also when they go before the answer.
    pub fn begin(&self, entry: Entry) -> Begun {
        Begun { access: self.clone(), entry: Some(entry) }
    }

    fn is_new_look(&self, entry: &Entry) -> bool {
        let address = entry.address.map_or_else(String::new, |address| address.to_string());
        let who = format!("{}@{address}", entry.who.as_deref().unwrap_or_default());
        // A panic leaves a map of whole entries.
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKS_MAX {
            looks.retain(|_, seen| seen.elapsed() < SAME_LOOK);
        }
        if looks.len() >= LOOKS_MAX {
            looks.clear();
        }
        let seen = looks.insert((entry.what, who, entry.session), Instant::now());
        seen.is_none_or(|seen| seen.elapsed() >= SAME_LOOK)
    }

    /// A page of the record, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn page(&self, before: Option<i64>, limit: usize) -> Result<Vec<AccessLine>, ReadError> {
        page(&self.db, before, limit).await
    }
}

impl Recorder {
    /// Writes until the gateway stops, and then what is left.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = tokio::select! {
                taken = self.queue.recv_many(&mut batch, BATCH) => taken,
                () = stopping.cancelled() => {
                    while let Ok(entry) = self.queue.try_recv() {
                        batch.push(entry);
                    }
                    self.write(&batch).await;
                    return;
                }
            };
            if taken == 0 {
                return;
            }
            while self.write(&batch).await == Written::Later
                && stopping.run_until_cancelled(tokio::time::sleep(RETRY_AFTER)).await.is_some()
            {}
            batch.clear();
        }
    }

    async fn write(&self, batch: &[Entry]) -> Written {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut entries = batch.to_vec();
        if lost > 0 {
            entries.push(Entry::local(What::Lost).saying(format!("{lost} entries could not be written")));
        }
        let written = self.db.writer.write(move |tx| {
            for entry in &entries {
                insert(tx, entry)?;
            }
            tx.execute("DELETE FROM access WHERE key <= (SELECT max(key) FROM access) - ?1", [ROWS_MAX]).map(|_| ())
        });
        match written.await {
            Ok(()) => Written::Now,
            Err(WriteError::Unavailable { .. }) => {
                self.lost.fetch_add(lost, Ordering::Relaxed);
                Written::Later
            }
            Err(error) => {
                tracing::error!(%error, entries = batch.len(), "the access record cannot be written");
                Written::Never
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Written {
    Now,
    Later,
    Never,
}

#[cfg(test)]
#[path = "access/tests.rs"]
mod tests;
