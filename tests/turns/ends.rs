//! How turns end: badly, too late, because somebody stopped them, with something left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{end, ended_well};
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::kinds;

fn failed(exit_code: &Value) -> Value {
    json!({"kind": "turn_end", "outcome": "error", "exit_code": exit_code})
}

/// Runs one turn of a piece of shell; its error text and its end.
async fn failure_of(body: &str) -> (String, Value) {
    let agent = FakeAgent::shell(body);
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    let errors: Vec<_> = events.iter().filter(|event| event.kind() == "error").collect();
    assert_eq!(errors.len(), 1, "{events:#?}");
    assert_eq!(kinds(&events)[events.len() - 2..], ["error", "turn_end"]);
    (errors[0].text("error").to_owned(), end(&events))
}

#[tokio::test]
async fn a_failing_agent_is_quoted_before_the_turn_ends() {
    assert_eq!(
        failure_of("init; echo '  boom: disk  ' >&2; exit 3").await,
        ("boom: disk".to_owned(), failed(&json!(3)))
    );
    assert_eq!(failure_of("init; text hi; exit 4").await, ("exit 4".to_owned(), failed(&json!(4))));
}

#[tokio::test]
async fn the_first_500_characters_of_stderr_are_quoted_however_much_there_is() {
    let (error, end) = failure_of("init; printf 'é%.0s' $(seq 600) >&2; flood_stderr 5000000; exit 1").await;
    assert_eq!((error.chars().count(), error.chars().all(|one| one == 'é')), (500, true), "{error}");
    assert_eq!(end, failed(&json!(1)));
}

#[tokio::test]
async fn an_agent_ended_by_a_signal_has_no_exit_code() {
    let (error, end) = failure_of("init; kill -KILL $$").await;
    assert_eq!((error.is_empty(), end), (false, failed(&Value::Null)));
}

#[tokio::test]
async fn a_full_stderr_never_blocks_the_agent() {
    let agent = FakeAgent::shell("init; flood_stderr 5000000; text done; result ok");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((kinds(&events), end(&events)), (vec!["user", "session", "text", "result", "turn_end"], ended_well()));
}

#[tokio::test]
async fn an_agent_that_calls_its_own_result_a_failure_did_not_end_well() {
    let agent = FakeAgent::shell(
        r#"init; emit '{"type":"result","subtype":"success","is_error":true,"result":"API Error: 400","duration_ms":1}'"#,
    );
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(end(&events), failed(&json!(0)));
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_an_error_of_the_turn() {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let program = folder.path().join("claude");
    fs::write(&program, "#!/nonexistent/interpreter\n").expect("a temporary folder is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("our own file can be changed");
    let mut scene = Scene::start(Gateway::builder().claude(&program), "claude").await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((kinds(&events), &end(&events)["outcome"]), (vec!["user", "error", "turn_end"], &json!("error")));
    assert!(events[1].text("error").contains(program.to_str().expect("UTF-8")), "{}", events[1].raw);
}

#[tokio::test]
async fn a_turn_that_takes_too_long_is_stopped_with_all_that_it_started() {
    let agent = FakeAgent::deaf();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).turn_timeout_s(1), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let grandchild = agent.pid("grandchild").await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert!(!process::is_alive(grandchild) && !process::is_alive(agent.call(1).await.pid));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events)[events.len() - 2..], ["error", "turn_end"]);
    assert_eq!(events[events.len() - 2].text("error"), "turn timed out after 1s");
    assert_eq!(end(&events)["outcome"], "timeout");
}

#[tokio::test]
async fn stop_ends_all_that_the_turn_started_even_what_is_deaf_and_in_a_session_of_its_own() {
    let agent = FakeAgent::deaf();
    let mut scene = Scene::with(&agent).await;
    let mut other = scene.operator("ana").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let grandchild = agent.pid("grandchild").await;
    assert!(process::is_alive(grandchild));
    let reply = other.request(json!({"type": "cancel", "session": scene.session, "turn": accepted.turn})).await;
    assert_eq!((&reply["type"], &reply["turn"]), (&json!("cancelling"), &json!(accepted.turn)), "{reply}");
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert!(!process::is_alive(grandchild) && !process::is_alive(agent.call(1).await.pid));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    let by: Vec<&str> =
        events.iter().filter(|event| event.kind() == "cancelled").map(|event| event.text("by")).collect();
    assert_eq!((by, &end(&events)["outcome"]), (vec!["ana"], &json!("cancelled")));
    assert!(!kinds(&events).contains(&"error"), "a stop is no failure: {:?}", kinds(&events));
}

#[tokio::test]
async fn an_agent_that_obeys_is_stopped_gently_and_its_last_words_are_kept() {
    let agent = FakeAgent::shell(
        "trap 'text interrupted; exit 0' INT TERM; init; named ready $$; while :; do env sleep 0.05; done",
    );
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    agent.pid("ready").await;
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events), ["user", "session", "cancelled", "text", "turn_end"]);
    assert_eq!(end(&events)["outcome"], "cancelled");
}

#[tokio::test]
async fn the_next_turn_follows_a_stopped_one() {
    let agent = FakeAgent::shell("init; [ $n = 1 ] && exec env sleep 600; result ok");
    let mut scene = Scene::with(&agent).await;
    let stopped = scene.viewer.prompt(&scene.session, "hang").await;
    scene.viewer.event_of_kind(&scene.session, "session").await;
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    scene.viewer.turn_end(&scene.session, &stopped.turn).await;
    let events = scene.viewer.turn(&scene.session, "again").await;
    assert_eq!(end(&events), ended_well());
    assert!(agent.call(2).await.option("--resume").is_some());
}

#[tokio::test]
async fn what_lives_on_after_a_good_end_is_named() {
    let agent = FakeAgent::shell("init; keep service; wait_gate go; result ok");
    let mut scene = Scene::start(Gateway::builder().agent(&agent).may_leave_processes(), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "start the service").await;
    let service = agent.pid("service").await;
    agent.open("go");
    let record = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert!(process::is_alive(service), "a service that was started on purpose goes on");
    let left = record.value["left"].as_array().cloned().unwrap_or_default();
    assert_eq!((left.len(), &left[0]["pid"]), (1, &json!(service)), "{left:?}");
    assert!(left[0]["command"].as_str().is_some_and(|command| command.contains("sleep")), "{left:?}");
    assert_eq!(record.text("outcome"), "ok");
}
