//! The sessions that one connection is shown: they take turns, a bounded piece at a time.
//!
//! Invariant: at most one read of the log is under way for a connection; a session that replays a long history never holds
//! up another's live events by more than one piece.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{AbortHandle, Abortable, BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use tokio_stream::wrappers::WatchStream;

use super::cursor::Cursor;
use super::outbox::Outbox;
use crate::frames::{Chunk, text_frame};
use crate::ids::{Seq, SessionId};
use crate::log::{Log, LogError, Page, PageLimits};
use crate::protocol::server::{Frame, Reply};
use crate::session::{Live, PresenceGuard};

/// One read of the log.
const PAGE: PageLimits = PageLimits { events_max: 256, bytes_max: 64 << 10 };
/// What one session may put into the outbox before the next has its turn, bytes.
const TURN_BYTES: usize = 64 << 10;

/// What woke the connection.
enum Wake {
    /// A session's head moved.
    Head(SessionId),
    /// Somebody came to a session, or went.
    Presence(SessionId),
}

struct Session {
    live: Arc<Live>,
    cursor: Cursor,
    queued: bool,
    presence_changed: bool,
    wakes: AbortHandle,
    /// Which attach this is: a page that was read for an earlier one is thrown away.
    attach: u64,
    _guard: PresenceGuard,
}

struct Read {
    session: SessionId,
    attach: u64,
    page: Result<Page, LogError>,
}

/// The log gave something that does not follow, or nothing where something must be: the connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("session `{0}`: the log gave no events behind seq {1}")]
    Hole(SessionId, Seq),
}

pub(super) struct Attached {
    log: Log,
    sessions: HashMap<SessionId, Session>,
    /// Sessions that may have something to send, in the order of their turns.
    turns: VecDeque<SessionId>,
    /// Sessions that need a page while another's is being read.
    readers: VecDeque<SessionId>,
    reading: Option<BoxFuture<'static, Read>>,
    arrived: Option<Read>,
    wakes: SelectAll<BoxStream<'static, Wake>>,
    attaches: u64,
}

