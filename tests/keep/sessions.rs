//! Retention of whole sessions: what goes, what must stay, and what is left of one that went.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use super::verified;
use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::http::Http;
use crate::support::model::Frame;
use crate::support::scene::Scene;
use crate::support::viewer::{Accepted, Viewer, new_key};
use crate::support::wait::eventually;

const HOUR_MS: i64 = 60 * 60 * 1_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
/// A word that stands nowhere by accident.
const WORD: &str = "quetzalcoatlus";

fn database(gateway: &Gateway) -> Connection {
    Connection::open(gateway.data().join("breakglass.db")).expect("the log")
}

/// Moves a session's last activity back, in the database of a stopped gateway.
fn age(gateway: &Gateway, session: &str, by_ms: i64) {
    let sql = "UPDATE sessions SET last_activity_ms = last_activity_ms - ?2 WHERE id = ?1";
    assert_eq!(database(gateway).execute(sql, (session, by_ms)).expect("writable"), 1);
}

/// Every file below a folder that holds some bytes.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for path in fs::read_dir(dir).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).is_ok_and(|content| memchr::memmem::find(&content, bytes).is_some()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Every signed note that the database has.
fn notes(gateway: &Gateway) -> String {
    let log = database(gateway);
    let mut all =
        log.prepare("SELECT note FROM checkpoints UNION ALL SELECT note FROM heads").expect("the SQL is right");
    let notes: Vec<String> = all.query_map([], |row| row.get(0)).expect("notes").map(Result::unwrap).collect();
    notes.join("\n")
}

async fn is_there(http: &Http, session: &str) -> bool {
    http.get(&format!("/api/sessions/{session}")).await.status == 200
}

/// Waits until a session is not there any more, and nothing of it is left to be taken away.
async fn gone(gateway: &Gateway, session: &str) {
    let cleared = || {
        let sql = "SELECT cleared FROM sessions WHERE id = ?1 AND removal IS NOT NULL";
        let cleared: Option<bool> = database(gateway).query_row(sql, [session], |row| row.get(0)).ok();
        cleared.filter(|cleared| *cleared).map(|_| ())
    };
    eventually("the session to be gone", cleared).await;
}

