//! What a follower sees, put on the screen: events in one of two forms, and the state of the connection beside them.

use std::time::Instant;

use super::Failure;
use super::screen::{Ink, Screen};
use super::transcript::Transcript;
use super::words::{duration, roughly, since_ms};
use crate::client::{Event, Follow, Lost, Seen};
use crate::protocol::server::SessionState;

pub(super) struct View {
    pub screen: Screen,
    form: Form,
    lost: Option<Instant>,
}

/// How events are printed.
enum Form {
    /// The records verbatim, one a line.
    Records,
    /// For people.
    Transcript(Transcript),
}

impl View {
    /// `records`: print them verbatim.
    pub(super) fn of_records(colours: bool) -> Self {
        Self { screen: Screen::new(colours), form: Form::Records, lost: None }
    }

    pub(super) fn for_people(colours: bool) -> Self {
        let screen = Screen::new(colours);
        let transcript = Transcript::new(screen.colours);
        Self { screen, form: Form::Transcript(transcript), lost: None }
    }

    pub(super) fn is_for_people(&self) -> bool {
        matches!(self.form, Form::Transcript(_))
    }

    /// The next thing that a follower sees. Loss and return of the connection are said here; what was put on the screen is
    /// written as soon as nothing more comes at once.
    pub(super) async fn next(&mut self, follow: &mut Follow) -> Result<Seen, Failure> {
        loop {
            let seen = tokio::select! {
                biased;
                seen = follow.next() => seen,
                () = std::future::ready(()), if self.screen.is_behind() => {
                    self.screen.flush().await?;
                    continue;
                }
            };
            match seen {
                Ok(Seen::Lost(lost)) => self.lost(&lost).await?,
                Ok(seen) => {
                    if let Seen::Attached(_) = seen {
                        self.back().await?;
                    }
                    return Ok(seen);
                }
                Err(error) => {
                    self.screen.flush().await?;
                    return Err(error.into());
                }
            }
        }
    }

    /// Prints an event.
    pub(super) async fn event(&mut self, event: &Event) -> Result<(), Failure> {
        match &mut self.form {
            Form::Records => self.screen.put(&["{", event.record_behind_brace(), "\n"]).await,
            Form::Transcript(transcript) => {
                transcript.wide = self.screen.wide();
                // A kind that we do not know is passed over (protocol.md section 2).
                let Some(record) = event.record() else { return Ok(()) };
                self.screen.put(&[&transcript.event(&record)]).await
            }
        }
    }

    /// Says once that the connection is lost, however often it fails to come back.
    pub(super) async fn lost(&mut self, lost: &Lost) -> Result<(), Failure> {
        if self.lost.is_some() {
            return Ok(());
        }
        self.lost = Some(Instant::now());
        self.screen.say(Ink::Notable, &format!("connection lost ({}); trying again, turns go on", lost.why)).await
    }

    /// Says that the connection is back, if it was lost.
    pub(super) async fn back(&mut self) -> Result<(), Failure> {
        let Some(lost) = self.lost.take() else { return Ok(()) };
        let ms = u64::try_from(lost.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.screen.say(Ink::Good, &format!("connection is back after {}", duration(ms))).await
    }
}

/// A session in one line.
pub(super) fn summary(state: &SessionState) -> String {
    let turn = match &state.turn {
        Some(turn) => {
            let ms = since_ms(&turn.since, jiff::Timestamp::now()).unwrap_or(0);
            format!("running for {}, by {}", roughly(ms), turn.by)
        }
        None => "idle".to_owned(),
    };
    let watching = match state.viewers {
        0 | 1 => String::new(),
        viewers => format!(", {viewers} watching"),
    };
    format!("{}, {}, {turn}{watching}", state.title, state.agent)
}
