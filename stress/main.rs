//! Beats on a real gateway and checks every promise of docs/protocol.md from outside.
//!
//! `breakglass-stress --seed N --seconds S [--only NAME]`. What can be repeated is decided by the seed; what the machine's
//! timing adds is not, so a failure may take a few runs to come back. It uses nothing of the library: the wire is text.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod client;
mod gateway;
mod http;
mod kills;
mod ledger;
mod oracle;
mod prompter;
mod random;
mod stage;
mod steady;
mod viewer;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use stage::{Stage, Summary};

/// Beats on a real gateway and checks every promise from outside.
#[derive(Debug, Parser)]
struct Args {
    /// What chance begins with [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// How long `steady` plays
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// How many times `kills` kills
    #[arg(long, default_value_t = 60)]
    rounds: u64,
    /// How soon after quiet everybody must be at the head; more on a machine that others use
    #[arg(long, default_value_t = 2_000)]
    at_head_ms: u128,
    /// Play this one only
    #[arg(long)]
    only: Option<Play>,
    /// The gateway's program [default: `breakglass` beside this one]
    #[arg(long)]
    gateway: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Play {
    /// Turns, and viewers that come, go, stall and jump
    Steady,
    /// The same while gateway, supervisors and agents are killed
    Kills,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or(since.as_nanos() as u64 % 1_000_000);
    println!("seed {seed}");
    match run(&args, seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("FAILED with --seed {seed}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, seed: u64) -> Result<()> {
    let program = match &args.gateway {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("where is this program?")?.with_file_name("breakglass"),
    };
    anyhow::ensure!(program.is_file(), "there is no `{}`: cargo build (--release) makes it", program.display());
    let root = std::env::temp_dir().join(format!("breakglass-stress-{}-{seed}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plays = [Play::Steady, Play::Kills].into_iter().filter(|play| args.only.is_none_or(|only| only == *play));
    for play in plays {
        let root = root.join(format!("{play:?}"));
        runtime.block_on(async {
            let started = Instant::now();
            let stage = Stage::set(&program, &root, seed).await?;
            let world = std::sync::Arc::clone(&stage.world);
            let (summary, more) = match play {
                Play::Steady => steady::play(stage, Duration::from_secs(args.seconds)).await?,
                Play::Kills => kills::play(stage, args.rounds).await?,
            };
            tell(play, &world, summary, &more, started);
            let (took, limit) = (summary.at_head_ms, args.at_head_ms);
            anyhow::ensure!(took <= limit, "everybody was at the head only {took} ms after quiet; {limit} are allowed");
            anyhow::Ok(())
        })?;
    }
    // Kept when something was wrong: it tells what.
    std::fs::remove_dir_all(&root).context("cannot remove the play's folder")
}

fn tell(play: Play, world: &world::World, summary: Summary, more: &str, started: Instant) {
    let counts = &world.counts;
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{play:?}: {} s, {} events and {} turns in the log; {} events seen over {} connections and {} attaches, {} stalls; \
         {} prompts refused, {} sent again; everybody at the head after {} ms{more}",
        started.elapsed().as_secs(),
        summary.events,
        summary.turns,
        count(&counts.events),
        count(&counts.connections),
        count(&counts.attaches),
        count(&counts.stalls),
        count(&counts.refused),
        count(&counts.resent),
        summary.at_head_ms,
    );
}
