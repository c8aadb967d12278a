//! Anchors: every checkpoint reaches every place that can be reached, and one that cannot delays nobody.

use std::os::unix::net::UnixDatagram;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::history::both;
use crate::support::gateway::Gateway;
use crate::support::viewer::Viewer;
use crate::support::wait::{eventually, within};

async fn session_with_a_turn(gateway: &Gateway) -> String {
    let mut viewer = Viewer::connect(gateway).await;
    let session = viewer.open_session("drill").await;
    viewer.turn(&session, "[[text:hello]]").await;
    session
}

#[tokio::test]
async fn a_file_and_the_systems_log_get_what_pins_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let (file, socket) = (dir.path().join("anchored"), dir.path().join("log"));
    let log = UnixDatagram::bind(&socket).unwrap();
    log.set_nonblocking(true).unwrap();
    let places = format!("file:{},syslog:{}", file.display(), socket.display());
    let mut gateway = Gateway::builder().env("BREAKGLASS_ANCHOR", &places).start().await;
    let session = session_with_a_turn(&gateway).await;
    gateway.terminate().await;
    let anchored = std::fs::read_to_string(&file).unwrap();
    assert!(anchored.contains(&format!("/sessions/{session}\n")) && anchored.contains("/heads\n"), "{anchored}");
    let (mut logged, mut datagram) = (String::new(), vec![0; 4096]);
    while let Ok(bytes) = log.recv(&mut datagram) {
        logged.push_str(std::str::from_utf8(&datagram[..bytes]).unwrap());
        logged.push('\n');
    }
    assert!(logged.starts_with("<134>breakglass: anchor note="), "{logged}");
    let key = gateway.cli(&["key"]).await;
    for (name, notes) in [("anchored", anchored), ("logged", logged)] {
        let pinned = dir.path().join(name);
        std::fs::write(&pinned, notes).unwrap();
        let said = both(&gateway, &gateway.data(), key.trim(), &["--pinned", pinned.to_str().unwrap()]).await;
        assert_eq!((said.status, said.findings), (0, Vec::new()), "{name}");
    }
}

/// Reads one request; its body as JSON.
async fn request(listener: &TcpListener, answer: &str) -> Value {
    let (mut stream, _) = within("a webhook", listener.accept()).await.unwrap();
    let mut text = Vec::new();
    loop {
        let mut piece = vec![0; 4096];
        let bytes = within("the webhook's request", stream.read(&mut piece)).await.unwrap();
        text.extend_from_slice(&piece[..bytes]);
        let request = String::from_utf8_lossy(&text);
        if let Some((head, body)) = request.split_once("\r\n\r\n")
            && let Ok(json) = serde_json::from_str(body)
        {
            assert!(head.starts_with("POST /hook?a=b HTTP/1.1"), "{head}");
            stream.write_all(answer.as_bytes()).await.unwrap();
            return json;
        }
        assert!(bytes > 0, "the request broke off: {request}");
    }
}

#[tokio::test]
async fn a_webhook_is_tried_again_and_nobody_waits_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/hook?a=b", listener.local_addr().unwrap());
    let gateway = Gateway::builder().env("BREAKGLASS_ANCHOR", &place).start().await;
    // Nobody answers yet, and turns go on.
    let session = session_with_a_turn(&gateway).await;
    let refused = request(&listener, "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let mut seen = Vec::new();
    while !seen.iter().any(|note: &String| note.contains(&format!("/sessions/{session}\n"))) {
        let got = request(&listener, "HTTP/1.1 204 Fine\r\n\r\n").await;
        seen.push(got["note"].as_str().unwrap().to_owned());
    }
    assert_eq!(refused["note"].as_str(), Some(seen[0].as_str()), "what was refused comes again, first");
}

#[tokio::test]
async fn a_place_that_is_none_is_refused_at_the_start_and_one_that_fails_is_counted() {
    let gateway = Gateway::builder().env("BREAKGLASS_ANCHOR", "file:/nowhere/at/all").start().await;
    session_with_a_turn(&gateway).await;
    let refused = gateway.run(&["serve", "--anchor", "https://example.org/"]).await;
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--anchor"), "{refused:?}");
    eventually("the failure", || gateway.log().contains("could not be anchored").then_some(())).await;
    let metrics = gateway.http().get("/metrics").await;
    let line = metrics.text().lines().find(|line| line.starts_with("breakglass_anchors_failed ")).map(str::to_owned);
    assert!(line.is_some_and(|line| !line.ends_with(" 0")));
}
