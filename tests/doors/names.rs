//! Which names and origins a gateway goes by, and where it may listen.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::viewer::open;

#[tokio::test]
async fn configured_hosts_and_origins_are_exact_and_are_added_to_the_own_ones() {
    let settings = Gateway::builder()
        .env("BREAKGLASS_ALLOWED_ORIGINS", "https://ops.example, https://other.example:8443")
        .env("BREAKGLASS_ALLOWED_HOSTS", "gate.example,gate.example:9000");
    let gateway = settings.start().await;
    let http = gateway.http();
    for (host, status) in [
        ("gate.example", 200),
        ("GATE.example:9000", 200),
        ("gate.example:9001", 421),
        ("gate.example.", 421),
        ("a.gate.example", 421),
        ("ops.example", 421),
        ("localhost", 421),
    ] {
        assert_eq!(http.with("host", host).get("/api/me").await.status, status, "{host}");
    }
    let bearer = format!("Bearer {}", gateway.token());
    let own = gateway.url();
    for (origin, allowed) in [
        (own.as_str(), true),
        ("https://ops.example", true),
        ("https://other.example:8443", true),
        ("http://ops.example", false),
        ("https://ops.example:444", false),
        ("https://ops.example.evil", false),
        ("https://evil.ops.example", false),
        ("null", false),
        ("", false),
    ] {
        let answer = http.with("origin", origin).post("/api/sessions", &json!({"agent": "drill"})).await;
        assert_eq!(answer.status, if allowed { 201 } else { 403 }, "{origin}: {}", answer.text());
        let opened = open(gateway.address(), &[("authorization", &bearer), ("origin", origin)]).await;
        assert_eq!(opened.is_ok(), allowed, "{origin}");
    }
}

#[tokio::test]
async fn listening_for_other_machines_without_tls_is_refused_unless_a_proxy_speaks_it() {
    let gateway = Gateway::builder().start().await;
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = gateway.run(&["serve", "--listen", address]).await;
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{address}: {stderr}");
        for word in ["--listen", "--tls-cert", "--behind-proxy"] {
            assert!(stderr.contains(word), "{address}: {stderr}");
        }
    }
    // An address that no machine has: past the check, and then there is nothing to listen on.
    let behind = gateway.run(&["serve", "--behind-proxy", "--listen", "192.0.2.1:0", "--data", "elsewhere"]).await;
    let stderr = String::from_utf8_lossy(&behind.stderr);
    assert_eq!(behind.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot listen on 192.0.2.1:0"), "{stderr}");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_other_pages_out() {
    let gateway = Gateway::builder().start().await;
    for (path, status) in
        [("/", 200), ("/api/me", 200), ("/api/nothing", 404), ("/nothing", 404), ("/healthz", 200), ("/ws", 426)]
    {
        let answer = gateway.http().get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe-"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        if path.starts_with("/api") {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
}
