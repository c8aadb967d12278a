//! Bytes to objects: what is mended, what is refused, and that nothing else is touched.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::repair::repair;
use super::super::wire::object;

fn text_of(escaped: &str) -> String {
    let line = format!(r#"{{"a":"{escaped}"}}"#);
    object(line.as_bytes()).unwrap()["a"].as_str().unwrap().to_owned()
}

#[test]
fn lone_surrogates_become_the_replacement_character() {
    assert_eq!(text_of(r"\ud83d\ude00"), "\u{1f600}");
    assert_eq!(text_of(r"\ud83d"), "\u{fffd}");
    assert_eq!(text_of(r"\ude00"), "\u{fffd}");
    assert_eq!(text_of(r"\ude00\ud83d"), "\u{fffd}\u{fffd}");
    assert_eq!(text_of(r"\uD83D\uDE00\uD83Dx"), "\u{1f600}\u{fffd}x");
    assert_eq!(text_of(r"\ud83d\ud83d\ude00"), "\u{fffd}\u{1f600}");
    assert_eq!(text_of(r"\ud83d\n\ude00"), "\u{fffd}\n\u{fffd}");
    assert_eq!(text_of(r"\ud83dé"), "\u{fffd}é");
}

#[test]
fn an_escaped_backslash_before_u_is_no_escape() {
    assert_eq!(text_of(r"\\ud800"), r"\ud800");
    assert_eq!(text_of(r"\\\ud800"), "\\\u{fffd}");
    assert_eq!(text_of(r"\\\\ud800 \ud800"), "\\\\ud800 \u{fffd}");
    assert_eq!(text_of(r#"\"\ud800\""#), "\"\u{fffd}\"");
}

#[test]
fn keys_are_mended_too() {
    assert_eq!(object(br#"{"\ud800":1}"#).unwrap().keys().next().unwrap(), "\u{fffd}");
}

#[test]
fn keys_that_serde_json_keeps_for_itself_are_only_keys() {
    for key in
        ["$serde_json::private::Number", r"\u0024serde_json::private::Number", r"$serde_\u006ason::private::RawValue"]
    {
        for value in ["\"5\"", "\"[[1]]\"", "{}", "7"] {
            let line = format!(r#"{{"a":{{"{key}" : {value}, "b":"{key}"}}}}"#);
            let a = object(line.as_bytes()).unwrap()["a"].clone();
            let fields = a.as_object().unwrap();
            assert!(fields.keys().next().unwrap().starts_with("\u{fffd}serde_json::private::"), "{line}");
            assert!(fields["b"].as_str().unwrap().starts_with("$serde_json::private::"), "{line}");
            assert_eq!(fields.values().next().unwrap(), &serde_json::from_str::<Value>(value).unwrap());
        }
    }
}

#[test]
fn what_is_broken_stays_broken() {
    for text in
        [r#"{"a":"\ud80"}"#, r#"{"a":"\ud800}"#, r#"{"a":"\ud800\"}"#, r#"{"a":"\ud800" "b"}"#, r#"{"a":"\ud8zz"}"#]
    {
        assert_eq!(object(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn nesting_has_a_limit_and_it_costs_one_line() {
    let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(object(nested(120).as_bytes()).is_some());
    assert!(object(nested(128).as_bytes()).is_none());
    assert!(object(nested(2_000_000).as_bytes()).is_none());
}

/// Each of these would take minutes if anything were quadratic.
#[test]
fn lines_of_many_megabytes_pass() {
    const BYTES: usize = 8 << 20;
    for piece in ["x", r"\ud800", r"\ud83d\ude00", r"\\", "é", r#"\""#, r"\u0041", "\u{1b}"] {
        let text = piece.repeat(BYTES / piece.len());
        let line = format!(r#"{{"type":"assistant","a":"{text}","b":"\ud800"}}"#);
        assert_eq!(object(line.as_bytes()).is_some(), piece != "\u{1b}", "{piece}");
    }
    let list = format!(r#"{{"a":[{}0]}}"#, "NaN,   \"x\"  ,".repeat(BYTES / 24));
    assert!(object(list.as_bytes()).is_some());
    assert!(object(&vec![0xff; BYTES]).is_none());
    assert!(object(&vec![b' '; BYTES]).is_none());
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn good_json_is_not_touched(value in json_value()) {
        let text = json!({"a": value}).to_string();
        prop_assert!(matches!(repair(&text), std::borrow::Cow::Borrowed(_)));
        prop_assert_eq!(object(text.as_bytes()).unwrap()["a"].clone(), value);
    }

    /// Any mixture of escapes, good or bad, becomes what Python and the replacement rule make of it.
    #[test]
    fn escapes_become_the_units_they_stand_for(units in prop::collection::vec(
        prop_oneof![0xd7fe_u16..0xe002, Just(0xd83d), Just(0xde00), 0x20_u16..0x7f], 0..40)) {
        let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        prop_assert_eq!(text_of(&escaped), String::from_utf16_lossy(&units));
    }

    #[test]
    fn repair_is_done_in_one_go(text in r#"[\\"{}:NIadu8-f0-9 ]{0,60}(NaN|-Infinity|"\\ud800"|"\$serde_json::private::x" ?:)?.{0,20}"#) {
        let once = repair(&text).into_owned();
        let twice = repair(&once);
        prop_assert_eq!(once.as_str(), twice.as_ref());
    }
}
