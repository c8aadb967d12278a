//! The drill's arguments, and the words in which `claude` refuses (claude-cli.md sections 0, 2 and 4).
//!
//! Invariant: what a gateway gives to `claude` means the same here; an option that is not known is refused, not ignored.

use serde_json::Value;

use super::directive::BadDirective;
use super::voice;
use crate::ids::SessionId;

/// The exit code for a prompt whose directives make no sense (`EX_USAGE` of sysexits.h).
const EXIT_USAGE: u8 = 64;

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Request {
    Help,
    Play(Invocation),
}

/// A run, as asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    pub(super) agent: String,
    pub(super) model: String,
    pub(super) opening: Opening,
    /// `None`: it is on stdin.
    pub(super) prompt: Option<String>,
}

/// Which conversation. The id is kept as it was written, upper case included.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    New(String),
    Resume(String),
}

/// Why nothing is played.
#[derive(Debug)]
pub(super) struct Refusal {
    /// To stderr.
    pub(super) message: String,
    /// To stdout, if anything.
    pub(super) line: Option<Value>,
    pub(super) code: u8,
}

impl Refusal {
    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, code: 1 }
    }

    pub(super) fn in_use(id: &str) -> Self {
        Self::plain(format!("Error: Session ID {id} is already in use."))
    }

    pub(super) fn lost(id: &str) -> Self {
        let message = format!("No conversation found with session ID: {id}");
        Self { line: Some(voice::lost(id, &message)), message, code: 1 }
    }
}

impl From<BadDirective> for Refusal {
    fn from(bad: BadDirective) -> Self {
        Self { message: format!("Error: {bad}"), line: None, code: EXIT_USAGE }
    }
}

/// The options, as given.
#[derive(Default)]
struct Given {
    print: bool,
    verbose: bool,
    agent: Option<String>,
    model: Option<String>,
    output_format: Option<String>,
    session_id: Option<String>,
    resume: Option<String>,
}

impl Given {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "--agent" => Some(&mut self.agent),
            "--model" => Some(&mut self.model),
            "--output-format" => Some(&mut self.output_format),
            "--session-id" => Some(&mut self.session_id),
            "--resume" | "-r" => Some(&mut self.resume),
            _ => None,
        }
    }
}

/// Reads the arguments after `drill`.
pub(super) fn read(args: Vec<String>) -> Result<Request, Refusal> {
    let mut given = Given::default();
    let mut prompts = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--" => prompts.extend(args.by_ref()),
            "--help" | "-h" => return Ok(Request::Help),
            "-p" | "--print" => given.print = true,
            "--verbose" => given.verbose = true,
            "--dangerously-skip-permissions" => {}
            option if option.len() > 1 && option.starts_with('-') => {
                let (name, value) = option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
                let unknown = || Refusal::plain(format!("error: unknown option '{option}'"));
                let slot = given.slot(name).ok_or_else(unknown)?;
                let value = value.map(str::to_owned).or_else(|| args.next());
                let missing = || Refusal::plain(format!("error: option '{name} <value>' argument missing"));
                *slot = Some(value.ok_or_else(missing)?);
            }
            _ => prompts.push(arg),
        }
    }
    if !given.print {
        return Err(Refusal::plain(
            "Error: the drill is not interactive: it needs --print (`breakglass drill --help`)",
        ));
    }
    if prompts.len() > 1 {
        let message = format!("error: too many arguments. Expected 1 argument but got {}.", prompts.len());
        return Err(Refusal::plain(message));
    }
    check_format(&given)?;
    Ok(Request::Play(Invocation {
        opening: opening(given.session_id, given.resume)?,
        agent: given.agent.unwrap_or_else(|| "drill".to_owned()),
        model: given.model.unwrap_or_else(|| "drill".to_owned()),
        prompt: prompts.pop(),
    }))
}

fn check_format(given: &Given) -> Result<(), Refusal> {
    match given.output_format.as_deref() {
        None | Some("stream-json") if given.verbose => Ok(()),
        None | Some("stream-json") => {
            Err(Refusal::plain("Error: When using --print, --output-format=stream-json requires --verbose"))
        }
        Some(other) => Err(Refusal::plain(format!("Error: the drill prints `stream-json` only, not `{other}`"))),
    }
}

fn opening(session_id: Option<String>, resume: Option<String>) -> Result<Opening, Refusal> {
    let is_id = |text: &str| text.parse::<SessionId>().is_ok();
    match (session_id, resume) {
        (Some(_), Some(_)) => {
            Err(Refusal::plain("Error: --session-id with --continue or --resume also needs --fork-session."))
        }
        (Some(id), None) if is_id(&id) => Ok(Opening::New(id)),
        (Some(_), None) => Err(Refusal::plain("Error: Invalid session ID. Must be a valid UUID.")),
        (None, Some(id)) if is_id(&id) => Ok(Opening::Resume(id)),
        (None, Some(_)) => {
            Err(Refusal::plain("Error: --resume requires a valid session ID or session title when used with --print."))
        }
        (None, None) => Ok(Opening::New(SessionId::random().to_string())),
    }
}

/// Refuses a prompt that says nothing.
pub(super) fn check_prompt(prompt: &str) -> Result<(), Refusal> {
    if prompt.is_empty() {
        return Err(Refusal::plain(
            "Error: Input must be provided either through stdin or as a prompt argument when using --print",
        ));
    }
    if prompt.trim().is_empty() {
        return Err(Refusal::plain("Error: Input contained only whitespace. Provide a prompt with some text in it."));
    }
    Ok(())
}
