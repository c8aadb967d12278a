//! A database, as a file that anybody may have edited.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::heads::Heads;
use super::removals::Signed;
use super::report::{Finding, Report, Verdict};
use super::session::{Columns, Found, Session};
use super::{Pinned, VerifyError, gateway_origin, read_checkpoint, session_origin};
use crate::clock::WallMs;
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::note::Verifier;
use crate::evidence::removal;
use crate::ids::SessionId;

pub(super) fn verify(path: &Path, key: &Verifier, pinned: &Pinned) -> Result<Report, VerifyError> {
    let mut connection = open(path)?;
    let neither = |why: &dyn std::fmt::Display| VerifyError::NeitherNor {
        path: path.display().to_string(),
        why: format!(": {why}"),
    };
    // One snapshot: a gateway may be writing.
    let snapshot = connection.transaction().map_err(|error| neither(&error))?;
    let mut check = Check { connection: &snapshot, key, pinned, covered: 0, report: Report::default() };
    check.tables().map_err(|error| neither(&error))?;
    if let Err(error) = check.all() {
        // It began as a breakglass database, so what cannot be read in it was damaged.
        let message = format!("the database cannot be read: {error}");
        check.report.add(Finding { verdict: Verdict::Altered, check: "database", session: None, seq: None, message });
    }
    Ok(check.report)
}

fn open(path: &Path) -> Result<Connection, VerifyError> {
    let unreadable = |why: String| VerifyError::Unreadable { path: path.display().to_string(), why };
    std::fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    // Without a write-ahead file nobody writes, and the folder need not be writable.
    let immutable = if Path::new(&wal).exists() { "" } else { "?immutable=1" };
    let escaped: String = path.to_string_lossy().chars().map(escape).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{escaped}{immutable}"), flags);
    let connection = connection.map_err(|error| unreadable(error.to_string()))?;
    connection.pragma_update(None, "trusted_schema", false).map_err(|error| unreadable(error.to_string()))?;
    Ok(connection)
}

fn escape(c: char) -> String {
    match c {
        '%' => "%25".to_owned(),
        '?' => "%3f".to_owned(),
        '#' => "%23".to_owned(),
        c => c.to_string(),
    }
}

struct Check<'a> {
    connection: &'a Connection,
    key: &'a Verifier,
    pinned: &'a Pinned,
    /// How many checkpoints stand under a head of the gateway's own tree.
    covered: u64,
    report: Report,
}

