//! A whole history to take away, streamed in short reads: an export of any length costs one page of memory and pins
//! nothing.

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::App;
use super::body::{Asked, SessionPath};
use super::credentials::Caller;
use super::error::HttpError;
use crate::access::What;
use crate::auth::Action;
use crate::ids::Seq;
use crate::log::{Log, PageLimits, SessionKey};

const PAGE: PageLimits = PageLimits { events_max: 512, bytes_max: 256 << 10 };

/// What an export can look like.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// The records verbatim, one a line.
    #[default]
    Jsonl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportAsked {
    #[serde(default)]
    format: Format,
}

/// `GET /api/sessions/{id}/export`: everything that was in the log when it was asked for.
pub(super) async fn export(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
    Asked(ExportAsked { format: Format::Jsonl }): Asked<ExportAsked>,
) -> Result<Response, HttpError> {
    who.demand(Action::Export)?;
    let live = app.door.sessions.open(id).await?;
    let until = live.topic().head();
    app.door.access.record(who.did(What::Export).in_session(id).saying(format!("{until} events")));
    tracing::info!(session.id = %id, by = who.name(), events = until.0, "an export begins");
    let lines = Lines { log: app.door.sessions.log().clone(), session: live.key(), after: Seq::ZERO, until };
    let name = format!("attachment; filename=\"breakglass-{id}.jsonl\"");
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(stream::unfold(Some(lines), Lines::next).fuse())).into_response())
}

struct Lines {
    log: Log,
    session: SessionKey,
    after: Seq,
    until: Seq,
}

type Piece = Result<Bytes, std::io::Error>;

impl Lines {
    async fn next(lines: Option<Self>) -> Option<(Piece, Option<Self>)> {
        let mut lines = lines?;
        if lines.after >= lines.until {
            return None;
        }
        let limits = PageLimits { events_max: PAGE.events_max.min((lines.until.0 - lines.after.0) as usize), ..PAGE };
        match lines.log.records_after(lines.session, lines.after, limits).await {
            Ok(page) if page.records.is_empty() => None,
            Ok(page) => {
                lines.after.0 += page.records.len() as u64;
                let mut text = page.records.join("\n");
                text.push('\n');
                Some((Ok(text.into()), Some(lines)))
            }
            // A broken stream is seen as one: the client must not take a part for the whole.
            Err(error) => Some((Err(std::io::Error::other(error)), None)),
        }
    }
}