#[tokio::test]
async fn a_session_goes_with_all_that_belongs_to_it_when_its_time_is_over() {
    let mut scene = Scene::start(Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_DAYS", "30"), "drill").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let (old, key) = (scene.session.clone(), new_key());
    let text = format!("[[text:{WORD}]]");
    let first = Accepted::read(&scene.viewer.prompt_as(&old, &text, &key).await);
    scene.viewer.turn_end(&old, &first.turn).await;
    let held = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&held, "[[text:held]]").await;
    scene.gateway.cli(&["hold", &held, "--reason", "case 7"]).await;
    let running = scene.viewer.open_session("drill").await;
    let at_work = scene.viewer.prompt(&running, "[[text:at work]][[hang]]").await;
    scene.viewer.said(&running, "at work").await;
    let empty = scene.viewer.create("drill").await;
    let young = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&young, "[[text:young]]").await;
    let workspace = scene.gateway.data().join("sessions").join(&old);
    fs::write(workspace.join("core"), "large").expect("the workspace is there");
    let indexed =
        || holding(&scene.gateway.data(), &WORD.as_bytes()[1..]).iter().any(|path| path.contains("search.db"));
    eventually("the words to be in the search index", || indexed().then_some(())).await;
    scene.gateway.terminate().await;
    let pinned = dir.path().join("pinned");
    fs::write(&pinned, notes(&scene.gateway)).expect("a temporary folder is writable");
    assert!(!holding(&scene.gateway.data(), WORD.as_bytes()).is_empty());
    for session in [&old, &held, &running, &empty] {
        age(&scene.gateway, session, YEAR_MS);
    }

    scene.gateway.restart().await;
    gone(&scene.gateway, &old).await;
    gone(&scene.gateway, &empty).await;
    let http = scene.gateway.http();
    assert!(is_there(&http, &held).await && is_there(&http, &running).await && is_there(&http, &young).await);
    let mut viewer = Viewer::connect(&scene.gateway).await;
    let listed = http.get("/api/sessions").await.text().to_owned();
    assert!(!listed.contains(&old) && !listed.contains(&empty) && listed.contains(&held), "{listed}");
    is_unknown(&http, &mut viewer, &old, &first.turn).await;
    // Neither its id nor its prompt's key is used again.
    assert_eq!(viewer.prompt_as(&old, &text, &key).await["code"], "not_found");
    assert_eq!(viewer.prompt_as(&young, &text, &key).await["code"], "conflict");
    let again = viewer.request(json!({"type": "create", "session": old, "agent": "drill"})).await;
    assert_eq!(again["code"], "conflict", "{again}");
    // Nor is anything of it in any file, the search index included.
    let nowhere = || holding(&scene.gateway.data(), &WORD.as_bytes()[1..]).is_empty().then_some(());
    eventually("the words to be in no file", nowhere).await;
    assert!(holding(&scene.gateway.data().join("turns"), first.turn.as_bytes()).is_empty());
    assert!(!workspace.exists());
    let of_old = "SELECT count(*) FROM turns t JOIN sessions s ON s.key = t.session
                  WHERE s.id = ?1 AND (t.by <> '' OR t.origin IS NOT NULL)";
    let names = || database(&scene.gateway).query_row(of_old, [&old], |row| row.get::<_, i64>(0)).expect("readable");
    eventually("who asked, and from where, to be in no row", || (names() == 0).then_some(())).await;
    // It is on record: who, what and when.
    let acts = scene.gateway.cli(&["retention"]).await;
    let said: Vec<&str> = acts.lines().filter(|line| line.contains("\tsession-removed\t")).collect();
    assert!(said.len() == 2 && said.iter().any(|line| line.contains(&old) && line.contains("for its age")), "{acts}");
    let hold = scene.gateway.run(&["hold", &old, "--reason", "too late"]).await;
    assert!(!hold.status.success());

    // What ran goes on, and both verifiers are content: with what was signed before, too.
    viewer.attach(&running, 0).await;
    viewer.request(json!({"type": "cancel", "session": running})).await;
    viewer.turn_end(&running, &at_work.turn).await;
    let epoch = viewer.request(json!({"type": "attach", "session": young})).await["epoch"].clone();
    drop(viewer);
    scene.gateway.terminate().await;
    let said = proved(&scene.gateway, dir.path(), &pinned).await;
    assert!(said.contains("2 sessions were removed by retention"), "{said}");

    // The next start takes it for the same log, and raises no alarm.
    scene.gateway.restart().await;
    let mut viewer = Viewer::connect(&scene.gateway).await;
    assert_eq!(viewer.attach(&young, 0).await["epoch"], epoch);
    viewer.turn(&young, "[[text:goes on]]").await;
    drop(viewer);
    scene.gateway.terminate().await;
    proved(&scene.gateway, dir.path(), &pinned).await;
    assert!(!scene.gateway.log().contains("ALARM"), "{}", scene.gateway.log());
}

/// To everybody it is as if the session had never been.
async fn is_unknown(http: &Http, viewer: &mut Viewer, session: &str, turn: &str) {
    for path in ["", "/events", "/export?format=jsonl", "/export?format=bundle", "/checkpoint", "/stream"] {
        let answer = http.get(&format!("/api/sessions/{session}{path}")).await;
        assert_eq!(answer.error_code(), "not_found", "{path}: {}", answer.text());
    }
    for path in ["", "/raw"] {
        let answer = http.get(&format!("/api/sessions/{session}/turns/{turn}{path}")).await;
        assert_eq!(answer.error_code(), "not_found", "{path}: {}", answer.text());
    }
    let renamed = http.patch(&format!("/api/sessions/{session}"), &json!({"title": "mine"})).await;
    assert_eq!(renamed.error_code(), "not_found", "{}", renamed.text());
    let found = http.get(&format!("/api/search?q={WORD}&session={session}")).await;
    assert_eq!(found.error_code(), "not_found", "{}", found.text());
    let attach = viewer.request(json!({"type": "attach", "session": session})).await;
    assert_eq!(attach["code"], "not_found", "{attach}");
}

/// Both verifiers' verdict on the folder of a stopped gateway, with notes that were kept.
async fn proved(gateway: &Gateway, dir: &Path, pinned: &Path) -> String {
    let (status, said) = verified(gateway, dir).await;
    assert_eq!(status, Some(0), "{said}");
    let key = gateway.cli(&["key"]).await;
    let more = ["--pinned", pinned.to_str().expect("a temporary path is text")];
    let found = crate::evidence::both(gateway, &gateway.data(), key.trim(), &more).await;
    assert_eq!((found.status, found.findings), (0, Vec::new()));
    said
}

