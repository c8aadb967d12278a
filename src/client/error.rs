//! What can go wrong between a client and a gateway.

use hyper::StatusCode;

use super::Address;
use super::address::plain_words;
use crate::protocol::server::ErrorBody;

/// Why something asked of a gateway did not come about. Texts of the gateway's own are in it as they came.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody answers there.
    #[error("no gateway answers at {address}: {why}; is it running, and is --url (BREAKGLASS_URL) right?")]
    Unreachable {
        /// Where.
        address: Address,
        /// In words.
        why: String,
    },
    /// Somebody answers, and it is not a gateway.
    #[error("what answers at {address} is not a breakglass gateway ({why}); is --url (BREAKGLASS_URL) right?")]
    NotAGateway {
        /// Where.
        address: Address,
        /// What it did.
        why: String,
    },
    /// The credential does not count.
    #[error(
        "the gateway at {address} does not know this token: it was mistyped, revoked, or is another gateway's; `breakglass \
         token add NAME --role operator`, where the gateway runs, makes a new one"
    )]
    BadToken {
        /// Where.
        address: Address,
    },
    /// A failure that may pass: a proxy without a gateway behind it, too many connections.
    #[error("the gateway at {address} cannot answer now (status {status})")]
    Unready {
        /// Where.
        address: Address,
        /// The status of the answer.
        status: StatusCode,
    },
    /// The gateway says no, in its own words.
    #[error("{}", .0.message)]
    Refused(Box<ErrorBody>),
    /// The gateway ended the connection for a reason that will not go away.
    #[error("the gateway ended the connection (close code {code}): {why}")]
    Ended {
        /// The close code (protocol.md section 3).
        code: u16,
        /// In words.
        why: String,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to {address} broke before the answer was whole: {why}")]
    Broken {
        /// Where.
        address: Address,
        /// In words.
        why: String,
    },
}

impl GatewayError {
    /// The gateway says no.
    pub(super) fn refused(body: ErrorBody) -> Self {
        Self::Refused(Box::new(body))
    }

    /// Whether trying again later may do, when it worked before.
    pub(super) fn may_pass(&self) -> bool {
        // Behind the port of a gateway that restarts may, for a moment, be a proxy or something else.
        matches!(self, Self::Unreachable { .. } | Self::NotAGateway { .. } | Self::Unready { .. } | Self::Broken { .. })
    }
}

/// The words of an error without those of what it came from, in one line.
pub(super) fn words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.downcast_ref::<std::io::Error>().map_or_else(|| deepest.to_string(), plain_words)
}
