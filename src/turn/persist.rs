//! Writing what must not be lost: again and again while the disk is full, until it is written or the gateway stops.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::db::WriteError;
use crate::log::LogError;

/// Between two tries; the spool keeps what the agent says meanwhile.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The gateway stops, or cannot write any more: the next start goes on from what is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abandoned;

/// Repeats a write until it is acknowledged, and gives its answer.
///
/// # Errors
/// [`Abandoned`] when the gateway stops, or when repeating is no use.
pub async fn persist<T, F>(stopping: &CancellationToken, mut write: impl FnMut() -> F) -> Result<T, Abandoned>
where
    F: Future<Output = Result<T, LogError>>,
{
    loop {
        match write().await {
            Ok(answer) => return Ok(answer),
            Err(LogError::Write(WriteError::Unavailable { .. }) | LogError::Read(_)) => {}
            Err(LogError::Write(WriteError::Closed)) => return Err(Abandoned),
            Err(error) => {
                tracing::error!(%error, "a turn cannot be written; the next start will settle it");
                return Err(Abandoned);
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return Err(Abandoned),
            () = tokio::time::sleep(RETRY_AFTER) => {}
        }
    }
}
