//! Networks that crawl, break, freeze and lie: nobody misses an event, nobody sees one twice, and nobody waits for another.
//!
//! That nothing is missed or doubled is checked with every frame, by the model that each viewer folds.

use std::time::Duration;

use serde_json::json;

use super::line::{Line, Trouble};
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Viewer, new_key};

/// A gateway, somebody beside it, and somebody far away, at the other end of a line.
struct Far {
    line: Line,
    viewer: Viewer,
    near: Scene,
}

impl Far {
    /// Both look at the same session.
    async fn away() -> Self {
        let mut line = Line::new().await;
        let near = Scene::start(Gateway::builder().public_url(&line.url()), "drill").await;
        line.lead_to(near.gateway.address());
        let mut viewer = Viewer::connect_as(line.address(), near.gateway.token()).await;
        viewer.attach(&near.session, 0).await;
        viewer.caught_up(&near.session).await;
        Self { line, viewer, near }
    }

    async fn come_back(&mut self) {
        self.viewer.resume_at(self.line.address()).await;
    }

    /// Both have the same log, to the end of a turn. Whoever was cut off meanwhile comes back.
    async fn same_logs(&mut self, turn: &str) {
        let session = self.near.session.clone();
        let end = self.near.viewer.turn_end(&session, turn).await;
        while self.viewer.until_seq_or_closed(&session, end.seq()).await.is_err() {
            self.come_back().await;
        }
        assert!(self.viewer.whole_log(&session) == self.near.viewer.whole_log(&session), "the logs differ");
    }
}

#[tokio::test]
async fn a_line_that_delays_and_one_that_gives_single_bytes_change_nothing() {
    let mut far = Far::away().await;
    for (trouble, events) in [(Trouble::SingleBytes, 100), (Trouble::Delay(Duration::from_millis(40)), 400)] {
        far.line.is(trouble);
        let accepted =
            far.viewer.prompt(&far.near.session, &format!("[[speed:max]][[events:{events} size:300]]")).await;
        far.same_logs(&accepted.turn).await;
        // From the beginning, over such a line.
        far.viewer.attach(&far.near.session, 0).await;
        far.viewer.caught_up(&far.near.session).await;
    }
}

/// At 1 KB/s the replay of 2 MB takes half an hour: whoever is near has long seen the end.
#[tokio::test]
async fn a_line_of_1_kb_a_second_holds_nobody_else_up_and_misses_nothing() {
    let mut far = Far::away().await;
    let session = far.near.session.clone();
    far.line.is(Trouble::Slow(1_000));
    let accepted = far.near.viewer.prompt(&session, "[[speed:max]][[events:4000 size:500]]").await;
    // Something of it comes through, in pieces.
    far.viewer.until_seq(&session, 3).await;
    far.near.viewer.turn_end(&session, &accepted.turn).await;
    let seen = far.viewer.model.session(&session).last();
    assert!(seen < 2_000, "the line passed {seen} events on: it was not slow");
    far.line.is(Trouble::None);
    far.same_logs(&accepted.turn).await;
}

#[tokio::test]
async fn a_line_that_is_reset_again_and_again_gives_every_event_once() {
    let mut far = Far::away().await;
    let session = far.near.session.clone();
    let accepted = far.near.viewer.prompt(&session, "[[events:1500 rate:1500]]").await;
    let (mut cuts, mut seen) = (0, 0);
    while seen < 1_500 {
        seen = (seen + 100).min(1_500);
        // A reset throws away what is on the way: what was not seen is asked for again.
        let reached = far.viewer.until_seq_or_closed(&session, seen).await;
        if reached.is_ok() {
            far.line.reset();
            far.viewer.closed().await;
        }
        cuts += 1;
        far.come_back().await;
        seen = far.viewer.model.session(&session).last();
    }
    assert!(cuts >= 5, "only {cuts} cuts");
    far.same_logs(&accepted.turn).await;
}

#[tokio::test]
async fn a_prompt_whose_answer_is_lost_is_sent_again_and_runs_once() {
    let mut far = Far::away().await;
    let session = far.near.session.clone();
    let key = new_key();
    let prompt =
        json!({"type": "prompt", "session": session, "text": "[[text:once]]", "key": key, "id": 77}).to_string();
    for _ in 0..5 {
        far.viewer.send_text(&prompt).await;
        far.line.reset();
        far.viewer.closed().await;
        far.come_back().await;
    }
    let accepted = Accepted::read(&far.viewer.prompt_as(&session, "[[text:once]]", &key).await);
    far.same_logs(&accepted.turn).await;
    let log = far.viewer.whole_log(&session);
    assert_eq!(log.iter().filter(|record| record.contains(r#""kind":"user""#)).count(), 1, "{log:#?}");
}

/// The gateway goes on giving to a client that is no more; the client comes back meanwhile.
#[tokio::test]
async fn a_half_open_line_is_left_behind() {
    let mut far = Far::away().await;
    let session = far.near.session.clone();
    let accepted = far.near.viewer.prompt(&session, "[[events:2000 rate:1500]]").await;
    for seen in [200, 600, 1_000] {
        far.viewer.until_seq(&session, seen).await;
        far.line.half_open();
        far.viewer.closed().await;
        far.come_back().await;
    }
    far.same_logs(&accepted.turn).await;
    // The dead ones, which nobody has told the gateway of, do not hold a stop up.
    assert_eq!(far.near.gateway.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_frozen_line_moves_nobody_else_and_catches_up_when_it_thaws() {
    let mut far = Far::away().await;
    let session = far.near.session.clone();
    let first = far.near.viewer.prompt(&session, "[[events:200 rate:1000]]").await;
    far.viewer.until_seq(&session, 50).await;
    far.line.is(Trouble::Frozen);
    far.near.viewer.turn_end(&session, &first.turn).await;
    // Whole turns pass by while nothing passes the line.
    let second = far.near.viewer.prompt(&session, "[[speed:max]][[events:2000 size:1000]]").await;
    far.near.viewer.turn_end(&session, &second.turn).await;
    let mut third = far.near.operator("ana").await;
    third.caught_up(&session).await;
    assert_eq!(third.whole_log(&session), far.near.viewer.whole_log(&session));
    far.line.is(Trouble::None);
    far.same_logs(&second.turn).await;
}
