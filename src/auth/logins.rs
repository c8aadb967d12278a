//! Browsers that are signed in: made from a token, found by the cookie's hash, ended by sign-out, by time, or with the token.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::store::{role_of, withdrawn};
use super::uses::Used;
use super::{Auth, AuthError, Credential, Principal, Secret, TokenError};
use crate::access::Visit;
use crate::clock::WallMs;

/// Browsers signed in with one token at the same time; the oldest goes when there are more.
const LOGINS_MAX: i64 = 200;

/// How long a browser stays signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginLimits {
    /// Without being used.
    pub idle: Duration,
    /// At all.
    pub absolute: Duration,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(12 * 60 * 60), absolute: Duration::from_secs(7 * 24 * 60 * 60) }
    }
}

pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `used_ms`: a use that is not in the database yet.
fn by_hash(
    connection: &Connection,
    sha256: &[u8],
    used_ms: i64,
    limits: LoginLimits,
) -> rusqlite::Result<Option<Principal>> {
    let sql = "SELECT t.name, t.role, t.key FROM logins l JOIN tokens t ON t.key = l.token
               WHERE l.sha256 = ?1 AND l.expires_ms > ?2 AND max(l.created_ms, l.last_used_ms, ?3) > ?2 - ?4
               AND t.revoked_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > ?2)";
    let read = |row: &Row<'_>| {
        let credential = Credential::Login { sha256: sha256.to_vec(), token: row.get(2)? };
        Ok(Principal { name: row.get(0)?, role: role_of(row, 1)?, credential, visit: Visit::default() })
    };
    connection.prepare_cached(sql)?.query_row((sha256, WallMs::now().0, used_ms, ms(limits.idle)), read).optional()
}

fn insert(tx: &Transaction<'_>, sha256: &[u8], token: i64, limits: LoginLimits) -> rusqlite::Result<()> {
    let now = WallMs::now().0;
    tx.execute("DELETE FROM logins WHERE expires_ms <= ?1", [now])?;
    let sql = "DELETE FROM logins WHERE token = ?1 AND sha256 NOT IN
               (SELECT sha256 FROM logins WHERE token = ?1 ORDER BY created_ms DESC LIMIT ?2)";
    tx.execute(sql, (token, LOGINS_MAX - 1))?;
    let sql = "INSERT INTO logins (sha256, token, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)";
    tx.execute(sql, (sha256, token, now, now.saturating_add(ms(limits.absolute)))).map(|_| ())
}

impl Auth {
    /// Who holds this cookie, if it counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn by_cookie(&self, shown: &str) -> Result<Option<Principal>, AuthError> {
        let Some(secret) = Secret::parse(shown) else { return Ok(None) };
        let found = self.login(secret.sha256()).await?;
        if let Some(principal) = &found {
            self.note_use(principal);
        }
        Ok(found)
    }

    /// The sign-in with this hash, if it counts.
    pub(super) async fn login(&self, sha256: Vec<u8>) -> Result<Option<Principal>, AuthError> {
        let limits = self.limits;
        let used_ms = self.uses.last(&Used::Login(sha256.clone())).map_or(0, |time| time.0);
        Ok(self.db.readers.read(move |connection| by_hash(connection, &sha256, used_ms, limits)).await?)
    }

    /// Signs a browser in with a token: gives who it is and the cookie's value. `None`: the token does not count.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_in(&self, token: &str) -> Result<Option<(Principal, Secret)>, TokenError> {
        let Some(principal) = self.by_token(token).await? else { return Ok(None) };
        let Credential::Token { key, .. } = principal.credential else { return Ok(None) };
        let cookie = Secret::generate()?;
        let (sha256, limits) = (cookie.sha256(), self.limits);
        let write = self.db.writer.write(move |tx| insert(tx, &sha256, key, limits));
        write.await.map_err(AuthError::from)?;
        Ok(Some((principal, cookie)))
    }

    /// How long a sign-in lasts at most: the cookie's age.
    pub fn login_limits(&self) -> LoginLimits {
        self.limits
    }

    /// Ends a browser's sign-in; a token is not a sign-in and stays.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AuthError> {
        let Credential::Login { sha256, .. } = principal.credential.clone() else { return Ok(()) };
        let write = self.db.writer.write(move |tx| {
            tx.execute("DELETE FROM logins WHERE sha256 = ?1", [sha256])?;
            withdrawn(tx)
        });
        write.await?;
        self.look_for_withdrawals().await
    }
}
