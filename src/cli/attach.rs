//! `breakglass attach`: a session as it was, and then as it happens, for as long as somebody looks.

use clap::Args;

use super::remote::{self, find_session};
use super::screen::Ink;
use super::view::{View, summary};
use super::{EXIT_USAGE, Failure};
use crate::client::{Cursor, Follow, Link, Seen, Start};
use crate::config::ClientSettings;
use crate::ids::Seq;

#[derive(Debug, Args)]
#[command(after_help = format!(
    "The connection is opened again for ever; nothing is shown twice and nothing is missed. Ctrl-C leaves, which never \
     stops the turn: `breakglass stop` does.\n\n{}", remote::STATUSES
))]
pub(super) struct AttachArgs {
    /// Which session: its id, the beginning of its id, or `last`
    session: String,
    /// Show only what comes behind this event's seq
    #[arg(long, value_name = "SEQ", conflicts_with = "tail")]
    after: Option<u64>,
    /// Begin with the newest so many events
    #[arg(long, value_name = "COUNT")]
    tail: Option<u64>,
    /// Print the records verbatim, one a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn attach(args: AttachArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let session = find_session(&config.gateway, &args.session).await?;
    let start = match (args.tail, args.after) {
        (Some(events), _) => Start::Tail(events),
        (None, after) => Start::After(Seq(after.unwrap_or(0))),
    };
    let mut view = if args.json { View::of_records(config.colours) } else { View::for_people(config.colours) };
    let mut follow = Follow::new(Link::new(config.gateway), Cursor::begin(session, start));
    let mut greeted = false;
    let mut live = false;
    loop {
        match view.next(&mut follow).await.map_err(|failure| explain(failure, args.after))? {
            Seen::Event(event) => view.event(&event).await?,
            Seen::Attached(state) if !greeted && view.is_for_people() => {
                greeted = true;
                view.screen.say(Ink::Dim, &format!("{} ({session})", summary(&state))).await?;
            }
            Seen::CaughtUp if !live && view.is_for_people() => {
                live = true;
                view.screen.say(Ink::Dim, "live from here; Ctrl-C leaves and stops nothing").await?;
            }
            Seen::Anew => {
                let text =
                    "the gateway's log was restored from a backup: what was shown is void, here is all of it anew";
                view.screen.say(Ink::Notable, text).await?;
            }
            Seen::Attached(_) | Seen::CaughtUp | Seen::Lost(_) | Seen::Reply(_) => {}
        }
    }
}

/// A place that is not in the log was asked for on the command line.
fn explain(failure: Failure, after: Option<u64>) -> Failure {
    match after {
        Some(after) if failure.status == remote::EXIT_DATA => {
            let text =
                format!("--after: the log of this session does not reach to {after}; leave it out to see all of it");
            Failure::new(EXIT_USAGE, text)
        }
        _ => failure,
    }
}
