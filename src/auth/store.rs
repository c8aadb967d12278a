//! Credentials in the database: made, found by hash, withdrawn.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use subtle::ConstantTimeEq;

use super::logins::ms;
use super::{Auth, AuthError, Credential, Principal, Secret, Withdrawals, roles};
use crate::access::{self, Entry, Visit, What};
use crate::clock::WallMs;
use crate::protocol::server::Role;

/// The token that the very first start makes (protocol.md section 5).
const FIRST_NAME: &str = "first";
/// The longest name, characters.
const NAME_CHARS_MAX: usize = 64;

/// Why a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is in use.
    #[error("there is a token named `{0}` already; choose another name or `breakglass token revoke {0}` first")]
    Taken(String),
    /// No random bytes.
    #[error("cannot make a token: {0}")]
    Random(#[from] std::io::Error),
    /// The database.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Why a name cannot be a token's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be a token's name: 1 to 64 letters, digits, `.`, `_`, `-` or `@`")]
pub struct NameError(String);

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: WallMs,
    /// When it stops counting, or stopped.
    pub expires: Option<WallMs>,
    /// When somebody last came with it, or with a sign-in made from it; up to half a minute late.
    pub last_used: Option<WallMs>,
}

/// Whether a text can be somebody's name: a token's, or a proxy's user's.
///
/// # Errors
/// [`NameError`] says what can.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    let plain = name.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c));
    if fits && plain { Ok(()) } else { Err(NameError(name.chars().take(NAME_CHARS_MAX).collect())) }
}

pub(super) fn role_of(row: &Row<'_>, index: usize) -> rusqlite::Result<Role> {
    let text: String = row.get(index)?;
    roles::parse(&text).ok_or(rusqlite::Error::InvalidColumnType(index, text, rusqlite::types::Type::Text))
}

pub(super) fn withdrawn(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (name, value) VALUES ('withdrawals', 1)
               ON CONFLICT (name) DO UPDATE SET value = value + 1";
    tx.execute(sql, []).map(|_| ())
}

fn insert_token(
    tx: &Transaction<'_>,
    name: &str,
    role: Role,
    sha256: &[u8],
    lifetime: Option<Duration>,
) -> rusqlite::Result<bool> {
    let now = WallMs::now().0;
    // A token that has expired gives its name free.
    let sql = "UPDATE tokens SET revoked_ms = expires_ms WHERE name = ?1 AND revoked_ms IS NULL AND expires_ms <= ?2";
    tx.execute(sql, (name, now))?;
    let expires = lifetime.map(|lifetime| now.saturating_add(ms(lifetime)));
    let sql = "INSERT INTO tokens (name, role, sha256, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (name) WHERE revoked_ms IS NULL DO NOTHING";
    let made = tx.execute(sql, (name, roles::name(role), sha256, now, expires))? == 1;
    if made {
        let detail = format!("{name}, {}", roles::name(role));
        access::insert(tx, &Entry::local(What::TokenAdd).saying(detail))?;
    }
    Ok(made)
}

/// What counts: not revoked, not expired. `?now` is the second parameter.
const TOKEN_COUNTS: &str = "revoked_ms IS NULL AND (expires_ms IS NULL OR expires_ms > ?2)";

fn token_by_hash(connection: &Connection, sha256: &[u8]) -> rusqlite::Result<Option<Principal>> {
    let sql = format!("SELECT key, name, role, sha256 FROM tokens WHERE sha256 = ?1 AND {TOKEN_COUNTS}");
    let read = |row: &Row<'_>| {
        let found: Vec<u8> = row.get(3)?;
        let same = bool::from(found.ct_eq(sha256));
        let credential = Credential::Token { key: row.get(0)? };
        let principal = Principal { name: row.get(1)?, role: role_of(row, 2)?, credential, visit: Visit::default() };
        Ok(same.then_some(principal))
    };
    Ok(connection.prepare_cached(&sql)?.query_row((sha256, WallMs::now().0), read).optional()?.flatten())
}

