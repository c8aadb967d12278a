//! Long logs and slow readers: everything arrives, and nobody waits for anybody.

use serde_json::json;

use crate::support::agent::FakeAgent;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

const EVENTS: u64 = 100_000;

/// How far a viewer reads between two looks at the clock: each part has a deadline of its own.
const PART: u64 = 10_000;

/// Prints numbered lines as fast as it can: the first `before` at once, the others when the gate `go` opens.
fn flood(before: u64, total: u64, padding_bytes: usize) -> FakeAgent {
    let padding = "x".repeat(padding_bytes);
    let lines = |from: &str, to: u64| {
        let line =
            r#"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"%d PADDING\"}]}}\n"#;
        let line = line.replace("PADDING", &padding);
        format!("awk 'BEGIN {{ for (i = {from} + 1; i <= {to}; i++) printf \"{line}\", i }}'")
    };
    let (first, rest) = (lines("0", before), lines(&before.to_string(), total));
    FakeAgent::shell(&format!("init; {first}; wait_gate go; {rest}; result ok"))
}

/// The numbers in a log's texts.
fn numbers(viewer: &Viewer, session: &str) -> Vec<u64> {
    let log = viewer.model.log(session).expect("the session was shown");
    let texts = log.records().filter(|record| record.kind() == "text");
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse().ok()).expect("a numbered line");
    texts.map(|record| number(record.text("text"))).collect()
}

/// Reads up to a seq, in parts.
async fn read_to(viewer: &mut Viewer, session: &str, seq: u64) {
    let mut at = viewer.model.log(session).map_or(0, |log| log.last());
    while at < seq {
        at = (at + PART).min(seq);
        viewer.until_seq(session, at).await;
    }
}

/// The same for one that may have been dropped for not reading: it comes back until it has all.
async fn read_to_with_returns(viewer: &mut Viewer, scene: &Scene, seq: u64) {
    // Bounded: a viewer that reads as fast as it can is dropped once at most, for the time when it did not.
    for _ in 0..3 {
        match viewer.until_seq_or_closed(&scene.session, seq).await {
            Ok(()) => return,
            Err(_) => viewer.resume(&scene.gateway).await,
        }
    }
    panic!("a viewer that reads is dropped again and again");
}

#[tokio::test]
async fn a_hundred_thousand_events_are_replayed_to_one_who_comes_late() {
    let agent = flood(EVENTS, EVENTS, 40);
    let mut scene = Scene::with(&agent).await;
    agent.open("go");
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    read_to(&mut scene.viewer, &scene.session, EVENTS).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(numbers(&scene.viewer, &scene.session), (1..=EVENTS).collect::<Vec<_>>());

    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&scene.session, 0).await;
    read_to(&mut late, &scene.session, end.seq()).await;
    late.caught_up(&scene.session).await;
    assert!(late.whole_log(&scene.session) == scene.viewer.whole_log(&scene.session), "live and replay differ");
}

#[tokio::test]
async fn one_who_stops_reading_delays_nobody_and_misses_nothing() {
    // 40 MB: far more than the kernel's buffers of one connection take.
    let agent = flood(10, 20_000, 2_000);
    let mut scene = Scene::with(&agent).await;
    let mut asleep = Viewer::connect(&scene.gateway).await;
    asleep.attach(&scene.session, 0).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    read_to(&mut scene.viewer, &scene.session, 12).await;
    agent.open("go");
    read_to(&mut scene.viewer, &scene.session, 20_000).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let mut fresh = Viewer::connect(&scene.gateway).await;
    assert_eq!(fresh.request(json!({"type": "ping"})).await["type"], "pong");

    read_to_with_returns(&mut asleep, &scene, end.seq()).await;
    assert!(asleep.whole_log(&scene.session) == scene.viewer.whole_log(&scene.session), "they hold different logs");
    assert_eq!(numbers(&asleep, &scene.session), (1..=20_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_long_replay_does_not_hold_up_another_session_on_the_same_connection() {
    let agent = flood(20_000, 20_000, 1_000);
    let mut scene = Scene::with(&agent).await;
    agent.open("go");
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    read_to(&mut scene.viewer, &scene.session, 20_000).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;

    let mut viewer = Viewer::connect(&scene.gateway).await;
    let live = viewer.open_session("drill").await;
    viewer.attach(&scene.session, 0).await;
    viewer.prompt(&live, "[[text:hello]]").await;
    viewer.said(&live, "hello").await;
    let replayed = viewer.model.session(&scene.session).last();
    assert!(replayed < end.seq(), "the short session waited for all {replayed} events of the long one");
    read_to(&mut viewer, &scene.session, end.seq()).await;
    viewer.event_of_kind(&live, "turn_end").await;
}

#[tokio::test]
async fn many_viewers_at_different_speeds_end_with_one_log() {
    let agent = flood(10, 5_000, 500);
    let mut scene = Scene::with(&agent).await;
    let mut viewers = Vec::new();
    for _ in 0..30 {
        let mut viewer = Viewer::connect(&scene.gateway).await;
        viewer.attach(&scene.session, 0).await;
        viewers.push(viewer);
    }
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    agent.open("go");
    for (number, viewer) in viewers.iter_mut().enumerate().step_by(3) {
        viewer.until_seq(&scene.session, number as u64 * 100 + 1).await;
    }
    scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    let all = scene.viewer.whole_log(&scene.session);
    for (number, viewer) in viewers.iter_mut().enumerate() {
        if number % 5 == 0 {
            viewer.vanish().await;
            viewer.closed().await;
            viewer.resume(&scene.gateway).await;
        }
        viewer.turn_end(&scene.session, &accepted.turn).await;
        assert!(viewer.whole_log(&scene.session) == all, "viewer {number} holds another log");
    }
}
