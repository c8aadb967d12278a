//! Redaction: a record's content and salt go for good, a stub stays, and an event says who did it and why.
//!
//! Invariant: stub and event commit together; the commitment stays, so that every proof still holds; the event has the stub's
//! hash, so that nobody can put words into it. Knows nothing of what lies beside the log ([`crate::redact`] does).

use data_encoding::HEXLOWER;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::append::{Appended, NewEvent, Place};
use super::record::{Encoded, Envelope};
use super::sessions::{SessionKey, parse_id};
use super::turns::{TurnKey, title_from};
use super::{Log, LogError};
use crate::clock::WallMs;
use crate::db::Db;
use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::event::{Body, Record, Redaction};

/// What stands in the place of what went.
const GONE: &str = "[redacted]";
/// Wishes in one look.
const WISHES_MAX: i64 = 100;
/// Records that hold the same text, named at most.
const SAME_MAX: i64 = 20;

/// A wish's key in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WishKey(i64);

/// What somebody wants redacted.
#[derive(Debug, Clone)]
pub struct Wish {
    key: WishKey,
    session: SessionKey,
    seq: Seq,
    by: String,
    reason: String,
    /// The content is gone from the log already.
    gone: bool,
}

/// What went, and from which turn: what lies beside the log must go too.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// The turn.
    pub turn: TurnId,
    /// How often its agent was started.
    pub attempts: u32,
}

/// Why the log kept a record.
type Refused = String;

/// A record that somebody names, before they redact it.
#[derive(Debug, Clone)]
pub struct Redactable {
    /// The session's key.
    session: SessionKey,
    /// The session.
    pub session_id: SessionId,
    seq: Seq,
    /// Other records of the session that hold the same text.
    pub same_text: Vec<Seq>,
}

impl Redactable {
    /// Looks a record up by the beginning of its session's id. `None`: there is none, or several sessions begin so.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find(db: &Db, session: &str, seq: Seq) -> Result<Option<Self>, LogError> {
        let begins = session.to_owned();
        Ok(db.readers.read(move |connection| find(connection, &begins, seq)).await?)
    }

    /// Asks for it to be redacted by whoever writes this log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn ask(&self, db: &Db, by: String, reason: String) -> Result<WishKey, LogError> {
        let (session, seq) = (self.session, self.seq.0 as i64);
        let add =
            "INSERT INTO redactions (session, seq, by, reason, asked_ms) VALUES (?1, ?2, ?3, ?4, ?5) RETURNING key";
        let work = move |tx: &Transaction<'_>| {
            tx.query_row(add, (session, seq, by, reason, WallMs::now().0), |row| row.get(0).map(WishKey))
        };
        Ok(db.writer.write(work).await?)
    }
}

/// What came of a wish: `None` while it is to be done, empty when all of it is done, else why not.
///
/// # Errors
/// When the database cannot be read.
pub async fn outcome(db: &Db, key: WishKey) -> Result<Option<String>, LogError> {
    let sql = "SELECT outcome FROM redactions WHERE key = ?1";
    Ok(db.readers.read(move |connection| connection.query_row(sql, [key.0], |row| row.get(0))).await?)
}

fn find(connection: &Connection, begins: &str, seq: Seq) -> rusqlite::Result<Option<Redactable>> {
    let sql = "SELECT key, id FROM sessions WHERE substr(id, 1, length(?1)) = ?1 AND removal IS NULL LIMIT 2";
    let sessions: Vec<(SessionKey, SessionId)> = connection
        .prepare(sql)?
        .query_map([begins], |row| Ok((row.get(0)?, parse_id(row, 1)?)))?
        .collect::<Result<_, _>>()?;
    let [(session, session_id)] = sessions[..] else { return Ok(None) };
    let sql = "SELECT record FROM events WHERE session = ?1 AND seq = ?2";
    let record: Option<String> = connection.query_row(sql, (session, seq.0 as i64), |row| row.get(0)).optional()?;
    let Some(record) = record else { return Ok(None) };
    let text = Record::read(&record).and_then(|record| main_text(&record.body));
    // As it stands inside JSON, without the quotes.
    let inside = text.map(|text| json!(text).to_string()).filter(|text| text.len() > 2);
    let sql = "SELECT seq FROM events WHERE session = ?1 AND seq <> ?2 AND instr(record, ?3) > 0 ORDER BY seq LIMIT ?4";
    let same_text = match inside.as_deref().map(|text| &text[1..text.len() - 1]) {
        None => Vec::new(),
        Some(text) => connection
            .prepare(sql)?
            .query_map((session, seq.0 as i64, text, SAME_MAX), |row| Ok(Seq(row.get::<_, i64>(0)? as u64)))?
            .collect::<Result<_, _>>()?,
    };
    Ok(Some(Redactable { session, session_id, seq, same_text }))
}

