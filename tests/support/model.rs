//! What a client knows after each frame, and whether the gateway kept its word: a pure fold with the protocol's rules.
//!
//! Invariant: a frame that breaks a promise (a gap, a repeated or changed record, a second `caught_up`, an event after
//! `detached`) is an error of the fold, whatever the test at hand was about. Knows nothing of sockets.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

/// One event as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// The record's own bytes, as in an export.
    pub(crate) raw: String,
    /// The same, parsed.
    pub(crate) value: Value,
}

impl Record {
    /// Reads a record and checks its envelope: names, order and forms.
    pub(crate) fn parse(raw: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(raw).map_err(|error| format!("not JSON: {error}"))?;
        let names: Vec<&str> = value.as_object().ok_or("not an object")?.keys().map(String::as_str).collect();
        let envelope: &[&str] = match names.get(4) {
            Some(&"ref") => &["session", "seq", "time", "turn", "ref", "kind"],
            _ => &["session", "seq", "time", "turn", "kind"],
        };
        if !names.starts_with(envelope) {
            return Err(format!("the envelope is not {envelope:?}"));
        }
        let time = value["time"].as_str().unwrap_or_default();
        // 2026-11-21T03:14:15.926Z
        if time.len() != 24 || !time.ends_with('Z') || time.as_bytes()[19] != b'.' {
            return Err(format!("`time` is not UTC with milliseconds: `{time}`"));
        }
        if value["seq"].as_u64().is_none() || value["turn"].as_str().is_none() || value["kind"].as_str().is_none() {
            return Err("`seq`, `turn` or `kind` is of a wrong type".to_owned());
        }
        Ok(Self { raw: raw.to_owned(), value })
    }

    /// Its place in the log.
    pub(crate) fn seq(&self) -> u64 {
        self.value["seq"].as_u64().expect("checked by parse")
    }

    /// What it is.
    pub(crate) fn kind(&self) -> &str {
        self.text("kind")
    }

    /// The turn it belongs to.
    pub(crate) fn turn(&self) -> &str {
        self.text("turn")
    }

    /// A field that is a text; empty when it is not.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_default()
    }

    /// The body alone: what follows the envelope.
    pub(crate) fn body(&self) -> Value {
        let mut body = self.value.clone();
        let fields = body.as_object_mut().expect("checked by parse");
        fields.retain(|name, _| !["session", "seq", "time", "turn", "ref"].contains(&name.as_str()));
        body
    }
}

/// One frame from the gateway.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Its text.
    pub(crate) raw: String,
    /// The same, parsed.
    pub(crate) value: Value,
}

impl Frame {
    /// Its `type`.
    pub(crate) fn kind(&self) -> &str {
        self.value["type"].as_str().unwrap_or_default()
    }

    /// Whether the gateway sends frames of this type on its own, not as a reply.
    pub(crate) fn is_unasked(&self) -> bool {
        matches!(self.kind(), "event" | "caught_up" | "session" | "presence" | "restarting" | "watching_live" | "hello")
    }
}

/// Where an attached session stands on this connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attached {
    head: u64,
    next: u64,
    caught_up: bool,
}

/// One session's log as far as it was seen, over all connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionLog {
    records: BTreeMap<u64, Record>,
    attached: Option<Attached>,
    caught_up: u64,
}

