//! The commands: one file each. Here: what they have in common, and how each ends.

mod data_dir;
mod key;
mod schema;
mod serve;
mod token;
mod verify;

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

/// What still works on a blocking thread at the end gets so long.
const BLOCKING_WAIT: Duration = Duration::from_secs(1);

/// The gateway that people open when their infrastructure is on fire.
///
/// It runs a recovery agent, keeps every session's log on disk, and shows a running turn to everyone attached.
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "breakglass", version)]
pub struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (also when no command is given)
    Serve,
    /// Make, list and revoke the tokens that people sign in with; works while the gateway runs
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Print the public key that checkpoints of the log are verified with; made if there is none yet
    Key(key::KeyArgs),
    /// Check a history against its signed checkpoints
    Verify(verify::VerifyArgs),
    /// Print the JSON Schema of the wire protocol
    Schema,
}

/// Why a command failed, with the status that it ends with.
#[derive(Debug)]
struct Failure {
    status: u8,
    message: String,
}

impl From<BadSetting> for Failure {
    fn from(error: BadSetting) -> Self {
        Self { status: EXIT_USAGE, message: error.to_string() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { status: 1, message: format!("{error:#}") }
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let ended = start_logging(&cli.settings.log).and_then(|()| match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => in_runtime(serve::serve(&cli.settings)),
        Command::Token(command) => in_runtime(token::token(&cli.settings, command)),
        Command::Key(args) => key::key(&cli.settings, &args),
        Command::Verify(args) => verify::run(&args),
        Command::Schema => schema::schema(),
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
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
            let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("the command line cannot be read");
            let message = line.trim_start_matches("error: ").to_owned();
            fail(&Failure { status: EXIT_USAGE, message: format!("{message}; see breakglass --help") })
        }
    }
}

/// `cage --parent PID DIR`, as a supervisor starts it.
pub fn cage(args: &[OsString]) -> ExitCode {
    let [_, flag, parent, dir] = args else { return ExitCode::from(EXIT_USAGE) };
    let parent = (flag == "--parent").then(|| parent.to_str()?.parse().ok()).flatten();
    parent.map_or(ExitCode::from(EXIT_USAGE), |parent| crate::turn::cage::run(Path::new(dir), parent))
}

#[expect(clippy::print_stderr, reason = "the one line that a failed command ends with")]
fn fail(failure: &Failure) -> ExitCode {
    eprintln!("breakglass: {}", failure.message.replace('\n', " "));
    ExitCode::from(failure.status)
}

fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure { status: 1, message: format!("cannot start: {error}") })?;
    let ended = runtime.block_on(command);
    // Compressing and sweeping can be broken off at any point; a planned stop does not wait for them.
    runtime.shutdown_timeout(BLOCKING_WAIT);
    ended
}

fn start_logging(filter: &str) -> Result<(), Failure> {
    let bad = |error: &dyn std::fmt::Display| Failure {
        status: EXIT_USAGE,
        message: format!("--log: `{filter}` is not a filter like `info` or `breakglass=debug`: {error}"),
    };
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|error| bad(&error))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    subscriber.with_ansi(ansi).try_init().map_err(|error| Failure { status: 1, message: error.to_string() })
}
