//! Before the first request and after the last frame: upgrade, `hello`, close codes.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::gateway::Gateway;
use crate::support::viewer::{Closed, SUBPROTOCOL, Viewer, open};

const MAX_FRAME: usize = 1 << 20;

#[tokio::test]
async fn hello_comes_first_and_says_who_and_what() {
    let gateway = Gateway::builder().start().await;
    let viewer = Viewer::connect(&gateway).await;
    let hello = viewer.model.hello();
    assert_eq!((&hello["protocol"], &hello["name"], &hello["role"]), (&json!(1), &json!("first"), &json!("operator")));
    assert_eq!(hello["limits"], json!({"max_frame": 1_048_576, "max_prompt": 262_144, "max_attached": 256}));
    assert!(hello["server"].as_str().is_some_and(|server| server.starts_with("breakglass ")), "{hello}");
    assert!(hello["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()), "{hello}");
    let again = Viewer::connect(&gateway).await;
    assert_eq!(again.model.hello()["epoch"], hello["epoch"]);
}

#[tokio::test]
async fn the_epoch_stays_over_a_restart() {
    let mut gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let epoch = viewer.model.hello()["epoch"].clone();
    gateway.kill_9().await;
    viewer.closed().await;
    gateway.restart().await;
    viewer.resume(&gateway).await;
    assert_eq!(viewer.model.hello()["epoch"], epoch);
}

#[tokio::test]
async fn the_subprotocol_is_echoed_if_offered_and_no_other_will_do() {
    let gateway = Gateway::builder().start().await;
    let bearer = format!("Bearer {}", gateway.token());
    let authorization = ("authorization", bearer.as_str());
    for (offered, answer) in
        [(Some(SUBPROTOCOL), Some(SUBPROTOCOL)), (Some("chat, breakglass.v1, soap"), Some(SUBPROTOCOL)), (None, None)]
    {
        let mut headers = vec![authorization];
        headers.extend(offered.map(|offered| ("sec-websocket-protocol", offered)));
        let (_, response) = open(gateway.address(), &headers).await.expect("it is accepted");
        let echoed = response.headers().get("sec-websocket-protocol").map(|value| value.to_str().expect("text"));
        assert_eq!(echoed, answer, "{offered:?}");
    }
    let refused = open(gateway.address(), &[authorization, ("sec-websocket-protocol", "breakglass.v2")]).await;
    assert_eq!(refused.expect_err("another protocol is refused").status(), 400);
}

#[tokio::test]
async fn who_has_no_good_token_is_refused_before_the_upgrade() {
    let gateway = Gateway::builder().start().await;
    for headers in [&[][..], &[("authorization", "Bearer nonsense")], &[("authorization", "Basic Zmlyc3Q6eA==")]] {
        let refused = open(gateway.address(), headers).await;
        assert_eq!(refused.expect_err("no good token").status(), 401, "{headers:?}");
    }
    assert_eq!(gateway.http().get("/ws").await.status, 426);
}

#[tokio::test]
async fn foreign_pages_and_names_are_refused() {
    let gateway = Gateway::builder().start().await;
    let bearer = format!("Bearer {}", gateway.token());
    let (authorization, own) = (("authorization", bearer.as_str()), gateway.url());
    assert!(open(gateway.address(), &[authorization, ("origin", &own)]).await.is_ok());
    for (header, value, status) in [
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://127.0.0.1:1", 403),
        ("host", "evil.example", 421),
    ] {
        let refused = open(gateway.address(), &[authorization, (header, value)]).await;
        assert_eq!(refused.expect_err("a foreign page or name").status(), status, "{header}: {value}");
    }
}

#[tokio::test]
async fn the_public_url_is_an_allowed_origin_and_host_and_is_used_in_the_link() {
    let gateway = Gateway::builder().public_url("https://gate.example").start().await;
    let bearer = format!("Bearer {}", gateway.token());
    let headers = [("authorization", bearer.as_str()), ("host", "gate.example"), ("origin", "https://gate.example")];
    assert!(open(gateway.address(), &headers).await.is_ok());
    let foreign = [headers[0], headers[1], ("origin", "https://other.example")];
    assert_eq!(open(gateway.address(), &foreign).await.expect_err("a foreign page").status(), 403);
}

#[tokio::test]
async fn frames_of_a_wrong_sort_end_the_connection_with_their_code() {
    let gateway = Gateway::builder().start().await;
    let mut binary = Viewer::connect(&gateway).await;
    binary.send(Message::binary(&b"{}"[..])).await;
    assert_eq!(binary.closed().await, Closed { code: Some(1003) });
    let mut not_utf8 = Viewer::connect(&gateway).await;
    not_utf8.send_bytes_as_text(b"{\"type\":\"ping\xff\"}").await;
    assert_eq!(not_utf8.closed().await, Closed { code: Some(1007) });
    let mut too_big = Viewer::connect(&gateway).await;
    too_big.send_text(&padded_ping(MAX_FRAME + 1)).await;
    assert_eq!(too_big.closed().await, Closed { code: Some(1009) });
    let mut as_big_as_may_be = Viewer::connect(&gateway).await;
    assert_eq!(as_big_as_may_be.request_text(&padded_ping(MAX_FRAME)).await["type"], "pong");
}

/// A ping of exactly so many bytes.
fn padded_ping(bytes: usize) -> String {
    let ping = r#"{"type":"ping"}"#;
    ping.to_owned() + &" ".repeat(bytes - ping.len())
}

#[tokio::test]
async fn a_token_counts_from_when_it_is_made_until_it_is_revoked() {
    let gateway = Gateway::builder().start().await;
    let token = gateway.add_token("guest", "viewer").await;
    let mut guest = Viewer::connect_as(gateway.address(), &token).await;
    let mut operator = Viewer::connect(&gateway).await;
    assert_eq!((&guest.model.hello()["name"], &guest.model.hello()["role"]), (&json!("guest"), &json!("viewer")));
    gateway.cli(&["token", "revoke", "guest"]).await;
    assert_eq!(guest.closed().await, Closed { code: Some(4401) });
    let bearer = format!("Bearer {token}");
    let refused = open(gateway.address(), &[("authorization", &bearer)]).await;
    assert_eq!(refused.expect_err("the token is revoked").status(), 401);
    assert_eq!(operator.request(json!({"type": "ping"})).await["type"], "pong");
}
