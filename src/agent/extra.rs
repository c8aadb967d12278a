//! The two kinds that the seed drops and operators miss: `tool_result`, and `status` while the agent's API is overloaded.
//!
//! Invariant: an output is at most [`OUTPUT_BYTES_MAX`] long, and says how much of it was left out. Never touches the
//! seed's five kinds.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::translate::{Translated, content, reference};
use super::wire::{count, string, truthy};
use crate::protocol::OUTPUT_BYTES_MAX;
use crate::protocol::event::{Body, State, Status};

/// Room for the line that stands where an output was cut.
const MARKER_BYTES_MAX: usize = 64;
/// The longest name of a block that is not text, and of an API error, that is shown, characters.
const NAME_CHARS_MAX: usize = 64;
/// Below this a wait is told with a tenth of a second, milliseconds.
const FINE_WAIT_MS: u64 = 10_000;

/// The events of a line beyond the seed's.
pub fn extra_events(object: &Map<String, Value>) -> Vec<Translated> {
    match (string(object, "type"), string(object, "subtype")) {
        (Some("user"), _) => content(object).iter().filter_map(Value::as_object).filter_map(tool_result).collect(),
        (Some("system"), Some("api_retry")) => vec![retrying(object).into()],
        _ => Vec::new(),
    }
}

fn tool_result(block: &Map<String, Value>) -> Option<Translated> {
    if string(block, "type")? != "tool_result" {
        return None;
    }
    let output = text(block.get("content"));
    let body = Body::ToolResult {
        is_error: truthy(block.get("is_error")),
        output: shorten(&output, OUTPUT_BYTES_MAX),
        bytes: output.len() as u64,
    };
    Some(Translated { reference: reference(block, "tool_use_id"), body })
}

/// A tool's output as text: a string, or a list of blocks; anything else as the JSON that it is.
fn text(content: Option<&Value>) -> Cow<'_, str> {
    match content {
        None | Some(Value::Null) => "".into(),
        Some(Value::String(text)) => text.into(),
        Some(Value::Array(blocks)) => blocks.iter().map(block_text).collect::<Vec<_>>().join("\n").into(),
        Some(other) => other.to_string().into(),
    }
}

fn block_text(block: &Value) -> Cow<'_, str> {
    if let Some(text) = block.as_str() {
        return text.into();
    }
    let kind = block.get("type").and_then(Value::as_str).unwrap_or("block");
    match block.get("text").and_then(Value::as_str) {
        Some(text) if kind == "text" => text.into(),
        _ => format!("[{}]", shown(kind)).into(),
    }
}

/// At most `max` bytes of a text: all of it, or its head and its tail around a line that tells what is missing.
fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let half = max.saturating_sub(MARKER_BYTES_MAX) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{}\n[{} bytes left out]\n{}", &text[..head], tail - head, &text[tail..])
}

fn retrying(object: &Map<String, Value>) -> Body {
    let attempt = count(object, "attempt");
    let max_attempts = count(object, "max_retries");
    let wait_ms = count(object, "retry_delay_ms");
    let what = match count(object, "error_status") {
        0 => "did not answer".to_owned(),
        status => format!("answered {status}"),
    };
    let why = string(object, "error").map(|error| format!(" ({})", shown(error))).unwrap_or_default();
    let wait = seconds(wait_ms);
    let detail = format!("the agent's API {what}{why}; attempt {attempt} of {max_attempts}, next in {wait} s");
    Body::Status(Status { state: State::Retrying { attempt, max_attempts, wait_ms }, detail })
}

/// 557 is `0.6`, 33,400 is `33`.
fn seconds(wait_ms: u64) -> String {
    if wait_ms >= FINE_WAIT_MS {
        return (wait_ms / 1_000).to_string();
    }
    let tenths = (wait_ms + 50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}
