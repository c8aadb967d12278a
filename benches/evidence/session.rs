//! A session with a turn at work, and events as an import makes them of an agent's output.

use std::sync::Mutex;
use std::time::Instant;

use breakglass::access::Origin;
use breakglass::agent::translate;
use breakglass::ids::{PromptKey, SessionId};
use breakglass::log::{Log, LogEnd, NewEvent, NewSession, OpenTurn, Opened, Place, Progress, Shared};
use breakglass::mask::Masks;
use breakglass::protocol::event::Body;

use super::measured::Appended;

/// What an import says of its spool.
pub(crate) const PROGRESS: Progress = Progress { spool_bytes: 1, started: None, result_is_error: None, masked: 0 };

fn text(number: usize) -> String {
    format!("{number} {}", "checking disk ".repeat(10))
}

/// So many lines of the agent's, each with one text.
pub(crate) fn output(count: usize) -> Vec<String> {
    let line = |number| {
        format!(
            r#"{{"type":"assistant","message":{{"model":"claude-sonnet-4-5","id":"msg_01","type":"message","role":"assistant","content":[{{"type":"text","text":"{}"}}],"stop_reason":null,"stop_sequence":null,"usage":{{"input_tokens":3,"cache_creation_input_tokens":100,"cache_read_input_tokens":0,"output_tokens":5,"service_tier":"standard"}}}},"parent_tool_use_id":null,"session_id":"0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55","uuid":"0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d56"}}"#,
            text(number)
        )
    };
    (0..count).map(line).collect()
}

/// What an import makes of them.
pub(crate) fn read(lines: &[String]) -> Shared {
    let masks = Masks::none();
    let events = lines.iter().flat_map(|line| translate::line(line.as_bytes()).events);
    let masked = events.map(|mut event| {
        masks.apply(&mut event.body);
        NewEvent::new(event.reference.as_deref(), &event.body)
    });
    masked.collect()
}

/// The same without anything to be read.
pub(crate) fn at_hand(count: usize) -> Shared {
    (0..count).map(|number| NewEvent::from(&Body::Text { text: text(number).into() })).collect()
}

/// A session with a turn at work, and where its log ends, as an import knows it.
pub(crate) struct Session {
    pub(crate) place: Place,
    pub(crate) end: Mutex<Option<LogEnd>>,
}

impl Session {
    pub(crate) async fn new(log: &Log) -> Self {
        let id = SessionId::random();
        let words = || "bench".to_owned();
        let new = NewSession { id, title: None, by: words(), agent: words(), model: words() };
        let session = log.create_session(new).await.unwrap().unwrap().0.key;
        let turn = OpenTurn {
            session,
            session_id: id,
            key: PromptKey::random(),
            text: words(),
            by: words(),
            origin: Origin { role: words(), how: words(), address: None, client: words() },
            agent: words(),
            model: words(),
        };
        match log.open_turn(turn).await.unwrap() {
            Opened::New { place, .. } => Self { place, end: Mutex::default() },
            Opened::Known(_) => panic!("a new key is not known"),
        }
    }

    pub(crate) fn end(&self) -> Option<LogEnd> {
        self.end.lock().unwrap().clone()
    }

    /// Offers one event, and waits until it is durable.
    pub(crate) async fn append_one(&self, log: &Log) -> Appended {
        let (line, end) = (output(1), self.end());
        let begun = Instant::now();
        let offer = log.offer(self.place, read(&line), end.as_ref());
        let end = log.import(self.place, offer, PROGRESS).await.unwrap();
        *self.end.lock().unwrap() = end;
        (1, begun.elapsed().as_secs_f64() * 1e6)
    }
}
