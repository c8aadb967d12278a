//! Requests, one after another: each becomes one reply, and sometimes a change of what the connection is shown.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::auth::{Action, Principal};
use crate::ids::{Seq, SessionId};
use crate::protocol::ATTACHED_MAX;
use crate::protocol::client::{Attach, Cancel, Create, Prompt, Request};
use crate::protocol::server::{ErrorBody, ErrorCode, Frame};
use crate::session::{Live, PresenceGuard, Sessions};
use crate::wire_error::epoch_changed;

/// What a request comes to.
pub(super) enum Outcome {
    /// Just an answer.
    Reply(Frame),
    /// The session is to be shown.
    Attach(Box<Attaching>),
    /// The session is no longer to be shown.
    Detach(SessionId),
    /// The list is to be followed.
    Watch,
    /// The list is no longer to be followed.
    Unwatch,
    /// It failed.
    Error(ErrorBody),
}

/// A session that is about to be shown.
pub(super) struct Attaching {
    pub live: Arc<Live>,
    pub after: Seq,
    pub head: Seq,
    pub guard: PresenceGuard,
    pub reply: Frame,
}

pub(super) type Answer = BoxFuture<'static, Outcome>;

/// Begins to answer a request.
pub(super) fn answer(sessions: Sessions, who: Arc<Principal>, request: Request) -> Answer {
    async move {
        let answered = match request {
            Request::Attach(request) => attach(&sessions, &who, request).await,
            Request::Create(request) => create(&sessions, &who, request).await,
            Request::Prompt(request) => prompt(&sessions, &who, request).await,
            Request::Cancel(request) => cancel(&sessions, &who, request).await,
            Request::Detach(request) => Ok(Outcome::Detach(request.session)),
            Request::Watch(_) => who.demand(Action::Read).map(|()| Outcome::Watch).map_err(ErrorBody::from),
            Request::Unwatch(_) => Ok(Outcome::Unwatch),
            Request::Ping(_) => Ok(Outcome::Reply(Frame::Pong {})),
        };
        answered.unwrap_or_else(Outcome::Error)
    }
    .boxed()
}

async fn attach(sessions: &Sessions, who: &Principal, request: Attach) -> Result<Outcome, ErrorBody> {
    who.demand(Action::Read)?;
    if request.after.is_some() && request.tail.is_some() {
        return Err(ErrorBody::new(ErrorCode::BadRequest, "`tail`: not together with `after`; send one of them"));
    }
    let live = sessions.open(request.session).await?;
    let epoch = sessions.log().epoch();
    let head = live.topic().head();
    let after = match request.tail {
        Some(tail) => Seq(head.0.saturating_sub(tail)),
        None => request.after.unwrap_or(Seq::ZERO),
    };
    if request.epoch.is_some_and(|known| known != epoch) || after > head {
        return Err(epoch_changed(epoch, head));
    }
    let guard = live.enter(who);
    let mut state = sessions.state(request.session).await?;
    state.head = head;
    let reply = Frame::Attached { session: request.session, epoch, head, from: after.next(), state };
    Ok(Outcome::Attach(Box::new(Attaching { live, after, head, guard, reply })))
}

async fn create(sessions: &Sessions, who: &Principal, request: Create) -> Result<Outcome, ErrorBody> {
    who.demand(Action::Create)?;
    let state = sessions.create(who, request).await?;
    Ok(Outcome::Reply(Frame::Created { session: state.session, state }))
}

async fn prompt(sessions: &Sessions, who: &Principal, request: Prompt) -> Result<Outcome, ErrorBody> {
    who.demand(Action::Prompt)?;
    let live = sessions.open(request.session).await?;
    let accepted = live.prompt(who, request.text, request.key, request.model).await?;
    Ok(Outcome::Reply(Frame::Accepted(accepted)))
}

async fn cancel(sessions: &Sessions, who: &Principal, request: Cancel) -> Result<Outcome, ErrorBody> {
    who.demand(Action::Cancel)?;
    let live = sessions.open(request.session).await?;
    let turn = live.cancel(who, request.turn).await?;
    Ok(Outcome::Reply(Frame::Cancelling { session: request.session, turn }))
}

/// A connection has as many sessions as it may.
pub(super) fn too_many_attached() -> ErrorBody {
    let message = format!("{ATTACHED_MAX} sessions are attached, the most for one connection; detach one first");
    ErrorBody::new(ErrorCode::TooLarge, message)
}
