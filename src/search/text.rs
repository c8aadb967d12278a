//! What of a record can be found, and how a hit shows it.

use std::ops::Range;

use serde_json::Value;

use crate::protocol::search::Piece;

/// Members of a record that are its envelope, or that filters look for.
const NOT_TEXT: [&str; 10] = ["session", "seq", "time", "turn", "ref", "kind", "by", "model", "outcome", "state"];
/// Nesting of a tool's input below which nothing is looked at.
const DEPTH_MAX: usize = 64;
/// A snippet begins so much before its first mark, bytes,
const BEFORE_BYTES: usize = 60;
/// and is so long at most.
const SNIPPET_BYTES: usize = 240;

/// The texts of a record, each on lines of its own: prompts, prose, tool names, inputs and outputs, results, errors.
pub(super) fn of_record(record: &str) -> String {
    let mut text = String::new();
    let Ok(Value::Object(members)) = serde_json::from_str(record) else { return text };
    for (name, value) in &members {
        match value {
            _ if NOT_TEXT.contains(&name.as_str()) => {}
            // Sizes and durations.
            Value::Number(_) => {}
            value => gather(value, 0, &mut text),
        }
    }
    text
}

fn gather(value: &Value, depth: usize, text: &mut String) {
    let mut line = |piece: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(piece);
    };
    match value {
        Value::String(piece) => line(piece),
        Value::Number(number) => line(&number.to_string()),
        Value::Array(items) if depth < DEPTH_MAX => items.iter().for_each(|item| gather(item, depth + 1, text)),
        Value::Object(members) if depth < DEPTH_MAX => {
            members.values().for_each(|member| gather(member, depth + 1, text));
        }
        _ => {}
    }
}

/// The surroundings of the first mark, or the beginning, on one line.
pub(super) fn snippet(text: &str, marks: &[Range<usize>]) -> Vec<Piece> {
    let focus = marks.first().map_or(0, |mark| mark.start);
    let mut start = text.floor_char_boundary(focus.saturating_sub(BEFORE_BYTES));
    if start > 0 {
        // Not in the middle of a word, if there is a blank.
        let blank = text[start..focus].find(char::is_whitespace);
        start = blank.map_or(start, |at| text.ceil_char_boundary(start + at + 1));
    }
    let end = text.floor_char_boundary((start + SNIPPET_BYTES).min(text.len()));
    let mut pieces = Vec::new();
    let mut at = start;
    for mark in marks.iter().filter(|mark| mark.start < end) {
        push(&mut pieces, &text[at..mark.start.max(at)], false);
        at = mark.end.min(end).max(at);
        push(&mut pieces, &text[mark.start..at], true);
    }
    push(&mut pieces, &text[at..end], false);
    if start > 0 {
        pieces.insert(0, Piece { text: "… ".to_owned(), hit: false });
    }
    if end < text.len() {
        pieces.push(Piece { text: " …".to_owned(), hit: false });
    }
    joined(pieces)
}

fn push(pieces: &mut Vec<Piece>, text: &str, hit: bool) {
    let mut line = String::with_capacity(text.len());
    let ends_blank = pieces.last().is_none_or(|piece: &Piece| piece.text.ends_with(' '));
    let mut blank = ends_blank;
    for c in text.chars() {
        let is_blank = c.is_whitespace();
        if !(is_blank && blank) {
            line.push(if is_blank { ' ' } else { c });
        }
        blank = is_blank;
    }
    if !line.is_empty() {
        pieces.push(Piece { text: line, hit });
    }
}

/// Neighbours of the same sort become one.
fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match joined.last_mut() {
            Some(last) if !last.hit && !piece.hit => last.text.push_str(&piece.text),
            _ => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_envelope_is_no_text() {
        let record = r#"{"session":"s","seq":7,"time":"t","turn":"u","ref":"r","kind":"tool","name":"Bash",
            "input":{"command":"df -h","timeout":5,"deep":[{"x":"y"}]},"truncated":true,"bytes":12}"#;
        assert_eq!(of_record(record), "Bash\ndf -h\n5\ny");
        assert_eq!((of_record("[]"), of_record("{")), (String::new(), String::new()));
    }

    #[test]
    fn a_snippet_shows_the_first_mark_in_its_surroundings() {
        let text = format!("{} the disk\n\n  is full {}", "before ".repeat(30), "behind ".repeat(60));
        let disk = text.find("disk").unwrap();
        let full = text.find("full").unwrap();
        let pieces = snippet(&text, &[disk..disk + 4, full..full + 4]);
        let shown: String = pieces
            .iter()
            .map(|piece| if piece.hit { format!("[{}]", piece.text) } else { piece.text.clone() })
            .collect();
        assert!(shown.starts_with("… before") && shown.ends_with(" …"), "{shown}");
        assert!(shown.contains("the [disk] is [full] behind"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_snippet_is_short_and_never_panics(text in any::<String>(), times in 1usize..200, at in any::<prop::sample::Index>()) {
            let text = text.repeat(times);
            let mut words = Vec::new();
            super::super::words::each_word(&text, |_, range| words.push(range));
            let marks = if words.is_empty() { Vec::new() } else { vec![words[at.index(words.len())].clone()] };
            let pieces = snippet(&text, &marks);
            let bytes: usize = pieces.iter().map(|piece| piece.text.len()).sum();
            prop_assert!(bytes <= SNIPPET_BYTES + BEFORE_BYTES + 8);
            prop_assert_eq!(pieces.iter().filter(|piece| piece.hit).count(), marks.len());
        }
    }
}
