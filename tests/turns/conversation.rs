//! The agent's memory: when a conversation is opened, resumed, taken up or begun anew.

use serde_json::json;

use super::{end, ended_well};
use crate::support::agent::FakeAgent;
use crate::support::scene::Scene;
use crate::support::viewer::kinds;

/// How each run was told which conversation to work in.
fn conversations(agent: &FakeAgent) -> Vec<String> {
    let calls = agent.calls();
    let named = |call: &crate::support::agent::Call| {
        ["--session-id", "--resume"].iter().find(|flag| call.option(flag).is_some()).map(|flag| (*flag).to_owned())
    };
    calls.iter().map(|call| named(call).unwrap_or_default()).collect()
}

#[tokio::test]
async fn an_agent_that_dies_before_its_init_has_opened_nothing() {
    let agent = FakeAgent::shell("[ $n = 1 ] && { echo 'no disk' >&2; exit 1; }; init; result ok");
    let mut scene = Scene::with(&agent).await;
    let first = scene.viewer.turn(&scene.session, "one").await;
    assert_eq!(kinds(&first), ["user", "error", "turn_end"]);
    let second = scene.viewer.turn(&scene.session, "two").await;
    assert_eq!(end(&second), ended_well());
    scene.viewer.turn(&scene.session, "three").await;
    assert_eq!(conversations(&agent), ["--session-id", "--session-id", "--resume"]);
}

#[tokio::test]
async fn started_is_told_in_the_sessions_state() {
    let agent = FakeAgent::shell("[ $n = 1 ] && exit 1; init; result ok");
    let mut scene = Scene::with(&agent).await;
    for is_started in [false, true] {
        scene.viewer.turn(&scene.session, "go").await;
        let head = scene.viewer.model.session(&scene.session).last();
        let state = scene.viewer.attach(&scene.session, head).await["state"].clone();
        assert_eq!((&state["started"], &state["head"]), (&json!(is_started), &json!(head)), "{state}");
    }
}

#[tokio::test]
async fn a_conversation_that_exists_already_is_resumed_in_the_same_turn() {
    let agent = FakeAgent::shell(
        r#"case " $* " in *" --session-id "*) echo "Error: Session ID $id is already in use." >&2; exit 1 ;; esac
init; text hello; result ok"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "one").await;
    assert_eq!((kinds(&events), end(&events)), (vec!["user", "session", "text", "result", "turn_end"], ended_well()));
    assert_eq!(conversations(&agent), ["--session-id", "--resume"]);
}

#[tokio::test]
async fn a_lost_conversation_is_begun_anew_with_a_visible_seam() {
    let agent = FakeAgent::shell(
        r#"case " $* " in *" --resume "*)
  emit "{\"type\":\"result\",\"subtype\":\"error_during_execution\",\"is_error\":true,\"errors\":[\"No conversation found with session ID: $id\"]}"
  echo "No conversation found with session ID: $id" >&2; exit 1 ;; esac
init; text hello; result ok"#,
    );
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "one").await;
    let events = scene.viewer.turn(&scene.session, "two").await;
    assert_eq!(kinds(&events), ["user", "status", "session", "text", "result", "turn_end"]);
    assert_eq!((&events[1].value["state"], end(&events)), (&json!("new_conversation"), ended_well()));
    assert_eq!(conversations(&agent), ["--session-id", "--resume", "--session-id"]);
}
