//! What the commands that talk to a gateway have in common: which session is meant, and how failures end.

use super::harmless::one_line;
use super::{EXIT_USAGE, Failure};
use crate::client::{Gateway, GatewayError};
use crate::ids::SessionId;
use crate::protocol::server::ErrorCode;

/// The statuses that client commands end with, where they are not the command's own; from sysexits.h.
pub(super) const STATUSES: &str = "Exit status, unless said otherwise: 0 done; 1 failed; 64 bad usage or setting; \
    65 the gateway finds the request wrong; 66 no such session; 69 no gateway answers, or it cannot do this now; 74 a file or \
    stdout cannot be written; 75 busy, try again later; 77 the token does not count or its role may not.";

/// The request is wrong (`EX_DATAERR`).
pub(super) const EXIT_DATA: u8 = 65;
/// There is no such session (`EX_NOINPUT`).
const EXIT_MISSING: u8 = 66;
/// Nobody answers, or cannot serve (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// It may work later (`EX_TEMPFAIL`).
const EXIT_LATER: u8 = 75;
/// Not allowed (`EX_NOPERM`).
const EXIT_NOT_ALLOWED: u8 = 77;

/// Candidates that are named when a beginning fits several sessions.
const CANDIDATES_SHOWN: usize = 4;
/// Pages of the list that are looked through for a session: 10,000 sessions.
const PAGES_MAX: usize = 50;

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let status = match &error {
            GatewayError::BadToken { .. } => EXIT_NOT_ALLOWED,
            GatewayError::Refused(body) => status(body.code),
            GatewayError::Ended { .. } => EXIT_NOT_ALLOWED,
            GatewayError::Unreachable { .. }
            | GatewayError::NotAGateway { .. }
            | GatewayError::Unready { .. }
            | GatewayError::Broken { .. } => EXIT_UNAVAILABLE,
        };
        let hint = match &error {
            GatewayError::Refused(body) if body.code == ErrorCode::NotFound => "; `breakglass sessions` lists them",
            _ => "",
        };
        Self::new(status, format!("{}{hint}", one_line(&error.to_string())))
    }
}

fn status(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::BadRequest | ErrorCode::TooLarge | ErrorCode::EpochChanged => EXIT_DATA,
        ErrorCode::NotFound => EXIT_MISSING,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => EXIT_NOT_ALLOWED,
        ErrorCode::Busy | ErrorCode::AtCapacity | ErrorCode::RateLimited => EXIT_LATER,
        ErrorCode::Unavailable | ErrorCode::NoAgent | ErrorCode::Internal => EXIT_UNAVAILABLE,
        ErrorCode::Conflict => 1,
    }
}

/// The session that is meant by its id, by a unique beginning of its id, or by `last`.
pub(super) async fn find_session(gateway: &Gateway, text: &str) -> Result<SessionId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text == "last" {
        return last_session(gateway).await;
    }
    let begins = text.to_ascii_lowercase();
    if begins.is_empty() || !begins.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        let message = "is not a session: give an id, the beginning of one, or `last`; `breakglass sessions` lists them";
        return Err(Failure::new(EXIT_USAGE, format!("`{}` {message}", one_line(text))));
    }
    let found = beginning_with(gateway, &begins).await?;
    match found.as_slice() {
        [] => {
            let message = "there is no session whose id begins with";
            Err(Failure::new(EXIT_MISSING, format!("{message} `{begins}`; `breakglass sessions` lists them")))
        }
        [one] => Ok(*one),
        several => {
            let shown: Vec<_> = several.iter().take(CANDIDATES_SHOWN).map(|id| format!("`{id}`")).collect();
            let more = if several.len() > shown.len() { " and more" } else { "" };
            let message = format!("`{begins}` is the beginning of {}{more}; give more of it", shown.join(", "));
            Err(Failure::new(EXIT_USAGE, message))
        }
    }
}

/// The sessions whose ids begin so, as many as are needed to name candidates.
async fn beginning_with(gateway: &Gateway, begins: &str) -> Result<Vec<SessionId>, Failure> {
    let (mut found, mut cursor) = (Vec::new(), None);
    for _ in 0..PAGES_MAX {
        // The search finds titles too.
        let page = gateway.sessions(Some(begins), cursor.as_deref()).await?;
        let ids = page.sessions.iter().map(|listed| listed.state.session);
        found.extend(ids.filter(|id| id.to_string().starts_with(begins)));
        cursor = page.next;
        if cursor.is_none() || found.len() > CANDIDATES_SHOWN {
            break;
        }
    }
    Ok(found)
}

async fn last_session(gateway: &Gateway) -> Result<SessionId, Failure> {
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let page = gateway.sessions(None, cursor.as_deref()).await?;
        if let Some(newest) = page.sessions.iter().find(|listed| !listed.state.archived) {
            return Ok(newest.state.session);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    Err(Failure::new(EXIT_MISSING, "there is no session yet; `breakglass sessions new` makes one"))
}
