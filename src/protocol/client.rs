//! What clients say over the WebSocket: one JSON object a frame, parsed strictly (protocol.md section 3).
//!
//! Invariant: a frame is either one whole valid request or a refusal that names the field; a field that is not known is
//! refused, so that a mistyped `after` is not a full replay.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{Epoch, PromptKey, Seq, SessionId, TurnId};

/// A client's own name for a request; the reply carries it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestId {
    /// Any text.
    Text(String),
    /// Any integer that a JSON number can carry exactly.
    Number(i64),
}

/// A request, by its `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Start showing a session.
    Attach(Attach),
    /// Stop showing it.
    Detach(Detach),
    /// Make a session.
    Create(Create),
    /// Run a turn.
    Prompt(Prompt),
    /// Stop the running turn.
    Cancel(Cancel),
    /// Follow the list of sessions.
    Watch(Nothing),
    /// Stop following it.
    Unwatch(Nothing),
    /// Liveness, for browsers, which cannot send WebSocket pings.
    Ping(Nothing),
}

/// `attach`: start showing a session's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// Which session.
    pub session: SessionId,
    /// The last seq that the client has; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Seq>,
    /// Only the newest so many events; not together with `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// The epoch that `after` belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// `detach`: stop showing a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Detach {
    /// Which session.
    pub session: SessionId,
}

/// `create`: make a session; idempotent with a client-made id. Also the body of `POST /api/sessions`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// A client-made id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Which agent: `claude` or `drill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The model for turns that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// `prompt`: run a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// In which session.
    pub session: SessionId,
    /// The prompt.
    pub text: String,
    /// A client-made UUID that makes sending it again harmless.
    pub key: PromptKey,
    /// The model, if not the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// `cancel`: stop the running turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// In which session.
    pub session: SessionId,
    /// Only if it is this turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<TurnId>,
}

/// A request without fields of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Why a frame is not a request. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// The request's own id, where one could be read.
    pub id: Option<RequestId>,
    /// What is wrong, and where.
    pub message: String,
}

/// How deep arrays and objects may be nested: no request needs more than two.
pub const DEPTH_MAX: usize = 16;
/// What is said of deeper ones.
pub const TOO_DEEP: &str = "JSON nested too deep: at most 16 arrays and objects in each other";

