//! Somebody who looks: comes, goes, stalls, jumps to any place of the log, and checks every frame.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::client::{Client, Gone};
use crate::random::Random;
use crate::world::{Counts, Phase, World, lock};

/// Sessions that a viewer looks at together, at most.
const SHOWN_MAX: u64 = 5;

/// Where a viewer is in each session that its connection shows.
pub(crate) type Places = Arc<Mutex<BTreeMap<String, u64>>>;

pub(crate) struct Viewer {
    world: Arc<World>,
    random: Random,
    /// The newest seq seen of each session, over all connections.
    cursors: HashMap<String, u64>,
    places: Places,
}

#[derive(Deserialize)]
struct Event<'a> {
    session: &'a str,
    seq: u64,
}

/// An attach that was asked for.
struct Asked {
    session: String,
    after: u64,
    floor: u64,
}

/// One connection's sessions.
#[derive(Default)]
struct Shown {
    asked: HashMap<u64, Asked>,
    /// What is due: the next seq, and the head that `attached` named until `caught_up` was said.
    due: HashMap<String, (u64, Option<u64>)>,
}

impl Viewer {
    pub(crate) fn new(world: &Arc<World>, random: Random) -> (Self, Places) {
        let places = Places::default();
        let viewer = Self { world: Arc::clone(world), random, cursors: HashMap::new(), places: Arc::clone(&places) };
        (viewer, places)
    }

    /// Looks until the play is over.
    pub(crate) async fn run(mut self) {
        while self.world.now() < Phase::Over {
            let _gone = self.connection().await;
            lock(&self.places).clear();
            sleep(Duration::from_millis(self.random.of(5, 60))).await;
        }
    }

    async fn connection(&mut self) -> Result<(), Gone> {
        let world = Arc::clone(&self.world);
        let mut phase = world.phase();
        let mut client = Client::connect(&world).await?;
        let mut shown = Shown::default();
        for _ in 0..self.random.of(1, SHOWN_MAX) {
            self.attach(&mut client, &mut shown).await?;
        }
        let mut next_action = Instant::now() + self.pause();
        loop {
            let busy = world.now() == Phase::Busy;
            tokio::select! {
                text = client.next(&world) => self.take(&text?, &mut shown),
                _ = phase.changed() => {
                    if world.now() == Phase::Over {
                        client.close().await;
                        return Ok(());
                    }
                }
                () = sleep_until(next_action), if busy => {
                    next_action = Instant::now() + self.pause();
                    match self.random.of(0, 99) {
                        0..=14 => return Ok(()),
                        15..=24 => {
                            client.close().await;
                            return Ok(());
                        }
                        25..=39 => self.stall().await,
                        40..=54 => self.detach(&mut client).await?,
                        _ => self.attach(&mut client, &mut shown).await?,
                    }
                }
            }
        }
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.random.of(20, 600))
    }

    /// Reads nothing for a while, or until quiet.
    async fn stall(&mut self) {
        Counts::add(&self.world.counts.stalls);
        let mut phase = self.world.phase();
        tokio::select! {
            () = sleep(Duration::from_millis(self.random.of(10, 3_000))) => {}
            _ = phase.wait_for(|phase| *phase > Phase::Busy) => {}
        }
    }

    /// Asks for a session, new or shown already, from where it was, from the beginning, or from anywhere before.
    async fn attach(&mut self, client: &mut Client, shown: &mut Shown) -> Result<(), Gone> {
        let session = self.random.one(&self.world.sessions).clone();
        let last = self.cursors.get(&session).copied().unwrap_or(0);
        let after = match self.random.of(0, 9) {
            0 => 0,
            1..=3 => self.random.of(last.saturating_sub(500), last),
            _ => last,
        };
        let floor = self.world.floor(&session);
        let epoch = lock(&self.world.epoch).clone();
        let id = client.send(json!({"type": "attach", "session": session, "after": after, "epoch": epoch})).await?;
        shown.asked.insert(id, Asked { session, after, floor });
        Counts::add(&self.world.counts.attaches);
        Ok(())
    }

    async fn detach(&mut self, client: &mut Client) -> Result<(), Gone> {
        let shown: Vec<String> = lock(&self.places).keys().cloned().collect();
        if shown.len() < 2 {
            return Ok(());
        }
        let session = self.random.one(&shown).clone();
        client.send(json!({"type": "detach", "session": session})).await.map(drop)
    }

    fn take(&mut self, text: &str, shown: &mut Shown) {
        if let Err(broken) = self.check(text, shown) {
            self.world.broken(format!("{broken}; in {}", text.chars().take(300).collect::<String>()));
        }
    }

    fn check(&mut self, text: &str, shown: &mut Shown) -> Result<(), String> {
        if let Some(rest) = text.strip_prefix(r#"{"type":"event","#) {
            return self.event(&format!("{{{rest}"), shown);
        }
        let frame: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let session = frame["session"].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| frame[name].as_u64().ok_or_else(|| format!("`{name}` is not a seq"));
        match frame["type"].as_str().unwrap_or_default() {
            "attached" => {
                let id = frame["id"].as_u64().unwrap_or(0);
                let asked = shown.asked.remove(&id).ok_or("`attached` was not asked for")?;
                let (from, head) = (number("from")?, number("head")?);
                if asked.session != session || from != asked.after + 1 {
                    return Err(format!(
                        "{session} from {from} where {} from {} was asked",
                        asked.session, asked.after
                    ));
                }
                if head < asked.floor {
                    return Err(format!("head {head} is below {}, which was seen before", asked.floor));
                }
                self.world.head(&session, head);
                lock(&self.places).insert(session.clone(), asked.after);
                shown.due.insert(session, (from, Some(head)));
            }
            "caught_up" => {
                let seq = number("seq")?;
                let (next, replay) = shown.due.get_mut(&session).ok_or("not attached")?;
                match replay.take() {
                    None => return Err("a second `caught_up`".to_owned()),
                    Some(head) if seq < head || seq + 1 != *next => {
                        return Err(format!("caught up at {seq}: the head was {head}, due is {next}"));
                    }
                    Some(_) => {}
                }
            }
            "detached" => {
                shown.due.remove(&session);
                lock(&self.places).remove(&session);
            }
            "presence" | "restarting" => {}
            other => return Err(format!("a frame `{other}`")),
        }
        Ok(())
    }

    fn event(&mut self, record: &str, shown: &mut Shown) -> Result<(), String> {
        let event: Event<'_> = serde_json::from_str(record).map_err(|error| format!("not an event: {error}"))?;
        let (next, _) = shown.due.get_mut(event.session).ok_or("an event of a session that is not attached")?;
        if event.seq != *next {
            return Err(format!("seq {} where {next} is due", event.seq));
        }
        *next += 1;
        self.world.record(event.session, event.seq, record.as_bytes());
        let cursor = self.cursors.entry(event.session.to_owned()).or_default();
        *cursor = (*cursor).max(event.seq);
        lock(&self.places).insert(event.session.to_owned(), event.seq);
        Ok(())
    }
}
