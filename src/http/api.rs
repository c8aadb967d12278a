//! The REST routes (protocol.md section 4), except those that stream.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::body::{Asked, Fields, SessionPath};
use super::credentials::{Caller, From, refuse};
use super::doors::CookieName;
use super::error::HttpError;
use crate::access::{Visit, What};
use crate::auth::{Action, TokenError};
use crate::ids::{PromptKey, SessionId, TurnId};
use crate::log::Patch;
use crate::presets::Preset;
use crate::protocol::client::Create;
use crate::protocol::server::{Accepted, ErrorCode, Role, SessionState};
use crate::session::NoSession;

/// Sessions on a page of the list, where the request does not say.
const LIST_DEFAULT: usize = 50;
/// Sessions on a page of the list, at most.
const LIST_MAX: usize = 200;

#[derive(Serialize)]
pub(super) struct Presets {
    presets: Vec<Preset>,
}

/// Prompts to begin with.
pub(super) async fn presets(State(app): State<App>, Caller(who): Caller) -> Result<Json<Presets>, HttpError> {
    who.demand(Action::Read)?;
    Ok(Json(Presets { presets: app.presets.to_vec() }))
}

/// No such address; told only to those who may ask.
pub(super) async fn nothing(Caller(_): Caller) -> HttpError {
    HttpError::new(ErrorCode::NotFound, "there is nothing at this address")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    token: String,
}

/// Signs a browser in.
pub(super) async fn login(
    State(app): State<App>,
    From(visit): From,
    headers: HeaderMap,
    Fields(login): Fields<Login>,
) -> Result<Response, HttpError> {
    sign_in(&app, visit, &headers, &login.token).await
}

/// An answer that carries the cookie of a new sign-in.
pub(super) async fn sign_in(app: &App, visit: Visit, headers: &HeaderMap, token: &str) -> Result<Response, HttpError> {
    let signed_in = app.door.auth.sign_in(token).await.map_err(|error| match error {
        TokenError::Auth(error) => HttpError::from(error),
        other => HttpError::new(ErrorCode::Internal, other.to_string()),
    })?;
    let Some((who, cookie)) = signed_in else {
        let message = "this token does not count: it was mistyped, has expired, or was revoked; `breakglass token add` makes a new one";
        return Err(refuse(app, &visit, message).await);
    };
    app.door.access.record(who.from(visit).did(What::SignIn));
    Ok(with_cookie(app, headers, cookie.expose(), app.door.auth.login_limits().absolute.as_secs()))
}

/// Signs a browser out, and closes what it has open.
pub(super) async fn logout(
    State(app): State<App>,
    Caller(who): Caller,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    app.door.auth.sign_out(&who).await?;
    app.door.access.record(who.did(What::SignOut));
    Ok(with_cookie(&app, &headers, "", 0))
}

fn with_cookie(app: &App, headers: &HeaderMap, value: &str, seconds: u64) -> Response {
    let CookieName { name, secure } = app.doors.cookie(headers);
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        Err(_) => HttpError::new(ErrorCode::Internal, "the cookie could not be written").into_response(),
    }
}

#[derive(Serialize)]
pub(super) struct Me {
    name: String,
    role: Role,
}

/// Who asks.
pub(super) async fn me(Caller(who): Caller) -> Json<Me> {
    Json(Me { name: who.name().to_owned(), role: who.role() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListAsked {
    limit: Option<usize>,
    cursor: Option<String>,
    q: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Listed {
    sessions: Vec<SessionState>,
    next: Option<String>,
}

/// A page of the list, latest activity first.
pub(super) async fn list(
    State(app): State<App>,
    Caller(who): Caller,
    Asked(asked): Asked<ListAsked>,
) -> Result<Json<Listed>, HttpError> {
    who.demand(Action::Read)?;
    let bad = |message: String| HttpError::new(ErrorCode::BadRequest, message);
    let limit = match asked.limit {
        Some(0) => return Err(bad("`limit`: must be at least 1".to_owned())),
        limit => limit.unwrap_or(LIST_DEFAULT).min(LIST_MAX),
    };
    let cursor = asked.cursor.map(|text| text.parse()).transpose().map_err(bad)?;
    let search = asked.q.filter(|text| !text.is_empty());
    let (sessions, next) = app.door.sessions.list(cursor, search, limit).await?;
    Ok(Json(Listed { sessions, next: next.map(|cursor| cursor.to_string()) }))
}

/// Makes a session.
pub(super) async fn create(
    State(app): State<App>,
    Caller(who): Caller,
    Fields(create): Fields<Create>,
) -> Result<Response, HttpError> {
    who.demand(Action::Create)?;
    let state = app.door.sessions.create(&who, create).await?;
    app.door.access.record(who.did(What::Create).in_session(state.session));
    Ok((StatusCode::CREATED, Json(state)).into_response())
}

/// One session's summary.
pub(super) async fn session(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
) -> Result<Json<SessionState>, HttpError> {
    who.demand(Action::Read)?;
    Ok(Json(app.door.sessions.state(id).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rename {
    title: Option<String>,
    archived: Option<bool>,
}

/// Renames a session, or puts it away.
pub(super) async fn rename(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
    Fields(rename): Fields<Rename>,
) -> Result<Json<SessionState>, HttpError> {
    who.demand(Action::Rename)?;
    let patch = Patch { title: rename.title, archived: rename.archived };
    let state = app.door.sessions.patch(id, patch).await?.ok_or(NoSession(id))?;
    app.door.access.record(who.did(What::Rename).in_session(id));
    Ok(Json(state))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptBody {
    text: String,
    key: Option<PromptKey>,
    model: Option<String>,
}

/// Asks for a turn.
pub(super) async fn prompt(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(id): SessionPath,
    Fields(body): Fields<PromptBody>,
) -> Result<(StatusCode, Json<Accepted>), HttpError> {
    who.demand(Action::Prompt)?;
    let live = app.door.sessions.open(id).await?;
    let key = body.key.unwrap_or_else(PromptKey::random);
    let begun = app.door.access.begin(who.did(What::Prompt).in_session(id));
    let accepted = live.prompt(&who, body.text, key, body.model).await;
    begun.answered();
    let accepted = accepted?;
    if !accepted.duplicate {
        app.door.access.record(who.did(What::Prompt).in_session(id).with_turn(accepted.turn));
    }
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelBody {
    turn: Option<TurnId>,
}

#[derive(Serialize)]
pub(super) struct Cancelling {
    session: SessionId,
    turn: TurnId,
}

/// Asks for the running turn to be stopped.
pub(super) async fn cancel(
    State(app): State<App>,
    Caller(who): Caller,
    SessionPath(session): SessionPath,
    Fields(body): Fields<CancelBody>,
) -> Result<(StatusCode, Json<Cancelling>), HttpError> {
    who.demand(Action::Cancel)?;
    let live = app.door.sessions.open(session).await?;
    let begun = app.door.access.begin(who.did(What::Cancel).in_session(session));
    let turn = live.cancel(&who, body.turn).await;
    begun.answered();
    let turn = turn?;
    app.door.access.record(who.did(What::Cancel).in_session(session).with_turn(turn));
    Ok((StatusCode::ACCEPTED, Json(Cancelling { session, turn })))
}
