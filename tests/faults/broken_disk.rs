//! A disk that cannot be read for a while, and one that fails only where nobody waits for it.

use serde_json::json;

use super::native::Faults;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use crate::support::wait::eventually;

/// Beyond SQLite's page caches and beyond what starts a checkpoint.
const MUCH: &str = "[[speed:max]][[events:3000 size:12000]]";

async fn late_viewer_sees_the_same(scene: &Scene) {
    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&scene.session, 0).await;
    late.caught_up(&scene.session).await;
    assert!(late.whole_log(&scene.session) == scene.viewer.whole_log(&scene.session), "the logs differ");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_never_a_gap_and_is_there_afterwards() {
    let faults = Faults::new();
    let mut scene = Scene::start(faults.under(Gateway::builder(), "breakglass.db"), "drill").await;
    let turn = scene.viewer.turn(&scene.session, MUCH).await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
    let mut late = Viewer::connect(&scene.gateway).await;
    faults.begin("eio");
    let events = format!("/api/sessions/{}/events?limit=1000&after=500", scene.session);
    let page = scene.gateway.http().get(&events).await;
    assert_eq!((page.status.as_u16(), page.error_code().as_str()), (500, "internal"), "{}", page.text());
    // Shown from its beginning: what comes is a run, and then the connection ends; the model would call a gap.
    let reply = late.attach_with(&scene.session, json!({"after": 0})).await;
    if reply["type"] == "attached" {
        assert_eq!(late.closed().await.code, Some(1011));
    } else {
        assert_eq!(reply["code"], "internal", "{reply}");
    }
    faults.end("eio");
    late_viewer_sees_the_same(&scene).await;
    let turn = scene.viewer.turn(&scene.session, "[[text:after]]").await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
}

/// The write-ahead file can be synced, the database cannot. The kernel takes its pages for written after that, so that a
/// second sync succeeds: the write-ahead file, which has them all, must not be let go before the next start.
#[tokio::test]
async fn a_database_that_failed_to_sync_is_not_trusted_before_the_next_start() {
    let faults = Faults::new();
    let mut scene = Scene::start(faults.under(Gateway::builder(), "breakglass.db$"), "drill").await;
    let ahead = scene.gateway.data().join("breakglass.db-wal");
    let ahead_bytes = || std::fs::metadata(&ahead).map_or(0, |file| file.len());
    faults.begin("fsync");
    let turn = scene.viewer.turn(&scene.session, MUCH).await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
    eventually("a word of it", || scene.gateway.log().contains("cannot be synced").then_some(())).await;
    faults.end("fsync");
    let untrusted = ahead_bytes();
    assert_eq!(scene.gateway.http().get("/readyz").await.status.as_u16(), 200);
    // As much again: it would begin anew, and what it had would be in the database alone.
    scene.viewer.turn(&scene.session, MUCH).await;
    assert!(ahead_bytes() > untrusted * 3 / 2, "{untrusted} bytes have become {}", ahead_bytes());
    let grown = ahead_bytes();
    scene.gateway.terminate().await;
    assert!(ahead_bytes() >= grown, "a planned stop keeps it, too");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    late_viewer_sees_the_same(&scene).await;
    // The new one trusts it again: after as much as that, it has begun anew.
    scene.viewer.turn(&scene.session, MUCH).await;
    late_viewer_sees_the_same(&scene).await;
    assert!(ahead_bytes() <= grown, "{grown} bytes have become {}", ahead_bytes());
}
