//! Where a request may come from: `Host` and `Origin`, by exact lists; and the headers that every answer carries.
//!
//! Any web page can make a browser open a WebSocket to localhost, or send it a POST; and with DNS rebinding it can make its
//! own name lead there. A peer's address proves nothing.

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::error::HttpError;
use crate::config::{DoorConfig, ProxyConfig, PublicUrl};
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
    /// Names under which a proxy in front speaks TLS.
    secure_hosts: Vec<String>,
    /// Whether TLS is spoken here.
    tls: bool,
    port: u16,
    /// The sign-on proxy.
    pub(super) proxy: ProxyConfig,
}

/// How the sign-in cookie is called, and whether it may go over TLS only.
pub(super) struct CookieName {
    pub name: String,
    pub secure: bool,
}

impl Doors {
    /// The address that is listened on, the names of this machine for itself, the public address, and what is configured.
    pub fn new(listening: SocketAddr, public: Option<&PublicUrl>, config: &DoorConfig) -> Self {
        let port = listening.port();
        let (scheme, own_port) = if config.tls.is_some() { ("https", ":443") } else { ("http", ":80") };
        let mut hosts = vec![listening.to_string()];
        if listening.ip().is_loopback() || listening.ip().is_unspecified() {
            hosts.extend(["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}")));
        }
        // Browsers leave the scheme's own port out.
        hosts.extend(hosts.clone().iter().filter_map(|host| host.strip_suffix(own_port).map(str::to_owned)));
        let mut origins: Vec<_> = hosts.iter().map(|host| format!("{scheme}://{host}")).collect();
        let mut secure_hosts = Vec::new();
        if let Some(public) = public {
            hosts.push(public.host.clone());
            origins.push(public.origin.clone());
            secure_hosts.extend(public.origin.strip_prefix("https://").map(str::to_owned));
        }
        hosts.extend(config.hosts.iter().cloned());
        origins.extend(config.origins.iter().cloned());
        secure_hosts
            .extend(config.origins.iter().filter_map(|origin| Some(origin.strip_prefix("https://")?.to_owned())));
        Self { hosts, origins, secure_hosts, tls: config.tls.is_some(), port, proxy: config.proxy.clone() }
    }

    /// Cookies know no ports, gateways on one machine do. With the prefix `__Host-` a browser takes it over TLS only, for
    /// this host only (RFC 6265bis section 4.1.3); a machine's own plain address must do without.
    pub(super) fn cookie(&self, headers: &HeaderMap) -> CookieName {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let secure = self.tls || self.secure_hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        let prefix = if secure { "__Host-" } else { "" };
        CookieName { name: format!("{prefix}breakglass-{}", self.port), secure }
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), HttpError> {
        let mut all = headers.get_all(header::HOST).iter();
        let host = all.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
        // Two names are none (RFC 9112 section 3.2): a proxy in front may have gone by the other.
        let host = all.next().map_or(host, |_| "");
        if self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Ok(());
        }
        let shown: String = host.chars().take(100).collect();
        Err(HttpError::misdirected(format!(
            "`Host: {shown}` is not a name of this gateway; if it should be, set BREAKGLASS_ALLOWED_HOSTS or BREAKGLASS_PUBLIC_URL"
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
        let message = format!(
            "`Origin: {shown}` may not use this gateway; if it should, set BREAKGLASS_ALLOWED_ORIGINS or BREAKGLASS_PUBLIC_URL"
        );
        Err(HttpError::new(ErrorCode::Forbidden, message))
    }
}

/// Checks `Host` always, and `Origin` wherever there is one: also on reads, of which other pages could else make this machine
/// do as many as they like, in the name of whoever is signed in.
pub(super) async fn check(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    match app.doors.check_host(headers).and_then(|()| app.doors.check_origin(headers)) {
        Ok(_) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Adds what every answer carries.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    const ALWAYS: [(HeaderName, &str); 4] = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("x-frame-options"), "DENY"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
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

    fn config(flags: &[&str]) -> DoorConfig {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            doors: crate::config::DoorSettings,
        }
        let line = <Line as clap::Parser>::try_parse_from([&["x"], flags].concat()).unwrap();
        line.doors.check("127.0.0.1:7878".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_cookie_is_bound_to_tls_and_host_where_people_come_over_tls() {
        let public = PublicUrl { origin: "https://bg.example.org".into(), host: "bg.example.org".into() };
        let more = config(&["--allowed-origins", "https://ops.example.org, http://plain.example.org"]);
        let doors = Doors::new("127.0.0.1:7878".parse().unwrap(), Some(&public), &more);
        for (host, name) in [
            ("bg.example.org", "__Host-breakglass-7878"),
            ("OPS.example.org", "__Host-breakglass-7878"),
            ("plain.example.org", "breakglass-7878"),
            ("127.0.0.1:7878", "breakglass-7878"),
        ] {
            assert_eq!(doors.cookie(&headers(header::HOST, host)).name, name, "{host}");
        }
        let tls = config(&["--tls-cert", "c", "--tls-key", "k"]);
        let doors = Doors::new("127.0.0.1:443".parse().unwrap(), None, &tls);
        assert!(doors.cookie(&headers(header::HOST, "localhost")).secure);
        assert!(doors.check_host(&headers(header::HOST, "localhost")).is_ok());
        assert!(doors.check_origin(&headers(header::ORIGIN, "https://localhost")).unwrap());
        assert!(doors.check_origin(&headers(header::ORIGIN, "http://localhost:443")).is_err());
    }

    #[test]
    fn only_exact_names_and_origins_pass() {
        let public = PublicUrl { origin: "https://bg.example.org".into(), host: "bg.example.org".into() };
        let doors = Doors::new("127.0.0.1:7878".parse().unwrap(), Some(&public), &config(&[]));
        for host in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST:7878", "[::1]:7878", "bg.example.org"] {
            assert!(doors.check_host(&headers(header::HOST, host)).is_ok(), "{host}");
        }
        for host in
            ["", "127.0.0.1", "localhost", "localhost:1", "evil.example:7878", "bg.example.org.evil", "0.0.0.0:7878"]
        {
            assert!(doors.check_host(&headers(header::HOST, host)).is_err(), "{host}");
        }
        let mut twice = headers(header::HOST, "127.0.0.1:7878");
        twice.append(header::HOST, HeaderValue::from_static("127.0.0.1:7878"));
        assert!(doors.check_host(&twice).is_err());
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
