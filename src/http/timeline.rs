//! What an export looks like for people: a timeline in Markdown for the ticket, or one HTML file that needs no network.
//!
//! Invariant: written event by event, with no more memory than one page of events takes; nothing in a record can become
//! markup. Knows nothing of where the events come from.

use std::fmt::Write;

use super::words::{Block, Code, Escaped, describe};
use crate::clock::WallMs;
use crate::protocol::event::{Body, Record};
use crate::protocol::server::SessionState;

/// A ticket is for reading: of what a tool said, so many characters; the log and the other formats have all of it.
const TICKET_OUTPUT_CHARS: usize = 2_000;

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
}

impl Timeline {
    pub(super) fn new(markup: Markup) -> Self {
        Self { markup, turns: 0, began: None }
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
                write!(text, "{HEAD}<title>{title}</title><h1>{title}</h1><dl>", title = Escaped(&state.title))
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
            Err(_) => self.item(text, "", "", "record", record),
        }
    }

    fn write(&mut self, text: &mut String, event: &Record) {
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
            _ => "",
        };
        let seq = event.seq.to_string();
        let when = format!("{} {}", event.time, self.since(&event.time));
        let cut = self.markup == Markup::Markdown && matches!(event.body, Body::ToolResult { .. });
        match said.char_indices().nth(TICKET_OUTPUT_CHARS).filter(|_| cut) {
            Some((end, _)) => {
                let left = said.len() - end;
                let said = format!("{}\n[{left} bytes more in the log, record {seq}]", &said[..end]);
                self.item(text, &seq, class, &format!("{when} {what}"), &said);
            }
            None => self.item(text, &seq, class, &format!("{when} {what}"), &said),
        }
    }

    /// How long into the turn, in seconds.
    fn since(&self, time: &str) -> String {
        let now: Option<jiff::Timestamp> = time.parse().ok();
        let (Some(began), Some(now)) = (self.began, now) else { return String::new() };
        format!("+{:.1} s", now.duration_since(began).as_secs_f64())
    }

    fn item(&self, text: &mut String, seq: &str, class: &str, what: &str, said: &str) {
        let _ = match self.markup {
            Markup::Markdown => writeln!(text, "- {seq} {}", Code(what)),
            Markup::Html => write!(
                text,
                "<article id=\"{seq}\" class=\"{class}\"><small><a href=\"#{seq}\">#{seq}</a> {}</small>",
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
    pub(super) fn foot(&self) -> &'static str {
        match self.markup {
            Markup::Markdown => "\n---\nEnd of the export.\n",
            Markup::Html => "</main><footer>End of the export.</footer></html>\n",
        }
    }
}

/// No script, nothing from a network, and a policy that says so to the browser.
const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>\
    body{max-width:60rem;margin:1rem auto;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;color-scheme:light dark}\
    pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:.2rem solid;padding-left:.6rem;max-height:40rem;overflow:auto}\
    article{margin:.8rem 0}.error{border-left:.4rem solid #c00;padding-left:.6rem}.tool pre{font-weight:bold}\
    :target{outline:.2rem solid}dt{float:left;clear:left;width:6rem}dd{margin-left:6rem}h2{margin-top:2.5rem}</style>";
