//! The table of `docs/protocol.md` section 4.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::model::Record;
use crate::support::scene::Scene;
use crate::support::viewer::new_key;

/// Makes a session over REST; its id.
async fn create(http: &Http, title: &str) -> String {
    let made = http.post("/api/sessions", &json!({"title": title, "agent": "drill"})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["session"].as_str().expect("`session` is a text").to_owned()
}

/// The titles on a page of the list.
fn titles(page: &Value) -> Vec<&str> {
    let sessions = page["sessions"].as_array().map_or(&[][..], Vec::as_slice);
    sessions.iter().map(|state| state["title"].as_str().expect("`title` is a text")).collect()
}

/// The seqs of a page of events.
fn seqs(page: &Value) -> Vec<u64> {
    let events = page["events"].as_array().map_or(&[][..], Vec::as_slice);
    events.iter().map(|record| Record::parse(&record.to_string()).expect("a record").seq()).collect()
}

#[tokio::test]
async fn sessions_are_made_shown_renamed_and_put_away() {
    let gateway = Gateway::builder().start().await;
    let http = gateway.http();
    let id = Uuid::new_v4().to_string();
    let body = json!({"session": id, "title": "one", "agent": "drill", "model": "m"});
    let made = http.post("/api/sessions", &body).await;
    assert_eq!((made.status.as_u16(), &made.json()["session"]), (201, &json!(id)), "{}", made.text());
    assert!(http.post("/api/sessions", &body).await.status.is_success(), "the same again is no conflict");
    let other = http.post("/api/sessions", &json!({"session": id, "title": "two"})).await;
    assert_eq!((other.status.as_u16(), other.error_code().as_str()), (409, "conflict"));
    let path = format!("/api/sessions/{id}");
    assert_eq!(http.get(&path).await.json(), made.json());
    let renamed = http.patch(&path, &json!({"title": "new name"})).await;
    assert_eq!((renamed.status.as_u16(), &renamed.json()["title"]), (200, &json!("new name")));
    let archived = http.patch(&path, &json!({"archived": true})).await.json();
    assert_eq!((&archived["archived"], &archived["title"]), (&json!(true), &json!("new name")));
    assert_eq!(http.get(&path).await.json()["archived"], true);
}

#[tokio::test]
async fn the_list_pages_from_the_latest_activity_and_can_be_searched() {
    let gateway = Gateway::builder().start().await;
    let http = gateway.http();
    let mut ids = Vec::new();
    for number in 1..=7 {
        ids.push(create(&http, &format!("case {number}")).await);
    }
    // Working in an old one brings it to the top.
    let turn = http.post(&format!("/api/sessions/{}/prompts", ids[1]), &json!({"text": "[[text:hello]]"})).await;
    assert_eq!(turn.status, 202, "{}", turn.text());
    http.events(&format!("/api/sessions/{}/stream", ids[1])).await.until(|data| data["kind"] == "turn_end").await;
    let mut seen = Vec::new();
    let mut next = String::new();
    for size in [3, 3, 1] {
        let page = http.get(&format!("/api/sessions?limit=3{next}")).await.json();
        seen.extend(titles(&page).into_iter().map(str::to_owned));
        assert_eq!(titles(&page).len(), size, "{page}");
        next = page["next"].as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        assert_eq!(next.is_empty(), size == 1, "{page}");
    }
    assert_eq!(seen[0], "case 2");
    let mut rest = seen[1..].to_vec();
    rest.sort();
    assert_eq!(rest, ["case 1", "case 3", "case 4", "case 5", "case 6", "case 7"]);
    let found = http.get("/api/sessions?q=case%204").await.json();
    assert!(titles(&found).contains(&"case 4"), "{found}");
    assert_eq!(titles(&http.get("/api/sessions?q=nosuchword").await.json()), Vec::<&str>::new());
}

#[tokio::test]
async fn events_page_forwards_and_backwards_without_hole_or_overlap() {
    let mut scene = Scene::drill().await;
    let events = scene.viewer.turn(&scene.session, "[[events:2500 size:40]]").await;
    let head = events.last().expect("events").seq();
    let http = scene.gateway.http();
    let path = format!("/api/sessions/{}/events", scene.session);
    let first = http.get(&path).await.json();
    assert_eq!((seqs(&first), &first["head"]), ((1..=200).collect(), &json!(head)));
    assert_eq!(first["epoch"], scene.viewer.model.hello()["epoch"]);

    let mut forwards = Vec::new();
    while forwards.last() != Some(&head) {
        let after = forwards.last().copied().unwrap_or(0);
        let page = seqs(&http.get(&format!("{path}?after={after}&limit=1000")).await.json());
        assert!(!page.is_empty() && page.len() <= 1000, "{} after {after}", page.len());
        forwards.extend(page);
    }
    assert_eq!(forwards, (1..=head).collect::<Vec<_>>());
    let mut backwards = Vec::new();
    while backwards.first() != Some(&1) {
        let before = backwards.first().copied().unwrap_or(head + 1);
        let mut page = seqs(&http.get(&format!("{path}?before={before}&limit=700")).await.json());
        assert!(!page.is_empty() && page.len() <= 700, "{} before {before}", page.len());
        page.append(&mut backwards);
        backwards = page;
    }
    assert_eq!(backwards, forwards);
    assert_eq!(seqs(&http.get(&format!("{path}?after={head}")).await.json()), Vec::<u64>::new());
    assert_eq!(seqs(&http.get(&format!("{path}?before=4&limit=2")).await.json()), [2, 3]);
}

#[tokio::test]
async fn a_position_of_another_log_is_a_conflict_here_too() {
    let scene = Scene::drill().await;
    let http = scene.gateway.http();
    for query in ["after=1".to_owned(), format!("after=0&epoch={}", Uuid::new_v4())] {
        let refused = http.get(&format!("/api/sessions/{}/events?{query}", scene.session)).await;
        assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (409, "epoch_changed"), "{query}");
        let stream = http.get(&format!("/api/sessions/{}/stream?{query}", scene.session)).await;
        assert_eq!((stream.status.as_u16(), stream.error_code().as_str()), (409, "epoch_changed"), "{query}");
    }
}

