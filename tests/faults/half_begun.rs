//! A gateway that dies in the few moments between accepting a prompt and having an agent run for it.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::native::Holder;
use crate::support::agent::FakeAgent;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, kinds};
use crate::support::wait::eventually;

/// A turn whose gateway died when only `launch.json` had been written: made of a running one, for the moment is too short
/// to be hit. The first run of the agent never ends by itself, the second says hello.
async fn launch_written_only() -> (FakeAgent, Scene, Accepted, PathBuf) {
    let agent = FakeAgent::shell("[ $n = 1 ] && exec env sleep 600; init; text hello; result hello");
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    agent.call(1).await;
    let supervisors = scene.gateway.supervisors();
    scene.gateway.kill_9().await;
    for supervisor in supervisors {
        process::signal(supervisor.pid, Signal::KILL);
    }
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    let spool = scene.gateway.data().join("turns").join(format!("{}.1", accepted.turn));
    for file in fs::read_dir(&spool).expect("the turn has a spool").flatten() {
        if file.file_name() != "launch.json" {
            fs::remove_file(file.path()).expect("our own file");
        }
    }
    (agent, scene, accepted, spool)
}

#[tokio::test]
async fn a_launch_that_was_written_and_not_started_is_started() {
    let (agent, mut scene, accepted, _) = launch_written_only().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{:#?}", scene.viewer.whole_log(&scene.session));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events), ["user", "session", "text", "result", "turn_end"]);
    assert_eq!(agent.calls().len(), 2);
}

#[tokio::test]
async fn a_supervisor_that_has_the_lock_and_not_yet_the_turn_is_waited_for() {
    let (agent, mut scene, accepted, spool) = launch_written_only().await;
    let holder = Holder::of(&spool);
    // `serve` shows its address when every turn is taken up or settled, so the holder goes on beside it.
    let plays = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        holder.play();
    });
    scene.gateway.restart().await;
    plays.join().expect("the holder was let play");
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{:#?}", scene.viewer.whole_log(&scene.session));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(events.iter().filter(|event| event.text("text") == "from the holder").count(), 1);
    assert_eq!(agent.calls().len(), 1);
}
