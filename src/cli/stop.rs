//! `breakglass stop`: the running turn, and no other, until it has ended.

use clap::Args;

use super::remote::{self, find_session};
use super::view::View;
use super::words::duration;
use super::{Failure, harmless};
use crate::client::{Cursor, Follow, GatewayError, Link, Seen, Start};
use crate::config::ClientSettings;
use crate::protocol::client::{Cancel, Request};
use crate::protocol::event::{Body, Outcome, TurnEnd};
use crate::protocol::server::{ErrorCode, Frame, RunningTurn};

/// Nothing ran.
const EXIT_IDLE: u8 = 1;

#[derive(Debug, Args)]
#[command(after_help = format!(
    "Returns when the turn has ended: nothing that its agent started is alive then.\n\n{}", remote::STATUSES
))]
pub(super) struct StopArgs {
    /// Which session: its id, the beginning of its id, or `last`
    session: String,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn stop(args: StopArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let session = find_session(&config.gateway, &args.session).await?;
    let mut view = View::for_people(config.colours);
    // Shown from its end on before the stop is asked for: the turn's end cannot be missed.
    let mut follow = Follow::new(Link::new(config.gateway), Cursor::begin(session, Start::Tail(0)));
    let mut running: Option<RunningTurn> = None;
    loop {
        match view.next(&mut follow).await? {
            Seen::Attached(state) => {
                let Some(turn) = running.take().or(state.turn) else {
                    return Err(Failure::new(EXIT_IDLE, format!("nothing runs in session `{session}`")));
                };
                follow.send(&Request::Cancel(Cancel { session, turn: Some(turn.turn) }));
                running = Some(turn);
            }
            Seen::Event(event) => {
                let Some(turn) = running.as_ref().filter(|turn| turn.turn == event.turn()) else { continue };
                if let Some(Body::TurnEnd(end)) = event.record().map(|record| record.body) {
                    view.screen.put(&[&told(turn, &end), "\n"]).await?;
                    view.screen.flush().await?;
                    return Ok(0);
                }
            }
            Seen::Reply(reply) => match reply.frame {
                // It ended meanwhile; its end is on its way.
                Frame::Error(error) if error.code == ErrorCode::Conflict => {}
                Frame::Error(error) => return Err(GatewayError::Refused(Box::new(error)).into()),
                _ => {}
            },
            Seen::Anew => {
                return Err(Failure::new(1, "the gateway's log was restored from a backup meanwhile; look again"));
            }
            Seen::CaughtUp | Seen::Lost(_) => {}
        }
    }
}

fn told(turn: &RunningTurn, end: &TurnEnd) -> String {
    let (by, after) = (harmless::one_line(&turn.by), duration(end.duration_ms));
    match end.outcome {
        Outcome::Cancelled => format!("stopped: {by}'s turn, after {after}"),
        other => format!("{by}'s turn had ended by itself: {}, after {after}", other.as_str()),
    }
}
