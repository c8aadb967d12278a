//! The table: role x action (protocol.md section 4).

use std::fmt;

use crate::protocol::server::Role;

/// Something that a door asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// See the list of sessions, and one session's log.
    Read,
    /// Take a whole history away.
    Export,
    /// Read who came and what they did.
    ReadAccess,
    /// Make a session.
    Create,
    /// Run a turn.
    Prompt,
    /// Stop a turn.
    Cancel,
    /// Rename a session or put it away.
    Rename,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 7] =
        [Self::Read, Self::Export, Self::ReadAccess, Self::Create, Self::Prompt, Self::Cancel, Self::Rename];
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read sessions",
            Self::Export => "export a session",
            Self::ReadAccess => "read the access record",
            Self::Create => "create a session",
            Self::Prompt => "send a prompt",
            Self::Cancel => "stop a turn",
            Self::Rename => "rename or archive a session",
        })
    }
}

/// Whether the role may.
pub const fn may(role: Role, action: Action) -> bool {
    match (role, action) {
        (_, Action::Read) | (Role::Auditor, Action::Export | Action::ReadAccess) | (Role::Operator, _) => true,
        (Role::Viewer, _) | (Role::Auditor, _) => false,
    }
}

/// The role, as on the wire.
pub const fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Auditor => "auditor",
        Role::Operator => "operator",
    }
}

/// The role of that name.
pub fn parse(text: &str) -> Option<Role> {
    [Role::Viewer, Role::Auditor, Role::Operator].into_iter().find(|role| name(*role) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_protocols() {
        let allowed = |role| Action::ALL.into_iter().filter(|action| may(role, *action)).collect::<Vec<_>>();
        assert_eq!(allowed(Role::Viewer), [Action::Read]);
        assert_eq!(allowed(Role::Auditor), [Action::Read, Action::Export, Action::ReadAccess]);
        assert_eq!(allowed(Role::Operator), Action::ALL);
    }
}
