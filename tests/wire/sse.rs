//! Server-sent events: a session's log for clients without WebSocket.

use serde_json::json;

use crate::support::agent::FakeAgent;
use crate::support::http::Event;
use crate::support::model::Record;
use crate::support::scene::Scene;

fn ids(events: &[Event]) -> Vec<u64> {
    let id = |event: &Event| event.id.as_ref().expect("each record has an id").parse().expect("its id is its seq");
    events.iter().map(id).collect()
}

#[tokio::test]
async fn the_log_then_caught_up_once_then_what_comes_live() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    scene.viewer.said(&scene.session, "started").await;
    let mut stream = scene.gateway.http().events(&format!("/api/sessions/{}/stream", scene.session)).await;
    let mut events = stream.until_caught_up().await;
    assert_eq!(ids(&events), [1, 2, 3]);
    agent.open("go");
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    while ids(&events).last() != Some(&end.seq()) {
        let event = stream.next().await.expect("the stream goes on");
        assert_ne!(event.event.as_deref(), Some("caught-up"), "a second time");
        events.push(event);
    }
    assert_eq!(ids(&events), [1, 2, 3, 4, 5, 6]);
    let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(data, scene.viewer.whole_log(&scene.session));
    assert!(data.iter().all(|data| Record::parse(data).is_ok()));
}

#[tokio::test]
async fn it_goes_on_after_the_last_event_id_which_wins_over_after() {
    let mut scene = Scene::drill().await;
    let head = scene.viewer.turn(&scene.session, "[[text:1]][[text:2]][[text:3]]").await.last().expect("events").seq();
    let epoch = scene.viewer.model.hello()["epoch"].as_str().expect("`epoch` is a text").to_owned();
    let (http, path) = (scene.gateway.http(), format!("/api/sessions/{}/stream", scene.session));
    let table = [
        (None, String::new(), 1),
        (None, "?after=2".to_owned(), 3),
        (None, format!("?after=2&epoch={epoch}"), 3),
        (Some(4), "?after=1".to_owned(), 5),
        (Some(4), String::new(), 5),
        (Some(head), String::new(), head + 1),
    ];
    for (last_event_id, query, from) in table {
        let http = match last_event_id {
            Some(id) => http.with("last-event-id", &id.to_string()),
            None => http.clone(),
        };
        let events = http.events(&format!("{path}{query}")).await.until_caught_up().await;
        assert_eq!(ids(&events), (from..=head).collect::<Vec<_>>(), "{last_event_id:?} {query}");
    }
    let beyond = http.with("last-event-id", &(head + 1).to_string()).get(&path).await;
    assert_eq!((beyond.status.as_u16(), beyond.error_code().as_str()), (409, "epoch_changed"));
    let nonsense = http.with("last-event-id", "yesterday").get(&path).await;
    assert_eq!((nonsense.status.as_u16(), nonsense.error_code().as_str()), (400, "bad_request"));
}

#[tokio::test]
async fn a_reader_that_comes_back_after_a_kill_misses_nothing() {
    let agent = FakeAgent::gated();
    let mut scene = Scene::with(&agent).await;
    let path = format!("/api/sessions/{}/stream", scene.session);
    scene.viewer.prompt(&scene.session, "go").await;
    let mut stream = scene.gateway.http().events(&path).await;
    stream.until(|record| record["text"] == "started").await;
    scene.gateway.kill_9().await;
    while stream.next().await.is_some() {}
    scene.gateway.restart().await;
    agent.open("go");
    let again = scene.gateway.http().with("last-event-id", "3");
    let rest = again.events(&path).await.until(|record| record["kind"] == "turn_end").await;
    let records: Vec<&Event> = rest.iter().filter(|event| event.id.is_some()).collect();
    let seqs: Vec<u64> =
        records.iter().map(|event| event.id.as_ref().expect("filtered").parse().expect("a seq")).collect();
    assert_eq!(seqs, (4..4 + seqs.len() as u64).collect::<Vec<_>>());
    assert!(records.iter().any(|event| event.data.contains("\"finished\"")), "{records:?}");
}

#[tokio::test]
async fn a_planned_stop_ends_the_stream() {
    let mut scene = Scene::drill().await;
    let mut stream = scene.gateway.http().events(&format!("/api/sessions/{}/stream", scene.session)).await;
    stream.until_caught_up().await;
    assert_eq!(scene.gateway.terminate().await.code(), Some(0));
    while stream.next().await.is_some() {}
    assert_eq!(scene.viewer.frame("restarting").await["type"], json!("restarting"));
}
