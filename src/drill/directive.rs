//! Directives in a prompt: `[[name:value]]` to steps (`help.txt` lists them).
//!
//! Invariant: a prompt is either understood whole or refused with the directive and what is wrong with it; every amount has
//! a bound. Text without a directive is nothing to this module.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::events::Events;
use super::play::{Settings, Speed, Step, ToolUse};

/// The most directives in one prompt.
const DIRECTIVES_MAX: usize = 1_000;
/// The most texts of one `events`: hours of the fastest replay.
const EVENTS_MAX: u64 = 10_000_000;
/// The longest text of an `events`, bytes: an event record's own limit.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// The most bytes of text of one `events`: what a careless prompt may put on a disk.
const EVENTS_BYTES_MAX: u64 = 8 << 30;
/// The fastest rate of `events`, a second: beyond it no clock is fine enough.
const RATE_MAX: f64 = 1_000_000.0;
/// The longest text of a `big`, bytes.
const BIG_BYTES_MAX: usize = 64 << 20;
/// The longest `wait`, milliseconds: a day.
const WAIT_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// The most lines of one `retry`.
const RETRIES_MAX: u32 = 100;
/// The bounds of `speed`.
const SPEED: std::ops::RangeInclusive<f64> = 0.01..=1_000.0;

/// How much of a directive an error repeats, characters.
const SHOWN_CHARS: usize = 64;

/// A directive that cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("`[[{directive}`: {problem} (`breakglass drill --help` lists the directives)")]
pub(super) struct BadDirective {
    directive: String,
    problem: String,
}

/// What the directives of a prompt ask for, in their order.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) settings: Settings,
    pub(super) steps: Vec<Step>,
    /// The text beside them.
    pub(super) prose: String,
}

/// Reads a prompt.
pub(super) fn parse(prompt: &str) -> Result<Script, BadDirective> {
    let mut script = Script::default();
    let mut rest = prompt;
    let mut count = 0;
    while let Some(found) = next(rest) {
        let bad = |problem: String| BadDirective { directive: found.shown(), problem };
        count += 1;
        if count > DIRECTIVES_MAX {
            return Err(bad(format!("a prompt may hold {DIRECTIVES_MAX} directives")));
        }
        let end = found.end.ok_or_else(|| bad("is not closed by `]]`".to_owned()))?;
        script.prose.push_str(found.before);
        add(&mut script, found.name, &found.text[found.value..end]).map_err(bad)?;
        rest = &found.text[end + 2..];
    }
    script.prose.push_str(rest);
    Ok(script)
}

/// A directive, found.
struct Found<'a> {
    /// What stands before its `[[`.
    before: &'a str,
    /// From behind the `[[` to the end of the prompt.
    text: &'a str,
    name: &'a str,
    /// Where in `text` the value begins.
    value: usize,
    /// Where in `text` the closing `]]` stands.
    end: Option<usize>,
}

impl Found<'_> {
    fn shown(&self) -> String {
        let whole = self.end.map_or(self.text, |end| &self.text[..end + 2]);
        let mut shown: String = whole.chars().take(SHOWN_CHARS).collect();
        if shown.len() < whole.len() {
            shown.push('…');
        }
        shown
    }
}

/// The next `[[` that a name follows: `[[ -f x ]]` in a prompt is a shell's, not ours.
fn next(text: &str) -> Option<Found<'_>> {
    let mut from = 0;
    loop {
        let opening = from + text.get(from..)?.find("[[")?;
        let rest = &text[opening + 2..];
        let name_end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(name_end);
        if name.is_empty() || !(behind.starts_with(':') || behind.starts_with("]]")) {
            from = opening + 1;
            continue;
        }
        let value = name_end + usize::from(behind.starts_with(':'));
        let end = closing(&rest[value..]).map(|at| value + at);
        return Some(Found { before: &text[..opening], text: rest, name, value, end });
    }
}

/// The first `]]` before which all square brackets pair up; if there is none, the first.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_i64;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b']' if open == 0 && text[at..].starts_with("]]") => return Some(at),
            b']' => open -= 1,
            b'[' => open += 1,
            _ => {}
        }
    }
    text.find("]]")
}

fn add(script: &mut Script, name: &str, value: &str) -> Result<(), String> {
    match name {
        "speed" => script.settings.speed = speed(value)?,
        "deaf" => script.settings.deaf = bare(value, true)?,
        "noresult" => script.settings.no_result = bare(value, true)?,
        _ => script.steps.push(step(name, value)?),
    }
    Ok(())
}

