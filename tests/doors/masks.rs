//! Secrets in the stream: masked before the log, for every door alike, and counted.

use serde_json::{Value, json};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::model::Record;
use crate::support::scene::Scene;

/// Made from parts, so that no scanner takes this file for a leak.
fn github_token() -> String {
    format!("ghp_{}", "Ab12".repeat(9))
}

fn lines(secret: &str, literal: &str) -> Vec<String> {
    let content = |block: Value| json!({"type": "assistant", "message": {"content": [block]}}).to_string();
    let came_back = json!({"type": "user", "message": {"content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": format!("token={secret}\nrest stays")}]}});
    vec![
        json!({"type": "system", "subtype": "init", "session_id": "x"}).to_string(),
        content(json!({"type": "text", "text": format!("I found {secret} and {literal}!")})),
        content(
            json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": format!("curl https://u:{literal}@h/")}}),
        ),
        came_back.to_string(),
        json!({"type": "result", "is_error": false, "result": format!("done with {secret}"), "duration_ms": 1})
            .to_string(),
    ]
}

fn agent(exit_code: i32) -> FakeAgent {
    let lines = lines(&github_token(), "Pa55-of-ours");
    FakeAgent::printing(&lines.iter().map(String::as_str).collect::<Vec<_>>(), exit_code)
}

fn raw(events: &[Record]) -> String {
    events.iter().map(|event| event.raw.clone()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn secrets_are_masked_before_the_log_for_every_door_and_counted() {
    let agent = agent(0);
    let settings =
        Gateway::builder().agent(&agent).env("MY_PASSWORD", "Pa55-of-ours").env("BREAKGLASS_MASK", "$MY_PASSWORD");
    let mut scene = Scene::start(settings, "claude").await;
    let events = scene.viewer.turn(&scene.session, "look").await;
    let text = raw(&events);
    for secret in [github_token().as_str(), "Pa55-of-ours"] {
        assert!(!text.contains(secret), "{text}");
        for file in ["breakglass.db", "breakglass.db-wal"] {
            let bytes = std::fs::read(scene.gateway.data().join(file)).expect("the database is there");
            assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{file}");
        }
        let path = format!("/api/sessions/{}", scene.session);
        for door in [format!("{path}/events"), format!("{path}/export"), format!("/sessions/{}", scene.session)] {
            assert!(!scene.gateway.http().get(&door).await.text().contains(secret), "{door}");
        }
        assert!(!scene.gateway.log().contains(secret));
    }
    for kept in [
        r#""text":"I found [masked] and [masked]!""#,
        r#""command":"curl https://u:[masked]@h/""#,
        r"token=[masked]\nrest stays",
        r#""result":"done with [masked]""#,
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    let end = events.last().expect("a turn has an end");
    assert_eq!((end.kind(), &end.body()["masked"]), ("turn_end", &json!(5)), "{}", end.raw);
}

#[tokio::test]
async fn what_a_failing_agent_says_on_stderr_is_masked_too() {
    let agent = FakeAgent::shell(&format!("init; echo 'cannot use {}' >&2; exit 1", github_token()));
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "look").await;
    let error = events.iter().find(|event| event.kind() == "error").expect("it failed");
    assert_eq!(error.text("error"), "cannot use [masked]");
    assert_eq!(events.last().expect("an end").body()["masked"], 1);
}

#[tokio::test]
async fn it_can_be_switched_off_and_says_nothing_when_there_was_nothing() {
    let agent = agent(0);
    let mut scene = Scene::start(Gateway::builder().agent(&agent).env("BREAKGLASS_NO_MASK", "1"), "claude").await;
    let events = scene.viewer.turn(&scene.session, "look").await;
    assert!(raw(&events).contains(&github_token()));
    assert!(events.last().expect("an end").body().get("masked").is_none());
    let mut drill = Scene::drill().await;
    let events = drill.viewer.turn(&drill.session, "[[text:nothing secret]]").await;
    assert!(events.last().expect("an end").body().get("masked").is_none());
}

#[tokio::test]
async fn the_count_survives_a_gateway_that_dies_in_the_middle() {
    let secret = github_token();
    let agent = FakeAgent::shell(&format!("init; text 'one {secret}'; wait_gate go; text 'two {secret}'; result ok"));
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.event(&scene.session, "the first", |event| event.kind() == "text").await;
    scene.gateway.kill_9().await;
    scene.viewer.closed().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.body()["masked"], 2, "{}", end.raw);
}

#[tokio::test]
async fn a_value_that_cannot_be_masked_is_refused_without_being_shown() {
    let gateway = Gateway::builder().env("BREAKGLASS_MASK", "long-enough abc").start_refused().await;
    assert_eq!(gateway.status.code(), Some(64));
    let stderr = String::from_utf8_lossy(&gateway.stderr);
    assert!(
        stderr.contains("BREAKGLASS_MASK") && !stderr.contains("abc") && !stderr.contains("long-enough"),
        "{stderr}"
    );
    let missing = Gateway::builder().env("BREAKGLASS_MASK", "$NOT_THERE").start_refused().await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("$NOT_THERE"));
}
