//! The seed's contract, case by case: `tests/agent/seed_cases.json` is what its own Python gave (`seed_cases.py` beside it).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{bodies, told};
use crate::agent::translate::line;

#[derive(Deserialize)]
struct Case {
    /// The line's bytes, one character each.
    latin1: String,
    /// What the seed gives; null where it raises.
    events: Option<Vec<Value>>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/agent/seed_cases.json")).unwrap()
}

/// Equal as Python sees it: it prints `1e5` as `100000.0` and `-0` as `0`.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_str() == b.as_str() || (a.as_str().len() < 16 && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same(a, b))
        }
        _ => ours == theirs,
    }
}

#[test]
fn every_case_is_what_the_seed_gives() {
    let cases = cases();
    assert!(cases.len() > 200);
    for case in cases {
        let bytes: Vec<u8> = case.latin1.chars().map(|unit| u8::try_from(unit).unwrap()).collect();
        let ours = bodies(&line(&bytes));
        let expected = case.events.unwrap_or_default(); // where the seed raises: nothing for that part
        let equal = ours.len() == expected.len() && ours.iter().zip(&expected).all(|(a, b)| same(a, b));
        assert!(equal, "{}\n ours: {ours:?}\n seed: {expected:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn a_block_that_is_no_object_costs_only_itself() {
    let events = told(
        r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a"},7,null,"x",[],{"type":"text","text":"b"}]}}"#,
    );
    assert_eq!(events, [json!({"kind":"text","text":"a"}), json!({"kind":"text","text":"b"})]);
}

#[test]
fn kind_comes_first() {
    let event = line(br#"{"type":"result"}"#).events.remove(0);
    assert_eq!(
        serde_json::to_string(&event.body).unwrap(),
        r#"{"kind":"result","is_error":false,"result":"","duration_ms":null}"#
    );
}

#[test]
fn numbers_keep_their_digits() {
    let huge = "9".repeat(5_000);
    for number in ["0.10000000000000000000000000001", "1.0", "-7", huge.as_str(), "1e+999"] {
        let result = line(format!(r#"{{"type":"result","duration_ms":{number}}}"#).as_bytes()).events.remove(0);
        let text = serde_json::to_string(&result.body).unwrap();
        assert!(text.ends_with(&format!("\"duration_ms\":{number}}}")), "{text}");
    }
}

#[test]
fn what_python_reads_and_json_lacks_is_kept_and_as_true() {
    for word in ["NaN", "Infinity", "-Infinity"] {
        let events =
            told(&format!(r#"{{"type":"result","is_error":{word},"result":[{word}, 1],"duration_ms":{word}}}"#));
        assert_eq!(events, [json!({"kind":"result","is_error":true,"result":[word,1],"duration_ms":word})]);
    }
    assert_eq!(told(r#"{"type":"result","result":"NaN -Infinity"}"#)[0]["result"], "NaN -Infinity");
    assert!(told(r#"{"type":"result","result":NaNs}"#).is_empty());
    assert!(told(r#"{"type":"result","result":--Infinity}"#).is_empty());
}
