//! Events as people read them in a terminal: a line or a block each. Pure.
//!
//! Invariant: what others wrote passes through [`super::harmless`] before anything else is done with it. A command is shown
//! as it was, never reworded; what is left out is said.

use serde_json::Value;

use super::harmless::{one_line, output, prose, reveal};
use super::layout::{clip, expand_tabs, wrap};
use super::screen::Ink;
use super::words::{day_and_time, duration, size};
use crate::protocol::event::{Body, Outcome, Record, TurnEnd};

/// Columns of the time before every block.
const GUTTER: usize = 9;
/// A tool's output that is longer is shortened to its head and tail, lines.
const OUTPUT_LINES_MAX: usize = 12;
const OUTPUT_HEAD_LINES: usize = 4;
const OUTPUT_TAIL_LINES: usize = 6;
/// A command that is longer is cut, lines.
const COMMAND_LINES_MAX: usize = 60;
/// The input of a tool that we know nothing of, columns.
const INPUT_COLUMNS_MAX: usize = 300;
/// A line of output where there is no terminal to fit, columns.
const LINE_COLUMNS_MAX: usize = 2_000;

/// How events are drawn.
pub(super) struct Transcript {
    colours: bool,
    /// The columns to fit; `None`: lines are as long as they are.
    pub wide: Option<usize>,
    day: Option<String>,
    /// The last prose of the turn: most final results repeat it.
    said: Option<String>,
}

/// A block in the making.
#[derive(Default)]
struct Block(Vec<(Ink, String)>);

impl Block {
    fn line(ink: Ink, text: String) -> Self {
        Self(vec![(ink, text)])
    }
}

impl Transcript {
    pub(super) fn new(colours: bool) -> Self {
        Self { colours, wide: None, day: None, said: None }
    }

    /// An event, drawn: whole lines; empty for one that tells people nothing.
    pub(super) fn event(&mut self, record: &Record) -> String {
        let mut block = self.block(&record.body);
        if block.0.is_empty() {
            return String::new();
        }
        if record.truncated {
            block.0.push((Ink::Dim, "(cut: the record would have been longer than 1 MiB)".to_owned()));
        }
        let (day, time) = day_and_time(&record.time).unwrap_or_default();
        let mut text = String::new();
        if self.day.as_ref() != Some(&day) {
            text.push_str(&self.paint(Ink::Dim, &format!("-- {day} UTC")));
            text.push('\n');
            self.day = Some(day);
        } else if matches!(record.body, Body::User { .. }) {
            text.push('\n');
        }
        for (number, (ink, line)) in block.0.iter().enumerate() {
            match number {
                0 => text.push_str(&self.paint(Ink::Dim, &format!("{time:<8} "))),
                _ if line.is_empty() => {}
                _ => text.push_str(&" ".repeat(GUTTER)),
            }
            text.push_str(&self.paint(*ink, line));
            text.push('\n');
        }
        text
    }

    fn block(&mut self, body: &Body) -> Block {
        match body {
            Body::User { text, by, .. } => {
                self.said = None;
                self.flowing(Ink::Bold, &format!("{}> {}", one_line(by), prose(text)), "")
            }
            // The agent's own name for the conversation helps nobody who watches.
            Body::Session { .. } => Block::default(),
            Body::Text { text } => {
                let text = prose(&as_text(text));
                let block = self.flowing(Ink::Plain, &text, "");
                self.said = Some(text);
                block
            }
            Body::Tool { name, input } => self.tool(&as_text(name), input),
            Body::ToolResult { is_error, output, bytes } => self.tool_result(*is_error, output, *bytes),
            Body::Result { is_error, result, .. } => self.result(*is_error, result),
            Body::Status(status) => self.flowing(Ink::Notable, &format!("* {}", prose(&status.detail)), ""),
            Body::Error { error } => self.flowing(Ink::Bad, &format!("! {}", prose(error)), "  "),
            Body::Cancelled { by } => Block::line(Ink::Notable, format!("! stopped by {}", one_line(by))),
            Body::TurnEnd(end) => self.turn_end(end),
        }
    }

