//! From a request's headers to a principal: a bearer token, the cookie of a sign-in, or the user that a trusted proxy names.
//!
//! A header that names a user counts only on a connection from a trusted proxy; on any other it is ignored, and goes on
//! record. A right credential is never slowed because of somebody else's wrong ones.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use super::App;
use super::error::HttpError;
use super::places::Place;
use crate::access::{Entry, Visit, What};
use crate::auth::{PREFIX, Principal};
use crate::config::ProxyConfig;
use crate::protocol::server::{ErrorBody, ErrorCode, Role};

/// What a client calls itself is kept up to so many characters.
const CLIENT_CHARS_MAX: usize = 200;

/// Whoever asks, once their credential counted.
pub(super) struct Caller(pub Principal);

/// Where a request came from, whoever it is.
pub(super) struct From(pub Visit);

impl FromRequestParts<App> for From {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        Ok(Self(visit(place(parts)?.as_ref(), &parts.headers, &app.doors.proxy)))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let headers = &parts.headers;
        let place = place(parts)?;
        let visit = visit(&place, headers, &app.doors.proxy);
        let principal = identify(app, headers, &place, &visit).await?;
        place.request_of(principal.name())?;
        // A browser says where an unsafe request comes from; one that does not is no browser of ours.
        if principal.by_browser() && !parts.method.is_safe() && !app.doors.check_origin(headers)? {
            let message = "`Origin` is missing: a request without a bearer token must say where it comes from";
            return Err(HttpError::new(ErrorCode::Forbidden, message));
        }
        Ok(Self(principal.from(visit)))
    }
}

fn place(parts: &Parts) -> Result<Arc<Place>, HttpError> {
    let missing = || HttpError::new(ErrorCode::Internal, "the connection is not known");
    parts.extensions.get::<Arc<Place>>().cloned().ok_or_else(missing)
}

async fn identify(app: &App, headers: &HeaderMap, place: &Place, visit: &Visit) -> Result<Principal, HttpError> {
    let auth = &app.door.auth;
    let by_proxy = proxy_user(app, headers, place, visit)?;
    // Some proxies send a bearer token of their own along; only what can be one of ours is more than the user they name.
    let bearer = bearer(headers).filter(|token| by_proxy.is_none() || token.starts_with(PREFIX));
    if let Some(token) = bearer {
        return match auth.by_token(token).await? {
            Some(principal) => Ok(principal),
            None => {
                Err(refuse(app, visit, "the bearer token does not count: it was mistyped, has expired, or was revoked")
                    .await)
            }
        };
    }
    if let Some(value) = cookie(headers, &app.doors.cookie(headers).name)
        && let Some(principal) = auth.by_cookie(value).await?
    {
        return Ok(principal);
    }
    by_proxy.ok_or_else(|| {
        let message = "sign in first: no credential came with this request, or it does not count any more";
        HttpError::new(ErrorCode::Unauthorized, message)
    })
}

/// A wrong credential: goes on record, and is answered the slower the more of them come from the same address.
pub(super) async fn refuse(app: &App, visit: &Visit, message: &str) -> HttpError {
    let address = visit.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let failure = app.door.auth.failed(address);
    if failure.is_recorded() {
        let entry = Entry::of(What::FailedSignIn, visit).saying(format!("{} in a row", failure.streak));
        app.door.access.record(entry);
    }
    let Some(slowed) = failure.slowed else { return HttpError::new(ErrorCode::Unauthorized, message) };
    tokio::time::sleep(slowed.hold).await;
    let wait_ms = u64::try_from(slowed.wait.as_millis()).unwrap_or(u64::MAX);
    let message = format!("too many wrong credentials came from your address; wait {wait_ms} ms. {message}");
    ErrorBody { retry_after_ms: Some(wait_ms), ..ErrorBody::new(ErrorCode::RateLimited, message) }.into()
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next()
}

fn is_trusted(proxy: &ProxyConfig, address: IpAddr) -> bool {
    proxy.trusted.iter().any(|range| range.contains(address))
}

/// Where the request comes from: the peer, or what trusted proxies say of it. The rightmost address that is not a trusted
/// proxy's is the one that the last of them saw; whatever stands left of it anybody could have written.
fn visit(place: &Place, headers: &HeaderMap, proxy: &ProxyConfig) -> Visit {
    let mut address = place.peer().ip().to_canonical();
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok()).collect();
    let joined = lines.join(",");
    let mut hops = joined.rsplit(',').map(|hop| hop.trim().parse::<IpAddr>());
    while is_trusted(proxy, address) {
        let Some(Ok(hop)) = hops.next() else { break };
        address = hop.to_canonical();
    }
    let client = headers.get(header::USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
    Visit { address: Some(address), client: client.unwrap_or_default().chars().take(CLIENT_CHARS_MAX).collect() }
}

/// The only value of a header; `None` when it is missing, empty, or there is more than one.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok().map(str::trim).filter(|value| !value.is_empty())?;
    if values.next().is_none() { Some(value) } else { None }
}

fn proxy_user(app: &App, headers: &HeaderMap, place: &Place, visit: &Visit) -> Result<Option<Principal>, HttpError> {
    let proxy = &app.doors.proxy;
    if !headers.contains_key(&proxy.user_header) {
        return Ok(None);
    }
    if !is_trusted(proxy, place.peer().ip()) {
        let entry = Entry::of(What::UntrustedHeader, visit).saying(proxy.user_header.as_str());
        app.door.access.record(entry);
        return Ok(None);
    }
    let bad = |message: String| HttpError::new(ErrorCode::Forbidden, message);
    let Some(name) = only(headers, &proxy.user_header) else {
        return Err(bad(format!("`{}` must be one name; the proxy sent none or several", proxy.user_header)));
    };
    let groups = proxy.groups_header.as_ref().and_then(|header| only(headers, header)).unwrap_or_default();
    let Some(role) = role_of(groups, &proxy.roles) else {
        return Err(bad("the proxy's user is in no group that may come in; --proxy-roles says which do".to_owned()));
    };
    app.door.auth.by_proxy(name, role).map(Some).map_err(|error| bad(error.to_string()))
}

/// The highest role that one of the groups has.
fn role_of(groups: &str, roles: &[(String, Role)]) -> Option<Role> {
    let has = |group: &str| group == "*" || groups.split(['|', ',']).any(|mine| mine.trim() == group);
    roles.iter().filter(|(group, _)| has(group)).map(|(_, role)| *role).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_give_the_highest_role_and_none_gives_none() {
        let roles: Vec<_> =
            [("ops", Role::Operator), ("audit", Role::Auditor)].map(|(group, role)| (group.to_owned(), role)).into();
        assert_eq!(role_of("users|audit|ops", &roles), Some(Role::Operator));
        assert_eq!(role_of("audit, users", &roles), Some(Role::Auditor));
        for none in ["", "opsx", "xops|OPS", "*"] {
            assert_eq!(role_of(none, &roles), None, "{none}");
        }
        let everybody = [("*".to_owned(), Role::Viewer)];
        assert_eq!(role_of("", &everybody), Some(Role::Viewer));
    }
}