#[tokio::test]
async fn turns_are_run_and_stopped() {
    let agent = FakeAgent::hanging();
    let mut scene = Scene::with(&agent).await;
    let http = scene.gateway.http();
    let path = |what: &str| format!("/api/sessions/{}/{what}", scene.session);
    let idle = http.post(&path("cancel"), &json!({})).await;
    assert_eq!((idle.status.as_u16(), idle.error_code().as_str()), (409, "conflict"));
    let body = json!({"text": "go", "key": new_key(), "model": "m"});
    let accepted = http.post(&path("prompts"), &body).await;
    assert_eq!((accepted.status.as_u16(), &accepted.json()["duplicate"]), (202, &json!(false)), "{}", accepted.text());
    assert_eq!((&accepted.json()["session"], &accepted.json()["seq"]), (&json!(scene.session), &json!(1)));
    let again = http.post(&path("prompts"), &body).await;
    assert_eq!((again.status.as_u16(), &again.json()["duplicate"]), (202, &json!(true)));
    assert_eq!(again.json()["turn"], accepted.json()["turn"]);
    let busy = http.post(&path("prompts"), &json!({"text": "me too"})).await;
    assert_eq!((busy.status.as_u16(), busy.error_code().as_str()), (409, "busy"));
    let other_text = json!({"text": "other", "key": body["key"]});
    let conflict = http.post(&path("prompts"), &other_text).await;
    assert_eq!((conflict.status.as_u16(), conflict.error_code().as_str()), (409, "conflict"));
    assert_eq!(http.post(&path("cancel"), &json!({})).await.status, 202);
    let turn = accepted.json()["turn"].as_str().expect("`turn` is a text").to_owned();
    assert_eq!(scene.viewer.turn_end(&scene.session, &turn).await.text("outcome"), "cancelled");
}

#[tokio::test]
async fn too_many_turns_and_no_agent_have_their_codes() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).max_turns(1), "claude").await;
    let other = scene.viewer.create("claude").await;
    let running = scene.viewer.prompt(&scene.session, "go").await;
    let http = scene.gateway.http();
    let full = http.post(&format!("/api/sessions/{other}/prompts"), &json!({"text": "go"})).await;
    assert_eq!((full.status.as_u16(), full.error_code().as_str()), (503, "at_capacity"));
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &running.turn).await;

    let bare = Scene::start(Gateway::builder(), "claude").await;
    let path = format!("/api/sessions/{}/prompts", bare.session);
    let refused = bare.gateway.http().post(&path, &json!({"text": "go"})).await;
    assert_eq!(refused.error_code(), "no_agent");
}

