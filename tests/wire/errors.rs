//! Bad input gets a clear error that names the field, and the connection stays open.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, new_key};

#[tokio::test]
async fn every_malformed_frame_is_refused_by_name_and_harms_nothing() {
    let mut scene = Scene::drill().await;
    let (s, k) = (scene.session.clone(), new_key());
    let table = [
        ("{".to_owned(), "JSON"),
        (String::new(), "JSON"),
        ("ping".to_owned(), "JSON"),
        ("[".repeat(100_000), "JSON"),
        (r#"{"type":"ping"} {"type":"ping"}"#.to_owned(), "JSON"),
        ("[]".to_owned(), "object"),
        (r#""ping""#.to_owned(), "object"),
        ("null".to_owned(), "object"),
        ("{}".to_owned(), "type"),
        (r#"{"type":7}"#.to_owned(), "type"),
        (r#"{"type":null}"#.to_owned(), "type"),
        (r#"{"type":"fly"}"#.to_owned(), "fly"),
        (r#"{"type":"Ping"}"#.to_owned(), "Ping"),
        (r#"{"type":"ping","id":{}}"#.to_owned(), "id"),
        (r#"{"type":"ping","id":1.5}"#.to_owned(), "id"),
        (r#"{"type":"ping","id":true}"#.to_owned(), "id"),
        (r#"{"type":"ping","extra":1}"#.to_owned(), "extra"),
        (r#"{"type":"watch","session":"x"}"#.to_owned(), "session"),
        (r#"{"type":"attach"}"#.to_owned(), "session"),
        (r#"{"type":"attach","session":"../../etc"}"#.to_owned(), "session"),
        (r#"{"type":"attach","session":7}"#.to_owned(), "session"),
        (format!(r#"{{"type":"attach","session":"{s}","aftre":3}}"#), "aftre"),
        (format!(r#"{{"type":"attach","session":"{s}","after":-1}}"#), "after"),
        (format!(r#"{{"type":"attach","session":"{s}","after":"1"}}"#), "after"),
        (format!(r#"{{"type":"attach","session":"{s}","after":0.5}}"#), "after"),
        (format!(r#"{{"type":"attach","session":"{s}","after":0,"tail":5}}"#), "tail"),
        (format!(r#"{{"type":"attach","session":"{s}","tail":-5}}"#), "tail"),
        (format!(r#"{{"type":"attach","session":"{s}","epoch":7}}"#), "epoch"),
        (r#"{"type":"detach"}"#.to_owned(), "session"),
        (r#"{"type":"create","agent":"skynet"}"#.to_owned(), "agent"),
        (r#"{"type":"create","title":7}"#.to_owned(), "title"),
        (r#"{"type":"create","session":"x"}"#.to_owned(), "session"),
        (r#"{"type":"create","name":"x"}"#.to_owned(), "name"),
        (format!(r#"{{"type":"prompt","session":"{s}","text":"x"}}"#), "key"),
        (format!(r#"{{"type":"prompt","session":"{s}","text":"x","key":"1"}}"#), "key"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}"}}"#), "text"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}","text":7}}"#), "text"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}","text":""}}"#), "text"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}","text":"a\u0000b"}}"#), "text"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}","text":"x","model":7}}"#), "model"),
        (format!(r#"{{"type":"prompt","session":"{s}","key":"{k}","text":"x","after":7}}"#), "after"),
        (r#"{"type":"cancel"}"#.to_owned(), "session"),
        (format!(r#"{{"type":"cancel","session":"{s}","turn":7}}"#), "turn"),
    ];
    for (frame, names) in &table {
        let reply = scene.viewer.request_text(frame).await;
        let shown: String = frame.chars().take(100).collect();
        assert_eq!((&reply["type"], &reply["code"]), (&json!("error"), &json!("bad_request")), "{shown}: {reply}");
        let message = reply["message"].as_str().expect("`message` is a text");
        assert!(message.contains(names), "{shown}: `{message}` does not name {names}");
    }
    assert_eq!(scene.viewer.request(json!({"type": "ping"})).await["type"], "pong");
    assert_eq!(scene.viewer.attach(&s, 0).await["head"], 0);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let session = Uuid::new_v4().to_string();
    for request in [
        json!({"type": "attach", "session": session}),
        json!({"type": "prompt", "session": session, "text": "x", "key": new_key()}),
        json!({"type": "cancel", "session": session}),
    ] {
        let reply = viewer.request(request.clone()).await;
        assert_eq!(reply["code"], "not_found", "{request}: {reply}");
        assert!(reply["message"].as_str().is_some_and(|text| text.contains(&session)), "{reply}");
    }
}

#[tokio::test]
async fn a_position_of_another_log_is_refused_with_what_is_true_here() {
    let mut scene = Scene::drill().await;
    let head = scene.viewer.turn(&scene.session, "[[text:hello]]").await.last().expect("events").seq();
    let epoch = scene.viewer.model.hello()["epoch"].clone();
    let foreign = Uuid::new_v4().to_string();
    for fields in [
        json!({"after": 0, "epoch": foreign}),
        json!({"after": head, "epoch": foreign}),
        json!({"tail": 5, "epoch": foreign}),
        json!({"after": head + 1}),
        json!({"after": head + 1, "epoch": epoch}),
        json!({"after": u64::MAX}),
    ] {
        let reply = scene.viewer.attach_with(&scene.session, fields.clone()).await;
        assert_eq!(reply["code"], "epoch_changed", "{fields}: {reply}");
        assert_eq!((&reply["epoch"], &reply["head"]), (&epoch, &json!(head)), "{fields}: {reply}");
    }
    let reply = scene.viewer.attach_with(&scene.session, json!({"after": head, "epoch": epoch})).await;
    assert_eq!((&reply["type"], &reply["from"]), (&json!("attached"), &json!(head + 1)), "{reply}");
}

#[tokio::test]
async fn one_connection_shows_at_most_256_sessions() {
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let mut sessions = Vec::new();
    for _ in 0..=256 {
        sessions.push(viewer.create("drill").await);
    }
    for session in &sessions[..256] {
        viewer.attach(session, 0).await;
    }
    let refused = viewer.attach_with(&sessions[256], json!({})).await;
    assert_eq!(refused["code"], "too_large", "{refused}");
    assert_eq!(viewer.attach_with(&sessions[7], json!({})).await["type"], "attached", "a second attach is no new one");
    viewer.request(json!({"type": "detach", "session": sessions[0]})).await;
    let now: Value = viewer.attach_with(&sessions[256], json!({})).await;
    assert_eq!(now["type"], "attached", "{now}");
}
