//! A question, read from what people type: words, quoted phrases, filters. Everything is bounded and checked here.
//!
//! Invariant: nothing that was typed reaches SQLite but words of letters and digits and bound values.

use jiff::Timestamp;

use super::words::Term;
use crate::ids::SessionId;
use crate::protocol::event::{KINDS, Outcome};

/// The longest question, bytes: longer ones are pasted by mistake.
const QUERY_BYTES_MAX: usize = 1_024;
/// Words of a question, at most: each costs a walk through the index.
const WORDS_MAX: usize = 32;
/// The longest name that is looked for, characters.
const NAME_CHARS_MAX: usize = 256;
/// Hits on a page, where the question does not say,
const HITS_DEFAULT: usize = 30;
/// and at most.
const HITS_MAX: usize = 100;

/// A question as it comes, each part as text. What is empty counts as not there.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Words.
    pub q: Option<String>,
    /// Only in this session.
    pub session: Option<String>,
    /// Only events of these kinds, with commas between them.
    pub kind: Option<String>,
    /// Only what this person said or asked for.
    pub by: Option<String>,
    /// Only turns that ended so, with commas between them.
    pub outcome: Option<String>,
    /// Not before this time.
    pub from: Option<String>,
    /// Not after this time.
    pub to: Option<String>,
    /// Hits on the page.
    pub limit: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What is wrong with a question.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}`: {problem}")]
pub struct BadQuery {
    parameter: &'static str,
    problem: String,
}

/// A question that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
    pub(super) session: Option<SessionId>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) by: Option<String>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) from_ms: Option<i64>,
    pub(super) to_ms: Option<i64>,
    pub(super) limit: usize,
    pub(super) before: Option<i64>,
}

impl Query {
    /// Reads a question.
    ///
    /// # Errors
    /// [`BadQuery`] names the parameter.
    pub fn read(asked: &Asked) -> Result<Self, BadQuery> {
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let session = some(&asked.session).map(|text| text.parse::<SessionId>()).transpose();
        let query = Self {
            terms: some(&asked.q).map(|text| terms(&text)).transpose().map_err(bad("q"))?.unwrap_or_default(),
            session: session.map_err(|error| bad("session")(error.to_string()))?,
            kinds: list(some(&asked.kind).as_deref(), kind).map_err(bad("kind"))?,
            by: some(&asked.by).map(name).transpose().map_err(bad("by"))?,
            outcomes: list(some(&asked.outcome).as_deref(), outcome).map_err(bad("outcome"))?,
            from_ms: some(&asked.from).map(|text| time_ms(&text)).transpose().map_err(bad("from"))?,
            to_ms: some(&asked.to).map(|text| time_ms(&text)).transpose().map_err(bad("to"))?,
            limit: some(&asked.limit).map_or(Ok(HITS_DEFAULT), |text| limit(&text)).map_err(bad("limit"))?,
            before: some(&asked.cursor).map(|text| cursor(&text)).transpose().map_err(bad("cursor"))?,
        };
        if query.is_empty() {
            return Err(bad("q")("is empty: give words to look for, or another filter".to_owned()));
        }
        Ok(query)
    }

    fn is_empty(&self) -> bool {
        let filters = [self.session.is_some(), self.by.is_some(), self.from_ms.is_some(), self.to_ms.is_some()];
        self.terms.is_empty() && self.kinds.is_empty() && self.outcomes.is_empty() && !filters.contains(&true)
    }
}

fn bad(parameter: &'static str) -> impl FnOnce(String) -> BadQuery {
    move |problem| BadQuery { parameter, problem }
}

/// Splits at blanks and quotes: every piece is a term, the last one a beginning unless it is quoted.
fn terms(text: &str) -> Result<Vec<Term>, String> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(format!("may have {QUERY_BYTES_MAX} bytes; give a few words"));
    }
    let mut terms = Vec::new();
    // A quote that is not closed reaches to the end.
    for (index, part) in text.split('"').enumerate() {
        if index % 2 == 1 {
            terms.extend(Term::new(part));
            continue;
        }
        terms.extend(part.split_whitespace().filter_map(Term::new).map(|term| Term { is_beginning: true, ..term }));
    }
    let words: usize = terms.iter().map(|term| term.words.len()).sum();
    if words == 0 {
        return Err("holds no word: letters or digits are needed".to_owned());
    }
    if words > WORDS_MAX {
        return Err(format!("holds {words} words; at most {WORDS_MAX} are looked for"));
    }
    let last = terms.len() - 1;
    for term in &mut terms[..last] {
        term.is_beginning = false;
    }
    Ok(terms)
}

fn list<T>(text: Option<&str>, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    text.iter().flat_map(|text| text.split(',')).map(|item| read(item.trim())).collect()
}

/// How much of a wrong value an error repeats, characters.
const SHOWN_CHARS: usize = 64;

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

fn kind(text: &str) -> Result<&'static str, String> {
    let known = KINDS.into_iter().find(|kind| *kind == text);
    known.ok_or_else(|| format!("`{}` is none of {}", shown(text), KINDS.join(", ")))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let names = || Outcome::ALL.map(Outcome::as_str).join(", ");
    Outcome::parse(text).ok_or_else(|| format!("`{}` is none of {}", shown(text), names()))
}

fn name(text: String) -> Result<String, String> {
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(format!("may have {NAME_CHARS_MAX} characters"));
    }
    Ok(text)
}

fn time_ms(text: &str) -> Result<i64, String> {
    let time: Result<Timestamp, _> = text.parse();
    time.map(Timestamp::as_millisecond)
        .map_err(|_| format!("`{}` is not a time like `2026-11-21T03:14:15Z` (RFC 3339)", shown(text)))
}

fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=HITS_MAX).contains(limit));
    limit.ok_or_else(|| format!("`{}` is not a whole number from 1 to {HITS_MAX}", shown(text)))
}

fn cursor(text: &str) -> Result<i64, String> {
    let before = text.parse().ok().filter(|before: &i64| *before > 0);
    before.ok_or_else(|| "is not one that a search gave; leave it out to begin anew".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn expressions(text: &str) -> Result<Vec<String>, String> {
        terms(text).map(|terms| terms.iter().map(Term::expression).collect())
    }

    #[test]
    fn operators_are_words_and_quotes_make_phrases() {
        let read = |text| expressions(text).unwrap();
        assert_eq!(read("disk OR full"), ["\"disk\"", "\"or\"", "\"full\" *"]);
        assert_eq!(
            read("NEAR(a b, 2) ^c text:d -e*"),
            ["\"near a\"", "\"b\"", "\"2\"", "\"c\"", "\"text d\"", "\"e\" *"]
        );
        assert_eq!(read("say \"no space left\""), ["\"say\"", "\"no space left\""]);
        assert_eq!(read("a\"b c"), ["\"a\"", "\"b c\""]);
        assert_eq!(read("disk --"), ["\"disk\" *"]);
        assert_eq!(read("\"a\"b"), ["\"a\"", "\"b\" *"]);
        for wrong in ["", " ", "\"", "\"\"", "-- *()", "\0", &"x".repeat(2_000), &"x ".repeat(40)] {
            assert!(expressions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let asked = |name: &str, value: &str| {
            let mut fields = serde_json::json!({ "q": "x" });
            fields[name] = value.into();
            Query::read(&serde_json::from_value(fields).unwrap())
        };
        for (name, wrong) in [
            ("session", "x"),
            ("kind", "txt"),
            ("kind", "text,"),
            ("outcome", "good"),
            ("from", "today"),
            ("to", "0"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "-1"),
            ("cursor", "0"),
            ("cursor", "x"),
            ("q", "?"),
        ] {
            let error = asked(name, wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{name}`")), "{error}");
        }
        assert!(asked("kind", "text, tool").is_ok() && asked("kind", "").is_ok());
        assert_eq!(Query::read(&Asked::default()).unwrap_err().parameter, "q");
        assert!(Query::read(&Asked { by: Some("ana".into()), ..Asked::default() }).is_ok());
    }

    proptest! {
        #[test]
        fn only_letters_digits_and_our_own_syntax_reach_the_index(text in any::<String>()) {
            for expression in expressions(&text).unwrap_or_default() {
                let inner = expression.trim_end_matches(" *").trim_matches('"').to_owned();
                prop_assert!(!inner.is_empty() && !inner.contains(['"', '*', '\0', '(', ')']), "{}", expression);
            }
        }
    }
}
