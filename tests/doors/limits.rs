//! Limits: each has its own error, and none of them is the end of the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::viewer::Viewer;
use crate::support::wait::within;

/// What the gateway says to a connection that says nothing, until it closes it.
async fn silent(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the kernel accepts");
    let mut answer = Vec::new();
    let _ = within("the gateway to close", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A connection on which one request with a token was answered, and that stays open.
async fn kept(address: SocketAddr, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the gateway accepts");
    let request = format!("GET /api/me HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the gateway reads");
    let mut head = [0; 15];
    within("an answer", stream.read_exact(&mut head)).await.expect("the gateway answers");
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    stream
}

#[tokio::test]
async fn all_places_taken_is_said_at_once_and_a_place_is_free_again_when_somebody_goes() {
    let gateway = Gateway::builder().env("BREAKGLASS_MAX_CONNECTIONS", "3").start().await;
    let mut viewers = Vec::new();
    for _ in 0..3 {
        viewers.push(Viewer::connect(&gateway).await);
    }
    let refused = silent(gateway.address()).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains(r#""code":"at_capacity""#) && refused.contains("--max-connections"), "{refused}");
    viewers.pop();
    let answered = async {
        loop {
            let mut stream = TcpStream::connect(gateway.address()).await.expect("the kernel accepts");
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.address());
            let mut answer = String::new();
            if stream.write_all(request.as_bytes()).await.is_ok()
                && stream.read_to_string(&mut answer).await.is_ok()
                && answer.starts_with("HTTP/1.1 200")
            {
                return;
            }
        }
    };
    within("the place of the one who went", answered).await;
    for viewer in &mut viewers {
        assert_eq!(viewer.request(json!({"type": "ping"})).await["type"], "pong");
    }
}

#[tokio::test]
async fn those_without_a_credential_cannot_take_the_places_of_those_with_one() {
    let gateway = Gateway::builder().env("BREAKGLASS_MAX_CONNECTIONS_UNAUTHENTICATED", "2").start().await;
    let first = kept(gateway.address(), gateway.token()).await;
    let second = kept(gateway.address(), gateway.token()).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(TcpStream::connect(gateway.address()).await.expect("the gateway accepts"));
    }
    // Connections are taken in order, so the third finds the two places taken.
    let refused = silent(gateway.address()).await;
    assert!(refused.contains("--max-connections-unauthenticated"), "{refused}");
    drop((first, second));
    let mut byte = [0; 1];
    let cut = within("an idle connection to be cut", idle[0].read(&mut byte)).await;
    assert!(matches!(cut, Ok(0) | Err(_)), "who shows nothing for 15 s is cut");
    drop(idle);
    assert_eq!(gateway.http().get("/api/me").await.status, 200);
}

#[tokio::test]
async fn one_person_has_so_many_connections_and_so_many_requests_a_second() {
    let settings = Gateway::builder()
        .env("BREAKGLASS_MAX_CONNECTIONS_PER_IDENTITY", "2")
        .env("BREAKGLASS_REQUESTS_PER_SECOND", "2");
    let gateway = settings.start().await;
    let ana = gateway.add_token("ana", "viewer").await;
    let kept = [kept(gateway.address(), &ana).await, kept(gateway.address(), &ana).await];
    let refused = Http::new(gateway.address(), Some(&ana)).get("/api/me").await;
    assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (429, "rate_limited"));
    assert!(refused.text().contains("--max-connections-per-identity"), "{}", refused.text());
    let other = gateway.http();
    let statuses: Vec<u16> = {
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(other.get("/api/me").await);
        }
        let refused =
            statuses.iter().find(|answer| answer.status == 429).expect("40 requests are more than 2 a second");
        assert!(refused.text().contains("--requests-per-second"), "{}", refused.text());
        assert!(refused.json()["error"]["retry_after_ms"].as_u64().is_some_and(|ms| ms <= 1_000));
        statuses.iter().map(|answer| answer.status.as_u16()).collect()
    };
    assert_eq!(statuses[..10], [200; 10], "a burst of five seconds' worth is fine");
    drop(kept);
}