#[tokio::test]
async fn beyond_the_size_the_session_that_was_longest_without_activity_goes_first() {
    let settings = Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_MIB", "1");
    let mut scene = Scene::start(settings, "drill").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    // Each prompt stands in the log thrice: asked, said, and as the result. Four times some 390 kB.
    let text = format!("[[text:{}]]", "x".repeat(130_000));
    let mut sessions = Vec::new();
    for hours_ago in [2, 5, 3, 4] {
        let session = scene.viewer.open_session("drill").await;
        scene.viewer.turn(&session, &text).await;
        sessions.push((session, hours_ago));
    }
    let newest = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&newest, "[[text:newest]]").await;
    scene.gateway.terminate().await;
    for (session, hours_ago) in &sessions {
        age(&scene.gateway, session, hours_ago * HOUR_MS);
    }
    scene.gateway.restart().await;
    gone(&scene.gateway, &sessions[1].0).await;
    gone(&scene.gateway, &sessions[3].0).await;
    let http = scene.gateway.http();
    for session in [&sessions[0].0, &sessions[2].0, &newest, &scene.session] {
        assert!(is_there(&http, session).await, "{session}");
    }
    let acts = scene.gateway.cli(&["retention"]).await;
    let said: Vec<&str> = acts.lines().filter(|line| line.contains("\tsession-removed\t")).collect();
    assert!(said.len() == 2 && said.iter().all(|line| line.contains("for its size")), "{acts}");
    assert!(said[0].contains(&sessions[1].0) && said[1].contains(&sessions[3].0), "{acts}");
    let bytes: i64 = database(&scene.gateway)
        .query_row("SELECT sum(octet_length(record)) FROM events", [], |row| row.get(0))
        .expect("a number");
    assert!(bytes <= 1 << 20, "{bytes}");
    scene.gateway.terminate().await;
    let (status, said) = verified(&scene.gateway, dir.path()).await;
    assert_eq!(status, Some(0), "{said}");
}

#[tokio::test]
async fn what_is_fresh_or_the_newest_of_all_stays_and_nothing_goes_without_limits() {
    let mut scene = Scene::start(Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_MIB", "1"), "drill").await;
    let text = format!("[[text:{}]]", "x".repeat(200_000));
    for _ in 0..3 {
        scene.viewer.turn(&scene.session, &text).await;
    }
    scene.gateway.terminate().await;
    scene.gateway.restart().await;
    assert!(is_there(&scene.gateway.http(), &scene.session).await, "active within the hour");
    scene.gateway.terminate().await;
    // The newest record of all is its own: without it the log would seem to be an older one.
    age(&scene.gateway, &scene.session, YEAR_MS);
    scene.gateway.restart().await;
    let looked = || scene.gateway.log().contains("or holds the newest record of all").then_some(());
    eventually("the gateway to look", looked).await;
    let mut viewer = Viewer::connect(&scene.gateway).await;
    let second = viewer.open_session("drill").await;
    viewer.turn(&second, "[[text:newer]]").await;
    assert!(is_there(&scene.gateway.http(), &scene.session).await);
    drop(viewer);
    scene.gateway.terminate().await;
    scene.gateway.restart().await;
    gone(&scene.gateway, &scene.session).await;
    assert!(is_there(&scene.gateway.http(), &second).await);

    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:old]]").await;
    let other = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&other, "[[text:newer]]").await;
    scene.gateway.terminate().await;
    age(&scene.gateway, &scene.session, YEAR_MS);
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn(&scene.session, "[[text:new]]").await;
    assert_eq!(scene.gateway.cli(&["retention"]).await, "");
}

/// The list that a watcher is sent, from `watching` on.
async fn listed(watcher: &mut Viewer) -> Vec<String> {
    let mut list = Vec::new();
    let take = |_: &_, frame: &Frame| {
        match frame.kind() {
            "watching" => list.clear(),
            "session" => list.push(frame.value["state"]["session"].as_str().expect("an id").to_owned()),
            _ => {}
        }
        (frame.kind() == "watching_live").then(|| list.clone())
    };
    watcher.wait("the whole list", take).await
}

