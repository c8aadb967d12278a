//! The index file: a database of its own, made from the log and thrown away when in doubt.
//!
//! Invariant: what is indexed and how far that reaches commit together, so after a crash indexing goes on where it was; an index that is damaged, of
//! another form or of another log is never used, it is made anew. Holds words and where they stand, no texts: what is shown comes from the log.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, params_from_iter};

use super::query::Query;
use super::text;
use super::words::{Term, normalized};
use crate::ids::Epoch;
use crate::log::Fed;

/// The form of the tables and of the splitting into words: another number, another index.
const FORM: i64 = 2;
/// How long a statement waits for the other connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite's own steps between two looks at the clock.
const STEPS_PER_LOOK: i32 = 1_000;

/// `words` has no content: SQLite keeps only the index. `ascii` splits at blanks and leaves all else as it is, for words.rs
/// has split already.
const TABLES: &str = "
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE docs (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, turn INTEGER NOT NULL, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,
    by TEXT NOT NULL
) STRICT;
CREATE INDEX docs_by_session ON docs (session, id);
CREATE TABLE ended (turn INTEGER PRIMARY KEY, outcome TEXT NOT NULL) STRICT;
CREATE VIRTUAL TABLE words USING fts5 (text, content = '', contentless_delete = 1, tokenize = 'ascii');";

/// The one connection that writes the index.
pub(super) struct Index {
    connection: Connection,
    /// The newest event that is in it.
    pub reaches: i64,
    /// The newest removal of a session whose words were taken out.
    pub removals: i64,
    /// The log's newest event when this was made: what was redacted until then was never in it.
    made_at: i64,
}

/// An event that fits, as the index knows it.
pub(super) struct Candidate {
    pub id: i64,
    pub by: String,
}

/// Whether the file itself is the fault, so that making it anew helps.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        // `Unknown`: a table is missing, or is another one.
        Some(code) => matches!(
            code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure
                | ErrorCode::Unknown
        ),
        // The statements are ours: only the tables can make them wrong.
        None => matches!(error, rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::SqlInputError { .. }),
    }
}

impl Index {
    /// Opens the index of this log, or an empty one when there is none that can be used.
    pub(super) fn open(path: &Path, epoch: Epoch, newest: i64) -> rusqlite::Result<Self> {
        match Self::open_present(path, epoch, newest) {
            Ok(Some(index)) => return Ok(index),
            Ok(None) => {}
            Err(error) if is_damage(&error) => tracing::warn!(%error, "the search index is damaged: it is made anew"),
            Err(error) => return Err(error),
        }
        remove(path);
        Self::make(path, epoch, newest)
    }

