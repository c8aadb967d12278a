//! One connection, one task: requests in, events out, and a clock that ends what is dead.
//!
//! Invariant: whatever waits (a slow client, a commit, a read of the log), the connection still hears its client, the
//! gateway's stop and the withdrawal of its credential. Requests are answered in the order in which they came.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;

use super::attached::{Attached, frame};
use super::inbound::{Inbound, Socket};
use super::outbox::Outbox;
use super::pace::{Pace, Verdict};
use super::requests::{self, Answer, Attaching, Outcome};
use super::watching::Watching;
use crate::access::{Access, Begun, What};
use crate::auth::{Action, Auth, Principal, Withdrawals};
use crate::frames::{close_frame, ping_frame, text_frame};
use crate::protocol::client::{self, RequestId};
use crate::protocol::server::{AgentInfo, CloseCode, ErrorBody, ErrorCode, Frame, Limits, Reply};
use crate::protocol::{ATTACHED_MAX, FRAME_BYTES_MAX, PROMPT_BYTES_MAX, VERSION};
use crate::session::Sessions;

/// The gateway pings this often.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Nothing came from the client for so long: 4408.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// The client took nothing for so long: 4410.
const STALL_MAX: Duration = Duration::from_secs(30);
/// A client has so long to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Who came and went is told at most this often.
const PRESENCE_EVERY: Duration = Duration::from_millis(250);
/// Requests that wait for an answer; then the client is not read until one is given.
const REQUESTS_MAX: usize = 64;
/// When a client shall come back after a planned stop, milliseconds.
const RECONNECT_MS: u64 = 1_000;

/// What every connection needs.
#[derive(Clone)]
pub struct Door {
    /// The sessions.
    pub sessions: Sessions,
    /// The door keeper.
    pub auth: Auth,
    /// Who came.
    pub access: Access,
    /// The agents that sessions can choose.
    pub agents: Arc<dyn Fn() -> Vec<AgentInfo> + Send + Sync>,
    /// The gateway stops.
    pub stopping: CancellationToken,
}

/// Serves one client until it goes or is sent away. `head` is what was read of the stream already.
pub async fn serve<S: Socket>(door: Door, who: Principal, socket: S, head: Bytes) {
    let inbound = Inbound::new(socket, head).await;
    let mut connection = Connection::new(door, who, inbound);
    connection.greet();
    connection.run().await;
}

/// What happened on the socket.
enum Io {
    Came(Message),
    Failed(Error),
    Gone,
    /// There is room in the outbox again.
    Room,
}

struct Connection<S> {
    door: Door,
    who: Arc<Principal>,
    inbound: Inbound<S>,
    outbox: Outbox,
    attached: Attached,
    watching: Watching,
    pace: Pace,
    /// The request that is being answered.
    answering: Option<(Option<RequestId>, Answer)>,
    /// It, for the access record, in case the client goes first.
    begun: Option<Begun>,
    requests: VecDeque<Request>,
    withdrawals: watch::Receiver<Withdrawals>,
    last_came: Instant,
    next_ping: Instant,
    next_presence: Instant,
    /// A close was sent; the client has until then to answer it.
    closing: Option<Instant>,
    /// When the credential ends by itself.
    ends: Option<Instant>,
}

type Request = Result<(Option<RequestId>, client::Request), (Option<RequestId>, ErrorBody)>;

impl<S: Socket> Connection<S> {
    fn new(door: Door, who: Principal, inbound: Inbound<S>) -> Self {
        let now = Instant::now();
        Self {
            attached: Attached::new(door.sessions.log().clone()),
            watching: Watching::new(door.sessions.clone()),
            withdrawals: door.auth.withdrawals(),
            door,
            ends: who.ends_in().map(|left| now + left),
            who: Arc::new(who),
            inbound,
            outbox: Outbox::new(),
            pace: Pace::new(now),
            answering: None,
            begun: None,
            requests: VecDeque::new(),
            last_came: now,
            next_ping: now + PING_EVERY,
            next_presence: now,
            closing: None,
        }
    }

    fn greet(&mut self) {
        let limits = Limits { max_frame: FRAME_BYTES_MAX, max_prompt: PROMPT_BYTES_MAX, max_attached: ATTACHED_MAX };
        self.outbox.push(frame(Frame::Hello {
            protocol: VERSION,
            server: crate::SERVER.to_owned(),
            epoch: self.door.sessions.log().epoch(),
            name: self.who.name().to_owned(),
            role: self.who.role(),
            limits,
            agents: (self.door.agents)(),
        }));
    }

