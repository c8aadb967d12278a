//! Turns, and viewers that come, go, stall and jump; and after it nothing of them is left in the gateway.
//!
//! A short play ends within what a gateway keeps for good. A long one compares equal states: once it is warm, the gateway
//! holds no more after hours than after the first minutes.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stage::{Stage, Summary};

/// A gateway under this load has reached what it keeps after some 90 s; then it stays there.
const WARM_UP: Duration = Duration::from_secs(120);
/// What it keeps for good in a short play: the page caches of its SQLite connections (`CACHE_KIB` in src/db; five work, a sixth
/// is for checkpoints), which fill up one after another, and some for what the allocator cannot give back.
const KEPT_BYTES: u64 = ((6 * 4_000) << 10) + (10 << 20);
/// What a warm one may hold more than before, however long the play.
const GROWTH_MAX_BYTES: u64 = 8 << 20;

/// Plays so long.
pub(crate) async fn play(mut stage: Stage, duration: Duration) -> Result<(Summary, String)> {
    let fresh = stage.fresh;
    let (warm, memory_max, left) = if duration < 2 * WARM_UP {
        (fresh, fresh.memory_bytes + KEPT_BYTES, duration)
    } else {
        round(&mut stage, WARM_UP).await?;
        let warm = stage.calm(u64::MAX).await?;
        (warm, warm.memory_bytes + GROWTH_MAX_BYTES, duration - WARM_UP)
    };
    let summary = round(&mut stage, left).await?;
    let after = stage.calm(memory_max).await?;
    stage.end()?;
    Ok((summary, format!("; held before {fresh:?}, then {warm:?}, after {after:?}")))
}

async fn round(stage: &mut Stage, duration: Duration) -> Result<Summary> {
    stage.enter();
    let until = Instant::now() + duration;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.check_so_far()?;
    }
    stage.leave().await
}
