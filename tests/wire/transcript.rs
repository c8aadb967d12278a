//! The page without scripts, and the presets.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::scene::Scene;

#[tokio::test]
async fn the_plain_page_shows_every_event_as_text_and_nothing_as_markup() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:<script>alert(1)</script>]][[bash:echo \"a&b\" => <img src=x>]][[tool:Weigh {\"kg\":123456789012345678901234567890}]]").await;
    let page = scene.gateway.http().get(&format!("/sessions/{}", scene.session)).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && text.contains("echo &quot;a&amp;b&quot;"),
        "{text}"
    );
    assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    assert!(!page.header("content-security-policy").contains("script-src"));
    for event in scene.viewer.whole_log(&scene.session) {
        let seq = serde_json::from_str::<serde_json::Value>(&event).expect("JSON")["seq"].clone();
        assert!(text.contains(&format!("id=\"{seq}\"")), "event {seq} is not on the page");
    }
}

#[tokio::test]
async fn the_plain_page_pages_back_to_the_first_event() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[events:1200]]").await;
    let (http, mut path) = (scene.gateway.http(), format!("/sessions/{}", scene.session));
    let mut pages = 0;
    loop {
        let text = http.get(&path).await.text().to_owned();
        pages += 1;
        let Some((_, rest)) = text.split_once("<p><a href=\"") else {
            assert!(text.contains("id=\"1\""));
            break;
        };
        path = rest.split_once('"').expect("a link ends").0.to_owned();
    }
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn the_plain_page_signs_in_with_a_form() {
    let scene = Scene::drill().await;
    let anybody = Http::new(scene.gateway.address(), None).with("content-type", "application/x-www-form-urlencoded");
    let path = format!("/sessions/{}", scene.session);
    let asked = anybody.get(&path).await;
    assert!(asked.status == 401 && asked.text().contains("action=\"/sign-in\""), "{}", asked.text());
    let form = |token: &str, next: &str| format!("token={token}&next={next}");
    let wrong = anybody.send("POST", "/sign-in", Some(form("bg_nonsense", &path))).await;
    assert_eq!(wrong.status, 401);
    let elsewhere = anybody.send("POST", "/sign-in", Some(form(scene.gateway.token(), "https://evil.example/"))).await;
    assert_eq!(elsewhere.status, 400);
    let signed_in = anybody.send("POST", "/sign-in", Some(form(scene.gateway.token(), &path))).await;
    assert_eq!((signed_in.status.as_u16(), signed_in.header("location")), (303, path.as_str()));
    let cookie = signed_in.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    assert_eq!(Http::new(scene.gateway.address(), None).with("cookie", &cookie).get(&path).await.status, 200);
}

#[tokio::test]
async fn presets_come_from_the_operators_file() {
    let usual = Gateway::builder().start().await.http().get("/api/presets").await.json();
    assert_eq!(usual["presets"][0]["label"], "Triage");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("presets.toml");
    std::fs::write(&file, "[[preset]]\nlabel = \"Mine\"\nprompt = \"look\"\n").expect("the file is written");
    let gateway = Gateway::builder().env("BREAKGLASS_PRESETS", file.to_str().expect("UTF-8")).start().await;
    assert_eq!(
        gateway.http().get("/api/presets").await.json(),
        json!({"presets": [{"label": "Mine", "prompt": "look"}]})
    );
    assert_eq!(Http::new(gateway.address(), None).get("/api/presets").await.status, 401);
}
