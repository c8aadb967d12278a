//! Who came: what is on record, who may read it, and that it survives.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use crate::support::wait::within;

/// The record once it holds what is waited for, oldest first. It is written a moment after the deed.
async fn record(http: &Http, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    within(what, async {
        loop {
            let mut lines = http.get("/api/access").await.json()["access"].as_array().expect("a list").clone();
            lines.reverse();
            if holds(&lines) {
                return lines;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

fn find<'l>(lines: &'l [Value], what: &str, who: &Value) -> Option<&'l Value> {
    lines.iter().find(|line| line["what"] == what && line["who"] == *who)
}

#[tokio::test]
async fn what_people_did_is_on_record_with_who_role_where_and_by_what() {
    let mut scene = Scene::drill().await;
    let accepted = scene.viewer.prompt(&scene.session, "[[text:hello]]").await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let path = format!("/api/sessions/{}", scene.session);
    let audit = scene.gateway.add_token("audit", "auditor").await;
    let auditor = Http::new(scene.gateway.address(), Some(&audit)).with("user-agent", "curl/8 \u{9b}31m");
    assert_eq!(auditor.get(&format!("{path}/export")).await.status, 200);
    assert_eq!(auditor.get(&format!("{path}/events")).await.status, 200);
    let page = Http::new(scene.gateway.address(), None).with("origin", &scene.gateway.url());
    assert_eq!(page.post("/api/login", &json!({"token": audit})).await.status, 204);
    assert_eq!(page.post("/api/login", &json!({"token": "bg_wrong"})).await.status, 401);
    let slow = scene.viewer.prompt(&scene.session, "[[wait:600000]]").await;
    let stopped = scene.gateway.http().post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!(stopped.status, 202, "{}", stopped.text());
    scene.viewer.turn_end(&scene.session, &slow.turn).await;

    let lines =
        record(&auditor, "the stop to be on record", |lines| find(lines, "cancel", &json!("first")).is_some()).await;
    let (first, auditor_name) = (json!("first"), json!("audit"));
    for (what, who, role, how) in [
        ("create", &first, "operator", "token"),
        ("attach", &first, "operator", "token"),
        ("prompt", &first, "operator", "token"),
        ("cancel", &first, "operator", "token"),
        ("export", &auditor_name, "auditor", "token"),
        ("read", &auditor_name, "auditor", "token"),
        ("sign_in", &auditor_name, "auditor", "token"),
    ] {
        let line = find(&lines, what, who).unwrap_or_else(|| panic!("no `{what}`: {lines:#?}"));
        assert_eq!((&line["role"], &line["how"]), (&json!(role), &json!(how)), "{line}");
        assert_eq!(line["address"], "127.0.0.1", "{line}");
        assert!(line["time"].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')), "{line}");
        if what != "sign_in" {
            assert_eq!(line["session"], json!(scene.session), "{line}");
        }
    }
    let prompt = find(&lines, "prompt", &first).expect("checked above");
    assert_eq!(prompt["turn"], json!(accepted.turn));
    let export = find(&lines, "export", &auditor_name).expect("checked above");
    assert!(export["client"].as_str().is_some_and(|client| client.starts_with("curl/8")), "{export}");
    assert!(!export.to_string().contains('\u{9b}'), "no control character: {export}");
    assert!(find(&lines, "failed_sign_in", &Value::Null).is_some(), "{lines:#?}");
    let local = format!("uid {}", rustix::process::getuid().as_raw());
    let added = lines.iter().filter(|line| line["what"] == "token_add").collect::<Vec<_>>();
    assert_eq!(added.len(), 2, "the first and the auditor's: {added:#?}");
    assert!(added.iter().all(|line| line["who"] == json!(local) && line["how"] == "local"), "{added:#?}");
    let whole = json!(lines).to_string();
    assert!(!whole.contains("hello") && !whole.contains("bg_"), "neither what was said nor a token: {whole}");
}

#[tokio::test]
async fn the_record_survives_a_restart_and_the_program_shows_it() {
    let mut gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let session = viewer.open_session("drill").await;
    drop(viewer);
    gateway.terminate().await;
    let shown = gateway.cli(&["access", "--json"]).await;
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert!(lines.iter().any(|line| line["what"] == "attach" && line["session"] == json!(session)), "{shown}");
    let keys: Vec<i64> = lines.iter().map(|line| line["key"].as_i64().expect("a key")).collect();
    assert!(keys.is_sorted_by(|a, b| a > b), "newest first: {keys:?}");
    gateway.restart().await;
    let text = gateway.cli(&["access", "--lines", "2"]).await;
    assert_eq!(text.lines().count(), 2, "{text}");
    gateway.cli(&["token", "revoke", "first"]).await;
    assert!(gateway.cli(&["access", "--lines", "1"]).await.contains("token_revoke"));
}

#[tokio::test]
async fn the_record_is_paged_without_gap_or_double() {
    let gateway = Gateway::builder().start().await;
    let http = gateway.http();
    for _ in 0..7 {
        assert_eq!(http.post("/api/sessions", &json!({"agent": "drill"})).await.status, 201);
    }
    // Reading it is on record too, a moment after it was read.
    let settled = |lines: &[Value]| {
        let count = |what: &str| lines.iter().filter(|line| line["what"] == what).count();
        (count("create"), count("read_access")) == (7, 1)
    };
    let whole = record(&http, "seven sessions and a look", settled).await;
    let (mut paged, mut before) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("/api/access?limit=3{before}")).await.json();
        let lines = page["access"].as_array().expect("a list").clone();
        assert!(lines.len() <= 3);
        paged.extend(lines);
        let Some(next) = page["next"].as_i64() else { break };
        before = format!("&before={next}");
    }
    paged.reverse();
    assert_eq!(paged, whole);
    for wrong in ["limit=0", "limit=x", "before=x", "after=1"] {
        assert_eq!(http.get(&format!("/api/access?{wrong}")).await.status, 400, "{wrong}");
    }
}
