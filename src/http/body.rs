//! Bodies, paths and queries, read strictly: what is wrong is named.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::HttpError;
use super::{App, BODY_TIMEOUT};
use crate::ids::SessionId;
use crate::protocol::client;
use crate::protocol::server::ErrorCode;

/// A JSON object in the body; none at all is an empty one.
pub(super) struct Fields<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, app: &App) -> Result<Self, HttpError> {
        let bad = |message: String| HttpError::new(ErrorCode::BadRequest, message);
        let reading = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, app));
        let bytes = reading.await.map_err(|_| HttpError::too_slow())?.map_err(|rejected| match rejected {
            BytesRejection::FailedToBufferBody(failed) if failed.status().as_u16() == 413 => {
                HttpError::new(ErrorCode::TooLarge, "the request's body is too large")
            }
            other => bad(other.body_text()),
        })?;
        if bytes.is_empty() {
            return client::read(serde_json::Map::new()).map(Self).map_err(bad);
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => client::read(fields).map(Self).map_err(bad),
            Ok(_) => Err(bad("the body must be one JSON object".to_owned())),
            Err(error) => Err(bad(format!("the body is not JSON: {error}"))),
        }
    }
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
