//! A session to take away whole: a zip with the log, its seals and proofs, raw evidence, the key, and how to verify.
//!
//! Invariant: written as it is read, with a page of records in memory at most; what was redacted while it was written
//! breaks it off, so that no bundle says two things. The bytes are in docs/evidence.md.

mod members;
mod pipe;

use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body;
use data_encoding::HEXLOWER;
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::App;
use super::error::HttpError;
use super::raw::Provenance;
use super::timeline::{Markup, Timeline};
use crate::clock::WallMs;
use crate::evidence::inclusion::PathMaker;
use crate::evidence::leaf;
use crate::ids::{Seq, TurnId};
use crate::log::{Log, LogError, PageLimits, Sealed, SessionKey};
use crate::protocol::server::{ErrorCode, SessionState};
use crate::session::Live;
use crate::turn::archive::Stream;
use crate::turn::spool::SpoolDir;
use members::Members;
use pipe::Pipe;

/// Bundles that are made at the same time: each has a thread of its own.
const BUNDLES_MAX: usize = 4;

const PAGE: PageLimits = PageLimits { events_max: 512, bytes_max: 256 << 10 };
/// The list of files, and the signature over it.
const LIST: &str = "SHA256SUMS";
const LIST_SIGNED: &str = "SHA256SUMS.note";
/// How to check it, for whoever opens it.
const HOW_TO_VERIFY: &str = include_str!("bundle/VERIFY.md");
/// The verifier that shares no code with this program.
const VERIFIER: &str = include_str!("../../docs/verify.py");

/// How many bundles may still be begun.
#[derive(Clone)]
pub struct Bundling(Arc<Semaphore>);

impl Default for Bundling {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUNDLES_MAX)))
    }
}

/// The bundle of a session, as far as it is signed now.
pub(super) async fn body(app: App, live: Arc<Live>, state: SessionState, by: String) -> Result<Body, HttpError> {
    let Ok(permit) = Arc::clone(&app.bundling.0).try_acquire_owned() else {
        let message = format!("{BUNDLES_MAX} bundles are being made already; try again when one is done");
        return Err(HttpError::new(ErrorCode::AtCapacity, message));
    };
    let key = live.key();
    let signed = app.signer.sign_now(key).await?;
    // What the signer refused is taken along too: the verifier shall see it.
    let until = state.head.max(Seq(signed));
    let (pipe, pieces) = Pipe::new();
    let bundle = Bundle {
        log: app.door.sessions.log().clone(),
        app,
        key,
        state,
        by,
        until,
        _live: live,
        runtime: Handle::current(),
    };
    // It ends by itself when the client has gone.
    let _detached = tokio::task::spawn_blocking(move || bundle.write(pipe, permit));
    let pieces = stream::unfold(pieces, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces)));
    Ok(Body::from_stream(pieces.fuse()))
}

struct Bundle {
    app: App,
    log: Log,
    key: SessionKey,
    state: SessionState,
    by: String,
    /// The last record that is taken along.
    until: Seq,
    /// Held to the end: a session that somebody takes away is not removed meanwhile.
    _live: Arc<Live>,
    runtime: Handle,
}

impl Bundle {
    fn write(self, pipe: Pipe, permit: OwnedSemaphorePermit) {
        let breaking = pipe.clone();
        let mut members = Members::new(pipe);
        let session = self.state.session;
        let written = self.write_members(&mut members);
        let ended = match written {
            Ok(()) => members.finish(|sha256| self.app.signer.sign_bundle(session, sha256)),
            Err(error) => {
                // Before the writer is dropped, which would end the zip as if it were whole.
                breaking.break_off(io::Error::new(error.kind(), error.to_string()));
                Err(error)
            }
        };
        if let Err(error) = ended {
            // Once more, for an end that failed: a body must not end as if it were whole.
            breaking.break_off(io::Error::new(error.kind(), error.to_string()));
            tracing::warn!(session.id = %session, %error, "a bundle broke off");
        }
        drop(permit);
    }

    fn write_members(&self, members: &mut Members) -> io::Result<()> {
        let about = json!({
            "format": crate::verify::BUNDLE_FORMAT,
            "session": self.state.session,
            "title": self.state.title,
            "records": self.until,
            "exported": WallMs::now().rfc3339(),
            "by": self.by,
            "server": crate::SERVER,
        });
        members.text("bundle.json", &format!("{about}\n"))?;
        members.text("VERIFY.md", HOW_TO_VERIFY)?;
        members.text("verify.py", VERIFIER)?;
        members.text("key.txt", &format!("{}\n", self.app.signer.verifier()))?;
        let (mut stubs, mut stubs_again) = (0, 0);
        members.add("log.jsonl", |out| {
            self.each_record(|sealed| {
                stubs += u64::from(sealed.salt.is_none());
                writeln!(out, "{}", sealed.record)
            })
        })?;
        members.add("seals.jsonl", |out| {
            self.each_record(|sealed| {
                stubs_again += u64::from(sealed.salt.is_none());
                writeln!(out, "{}", seal_line(&sealed))
            })
        })?;
        if stubs != stubs_again {
            return Err(io::Error::other("a record was redacted meanwhile; export again"));
        }
        self.write_proofs(members)?;
        for (name, markup) in [("timeline.md", Markup::Markdown), ("timeline.html", Markup::Html)] {
            members.add(name, |out| self.write_timeline(out, markup))?;
        }
        self.write_turns(members)
    }

