//! The handshake (RFC 6455 section 4.2), on headers alone.

use hyper::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::protocol::SUBPROTOCOL;

/// The headers of a 101 answer.
pub struct Handshake {
    /// To be sent as they are.
    pub headers: HeaderMap,
}

/// Why a request is not an upgrade to this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A plain request.
    #[error("this address speaks WebSocket: ask with `Connection: Upgrade` and `Upgrade: websocket`")]
    NotAnUpgrade,
    /// An old WebSocket.
    #[error("`Sec-WebSocket-Version` must be 13")]
    Version,
    /// No key, or not one.
    #[error("`Sec-WebSocket-Key` is missing or not 16 bytes of base 64")]
    Key,
    /// Only other protocols were offered.
    #[error("`Sec-WebSocket-Protocol`: only `breakglass.v1` is spoken here; offer that, or none")]
    Subprotocol,
}

/// A 16-byte key has this many characters of base 64.
const KEY_CHARS: usize = 24;

fn lists(headers: &HeaderMap, name: &hyper::header::HeaderName, wanted: &str) -> bool {
    let tokens = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    tokens.map(str::trim).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// Checks the request's headers and makes the answer's.
///
/// # Errors
/// [`Refusal`] names the header.
pub fn accept(headers: &HeaderMap) -> Result<Handshake, Refusal> {
    if !lists(headers, &CONNECTION, "upgrade") || !lists(headers, &UPGRADE, "websocket") {
        return Err(Refusal::NotAnUpgrade);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal::Version);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_CHARS).ok_or(Refusal::Key)?;
    let mut answer = HeaderMap::new();
    if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        if !lists(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
            return Err(Refusal::Subprotocol);
        }
        answer.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| Refusal::Key)?;
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(Handshake { headers: answer })
}
