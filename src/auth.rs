//! Who may come in: tokens, browsers' sign-ins, a trusted proxy's users, and what each role may do.
//!
//! Invariant: a [`Principal`] is made only here, from a credential that counted at that moment; only hashes of credentials
//! are stored; handlers ask for an action, never for a role. Knows nothing of HTTP: doors hand in what they were shown.

mod failures;
mod logins;
mod roles;
mod secret;
mod store;
mod uses;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use failures::{Failure, Slowed};
pub use logins::LoginLimits;
pub use roles::{Action, may, name as role_name, parse as parse_role};
pub use secret::{PREFIX, Secret};
pub use store::{NameError, TokenError, TokenInfo, check_name};

use self::failures::Failures;
use self::uses::{Used, Uses};
use crate::access::{Entry, Origin, Visit, What};
use crate::clock::WallMs;
use crate::db::{Db, ReadError, WriteError};
use crate::protocol::server::Role;

/// Somebody whose credential counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    role: Role,
    credential: Credential,
    visit: Visit,
}

/// By what they came in; asked again when credentials change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    Token { key: i64 },
    Login { sha256: Vec<u8>, token: i64 },
    Proxy { until: WallMs },
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

    /// Whether it was a browser that added the credential by itself, to whatever page asked it to: then requests must prove
    /// where they come from. So it is with cookies, and with a proxy that has a cookie of its own.
    pub fn by_browser(&self) -> bool {
        !matches!(self.credential, Credential::Token { .. })
    }

    /// When a credential that is stored nowhere ends; the others are withdrawn ([`Auth::withdrawals`]).
    pub fn ends_in(&self) -> Option<Duration> {
        let Credential::Proxy { until } = self.credential else { return None };
        Some(Duration::from_millis(u64::try_from(until.0.saturating_sub(WallMs::now().0)).unwrap_or(0)))
    }

    /// From where and by what.
    pub fn visit(&self) -> &Visit {
        &self.visit
    }

    /// The same, with where they came from.
    #[must_use]
    pub fn from(self, visit: Visit) -> Self {
        Self { visit, ..self }
    }

    fn how(&self) -> &'static str {
        match self.credential {
            Credential::Token { .. } => "token",
            Credential::Login { .. } => "cookie",
            Credential::Proxy { .. } => "proxy",
        }
    }

    /// As what and from where they came, to be kept with what they ask for.
    pub fn origin(&self) -> Origin {
        Origin::of(&self.visit, roles::name(self.role), self.how())
    }

    /// An entry for the access record: that they did this.
    pub fn did(&self, what: What) -> Entry {
        Entry::of(what, &self.visit).by(self.name.clone(), roles::name(self.role), self.how())
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

/// A position in the withdrawals of credentials: it differs whenever one was revoked, signed out or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Withdrawals {
    revoked: i64,
    token_expired_ms: i64,
    login_expired_ms: i64,
}

/// The door keeper.
#[derive(Clone)]
pub struct Auth {
    db: Db,
    /// Moves with withdrawals of credentials; those who hold connections open look again then.
    withdrawals: watch::Sender<Withdrawals>,
    uses: Arc<Uses>,
    failures: Arc<Mutex<Failures>>,
    limits: LoginLimits,
}

impl Auth {
    /// A door keeper for the credentials in this database.
    pub fn new(db: Db) -> Self {
        let withdrawals = watch::Sender::new(Withdrawals::default());
        Self { db, withdrawals, uses: Arc::default(), failures: Arc::default(), limits: LoginLimits::default() }
    }

    /// The same, with other limits for browsers' sign-ins.
    #[must_use]
    pub fn with_login_limits(self, limits: LoginLimits) -> Self {
        Self { limits, ..self }
    }

    /// Somebody whom a trusted proxy names. The door has made sure that it was that proxy.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn by_proxy(&self, name: &str, role: Role) -> Result<Principal, NameError> {
        check_name(name)?;
        let until = WallMs(WallMs::now().0.saturating_add(logins::ms(self.limits.absolute)));
        Ok(Principal { name: name.to_owned(), role, credential: Credential::Proxy { until }, visit: Visit::default() })
    }

    /// Counts a credential that did not count, and says how slowly to answer.
    pub fn failed(&self, from: IpAddr) -> Failure {
        // A panic leaves a map of whole entries.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).failed(from, Instant::now())
    }

    /// The credential is in use: also by whoever only holds a connection open.
    pub fn note_use(&self, principal: &Principal) {
        match &principal.credential {
            Credential::Token { key } => self.uses.note(Used::Token(*key)),
            Credential::Login { sha256, token } => {
                self.uses.note(Used::Login(sha256.clone()));
                self.uses.note(Used::Token(*token));
            }
            Credential::Proxy { .. } => {}
        }
    }

    /// Moves whenever a credential may have stopped counting; once at the beginning too, for one may have been withdrawn
    /// between its check and this.
    pub fn withdrawals(&self) -> watch::Receiver<Withdrawals> {
        let mut moves = self.withdrawals.subscribe();
        moves.mark_changed();
        moves
    }

    /// Notices credentials that another process withdrew (`breakglass token revoke`) or that time did. Runs until dropped.
    pub async fn watch_withdrawals(&self) {
        /// How long a credential that counts no more may keep an open connection.
        const LOOK_EVERY: Duration = Duration::from_secs(1);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            if self.withdrawals.receiver_count() == 0 {
                continue;
            }
            if let Err(error) = self.look_for_withdrawals().await {
                tracing::warn!(%error, "cannot look for revoked tokens");
            }
        }
    }

    /// Writes down now and then who used their credential. Runs until dropped.
    pub async fn keep_uses(&self) {
        let mut flush = tokio::time::interval(uses::FLUSH_EVERY);
        flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            flush.tick().await;
            self.flush_uses().await;
        }
    }

    /// Writes down who used their credential since the last time.
    pub async fn flush_uses(&self) {
        let unwritten = self.uses.unwritten();
        if unwritten.is_empty() {
            return;
        }
        let rows = unwritten.clone();
        match self.db.writer.write(move |tx| uses::write(tx, &rows)).await {
            Ok(()) => self.uses.flushed(&unwritten),
            Err(error) => tracing::debug!(%error, "the last uses of credentials are not written yet"),
        }
    }

    async fn look_for_withdrawals(&self) -> Result<(), AuthError> {
        let now = self.read_withdrawals().await?;
        self.withdrawals.send_if_modified(|known| std::mem::replace(known, now) != now);
        Ok(())
    }
}
