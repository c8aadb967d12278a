//! The `events` directive: many texts, for measurements.
//!
//! Invariant: text `i` begins with `#i `, counted from 1, so that a reader can tell what is missing; every line is whole in
//! one write. A line is made from a template, because building JSON a million times would measure the drill.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

/// How much is gathered for one write when nothing throttles it, bytes.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// What to write.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Events {
    pub(super) count: u64,
    /// How many a second; `None`: as fast as they can be written.
    pub(super) rate: Option<f64>,
    /// How long a text is at least, bytes.
    pub(super) size_bytes: usize,
    /// Whether a text says when it was written.
    pub(super) stamped: bool,
}

impl Events {
    /// The text with this index, from 1.
    pub(super) fn text(&self, index: u64) -> String {
        let mut text = format!("#{index} ");
        if self.stamped {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            text.push_str(&format!("t={} ", since.as_nanos()));
        }
        let missing = self.size_bytes.saturating_sub(text.len());
        text.extend(std::iter::repeat_n('x', missing));
        text
    }

    /// When the text with this index is due, from the beginning.
    pub(super) fn due(&self, index: u64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "an index is far below 2^53")]
        self.rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64((index - 1) as f64 / rate))
    }
}

/// A text line with holes for its text and its uuid.
pub(super) struct Template {
    parts: [String; 3],
}

impl Template {
    /// From a line that was made with `text` as its text, which must stand nowhere else in it.
    pub(super) fn new(line: &Value, text: &str) -> Self {
        let uuid = line["uuid"].as_str().unwrap_or_default();
        let whole = line.to_string();
        let (head, rest) = whole.split_once(text).unwrap_or((&whole, ""));
        let (middle, tail) = rest.split_once(uuid).unwrap_or((rest, ""));
        Self { parts: [head, middle, tail].map(str::to_owned) }
    }

    /// Adds a line with its newline. `text` must need no escape in JSON.
    pub(super) fn add(&self, buffer: &mut String, text: &str) {
        let [head, middle, tail] = &self.parts;
        let uuid = Uuid::new_v4();
        buffer.push_str(head);
        buffer.push_str(text);
        buffer.push_str(middle);
        buffer.push_str(uuid.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        buffer.push_str(tail);
        buffer.push('\n');
    }
}
