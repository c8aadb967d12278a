//! The play: a gateway with sessions, viewers and prompters; how it becomes quiet; and what must be true then.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::gateway::{Gateway, Usage};
use crate::prompter::Prompter;
use crate::random::Random;
use crate::viewer::{Places, Viewer};
use crate::world::{Phase, World, lock};
use crate::{http, oracle};

/// Turns at the same time.
const TURNS_MAX: usize = 6;
const SESSIONS: usize = 10;
const VIEWERS: u64 = 20;
const PROMPTERS: u64 = 6;
/// Every turn ends by itself, by a stop, or by the time-out of 20 s.
const LAST_TURN: Duration = Duration::from_secs(40);
/// After quiet everybody comes to the head. On a quiet machine within 2 s, which the summary tells; on a busy one whoever just
/// began with a long log may need more, but somebody must always be coming nearer.
const STANDSTILL: Duration = Duration::from_secs(10);
/// Idle threads of the runtime end after 10 s; before that nothing can be said.
const CALM: Duration = Duration::from_secs(25);
/// How much more than at its start the gateway may hold when everybody has gone.
const FILES_MORE: u64 = 2;
const THREADS_MORE: u64 = 2;

pub(crate) struct Stage {
    pub(crate) gateway: Gateway,
    pub(crate) world: Arc<World>,
    pub(crate) random: Random,
    auditor: String,
    seed: u64,
    rounds: u64,
    places: Vec<Places>,
    players: JoinSet<()>,
    /// What the gateway held before anybody came.
    pub(crate) fresh: Usage,
}

/// What is told at the end of a round: what is in the log by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) turns: u64,
    pub(crate) at_head_ms: u128,
}

impl Stage {
    /// Starts the gateway and everybody.
    pub(crate) async fn set(program: &Path, root: &Path, seed: u64) -> Result<Self> {
        let gateway = Gateway::start(program, root, TURNS_MAX)?;
        let auditor = gateway.command(&["token", "add", "auditor", "--role", "auditor"])?;
        let mut random = Random::new(seed, 0);
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let id = random.uuid().to_string();
            let body = json!({"session": id, "agent": "drill"});
            let (status, body) =
                http::request(gateway.address, &gateway.token, "POST", "/api/sessions", Some(&body)).await?;
            if status != 201 {
                bail!("a session was not made: {}", String::from_utf8_lossy(&body));
            }
            sessions.push(id);
        }
        let world = Arc::new(World::new(gateway.address, gateway.token.clone(), sessions));
        let fresh = gateway.usage()?;
        let (places, players) = (Vec::new(), JoinSet::new());
        Ok(Self { gateway, world, random, auditor, seed, rounds: 0, places, players, fresh })
    }

    /// Everybody comes.
    pub(crate) fn enter(&mut self) {
        self.rounds += 1;
        self.world.go(Phase::Busy);
        self.places.clear();
        let random = |player: u64| Random::new(self.seed, self.rounds * 10_000 + player);
        for number in 0..VIEWERS {
            let (viewer, place) = Viewer::new(&self.world, random(1_000 + number));
            self.players.spawn(viewer.run());
            self.places.push(place);
        }
        for number in 0..PROMPTERS {
            let prompter = Prompter { world: Arc::clone(&self.world), random: random(2_000 + number) };
            self.players.spawn(prompter.run());
        }
    }

    /// Fails when a promise was broken so far.
    pub(crate) fn check_so_far(&self) -> Result<()> {
        let broken = self.world.broken_promises();
        if broken.is_empty() {
            return Ok(());
        }
        bail!("broken promises:\n  {}\n--- the gateway's log ---\n{}", broken.join("\n  "), self.gateway.log_tail());
    }

    /// Ends a round: it becomes quiet, everybody goes, and all that was told is compared.
    pub(crate) async fn leave(&mut self) -> Result<Summary> {
        self.world.go(Phase::Quiet);
        self.last_turns().await?;
        let at_head_ms = self.all_at_head().await?;
        self.check_so_far()?;
        self.world.go(Phase::Over);
        while self.players.join_next().await.is_some() {}
        let (events, turns) = oracle::check(&self.world, &self.auditor).await?;
        self.check_so_far()?;
        self.nothing_left().await?;
        Ok(Summary { events, turns, at_head_ms })
    }

    /// The gateway is asked to stop, and does.
    pub(crate) fn end(mut self) -> Result<()> {
        self.gateway.stop()
    }

    async fn state(&self, session: &str) -> Result<Value> {
        let body = http::get(self.world.address, &self.world.token, &format!("/api/sessions/{session}")).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Stops what does not end by itself, and waits.
    async fn last_turns(&self) -> Result<()> {
        let deadline = Instant::now() + LAST_TURN;
        for session in &self.world.sessions {
            while !self.state(session).await?["turn"].is_null() {
                if Instant::now() > deadline {
                    bail!("a turn of session {session} does not end\n{}", self.gateway.log_tail());
                }
                let path = format!("/api/sessions/{session}/cancel");
                http::request(self.world.address, &self.world.token, "POST", &path, None).await?;
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn all_at_head(&self) -> Result<u128> {
        let quiet = Instant::now();
        let mut heads = Vec::new();
        for session in &self.world.sessions {
            let head = self.state(session).await?["head"].as_u64().context("a state without a head")?;
            self.world.head(session, head);
            heads.push((session, head));
        }
        let (mut seen, mut moved) = (0, quiet);
        loop {
            let Some(behind) = self.behind(&heads) else { return Ok(quiet.elapsed().as_millis()) };
            let now = self.world.counts.events.load(Ordering::Relaxed);
            if now != seen {
                (seen, moved) = (now, Instant::now());
            }
            if moved.elapsed() > STANDSTILL {
                self.check_so_far()?;
                bail!(
                    "{} s after quiet, {} s after the last event: {behind}",
                    quiet.elapsed().as_secs(),
                    STANDSTILL.as_secs()
                );
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// A viewer that is not at the head of all that it is shown, or is shown nothing.
    fn behind(&self, heads: &[(&String, u64)]) -> Option<String> {
        self.places.iter().enumerate().find_map(|(viewer, places)| {
            let places = lock(places);
            if places.is_empty() {
                return Some(format!("viewer {viewer} is shown nothing"));
            }
            let behind = heads.iter().find(|(session, head)| places.get(*session).is_some_and(|at| at < head));
            let (session, head) = behind?;
            Some(format!("viewer {viewer} is at {:?} of {head} in session {session}", places.get(*session)))
        })
    }

    /// Files and threads go back to where they were before anybody came, and memory to `memory_max_bytes`; what the gateway
    /// holds then. The allocator gives back what was freed (see `gateway.rs`), as far as it can.
    pub(crate) async fn calm(&self, memory_max_bytes: u64) -> Result<Usage> {
        let deadline = Instant::now() + CALM;
        loop {
            let now = self.gateway.usage()?;
            let calm = now.files <= self.fresh.files + FILES_MORE
                && now.threads <= self.fresh.threads + THREADS_MORE
                && now.memory_bytes <= memory_max_bytes;
            if calm {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("the gateway holds {now:?}, was {:?}, may take {memory_max_bytes} bytes", self.fresh);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// After all turns have ended no supervisor and no agent runs.
    async fn nothing_left(&self) -> Result<()> {
        for _ in 0..100 {
            if self.gateway.parts().is_empty() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("left running after the last turn: {:?}", self.gateway.parts());
    }
}
