//! The agent's two faces to the gateway: the command line that starts it, and the lines that it prints.
//!
//! Everything here is pure: [`command`] makes argv and environment from a turn, [`wire`] and [`translate`] make events from
//! bytes, [`version`] what the agent says it is. It does not know processes, spool files or the log.

pub mod command;
mod extra;
mod repair;
pub mod start;
pub mod translate;
pub mod version;
pub mod wire;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// Which agent works in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentKind {
    /// The real one: the `claude` program.
    Claude,
    /// The built-in rehearsal agent ([`crate::drill`]), which needs no account and touches nothing.
    Drill,
}

impl AgentKind {
    /// Every agent there is, the usual one first.
    pub const ALL: [Self; 2] = [Self::Claude, Self::Drill];

    /// Its name, as on the wire (protocol.md section 3, `create`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Drill => "drill",
        }
    }
}

impl fmt::Display for AgentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no agent has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not an agent: choose `claude` or `drill`")]
pub struct UnknownAgent {
    name: String,
}

/// The longest piece of a refused name that an error repeats, characters.
const SHOWN_CHARS: usize = 64;

impl FromStr for AgentKind {
    type Err = UnknownAgent;

    fn from_str(name: &str) -> Result<Self, UnknownAgent> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| UnknownAgent { name: name.chars().take(SHOWN_CHARS).collect() })
    }
}
