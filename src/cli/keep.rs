//! `breakglass backup`, `restore`, `hold`, `release`, `retention`: in the data folder itself, for whoever may read it.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;

use super::harmless::one_line;
use super::{EXIT_USAGE, Failure, data_dir};
use crate::config::{DataPaths, DataSettings};
use crate::db::Db;
use crate::ids::SessionId;
use crate::keep::Keep;
use crate::keep::backup::backup as copy;
use crate::keep::restore::{Replace, restore as put_back};

/// The longest reason, characters.
const REASON_CHARS_MAX: usize = 1_000;

#[derive(Debug, Args)]
#[command(
    after_help = "The copy is one committed state, taken while turns run. It holds the log, the tokens' hashes and the checkpoints. It does \
    not hold the signing key, the raw evidence (`turns`) and the workspaces: docs/operations.md says how to keep those."
)]
pub(super) struct BackupArgs {
    /// The file to make; it must not be there yet
    file: PathBuf,
    #[command(flatten)]
    pub settings: DataSettings,
}

#[derive(Debug, Args)]
#[command(after_help = "The gateway must be stopped. Clients are told that the log is another one, and show it anew.")]
pub(super) struct RestoreArgs {
    /// A file that `backup` made
    file: PathBuf,
    /// Put the log that is there aside, in a folder beside it
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    pub settings: DataSettings,
}

#[derive(Debug, Args)]
pub(super) struct HoldArgs {
    /// Which session: its id or the beginning of it
    session: String,
    /// Why; it is kept for good
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    pub settings: DataSettings,
}

#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    /// List the sessions under legal hold instead
    #[arg(long)]
    holds: bool,
    #[command(flatten)]
    pub settings: DataSettings,
}

/// Whoever runs the command, as the system knows them: these commands need no token.
fn by() -> String {
    format!("uid {}", rustix::process::getuid().as_raw())
}

fn open(data: &DataPaths) -> Result<Keep, Failure> {
    data_dir::keep_private();
    if !data.database().exists() {
        let message =
            format!("there is no log in `{}`; name the gateway's data folder with --data", data.root.display());
        return Err(Failure::new(EXIT_USAGE, message));
    }
    Ok(Keep::new(Db::open(&data.database()).context("cannot open the log")?))
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")?;
    Ok(())
}

pub(super) async fn backup(args: BackupArgs) -> Result<(), Failure> {
    let data = args.settings.data_paths()?;
    let keep = open(&data)?;
    let (from, to) = (data.database(), args.file.clone());
    let copied = tokio::task::spawn_blocking(move || copy(&from, &to)).await.context("the copy was broken off")?;
    let extent = copied.map_err(anyhow::Error::from)?;
    let what = format!("{} sessions, {} events, epoch {}", extent.sessions, extent.events, extent.epoch);
    let noted = keep.note("backup", None, by(), format!("to `{}`: {what}", args.file.display())).await;
    noted.context("the copy was made, but could not be written down")?;
    say(&format!("{}: {what}", one_line(&args.file.display().to_string())))
}

pub(super) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    data_dir::keep_private();
    let data = args.settings.data_paths()?;
    data_dir::create(&data)?;
    let _lock = data_dir::lock(&data.lock())?;
    let replace = if args.replace { Replace::Allowed } else { Replace::Refused };
    let work = move || put_back(&args.file, &data, replace, &by());
    let restored = tokio::task::spawn_blocking(work).await.context("the return was broken off")?;
    let restored = restored.map_err(anyhow::Error::from)?;
    if let Some(aside) = &restored.aside {
        say(&format!("the log that was there is in {}", one_line(&aside.display().to_string())))?;
    }
    say(&format!("restored: {} sessions, {} events", restored.extent.sessions, restored.extent.events))
}

pub(super) async fn hold(args: HoldArgs) -> Result<(), Failure> {
    let (keep, session) = find(&args).await?;
    let new = keep.hold(session, by(), args.reason).await.context("the session is not held")?;
    say(&if new { format!("held {session}") } else { format!("{session} is held already") })
}

pub(super) async fn release(args: HoldArgs) -> Result<(), Failure> {
    let (keep, session) = find(&args).await?;
    if !keep.release(session, by(), args.reason).await.context("the session is still held")? {
        return Err(anyhow!("`{session}` is not held; `breakglass retention --holds` lists those that are").into());
    }
    say(&format!("released {session}"))
}

async fn find(args: &HoldArgs) -> Result<(Keep, SessionId), Failure> {
    let fits = (1..=REASON_CHARS_MAX).contains(&args.reason.trim().chars().count());
    if !fits {
        let message = format!("--reason: 1 to {REASON_CHARS_MAX} characters are needed");
        return Err(Failure::new(EXIT_USAGE, message));
    }
    let keep = open(&args.settings.data_paths()?)?;
    let begins = args.session.to_ascii_lowercase();
    let is_id = !begins.is_empty() && begins.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let found = if is_id { keep.sessions_beginning(begins).await.context("cannot look for it")? } else { Vec::new() };
    match found.as_slice() {
        [one] => Ok((keep, *one)),
        [] => {
            Err(Failure::new(EXIT_USAGE, format!("`{}` is the beginning of no session's id", one_line(&args.session))))
        }
        _ => {
            let message = format!("`{}` is the beginning of several sessions' ids; give more of it", args.session);
            Err(Failure::new(EXIT_USAGE, message))
        }
    }
}

pub(super) async fn retention(args: RetentionArgs) -> Result<(), Failure> {
    let keep = open(&args.settings.data_paths()?)?;
    if args.holds {
        for hold in keep.holds().await.context("cannot list the holds")? {
            let (by, reason) = (one_line(&hold.by), one_line(&hold.reason));
            say(&format!("{}\t{}\t{by}\t{reason}", hold.since.rfc3339(), one_line(&hold.session)))?;
        }
        return Ok(());
    }
    for act in keep.acts().await.context("cannot list what was done")? {
        let session = act.session.as_deref().map_or_else(|| "-".to_owned(), one_line);
        let (what, by, detail) = (one_line(&act.act), one_line(&act.by), one_line(&act.detail));
        say(&format!("{}\t{what}\t{session}\t{by}\t{detail}", act.time.rfc3339()))?;
    }
    Ok(())
}