fn main_text(body: &Body) -> Option<String> {
    match body {
        Body::User { text, .. } | Body::ToolResult { output: text, .. } | Body::Error { error: text } => {
            Some(text.clone())
        }
        Body::Text { text } | Body::Result { result: text, .. } => text.as_str().map(str::to_owned),
        Body::Tool { input, .. } => input.get("command")?.as_str().map(str::to_owned),
        _ => None,
    }
}

/// A body that says nothing but which kind it was; who asked stays, and how it ended. `None`: it holds nothing to take away.
fn without_content(body: Body) -> Option<Body> {
    let gone = || Value::from(GONE);
    Some(match body {
        Body::User { by, model, .. } => Body::User { text: GONE.to_owned(), by, model },
        Body::Text { .. } => Body::Text { text: gone() },
        Body::Tool { .. } => Body::Tool { name: gone(), input: json!({}) },
        Body::ToolResult { is_error, .. } => Body::ToolResult { is_error, output: GONE.to_owned(), bytes: 0 },
        Body::Result { is_error, .. } => Body::Result { is_error, result: gone(), duration_ms: Value::from(0) },
        Body::Error { .. } => Body::Error { error: GONE.to_owned() },
        Body::Session { .. } | Body::Status(_) | Body::Cancelled { .. } | Body::Redaction(_) | Body::TurnEnd(_) => {
            return None;
        }
    })
}

/// A record as it is found, with its turn.
struct Found {
    place: Place,
    attempts: u32,
    ended: bool,
    record: Record,
}

fn read(tx: &Transaction<'_>, wish: &Wish) -> rusqlite::Result<Result<Found, Refused>> {
    let sql = "SELECT s.id, t.key, t.id, t.attempt, t.ended_ms IS NOT NULL, e.record FROM events e
               JOIN sessions s ON s.key = e.session JOIN turns t ON t.key = e.turn
               WHERE e.session = ?1 AND e.seq = ?2 AND s.removal IS NULL";
    let row = |row: &Row<'_>| {
        let (turn, turn_id): (TurnKey, TurnId) = (row.get(1)?, parse_id(row, 2)?);
        let place = Place { session: wish.session, session_id: parse_id(row, 0)?, turn, turn_id };
        Ok((place, row.get(3)?, row.get(4)?, row.get::<_, String>(5)?))
    };
    let found = tx.prepare_cached(sql)?.query_row((wish.session, wish.seq.0 as i64), row).optional()?;
    let Some((place, attempts, ended, record)) = found else { return Ok(Err("there is no such record".to_owned())) };
    let Some(record) = Record::read(&record) else { return Ok(Err("the record is damaged".to_owned())) };
    Ok(Ok(Found { place, attempts, ended, record }))
}

