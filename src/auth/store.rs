//! Credentials in the database: made, found by hash, withdrawn.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use subtle::ConstantTimeEq;

use super::{Auth, AuthError, Credential, Principal, Secret, roles};
use crate::clock::WallMs;
use crate::protocol::server::Role;

/// The token that the very first start makes (protocol.md section 5).
const FIRST_NAME: &str = "first";
/// The longest name, characters.
const NAME_CHARS_MAX: usize = 64;
/// How long a browser stays signed in, milliseconds.
pub const LOGIN_MS: i64 = 30 * 24 * 60 * 60 * 1000;

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
}

fn check_name(name: &str) -> Result<(), NameError> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    let plain = name.chars().all(|c| c.is_alphanumeric() || "._-@".contains(c));
    if fits && plain { Ok(()) } else { Err(NameError(name.chars().take(NAME_CHARS_MAX).collect())) }
}

fn role_of(row: &Row<'_>, index: usize) -> rusqlite::Result<Role> {
    let text: String = row.get(index)?;
    roles::parse(&text).ok_or(rusqlite::Error::InvalidColumnType(index, text, rusqlite::types::Type::Text))
}

fn withdrawn(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (name, value) VALUES ('withdrawals', 1)
               ON CONFLICT (name) DO UPDATE SET value = value + 1";
    tx.execute(sql, []).map(|_| ())
}

fn insert_token(tx: &Transaction<'_>, name: &str, role: Role, sha256: &[u8]) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO tokens (name, role, sha256, created_ms) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (name) WHERE revoked_ms IS NULL DO NOTHING";
    Ok(tx.execute(sql, (name, roles::name(role), sha256, WallMs::now().0))? == 1)
}

fn token_by_hash(connection: &Connection, sha256: &[u8]) -> rusqlite::Result<Option<Principal>> {
    let sql = "SELECT key, name, role, sha256 FROM tokens WHERE sha256 = ?1 AND revoked_ms IS NULL";
    let read = |row: &Row<'_>| {
        let found: Vec<u8> = row.get(3)?;
        let same = bool::from(found.ct_eq(sha256));
        let credential = Credential::Token { key: row.get(0)? };
        Ok(same.then_some(Principal { name: row.get(1)?, role: role_of(row, 2)?, credential }))
    };
    Ok(connection.prepare_cached(sql)?.query_row([sha256], read).optional()?.flatten())
}

fn login_by_hash(connection: &Connection, sha256: &[u8]) -> rusqlite::Result<Option<Principal>> {
    let sql = "SELECT t.name, t.role FROM logins l JOIN tokens t ON t.key = l.token
               WHERE l.sha256 = ?1 AND l.expires_ms > ?2 AND t.revoked_ms IS NULL";
    let read = |row: &Row<'_>| {
        let credential = Credential::Login { sha256: sha256.to_vec() };
        Ok(Principal { name: row.get(0)?, role: role_of(row, 1)?, credential })
    };
    connection.prepare_cached(sql)?.query_row((sha256, WallMs::now().0), read).optional()
}

