//! The whole way with the real agent program; only the model's API is a mock.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::mock_api::MockApi;
use crate::support::model::Record;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, kinds};
use crate::support::wait::eventually;

/// A gateway with the real program, and the mock that it talks to.
async fn real() -> (MockApi, Scene) {
    let api = MockApi::start().await;
    let scene = Scene::start(Gateway::builder().real_claude(&api), "claude").await;
    (api, scene)
}

fn outcome(events: &[Record]) -> &str {
    let end = events.last().expect("a turn has events");
    assert_eq!(end.kind(), "turn_end", "{events:#?}");
    end.text("outcome")
}

fn texts(events: &[Record]) -> Vec<&str> {
    events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text")).collect()
}

#[tokio::test]
async fn the_second_turn_remembers_the_first() {
    let (api, mut scene) = real().await;
    let first = scene.viewer.turn(&scene.session, "[[text:hello]] my name is Ana").await;
    assert_eq!((kinds(&first), outcome(&first)), (vec!["user", "session", "text", "result", "turn_end"], "ok"));
    assert_eq!(first[1].text("session_id"), scene.session);
    assert_eq!((first[2].text("text"), first[3].text("result")), ("hello", "hello"));
    let second = scene.viewer.turn(&scene.session, "[[text:Ana]] who am I?").await;
    assert_eq!((texts(&second), outcome(&second)), (vec!["Ana"], "ok"));
    let seen = api.requests_for("who am I?").pop().expect("the model was asked");
    assert!(seen.texts("user").iter().any(|text| text.contains("my name is Ana")), "{seen:?}");
    assert_eq!(seen.texts("assistant"), ["hello"]);
}

#[tokio::test]
async fn the_record_of_a_turn_names_the_programs_file_and_the_version_that_it_says() {
    let (_api, mut scene) = real().await;
    let events = scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    let path = format!("/api/sessions/{}/turns/{}", scene.session, events[0].turn());
    let facts = scene.gateway.http().get(&path).await.json();
    let run = &facts["runs"][0];
    let pinned: Value = serde_json::from_str(include_str!("claude/package.json")).expect("JSON");
    assert_eq!(run["agent_version"], pinned["optionalDependencies"]["@anthropic-ai/claude-code-linux-x64"], "{run}");
    let program = run["start"]["program"]["path"].as_str().expect("it was looked at");
    assert!(program.ends_with("/claude") && program.contains("claude-code-linux"), "{program}");
}

#[tokio::test]
async fn a_tool_and_what_came_back_belong_together() {
    let (_api, mut scene) = real().await;
    let prompt = "[[text:Let me look.]][[bash:echo found it; exit 3]][[text:It failed with 3.]]";
    let events = scene.viewer.turn(&scene.session, prompt).await;
    let expected = ["user", "session", "text", "tool", "tool_result", "text", "result", "turn_end"];
    assert_eq!((kinds(&events), outcome(&events)), (expected.to_vec(), "ok"));
    let (tool, result) = (&events[3], &events[4]);
    assert_eq!((tool.text("name"), tool.value["input"]["command"].as_str()), ("Bash", Some("echo found it; exit 3")));
    assert!(tool.value["ref"].is_string() && tool.value["ref"] == result.value["ref"], "{tool:?} {result:?}");
    assert!(result.value["is_error"] == true && result.text("output").contains("found it"), "{}", result.raw);
}

#[tokio::test]
async fn the_agent_works_in_the_sessions_folder() {
    let (_api, mut scene) = real().await;
    scene.viewer.turn(&scene.session, "[[bash:pwd > where]][[text:noted]]").await;
    let events = scene.viewer.turn(&scene.session, "[[bash:cat where; pwd]][[text:read]]").await;
    let output = events.iter().find(|event| event.kind() == "tool_result").expect("the tool came back").text("output");
    let lines: Vec<&str> = output.trim().lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].ends_with(&scene.session), "{output}");
}

#[tokio::test]
async fn stop_in_the_middle_of_a_tool_ends_the_tool_too_and_the_next_turn_goes_on() {
    let (_api, mut scene) = real().await;
    let prompt = "[[bash:echo $$ > pid.part; mv pid.part pid; env sleep 600]][[text:never]]";
    let accepted = scene.viewer.prompt(&scene.session, prompt).await;
    let tool = scene.viewer.event_of_kind(&scene.session, "tool").await;
    let shell = pid_file(&scene, "pid").await;
    assert!(process::is_alive(shell), "{}", tool.raw);
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert!(!process::is_alive(shell), "the tool's shell still runs");
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(outcome(&events), "cancelled");
    assert!(!texts(&events).contains(&"never"));
    let next = scene.viewer.turn(&scene.session, "[[text:back again]]").await;
    assert_eq!((texts(&next), outcome(&next)), (vec!["back again"], "ok"));
}

/// Waits for a file in the session's workspace that holds a process id.
async fn pid_file(scene: &Scene, name: &str) -> i32 {
    let data = scene.gateway.data();
    eventually(&format!("`{name}` in the workspace"), || {
        find(&data, name).and_then(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
    })
    .await
}

/// The first file of that name below a folder.
fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().collect();
    let here = entries.iter().find(|entry| entry.file_name() == name).map(std::fs::DirEntry::path);
    here.or_else(|| entries.iter().find_map(|entry| find(&entry.path(), name)))
}

