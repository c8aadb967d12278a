//! Copies, their return, legal hold and retention, as the commands and the settings do them.

mod limits;
mod sessions;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use crate::support::wait::eventually;

/// Verifies the data folder of a stopped gateway: the exit status, and what was said.
async fn verified(gateway: &Gateway, dir: &Path) -> (Option<i32>, String) {
    let key = dir.join("key.txt");
    fs::write(&key, gateway.cli(&["key"]).await).expect("a temporary folder is writable");
    let data = gateway.data().display().to_string();
    let output = gateway.run(&["verify", &data, "--key", &key.display().to_string()]).await;
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn failed(gateway: &Gateway, args: &[&str]) -> String {
    let output = gateway.run(args).await;
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn head(gateway: &Gateway, session: &str) -> Value {
    gateway.http().get(&format!("/api/sessions/{session}/events?limit=1")).await.json()
}

#[tokio::test]
async fn a_copy_from_a_running_turn_comes_back_as_another_log() {
    let mut scene = Scene::drill().await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let file = dir.path().join("copy.db");
    let name = file.display().to_string();
    scene.viewer.turn(&scene.session, "[[text:before]]").await;
    let running = scene.viewer.prompt(&scene.session, "[[text:during]][[hang]]").await;
    scene.viewer.said(&scene.session, "during").await;
    let earlier = head(&scene.gateway, &scene.session).await;

    let said = scene.gateway.cli(&["backup", &name]).await;
    assert!(said.contains("1 sessions") && said.contains(earlier["epoch"].as_str().expect("an epoch")), "{said}");
    assert_eq!(fs::metadata(&file).expect("the copy").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing else is left");
    assert!(failed(&scene.gateway, &["backup", &name]).await.contains("is there already"));

    scene.viewer.request(json!({"type": "cancel", "session": scene.session})).await;
    scene.viewer.turn_end(&scene.session, &running.turn).await;
    scene.viewer.turn(&scene.session, "[[text:after]]").await;
    let lost = scene.viewer.create("drill").await;
    let later = head(&scene.gateway, &scene.session).await;
    assert!(failed(&scene.gateway, &["restore", &name, "--replace"]).await.contains("another breakglass uses"));

    scene.gateway.terminate().await;
    let refused = failed(&scene.gateway, &["restore", &name]).await;
    assert!(refused.contains("--replace"), "{refused}");
    let said = scene.gateway.cli(&["restore", &name, "--replace"]).await;
    let aside =
        said.lines().next().and_then(|line| line.rsplit(' ').next()).map(PathBuf::from).expect("where it was put");
    let kept = rusqlite::Connection::open(aside.join("breakglass.db")).expect("the earlier log is kept");
    let sessions: i64 = kept.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).expect("a database");
    assert_eq!(sessions, 2);

    scene.gateway.restart().await;
    let now = head(&scene.gateway, &scene.session).await;
    assert_ne!(now["epoch"], later["epoch"], "whoever was attached is told");
    assert!(now["head"].as_u64() < later["head"].as_u64(), "{now}");
    assert_eq!(scene.gateway.http().get(&format!("/api/sessions/{lost}")).await.status, 404);
    let stale =
        format!("/api/sessions/{}/events?after=1&epoch={}", scene.session, later["epoch"].as_str().expect("an epoch"));
    assert_eq!(scene.gateway.http().get(&stale).await.error_code(), "epoch_changed");
    // The turn that ran then is closed, once, and the log goes on.
    let mut viewer = Viewer::connect(&scene.gateway).await;
    viewer.attach(&scene.session, 0).await;
    viewer.turn_end(&scene.session, &running.turn).await;
    viewer.turn(&scene.session, "[[text:afterwards]]").await;
    let log = viewer.whole_log(&scene.session).join("\n");
    assert_eq!(log.matches("\"kind\":\"turn_end\"").count(), 3, "{log}");
    assert!(log.contains("before") && !log.contains("[[text:after]]"), "{log}");
    let acts = scene.gateway.cli(&["retention"]).await;
    assert!(acts.lines().any(|line| line.contains("\trestore\t") && line.contains(&name)), "{acts}");

    drop(viewer);
    scene.gateway.terminate().await;
    let (status, said) = verified(&scene.gateway, dir.path()).await;
    assert_eq!(status, Some(0), "{said}");
    scene.gateway.restart().await;
}

#[tokio::test]
async fn what_is_no_copy_changes_nothing() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[text:stays]]").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let good = dir.path().join("good.db");
    scene.gateway.cli(&["backup", &good.display().to_string()]).await;
    scene.gateway.terminate().await;
    let bytes = fs::read(&good).expect("the copy");
    let make = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("a temporary folder is writable");
        path.display().to_string()
    };
    let empty = dir.path().join("other.db");
    rusqlite::Connection::open(&empty).and_then(|other| other.execute_batch("CREATE TABLE t (x)")).expect("a database");
    for wrong in [
        make("text", b"not a database"),
        make("torn", &bytes[..bytes.len() / 2]),
        empty.display().to_string(),
        dir.path().join("missing").display().to_string(),
    ] {
        let said = failed(&scene.gateway, &["restore", &wrong, "--replace"]).await;
        assert!(said.contains(&wrong), "{said}");
        let left: Vec<_> = fs::read_dir(scene.gateway.data()).expect("the data folder").flatten().collect();
        assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("restor")), "{left:?}");
    }
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn(&scene.session, "[[text:goes on]]").await;
}

