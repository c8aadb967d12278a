//! Turns in the log: opened with their prompt, fed with what the agent says, closed exactly once.
//!
//! Invariant: every step of a turn is one transaction that holds its events and its bookkeeping together: the prompt's key
//! with its `user` event, the spool offset with the events made from those bytes, the end of the turn with its `turn_end`.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use sha2::{Digest, Sha256};

use super::append::{Appended, NewEvent, Place, Scribe};
use super::draft::{LogEnd, Offer};
use super::epoch::HighWater;
use super::sessions::{SessionKey, parse_conversation, parse_id};
use super::{Log, LogError};
use crate::access::Origin;
use crate::clock::WallMs;
use crate::ids::{PromptKey, Seq, SessionId, TurnId};
use crate::protocol::event::{Body, Record, TurnEnd};
use crate::protocol::server::Accepted;

/// A turn's key inside the database; never leaves the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TurnKey(i64);

impl ToSql for TurnKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for TurnKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// A prompt to be accepted.
#[derive(Debug, Clone)]
pub struct OpenTurn {
    /// The session's key.
    pub session: SessionKey,
    /// The session.
    pub session_id: SessionId,
    /// The client's name for the prompt.
    pub key: PromptKey,
    /// The prompt.
    pub text: String,
    /// Who asks.
    pub by: String,
    /// As what and from where.
    pub origin: Origin,
    /// Which agent.
    pub agent: String,
    /// Which model.
    pub model: String,
}

/// What became of a prompt.
#[derive(Debug, Clone)]
pub enum Opened {
    /// It is in the log, and its turn is to be run.
    New {
        /// The turn.
        place: Place,
        /// The seq of its `user` event.
        seq: Seq,
        /// When it was accepted.
        accepted: WallMs,
    },
    /// Its key was known already.
    Known(KnownPrompt),
}

/// A prompt that was accepted before.
#[derive(Debug, Clone)]
pub struct KnownPrompt {
    session: SessionId,
    sha256: Vec<u8>,
    turn: TurnId,
    seq: Seq,
}

impl KnownPrompt {
    /// The same answer as the first time, if it is the same prompt in the same session.
    pub fn answer(&self, session: SessionId, text: &str) -> Option<Accepted> {
        let same = self.session == session && self.sha256 == sha256(text);
        same.then_some(Accepted { session, turn: self.turn, seq: self.seq, duplicate: true })
    }
}

/// How far a turn's output is in the log, committed with the events made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the present attempt's spool that are in the log.
    pub spool_bytes: u64,
    /// The agent got going in this conversation: the next turn resumes it.
    pub started: Option<SessionId>,
    /// The newest `result`'s `is_error`, if there was one among these.
    pub result_is_error: Option<bool>,
    /// How many secrets were cut out of these.
    pub masked: u64,
}

/// A turn without its `turn_end`, found at the start.
#[derive(Debug, Clone)]
pub struct UnfinishedTurn {
    /// The turn.
    pub place: Place,
    /// Which attempt at running the agent.
    pub attempt: u32,
    /// Bytes of that attempt's spool that are in the log.
    pub spool_bytes: u64,
    /// The newest `result`'s `is_error`.
    pub result_is_error: Option<bool>,
    /// Who asked to stop it.
    pub cancelled_by: Option<String>,
    /// When its prompt was accepted.
    pub accepted: WallMs,
    /// Which agent.
    pub agent: String,
    /// Which model.
    pub model: String,
    /// Who asked.
    pub by: String,
    /// The prompt.
    pub prompt: String,
    /// The session's conversation with its agent, if one was opened.
    pub conversation: Option<SessionId>,
}

/// As much of a prompt as fits on a line of the list.
const TITLE_CHARS: usize = 60;

fn sha256(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

fn known(connection: &Connection, key: PromptKey) -> rusqlite::Result<Option<KnownPrompt>> {
    let sql = "SELECT s.id, t.prompt_sha256, t.id, t.user_seq FROM turns t JOIN sessions s ON s.key = t.session
               WHERE t.prompt_key = ?1";
    let read = |row: &Row<'_>| {
        let seq = Seq(row.get::<_, i64>(3)? as u64);
        Ok(KnownPrompt { session: parse_id(row, 0)?, sha256: row.get(1)?, turn: parse_id(row, 2)?, seq })
    };
    connection.prepare_cached(sql)?.query_row([key.to_string()], read).optional()
}

