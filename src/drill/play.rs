//! What is played: steps, from the prompt's directives or from one of the made-up recoveries.
//!
//! Invariant: a pure function of the prompt and of what was asked earlier. Waits for nothing and prints nothing.

use std::time::Duration;

use serde_json::Value;

use super::directive::{self, BadDirective};
use super::events::Events;
use super::scenes;

/// How much of an earlier prompt is repeated, characters.
const RECALLED_CHARS: usize = 80;
/// How many earlier prompts are repeated.
const RECALLED_MAX: usize = 3;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Say something.
    Say(String),
    /// Say what was asked earlier.
    Recall,
    /// Pretend to use a tool.
    Use(ToolUse),
    /// Take some time, of which `speed` makes less.
    Pause(Duration),
    /// Take exactly this time.
    Wait(Duration),
    /// Many texts.
    Events(Events),
    /// One text of so many bytes.
    Big(usize),
    /// Wait for a signal.
    Hang,
    /// Print a line on stderr.
    Stderr(String),
    /// Say so many times that the API is overloaded.
    Retry(u32),
    /// Print bytes.
    Raw(Vec<u8>),
    /// Print a result line, instead of the one at the end.
    Result(String),
    /// End as an API error does.
    ApiError(String),
    /// End with this exit code.
    Exit(u8),
}

/// A tool that seems to be used.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ToolUse {
    pub(super) name: String,
    pub(super) input: Value,
    pub(super) output: String,
    pub(super) is_error: bool,
    /// How long it seems to run, of which `speed` makes less.
    pub(super) takes: Duration,
}

impl ToolUse {
    /// A tool that succeeds at once and without a word.
    pub(super) fn new(name: &str, input: Value) -> Self {
        Self { name: name.to_owned(), input, output: String::new(), is_error: false, takes: Duration::ZERO }
    }

    /// The same, as a command that fails with exit code 1.
    pub(super) fn failed(self) -> Self {
        let output = format!("Exit code 1\n{}", self.output).trim_end().to_owned();
        Self { output, is_error: true, ..self }
    }
}

/// How to play.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings {
    pub(super) speed: Speed,
    /// Ignore SIGINT and SIGTERM.
    pub(super) deaf: bool,
    /// Print no final result line.
    pub(super) no_result: bool,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// So many times faster than a person would like to watch.
    Times(f64),
    /// Without any pause.
    Max,
}

impl Default for Speed {
    fn default() -> Self {
        Self::Times(1.0)
    }
}

impl Speed {
    /// How long a pause is at this speed.
    pub(super) fn paced(self, pause: Duration) -> Duration {
        match self {
            Self::Times(factor) => pause.div_f64(factor),
            Self::Max => Duration::ZERO,
        }
    }
}

/// A whole run.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) settings: Settings,
    pub(super) steps: Vec<Step>,
    /// What `Step::Recall` says.
    pub(super) recollection: String,
}

impl Play {
    /// What a prompt asks for; `earlier` are the prompts before it in the conversation.
    pub(super) fn of(prompt: &str, earlier: &[String]) -> Result<Self, BadDirective> {
        let directive::Script { settings, mut steps, prose } = directive::parse(prompt)?;
        if steps.is_empty() {
            let resumed = (!earlier.is_empty()).then_some(Step::Recall);
            let asked = if prose.trim().is_empty() { prompt } else { &prose };
            steps = resumed.into_iter().chain(scenes::recovery(asked, earlier)).collect();
        }
        Ok(Self { settings, steps, recollection: recollection(earlier) })
    }
}

fn recollection(earlier: &[String]) -> String {
    if earlier.is_empty() {
        return "Nothing was asked earlier in this conversation.".to_owned();
    }
    let quoted: Vec<String> = earlier.iter().rev().take(RECALLED_MAX).rev().map(|prompt| quote(prompt)).collect();
    let (count, left_out) = (earlier.len(), earlier.len() - quoted.len());
    let before = if left_out == 0 { String::new() } else { format!("{left_out} more, then ") };
    let prompts = if count == 1 { "prompt" } else { "prompts" };
    format!("I remember this conversation: {count} {prompts} before this one ({before}{}).", quoted.join(", "))
}

/// The beginning of a prompt, on one line, in quotes.
pub(super) fn quote(prompt: &str) -> String {
    let words = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = words.chars().take(RECALLED_CHARS).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    format!("“{shown}”")
}