    fn tool(&self, name: &str, input: &Value) -> Block {
        let field = |name: &str| input.get(name).map(as_text).filter(|text| !text.is_empty());
        if let Some(command) = (name == "Bash").then(|| field("command")).flatten() {
            let mut block = self.flowing(Ink::Command, &format!("$ {}", reveal(&command)), "  ");
            let more = block.0.len().saturating_sub(COMMAND_LINES_MAX);
            if more > 0 {
                block.0.truncate(COMMAND_LINES_MAX);
                block.0.push((Ink::Notable, format!("  ... {more} more lines of this command; --json has them")));
            }
            return block;
        }
        let main =
            ["file_path", "notebook_path", "path", "pattern", "url", "query"].iter().find_map(|name| field(name));
        let subject = match (name, main) {
            ("Grep" | "Glob", _) => field("pattern").map(|pattern| match field("path") {
                Some(path) => format!("{pattern} in {path}"),
                None => pattern,
            }),
            (_, main) => main,
        };
        let subject = subject.unwrap_or_else(|| match input {
            Value::Object(fields) if fields.is_empty() => String::new(),
            other => other.to_string(),
        });
        let subject = clip(&one_line(&subject), INPUT_COLUMNS_MAX);
        self.flowing(Ink::Command, format!("{} {subject}", one_line(name)).trim_end(), "  ")
    }

    fn tool_result(&self, is_error: bool, text: &str, bytes: u64) -> Block {
        let (ink, mark) = if is_error { (Ink::Notable, "! ") } else { (Ink::Dim, "  ") };
        let text = output(text);
        let lines: Vec<&str> = text.trim_end_matches('\n').split('\n').collect();
        if text.trim().is_empty() {
            return Block::line(ink, format!("{mark}(no output)"));
        }
        let shown = |line: &&str| (ink, clip(&format!("{mark}{}", expand_tabs(line)), self.room(LINE_COLUMNS_MAX)));
        if lines.len() <= OUTPUT_LINES_MAX {
            return Block(lines.iter().map(shown).collect());
        }
        let mut block = Block(lines[..OUTPUT_HEAD_LINES].iter().map(shown).collect());
        let hidden = lines.len() - OUTPUT_HEAD_LINES - OUTPUT_TAIL_LINES;
        block.0.push((ink, format!("{mark}... {hidden} lines left out of {}; --json has more", size(bytes))));
        block.0.extend(lines[lines.len() - OUTPUT_TAIL_LINES..].iter().map(shown));
        block
    }

    fn result(&self, is_error: bool, result: &Value) -> Block {
        let text = prose(&as_text(result));
        if text.trim().is_empty() {
            return Block::default();
        }
        if is_error {
            return self.flowing(Ink::Bad, &format!("! the agent reports a failure: {text}"), "  ");
        }
        if self.said.as_ref().is_some_and(|said| said.trim() == text.trim()) {
            return Block::default();
        }
        self.flowing(Ink::Plain, &text, "")
    }

    fn turn_end(&self, end: &TurnEnd) -> Block {
        let ink = match end.outcome {
            Outcome::Ok => Ink::Good,
            Outcome::Cancelled => Ink::Notable,
            Outcome::Error | Outcome::Timeout | Outcome::Lost => Ink::Bad,
        };
        let code = match end.exit_code {
            Some(code) if code != 0 => format!(", exit code {code}"),
            _ => String::new(),
        };
        let text = format!("= {} after {}{code}", end.outcome.as_str(), duration(end.duration_ms));
        let mut block = Block::line(ink, text);
        let left = end.left.iter().map(|left| format!("  still running: {} {}", left.pid, one_line(&left.command)));
        block.0.extend(left.map(|line| (Ink::Notable, clip(&line, self.room(LINE_COLUMNS_MAX)))));
        block
    }

    /// Text that is wrapped; the lines behind the first are indented by `indent`.
    fn flowing(&self, ink: Ink, text: &str, indent: &str) -> Block {
        let room = self.room(usize::MAX);
        let mut lines = Vec::new();
        for (number, line) in text.trim_end().split('\n').enumerate() {
            let line = expand_tabs(line);
            let line = if number == 0 || line.is_empty() { line } else { format!("{indent}{line}") };
            for (part, wrapped) in wrap(&line, room).into_iter().enumerate() {
                let indented = number == 0 && part > 0;
                lines.push((ink, if indented { format!("{indent}{wrapped}") } else { wrapped }));
            }
        }
        Block(lines)
    }

