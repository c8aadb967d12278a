//! Frames from the gateway, read tolerantly: what is not known is nothing.

use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::ids::{Seq, SessionId, TurnId};
use crate::protocol::event::Record;
use crate::protocol::server::Reply;

const EVENT_START: &str = r#"{"type":"event","#;

/// A frame that this program knows.
#[derive(Debug)]
pub enum Incoming {
    /// An event of a session.
    Event(Event),
    /// Anything else.
    Reply(Box<Reply>),
}

/// An event as it came: the record's own bytes, and its envelope.
#[derive(Debug, Clone)]
pub struct Event {
    frame: Utf8Bytes,
    envelope: Envelope,
}

/// The part of a record that a follower needs.
#[derive(Debug, Clone, Deserialize)]
struct Envelope {
    session: SessionId,
    seq: Seq,
    turn: TurnId,
}

impl Event {
    /// Its session.
    pub fn session(&self) -> SessionId {
        self.envelope.session
    }

    /// Its place in the log.
    pub fn seq(&self) -> Seq {
        self.envelope.seq
    }

    /// Its turn.
    pub fn turn(&self) -> TurnId {
        self.envelope.turn
    }

    /// The record's own bytes, less its opening brace: the same as in an export.
    pub fn record_behind_brace(&self) -> &str {
        self.frame.get(EVENT_START.len()..).unwrap_or_default()
    }

    /// The record, read. `None`: it is of a kind that this program does not know.
    pub fn record(&self) -> Option<Record> {
        Record::read(&self.frame)
    }
}

/// Reads a frame. `None`: one that this program does not know, which is no error (protocol.md section 3).
pub(super) fn read(frame: Utf8Bytes) -> Option<Incoming> {
    if frame.starts_with(EVENT_START) {
        let envelope = serde_json::from_str(&frame).ok()?;
        return Some(Incoming::Event(Event { frame, envelope }));
    }
    let value: Value = serde_json::from_str(&frame).ok()?;
    serde_json::from_value(value).ok().map(|reply| Incoming::Reply(Box::new(reply)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::RequestId;
    use crate::protocol::event::Body;
    use crate::protocol::server::Frame;

    const RECORD: &str = r#"{"session":"0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55","seq":7,"time":"2026-11-21T03:14:15.926Z","turn":"1190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55","kind":"tool","name":"Bash","input":{"n":1.50,"big":123456789012345678901234567890}}"#;

    #[test]
    fn an_event_keeps_its_bytes() {
        let frame = format!("{EVENT_START}{}", &RECORD[1..]);
        let Some(Incoming::Event(event)) = read(frame.into()) else { panic!("an event") };
        assert_eq!(format!("{{{}", event.record_behind_brace()), RECORD);
        assert_eq!(event.seq(), Seq(7));
        let Some(Body::Tool { input, .. }) = event.record().map(|record| record.body) else { panic!("a tool") };
        assert_eq!(input.to_string(), r#"{"n":1.50,"big":123456789012345678901234567890}"#);
    }

    #[test]
    fn replies_are_read_and_the_unknown_is_nothing() {
        let Some(Incoming::Reply(reply)) = read(r#"{"type":"restarting","reconnect_ms":5,"id":9,"new":[]}"#.into())
        else {
            panic!("a frame")
        };
        assert_eq!((reply.frame, reply.id), (Frame::Restarting { reconnect_ms: 5 }, Some(RequestId::Number(9))));
        for unknown in [r#"{"type":"fireworks"}"#, "[]", "", r#"{"type":"event","seq":1}"#] {
            assert!(read(unknown.into()).is_none(), "{unknown}");
        }
    }
}
