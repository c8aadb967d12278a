//! The list of sessions, for a connection that watches it: first each of them, then those that change.
//!
//! Invariant: what changed after `watch` was asked is shown, however the change fell against the listing; a session is
//! shown at most five times a second. When a session that was listed is gone, the whole list comes again, as after `watch`.

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
/// Between two whole lists: sessions that go, go many at a time, and nobody waits to see them gone.
const ANEW_EVERY: Duration = Duration::from_secs(5);
/// Sessions read at a time.
const PAGE_SESSIONS: usize = 200;

type Reading = BoxFuture<'static, Result<Page, LogError>>;

enum Page {
    /// A part of the list, and where the next begins.
    Listed(Vec<SessionState>, Option<ListCursor>),
    /// The whole list is due once more.
    Anew,
    /// Those that changed; of so many it was asked.
    Changed(Vec<SessionState>, usize),
}

struct Watch {
    /// Changes up to this one have been seen to.
    seen: Version,
    changes: watch::Receiver<Version>,
    reading: Option<Reading>,
    /// Not before this is the next look.
    next_look: Instant,
    /// When the last whole list began.
    listed: Instant,
    /// A session is gone: the whole list is due.
    anew: bool,
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
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
        let now = Instant::now();
        self.watch = Some(Watch { seen, changes: follower, reading, next_look: now, listed: now, anew: false });
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
            let due = watch.anew.then_some(watch.listed + ANEW_EVERY);
            let (changes, seen) = (&mut watch.changes, watch.seen);
            let changed = async move { changes.wait_for(|version| *version > seen).await.is_ok() };
            tokio::select! {
                () = at(due) => {
                    self.arrived = Some(Page::Anew);
                    return Ok(());
                }
                changed = changed => if !changed {
                    return std::future::pending().await;
                },
            }
            tokio::time::sleep_until(watch.next_look).await;
            let (ids, seen) = self.sessions.log().hub().changes().since(watch.seen);
            let (sessions, asked) = (self.sessions.clone(), ids.len());
            watch.reading = Some(async move { Ok(Page::Changed(sessions.states(ids).await?, asked)) }.boxed());
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
            Some(Page::Changed(states, asked)) => {
                if let Some(watch) = &mut self.watch {
                    watch.anew |= states.len() < asked;
                }
                (states, None)
            }
            Some(Page::Anew) => {
                outbox.push(frame(Frame::Watching {}));
                return self.start();
            }
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
