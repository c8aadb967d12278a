//! The table, walked: every route and every type of frame, with every role and with none.

use serde_json::{Value, json};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::viewer::{Viewer, new_key, open};

const ROLES: [&str; 3] = ["viewer", "auditor", "operator"];

/// A turn that nobody ran.
const NO_TURN: &str = "00000000-0000-4000-8000-000000000000";

/// Every route but those of the page: method, path, body, and what none, a viewer, an auditor and an operator get. A route
/// that is added and not put here fails [`every_route_is_in_the_table`].
fn routes(session: &str, turn: &str) -> Vec<(&'static str, String, Option<Value>, [u16; 4])> {
    let of = |rest: &str| format!("/api/sessions/{session}{rest}");
    vec![
        ("GET", "/healthz".into(), None, [200; 4]),
        ("GET", "/readyz".into(), None, [200; 4]),
        ("GET", "/metrics".into(), None, [401, 200, 200, 200]),
        ("GET", "/api/me".into(), None, [401, 200, 200, 200]),
        ("GET", "/api/presets".into(), None, [401, 200, 200, 200]),
        ("GET", "/api/access".into(), None, [401, 403, 200, 200]),
        ("GET", "/api/search?q=walked".into(), None, [401, 200, 200, 200]),
        ("GET", "/api/sessions".into(), None, [401, 200, 200, 200]),
        ("POST", "/api/sessions".into(), Some(json!({"agent": "drill"})), [401, 403, 403, 201]),
        ("GET", of(""), None, [401, 200, 200, 200]),
        ("PATCH", of(""), Some(json!({"title": "walked"})), [401, 403, 403, 200]),
        ("GET", of("/events"), None, [401, 200, 200, 200]),
        ("GET", of("/export"), None, [401, 403, 200, 200]),
        ("GET", of("/checkpoint"), None, [401, 404, 404, 404]),
        ("GET", of(&format!("/turns/{turn}")), None, [401, 403, 404, 404]),
        ("GET", of(&format!("/turns/{turn}/raw")), None, [401, 403, 404, 404]),
        ("POST", of("/cancel"), Some(json!({})), [401, 403, 403, 409]),
        ("POST", of("/prompts"), Some(json!({"text": "[[text:walked]]"})), [401, 403, 403, 202]),
        ("GET", format!("/sessions/{session}"), None, [401, 200, 200, 200]),
        ("GET", "/sessions/style.css".into(), None, [200; 4]),
        // A form, and this is none.
        ("POST", "/sign-in".into(), Some(json!({})), [400; 4]),
        // 426: it would be upgraded.
        ("GET", "/ws".into(), None, [401, 426, 426, 426]),
        ("GET", "/api/nothing".into(), None, [401, 404, 404, 404]),
        ("POST", "/api/login".into(), Some(json!({"token": "bg_wrong"})), [401; 4]),
        ("POST", "/api/logout".into(), Some(json!({})), [401, 204, 204, 204]),
    ]
}

async fn walk(gateway: &Gateway, session: &str, column: usize, http: &Http) {
    for (method, path, body, statuses) in routes(session, NO_TURN) {
        let answer = http.send(method, &path, body.map(|body| body.to_string())).await;
        let who = ["none", "viewer", "auditor", "operator"][column];
        assert_eq!(answer.status.as_u16(), statuses[column], "{who}: {method} {path}: {}", answer.text());
        match answer.status.as_u16() {
            // A page for people without scripts: its refusal is a form.
            401 if path.starts_with("/sessions/") => assert!(answer.text().contains("<form"), "{}", answer.text()),
            401 => assert_eq!(answer.error_code(), "unauthorized", "{who}: {method} {path}"),
            403 => assert_eq!(answer.error_code(), "forbidden", "{who}: {method} {path}"),
            _ => {}
        }
    }
    let stream = format!("/api/sessions/{session}/stream");
    if column == 0 {
        assert_eq!(http.get(&stream).await.status, 401);
        assert_eq!(open(gateway.address(), &[]).await.expect_err("none").status(), 401);
    } else {
        http.events(&stream).await.until_caught_up().await;
    }
}

#[tokio::test]
async fn every_route_with_every_role_and_with_none() {
    let gateway = Gateway::builder().start().await;
    let mut operator = Viewer::connect(&gateway).await;
    let session = operator.open_session("drill").await;
    walk(&gateway, &session, 0, &Http::new(gateway.address(), None)).await;
    for (column, role) in (1..).zip(ROLES) {
        let token = gateway.add_token(role, role).await;
        walk(&gateway, &session, column, &Http::new(gateway.address(), Some(&token))).await;
    }
    operator.event(&session, "the walked turn's end", |event| event.kind() == "turn_end").await;
}

#[test]
fn every_route_is_in_the_table() {
    let source = include_str!("../../src/http.rs");
    let mut known = 0;
    for (at, _) in source.match_indices(".route(\"") {
        let path = source[at + 8..].split('"').next().expect("a literal");
        let walked = routes("{id}", "{turn}")
            .into_iter()
            .map(|(_, walked, ..)| walked)
            .chain(["/api/sessions/{id}/stream".into()]);
        let mut walked = walked.map(|walked| walked.split('?').next().unwrap_or_default().to_owned());
        let found = walked.any(|walked| walked == path || walked == format!("/api{path}"));
        assert!(found, "`{path}` is a route that no test walks: put it into the table");
        known += 1;
    }
    assert!(known >= 14, "{known}: the routes are no longer where this test looks");
}

#[tokio::test]
async fn every_frame_with_every_role() {
    let agent = FakeAgent::gated();
    let gateway = Gateway::builder().agent(&agent).start().await;
    let mut operator = Viewer::connect(&gateway).await;
    let session = operator.open_session("claude").await;
    let running = operator.prompt(&session, "go").await;
    agent.call(1).await;
    for role in ["viewer", "auditor"] {
        let token = gateway.add_token(role, role).await;
        let mut viewer = Viewer::connect_as(gateway.address(), &token).await;
        let frames = [
            (json!({"type": "ping"}), "pong"),
            (json!({"type": "watch"}), "watching"),
            (json!({"type": "unwatch"}), "unwatched"),
            (json!({"type": "attach", "session": session}), "attached"),
            (json!({"type": "detach", "session": session}), "detached"),
            (json!({"type": "create", "agent": "drill"}), "forbidden"),
            (json!({"type": "prompt", "session": session, "text": "x", "key": new_key()}), "forbidden"),
            (json!({"type": "cancel", "session": session}), "forbidden"),
            (json!({"type": "cancel", "session": session, "turn": running.turn}), "forbidden"),
            (json!({"type": "fly"}), "bad_request"),
        ];
        for (frame, wanted) in frames {
            let reply = viewer.request(frame.clone()).await;
            let got = if reply["type"] == "error" { &reply["code"] } else { &reply["type"] };
            assert_eq!(got, wanted, "{role}: {frame}: {reply}");
        }
        let http = Http::new(gateway.address(), Some(&token));
        let others = http.post(&format!("/api/sessions/{session}/cancel"), &json!({"turn": running.turn})).await;
        assert_eq!(others.status, 403, "{role}");
    }
    agent.open("go");
    let end = operator.turn_end(&session, &running.turn).await;
    assert_eq!(end.body()["outcome"], "ok", "nobody without the right stopped it");
}
