//! `export`: the whole log or no file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::proxy::{Cut, Network};
use super::terminal::Terminal;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn an_export_is_the_log() {
    let mut scene = Scene::drill().await;
    scene.viewer.turn(&scene.session, "[[events:3000 size:300]]").await;
    scene.viewer.turn(&scene.session, "[[text:\u{1b}[31m]]").await;
    let log: String = scene.viewer.whole_log(&scene.session).iter().map(|record| format!("{record}\n")).collect();
    let terminal = Terminal::of(&scene.gateway);
    assert!(terminal.ok(&["export", &scene.session]).await == log, "stdout differs from the log");

    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("log.jsonl");
    fs::write(&path, "an earlier one").expect("a temporary folder is writable");
    let printed = terminal.ok(&["export", "last", "--output", &path.display().to_string()]).await;
    assert_eq!(printed, "");
    assert!(fs::read_to_string(&path).expect("the file is there") == log, "the file differs from the log");
    let mode = fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!((mode & 0o777, fs::read_dir(dir.path()).expect("a folder").count()), (0o600, 1));
}

#[tokio::test]
async fn a_broken_download_leaves_no_file_and_says_so() {
    let network = Network::new().await;
    let gateway = Gateway::builder().public_url(&network.url()).start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let session = viewer.open_session("drill").await;
    viewer.turn(&session, "[[events:2000 size:1000]]").await;
    let network_url = network.url();
    let _network = network.to(gateway.address(), Cut::Behind(500_000));
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("log.jsonl");
    let terminal = Terminal::at(&network_url, gateway.token());
    let ended = terminal.run(&["export", &session, "-o", &path.display().to_string()]).await;
    assert_eq!(ended.status, 69, "{ended:?}");
    assert!(ended.stderr.contains("broke"), "{ended:?}");
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_viewer_may_not_and_a_place_that_is_none_is_named() {
    let scene = Scene::drill().await;
    let token = scene.gateway.add_token("guest", "viewer").await;
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().join("log.jsonl").display().to_string();
    let refused = Terminal::at(&scene.gateway.url(), &token).run(&["export", &scene.session, "--output", &path]).await;
    assert_eq!((refused.status, fs::read_dir(dir.path()).expect("a folder").count()), (77, 0), "{refused:?}");
    let nowhere = dir.path().join("no/such/folder.jsonl").display().to_string();
    let failed = Terminal::of(&scene.gateway).run(&["export", &scene.session, "--output", &nowhere]).await;
    assert_eq!(failed.status, 74, "{failed:?}");
    assert!(failed.stderr.contains(&nowhere), "{failed:?}");
}
