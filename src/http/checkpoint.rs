//! A session's newest checkpoint, to be kept elsewhere: what is pinned today proves tomorrow that this is the same history.
//!
//! Knows no keys: the note is as it was signed.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::body::SessionPath;
use super::credentials::Caller;
use super::error::HttpError;
use crate::auth::Action;
use crate::protocol::server::ErrorCode;

/// `GET /api/sessions/{id}/checkpoint`: the signed note, as text.
pub(super) async fn checkpoint(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
) -> Result<Response, HttpError> {
    who.demand(Action::Read)?;
    app.door.sessions.open(id).await?;
    let note = app.door.sessions.log().newest_checkpoint(id).await?;
    let note = note.ok_or_else(|| {
        let message = "nothing of this session is signed yet; it is at the end of a turn";
        HttpError::new(ErrorCode::NotFound, message)
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}