#[tokio::test]
async fn bad_requests_name_what_is_wrong() {
    let scene = Scene::drill().await;
    let http = scene.gateway.http();
    let session = format!("/api/sessions/{}", scene.session);
    let table = [
        ("POST", "/api/sessions".to_owned(), "{", "JSON"),
        ("POST", "/api/sessions".to_owned(), "[]", ""),
        ("POST", "/api/sessions".to_owned(), r#"{"titel":"x"}"#, "titel"),
        ("POST", "/api/sessions".to_owned(), r#"{"agent":"skynet"}"#, "agent"),
        ("PATCH", session.clone(), r#"{"titel":"x"}"#, "titel"),
        ("PATCH", session.clone(), r#"{"archived":"yes"}"#, "archived"),
        ("POST", format!("{session}/prompts"), r#"{"text":""}"#, "text"),
        ("POST", format!("{session}/prompts"), r#"{"text":"a\u0000b"}"#, "text"),
        ("POST", format!("{session}/prompts"), r#"{"text":"x","key":"7"}"#, "key"),
        ("POST", format!("{session}/prompts"), "{}", "text"),
        ("GET", format!("{session}/events?after=x"), "", "after"),
        ("GET", format!("{session}/events?limit=-1"), "", "limit"),
        ("GET", format!("{session}/events?aftre=1"), "", "aftre"),
        ("GET", format!("{session}/events?after=0&before=5"), "", "before"),
        ("GET", format!("{session}/export?format=docx"), "", "format"),
        ("GET", "/api/sessions?cursor=%00nonsense".to_owned(), "", "cursor"),
    ];
    for (method, path, body, names) in table {
        let body = (!body.is_empty()).then(|| body.to_owned());
        let refused = http.send(method, &path, body).await;
        let shown = format!("{method} {path}: {}", refused.text());
        assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (400, "bad_request"), "{shown}");
        let message = refused.json()["error"]["message"].as_str().expect("`message` is a text").to_owned();
        assert!(message.contains(names), "{shown}");
    }
    let too_large = json!({"text": "x".repeat(262_145)});
    let refused = http.post(&format!("{session}/prompts"), &too_large).await;
    assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (413, "too_large"));
    let huge = http.post(&format!("{session}/prompts"), &json!({"text": "x".repeat(5_000_000)})).await;
    assert_eq!((huge.status.as_u16(), huge.error_code().as_str()), (413, "too_large"));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let gateway = Gateway::builder().start().await;
    let http = gateway.http();
    let id = Uuid::new_v4();
    for (method, path, body) in [
        ("GET", format!("/api/sessions/{id}"), None),
        ("PATCH", format!("/api/sessions/{id}"), Some(r#"{"title":"x"}"#)),
        ("GET", format!("/api/sessions/{id}/events"), None),
        ("GET", format!("/api/sessions/{id}/stream"), None),
        ("GET", format!("/api/sessions/{id}/export?format=jsonl"), None),
        ("POST", format!("/api/sessions/{id}/prompts"), Some(r#"{"text":"x"}"#)),
        ("POST", format!("/api/sessions/{id}/cancel"), Some("{}")),
        ("GET", "/api/nothing".to_owned(), None),
    ] {
        let missing = http.send(method, &path, body.map(str::to_owned)).await;
        assert_eq!((missing.status.as_u16(), missing.error_code().as_str()), (404, "not_found"), "{method} {path}");
    }
    assert_eq!(http.send("DELETE", "/api/sessions", None).await.status, 405);
}

#[tokio::test]
async fn the_history_is_exported_verbatim() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:<script>alert(1)</script> é]]").await;
    let http = scene.gateway.http();
    let path = |format: &str| format!("/api/sessions/{}/export?format={format}", scene.session);
    let jsonl = http.get(&path("jsonl")).await;
    assert_eq!(jsonl.text().lines().map(str::to_owned).collect::<Vec<_>>(), scene.viewer.whole_log(&scene.session));
    assert!(jsonl.header("content-disposition").starts_with("attachment"));
    // Compressed, as a browser asks: whatever polls a body once more at its end must find the end.
    let packed = scene.gateway.http().with("accept-encoding", "gzip").get(&path("jsonl")).await;
    assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, "gzip"));
    assert!(!scene.gateway.log().contains("panicked"), "{}", scene.gateway.log());
}

#[tokio::test]
async fn events_are_compressed_when_asked() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, &format!("[[text:{}]]", "again ".repeat(2000))).await;
    let path = format!("/api/sessions/{}/events", scene.session);
    let plain = scene.gateway.http().get(&path).await;
    let compressed = scene.gateway.http().with("accept-encoding", "gzip").get(&path).await;
    assert_eq!((plain.header("content-encoding"), compressed.header("content-encoding")), ("", "gzip"));
    assert!(compressed.body.starts_with(&[0x1f, 0x8b]) && compressed.body.len() * 5 < plain.body.len());
}

#[tokio::test]
async fn health_needs_no_credentials_and_metrics_do() {
    let gateway = Gateway::builder().start().await;
    let anybody = Http::new(gateway.address(), None);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(anybody.get(path).await.status, 200, "{path}");
    }
    assert_eq!(anybody.get("/metrics").await.status, 401);
    let metrics = gateway.http().get("/metrics").await;
    assert!(metrics.status == 200 && metrics.text().contains("# TYPE breakglass_"), "{}", metrics.text());
    for path in ["/api/sessions", "/api/me", "/api/nothing"] {
        assert_eq!(anybody.get(path).await.status, 401, "{path}");
    }
}
