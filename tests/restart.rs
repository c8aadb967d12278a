//! The gateway, or a turn's supervisor, dies or restarts at the worst moments; nobody may miss or see double anything.

use breakglass::turn::spool::{CageSpec, LaunchSpec, SPOOL_VERSION, SpoolDir};
use rustix::process::Signal;
use serde_json::json;

use crate::support::agent::FakeAgent;
use crate::support::gateway::{Gateway, STOP_LIMIT};
use crate::support::process;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Closed, Viewer, kinds, new_key};
use crate::support::wait::eventually;

/// Prints `line 1` to `line 3000` in three equal parts, each behind a gate of its own.
const LINES: &str = r#"init
i=0; for gate in 1 2 3; do
  wait_gate $gate
  while [ $i -lt $((gate * 1000)) ]; do i=$((i + 1)); text "line $i"; done
done
result counted"#;

/// Asserts that all viewers hold the same whole log; gives it back.
fn the_same_log(viewers: &[&Viewer], session: &str) -> Vec<String> {
    let logs: Vec<Vec<String>> = viewers.iter().map(|viewer| viewer.whole_log(session)).collect();
    for log in &logs[1..] {
        assert!(log == &logs[0], "viewers hold different logs: {} and {} records", logs[0].len(), log.len());
    }
    logs[0].clone()
}

/// Kills the gateway and starts it again, then brings every viewer back.
async fn kill_and_come_back(gateway: &mut Gateway, viewers: &mut [&mut Viewer]) {
    gateway.kill_9().await;
    for viewer in viewers.iter_mut() {
        assert_eq!(viewer.closed().await, Closed { code: None });
    }
    gateway.restart().await;
    for viewer in viewers.iter_mut() {
        viewer.resume(gateway).await;
    }
}

#[tokio::test]
async fn three_viewers_survive_three_kills_in_one_turn_without_gap_or_double() {
    let agent = FakeAgent::shell(LINES);
    let mut scene = Scene::with(&agent).await;
    let mut second = scene.operator("ana").await;
    let mut third = scene.operator("ben").await;
    let Scene { viewer: first, session, gateway } = &mut scene;
    let accepted = first.prompt(session, "count").await;
    for (gate, seen) in [("1", 300), ("2", 1_700), ("3", 2_100)] {
        agent.open(gate);
        // The three stand at different places when it dies: one has read nothing since the last time.
        first.until_seq(session, seen).await;
        second.until_seq(session, seen / 2).await;
        kill_and_come_back(gateway, &mut [&mut *first, &mut second, &mut third]).await;
    }
    for viewer in [&mut *first, &mut second, &mut third] {
        viewer.turn_end(session, &accepted.turn).await;
    }
    the_same_log(&[first, &second, &third], session);
    let events = first.events_of(session, &accepted.turn);
    let texts: Vec<&str> =
        events.iter().filter(|event| event.kind() == "text").map(|event| event.text("text")).collect();
    let lines: Vec<String> = (1..=3000).map(|number| format!("line {number}")).collect();
    assert!(texts == lines, "{} texts", texts.len());
    let adopted = events.iter().filter(|event| event.value["state"] == "adopted").count();
    assert!((1..=3).contains(&adopted), "adopted {adopted} times");
    assert_eq!((events.last().map(|end| end.text("outcome")), agent.calls().len()), (Some("ok"), 1));
}

#[tokio::test]
async fn a_turn_that_waits_while_the_gateway_is_killed_is_adopted_and_can_be_stopped() {
    let agent = FakeAgent::deaf();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let grandchild = agent.pid("grandchild").await;
    kill_and_come_back(&mut scene.gateway, &mut [&mut scene.viewer]).await;
    scene.viewer.event(&scene.session, "adopted", |event| event.value["state"] == "adopted").await;
    let busy = scene.viewer.prompt_as(&scene.session, "me too", &new_key()).await;
    assert_eq!((&busy["code"], &busy["turn"], &busy["by"]), (&json!("busy"), &json!(accepted.turn), &json!("first")));
    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!((end.text("outcome"), process::is_alive(grandchild)), ("cancelled", false));
}

