//! What the log knows of its turns: who asked for what, and how it ended.

use rusqlite::{Connection, OptionalExtension, Row};

use super::sessions::{SessionKey, parse_id};
use super::{Log, LogError};
use crate::access::Origin;
use crate::clock::WallMs;
use crate::ids::{Seq, TurnId};

/// Turns in one read.
const TURNS_PAGE: i64 = 500;

/// What the log knows of how a turn came about and ended.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TurnFacts {
    /// The turn.
    pub turn: TurnId,
    /// The seq of its `user` event.
    pub seq: Seq,
    /// Who asked.
    pub by: String,
    /// As what and from where; none of turns from before that was written down.
    pub origin: Option<Origin>,
    /// Which agent.
    pub agent: String,
    /// Which model.
    pub model: String,
    /// When the prompt was accepted.
    pub accepted: String,
    /// How often the agent was started.
    pub attempts: u32,
    /// Who stopped it.
    pub cancelled_by: Option<String>,
    /// How it ended; none while it runs.
    pub outcome: Option<String>,
    /// When it ended.
    pub ended: Option<String>,
}

fn of_turn(connection: &Connection, session: SessionKey, turn: TurnId) -> rusqlite::Result<Option<TurnFacts>> {
    let sql = "SELECT user_seq, by, agent, model, accepted_ms, attempt, cancelled_by, outcome, ended_ms, origin
               FROM turns WHERE id = ?1 AND session = ?2";
    let read = |row: &Row<'_>| {
        Ok(TurnFacts {
            turn,
            seq: Seq(row.get::<_, i64>(0)? as u64),
            by: row.get(1)?,
            origin: row.get::<_, Option<String>>(9)?.and_then(|text| serde_json::from_str(&text).ok()),
            agent: row.get(2)?,
            model: row.get(3)?,
            accepted: WallMs(row.get(4)?).rfc3339(),
            attempts: row.get(5)?,
            cancelled_by: row.get(6)?,
            outcome: row.get(7)?,
            ended: row.get::<_, Option<i64>>(8)?.map(|ms| WallMs(ms).rfc3339()),
        })
    };
    connection.prepare_cached(sql)?.query_row((turn.to_string(), session), read).optional()
}

impl Log {
    /// What is known of a turn of this session; `None`: it has no such turn.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn turn_facts(&self, session: SessionKey, turn: TurnId) -> Result<Option<TurnFacts>, LogError> {
        Ok(self.db.readers.read(move |connection| of_turn(connection, session, turn)).await?)
    }

    /// The session's turns whose prompts stand behind a seq and up to another, each with that seq: as many as one read
    /// brings.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn turns_after(
        &self,
        session: SessionKey,
        after: Seq,
        until: Seq,
    ) -> Result<Vec<(Seq, TurnId)>, LogError> {
        let read = move |connection: &Connection| {
            let sql = "SELECT user_seq, id FROM turns WHERE session = ?1 AND user_seq > ?2 AND user_seq <= ?3
                       ORDER BY user_seq LIMIT ?4";
            let row = |row: &Row<'_>| Ok((Seq(row.get::<_, i64>(0)? as u64), parse_id(row, 1)?));
            connection
                .prepare_cached(sql)?
                .query_map((session, after.0 as i64, until.0 as i64, TURNS_PAGE), row)?
                .collect()
        };
        Ok(self.db.readers.read(read).await?)
    }
}
