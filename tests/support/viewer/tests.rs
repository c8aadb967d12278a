//! The viewer against a server that keeps, or breaks, its promises.

use super::*;
use tokio_util::task::AbortOnDropHandle;

/// A server that shows a session of two events to whoever attaches, `second` being the seq of the second one, and
/// then restarts.
async fn stand_in(second: u64) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let server = crate::support::wait::background(async move {
        let (stream, _) = listener.accept().await.expect("the test connects");
        #[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
        let echo = |_: &_, mut response: Response<()>| {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        };
        let accepted = tokio_tungstenite::accept_hdr_async(stream, echo).await;
        let mut socket = accepted.expect("the test speaks WebSocket");
        let _ = socket.send(Message::text(r#"{"type":"hello","epoch":"e"}"#)).await;
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            let request: Value = serde_json::from_str(&text).expect("the test sends JSON");
            let id = &request["id"];
            let event = |seq: u64, kind: &str| {
                let time = "2026-11-21T03:14:15.926Z";
                format!(r#"{{"type":"event","session":"s","seq":{seq},"time":"{time}","turn":"t","kind":"{kind}"}}"#)
            };
            let frames = match request["type"].as_str() {
                Some("ping") => vec![format!(r#"{{"type":"pong","id":{id}}}"#)],
                _ => vec![
                    format!(r#"{{"type":"attached","session":"s","epoch":"e","head":1,"from":1,"id":{id}}}"#),
                    event(1, "user"),
                    r#"{"type":"caught_up","session":"s","seq":1}"#.to_owned(),
                    event(second, "turn_end"),
                ],
            };
            for frame in frames {
                let _ = socket.send(Message::text(frame)).await;
            }
            if request["type"] == "attach" {
                let restart = tokio_tungstenite::tungstenite::protocol::CloseFrame {
                    code: 1012.into(),
                    reason: "restarting".into(),
                };
                let _ = socket.close(Some(restart)).await;
            }
        }
    });
    (address, server)
}

#[tokio::test]
async fn asks_folds_and_waits() {
    let (address, _server) = stand_in(2).await;
    let mut viewer = Viewer::connect_as(address, "token").await;
    assert_eq!(viewer.request(json!({"type": "ping"})).await["type"], "pong");
    viewer.attach("s", 0).await;
    viewer.caught_up("s").await;
    assert_eq!(viewer.turn_end("s", "t").await.seq(), 2);
    assert_eq!(viewer.event_of_kind("s", "user").await.seq(), 1);
    assert_eq!(viewer.whole_log("s").len(), 2);
    assert_eq!(viewer.closed().await, Closed { code: Some(1012) });
}

#[tokio::test]
#[should_panic(expected = "seq 3 came where 2 is due")]
async fn a_gap_fails_whatever_the_test_waits_for() {
    let (address, _server) = stand_in(3).await;
    let mut viewer = Viewer::connect_as(address, "token").await;
    viewer.attach("s", 0).await;
    viewer.closed().await;
}
