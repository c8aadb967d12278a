//! A disk that cannot be read for a while, and one that fails only where nobody waits for it.

use serde_json::json;

use super::native::Faults;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

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

/// The write-ahead file can be synced, the database cannot: a checkpoint fails, and nothing that counts does.
#[tokio::test]
async fn a_checkpoint_that_fails_is_said_and_loses_nothing() {
    let faults = Faults::new();
    let mut scene = Scene::start(faults.under(Gateway::builder(), "breakglass.db$"), "drill").await;
    faults.begin("fsync");
    let turn = scene.viewer.turn(&scene.session, MUCH).await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
    // A checkpoint syncs the database only when nobody writes meanwhile: short ones, between commits, do.
    for _ in 0..20 {
        scene.viewer.turn(&scene.session, "[[events:150 rate:150]]").await;
        if scene.gateway.log().contains("a checkpoint failed") {
            break;
        }
    }
    assert!(scene.gateway.log().contains("a checkpoint failed"), "nothing was said of it");
    assert_eq!(scene.gateway.http().get("/readyz").await.status.as_u16(), 200);
    faults.end("fsync");
    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    late_viewer_sees_the_same(&scene).await;
    scene.viewer.turn(&scene.session, "[[text:after]]").await;
    late_viewer_sees_the_same(&scene).await;
}
