//! The tamper matrix: each case is found, by both verifiers, at the seq where it begins.

use breakglass::evidence::leaf;
use breakglass::evidence::tree::Frontier;
use rusqlite::Connection;

use super::history::{History, Verdict, both};

fn altered(check: &str, session: &str, seq: u64) -> Verdict {
    Verdict { status: 1, findings: vec![format!("ALTERED {check} session {session} seq {seq}")] }
}

fn incomplete(check: &str, session: &str, seq: u64) -> Verdict {
    Verdict { status: 2, findings: vec![format!("INCOMPLETE {check} session {session} seq {seq}")] }
}

const PROVED: Verdict = Verdict { status: 0, findings: Vec::new() };

/// The part of a query that names the first session.
const OF: &str = "session = (SELECT min(key) FROM sessions)";

/// Makes commitments and tree fit the records again, as somebody would who knows how all of it works, but has no key.
pub(super) fn reseal(connection: &Connection, session: &str) {
    let mut tree = Frontier::default();
    for (seq, record, salt, epoch) in rows(connection) {
        let salt = salt.unwrap_or([9; 16]);
        let commitment = leaf::commitment(&salt, record.as_bytes());
        let id = session.parse().unwrap();
        tree.push(leaf::of_record(epoch.parse().unwrap(), id, breakglass::ids::Seq(seq as u64), &commitment));
        let sql = format!("UPDATE events SET salt = ?2, commitment = ?3 WHERE {OF} AND seq = ?1");
        connection.execute(&sql, (seq, salt, commitment)).unwrap();
    }
    let sql = "UPDATE sessions SET tree = ?1, tree_size = ?2, head = ?2 WHERE id = ?3";
    connection.execute(sql, (tree.as_bytes(), tree.size() as i64, session)).unwrap();
}

type Row = (i64, String, Option<[u8; 16]>, String);

