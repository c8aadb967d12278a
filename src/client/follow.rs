//! One session, followed over any number of connections.
//!
//! Invariant: the events that come out are those behind the cursor's start, in order, each once, until the log itself is
//! another one, which is said.

use super::GatewayError;
use super::cursor::{Cursor, Step};
use super::link::{Link, Lost, News};
use super::wire::{Event, Incoming};
use crate::protocol::client::{Request, RequestId};
use crate::protocol::server::{ErrorBody, ErrorCode, Frame, Reply, SessionState};

/// What a follower is told.
#[derive(Debug)]
pub enum Seen {
    /// The session is being shown, for the first time or again.
    Attached(Box<SessionState>),
    /// The next event.
    Event(Event),
    /// All that was in the log is shown; what follows is live.
    CaughtUp,
    /// The connection is lost and will come back.
    Lost(Lost),
    /// The log is another one: what was shown is void, and it is shown from its beginning.
    Anew,
    /// The reply to a request of the caller's own.
    Reply(Box<Reply>),
}

/// A session that is followed.
pub struct Follow {
    link: Link,
    cursor: Cursor,
    /// The attach whose reply is awaited.
    attaching: Option<RequestId>,
    must_attach: bool,
    was_attached: bool,
}

impl Follow {
    /// Follows from the cursor on, over a link that may be open already.
    pub fn new(link: Link, cursor: Cursor) -> Self {
        let must_attach = link.is_open();
        Self { link, cursor, attaching: None, must_attach, was_attached: false }
    }

    /// Where it stands.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Sends a request of the caller's own; its reply comes as [`Seen::Reply`], unless the connection is lost before.
    pub fn send(&mut self, request: &Request) -> RequestId {
        let (text, id) = self.link.prepare(request);
        self.link.send(text);
        id
    }

    /// What happens next. May be dropped and called again.
    ///
    /// # Errors
    /// [`GatewayError`]: the session cannot be followed, now or ever.
    pub async fn next(&mut self) -> Result<Seen, GatewayError> {
        loop {
            if std::mem::take(&mut self.must_attach) {
                self.attaching = Some(self.send(&Request::Attach(self.cursor.request())));
            }
            match self.link.next().await? {
                News::Opened(_) => self.must_attach = true,
                News::Lost(lost) => {
                    self.attaching = None;
                    return Ok(Seen::Lost(lost));
                }
                News::Frame(Incoming::Event(event)) => {
                    if event.session() != self.cursor.session() {
                        continue;
                    }
                    match self.cursor.take(event.seq()) {
                        Step::New => return Ok(Seen::Event(event)),
                        Step::Known => {}
                        Step::Hole => return Ok(Seen::Lost(self.link.give_up_connection("events were missing"))),
                    }
                }
                News::Frame(Incoming::Reply(reply)) => {
                    if let Some(seen) = self.reply(*reply)? {
                        return Ok(seen);
                    }
                }
            }
        }
    }

    fn reply(&mut self, reply: Reply) -> Result<Option<Seen>, GatewayError> {
        let ours = reply.id.is_some() && reply.id == self.attaching;
        match reply.frame {
            Frame::Attached { epoch, from, state, .. } if ours => {
                self.attaching = None;
                if !self.cursor.attached(epoch, from) {
                    return Ok(Some(Seen::Lost(self.link.give_up_connection("events were missing"))));
                }
                self.was_attached = true;
                Ok(Some(Seen::Attached(Box::new(state))))
            }
            Frame::Error(error) if ours => self.cannot_attach(error).map(Some),
            Frame::CaughtUp { session, .. } if session == self.cursor.session() => Ok(Some(Seen::CaughtUp)),
            frame if reply.id.is_some() => Ok(Some(Seen::Reply(Box::new(Reply { frame, id: reply.id })))),
            _ => Ok(None),
        }
    }

    fn cannot_attach(&mut self, error: ErrorBody) -> Result<Seen, GatewayError> {
        self.attaching = None;
        // Before anything was shown, the caller asked for a place that is not there.
        if error.code == ErrorCode::EpochChanged && self.cursor.last().is_some() {
            self.cursor.begin_anew();
            self.must_attach = true;
            return Ok(Seen::Anew);
        }
        let may_pass = matches!(
            error.code,
            ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::AtCapacity | ErrorCode::Internal
        );
        if self.was_attached && may_pass {
            return Ok(Seen::Lost(self.link.give_up_connection(&error.message)));
        }
        Err(GatewayError::refused(error))
    }
}