impl Log {
    /// What is to be redacted, the oldest first.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn wishes(&self) -> Result<Vec<Wish>, LogError> {
        let read = |connection: &Connection| {
            let sql = "SELECT key, session, seq, by, reason, event_seq IS NOT NULL FROM redactions
                       WHERE outcome IS NULL ORDER BY key LIMIT ?1";
            let row = |row: &Row<'_>| {
                Ok(Wish {
                    key: WishKey(row.get(0)?),
                    session: row.get(1)?,
                    seq: Seq(row.get::<_, i64>(2)? as u64),
                    by: row.get(3)?,
                    reason: row.get(4)?,
                    gone: row.get(5)?,
                })
            };
            connection.prepare_cached(sql)?.query_map([WISHES_MAX], row)?.collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Takes the content away, with its salt, and says so in the log. A wish that got so far before is not done twice.
    ///
    /// # Errors
    /// When the log cannot be written. Inside: why it kept the record.
    pub async fn redact(&self, wish: &Wish) -> Result<Result<Redacted, Refused>, LogError> {
        let (wish, scribe, teller) = (wish.clone(), self.scribe.clone(), self.scribe.clone());
        let work = move |tx: &Transaction<'_>| {
            let found = match read(tx, &wish)? {
                Ok(found) => found,
                Err(refused) => return Ok((Err(refused), None)),
            };
            let redacted = Redacted { turn: found.place.turn_id, attempts: found.attempts };
            if wish.gone {
                return Ok((Ok(redacted), None));
            }
            if found.record.redacted {
                return Ok((Err("it is redacted already".to_owned()), None));
            }
            if !found.ended {
                return Ok((Err("its turn still runs; stop it, or wait until it has ended".to_owned()), None));
            }
            let place = newest_turn(tx, found.place)?;
            let Some(event) = replace(tx, &wish, found)? else {
                return Ok((Err("a record of this kind has no content to take away".to_owned()), None));
            };
            let appended = scribe.append(tx, place, &[event])?;
            tx.prepare_cached("UPDATE redactions SET event_seq = ?2 WHERE key = ?1")?
                .execute((wish.key.0, appended.first.0 as i64))?;
            Ok((Ok(redacted), Some((place, appended))))
        };
        let publish = move |(_, appended): &(Result<Redacted, Refused>, Option<(Place, Appended)>)| {
            if let Some((place, appended)) = appended {
                teller.hub.forget(place.session_id);
                teller.publish(*place, Some(appended));
                teller.due.mark(place.session);
            }
        };
        let (redacted, _) = self.db.writer.write_then(work, publish).await?;
        Ok(redacted)
    }

    /// Writes down what came of a wish.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn settle(&self, wish: &Wish, outcome: String) -> Result<(), LogError> {
        let (key, sql) = (wish.key.0, "UPDATE redactions SET outcome = ?2 WHERE key = ?1");
        self.db.writer.write(move |tx| tx.prepare_cached(sql)?.execute((key, outcome))).await?;
        Ok(())
    }

    /// Older pages of the database are in no file any more. False: readers hold them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_older_pages(&self) -> Result<bool, crate::db::OpenError> {
        self.db.empty_write_ahead().await
    }
}

/// Where the event goes: readers of the log take a turn's events to lie together, so it joins the newest turn.
fn newest_turn(tx: &Transaction<'_>, place: Place) -> rusqlite::Result<Place> {
    let sql = "SELECT key, id FROM turns WHERE session = ?1 ORDER BY key DESC LIMIT 1";
    tx.prepare_cached(sql)?
        .query_row([place.session], |row| Ok(Place { turn: row.get(0)?, turn_id: parse_id(row, 1)?, ..place }))
}

/// Puts the stub in the record's place, and takes the content away from wherever else the database has it. What is to be
/// said of it; `None`: there is nothing to take away.
fn replace(tx: &Transaction<'_>, wish: &Wish, found: Found) -> rusqlite::Result<Option<NewEvent>> {
    let Found { place, record, .. } = found;
    let Some(body) = without_content(record.body.clone()) else { return Ok(None) };
    let envelope = Envelope::new(place.session_id, &record.time, place.turn_id);
    let stub = Encoded::new(record.reference.as_deref(), &body).into_stub().record(&envelope, wish.seq);
    tx.prepare_cached("UPDATE events SET record = ?3, salt = NULL WHERE session = ?1 AND seq = ?2")?.execute((
        wish.session,
        wish.seq.0 as i64,
        &stub,
    ))?;
    if let Body::User { text, .. } = &record.body {
        // A hash of a short text is as good as the text.
        tx.prepare_cached("UPDATE turns SET prompt_sha256 = zeroblob(32) WHERE key = ?1")?.execute([place.turn])?;
        tx.prepare_cached("UPDATE sessions SET title = ?2 WHERE key = ?1 AND title = ?3")?.execute((
            wish.session,
            GONE,
            title_from(text),
        ))?;
    }
    let stub_sha256 = HEXLOWER.encode(&Sha256::digest(&stub));
    let redaction = Redaction { of: wish.seq, by: wish.by.clone(), reason: wish.reason.clone(), stub_sha256 };
    Ok(Some(NewEvent::from(&Body::Redaction(redaction))))
}
