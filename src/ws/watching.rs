//! The list of sessions, for a connection that watches it: first each of them, then those that change.
//!
//! Invariant: what changed after `watch` was asked is shown, however the change fell against the listing; a session is
//! shown at most five times a second.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;

use super::attached::frame;
use super::outbox::Outbox;
use crate::hub::Version;
use crate::log::{ListCursor, LogError};
use crate::protocol::server::{Frame, SessionState};
use crate::session::Sessions;

/// Between two looks at what changed: five a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Sessions read at a time.
const PAGE_SESSIONS: usize = 200;

type Reading = BoxFuture<'static, Result<Page, LogError>>;

enum Page {
    /// A part of the list, and where the next begins.
    Listed(Vec<SessionState>, Option<ListCursor>),
    /// Those that changed.
    Changed(Vec<SessionState>),
}

struct Watch {
    /// Changes up to this one have been seen to.
    seen: Version,
    changes: watch::Receiver<Version>,
    reading: Option<Reading>,
    /// Not before this is the next look.
    next_look: Instant,
}

/// Whether and how a connection follows the list.
pub(super) struct Watching {
    sessions: Sessions,
    watch: Option<Watch>,
    arrived: Option<Page>,
}

impl Watching {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self { sessions, watch: None, arrived: None }
    }

    /// Begins to follow, or begins anew.
    pub(super) fn start(&mut self) {
        let changes = self.sessions.log().hub().changes();
        let (seen, follower) = (changes.version(), changes.follow());
        self.arrived = None;
        let reading = Some(self.list(None));
        self.watch = Some(Watch { seen, changes: follower, reading, next_look: Instant::now() });
    }

    pub(super) fn stop(&mut self) {
        self.watch = None;
        self.arrived = None;
    }

    fn list(&self, after: Option<ListCursor>) -> Reading {
        let sessions = self.sessions.clone();
        async move {
            let (page, next) = sessions.list(after, None, PAGE_SESSIONS).await?;
            Ok(Page::Listed(page, next))
        }
        .boxed()
    }

    /// Waits until something is there to be sent.
    pub(super) async fn changed(&mut self) -> Result<(), LogError> {
        let Some(watch) = self.watch.as_mut().filter(|_| self.arrived.is_none()) else {
            return std::future::pending().await;
        };
        if watch.reading.is_none() {
            if watch.changes.wait_for(|version| *version > watch.seen).await.is_err() {
                return std::future::pending().await;
            }
            tokio::time::sleep_until(watch.next_look).await;
            let (ids, seen) = self.sessions.log().hub().changes().since(watch.seen);
            let sessions = self.sessions.clone();
            watch.reading = Some(async move { Ok(Page::Changed(sessions.states(ids).await?)) }.boxed());
            watch.seen = seen;
            watch.next_look = Instant::now() + LOOK_EVERY;
        }
        if let Some(reading) = &mut watch.reading {
            let page = reading.await;
            watch.reading = None;
            self.arrived = Some(page?);
        }
        Ok(())
    }

    /// Puts what has arrived into the outbox, when that has room.
    pub(super) fn fill(&mut self, outbox: &mut Outbox) {
        if !outbox.has_room() {
            return;
        }
        let (states, listed) = match self.arrived.take() {
            None => return,
            Some(Page::Listed(states, next)) => (states, Some(next)),
            Some(Page::Changed(states)) => (states, None),
        };
        for state in states {
            outbox.push(frame(Frame::Session { state }));
        }
        match listed {
            Some(Some(next)) => {
                let reading = self.list(Some(next));
                if let Some(watch) = &mut self.watch {
                    watch.reading = Some(reading);
                }
            }
            Some(None) => outbox.push(frame(Frame::WatchingLive {})),
            None => {}
        }
    }
}
