//! Two verifiers that share no code agree on whatever is done to a history.

use super::history::{History, both};

/// A small generator, so that a failure can be run again: Knuth's MMIX constants.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Ways to change one value a little; `?` is a row of the table.
const CHANGES: [&str; 16] = [
    "UPDATE events SET record = replace(record, 'e', 'E') WHERE rowid = ?",
    "UPDATE events SET record = substr(record, 2) WHERE rowid = ?",
    "UPDATE events SET record = '[' || record || ']' WHERE rowid = ?",
    "UPDATE events SET record = '{}' WHERE rowid = ?",
    "UPDATE events SET record = record || ' ' WHERE rowid = ?",
    "UPDATE events SET salt = zeroblob(16) WHERE rowid = ?",
    "UPDATE events SET salt = zeroblob(15) WHERE rowid = ?",
    "UPDATE events SET salt = NULL WHERE rowid = ?",
    "UPDATE events SET commitment = zeroblob(32) WHERE rowid = ?",
    "UPDATE events SET commitment = NULL WHERE rowid = ?",
    "UPDATE events SET epoch = 77 WHERE rowid = ?",
    "UPDATE events SET kind = 'text ' WHERE rowid = ?",
    "UPDATE events SET seq = seq + 1000 WHERE rowid = ?",
    "UPDATE checkpoints SET note = replace(note, 'A', 'B') WHERE rowid = 1 + ? % (SELECT count(*) FROM checkpoints)",
    "UPDATE heads SET note = substr(note, 3) WHERE rowid = 1 + ? % (SELECT count(*) FROM heads)",
    "DELETE FROM heads WHERE rowid > 1 + ? % 3",
];

#[tokio::test]
async fn the_verifiers_agree_on_every_change() {
    let history = History::new().await;
    let rows: usize =
        history.edit().query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    let mut random = Random(5);
    for (number, change) in CHANGES.iter().cycle().take(2 * CHANGES.len()).enumerate() {
        let copy = history.gateway.data().join(format!("copy-{number}.db"));
        history.edit().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        let connection = rusqlite::Connection::open(&copy).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        let row = 1 + random.below(rows);
        connection.execute(change, [row as i64]).unwrap();
        drop(connection);
        let found = both(&history.gateway, &copy, &history.key, &[]).await;
        assert_ne!((found.status, change.starts_with("UPDATE events")), (0, true), "{change} with {row} was not found");
    }
}
