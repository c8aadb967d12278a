//! From a request's headers to a principal: a bearer token, or the cookie of a sign-in.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::App;
use super::error::HttpError;
use crate::auth::Principal;
use crate::protocol::server::ErrorCode;

/// Whoever asks, once their credential counted.
pub(super) struct Caller(pub Principal);

impl FromRequestParts<App> for Caller {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let headers = &parts.headers;
        let principal = match bearer(headers) {
            Some(token) => app.door.auth.by_token(token).await.map_err(HttpError::from)?,
            None => match cookie(headers, &app.doors.cookie) {
                Some(value) => app.door.auth.by_cookie(value).await.map_err(HttpError::from)?,
                None => None,
            },
        };
        let principal = principal.ok_or_else(|| {
            let message = "sign in first: no credential came with this request, or it does not count any more";
            HttpError::new(ErrorCode::Unauthorized, message)
        })?;
        // A browser says where an unsafe request comes from; one that does not is no browser of ours.
        if principal.by_cookie() && !parts.method.is_safe() && !app.doors.check_origin(headers)? {
            let message = "`Origin` is missing: a request with a cookie must say where it comes from";
            return Err(HttpError::new(ErrorCode::Forbidden, message));
        }
        Ok(Self(principal))
    }
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
