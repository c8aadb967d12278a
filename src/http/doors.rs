//! Where a request may come from: `Host` and `Origin`, by exact lists; and the headers that every answer carries.
//!
//! Any web page can make a browser open a WebSocket to localhost, or send it a POST; and with DNS rebinding it can make its
//! own name lead there. A peer's address proves nothing.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::HttpError;
use crate::config::PublicUrl;
use crate::protocol::server::ErrorCode;

/// The page's own files, its own socket, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
    trusted-types dompurify";

/// Names and origins that this gateway goes by.
#[derive(Debug, Clone)]
pub struct Doors {
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Name of the sign-in cookie: cookies know no ports, gateways on one machine do.
    pub cookie: String,
    /// Whether people come over TLS.
    pub secure: bool,
}

impl Doors {
    /// The address that is listened on, the names of this machine for itself, and the public address.
    pub fn new(listening: SocketAddr, public: Option<&PublicUrl>) -> Self {
        let port = listening.port();
        let mut hosts = vec![listening.to_string()];
        if listening.ip().is_loopback() || listening.ip().is_unspecified() {
            hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}")));
        }
        if port == 80 {
            hosts.extend(hosts.clone().iter().filter_map(|host| host.strip_suffix(":80").map(str::to_owned)));
        }
        let mut origins: Vec<_> = hosts.iter().map(|host| format!("http://{host}")).collect();
        if let Some(public) = public {
            hosts.push(public.host.clone());
            origins.push(public.origin.clone());
        }
        let secure = public.is_some_and(|public| public.origin.starts_with("https://"));
        Self { hosts, origins, cookie: format!("breakglass-{port}"), secure }
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), HttpError> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        let shown: String = host.chars().take(100).collect();
        Err(HttpError::misdirected(format!(
            "`Host: {shown}` is not a name of this gateway; if it should be, start it with BREAKGLASS_PUBLIC_URL"
        )))
    }

    /// The request's origin, if it has one, is one of ours. `true`: it had one.
    ///
    /// # Errors
    /// 403 for any other, `null` included.
    pub fn check_origin(&self, headers: &HeaderMap) -> Result<bool, HttpError> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(false) };
        let text = origin.to_str().unwrap_or_default();
        if origins.next().is_none() && self.origins.iter().any(|known| known.eq_ignore_ascii_case(text)) {
            return Ok(true);
        }
        let shown: String = text.chars().take(100).collect();
        let message = format!("`Origin: {shown}` may not use this gateway; if it should, set BREAKGLASS_PUBLIC_URL");
        Err(HttpError::new(ErrorCode::Forbidden, message))
    }
}

/// Checks `Host` always, and `Origin` on whatever can change something.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let checked = app
        .doors
        .check_host(request.headers())
        .and_then(|()| if safe { Ok(false) } else { app.doors.check_origin(request.headers()) });
    match checked {
        Ok(_) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Adds what every answer carries.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    const ALWAYS: [(HeaderName, &str); 5] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What a session says stays out of caches; the page's own files say otherwise themselves.
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_exact_names_and_origins_pass() {
        let public = PublicUrl { origin: "https://bg.example.org".into(), host: "bg.example.org".into() };
        let doors = Doors::new("127.0.0.1:7878".parse().unwrap(), Some(&public));
        for host in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST:7878", "[::1]:7878", "bg.example.org"] {
            assert!(doors.check_host(&headers(header::HOST, host)).is_ok(), "{host}");
        }
        for host in
            ["", "127.0.0.1", "localhost", "localhost:1", "evil.example:7878", "bg.example.org.evil", "0.0.0.0:7878"]
        {
            assert!(doors.check_host(&headers(header::HOST, host)).is_err(), "{host}");
        }
        for origin in ["http://127.0.0.1:7878", "http://localhost:7878", "https://bg.example.org"] {
            assert!(doors.check_origin(&headers(header::ORIGIN, origin)).unwrap(), "{origin}");
        }
        for origin in [
            "null",
            "http://evil.example",
            "https://localhost:7878",
            "http://localhost:7878.evil",
            "http://bg.example.org",
        ] {
            assert!(doors.check_origin(&headers(header::ORIGIN, origin)).is_err(), "{origin}");
        }
        assert!(!doors.check_origin(&HeaderMap::new()).unwrap());
    }
}