impl Auth {
    /// Makes a token. The secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`TokenError`] when the name cannot be used or the database cannot be written.
    pub async fn add_token(&self, name: &str, role: Role, lifetime: Option<Duration>) -> Result<Secret, TokenError> {
        check_name(name)?;
        let (owned, secret) = (name.to_owned(), Secret::generate()?);
        let sha256 = secret.sha256();
        let write = self.db.writer.write(move |tx| insert_token(tx, &owned, role, &sha256, lifetime));
        if write.await.map_err(AuthError::from)? { Ok(secret) } else { Err(TokenError::Taken(name.to_owned())) }
    }

    /// On a database that never had a token: makes the operator token named `first`.
    ///
    /// # Errors
    /// As [`Auth::add_token`].
    pub async fn first_token(&self) -> Result<Option<Secret>, TokenError> {
        let secret = Secret::generate()?;
        let sha256 = secret.sha256();
        let write = self.db.writer.write(move |tx| {
            let none: bool = tx.query_row("SELECT NOT EXISTS (SELECT 1 FROM tokens)", [], |row| row.get(0))?;
            Ok(none && insert_token(tx, FIRST_NAME, Role::Operator, &sha256, None)?)
        });
        Ok(write.await.map_err(AuthError::from)?.then_some(secret))
    }

