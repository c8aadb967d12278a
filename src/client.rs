//! A gateway, seen from outside: plain requests, and a WebSocket that is opened again for ever.
//!
//! Invariant: a [`Follow`] sees consecutive seqs of one session, none twice, over any number of connections. Knows nothing of
//! terminals, and does not trust what the gateway says to be fit for one.

mod address;
mod backoff;
mod cursor;
mod error;
mod follow;
mod http;
mod link;
mod rest;
mod socket;
mod wire;

use std::fmt;

use hyper::header::HeaderValue;

pub use address::{Address, AddressError};
pub use cursor::{Cursor, Start};
pub use error::GatewayError;
pub use follow::{Follow, Seen};
pub use http::Download;
pub use link::{Hello, Link, Lost, News};
pub use rest::{ListPage, Listed};
pub use wire::{Event, Incoming};

/// A token, as it goes into `Authorization`. Never shown.
#[derive(Clone)]
pub struct Credential(HeaderValue);

/// Why a text cannot be a token. Does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not hold a token: one word of letters, digits and signs is expected")]
pub struct NotAToken;

/// The longest token, characters: our own are shorter by far.
const TOKEN_CHARS_MAX: usize = 1024;

impl Credential {
    /// Wraps a token.
    ///
    /// # Errors
    /// [`NotAToken`] when it is empty, too long, or holds anything but visible ASCII.
    pub fn new(token: &str) -> Result<Self, NotAToken> {
        let fits = (1..=TOKEN_CHARS_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = fits.then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok()).flatten();
        let mut header = header.ok_or(NotAToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// Where a gateway is, and as whom to ask it.
#[derive(Debug, Clone)]
pub struct Gateway {
    address: Address,
    credential: Credential,
}

impl Gateway {
    /// A gateway; nothing is opened yet.
    pub fn new(address: Address, credential: Credential) -> Self {
        Self { address, credential }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }
}
