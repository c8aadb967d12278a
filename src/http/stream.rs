//! One session's log as Server-Sent Events (WHATWG HTML, section 9.2): replay and live are the same loop, from a cursor.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::sync::watch;

use super::App;
use super::body::{Asked, SessionPath};
use super::credentials::Caller;
use super::error::HttpError;
use crate::access::What;
use crate::auth::{Action, Principal, Withdrawals};
use crate::frames::Chunk;
use crate::ids::{Epoch, Seq};
use crate::log::PageLimits;
use crate::protocol::server::ErrorCode;
use crate::session::{Live, PresenceGuard};
use crate::wire_error::epoch_changed;
use crate::ws::Cursor;

/// A comment line keeps proxies from closing a quiet stream.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// One read of the log, and what is handed to the socket at a time.
const PAGE: PageLimits = PageLimits { events_max: 256, bytes_max: 64 << 10 };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamAsked {
    after: Option<Seq>,
    epoch: Option<Epoch>,
}

/// `GET /api/sessions/{id}/stream`.
pub(super) async fn stream(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
    Asked(asked): Asked<StreamAsked>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    who.demand(Action::Read)?;
    let live = app.door.sessions.open(id).await?;
    let (epoch, head) = (app.door.sessions.log().epoch(), live.topic().head());
    let after = last_event_id(&headers)?.or(asked.after).unwrap_or(Seq::ZERO);
    if asked.epoch.is_some_and(|known| known != epoch) || after > head {
        return Err(epoch_changed(epoch, head).into());
    }
    app.door.access.record(who.did(What::Attach).in_session(id));
    let follower = Follower {
        heads: live.topic().follow(),
        withdrawals: app.door.auth.withdrawals(),
        _guard: live.enter(&who),
        cursor: Cursor::new(after, head),
        app,
        live,
        ends: who.ends_in().map(|left| tokio::time::Instant::now() + left),
        who,
    };
    let body = Body::from_stream(stream::unfold(follower, Follower::next).fuse());
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, body).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Seq>, HttpError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or("?").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |_| HttpError::new(ErrorCode::BadRequest, "`Last-Event-ID`: must be a seq, as `id:` gave it");
    text.parse().map(|seq| Some(Seq(seq))).map_err(bad)
}

struct Follower {
    app: App,
    live: Arc<Live>,
    who: Principal,
    /// When the credential ends by itself.
    ends: Option<tokio::time::Instant>,
    cursor: Cursor,
    heads: watch::Receiver<Seq>,
    withdrawals: watch::Receiver<Withdrawals>,
    _guard: PresenceGuard,
}

type Piece = Result<Bytes, std::io::Error>;

impl Follower {
    /// The next piece of the stream; the end of it when the gateway stops, the credential is withdrawn, or the log fails:
    /// the client then comes back with the last id that it saw.
    async fn next(mut self) -> Option<(Piece, Self)> {
        loop {
            let head = *self.heads.borrow_and_update();
            if self.cursor.is_behind(head) {
                let piece = self.read().await?;
                return Some((Ok(piece), self));
            }
            if let Some(seq) = self.cursor.caught_up() {
                let told = format!("event: caught-up\ndata: {{\"session\":\"{}\",\"seq\":{seq}}}\n\n", self.live.id());
                return Some((Ok(told.into()), self));
            }
            tokio::select! {
                moved = self.heads.changed() => moved.ok()?,
                () = self.app.door.stopping.cancelled() => return None,
                () = ended(self.ends) => return None,
                withdrawn = self.withdrawals.changed() => {
                    withdrawn.ok()?;
                    if !self.app.door.auth.still_counts(&self.who).await.ok()? {
                        return None;
                    }
                }
                () = tokio::time::sleep(COMMENT_EVERY) => {
                    self.app.door.auth.note_use(&self.who);
                    return Some((Ok(Bytes::from_static(b": still here\n\n")), self));
                }
            }
        }
    }

    async fn read(&mut self) -> Option<Bytes> {
        if self.app.door.stopping.is_cancelled() {
            return None;
        }
        if let Some(chunks) =
            self.live.topic().recent(self.cursor.taken(), PAGE.bytes_max).filter(|some| !some.is_empty())
        {
            let mut piece = Vec::new();
            for chunk in &chunks {
                write_events(&self.cursor.take(chunk)?, &mut piece);
            }
            return Some(piece.into());
        }
        let page = self.app.door.sessions.log().page(self.live.key(), self.cursor.taken(), PAGE).await;
        let chunk = match page {
            Ok(page) => self.cursor.take(&page.chunk?)?,
            Err(error) => {
                tracing::error!(%error, "an event stream cannot be served");
                return None;
            }
        };
        let mut piece = Vec::new();
        write_events(&chunk, &mut piece);
        Some(piece.into())
    }
}

async fn ended(ends: Option<tokio::time::Instant>) {
    match ends {
        Some(ends) => tokio::time::sleep_until(ends).await,
        None => std::future::pending().await,
    }
}

fn write_events(chunk: &Chunk, into: &mut Vec<u8>) {
    let mut seq = chunk.first();
    for record in chunk.records() {
        into.extend_from_slice(format!("id: {seq}\ndata: ").as_bytes());
        into.extend_from_slice(&record);
        into.extend_from_slice(b"\n\n");
        seq = seq.next();
    }
}
