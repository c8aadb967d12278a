//! What goes wrong over HTTP: one shape, and the only place with status codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::places::{Full, TooMuch};
use crate::protocol::server::{ErrorBody, ErrorCode};
use crate::ws::Refusal;

/// An error on its way out.
#[derive(Debug)]
pub struct HttpError {
    status: StatusCode,
    body: Box<ErrorBody>,
}

#[derive(Serialize)]
struct Envelope {
    error: Box<ErrorBody>,
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::BadRequest => StatusCode::BAD_REQUEST,
        ErrorCode::NotFound => StatusCode::NOT_FOUND,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::Busy | ErrorCode::Conflict | ErrorCode::EpochChanged => StatusCode::CONFLICT,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::AtCapacity | ErrorCode::Unavailable | ErrorCode::NoAgent => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl HttpError {
    /// An error with the usual status of its code.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorBody::new(code, message).into()
    }

    /// The request was sent to a name that this gateway does not go by (RFC 9110 section 15.5.20).
    pub fn misdirected(message: String) -> Self {
        Self { status: StatusCode::MISDIRECTED_REQUEST, body: Box::new(ErrorBody::new(ErrorCode::Forbidden, message)) }
    }

    /// A body that did not come in time.
    pub fn too_slow() -> Self {
        let body = ErrorBody::new(ErrorCode::BadRequest, "the request's body did not come in time");
        Self { status: StatusCode::REQUEST_TIMEOUT, body: Box::new(body) }
    }

    /// Whether a credential would help.
    pub fn is_unauthorized(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    /// Not ready to take prompts.
    pub fn not_ready(message: String) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }
}

impl<E: Into<ErrorBody>> From<E> for HttpError {
    fn from(error: E) -> Self {
        let body = error.into();
        Self { status: status(body.code), body: Box::new(body) }
    }
}

impl From<TooMuch> for HttpError {
    fn from(error: TooMuch) -> Self {
        let retry_after_ms = match error {
            TooMuch::Requests { wait_ms, .. } => Some(wait_ms),
            TooMuch::Connections(_) => None,
        };
        let body = ErrorBody { retry_after_ms, ..ErrorBody::new(ErrorCode::RateLimited, error.to_string()) };
        Self { status: StatusCode::TOO_MANY_REQUESTS, body: Box::new(body) }
    }
}

/// The whole answer to a connection that there is no place for; nothing that it sends is read.
pub(super) fn full(error: Full) -> String {
    let body = ErrorBody::new(ErrorCode::AtCapacity, error.to_string());
    let body = serde_json::to_string(&Envelope { error: Box::new(body) }).unwrap_or_default();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nretry-after: 1\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{body}"
    )
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::NotAnUpgrade | Refusal::Version => StatusCode::UPGRADE_REQUIRED,
            Refusal::Key | Refusal::Subprotocol => StatusCode::BAD_REQUEST,
        };
        Self { status, body: Box::new(ErrorBody::new(ErrorCode::BadRequest, refusal.to_string())) }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let retry_after_ms = self.body.retry_after_ms;
        let mut response = (self.status, Json(Envelope { error: self.body })).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            }
            _ => {}
        }
        if let Some(wait_ms) = retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
        }
        response
    }
}

/// A known path, another method.
pub(super) async fn method_not_allowed() -> HttpError {
    let body = ErrorBody::new(ErrorCode::BadRequest, "this address does not take this method");
    HttpError { status: StatusCode::METHOD_NOT_ALLOWED, body: Box::new(body) }
}
