//! Rules that hold for any bytes, any JSON, and above all for what nearly is the agent's own output.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::agent::translate::{extra_events, line, seed_events};
use crate::protocol::OUTPUT_BYTES_MAX;
use crate::protocol::event::Body;

const WORDS: [&str; 24] = [
    "type",
    "subtype",
    "system",
    "init",
    "assistant",
    "user",
    "result",
    "message",
    "content",
    "text",
    "tool_use",
    "tool_result",
    "name",
    "input",
    "id",
    "tool_use_id",
    "is_error",
    "duration_ms",
    "session_id",
    "errors",
    "api_retry",
    "attempt",
    "max_retries",
    "error_status",
];

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop_oneof![Just(0_i64), any::<i64>()].prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
    ]
}

/// Any JSON, made mostly of the protocol's own words.
fn any_json() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(6, 48, 6, |inner| {
        let key = prop_oneof![3 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn block() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(&["text", "tool_use", "tool_result", "thinking"][..]);
    let field = prop::sample::select(&["text", "name", "input", "id", "tool_use_id", "content", "is_error"][..]);
    (kind, prop::collection::vec((field, any_json()), 0..5)).prop_map(|(kind, fields)| {
        let mut block: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        block.insert("type".into(), kind.into());
        block.into()
    })
}

/// A line of the agent's with something odd in it.
fn near_protocol() -> impl Strategy<Value = Map<String, Value>> {
    let kind = prop::sample::select(&["system", "assistant", "user", "result", "stream_event"][..]);
    let content = prop_oneof![
        5 => prop::collection::vec(prop_oneof![5 => block(), 1 => any_json()], 0..5).prop_map(Value::from),
        1 => any_json(),
    ];
    let message = prop_oneof![5 => content.prop_map(|content| json!({"content": content})), 1 => any_json()];
    let subtype =
        prop_oneof![prop::sample::select(&["init", "api_retry", "success"][..]).prop_map(Value::from), any_json()];
    let others = prop::sample::select(&WORDS[14..]);
    (kind, subtype, message, prop::collection::vec((others, any_json()), 0..5)).prop_map(
        |(kind, subtype, message, fields)| {
            let mut object: Map<String, Value> =
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            object.extend([("type".into(), kind.into()), ("subtype".into(), subtype), ("message".into(), message)]);
            object
        },
    )
}

fn check_kinds(object: &Map<String, Value>) -> Result<(), TestCaseError> {
    for event in seed_events(object) {
        prop_assert!(matches!(event.body.kind(), "session" | "text" | "tool" | "result"), "{:?}", event);
    }
    for event in extra_events(object) {
        prop_assert!(matches!(event.body.kind(), "tool_result" | "status"), "{:?}", event);
        if let Body::ToolResult { output, bytes, .. } = event.body {
            prop_assert!(output.len() <= OUTPUT_BYTES_MAX);
            prop_assert!(bytes >= output.len() as u64 || bytes > OUTPUT_BYTES_MAX as u64);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        line(&bytes);
    }

    /// Text that looks like JSON, cut and stirred.
    #[test]
    fn any_near_json_is_taken(text in r#"\{?("type":"(system|result|assistant)",?|\\u[d0][89ac]00|NaN|[\[\]{}",:\\]|.|-Infinity){0,40}\}?"#) {
        line(text.as_bytes());
    }

    #[test]
    fn any_json_is_taken(value in any_json()) {
        line(value.to_string().as_bytes());
        if let Value::Object(object) = value {
            check_kinds(&object)?;
        }
    }

    #[test]
    fn near_protocol_lines_keep_to_their_kinds(object in near_protocol()) {
        check_kinds(&object)?;
        let mut apart = seed_events(&object);
        apart.extend(extra_events(&object));
        prop_assert_eq!(line(Value::Object(object).to_string().as_bytes()).events, apart);
    }

    /// The five kinds depend on nothing but what the seed reads.
    #[test]
    fn seed_events_ignore_all_else(object in near_protocol(), noise in any_json()) {
        let before = seed_events(&object);
        let mut noisy = object;
        for key in ["uuid", "parent_tool_use_id", "errors", "usage", "tool_use_result"] {
            noisy.insert(key.into(), noise.clone());
        }
        prop_assert_eq!(seed_events(&noisy), before);
    }

    #[test]
    fn outputs_are_bounded_and_cut_between_characters(
        head in "[aé😀\u{800}]{0,9}", unit in "[aé😀\u{800}]{1,3}", repeat in 0_usize..70_000, tail in "[aé😀]{0,9}",
    ) {
        let text = format!("{head}{}{tail}", unit.repeat(repeat));
        let object = json!({"type":"user","message":{"content":[{"type":"tool_result","content":text}]}});
        let Some(Body::ToolResult { output, bytes, .. }) = extra_events(object.as_object().unwrap()).pop().map(|e| e.body) else {
            return Err(TestCaseError::fail("no tool_result"));
        };
        prop_assert_eq!(bytes, text.len() as u64);
        prop_assert!(output.len() <= OUTPUT_BYTES_MAX);
        if text.len() <= OUTPUT_BYTES_MAX {
            prop_assert_eq!(output, text);
        } else {
            prop_assert!(output.starts_with(&head) && output.ends_with(&tail) && !output.contains(char::REPLACEMENT_CHARACTER), "cut");
        }
    }
}
