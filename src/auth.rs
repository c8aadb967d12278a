//! Who may come in: tokens, browsers' sign-ins, and what each role may do.
//!
//! Invariant: a [`Principal`] is made only here, from a credential that counted at that moment; only hashes of credentials
//! are stored; handlers ask for an action, never for a role. Knows nothing of HTTP: doors hand in what they were shown.

mod roles;
mod secret;
mod store;

use tokio::sync::watch;

pub use roles::{Action, may};
pub use secret::Secret;
pub use store::{LOGIN_MS, NameError, TokenError, TokenInfo};

use crate::db::{Db, ReadError, WriteError};
use crate::protocol::server::Role;

/// Somebody whose credential counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    role: Role,
    credential: Credential,
}

/// By what they came in; asked again when credentials change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    Token { key: i64 },
    Login { sha256: Vec<u8> },
}

/// An action that the role may not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {role} may not {action}; ask for a token with another role", role = roles::name(*.role))]
pub struct Forbidden {
    role: Role,
    action: Action,
}

impl Principal {
    /// What events and other people see.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What they may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether they came with a browser's cookie: then requests must prove where they come from.
    pub fn by_cookie(&self) -> bool {
        matches!(self.credential, Credential::Login { .. })
    }

    /// Asks the table.
    ///
    /// # Errors
    /// [`Forbidden`] names the role and the action.
    pub fn demand(&self, action: Action) -> Result<(), Forbidden> {
        if may(self.role, action) { Ok(()) } else { Err(Forbidden { role: self.role, action }) }
    }
}

/// Why a credential could not be checked or changed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A read failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A write failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The door keeper.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    /// Counts withdrawals of credentials; those who hold connections open look again when it moves.
    withdrawals: watch::Sender<i64>,
}

impl Auth {
    /// A door keeper for the credentials in this database.
    pub fn new(db: Db) -> Self {
        Self { db, withdrawals: watch::Sender::new(0) }
    }

    /// Moves whenever a credential may have stopped counting.
    pub fn withdrawals(&self) -> watch::Receiver<i64> {
        self.withdrawals.subscribe()
    }

    /// Notices credentials that another process withdrew (`breakglass token revoke`). Runs until dropped.
    pub async fn watch_withdrawals(&self) {
        /// How long a revoked credential may keep an open connection.
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if self.withdrawals.receiver_count() == 0 {
                continue;
            }
            match self.read_withdrawals().await {
                Ok(count) => {
                    self.withdrawals.send_if_modified(|known| std::mem::replace(known, count) != count);
                }
                Err(error) => tracing::warn!(%error, "cannot look for revoked tokens"),
            }
        }
    }
}
