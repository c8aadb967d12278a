//! Measures the gateway beside references that are started in the same run: `cargo bench --bench gateway -- latency`.
//!
//! What is compared ran within the same minutes on the same machine, and what is printed are medians and ratios: only ratios
//! mean anything on a machine that others use. Everything is bounded in time and count, listens on loopback only, lives in a
//! temporary folder, and ends what it started. See README.md beside this folder.

#![allow(
    missing_docs,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program for the developer's terminal, not a part of the gateway"
)]

mod cpu;
mod disk;
mod gateway;
mod load;
mod operator;
mod prefill;
mod reference;
mod report;
mod runs;
mod socket;
mod source;
mod wire;

use std::process::ExitCode;

use anyhow::{Result, bail};
use runs::Options;

/// A bench: its name and what it does.
type Bench = (&'static str, fn(&Options) -> Result<()>);

const BENCHES: [Bench; 9] = [
    ("latency", runs::latency::run),
    ("fanout", runs::fanout::run),
    ("multiplex", runs::multiplex::run),
    ("replay", runs::replay::run),
    ("ways", runs::ways::run),
    ("idle", runs::idle::run),
    ("writer", runs::writer::run),
    ("slow", runs::slow::run),
    ("start", runs::start::run),
];

const HELP: &str = "\
cargo bench --bench gateway -- [NAME...] [--short] [--big] [--rounds N]
  --short     smaller and shorter, one or two minutes in all
  --big       also what takes long (a million events, five thousand connections)
  --rounds N  how often each measurement is repeated; medians are printed (3)
  --only TEXT only table rows whose first column contains this (fanout, replay, idle, writer)
  --program P another build of the gateway, to compare with (not for writer, which runs in this process)
names, all by default:";

fn main() -> ExitCode {
    // What is prepared here a gateway takes over, and it refuses data that others could have read.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some("--reference") => reference::serve(&args[1..]),
        _ => measure(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &[String]) -> Result<()> {
    let (mut options, mut names, mut is_bench) =
        (Options { size: runs::Size::Usual, rounds: 3, only: None }, Vec::new(), false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--bench" => is_bench = true,
            "--short" => options.size = runs::Size::Short,
            "--big" => options.size = runs::Size::Big,
            "--rounds" => options.rounds = args.next().and_then(|count| count.parse().ok()).unwrap_or(3).clamp(1, 20),
            "--only" => options.only = args.next().cloned(),
            "--program" => {
                let path = args.next().and_then(|path| std::fs::canonicalize(path).ok());
                let Some(path) = path else { bail!("`--program` needs the path of a binary") };
                gateway::choose_program(&path.to_string_lossy());
            }
            "--help" => return help(),
            name if BENCHES.iter().any(|(known, _)| *known == name) => names.push(name.to_owned()),
            other => bail!("`{other}` is neither a bench nor an option; --help lists them"),
        }
    }
    // `cargo test --all-targets` runs this too, unoptimised and without `--bench`: measuring then would mislead.
    if !is_bench && names.is_empty() {
        return help();
    }
    report::machine();
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|chosen| chosen == name) {
            println!("\n## {name}\n");
            bench(&options)?;
        }
    }
    Ok(())
}

fn help() -> Result<()> {
    println!("{HELP}");
    for (name, _) in BENCHES {
        println!("  {name}");
    }
    Ok(())
}