impl Check<'_> {
    /// Whether this is a database with evidence at all.
    fn tables(&self) -> rusqlite::Result<()> {
        for table in ["sessions", "events", "epochs", "checkpoints", "heads"] {
            self.connection.prepare(&format!("SELECT 1 FROM {table} LIMIT 1"))?.query([])?.next()?;
        }
        Ok(())
    }

    fn all(&mut self) -> rusqlite::Result<()> {
        self.gateway()?;
        let mut names = self.connection.prepare("SELECT id, key FROM sessions ORDER BY key")?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            let (id, key): (String, i64) = (row.get(0)?, row.get(1)?);
            match id.parse() {
                Ok(id) => self.session(id, key)?,
                Err(_) => self.orphan(None, format!("`{id}` is no session")),
            }
        }
        self.gone()?;
        let homeless = "SELECT session, min(seq) FROM events WHERE session NOT IN (SELECT key FROM sessions)";
        let homeless: (Option<i64>, Option<i64>) =
            self.connection.query_row(homeless, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let (Some(_), seq) = homeless {
            self.orphan(seq.map(|seq| seq as u64), "there are records of no session".to_owned());
        }
        Ok(())
    }

    fn orphan(&mut self, seq: Option<u64>, message: String) {
        self.report.add(Finding { verdict: Verdict::Altered, check: "session", session: None, seq, message });
    }

    /// Sessions that have checkpoints, here or elsewhere, and are not there.
    fn gone(&mut self) -> rusqlite::Result<()> {
        let sql = "SELECT DISTINCT session FROM checkpoints WHERE session NOT IN (SELECT id FROM sessions)";
        let mut gone: Vec<String> =
            self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let prefixes = [session_origin(self.key), removal::prefix(self.key.name())];
        for checkpoint in &self.pinned.0 {
            let Some(id) = prefixes.iter().find_map(|prefix| checkpoint.origin.strip_prefix(prefix)) else { continue };
            let found = self.connection.query_row("SELECT 1 FROM sessions WHERE id = ?1", [id], |_| Ok(()));
            if found.optional()?.is_none() && !gone.iter().any(|known| known == id) {
                gone.push(id.to_owned());
            }
        }
        for id in gone {
            let session: Option<SessionId> = id.parse().ok();
            if let Some(session) = session
                && self.signed(session)?.check(self.covered, &mut self.report).is_some()
            {
                self.report.removed += 1;
                continue;
            }
            let message = format!("the session `{id}` was signed, and is not there");
            self.report.add(Finding { verdict: Verdict::Incomplete, check: "session", session, seq: Some(1), message });
        }
        Ok(())
    }

    /// What was signed of a session, here and elsewhere. What is not signed by the key is found.
    fn signed(&mut self, id: SessionId) -> rusqlite::Result<Signed> {
        let (head, removal) = (format!("{}{id}", session_origin(self.key)), removal::origin(self.key.name(), id));
        let mut signed = Signed::new(id);
        let sql = "SELECT id, size, note FROM checkpoints WHERE session = ?1 ORDER BY id";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([id.to_string()])?;
        while let Some(row) = rows.next()? {
            let (number, size, note): (i64, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            match read(self.key, &note, &removal, size) {
                Ok(checkpoint) => signed.removal(number, checkpoint),
                Err(_) => match read(self.key, &note, &head, size) {
                    Ok(checkpoint) => signed.head(number, checkpoint),
                    Err(why) => {
                        let message = format!("the checkpoint at {size}: {why}");
                        let (verdict, session) = (Verdict::Altered, Some(id));
                        self.report.add(Finding { verdict, check: "signature", session, seq: None, message });
                    }
                },
            }
        }
        self.pinned.of(&head).for_each(|checkpoint| signed.pinned(checkpoint.clone()));
        if self.pinned.of(&removal).next().is_some() {
            signed.removal_pinned();
        }
        Ok(signed)
    }

    fn gateway(&mut self) -> rusqlite::Result<()> {
        let (key, origin) = (self.key, gateway_origin(self.key));
        let mut heads = Heads::new(&mut self.report);
        let mut statement = self.connection.prepare("SELECT size, note FROM heads ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (size, note): (i64, String) = (row.get(0)?, row.get(1)?);
            match read(key, &note, &origin, size) {
                Ok(checkpoint) => heads.expect(&checkpoint, false),
                Err(why) => heads.note(Some(size as u64), "signature", why),
            }
        }
        for checkpoint in self.pinned.of(&origin) {
            heads.expect(checkpoint, true);
        }
        let mut statement = self.connection.prepare("SELECT id, note FROM checkpoints ORDER BY id")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            heads.take(row.get(0)?, row.get_ref(1)?.as_str()?);
        }
        self.covered = heads.finish();
        Ok(())
    }

    fn session(&mut self, id: SessionId, session_key: i64) -> rusqlite::Result<()> {
        let signed = self.signed(id)?;
        let removed = signed.check(self.covered, &mut self.report);
        let sql = "SELECT e.seq, e.record, p.id, e.salt, e.commitment, e.kind, e.time_ms FROM events e
                   LEFT JOIN epochs p ON p.key = e.epoch WHERE e.session = ?1 ORDER BY e.seq";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([session_key])?;
        let mut next = rows.next()?;
        if removed.is_some() && next.is_none() {
            self.report.removed += 1;
            return Ok(());
        }
        let mut session = Session::new(id, &mut self.report);
        signed.heads().for_each(|(checkpoint, pinned)| session.expect(checkpoint, pinned));
        while let Some(row) = next {
            match take(&mut session, row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    session.unreadable(&error);
                    break;
                }
            }
            next = rows.next()?;
        }
        match removed {
            None => session.finish(),
            Some(size) => {
                let left = session.finish_removed(size);
                self.left_of_removed(id, size, left);
            }
        }
        Ok(())
    }

    /// A session whose removal was signed has records.
    fn left_of_removed(&mut self, id: SessionId, size: u64, left: u64) {
        let (verdict, seq, message) = if left > size {
            (Verdict::Altered, size + 1, format!("it was removed at {size} records, and others follow"))
        } else {
            let message = format!("its removal is not finished: {left} of its {size} records are there (again)");
            (Verdict::Incomplete, 1, message)
        };
        self.report.add(Finding { verdict, check: "session", session: Some(id), seq: Some(seq), message });
    }
}

fn take(session: &mut Session<'_>, row: &Row<'_>) -> rusqlite::Result<bool> {
    let epoch: String = row.get(2)?;
    let epoch = epoch.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
    let found = Found {
        seq: row.get::<_, i64>(0)? as u64,
        record: row.get_ref(1)?.as_str()?.as_bytes(),
        epoch,
        salt: row.get(3)?,
        commitment: row.get(4)?,
    };
    let columns = Columns { kind: row.get(5)?, time: WallMs(row.get(6)?).rfc3339() };
    Ok(session.take(&found, Some(&columns)))
}

/// A checkpoint of this tree and this size, signed by the key; else what is wrong with it.
fn read(key: &Verifier, note: &str, origin: &str, size: i64) -> Result<Checkpoint, String> {
    let checkpoint = read_checkpoint(key, note, origin)?;
    if checkpoint.size != size as u64 {
        return Err(format!("it is one at {}", checkpoint.size));
    }
    Ok(checkpoint)
}