    /// Every token that was not revoked, by name; those that have expired among them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, AuthError> {
        let read = |connection: &Connection| {
            connection
                .prepare(
                    "SELECT name, role, created_ms, expires_ms, last_used_ms FROM tokens WHERE revoked_ms IS NULL
                     ORDER BY name",
                )?
                .query_map([], |row| {
                    let (name, role, created) = (row.get(0)?, role_of(row, 1)?, WallMs(row.get(2)?));
                    let time = |index| row.get::<_, Option<i64>>(index).map(|ms| ms.map(WallMs));
                    Ok(TokenInfo { name, role, created, expires: time(3)?, last_used: time(4)? })
                })?
                .collect()
        };
        Ok(self.db.readers.read(read).await?)
    }

    /// Withdraws a token and every sign-in made with it. `false`: there is none of that name.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, AuthError> {
        let name = name.to_owned();
        let write = self.db.writer.write(move |tx| {
            let sql = "UPDATE tokens SET revoked_ms = ?2 WHERE name = ?1 AND revoked_ms IS NULL";
            let revoked = tx.execute(sql, (&name, WallMs::now().0))? == 1;
            if revoked {
                access::insert(tx, &Entry::local(What::TokenRevoke).saying(name))?;
            }
            withdrawn(tx)?;
            Ok(revoked)
        });
        Ok(write.await?)
    }

    /// Who holds this token, if it counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn by_token(&self, shown: &str) -> Result<Option<Principal>, AuthError> {
        let Some(secret) = Secret::parse(shown) else { return Ok(None) };
        let sha256 = secret.sha256();
        let found = self.db.readers.read(move |connection| token_by_hash(connection, &sha256)).await?;
        if let Some(principal) = &found {
            self.note_use(principal);
        }
        Ok(found)
    }

    /// Whether the credential that somebody came in with still counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn still_counts(&self, principal: &Principal) -> Result<bool, AuthError> {
        match principal.credential.clone() {
            Credential::Login { sha256, .. } => Ok(self.login(sha256).await?.is_some()),
            Credential::Proxy { until } => Ok(WallMs::now() < until),
            Credential::Token { key } => {
                let read = move |connection: &Connection| {
                    let sql = format!("SELECT 1 FROM tokens WHERE key = ?1 AND {TOKEN_COUNTS}");
                    connection.prepare_cached(&sql)?.exists((key, WallMs::now().0))
                };
                Ok(self.db.readers.read(read).await?)
            }
        }
    }

    /// Where withdrawals stand: each part moves when a credential stops counting for that reason.
    pub(super) async fn read_withdrawals(&self) -> Result<Withdrawals, AuthError> {
        let idle_ms = ms(self.limits.idle);
        let read = move |connection: &Connection| {
            let sql = "SELECT coalesce((SELECT value FROM meta WHERE name = 'withdrawals'), 0),
                       coalesce((SELECT max(expires_ms) FROM tokens WHERE expires_ms <= ?1), 0),
                       coalesce((SELECT max(ends) FROM
                           (SELECT min(expires_ms, max(created_ms, last_used_ms) + ?2) AS ends FROM logins)
                           WHERE ends <= ?1), 0)";
            connection.prepare_cached(sql)?.query_row((WallMs::now().0, idle_ms), |row| {
                Ok(Withdrawals { revoked: row.get(0)?, token_expired_ms: row.get(1)?, login_expired_ms: row.get(2)? })
            })
        };
        Ok(self.db.readers.read(read).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::LoginLimits;
    use crate::db::Db;

    #[tokio::test]
    async fn credentials_count_until_they_are_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let auth = Auth::new(Db::open(&dir.path().join("log.db")).unwrap());
        let first = auth.first_token().await.unwrap().unwrap();
        assert!(auth.first_token().await.unwrap().is_none(), "made once");
        assert!(auth.withdrawals().has_changed().unwrap(), "what was withdrawn meanwhile is not missed");
        let holder = auth.by_token(first.expose()).await.unwrap().unwrap();
        assert_eq!((holder.name(), holder.role()), ("first", Role::Operator));
        assert!(matches!(auth.add_token("first", Role::Viewer, None).await, Err(TokenError::Taken(_))));
        assert!(matches!(auth.add_token("a b", Role::Viewer, None).await, Err(TokenError::Name(_))));

        let (_, cookie) = auth.sign_in(first.expose()).await.unwrap().unwrap();
        let browser = auth.by_cookie(cookie.expose()).await.unwrap().unwrap();
        assert!(browser.by_browser() && auth.by_token(cookie.expose()).await.unwrap().is_none());
        auth.sign_out(&browser).await.unwrap();
        assert!(!auth.still_counts(&browser).await.unwrap() && auth.still_counts(&holder).await.unwrap());

        let (_, cookie) = auth.sign_in(first.expose()).await.unwrap().unwrap();
        assert!(auth.revoke_token("first").await.unwrap() && !auth.revoke_token("first").await.unwrap());
        assert!(auth.by_token(first.expose()).await.unwrap().is_none());
        assert!(auth.by_cookie(cookie.expose()).await.unwrap().is_none(), "a sign-in ends with its token");
        assert!(auth.first_token().await.unwrap().is_none(), "a revoked first token is not made anew");
        assert!(auth.add_token("first", Role::Auditor, None).await.is_ok());
    }

    #[tokio::test]
    async fn time_ends_credentials_and_use_keeps_a_sign_in_alive() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("log.db")).unwrap();
        let short = LoginLimits { idle: Duration::from_millis(400), absolute: Duration::from_secs(60) };
        let auth = Auth::new(db).with_login_limits(short);
        let before = auth.read_withdrawals().await.unwrap();
        let brief = auth.add_token("brief", Role::Viewer, Some(Duration::from_millis(1))).await.unwrap();
        let long = auth.add_token("long", Role::Viewer, Some(Duration::from_secs(60))).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(auth.by_token(brief.expose()).await.unwrap().is_none());
        assert_ne!(auth.read_withdrawals().await.unwrap(), before, "those who hold connections are told");
        assert!(auth.add_token("brief", Role::Viewer, None).await.is_ok(), "its name is free again");

        let (_, cookie) = auth.sign_in(long.expose()).await.unwrap().unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            assert!(auth.by_cookie(cookie.expose()).await.unwrap().is_some(), "it is in use");
        }
        auth.flush_uses().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(auth.by_cookie(cookie.expose()).await.unwrap().is_none(), "nobody used it");
        let tokens = auth.tokens().await.unwrap();
        let long = tokens.iter().find(|token| token.name == "long").unwrap();
        assert!(long.last_used.is_some() && long.expires.is_some(), "{long:?}");
    }
}
