//! The agent's lines, told as events (protocol.md section 2).
//!
//! Invariant: total: any bytes give zero or more events, never an error or a panic. For the five kinds of the seed it gives
//! what the seed's `translate_event` returns, value for value; where the seed's Python would raise, that part gives
//! nothing. Knows nothing of turns, processes or the log: what a line means for those is in its [`Note`].

use serde_json::{Map, Value};

pub use super::extra::extra_events;
use super::start::LOST_CONVERSATION;
pub use super::start::{StartProblem, start_problem};
use super::wire::{self, string, truthy};
use crate::protocol::event::Body;

/// The longest tool-use id that goes into an event, bytes. The agent's own have about 30; a longer one is no id.
pub const REFERENCE_BYTES_MAX: usize = 256;

/// An event, before it has a place in a log.
#[derive(Debug, Clone, PartialEq)]
pub struct Translated {
    /// The agent's own tool-use id, the same on a `tool` and its `tool_result`; goes into the envelope as `ref`.
    pub reference: Option<String>,
    /// What happened.
    pub body: Body,
}

impl From<Body> for Translated {
    fn from(body: Body) -> Self {
        Self { reference: None, body }
    }
}

/// What one line of the agent's output says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Line {
    /// To the log, in this order.
    pub events: Vec<Translated>,
    /// To the turn.
    pub note: Note,
}

/// What a line means for the turn that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Note {
    /// Nothing.
    #[default]
    None,
    /// `system/init`: the agent got going. It does not yet mean that the conversation can be resumed (claude-cli.md section 2).
    Init,
    /// A `result` that says that there is no conversation to resume. Its `result` event is among the events all the same.
    LostConversation,
    /// The agent's own verdict. A run can have more than one; the last counts.
    Result {
        /// Whether it calls the run a failure.
        is_error: bool,
    },
}

/// Translates one line of the agent's stdout, with or without its newline.
pub fn line(bytes: &[u8]) -> Line {
    let Some(object) = wire::object(bytes) else { return Line::default() };
    let mut events = seed_events(&object);
    events.extend(extra_events(&object));
    Line { events, note: note(&object) }
}

fn note(object: &Map<String, Value>) -> Note {
    match string(object, "type") {
        Some("system") if string(object, "subtype") == Some("init") => Note::Init,
        Some("result") if says_lost(object) => Note::LostConversation,
        Some("result") => Note::Result { is_error: truthy(object.get("is_error")) },
        _ => Note::None,
    }
}

/// Only `errors` counts: in `result` stands the model's prose, which may speak of anything.
fn says_lost(object: &Map<String, Value>) -> bool {
    let errors = object.get("errors").and_then(Value::as_array);
    let mut errors = errors.into_iter().flatten().filter_map(Value::as_str);
    truthy(object.get("is_error")) && errors.any(|error| error.contains(LOST_CONVERSATION))
}

/// The seed's `translate_event`, a batch being flat.
pub fn seed_events(object: &Map<String, Value>) -> Vec<Translated> {
    match string(object, "type") {
        Some("system") if string(object, "subtype") == Some("init") => {
            vec![Body::Session { session_id: get_or(object, "session_id", "".into()) }.into()]
        }
        Some("assistant") => content(object).iter().filter_map(Value::as_object).filter_map(block).collect(),
        Some("result") => vec![
            Body::Result {
                is_error: truthy(object.get("is_error")),
                result: get_or(object, "result", "".into()),
                duration_ms: get_or(object, "duration_ms", Value::Null),
            }
            .into(),
        ],
        _ => Vec::new(),
    }
}

fn block(block: &Map<String, Value>) -> Option<Translated> {
    match string(block, "type")? {
        "text" => {
            let text = block.get("text").filter(|text| truthy(Some(text)))?;
            Some(Body::Text { text: text.clone() }.into())
        }
        "tool_use" => {
            let name = get_or(block, "name", "".into());
            let input = get_or(block, "input", Map::new().into());
            Some(Translated { reference: reference(block, "id"), body: Body::Tool { name, input } })
        }
        _ => None,
    }
}

/// Python's `object.get(key, default)`: null is not absent.
fn get_or(object: &Map<String, Value>, key: &str, default: Value) -> Value {
    object.get(key).cloned().unwrap_or(default)
}

/// The blocks of a line's message; none where it has nothing of the kind.
pub(super) fn content(object: &Map<String, Value>) -> &[Value] {
    let content = object.get("message").and_then(Value::as_object).and_then(|message| message.get("content"));
    content.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A tool-use id, if it can be one.
pub(super) fn reference(object: &Map<String, Value>, key: &str) -> Option<String> {
    let id = string(object, key)?;
    (1..=REFERENCE_BYTES_MAX).contains(&id.len()).then(|| id.to_owned())
}
