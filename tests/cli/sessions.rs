//! `sessions`: the list, and new ones.

use serde_json::{Value, json};

use super::terminal::Terminal;
use crate::support::gateway::Gateway;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn new_ones_are_listed_latest_first_with_what_they_do() {
    let gateway = Gateway::builder().start().await;
    let terminal = Terminal::of(&gateway);
    let made =
        terminal.ok(&["sessions", "new", "--agent", "drill", "--title", "db1: disk full", "--model", "opus"]).await;
    let busy = terminal.ok(&["sessions", "new", "--agent", "drill"]).await;
    let away = terminal.ok(&["sessions", "new"]).await;
    let ids: Vec<&str> = [&made, &busy, &away].map(|text| text.lines().last().expect("the id")).to_vec();
    let mut viewer = Viewer::connect(&gateway).await;
    viewer.attach(ids[1], 0).await;
    let running = viewer.prompt(ids[1], "[[text:x]][[hang]]").await;
    viewer.said(ids[1], "x").await;
    gateway.http().patch(&format!("/api/sessions/{}", ids[2]), &json!({"archived": true})).await;

    let list = terminal.ok(&["sessions"]).await;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    let cells = |line: &str| {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(cells(lines[0]), ["SESSION", "STATE", "AGENT", "VIEWERS", "LAST", "TITLE"]);
    assert!(
        lines[1].starts_with(ids[1]) && lines[1].contains("  running ") && lines[1].contains(" s, first  "),
        "{list}"
    );
    let last = cells(lines[2]);
    assert_eq!(
        (last[0].as_str(), last[1].as_str(), last[2].as_str(), last[5].as_str()),
        (ids[0], "idle", "drill", "db1: disk full")
    );

    let all = terminal.ok(&["sessions", "--all", "--json"]).await;
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(json!(all), gateway.http().get("/api/sessions").await.json()["sessions"]);
    assert_eq!((all.len(), &all[2]["model"]), (3, &json!("opus")));
    viewer.request(json!({"type": "cancel", "session": ids[1]})).await;
    viewer.turn_end(ids[1], &running.turn).await;
}

#[tokio::test]
async fn an_empty_list_says_what_to_do() {
    let gateway = Gateway::builder().start().await;
    let terminal = Terminal::of(&gateway);
    let empty = terminal.run(&["sessions"]).await;
    assert_eq!((empty.status, empty.stdout.as_str()), (0, ""));
    assert!(empty.stderr.contains("sessions new"), "{empty:?}");
    let none = terminal.run(&["attach", "last"]).await;
    assert_eq!(none.status, 66, "{none:?}");
}

#[tokio::test]
async fn a_beginning_of_an_id_must_tell_one_session_from_the_others() {
    let gateway = Gateway::builder().start().await;
    let http = gateway.http();
    let ids = ["0190a6c8-0000-7000-8000-000000000001", "0190a6c8-0000-7000-8000-000000000002"];
    for id in ids {
        // A title like the beginning of an id does not make a session one.
        http.post("/api/sessions", &json!({"session": id, "agent": "drill", "title": "ffff"})).await;
    }
    let terminal = Terminal::of(&gateway);
    let both = terminal.run(&["stop", "0190a6c8"]).await;
    assert_eq!(both.status, 64);
    assert!(ids.iter().all(|id| both.stderr.contains(id)), "{both:?}");
    let none = terminal.run(&["stop", "ffff"]).await;
    assert_eq!(none.status, 66, "{none:?}");
    let one = terminal.run(&["stop", ids[1]]).await;
    assert!(one.stderr.contains(ids[1]), "{one:?}");
}
