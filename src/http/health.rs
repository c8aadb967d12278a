//! Is it alive, can it write, what does it do.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use super::credentials::Caller;
use super::error::HttpError;
use crate::auth::Action;

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: prompts can be accepted, because the log can be written.
pub(super) async fn ready(State(app): State<App>) -> Result<&'static str, HttpError> {
    if app.door.stopping.is_cancelled() {
        return Err(HttpError::not_ready("the gateway is stopping".to_owned()));
    }
    app.door.sessions.log().probe().await.map_err(|error| HttpError::not_ready(error.to_string()))?;
    Ok("ready\n")
}

/// `GET /metrics`: Prometheus text format, version 0.0.4.
pub(super) async fn metrics(State(app): State<App>, Caller(who): Caller) -> Result<Response, HttpError> {
    who.demand(Action::Read)?;
    let numbers = app.door.sessions.numbers();
    let writable = u8::from(app.door.sessions.log().is_writable());
    let gauges: [(&str, &str, u64); 6] = [
        ("breakglass_log_writable", "Whether the last write to the log was committed.", u64::from(writable)),
        ("breakglass_sessions_live", "Sessions that somebody uses now.", numbers.live),
        ("breakglass_turns_running", "Turns that run now.", numbers.turns),
        ("breakglass_viewers", "Attachments of connections to sessions.", numbers.viewers),
        (
            "breakglass_evidence_alarms",
            "Checkpoints refused since the start: the log is not the one that was signed.",
            app.signer.alarms(),
        ),
        (
            "breakglass_anchors_failed",
            "Copies of checkpoints since the start that reached no place.",
            app.signer.anchors_failed(),
        ),
    ];
    let mut text = String::new();
    for (name, help, value) in gauges {
        // Writing into a string cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
