//! What the gateway signs, when, and when it refuses.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rusqlite::Connection;

use super::history::{History, Verdict};
use super::tamper::reseal;
use crate::support::agent::FakeAgent;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use crate::support::wait::eventually;

fn sizes(database: &std::path::Path, session: &str) -> Vec<i64> {
    let connection = Connection::open(database).expect("the database opens");
    let sql = "SELECT size FROM checkpoints WHERE session = ?1 ORDER BY id";
    let mut statement = connection.prepare(sql).expect("the SQL is right");
    let sizes = statement.query_map([session], |row| row.get(0)).expect("it can be read");
    sizes.map(|size| size.expect("a number")).collect()
}

#[tokio::test]
async fn every_turn_ends_under_a_checkpoint_and_long_ones_get_them_on_the_way() {
    let mut scene = Scene::drill().await;
    let database = scene.gateway.data().join("breakglass.db");
    let first = scene.viewer.turn(&scene.session, "[[text:hello]]").await.last().unwrap().seq() as i64;
    let checkpoint = format!("/api/sessions/{}/checkpoint", scene.session);
    eventually("the turn's checkpoint", || (sizes(&database, &scene.session) == [first]).then_some(())).await;
    // Whoever may read may pin it.
    let vic = scene.gateway.add_token("vic", "viewer").await;
    let note = Http::new(scene.gateway.address(), Some(&vic)).get(&checkpoint).await;
    let lines: Vec<&str> = note.text().lines().collect();
    assert!(lines[0].ends_with(&format!("/sessions/{}", scene.session)) && lines[1] == first.to_string(), "{lines:?}");
    let empty = scene.viewer.open_session("drill").await;
    let none = scene.gateway.http().get(&format!("/api/sessions/{empty}/checkpoint")).await;
    assert_eq!(none.error_code(), "not_found", "{}", none.text());

    let agent =
        FakeAgent::shell("init; i=0; while [ $i -lt 2500 ]; do i=$((i + 1)); text $i; done; wait_gate go; result done");
    let mut long = Scene::with(&agent).await;
    let database = long.gateway.data().join("breakglass.db");
    let accepted = long.viewer.prompt(&long.session, "go").await;
    let in_the_middle = || (sizes(&database, &long.session) == [1000, 2000]).then_some(());
    eventually("checkpoints in the middle of a turn", in_the_middle).await;
    agent.open("go");
    let last = long.viewer.turn_end(&long.session, &accepted.turn).await.seq() as i64;
    eventually("the last checkpoint", || (sizes(&database, &long.session) == [1000, 2000, last]).then_some(())).await;
}

#[tokio::test]
async fn what_is_not_signed_yet_cannot_be_changed_under_a_running_gateway() {
    let agent = FakeAgent::shell("init; text before; wait_gate go; text after; result done");
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "before").await;
    let database = scene.gateway.data().join("breakglass.db");
    let connection = Connection::open(&database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let edited = connection.execute("UPDATE events SET record = replace(record, 'before', 'nothing')", ()).unwrap();
    assert!(edited > 0);
    reseal(&connection, &scene.session);
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    eventually("an alarm", || scene.gateway.log().contains("ALARM").then_some(())).await;
    scene.gateway.terminate().await;
    assert_eq!(sizes(&database, &scene.session), [0i64; 0]);
}

#[tokio::test]
async fn the_key_is_made_once_and_for_its_owner_alone() {
    let history = History::new().await;
    let file = history.gateway.data().join("signing-key");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(history.gateway.cli(&["key"]).await.trim(), history.key);
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+") && !history.key.contains(secret.trim()));
    let renamed = history.gateway.run(&["key", "--name", "another"]).await;
    assert!(!renamed.status.success());
}

#[tokio::test]
async fn a_kill_leaves_nothing_unsigned_for_long() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let database = scene.gateway.data().join("breakglass.db");
    assert_eq!(sizes(&database, &scene.session), [0i64; 0]);
    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    // What the killed one had not signed, the next does at its start, in the middle of the turn.
    eventually("a checkpoint", || (!sizes(&database, &scene.session).is_empty()).then_some(())).await;
    agent.open("go");
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.event_of_kind(&scene.session, "turn_end").await;
}