/// Whether brackets outside of strings are nested deeper than [`DEPTH_MAX`]; looks at bytes alone, and needs no memory.
pub fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Reads one frame.
///
/// # Errors
/// [`Refused`] names what is wrong: not JSON, not an object, an unknown type, a wrong, missing or unknown field.
pub fn parse(text: &str) -> Result<(Option<RequestId>, Request), Refused> {
    let refuse = |id: Option<RequestId>, message: String| Refused { id, message };
    if is_too_deep(text.as_bytes()) {
        return Err(refuse(None, TOO_DEEP.to_owned()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| refuse(None, format!("not JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(refuse(None, "a frame is one JSON object".to_owned()));
    };
    let id = take_id(&mut fields).map_err(|message| refuse(None, message))?;
    match request(fields) {
        Ok(request) => Ok((id, request)),
        Err(message) => Err(refuse(id, message)),
    }
}

fn take_id(fields: &mut Map<String, Value>) -> Result<Option<RequestId>, String> {
    match fields.remove("id") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(RequestId::Text(text))),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(number) => Ok(Some(RequestId::Number(number))),
            None => Err("`id`: a number must be an integer of at most 64 bits".to_owned()),
        },
        Some(_) => Err("`id`: must be a string or an integer".to_owned()),
    }
}

fn request(mut fields: Map<String, Value>) -> Result<Request, String> {
    let name = match fields.remove("type") {
        Some(Value::String(name)) => name,
        Some(_) => return Err("`type`: must be a string".to_owned()),
        None => return Err("`type`: is missing".to_owned()),
    };
    Ok(match name.as_str() {
        "attach" => Request::Attach(read(fields)?),
        "detach" => Request::Detach(read(fields)?),
        "create" => Request::Create(read(fields)?),
        "prompt" => Request::Prompt(read(fields)?),
        "cancel" => Request::Cancel(read(fields)?),
        "watch" => Request::Watch(read(fields)?),
        "unwatch" => Request::Unwatch(read(fields)?),
        "ping" => Request::Ping(read(fields)?),
        _ => {
            let shown: String = name.chars().take(64).collect();
            return Err(format!("`type`: `{shown}` is not a request of this protocol"));
        }
    })
}

/// Reads a request's own fields; the error names the field.
///
/// # Errors
/// A sentence that names the field and what is wrong with it.
pub fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let path = error.path().to_string();
        match path.as_str() {
            "." | "" => error.into_inner().to_string(),
            _ => format!("`{path}`: {}", error.into_inner()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55";

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().message
    }

    #[test]
    fn reads_requests_with_and_without_id() {
        let (id, request) = parse(&format!(r#"{{"type":"attach","id":7,"session":"{SESSION}","after":3}}"#)).unwrap();
        assert_eq!(id, Some(RequestId::Number(7)));
        let session = SESSION.parse().unwrap();
        assert_eq!(request, Request::Attach(Attach { session, after: Some(Seq(3)), tail: None, epoch: None }));
        let (id, request) = parse(r#"{"type":"ping","id":"a"}"#).unwrap();
        assert_eq!((id, request), (Some(RequestId::Text("a".into())), Request::Ping(Nothing {})));
        assert_eq!(parse(r#"{"type":"watch"}"#).unwrap().0, None);
    }

    #[test]
    fn refusals_name_the_field() {
        assert!(refusal("{").starts_with("not JSON"));
        assert!(refusal("[]").contains("object"));
        assert!(refusal("{}").contains("`type`"));
        assert!(refusal(r#"{"type":"fly"}"#).contains("`fly`"));
        assert!(refusal(r#"{"type":"ping","id":{}}"#).contains("`id`"));
        assert!(refusal(r#"{"type":"ping","id":1.5}"#).contains("`id`"));
        assert!(refusal(r#"{"type":"ping","x":1}"#).contains("`x`"));
        assert!(refusal(r#"{"type":"attach"}"#).contains("`session`"));
        assert!(refusal(r#"{"type":"attach","session":"nope"}"#).contains("`session`"));
        let after = refusal(&format!(r#"{{"type":"attach","session":"{SESSION}","after":-1}}"#));
        assert!(after.contains("`after`"), "{after}");
        let typo = refusal(&format!(r#"{{"type":"attach","session":"{SESSION}","aftre":1}}"#));
        assert!(typo.contains("`aftre`"), "{typo}");
        let key = refusal(&format!(r#"{{"type":"prompt","session":"{SESSION}","text":"x","key":"1"}}"#));
        assert!(key.contains("`key`"), "{key}");
    }

    #[test]
    fn depth_is_bounded_outside_of_strings() {
        let nested = |depth: usize| format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(refusal(&nested(15)).contains("`x`"), "deep enough to be read");
        assert_eq!(refusal(&nested(16)), TOO_DEEP);
        assert_eq!(refusal(&nested(500_000)), TOO_DEEP);
        let text = r#"\"[{"#.repeat(100);
        let prompt = format!(r#"{{"type":"prompt","session":"{SESSION}","key":"{SESSION}","text":"{text}"}}"#);
        assert!(parse(&prompt).is_ok());
        assert!(!is_too_deep("[]".repeat(1_000).as_bytes()));
        assert!(TOO_DEEP.contains(&DEPTH_MAX.to_string()));
    }

    #[test]
    fn a_refusal_keeps_the_id() {
        assert_eq!(parse(r#"{"type":"fly","id":9}"#).unwrap_err().id, Some(RequestId::Number(9)));
    }
}
