//! The requests that commands make, by name (protocol.md section 4).

use serde::Deserialize;
use serde_json::Value;

use super::{Download, Gateway, GatewayError};
use crate::ids::SessionId;
use crate::protocol::client::Create;
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

    /// Makes a session.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn create(&self, create: &Create) -> Result<SessionState, GatewayError> {
        let body = serde_json::to_value(create).unwrap_or_default();
        let answer = self.post("/api/sessions", &body).await?;
        self.read(answer)
    }

    /// A session's whole log, one record a line.
    ///
    /// # Errors
    /// [`GatewayError`].
    pub async fn export(&self, session: SessionId) -> Result<Download, GatewayError> {
        self.download(&format!("/api/sessions/{session}/export?format=jsonl")).await
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: Value) -> Result<T, GatewayError> {
        serde_json::from_value(answer)
            .map_err(|error| self.not_a_gateway(format!("its answer has another form: {error}")))
    }
}
