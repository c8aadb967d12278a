//! Pages of a session's log, forward or backward.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::App;
use super::body::{Asked, SessionPath};
use super::credentials::Caller;
use super::error::HttpError;
use crate::access::What;
use crate::auth::Action;
use crate::ids::{Epoch, Seq};
use crate::log::PageLimits;
use crate::protocol::server::ErrorCode;
use crate::wire_error::epoch_changed;

const EVENTS_DEFAULT: usize = 200;
const EVENTS_MAX: usize = 1_000;
/// A page is closed early when it has grown to this, bytes; the client pages on.
const PAGE_BYTES: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageAsked {
    after: Option<Seq>,
    before: Option<Seq>,
    limit: Option<usize>,
    epoch: Option<Epoch>,
}

/// `GET /api/sessions/{id}/events`.
pub(super) async fn page(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
    Asked(asked): Asked<PageAsked>,
) -> Result<Response, HttpError> {
    who.demand(Action::Read)?;
    let bad = |message| Err(HttpError::new(ErrorCode::BadRequest, message));
    let limits = match asked.limit {
        Some(0) => return bad("`limit`: must be at least 1"),
        limit => PageLimits { events_max: limit.unwrap_or(EVENTS_DEFAULT).min(EVENTS_MAX), bytes_max: PAGE_BYTES },
    };
    let live = app.door.sessions.open(id).await?;
    let log = app.door.sessions.log();
    let epoch = log.epoch();
    let head = live.topic().head();
    if asked.epoch.is_some_and(|known| known != epoch) || asked.after.is_some_and(|after| after > head) {
        return Err(epoch_changed(epoch, head).into());
    }
    let page = match (asked.after, asked.before) {
        (Some(_), Some(_)) => return bad("`before`: not together with `after`; send one of them"),
        (_, Some(before)) => log.records_before(live.key(), before, limits).await?,
        (after, None) => log.records_after(live.key(), after.unwrap_or(Seq::ZERO), limits).await?,
    };
    app.door.access.record(who.did(What::Read).in_session(id));
    let body = format!(r#"{{"events":[{}],"head":{},"epoch":"{epoch}"}}"#, page.records.join(","), page.head);
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
