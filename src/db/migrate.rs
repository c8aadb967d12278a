//! Embedded migrations: forward only, each in its own transaction, counted in `user_version`.
//!
//! Invariant: a database that is newer than the program is refused before anything is written to it.

use rusqlite::{Connection, TransactionBehavior};

use super::error::OpenError;

const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_init.sql"),
    include_str!("../../migrations/0002_doors.sql"),
    include_str!("../../migrations/0003_evidence.sql"),
    include_str!("../../migrations/0005_keep.sql"),
    include_str!("../../migrations/0006_removal.sql"),
    include_str!("../../migrations/0007_origin.sql"),
];

/// The schema version that this program writes.
const KNOWN: i64 = MIGRATIONS.len() as i64;

pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let failed = |version: i64| move |source| OpenError::Migration { version, source };
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed(0))?;
    if found > KNOWN {
        return Err(OpenError::Newer { found, known: KNOWN });
    }
    for (version, sql) in (1i64..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed(version))?;
        // Another process may have been faster (two `breakglass token add` on a new folder).
        let now: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed(version))?;
        if now >= version {
            continue;
        }
        transaction.execute_batch(sql).map_err(failed(version))?;
        transaction.pragma_update(None, "user_version", version).map_err(failed(version))?;
        transaction.commit().map_err(failed(version))?;
    }
    Ok(())
}
