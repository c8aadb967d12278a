//! Tokens and sign-ins: how they end, how their use shows, and how wrong ones are slowed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::viewer::{Closed, Viewer, open};
use crate::support::wait::{eventually, within};

/// The promise is 5 s; a busy machine gets as much again.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
/// How long a brief token lives: time enough to come in with it on a busy machine.
const LIFE: Duration = Duration::from_secs(6);

async fn brief_token(gateway: &Gateway, name: &str, expires: &str) -> String {
    let output = gateway.cli(&["token", "add", name, "--role", "viewer", "--expires", expires]).await;
    output.lines().last().expect("`token add` prints the token").to_owned()
}

#[tokio::test]
async fn an_expired_token_counts_no_more_and_its_connections_are_closed() {
    let gateway = Gateway::builder().start().await;
    let token = brief_token(&gateway, "brief", "6s").await;
    let mut viewer = Viewer::connect_as(gateway.address(), &token).await;
    let begun = Instant::now();
    assert_eq!(viewer.closed().await, Closed { code: Some(4401) });
    assert!(begun.elapsed() < ENDS_WITHIN + LIFE, "{:?}", begun.elapsed());
    let http = Http::new(gateway.address(), Some(&token));
    assert_eq!(http.get("/api/me").await.status, 401);
    assert_eq!(http.post("/api/login", &json!({"token": token})).await.status, 401);
    let list = gateway.cli(&["token", "list"]).await;
    let line = list.lines().find(|line| line.starts_with("brief\t")).expect("it is listed");
    assert!(line.split('\t').nth(3).is_some_and(|expires| expires.starts_with("expired 20")), "{line}");
    gateway.add_token("brief", "operator").await;
}

#[tokio::test]
async fn a_sign_in_ends_with_its_token_by_time_and_with_it_its_sockets_and_streams() {
    let gateway = Gateway::builder().start().await;
    let session = Viewer::connect(&gateway).await.open_session("drill").await;
    let token = brief_token(&gateway, "brief", "6s").await;
    let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
    let cookie = sign_in(&page, &token).await;
    let signed = page.with("cookie", &cookie);
    let mut viewer = Viewer::connect_with_cookie(&gateway, &cookie).await;
    let mut stream = signed.events(&format!("/api/sessions/{session}/stream")).await;
    let begun = Instant::now();
    assert_eq!(viewer.closed().await, Closed { code: Some(4401) });
    within("the stream to end", async { while stream.next().await.is_some() {} }).await;
    assert!(begun.elapsed() < ENDS_WITHIN + LIFE, "{:?}", begun.elapsed());
    assert_eq!(signed.get("/api/me").await.status, 401);
    let origin = gateway.url();
    let headers = [("cookie", cookie.as_str()), ("origin", origin.as_str())];
    assert!(open(gateway.address(), &headers).await.is_err());
}

async fn sign_in(page: &Http, token: &str) -> String {
    let signed_in = page.post("/api/login", &json!({"token": token})).await;
    assert_eq!(signed_in.status, 204, "{}", signed_in.text());
    signed_in.header("set-cookie").split(';').next().expect("a cookie has a value").to_owned()
}

#[tokio::test]
async fn a_sign_in_that_nobody_uses_ends_and_so_does_one_that_is_old() {
    for (setting, other) in [
        ("BREAKGLASS_LOGIN_IDLE_SECONDS", "BREAKGLASS_LOGIN_MAX_SECONDS"),
        ("BREAKGLASS_LOGIN_MAX_SECONDS", "BREAKGLASS_LOGIN_IDLE_SECONDS"),
    ] {
        let gateway = Gateway::builder().env(setting, "4").env(other, "600").start().await;
        let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
        let cookie = sign_in(&page, gateway.token()).await;
        let signed = page.with("cookie", &cookie);
        assert_eq!(signed.get("/api/me").await.status, 200, "{setting}");
        if setting == "BREAKGLASS_LOGIN_MAX_SECONDS" {
            // An open socket is use, and keeps a sign-in from being idle; from growing old nothing keeps it.
            let mut viewer = Viewer::connect_with_cookie(&gateway, &cookie).await;
            assert_eq!(viewer.closed().await, Closed { code: Some(4401) });
        } else {
            // Time itself is what ends it; nothing else can be waited for.
            tokio::time::sleep(Duration::from_millis(4_300)).await;
        }
        assert_eq!(signed.get("/api/me").await.status, 401, "{setting}");
        assert_eq!(gateway.http().get("/api/me").await.status, 200, "the token is not touched");
    }
}

