//! A gateway whose session has its leader out of sight, as in a container, or under an init that leads none: its session
//! id is 0 there, which is no process id.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;

/// Runs its arguments in a process namespace of their own.
const UNSHARE: &str = "unshare --pid --fork --mount-proc --kill-child";

/// False where nobody may make a namespace.
fn may_unshare() -> bool {
    let args: Vec<&str> = UNSHARE.split(' ').skip(1).collect();
    Command::new("unshare").args(args).arg("true").output().is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn a_turn_runs_where_the_leader_of_the_session_is_out_of_sight() {
    if !may_unshare() {
        eprintln!("no process namespace can be made here: not tried");
        return;
    }
    let dir = TempDir::new().expect("a temporary folder can be made");
    let program = dir.path().join("in-a-namespace");
    let text = format!("#!/bin/sh\nexec {UNSHARE} {} \"$@\"\n", env!("CARGO_BIN_EXE_breakglass"));
    fs::write(&program, text).expect("a temporary folder is writable");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("our own file");
    let agent = FakeAgent::polite();
    let mut scene = Scene::start(Gateway::builder().agent(&agent).program(&program), "claude").await;
    let accepted = scene.viewer.prompt(&scene.session, "go").await;
    let end = scene.viewer.turn_end(&scene.session, &accepted.turn).await;
    assert_eq!(end.text("outcome"), "ok", "{:#?}", scene.viewer.whole_log(&scene.session));
    // Kills the namespace with all that is in it.
    scene.gateway.kill_9().await;
}
