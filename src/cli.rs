//! The commands: one file each. Here: what they have in common, and how each ends.

mod access;
mod attach;
mod data_dir;
mod doctor;
mod draft;
mod export;
mod harmless;
mod keep;
mod key;
mod layout;
mod prompt;
mod redact;
mod remote;
mod schema;
mod screen;
mod search;
mod serve;
mod sessions;
mod stop;
mod token;
mod transcript;
mod verify;
mod view;
mod words;
mod workspaces;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::config::{BadSetting, Settings};

/// A setting or argument that cannot be used (sysexits.h, `EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// The log's disk failed (`EX_IOERR`).
const EXIT_IO: u8 = 74;

/// A blocking thread without work ends after so long: a gateway at rest looks at its database every second, each time on
/// another thread, and would else keep a thread for each look of tokio's usual 10 s.
const IDLE_THREAD: Duration = Duration::from_secs(2);

/// What still works on a blocking thread at the end gets so long.
const BLOCKING_WAIT: Duration = Duration::from_secs(1);

/// The gateway that people open when their infrastructure is on fire.
///
/// It runs a recovery agent, keeps every session's log on disk, and shows a running turn to everyone attached.
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "breakglass", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (also when no command is given)
    #[command(after_help = limits())]
    Serve(Settings),
    /// Make, list and revoke the tokens that people sign in with; works while the gateway runs
    Token(token::TokenArgs),
    /// Show who came and what they did, the newest first; works while the gateway runs
    Access(access::AccessArgs),
    /// Print the public key that checkpoints of the log are verified with; made if there is none yet
    Key(key::KeyArgs),
    /// Check a history against its signed checkpoints
    Verify(verify::VerifyArgs),
    /// Take a record's content away for good; works in the data folder, beside a running gateway or without one
    Redact(redact::RedactArgs),
    /// List the sessions of a gateway, latest activity first; `sessions new` makes one
    Sessions(sessions::SessionsArgs),
    /// Show a session: what was, and then what happens, live
    Attach(attach::AttachArgs),
    /// Ask a session's agent for something, and show the turn until it ends
    Prompt(prompt::PromptArgs),
    /// Stop a session's running turn
    Stop(stop::StopArgs),
    /// Find words in all sessions: prompts, prose, tool inputs and outputs, results and errors
    Search(search::SearchArgs),
    /// Take a session's whole history away: its records, a timeline, or a bundle that can be verified
    Export(export::ExportArgs),
    /// Say what a start with these settings would meet, and what to do about it
    Doctor(Settings),
    /// Copy the log into a file while the gateway runs
    Backup(keep::BackupArgs),
    /// Put a copy of the log back, into the data folder of a stopped gateway
    Restore(keep::RestoreArgs),
    /// Put a session under legal hold: nothing of it goes, whatever the limits say
    Hold(keep::HoldArgs),
    /// End a session's legal hold
    Release(keep::HoldArgs),
    /// List what was taken away, held, backed up or put back
    Retention(keep::RetentionArgs),
    /// Print the JSON Schema of the wire protocol
    Schema,
}

/// The limits that no setting changes, for the help: each is answered with its own error.
fn limits() -> String {
    use crate::http::{BODY_BYTES_MAX, BODY_TIMEOUT, HEAD_BYTES_MAX, HEAD_TIMEOUT};
    use crate::protocol::{ATTACHED_MAX, FRAME_BYTES_MAX, PROMPT_BYTES_MAX, client::DEPTH_MAX};
    let (head_s, body_s) = (HEAD_TIMEOUT.as_secs(), BODY_TIMEOUT.as_secs());
    format!(
        "Limits that are fixed:\n  \
         attached sessions of one connection  {ATTACHED_MAX}\n  \
         a prompt                             {PROMPT_BYTES_MAX} bytes\n  \
         a frame                              {FRAME_BYTES_MAX} bytes\n  \
         arrays and objects nested in JSON    {DEPTH_MAX}\n  \
         the head of a request                {HEAD_BYTES_MAX} bytes, within {head_s} s\n  \
         the body of a request                {BODY_BYTES_MAX} bytes, within {body_s} s\n  \
         a connection that asks nothing       cut after {head_s} s\n  \
         requests over one WebSocket          200 a second in the long run, 1000 at once"
    )
}

/// Why a command failed, with the status that it ends with.
#[derive(Debug)]
struct Failure {
    status: u8,
    /// For people; none when there is nobody left to read it.
    message: Option<String>,
}

impl Failure {
    fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: Some(message.into()) }
    }
}

