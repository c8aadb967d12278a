//! `/sessions/{id}`: the transcript as plain HTML, without any script, for text browsers and broken clients.
//!
//! Invariant: whatever an event says, it is text here: every piece of it goes through [`Escaped`].

use std::fmt::{self, Write};

use axum::extract::{Form, FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::body::{Asked, BODY_TIMEOUT, SessionPath};
use super::credentials::{Caller, From};
use super::error::HttpError;
use super::{App, api};
use crate::access::What;
use crate::auth::Action;
use crate::ids::{Seq, SessionId};
use crate::log::PageLimits;
use crate::protocol::event::{Body, Record};
use crate::protocol::server::{ErrorCode, SessionState};

/// Events on one page: what a text browser shows without complaint.
const PAGE: PageLimits = PageLimits { events_max: 500, bytes_max: 2 << 20 };

/// This page has no script at all, and one form: the sign-in.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page's own style sheet: a page without one is hard to read on a phone.
pub(super) async fn style() -> Response {
    let css = "body{max-width:48rem;margin:1rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;color-scheme:light dark}\
               pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:.2rem solid;padding-left:.6rem}\
               article{margin:1rem 0}small{opacity:.8}.error{font-weight:bold}input,button{font-size:1rem;padding:.5rem}";
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, css).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageAsked {
    before: Option<Seq>,
}

/// The newest events, or those before a seq, with a link to earlier ones.
pub(super) async fn transcript(State(app): State<App>, request: Request) -> Response {
    let mut parts = request.into_parts().0;
    let page = async {
        let SessionPath(id) = SessionPath::from_request_parts(&mut parts, &app).await?;
        let Asked(PageAsked { before }) = Asked::from_request_parts(&mut parts, &app).await?;
        let caller = match Caller::from_request_parts(&mut parts, &app).await {
            Ok(Caller(who)) => who,
            Err(refused) if refused.is_unauthorized() => return Ok(sign_in(id)),
            Err(refused) => return Err(refused),
        };
        caller.demand(Action::Read)?;
        let live = app.door.sessions.open(id).await?;
        let state = app.door.sessions.state(id).await?;
        let before = before.unwrap_or(Seq(u64::MAX));
        let page = app.door.sessions.log().records_before(live.key(), before, PAGE).await?;
        app.door.access.record(caller.did(What::Read).in_session(id));
        Ok::<_, HttpError>(Html(render(&state, &page.records)).into_response())
    };
    let mut response = page.await.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With `no-referrer` a browser would send the form with `Origin: null` (Fetch standard, "append a request Origin header").
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn sign_in(id: SessionId) -> Response {
    let page = format!(
        "{HEAD}<title>Sign in</title><h1>breakglass</h1><p>Sign in with your token to read this session.</p>\
         <form method=\"post\" action=\"/sign-in\"><input type=\"hidden\" name=\"next\" value=\"/sessions/{id}\">\
         <label>Token <input type=\"password\" name=\"token\" autocomplete=\"current-password\" required></label> \
         <button>Sign in</button></form>"
    );
    (StatusCode::UNAUTHORIZED, Html(page)).into_response()
}

#[derive(Deserialize)]
pub(super) struct SignIn {
    token: String,
    next: String,
}

/// What the form sends: signs in, and goes on to the session. Only to a session: a link must not lead people elsewhere.
pub(super) async fn signed_in(
    State(app): State<App>,
    From(visit): From,
    request: Request,
) -> Result<Response, HttpError> {
    let headers = request.headers().clone();
    let reading = tokio::time::timeout(BODY_TIMEOUT, Form::<SignIn>::from_request(request, &app));
    let Form(form) = reading
        .await
        .map_err(|_| HttpError::too_slow())?
        .map_err(|error| HttpError::new(ErrorCode::BadRequest, error.body_text()))?;
    let session = form.next.strip_prefix("/sessions/").and_then(|id| id.parse::<SessionId>().ok());
    let session = session.ok_or_else(|| HttpError::new(ErrorCode::BadRequest, "`next`: must be a session's page"))?;
    let mut response = api::sign_in(&app, visit, &headers, &form.token).await?;
    *response.status_mut() = StatusCode::SEE_OTHER;
    let there = HeaderValue::from_str(&format!("/sessions/{session}"));
    response.headers_mut().insert(header::LOCATION, there.unwrap_or(HeaderValue::from_static("/")));
    Ok(response)
}

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
    content=\"width=device-width, initial-scale=1\"><link rel=\"stylesheet\" href=\"/sessions/style.css\">";

fn render(state: &SessionState, records: &[String]) -> String {
    let title = Escaped(&state.title);
    let mut page = format!("{HEAD}<title>{title} · breakglass</title><h1>{title}</h1>");
    let running = match &state.turn {
        Some(turn) => format!("a turn of {} runs since {}", Escaped(&turn.by), Escaped(&turn.since)),
        None => "no turn runs".to_owned(),
    };
    // Writing into a string cannot fail.
    let _ = write!(
        page,
        "<p><small>Session {}, agent {}, {} events; {running}. <a href=\"/sessions/{}\">Newest</a></small></p>",
        state.session,
        Escaped(&state.agent),
        state.head,
        state.session
    );
    let events: Vec<Record> = records.iter().filter_map(|record| Record::read(record)).collect();
    if let Some(first) = events.first().filter(|first| first.seq > Seq(1)) {
        let _ = write!(page, "<p><a href=\"/sessions/{}?before={}\">Earlier events</a></p>", state.session, first.seq);
    }
    page.push_str("<main>");
    for event in &events {
        write_event(&mut page, event);
    }
    page.push_str("</main></html>\n");
    page
}

fn write_event(page: &mut String, event: &Record) {
    let (what, text) = describe(&event.body);
    let class = if matches!(event.body, Body::Error { .. }) { " class=\"error\"" } else { "" };
    let _ = write!(
        page,
        "<article id=\"{seq}\"{class}><small><a href=\"#{seq}\">#{seq}</a> {time} · {what}</small>",
        seq = event.seq,
        time = Escaped(&event.time),
        what = Escaped(&what),
    );
    if !text.is_empty() {
        let _ = write!(page, "<pre>{}</pre>", Escaped(&text));
    }
    page.push_str("</article>");
}

/// What happened, in a few words, and what was said.
fn describe(body: &Body) -> (String, String) {
    let words = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match body {
        Body::User { text, by, .. } => (format!("{by} asked"), text.clone()),
        Body::Session { session_id } => (format!("conversation {}", words(session_id)), String::new()),
        Body::Text { text } => ("agent".to_owned(), words(text)),
        Body::Tool { name, input } => {
            let command = input.get("command").map(words);
            (format!("uses {}", words(name)), command.unwrap_or_else(|| format!("{input:#}")))
        }
        Body::ToolResult { is_error, output, bytes } => {
            let failed = if *is_error { "failed" } else { "came back" };
            (format!("tool {failed}, {bytes} bytes"), output.clone())
        }
        Body::Result { is_error, result, .. } => {
            (if *is_error { "result: failed" } else { "result" }.to_owned(), words(result))
        }
        Body::Status(status) => (status.detail.clone(), String::new()),
        Body::Error { error } => ("error".to_owned(), error.clone()),
        Body::Cancelled { by } => (format!("{by} stopped the turn"), String::new()),
        Body::TurnEnd(end) => {
            let left: Vec<_> = end.left.iter().map(|left| format!("{} {}", left.pid, left.command)).collect();
            (format!("the turn ended: {}, {} ms", end.outcome.as_str(), end.duration_ms), left.join("\n"))
        }
    }
}

/// Text as HTML, wherever it stands.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Shown, so that nothing hides; and text browsers hand control characters on to the terminal.
                c if c.is_control() && !matches!(c, '\n' | '\t') => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
