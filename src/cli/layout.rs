//! Lines that fit: tabs, wrapping and cutting, by columns. Pure; expects text that was made harmless.

/// A tab goes to the next multiple of so many columns.
const TAB_COLUMNS: usize = 8;
/// What stands for what was cut.
pub(super) const CUT: &str = "...";

/// Columns that a text takes, near enough: wide characters count two, and what combines is not known to us.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

fn width(c: char) -> usize {
    match u32::from(c) {
        // Hangul, CJK and its forms, pictures (UAX #11, roughly).
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1faff
        | 0x20000..=0x3fffd => 2,
        0x0300..=0x036f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        _ => 1,
    }
}

/// A line with its tabs as spaces.
pub(super) fn expand_tabs(line: &str) -> String {
    if !line.contains('\t') {
        return line.to_owned();
    }
    let mut out = String::with_capacity(line.len() + TAB_COLUMNS);
    let mut at = 0;
    for c in line.chars() {
        let wide = if c == '\t' { TAB_COLUMNS - at % TAB_COLUMNS } else { width(c) };
        if c == '\t' {
            out.extend(std::iter::repeat_n(' ', wide));
        } else {
            out.push(c);
        }
        at += wide;
    }
    out
}

/// A line as several that fit, broken at spaces, indented as it was; an item of a list hangs from its mark. A word that does
/// not fit stays whole, so that it can be copied.
pub(super) fn wrap(line: &str, wide: usize) -> Vec<String> {
    if columns(line) <= wide {
        return vec![line.to_owned()];
    }
    let (mut current, indent) = indents(line);
    let mut lines = Vec::new();
    let mut at = columns(&current);
    let mut is_empty = true;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let word_columns = columns(word);
        if !is_empty && at + 1 + word_columns > wide {
            lines.push(std::mem::replace(&mut current, indent.clone()));
            at = columns(&indent);
            is_empty = true;
        }
        if !is_empty {
            current.push(' ');
            at += 1;
        }
        current.push_str(word);
        at += word_columns;
        is_empty = false;
    }
    lines.push(current);
    lines
}

/// What the first line of a wrapped one begins with, and what the others do.
fn indents(line: &str) -> (String, String) {
    let spaces: String = line.chars().take_while(|c| *c == ' ').collect();
    let word = line.trim_start_matches(' ').split(' ').next().unwrap_or_default();
    let is_number = |word: &str| !word.is_empty() && word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_mark = matches!(word, "-" | "*" | "\u{2022}") || word.strip_suffix('.').is_some_and(is_number);
    let hanging = if is_mark { " ".repeat(columns(word) + 1) } else { String::new() };
    let others = format!("{spaces}{hanging}");
    (spaces, others)
}

/// The beginning of a line that fits, marked when something was cut.
pub(super) fn clip(line: &str, wide: usize) -> String {
    if columns(line) <= wide {
        return line.to_owned();
    }
    let room = wide.saturating_sub(CUT.len());
    let mut at = 0;
    let kept = line.chars().take_while(|c| {
        at += width(*c);
        at <= room
    });
    kept.chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wraps_at_spaces_and_keeps_the_indent_and_long_words() {
        assert_eq!(wrap("  one two three", 9), ["  one two", "  three"]);
        assert_eq!(wrap("see http://a.very.long/link now", 10), ["see", "http://a.very.long/link", "now"]);
        assert_eq!(wrap("a  table   stays", 20), ["a  table   stays"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap(" - one two", 7), [" - one", "   two"]);
        assert_eq!(wrap("10. one two", 8), ["10. one", "    two"]);
        assert_eq!(wrap("漢字 漢字", 5), ["漢字", "漢字"]);
    }

    #[test]
    fn clips_and_expands() {
        assert_eq!((clip("abcdef", 6), clip("abcdefg", 6)), ("abcdef".to_owned(), "abc...".to_owned()));
        assert_eq!(expand_tabs("a\tb\t\tc"), "a       b               c");
    }

    proptest! {
        #[test]
        fn wrapping_loses_no_word(line in "[a-z漢 ]{0,80}", wide in 1_usize..40) {
            let lines = wrap(&line, wide);
            let words: Vec<&str> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            prop_assert_eq!(words, line.split_whitespace().collect::<Vec<_>>());
            for line in &lines {
                prop_assert!(columns(line) <= wide || line.split_whitespace().count() <= 1, "{:?}", line);
            }
            prop_assert!(columns(&clip(&line, wide)) <= wide.max(CUT.len()));
        }
    }
}
