//! The index is made from the log and can be lost: whatever becomes of it, all that is in the log is found.

use std::fs;
use std::path::{Path, PathBuf};

use super::{all, settled};
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;

/// A way to lose an index.
type Spoil = (&'static str, fn(&Path));

const FILES: [&str; 3] = ["search.db", "search.db-wal", "search.db-shm"];

fn copy(from: &Path, to: &Path) {
    for name in FILES {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("a file can be copied");
        }
    }
}

fn index_file(gateway: &Gateway) -> PathBuf {
    gateway.data().join("search.db")
}

/// A gateway with one turn that says `marble`, indexed.
async fn with_marble() -> Scene {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:marble]]").await;
    settled(&scene.gateway.http()).await;
    assert_eq!(all(&scene.gateway.http(), "q=marble&kind=text").await.len(), 1);
    scene
}

#[tokio::test]
async fn what_was_committed_and_not_indexed_before_a_crash_is_found_after_it() {
    let mut scene = with_marble().await;
    let kept = tempfile::tempdir().expect("a temporary folder can be made");
    scene.gateway.terminate().await;
    copy(&scene.gateway.data(), kept.path());
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn(&scene.session, "[[text:slate]]").await;
    scene.gateway.kill_9().await;
    // As if the crash had come between the commit and the indexing.
    copy(kept.path(), &scene.gateway.data());
    scene.gateway.restart().await;
    settled(&scene.gateway.http()).await;
    assert_eq!(all(&scene.gateway.http(), "q=slate&kind=text").await.len(), 1);
    assert_eq!(all(&scene.gateway.http(), "q=marble&kind=text").await.len(), 1, "and nothing is found twice");
    assert!(!scene.gateway.log().contains("made anew"), "the index was taken up where it was");
}

#[tokio::test]
async fn killed_while_it_indexes_it_goes_on() {
    let mut scene = Scene::drill().await;
    scene.viewer.prompt(&scene.session, "[[events:4000 size:200]][[text:quartz]]").await;
    scene.viewer.until_seq(&scene.session, 1500).await;
    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.event_of_kind(&scene.session, "turn_end").await;
    settled(&scene.gateway.http()).await;
    let texts =
        scene.viewer.whole_log(&scene.session).iter().filter(|record| record.contains("\"kind\":\"text\"")).count();
    assert_eq!(all(&scene.gateway.http(), "kind=text&limit=100").await.len(), texts);
    assert_eq!(all(&scene.gateway.http(), "q=quartz&kind=text").await.len(), 1);
}

#[tokio::test]
async fn a_lost_or_damaged_index_is_made_anew() {
    let mut scene = with_marble().await;
    let spoil: [Spoil; 6] = [
        ("missing", |path| fs::remove_file(path).expect("it was there")),
        ("empty", |path| fs::write(path, "").expect("writable")),
        ("no database", |path| {
            fs::write(path, "not a database at all, but long enough to be looked at".repeat(50)).expect("writable");
        }),
        ("torn", |path| {
            let bytes = fs::read(path).expect("readable");
            fs::write(path, &bytes[..bytes.len() / 2]).expect("writable");
        }),
        ("of another log", |path| {
            let index = rusqlite::Connection::open(path).expect("a database");
            let epoch = uuid::Uuid::new_v4().to_string();
            index.execute("UPDATE meta SET value = ?1 WHERE name = 'epoch'", [epoch]).expect("writable");
        }),
        ("of other words", |path| {
            let index = rusqlite::Connection::open(path).expect("a database");
            index.execute_batch("DROP TABLE words; CREATE TABLE words (x)").expect("writable");
        }),
    ];
    for (what, spoil) in spoil {
        scene.gateway.terminate().await;
        // A clean stop leaves the whole index in the one file, or a log beside it that belongs to the file.
        rusqlite::Connection::open(index_file(&scene.gateway))
            .and_then(|index| index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
            .expect("the index is a database");
        for beside in &FILES[1..] {
            let _ = fs::remove_file(scene.gateway.data().join(beside));
        }
        spoil(&index_file(&scene.gateway));
        scene.gateway.restart().await;
        settled(&scene.gateway.http()).await;
        // A damage that only a search meets is mended then.
        let _ = scene.gateway.http().get("/api/search?q=marble").await;
        settled(&scene.gateway.http()).await;
        assert_eq!(all(&scene.gateway.http(), "q=marble&kind=text").await.len(), 1, "{what}\n{}", scene.gateway.log());
    }
}

#[tokio::test]
async fn damage_in_front_of_a_running_gateway_is_mended() {
    let mut scene = with_marble().await;
    let path = index_file(&scene.gateway);
    let bytes = fs::metadata(&path).expect("the index is there").len() as usize;
    fs::write(&path, vec![0x55; bytes.max(4096)]).expect("writable");
    let _ = scene.gateway.http().get("/api/search?q=marble").await;
    settled(&scene.gateway.http()).await;
    scene.viewer.turn(&scene.session, "[[text:marble too]]").await;
    settled(&scene.gateway.http()).await;
    assert_eq!(all(&scene.gateway.http(), "q=marble&kind=text").await.len(), 2);
}

#[tokio::test]
async fn an_index_that_cannot_be_written_stops_nothing_else() {
    let mut scene = with_marble().await;
    scene.gateway.terminate().await;
    for name in FILES {
        let _ = fs::remove_file(scene.gateway.data().join(name));
    }
    fs::create_dir(index_file(&scene.gateway)).expect("a folder can stand there");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn(&scene.session, "[[text:granite]]").await;
    let refused = scene.gateway.http().get("/api/search?q=marble").await;
    assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (503, "unavailable"));
}
