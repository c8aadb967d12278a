//! What agents and people wrote, made harmless to a terminal.
//!
//! Invariant: what comes out holds no control character but newlines and tabs, and none that changes the direction of
//! writing. What was taken out of a command or a name stands there in visible form: what is shown is what ran.

use std::fmt::Write;

/// For commands, paths, patterns, inputs: everything that cannot be seen is written out.
pub(super) fn reveal(text: &str) -> String {
    shown(text, is_unseen)
}

/// For names and titles: the same, on one line.
pub(super) fn one_line(text: &str) -> String {
    shown(text, |c| is_unseen(c) || c == '\n' || c == '\t')
}

/// For prose: joiners and marks belong to many scripts and stay.
pub(super) fn prose(text: &str) -> String {
    shown(text, |c| is_control(c) || turns_direction(c))
}

/// For a tool's output: colours and other escape sequences are left out, and a line that was written over is as a terminal
/// would show it. What is left of control characters is written out.
pub(super) fn output(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        // One that is not whole hides nothing: it stays, and is written out below.
        let length = sequence_bytes(from).unwrap_or(1);
        if length == 1 {
            clean.push('\u{1b}');
        }
        rest = &from[length..];
    }
    clean.push_str(rest);
    let lines: Vec<&str> = clean.split('\n').map(overwritten).collect();
    reveal(&lines.join("\n"))
}

fn shown(text: &str, hidden: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !hidden(c) {
            out.push(c);
            continue;
        }
        // Writing into a string cannot fail.
        let _ = match c {
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            c if u32::from(c) < 0x100 => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    out
}

/// C0 without newline and tab, DEL, C1; and the two separators that some terminals take for newlines.
fn is_control(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Bidirectional marks, embeddings, overrides and isolates (UAX #9).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// All that, and what has no width or no picture.
fn is_unseen(c: char) -> bool {
    is_control(c)
        || turns_direction(c)
        || matches!(
            c,
            '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}' | '\u{200b}'..='\u{200d}'
                | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The length of the escape sequence at the beginning (ECMA-48 section 5.4 and 5.6), if it is a whole one.
fn sequence_bytes(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match *bytes.get(1)? {
        b'[' => {
            let end = 2 + bytes[2..].iter().position(|byte| !(0x20..=0x3f).contains(byte))?;
            (0x40..=0x7e).contains(&bytes[end]).then_some(end + 1)
        }
        // Strings: titles, links, what a terminal may answer to. Ended by BEL or ESC \.
        b']' | b'P' | b'X' | b'^' | b'_' => {
            let end = 2 + bytes[2..].iter().position(|byte| matches!(byte, 0x07 | 0x1b))?;
            match bytes[end] {
                0x07 => Some(end + 1),
                _ => (bytes.get(end + 1) == Some(&b'\\')).then_some(end + 2),
            }
        }
        0x20..=0x2f => {
            let end = 2 + bytes[2..].iter().position(|byte| !(0x20..=0x2f).contains(byte))?;
            (0x30..=0x7e).contains(&bytes[end]).then_some(end + 1)
        }
        0x30..=0x7e => Some(2),
        _ => None,
    }
}

/// A carriage return begins the line anew: of a progress bar the last state is left.
fn overwritten(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_shows_everything() {
        assert_eq!(reveal("ls\u{1b}[2K\u{202e}x\u{9b}1m\u{200b}\r"), r"ls\x1b[2K\u{202e}x\x9b1m\u{200b}\r");
        assert_eq!(reveal("a\n\tb é 漢 🙂"), "a\n\tb é 漢 🙂");
        assert_eq!(one_line("a\nb\tc"), r"a\nb\tc");
    }

    #[test]
    fn prose_keeps_its_script() {
        assert_eq!(prose("👩\u{200d}🚒 \u{fe0f} \u{202e}\u{7}"), "👩\u{200d}🚒 \u{fe0f} \\u{202e}\\x07");
    }

    #[test]
    fn output_loses_its_colours_and_nothing_else() {
        assert_eq!(
            output("\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}]8;;http://h\u{1b}\\link\u{1b}(B"),
            "red xlink"
        );
        assert_eq!(output(" 10%\r 50%\r100%\r\ndone\r\n"), "100%\ndone\n");
        assert_eq!(output("\u{1b}[31"), r"\x1b[31");
        assert_eq!(output("\u{1b}]0;never ended"), r"\x1b]0;never ended");
        assert_eq!(output("\u{1b}\u{1b}[31mx\u{9b}31m\u{1b}é"), "\\x1bx\\x9b31m\\x1bé");
    }

    proptest! {
        #[test]
        fn nothing_harmful_comes_out(text in r"(\PC|[\x00-\x1f\x7f\x80-\x9f\u{202a}-\u{202e}\u{2066}-\u{2069}\u{2028}\[\];m\\0-9]|\x1b[\[\]P]){0,60}") {
            for shown in [reveal(&text), one_line(&text), prose(&text), output(&text)] {
                prop_assert!(!shown.chars().any(|c| is_control(c) || turns_direction(c)), "{:?}", shown);
            }
            prop_assert!(!one_line(&text).contains(['\n', '\t']));
        }
    }
}