/// A title from a prompt: its first words on one line.
pub(super) fn title_from(prompt: &str) -> String {
    let words = prompt.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.take(TITLE_CHARS).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

fn open(tx: &Transaction<'_>, scribe: &Scribe, new: &OpenTurn) -> rusqlite::Result<(Opened, Option<Appended>)> {
    if let Some(known) = known(tx, new.key)? {
        return Ok((Opened::Known(known), None));
    }
    let (turn_id, accepted) = (TurnId::random(), WallMs::now());
    let key: i64 = tx
        .prepare_cached(
            "INSERT INTO turns (id, session, prompt_key, prompt_sha256, user_seq, by, agent, model, accepted_ms, origin)
             VALUES (?1, ?2, ?3, ?4, (SELECT head + 1 FROM sessions WHERE key = ?2), ?5, ?6, ?7, ?8, ?9)
             RETURNING key",
        )?
        .query_row(
            (
                turn_id.to_string(),
                new.session,
                new.key.to_string(),
                sha256(&new.text),
                &new.by,
                &new.agent,
                &new.model,
                accepted.0,
                serde_json::to_string(&new.origin).ok(),
            ),
            |row| row.get(0),
        )?;
    let place = Place { session: new.session, session_id: new.session_id, turn: TurnKey(key), turn_id };
    // At most one running turn a session: the database refuses a second even if the actor were wrong.
    let taken = tx
        .prepare_cached(
            "UPDATE sessions SET running_turn = ?2 WHERE key = ?1 AND running_turn IS NULL AND removal IS NULL",
        )?
        .execute((new.session, key))?;
    if taken != 1 {
        return Err(rusqlite::Error::StatementChangedRows(taken));
    }
    tx.prepare_cached("UPDATE sessions SET title = ?2, title_given = 1 WHERE key = ?1 AND NOT title_given")?
        .execute((new.session, title_from(&new.text)))?;
    let user = Body::User { text: new.text.clone(), by: new.by.clone(), model: new.model.clone() };
    let appended = scribe.append(tx, place, &[NewEvent::from(&user)])?;
    Ok((Opened::New { place, seq: appended.first, accepted }, Some(appended)))
}

fn read_unfinished(row: &Row<'_>) -> rusqlite::Result<UnfinishedTurn> {
    let place =
        Place { turn: row.get(0)?, turn_id: parse_id(row, 1)?, session: row.get(2)?, session_id: parse_id(row, 3)? };
    let record: String = row.get(12)?;
    let prompt = match Record::read(&record).map(|record| record.body) {
        Some(Body::User { text, .. }) => text,
        _ => return Err(rusqlite::Error::InvalidColumnType(12, "record".to_owned(), rusqlite::types::Type::Text)),
    };
    Ok(UnfinishedTurn {
        place,
        attempt: row.get(4)?,
        spool_bytes: row.get::<_, i64>(5)? as u64,
        result_is_error: row.get(6)?,
        cancelled_by: row.get(7)?,
        accepted: WallMs(row.get(8)?),
        agent: row.get(9)?,
        model: row.get(10)?,
        by: row.get(11)?,
        prompt,
        conversation: parse_conversation(row, 13)?,
    })
}

impl Log {
    /// The prompt that was accepted under this key, if any.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn known_prompt(&self, key: PromptKey) -> Result<Option<KnownPrompt>, LogError> {
        Ok(self.db.readers.read(move |connection| known(connection, key)).await?)
    }

    /// Accepts a prompt: its `user` event, its key and its turn, all or nothing.
    ///
    /// # Errors
    /// When the log cannot be written; then nothing was accepted.
    pub async fn open_turn(&self, new: OpenTurn) -> Result<Opened, LogError> {
        let (scribe, teller) = (self.scribe.clone(), self.scribe.clone());
        let publish = move |(opened, appended): &(Opened, Option<Appended>)| {
            if let Opened::New { place, .. } = opened {
                teller.publish(*place, appended.as_ref());
            }
        };
        let (opened, _) = self.db.writer.write_then(move |tx| open(tx, &scribe, &new), publish).await?;
        Ok(opened)
    }

    /// Adds what the agent said, with how far its spool was read. Says where the log ends then, if something was added.
    ///
    /// # Errors
    /// When the log cannot be written; then neither events nor progress are in it.
    pub async fn import(&self, place: Place, offer: Offer, progress: Progress) -> Result<Option<LogEnd>, LogError> {
        let scribe = self.scribe.clone();
        self.step(place, move |tx| {
            tx.prepare_cached(
                "UPDATE turns SET spool_bytes = ?2, result_is_error = coalesce(?3, result_is_error), masked = masked + ?4
                 WHERE key = ?1",
            )?
            .execute((place.turn, progress.spool_bytes as i64, progress.result_is_error, progress.masked as i64))?;
            if let Some(conversation) = progress.started {
                tx.prepare_cached("UPDATE sessions SET started = 1, conversation = ?2 WHERE key = ?1")?
                    .execute((place.session, conversation.to_string()))?;
            }
            scribe.append_offer(tx, place, &offer)
        })
        .await
    }

    /// Adds events of the gateway's own.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn note(&self, place: Place, events: &Shared) -> Result<(), LogError> {
        let (events, scribe) = (events.clone(), self.scribe.clone());
        self.step(place, move |tx| scribe.append_some(tx, place, &events)).await.map(drop)
    }

    /// Begins another attempt at running the agent, with a new spool.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn next_attempt(&self, place: Place, attempt: u32, events: &Shared) -> Result<(), LogError> {
        let (events, scribe) = (events.clone(), self.scribe.clone());
        self.step(place, move |tx| {
            tx.prepare_cached("UPDATE turns SET attempt = ?2, spool_bytes = 0, result_is_error = NULL WHERE key = ?1")?
                .execute((place.turn, attempt))?;
            scribe.append_some(tx, place, &events)
        })
        .await
        .map(drop)
    }

    /// Writes down who wants the turn stopped, before anything is signalled. Only the first is written.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn cancel_turn(&self, place: Place, by: String) -> Result<(), LogError> {
        let scribe = self.scribe.clone();
        self.step(place, move |tx| {
            let first = tx
                .prepare_cached(
                    "UPDATE turns SET cancelled_by = ?2 WHERE key = ?1 AND cancelled_by IS NULL AND ended_ms IS NULL",
                )?
                .execute((place.turn, &by))?;
            let cancelled = NewEvent::from(&Body::Cancelled { by });
            scribe.append_some(tx, place, if first == 1 { std::slice::from_ref(&cancelled) } else { &[] })
        })
        .await
        .map(drop)
    }

    /// Ends the turn: what is left to say, then its `turn_end`. A turn that has ended already stays as it is.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn end_turn(&self, place: Place, events: &Shared, end: TurnEnd) -> Result<(), LogError> {
        let (events, scribe, teller) = (events.clone(), self.scribe.clone(), self.scribe.clone());
        let work = move |tx: &Transaction<'_>| {
            let now = WallMs::now().0;
            let masked: Option<i64> = tx
                .prepare_cached(
                    "UPDATE turns SET outcome = ?2, ended_ms = ?3 WHERE key = ?1 AND ended_ms IS NULL RETURNING masked",
                )?
                .query_row((place.turn, end.outcome.as_str(), now), |row| row.get(0))
                .optional()?;
            let Some(masked) = masked else { return Ok((None, HighWater::measure(tx)?)) };
            tx.prepare_cached(
                "UPDATE sessions SET running_turn = NULL, last_outcome = ?3 WHERE key = ?1 AND running_turn = ?2",
            )?
            .execute((place.session, place.turn, end.outcome.as_str()))?;
            let end = TurnEnd { masked: end.masked + masked as u64, ..end };
            let before = scribe.append_some(tx, place, &events)?;
            let last = scribe.append(tx, place, &[NewEvent::from(&Body::TurnEnd(end))])?;
            let appended = match before {
                Some(before) => before.and_then(last),
                None => last,
            };
            Ok((Some(appended), HighWater::measure(tx)?))
        };
        let publish = move |(appended, _): &(Option<Appended>, i64)| {
            teller.publish(place, appended.as_ref());
            teller.due.mark(place.session);
        };
        let (_, high_water) = self.db.writer.write_then(work, publish).await?;
        self.high_water.remember(high_water).await;
        Ok(())
    }

    /// Every turn without a `turn_end`.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn unfinished_turns(&self) -> Result<Vec<UnfinishedTurn>, LogError> {
        let read = |connection: &Connection| {
            connection
                .prepare(
                    "SELECT t.key, t.id, s.key, s.id, t.attempt, t.spool_bytes, t.result_is_error, t.cancelled_by,
                            t.accepted_ms, t.agent, t.model, t.by, e.record, s.conversation
                     FROM turns t JOIN sessions s ON s.key = t.session
                     JOIN events e ON e.session = t.session AND e.seq = t.user_seq
                     WHERE t.ended_ms IS NULL ORDER BY t.key",
                )?
                .query_map([], read_unfinished)?
                .collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Runs one step of a turn in a transaction and publishes its events once they are durable.
    async fn step<F>(&self, place: Place, work: F) -> Result<Option<LogEnd>, LogError>
    where
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<Appended>> + Send + 'static,
    {
        let teller = self.scribe.clone();
        let appended =
            self.db.writer.write_then(work, move |appended| teller.publish(place, appended.as_ref())).await?;
        Ok(appended.map(|appended| appended.end))
    }
}

/// Events that can be offered to the log again when it refused them.
pub type Shared = std::sync::Arc<[NewEvent]>;

#[cfg(test)]
mod tests {
    use super::title_from;

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(title_from("  disk is\n\tfull \u{1b}[31m"), "disk is full [31m");
        let long = title_from(&"é".repeat(500));
        assert_eq!((long.chars().count(), long.ends_with('…')), (61, true));
    }
}
