//! `GET /api/search`: through all sessions.

use axum::Json;
use axum::extract::State;

use super::App;
use super::body::Asked;
use super::credentials::Caller;
use super::error::HttpError;
use crate::auth::Action;
use crate::protocol::search::SearchAnswer;
use crate::search::{self, Query};

/// A page of hits, newest first.
pub(super) async fn search(
    State(app): State<App>,
    Caller(who): Caller,
    Asked(asked): Asked<search::Asked>,
) -> Result<Json<SearchAnswer>, HttpError> {
    who.demand(Action::Read)?;
    let query = Query::read(&asked)?;
    Ok(Json(app.search.find(query).await?))
}
