//! `breakglass search`, as people run it.

use serde_json::Value;

use super::settled;
use crate::cli::terminal::Terminal;
use crate::support::scene::Scene;

#[tokio::test]
async fn hits_are_printed_in_place_and_harmless() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[speed:max]][[text:basalt one]][[text:basalt \u{1b}]0;evil\u{7} two]]").await;
    settled(&scene.gateway.http()).await;
    let terminal = Terminal::of(&scene.gateway);
    let printed = terminal.ok(&["search", "basalt", "t", "--kind", "text"]).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with(&scene.session) && lines[0].contains(" text by first  "),
        "{printed}"
    );
    assert_eq!(lines[1].trim(), r"basalt \x1b]0;evil\x07 two");

    let json =
        terminal.ok(&["search", "basalt", "--kind", "text", "--json", "--session", "last", "--by", "first"]).await;
    let hits: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((hits.len(), &hits[0]["kind"]), (2, &Value::from("text")), "newest first: {json}");
    assert!(hits[0]["seq"].as_u64() > hits[1]["seq"].as_u64());

    let one =
        terminal.run(&["search", "basalt", "--limit", "1", "--from", "2020-01-01T00:00:00Z", "--outcome", "ok"]).await;
    assert_eq!((one.status, one.stdout.lines().count()), (0, 2), "{one:?}");
    assert!(one.stderr.contains("--limit"), "{one:?}");
    let none = terminal.run(&["search", "nosuchword"]).await;
    assert_eq!((none.status, none.stdout.as_str()), (0, ""), "{none:?}");
    assert!(none.stderr.contains("nothing found"), "{none:?}");
    for wrong in [
        &["search"][..],
        &["search", "--", "--"],
        &["search", "x", "--kind", "prose"],
        &["search", "x", "--to", "soon"],
    ] {
        let refused = terminal.run(wrong).await;
        assert_eq!((refused.status, refused.stdout.as_str()), (65, ""), "{wrong:?}: {refused:?}");
    }
}

#[tokio::test]
async fn more_than_a_page_is_fetched() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[events:230 size:40]]").await;
    settled(&scene.gateway.http()).await;
    let printed = Terminal::of(&scene.gateway).ok(&["search", "--kind", "text", "--limit", "200", "--json"]).await;
    let mut seqs: Vec<u64> = printed
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].as_u64().expect("a seq"))
        .collect();
    assert!(seqs.is_sorted_by(|newer, older| newer > older));
    seqs.dedup();
    assert_eq!(seqs.len(), 200);
}
