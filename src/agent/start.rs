//! What the agent's stderr says when it would not start: because of its conversation (claude-cli.md section 2), or because
//! it runs as root (section 0).
//!
//! Owns the phrases. Which way to go on then is for the turn to decide.

/// Begins the agent's words for an unknown `--resume`, on stderr and in the errors of its result line.
pub(super) const LOST_CONVERSATION: &str = "No conversation found with session ID";

/// Why the agent refused to start, where another flag would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartProblem {
    /// `--session-id` names a conversation that exists: go on with `--resume`.
    ConversationInUse,
    /// `--resume` names a conversation that does not: begin anew with `--session-id`.
    ConversationLost,
}

/// Recognises a start problem in what the agent wrote to stderr; the first one counts.
pub fn start_problem(stderr: &str) -> Option<StartProblem> {
    stderr.lines().find_map(|line| {
        let (_, behind) = line.split_once("Session ID ").unwrap_or_default();
        let (id, rest) = behind.split_once(' ').unwrap_or_default();
        if !id.is_empty() && rest.starts_with("is already in use") {
            return Some(StartProblem::ConversationInUse);
        }
        line.contains(LOST_CONVERSATION).then_some(StartProblem::ConversationLost)
    })
}

/// The agent's words for the permission flag in the hands of root.
const ROOT_REFUSED: &str = "cannot be used with root/sudo privileges";

/// What to do about an agent that refuses to work as root.
pub const ROOT_WAY_OUT: &str = "give --agent-user with another user, or run breakglass as another user, or, if this machine is \
     a sandbox that may be broken, set IS_SANDBOX=1";

/// The way out of what the agent complained of on stderr, where people can do something about it.
pub fn way_out(stderr: &str) -> Option<&'static str> {
    stderr.contains(ROOT_REFUSED).then_some(ROOT_WAY_OUT)
}