    fn open_present(path: &Path, epoch: Epoch, newest: i64) -> rusqlite::Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = open_writing(path)?;
        let meta = |name: &str| {
            connection
                .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get::<_, Value>(0))
                .optional()
        };
        let (form, of) = (meta("form")?, meta("epoch")?);
        let numbers = (meta("reaches")?, meta("made_at")?, meta("removals")?);
        let (Some(Value::Integer(reaches)), Some(Value::Integer(made_at)), Some(Value::Integer(removals))) = numbers
        else {
            return Ok(None);
        };
        let is_ours =
            form == Some(Value::Integer(FORM)) && of == Some(Value::Text(epoch.to_string())) && reaches <= newest;
        if !is_ours {
            tracing::info!("the search index is of another log: it is made anew");
        }
        Ok(is_ours.then_some(Self { connection, reaches, removals, made_at }))
    }

    fn make(path: &Path, epoch: Epoch, newest: i64) -> rusqlite::Result<Self> {
        let mut connection = open_writing(path)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        let put = "INSERT INTO meta (name, value) VALUES (?1, ?2)";
        transaction.execute(put, ("form", FORM))?;
        transaction.execute(put, ("epoch", epoch.to_string()))?;
        transaction.execute(put, ("made_at", newest))?;
        transaction.execute(put, ("reaches", 0))?;
        transaction.execute(put, ("removals", 0))?;
        transaction.commit()?;
        Ok(Self { connection, reaches: 0, removals: 0, made_at: newest })
    }

    /// Whether these say that something was redacted whose words may be in this index: then it must be made anew.
    pub(super) fn is_outdated_by(&self, events: &[Fed]) -> bool {
        events.iter().any(|event| event.kind == "redaction" && event.id > self.made_at)
    }

    /// Takes out the words of removed sessions, given by their keys with their removals' numbers, so that they are in no page
    /// of the file any more.
    pub(super) fn forget(&mut self, removed: &[(i64, i64)]) -> rusqlite::Result<()> {
        let Some((_, last)) = removed.last() else { return Ok(()) };
        let transaction = self.connection.transaction()?;
        let mut any = 0;
        for (session, _) in removed {
            let words = "DELETE FROM words WHERE rowid IN (SELECT id FROM docs WHERE session = ?1)";
            transaction.prepare_cached(words)?.execute([session])?;
            let ended = "DELETE FROM ended WHERE turn IN (SELECT turn FROM docs WHERE session = ?1)";
            transaction.prepare_cached(ended)?.execute([session])?;
            any += transaction.prepare_cached("DELETE FROM docs WHERE session = ?1")?.execute([session])?;
        }
        if any > 0 {
            // Deleting only marks words as gone; bringing all parts of the index together leaves them out.
            transaction.execute("INSERT INTO words (words) VALUES ('optimize')", [])?;
        }
        transaction.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'removals'")?.execute([last])?;
        transaction.commit()?;
        self.removals = *last;
        if any > 0 {
            // Whether or not a search is reading: then the older pages go with the next one.
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(())
    }

    /// Adds events that follow what is there, all or none.
    pub(super) fn add(&mut self, events: &[Fed]) -> rusqlite::Result<()> {
        let Some(last) = events.last() else { return Ok(()) };
        let transaction = self.connection.transaction()?;
        for event in events {
            add_one(&transaction, event)?;
        }
        transaction.prepare_cached("UPDATE meta SET value = ?1 WHERE name = 'reaches'")?.execute([last.id])?;
        transaction.commit()?;
        self.reaches = last.id;
        Ok(())
    }
}

fn add_one(tx: &Transaction<'_>, event: &Fed) -> rusqlite::Result<()> {
    let own = |name: &str| {
        let record: serde_json::Value = serde_json::from_str(&event.record).ok()?;
        Some(record.get(name)?.as_str()?.to_owned())
    };
    let by = match event.kind.as_str() {
        "user" | "cancelled" => own("by"),
        _ => None,
    };
    tx.prepare_cached("INSERT INTO docs (id, session, turn, time_ms, kind, by) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute((
            event.id,
            event.session,
            event.turn,
            event.time.0,
            &event.kind,
            by.as_ref().unwrap_or(&event.asked_by),
        ))?;
    if let Some(outcome) = (event.kind == "turn_end").then(|| own("outcome")).flatten() {
        tx.prepare_cached("INSERT OR REPLACE INTO ended (turn, outcome) VALUES (?1, ?2)")?
            .execute((event.turn, outcome))?;
    }
    let words = normalized(&text::of_record(&event.record));
    if !words.is_empty() {
        tx.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?.execute((event.id, words))?;
    }
    Ok(())
}

/// Removes the file and what SQLite keeps beside it.
pub(super) fn remove(path: &Path) {
    if let Err(error) = discard(path) {
        tracing::warn!(path = %path.display(), %error, "a search index cannot be removed");
    }
}

/// Throws an index away that nobody uses: the next gateway makes it anew from the log.
///
/// # Errors
/// When a file of it is there and cannot be removed.
pub fn discard(path: &Path) -> std::io::Result<()> {
    // Without its main file it is none, so that goes last: whatever is broken off is done again.
    for suffix in ["-wal", "-shm", ""] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn open_writing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What a power cut takes is indexed again: no commit here has to wait for the disk.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // The words of what was removed are in no freed page either.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(connection)
}

/// A connection for one search, which gives up at a deadline.
pub(super) struct Search {
    connection: Connection,
}