    async fn run(&mut self) {
        loop {
            self.fill();
            let deadline = self.deadline();
            let closing = self.closing.is_some();
            let listening = closing || self.requests.len() < REQUESTS_MAX;
            tokio::select! {
                io = socket_io(&mut self.inbound, &mut self.outbox, listening) => {
                    if !self.on_io(io) {
                        return;
                    }
                }
                () = self.attached.changed(), if !closing => {}
                listed = self.watching.changed(), if !closing => {
                    if let Err(error) = listed {
                        self.fail(&error);
                    }
                }
                outcome = answered(&mut self.answering), if !closing => self.on_answer(outcome),
                () = self.door.stopping.cancelled(), if !closing => {
                    self.outbox.push(frame(Frame::Restarting { reconnect_ms: RECONNECT_MS }));
                    self.close(CloseCode::Restarting, "the gateway restarts");
                }
                Ok(()) = self.withdrawals.changed(), if !closing => self.check_credential().await,
                () = tokio::time::sleep_until(deadline) => {
                    if !self.on_deadline() {
                        return;
                    }
                }
            }
        }
    }

    /// Puts into the outbox what is due, and begins with the next request.
    fn fill(&mut self) {
        if self.closing.is_some() {
            return;
        }
        while self.answering.is_none() {
            match self.requests.pop_front() {
                None => break,
                Some(Ok((id, request))) => {
                    self.begun = self.begin(&request);
                    let answer = requests::answer(self.door.sessions.clone(), Arc::clone(&self.who), request);
                    self.answering = Some((id, answer));
                }
                Some(Err((id, error))) => self.reply(id, Frame::Error(error)),
            }
        }
        self.watching.fill(&mut self.outbox);
        if let Err(error) = self.attached.fill(&mut self.outbox) {
            self.fail(&error);
        }
    }

    fn reply(&mut self, id: Option<RequestId>, frame: Frame) {
        self.outbox.push(text_frame(&serde_json::to_string(&Reply { frame, id }).unwrap_or_default()));
    }

    /// `false`: the connection is over.
    fn on_io(&mut self, io: Io) -> bool {
        let now = Instant::now();
        self.outbox.push(self.inbound.take_written());
        match io {
            Io::Gone => return false,
            Io::Room => return true,
            // After a close has been answered nothing comes any more.
            Io::Failed(_) if self.closing.is_some() => return false,
            Io::Came(_) if self.closing.is_some() => return true,
            Io::Failed(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                self.close(CloseCode::TooBig, "a frame may have 1048576 bytes");
            }
            Io::Failed(Error::Utf8(_)) => self.close(CloseCode::NotUtf8, "a text frame must be UTF-8"),
            Io::Failed(Error::Protocol(error)) => self.close_with(1002, &error.to_string()),
            Io::Failed(_) => return false,
            Io::Came(message) => {
                self.last_came = now;
                self.on_message(message, now);
            }
        }
        true
    }

