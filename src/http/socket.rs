//! The upgrade: a plain request comes in, a WebSocket goes on, in a task of its own that shutdown waits for.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::App;
use super::credentials::Caller;
use super::error::HttpError;
use super::places::Place;
use crate::auth::Action;
use crate::protocol::server::ErrorCode;
use crate::ws;

/// `GET /ws`.
pub(super) async fn upgrade(
    State(app): State<App>,
    Caller(who): Caller,
    mut request: Request,
) -> Result<Response, HttpError> {
    // A browser always says where it comes from, and a cookie is sent by browsers.
    if !app.doors.check_origin(request.headers())? && who.by_browser() {
        let message = "`Origin` is missing: a WebSocket without a bearer token must say where it comes from";
        return Err(HttpError::new(ErrorCode::Forbidden, message));
    }
    who.demand(Action::Read)?;
    let handshake = ws::accept(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    // The connection counts as long as the socket is open.
    let place = request.extensions_mut().remove::<Arc<Place>>();
    let door = app.door.clone();
    app.tasks.spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "a client went before its upgrade"),
        };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => ws::serve(door, who, parts.io.into_inner(), parts.read_buf).await,
            Err(other) => ws::serve(door, who, TokioIo::new(other), bytes::Bytes::new()).await,
        }
        drop(place);
    });
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, Body::empty()).into_response();
    response.headers_mut().extend(handshake.headers);
    Ok(response)
}
