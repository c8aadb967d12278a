//! A wall clock that jumps, as when a machine wakes up, or its time server lies.

use serde_json::json;

use super::native::Faults;
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::model::Record;
use crate::support::scene::Scene;

const DAY_S: i64 = 86_400;
const TIMEOUT_S: u32 = 600;

/// Runs a turn; after it has said `started` the clock is moved. It must end well, and have taken what it took.
async fn turn_with_a_jump(scene: &mut Scene, agent: &FakeAgent, jump: impl FnOnce()) -> Vec<Record> {
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene
        .viewer
        .event(&scene.session, "started", |event| event.turn() == accepted.turn && event.kind() == "text")
        .await;
    jump();
    agent.open(&accepted.turn);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{}", end.raw);
    let duration_ms = end.value["duration_ms"].as_u64().expect("a number");
    assert!(duration_ms < u64::from(TIMEOUT_S) * 1_000, "{}", end.raw);
    scene.viewer.events_of(&scene.session, &accepted.turn)
}

fn times(events: &[Record]) -> Vec<&str> {
    events.iter().map(|event| event.text("time")).collect()
}

#[tokio::test]
async fn a_clock_that_jumps_forward_and_back_changes_nothing_but_the_times_and_those_never_go_back() {
    let agent = FakeAgent::shell("init; text started; wait_gate $BG_TURN; result finished");
    let faults = Faults::new();
    let settings = faults.under(Gateway::builder().agent(&agent).turn_timeout_s(TIMEOUT_S), "/nowhere/");
    let mut scene = Scene::start(settings, "claude").await;
    faults.shift_clock(-2 * DAY_S);
    let past = turn_with_a_jump(&mut scene, &agent, || faults.shift_clock(2 * DAY_S)).await;
    let future = turn_with_a_jump(&mut scene, &agent, || faults.shift_clock(-3 * DAY_S)).await;
    let far_past = turn_with_a_jump(&mut scene, &agent, || {}).await;
    // RFC 3339 in UTC orders as text. Behind a jump back the time of the newest event is kept.
    let all = [times(&past), times(&future), times(&far_past)].concat();
    assert!(all.is_sorted(), "{all:?}");
    assert!(all[0][..10] < all[past.len()][..10], "the clock of the gateway was not moved: {all:?}");
    let log = scene.gateway.log();
    let dates: Vec<&str> = log.lines().filter_map(|line| line.get(..10)).collect();
    assert!(!dates.is_sorted(), "the clock of the gateway was not moved back: {dates:?}");

    // Over a restart, and with the clock elsewhere.
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene
        .viewer
        .event(&scene.session, "started", |event| event.turn() == accepted.turn && event.kind() == "text")
        .await;
    scene.gateway.kill_9().await;
    faults.shift_clock(5 * DAY_S);
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    agent.open(&accepted.turn);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{}", end.raw);
    assert!(end.value["duration_ms"].as_u64().is_some_and(|ms| ms < u64::from(TIMEOUT_S) * 1_000), "{}", end.raw);
    let log = scene.viewer.whole_log(&scene.session);
    let mut late = scene.operator("ana").await;
    late.caught_up(&scene.session).await;
    assert_eq!(late.whole_log(&scene.session), log);
    assert_eq!(scene.viewer.request(json!({"type": "ping"})).await["type"], "pong");
}
