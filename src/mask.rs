//! Secrets cut out of what an agent says, before it is logged or sent.
//!
//! Invariant: pure and total; what is not a secret by `SHAPES` or by the operator's own list stays as it is, byte for byte,
//! and masking what is masked changes nothing. Works on one event at a time: an event is a whole block of text, a whole
//! tool call or a whole output. Knows nothing of where events come from or go.
//!
//! It lessens what a log gives away; it is no wall: an agent can spell a secret in ways that no list knows.

use regex::{Captures, Regex};
use serde_json::Value;

use crate::protocol::event::{Body, State, Status};

/// What stands in the place of a secret.
pub const MASK: &str = "[masked]";

/// A shorter value would be found everywhere.
const LITERAL_CHARS_MIN: usize = 6;

/// Known shapes. A group named `k` before the secret, or `z` behind it, stays; the rest of a match goes. Each is linear in
/// the text's length (the regex crate's guarantee).
const SHAPES: &[&str] = &[
    // A private key in PEM; one that is cut off goes to the end of what looks like it.
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=:,\- \t\r\n.\\]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/= \t\r\n\\]*)",
    // Our own tokens and sign-ins.
    r"\bbg_[0-9a-v]{58}\b",
    // Amazon: key ids, and secrets by their names.
    r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b",
    r#"(?i-u)(?P<k1>aws_?(?:secret_?access_?key|session_?token)["']?[ \t]*[=:][ \t]*["']?)[A-Za-z0-9/+=]{16,}"#,
    // Google, GitHub, GitLab, Slack, Stripe, npm, PyPI, Hugging Face, DigitalOcean, HashiCorp Vault, age, Anthropic, OpenAI.
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\bya29\.[0-9A-Za-z_-]{20,}",
    r"\b(?:gh[pousr]_[0-9A-Za-z]{36,}|github_pat_[0-9A-Za-z_]{22,})",
    r"\bglpat-[0-9A-Za-z_-]{20,}",
    r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}",
    r"\bnpm_[0-9A-Za-z]{36}\b",
    r"\bpypi-[0-9A-Za-z_-]{50,}",
    r"\bhf_[0-9A-Za-z]{30,}",
    r"\bdo[opr]_v1_[0-9a-f]{64}\b",
    r"\bhv[sbr]\.[0-9A-Za-z_-]{24,}",
    r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b",
    r"\bsk-(?:ant-|proj-|svcacct-)?[0-9A-Za-z_-]{20,}",
    // JSON Web Tokens.
    r"\beyJ[0-9A-Za-z_-]{10,}\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    // What a header or a command line says is a credential.
    r"(?i-u)(?P<k2>\bbearer[ \t]+)[0-9A-Za-z._~+/=-]{16,}",
    r"(?i-u)(?P<k3>\bauthorization:[ \t]*(?:basic|token)[ \t]+)[0-9A-Za-z._~+/=-]{6,}",
    // A password in a URL.
    r#"(?P<k4>\b[A-Za-z][0-9A-Za-z+.-]*://[^ \t\r\n/?#:@"'<>]*:)[^ \t\r\n/?#@"'<>]+(?P<z>@)"#,
];

/// Why a value cannot be masked. The value itself is not said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// It would be found everywhere.
    #[error("value {place} has fewer than {LITERAL_CHARS_MIN} characters and would be found everywhere; leave it out")]
    TooShort {
        /// Which, from 1.
        place: usize,
    },
    /// There are too many, or they are too long.
    #[error("the values are too many: {0}")]
    TooMany(String),
}

/// What is masked.
#[derive(Debug, Clone)]
pub struct Masks {
    pattern: Option<Regex>,
}

impl Masks {
    /// Nothing.
    pub fn none() -> Self {
        Self { pattern: None }
    }

    /// Known shapes, and these values.
    ///
    /// # Errors
    /// [`MaskError`] when a value is too short.
    pub fn new(literals: &[String]) -> Result<Self, MaskError> {
        let short = literals.iter().position(|literal| literal.chars().count() < LITERAL_CHARS_MIN);
        if let Some(place) = short {
            return Err(MaskError::TooShort { place: place + 1 });
        }
        // The longest first: one value may be the beginning of another.
        let mut literals: Vec<&String> = literals.iter().collect();
        literals.sort_by_key(|literal| std::cmp::Reverse(literal.len()));
        let literals = literals.into_iter().map(|literal| regex::escape(literal));
        // The boundary of an ASCII word: secrets have no other letters, and the search stays fast among those that have.
        let shapes = SHAPES.iter().map(|shape| shape.replace(r"\b", r"(?-u:\b)"));
        let alternatives: Vec<String> = literals.chain(shapes).map(|one| format!("(?:{one})")).collect();
        let pattern = Regex::new(&alternatives.join("|")).map_err(|error| MaskError::TooMany(error.to_string()))?;
        Ok(Self { pattern: Some(pattern) })
    }

    /// Masks an event; how many secrets were cut out.
    pub fn apply(&self, body: &mut Body) -> u64 {
        match body {
            Body::Text { text } => self.value(text),
            Body::Tool { input, .. } => self.value(input),
            Body::ToolResult { output, .. } => self.text(output),
            Body::Result { result, .. } => self.value(result),
            Body::Error { error } => self.text(error),
            Body::Status(Status { state: State::Retrying { .. }, detail }) => self.text(detail),
            // What people typed is theirs, and is what the agent was given; the rest is the gateway's own.
            Body::User { .. } | Body::Session { .. } | Body::Cancelled { .. } | Body::TurnEnd(_) | Body::Status(_) => 0,
        }
    }

    fn value(&self, value: &mut Value) -> u64 {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().map(|item| self.value(item)).sum(),
            Value::Object(members) => members.values_mut().map(|member| self.value(member)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
    }

    /// Masks a text; how many secrets were cut out.
    pub fn text(&self, text: &mut String) -> u64 {
        let Some(pattern) = self.pattern.as_ref().filter(|pattern| pattern.is_match(text)) else { return 0 };
        let mut count = 0;
        let masked = pattern.replace_all(text, |found: &Captures<'_>| {
            let kept = ["k1", "k2", "k3", "k4"].iter().find_map(|name| found.name(name));
            let (before, behind) = (kept.map_or("", |kept| kept.as_str()), found.name("z").map_or("", |z| z.as_str()));
            if &found[0] == format!("{before}{MASK}{behind}").as_str() {
                return found[0].to_owned();
            }
            count += 1;
            format!("{before}{MASK}{behind}")
        });
        *text = masked.into_owned();
        count
    }
}

#[cfg(test)]
#[path = "mask/tests.rs"]
mod tests;