#[tokio::test]
async fn a_turn_that_ends_while_no_gateway_runs_is_told_whole_afterwards() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    scene.gateway.kill_9().await;
    agent.open("go");
    eventually("all of the turn to end", || scene.gateway.processes().is_empty().then_some(())).await;
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!((end.text("outcome"), &end.value["exit_code"]), ("ok", &json!(0)));
    let texts: Vec<String> = scene
        .viewer
        .events_of(&scene.session, &accepted.turn)
        .iter()
        .map(|event| event.text("text").to_owned())
        .collect();
    assert_eq!(texts.iter().filter(|text| *text == "started" || *text == "finished").count(), 2);
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test]
async fn a_time_out_also_holds_over_a_restart() {
    let agent = FakeAgent::hanging();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).turn_timeout_s(2), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.event_of_kind(&scene.session, "session").await;
    kill_and_come_back(&mut scene.gateway, &mut [&mut scene.viewer]).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "timeout");
}

#[tokio::test]
async fn a_kill_between_turns_changes_nothing() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "one").await;
    let before = scene.viewer.whole_log(&scene.session);
    kill_and_come_back(&mut scene.gateway, &mut [&mut scene.viewer]).await;
    scene.viewer.caught_up(&scene.session).await;
    assert_eq!(scene.viewer.whole_log(&scene.session), before);
    scene.viewer.turn(&scene.session, "two").await;
    assert!(agent.call(2).await.option("--resume").is_some());
    let mut late = Viewer::connect(&scene.gateway).await;
    late.attach(&scene.session, 0).await;
    late.caught_up(&scene.session).await;
    assert_eq!(the_same_log(&[&scene.viewer, &late], &scene.session)[..before.len()], before);
}

#[tokio::test]
async fn whatever_is_accepted_ends_exactly_once_even_if_the_gateway_dies_at_once() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    for round in 1..=5 {
        let key = new_key();
        let accepted = Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await);
        kill_and_come_back(&mut scene.gateway, &mut [&mut scene.viewer]).await;
        let again = Accepted::read(&scene.viewer.prompt_as(&scene.session, "go", &key).await);
        assert_eq!((&again.turn, again.seq, again.is_duplicate), (&accepted.turn, accepted.seq, true));
        let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
        assert!(["ok", "lost"].contains(&end.text("outcome")), "round {round}: {}", end.raw);
        assert!(agent.calls().len() <= round, "a prompt was run twice");
    }
    scene.viewer.whole_log(&scene.session);
}

#[tokio::test]
async fn a_turn_whose_supervisor_is_killed_is_lost_and_nothing_of_it_goes_on_unattended() {
    let agent = FakeAgent::shell("init; [ $n = 1 ] && { keep grandchild; exec env sleep 600; }; result ok");
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let grandchild = agent.pid("grandchild").await;
    let supervisors = scene.gateway.supervisors();
    assert_eq!(supervisors.len(), 1, "{supervisors:?}");
    process::signal(supervisors[0].pid, Signal::KILL);
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!((end.text("outcome"), &end.value["exit_code"]), ("lost", &json!(null)));
    let events = scene.viewer.events_of(&scene.session, &accepted.turn);
    assert_eq!(kinds(&events)[events.len() - 2], "error");
    let pid = agent.call(1).await.pid;
    let are_gone = || (!process::is_alive(pid) && !process::is_alive(grandchild)).then_some(());
    eventually("the agent and its grandchild to be ended", are_gone).await;
    let next = scene.viewer.turn(&scene.session, "again").await;
    assert_eq!(next.last().map(|end| end.text("outcome")), Some("ok"));
}