    fn ask<T>(&self, question: impl Future<Output = Result<T, LogError>>) -> io::Result<T> {
        self.runtime.block_on(question).map_err(io::Error::other)
    }

    fn each_record(&self, mut take: impl FnMut(Sealed) -> io::Result<()>) -> io::Result<()> {
        let mut after = Seq::ZERO;
        while after < self.until {
            let events_max = PAGE.events_max.min((self.until.0 - after.0) as usize);
            let page = self.ask(self.log.sealed_after(self.key, after, PageLimits { events_max, ..PAGE }))?;
            if page.is_empty() {
                return Err(io::Error::other(format!("record {} is missing", after.next())));
            }
            for sealed in page {
                after = sealed.seq;
                take(sealed)?;
            }
        }
        Ok(())
    }

    /// The session's checkpoints, and where the newest of them stands in the gateway's own tree.
    fn write_proofs(&self, members: &mut Members) -> io::Result<()> {
        let mut newest: Option<(u64, String)> = None;
        members.add("checkpoints.txt", |out| {
            loop {
                let after = newest.as_ref().map_or(0, |(number, _)| *number);
                let page = self.ask(self.log.checkpoints_after(self.state.session, after, self.until))?;
                let Some(last) = page.last() else { return Ok(()) };
                newest = Some(last.clone());
                for (_, note) in &page {
                    writeln!(out, "{note}")?;
                }
            }
        })?;
        let head = self.ask(self.log.newest_gateway_head())?;
        let (Some((number, _)), Some((size, head))) = (newest, head) else { return Ok(()) };
        let Some(mut path) = PathMaker::new(number - 1, size) else { return Ok(()) };
        let mut seen = 0;
        while seen < size {
            let page = self.ask(self.log.heads_after(seen))?;
            if page.notes.is_empty() {
                return Ok(());
            }
            for note in page.notes.iter().take((size - seen) as usize) {
                path.push(leaf::of_checkpoint(note));
            }
            seen += page.notes.len() as u64;
        }
        members.text("gateway-proof.txt", &path.finish().text(&head))
    }

    fn write_timeline(&self, out: &mut dyn Write, markup: Markup) -> io::Result<()> {
        let mut timeline = Timeline::new(markup);
        out.write_all(timeline.head(&self.state, &self.by).as_bytes())?;
        self.each_record(|sealed| {
            let mut text = String::new();
            timeline.event(&mut text, &sealed.record);
            out.write_all(text.as_bytes())
        })?;
        out.write_all(timeline.foot().as_bytes())
    }

    fn write_turns(&self, members: &mut Members) -> io::Result<()> {
        let mut after = Seq::ZERO;
        loop {
            let page = self.ask(self.log.turns_after(self.key, after, self.until))?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, turn) in page {
                self.write_turn(members, turn)?;
            }
        }
    }

    fn write_turn(&self, members: &mut Members, turn: TurnId) -> io::Result<()> {
        let Some(facts) = self.ask(self.log.turn_facts(self.key, turn))? else { return Ok(()) };
        let attempts = facts.attempts;
        let provenance =
            Provenance::read(&self.app.spools, self.state.session.to_string(), facts, self.app.door.sessions.masks());
        let text = serde_json::to_string_pretty(&provenance)?;
        members.text(&format!("turns/{turn}/turn.json"), &format!("{text}\n"))?;
        for attempt in 1..=attempts {
            let dir = SpoolDir::new(&self.app.spools, turn, attempt);
            for (stream, end) in [(Stream::Out, "out"), (Stream::Err, "err")] {
                let Some(mut raw) = dir.read_back(stream).map_err(io::Error::other)? else { continue };
                members.add(&format!("turns/{turn}/{attempt}.{end}"), |out| io::copy(&mut raw, out).map(|_| ()))?;
            }
        }
        Ok(())
    }
}

fn seal_line(sealed: &Sealed) -> serde_json::Value {
    json!({
        "seq": sealed.seq,
        "epoch": sealed.epoch,
        "salt": sealed.salt.map(|salt| HEXLOWER.encode(&salt)),
        "commitment": HEXLOWER.encode(&sealed.commitment),
    })
}
