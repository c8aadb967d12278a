//! `breakglass sessions`: the list, and new ones.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::Failure;
use super::harmless::one_line;
use super::layout::{clip, columns};
use super::remote;
use super::screen::{Ink, Screen};
use super::words::{roughly, since_ms};
use crate::client::Listed;
use crate::config::ClientSettings;
use crate::ids::SessionId;
use crate::protocol::client::Create;
use crate::protocol::server::SessionState;

/// Sessions that are listed without --all.
const SHOWN: usize = 50;
/// The shortest beginning of an id that is shown.
const ID_CHARS_MIN: usize = 8;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = remote::STATUSES)]
pub(super) struct SessionsArgs {
    /// All of them, those that were put away too; without it the latest 50
    #[arg(long)]
    all: bool,
    /// Print them as the gateway gives them, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientSettings,
    #[command(subcommand)]
    command: Option<SessionsCommand>,
}

#[derive(Debug, Subcommand)]
enum SessionsCommand {
    /// Make a session; its id is printed alone on the last line
    New(NewArgs),
}

#[derive(Debug, Args)]
#[command(after_help = remote::STATUSES)]
struct NewArgs {
    /// What people call it [default: the beginning of its first prompt]
    #[arg(long)]
    title: Option<String>,
    /// Which agent works in it: `claude` or `drill`
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The model for turns that do not name one
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn sessions(args: SessionsArgs) -> Result<u8, Failure> {
    match args.command {
        Some(SessionsCommand::New(new)) => make(new).await,
        None => list(&args).await,
    }
}

async fn make(args: NewArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let session = Some(SessionId::random());
    let create = Create { session, title: args.title, agent: args.agent, model: args.model };
    let state = config.gateway.create(&create).await?;
    let mut screen = Screen::new(config.colours);
    screen.put(&[&state.session.to_string(), "\n"]).await?;
    screen.flush().await?;
    Ok(0)
}

async fn list(args: &SessionsArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let mut screen = Screen::new(config.colours);
    let wanted = if args.all { usize::MAX } else { SHOWN };
    let (mut found, mut cursor) = (Vec::<Listed>::new(), None);
    let mut more = false;
    loop {
        let page = config.gateway.sessions(None, cursor.as_deref()).await?;
        found.extend(page.sessions.into_iter().filter(|listed| args.all || !listed.state.archived));
        more |= found.len() > wanted;
        found.truncate(wanted);
        cursor = page.next;
        if cursor.is_none() || more {
            break;
        }
    }
    if args.json {
        for listed in &found {
            screen.put(&[&listed.raw.to_string(), "\n"]).await?;
        }
    } else {
        let states: Vec<&SessionState> = found.iter().map(|listed| &listed.state).collect();
        let table = Table { now: Timestamp::now(), wide: screen.wide(), whole_ids: !screen.is_terminal() };
        for (ink, line) in table.lines(&states) {
            screen.put(&[&ink.paint(&line, screen.colours), "\n"]).await?;
        }
        if found.is_empty() {
            screen.say(Ink::Dim, "there is no session yet; `breakglass sessions new` makes one").await?;
        }
    }
    screen.flush().await?;
    if more && !args.json {
        screen.say(Ink::Dim, "these are the latest; --all lists the others too").await?;
    }
    Ok(0)
}

/// How the list is drawn. Pure.
struct Table {
    now: Timestamp,
    wide: Option<usize>,
    /// Whole ids, for programs that read them.
    whole_ids: bool,
}

/// The columns before the title.
const COLUMNS: usize = 5;

impl Table {
    fn lines(&self, states: &[&SessionState]) -> Vec<(Ink, String)> {
        if states.is_empty() {
            return Vec::new();
        }
        let id_chars = if self.whole_ids { usize::MAX } else { telling(states) };
        let heads = ["SESSION", "STATE", "AGENT", "VIEWERS", "LAST"].map(str::to_owned);
        let mut rows = vec![(Ink::Dim, heads, "TITLE".to_owned())];
        rows.extend(states.iter().map(|state| self.row(state, id_chars)));
        let widths: [usize; COLUMNS] =
            std::array::from_fn(|at| rows.iter().map(|(_, cells, _)| columns(&cells[at])).max().unwrap_or(0));
        rows.into_iter().map(|(ink, cells, title)| (ink, self.line(&cells, &title, &widths))).collect()
    }

    fn row(&self, state: &SessionState, id_chars: usize) -> (Ink, [String; COLUMNS], String) {
        let ago = |time: &str| since_ms(time, self.now).map_or_else(|| "?".to_owned(), roughly);
        let (ink, turn) = match &state.turn {
            Some(turn) => (Ink::Good, format!("running {}, {}", ago(&turn.since), one_line(&turn.by))),
            None if state.archived => (Ink::Dim, "put away".to_owned()),
            None => (Ink::Plain, "idle".to_owned()),
        };
        let id: String = state.session.to_string().chars().take(id_chars).collect();
        let cells =
            [id, turn, one_line(&state.agent), state.viewers.to_string(), format!("{} ago", ago(&state.last_activity))];
        (ink, cells, one_line(&state.title))
    }

    fn line(&self, cells: &[String; COLUMNS], title: &str, widths: &[usize; COLUMNS]) -> String {
        let mut line = String::new();
        for (cell, wide) in cells.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', wide - columns(cell) + 2));
        }
        let room = self.wide.map_or(usize::MAX, |wide| wide.saturating_sub(columns(&line)));
        line + &clip(title, room)
    }
}

/// How much of their ids tells the sessions apart.
fn telling(states: &[&SessionState]) -> usize {
    let mut ids: Vec<String> = states.iter().map(|state| state.session.to_string()).collect();
    ids.sort_unstable();
    let shared = |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    ids.windows(2).map(shared).max().map_or(ID_CHARS_MIN, |longest| (longest + 1).max(ID_CHARS_MIN))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(id: &str, turn: bool, title: &str) -> SessionState {
        let turn = turn.then(|| json!({"turn": id, "by": "ana", "since": "2026-11-21T03:11:15.000Z"}));
        serde_json::from_value(json!({
            "session": id, "title": title, "created": "", "created_by": "ana", "agent": "claude", "model": "sonnet",
            "started": true, "head": 7, "last_activity": "2026-11-21T03:14:03.000Z", "turn": turn, "viewers": 2, "archived": false,
        }))
        .unwrap()
    }

    #[test]
    fn the_list_fits_and_tells_sessions_apart() {
        let one = state(
            "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55",
            true,
            "db1: disk full \u{1b}[2J and a very long story behind it",
        );
        let two = state("0190a6c8-7e2d-7cc0-9d3c-2f6b7a1e4d55", false, "idle one");
        let table = Table { now: "2026-11-21T03:14:15Z".parse().unwrap(), wide: Some(80), whole_ids: false };
        let lines: Vec<String> = table.lines(&[&one, &two]).into_iter().map(|(_, line)| line).collect();
        assert_eq!(
            lines,
            [
                "SESSION       STATE               AGENT   VIEWERS  LAST      TITLE",
                "0190a6c8-7e1  running 3 min, ana  claude  2        12 s ago  db1: disk full \\...",
                "0190a6c8-7e2  idle                claude  2        12 s ago  idle one",
            ]
        );
    }
}