/// Moves the end of a session's turns a year back.
fn age(gateway: &Gateway, session: &str) {
    let database = rusqlite::Connection::open(gateway.data().join("breakglass.db")).expect("the log");
    let sql = "UPDATE turns SET ended_ms = ended_ms - 31536000000
               WHERE session = (SELECT key FROM sessions WHERE id = ?1)";
    assert!(database.execute(sql, [session]).expect("writable") > 0);
}

#[tokio::test]
async fn raw_evidence_goes_when_its_time_is_over_unless_it_is_held() {
    let settings = Gateway::builder().env("BREAKGLASS_KEEP_RAW_DAYS", "30").env("BREAKGLASS_KEEP_RAW_MIB", "1000");
    let mut scene = Scene::start(settings, "drill").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let turn_of = |events: &[crate::support::model::Record]| events[0].text("turn").to_owned();
    let old = turn_of(&scene.viewer.turn(&scene.session, "[[text:old]]").await);
    let held = scene.viewer.open_session("drill").await;
    let kept = turn_of(&scene.viewer.turn(&held, "[[text:held]]").await);
    let young = scene.viewer.open_session("drill").await;
    let fresh = turn_of(&scene.viewer.turn(&young, "[[text:young]]").await);

    assert!(failed(&scene.gateway, &["hold", &held, "--reason", " "]).await.contains("--reason"));
    assert!(failed(&scene.gateway, &["hold", "ffffffff", "--reason", "x"]).await.contains("no session"));
    scene.gateway.cli(&["hold", &held[..13], "--reason", "case 7 \u{1b}[2J"]).await;
    assert!(scene.gateway.cli(&["hold", &held, "--reason", "again"]).await.contains("already"));
    let holds = scene.gateway.cli(&["retention", "--holds"]).await;
    assert!(holds.lines().count() == 1 && holds.contains(&held) && holds.contains(r"case 7 \x1b[2J"), "{holds}");

    let raw = |session: &str, turn: &str| format!("/api/sessions/{session}/turns/{turn}/raw");
    assert_eq!(scene.gateway.http().get(&raw(&scene.session, &old)).await.status, 200);
    let before = scene.viewer.whole_log(&scene.session);
    scene.gateway.terminate().await;
    age(&scene.gateway, &scene.session);
    age(&scene.gateway, &held);
    scene.gateway.restart().await;
    let folder = scene.gateway.data().join("turns");
    let streams = |turn: &str| {
        let dirs = fs::read_dir(&folder).expect("spools").flatten();
        let ours = dirs.filter(|entry| entry.file_name().to_string_lossy().starts_with(turn));
        ours.flat_map(|dir| ["out", "out.zst"].map(|name| dir.path().join(name))).filter(|path| path.exists()).count()
    };
    eventually("the old raw output to go", || (streams(&old) == 0).then_some(())).await;
    let http = scene.gateway.http();
    assert_eq!(http.get(&raw(&scene.session, &old)).await.status, 404);
    assert_eq!(
        (http.get(&raw(&held, &kept)).await.status.as_u16(), http.get(&raw(&young, &fresh)).await.status.as_u16()),
        (200, 200)
    );
    // The log is as it was, how the turn came about is still known, and what went is on record.
    let log = http.get(&format!("/api/sessions/{}/export?format=jsonl", scene.session)).await;
    assert_eq!(log.text().lines().collect::<Vec<_>>(), before);
    assert_eq!(http.get(&format!("/api/sessions/{}/turns/{old}", scene.session)).await.status, 200);
    let acts = scene.gateway.cli(&["retention"]).await;
    let gone: Vec<&str> = acts.lines().filter(|line| line.contains("\traw-removed\t")).collect();
    assert!(gone.len() == 1 && gone[0].contains(&old) && gone[0].contains(&scene.session), "{acts}");

    // Released, it goes at the next look.
    scene.gateway.cli(&["release", &held, "--reason", "case closed"]).await;
    assert!(failed(&scene.gateway, &["release", &held, "--reason", "again"]).await.contains("not held"));
    scene.gateway.terminate().await;
    scene.gateway.restart().await;
    eventually("the released raw output to go", || (streams(&kept) == 0).then_some(())).await;
    let acts = scene.gateway.cli(&["retention"]).await;
    assert!(["\thold\t", "\trelease\t"].iter().all(|act| acts.contains(act)), "{acts}");

    // What was signed verifies without it.
    scene.gateway.terminate().await;
    let (status, said) = verified(&scene.gateway, dir.path()).await;
    assert_eq!(status, Some(0), "{said}");
    scene.gateway.restart().await;
}

#[tokio::test]
async fn nothing_goes_without_limits() {
    let mut scene = Scene::drill().await;
    let events = scene.viewer.turn(&scene.session, "[[text:old]]").await;
    scene.gateway.terminate().await;
    age(&scene.gateway, &scene.session);
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.turn(&scene.session, "[[text:new]]").await;
    let raw = format!("/api/sessions/{}/turns/{}/raw", scene.session, events[0].text("turn"));
    assert_eq!(scene.gateway.http().get(&raw).await.status, 200);
    assert_eq!(scene.gateway.cli(&["retention"]).await, "");
}