    fn on_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Text(text) => match self.pace.request(now) {
                Verdict::Fine => {
                    self.requests
                        .push_back(client::parse(&text).map_err(|refused| (refused.id.clone(), refused.into())));
                }
                Verdict::TooFast { wait_ms } => {
                    let id = client::parse(&text).map_or_else(|refused| refused.id, |(id, _)| id);
                    let message = format!("too many requests; wait {wait_ms} ms");
                    let error =
                        ErrorBody { retry_after_ms: Some(wait_ms), ..ErrorBody::new(ErrorCode::RateLimited, message) };
                    self.requests.push_back(Err((id, error)));
                }
                Verdict::Flood => self.close(CloseCode::TooMany, "too many requests"),
            },
            Message::Binary(_) => self.close(CloseCode::Binary, "frames are text"),
            // The answer was written by tungstenite; the stream ends after it.
            Message::Close(_) => self.closing = Some(now + CLOSE_WAIT),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }

    fn begin(&self, request: &client::Request) -> Option<Begun> {
        let (what, action, session) = match request {
            client::Request::Prompt(prompt) => (What::Prompt, Action::Prompt, prompt.session),
            client::Request::Cancel(cancel) => (What::Cancel, Action::Cancel, cancel.session),
            _ => return None,
        };
        self.who.demand(action).ok()?;
        Some(self.door.access.begin(self.who.did(what).in_session(session)))
    }

    fn on_answer(&mut self, (id, outcome): (Option<RequestId>, Outcome)) {
        if let Some(begun) = self.begun.take() {
            begun.answered();
        }
        match outcome {
            Outcome::Reply(frame) => {
                self.put_on_record(&frame);
                self.reply(id, frame);
            }
            Outcome::Error(error) => self.reply(id, Frame::Error(error)),
            Outcome::Attach(attaching) => {
                let Attaching { live, after, head, guard, reply } = *attaching;
                if self.attached.len() >= ATTACHED_MAX && !self.attached.contains(live.id()) {
                    return self.reply(id, Frame::Error(requests::too_many_attached()));
                }
                self.door.access.record(self.who.did(What::Attach).in_session(live.id()));
                self.reply(id, reply);
                self.attached.attach(live, after, head, guard);
            }
            Outcome::Detach(session) => {
                self.attached.detach(session);
                self.reply(id, Frame::Detached { session });
            }
            Outcome::Watch => {
                self.reply(id, Frame::Watching {});
                self.watching.start();
            }
            Outcome::Unwatch => {
                self.watching.stop();
                self.reply(id, Frame::Unwatched {});
            }
        }
    }

    fn put_on_record(&self, done: &Frame) {
        let entry = match done {
            Frame::Created { session, .. } => self.who.did(What::Create).in_session(*session),
            Frame::Accepted(accepted) if !accepted.duplicate => {
                self.who.did(What::Prompt).in_session(accepted.session).with_turn(accepted.turn)
            }
            Frame::Cancelling { session, turn } => self.who.did(What::Cancel).in_session(*session).with_turn(*turn),
            _ => return,
        };
        self.door.access.record(entry);
    }

    async fn check_credential(&mut self) {
        match self.door.auth.still_counts(&self.who).await {
            Ok(true) => {}
            Ok(false) => self.close(CloseCode::Revoked, "the credential was revoked or has expired"),
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "a connection cannot be served");
        self.close(CloseCode::Internal, "the gateway failed; its log says why");
    }

    fn close(&mut self, code: CloseCode, reason: &str) {
        self.close_with(code.code(), reason);
    }

    fn close_with(&mut self, code: u16, reason: &str) {
        if self.closing.is_none() {
            self.outbox.push(close_frame(code, reason));
            self.closing = Some(Instant::now() + CLOSE_WAIT);
        }
    }

    /// When to look at the clock next.
    fn deadline(&self) -> Instant {
        if let Some(closing) = self.closing {
            return closing;
        }
        let mut deadline = self.next_ping.min(self.silent_since() + SILENCE_MAX);
        deadline = self.ends.map_or(deadline, |ends| deadline.min(ends));
        if !self.outbox.is_empty() {
            deadline = deadline.min(Instant::now() + STALL_MAX.saturating_sub(self.outbox.stalled_for()));
        }
        if self.attached.presence_is_due() {
            deadline = deadline.min(self.next_presence);
        }
        deadline
    }

    fn silent_since(&self) -> Instant {
        self.outbox.last_sign_of_life().map_or(self.last_came, |taken| self.last_came.max(Instant::from_std(taken)))
    }

    /// `false`: the connection is over.
    fn on_deadline(&mut self) -> bool {
        let now = Instant::now();
        if let Some(closing) = self.closing {
            return now < closing;
        }
        if self.ends.is_some_and(|ends| now >= ends) {
            self.close(CloseCode::Revoked, "the sign-in has expired");
        } else if self.outbox.stalled_for() >= STALL_MAX {
            // Behind a full socket no close frame gets through; if there is room for it, it goes out.
            tracing::info!(client = self.who.name(), "a client took nothing for 30 s and is cut off");
            self.close(CloseCode::Stalled, "the client took nothing for 30 s");
        } else if now >= self.silent_since() + SILENCE_MAX {
            self.close(CloseCode::Silent, "nothing came from the client for 60 s");
        }
        if now >= self.next_ping {
            self.outbox.push(ping_frame());
            self.door.auth.note_use(&self.who);
            self.next_ping = now + PING_EVERY;
        }
        if now >= self.next_presence && self.attached.presence_is_due() {
            self.attached.tell_presence(&mut self.outbox);
            self.next_presence = now + PRESENCE_EVERY;
        }
        true
    }
}

/// Waits for the socket: writes what waits, and reads when `listening`.
async fn socket_io<S: Socket>(inbound: &mut Inbound<S>, outbox: &mut Outbox, listening: bool) -> Io {
    poll_fn(|cx| {
        let had_room = outbox.has_room();
        match outbox.poll_write(inbound.socket(), cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(Io::Gone),
            Poll::Ready(Ok(())) if !had_room => return Poll::Ready(Io::Room),
            Poll::Pending if !had_room && outbox.has_room() => return Poll::Ready(Io::Room),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        if !listening {
            return Poll::Pending;
        }
        match inbound.poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Io::Gone),
            Poll::Ready(Some(Ok(message))) => Poll::Ready(Io::Came(message)),
            Poll::Ready(Some(Err(Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_)))) => {
                Poll::Ready(Io::Gone)
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Io::Failed(error)),
        }
    })
    .await
}

async fn answered(answering: &mut Option<(Option<RequestId>, Answer)>) -> (Option<RequestId>, Outcome) {
    let Some((_, answer)) = answering else { return std::future::pending().await };
    let outcome = answer.await;
    (answering.take().and_then(|(id, _)| id), outcome)
}
