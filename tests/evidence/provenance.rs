//! How a turn came about: who asked and from where, what was started, where and when and by which versions, how it ended.

use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::wait::eventually;

/// An agent that says its version, works until it is let go, and keeps a process of its own.
fn versioned() -> FakeAgent {
    FakeAgent::shell(
        "emit '{\"type\":\"system\",\"subtype\":\"hook_started\"}'; \
         emit \"{\\\"type\\\":\\\"system\\\",\\\"subtype\\\":\\\"init\\\",\\\"session_id\\\":\\\"$id\\\",\\\"claude_code_version\\\":\\\"9.8.7\\\"}\"; \
         text started; wait_gate go; result done",
    )
}

/// A known shape of a secret, split so that no scanner takes this file for a leak.
fn secret() -> String {
    ["ghp", "_", &"a1B2".repeat(9)].concat()
}

async fn facts(scene: &Scene, turn: &str) -> Value {
    let answer = scene.gateway.http().get(&format!("/api/sessions/{}/turns/{turn}", scene.session)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

#[tokio::test]
async fn a_turn_says_who_asked_from_where_what_was_started_where_when_and_by_which_versions() {
    let agent = versioned();
    let mut scene = Scene::with(&agent).await;
    let http = scene.gateway.http().with("user-agent", "incident-bot/7");
    let text = format!("use {} please", secret());
    let accepted = http.post(&format!("/api/sessions/{}/prompts", scene.session), &json!({"text": text})).await;
    let turn = accepted.json()["turn"].as_str().expect("accepted").to_owned();
    scene.viewer.event_of_kind(&scene.session, "text").await;

    // While it runs.
    let running = facts(&scene, &turn).await;
    let origin = json!({"role": "operator", "how": "token", "address": "127.0.0.1", "client": "incident-bot/7"});
    assert_eq!((&running["by"], &running["origin"]), (&json!("first"), &origin));
    let run = &running["runs"][0];
    assert_eq!((&run["agent_version"], &run["exit"]), (&json!("9.8.7"), &Value::Null));
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &turn).await;

    // And after that, as it was.
    let ended = facts(&scene, &turn).await;
    let (run, call) = (&ended["runs"][0], &agent.calls()[0]);
    assert_eq!((&ended["origin"], &run["start"]), (&origin, &running["runs"][0]["start"]));
    assert_eq!(run["agent_version"], "9.8.7");
    let (start, exit) = (&run["start"], &run["exit"]);
    assert_eq!(start["breakglass"], breakglass::SERVER);
    let kernel = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap().trim().to_owned();
    assert_eq!(start["host"], kernel("hostname"));
    assert_eq!(start["agent_pid"], call.pid);
    let program = fs::canonicalize(agent.program()).unwrap();
    assert_eq!(start["program"]["path"], program.display().to_string());
    assert_eq!(start["program"]["bytes"], fs::metadata(&program).unwrap().len());
    assert!(start["program"]["modified"].as_str() <= start["at"]["time"].as_str(), "{start}");
    assert_eq!(run["launch"]["workspace"], call.cwd.display().to_string());
    for moment in [&start["at"], &exit["ended"]] {
        assert_eq!(moment["boot_id"], kernel("random/boot_id"));
    }
    // Both clocks agree on the order, and what they measure is what the supervisor measured.
    let (began, over) = (&start["at"], &exit["ended"]);
    assert!(ended["accepted"].as_str() <= began["time"].as_str() && began["time"].as_str() <= over["time"].as_str());
    let between_ms = number(&over["boot_ms"]) - number(&began["boot_ms"]);
    assert!(between_ms >= number(&exit["duration_ms"]) - 1, "{between_ms} ms: {exit}");

    // The agent got the secret; who asks later does not.
    assert!(call.argv.iter().any(|argument| argument.contains(&secret())));
    let arguments: Vec<&str> = run["launch"]["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(arguments.contains(&"use [masked] please") && arguments.len() == call.argv.len(), "{arguments:?}");
    assert!(!ended.to_string().contains(&secret()));
}

#[tokio::test]
async fn a_stopped_turn_says_who_was_signalled_and_command_lines_are_masked() {
    let agent = FakeAgent::shell("init; text started; exec env TOKEN=x sleep 600");
    let mut scene = Scene::with(&agent).await;
    let prompt = format!("hang with {}", secret());
    let accepted = scene.viewer.prompt(&scene.session, &prompt).await;
    scene.viewer.event_of_kind(&scene.session, "text").await;
    scene.gateway.http().post(&format!("/api/sessions/{}/cancel", scene.session), &json!({})).await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let facts = facts(&scene, &accepted.turn).await;
    let exit = &facts["runs"][0]["exit"];
    assert_eq!((&exit["reason"]["kind"], &facts["cancelled_by"]), (&json!("stopped"), &json!("first")));
    let told = exit["signalled"].as_array().expect("a list");
    let pid = agent.calls()[0].pid;
    assert!(told.iter().any(|one| one["pid"] == pid && one["signal"] == 2), "{exit}");
    assert!(facts["runs"][0]["agent_version"].is_null(), "this one does not say its version");
    assert!(!facts.to_string().contains(&secret()), "{facts}");
}

#[tokio::test]
async fn turns_from_before_all_this_are_served_as_far_as_they_tell() {
    let agent = versioned();
    agent.open("go");
    let mut scene = Scene::with(&agent).await;
    let turn = scene.viewer.prompt(&scene.session, "go").await.turn;
    scene.viewer.turn_end(&scene.session, &turn).await;
    let dir = scene.gateway.data().join("turns").join(format!("{turn}.1"));
    eventually("the archive", || (!dir.join("out").exists()).then_some(())).await;
    // What an older program left.
    fs::remove_file(dir.join("start.json")).expect("the start was written down");
    let exit = fs::read(dir.join("exit.json")).unwrap();
    let mut exit: Value = serde_json::from_slice(&exit).unwrap();
    for name in ["ended", "agent_version"] {
        assert!(exit.as_object_mut().unwrap().remove(name).is_some_and(|value| !value.is_null()), "{name}");
    }
    fs::write(dir.join("exit.json"), exit.to_string()).unwrap();
    let database = Connection::open(scene.gateway.data().join("breakglass.db")).unwrap();
    assert_eq!(database.execute("UPDATE turns SET origin = NULL", ()).unwrap(), 1);

    let facts = facts(&scene, &turn).await;
    let run = &facts["runs"][0];
    assert_eq!((&facts["by"], &facts["origin"], &run["start"]), (&json!("first"), &Value::Null, &Value::Null));
    assert_eq!((&run["exit"]["exit_code"], &run["exit"]["ended"]), (&json!(0), &Value::Null));
    assert_eq!(run["agent_version"], "9.8.7", "what it wrote is still there");
}

#[tokio::test]
async fn a_proxys_user_and_a_browser_are_told_from_a_token() {
    let settings = Gateway::builder()
        .env("BREAKGLASS_TRUSTED_PROXY", "127.0.0.1")
        .env("BREAKGLASS_PROXY_GROUPS_HEADER", "X-groups")
        .env("BREAKGLASS_PROXY_ROLES", "ops=operator");
    let gateway = settings.start().await;
    let nobody = Http::new(gateway.address(), None).with("origin", &gateway.url()).with("user-agent", "Firefox");
    let proxied =
        nobody.with("x-authentik-username", "ana").with("x-groups", "ops").with("x-forwarded-for", "203.0.113.9");
    let signed_in = nobody.post("/api/login", &json!({"token": gateway.token()})).await;
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    for (http, by, how, address) in
        [(proxied, "ana", "proxy", "203.0.113.9"), (nobody.with("cookie", &cookie), "first", "cookie", "127.0.0.1")]
    {
        let made = http.post("/api/sessions", &json!({"agent": "drill"})).await.json();
        let session = made["session"].as_str().expect("made");
        let asked = http.post(&format!("/api/sessions/{session}/prompts"), &json!({"text": "[[speed:max]] go"})).await;
        let turn = asked.json()["turn"].as_str().expect("accepted").to_owned();
        let facts = gateway.http().get(&format!("/api/sessions/{session}/turns/{turn}")).await.json();
        let origin = json!({"role": "operator", "how": how, "address": address, "client": "Firefox"});
        assert_eq!((&facts["by"], &facts["origin"]), (&json!(by), &origin));
    }
}
