//! What an export looks like for people: a timeline in Markdown for the ticket, or one HTML file that needs no network.
//!
//! Invariant: written event by event, with no more memory than one page of events takes; nothing in a record can become
//! markup. Knows nothing of where the events come from.

mod player;

use std::fmt::Write;

use super::words::{Block, Code, Escaped, describe};
use crate::clock::WallMs;
use crate::protocol::event::{Body, Record};
use crate::protocol::server::SessionState;

/// A ticket is for reading: of what a tool said, so many characters; the log and the other formats have all of it.
const TICKET_OUTPUT_CHARS: usize = 2_000;

/// A pause of so long is told, seconds.
const PAUSE_SECONDS: i64 = 60;

/// What stands above what was said.
struct Item<'t> {
    seq: &'t str,
    time: &'t str,
    class: &'t str,
    what: &'t str,
}

/// What a timeline is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    Markdown,
    Html,
}

/// A timeline under way.
pub(super) struct Timeline {
    markup: Markup,
    turns: u64,
    /// When the present turn began.
    began: Option<jiff::Timestamp>,
    /// When the last event was.
    last: Option<jiff::Timestamp>,
}

impl Timeline {
    pub(super) fn new(markup: Markup) -> Self {
        Self { markup, turns: 0, began: None, last: None }
    }

    /// What stands above the events.
    pub(super) fn head(&self, state: &SessionState, exported_by: &str) -> String {
        let now = WallMs::now().rfc3339();
        let facts = [
            ("Session", state.session.to_string()),
            ("Agent", state.agent.clone()),
            ("Model", state.model.clone()),
            ("Opened", format!("{} by {}", state.created, state.created_by)),
            ("Exported", format!("{now} by {exported_by}, up to record {}", state.head)),
        ];
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = match self.markup {
            Markup::Markdown => writeln!(text, "# {}\n", Code(&state.title)),
            Markup::Html => {
                write!(
                    text,
                    "{head}<title>{title}</title><h1>{title}</h1><dl>",
                    head = player::head(),
                    title = Escaped(&state.title)
                )
            }
        };
        for (name, fact) in facts {
            let _ = match self.markup {
                Markup::Markdown => writeln!(text, "- {name}: {}", Code(&fact)),
                Markup::Html => write!(text, "<dt>{name}<dd>{}", Escaped(&fact)),
            };
        }
        if self.markup == Markup::Html {
            text.push_str("</dl><main>");
        }
        text
    }

    /// One event.
    pub(super) fn event(&mut self, text: &mut String, record: &str) {
        match serde_json::from_str::<Record>(record) {
            Ok(event) => self.write(text, &event),
            // A kind that this program does not know, or a stub: shown as it is rather than left out.
            Err(_) => self.item(text, &Item { seq: "", time: "", class: "", what: "record" }, record),
        }
    }

    fn write(&mut self, text: &mut String, event: &Record) {
        self.pause(text, &event.time);
        if let Body::User { by, .. } = &event.body {
            self.turns += 1;
            self.began = event.time.parse().ok();
            let _ = match self.markup {
                Markup::Markdown => writeln!(text, "\n## Turn {}: {} asked, {}\n", self.turns, Code(by), event.time),
                Markup::Html => {
                    let (by, time) = (Escaped(by), Escaped(&event.time));
                    write!(text, "<h2 id=\"turn-{0}\">Turn {0}: {by} asked, {time}</h2>", self.turns)
                }
            };
        }
        let (what, said) = describe(&event.body);
        let class = match &event.body {
            Body::Error { .. } => "error",
            Body::ToolResult { is_error: true, .. } | Body::Result { is_error: true, .. } => "error",
            Body::Tool { .. } => "tool",
            Body::User { .. } => "user",
            _ => "",
        };
        let seq = event.seq.to_string();
        let when = format!("{} {}", event.time, self.since(&event.time));
        let item = Item { seq: &seq, time: &event.time, class, what: &format!("{when} {what}") };
        let cut = self.markup == Markup::Markdown && matches!(event.body, Body::ToolResult { .. });
        match said.char_indices().nth(TICKET_OUTPUT_CHARS).filter(|_| cut) {
            Some((end, _)) => {
                let left = said.len() - end;
                let said = format!("{}\n[{left} bytes more in the log, record {seq}]", &said[..end]);
                self.item(text, &item, &said);
            }
            None => self.item(text, &item, &said),
        }
    }

    /// Says how long nothing happened, where that was long.
    fn pause(&mut self, text: &mut String, time: &str) {
        let now: Option<jiff::Timestamp> = time.parse().ok();
        let (last, now) = (std::mem::replace(&mut self.last, now), now);
        let (Some(last), Some(now)) = (last, now) else { return };
        let seconds = now.duration_since(last).as_secs();
        if seconds < PAUSE_SECONDS {
            return;
        }
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let later = format!("{hours} h {minutes} min {seconds} s later");
        let later = later.trim_start_matches("0 h ");
        let _ = match self.markup {
            Markup::Markdown => writeln!(text, "\n*{later}*\n"),
            Markup::Html => write!(text, "<p class=\"gap\">{later}</p>"),
        };
    }

    /// How long into the turn, in seconds.
    fn since(&self, time: &str) -> String {
        let now: Option<jiff::Timestamp> = time.parse().ok();
        let (Some(began), Some(now)) = (self.began, now) else { return String::new() };
        format!("+{:.1} s", now.duration_since(began).as_secs_f64())
    }

    fn item(&self, text: &mut String, item: &Item<'_>, said: &str) {
        let Item { seq, time, class, what } = item;
        let _ = match self.markup {
            Markup::Markdown => writeln!(text, "- {seq} {}", Code(what)),
            Markup::Html => write!(
                text,
                "<article id=\"{seq}\" class=\"{class}\" data-time=\"{}\"><small><a href=\"#{seq}\">#{seq}</a> {}</small>",
                Escaped(time),
                Escaped(what)
            ),
        };
        if !said.is_empty() {
            let _ = match self.markup {
                Markup::Markdown => write!(text, "\n{}\n", Block(said)),
                Markup::Html => write!(text, "<pre>{}</pre>", Escaped(said)),
            };
        }
        if self.markup == Markup::Html {
            text.push_str("</article>\n");
        }
    }

    /// What stands below: its absence shows that an export broke off.
    pub(super) fn foot(&self) -> String {
        match self.markup {
            Markup::Markdown => "\n---\nEnd of the export.\n".to_owned(),
            Markup::Html => format!("</main><footer>End of the export.</footer>{}", player::foot()),
        }
    }
}