fn rows(connection: &Connection) -> Vec<Row> {
    let sql = format!(
        "SELECT seq, record, salt, coalesce(p.id, (SELECT id FROM epochs)) FROM events
         LEFT JOIN epochs p ON p.key = epoch WHERE {OF} ORDER BY seq"
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn an_untouched_history_is_proved_at_rest_and_with_its_own_notes_pinned() {
    let history = History::new().await;
    assert_eq!(history.verify().await, PROVED);
    assert_eq!(history.verify_pinned(&history.notes()).await, PROVED);
    // As the journal has them.
    let journal: String =
        history.gateway.log().lines().filter(|line| line.contains("anchor")).collect::<Vec<_>>().join("\n");
    assert!(journal.contains("/sessions/") && journal.contains("/heads"), "{journal}");
    assert_eq!(history.verify_pinned(&journal).await, PROVED);
    // The file alone, and one that cannot be written to.
    assert_eq!(both(&history.gateway, &history.database(), &history.key, &[]).await, PROVED);
}

#[tokio::test]
async fn edited_text_is_found_where_it_stands() {
    let history = History::new().await;
    let seq = history.seqs("text")[1];
    let edit = format!("UPDATE events SET record = replace(record, 'is full', 'is fine') WHERE {OF} AND seq = {seq}");
    history.sql(&edit);
    assert_eq!(history.verify().await, altered("record", &history.session, seq));
    // Whoever makes everything else fit has no signature for it: found in the turn where it stands.
    reseal(&history.edit(), &history.session);
    let turn = history.seqs("user")[1];
    assert_eq!(history.verify().await, altered("root", &history.session, turn));
}

#[tokio::test]
async fn an_edited_envelope_is_found() {
    let history = History::new().await;
    let seq = history.seqs("user")[1];
    history.sql(&format!(
        "UPDATE events SET record = replace(record, '\"by\":\"first\"', '\"by\":\"other\"') WHERE {OF} AND seq = {seq}"
    ));
    assert_eq!(history.verify().await, altered("record", &history.session, seq));
    let history = History::new().await;
    history.sql(&format!("UPDATE events SET time_ms = time_ms - 60000 WHERE {OF} AND seq = 2"));
    assert_eq!(history.verify().await, altered("envelope", &history.session, 2));
}

#[tokio::test]
async fn swapped_records_are_found() {
    let history = History::new().await;
    let swap = |columns: &[&str]| {
        let set: Vec<String> = columns
            .iter()
            .map(|name| format!("{name} = (SELECT o.{name} FROM events o WHERE o.{OF} AND o.seq = 5 - events.seq)"))
            .collect();
        format!("UPDATE events SET {} WHERE {OF} AND seq IN (2, 3)", set.join(", "))
    };
    history.sql(&swap(&["record"]));
    let found = history.verify().await;
    assert_eq!((found.status, &found.findings[0]), (1, &format!("ALTERED record session {} seq 2", history.session)));
    let history = History::new().await;
    history.sql(&swap(&["record", "salt", "commitment", "kind", "time_ms"]));
    let found = history.verify().await;
    assert_eq!((found.status, &found.findings[0]), (1, &format!("ALTERED envelope session {} seq 2", history.session)));
}

#[tokio::test]
async fn a_record_deleted_in_the_middle_is_found() {
    let history = History::new().await;
    history.sql(&format!("DELETE FROM events WHERE {OF} AND seq = 3"));
    assert_eq!(history.verify().await, altered("sequence", &history.session, 3));
    // Closing the gap changes what follows.
    history.sql(&format!("UPDATE events SET seq = seq - 1 WHERE {OF} AND seq > 3"));
    let found = history.verify().await;
    assert_eq!((found.status, &found.findings[0]), (1, &format!("ALTERED envelope session {} seq 3", history.session)));
}

#[tokio::test]
async fn a_log_cut_short_is_found() {
    let history = History::new().await;
    let last = *history.seqs("turn_end").last().unwrap();
    history.sql(&format!("DELETE FROM events WHERE {OF} AND seq > {}", last - 2));
    reseal(&history.edit(), &history.session);
    assert_eq!(history.verify().await, incomplete("truncated", &history.session, last - 1));
}

#[tokio::test]
async fn a_deleted_session_is_found() {
    let history = History::new().await;
    let gone = format!(
        "DELETE FROM events WHERE {OF}; DELETE FROM turns WHERE {OF}; DELETE FROM sessions WHERE id = '{}';",
        history.session
    );
    history.sql(&gone);
    assert_eq!(history.verify().await, incomplete("session", &history.session, 1));
    // Its checkpoints with it: then the gateway's own tree has a hole.
    history.sql(&format!("DELETE FROM checkpoints WHERE session = '{}'", history.session));
    let found = Verdict { status: 1, findings: vec!["ALTERED checkpoints gateway seq 1".to_owned()] };
    assert_eq!(history.verify().await, found);
    // And closing that hole makes it another tree.
    history.sql("UPDATE checkpoints SET id = (SELECT count(*) FROM checkpoints o WHERE o.id <= checkpoints.id)");
    let found = history.verify().await;
    assert_eq!((found.status, found.findings[0].as_str()), (1, "ALTERED heads gateway seq 1"));
}

#[tokio::test]
async fn a_forged_event_is_not_proved() {
    let history = History::new().await;
    let last = *history.seqs("turn_end").last().unwrap();
    let add = format!(
        "INSERT INTO events (session, seq, time_ms, turn, kind, record, epoch)
         SELECT session, seq + 1, time_ms, turn, kind, replace(record, '\"seq\":{last}', '\"seq\":{}'), epoch
         FROM events WHERE {OF} AND seq = {last}",
        last + 1
    );
    history.sql(&add);
    assert_eq!(history.verify().await.status, 1, "without a seal");
    reseal(&history.edit(), &history.session);
    assert_eq!(history.verify().await, incomplete("unsigned", &history.session, last + 1));
}

#[tokio::test]
async fn an_older_copy_and_another_history_are_found_by_what_was_kept_elsewhere() {
    let mut history = History::new().await;
    let data = history.gateway.data();
    let copy = data.with_file_name("copy.db");
    let older = history.edit();
    older.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    drop(older);
    turn(&mut history, "[[text:newer]]").await;
    let notes = history.notes();
    let put_back = |history: &History| {
        for name in ["breakglass.db", "breakglass.db-wal", "breakglass.db-shm"] {
            let _absent = std::fs::remove_file(history.gateway.data().join(name));
        }
        history.put_in_place(&copy);
    };
    let signed = *history.seqs("turn_end").last().unwrap();
    put_back(&history);
    assert_eq!(history.verify().await, PROVED, "by itself it is a whole history");
    let older = *history.seqs("turn_end").last().unwrap();
    let found = history.verify_pinned(&notes).await;
    assert_eq!((found.status, older < signed), (2, true));
    assert!(
        found.findings.contains(&format!("INCOMPLETE pinned session {} seq {}", history.session, older + 1)),
        "{found:?}"
    );
    // Another history from there, by somebody who has the key and wipes the signer's memory.
    std::fs::remove_dir_all(data.join("signed")).unwrap();
    turn(&mut history, "[[text:another]]").await;
    assert_eq!(history.verify().await, PROVED);
    let found = history.verify_pinned(&notes).await;
    assert_eq!(found.status, 1);
    assert!(
        found.findings.contains(&format!("ALTERED pinned session {} seq {}", history.session, older + 1)),
        "{found:?}"
    );
}

/// One more turn in the first session, by a gateway that is started for it.
async fn turn(history: &mut History, text: &str) {
    history.gateway.restart().await;
    let mut viewer = crate::support::viewer::Viewer::connect(&history.gateway).await;
    viewer.attach(&history.session, 0).await;
    viewer.turn(&history.session, text).await;
    drop(viewer);
    history.gateway.terminate().await;
}

#[tokio::test]
async fn what_another_key_signed_is_not_believed() {
    let mut history = History::new().await;
    let data = history.gateway.data();
    std::fs::remove_file(data.join("signing-key")).unwrap();
    std::fs::remove_dir_all(data.join("signed")).unwrap();
    history.sql("DELETE FROM checkpoints; DELETE FROM heads; UPDATE sessions SET signed_size = 0;");
    turn(&mut history, "[[text:forged]]").await;
    let found = history.verify().await;
    assert_eq!(found.status, 1);
    assert!(found.findings.contains(&format!("ALTERED signature session {}", history.session)), "{found:?}");
    assert!(found.findings.contains(&format!("ALTERED signature session {}", history.other)), "{found:?}");
    // And a key that signed nothing here is none that proves anything.
    let key = history.gateway.cli(&["key"]).await;
    assert_eq!(both(&history.gateway, &data, key.trim(), &[]).await.status, 0, "by its own key it is whole");
}

#[tokio::test]
async fn content_that_is_gone_without_a_redaction_is_found() {
    let history = History::new().await;
    let seq = history.seqs("text")[0];
    let stub = "json_set(json_remove(record, '$.text'), '$.redacted', json('true'))";
    history.sql(&format!("UPDATE events SET salt = NULL, record = {stub} WHERE {OF} AND seq = {seq}"));
    assert_eq!(history.verify().await, altered("redaction", &history.session, seq));
    history.sql(&format!("UPDATE events SET record = json_remove(record, '$.redacted') WHERE {OF} AND seq = {seq}"));
    assert_eq!(history.verify().await, altered("record", &history.session, seq));
}

#[tokio::test]
async fn what_is_no_history_ends_with_3() {
    let history = History::new().await;
    let nothing = Verdict { status: 3, findings: Vec::new() };
    let text = history.gateway.data().join("text");
    std::fs::write(&text, "not a database, and not a bundle either".repeat(100)).unwrap();
    assert_eq!(both(&history.gateway, &text, &history.key, &[]).await, nothing);
    let absent = history.gateway.data().join("absent");
    assert_eq!(both(&history.gateway, &absent, &history.key, &[]).await, nothing);
    let empty = history.gateway.data().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE events (x)").unwrap();
    assert_eq!(both(&history.gateway, &empty, &history.key, &[]).await, nothing);
    assert_eq!(both(&history.gateway, &history.database(), "nonsense", &[]).await, nothing);
    history.sql(
        "DELETE FROM events; DELETE FROM turns; DELETE FROM sessions; DELETE FROM checkpoints; DELETE FROM heads;",
    );
    let wiped = Verdict { status: 2, findings: vec!["INCOMPLETE heads gateway".to_owned()] };
    assert_eq!(history.verify().await, wiped, "nothing at all is not proof of anything");
}