impl From<BadSetting> for Failure {
    fn from(error: BadSetting) -> Self {
        Self::new(EXIT_USAGE, error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(1, format!("{error:#}"))
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let ended = match cli.command.unwrap_or(Command::Serve(cli.settings)) {
        Command::Serve(settings) => {
            start_logging(&settings.log).and_then(|()| in_runtime(serve::serve(&settings))).map(|()| 0)
        }
        Command::Token(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(token::token(args))).map(|()| 0)
        }
        Command::Access(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(access::access(&args))).map(|()| 0)
        }
        Command::Doctor(settings) => doctor::doctor(&settings).map(|()| 0),
        Command::Backup(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(keep::backup(args))).map(|()| 0)
        }
        Command::Restore(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(keep::restore(args))).map(|()| 0)
        }
        Command::Hold(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(keep::hold(args))).map(|()| 0)
        }
        Command::Release(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(keep::release(args))).map(|()| 0)
        }
        Command::Retention(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(keep::retention(args))).map(|()| 0)
        }
        Command::Key(args) => key::key(&args).map(|()| 0),
        Command::Redact(args) => {
            start_logging(&args.settings.log).and_then(|()| in_runtime(redact::redact(args))).map(|()| 0)
        }
        Command::Verify(args) => verify::run(&args),
        Command::Schema => schema::schema().map(|()| 0),
        Command::Sessions(args) => in_client_runtime(sessions::sessions(args)),
        Command::Attach(args) => in_client_runtime(attach::attach(args)),
        Command::Prompt(args) => in_client_runtime(prompt::prompt(args)),
        Command::Stop(args) => in_client_runtime(stop::stop(args)),
        Command::Search(args) => in_client_runtime(search::search(args)),
        Command::Export(args) => in_client_runtime(export::export(args)),
    };
    match ended {
        Ok(status) => ExitCode::from(status),
        Err(failure) => fail(&failure),
    }
}

/// Ends a command line that could not be read: help and version as asked for, everything else in one line.
pub fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nothing can be done about a closed stdout.
            let _closed = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            let text = error.to_string();
            // What is wrong, and the names that it is wrong about; usage and tips stand behind the first blank line.
            let lines =
                text.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
            let message = lines.collect::<Vec<_>>().join(" ");
            let message = message.trim_start_matches("error: ");
            fail(&Failure::new(EXIT_USAGE, format!("{message}; see breakglass --help")))
        }
    }
}

/// Puts `serve` before its settings: `breakglass --data X serve` says the same as `breakglass serve --data X`.
pub fn command_first(mut args: Vec<OsString>) -> Vec<OsString> {
    let mut place = 0;
    while let Some(flag) = args.get(place).and_then(|arg| arg.to_str()).filter(|arg| arg.starts_with("--")) {
        place += if flag.contains('=') { 1 } else { 2 };
    }
    if place > 0 && args.get(place).is_some_and(|arg| arg == "serve") {
        let command = args.remove(place);
        args.insert(0, command);
    }
    args
}

/// `cage --parent PID DIR`, as a supervisor starts it.
pub fn cage(args: &[OsString]) -> ExitCode {
    let [_, flag, parent, dir] = args else { return ExitCode::from(EXIT_USAGE) };
    let parent = (flag == "--parent").then(|| parent.to_str()?.parse().ok()).flatten();
    parent.map_or(ExitCode::from(EXIT_USAGE), |parent| crate::turn::cage::run(Path::new(dir), parent))
}

#[expect(clippy::print_stderr, reason = "the one line that a failed command ends with")]
fn fail(failure: &Failure) -> ExitCode {
    if let Some(message) = &failure.message {
        eprintln!("breakglass: {}", message.replace('\n', " "));
    }
    ExitCode::from(failure.status)
}

fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(IDLE_THREAD).build();
    let runtime = runtime.map_err(|error| Failure::new(1, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(command);
    // Compressing and sweeping can be broken off at any point; a planned stop does not wait for them.
    runtime.shutdown_timeout(BLOCKING_WAIT);
    ended
}

/// For commands that only wait: one thread, and no waiting for a terminal that takes nothing.
fn in_client_runtime(command: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(1, format!("cannot start: {error}")))?;
    let ended = runtime.block_on(command);
    runtime.shutdown_background();
    ended
}

fn start_logging(filter: &str) -> Result<(), Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        let message = format!("--log: `{filter}` is not a filter like `info` or `breakglass=debug`: {error}");
        Failure::new(EXIT_USAGE, message)
    };
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|error| bad(&error))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    subscriber.with_ansi(ansi).try_init().map_err(|error| Failure::new(1, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_may_stand_before_serve() {
        let first = |line: &str| {
            let args = command_first(line.split(' ').map(OsString::from).collect());
            args.into_iter().map(|arg| arg.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(first("--data x --log=info serve"), "serve --data x --log=info");
        for as_it_was in ["serve --data x", "--data serve", "--data x", "token list", "prompt last serve", ""] {
            assert_eq!(first(as_it_was), as_it_was);
        }
    }
}
