//! The agent's contract: the seed's cases, the recorded output of the real program, and rules that hold for any bytes.

mod command;
mod extra;
mod fixtures;
mod property;
mod seed;
mod wire;

use serde_json::Value;

use super::translate::{Line, line};

/// The events of a line as JSON, bodies only.
fn bodies(line: &Line) -> Vec<Value> {
    line.events.iter().map(|event| serde_json::to_value(&event.body).unwrap()).collect()
}

/// What a line of text becomes.
fn told(text: &str) -> Vec<Value> {
    bodies(&line(text.as_bytes()))
}