#[tokio::test]
async fn signing_out_ends_the_sockets_of_that_browser_only() {
    let gateway = Gateway::builder().start().await;
    let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
    let (mine, other) = (sign_in(&page, gateway.token()).await, sign_in(&page, gateway.token()).await);
    let mut by_token = Viewer::connect(&gateway).await;
    let mut signed_out = Viewer::connect_with_cookie(&gateway, &mine).await;
    let mut stays = Viewer::connect_with_cookie(&gateway, &other).await;
    assert_eq!(page.with("cookie", &mine).post("/api/logout", &json!({})).await.status, 204);
    assert_eq!(page.with("cookie", &mine).get("/api/me").await.status, 401);
    assert_eq!(signed_out.closed().await, Closed { code: Some(4401) });
    assert_eq!(page.with("cookie", &other).get("/api/me").await.status, 200);
    for viewer in [&mut by_token, &mut stays] {
        assert_eq!(viewer.request(json!({"type": "ping"})).await["type"], "pong");
    }
}

#[tokio::test]
async fn the_list_of_tokens_says_who_used_theirs_also_after_the_gateway_stopped() {
    let mut gateway = Gateway::builder().start().await;
    let token = gateway.add_token("ana", "viewer").await;
    gateway.add_token("ben", "viewer").await;
    let last_used = |list: &str, name: &str| {
        let line = list.lines().find(|line| line.starts_with(&format!("{name}\t"))).expect("it is listed").to_owned();
        line.split('\t').nth(4).expect("five columns").to_owned()
    };
    assert_eq!(Http::new(gateway.address(), Some(&token)).get("/api/me").await.status, 200);
    gateway.terminate().await;
    let list = gateway.cli(&["token", "list"]).await;
    assert!(last_used(&list, "ana").starts_with("20"), "{list}");
    assert_eq!(last_used(&list, "ben"), "-");
    assert!(!list.contains("bg_"), "no token in the list: {list}");
    gateway.restart().await;
}

#[tokio::test]
async fn wrong_tokens_are_slowed_by_address_and_right_ones_never() {
    let gateway = Gateway::builder().start().await;
    let wrong = Http::new(gateway.address(), Some("bg_nonsense"));
    let mut statuses = Vec::new();
    for _ in 0..14 {
        statuses.push(wrong.get("/api/me").await.status.as_u16());
    }
    assert_eq!(statuses[..10], [401; 10]);
    assert_eq!(statuses[10..], [429; 4]);
    let slowed = Http::new(gateway.address(), None).post("/api/login", &json!({"token": "bg_nonsense"})).await;
    assert_eq!((slowed.status.as_u16(), slowed.error_code().as_str()), (429, "rate_limited"));
    assert!(slowed.json()["error"]["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{}", slowed.text());
    assert!(!slowed.header("retry-after").is_empty());
    assert_eq!(gateway.http().get("/api/me").await.status, 200, "the same address, the right token");
    let elsewhere = raw_get(gateway.address(), "127.0.0.2:0", "bg_nonsense").await;
    assert!(elsewhere.starts_with("HTTP/1.1 401"), "{elsewhere}");
}

/// Asks from another of this machine's own addresses.
async fn raw_get(to: SocketAddr, from: &str, token: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(from.parse().expect("an address")).expect("all of 127.0.0.0/8 is ours");
    let mut stream = socket.connect(to).await.expect("the gateway accepts");
    let request =
        format!("GET /api/me HTTP/1.1\r\nHost: {to}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the gateway answers");
    answer
}

#[tokio::test]
async fn a_token_is_in_no_log_no_error_no_process_and_no_file() {
    let gateway = Gateway::builder().env("BREAKGLASS_LOG", "trace").start().await;
    let token = gateway.token().to_owned();
    let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
    let cookie = sign_in(&page, &token).await;
    let mangled = format!("{token}x");
    let refused = Http::new(gateway.address(), Some(&mangled)).get("/api/me").await;
    assert!(!refused.text().contains(&token));
    let refused = page.post("/api/login", &json!({"token": mangled})).await;
    assert!(!refused.text().contains(&token), "{}", refused.text());
    let mut viewer = Viewer::connect(&gateway).await;
    let session = viewer.open_session("drill").await;
    viewer.turn(&session, "[[text:hello]]").await;
    eventually("the log to show something", || gateway.log().contains("a turn ended").then_some(())).await;
    let secret = cookie.split_once('=').expect("a cookie has a value").1.to_owned();
    for needle in [token.as_str(), secret.as_str()] {
        assert!(!gateway.log().contains(needle), "in the log");
        let commands = std::fs::read(format!("/proc/{}/cmdline", gateway.pid())).expect("our own process");
        assert!(!String::from_utf8_lossy(&commands).contains(needle), "in the process title");
        for file in ["breakglass.db", "breakglass.db-wal"] {
            let bytes = std::fs::read(gateway.data().join(file)).expect("the database is there");
            assert!(!String::from_utf8_lossy(&bytes).contains(needle), "in {file}");
        }
    }
}
