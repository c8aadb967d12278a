//! A turn that runs under the supervisor of another breakglass than the one that is started now.

use std::fs;
use std::path::PathBuf;

use crate::support::agent::FakeAgent;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::Accepted;
use crate::support::wait::eventually;

/// A turn in the middle, whose gateway has died.
async fn left_running() -> (FakeAgent, Scene, Accepted, PathBuf) {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    scene.gateway.kill_9().await;
    let spool = scene.gateway.data().join("turns").join(format!("{}.1", accepted.turn));
    (agent, scene, accepted, spool)
}

async fn ends_well(agent: &FakeAgent, scene: &mut Scene, accepted: &Accepted) {
    agent.open("go");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{:#?}", scene.viewer.whole_log(&scene.session));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    let texts: Vec<&str> =
        events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text")).collect();
    assert_eq!((texts, agent.calls().len()), (vec!["started", "finished"], 1));
}

/// `launch.json` and `exit.json` to the letter as version 1 writes them, and with a field that this program does not know:
/// whatever later programs do, they adopt a turn of this one.
#[tokio::test]
async fn a_turn_of_an_older_programs_supervisor_is_adopted() {
    let (agent, mut scene, accepted, spool) = left_running().await;
    let (turn, program) = (&accepted.turn, agent.program());
    let launch = format!(
        r#"{{"version":1,"turn":"{turn}","attempt":1,"program":"{}","args":["--session-id","{}"],"stdin":false,"workspace":"/","timeout_ms":60000,"mood":"old"}}"#,
        program.display(),
        scene.session
    );
    fs::write(spool.join("launch.json"), launch).expect("our own file");
    agent.open("go");
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    let bytes = fs::metadata(spool.join("out")).expect("the agent spoke").len();
    let exit = format!(
        r#"{{"version":1,"reason":{{"kind":"exited"}},"exit_code":0,"signal":null,"duration_ms":7,"stdout_bytes":{bytes},"stderr_bytes":0,"mood":"old"}}"#
    );
    fs::write(spool.join("exit.json"), exit).expect("our own file");
    ends_well(&agent, &mut scene, &accepted).await;
}

#[tokio::test]
async fn a_turn_of_a_newer_program_is_refused_and_goes_on_when_that_is_back() {
    let (agent, mut scene, accepted, spool) = left_running().await;
    let launch = fs::read_to_string(spool.join("launch.json")).expect("our own file");
    let newer = launch.replace(r#""version":1"#, r#""version":99"#);
    assert_ne!(newer, launch);
    fs::write(spool.join("launch.json"), newer).expect("our own file");
    is_refused(&scene).await;
    assert!(process::is_alive(agent.call(1).await.pid), "the agent of another program was ended");
    fs::write(spool.join("launch.json"), launch).expect("our own file");
    ends_well(&agent, &mut scene, &accepted).await;
}

#[tokio::test]
async fn a_newer_programs_exit_record_is_refused_and_read_when_that_is_back() {
    let (agent, mut scene, accepted, spool) = left_running().await;
    agent.open("go");
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    let record = fs::read_to_string(spool.join("exit.json")).expect("the supervisor wrote it");
    fs::write(spool.join("exit.json"), r#"{"version":99,"all":"different"}"#).expect("our own file");
    is_refused(&scene).await;
    fs::write(spool.join("exit.json"), record).expect("our own file");
    ends_well(&agent, &mut scene, &accepted).await;
}

/// Starting fails with a reason and a way out, and the log stays as it was.
async fn is_refused(scene: &Scene) {
    let before = events(scene);
    let output = scene.gateway.run(&["serve"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it started");
    for word in ["format version 99", "newer breakglass"] {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
    assert_eq!(events(scene), before);
}

fn events(scene: &Scene) -> Vec<String> {
    let log = rusqlite::Connection::open(scene.gateway.data().join("breakglass.db")).expect("the log opens");
    let mut all = log.prepare("SELECT record FROM events ORDER BY id").expect("the log has events");
    let records = all.query_map([], |row| row.get(0)).expect("they can be read");
    records.collect::<rusqlite::Result<_>>().expect("they are text")
}
