//! The starter against a program that shows what `serve` shows.

use super::*;

/// A stand-in that shows a sign-in line as `serve` does, and leaves a process behind if asked to.
fn stand_in(dir: &TempDir) -> PathBuf {
    let body = r#"#!/bin/sh
case $1 in token) echo hint; echo "made-$3-$5"; exit ;; esac
trap 'exit 7' TERM
[ "$BREAKGLASS_LEAVE" ] && setsid sleep 600 >/dev/null 2>&1 &
if [ -e "$BREAKGLASS_DATA" ]; then echo "http://${BREAKGLASS_LISTEN}/"; else
  mkdir "$BREAKGLASS_DATA"; echo hello; echo 'http://127.0.0.1:4242/#token=secret'; fi
while :; do sleep 0.02; done
"#;
    let path = dir.path().join("stand-in");
    fs::write(&path, body).expect("a temporary folder is writable");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, executable).expect("our own file can be changed");
    path
}

#[tokio::test]
async fn starts_stops_and_starts_again_in_the_same_place() {
    let dir = TempDir::new().expect("a temporary folder can be made");
    let mut gateway = Gateway::builder().program(&stand_in(&dir)).start().await;
    assert_eq!((gateway.url().as_str(), gateway.token()), ("http://127.0.0.1:4242", "secret"));
    assert_eq!(gateway.add_token("ana", "viewer").await, "made-ana-viewer");
    assert_eq!(gateway.terminate().await.code(), Some(7));
    gateway.restart().await;
    assert_eq!((gateway.url().as_str(), gateway.token()), ("http://127.0.0.1:4242", "secret"));
    gateway.kill_9().await;
}

#[tokio::test]
#[should_panic(expected = "left running")]
async fn what_is_left_running_fails_the_test_and_is_ended() {
    let dir = TempDir::new().expect("a temporary folder can be made");
    drop(Gateway::builder().program(&stand_in(&dir)).env("BREAKGLASS_LEAVE", "1").start().await);
}
