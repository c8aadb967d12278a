//! Data folders that cannot be used: a clear refusal at the start, and nothing touched.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;

/// A gateway that has served one turn and was stopped.
async fn stopped(agent: &FakeAgent) -> Scene {
    let mut scene = Scene::with(agent).await;
    scene.viewer.turn(&scene.session, "go").await;
    assert_eq!(scene.gateway.terminate().await.code(), Some(0));
    // Its last connection to be closed moves all that is in the write-ahead file into the database.
    let last = rusqlite::Connection::open(database(&scene.gateway)).expect("a database");
    last.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).expect("it can be read");
    drop(last);
    assert!(!scene.gateway.data().join("breakglass.db-wal").exists(), "the write-ahead file is still there");
    scene
}

fn database(gateway: &Gateway) -> PathBuf {
    gateway.data().join("breakglass.db")
}

/// Every file below a folder with its bytes. But for two of SQLite's that hold nothing, and that whoever closes the database
/// last removes if it is not ended before: the index of the write-ahead file, and that file itself when it is empty.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
            continue;
        }
        let (bytes, name) = (fs::read(&path).expect("our own file"), path.to_string_lossy());
        let holds_nothing = name.ends_with("-shm") || (name.ends_with("-wal") && bytes.is_empty());
        if !holds_nothing {
            found.insert(path.clone(), bytes);
        }
    }
    found
}

/// Nothing has changed since.
fn is_untouched(folder: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = contents(folder);
    let changed = |path: &&PathBuf| before.get(*path) != after.get(*path);
    let touched: Vec<&PathBuf> = before.keys().chain(after.keys()).filter(changed).collect();
    assert!(touched.is_empty(), "touched: {touched:?}");
}