impl SessionLog {
    /// The records, in order.
    pub(crate) fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.values()
    }

    /// The newest seq seen; 0 for none.
    pub(crate) fn last(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// How often the gateway said `caught_up`, over all attaches.
    pub(crate) fn times_caught_up(&self) -> u64 {
        self.caught_up
    }

    /// Whether this connection shows it.
    pub(crate) fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    /// Whether this connection has shown all that was there when it attached.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.caught_up)
    }

    fn take_event(&mut self, record: Record) -> Result<(), String> {
        let seq = record.seq();
        let attached = self.attached.as_mut().ok_or("an event of a session that is not attached")?;
        if seq != attached.next {
            return Err(format!("seq {seq} came where {} is due", attached.next));
        }
        attached.next += 1;
        match self.records.get(&seq) {
            Some(earlier) if *earlier != record => Err(format!("record {seq} changed; it was {}", earlier.raw)),
            Some(_) => Ok(()),
            None => {
                self.records.insert(seq, record);
                Ok(())
            }
        }
    }

    fn take_caught_up(&mut self, seq: u64) -> Result<(), String> {
        let attached = self.attached.as_mut().ok_or("`caught_up` of a session that is not attached")?;
        if std::mem::replace(&mut attached.caught_up, true) {
            return Err("a second `caught_up` for one attach".to_owned());
        }
        if seq < attached.head {
            return Err(format!("caught up at {seq}, before the head {} of `attached`", attached.head));
        }
        if seq + 1 != attached.next {
            return Err(format!("caught up at {seq}, but {} is due next", attached.next));
        }
        self.caught_up += 1;
        Ok(())
    }

    /// Checks the rules of turns over a log that is known from seq 1: one at a time, each opened by a `user` event and
    /// closed by exactly one `turn_end`.
    pub(crate) fn check_turns(&self) -> Result<(), String> {
        let mut open: Option<&str> = None;
        let mut done: Vec<&str> = Vec::new();
        for (due, record) in (1..).zip(self.records.values()) {
            let (seq, kind, turn) = (record.seq(), record.kind(), record.turn());
            match (kind, open) {
                _ if seq != due => return Err(format!("seq {due} is missing")),
                ("user", Some(running)) => return Err(format!("seq {seq} opens a turn while {running} runs")),
                ("user", None) if done.contains(&turn) => return Err(format!("seq {seq} opens {turn} again")),
                ("user", None) => open = Some(turn),
                (_, Some(running)) if running != turn => return Err(format!("seq {seq} is of {turn} in {running}")),
                ("turn_end", Some(_)) => done.extend(open.take()),
                (_, Some(_)) => {}
                ("redaction", None) if done.last() == Some(&turn) => {}
                (_, None) => return Err(format!("seq {seq} (`{kind}`) stands outside of any turn")),
            }
        }
        Ok(())
    }
}

/// How many frames are kept to be shown when a test fails.
const TAIL_FRAMES: usize = 20;

/// Everything that a client was told.
#[derive(Debug, Default)]
pub(crate) struct Model {
    sessions: BTreeMap<String, SessionLog>,
    hello: Option<Value>,
    is_watching: bool,
    tail: VecDeque<String>,
}

impl Model {
    /// A session's log; empty when nothing was seen of it.
    pub(crate) fn session(&self, session: &str) -> SessionLog {
        self.sessions.get(session).cloned().unwrap_or_default()
    }

    /// The same without a copy.
    pub(crate) fn log(&self, session: &str) -> Option<&SessionLog> {
        self.sessions.get(session)
    }

    /// The sessions that this connection shows, each with the newest seq seen.
    pub(crate) fn attached(&self) -> Vec<(String, u64)> {
        let shown = self.sessions.iter().filter(|(_, log)| log.is_attached());
        shown.map(|(session, log)| (session.clone(), log.last())).collect()
    }

    /// The gateway's first frame.
    pub(crate) fn hello(&self) -> &Value {
        self.hello.as_ref().expect("`hello` came first")
    }

    /// What stays when the connection is lost: the logs.
    pub(crate) fn lose_connection(&mut self) {
        self.hello = None;
        self.is_watching = false;
        for log in self.sessions.values_mut() {
            log.attached = None;
        }
    }

    /// The newest frames, for people.
    pub(crate) fn tail(&self) -> String {
        self.tail.iter().map(|raw| format!("\n  {raw}")).collect()
    }

    /// Takes one frame in.
    pub(crate) fn fold(&mut self, raw: &str) -> Result<Frame, String> {
        if self.tail.len() == TAIL_FRAMES {
            self.tail.pop_front();
        }
        self.tail.push_back(raw.chars().take(400).collect());
        let value: Value = serde_json::from_str(raw).map_err(|error| format!("a frame is not JSON: {error}"))?;
        let frame = Frame { raw: raw.to_owned(), value };
        self.take(&frame).map_err(|broken| format!("{broken}\nin {}", self.tail.back().expect("just pushed")))?;
        Ok(frame)
    }

