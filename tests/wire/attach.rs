//! Being shown a session: from where, up to where, once, and the same bytes each time.

use serde_json::json;

use crate::support::agent::FakeAgent;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn an_empty_session_is_caught_up_at_once_and_once() {
    let mut scene = Scene::drill().await;
    scene.viewer.caught_up(&scene.session).await;
    let reply = scene.viewer.attach(&scene.session, 0).await;
    assert_eq!((&reply["head"], &reply["from"]), (&json!(0), &json!(1)), "{reply}");
    let caught_up = scene.viewer.frame("caught_up").await;
    assert_eq!((&caught_up["session"], &caught_up["seq"]), (&json!(scene.session), &json!(0)));
    scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    assert_eq!(scene.viewer.model.session(&scene.session).times_caught_up(), 2);
}

#[tokio::test]
async fn after_and_tail_show_exactly_what_they_say() {
    let mut scene = Scene::drill().await;
    let texts: String = (1..=20).map(|number| format!("[[text:{number}]]")).collect();
    scene.viewer.turn(&scene.session, &texts).await;
    let all = scene.viewer.whole_log(&scene.session);
    let head = all.len();
    let table = [
        (json!({}), 1),
        (json!({"after": 0}), 1),
        (json!({"after": 7}), 8),
        (json!({"after": head}), head + 1),
        (json!({"tail": 1}), head),
        (json!({"tail": 5}), head - 4),
        (json!({"tail": head}), 1),
        (json!({"tail": 1_000_000}), 1),
        (json!({"tail": 0}), head + 1),
    ];
    for (fields, from) in table {
        let mut viewer = Viewer::connect(&scene.gateway).await;
        let reply = viewer.attach_with(&scene.session, fields.clone()).await;
        assert_eq!((&reply["from"], &reply["head"]), (&json!(from), &json!(head)), "{fields}: {reply}");
        viewer.caught_up(&scene.session).await;
        let log = viewer.model.session(&scene.session);
        let shown: Vec<&str> = log.records().map(|record| record.raw.as_str()).collect();
        assert_eq!(shown, all[from - 1..], "{fields}");
    }
}

#[tokio::test]
async fn a_second_attach_starts_again_from_its_own_place() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[events:2000 size:100]]").await;
    let mut viewer = Viewer::connect(&scene.gateway).await;
    // The model fails on any frame of an attach that was replaced: its seqs would not be due.
    for after in [0, 1000, 3, 0, 1900] {
        viewer.send_text(&json!({"type": "attach", "session": scene.session, "after": after}).to_string()).await;
    }
    for _ in 0..5 {
        viewer.frame("attached").await;
    }
    viewer.caught_up(&scene.session).await;
    viewer.attach(&scene.session, 0).await;
    viewer.caught_up(&scene.session).await;
    assert_eq!(viewer.whole_log(&scene.session), scene.viewer.whole_log(&scene.session));
}

#[tokio::test]
async fn after_detached_nothing_of_the_session_follows() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let mut other = Viewer::connect(&scene.gateway).await;
    other.attach(&scene.session, 0).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    other.said(&scene.session, "started").await;
    other.request(json!({"type": "detach", "session": scene.session})).await;
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    // The model fails on an event of a session that is not attached.
    assert_eq!(other.request(json!({"type": "ping"})).await["type"], "pong");
    let last = other.model.session(&scene.session).last();
    assert!(last < end.seq());
    other.attach(&scene.session, last).await;
    other.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(other.whole_log(&scene.session), scene.viewer.whole_log(&scene.session));
}

#[tokio::test]
async fn whenever_somebody_attaches_to_a_running_turn_all_see_the_same() {
    let agent = FakeAgent::shell(
        "init; i=0; while [ $i -lt 4000 ]; do i=$((i + 1)); text \"line $i\"; [ $i = 500 ] && wait_gate go; done; result ok",
    );
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "line 500").await;
    agent.open("go");
    let mut joined = Vec::new();
    for number in 0..20 {
        let mut viewer = Viewer::connect(&scene.gateway).await;
        viewer.attach(&scene.session, number * 20).await;
        joined.push(viewer);
    }
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let all = scene.viewer.whole_log(&scene.session);
    assert_eq!(all.len(), 4004);
    for (number, viewer) in joined.iter_mut().enumerate() {
        viewer.turn_end(&scene.session, &accepted.turn).await;
        let log = viewer.model.session(&scene.session);
        let seen: Vec<&str> = log.records().map(|record| record.raw.as_str()).collect();
        assert!(seen == all[number * 20..], "viewer {number} saw {} records", seen.len());
        assert_eq!(log.times_caught_up(), 1);
    }
}

#[tokio::test]
async fn every_door_shows_the_same_bytes() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:é \"quoted\" \\ <b>]] [[events:50 size:200]]").await;
    let live = scene.viewer.whole_log(&scene.session);
    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&scene.session, 0).await;
    late.caught_up(&scene.session).await;
    assert_eq!(late.whole_log(&scene.session), live, "replay");

    let http = scene.gateway.http();
    let export = http.get(&format!("/api/sessions/{}/export?format=jsonl", scene.session)).await;
    assert_eq!(export.text().lines().collect::<Vec<_>>(), live, "export");
    let page = http.get(&format!("/api/sessions/{}/events?limit=1000", scene.session)).await;
    let records = format!("[{}]", live.join(","));
    assert!(page.text().replace(' ', "").contains(&records.replace(' ', "")), "REST: {}", page.text());
    let mut stream = http.events(&format!("/api/sessions/{}/stream", scene.session)).await;
    let streamed: Vec<String> = stream.until_caught_up().await.into_iter().map(|event| event.data).collect();
    assert_eq!(streamed, live, "server-sent events");
}
