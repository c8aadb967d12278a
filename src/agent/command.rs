//! A turn's command line: config and prompt in, argv and environment out (claude-cli.md sections 2 to 4).
//!
//! Invariant: no shell ever reads a prompt, and no prompt is ever read as an option or as a slash command. Starts nothing.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::ids::SessionId;

/// The longest prompt that fits into one argument, bytes: Linux allows 128 KiB with the closing NUL (`MAX_ARG_STRLEN`).
pub const ARGUMENT_BYTES_MAX: usize = (128 << 10) - 1;

/// Settings of this gateway that the agent must not see: the names that begin so.
const OWN_PREFIX: &[u8] = b"BREAKGLASS_";

/// This very program, whatever has become of the file that it was started from.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// How the real agent is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claude {
    /// `BREAKGLASS_CLAUDE`: a name to look up in PATH, or a path.
    pub program: OsString,
    /// Which of its agents (`--agent`).
    pub agent_name: String,
}

/// Whether a turn begins the agent's conversation or goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation {
    /// Begin one under this id.
    Open(SessionId),
    /// Go on with the one that has this id.
    Resume(SessionId),
}

/// What to start for one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, without the program's own name.
    pub args: Vec<String>,
    /// The prompt, where it is too long for argv: to be put in a file that becomes stdin. `None`: stdin is `/dev/null`.
    pub stdin: Option<String>,
}

/// A turn of the real agent.
pub fn claude(program: &Path, agent_name: &str, model: &str, conversation: Conversation, prompt: &str) -> Command {
    let (args, stdin) = arguments(agent_name, model, conversation, prompt);
    Command { program: program.to_owned(), args, stdin }
}

/// A turn of the built-in rehearsal agent: this program's own `drill` subcommand, which has the same face.
pub fn drill(model: &str, conversation: Conversation, prompt: &str) -> Command {
    let (mut args, stdin) = arguments("drill", model, conversation, prompt);
    args.insert(0, "drill".to_owned());
    Command { program: PathBuf::from(THIS_PROGRAM), args, stdin }
}

fn arguments(agent: &str, model: &str, conversation: Conversation, prompt: &str) -> (Vec<String>, Option<String>) {
    let (flag, id) = match conversation {
        Conversation::Open(id) => ("--session-id", id),
        Conversation::Resume(id) => ("--resume", id),
    };
    let id = id.to_string();
    let mut args: Vec<String> = [
        "-p",
        "--agent",
        agent,
        "--dangerously-skip-permissions",
        "--output-format",
        "stream-json",
        "--verbose", // stream-json is refused without it
        "--model",
        model,
        flag,
        &id,
    ]
    .map(str::to_owned)
    .into();
    let prompt = as_text(prompt);
    if prompt.len() > ARGUMENT_BYTES_MAX {
        return (args, Some(prompt));
    }
    args.extend(["--".to_owned(), prompt]);
    (args, None)
}

/// Only a `/` as the very first character makes a slash command, in argv and on stdin.
fn as_text(prompt: &str) -> String {
    let guard = if prompt.starts_with('/') { " " } else { "" };
    format!("{guard}{prompt}")
}

/// What the agent gets of the gateway's environment: what a program needs to work, how to reach the network, and its own
/// settings. `NAME*` is whatever begins so. Cloud credentials are handed on only when they are named.
const ALLOWED: &[&str] = &[
    "HOME",
    "PATH",
    "USER",
    "LANG",
    "LC_*",
    "TZ",
    "TERM",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "IS_SANDBOX",
    "ANTHROPIC_*",
    "CLAUDE_*",
];

/// The environment for the agent: `ALLOWED` and what the operator named, and never this gateway's own settings.
pub fn environment(vars: impl Iterator<Item = (OsString, OsString)>, named: &[&str]) -> Vec<(OsString, OsString)> {
    let fits = |name: &[u8], pattern: &&str| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning.as_bytes()),
        None => name == pattern.as_bytes(),
    };
    let allowed = |name: &[u8]| ALLOWED.iter().chain(named).any(|pattern| fits(name, pattern));
    vars.filter(|(name, _)| allowed(name.as_bytes()) && !name.as_bytes().starts_with(OWN_PREFIX)).collect()
}

/// Why the agent's program cannot be started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAgent {
    /// The setting is empty.
    #[error("BREAKGLASS_CLAUDE is empty: name the `claude` program there, or use the agent `drill`")]
    Empty,
    /// A name that no folder of PATH has.
    #[error(
        "`{program}` is in no folder of PATH (`{path}`): install Claude Code, or set BREAKGLASS_CLAUDE to its program, \
         or use the agent `drill`"
    )]
    NotInPath {
        /// What was looked for.
        program: String,
        /// Where.
        path: String,
    },
    /// A path that is no program.
    #[error(
        "`{program}` is not an executable file: install Claude Code there, or set BREAKGLASS_CLAUDE to its program, \
         or use the agent `drill`"
    )]
    NotAProgram {
        /// What was looked at.
        program: PathBuf,
    },
}

/// Finds the agent's program, as execvp(3) would, but by an absolute path that stays right in another folder.
///
/// `path` is the value of PATH; `cwd` is what relative names, there and in `program`, are relative to.
///
/// # Errors
/// [`NoAgent`] says what was looked for, where, and the way out.
pub fn find_program(program: &OsStr, path: Option<&OsStr>, cwd: &Path) -> Result<PathBuf, NoAgent> {
    if program.is_empty() {
        return Err(NoAgent::Empty);
    }
    if program.as_bytes().contains(&b'/') {
        let file = absolute(cwd, Path::new(program));
        return if is_program(&file) { Ok(file) } else { Err(NoAgent::NotAProgram { program: file }) };
    }
    let path = path.unwrap_or_default();
    // `split_paths` makes one empty folder of an empty PATH, which would mean the current one.
    let folders = std::env::split_paths(path).filter(|_| !path.is_empty());
    let found = folders.map(|folder| absolute(cwd, &folder).join(program)).find(|file| is_program(file));
    found.ok_or_else(|| NoAgent::NotInPath { program: program.display().to_string(), path: path.display().to_string() })
}

fn absolute(cwd: &Path, path: &Path) -> PathBuf {
    let joined = cwd.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

fn is_program(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}
