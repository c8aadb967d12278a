//! The agent's lines, read tolerantly: bytes to a JSON object, and what Python would make of its values.
//!
//! Invariant: total and linear. Bytes that are not UTF-8 and lone surrogate escapes become U+FFFD and the line is kept; a line
//! that is blank, not JSON or not an object gives `None`. Numbers keep their digits, whatever their size. Knows no events.
//!
//! Nesting deeper than 127 levels (`serde_json`'s limit, which guards the stack) makes a line unreadable: the raw
//! output keeps it. The seed's Python would stop at about a thousand.

use serde_json::{Map, Value};

use super::repair;

/// A line's object.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(is_blank);
    if !text.starts_with('{') {
        return None;
    }
    if repair::reserved_key_possible(text) {
        return serde_json::from_str(&repair::repair(text)).ok();
    }
    serde_json::from_str(text).ok().or_else(|| match repair::repair(text) {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(mended) => serde_json::from_str(&mended).ok(),
    })
}

/// What Python's `str.strip` takes off: Unicode's white space, and the four ASCII separators.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// Python's `bool(value)`, where `None` is an absent key.
pub fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(flag)) => *flag,
        Some(Value::Number(number)) => !is_zero(number.as_str()),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(fields)) => !fields.is_empty(),
    }
}

/// Python reads a number with a point or an exponent as a double, so that `1e-999` is zero; others exactly.
fn is_zero(number: &str) -> bool {
    if number.contains(['.', 'e', 'E']) {
        return number.parse() == Ok(0.0_f64);
    }
    !number.bytes().any(|digit| matches!(digit, b'1'..=b'9'))
}

/// The field's value if it is a string.
pub fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// The field as a count: 0 for what is absent, negative, no number or beyond a double; fractions are rounded, and what is
/// beyond 64 bits is the largest count there is.
pub fn count(object: &Map<String, Value>, key: &str) -> u64 {
    let Some(Value::Number(number)) = object.get(key) else { return 0 };
    // `as` saturates, which is meant.
    let rounded = || number.as_f64().map_or(0, |value| value.round() as u64);
    number.as_u64().unwrap_or_else(rounded)
}
