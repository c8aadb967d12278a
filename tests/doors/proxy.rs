//! A sign-on proxy's users: only from the proxy's address, only with what their groups may, and beside tokens.

use serde_json::json;

use crate::support::gateway::{Builder, Gateway};
use crate::support::http::Http;
use crate::support::viewer::{Viewer, open};
use crate::support::wait::within;

fn trusting(range: &str) -> Builder {
    Gateway::builder()
        .env("BREAKGLASS_TRUSTED_PROXY", range)
        .env("BREAKGLASS_PROXY_GROUPS_HEADER", "X-authentik-groups")
        .env("BREAKGLASS_PROXY_ROLES", "ops=operator, audit=auditor, staff=viewer")
}

fn user(gateway: &Gateway, name: &str, groups: &str) -> Http {
    let http = Http::new(gateway.address(), None).with("x-authentik-username", name);
    http.with("x-authentik-groups", groups).with("origin", &gateway.url())
}

#[tokio::test]
async fn a_trusted_proxys_user_has_the_role_of_their_groups() {
    let gateway = trusting("10.0.0.0/8, 127.0.0.0/8").start().await;
    for (groups, role) in [("users|ops", "operator"), ("staff,audit", "auditor"), ("staff", "viewer")] {
        let me = user(&gateway, "ana@example.org", groups).get("/api/me").await;
        assert_eq!(me.json(), json!({"name": "ana@example.org", "role": role}), "{groups}");
    }
    for (name, groups) in [("ana", "others"), ("ana", ""), ("a b", "ops"), ("a\tb", "ops"), ("a/../b", "ops")] {
        let refused = user(&gateway, name, groups).get("/api/me").await;
        assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (403, "forbidden"), "{name}: {groups}");
    }
    let operator = user(&gateway, "ana", "ops");
    let made = operator.post("/api/sessions", &json!({"agent": "drill"})).await;
    assert_eq!((made.status.as_u16(), &made.json()["created_by"]), (201, &json!("ana")), "{}", made.text());
    assert_eq!(gateway.http().get("/api/me").await.json()["name"], "first", "tokens work beside it");
    let token_wins = operator.with("authorization", &format!("Bearer {}", gateway.token())).get("/api/me").await;
    assert_eq!(token_wins.json()["name"], "first");
    let revoked = operator.with("authorization", &format!("Bearer bg_{}", "a".repeat(58))).get("/api/me").await;
    assert_eq!(revoked.status, 401, "a token of ours that does not count is no invitation to be somebody else");
    let of_the_proxy = operator.with("authorization", "Bearer eyJhbGciOiJub25lIn0").get("/api/me").await;
    assert_eq!(of_the_proxy.json()["name"], "ana", "{}", of_the_proxy.text());
}

#[tokio::test]
async fn a_proxys_user_is_a_browser_and_must_say_where_it_comes_from() {
    let gateway = trusting("127.0.0.1").start().await;
    let anywhere =
        Http::new(gateway.address(), None).with("x-authentik-username", "ana").with("x-authentik-groups", "ops");
    assert_eq!(anywhere.get("/api/me").await.status, 200);
    assert_eq!(anywhere.post("/api/sessions", &json!({"agent": "drill"})).await.status, 403);
    let foreign = anywhere.with("origin", "https://evil.example");
    assert_eq!(foreign.post("/api/sessions", &json!({"agent": "drill"})).await.status, 403);
    let (headers, own) = ([("x-authentik-username", "ana"), ("x-authentik-groups", "ops")], gateway.url());
    assert_eq!(open(gateway.address(), &headers).await.expect_err("no origin").status(), 403);
    let with_origin = [headers[0], headers[1], ("origin", own.as_str())];
    assert!(open(gateway.address(), &with_origin).await.is_ok());
}

#[tokio::test]
async fn the_header_from_anywhere_else_is_ignored_and_noted() {
    for gateway in [trusting("10.0.0.0/8").start().await, Gateway::builder().start().await] {
        let forged = user(&gateway, "admin", "ops");
        assert_eq!(forged.get("/api/me").await.status, 401);
        assert_eq!(forged.with("x-forwarded-for", "10.0.0.1").get("/api/me").await.status, 401);
        let with_token = forged.with("authorization", &format!("Bearer {}", gateway.token()));
        assert_eq!(with_token.get("/api/me").await.json()["name"], "first", "ignored, not refused");
        let noted = async {
            loop {
                let lines = gateway.http().get("/api/access").await.json();
                let lines = lines["access"].as_array().expect("a list").clone();
                if let Some(line) = lines.into_iter().find(|line| line["what"] == "untrusted_header") {
                    return line;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let line = within("the note", noted).await;
        assert_eq!((&line["address"], &line["detail"]), (&json!("127.0.0.1"), &json!("x-authentik-username")));
    }
}

#[tokio::test]
async fn two_names_are_no_name_and_the_address_is_the_one_that_the_proxy_saw() {
    let gateway = trusting("127.0.0.1").start().await;
    let twice = {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
        let request = format!(
            "GET /api/me HTTP/1.1\r\nHost: {}\r\nX-authentik-username: ana\r\nX-authentik-username: root\r\n\
             X-authentik-groups: ops\r\nConnection: close\r\n\r\n",
            gateway.address()
        );
        stream.write_all(request.as_bytes()).await.expect("the gateway reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the gateway answers");
        answer
    };
    assert!(twice.starts_with("HTTP/1.1 403"), "{twice}");

    let operator = user(&gateway, "ana", "ops").with("x-forwarded-for", "6.6.6.6, 192.0.2.7");
    assert_eq!(operator.post("/api/sessions", &json!({"agent": "drill"})).await.status, 201);
    let lines = async {
        loop {
            let lines = gateway.http().get("/api/access").await.json();
            let lines = lines["access"].as_array().expect("a list").clone();
            if let Some(line) = lines.into_iter().find(|line| line["what"] == "create") {
                return line;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let line = within("the session on record", lines).await;
    assert_eq!((&line["address"], &line["how"]), (&json!("192.0.2.7"), &json!("proxy")), "{line}");
}

#[tokio::test]
async fn a_proxys_user_is_sent_away_when_the_longest_time_is_over() {
    let gateway = trusting("127.0.0.1").env("BREAKGLASS_LOGIN_MAX_SECONDS", "2").start().await;
    let own = gateway.url();
    let headers = [("x-authentik-username", "ana"), ("x-authentik-groups", "ops"), ("origin", own.as_str())];
    let (socket, _) = open(gateway.address(), &headers).await.expect("it is accepted");
    let code = within("the connection to be closed", async {
        use futures_util::StreamExt;
        let mut socket = socket;
        loop {
            match socket.next().await {
                Some(Ok(tokio_tungstenite::tungstenite::Message::Close(frame))) => {
                    return frame.map(|frame| u16::from(frame.code));
                }
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    })
    .await;
    assert_eq!(code, Some(4401));
    let mut operator = Viewer::connect(&gateway).await;
    assert_eq!(operator.request(json!({"type": "ping"})).await["type"], "pong", "a token is no sign-in");
}
