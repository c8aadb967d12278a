//! Histories to take away: complete, and harmless wherever they are opened.

use sha2::Digest;

use crate::support::agent::FakeAgent;
use crate::support::http::Http;
use crate::support::scene::Scene;

/// Says everything that could be taken for markup.
const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "</pre></main><img src=x onerror=alert(1)>",
    "````` # no heading [x](javascript:alert(1))",
    "=cmd|'/c calc'!A0",
    r"a\u001b[31mred\u0000",
];

async fn hostile() -> (Scene, FakeAgent) {
    let lines: Vec<String> = HOSTILE
        .iter()
        .map(|text| format!(r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#))
        .collect();
    let agent = FakeAgent::printing(&lines.iter().map(String::as_str).collect::<Vec<_>>(), 0);
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "<b>why</b> `is` it down?").await;
    (scene, agent)
}

#[tokio::test]
async fn html_is_one_file_with_one_script_and_everything_else_in_it_is_text() {
    let (scene, _agent) = hostile().await;
    let page = scene.gateway.http().get(&format!("/api/sessions/{}/export?format=html", scene.session)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-disposition").ends_with(".html\""), "{}", page.header("content-disposition"));
    let text = page.text();
    // The one script is ours, and the policy names it by its hash: whatever a record holds, it is not run.
    let (before, rest) = text.split_once("<script>").unwrap();
    let (script, after) = rest.split_once("</script>").unwrap();
    let hash = data_encoding::BASE64.encode(&sha2::Sha256::digest(script));
    assert!(before.contains(&format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'\"")));
    assert_eq!(script, include_str!("../../src/http/timeline/player.js"));
    assert_eq!(after.trim_end(), "</html>");
    assert!(!before.contains("<script"), "{before}");
    for element in ["<img", "<b>", "src=x>", "http:", "https:", "@import", "url("] {
        assert!(!text.contains(element), "{element} in {text}");
    }
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && text.contains("&lt;b&gt;why&lt;/b&gt;"));
    assert!(!text.contains('\u{1b}') && !text.contains('\0'));
    assert!(text.contains("default-src 'none'") && text.trim_end().ends_with("</html>"));
}

#[tokio::test]
async fn markdown_is_a_timeline_and_nothing_in_it_is_markup() {
    let (scene, _agent) = hostile().await;
    let export = scene.gateway.http().get(&format!("/api/sessions/{}/export?format=md", scene.session)).await;
    assert_eq!(export.status, 200);
    assert!(export.header("content-type").starts_with("text/markdown"));
    let text = export.text();
    assert!(text.contains("## Turn 1: `first` asked") && text.trim_end().ends_with("End of the export."), "{text}");
    // What stands outside fences is the timeline's own.
    let mut fence = None;
    for line in text.lines() {
        match fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.starts_with("  ```") => fence = Some(line.trim_end_matches("text")),
            None => assert!(!line.contains("javascript:") && !line.contains("<script"), "{line}"),
        }
    }
    assert_eq!(fence, None, "a fence stays open: {text}");
}

#[tokio::test]
async fn every_format_holds_every_event_and_is_for_those_who_may_export() {
    let mut scene = Scene::drill().await;
    let events = scene.viewer.turn(&scene.session, "[[events:1500 size:40]]").await;
    let path = |format: &str| format!("/api/sessions/{}/export?format={format}", scene.session);
    let http = scene.gateway.http();
    assert_eq!(http.get(&path("jsonl")).await.text().lines().count(), events.len());
    let html = http.get(&path("html")).await;
    assert_eq!(html.text().matches("<article ").count(), events.len());
    let md = http.get(&path("md")).await;
    assert_eq!(md.text().lines().filter(|line| line.starts_with("- ")).count(), events.len() + 5);
    assert_eq!(http.get(&path("pdf")).await.error_code(), "bad_request");
    let viewer = scene.gateway.add_token("eve", "viewer").await;
    let viewer = Http::new(scene.gateway.address(), Some(&viewer));
    assert_eq!(viewer.get(&path("md")).await.error_code(), "forbidden");
}
