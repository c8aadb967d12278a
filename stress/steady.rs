//! Turns, and viewers that come, go, stall and jump; and after it nothing of them is left in the gateway.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stage::{Stage, Summary};

/// Plays so long.
pub(crate) async fn play(mut stage: Stage, duration: Duration) -> Result<(Summary, String)> {
    stage.enter();
    let until = Instant::now() + duration;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.check_so_far()?;
    }
    let summary = stage.leave().await?;
    let (before, after) = (stage.fresh, stage.calm().await?);
    stage.end()?;
    Ok((summary, format!("; held before {before:?}, after {after:?}")))
}
