//! `prompt` and `stop`: a turn, asked for once, and how it ended.

use serde_json::Value;

use super::proxy::{Cut, Network};
use super::terminal::Terminal;
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn the_status_tells_how_the_turn_ended() {
    let scene = Scene::start(Gateway::builder().turn_timeout_s(1), "drill").await;
    let terminal = Terminal::of(&scene.gateway);
    for (text, status, end) in [
        ("[[text:fine]]", 0, "= ok after"),
        ("[[error:bad luck]]", 1, "= error after"),
        ("[[exit:9]]", 1, "exit code 9"),
        ("[[hang]]", 124, "= timeout after"),
    ] {
        let ended = terminal.run(&["prompt", &scene.session, text]).await;
        assert_eq!(ended.status, status, "{text}: {ended:?}");
        assert!(ended.stdout.lines().last().is_some_and(|line| line.contains(end)), "{text}: {ended:?}");
    }
}

#[tokio::test]
async fn records_of_its_own_turn_come_out_verbatim() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:another turn]]").await;
    let printed =
        Terminal::of(&scene.gateway).ok(&["prompt", &scene.session, "--json", "[[text:a]]", "[[text:b c]]"]).await;
    let turn = scene.viewer.event(&scene.session, "its prompt", |event| event.text("text").contains("b c")).await;
    assert_eq!(turn.text("text"), "[[text:a]] [[text:b c]]");
    scene.viewer.turn_end(&scene.session, turn.turn()).await;
    let events = scene.viewer.events_of(&scene.session, turn.turn());
    let records: Vec<&str> = events.iter().map(|event| event.raw.as_str()).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), records);
}

#[tokio::test]
async fn a_prompt_comes_from_stdin_and_into_a_new_session() {
    let gateway = Gateway::builder().start().await;
    let terminal = Terminal::of(&gateway);
    let text = "[[text:first line]]\n[[text:second line]]\n";
    for args in [&["prompt", "--new", "--agent", "drill"][..], &["prompt", "last", "-"]] {
        let ended = terminal.run_with(text, args).await;
        assert_eq!(ended.status, 0, "{ended:?}");
        assert!(ended.stdout.contains("first line") && ended.stdout.contains("second line"), "{ended:?}");
    }
    let sessions = gateway.http().get("/api/sessions").await.json();
    let sessions = sessions["sessions"].as_array().expect("a list");
    assert_eq!((sessions.len(), &sessions[0]["title"]), (1, &"[[text:first line]] [[text:second line]]".into()));
}

#[tokio::test]
async fn it_does_not_follow_when_told_so() {
    let mut scene = Scene::drill().await;
    let terminal = Terminal::of(&scene.gateway);
    let turn = terminal.ok(&["prompt", &scene.session, "--no-follow", "[[text:x]]"]).await;
    let user = scene.viewer.event_of_kind(&scene.session, "user").await;
    assert_eq!(turn, format!("{}\n", user.turn()));
    scene.viewer.turn_end(&scene.session, user.turn()).await;
    let answer = terminal.ok(&["prompt", &scene.session, "--no-follow", "--json", "[[text:y]]"]).await;
    let answer: Value = serde_json::from_str(&answer).expect("one line of JSON");
    assert_eq!((&answer["session"], &answer["duplicate"]), (&scene.session.as_str().into(), &false.into()));
    scene.viewer.turn_end(&scene.session, answer["turn"].as_str().expect("a turn")).await;
}

#[tokio::test]
async fn it_runs_once_when_the_answer_is_lost_twice() {
    let agent = FakeAgent::polite();
    let network = Network::new().await;
    let gateway = Gateway::builder().agent(&agent).public_url(&network.url()).start().await;
    let terminal = Terminal::at(&network.url(), gateway.token());
    let mut viewer = Viewer::connect(&gateway).await;
    let session = viewer.open_session("claude").await;
    let network = network.to(gateway.address(), Cut::Before(r#""type":"accepted""#, 2));
    let ended = terminal.run(&["prompt", &session, "hello", "--json"]).await;
    assert_eq!((ended.status, network.cuts(), agent.calls().len()), (0, 2, 1), "{ended:?}");
    assert!(ended.stderr.contains("connection lost") && ended.stderr.contains("connection is back"), "{ended:?}");
    viewer.event_of_kind(&session, "turn_end").await;
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), viewer.whole_log(&session));
}

#[tokio::test]
async fn it_is_followed_over_a_kill_to_its_end() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let mut prompt = Terminal::of(&scene.gateway).start(&["prompt", &scene.session, "go"]);
    let mut lines = prompt.until("started").await;
    scene.gateway.kill_9().await;
    prompt.said("connection lost").await;
    agent.open("go");
    scene.gateway.restart().await;
    lines.extend(prompt.until("= ok after").await);
    assert_eq!(prompt.ended().await.code(), Some(0));
    for text in ["started", "finished"] {
        assert_eq!(lines.iter().filter(|line| line.ends_with(text)).count(), 1, "{lines:#?}");
    }
    assert_eq!(agent.calls().len(), 1);
}

#[tokio::test]
async fn one_prompts_another_is_told_busy_stops_it_and_the_first_is_told_so() {
    let agent = FakeAgent::hanging();
    let mut scene = Scene::with(&agent).await;
    let terminal = Terminal::of(&scene.gateway);
    let prompt = terminal.start(&["prompt", &scene.session, "go"]);
    scene.viewer.event_of_kind(&scene.session, "session").await;
    let left = terminal.run(&["prompt", &scene.session, "me too"]).await;
    assert_eq!(left.status, 75, "{left:?}");
    assert!(left.stderr.starts_with("breakglass: ") && left.stderr.contains("first"), "{left:?}");

    let token = scene.gateway.add_token("ana", "operator").await;
    let stopped = Terminal::at(&scene.gateway.url(), &token).run(&["stop", &scene.session]).await;
    assert_eq!(stopped.status, 0, "{stopped:?}");
    assert!(stopped.stdout.starts_with("stopped: first's turn, after "), "{stopped:?}");
    assert_eq!(prompt.ended().await.code(), Some(2));
    let cancelled = scene.viewer.event_of_kind(&scene.session, "cancelled").await;
    assert_eq!(cancelled.text("by"), "ana");

    let idle = terminal.run(&["stop", &scene.session]).await;
    assert_eq!((idle.status, idle.stdout.as_str()), (1, ""), "{idle:?}");
    assert!(idle.stderr.contains("nothing runs"), "{idle:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_the_turn_running_and_says_how_to_go_on() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let mut prompt = Terminal::of(&scene.gateway).start(&["prompt", &scene.session, "go"]);
    prompt.until("started").await;
    prompt.interrupt();
    let said = prompt.said("left; the turn goes on").await;
    assert!(said.contains(&scene.session), "{said}");
    assert_eq!(prompt.ended().await.code(), Some(130));
    agent.open("go");
    let end = scene.viewer.event_of_kind(&scene.session, "turn_end").await;
    assert_eq!(end.text("outcome"), "ok");
}
