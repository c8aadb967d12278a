//! The size limit of raw evidence.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::wait::eventually;

/// The streams of a turn that are on disk, and the space that they take, bytes.
fn streams(gateway: &Gateway, turn: &str) -> (Vec<PathBuf>, u64) {
    let dirs = fs::read_dir(gateway.data().join("turns")).expect("spools").flatten();
    let ours = dirs.filter(|entry| entry.file_name().to_string_lossy().starts_with(turn));
    let names = ["out", "err", "out.zst", "err.zst"];
    let paths = ours.flat_map(|dir| names.map(|name| dir.path().join(name)));
    let files = paths.filter_map(|path| fs::metadata(&path).ok().map(|meta| (path, meta.blocks() * 512)));
    let (paths, bytes): (Vec<PathBuf>, Vec<u64>) = files.unzip();
    (paths, bytes.iter().sum())
}

#[tokio::test]
async fn of_raw_evidence_beyond_its_size_the_oldest_goes_first_and_what_is_held_stays() {
    // Random bytes: they stay as large when they are compressed.
    let agent = FakeAgent::shell("init; head -c 300000 /dev/urandom | base64 -w 0; echo; result done");
    let settings = Gateway::builder().agent(&agent).env("BREAKGLASS_KEEP_RAW_MIB", "1");
    let mut scene = Scene::start(settings, "claude").await;
    let mut turns = Vec::new();
    for hours_ago in [6, 5, 4, 3, 2] {
        let session = scene.viewer.open_session("claude").await;
        let events = scene.viewer.turn(&session, "go").await;
        turns.push((session, events[0].text("turn").to_owned(), hours_ago));
    }
    // Compressed, each has some 300 kB.
    for (_, turn, _) in &turns {
        let is_archived = || {
            let names: Vec<PathBuf> = streams(&scene.gateway, turn).0;
            names.iter().all(|path| path.extension().is_some_and(|extension| extension == "zst")).then_some(())
        };
        eventually("the raw output to be compressed", is_archived).await;
    }
    scene.gateway.cli(&["hold", &turns[0].0, "--reason", "case 7"]).await;
    scene.gateway.terminate().await;
    let database = Connection::open(scene.gateway.data().join("breakglass.db")).expect("the log");
    for (_, turn, hours_ago) in &turns {
        let sql = "UPDATE turns SET ended_ms = ended_ms - ?2 * 3600000 WHERE id = ?1";
        assert_eq!(database.execute(sql, (turn, hours_ago)).expect("writable"), 1);
    }
    drop(database);
    scene.gateway.restart().await;
    // The oldest is held: the next two must go.
    eventually("the oldest but the held one to go", || streams(&scene.gateway, &turns[2].1).0.is_empty().then_some(()))
        .await;
    let gone: Vec<bool> = turns.iter().map(|(_, turn, _)| streams(&scene.gateway, turn).0.is_empty()).collect();
    assert_eq!(gone, [false, true, true, false, false]);
    let left: u64 = turns.iter().map(|(_, turn, _)| streams(&scene.gateway, turn).1).sum();
    assert!(left <= 1 << 20, "{left}");
    let acts = scene.gateway.cli(&["retention"]).await;
    for ((session, turn, _), gone) in turns.iter().zip(gone) {
        let said = acts.lines().any(|line| {
            line.contains("\traw-removed\t") && line.contains(turn.as_str()) && line.contains(session.as_str())
        });
        assert_eq!(said, gone, "{acts}");
    }
}
