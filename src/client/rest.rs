//! The requests that commands make, by name (protocol.md section 4).

use serde::Deserialize;
use serde_json::Value;

use super::{Download, Gateway, GatewayError};
use crate::ids::SessionId;
use crate::protocol::client::Create;
use crate::protocol::search::Hit;
use crate::protocol::server::SessionState;

/// Sessions that are asked for at a time.
const PAGE_SESSIONS: usize = 200;

/// A session of the list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Read.
    pub state: SessionState,
    /// As it came.
    pub raw: Value,
}

/// A page of the list of sessions.
#[derive(Debug)]
pub struct ListPage {
    /// Latest activity first.
    pub sessions: Vec<Listed>,
    /// How to ask for the next page.
    pub next: Option<String>,
}

/// What to search for; `None` and an empty text say nothing.
#[derive(Debug, Clone, Default)]
pub struct SearchFor {
    /// Words.
    pub q: Option<String>,
    /// Only in this session.
    pub session: Option<String>,
    /// Only these kinds of events.
    pub kind: Option<String>,
    /// Only what this person said or asked for.
    pub by: Option<String>,
    /// Only turns that ended so.
    pub outcome: Option<String>,
    /// Not before.
    pub from: Option<String>,
    /// Not after.
    pub to: Option<String>,
    /// Hits on the page.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl SearchFor {
    fn query(&self) -> String {
        let limit = Some(self.limit.to_string());
        let parts = [
            ("q", &self.q),
            ("session", &self.session),
            ("kind", &self.kind),
            ("by", &self.by),
            ("outcome", &self.outcome),
            ("from", &self.from),
            ("to", &self.to),
            ("limit", &limit),
            ("cursor", &self.cursor),
        ];
        let given = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", escaped(value.as_ref()?))));
        given.collect::<Vec<_>>().join("&")
    }
}

/// Percent-encoded (RFC 3986 section 2.3: all but the unreserved).
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// A hit of a search.
#[derive(Debug, Clone)]
pub struct Found {
    /// Read.
    pub hit: Hit,
    /// As it came.
    pub raw: Value,
}

/// A page of hits.
#[derive(Debug)]
pub struct FoundPage {
    /// Newest first.
    pub hits: Vec<Found>,
    /// How to ask for the next page.
    pub next: Option<String>,
    /// How many events cannot be found yet.
    pub behind: u64,
}

#[derive(Deserialize)]
struct SearchAnswer {
    hits: Vec<Value>,
    next: Option<String>,
    behind: u64,
}

#[derive(Deserialize)]
struct Answer {
    sessions: Vec<Value>,
    next: Option<String>,
}

impl Gateway {
    /// A page of the list; `begins` finds, among others, the sessions whose ids begin so.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn sessions(&self, begins: Option<&str>, cursor: Option<&str>) -> Result<ListPage, GatewayError> {
        let search = begins.map(|text| format!("&q={text}")).unwrap_or_default();
        let cursor = cursor.map(|text| format!("&cursor={text}")).unwrap_or_default();
        let answer = self.get(&format!("/api/sessions?limit={PAGE_SESSIONS}{search}{cursor}")).await?;
        let answer: Answer = self.read(answer)?;
        let listed = |raw: Value| Ok(Listed { state: self.read(raw.clone())?, raw });
        let sessions = answer.sessions.into_iter().map(listed).collect::<Result<_, GatewayError>>()?;
        Ok(ListPage { sessions, next: answer.next })
    }

    /// A page of hits.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn search(&self, wanted: &SearchFor) -> Result<FoundPage, GatewayError> {
        let answer = self.get(&format!("/api/search?{}", wanted.query())).await?;
        let answer: SearchAnswer = self.read(answer)?;
        let found = |raw: Value| Ok(Found { hit: self.read(raw.clone())?, raw });
        let hits = answer.hits.into_iter().map(found).collect::<Result<_, GatewayError>>()?;
        Ok(FoundPage { hits, next: answer.next, behind: answer.behind })
    }

    /// Makes a session.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn create(&self, create: &Create) -> Result<SessionState, GatewayError> {
        let body = serde_json::to_value(create).unwrap_or_default();
        let answer = self.post("/api/sessions", &body).await?;
        self.read(answer)
    }

    /// A session's whole history; `format` as the gateway names it.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn export(&self, session: SessionId, format: &str) -> Result<Download, GatewayError> {
        self.download(&format!("/api/sessions/{session}/export?format={format}")).await
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: Value) -> Result<T, GatewayError> {
        serde_json::from_value(answer)
            .map_err(|error| self.not_a_gateway(format!("its answer has another form: {error}")))
    }
}
