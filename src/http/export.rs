//! A whole history to take away, streamed in short reads: an export of any length costs one page of memory and pins
//! nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;

use super::App;
use super::body::{Asked, SessionPath};
use super::bundle;
use super::credentials::Caller;
use super::error::HttpError;
use super::timeline::{Markup, Timeline};
use crate::access::What;
use crate::auth::Action;
use crate::ids::Seq;
use crate::log::{Log, PageLimits};
use crate::session::Live;

const PAGE: PageLimits = PageLimits { events_max: 512, bytes_max: 256 << 10 };

/// What an export can look like.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// The records verbatim, one a line.
    #[default]
    Jsonl,
    /// A timeline for the incident's ticket.
    Md,
    /// One file that needs no network.
    Html,
    /// All of them with raw evidence and proofs, as a zip.
    Bundle,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Bundle => "application/zip",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Md => "md",
            Self::Html => "html",
            Self::Bundle => "zip",
        }
    }

    fn timeline(self) -> Option<Timeline> {
        match self {
            Self::Jsonl | Self::Bundle => None,
            Self::Md => Some(Timeline::new(Markup::Markdown)),
            Self::Html => Some(Timeline::new(Markup::Html)),
        }
    }
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
    Asked(ExportAsked { format }): Asked<ExportAsked>,
) -> Result<Response, HttpError> {
    who.demand(Action::Export)?;
    let live = app.door.sessions.open(id).await?;
    let state = app.door.sessions.state(id).await?;
    let until = state.head;
    // Before the first byte goes out.
    app.door
        .access
        .record(who.did(What::Export).in_session(id).saying(format!("{until} events, {}", format.extension())));
    tracing::info!(session.id = %id, by = who.name(), events = until.0, "an export begins");
    let body = match format {
        Format::Bundle => bundle::body(app, live, state, who.name().to_owned()).await?,
        Format::Jsonl | Format::Md | Format::Html => {
            let timeline = format.timeline();
            let head = timeline.as_ref().map(|timeline| timeline.head(&state, who.name()));
            let log = app.door.sessions.log().clone();
            let export = Export { log, live, after: Seq::ZERO, until, timeline, head };
            Body::from_stream(stream::unfold(Some(export), Export::next).fuse())
        }
    };
    let name = format!("attachment; filename=\"breakglass-{id}.{}\"", format.extension());
    let headers = [(header::CONTENT_TYPE, format.content_type().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}

struct Export {
    log: Log,
    /// Held to the end: a session that somebody takes away is not removed meanwhile.
    live: Arc<Live>,
    after: Seq,
    until: Seq,
    /// `None`: the records as they are.
    timeline: Option<Timeline>,
    /// What goes out first.
    head: Option<String>,
}

type Piece = Result<Bytes, std::io::Error>;

impl Export {
    async fn next(export: Option<Self>) -> Option<(Piece, Option<Self>)> {
        let mut export = export?;
        if let Some(head) = export.head.take() {
            return Some((Ok(head.into()), Some(export)));
        }
        if export.after >= export.until {
            return export.timeline.map(|timeline| (Ok(timeline.foot().into()), None));
        }
        let limits = PageLimits { events_max: PAGE.events_max.min((export.until.0 - export.after.0) as usize), ..PAGE };
        match export.log.records_after(export.live.key(), export.after, limits).await {
            // What was there when it was asked for is there: a hole must not look like an end.
            Ok(page) if page.records.is_empty() => Some((Err(std::io::Error::other("a record is missing")), None)),
            Ok(page) => {
                export.after.0 += page.records.len() as u64;
                Some((Ok(export.written(&page.records).into()), Some(export)))
            }
            // A broken stream is seen as one: the client must not take a part for the whole.
            Err(error) => Some((Err(std::io::Error::other(error)), None)),
        }
    }

    fn written(&mut self, records: &[String]) -> String {
        let Some(timeline) = &mut self.timeline else { return records.join("\n") + "\n" };
        let mut text = String::new();
        for record in records {
            timeline.event(&mut text, record);
        }
        text
    }
}
