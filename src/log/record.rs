//! Builds an event's record: the bytes that are stored, and sent, and exported, and never changed.
//!
//! Invariant: a record is one JSON object of at most [`RECORD_BYTES_MAX`] bytes, envelope first, then the body with `kind`
//! first (protocol.md section 2).

use std::fmt::Write;

use serde_json::Value;

use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::RECORD_BYTES_MAX;
use crate::protocol::event::Body;

/// Room that the envelope takes at most: two UUIDs, a seq, a time, names and quotes.
const ENVELOPE_BYTES_MAX: usize = 256;
/// The longest `ref`, bytes of JSON: an agent's id is some 30 characters.
const REFERENCE_BYTES_MAX: usize = 1024;
const TRUNCATED: &str = r#","truncated":true"#;
/// A string shorter than this is not worth cutting, bytes.
const CUT_BYTES_MIN: usize = 16;

/// A body as it stands in a record, without the object's braces: made by whoever appends, not by the writer's thread.
pub(super) struct Encoded {
    pub kind: &'static str,
    members: String,
}

impl Encoded {
    pub(super) fn new(reference: Option<&str>, body: &Body) -> Self {
        let mut members = String::new();
        if let Some(reference) = reference.map(quote).filter(|quoted| quoted.len() <= REFERENCE_BYTES_MAX) {
            members.push_str(r#""ref":"#);
            members.push_str(&reference);
            members.push(',');
        }
        let bytes_max = RECORD_BYTES_MAX - ENVELOPE_BYTES_MAX - members.len() - TRUNCATED.len();
        // Only a record that must be cut is worth a tree.
        let text = serde_json::to_string(body).unwrap_or_default();
        if text.len() <= bytes_max {
            members.push_str(inner(&text));
        } else {
            let whole = serde_json::to_value(body).unwrap_or_default();
            members.push_str(inner(&shorten(whole, bytes_max)));
            members.push_str(TRUNCATED);
        }
        Self { kind: body.kind(), members }
    }

    /// The same, marked as a stub.
    pub(super) fn into_stub(mut self) -> Self {
        self.members.push_str(r#","redacted":true"#);
        self
    }

    /// The whole record.
    pub(super) fn record(&self, envelope: &Envelope, seq: Seq) -> String {
        let mut record = String::with_capacity(ENVELOPE_BYTES_MAX + self.members.len());
        record.push_str(&envelope.before_seq);
        // Writing to a string cannot fail.
        let _infallible = write!(record, "{seq}");
        for part in [&envelope.behind_seq, &self.members, "}"] {
            record.push_str(part);
        }
        record
    }
}

/// What the records of one append have in common.
pub(super) struct Envelope {
    before_seq: String,
    behind_seq: String,
}

impl Envelope {
    pub(super) fn new(session: SessionId, time: &str, turn: TurnId) -> Self {
        let before_seq = format!(r#"{{"session":"{session}","seq":"#);
        Self { before_seq, behind_seq: format!(r#","time":"{time}","turn":"{turn}","#) }
    }
}

fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

fn inner(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(r#""kind":"error","error":"""#)
}

/// Cuts the longest strings until the whole fits: the largest limit for which it does.
fn shorten(mut whole: Value, bytes_max: usize) -> String {
    let (mut fits, mut too_much) = (0, bytes_max);
    while too_much - fits > CUT_BYTES_MIN {
        let limit = fits + (too_much - fits) / 2;
        if size_with_strings_cut(&whole, limit) <= bytes_max {
            fits = limit;
        } else {
            too_much = limit;
        }
    }
    if fits >= CUT_BYTES_MIN {
        cut_strings(&mut whole, fits);
        return whole.to_string();
    }
    // Not its strings but its sheer number of parts makes it long: keep the beginning of its JSON text instead.
    if let Value::Object(members) = &mut whole {
        for (name, value) in members.iter_mut().filter(|(name, _)| *name != "kind") {
            if value.is_object() || value.is_array() {
                let mut text = value.to_string();
                // Escaping at most doubles JSON text, and an envelope of other members is left room for.
                text.truncate(text.floor_char_boundary(bytes_max / 4));
                *value = if name == "input" { serde_json::json!({ "json": text }) } else { Value::String(text) };
            }
        }
        let text = Value::Object(std::mem::take(members)).to_string();
        if text.len() <= bytes_max {
            return text;
        }
    }
    r#"{"kind":"error","error":"the event was too long to be logged; the raw output has it"}"#.to_owned()
}

/// Bytes of JSON that a string takes, quotes and escapes included.
fn escaped_bytes(text: &str) -> usize {
    2 + text.chars().map(escaped_char_bytes).sum::<usize>()
}

fn escaped_char_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

fn size_with_strings_cut(value: &Value, limit: usize) -> usize {
    match value {
        Value::String(text) if text.len() <= limit / 6 => escaped_bytes(text),
        Value::String(text) => escaped_bytes(text).min(limit),
        Value::Array(items) => 2 + items.iter().map(|item| size_with_strings_cut(item, limit) + 1).sum::<usize>(),
        Value::Object(members) => {
            let member =
                |(name, value): (&String, &Value)| escaped_bytes(name) + 2 + size_with_strings_cut(value, limit);
            2 + members.iter().map(member).sum::<usize>()
        }
        other => other.to_string().len(),
    }
}

fn cut_strings(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) => {
            let mut bytes = 2;
            let end = text.char_indices().find(|(_, c)| {
                bytes += escaped_char_bytes(*c);
                bytes > limit
            });
            if let Some((end, _)) = end {
                text.truncate(end);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_strings(item, limit)),
        Value::Object(members) => members.values_mut().for_each(|value| cut_strings(value, limit)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::protocol::event::Record;

    fn record(body: &Body, reference: Option<&str>) -> String {
        let (session, turn) = (SessionId::random(), TurnId::random());
        let envelope = Envelope::new(session, "2026-11-21T03:14:15.926Z", turn);
        Encoded::new(reference, body).record(&envelope, Seq(u64::MAX))
    }

    #[test]
    fn the_envelope_comes_first_and_kind_opens_the_body() {
        let body = Body::Text { text: json!("checking disk") };
        let text = record(&body, Some("toolu_1"));
        let order = ["\"session\"", "\"seq\"", "\"time\"", "\"turn\"", "\"ref\"", "\"kind\":\"text\"", "\"text\":"];
        let places: Vec<_> = order.iter().map(|name| text.find(name).unwrap()).collect();
        assert!(places.is_sorted(), "{text}");
        let parsed: Record = serde_json::from_str(&text).unwrap();
        assert_eq!((parsed.body, parsed.reference.as_deref(), parsed.truncated), (body, Some("toolu_1"), false));
    }

    #[test]
    fn a_long_record_keeps_the_beginning_of_its_strings() {
        let input = json!({ "path": "/etc/fstab", "content": "\u{1}\"é".repeat(900_000) });
        let text = record(&Body::Tool { name: json!("Write"), input }, None);
        assert!(text.len() <= RECORD_BYTES_MAX && text.len() > RECORD_BYTES_MAX * 9 / 10, "{}", text.len());
        let parsed: Record = serde_json::from_str(&text).unwrap();
        assert!(parsed.truncated);
        let Body::Tool { input, .. } = parsed.body else { panic!("{:?}", parsed.body) };
        assert_eq!(input["path"], "/etc/fstab");
        assert!(input["content"].as_str().unwrap().starts_with("\u{1}\"é\u{1}"));
    }

    #[test]
    fn a_body_of_too_many_parts_is_kept_as_text() {
        let input = json!({ "numbers": vec![12_345_678; 500_000] });
        let parsed: Record = serde_json::from_str(&record(&Body::Tool { name: json!("T"), input }, None)).unwrap();
        assert!(parsed.truncated);
        let Body::Tool { input, .. } = parsed.body else { panic!("{:?}", parsed.body) };
        assert!(input["json"].as_str().unwrap().starts_with("{\"numbers\":[12345678,"));
    }

    proptest! {
        // Megabytes a case: a few are enough.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_size_of_a_string_is_counted_as_it_is_written(text in any::<String>()) {
            prop_assert_eq!(escaped_bytes(&text), quote(&text).len());
        }

        #[test]
        fn every_record_is_json_of_bounded_size(
            parts in prop::collection::vec(any::<String>(), 1..4), times in 1usize..200_000, reference in any::<Option<String>>(),
        ) {
            let text: String = parts.concat().repeat(times.min(2_000_000 / (parts.concat().len() + 1)));
            let body = Body::ToolResult { is_error: false, output: text, bytes: 0 };
            let encoded = record(&body, reference.as_deref());
            prop_assert!(encoded.len() <= RECORD_BYTES_MAX);
            prop_assert!(serde_json::from_str::<Record>(&encoded).is_ok());
        }
    }
}
