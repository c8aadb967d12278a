//! A gateway that runs out of file descriptors in the middle of everything.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, kinds, new_key};
use crate::support::wait::eventually;

/// Leaves the gateway no descriptor to open; gives back what it had.
fn exhaust(gateway: &Gateway) -> Rlimit {
    let pid = Pid::from_raw(gateway.pid());
    let own = rustix::process::getrlimit(Resource::Nofile);
    let limit = prlimit(pid, Resource::Nofile, Rlimit { current: Some(3), maximum: own.maximum });
    limit.expect("the limits of our own process can be changed")
}

fn allow(gateway: &Gateway, limit: Rlimit) {
    prlimit(Pid::from_raw(gateway.pid()), Resource::Nofile, limit).expect("the limit can go back");
}

#[tokio::test]
async fn a_running_turn_survives_and_is_whole_afterwards() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let limit = exhaust(&scene.gateway);
    agent.open("go");
    // The gateway hears that the spool has changed, and cannot open a thing.
    eventually("the agent and its supervisor to end", || scene.gateway.processes().is_empty().then_some(())).await;
    eventually("the gateway to feel it", || scene.gateway.log().contains("Too many open files").then_some(())).await;
    allow(&scene.gateway, limit);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{:#?}", scene.viewer.whole_log(&scene.session));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events), ["user", "session", "text", "text", "result", "turn_end"]);
}

#[tokio::test]
async fn a_turn_can_be_stopped_and_no_agent_runs_unattended() {
    let agent = FakeAgent::deaf();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    agent.pid("grandchild").await;
    let limit = exhaust(&scene.gateway);
    let stopped = scene.viewer.request(serde_json::json!({"type": "cancel", "session": scene.session})).await;
    assert_eq!(stopped["type"], "cancelling", "{stopped}");
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    allow(&scene.gateway, limit);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "cancelled");
}

#[tokio::test]
async fn a_prompt_is_accepted_or_refused_and_ends_once_all_the_same() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "before").await;
    let limit = exhaust(&scene.gateway);
    let key = new_key();
    let reply = scene.viewer.prompt_as(&scene.session, "meanwhile", &key).await;
    // History that is shown already goes on being shown.
    scene.viewer.attach(&scene.session, 0).await;
    scene.viewer.caught_up(&scene.session).await;
    allow(&scene.gateway, limit);
    if reply["type"] == "accepted" {
        let end = scene.viewer.turn_end(&scene.session, &Accepted::read(&reply).turn).await;
        assert!(["ok", "error"].contains(&end.text("outcome")), "{}", end.raw);
    }
    let again = scene.viewer.turn(&scene.session, "after").await;
    assert_eq!(again.last().map(|end| end.text("outcome")), Some("ok"));
    scene.viewer.whole_log(&scene.session);
    assert!(fs::metadata(scene.gateway.data()).is_ok());
}
