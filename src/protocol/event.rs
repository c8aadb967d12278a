//! The stored vocabulary: what an event's body can be (protocol.md section 2).
//!
//! Invariant: the bodies of `session`, `text`, `tool`, `result` and `error` are what the seed's `translate_event` and
//! `run_turn` produce, value for value. Where the seed hands an agent's value through unchecked, so does this: the fields
//! are JSON values, though the real agent always gives the type that the schema names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{Seq, SessionId, TurnId};

/// What happened, `kind` first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// A prompt was accepted; opens the turn.
    User {
        /// The prompt.
        text: String,
        /// Who asked: the name of a token, or of a proxy's user.
        by: String,
        /// The model that the agent is told to use.
        model: String,
    },
    /// The agent said which conversation it is in.
    Session {
        /// The agent's own name for the conversation.
        #[schemars(with = "String")]
        session_id: Value,
    },
    /// Assistant prose.
    Text {
        /// One block of prose, never empty.
        #[schemars(with = "String")]
        text: Value,
    },
    /// The agent used a tool.
    Tool {
        /// The tool's name.
        #[schemars(with = "String")]
        name: Value,
        /// What it was called with.
        #[schemars(with = "serde_json::Map<String, Value>")]
        input: Value,
    },
    /// A tool came back.
    ToolResult {
        /// Whether the tool failed.
        is_error: bool,
        /// Its output; of a long one the head and the tail.
        output: String,
        /// The full length of its output, bytes.
        bytes: u64,
    },
    /// The agent's own final result; a turn can have more than one.
    Result {
        /// Whether the agent calls it a failure.
        is_error: bool,
        /// The final words, as the agent gave them.
        result: Value,
        /// Milliseconds by the agent's own clock, as it gave them.
        duration_ms: Value,
    },
    /// Something that people should know and that is not the agent's own words.
    Status(Status),
    /// The turn failed.
    Error {
        /// What went wrong: the agent's stderr, or what the gateway saw.
        error: String,
    },
    /// Somebody stopped the turn.
    Cancelled {
        /// Who.
        by: String,
    },
    /// Always the last event of a turn, exactly once.
    TurnEnd(TurnEnd),
}

impl Body {
    /// The `kind`, as on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Session { .. } => "session",
            Self::Text { .. } => "text",
            Self::Tool { .. } => "tool",
            Self::ToolResult { .. } => "tool_result",
            Self::Result { .. } => "result",
            Self::Status(_) => "status",
            Self::Error { .. } => "error",
            Self::Cancelled { .. } => "cancelled",
            Self::TurnEnd(_) => "turn_end",
        }
    }
}

/// The body of a `status` event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Which state, with the fields that belong to it.
    #[serde(flatten)]
    pub state: State,
    /// The same in words, for people.
    pub detail: String,
}

/// What a `status` event tells of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// The agent's API is overloaded or out of reach, and the agent tries again.
    Retrying {
        /// Which attempt failed, from 1.
        attempt: u64,
        /// How many there will be.
        max_attempts: u64,
        /// How long until the next, milliseconds.
        wait_ms: u64,
    },
    /// The gateway restarted during this turn and took it up again.
    Adopted,
    /// The agent had lost the conversation and began a new one.
    NewConversation,
}

/// The body of a `turn_end` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnEnd {
    /// How the turn ended.
    pub outcome: Outcome,
    /// The agent's exit code; null when a signal ended it or nobody knows.
    pub exit_code: Option<i32>,
    /// From the prompt's acceptance to the end of the agent, milliseconds.
    pub duration_ms: u64,
    /// Processes of the agent that live on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftProcess>,
    /// How many secrets were cut out of the turn's events; absent when none was.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub masked: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The agent ended by itself and calls it a success.
    Ok,
    /// The agent failed, or could not start.
    Error,
    /// Somebody stopped it.
    Cancelled,
    /// It took longer than the turn time-out.
    Timeout,
    /// Nobody knows: its supervisor died, or the machine restarted.
    Lost,
}

impl Outcome {
    /// Reads an outcome as on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ok, Self::Error, Self::Cancelled, Self::Timeout, Self::Lost].into_iter().find(|one| one.as_str() == text)
    }

    /// The outcome, as on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
        }
    }
}

/// A process that the agent started and that outlives the turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftProcess {
    /// Its process id.
    pub pid: u32,
    /// Its command line, shortened.
    pub command: String,
}

/// A whole event record: the envelope, then the body (protocol.md section 2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The session whose log this is in.
    pub session: SessionId,
    /// Its place in that log.
    pub seq: Seq,
    /// When it was logged: UTC, RFC 3339, milliseconds.
    pub time: String,
    /// The turn it belongs to.
    pub turn: TurnId,
    /// The agent's own id of a tool use: the same on a `tool` and its `tool_result`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub body: Body,
    /// Set when long strings in the body were cut so that the record is at most 1 MiB.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

impl Record {
    /// Reads a stored record, or an event frame. `None`: it is of a kind that this program does not know, or damaged.
    ///
    /// What agents gave may hold numbers of any length, which serde's tagged types cannot carry: those fields go around them.
    pub fn read(text: &str) -> Option<Self> {
        let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
        let own: &[&str] = match fields.get("kind")?.as_str()? {
            "session" => &["session_id"],
            "text" => &["text"],
            "tool" => &["name", "input"],
            "result" => &["result", "duration_ms"],
            _ => &[],
        };
        let mut own: Vec<Value> = own.iter().filter_map(|name| fields.get_mut(*name).map(Value::take)).collect();
        let mut record: Self = serde_json::from_value(Value::Object(fields)).ok()?;
        match &mut record.body {
            Body::Session { session_id: only } | Body::Text { text: only } => *only = own.pop()?,
            Body::Tool { name: first, input: second } | Body::Result { result: first, duration_ms: second, .. } => {
                (*second, *first) = (own.pop()?, own.pop()?);
            }
            _ => {}
        }
        Some(record)
    }
}
