//! A disk that is full, and one that cannot make anything durable.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::native::Faults;
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Viewer, kinds, new_key};
use crate::support::wait::{PATIENCE, eventually};

/// Says `started`, and after the gate ten texts of 200 bytes and `finished`.
const TALKER: &str = r#"init; text started; wait_gate go
long=$(printf '%0200d' 0); for i in 1 2 3 4 5 6 7 8 9 10; do text "$i $long"; done
text finished; result finished"#;

/// A small file system of its own, where root may mount one.
struct Small {
    dir: TempDir,
}

impl Small {
    fn mount(megabytes: u32) -> Option<Self> {
        let dir = TempDir::new().expect("a temporary folder can be made");
        let options = format!("size={megabytes}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self { dir })
    }

    fn filler(&self) -> PathBuf {
        self.dir.path().join("filler")
    }

    /// Takes all that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::options().create(true).append(true).open(self.filler()).expect("a new file");
        for piece in [64 << 10, 512, 1] {
            let block = vec![b'f'; piece];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("our own file");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a supervisor may still be closing its last file.
        let _ = Command::new("umount").arg("-l").arg(self.dir.path()).output();
    }
}

async fn ready(scene: &Scene) -> u16 {
    scene.gateway.http().get("/readyz").await.status.as_u16()
}

/// Prompts in another session until one is refused; the refusal.
async fn refused(viewer: &mut Viewer, session: &str, key: &str) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let reply = viewer.prompt_as(session, "one more", key).await;
        if reply["type"] == "error" && reply["code"] != "busy" {
            return reply;
        }
        assert!(Instant::now() < deadline, "never refused: {reply}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// With the disk full: refusals with a reason, a red light, history, and the turn that runs. Then all goes on.
async fn full_and_free_again(scene: &mut Scene, agent: &FakeAgent, fill: impl Fn(), free: impl Fn()) {
    let done = scene.viewer.turn(&scene.session, "before").await;
    assert_eq!(done.last().map(|end| end.text("outcome")), Some("ok"));
    let busy = scene.viewer.open_session("claude").await;
    std::fs::remove_file(agent.program().with_file_name("gates").join("go")).expect("the first turn opened it");
    let running = scene.viewer.prompt(&busy, "go").await;
    scene.viewer.said(&busy, "started").await;

    fill();
    let key = new_key();
    let session = scene.session.clone();
    let refusal = refused(&mut scene.viewer, &session, &key).await;
    assert_eq!(refusal["code"], "unavailable", "{refusal}");
    assert!(refusal["message"].as_str().is_some_and(|why| why.contains("disk is full")), "{refusal}");
    assert_eq!(ready(scene).await, 503);
    assert_eq!(scene.gateway.http().get("/healthz").await.status.as_u16(), 200);
    // What was written can be read, by those who are there and by those who come.
    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&session, 0).await;
    late.caught_up(&session).await;
    assert_eq!(late.whole_log(&session), scene.viewer.whole_log(&session));
    agent.open("go");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(ready(scene).await, 503);

    free();
    let end = scene.viewer.turn_end(&busy, &running.turn).await;
    assert!(["ok", "error"].contains(&end.text("outcome")), "{}", end.raw);
    eventually_ready(scene).await;
    let again = Accepted::read(&scene.viewer.prompt_as(&session, "one more", &key).await);
    assert!(!again.is_duplicate, "a refused prompt was in the log");
    let end = scene.viewer.turn_end(&session, &again.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{}", end.raw);
    late.turn_end(&session, &again.turn).await;
    assert_eq!(late.whole_log(&session), scene.viewer.whole_log(&session));
    scene.viewer.whole_log(&busy);
}

async fn eventually_ready(scene: &Scene) {
    let deadline = Instant::now() + PATIENCE;
    while ready(scene).await != 200 {
        assert!(Instant::now() < deadline, "never ready again");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_full_disk_refuses_with_a_reason_and_loses_nothing() {
    let (faults, agent) = (Faults::new(), FakeAgent::shell(TALKER));
    agent.open("go");
    // The supervisors write their spools elsewhere in the meantime: only the log's own files are full.
    let settings = faults.under(Gateway::builder().agent(&agent), "/data/");
    let mut scene = Scene::start(settings, "claude").await;
    full_and_free_again(&mut scene, &agent, || faults.begin("enospc"), || faults.end("enospc")).await;
}

#[tokio::test]
async fn a_really_full_disk_refuses_with_a_reason_and_loses_nothing() {
    let Some(small) = Small::mount(16) else {
        println!("not root: a small file system cannot be mounted; the test with the shim stands for this one");
        return;
    };
    let agent = FakeAgent::shell(TALKER);
    agent.open("go");
    let data = small.dir.path().join("data").display().to_string();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).env("BREAKGLASS_DATA", &data), "claude").await;
    full_and_free_again(&mut scene, &agent, || small.fill(), || small.free()).await;
    let before = scene.viewer.whole_log(&scene.session);
    scene.gateway.kill_9().await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.caught_up(&scene.session).await;
    assert_eq!(scene.viewer.whole_log(&scene.session), before);
}

/// An agent that fills the disk itself: it can be stopped, for that is what makes room.
#[tokio::test]
async fn a_turn_can_be_stopped_while_the_disk_is_full() {
    let (faults, agent) = (Faults::new(), FakeAgent::hanging());
    let mut scene = Scene::start(faults.under(Gateway::builder().agent(&agent), "/data/"), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.event_of_kind(&scene.session, "session").await;
    let pid = agent.call(1).await.pid;
    faults.begin("enospc");
    let stopped = scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    assert_eq!((&stopped["type"], &stopped["turn"]), (&json!("cancelling"), &json!(accepted.turn)), "{stopped}");
    eventually("the agent to be ended", || (!process::is_alive(pid)).then_some(())).await;
    faults.end("enospc");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "cancelled");
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events), ["user", "session", "cancelled", "turn_end"]);
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_acknowledged_and_the_next_start_settles_everything() {
    let (faults, agent) = (Faults::new(), FakeAgent::polite());
    let mut scene = Scene::start(faults.under(Gateway::builder().agent(&agent), "/data/"), "claude").await;
    scene.viewer.turn(&scene.session, "before").await;
    let before = scene.viewer.whole_log(&scene.session);
    let (key, session) = (new_key(), scene.session.clone());
    faults.begin("fsync");
    scene
        .viewer
        .send_text(&json!({"type": "prompt", "session": session, "text": "meanwhile", "key": key, "id": 9}).to_string())
        .await;
    let status = scene.gateway.stopped_itself().await;
    assert_eq!(status.code(), Some(74), "{}", scene.gateway.log());
    let answers = scene.viewer.all_until_closed().await;
    assert!(answers.iter().all(|frame| frame["type"] != "accepted" && frame["type"] != "event"), "{answers:#?}");

    // It cannot start while the disk is like that, and says why.
    let output = scene.gateway.run(&["serve"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("disk"), "{stderr}");
    faults.end("fsync");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let settled = Accepted::read(&scene.viewer.prompt_as(&session, "meanwhile", &key).await);
    let end = scene.viewer.turn_end(&session, &settled.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{}", end.raw);
    let log = scene.viewer.whole_log(&session);
    assert_eq!(log[..before.len()], before);
    assert_eq!(log.iter().filter(|record| record.contains("meanwhile")).count(), 1);
    assert_eq!(agent.calls().len(), 2);
}

/// A turn that runs while the disk fails goes on under its supervisor and is whole after the next start.
#[tokio::test]
async fn a_turn_outlives_a_failed_fsync() {
    let (faults, agent) = (Faults::new(), FakeAgent::shell(TALKER));
    let mut scene = Scene::start(faults.under(Gateway::builder().agent(&agent), "breakglass.db"), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    faults.begin("fsync");
    agent.open("go");
    assert_eq!(scene.gateway.stopped_itself().await.code(), Some(74));
    faults.end("fsync");
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok");
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(events.iter().filter(|event| event.kind() == "text").count(), 12);
    scene.viewer.whole_log(&scene.session);
    assert!(Path::new(&scene.gateway.data()).exists());
}