impl Auth {
    /// Makes a token. The secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`TokenError`] when the name cannot be used or the database cannot be written.
    pub async fn add_token(&self, name: &str, role: Role) -> Result<Secret, TokenError> {
        check_name(name)?;
        let (owned, secret) = (name.to_owned(), Secret::generate()?);
        let sha256 = secret.sha256();
        let write = self.db.writer.write(move |tx| insert_token(tx, &owned, role, &sha256));
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
            Ok(none && insert_token(tx, FIRST_NAME, Role::Operator, &sha256)?)
        });
        Ok(write.await.map_err(AuthError::from)?.then_some(secret))
    }

    /// Every token that counts, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, AuthError> {
        let read = |connection: &Connection| {
            connection
                .prepare("SELECT name, role, created_ms FROM tokens WHERE revoked_ms IS NULL ORDER BY name")?
                .query_map([], |row| {
                    Ok(TokenInfo { name: row.get(0)?, role: role_of(row, 1)?, created: WallMs(row.get(2)?) })
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
        Ok(self.db.readers.read(move |connection| token_by_hash(connection, &sha256)).await?)
    }

    /// Who is signed in with this cookie, if it counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn by_cookie(&self, shown: &str) -> Result<Option<Principal>, AuthError> {
        let Some(secret) = Secret::parse(shown) else { return Ok(None) };
        let sha256 = secret.sha256();
        Ok(self.db.readers.read(move |connection| login_by_hash(connection, &sha256)).await?)
    }

    /// Signs a browser in with a token: gives the cookie's value. `None`: the token does not count.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_in(&self, token: &str) -> Result<Option<Secret>, TokenError> {
        let Some(Principal { credential: Credential::Token { key }, .. }) = self.by_token(token).await? else {
            return Ok(None);
        };
        let cookie = Secret::generate()?;
        let sha256 = cookie.sha256();
        let write = self.db.writer.write(move |tx| {
            let now = WallMs::now().0;
            tx.execute("DELETE FROM logins WHERE expires_ms <= ?1", [now])?;
            let sql = "INSERT INTO logins (sha256, token, created_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, (sha256, key, now, now + LOGIN_MS))
        });
        write.await.map_err(AuthError::from)?;
        Ok(Some(cookie))
    }

    /// Ends a browser's sign-in; a token is not a sign-in and stays.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn sign_out(&self, principal: &Principal) -> Result<(), AuthError> {
        let Credential::Login { sha256 } = principal.credential.clone() else { return Ok(()) };
        let write = self.db.writer.write(move |tx| {
            tx.execute("DELETE FROM logins WHERE sha256 = ?1", [sha256])?;
            withdrawn(tx)
        });
        write.await?;
        let count = self.read_withdrawals().await?;
        self.withdrawals.send_replace(count);
        Ok(())
    }

    /// Whether the credential that somebody came in with still counts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn still_counts(&self, principal: &Principal) -> Result<bool, AuthError> {
        let credential = principal.credential.clone();
        let read = move |connection: &Connection| match credential {
            Credential::Login { sha256 } => Ok(login_by_hash(connection, &sha256)?.is_some()),
            Credential::Token { key } => {
                let sql = "SELECT 1 FROM tokens WHERE key = ?1 AND revoked_ms IS NULL";
                Ok(connection.prepare_cached(sql)?.exists([key])?)
            }
        };
        Ok(self.db.readers.read(read).await?)
    }

    pub(super) async fn read_withdrawals(&self) -> Result<i64, AuthError> {
        let read = |connection: &Connection| {
            let sql = "SELECT value FROM meta WHERE name = 'withdrawals'";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?.unwrap_or(0))
        };
        Ok(self.db.readers.read(read).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Db;

    #[tokio::test]
    async fn credentials_count_until_they_are_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        let auth = Auth::new(Db::open(&dir.path().join("log.db")).unwrap());
        let first = auth.first_token().await.unwrap().unwrap();
        assert!(auth.first_token().await.unwrap().is_none(), "made once");
        let holder = auth.by_token(first.expose()).await.unwrap().unwrap();
        assert_eq!((holder.name(), holder.role()), ("first", Role::Operator));
        assert!(matches!(auth.add_token("first", Role::Viewer).await, Err(TokenError::Taken(_))));
        assert!(matches!(auth.add_token("a b", Role::Viewer).await, Err(TokenError::Name(_))));

        let cookie = auth.sign_in(first.expose()).await.unwrap().unwrap();
        let browser = auth.by_cookie(cookie.expose()).await.unwrap().unwrap();
        assert!(browser.by_cookie() && auth.by_token(cookie.expose()).await.unwrap().is_none());
        auth.sign_out(&browser).await.unwrap();
        assert!(!auth.still_counts(&browser).await.unwrap() && auth.still_counts(&holder).await.unwrap());

        let cookie = auth.sign_in(first.expose()).await.unwrap().unwrap();
        assert!(auth.revoke_token("first").await.unwrap() && !auth.revoke_token("first").await.unwrap());
        assert!(auth.by_token(first.expose()).await.unwrap().is_none());
        assert!(auth.by_cookie(cookie.expose()).await.unwrap().is_none(), "a sign-in ends with its token");
        assert!(auth.first_token().await.unwrap().is_none(), "a revoked first token is not made anew");
        assert!(auth.add_token("first", Role::Auditor).await.is_ok());
    }
}
