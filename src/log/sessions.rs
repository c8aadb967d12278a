//! Sessions' own rows: made, listed, renamed, put away.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Log, LogError};
use crate::clock::WallMs;
use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::event::Outcome;
use crate::protocol::server::{RunningTurn, SessionState};

/// A session's key inside the database; never leaves the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub(super) i64);

impl ToSql for SessionKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for SessionKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        i64::column_result(value).map(Self)
    }
}

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// What people call it; `None`: the id's beginning, until the first prompt gives it a better one.
    pub title: Option<String>,
    /// Who makes it.
    pub by: String,
    /// Which agent works in it.
    pub agent: String,
    /// The model for turns that do not name one.
    pub model: String,
}

/// What a rename or an archiving changes.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// The new title.
    pub title: Option<String>,
    /// Whether it is put away.
    pub archived: Option<bool>,
}

/// A session as the log knows it.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Its key in the database.
    pub key: SessionKey,
    /// What the agent was told to call the conversation, once it got going.
    pub conversation: Option<SessionId>,
    /// Its summary; `viewers` is not the log's to know and stands at 0.
    pub state: SessionState,
}

/// Where a page of the list ends: the next begins behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListCursor {
    last_activity_ms: i64,
    key: i64,
}

impl std::fmt::Display for ListCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.last_activity_ms, self.key)
    }
}

impl std::str::FromStr for ListCursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(activity, key)| Some((activity.parse().ok()?, key.parse().ok()?)));
        let (last_activity_ms, key) =
            parsed.ok_or("`cursor` is not one that a list gave; leave it out to begin anew")?;
        Ok(Self { last_activity_ms, key })
    }
}

const COLUMNS: &str =
    "SELECT s.key, s.id, s.title, s.created_ms, s.created_by, s.agent, s.model, s.started, s.archived, s.head,
    s.last_activity_ms, t.id, t.by, t.accepted_ms, s.conversation, s.last_outcome FROM sessions s LEFT JOIN turns t ON t.key = s.running_turn";

fn read_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let turn = row.get::<_, Option<String>>(11)?.and_then(|id| id.parse::<TurnId>().ok());
    let turn = match turn {
        Some(turn) => Some(RunningTurn { turn, by: row.get(12)?, since: WallMs(row.get(13)?).rfc3339() }),
        None => None,
    };
    let state = SessionState {
        session: parse_id(row, 1)?,
        title: row.get(2)?,
        created: WallMs(row.get(3)?).rfc3339(),
        created_by: row.get(4)?,
        agent: row.get(5)?,
        model: row.get(6)?,
        started: row.get(7)?,
        archived: row.get(8)?,
        head: Seq(row.get::<_, i64>(9)? as u64),
        last_activity: WallMs(row.get(10)?).rfc3339(),
        turn,
        last_outcome: row.get::<_, Option<String>>(15)?.and_then(|text| Outcome::parse(&text)),
        viewers: 0,
    };
    Ok(SessionRow { key: row.get(0)?, conversation: parse_conversation(row, 14)?, state })
}

pub(super) fn parse_conversation(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<SessionId>> {
    if row.get_ref(index)? == ValueRef::Null { Ok(None) } else { parse_id(row, index).map(Some) }
}

/// Reads an id column; a damaged one is an error, not a panic.
pub(super) fn parse_id<T: std::str::FromStr>(row: &Row<'_>, index: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(index)?.as_str()?.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn find(connection: &Connection, id: SessionId) -> rusqlite::Result<Option<SessionRow>> {
    let sql = format!("{COLUMNS} WHERE s.id = ?1 AND s.removal IS NULL");
    connection.prepare_cached(&sql)?.query_row([id.to_string()], read_row).optional()
}

impl Log {
    /// Makes a session; if one with that id is there already, gives that one. `true`: it is new. `None`: there was one with
    /// that id, and it was removed; an id is not used twice.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn create_session(&self, new: NewSession) -> Result<Option<(SessionRow, bool)>, LogError> {
        let (id, hub) = (new.id, self.hub.clone());
        let work = move |tx: &rusqlite::Transaction<'_>| {
            let short = new.id.to_string()[..8].to_owned();
            let now = WallMs::now().0;
            let made = tx
                .prepare_cached(
                    "INSERT INTO sessions (id, title, title_given, created_ms, created_by, agent, model, last_activity_ms)
                     VALUES (?1, coalesce(?2, ?7), ?2 IS NOT NULL, ?3, ?4, ?5, ?6, ?3) ON CONFLICT (id) DO NOTHING",
                )?
                .execute((new.id.to_string(), new.title, now, new.by, new.agent, new.model, short))?;
            Ok(find(tx, new.id)?.map(|row| (row, made == 1)))
        };
        Ok(self
            .db
            .writer
            .write_then(work, move |row| {
                if matches!(row, Some((_, true))) {
                    hub.touch(id);
                }
            })
            .await?)
    }

    /// The session with this id.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn session(&self, id: SessionId) -> Result<Option<SessionRow>, LogError> {
        Ok(self.db.readers.read(move |connection| find(connection, id)).await?)
    }

    /// Several sessions, those that are there.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn sessions(&self, ids: Vec<SessionId>) -> Result<Vec<SessionRow>, LogError> {
        let read = move |connection: &Connection| {
            let rows = ids.into_iter().map(|id| find(connection, id)).collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().flatten().collect())
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// A page of the list, latest activity first; `search` finds a part of the title or the beginning of the id.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn list_sessions(
        &self,
        after: Option<ListCursor>,
        search: Option<String>,
        limit: usize,
    ) -> Result<(Vec<SessionRow>, Option<ListCursor>), LogError> {
        let read = move |connection: &Connection| {
            let sql = format!(
                "{COLUMNS} WHERE (s.last_activity_ms, s.key) < (?1, ?2) AND s.removal IS NULL
                 AND (?3 IS NULL OR instr(lower(s.title), lower(?3)) > 0 OR instr(s.id, lower(?3)) = 1)
                 ORDER BY s.last_activity_ms DESC, s.key DESC LIMIT ?4"
            );
            let from = after.unwrap_or(ListCursor { last_activity_ms: i64::MAX, key: i64::MAX });
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((from.last_activity_ms, from.key, search, limit as i64))?;
            let (mut page, mut last) = (Vec::new(), None);
            while let Some(row) = rows.next()? {
                last = Some(ListCursor { last_activity_ms: row.get(10)?, key: row.get(0)? });
                page.push(read_row(row)?);
            }
            let next = last.filter(|_| page.len() == limit);
            Ok((page, next))
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Renames or puts away. `None`: there is no such session.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn patch_session(&self, id: SessionId, patch: Patch) -> Result<Option<SessionRow>, LogError> {
        let hub = self.hub.clone();
        let work = move |tx: &rusqlite::Transaction<'_>| {
            tx.prepare_cached(
                "UPDATE sessions SET title = coalesce(?2, title), title_given = title_given OR ?2 IS NOT NULL,
                                     archived = coalesce(?3, archived) WHERE id = ?1 AND removal IS NULL",
            )?
            .execute((id.to_string(), patch.title, patch.archived))?;
            find(tx, id)
        };
        Ok(self.db.writer.write_then(work, move |_| hub.touch(id)).await?)
    }
}
