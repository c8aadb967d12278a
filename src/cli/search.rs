//! `breakglass search`: hits in all sessions, newest first, each with the command that shows it in place.

use clap::Args;

use super::Failure;
use super::harmless::{one_line, reveal};
use super::layout::clip;
use super::remote::{self, find_session};
use super::screen::{Ink, Screen};
use super::words::day_and_time;
use crate::client::{Found, SearchFor};
use crate::config::ClientSettings;
use crate::protocol::search::Hit;

/// Hits that are asked for at a time.
const PAGE_HITS: usize = 100;
/// Hits without --limit.
const SHOWN: u16 = 30;
/// More hits than this are no answer to anything.
const HITS_MAX: i64 = 10_000;
/// How far a snippet stands in.
const MARGIN: &str = "    ";

#[derive(Debug, Args)]
#[command(after_help = format!(
    "Every word must occur; the last may go on (`disk fu` finds `disk full`). \"Several words\" in quotes of their own are looked for as they \
    stand. Without words, the newest that fits the other filters. Nothing found is no failure.\n\n{}", remote::STATUSES
))]
pub(super) struct SearchArgs {
    /// What to look for in prompts, prose, tool inputs and outputs, results and errors
    words: Vec<String>,
    /// Only in this session: its id, the beginning of its id, or `last`
    #[arg(long)]
    session: Option<String>,
    /// Only events of these kinds, with commas between them: `user`, `text`, `tool`, `tool_result`, `error` …
    #[arg(long, value_name = "KINDS")]
    kind: Option<String>,
    /// Only what this person said, or asked the agent for
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only turns that ended so, with commas between them: `ok`, `error`, `cancelled`, `timeout`, `lost`
    #[arg(long, value_name = "OUTCOMES")]
    outcome: Option<String>,
    /// Not before this time, such as `2026-11-21T03:14:15Z`
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Not after this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many hits
    #[arg(long, value_name = "COUNT", default_value_t = SHOWN, value_parser = clap::value_parser!(u16).range(1..=HITS_MAX))]
    limit: u16,
    /// Print them as the gateway gives them, one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn search(args: SearchArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let session = match &args.session {
        Some(text) => Some(find_session(&config.gateway, text).await?.to_string()),
        None => None,
    };
    let q = (!args.words.is_empty()).then(|| args.words.join(" "));
    let mut wanted = SearchFor {
        q,
        session,
        kind: args.kind,
        by: args.by,
        outcome: args.outcome,
        from: args.from,
        to: args.to,
        ..SearchFor::default()
    };
    let mut screen = Screen::new(config.colours);
    let all = usize::from(args.limit);
    let mut left = all;
    let (more, behind) = loop {
        wanted.limit = left.min(PAGE_HITS);
        let page = config.gateway.search(&wanted).await?;
        left -= page.hits.len().min(left);
        for found in &page.hits {
            put(&mut screen, found, args.json).await?;
        }
        wanted.cursor = page.next;
        if wanted.cursor.is_none() || left == 0 {
            break (wanted.cursor.is_some(), page.behind);
        }
    };
    screen.flush().await?;
    if left == all {
        screen.say(Ink::Dim, "nothing found").await?;
    }
    if more {
        screen.say(Ink::Dim, "these are the newest; --limit shows more").await?;
    }
    if behind > 0 {
        screen.say(Ink::Notable, &format!("{behind} events are not indexed yet and were not looked through")).await?;
    }
    Ok(0)
}

async fn put(screen: &mut Screen, found: &Found, json: bool) -> Result<(), Failure> {
    if json {
        return screen.put(&[&found.raw.to_string(), "\n"]).await;
    }
    let (head, snippet) = lines(&found.hit, screen.wide(), screen.colours);
    screen.put(&[&head, "\n", &snippet, "\n"]).await
}

/// Where the hit is, and what it says, fit for a terminal.
fn lines(hit: &Hit, wide: Option<usize>, colours: bool) -> (String, String) {
    let (day, clock) = day_and_time(&hit.time).unwrap_or_else(|| ("?".to_owned(), "?".to_owned()));
    let by = hit.by.as_deref().map(|by| format!(" by {}", one_line(by))).unwrap_or_default();
    let head =
        format!("{} {} {day} {clock} {}{by}  {}", hit.session, hit.seq, one_line(&hit.kind), one_line(&hit.title));
    let head = Ink::Dim.paint(&clip(&head, wide.unwrap_or(usize::MAX)), colours);
    let mut snippet = MARGIN.to_owned();
    for piece in &hit.snippet {
        let ink = if piece.hit { Ink::Notable } else { Ink::Plain };
        snippet.push_str(&ink.paint(&one_line(&reveal(&piece.text)), colours));
    }
    (head, snippet)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hit_is_harmless_on_every_terminal() {
        let hit = serde_json::from_value(json!({
            "session": "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55", "title": "t\u{1b}]0;x\u{7}", "seq": 7,
            "time": "2026-11-21T03:14:15.926Z", "kind": "text\u{9b}", "by": "ana\u{202e}",
            "snippet": [{"text": "\u{1b}[2Jthe "}, {"text": "di\u{8}sk", "hit": true}, {"text": "\r\nend"}],
        }));
        let (head, snippet) = lines(&hit.unwrap(), None, false);
        assert_eq!(
            head,
            r"0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55 7 2026-11-21 03:14:15 text\x9b by ana\u{202e}  t\x1b]0;x\x07"
        );
        assert_eq!(snippet, r"    \x1b[2Jthe di\x08sk\r\nend");
    }
}
