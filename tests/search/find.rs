//! The contract of `GET /api/search`: `docs/protocol.md` section 4.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{all, escaped, settled};
use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::wait::within;

#[tokio::test]
async fn a_hit_says_where_it_is_and_what_it_says() {
    let mut scene = Scene::drill().await;
    let events = scene
        .viewer
        .turn(&scene.session, "[[bash:df -h /srv => /dev/sdb1 is 97% full]][[result:needle in the end]]")
        .await;
    let http = scene.gateway.http();
    settled(&http).await;
    let answer = http.get("/api/search?q=sdb1&kind=tool_result").await.json();
    let state = http.get(&format!("/api/sessions/{}", scene.session)).await.json();
    let output = events.iter().find(|event| event.kind() == "tool_result").expect("the tool came back");
    let record: Value =
        serde_json::from_str(&scene.viewer.whole_log(&scene.session)[output.seq() as usize - 1]).expect("JSON");
    assert_eq!(
        answer,
        json!({"type": "search", "behind": 0, "hits": [{
            "session": scene.session, "title": state["title"], "seq": output.seq(), "turn": record["turn"],
            "time": record["time"], "kind": "tool_result", "by": "first",
            "snippet": [{"text": "/dev/"}, {"text": "sdb1", "hit": true}, {"text": " is 97% full"}],
        }]})
    );
    // Every kind that people write or read is found: the prompt, the tool's input and output, the result.
    for (q, kinds) in [
        ("needle", &["result", "user"][..]),
        ("srv", &["tool", "user"]),
        ("bash df", &["tool", "user"]),
        ("97", &["tool_result", "user"]),
    ] {
        let page = http.get(&format!("/api/search?q={}", escaped(q))).await.json();
        let found: Vec<&str> =
            page["hits"].as_array().expect("hits").iter().filter_map(|hit| hit["kind"].as_str()).collect();
        assert_eq!(found, kinds, "{q}: {page}");
    }
}

#[tokio::test]
async fn filters_narrow_and_may_stand_alone() {
    let mut scene = Scene::drill().await;
    let good = scene.viewer.turn(&scene.session, "[[text:apple]]").await;
    let bad = scene.viewer.turn(&scene.session, "[[text:apple pear]][[error:apple is down]]").await;
    let mut ana = scene.operator("ana").await;
    let other = ana.open_session("drill").await;
    ana.turn(&other, "[[text:apple of ana]]").await;
    let http = scene.gateway.http();
    settled(&http).await;
    let found = async |query: &str| all(&http, query).await;
    let sessions = |hits: &[(String, u64)]| hits.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();

    assert!(sessions(&found("q=apple&by=ana").await).iter().all(|id| *id == other));
    assert_eq!(found("q=apple&by=ana").await.len(), 3, "her prompt, what the agent said for her, its result");
    assert!(
        sessions(&found(&format!("q=apple&session={}", scene.session)).await).iter().all(|id| *id == scene.session)
    );
    let failed = found(&format!("q=apple&outcome=error&session={}", scene.session)).await;
    assert!(
        !failed.is_empty() && failed.iter().all(|(_, seq)| *seq > good.last().expect("events").seq()),
        "{failed:?}"
    );
    assert_eq!(found("q=apple&kind=user,cancelled").await.len(), 3);
    assert_eq!(found("q=apple&outcome=timeout,lost").await, []);

    // Without words: newest first, and times are bounds that include.
    let ends = found("kind=turn_end").await;
    assert_eq!(sessions(&ends), [other.clone(), scene.session.clone(), scene.session.clone()]);
    assert_eq!(ends[1].1, bad.last().expect("events").seq());
    let time = |hit: usize| {
        let page = http.get("/api/search?kind=turn_end");
        async move { page.await.json()["hits"][hit]["time"].as_str().expect("a time").to_owned() }
    };
    let (newest, oldest) = (time(0).await, time(2).await);
    assert_eq!(found(&format!("kind=turn_end&from={newest}")).await[0], ends[0]);
    assert_eq!(found(&format!("kind=turn_end&to={oldest}")).await.last(), ends.last());
    assert_eq!(found(&format!("kind=turn_end&from={oldest}&to={newest}")).await, ends);
    assert_eq!(found("kind=turn_end&from=2999-01-01T00:00:00Z").await, []);
}

