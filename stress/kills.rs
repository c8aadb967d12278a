//! Kill -9, again and again, of whatever keeps a turn going, while everybody plays on.

use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::process::Signal;
use tokio::time::sleep;

use crate::gateway::{Part, signal};
use crate::stage::{Stage, Summary};

/// Between two kills, milliseconds.
const APART_MS: (u64, u64) = (1, 200);

#[derive(Debug, Default)]
struct Killed {
    gateways: u64,
    supervisors: u64,
    agents: u64,
    slowest_start: Duration,
}

/// Kills so many times; then all must be as promised.
pub(crate) async fn play(mut stage: Stage, rounds: u64) -> Result<(Summary, String)> {
    let mut killed = Killed::default();
    stage.enter();
    for _ in 0..rounds {
        sleep(Duration::from_millis(stage.random.of(APART_MS.0, APART_MS.1))).await;
        match stage.random.of(0, 99) {
            0..=39 => restart(&mut stage, &mut killed, None)?,
            40..=59 => killed.supervisors += kill_one(&mut stage, Part::Supervisor),
            60..=79 => killed.agents += kill_one(&mut stage, Part::Agent),
            _ => restart(&mut stage, &mut killed, Some(Part::Supervisor))?,
        }
        stage.check_so_far()?;
    }
    let summary = stage.leave().await?;
    stage.end()?;
    let told = format!(
        "; killed {} gateways, {} supervisors, {} agents; slowest start {} ms",
        killed.gateways,
        killed.supervisors,
        killed.agents,
        killed.slowest_start.as_millis()
    );
    Ok((summary, told))
}

fn restart(stage: &mut Stage, killed: &mut Killed, also: Option<Part>) -> Result<()> {
    // Found first: what is to die together dies within the same millisecond.
    let parts = if also.is_some() { stage.gateway.parts() } else { Vec::new() };
    stage.gateway.kill()?;
    for (pid, _) in parts.iter().filter(|(_, part)| Some(*part) == also) {
        signal(*pid, Signal::KILL);
        killed.supervisors += 1;
    }
    killed.gateways += 1;
    let started = Instant::now();
    stage.gateway.restart()?;
    killed.slowest_start = killed.slowest_start.max(started.elapsed());
    Ok(())
}

/// How many were there to be killed: 1 or 0.
fn kill_one(stage: &mut Stage, part: Part) -> u64 {
    let found: Vec<i32> =
        stage.gateway.parts().into_iter().filter(|(_, one)| *one == part).map(|(pid, _)| pid).collect();
    if found.is_empty() {
        return 0;
    }
    signal(*stage.random.one(&found), Signal::KILL);
    1
}