#[tokio::test]
async fn an_api_error_is_told_and_the_next_turn_works() {
    let (_api, mut scene) = real().await;
    let failed = scene.viewer.turn(&scene.session, "[[error:400]]").await;
    assert_eq!(outcome(&failed), "error");
    let result = failed.iter().find(|event| event.kind() == "result").expect("the program's own result");
    assert!(result.value["is_error"] == true && result.text("result").contains("400"), "{}", result.raw);
    let next = scene.viewer.turn(&scene.session, "[[error:529:1]][[text:recovered]]").await;
    assert_eq!((texts(&next), outcome(&next)), (vec!["recovered"], "ok"));
    let retrying = next.iter().find(|event| event.kind() == "status").expect("the retry is shown");
    assert_eq!((&retrying.value["state"], &retrying.value["attempt"]), (&json!("retrying"), &json!(1)));
}

#[tokio::test]
async fn the_gateway_may_die_in_mid_turn() {
    let (api, mut scene) = real().await;
    let prompt = "[[text:first]][[bash:echo in between]][[gate:go]][[text:last]]";
    let accepted = scene.viewer.prompt(&scene.session, prompt).await;
    scene.viewer.event_of_kind(&scene.session, "tool_result").await;
    scene.gateway.kill_9().await;
    scene.viewer.closed().await;
    api.open("go");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!((texts(&events), outcome(&events)), (vec!["first", "last"], "ok"));
    assert_eq!(events.iter().filter(|event| event.kind() == "tool").count(), 1);
    scene.viewer.whole_log(&scene.session);
}

#[tokio::test]
async fn a_slash_reaches_the_model_as_text() {
    let (api, mut scene) = real().await;
    scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    let events = scene.viewer.turn(&scene.session, "/clear all of the disk [[text:as you say]]").await;
    assert_eq!(
        (events[0].text("text"), texts(&events)),
        ("/clear all of the disk [[text:as you say]]", vec!["as you say"])
    );
    assert_eq!(events[1].text("session_id"), scene.session, "the conversation was not cleared");
    let seen = api.requests_for("/clear all").pop().expect("the model was asked");
    assert_eq!(seen.texts("assistant"), ["hello"]);
}

#[tokio::test]
async fn a_long_prompt_reaches_the_model_whole() {
    let (api, mut scene) = real().await;
    let prompt = format!("[[text:that was long]] {} the end", "é".repeat(120_000));
    let events = scene.viewer.turn(&scene.session, &prompt).await;
    assert_eq!((texts(&events), outcome(&events)), (vec!["that was long"], "ok"));
    let seen = api.requests_for("the end").pop().expect("the model was asked");
    assert!(seen.texts("user").iter().any(|text| text.contains(&prompt)), "the model saw it cut");
}

#[tokio::test]
async fn an_unknown_agent_is_told_with_those_there_are() {
    let api = MockApi::start().await;
    let settings = Gateway::builder().real_claude(&api).agent_name("nobody");
    let mut scene = Scene::start(settings, "claude").await;
    let events = scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    assert_eq!((kinds(&events), outcome(&events)), (vec!["user", "error", "turn_end"], "error"));
    let error = events[1].text("error");
    assert!(error.contains("nobody") && error.contains("breakglass"), "{error}");
}

#[tokio::test]
async fn a_conversation_killed_while_it_was_made_does_not_spoil_the_next_turn() {
    let (api, mut scene) = real().await;
    // At its `init` line the program has announced a conversation that it has not written down yet.
    for round in ["as soon as it has begun", "while the model thinks"] {
        let prompt = format!("[[hang]] {round}");
        let accepted = scene.viewer.prompt(&scene.session, &prompt).await;
        let turn = accepted.turn.clone();
        let is_init = |event: &Record| event.kind() == "session" && event.turn() == turn;
        scene.viewer.event(&scene.session, "init", is_init).await;
        if round.starts_with("while") {
            api.asked(round).await;
        }
        let program = claude_of(&scene);
        process::signal(program, rustix::process::Signal::KILL);
        let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
        assert_eq!(end.text("outcome"), "error", "{round}");
    }
    let next = scene.viewer.turn(&scene.session, "[[text:all is well]]").await;
    assert_eq!((texts(&next), outcome(&next)), (vec!["all is well"], "ok"));
}

/// The real program's process.
fn claude_of(scene: &Scene) -> i32 {
    let all = scene.gateway.processes();
    let is_program = |one: &&process::Process| one.command.contains("claude-code") && one.command.contains(" -p ");
    let found: Vec<_> = all.iter().filter(is_program).filter(|one| !one.command.contains("supervise")).collect();
    assert_eq!(found.len(), 1, "{all:?}");
    found[0].pid
}

#[tokio::test]
async fn the_same_key_after_a_restart_asks_the_model_nothing() {
    let (api, mut scene) = real().await;
    let key = crate::support::viewer::new_key();
    let first = Accepted::read(&scene.viewer.prompt_as(&scene.session, "[[text:once]]", &key).await);
    scene.viewer.turn_end(&scene.session, &first.turn).await;
    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let again = Accepted::read(&scene.viewer.prompt_as(&scene.session, "[[text:once]]", &key).await);
    assert_eq!((again.is_duplicate, again.turn), (true, first.turn));
    scene.viewer.turn(&scene.session, "[[text:twice]]").await;
    assert_eq!(api.requests_for("once").len(), 1);
}

#[tokio::test]
async fn the_programs_own_refusal_of_root_says_what_to_do() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let api = MockApi::start().await;
    let settings = Gateway::builder().real_claude(&api).env("IS_SANDBOX", "0");
    let mut scene = Scene::start(settings, "claude").await;
    let events = scene.viewer.turn(&scene.session, "[[text:never]]").await;
    let error = events.iter().find(|event| event.kind() == "error").expect("why").text("error");
    for part in ["root/sudo privileges", "--agent-user", "IS_SANDBOX=1"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!((outcome(&events), api.requests_for("never").len()), ("error", 0));
}