#[tokio::test]
async fn what_somebody_looks_at_stays_and_those_who_watch_the_list_see_the_others_gone() {
    let mut scene = Scene::start(Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_DAYS", "30"), "drill").await;
    let used = scene.session.clone();
    scene.viewer.turn(&used, "[[text:used]]").await;
    let unused = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&unused, "[[text:unused]]").await;
    let young = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&young, "[[text:young]]").await;
    scene.gateway.terminate().await;
    age(&scene.gateway, &used, YEAR_MS);
    age(&scene.gateway, &unused, YEAR_MS);
    scene.gateway.restart().await;
    // As it comes back after a restart.
    let mut viewer = Viewer::connect(&scene.gateway).await;
    viewer.attach(&used, 0).await;
    let mut watcher = Viewer::connect(&scene.gateway).await;
    watcher.send_text(r#"{"type":"watch"}"#).await;
    let before = listed(&mut watcher).await;
    assert!(before.contains(&used) && before.contains(&unused) && before.contains(&young), "{before:?}");
    let mut after = listed(&mut watcher).await;
    after.sort();
    let mut left = vec![used.clone(), young.clone()];
    left.sort();
    assert_eq!(after, left);
    gone(&scene.gateway, &unused).await;
    viewer.turn(&used, "[[text:goes on]]").await;
    // Whoever watches is told of later changes as before.
    let created = viewer.create("drill").await;
    let news = |_: &_, frame: &Frame| (frame.value["state"]["session"] == created.as_str()).then_some(());
    watcher.wait("the new session", news).await;
}

#[tokio::test]
async fn a_copy_from_before_a_removal_has_the_session_until_its_limits_remove_it_again() {
    let mut scene = Scene::start(Gateway::builder().env("BREAKGLASS_KEEP_SESSIONS_DAYS", "30"), "drill").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let old = scene.session.clone();
    scene.viewer.turn(&old, "[[text:old]]").await;
    let young = scene.viewer.open_session("drill").await;
    scene.viewer.turn(&young, "[[text:young]]").await;
    scene.gateway.terminate().await;
    age(&scene.gateway, &old, YEAR_MS);
    let copy = dir.path().join("copy.db").display().to_string();
    scene.gateway.cli(&["backup", &copy]).await;
    scene.gateway.restart().await;
    gone(&scene.gateway, &old).await;
    scene.gateway.terminate().await;
    scene.gateway.cli(&["restore", &copy, "--replace"]).await;
    scene.gateway.restart().await;
    assert!(is_there(&scene.gateway.http(), &old).await);
    gone(&scene.gateway, &old).await;
    let after = dir.path().join("after.db").display().to_string();
    let said = scene.gateway.cli(&["backup", &after]).await;
    assert!(said.contains("1 sessions"), "one that was removed does not count: {said}");
    scene.gateway.terminate().await;
    let (status, said) = verified(&scene.gateway, dir.path()).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(!scene.gateway.log().contains("ALARM"), "{}", scene.gateway.log());
}

#[tokio::test]
async fn others_work_while_a_long_session_goes_piece_by_piece() {
    // What it is told says how much it says.
    let agent = FakeAgent::shell(
        "init; case \"$*\" in *long*) n=2500;; *) n=3;; esac; i=0; while [ $i -lt $n ]; do i=$((i + 1)); text $i; done; result done",
    );
    let settings = Gateway::builder().agent(&agent).env("BREAKGLASS_KEEP_SESSIONS_DAYS", "30");
    let mut scene = Scene::start(settings, "claude").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let long = scene.session.clone();
    assert!(scene.viewer.turn(&long, "long").await.len() > 2_500);
    let other = scene.viewer.open_session("claude").await;
    scene.viewer.turn(&other, "short").await;
    scene.gateway.terminate().await;
    age(&scene.gateway, &long, YEAR_MS);
    scene.gateway.restart().await;
    let mut viewer = Viewer::connect(&scene.gateway).await;
    viewer.attach(&other, 0).await;
    let left = |gateway: &Gateway| -> i64 {
        let sql = "SELECT count(*) FROM events WHERE session = (SELECT key FROM sessions WHERE id = ?1)";
        database(gateway).query_row(sql, [&long], |row| row.get(0)).expect("a number")
    };
    eventually("it to begin to go", || (left(&scene.gateway) < 2_500).then_some(())).await;
    let mut turns = 0;
    while turns < 3 || left(&scene.gateway) > 0 {
        let said = viewer.turn(&other, "short").await;
        assert_eq!(said.last().expect("an end").text("outcome"), "ok");
        turns += 1;
    }
    gone(&scene.gateway, &long).await;
    drop(viewer);
    scene.gateway.terminate().await;
    let (status, said) = verified(&scene.gateway, dir.path()).await;
    assert_eq!(status, Some(0), "{said}");
}
