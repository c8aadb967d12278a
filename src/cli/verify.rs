//! `breakglass verify`: for people who do not take our word for it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::Failure;
use crate::evidence::note::Verifier;
use crate::verify::{Pinned, Verdict, verify};

/// Something is not as it was signed.
const EXIT_ALTERED: u8 = 1;
/// Something is missing.
const EXIT_INCOMPLETE: u8 = 2;
/// There was nothing to check.
const EXIT_NOTHING: u8 = 3;

/// Ends with 0 when everything is proved, 1 when something was altered, 2 when something is missing or not signed yet, 3
/// when it is neither a database nor a bundle.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A bundle, a database (`breakglass.db`, or a copy of it), or a data folder
    #[arg(value_name = "BUNDLE|DATABASE")]
    path: PathBuf,
    /// The gateway's public key as `breakglass key` prints it, or a file with it; get it from somebody you trust
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Checkpoints that were kept elsewhere: a file of signed notes, or of lines from the gateway's journal
    #[arg(long, value_name = "FILE")]
    pinned: Option<PathBuf>,
}

pub(super) fn run(args: &VerifyArgs) -> Result<u8, Failure> {
    let nothing = |message: String| Failure { status: EXIT_NOTHING, message: Some(message) };
    let key = read_key(&args.key).map_err(nothing)?;
    let pinned = args.pinned.as_deref().map(|path| Pinned::read(path, &key)).transpose();
    let pinned = pinned.map_err(|error| nothing(error.to_string()))?.unwrap_or_default();
    let report = verify(&args.path, &key, &pinned).map_err(|error| nothing(error.to_string()))?;
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").context("cannot write to stdout");
    for finding in report.findings() {
        say(finding.to_string())?;
    }
    if report.left_out() > 0 {
        say(format!("and {} findings more", report.left_out()))?;
    }
    let gone = match report.removed {
        0 => String::new(),
        removed => format!("; {removed} sessions were removed by retention"),
    };
    let met = format!(
        "{} sessions, {} records, {} checkpoints of `{}` met{gone}",
        report.sessions,
        report.records,
        report.checkpoints,
        key.name()
    );
    let (word, status) = match report.verdict() {
        Verdict::Proved => ("PROVED", 0),
        Verdict::Incomplete => ("INCOMPLETE", EXIT_INCOMPLETE),
        Verdict::Altered => ("ALTERED", EXIT_ALTERED),
    };
    say(format!("{word}: {met}"))?;
    Ok(status)
}

fn read_key(text: &str) -> Result<Verifier, String> {
    let from_file = std::fs::read_to_string(text).ok();
    let key = from_file.as_deref().unwrap_or(text).trim();
    key.parse().map_err(|error| format!("--key: `{text}` is {error}"))
}