#[tokio::test]
async fn gateway_and_supervisor_killed_together_leave_a_lost_turn() {
    let agent = FakeAgent::hanging();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.event_of_kind(&scene.session, "session").await;
    let supervisors = scene.gateway.supervisors();
    scene.gateway.kill_9().await;
    for supervisor in supervisors {
        process::signal(supervisor.pid, Signal::KILL);
    }
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "lost");
    let pid = agent.call(1).await.pid;
    eventually("the agent to be ended", || (!process::is_alive(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_planned_stop_says_so_ends_with_0_and_the_turn_goes_on() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let mut other = scene.operator("ana").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let status = scene.gateway.terminate().await;
    assert_eq!(status.code(), Some(0));
    for viewer in [&mut scene.viewer, &mut other] {
        let restarting = viewer.frame("restarting").await;
        assert!(restarting["reconnect_ms"].is_u64(), "{restarting}");
        assert_eq!(viewer.closed().await, Closed { code: Some(1012) });
    }
    assert!(process::is_alive(agent.call(1).await.pid), "the turn goes on");
    scene.gateway.restart().await;
    agent.open("go");
    for viewer in [&mut scene.viewer, &mut other] {
        viewer.resume(&scene.gateway).await;
        let end = viewer.turn_end(&scene.session, &accepted.turn).await;
        assert_eq!(end.text("outcome"), "ok");
    }
    let log = the_same_log(&[&scene.viewer, &other], &scene.session);
    assert_eq!(log.iter().filter(|record| record.contains(r#""state":"adopted""#)).count(), 1);
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test]
async fn both_signals_end_it_with_0_even_with_somebody_who_does_not_listen() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut gateway = Gateway::builder().start().await;
        // Opened and never spoken to or read from: it must not hold the stop up.
        let _mute = tokio::net::TcpStream::connect(gateway.address()).await.expect("the gateway accepts");
        let _viewer = Viewer::connect(&gateway).await;
        assert_eq!(gateway.stop_with(signal, STOP_LIMIT).await.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn two_gateways_cannot_open_one_data_folder() {
    let gateway = Gateway::builder().start().await;
    let output = gateway.run(&["serve"]).await;
    assert!(!output.status.success());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(gateway.data().to_str().expect("UTF-8")), "{stderr}");
}

/// Puts a prompt into the log as a gateway leaves it that dies right after accepting: nothing was launched yet.
fn accept_and_die(gateway: &Gateway, session: &str, turn: &str, text: &str) {
    let log = rusqlite::Connection::open(gateway.data().join("breakglass.db")).expect("the log opens");
    let (key, seq): (i64, i64) = log
        .query_row("SELECT key, head + 1 FROM sessions WHERE id = ?1", [session], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("the session is there");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    log.execute(
        "INSERT INTO turns (id, session, prompt_key, prompt_sha256, user_seq, by, agent, model, accepted_ms)
         VALUES (?1, ?2, ?3, x'00', ?4, 'ana', 'claude', 'sonnet', ?5)",
        (turn, key, new_key(), seq, i64::try_from(now).expect("a date of this age")),
    )
    .expect("the turn is written");
    let turn_key = log.last_insert_rowid();
    let record = format!(
        r#"{{"session":"{session}","seq":{seq},"time":"2026-11-21T03:14:15.926Z","turn":"{turn}","kind":"user","text":"{text}","by":"ana","model":"sonnet"}}"#
    );
    log.execute(
        "INSERT INTO events (session, seq, time_ms, turn, kind, record) VALUES (?1, ?2, 0, ?3, 'user', ?4)",
        (key, seq, turn_key, record),
    )
    .expect("the event is written");
    log.execute("UPDATE sessions SET head = ?2, running_turn = ?3 WHERE key = ?1", (key, seq, turn_key))
        .expect("the session is written");
}

#[tokio::test]
async fn a_prompt_that_was_accepted_but_not_launched_runs_once_at_the_next_start() {
    let agent = FakeAgent::polite();
    for launch_was_written in [false, true] {
        let mut scene = Scene::with(&agent).await;
        let before = agent.calls().len();
        assert_eq!(scene.gateway.terminate().await.code(), Some(0));
        scene.viewer.closed().await;
        let turn = new_key();
        accept_and_die(&scene.gateway, &scene.session, &turn, "go on");
        if launch_was_written {
            let dir = SpoolDir::new(&scene.gateway.data().join("turns"), turn.parse().expect("a UUID"), 1);
            let args = ["--session-id", &scene.session, "--", "go on"].map(str::to_owned).to_vec();
            let spec = LaunchSpec {
                version: SPOOL_VERSION,
                turn: turn.parse().expect("a UUID"),
                attempt: 1,
                program: agent.program(),
                args,
                stdin: false,
                workspace: scene.gateway.data().join("sessions").join(&scene.session),
                timeout_ms: 60_000,
                cage: CageSpec::default(),
            };
            dir.create(&spec, None).expect("the spool is written");
        }
        scene.gateway.restart().await;
        scene.viewer.resume(&scene.gateway).await;
        let end = scene.viewer.turn_end(&scene.session, &turn).await;
        assert_eq!(end.text("outcome"), "ok", "{}", end.raw);
        assert_eq!(agent.calls().len(), before + 1, "it ran once");
        scene.viewer.whole_log(&scene.session);
    }
}