#[tokio::test]
async fn json_that_is_nested_too_deep_is_refused_by_name() {
    let gateway = Gateway::builder().start().await;
    let deep = format!(r#"{{"title":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let refused = gateway.http().send("POST", "/api/sessions", Some(deep.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (400, "bad_request"));
    assert!(refused.text().contains("nested too deep"), "{}", refused.text());
    let mut viewer = Viewer::connect(&gateway).await;
    let reply = viewer.request_text(&deep).await;
    assert_eq!(reply["code"], "bad_request");
    assert!(reply["message"].as_str().is_some_and(|message| message.contains("nested too deep")), "{reply}");
}

#[tokio::test]
async fn a_head_that_is_too_long_or_too_slow_is_cut() {
    let gateway = Gateway::builder().start().await;
    let mut long = TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
    let mut slow = TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
    slow.write_all(b"GET / HTTP/1.1\r\nX: ").await.expect("the gateway reads");
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", gateway.address(), "x".repeat(64 << 10));
    let _ = long.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = within("the answer to a long head", long.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // A byte now and then does not help: the whole head has its time.
    let cut = async {
        while slow.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    within("a slow head to be cut", cut).await;
    assert_eq!(gateway.http().get("/api/me").await.status, 200);
}

#[tokio::test]
async fn the_limits_are_named_in_the_help() {
    let gateway = Gateway::builder().start().await;
    let help = gateway.cli(&["serve", "--help"]).await;
    for limit in [
        "--max-connections ",
        "--max-connections-per-identity",
        "--max-connections-unauthenticated",
        "--requests-per-second",
        "attached sessions",
        "prompt",
        "frame",
        "nested",
        "head",
        "body",
    ] {
        assert!(help.contains(limit), "`{limit}` is not in the help:\n{help}");
    }
}

#[tokio::test]
async fn running_out_of_file_descriptors_does_not_end_the_gateway() {
    let starter = tempfile::tempdir().expect("a temporary folder can be made");
    let program: PathBuf = starter.path().join("few-files");
    let script = format!("#!/bin/sh\nulimit -n 64\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_breakglass"));
    std::fs::write(&program, script).expect("a temporary folder is writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("our own file can be changed");
    let gateway = Gateway::builder().program(&program).start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(TcpStream::connect(gateway.address()).await.expect("the kernel accepts"));
    }
    crate::support::wait::eventually("the gateway to have run out", || {
        gateway.log().contains("connections cannot be accepted").then_some(())
    })
    .await;
    assert_eq!(viewer.request(json!({"type": "ping"})).await["type"], "pong", "who is in stays in");
    drop(open);
    assert_eq!(gateway.http().get("/api/me").await.status, 200, "and others come in again");
}

#[tokio::test]
async fn a_body_that_is_too_slow_is_cut_by_name() {
    let gateway = Gateway::builder().start().await;
    let mut stream = TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: {}\r\nContent-Length: 90\r\nConnection: close\r\n\r\n{{\"token\":",
        gateway.address()
    );
    stream.write_all(head.as_bytes()).await.expect("the gateway reads");
    let mut answer = String::new();
    within("the gateway to lose its patience", stream.read_to_string(&mut answer)).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""code":"#), "{answer}");
}

#[tokio::test]
async fn one_connection_may_attach_so_many_sessions_and_others_are_not_hurt() {
    const ATTACHED_MAX: usize = 256;
    let gateway = Gateway::builder().start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    for _ in 0..ATTACHED_MAX {
        viewer.open_session("drill").await;
    }
    let one_more = viewer.request(json!({"type": "create", "agent": "drill"})).await;
    let session = one_more["session"].clone();
    let refused = viewer.request(json!({"type": "attach", "session": session})).await;
    assert_eq!(refused["type"], "error", "{refused}");
    assert!(refused["message"].as_str().is_some_and(|message| message.contains("256 sessions")), "{refused}");
    assert_eq!(viewer.request(json!({"type": "ping"})).await["type"], "pong");
    let mut other = Viewer::connect(&gateway).await;
    assert_eq!(other.request(json!({"type": "attach", "session": session})).await["type"], "attached");
}

#[tokio::test]
async fn a_thousand_viewers_of_one_person_may_come_at_once() {
    // More than come in a moment with one token: every page and terminal of a team behind one, after a restart.
    const REQUESTS: usize = 2_500;
    let gateway = Gateway::builder().start().await;
    let requests = (0..8).map(|_| async {
        let http = gateway.http();
        for _ in 0..REQUESTS / 8 {
            assert_eq!(http.get("/api/me").await.status, 200);
        }
    });
    futures_util::future::join_all(requests).await;
}