fn step(name: &str, value: &str) -> Result<Step, String> {
    Ok(match name {
        "text" => Step::Say(value.to_owned()),
        "tool" => Step::Use(tool(value)?),
        "bash" => Step::Use(bash(value)),
        "fail" => Step::Use(bash(value).failed()),
        "events" => Step::Events(events(value)?),
        "big" => Step::Big(number(value, "BYTES", BIG_BYTES_MAX)?),
        "recall" => bare(value, Step::Recall)?,
        "wait" => Step::Wait(Duration::from_millis(number(value, "MS", WAIT_MS_MAX)?)),
        "hang" => bare(value, Step::Hang)?,
        "retry" => Step::Retry(number(value, "N", RETRIES_MAX)?),
        "line" => Step::Raw(format!("{value}\n").into_bytes()),
        "partial" => Step::Raw(value.as_bytes().to_vec()),
        "bytes" => Step::Raw(hex(value)?),
        "stderr" => Step::Stderr(value.to_owned()),
        "result" => Step::Result(value.to_owned()),
        "error" => Step::ApiError(value.to_owned()),
        "exit" => Step::Exit(number(value, "N", u8::MAX)?),
        _ => return Err("is not a directive".to_owned()),
    })
}

/// What a directive without a value means.
fn bare<T>(value: &str, meaning: T) -> Result<T, String> {
    if value.trim().is_empty() { Ok(meaning) } else { Err("takes no value".to_owned()) }
}

fn number<T: Copy + FromStr + PartialOrd + Display>(text: &str, what: &str, max: T) -> Result<T, String> {
    let value = text.trim().parse::<T>().ok().filter(|value| *value <= max);
    value.ok_or_else(|| format!("{what} must be a whole number of at most {max}"))
}

fn speed(value: &str) -> Result<Speed, String> {
    if value.trim() == "max" {
        return Ok(Speed::Max);
    }
    let factor = value.trim().parse::<f64>().ok().filter(|factor| SPEED.contains(factor));
    let problem = || format!("must be `max` or a number from {} to {}", SPEED.start(), SPEED.end());
    factor.map(Speed::Times).ok_or_else(problem)
}

/// `COMMAND => OUTPUT`
fn bash(value: &str) -> ToolUse {
    let (command, output) = value.split_once("=>").unwrap_or((value, ""));
    let input = json!({"command": command.trim(), "description": "Run a rehearsed command"});
    ToolUse { output: trim_one(output), ..ToolUse::new("Bash", input) }
}

/// `NAME {JSON} => OUTPUT`
fn tool(value: &str) -> Result<ToolUse, String> {
    let value = value.trim_start();
    let name_end = value.find(|c: char| c.is_whitespace() || c == '{').unwrap_or(value.len());
    let (name, rest) = value.split_at(name_end);
    if name.is_empty() {
        return Err("needs a tool's NAME".to_owned());
    }
    let rest = rest.trim_start();
    let (input, rest) = if rest.starts_with('{') { json_object(rest)? } else { (Map::new(), rest) };
    let output = match rest.trim_start() {
        "" => "",
        rest => rest.strip_prefix("=>").ok_or("between input and output stands `=>`")?,
    };
    Ok(ToolUse { output: trim_one(output), ..ToolUse::new(name, Value::Object(input)) })
}

fn json_object(text: &str) -> Result<(Map<String, Value>, &str), String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(object)) => Ok((object, &text[values.byte_offset()..])),
        Some(Err(error)) => Err(format!("its input is not a JSON object: {error}")),
        None => Err("its input is not a JSON object".to_owned()),
    }
}

/// Takes off the one blank behind `=>`; the others may be meant.
fn trim_one(output: &str) -> String {
    output.strip_prefix(' ').unwrap_or(output).to_owned()
}

/// `N rate:R size:BYTES stamp:1`
fn events(value: &str) -> Result<Events, String> {
    let mut words = value.split_whitespace();
    let count = number(words.next().unwrap_or_default(), "N", EVENTS_MAX)?;
    let mut events = Events { count, ..Events::default() };
    for word in words {
        match word.split_once(':') {
            Some(("rate", rate)) => events.rate = Some(self::rate(rate)?),
            Some(("size", size)) => events.size_bytes = number(size, "size", EVENT_BYTES_MAX)?,
            Some(("stamp", "1")) => events.stamped = true,
            Some(("stamp", "0")) => events.stamped = false,
            _ => return Err(format!("`{word}` is none of rate:R, size:BYTES, stamp:1")),
        }
    }
    if count.saturating_mul(events.size_bytes as u64) > EVENTS_BYTES_MAX {
        return Err(format!("N times size must be at most {EVENTS_BYTES_MAX} bytes"));
    }
    Ok(events)
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| *rate > 0.0 && *rate <= RATE_MAX);
    rate.ok_or_else(|| format!("rate must be a number above 0 and of at most {RATE_MAX}"))
}

fn hex(value: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = value.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    };
    digits
        .chunks(2)
        .map(byte)
        .collect::<Option<_>>()
        .ok_or_else(|| "HEX must be pairs of hexadecimal digits".to_owned())
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
