//! What is put on record: who did what, as what, from where and by what client.
//!
//! Invariant: what came from outside is cut to a bound, and has no control characters. Knows nothing of when it is written.

use std::net::IpAddr;

use rusqlite::Transaction;
use serde::{Deserialize, Serialize};

use crate::clock::WallMs;
use crate::ids::{SessionId, TurnId};

/// The longest text that comes from outside, characters.
const TEXT_CHARS_MAX: usize = 200;

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A browser was signed in.
    SignIn,
    /// A browser was signed out.
    SignOut,
    /// A credential that does not count was shown.
    FailedSignIn,
    /// A proxy's user header came from an address that is not a trusted proxy's; it was ignored.
    UntrustedHeader,
    /// A session was attached, over WebSocket or as an event stream.
    Attach,
    /// Pages of a session's log were read.
    Read,
    /// A session was exported.
    Export,
    /// This record was read.
    ReadAccess,
    /// A session was made.
    Create,
    /// A session was renamed or put away.
    Rename,
    /// A prompt was accepted.
    Prompt,
    /// A turn was stopped.
    Cancel,
    /// A token was made.
    TokenAdd,
    /// A token was withdrawn.
    TokenRevoke,
    /// So many entries could not be written.
    Lost,
}

impl What {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::FailedSignIn => "failed_sign_in",
            Self::UntrustedHeader => "untrusted_header",
            Self::Attach => "attach",
            Self::Read => "read",
            Self::Export => "export",
            Self::ReadAccess => "read_access",
            Self::Create => "create",
            Self::Rename => "rename",
            Self::Prompt => "prompt",
            Self::Cancel => "cancel",
            Self::TokenAdd => "token_add",
            Self::TokenRevoke => "token_revoke",
            Self::Lost => "lost",
        }
    }

    /// Looking is done again and again by one page; what changes something always counts.
    pub(super) const fn is_look(self) -> bool {
        matches!(self, Self::Attach | Self::Read | Self::ReadAccess | Self::UntrustedHeader)
    }
}

/// From where and by what somebody came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visit {
    /// From which address; that of the client, where a trusted proxy names it.
    pub address: Option<IpAddr>,
    /// What the client calls itself.
    pub client: String,
}

/// As what, from where and by what somebody came, as it is kept with what they asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The role that they had.
    pub role: String,
    /// The kind of their credential: `token`, `cookie` or `proxy`.
    pub how: String,
    /// From which address; that of the client, where a trusted proxy names it.
    pub address: Option<IpAddr>,
    /// What the client called itself.
    pub client: String,
}

impl Origin {
    /// Of somebody with this role and this kind of credential.
    pub fn of(visit: &Visit, role: &str, how: &str) -> Self {
        let (role, how) = (role.to_owned(), how.to_owned());
        Self { role, how, address: visit.address, client: plain(&visit.client) }
    }
}

/// One line of the record, to be written.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(super) time: WallMs,
    pub(super) what: What,
    pub(super) who: Option<String>,
    pub(super) role: Option<&'static str>,
    pub(super) how: Option<&'static str>,
    pub(super) address: Option<IpAddr>,
    pub(super) client: String,
    pub(super) session: Option<SessionId>,
    pub(super) turn: Option<TurnId>,
    pub(super) detail: Option<String>,
}

impl Entry {
    /// That somebody who came so did this, now.
    pub fn of(what: What, visit: &Visit) -> Self {
        Self {
            time: WallMs::now(),
            what,
            who: None,
            role: None,
            how: None,
            address: visit.address,
            client: plain(&visit.client),
            session: None,
            turn: None,
            detail: None,
        }
    }

    /// That somebody on this machine did this, with the program itself.
    pub fn local(what: What) -> Self {
        let who = format!("uid {}", rustix::process::getuid().as_raw());
        let visit = Visit { address: None, client: crate::SERVER.to_owned() };
        Self { who: Some(who), how: Some("local"), ..Self::of(what, &visit) }
    }

    /// The same, by this person: the name of a token or of a proxy's user, their role, and the kind of their credential.
    #[must_use]
    pub fn by(self, who: String, role: &'static str, how: &'static str) -> Self {
        Self { who: Some(who), role: Some(role), how: Some(how), ..self }
    }

    /// The same, in this session.
    #[must_use]
    pub fn in_session(self, session: SessionId) -> Self {
        Self { session: Some(session), ..self }
    }

    /// The same, with this turn.
    #[must_use]
    pub fn with_turn(self, turn: TurnId) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// The same, with something else to say.
    #[must_use]
    pub fn saying(self, detail: impl AsRef<str>) -> Self {
        Self { detail: Some(plain(detail.as_ref())), ..self }
    }
}

/// What comes from outside must not paint on an auditor's terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_CHARS_MAX).collect()
}

/// Writes an entry together with what it tells of.
///
/// # Errors
/// As the database says.
pub fn insert(tx: &Transaction<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let sql = "INSERT INTO access (time_ms, what, who, role, how, address, client, session, turn, detail)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let texts = (
        entry.time.0,
        entry.what.as_str(),
        entry.who.as_deref(),
        entry.role,
        entry.how,
        entry.address.map(|address| address.to_string()),
        (!entry.client.is_empty()).then_some(entry.client.as_str()),
        entry.session.map(|session| session.to_string()),
        entry.turn.map(|turn| turn.to_string()),
        entry.detail.as_deref(),
    );
    tx.prepare_cached(sql)?.execute(texts).map(|_| ())
}