#[tokio::test]
async fn pages_follow_each_other_while_more_is_written() {
    let mut scene = Scene::drill().await;
    let texts: String = (0..25).map(|number| format!("[[text:pebble {number}]]")).collect();
    scene.viewer.turn(&scene.session, &format!("[[speed:max]]{texts}")).await;
    let http = scene.gateway.http();
    settled(&http).await;
    let first = http.get("/api/search?q=pebble&kind=text&limit=10").await.json();
    scene.viewer.turn(&scene.session, "[[text:pebble later]]").await;
    settled(&http).await;
    let cursor = first["next"].as_str().expect("there is more");
    let second = http.get(&format!("/api/search?q=pebble&kind=text&limit=10&cursor={cursor}")).await.json();
    let cursor = second["next"].as_str().expect("there is more");
    let third = http.get(&format!("/api/search?q=pebble&kind=text&limit=10&cursor={cursor}")).await.json();
    assert_eq!(third.get("next"), None, "{third}");
    let mut seqs: Vec<u64> = [first, second, third].iter().flat_map(super::hits).map(|(_, seq)| seq).collect();
    assert!(seqs.is_sorted_by(|newer, older| newer > older), "{seqs:?}");
    seqs.dedup();
    assert_eq!(seqs.len(), 25);
    // A page that is exactly full is the last.
    assert_eq!(http.get("/api/search?q=pebble&kind=text&limit=26").await.json().get("next"), None);
}

#[tokio::test]
async fn everybody_who_may_read_may_search_and_nobody_else() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:granite]]").await;
    settled(&scene.gateway.http()).await;
    for role in ["viewer", "auditor", "operator"] {
        let token = scene.gateway.add_token(role, role).await;
        let answer = Http::new(scene.gateway.address(), Some(&token)).get("/api/search?q=granite").await;
        assert_eq!((answer.status.as_u16(), super::hits(&answer.json()).len()), (200, 3), "{role}");
    }
    assert_eq!(Http::new(scene.gateway.address(), None).get("/api/search?q=granite").await.status, 401);
    scene.gateway.cli(&["token", "revoke", "viewer"]).await;
}

#[tokio::test]
async fn what_is_typed_is_text_and_what_cannot_be_is_named() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:alpha NOT beta (gamma)]][[text:col:umn]]").await;
    let http = scene.gateway.http();
    settled(&http).await;
    let long = "x".repeat(100_000);
    let many = "a ".repeat(33);
    let bad = [
        ("q", ""),
        ("q", "\0"),
        ("q", "\"\""),
        ("q", "--;*()^:"),
        ("q", "\u{1b}\u{202e}"),
        ("q", &long[..2_000]),
        ("q", &many),
        ("q=x&kind", "prose"),
        ("q=x&outcome", "fine"),
        ("q=x&from", "yesterday"),
        ("q=x&to", "2026-13-01T00:00:00Z"),
        ("q=x&limit", "0"),
        ("q=x&limit", "101"),
        ("q=x&limit", "many"),
        ("q=x&cursor", "-1"),
        ("q=x&cursor", "' OR 1"),
        ("q=x&session", "last"),
        ("q=x&sesion", "x"),
    ];
    for (name, value) in bad {
        let refused = http.get(&format!("/api/search?{name}={}", escaped(value))).await;
        let shown = format!("{name}={}: {}", value.chars().take(20).collect::<String>(), refused.text());
        assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (400, "bad_request"), "{shown}");
        let parameter = name.rsplit('&').next().expect("a name");
        assert!(
            refused.json()["error"]["message"].as_str().is_some_and(|message| message.contains(parameter)),
            "{shown}"
        );
    }
    assert_eq!(http.get("/api/search").await.error_code(), "bad_request");
    assert_eq!(http.get(&format!("/api/search?q={}", &long[..15_000])).await.error_code(), "bad_request");
    let status = raw(scene.gateway.address(), &format!("GET /api/search?q={long} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(status.starts_with("HTTP/1.1 4"), "{status}");
    let nobody = uuid::Uuid::new_v4();
    assert_eq!(http.get(&format!("/api/search?q=x&session={nobody}")).await.error_code(), "not_found");

    let log = |query: &str, hits: usize| (query.to_owned(), hits);
    for (query, hits) in [
        log("alpha NOT beta", 2),
        log("alpha OR zeta", 0),
        log("\"not beta\" gamma", 2),
        log("(gamma)", 2),
        log("-alpha*", 2),
        log("text:alpha", 1),
        log("col:umn", 2),
        log("NEAR(alpha beta)", 0),
        log("\"unbalanced", 0),
        log("\"alpha not", 2),
        log("al\0pha", 0),
        log("alpha\0not", 2),
        log("'; DROP TABLE words; --", 0),
        log("{text}: alpha", 1),
        log("ALPHA", 2),
        log("alph", 2),
        log("\"alph\"", 0),
        log("alph beta", 0),
        log("^alpha", 2),
    ] {
        let found = all(&http, &format!("q={}&kind=user,text", escaped(&query))).await;
        assert_eq!(found.len(), hits, "{query:?}");
    }
}

/// The status line that a request gets which no client library would send.
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("the gateway accepts");
    // It may answer and close before it has read all.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = [0; 64];
    let read = within("an answer", stream.read(&mut answer)).await.expect("an answer comes");
    String::from_utf8_lossy(&answer[..read]).lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_gateway_that_never_said_anything_finds_nothing() {
    let gateway = Gateway::builder().start().await;
    settled(&gateway.http()).await;
    let answer = gateway.http().get("/api/search?q=anything").await;
    assert_eq!(answer.json(), json!({"type": "search", "hits": [], "behind": 0}));
}
