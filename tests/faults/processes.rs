//! Agents that do not behave: the log says what there was to say, the turn ends once, and nobody is left unattended.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::model::Record;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::kinds;
use crate::support::wait::eventually;

fn outcome(events: &[Record]) -> &str {
    events.last().map_or("", |end| end.text("outcome"))
}

fn texts(events: &[Record]) -> Vec<&str> {
    events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text")).collect()
}

#[tokio::test]
async fn one_that_forks_and_daemonises_leaves_names_after_a_normal_end() {
    let agent =
        FakeAgent::shell("init; keep service; until [ -e $bench/pids/service ]; do sleep 0.02; done; result ok");
    let mut scene = Scene::start(Gateway::builder().agent(&agent).may_leave_processes(), "claude").await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    let service = agent.pid("service").await;
    let left = &events.last().expect("an end").value["left"];
    assert_eq!((outcome(&events), &left[0]["pid"]), ("ok", &json!(service)), "{left}");
    assert!(process::is_alive(service), "a service that was started on purpose lives on");
}

#[tokio::test]
async fn one_that_daemonises_and_ignores_signals_is_gone_after_a_stop_with_all_it_started() {
    let agent = FakeAgent::deaf();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let grandchild = agent.pid("grandchild").await;
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!((end.text("outcome"), process::is_alive(grandchild)), ("cancelled", false));
    assert!(scene.gateway.processes().is_empty(), "{:?}", scene.gateway.processes());
}

#[tokio::test]
async fn one_that_closes_its_output_and_lives_on_runs_until_it_ends() {
    let agent = FakeAgent::shell("init; text last; exec >&- 2>&-; wait_gate go");
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "last").await;
    let busy = scene.viewer.prompt_as(&scene.session, "me too", &crate::support::viewer::new_key()).await;
    assert_eq!(busy["code"], "busy", "{busy}");
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!((end.text("outcome"), &end.value["exit_code"]), ("ok", &json!(0)));
}

#[tokio::test]
async fn one_that_fills_its_standard_error_is_not_held_up() {
    let agent = FakeAgent::shell("init; flood_stderr 60000000; text after; exit 7");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((outcome(&events), texts(&events)), ("error", vec!["after"]));
    let error = events.iter().find(|event| event.kind() == "error").expect("an error").text("error").to_owned();
    assert_eq!(error, "e".repeat(500));
}

#[tokio::test]
async fn one_that_prints_two_results_and_goes_on_after_them_is_shown_whole() {
    let agent = FakeAgent::shell("init; result one; text between; result two; text after");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(kinds(&events), ["user", "session", "result", "text", "result", "text", "turn_end"]);
    assert_eq!((outcome(&events), texts(&events)), ("ok", vec!["between", "after"]));
}

/// Peak of the gateway's memory, bytes.
fn peak_bytes(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.pid())).expect("the gateway runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel says");
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).expect("a number") << 10
}

#[tokio::test]
async fn one_that_writes_100_mb_without_a_newline_costs_bounded_memory_and_the_next_line_counts() {
    let agent = FakeAgent::shell("init; head -c 100000000 /dev/zero | tr '\\0' x; echo; text after; result ok");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((outcome(&events), texts(&events)), ("ok", vec!["after"]));
    // The line is held once, in a buffer that doubles as it grows; more would be a copy too many.
    let peak = peak_bytes(&scene.gateway);
    assert!(peak < 450 << 20, "the gateway took {} MB", peak >> 20);
}

#[tokio::test]
async fn a_line_beyond_all_measure_is_left_out_and_costs_no_more() {
    let agent = FakeAgent::shell("init; head -c 200000000 /dev/zero | tr '\\0' x; echo; text after; result ok");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((outcome(&events), texts(&events)), ("ok", vec!["after"]));
    let peak = peak_bytes(&scene.gateway);
    assert!(peak < 450 << 20, "the gateway took {} MB", peak >> 20);
}

#[tokio::test]
async fn one_that_runs_out_of_memory_ends_as_an_error() {
    let agent = FakeAgent::shell("init; ulimit -v 100000; a=0123456789; while :; do a=$a$a; done");
    let mut scene = Scene::with(&agent).await;
    let events = scene.viewer.turn(&scene.session, "go").await;
    assert_eq!((outcome(&events), kinds(&events)[events.len() - 2]), ("error", "error"));
}

#[tokio::test]
async fn one_that_forks_faster_than_one_can_look_is_ended_by_a_stop() {
    let agent = FakeAgent::shell("init; text forking; while :; do (sleep 5 &) ; sleep 0.01; done");
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "forking").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "cancelled");
    assert!(end.value["left"].is_null() || end.value["left"] == json!([]), "{}", end.raw);
    eventually("everything to be gone", || scene.gateway.processes().is_empty().then_some(())).await;
}
