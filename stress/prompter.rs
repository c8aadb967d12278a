//! Somebody who asks for turns: sends, sends again, stops, and remembers every answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Client, Gone};
use crate::http;
use crate::random::Random;
use crate::world::{Counts, Phase, World, lock};

pub(crate) struct Prompter {
    pub(crate) world: Arc<World>,
    pub(crate) random: Random,
}

struct Prompt {
    session: String,
    key: String,
    text: String,
    /// Does not end by itself.
    endless: bool,
}

/// What a turn plays, and whether it ends by itself.
fn script(random: &mut Random) -> (String, bool) {
    let number = random.of(1, 400);
    match random.of(0, 99) {
        0..=29 => (format!("[[speed:max]][[events:{number} size:{}]]", random.of(10, 400)), false),
        30..=44 => (format!("[[events:{number} rate:{}]]", random.of(200, 2_000)), false),
        45..=54 => (format!("[[bash:df -h => {}]][[text:done]]", "x".repeat(number as usize)), false),
        55..=61 => (format!("[[text:a]][[exit:{}]]", random.of(1, 99)), false),
        62..=66 => ("[[stderr:it broke]][[exit:1]]".to_owned(), false),
        67..=71 => (format!("[[big:{}]]", number * 1_000), false),
        72..=76 => ("[[bytes:ff 00 0a]][[partial:{\"type\":\"assi]]".to_owned(), false),
        77..=81 => ("[[result:one]][[result:two]]".to_owned(), false),
        82..=86 => (format!("[[text:a]][[wait:{number}]][[noresult]]"), false),
        87..=97 => (format!("[[events:{number}]][[hang]]"), true),
        _ => ("[[deaf]][[text:a]][[hang]]".to_owned(), true),
    }
}

impl Prompter {
    /// Asks until it is quiet.
    pub(crate) async fn run(mut self) {
        while self.world.now() == Phase::Busy {
            let _gone = self.connection().await;
            sleep(Duration::from_millis(self.random.of(5, 50))).await;
        }
    }

    async fn connection(&mut self) -> Result<(), Gone> {
        let world = Arc::clone(&self.world);
        let mut client = Client::connect(&world).await?;
        while world.now() == Phase::Busy {
            let (play, endless) = script(&mut self.random);
            let key = self.random.uuid().to_string();
            let session = self.random.one(&world.sessions).clone();
            let prompt = Prompt { session, text: format!("{play} {key}"), key, endless };
            let turn = match self.ask(&mut client, &prompt).await {
                Ok(turn) => turn,
                // What became of it is not known: ask again under the same key, as the page does.
                Err(Gone) => {
                    client = self.come_back().await?;
                    Counts::add(&world.counts.resent);
                    self.ask(&mut client, &prompt).await?
                }
            };
            if let Some(turn) = turn {
                self.after(&mut client, &prompt, &turn).await?;
            }
            sleep(Duration::from_millis(self.random.of(1, 80))).await;
        }
        client.close().await;
        Ok(())
    }

    async fn come_back(&mut self) -> Result<Client, Gone> {
        for _ in 0..200 {
            if let Ok(client) = Client::connect(&self.world).await {
                return Ok(client);
            }
            sleep(Duration::from_millis(self.random.of(10, 60))).await;
        }
        Err(Gone)
    }

    /// Sometimes sends it again, sometimes under the same key with another text, sometimes stops it.
    async fn after(&mut self, client: &mut Client, prompt: &Prompt, turn: &str) -> Result<(), Gone> {
        if self.random.percent(20) {
            Counts::add(&self.world.counts.resent);
            self.ask(client, prompt).await?;
        }
        if self.random.percent(3) {
            let other = json!({"type": "prompt", "session": prompt.session, "text": "another", "key": prompt.key});
            let reply = client.request(&self.world, other).await?;
            if reply["code"] != "conflict" {
                self.world.broken(format!("key {} with another text: {reply}", prompt.key));
            }
        }
        if prompt.endless || self.random.percent(5) {
            sleep(Duration::from_millis(self.random.of(1, 300))).await;
            let stop = json!({"type": "cancel", "session": prompt.session, "turn": turn});
            let reply = client.request(&self.world, stop).await?;
            let fine = reply["type"] == "cancelling" || reply["code"] == "conflict";
            if !fine {
                self.world.broken(format!("a stop of {turn}: {reply}"));
            }
        }
        Ok(())
    }

    /// Sends it; its turn, if it was accepted.
    async fn ask(&mut self, client: &mut Client, prompt: &Prompt) -> Result<Option<String>, Gone> {
        let world = Arc::clone(&self.world);
        lock(&world.ledger).sent(&prompt.key, &prompt.session);
        if self.random.percent(15) {
            return self.post(prompt).await;
        }
        let Prompt { session, key, text, .. } = prompt;
        let reply =
            client.request(&world, json!({"type": "prompt", "session": session, "text": text, "key": key})).await?;
        Ok(self.note(prompt, reply["code"].as_str(), &reply))
    }

    async fn post(&mut self, prompt: &Prompt) -> Result<Option<String>, Gone> {
        let world = &self.world;
        let path = format!("/api/sessions/{}/prompts", prompt.session);
        let body = json!({"text": prompt.text, "key": prompt.key});
        let answer = http::request(world.address, &world.token, "POST", &path, Some(&body)).await;
        let (_, body) = answer.map_err(|_| Gone)?;
        let reply: Value = serde_json::from_slice(&body).map_err(|_| Gone)?;
        Ok(self.note(prompt, reply["error"]["code"].as_str(), &reply))
    }

    fn note(&self, prompt: &Prompt, refusal: Option<&str>, reply: &Value) -> Option<String> {
        let mut ledger = lock(&self.world.ledger);
        let noted = match (refusal, reply["turn"].as_str(), reply["seq"].as_u64()) {
            (Some("busy" | "at_capacity"), _, _) => {
                Counts::add(&self.world.counts.refused);
                ledger.refused(&prompt.key).map(|()| None)
            }
            // The gateway is being stopped: nothing is known.
            (Some("unavailable"), _, _) => Ok(None),
            (None, Some(turn), Some(seq)) => {
                let duplicate = reply["duplicate"] == true;
                self.world.head(&prompt.session, seq);
                ledger.accepted(&prompt.key, turn, seq, duplicate).map(|()| Some(turn.to_owned()))
            }
            _ => Err(format!("a prompt under key {}: {reply}", prompt.key)),
        };
        noted.unwrap_or_else(|broken| {
            self.world.broken(broken);
            None
        })
    }
}
