//! The `breakglass` program.
#![expect(clippy::print_stdout, reason = "what a subcommand prints is its product")]

use std::path::Path;
use std::process::ExitCode;

use breakglass::turn::{cage, supervisor};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["supervise", dir] => supervisor::run(Path::new(dir)),
        ["cage", "--parent", pid, dir] => cage::run(Path::new(dir), pid.parse().unwrap_or(0)),
        _ => {
            let schema = serde_json::to_string_pretty(&breakglass::protocol::schema::schema()).unwrap_or_default();
            println!("{schema}");
            ExitCode::SUCCESS
        }
    }
}
