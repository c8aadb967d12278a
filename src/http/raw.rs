//! A turn's raw evidence: what the agent itself wrote, complete where the log had to cut, and how the turn came about.
//!
//! Invariant: bytes go out as the agent wrote them, a piece at a time; only between two attempts stands a line of ours.

use std::io::Read;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};

use super::App;
use super::body::Asked;
use super::credentials::Caller;
use super::error::HttpError;
use crate::access::What;
use crate::auth::{Action, Principal};
use crate::ids::{IdError, SessionId, TurnId};
use crate::log::TurnFacts;
use crate::mask::Masks;
use crate::protocol::server::ErrorCode;
use crate::turn::archive::Stream;
use crate::turn::spool::{ExitRecord, LaunchSpec, SpoolDir};
use crate::turn::start::StartRecord;

/// One piece of a stream, bytes.
const PIECE_BYTES: u64 = 64 << 10;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Out,
    Err,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAsked {
    #[serde(default)]
    stream: Which,
    attempt: Option<u32>,
}

async fn find(app: &App, session: &str, turn: &str) -> Result<(SessionId, TurnFacts), HttpError> {
    let bad = |what: &str, error: IdError| HttpError::new(ErrorCode::BadRequest, format!("{what} {error}"));
    let session: SessionId = session.parse().map_err(|error| bad("session", error))?;
    let turn: TurnId = turn.parse().map_err(|error| bad("turn", error))?;
    let live = app.door.sessions.open(session).await?;
    let facts = app.door.sessions.log().turn_facts(live.key(), turn).await?;
    let none = || HttpError::new(ErrorCode::NotFound, format!("session `{session}` has no turn `{turn}`"));
    Ok((session, facts.ok_or_else(none)?))
}

fn put_on_record(app: &App, who: &Principal, session: SessionId, facts: &TurnFacts, what: &str) {
    app.door.access.record(who.did(What::Export).in_session(session).with_turn(facts.turn).saying(what));
}

/// `GET /api/sessions/{id}/turns/{turn}/raw`.
pub(super) async fn raw(
    State(app): State<App>,
    Caller(who): Caller,
    Path((session, turn)): Path<(String, String)>,
    Asked(asked): Asked<RawAsked>,
) -> Result<Response, HttpError> {
    who.demand(Action::Export)?;
    let (session, facts) = find(&app, &session, &turn).await?;
    let attempts = match asked.attempt {
        None => 1..=facts.attempts,
        Some(one) if (1..=facts.attempts).contains(&one) => one..=one,
        Some(other) => {
            let message = format!("`attempt`: the turn has 1 to {}, not {other}", facts.attempts);
            return Err(HttpError::new(ErrorCode::NotFound, message));
        }
    };
    let (kind, name, content_type) = match asked.stream {
        Which::Out => (Stream::Out, "out", "application/octet-stream"),
        Which::Err => (Stream::Err, "err", "application/octet-stream"),
    };
    let dirs: Vec<_> = attempts.map(|attempt| (attempt, SpoolDir::new(&app.spools, facts.turn, attempt))).collect();
    let parts = tokio::task::spawn_blocking(move || open(&dirs, kind)).await;
    let parts = parts.map_err(|_| HttpError::new(ErrorCode::Internal, "the raw output could not be opened"))??;
    tracing::info!(turn.id = %facts.turn, by = who.name(), stream = name, "raw evidence is taken");
    put_on_record(&app, &who, session, &facts, name);
    let file = format!("attachment; filename=\"breakglass-{}.{name}\"", facts.turn);
    let headers = [(header::CONTENT_TYPE, content_type.to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((headers, Body::from_stream(stream::unfold(Some(parts), next))).into_response())
}

/// The attempts' streams one behind another; a line between says which, when there are more than one.
fn open(dirs: &[(u32, SpoolDir)], kind: Stream) -> Result<Box<dyn Read + Send>, HttpError> {
    let mut all: Box<dyn Read + Send> = Box::new(std::io::empty());
    let mut found = false;
    for (attempt, dir) in dirs {
        let opened = dir.read_back(kind).map_err(|error| HttpError::new(ErrorCode::Internal, error.to_string()))?;
        let Some(part) = opened else { continue };
        found = true;
        if dirs.len() > 1 {
            let seam = format!("{{\"type\":\"breakglass_attempt\",\"attempt\":{attempt}}}\n");
            all = Box::new(all.chain(std::io::Cursor::new(seam)));
        }
        all = Box::new(all.chain(part));
    }
    if !found {
        let message = "the turn's raw output is not there: the agent was never started, a record of the turn was \
                       redacted, or its spool was removed";
        return Err(HttpError::new(ErrorCode::NotFound, message));
    }
    Ok(all)
}

type Reading = Option<Box<dyn Read + Send>>;

async fn next(reading: Reading) -> Option<(Result<Bytes, std::io::Error>, Reading)> {
    let mut reader = reading?;
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = Vec::new();
        let read = reader.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
        (read.map(|_| piece), reader)
    });
    match read.await {
        Ok((Ok(piece), _)) if piece.is_empty() => None,
        Ok((Ok(piece), reader)) => Some((Ok(piece.into()), Some(reader))),
        // A broken stream is seen as one.
        Ok((Err(error), _)) => Some((Err(error), None)),
        Err(stopped) => Some((Err(std::io::Error::other(stopped)), None)),
    }
}

