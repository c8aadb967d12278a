//! Every request and its reply, with and without an id.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, new_key};

#[tokio::test]
async fn every_request_is_answered_with_its_id_or_without_one() {
    let agent = FakeAgent::hanging();
    let mut scene = Scene::with(&agent).await;
    let session = scene.session.clone();
    for id in [None, Some(json!("a text")), Some(json!("")), Some(json!(7)), Some(json!(-9_007_199_254_740_993_i64))] {
        let table = [
            (json!({"type": "ping"}), "pong"),
            (json!({"type": "create", "agent": "claude"}), "created"),
            (json!({"type": "attach", "session": session}), "attached"),
            (json!({"type": "watch"}), "watching"),
            (json!({"type": "unwatch"}), "unwatched"),
            (json!({"type": "prompt", "session": session, "text": "go", "key": new_key()}), "accepted"),
            (json!({"type": "cancel", "session": session}), "cancelling"),
            (json!({"type": "detach", "session": session}), "detached"),
        ];
        for (mut request, answer) in table {
            if let Some(id) = &id {
                request["id"] = id.clone();
            }
            let reply = scene.viewer.request_text(&request.to_string()).await;
            assert_eq!((reply["type"].as_str(), reply.get("id")), (Some(answer), id.as_ref()), "{request}: {reply}");
            match answer {
                "attached" | "detached" | "created" => assert!(reply["session"].is_string(), "{reply}"),
                "accepted" => assert_eq!((&reply["session"], &reply["duplicate"]), (&json!(session), &json!(false))),
                "cancelling" => {
                    let turn = reply["turn"].as_str().expect("`turn` is a text").to_owned();
                    scene.viewer.turn_end(&session, &turn).await;
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn an_error_carries_the_id_of_what_failed() {
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    for id in [json!("x"), json!(0)] {
        let reply = viewer.request_text(&json!({"type": "fly", "id": id}).to_string()).await;
        assert_eq!((&reply["type"], &reply["id"]), (&json!("error"), &id), "{reply}");
    }
    let reply = viewer.request_text(r#"{"type":"fly"}"#).await;
    assert_eq!((&reply["type"], reply.get("id")), (&json!("error"), None), "{reply}");
}

#[tokio::test]
async fn a_new_session_is_what_its_maker_said() {
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let session = Uuid::new_v4().to_string();
    let request =
        json!({"type": "create", "session": session, "title": "Disk full – db1", "agent": "drill", "model": "m"});
    let reply = viewer.request(request.clone()).await;
    assert_eq!((&reply["type"], &reply["session"]), (&json!("created"), &json!(session)), "{reply}");
    let state = &reply["state"];
    for (field, value) in [
        ("session", json!(session)),
        ("title", json!("Disk full – db1")),
        ("created_by", json!("first")),
        ("agent", json!("drill")),
        ("model", json!("m")),
        ("started", json!(false)),
        ("head", json!(0)),
        ("turn", Value::Null),
        ("viewers", json!(0)),
        ("archived", json!(false)),
    ] {
        assert_eq!(state.get(field), Some(&value), "{field} of {state}");
    }
    for field in ["created", "last_activity"] {
        assert!(
            state[field].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')),
            "{field} of {state}"
        );
    }
    assert_eq!(viewer.request(request).await["state"], *state, "the same again is the same session");
    for (field, value) in [("title", "Other"), ("agent", "claude"), ("model", "n")] {
        let mut other =
            json!({"type": "create", "session": session, "title": "Disk full – db1", "agent": "drill", "model": "m"});
        other[field] = json!(value);
        let refused = viewer.request(other).await;
        assert_eq!(refused["code"], "conflict", "{field}: {refused}");
    }
}

#[tokio::test]
async fn a_session_made_without_wishes_has_an_id_and_the_real_agent() {
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let reply = viewer.request(json!({"type": "create"})).await;
    assert_eq!(reply["state"]["agent"], "claude", "{reply}");
    let session: Uuid = reply["session"].as_str().expect("`session` is a text").parse().expect("a UUID");
    assert_eq!(reply["session"], session.to_string());
    assert!(reply["state"]["model"].as_str().is_some_and(|model| !model.is_empty()), "{reply}");
}

#[tokio::test]
async fn the_state_shows_the_running_turn_and_who_asked() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let mut late = Viewer::connect(&scene.gateway).await;
    let state = late.attach(&scene.session, 0).await["state"].clone();
    assert_eq!((&state["turn"]["turn"], &state["turn"]["by"]), (&json!(accepted.turn), &json!("first")), "{state}");
    assert!(state["turn"]["since"].is_string(), "{state}");
    agent.open("go");
    let end = late.turn_end(&scene.session, &accepted.turn).await;
    let state = late.attach(&scene.session, 0).await["state"].clone();
    assert_eq!((&state["turn"], &state["head"]), (&Value::Null, &json!(end.seq())), "{state}");
}

#[tokio::test]
async fn a_session_without_a_title_takes_it_from_its_first_prompt() {
    let mut scene = Scene::drill().await;
    let path = format!("/api/sessions/{}", scene.session);
    scene.viewer.turn(&scene.session, "the disk\nis full [[text:seen]]").await;
    scene.viewer.turn(&scene.session, "[[text:another]]").await;
    let state = scene.gateway.http().get(&path).await.json();
    assert_eq!(state["title"], "the disk is full [[text:seen]]");
    let given = scene.gateway.http().post("/api/sessions", &json!({"title": "mine", "agent": "drill"})).await.json();
    let id = given["session"].as_str().expect("an id").to_owned();
    scene.gateway.http().post(&format!("/api/sessions/{id}/prompts"), &json!({"text": "[[text:x]]"})).await;
    assert_eq!(scene.gateway.http().get(&format!("/api/sessions/{id}")).await.json()["title"], "mine");
}
