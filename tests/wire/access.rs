//! Who may do what, and through which door they came.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, new_key, open};

#[tokio::test]
async fn each_role_may_do_its_part_and_no_more_over_the_socket() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    for role in ["viewer", "auditor"] {
        let token = scene.gateway.add_token(role, role).await;
        let mut viewer = Viewer::connect_as(scene.gateway.address(), &token).await;
        assert_eq!(viewer.model.hello()["role"], role);
        viewer.attach(&scene.session, 0).await;
        viewer.caught_up(&scene.session).await;
        assert_eq!(viewer.whole_log(&scene.session), scene.viewer.whole_log(&scene.session));
        assert_eq!(viewer.request(json!({"type": "watch"})).await["type"], "watching");
        for request in [
            json!({"type": "create"}),
            json!({"type": "prompt", "session": scene.session, "text": "x", "key": new_key()}),
            json!({"type": "cancel", "session": scene.session}),
        ] {
            let refused = viewer.request(request.clone()).await;
            assert_eq!(
                (&refused["type"], &refused["code"]),
                (&json!("error"), &json!("forbidden")),
                "{role}: {request}"
            );
        }
    }
    assert_eq!(scene.viewer.whole_log(&scene.session), scene.viewer.whole_log(&scene.session));
    let accepted = scene.viewer.prompt(&scene.session, "[[text:still here]]").await;
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
}

#[tokio::test]
async fn each_role_may_do_its_part_and_no_more_over_http() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:hello]]").await;
    let session = format!("/api/sessions/{}", scene.session);
    let table = [
        ("GET", "/api/me".to_owned(), None, [200, 200, 200]),
        ("GET", "/api/sessions".to_owned(), None, [200, 200, 200]),
        ("GET", session.clone(), None, [200, 200, 200]),
        ("GET", format!("{session}/events"), None, [200, 200, 200]),
        ("GET", format!("{session}/export?format=jsonl"), None, [403, 200, 200]),
        ("PATCH", session.clone(), Some(json!({"title": "mine"})), [403, 403, 200]),
        ("POST", format!("{session}/cancel"), Some(json!({})), [403, 403, 409]),
        ("POST", format!("{session}/prompts"), Some(json!({"text": "[[text:x]]"})), [403, 403, 202]),
        ("POST", "/api/sessions".to_owned(), Some(json!({})), [403, 403, 201]),
    ];
    for (column, role) in ["viewer", "auditor", "operator"].into_iter().enumerate() {
        let token = scene.gateway.add_token(role, role).await;
        let http = Http::new(scene.gateway.address(), Some(&token));
        assert_eq!(http.get("/api/me").await.json(), json!({"name": role, "role": role}));
        for (method, path, body, statuses) in &table {
            let response = http.send(method, path, body.as_ref().map(ToString::to_string)).await;
            assert_eq!(response.status.as_u16(), statuses[column], "{role}: {method} {path}: {}", response.text());
            if statuses[column] == 403 {
                assert_eq!(response.error_code(), "forbidden", "{role}: {method} {path}");
            }
        }
    }
    scene.viewer.event(&scene.session, "the operator's turn", |event| event.text("text") == "x").await;
    let ends = |event: &crate::support::model::Record| event.kind() == "turn_end" && event.seq() > 5;
    scene.viewer.event(&scene.session, "its end", ends).await;
}

#[tokio::test]
async fn a_page_signs_in_with_the_token_and_out_again() {
    let gateway = Gateway::builder().start().await;
    let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
    let wrong = page.post("/api/login", &json!({"token": "nonsense"})).await;
    assert_eq!(wrong.status, 401);
    let signed_in = page.post("/api/login", &json!({"token": gateway.token()})).await;
    assert_eq!((signed_in.status.as_u16(), signed_in.text()), (204, ""));
    let set_cookie = signed_in.header("set-cookie").to_owned();
    let attributes: Vec<String> = set_cookie.split(';').map(|part| part.trim().to_ascii_lowercase()).collect();
    for attribute in ["httponly", "samesite=strict", "path=/"] {
        assert!(attributes.iter().any(|one| one == attribute), "{attribute}: {set_cookie}");
    }
    assert!(!set_cookie.contains(gateway.token()), "the cookie is not the token");
    let cookie = set_cookie.split(';').next().expect("a cookie has a value").to_owned();

    let signed = page.with("cookie", &cookie);
    assert_eq!(signed.get("/api/me").await.json(), json!({"name": "first", "role": "operator"}));
    let headers = [("cookie", cookie.as_str()), ("origin", &gateway.url())];
    assert!(open(gateway.address(), &headers).await.is_ok());
    let made = signed.post("/api/sessions", &json!({"agent": "drill"})).await;
    assert_eq!(made.status, 201, "{}", made.text());

    let foreign = signed.with("origin", "http://evil.example");
    let refused = foreign.post("/api/sessions", &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.error_code().as_str()), (403, "forbidden"));
    let foreign_socket = [("cookie", cookie.as_str()), ("origin", "http://evil.example")];
    assert_eq!(open(gateway.address(), &foreign_socket).await.expect_err("a foreign page").status(), 403);

    assert!(signed.post("/api/logout", &json!({})).await.status.is_success());
    assert_eq!(signed.get("/api/me").await.status, 401, "the cookie counts no more");
    assert!(open(gateway.address(), &headers).await.is_err());
}

#[tokio::test]
async fn a_cookie_outlives_a_restart_and_ends_with_its_token() {
    let mut gateway = Gateway::builder().start().await;
    let token = gateway.add_token("ana", "operator").await;
    let page = Http::new(gateway.address(), None).with("origin", &gateway.url());
    let signed_in = page.post("/api/login", &json!({"token": token})).await;
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie has a value").to_owned();
    gateway.terminate().await;
    gateway.restart().await;
    let signed = page.with("cookie", &cookie);
    assert_eq!(signed.get("/api/me").await.json()["name"], "ana");
    gateway.cli(&["token", "revoke", "ana"]).await;
    assert_eq!(signed.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn other_names_for_this_machine_are_refused() {
    let gateway = Gateway::builder().start().await;
    let rebound = gateway.http().with("host", "evil.example");
    for path in ["/api/sessions", "/api/me", "/"] {
        assert_eq!(rebound.get(path).await.status, 421, "{path}");
    }
    let foreign = gateway.http().with("origin", "http://evil.example").post("/api/sessions", &json!({})).await;
    assert_eq!((foreign.status.as_u16(), foreign.error_code().as_str()), (403, "forbidden"));
    let unauthorized = Http::new(gateway.address(), Some("nonsense")).get("/api/me").await;
    assert_eq!((unauthorized.status.as_u16(), unauthorized.error_code().as_str()), (401, "unauthorized"));
}