    /// Columns beside the time.
    fn room(&self, otherwise: usize) -> usize {
        self.wide.map_or(otherwise, |wide| wide.saturating_sub(GUTTER))
    }

    fn paint(&self, ink: Ink, text: &str) -> String {
        ink.paint(text, self.colours)
    }
}

/// What an agent gave where a text is due.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drawn(wide: Option<usize>, bodies: &[Value]) -> String {
        let mut transcript = Transcript { wide, ..Transcript::new(false) };
        let id = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55";
        let record = |body: &Value| {
            let mut record = json!({"session": id, "seq": 1, "time": "2026-11-21T03:14:15.926Z", "turn": id});
            record.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            serde_json::from_value(record).unwrap()
        };
        bodies.iter().map(|body| transcript.event(&record(body))).collect()
    }

    #[test]
    fn a_turn_reads_well() {
        let text = drawn(
            None,
            &[
                json!({"kind": "user", "text": "what is wrong?", "by": "ana", "model": "sonnet"}),
                json!({"kind": "session", "session_id": "x"}),
                json!({"kind": "text", "text": "I look.\n\nAt the disk."}),
                json!({"kind": "tool", "name": "Bash", "input": {"command": "df -h\ndu -s /var"}}),
                json!({"kind": "tool_result", "is_error": false, "output": "full\n", "bytes": 5}),
                json!({"kind": "tool", "name": "Grep", "input": {"pattern": "ENOSPC", "path": "/var/log"}}),
                json!({"kind": "tool_result", "is_error": true, "output": "", "bytes": 0}),
                json!({"kind": "tool", "name": "mcp__x", "input": {"a": 1}}),
                json!({"kind": "text", "text": "It is full."}),
                json!({"kind": "result", "is_error": false, "result": "It is full.", "duration_ms": 1}),
                json!({"kind": "turn_end", "outcome": "ok", "exit_code": 0, "duration_ms": 16_000, "left": [{"pid": 7, "command": "sleep 9"}]}),
                json!({"kind": "user", "text": "again", "by": "ana", "model": "sonnet"}),
                json!({"kind": "result", "is_error": false, "result": "It is full.", "duration_ms": 1}),
                json!({"kind": "error", "error": "exit 3"}),
                json!({"kind": "turn_end", "outcome": "error", "exit_code": 3, "duration_ms": 61_000}),
            ],
        );
        let expected = "\
-- 2026-11-21 UTC
03:14:15 ana> what is wrong?
03:14:15 I look.

         At the disk.
03:14:15 $ df -h
           du -s /var
03:14:15   full
03:14:15 Grep ENOSPC in /var/log
03:14:15 ! (no output)
03:14:15 mcp__x {\"a\":1}
03:14:15 It is full.
03:14:15 = ok after 16 s
           still running: 7 sleep 9

03:14:15 ana> again
03:14:15 It is full.
03:14:15 ! exit 3
03:14:15 = error after 1 min 1 s, exit code 3
";
        assert_eq!(text, expected);
    }

    #[test]
    fn it_fits_a_narrow_terminal_and_says_what_it_leaves_out() {
        let long: String = (1..=40).map(|number| format!("line {number} {}\n", "x".repeat(90))).collect();
        let text = drawn(
            Some(80),
            &[
                json!({"kind": "text", "text": "many words ".repeat(30)}),
                json!({"kind": "tool", "name": "Bash", "input": {"command": "echo one two ".repeat(12)}}),
                json!({"kind": "tool_result", "is_error": false, "output": long, "bytes": long.len()}),
            ],
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("... 30 lines left out of 3.8 KiB; --json has more"), "{text}");
        assert!(text.contains("line 4 ") && !text.contains("line 5 ") && text.contains("line 35 "), "{text}");
        let words = text.split_whitespace().filter(|word| *word == "echo").count();
        assert_eq!(words, 12);
    }
}
