//! Bodies, paths and queries, read strictly: what is wrong is named.

use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::App;
use super::error::HttpError;
use crate::ids::SessionId;
use crate::protocol::server::ErrorCode;
use crate::protocol::{PROMPT_BYTES_MAX, client};

/// A prompt, six times as long when every byte is escaped, and the rest of its request.
pub const BODY_BYTES_MAX: usize = PROMPT_BYTES_MAX * 6 + 4096;
/// Of a body that is too large so much is read before the connection is cut.
const DRAINED_BYTES_MAX: usize = 16 << 20;
/// Time to read a body: a slow client is not waited for.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A JSON object in the body; none at all is an empty one.
pub(super) struct Fields<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, _: &App) -> Result<Self, HttpError> {
        let bad = |message: String| HttpError::new(ErrorCode::BadRequest, message);
        let reading = tokio::time::timeout(BODY_TIMEOUT, read_body(request.into_body()));
        let bytes = reading.await.map_err(|_| HttpError::too_slow())??;
        if bytes.is_empty() {
            return client::read(serde_json::Map::new()).map(Self).map_err(bad);
        }
        if client::is_too_deep(&bytes) {
            return Err(bad(client::TOO_DEEP.to_owned()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => client::read(fields).map(Self).map_err(bad),
            Ok(_) => Err(bad("the body must be one JSON object".to_owned())),
            Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
        }
    }
}

/// Reads a whole body. One that is too large is read on for a while and thrown away: a client that is still sending would
/// otherwise see a broken connection in the place of the error.
async fn read_body(mut body: Body) -> Result<Vec<u8>, HttpError> {
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| HttpError::new(ErrorCode::BadRequest, format!("the request's body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&data);
        } else if total > DRAINED_BYTES_MAX {
            break;
        }
    }
    if total > BODY_BYTES_MAX {
        let message = format!("the request's body may have {BODY_BYTES_MAX} bytes");
        return Err(HttpError::new(ErrorCode::TooLarge, message));
    }
    Ok(bytes)
}

/// The `{id}` of a path.
pub(super) struct SessionPath(pub SessionId);

impl FromRequestParts<App> for SessionPath {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, app).await;
        let Path(text) = path.map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))?;
        text.parse().map(Self).map_err(|error| HttpError::new(ErrorCode::BadRequest, format!("session {error}")))
    }
}

/// The query, as a struct that refuses what it does not know.
pub(super) struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Asked<T> {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, HttpError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, app).await;
        query.map(|Query(asked)| Self(asked)).map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))
    }
}
