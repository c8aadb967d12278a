//! The list of sessions as it changes, and who is attached.

use serde_json::{Value, json};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

/// Waits for a `session` frame of a session that fits.
async fn state(viewer: &mut Viewer, session: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let look = |_: &_, frame: &crate::support::model::Frame| {
        let state = &frame.value["state"];
        (frame.kind() == "session" && state["session"] == session && fits(state)).then(|| state.clone())
    };
    viewer.wait(what, look).await
}

#[tokio::test]
async fn a_watcher_gets_the_whole_list_and_then_every_change() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let second = scene.viewer.create("drill").await;
    let mut watcher = Viewer::connect(&scene.gateway).await;
    watcher.send_text(r#"{"type":"watch"}"#).await;
    let mut listed = Vec::new();
    watcher
        .wait("watching_live", |_, frame| {
            if frame.kind() == "session" {
                listed.push(frame.value["state"]["session"].as_str().expect("`session` is a text").to_owned());
            }
            (frame.kind() == "watching_live").then_some(())
        })
        .await;
    let mut expected = vec![scene.session.clone(), second];
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);

    let third = scene.viewer.create("claude").await;
    state(&mut watcher, &third, "the new session", |_| true).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    state(&mut watcher, &scene.session, "its turn", |state| state["turn"]["turn"] == accepted.turn.as_str()).await;
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let done = |state: &Value| state["turn"].is_null() && state["head"] == end.seq();
    state(&mut watcher, &scene.session, "the end of its turn", done).await;
    let path = format!("/api/sessions/{third}");
    scene.gateway.http().patch(&path, &json!({"title": "renamed", "archived": true})).await;
    let renamed = |state: &Value| state["title"] == "renamed" && state["archived"] == true;
    state(&mut watcher, &third, "its new title", renamed).await;

    assert_eq!(watcher.request(json!({"type": "unwatch"})).await["type"], "unwatched");
    scene.viewer.create("drill").await;
    // The model fails on a `session` frame to somebody who does not watch.
    assert_eq!(watcher.request(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn a_busy_session_does_not_flood_those_who_watch() {
    let agent =
        FakeAgent::shell("init; i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); text \"line $i\"; done; result ok");
    let mut scene = Scene::with(&agent).await;
    let mut watcher = Viewer::connect(&scene.gateway).await;
    watcher.request(json!({"type": "watch"})).await;
    scene.viewer.turn(&scene.session, "go").await;
    let mut frames = 0;
    let last = scene.viewer.model.session(&scene.session).last();
    watcher
        .wait("the last state", |_, frame| {
            frames += u32::from(frame.kind() == "session");
            (frame.value["state"]["head"] == last).then_some(())
        })
        .await;
    // Five a second for as long as any wait may take, and the first list.
    assert!(frames <= 151, "{frames} frames for {last} events");
}

#[tokio::test]
async fn those_attached_see_who_comes_and_goes() {
    let gateway = Gateway::builder().start().await;
    let mut first = Viewer::connect(&gateway).await;
    let session = first.open_session("drill").await;
    let alone = json!([{"name": "first", "role": "operator", "connections": 1}]);
    present(&mut first, &session, &alone).await;

    let token = gateway.add_token("ana", "viewer").await;
    let mut ana = Viewer::connect_as(gateway.address(), &token).await;
    ana.attach(&session, 0).await;
    let both = json!([
        {"name": "ana", "role": "viewer", "connections": 1},
        {"name": "first", "role": "operator", "connections": 1},
    ]);
    present(&mut first, &session, &both).await;
    present(&mut ana, &session, &both).await;

    let mut tab = Viewer::connect(&gateway).await;
    let state = tab.attach(&session, 0).await["state"].clone();
    assert!(state["viewers"].as_u64().is_some_and(|viewers| viewers >= 2), "{state}");
    let with_tab = json!([both[0], {"name": "first", "role": "operator", "connections": 2}]);
    present(&mut ana, &session, &with_tab).await;
    tab.vanish().await;
    present(&mut ana, &session, &both).await;
    ana.request(json!({"type": "detach", "session": session})).await;
    present(&mut first, &session, &alone).await;
}

/// Waits until those attached are as given, in any order.
async fn present(viewer: &mut Viewer, session: &str, expected: &Value) {
    let what = format!("presence {expected}");
    let look = |_: &_, frame: &crate::support::model::Frame| {
        let is_ours = frame.kind() == "presence" && frame.value["session"] == session;
        (is_ours && sorted(&frame.value["viewers"]) == sorted(expected)).then_some(())
    };
    viewer.wait(&what, look).await;
}

fn sorted(viewers: &Value) -> Vec<String> {
    let mut all: Vec<String> = viewers
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .map(|one| format!("{} {} {}", one["name"], one["role"], one["connections"]))
        .collect();
    all.sort();
    all
}