/// How a turn came about and ended, as far as it was written down.
#[derive(Serialize)]
pub(super) struct Provenance {
    #[serde(flatten)]
    facts: TurnFacts,
    session: String,
    runs: Vec<Run>,
}

/// One start of the agent.
#[derive(Serialize)]
struct Run {
    attempt: u32,
    /// Which version the agent said it was. `null`: it did not say so.
    agent_version: Option<String>,
    /// What was started: program, arguments, workspace. `null`: it never came to that.
    launch: Option<LaunchSpec>,
    /// When, where and by which version of breakglass. `null`: it never came to that, or the turn is older than this.
    start: Option<StartRecord>,
    /// How it ended and what was signalled.
    exit: Option<ExitRecord>,
    /// The agent's own output was taken away (`breakglass redact`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    redacted: bool,
}

/// `GET /api/sessions/{id}/turns/{turn}`.
pub(super) async fn provenance(
    State(app): State<App>,
    Caller(who): Caller,
    Path((session, turn)): Path<(String, String)>,
) -> Result<Json<Provenance>, HttpError> {
    who.demand(Action::Export)?;
    let (session, facts) = find(&app, &session, &turn).await?;
    put_on_record(&app, &who, session, &facts, "provenance");
    let (spools, masks) = (app.spools.clone(), app.door.sessions.masks().clone());
    let read = move || Provenance::read(&spools, session.to_string(), facts, &masks);
    let read = tokio::task::spawn_blocking(read).await;
    Ok(Json(read.map_err(|_| HttpError::new(ErrorCode::Internal, "the turn's records could not be read"))?))
}

impl Provenance {
    /// Reads what lies beside the log, secrets in command lines masked; blocks.
    pub(super) fn read(spools: &std::path::Path, session: String, facts: TurnFacts, masks: &Masks) -> Self {
        let runs = (1..=facts.attempts)
            .map(|attempt| Run::read(attempt, &SpoolDir::new(spools, facts.turn, attempt)).masked(masks));
        Self { runs: runs.collect(), facts, session }
    }
}

impl Run {
    fn read(attempt: u32, dir: &SpoolDir) -> Self {
        let mut exit = dir.exit_record().ok().flatten();
        let said = exit.as_mut().and_then(|exit| exit.agent_version.take());
        Self {
            attempt,
            // Of a turn that runs, lost its supervisor or is older than this the output itself still tells.
            agent_version: said.or_else(|| dir.agent_version()),
            launch: dir.spec().ok(),
            start: dir.start_record().ok().flatten(),
            exit,
            redacted: dir.is_redacted(),
        }
    }

    fn masked(mut self, masks: &Masks) -> Self {
        let arguments = self.launch.iter_mut().flat_map(|launch| &mut launch.args);
        let ended = self.exit.iter_mut().flat_map(|exit| {
            let signalled = exit.signalled.iter_mut().map(|process| &mut process.command);
            signalled.chain(exit.left.iter_mut().map(|process| &mut process.command))
        });
        arguments.chain(ended).for_each(|text| {
            masks.text(text);
        });
        self
    }
}
