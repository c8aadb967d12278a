//! What the agent itself wrote, complete, and how the turn came about.

use crate::support::agent::FakeAgent;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::wait::eventually;

/// Says much more than an event may hold, and something on its standard error.
fn talkative() -> FakeAgent {
    FakeAgent::shell(
        "init; echo 'not json at all'; awk 'BEGIN { for (i = 0; i < 300000; i++) printf \"line %d\\n\", i }'; \
         echo whisper >&2; wait_gate go; result done",
    )
}

#[tokio::test]
async fn raw_output_is_complete_while_the_turn_runs_and_after_it_was_archived() {
    let agent = talkative();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "talk").await;
    let (http, turn) = (scene.gateway.http(), accepted.turn.clone());
    let path = format!("/api/sessions/{}/turns/{turn}", scene.session);
    let all = eventually_text(&http, &format!("{path}/raw"), "line 299999\n").await;
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &turn).await;
    let archive = scene.gateway.data().join("turns").join(format!("{turn}.1")).join("out.zst");
    let plain = archive.with_extension("");
    eventually("the archive", || (archive.exists() && !plain.exists()).then_some(())).await;
    let after = http.get(&format!("{path}/raw")).await;
    assert_eq!(after.status, 200, "{}", after.text());
    assert!(after.text().starts_with(&all), "what was there stays, byte for byte");
    assert!(after.text().contains("not json at all\nline 0\n") && after.text().ends_with("}\n"));
    assert!(after.header("content-disposition").contains(&turn));
    assert_eq!(http.get(&format!("{path}/raw?attempt=1")).await.text(), after.text());
    assert_eq!(http.get(&format!("{path}/raw?stream=err")).await.text(), "whisper\n");

    let facts = http.get(&path).await.json();
    assert_eq!(
        (facts["by"].as_str(), facts["outcome"].as_str(), facts["attempts"].as_u64()),
        (Some("first"), Some("ok"), Some(1))
    );
    let run = &facts["runs"][0];
    assert_eq!(run["launch"]["program"], agent.program().display().to_string());
    assert_eq!(
        (&run["exit"]["exit_code"], run["exit"]["stdout_bytes"].as_u64()),
        (&0.into(), Some(after.body.len() as u64))
    );
}

/// The body once it holds some text.
async fn eventually_text(http: &Http, path: &str, text: &str) -> String {
    for _ in 0..200 {
        let got = http.get(path).await;
        if got.status == 200 && got.text().contains(text) {
            return got.text().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{path} never held {text}");
}

#[tokio::test]
async fn raw_output_is_for_auditors_and_operators_and_only_of_the_sessions_own_turns() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let raw = |session: &str, turn: &str| format!("/api/sessions/{session}/turns/{turn}/raw");
    let own = raw(&scene.session, &accepted.turn);
    for (role, allowed) in [("auditor", true), ("viewer", false)] {
        let token = scene.gateway.add_token(role, role).await;
        let http = Http::new(scene.gateway.address(), Some(&token));
        assert_eq!(http.get(&own).await.status.is_success(), allowed, "{role}");
        assert_eq!(http.get(own.trim_end_matches("/raw")).await.status.is_success(), allowed, "{role}");
    }
    let http = scene.gateway.http();
    let other = scene.viewer.create("claude").await;
    assert_eq!(http.get(&raw(&other, &accepted.turn)).await.error_code(), "not_found");
    assert_eq!(http.get(&format!("{own}?attempt=2")).await.error_code(), "not_found");
    assert_eq!(http.get(&raw(&scene.session, "..%2f..%2fsigning-key")).await.error_code(), "bad_request");
    assert_eq!(http.get(&format!("{own}?stream=in")).await.error_code(), "bad_request");
}
