//! The JSON Schema of the wire, generated from the types: `breakglass schema`, checked in as `docs/protocol.schema.json`.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::client::Request;
use super::event::Record;
use super::search::SearchAnswer;
use super::server::{Frame, Reply};

/// Everything that goes over the wire, each under its own name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Breakglass {
    /// What clients send over the WebSocket (an `id` may be added to each).
    request: Request,
    /// What the gateway sends over the WebSocket, except event frames.
    frame: Frame,
    /// A frame that answers a request.
    reply: Reply,
    /// A stored event; an event frame is this with `"type":"event"` in front.
    record: Record,
    /// The answer to `GET /api/search`.
    search: SearchAnswer,
}

/// The whole schema.
pub fn schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Breakglass>();
    schema.insert("$id".to_owned(), "breakglass.v1".into());
    schema.insert("title".to_owned(), "The breakglass protocol, version 1".into());
    schema
}
