//! Who came: the access record, for auditors.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Asked;
use super::credentials::Caller;
use super::error::HttpError;
use crate::access::{AccessLine, What};
use crate::auth::{Action, AuthError};
use crate::protocol::server::ErrorCode;

const LINES_DEFAULT: usize = 200;
const LINES_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageAsked {
    before: Option<i64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct Page {
    access: Vec<AccessLine>,
    /// To be asked for as `before`; null when there are no older lines.
    next: Option<i64>,
}

/// `GET /api/access`: newest first.
pub(super) async fn page(
    State(app): State<App>,
    Caller(who): Caller,
    Asked(asked): Asked<PageAsked>,
) -> Result<Json<Page>, HttpError> {
    who.demand(Action::ReadAccess)?;
    let limit = match asked.limit {
        Some(0) => return Err(HttpError::new(ErrorCode::BadRequest, "`limit`: must be at least 1")),
        limit => limit.unwrap_or(LINES_DEFAULT).min(LINES_MAX),
    };
    let access = app.door.access.page(asked.before, limit).await.map_err(AuthError::from)?;
    app.door.access.record(who.did(What::ReadAccess));
    let next = access.last().filter(|_| access.len() == limit).map(|line| line.key);
    Ok(Json(Page { access, next }))
}