/// Starting fails, with one line that says these words.
async fn is_refused(gateway: &Gateway, words: &[&str]) {
    let output = gateway.run(&["serve"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it started");
    assert!(output.status.code().is_some(), "it crashed: {}", output.status);
    for word in words {
        assert!(stderr.contains(word), "`{word}` is not in: {stderr}");
    }
    let said = stderr.lines().filter(|line| line.starts_with("breakglass: ")).count();
    assert_eq!(said, 1, "{stderr}");
}

/// Starts again on the healthy data and finds all of it.
async fn is_whole(mut scene: Scene) {
    scene.gateway.restart().await;
    scene.viewer.resume(&scene.gateway).await;
    scene.viewer.caught_up(&scene.session).await;
    let turn = scene.viewer.turn(&scene.session, "again").await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
    scene.viewer.whole_log(&scene.session);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let scene = stopped(&agent).await;
    let set = |version: i64| {
        let connection = rusqlite::Connection::open(database(&scene.gateway)).expect("a database");
        connection.pragma_update(None, "user_version", version).expect("it can be written");
    };
    let known: i64 = rusqlite::Connection::open(database(&scene.gateway))
        .and_then(|connection| connection.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("it can be read");
    set(9_999);
    let before = contents(&scene.gateway.data());
    is_refused(&scene.gateway, &["schema version 9999", "newer breakglass"]).await;
    is_untouched(&scene.gateway.data(), &before);
    set(known);
    is_whole(scene).await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let scene = stopped(&agent).await;
    let whole = fs::read(database(&scene.gateway)).expect("our own file");
    fs::write(database(&scene.gateway), b"these are the photos of my cat".repeat(500)).expect("our own file");
    let before = contents(&scene.gateway.data());
    is_refused(&scene.gateway, &["breakglass.db", "not a database"]).await;
    is_untouched(&scene.gateway.data(), &before);
    fs::write(database(&scene.gateway), whole).expect("our own file");
    is_whole(scene).await;
}

/// Damage in what every start reads is found at the start.
#[tokio::test]
async fn a_corrupt_page_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let scene = stopped(&agent).await;
    let whole = fs::read(database(&scene.gateway)).expect("our own file");
    let mut corrupt = whole.clone();
    let root: i64 = rusqlite::Connection::open(database(&scene.gateway))
        .and_then(|db| db.query_row("SELECT rootpage FROM sqlite_master WHERE name = 'meta'", [], |row| row.get(0)))
        .expect("it can be read");
    let page = usize::try_from(root - 1).expect("a page") * 4096;
    corrupt[page..page + 4096].fill(0xa5);
    fs::write(database(&scene.gateway), &corrupt).expect("our own file");
    let before = contents(&scene.gateway.data());
    is_refused(&scene.gateway, &["malformed"]).await;
    is_untouched(&scene.gateway.data(), &before);
    fs::write(database(&scene.gateway), whole).expect("our own file");
    is_whole(scene).await;
}

/// Damage in a page of one session's events, which no start reads: that page cannot be shown, and nothing false is.
#[tokio::test]
async fn a_corrupt_page_of_events_is_an_error_and_never_a_gap() {
    let agent = FakeAgent::shell("init; i=0; while [ $i -lt 300 ]; do i=$((i+1)); text \"line $i\"; done; result done");
    let mut scene = stopped(&agent).await;
    let whole = fs::read(database(&scene.gateway)).expect("our own file");
    let needle = b"\"text\":\"line 150\"";
    let at = whole.windows(needle.len()).position(|bytes| bytes == needle).expect("the event is in the file");
    let mut corrupt = whole.clone();
    corrupt[at / 4096 * 4096..][..4096].fill(0);
    fs::write(database(&scene.gateway), &corrupt).expect("our own file");
    scene.gateway.restart().await;
    let events = format!("/api/sessions/{}/events?limit=1000", scene.session);
    let page = scene.gateway.http().get(&events).await;
    assert_eq!(page.status.as_u16(), 500, "{}", page.text());
    assert_eq!(page.error_code(), "internal");
    assert!(scene.gateway.log().contains("malformed"), "{}", scene.gateway.log());
    assert_eq!(scene.gateway.http().get("/readyz").await.status.as_u16(), 200);
    // Another session is served as ever.
    let mut viewer = crate::support::viewer::Viewer::connect(&scene.gateway).await;
    let other = viewer.open_session("drill").await;
    let turn = viewer.turn(&other, "[[text:hello]]").await;
    assert_eq!(turn.last().map(|end| end.text("outcome")), Some("ok"));
}

#[tokio::test]
async fn a_locked_folder_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let mut scene = Scene::with(&agent).await;
    scene.viewer.turn(&scene.session, "go").await;
    is_refused(&scene.gateway, &["another breakglass", "--data"]).await;
    scene.viewer.turn(&scene.session, "again").await;
}

/// As root a read-only mount, as anybody else the folder's mode.
#[tokio::test]
async fn a_read_only_folder_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let scene = stopped(&agent).await;
    let data = scene.gateway.data();
    let before = contents(&data);
    let mount =
        |args: &[&str]| Command::new("mount").args(args).arg(&data).output().is_ok_and(|done| done.status.success());
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        if !mount(&["--bind", &data.display().to_string()]) {
            println!("root may not mount here: not tried");
            return;
        }
        assert!(mount(&["-o", "remount,bind,ro"]), "a bind mount can be made read-only");
    } else {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).expect("our own folder");
        fs::set_permissions(data.join("lock"), fs::Permissions::from_mode(0o400)).expect("our own file");
    }
    is_refused(&scene.gateway, &[&data.display().to_string()]).await;
    is_untouched(&data, &before);
    if is_root {
        let unmounted = Command::new("umount").arg(&data).output().expect("umount is there");
        assert!(unmounted.status.success(), "{unmounted:?}");
    } else {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("our own folder");
        fs::set_permissions(data.join("lock"), fs::Permissions::from_mode(0o600)).expect("our own file");
    }
    is_whole(scene).await;
}

/// The folder of one user, the gateway started by another.
#[tokio::test]
async fn an_unreadable_folder_is_refused_and_left_alone() {
    let agent = FakeAgent::polite();
    let scene = stopped(&agent).await;
    let data = scene.gateway.data();
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o000)).expect("our own folder");
        is_refused(&scene.gateway, &[&data.display().to_string(), "Permission denied"]).await;
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("our own folder");
        return is_whole(scene).await;
    }
    let before = contents(&data);
    // Within reach of anybody: the data folder itself is what must not be.
    let root = data.parent().expect("a folder");
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).expect("our own folder");
    let program = root.join("breakglass");
    fs::copy(env!("CARGO_BIN_EXE_breakglass"), &program).expect("a temporary folder is writable");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(["serve", "--data"]);
    let output = command.arg(&data).args(["--listen", "127.0.0.1:0"]).output().expect("`setpriv` is there");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&data.display().to_string()) && stderr.contains("belongs to the user with id 0"),
        "{stderr}"
    );
    is_untouched(&data, &before);
    is_whole(scene).await;
}

#[tokio::test]
async fn a_data_folder_that_is_a_file_is_refused() {
    let gateway = Gateway::builder().start().await;
    let file = gateway.data().join("a-file");
    fs::write(&file, "x").expect("our own folder");
    let output = gateway.run(&["serve", "--data", &file.display().to_string()]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && stderr.contains("a-file"), "{stderr}");
}