async fn alarms(history: &History) -> u64 {
    let text = history.gateway.http().get("/metrics").await;
    let line = text.text().lines().find(|line| line.starts_with("breakglass_evidence_alarms ")).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("the metric is there")
}

/// Starts the gateway on a database that was tampered with; one more turn still runs, and is not signed.
async fn refused(history: &mut History) {
    let before = sizes(&history.database(), &history.session);
    history.gateway.restart().await;
    let mut viewer = Viewer::connect(&history.gateway).await;
    viewer.attach(&history.session, 0).await;
    let turn = viewer.turn(&history.session, "[[text:goes on]]").await;
    assert_eq!(turn.last().unwrap().text("outcome"), "ok", "an emergency comes first");
    eventually("an alarm", || history.gateway.log().contains("ALARM").then_some(())).await;
    assert!(alarms(history).await > 0);
    drop(viewer);
    history.gateway.terminate().await;
    assert_eq!(sizes(&history.database(), &history.session), before);
    assert_ne!(history.verify().await, Verdict { status: 0, findings: Vec::new() });
}

#[tokio::test]
async fn an_edited_history_is_not_signed_again() {
    let mut history = History::new().await;
    // With everything that is derived from it made to fit, as far as that goes without the key.
    history.sql("UPDATE events SET commitment = zeroblob(32) WHERE session = 1 AND seq = 2");
    history.sql("UPDATE sessions SET tree = x'', tree_size = 0 WHERE key = 1");
    refused(&mut history).await;
}

#[tokio::test]
async fn an_older_copy_is_not_signed_on() {
    let mut history = History::new().await;
    let end = history.seqs("turn_end")[1];
    history.sql(&format!("DELETE FROM events WHERE session = 1 AND seq > {end}"));
    history.sql("DELETE FROM turns WHERE session = 1 AND user_seq > (SELECT max(seq) FROM events WHERE session = 1)");
    history.sql(&format!("UPDATE sessions SET head = {end}, signed_size = {end} WHERE key = 1"));
    history.sql("UPDATE sessions SET tree = x'', tree_size = 0 WHERE key = 1");
    refused(&mut history).await;
}

#[tokio::test]
async fn a_session_that_is_gone_is_an_alarm_at_the_start() {
    let mut history = History::new().await;
    history.sql("DELETE FROM events WHERE session = 2; DELETE FROM turns WHERE session = 2; DELETE FROM sessions WHERE key = 2;");
    history.gateway.restart().await;
    eventually("an alarm", || history.gateway.log().contains("ALARM").then_some(())).await;
    assert!(history.gateway.log().contains(&history.other));
}

#[tokio::test]
async fn a_log_from_before_there_was_evidence_is_sealed_at_the_next_start() {
    let mut history = History::new().await;
    std::fs::remove_dir_all(history.gateway.data().join("signed")).unwrap();
    history.sql(
        "DROP TABLE epochs; DROP TABLE checkpoints; DROP TABLE heads; DROP TABLE redactions; DROP TABLE keeping; DROP TABLE holds;
         DROP INDEX sessions_removed; ALTER TABLE sessions DROP COLUMN removal; ALTER TABLE sessions DROP COLUMN cleared;
         ALTER TABLE events DROP COLUMN epoch; ALTER TABLE events DROP COLUMN salt; ALTER TABLE events DROP COLUMN commitment;
         ALTER TABLE sessions DROP COLUMN tree; ALTER TABLE sessions DROP COLUMN tree_size;
         ALTER TABLE sessions DROP COLUMN signed_size; ALTER TABLE turns DROP COLUMN origin; PRAGMA user_version = 2; UPDATE meta SET value = value;",
    );
    history.gateway.restart().await;
    history.gateway.terminate().await;
    assert_eq!(history.verify().await, Verdict { status: 0, findings: Vec::new() });
}
