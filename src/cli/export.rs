//! `breakglass export`: a session's whole log, to stdout or into a file.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::draft::Draft;
use super::remote::{self, find_session};
use super::screen::Screen;
use super::{EXIT_IO, Failure};
use crate::client::Download;
use crate::config::ClientSettings;

/// Ended by SIGINT or SIGTERM, as a shell says it: so much and the signal's number.
const EXIT_SIGNAL: u8 = 128;

#[derive(Debug, Args)]
#[command(after_help = format!(
    "The log holds what the agent saw, secrets too: a file is made readable for its owner only.\n\n{}", remote::STATUSES
))]
pub(super) struct ExportArgs {
    /// Which session: its id, the beginning of its id, or `last`
    session: String,
    /// Write to this file, which is there whole or not at all; without it, or with `-`, to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    client: ClientSettings,
}

pub(super) async fn export(args: ExportArgs) -> Result<u8, Failure> {
    let config = args.client.check()?;
    let session = find_session(&config.gateway, &args.session).await?;
    let download = config.gateway.export(session).await?;
    match args.output.as_deref().filter(|path| path.as_os_str() != "-") {
        None => to_stdout(download, Screen::new(config.colours)).await.map(|()| 0),
        Some(path) => to_file_unless_ended(download, path).await,
    }
}

async fn to_stdout(mut download: Download, mut screen: Screen) -> Result<(), Failure> {
    while let Some(piece) = download.next().await? {
        screen.put_bytes(&piece).await?;
    }
    screen.flush().await
}

/// A signal drops the draft instead of leaving it.
async fn to_file_unless_ended(download: Download, path: &Path) -> Result<u8, Failure> {
    let cannot_listen = |error: std::io::Error| Failure::new(1, format!("cannot listen for signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot_listen)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot_listen)?;
    tokio::select! {
        written = to_file(download, path) => written.map(|()| 0),
        _ = interrupt.recv() => Ok(EXIT_SIGNAL + 2),
        _ = terminate.recv() => Ok(EXIT_SIGNAL + 15),
    }
}

async fn to_file(mut download: Download, path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(EXIT_IO, format!("cannot write `{}`: {error}", path.display()));
    let mut draft = Draft::begin(path).map_err(failed)?;
    while let Some(piece) = download.next().await? {
        draft.write(&piece).map_err(failed)?;
    }
    draft.finish().map_err(failed)
}
