//! What a word is, to the index and to people who search: the one place that splits text.
//!
//! Invariant: text is split in the same way when it is indexed, when it is asked for and when hits are marked. A word is a run of letters and
//! digits, in lower case; scripts that are written without spaces are split character by character. Knows nothing of SQLite.

use std::ops::Range;

/// A longer run is split, characters: base64 and the like would else fill the index with words that nobody types.
const WORD_CHARS_MAX: usize = 64;
/// Marks for one term, at most: a hit shows a few, and a text may hold the same word a hundred thousand times.
const MARKS_MAX: usize = 64;

/// Calls back with each word in lower case, and where it stands.
pub(super) fn each_word(text: &str, mut found: impl FnMut(&str, Range<usize>)) {
    let (mut word, mut start, mut chars) = (String::new(), 0, 0);
    let mut end = |word: &mut String, range: Range<usize>| {
        if !word.is_empty() {
            found(word, range);
            word.clear();
        }
    };
    for (at, c) in text.char_indices() {
        let alone = stands_alone(c);
        if !c.is_alphanumeric() || alone || chars == WORD_CHARS_MAX {
            end(&mut word, start..at);
        }
        if !c.is_alphanumeric() {
            continue;
        }
        if word.is_empty() {
            (start, chars) = (at, 0);
        }
        word.extend(c.to_lowercase());
        chars += 1;
        if alone {
            end(&mut word, start..at + c.len_utf8());
        }
    }
    end(&mut word, start..text.len());
}

/// Han, Kana and the other scripts that have no spaces between words.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The text as the index is given it: its words, with a blank between each two.
pub(super) fn normalized(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    each_word(text, |word, _| {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    });
    words
}

/// Words that must follow each other in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub words: Vec<String>,
    /// The last word may go on.
    pub is_beginning: bool,
}

impl Term {
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut words = Vec::new();
        each_word(text, |word, _| words.push(word.to_owned()));
        (!words.is_empty()).then_some(Self { words, is_beginning: false })
    }

    /// In FTS5's syntax. Words hold letters and digits only, so nothing needs escaping.
    pub(super) fn expression(&self) -> String {
        format!("\"{}\"{}", self.words.join(" "), if self.is_beginning { " *" } else { "" })
    }

    fn fits(&self, run: &[(String, Range<usize>)]) -> bool {
        let last = self.words.len() - 1;
        self.words.iter().zip(run).enumerate().all(|(at, (wanted, (found, _)))| {
            if at == last && self.is_beginning { found.starts_with(wanted.as_str()) } else { found == wanted }
        })
    }
}

/// Where the terms stand in a text, ascending and without overlap. `None`: one of them does not.
pub(super) fn marks(terms: &[Term], text: &str) -> Option<Vec<Range<usize>>> {
    let mut words = Vec::new();
    each_word(text, |word, range| words.push((word.to_owned(), range)));
    let mut marks = Vec::new();
    for term in terms {
        let before = marks.len();
        let runs = words.windows(term.words.len()).filter(|run| term.fits(run));
        let ranges = runs.filter_map(|run| Some(run.first()?.1.start..run.last()?.1.end));
        marks.extend(ranges.take(MARKS_MAX));
        if marks.len() == before {
            return None;
        }
    }
    marks.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(marks.len());
    for range in marks {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_names_and_scripts_are_split_as_people_read_them() {
        assert_eq!(normalized("/var/log/Nginx.CONF max_connections=5%"), "var log nginx conf max connections 5");
        assert_eq!(normalized("磁盘已满 ÉTÉ\0x"), "磁 盘 已 满 été x");
        assert_eq!(normalized(" -- \"*()\u{1b}"), "");
        let long = "a".repeat(150);
        assert_eq!(normalized(&long).split(' ').map(str::len).collect::<Vec<_>>(), [64, 64, 22]);
    }

    #[test]
    fn marks_cover_what_was_asked_for() {
        let term = |text: &str, is_beginning| Term { is_beginning, ..Term::new(text).unwrap() };
        let text = "Disk /dev/sda1 is full; disks are fuller";
        let at = |terms: &[Term]| {
            marks(terms, text).map(|marks| marks.into_iter().map(|range| &text[range]).collect::<Vec<_>>())
        };
        assert_eq!(at(&[term("disk", false), term("full", true)]), Some(vec!["Disk", "full", "fuller"]));
        assert_eq!(at(&[term("/dev/sd", true)]), Some(vec!["dev/sda1"]));
        assert_eq!(at(&[term("full disk", false)]), None);
        assert_eq!(at(&[term("full disk", true)]), Some(vec!["full; disks"]));
        assert_eq!(at(&[term("is full", false), term("full", false)]), Some(vec!["is full"]));
        assert_eq!(at(&[term("absent", false)]), None);
    }
}
