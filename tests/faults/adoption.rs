//! Fifty turns that a killed gateway leaves: the next takes them up beside each other.

use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::json;

use super::native::Holder;
use crate::support::gateway::Gateway;
use crate::support::process;
use crate::support::viewer::{Accepted, Viewer};
use crate::support::wait::eventually;

const TURNS: usize = 50;

/// A turn of which only the launch is on disk, as when its supervisor is just starting.
async fn only_launched(gateway: &Gateway, turn: &Accepted) -> PathBuf {
    let spool = gateway.data().join("turns").join(format!("{}.1", turn.turn));
    let supervisor = gateway.supervisors().into_iter().find(|one| one.command.contains(&turn.turn));
    process::signal(supervisor.expect("the turn runs").pid, Signal::KILL);
    let is_of_it = |command: &str| command.contains(&turn.turn);
    let is_gone = || (!gateway.processes().iter().any(|one| is_of_it(&one.command))).then_some(());
    eventually("the supervisor to die", is_gone).await;
    for file in std::fs::read_dir(&spool).expect("the turn has a spool").flatten() {
        if file.file_name() != "launch.json" {
            std::fs::remove_file(file.path()).expect("our own file");
        }
    }
    spool
}

/// How many turns the log says were adopted. Asked of the file, for the door is not open yet.
fn adopted(gateway_data: &std::path::Path) -> usize {
    let log = rusqlite::Connection::open(gateway_data.join("breakglass.db")).expect("the log opens");
    let sql = "SELECT count(*) FROM events WHERE kind = 'status' AND record LIKE '%\"adopted\"%'";
    log.query_row(sql, [], |row| row.get::<_, u32>(0)).expect("the log can be read") as usize
}

/// One of them, the oldest, cannot be settled for a while: all others are adopted meanwhile. Were they taken up one after
/// another, they would wait for it.
#[tokio::test]
async fn fifty_running_turns_are_adopted_beside_each_other() {
    let mut gateway = Gateway::builder().max_turns(TURNS as u32).start().await;
    let mut viewer = Viewer::connect(&gateway).await;
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let session = viewer.open_session("drill").await;
        let accepted = viewer.prompt(&session, "[[text:started]][[hang]]").await;
        turns.push((session, accepted));
    }
    for (session, _) in &turns {
        viewer.said(session, "started").await;
    }
    gateway.kill_9().await;
    let holder = Holder::of(&only_launched(&gateway, &turns[0].1).await);
    let data = gateway.data();
    let others_first = async {
        eventually("all others to be adopted", || (adopted(&data) == TURNS - 1).then_some(())).await;
        holder.play();
    };
    tokio::join!(gateway.restart(), others_first);
    viewer.resume(&gateway).await;
    for (session, accepted) in &turns[1..] {
        viewer.request(json!({"type": "cancel", "session": session, "turn": accepted.turn})).await;
    }
    for (number, (session, accepted)) in turns.iter().enumerate() {
        let end = viewer.turn_end(session, &accepted.turn).await;
        let wanted = if number == 0 { "ok" } else { "cancelled" };
        assert_eq!(end.text("outcome"), wanted, "{:#?}", viewer.whole_log(session));
        viewer.whole_log(session);
    }
}
