//! What people and browsers hold: 256 random bits, recognisable, checked for typing mistakes, stored only as a hash.
//!
//! Text form: `bg_`, 52 characters of lower-case base 32, and 6 characters of checksum, so that people and secret scanners
//! recognise one and a truncated paste is told apart from a revoked token.

use std::fmt;

use data_encoding::BASE32_DNSSEC as BASE32;
use sha2::{Digest, Sha256};

/// What every credential of ours begins with.
pub const PREFIX: &str = "bg_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_CHARS: usize = 6;

/// A credential in clear; never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A new one from the operating system's generator.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> std::io::Result<Self> {
        let mut bytes = [0u8; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let body = BASE32.encode(&bytes);
        Ok(Self(format!("{PREFIX}{body}{}", checksum(&body))))
    }

    /// Reads what somebody showed; `None` when it cannot be one (too short, mistyped).
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix(PREFIX)?;
        let (body, sum) = rest.split_at_checked(rest.len().checked_sub(CHECKSUM_CHARS)?)?;
        let decoded = BASE32.decode(body.as_bytes()).ok()?;
        (decoded.len() == SECRET_BYTES && checksum(body) == sum).then(|| Self(format!("{PREFIX}{rest}")))
    }

    /// In clear, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored. Looking a credential up by its hash tells nothing about it through timing: 256 random bits cannot be
    /// approached byte by byte through SHA-256.
    pub fn sha256(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }
}

fn checksum(body: &str) -> String {
    BASE32.encode(&Sha256::digest(body.as_bytes()))[..CHECKSUM_CHARS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_form_and_mistakes_are_seen() {
        let secret = Secret::generate().unwrap();
        let text = secret.expose().to_owned();
        assert_eq!(Secret::parse(&text), Some(secret.clone()));
        assert_eq!(Secret::parse(&format!(" {text}\n")), Some(secret.clone()));
        assert!(!format!("{secret:?}").contains(&text));
        for wrong in [&text[..text.len() - 1], &text[3..], "", "bg_", "bg_é", &format!("{text}a")] {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
        let mut swapped = text.into_bytes();
        swapped[10] = if swapped[10] == b'a' { b'b' } else { b'a' };
        assert_eq!(Secret::parse(&String::from_utf8(swapped).unwrap()), None);
    }
}