    fn take(&mut self, frame: &Frame) -> Result<(), String> {
        let value = &frame.value;
        let session = value["session"].as_str().unwrap_or_default();
        let number = |name: &str| value[name].as_u64().ok_or_else(|| format!("`{name}` is not a seq"));
        match (frame.kind(), &self.hello) {
            ("hello", None) => self.hello = Some(value.clone()),
            ("hello", Some(_)) => return Err("a second `hello`".to_owned()),
            (_, None) => return Err("`hello` is not the first frame".to_owned()),
            ("event", _) => {
                let rest = frame.raw.strip_prefix(r#"{"type":"event","#).ok_or("an event frame begins otherwise")?;
                let record = Record::parse(&format!("{{{rest}"))?;
                self.sessions.entry(session.to_owned()).or_default().take_event(record)?;
            }
            ("attached", Some(hello)) => {
                if value["epoch"] != hello["epoch"] {
                    return Err("`attached` and `hello` are of different epochs".to_owned());
                }
                let attached = Attached { head: number("head")?, next: number("from")?, caught_up: false };
                if attached.next > attached.head + 1 {
                    return Err("`from` is beyond the head".to_owned());
                }
                self.sessions.entry(session.to_owned()).or_default().attached = Some(attached);
            }
            ("caught_up", _) => {
                self.sessions.entry(session.to_owned()).or_default().take_caught_up(number("seq")?)?;
            }
            ("detached", _) => self.sessions.entry(session.to_owned()).or_default().attached = None,
            ("presence", _) if !self.log(session).is_some_and(SessionLog::is_attached) => {
                return Err("`presence` of a session that is not attached".to_owned());
            }
            ("watching", _) => self.is_watching = true,
            ("unwatched", _) => self.is_watching = false,
            ("session" | "watching_live", _) if !self.is_watching => {
                return Err(format!("`{}` to somebody who does not watch", frame.kind()));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = r#"{"type":"hello","protocol":1,"epoch":"e"}"#;

    fn event(seq: u64, turn: &str, kind: &str) -> String {
        format!(
            r#"{{"type":"event","session":"s","seq":{seq},"time":"2026-11-21T03:14:15.926Z","turn":"{turn}","kind":"{kind}"}}"#
        )
    }

    fn attached(from: u64, head: u64) -> String {
        format!(r#"{{"type":"attached","session":"s","epoch":"e","head":{head},"from":{from},"state":{{}}}}"#)
    }

    fn caught_up(seq: u64) -> String {
        format!(r#"{{"type":"caught_up","session":"s","seq":{seq}}}"#)
    }

    fn fold(frames: &[String]) -> Result<Model, String> {
        let mut model = Model::default();
        model.fold(HELLO)?;
        for frame in frames {
            model.fold(frame)?;
        }
        Ok(model)
    }

    fn refused(frames: &[String]) -> String {
        fold(frames).expect_err("the fold lets it pass")
    }

    #[test]
    fn a_good_stream_folds_to_its_log() {
        let model = fold(&[
            attached(1, 2),
            event(1, "t", "user"),
            event(2, "t", "text"),
            caught_up(2),
            event(3, "t", "turn_end"),
        ]);
        let log = model.expect("nothing is wrong with it").session("s");
        assert_eq!((log.last(), log.times_caught_up(), log.check_turns()), (3, 1, Ok(())));
        assert_eq!(log.records().next().map(|first| &first.raw[..14]), Some(r#"{"session":"s""#));
    }

    #[test]
    fn broken_promises_are_errors() {
        assert!(Model::default().fold(&caught_up(0)).is_err_and(|error| error.contains("hello")));
        let one = || event(1, "t", "user");
        assert!(refused(&[one()]).contains("not attached"));
        assert!(refused(&[attached(1, 0), event(2, "t", "text")]).contains("where 1 is due"));
        assert!(refused(&[attached(1, 0), one(), one()]).contains("where 2 is due"));
        assert!(refused(&[attached(1, 0), caught_up(0), caught_up(0)]).contains("second `caught_up`"));
        assert!(refused(&[attached(1, 2), one(), caught_up(1)]).contains("before the head"));
        assert!(refused(&[attached(1, 0), caught_up(1)]).contains("is due next"));
        assert!(refused(&[attached(1, 1), one(), attached(1, 1), event(1, "u", "user")]).contains("changed"));
        let detached = r#"{"type":"detached","session":"s"}"#.to_owned();
        assert!(refused(&[attached(1, 1), detached, one()]).contains("not attached"));
        assert!(refused(&[r#"{"type":"session","state":{}}"#.to_owned()]).contains("does not watch"));
    }

    #[test]
    fn turns_open_and_close_one_at_a_time() {
        let check = |events: &[(&str, &str)]| {
            let mut frames = vec![attached(1, 0)];
            frames.extend((1..).zip(events).map(|(seq, (turn, kind))| event(seq, turn, kind)));
            fold(&frames).expect("the fold knows no turns").session("s").check_turns()
        };
        assert_eq!(check(&[("a", "user"), ("a", "turn_end"), ("b", "user")]), Ok(()));
        assert!(check(&[("a", "user"), ("b", "user")]).is_err());
        assert!(check(&[("a", "user"), ("b", "text")]).is_err());
        assert!(check(&[("a", "user"), ("a", "turn_end"), ("a", "turn_end")]).is_err());
        assert!(check(&[("a", "user"), ("a", "turn_end"), ("a", "user")]).is_err());
    }
}
