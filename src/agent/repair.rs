//! Mends the text of a line where `serde_json` is stricter than JavaScript and Python, or means something else by it.
//!
//! Invariant: one pass, linear time, and text that is good JSON for all three comes back as it was. Knows nothing of events.
//!
//! - A lone surrogate escape (`"\ud800"`, which JavaScript prints for a cut string) becomes `\ufffd` (protocol.md section 2).
//! - `NaN`, `Infinity` and `-Infinity`, which Python reads, become the strings of that name: still JSON, nothing lost, and
//!   as true as they are in Python.
//! - An object key that begins with `$serde_json::private::` is how `serde_json` marks its own numbers and raw values; it
//!   would replace the object by what the value says. The `$` becomes U+FFFD.

use std::borrow::Cow;

/// What the keys begin with that `serde_json` keeps for itself.
const RESERVED: &str = "$serde_json::private::";

/// The words outside of strings that Python's `json` reads and JSON does not have.
const CONSTANTS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

const REPLACEMENT_ESCAPE: &str = "\\ufffd";

/// Whether some key may be a reserved one. Sound, cheap, and true for next to no real line: JavaScript escapes no printable
/// ASCII character as `\u00..`, so a key can hide behind an escape only if somebody made it on purpose.
pub(super) fn reserved_key_possible(text: &str) -> bool {
    let hidden = |at: usize| matches!(text.as_bytes().get(at + 4), Some(b'2'..=b'7'));
    text.contains(RESERVED) || text.match_indices("\\u00").any(|(at, _)| hidden(at))
}

/// The mended text; borrowed when there was nothing to mend.
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0; // everything before this is in `out`
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (end, mended) = match byte {
            b'"' => {
                let end = string_end(bytes, at);
                let raw = &text[at..end];
                (end, if is_key(text, end) { key(raw) } else { surrogates(raw) })
            }
            b'N' | b'I' | b'-' => constant(text, at),
            _ => (at + 1, None),
        };
        if let Some(mended) = mended {
            out.push_str(&text[copied..at]);
            out.push_str(&mended);
            copied = end;
        }
        at = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Where the string that begins at `start` ends: behind its closing quote, or at the end of a text that lacks one.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether what ends at `end` is followed by a colon.
fn is_key(text: &str, end: usize) -> bool {
    text[end..].trim_start_matches([' ', '\t', '\n', '\r']).starts_with(':')
}

fn constant(text: &str, at: usize) -> (usize, Option<String>) {
    let rest = &text[at..];
    let Some(word) = CONSTANTS.into_iter().find(|word| rest.starts_with(word)) else {
        return (at + 1, None);
    };
    let end = at + word.len();
    // `{NaN:1}` is no object for anybody, and quotes must not make it one.
    let mended = (!is_key(text, end)).then(|| format!("\"{word}\""));
    (end, mended)
}

/// An object key with its quotes, mended; `None` when it is good as it is.
fn key(raw: &str) -> Option<String> {
    let whole = surrogates(raw);
    let now = whole.as_deref().unwrap_or(raw);
    if !now.contains(RESERVED) && !now.contains('\\') {
        return whole;
    }
    match serde_json::from_str::<String>(now) {
        Ok(name) if name.starts_with(RESERVED) => serde_json::to_string(&name.replacen('$', "\u{fffd}", 1)).ok(),
        _ => whole,
    }
}

/// A string with every lone surrogate escape replaced; `None` when there is none.
fn surrogates(raw: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = raw[at..].find('\\') {
        at += found;
        let length = match escaped_unit(raw, at) {
            Some(0xd800..=0xdbff) if matches!(escaped_unit(raw, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => {
                out.push_str(&raw[copied..at]);
                out.push_str(REPLACEMENT_ESCAPE);
                copied = at + 6;
                6
            }
            // Behind any other backslash stands one character that it escapes, a second backslash among them.
            _ => 1 + raw[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        at += length;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&raw[copied..]);
    Some(out)
}

/// The UTF-16 unit that the escape at `at` stands for, if there is a whole `\uXXXX`.
fn escaped_unit(raw: &str, at: usize) -> Option<u16> {
    let digits = raw.get(at..at + 6)?.strip_prefix("\\u")?;
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}
