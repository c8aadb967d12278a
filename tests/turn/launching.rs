//! Who runs an attempt: once, by one supervisor, that is nobody's child.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use breakglass::turn::claim::Liveness;
use breakglass::turn::launch::{LaunchError, Supervisor, launch_as};
use breakglass::turn::spool::{EndReason, SpoolError};

use super::support::{Attempt, BREAKGLASS, environment, stat, wait_for};

/// Runs a supervisor as `launch` does, but in the foreground.
fn supervise(attempt: &Attempt) -> bool {
    let mut command = Command::new(BREAKGLASS);
    command.arg("supervise").arg(attempt.dir.path()).env_clear().stdin(Stdio::null());
    command.status().unwrap().success()
}

#[tokio::test]
async fn a_supervisor_is_in_a_session_of_its_own_and_not_our_child() {
    let attempt = Attempt::of("sleep 1000");
    let supervisor = attempt.launch().await;
    let pid = supervisor.pid().unwrap();
    let fields = stat(pid).unwrap();
    let ours = std::process::id().to_string();
    assert_ne!(fields[1], ours, "it is our child");
    assert_eq!(fields[3], pid.to_string(), "it does not lead its session");
    for fd in 0..3 {
        let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        let expected = if fd == 2 { attempt.dir.path().join("supervisor.err") } else { "/dev/null".into() };
        assert_eq!(target, expected);
    }
    supervisor.stop().unwrap();
    attempt.ended(&supervisor).await;
}

#[tokio::test]
async fn a_second_supervisor_does_nothing() {
    let attempt = Attempt::of("echo run >>runs; until [ -e go ]; do sleep 0.01; done");
    let first = attempt.launch().await;
    assert!(supervise(&attempt), "beside a living one");
    let second = attempt.try_launch().await.unwrap();
    assert_eq!(second.pid(), first.pid());
    fs::write(attempt.file("go"), "").unwrap();
    let record = attempt.ended(&first).await;
    assert!(supervise(&attempt), "after it");
    assert_eq!(attempt.try_launch().await.unwrap().pid(), None);
    assert_eq!(attempt.dir.exit_record().unwrap(), Some(record));
    attempt.dir.archive().unwrap();
    assert!(supervise(&attempt), "after the archive");
    assert!(!attempt.dir.out_path().exists());
    assert_eq!(fs::read_to_string(attempt.file("runs")).unwrap(), "run\n");
}

#[tokio::test]
async fn many_at_once_run_it_once() {
    let attempt = Attempt::of("echo run >>runs; until [ -e go ]; do sleep 0.01; done");
    attempt.create();
    let (a, b, c) = tokio::join!(attempt.try_launch(), attempt.try_launch(), attempt.try_launch());
    let pids = [a, b, c].map(|one| one.unwrap().pid());
    assert!(pids[0].is_some() && pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    wait_for("the agent", || attempt.file("runs").exists()).await;
    fs::write(attempt.file("go"), "").unwrap();
    let supervisor = Supervisor::adopt(&attempt.dir).unwrap();
    if let Some(supervisor) = supervisor {
        attempt.ended(&supervisor).await;
    }
    wait_for("the record", || attempt.dir.exit_record().unwrap().is_some()).await;
    assert_eq!(fs::read_to_string(attempt.file("runs")).unwrap(), "run\n");
}

#[tokio::test]
async fn liveness_rests_on_evidence() {
    let attempt = Attempt::of("until [ -e go ]; do sleep 0.01; done");
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::NeverLaunched);
    attempt.create();
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::NeverLaunched);
    assert!(Supervisor::adopt(&attempt.dir).unwrap().is_none());
    let supervisor = attempt.launch().await;
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Alive { pid: supervisor.pid().unwrap() });
    let adopted = Supervisor::adopt(&attempt.dir).unwrap().unwrap();
    assert_eq!(adopted.pid(), supervisor.pid());

    // A lock that says that it is of another boot is nobody's.
    let lock = attempt.dir.path().join("lock");
    let owner = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, r#"{"pid":1,"started_ticks":1,"boot_id":"another"}"#).unwrap();
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Gone);
    fs::write(&lock, owner).unwrap();

    fs::write(attempt.file("go"), "").unwrap();
    attempt.ended(&adopted).await;
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Gone);
    assert!(Supervisor::adopt(&attempt.dir).unwrap().is_none());
    adopted.exited().await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_launched_never_runs() {
    let attempt = Attempt::of("echo run >runs");
    attempt.create();
    let error = launch_as(Path::new("/bin/false"), &attempt.dir, &environment()).await.unwrap_err();
    assert!(matches!(error, LaunchError::GaveUp { .. }), "{error}");
    let record = attempt.dir.exit_record().unwrap().unwrap();
    assert_eq!(record.reason, EndReason::NotStarted { why: error.to_string() });
    assert!(supervise(&attempt));
    assert!(!attempt.file("runs").exists());

    let attempt = Attempt::of("true");
    attempt.create();
    let error = launch_as(Path::new("/no/such/program"), &attempt.dir, &environment()).await.unwrap_err();
    assert!(matches!(error, LaunchError::Spawn(_)), "{error}");
    assert_eq!(attempt.dir.liveness().unwrap(), Liveness::Gone);
}

#[tokio::test]
async fn an_unreadable_launch_is_refused_with_its_reason() {
    let attempt = Attempt::of("true");
    attempt.create();
    let newer = r#"{"version":2,"anything":"else"}"#;
    fs::write(attempt.dir.path().join("launch.json"), newer).unwrap();
    let error = attempt.try_launch().await.unwrap_err();
    assert!(matches!(error, LaunchError::Spool(SpoolError::Newer { found: 2, .. })), "{error}");
    assert!(!supervise(&attempt));
    assert!(!attempt.dir.out_path().exists() || attempt.dir.exit_record().unwrap().is_some());
}

#[tokio::test]
async fn signals_that_our_starter_ignored_work_for_the_agent() {
    let attempt = Attempt::of("grep SigIgn /proc/$$/status");
    attempt.create();
    let script = "trap '' INT QUIT HUP TERM; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", BREAKGLASS, "supervise"]).arg(attempt.dir.path()).stdin(Stdio::null());
    assert!(command.status().unwrap().success());
    let out = attempt.out();
    let ignored = u64::from_str_radix(out.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    // The C library's spawn ignores its own two internal signals, 32 and 33.
    assert_eq!(ignored & 0x7fff_ffff, 0, "{out}");
}
