//! The `breakglass` program: parse, log, dispatch, exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use breakglass::cli::{self, Cli};
use breakglass::drill;
use breakglass::turn::supervisor;
use clap::Parser;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Hidden: what the gateway starts for itself. They must not fail over a setting.
    match args.first().and_then(|name| name.to_str()) {
        Some("supervise") => return supervisor::run(Path::new(args.get(1).unwrap_or(&OsString::new()))),
        Some("cage") => return cli::cage(&args),
        Some("drill") => return drill::run(args.into_iter().skip(1)),
        _ => {}
    }
    match Cli::try_parse_from(std::iter::once("breakglass".into()).chain(cli::command_first(args))) {
        Ok(cli) => cli::run(cli),
        Err(error) => cli::refuse(&error),
    }
}