impl Attached {
    pub(super) fn new(log: Log) -> Self {
        Self {
            log,
            sessions: HashMap::new(),
            turns: VecDeque::new(),
            readers: VecDeque::new(),
            reading: None,
            arrived: None,
            wakes: SelectAll::new(),
            attaches: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn contains(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    /// Begins to show a session, or begins anew.
    pub(super) fn attach(&mut self, live: Arc<Live>, after: Seq, head: Seq, guard: PresenceGuard) {
        let id = live.id();
        self.detach(id);
        let heads = WatchStream::new(live.topic().follow()).map(move |_| Wake::Head(id));
        let people = WatchStream::new(live.present().follow()).map(move |_| Wake::Presence(id));
        let (wakes, registration) = AbortHandle::new_pair();
        self.wakes.push(Abortable::new(futures_util::stream::select(heads, people), registration).boxed());
        self.attaches += 1;
        let session = Session {
            live,
            cursor: Cursor::new(after, head),
            queued: false,
            presence_changed: false,
            wakes,
            attach: self.attaches,
            _guard: guard,
        };
        self.sessions.insert(id, session);
        self.queue(id);
    }

    /// Stops showing a session.
    pub(super) fn detach(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.remove(&id) {
            session.wakes.abort();
            self.turns.retain(|queued| *queued != id);
            self.readers.retain(|queued| *queued != id);
        }
    }

    fn queue(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| !session.queued) {
            session.queued = true;
            self.turns.push_back(id);
        }
    }

    /// Waits until a session has something to send, somebody came or went, or a page was read.
    pub(super) async fn changed(&mut self) {
        let reading = &mut self.reading;
        let page = async {
            match reading {
                Some(reading) => reading.await,
                None => std::future::pending().await,
            }
        };
        let wakes = &mut self.wakes;
        let wake = async {
            match wakes.next().await {
                Some(wake) => wake,
                // With nothing attached there is nothing to wait for.
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = page => {
                self.reading = None;
                self.arrived = Some(read);
            }
            wake = wake => match wake {
                Wake::Head(id) => self.queue(id),
                Wake::Presence(id) => {
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.presence_changed = true;
                    }
                }
            },
        }
    }

    /// Whether somebody came or went and the viewers were not told yet.
    pub(super) fn presence_is_due(&self) -> bool {
        self.sessions.values().any(|session| session.presence_changed)
    }

    /// Tells of everybody who came or went.
    pub(super) fn tell_presence(&mut self, outbox: &mut Outbox) {
        for (id, session) in &mut self.sessions {
            if std::mem::take(&mut session.presence_changed) {
                outbox.push(frame(Frame::Presence { session: *id, viewers: session.live.present().viewers() }));
            }
        }
    }

    /// Puts events into the outbox while it has room, session after session.
    pub(super) fn fill(&mut self, outbox: &mut Outbox) -> Result<(), Broken> {
        while outbox.has_room() {
            if let Some(read) = self.arrived.take() {
                self.deliver(read, outbox)?;
            } else if let Some(id) = self.turns.pop_front() {
                self.take_turn(id, outbox)?;
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_turn(&mut self, id: SessionId, outbox: &mut Outbox) -> Result<(), Broken> {
        let Some(session) = self.sessions.get_mut(&id) else { return Ok(()) };
        let taken = session.cursor.taken();
        if !session.cursor.is_behind(session.live.topic().head()) {
            session.queued = false;
            session.tell_caught_up(outbox);
            return Ok(());
        }
        match session.live.topic().recent(taken, TURN_BYTES) {
            Some(chunks) if !chunks.is_empty() => {
                session.queued = false;
                for chunk in &chunks {
                    session.take(chunk, outbox)?;
                }
                self.go_on(id, outbox);
            }
            // Stays queued, as a reader: a head that moves meanwhile need not queue it again.
            _ if self.reading.is_some() || self.arrived.is_some() => self.readers.push_back(id),
            _ => self.read(id),
        }
        Ok(())
    }

    fn read(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let (log, key, after, attach) = (self.log.clone(), session.live.key(), session.cursor.taken(), session.attach);
        self.reading = Some(
            async move {
                let page = log.page(key, after, PAGE).await;
                Read { session: id, attach, page }
            }
            .boxed(),
        );
    }

    fn deliver(&mut self, read: Read, outbox: &mut Outbox) -> Result<(), Broken> {
        let id = read.session;
        let mut next = self.readers.pop_front();
        if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.attach == read.attach) {
            session.queued = false;
            let hole = Broken::Hole(id, session.cursor.taken());
            let chunk = read.page?.chunk.ok_or(hole)?;
            session.take(&chunk, outbox)?;
            self.go_on(id, outbox);
        }
        // Whoever waited to read reads next; one that was detached meanwhile is passed over.
        while let Some(reader) = next {
            if self.sessions.contains_key(&reader) {
                self.turns.push_front(reader);
                break;
            }
            next = self.readers.pop_front();
        }
        Ok(())
    }

    /// After something was taken: caught up, or another turn.
    fn go_on(&mut self, id: SessionId, outbox: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.tell_caught_up(outbox);
        if session.cursor.is_behind(session.live.topic().head()) {
            self.queue(id);
        }
    }
}

impl Session {
    fn take(&mut self, chunk: &Chunk, outbox: &mut Outbox) -> Result<(), Broken> {
        let hole = Broken::Hole(self.live.id(), self.cursor.taken());
        let next = self.cursor.take(chunk).ok_or(hole)?;
        outbox.push(next.wire().clone());
        Ok(())
    }

    fn tell_caught_up(&mut self, outbox: &mut Outbox) {
        if let Some(seq) = self.cursor.caught_up() {
            outbox.push(frame(Frame::CaughtUp { session: self.live.id(), seq }));
        }
    }
}

/// A frame that answers no request.
pub(super) fn frame(frame: Frame) -> Bytes {
    text_frame(&serde_json::to_string(&Reply { frame, id: None }).unwrap_or_default())
}
