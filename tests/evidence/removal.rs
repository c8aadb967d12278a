//! Sessions that went because their time was over: proved when it is so, and found when it only seems so.

use breakglass::evidence::checkpoint::Checkpoint;
use breakglass::evidence::note::Signer;
use breakglass::evidence::removal;

use super::bundle::take;
use super::history::{History, Verdict, both};
use crate::support::gateway::Gateway;
use crate::support::viewer::Viewer;
use crate::support::wait::eventually;

const PROVED: Verdict = Verdict { status: 0, findings: Vec::new() };
const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1_000;

/// A history in which the first session's time is over at the next start.
async fn aged() -> History {
    let history = History::with(Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_DAYS", "30")).await;
    history.sql(&format!("UPDATE sessions SET last_activity_ms = last_activity_ms - {YEAR_MS} WHERE key = 1"));
    history
}

/// The same, after it has gone.
async fn removed() -> History {
    let mut history = aged().await;
    history.gateway.restart().await;
    wait(&history, "SELECT cleared FROM sessions WHERE key = 1").await;
    history.gateway.terminate().await;
    history
}

/// Waits until a query gives a truth.
async fn wait(history: &History, sql: &str) {
    let look = || history.edit().query_row(sql, [], |row| row.get::<_, bool>(0)).ok().filter(|truth| *truth);
    eventually(sql, || look().map(|_| ())).await;
}

fn copy(history: &History) -> std::path::PathBuf {
    let copy = history.gateway.data().with_file_name("copy.db");
    history.edit().execute("VACUUM INTO ?1", [copy.to_str().expect("text")]).expect("a copy");
    copy
}

fn put_back(history: &History, copy: &std::path::Path) {
    for name in ["breakglass.db", "breakglass.db-wal", "breakglass.db-shm"] {
        let _absent = std::fs::remove_file(history.gateway.data().join(name));
    }
    history.put_in_place(copy);
}

/// The newest checkpoint of the first session, as it was signed.
fn newest(history: &History) -> Checkpoint {
    let sql = "SELECT note FROM checkpoints WHERE session = ?1 ORDER BY size DESC, id LIMIT 1";
    let note: String = history.edit().query_row(sql, [&history.session], |row| row.get(0)).expect("a note");
    Checkpoint::parse(note.split("\n\n").next().map(|text| format!("{text}\n")).expect("text").as_str()).expect("one")
}

/// Takes the first session away as an intruder does, and puts a removal in its place that says that it had this head.
fn fake(history: &History, signer: &Signer, head: &Checkpoint) {
    let origin = removal::origin(signer.verifier().name(), history.session.parse().expect("an id"));
    let text = Checkpoint { origin, ..head.clone() }.text();
    let note = signer.sign(&format!("{text}time 2026-11-21T03:14:15.926Z\nreason age\n"));
    let of = "session = 1";
    history.sql(&format!(
        "DELETE FROM events WHERE {of}; DELETE FROM turns WHERE {of}; DELETE FROM sessions WHERE key = 1"
    ));
    let add = "INSERT INTO checkpoints (session, size, note) VALUES (?1, ?2, ?3)";
    history.edit().execute(add, (&history.session, head.size as i64, note)).expect("writable");
}

fn own_key(history: &History) -> Signer {
    let secret = std::fs::read_to_string(history.gateway.data().join("signing-key")).expect("the key");
    secret.trim().parse().expect("a key")
}

#[tokio::test]
async fn an_honest_removal_proves_with_what_was_kept_before_and_after_it() {
    let mut history = aged().await;
    assert_eq!(history.verify().await, PROVED);
    let before = history.notes();
    history.gateway.restart().await;
    wait(&history, "SELECT cleared FROM sessions WHERE key = 1").await;
    history.gateway.terminate().await;
    let left: i64 = history
        .edit()
        .query_row("SELECT count(*) FROM events WHERE session = 1", [], |row| row.get(0))
        .expect("a number");
    assert_eq!(left, 0);
    assert_eq!(history.verify().await, PROVED);
    assert_eq!(history.verify_pinned(&before).await, PROVED);
    assert_eq!(history.verify_pinned(&history.notes()).await, PROVED);
    // A bundle of the other session stands under the tree that has the removal in it.
    history.gateway.restart().await;
    let bundle = history.gateway.data().with_file_name("bundle.zip");
    std::fs::write(&bundle, take(&history.gateway.http(), &history.other).await).expect("writable");
    assert_eq!(both(&history.gateway, &bundle, &history.key, &[]).await, PROVED);
    history.gateway.terminate().await;
    // The journal has the removal too.
    assert!(history.gateway.log().contains(&format!("/removed/{}|", history.session)));
    let key = history.gateway.data().with_file_name("key.txt");
    std::fs::write(&key, &history.key).expect("writable");
    let data = history.gateway.data().display().to_string();
    let said = history.gateway.cli(&["verify", &data, "--key", key.to_str().expect("text")]).await;
    assert!(said.contains("1 sessions, ") && said.contains("; 1 sessions were removed by retention"), "{said}");
}

#[tokio::test]
async fn a_removal_by_another_key_is_not_believed() {
    let history = History::new().await;
    let name = own_key(&history).verifier().name().to_owned();
    let other = Signer::new(&name, &[7; 32]).expect("a key");
    fake(&history, &other, &newest(&history));
    let session = &history.session;
    let findings =
        vec![format!("ALTERED signature session {session}"), format!("INCOMPLETE session session {session} seq 1")];
    assert_eq!(history.verify().await, Verdict { status: 1, findings });
}

#[tokio::test]
async fn a_removal_covers_all_that_was_signed_and_stands_in_the_gateways_tree() {
    let history = History::new().await;
    let signer = own_key(&history);
    let before = copy(&history);
    let whole = newest(&history);
    // One from before the last turn.
    let sql = "SELECT note FROM checkpoints WHERE session = ?1 ORDER BY size LIMIT 1";
    let first: String = history.edit().query_row(sql, [&history.session], |row| row.get(0)).expect("a note");
    let first = Checkpoint::parse(signer.verifier().open(&first).expect("ours")).expect("a checkpoint");
    fake(&history, &signer, &first);
    let finding = format!("ALTERED session session {} seq {}", history.session, first.size + 1);
    assert_eq!(history.verify().await, Verdict { status: 1, findings: vec![finding] });
    // One of other records.
    put_back(&history, &before);
    fake(&history, &signer, &Checkpoint { root: [9; 32], ..whole.clone() });
    let finding = format!("ALTERED session session {} seq 1", history.session);
    assert_eq!(history.verify().await, Verdict { status: 1, findings: vec![finding] });
    // One that is right, but under no head: the gateway never takes a record away before that.
    put_back(&history, &before);
    fake(&history, &signer, &whole);
    let finding = format!("INCOMPLETE session session {} seq 1", history.session);
    assert_eq!(history.verify().await, Verdict { status: 2, findings: vec![finding] });
}

#[tokio::test]
async fn a_session_that_is_gone_without_its_removal_is_found() {
    let history = removed().await;
    let (session, notes) = (history.session.clone(), history.notes());
    let number: i64 = history
        .edit()
        .query_row("SELECT removal FROM sessions WHERE key = 1", [], |row| row.get(0))
        .expect("its number");
    history.sql(&format!("DELETE FROM checkpoints WHERE id = {number}"));
    let truncated = format!("INCOMPLETE truncated session {session} seq 1");
    let findings = vec![format!("INCOMPLETE heads gateway seq {number}"), truncated.clone()];
    assert_eq!(history.verify().await, Verdict { status: 2, findings });
    // With the heads that covered it: still nothing says that it may be gone.
    history.sql(&format!("DELETE FROM heads WHERE size >= {number}"));
    assert_eq!(history.verify().await, Verdict { status: 2, findings: vec![truncated] });
    history.sql("DELETE FROM turns WHERE session = 1; DELETE FROM sessions WHERE key = 1");
    let gone = format!("INCOMPLETE session session {session} seq 1");
    assert_eq!(history.verify().await, Verdict { status: 2, findings: vec![gone.clone()] });
    let found = history.verify_pinned(&notes).await;
    assert!(found.status == 2 && found.findings.contains(&gone), "{found:?}");
    assert!(found.findings.contains(&format!("INCOMPLETE pinned session {session} seq 1")), "{found:?}");
}

#[tokio::test]
async fn a_removed_session_that_is_there_again_is_found_and_not_signed() {
    let mut history = aged().await;
    let before = copy(&history);
    history.gateway.restart().await;
    wait(&history, "SELECT cleared FROM sessions WHERE key = 1").await;
    history.gateway.terminate().await;
    let (session, notes, last) = (history.session.clone(), history.notes(), newest(&history).size);
    // Its records, put back behind the removal: whole, one more, in part, and one of them another.
    let records = |which: &str| {
        let from = before.display();
        history.sql(&format!(
            "ATTACH '{from}' AS old; DELETE FROM events WHERE session = 1;
             INSERT INTO events SELECT * FROM old.events WHERE session = 1 AND {which}; DETACH old"
        ));
    };
    let again = Verdict { status: 2, findings: vec![format!("INCOMPLETE session session {session} seq 1")] };
    records("true");
    assert_eq!(history.verify().await, again);
    records("seq < 4");
    assert_eq!(history.verify().await, again);
    history.sql("UPDATE events SET record = replace(record, 'hello', 'hullo') WHERE session = 1");
    let found = history.verify().await;
    assert!(found.status == 1 && found.findings[0].starts_with("ALTERED record session"), "{found:?}");
    records("true");
    history.sql(&format!(
        "INSERT INTO events (session, seq, time_ms, turn, kind, record, epoch, salt, commitment)
         SELECT session, {last} + 1, time_ms, turn, kind, record, epoch, salt, commitment FROM events
         WHERE session = 1 AND seq = {last}"
    ));
    let found = history.verify().await;
    let finding = format!("ALTERED session session {session} seq {}", last + 1);
    assert!(found.status == 1 && found.findings.contains(&finding), "{found:?}");

    // An older copy of all of it: whoever kept the newer notes sees it, and the gateway raises an alarm.
    put_back(&history, &before);
    assert_eq!(history.verify().await, PROVED, "by itself it is a whole history");
    let found = history.verify_pinned(&notes).await;
    assert!(found.findings.contains(&format!("INCOMPLETE pinned session {session} seq 1")), "{found:?}");
    history.sql(&format!("UPDATE sessions SET last_activity_ms = last_activity_ms + {YEAR_MS} WHERE key = 1"));
    history.gateway.restart().await;
    eventually("an alarm", || history.gateway.log().contains("and is there again").then_some(())).await;
    let mut viewer = Viewer::connect(&history.gateway).await;
    viewer.attach(&session, 0).await;
    let end = viewer.turn(&session, "[[text:goes on]]").await.last().expect("its end").seq();
    drop(viewer);
    history.gateway.terminate().await;
    let sql = "SELECT max(size) FROM checkpoints WHERE session = ?1";
    let signed: i64 = history.edit().query_row(sql, [&session], |row| row.get(0)).expect("a size");
    assert!((signed as u64) < end, "it was signed again");
}

#[tokio::test]
async fn a_removal_that_is_broken_off_is_finished_at_the_next_start() {
    let mut history = aged().await;
    // Its records go from the newest back, and not beyond the fourth: as if the gateway were killed there.
    history.sql(
        "CREATE TRIGGER stop BEFORE DELETE ON events WHEN old.seq = 4 BEGIN SELECT RAISE(ABORT, 'not yet'); END;
         UPDATE sessions SET last_activity_ms = last_activity_ms",
    );
    history.gateway.restart().await;
    let refused = || history.gateway.log().contains("something of a removed session is left").then_some(());
    eventually("the removal to be held up", refused).await;
    let session = history.gateway.http().get(&format!("/api/sessions/{}", history.session)).await;
    assert_eq!(session.error_code(), "not_found", "it is hidden from its first moment");
    history.gateway.kill_9().await;
    // As a killed gateway may leave it: the half of it gone, and the removal not remembered outside yet.
    history.sql("DROP TRIGGER stop; DELETE FROM events WHERE session = 1 AND seq > 5");
    let findings = vec![format!("INCOMPLETE session session {} seq 1", history.session)];
    assert_eq!(history.verify().await, Verdict { status: 2, findings });
    assert_eq!(removals_said(&history).await, 1);
    history.gateway.restart().await;
    wait(&history, "SELECT cleared FROM sessions WHERE key = 1").await;
    history.gateway.terminate().await;
    assert_eq!(history.verify().await, PROVED);
    assert_eq!(removals_said(&history).await, 1, "it is written down once");
    assert!(!history.gateway.log().contains("ALARM"), "{}", history.gateway.log());
}

async fn removals_said(history: &History) -> usize {
    history.gateway.cli(&["retention"]).await.lines().filter(|line| line.contains("\tsession-removed\t")).count()
}

#[tokio::test]
async fn a_gateway_that_is_killed_at_any_moment_of_a_removal_leaves_what_can_be_proved() {
    for delay_ms in [0, 2, 5, 10, 20] {
        let mut history = aged().await;
        history.gateway.restart().await;
        // From the commit that hides it on; what comes before it is one transaction.
        wait(&history, "SELECT removal IS NOT NULL FROM sessions WHERE key = 1").await;
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        history.gateway.kill_9().await;
        let found = history.verify().await;
        // Not finished; at first not under a head of the gateway's own tree yet either.
        let unfinished = format!("INCOMPLETE session session {} seq 1", history.session);
        assert!([0, 2].contains(&found.status) && found.findings.iter().all(|one| *one == unfinished), "{found:?}");
        history.gateway.restart().await;
        wait(&history, "SELECT cleared FROM sessions WHERE key = 1").await;
        history.gateway.terminate().await;
        assert_eq!(history.verify().await, PROVED);
        assert_eq!(removals_said(&history).await, 1);
        assert!(!history.gateway.log().contains("ALARM"), "{}", history.gateway.log());
    }
}

#[tokio::test]
async fn a_session_that_was_edited_stays_as_evidence() {
    for edit in [
        "UPDATE events SET record = replace(record, 'hello', 'hullo') WHERE session = 1 AND kind = 'text'",
        "UPDATE events SET commitment = zeroblob(32) WHERE session = 1 AND seq = 2",
        "DELETE FROM events WHERE session = 1 AND seq = (SELECT max(seq) FROM events WHERE session = 1)",
    ] {
        let mut history = aged().await;
        history.sql(edit);
        history.gateway.restart().await;
        eventually("an alarm", || history.gateway.log().contains("whose time is over stays").then_some(())).await;
        assert!(history.gateway.log().contains("ALARM"));
        let session = history.gateway.http().get(&format!("/api/sessions/{}", history.session)).await;
        assert_eq!(session.status, 200);
        history.gateway.terminate().await;
        let found = history.verify().await;
        assert_ne!(found.status, 0, "{edit}");
        assert_eq!(history.gateway.cli(&["retention"]).await, "");
    }
}

/// Ways to change what stands of a removal; `?` is its number.
const CHANGES: [&str; 14] = [
    "UPDATE checkpoints SET size = size + 1 WHERE id = ?",
    "UPDATE checkpoints SET size = -1 WHERE id = ?",
    "UPDATE checkpoints SET session = (SELECT id FROM sessions WHERE key = 2) WHERE id = ?",
    "UPDATE checkpoints SET note = replace(note, '/removed/', '/sessions/') WHERE id = ?",
    "UPDATE checkpoints SET note = replace(note, 'reason age', 'reason agf') WHERE id = ?",
    "UPDATE checkpoints SET note = (SELECT note FROM checkpoints first WHERE first.id = 1) WHERE id = ?",
    "UPDATE checkpoints SET note = '' WHERE id = ?",
    "DELETE FROM checkpoints WHERE id >= ?",
    "DELETE FROM checkpoints WHERE id < ?",
    "INSERT INTO checkpoints SELECT id + 1, session, size, note FROM checkpoints WHERE id = ?",
    "INSERT INTO checkpoints SELECT ? + 1, session, size, note FROM checkpoints WHERE id = 1",
    "DELETE FROM heads WHERE size >= ?",
    "DELETE FROM sessions WHERE removal = ?",
    "UPDATE events SET session = (SELECT key FROM sessions WHERE removal = ?)",
];

#[tokio::test]
async fn the_verifiers_agree_on_every_change_of_a_removal() {
    let history = removed().await;
    let sql = "SELECT removal FROM sessions WHERE key = 1";
    let number: i64 = history.edit().query_row(sql, [], |row| row.get(0)).expect("its number");
    for (index, change) in CHANGES.iter().enumerate() {
        let copy = history.gateway.data().join(format!("copy-{index}.db"));
        history.edit().execute("VACUUM INTO ?1", [copy.to_str().expect("text")]).expect("a copy");
        let connection = rusqlite::Connection::open(&copy).expect("the copy");
        connection.pragma_update(None, "foreign_keys", false).expect("a pragma can be set");
        assert!(connection.execute(change, [number]).expect("the SQL runs") > 0, "{change}");
        drop(connection);
        let found = both(&history.gateway, &copy, &history.key, &[]).await;
        // Without its row a removed session is as gone as it may be.
        assert_eq!(found.status == 0, change.starts_with("DELETE FROM sessions"), "{change}: {found:?}");
    }
}