impl Search {
    pub(super) fn open(path: &Path, deadline: Instant) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() > deadline))?;
        Ok(Self { connection })
    }

    /// Calls back with what fits, newest first, until it is told to stop (`false`). Gives how far the index reached then.
    pub(super) fn each(
        &mut self,
        query: &Query,
        session: Option<i64>,
        mut found: impl FnMut(&Candidate) -> bool,
    ) -> rusqlite::Result<i64> {
        let snapshot = self.connection.transaction()?;
        let reaches = snapshot.query_row("SELECT value FROM meta WHERE name = 'reaches'", [], |row| row.get(0))?;
        let (sql, values) = statement(query, session);
        let mut statement = snapshot.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if !found(&Candidate { id: row.get(0)?, by: row.get(1)? }) {
                break;
            }
        }
        Ok(reaches)
    }
}

fn statement(query: &Query, session: Option<i64>) -> (String, Vec<Value>) {
    let (mut sql, mut values) = (String::new(), Vec::new());
    let mut add = |piece: &str, more: Vec<Value>| {
        sql.push_str(piece);
        values.extend(more);
    };
    if query.terms.is_empty() {
        add("SELECT d.id, d.by FROM docs d WHERE true", Vec::new());
    } else {
        let expressions: Vec<String> = query.terms.iter().map(Term::expression).collect();
        // The words lead, whatever the planner thinks: filters alone could walk through all there is.
        let sql = "SELECT d.id, d.by FROM words CROSS JOIN docs d ON d.id = words.rowid WHERE words MATCH ?";
        add(sql, vec![expressions.join(" AND ").into()]);
    }
    let place = if query.terms.is_empty() { "d.id" } else { "words.rowid" };
    if let Some(before) = query.before {
        add(&format!(" AND {place} < ?"), vec![before.into()]);
    }
    if let Some(session) = session {
        add(" AND d.session = ?", vec![session.into()]);
    }
    if !query.kinds.is_empty() {
        let kinds = query.kinds.iter().map(|kind| (*kind).to_owned().into()).collect::<Vec<_>>();
        add(&format!(" AND d.kind IN ({})", marks(kinds.len())), kinds);
    }
    if let Some(by) = &query.by {
        add(" AND d.by = ?", vec![by.clone().into()]);
    }
    if !query.outcomes.is_empty() {
        let outcomes = query.outcomes.iter().map(|outcome| outcome.as_str().to_owned().into()).collect::<Vec<_>>();
        let marks = marks(outcomes.len());
        add(&format!(" AND (SELECT outcome FROM ended WHERE ended.turn = d.turn) IN ({marks})"), outcomes);
    }
    if let Some(from) = query.from_ms {
        add(" AND d.time_ms >= ?", vec![from.into()]);
    }
    if let Some(to) = query.to_ms {
        add(" AND d.time_ms <= ?", vec![to.into()]);
    }
    add(&format!(" ORDER BY {place} DESC"), Vec::new());
    (sql, values)
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallMs;

    fn event(id: i64, kind: &str) -> Fed {
        let record = format!(r#"{{"kind":"{kind}","text":"word{id}"}}"#);
        Fed { id, session: 1, turn: 1, time: WallMs(id), kind: kind.to_owned(), asked_by: "ana".to_owned(), record }
    }

    #[test]
    fn a_redaction_outdates_what_was_made_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let (path, epoch) = (dir.path().join("search.db"), Epoch::random());
        let mut index = Index::open(&path, epoch, 5).unwrap();
        index.add(&[event(1, "text"), event(5, "redaction")]).unwrap();
        assert!(!index.is_outdated_by(&[event(5, "redaction"), event(6, "text")]));
        assert!(index.is_outdated_by(&[event(6, "text"), event(7, "redaction")]));
        drop(index);
        let again = Index::open(&path, epoch, 7).unwrap();
        assert_eq!((again.reaches, again.made_at), (5, 5));
        assert_eq!(Index::open(&path, Epoch::random(), 7).unwrap().made_at, 7);
        assert_eq!(Index::open(&path, epoch, 3).unwrap().reaches, 0, "of a log that is shorter");
    }
}
