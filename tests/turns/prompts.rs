//! Who gets to run a turn: one at a time, each key once, no more than the machine may run.

use serde_json::json;

use super::{end, ended_well};
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Viewer, new_key};

#[tokio::test]
async fn of_two_operators_who_press_send_at_once_one_runs_and_the_other_is_told_who() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let mut other = scene.operator("ana").await;
    let (first_key, second_key) = (new_key(), new_key());
    let (first, second) = tokio::join!(
        scene.viewer.prompt_as(&scene.session, "restart it", &first_key),
        other.prompt_as(&scene.session, "stop it", &second_key),
    );
    let (accepted, refused, winner) =
        if first["type"] == "accepted" { (first, second, "first") } else { (second, first, "ana") };
    let accepted = Accepted::read(&accepted);
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("busy")), "{refused}");
    assert_eq!((&refused["turn"], &refused["by"]), (&json!(accepted.turn), &json!(winner)), "{refused}");
    assert!(refused["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{refused}");
    scene.viewer.said(&scene.session, "started").await;
    agent.open("go");
    for viewer in [&mut scene.viewer, &mut other] {
        viewer.turn_end(&scene.session, &accepted.turn).await;
    }
    assert_eq!(scene.viewer.whole_log(&scene.session), other.whole_log(&scene.session));
    assert_eq!(agent.calls().len(), 1);
    assert_eq!(scene.viewer.events_of(&scene.session, &accepted.turn)[0].text("by"), winner);
}

#[tokio::test]
async fn a_key_counts_once_while_its_turn_runs_after_it_and_after_a_restart() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let key = new_key();
    let first = Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await);
    assert!(!first.is_duplicate);
    let again = Accepted { is_duplicate: true, ..first.clone() };
    assert_eq!(Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await), again);
    let conflict = scene.viewer.prompt_as(&scene.session, "something else", &key).await;
    assert_eq!(conflict["code"], "conflict", "{conflict}");
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &first.turn).await;
    assert_eq!(Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await), again);

    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    assert_eq!(Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await), again);
    let conflict = scene.viewer.prompt_as(&scene.session, "something else", &key).await;
    assert_eq!(conflict["code"], "conflict", "{conflict}");
    let elsewhere = scene.viewer.create("claude").await;
    let conflict = scene.viewer.prompt_as(&elsewhere, "go", &key).await;
    assert_eq!(conflict["code"], "conflict", "{conflict}");
    assert_eq!((agent.calls().len(), scene.viewer.whole_log(&scene.session).len()), (1, 6));
}

#[tokio::test]
async fn the_same_key_from_two_connections_at_once_starts_one_turn() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    let mut tab = Viewer::connect(&scene.gateway).await;
    let key = new_key();
    let (one, two) =
        tokio::join!(scene.viewer.prompt_as(&scene.session, "go", &key), tab.prompt_as(&scene.session, "go", &key),);
    let (one, two) = (Accepted::read(&one), Accepted::read(&two));
    assert_eq!((&one.turn, one.seq, one.is_duplicate), (&two.turn, two.seq, !two.is_duplicate));
    scene.viewer.turn_end(&scene.session, &one.turn).await;
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test]
async fn more_turns_than_allowed_are_refused_and_leave_no_trace() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).max_turns(1), "claude").await;
    let waiting = scene.viewer.open_session("claude").await;
    let running = scene.viewer.prompt(&scene.session, "one").await;
    let key = new_key();
    let refused = scene.viewer.prompt_as(&waiting, "two", &key).await;
    assert_eq!(refused["code"], "at_capacity", "{refused}");
    let busy = scene.viewer.prompt_as(&scene.session, "three", &new_key()).await;
    assert_eq!(busy["code"], "busy", "{busy}");
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &running.turn).await;
    let accepted = Accepted::read(&scene.viewer.prompt_as(&waiting, "two", &key).await);
    assert_eq!((accepted.seq, accepted.is_duplicate), (1, false));
    scene.viewer.turn_end(&waiting, &accepted.turn).await;
    assert_eq!(end(&scene.viewer.events_of(&waiting, &accepted.turn)), ended_well());
}

#[tokio::test]
async fn without_the_agents_program_nothing_is_accepted_and_the_drill_still_works() {
    let mut scene = Scene::start(Gateway::builder(), "claude").await;
    let refused = scene.viewer.prompt_as(&scene.session, "go", &new_key()).await;
    assert_eq!(refused["code"], "no_agent", "{refused}");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("/nonexistent/claude")), "{refused}");
    assert_eq!(scene.viewer.attach(&scene.session, 0).await["head"], 0);
    let drill = scene.viewer.open_session("drill").await;
    let events = scene.viewer.turn(&drill, "[[text:hello]]").await;
    assert_eq!(end(&events), ended_well());
    assert!(events.iter().any(|event| event.text("text") == "hello" && event.kind() == "text"));
}

#[tokio::test]
async fn nothing_to_stop_is_a_conflict() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let cancel = json!({"type": "cancel", "session": scene.session});
    let idle = scene.viewer.request(cancel.clone()).await;
    assert_eq!(idle["code"], "conflict", "{idle}");
    let running = scene.viewer.prompt(&scene.session, "go").await;
    let other = json!({"type": "cancel", "session": scene.session, "turn": new_key()});
    let refused = scene.viewer.request(other).await;
    assert_eq!(refused["code"], "conflict", "{refused}");
    agent.open("go");
    scene.viewer.turn_end(&scene.session, &running.turn).await;
    assert_eq!(end(&scene.viewer.events_of(&scene.session, &running.turn)), ended_well());
    assert_eq!(scene.viewer.request(cancel).await["code"], "conflict");
}
