//! What happens when a supervisor dies.

use std::process::{Command, Stdio};

use breakglass::ids::TurnId;
use breakglass::turn::claim::Liveness;
use breakglass::turn::sweep::{SweepReport, sweep};

use super::support::{Attempt, DEADLINE, is_alive, wait_for};

#[tokio::test]
async fn the_agent_dies_with_its_supervisor_and_the_rest_is_swept() {
    let attempt = Attempt::of(
        "(setsid sh -c 'trap \"\" TERM; echo $$ >deaf; while :; do sleep 0.05; done' &)
         setsid sh -c 'echo $$ >daemon; exec sleep 1000' &
         trap '' INT TERM; echo $$ >me; while :; do sleep 0.05; done",
    );
    let bystander = Attempt::of("echo $$ >me; exec sleep 1000");
    let supervisor = attempt.launch().await;
    let other = bystander.launch().await;
    let agent = attempt.pid_in("me").await;
    let (deaf, daemon) = (attempt.pid_in("deaf").await, attempt.pid_in("daemon").await);

    supervisor.kill().unwrap();
    tokio::time::timeout(DEADLINE, supervisor.exited()).await.unwrap().unwrap();
    wait_for("the agent to die", || !is_alive(agent)).await;
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Gone);
    assert_eq!(attempt.dir.exit_record().unwrap(), None);
    assert!(is_alive(daemon) && is_alive(deaf));

    let report = sweep(attempt.spec.turn).unwrap();
    assert_eq!(report.left, []);
    assert!(!is_alive(daemon) && !is_alive(deaf));
    let got = |pid| report.signalled.iter().filter(|one| one.pid == pid).map(|one| one.signal).collect::<Vec<_>>();
    assert_eq!(got(daemon), [15]);
    assert_eq!(got(deaf), [15, 9]);

    assert!(is_alive(bystander.pid_in("me").await));
    other.stop().unwrap();
    bystander.ended(&other).await;
}

#[test]
fn a_sweep_without_anybody_does_nothing() {
    assert_eq!(sweep(TurnId::random()).unwrap(), SweepReport::default());
}

#[test]
fn a_mark_is_a_whole_variable() {
    let turn = TurnId::random();
    let mut sleeper = Command::new("sleep")
        .arg("1000")
        .env("NOT_BG_TURN", turn.to_string())
        .env("BG_TURN", format!("{turn}0"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let report = sweep(turn);
    let running = sleeper.try_wait();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(report.unwrap(), SweepReport::default());
    assert!(running.unwrap().is_none());
}
