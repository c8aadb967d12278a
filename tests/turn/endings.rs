//! How an agent can end, and what the exit record says of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use breakglass::turn::processes::tagged;
use breakglass::turn::spool::{EndReason, ExitRecord};
use breakglass::turn::sweep::{LISTED_MAX, sweep};

use super::support::{Attempt, environment, is_alive, wait_for};

const INT: i32 = 2;
const KILL: i32 = 9;
const TERM: i32 = 15;

fn got(record: &ExitRecord, pid: u32) -> Vec<i32> {
    record.signalled.iter().filter(|one| one.pid == pid).map(|one| one.signal).collect()
}

#[tokio::test]
async fn a_normal_end_keeps_everything() {
    let attempt = Attempt::of("echo one; echo two; printf ' out of luck \\n' >&2; printf torn; exit 3");
    let record = attempt.run().await;
    assert_eq!(record.reason, EndReason::Exited);
    assert_eq!((record.exit_code, record.signal), (Some(3), None));
    assert_eq!(attempt.out(), "one\ntwo\ntorn");
    assert_eq!((record.stdout_bytes, record.stderr_bytes), (12, 14));
    assert_eq!(attempt.dir.stderr_head(500), "out of luck");
    assert_eq!(attempt.dir.stderr_head(6), "out of");
    assert_eq!((record.signalled, record.left), (vec![], vec![]));
}

#[tokio::test]
async fn an_agent_killed_by_somebody_has_a_signal_and_no_code() {
    let record = Attempt::of("kill -9 $$").run().await;
    assert_eq!((record.reason, record.exit_code, record.signal), (EndReason::Exited, None, Some(KILL)));
}

#[tokio::test]
async fn the_agent_gets_its_environment_and_workspace_and_nothing_else() {
    let attempt = Attempt::of("tr '\\0' '\\n' </proc/$$/environ | sort; pwd; cat");
    attempt.run().await;
    let mut expected: Vec<String> = environment()
        .into_iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .chain([format!("BG_TURN={}", attempt.spec.turn)])
        .collect();
    expected.sort();
    expected.push(attempt.spec.workspace.display().to_string());
    assert_eq!(attempt.out().lines().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_agent_gets_no_file_of_ours() {
    let list = "ls -l /proc/$$/fd | sed -n 's/.* \\([0-9]*\\) -> /\\1 /p' | grep -v pipe:";
    let attempt = Attempt::of(list);
    attempt.run().await;
    // What we were started with ourselves, and did not open, goes through to a child of ours, too.
    let plain = Command::new("sh").args(["-c", list]).stdin(Stdio::null()).output().unwrap();
    let inherited = String::from_utf8(plain.stdout).unwrap();
    let ours: Vec<&str> = inherited.lines().filter(|line| !matches!(&line[..2], "0 " | "1 " | "2 ")).collect();
    let mut expected = vec![
        "0 /dev/null".to_owned(),
        format!("1 {}", attempt.dir.out_path().display()),
        format!("2 {}", attempt.dir.err_path().display()),
    ];
    expected.extend(ours.into_iter().map(str::to_owned));
    expected.sort();
    let out = attempt.out();
    let mut got: Vec<&str> = out.lines().collect();
    got.sort_unstable();
    assert_eq!(got, expected);
}

#[tokio::test]
async fn a_prompt_too_long_for_argv_arrives_on_stdin() {
    let mut attempt = Attempt::of("cat");
    attempt.spec.stdin = true;
    let prompt = "ünïcödé\n".repeat(100_000);
    attempt.dir.create(&attempt.spec, Some(&prompt)).unwrap();
    let supervisor = attempt.try_launch().await.unwrap();
    attempt.ended(&supervisor).await;
    assert!(attempt.out() == prompt);
}

#[tokio::test]
async fn a_stopped_agent_may_say_goodbye() {
    let attempt = Attempt::of("trap 'echo bye; exit 5' INT; echo $$ >me; >ready; while :; do sleep 0.05; done");
    let record = attempt.stop_when_ready().await;
    assert_eq!((record.reason.clone(), record.exit_code), (EndReason::Stopped, Some(5)));
    assert_eq!(attempt.out(), "bye\n");
    assert_eq!(got(&record, attempt.pid_in("me").await), [INT]);
    assert_eq!(record.left, []);
}

#[tokio::test]
async fn an_agent_deaf_to_interrupts_is_terminated() {
    let attempt = Attempt::of("trap '' INT; trap 'exit 7' TERM; echo $$ >me; >ready; while :; do sleep 0.05; done");
    let record = attempt.stop_when_ready().await;
    assert_eq!((record.reason.clone(), record.exit_code), (EndReason::Stopped, Some(7)));
    assert_eq!(got(&record, attempt.pid_in("me").await), [INT, TERM]);
}

#[tokio::test]
async fn a_deaf_agent_and_its_deaf_daemon_are_killed() {
    let attempt = Attempt::of(
        "trap '' INT TERM HUP
         (setsid sh -c 'echo $$ >daemon; while :; do sleep 0.05; done' &)
         echo $$ >me; until [ -s daemon ]; do :; done; >ready; while :; do sleep 0.05; done",
    );
    let record = attempt.stop_when_ready().await;
    let (me, daemon) = (attempt.pid_in("me").await, attempt.pid_in("daemon").await);
    assert_eq!((record.reason.clone(), record.exit_code, record.signal), (EndReason::Stopped, None, Some(KILL)));
    assert_eq!(got(&record, me)[..2], [INT, TERM]);
    assert_eq!(got(&record, daemon), [KILL]);
    assert_eq!(record.left, []);
    assert!(!is_alive(me) && !is_alive(daemon));
}

#[tokio::test]
async fn nothing_survives_a_stop_in_a_session_or_a_group_of_its_own() {
    let attempt = Attempt::of(
        "setsid sh -c 'echo $$ >session; exec sleep 1000' &
         (setsid sh -c '(trap \"\" TERM; echo $(exec sh -c \"echo \\$PPID\") >daemon; exec sleep 1000) &' &)
         until [ -s session ] && [ -s daemon ]; do sleep 0.01; done
         trap 'exit 0' INT; >ready; while :; do sleep 0.05; done",
    );
    let record = attempt.stop_when_ready().await;
    let (session, daemon) = (attempt.pid_in("session").await, attempt.pid_in("daemon").await);
    assert_eq!(record.exit_code, Some(0));
    assert_eq!(got(&record, session), [TERM]);
    assert_eq!(got(&record, daemon), [TERM, KILL]);
    assert!(record.signalled.iter().any(|one| one.command == "sleep 1000"), "{:?}", record.signalled);
    assert_eq!(record.left, []);
    assert!(!is_alive(session) && !is_alive(daemon));
}

#[tokio::test]
async fn a_process_that_keeps_changing_its_id_is_caught() {
    // Deaf, and alive only until its successor is: whoever is seen is about to be gone.
    let attempt = Attempt::of(
        "echo 'trap \"\" TERM INT; [ -e hopped ] || : >hopped; sh hop &' >hop; (setsid sh hop &)
         until [ -e hopped ]; do sleep 0.01; done; trap 'exit 0' INT; >ready; while :; do sleep 0.05; done",
    );
    let record = attempt.stop_when_ready().await;
    assert_eq!(record.left, []);
    assert_eq!(tagged(attempt.spec.turn).unwrap(), []);
    let count = |signal| record.signalled.iter().filter(|one| one.signal == signal).count();
    assert!((1..=LISTED_MAX).contains(&count(KILL)) && count(TERM) <= LISTED_MAX);
}

#[tokio::test]
async fn a_daemon_lives_on_after_a_normal_end_and_is_named() {
    let attempt = Attempt::of(
        "(setsid sh -c 'echo $$ >daemon; exec sleep 1000' &); until [ -s daemon ]; do sleep 0.01; done; echo done",
    );
    let record = attempt.run().await;
    let daemon = attempt.pid_in("daemon").await;
    assert_eq!((record.reason, record.exit_code), (EndReason::Exited, Some(0)));
    assert_eq!(record.signalled, []);
    let left: Vec<(u32, &str)> = record.left.iter().map(|one| (one.pid, one.command.as_str())).collect();
    assert_eq!(left, [(daemon, "sleep 1000")]);
    assert!(is_alive(daemon));
    let report = sweep(attempt.spec.turn).unwrap();
    assert_eq!(report.left, []);
    assert!(!is_alive(daemon));
}

#[tokio::test]
async fn helpers_that_end_with_their_agent_are_not_called_left() {
    let record = Attempt::of("me=$$; (while kill -0 $me 2>/dev/null; do :; done) & echo done").run().await;
    assert_eq!(record.left, []);
}

#[tokio::test]
async fn a_turn_outlives_its_closed_stdout() {
    let attempt = Attempt::of("exec >&- 2>&-; until [ -e go ]; do sleep 0.01; done; exit 4");
    let supervisor = attempt.launch().await;
    assert_eq!(attempt.dir.exit_record().unwrap(), None);
    fs::write(attempt.file("go"), "").unwrap();
    assert_eq!(attempt.ended(&supervisor).await.exit_code, Some(4));
}

#[tokio::test]
async fn a_flood_on_stderr_is_bounded_while_it_runs() {
    let attempt = Attempt::of(
        "echo first >&2; head -c 20000000 /dev/zero >&2; echo last >&2; until [ -e go ]; do sleep 0.01; done",
    );
    let supervisor = attempt.launch().await;
    let on_disk = || fs::metadata(attempt.dir.err_path()).map(|file| (file.len(), file.blocks() * 512)).unwrap();
    wait_for("the middle to be given back", || on_disk().0 == 20_000_011 && on_disk().1 < 4_000_000).await;
    fs::write(attempt.file("go"), "").unwrap();
    assert_eq!(attempt.ended(&supervisor).await.stderr_bytes, 20_000_011);
    assert!(attempt.dir.stderr_head(7).starts_with("first\n"));
    assert!(fs::read(attempt.dir.err_path()).unwrap().ends_with(b"last\n"));
}

#[tokio::test]
async fn time_is_bounded() {
    let mut attempt = Attempt::of("trap 'exit 0' INT; while :; do sleep 0.05; done");
    attempt.spec.timeout_ms = 300;
    let record = attempt.run().await;
    assert_eq!((record.reason, record.exit_code), (EndReason::TimedOut, Some(0)));
    assert!(record.duration_ms >= 300, "{} ms", record.duration_ms);
}

#[tokio::test]
async fn stopping_again_changes_nothing() {
    let attempt =
        Attempt::of("trap 'echo int; >int' INT; trap 'exit 1' TERM; echo $$ >me; >ready; while :; do sleep 0.05; done");
    let supervisor = attempt.launch().await;
    wait_for("the agent", || attempt.file("ready").exists()).await;
    supervisor.stop().unwrap();
    wait_for("the interrupt", || attempt.file("int").exists()).await;
    supervisor.stop().unwrap();
    supervisor.stop().unwrap();
    let record = attempt.ended(&supervisor).await;
    assert_eq!(record.reason, EndReason::Stopped);
    assert_eq!(attempt.out(), "int\n");
    assert_eq!(got(&record, attempt.pid_in("me").await), [INT, TERM]);
    supervisor.stop().unwrap();
    supervisor.kill().unwrap();
}

#[tokio::test]
async fn a_stop_in_the_first_moment_counts() {
    let attempt = Attempt::of("sleep 1000");
    let supervisor = attempt.launch().await;
    supervisor.stop().unwrap();
    assert_eq!(attempt.ended(&supervisor).await.reason, EndReason::Stopped);
}

#[tokio::test]
async fn a_program_that_cannot_start_is_named() {
    let cases = [("missing", None, 0), ("plain", Some("#!/bin/sh\n"), 0o644), ("lost", Some("#!/no/such/sh\n"), 0o755)];
    let expected = ["No such file", "Permission denied", "interpreter"];
    for ((name, content, mode), words) in cases.into_iter().zip(expected) {
        let mut attempt = Attempt::of_program(name);
        attempt.spec.program = attempt.root().join(name);
        if let Some(content) = content {
            fs::write(&attempt.spec.program, content).unwrap();
            fs::set_permissions(&attempt.spec.program, fs::Permissions::from_mode(mode)).unwrap();
        }
        let record = attempt.run().await;
        let EndReason::NotStarted { why } = &record.reason else { panic!("{record:?}") };
        assert!(why.contains(words) && why.contains(name), "{why}");
        assert_eq!(record.exit_code, None);
    }
}

#[tokio::test]
async fn a_program_not_in_the_path_and_a_missing_workspace_are_named() {
    let attempt = Attempt::of_program("no-such-agent");
    let EndReason::NotStarted { why } = attempt.run().await.reason else { panic!("it started") };
    assert_eq!(why, "`no-such-agent` is not in the agent's `PATH`: install it, or name it by an absolute path");

    let mut attempt = Attempt::of("true");
    attempt.spec.workspace = attempt.root().join("elsewhere");
    let EndReason::NotStarted { why } = attempt.run().await.reason else { panic!("it started") };
    assert!(why.contains("elsewhere"), "{why}");
}

#[tokio::test]
async fn too_long_arguments_do_not_start() {
    let mut attempt = Attempt::of("true");
    attempt.spec.args.push("x".repeat(131_072));
    let EndReason::NotStarted { why } = attempt.run().await.reason else { panic!("it started") };
    assert!(why.contains("Argument list too long"), "{why}");
}

#[tokio::test]
async fn an_agent_may_exit_with_any_code() {
    for code in [1, 125, 126, 127, 255] {
        let record = Attempt::of(&format!("exit {code}")).run().await;
        assert_eq!((record.reason, record.exit_code), (EndReason::Exited, Some(code)));
    }
}

#[tokio::test]
async fn the_exit_record_is_tried_until_it_can_be_written() {
    let attempt = Attempt::of("exit 6");
    attempt.create();
    // Stands in for a full disk: the record cannot be written aside.
    let in_the_way = attempt.dir.path().join("exit.json.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let supervisor = attempt.try_launch().await.unwrap();
    let complaint = attempt.dir.path().join("supervisor.err");
    wait_for("the complaint", || fs::read_to_string(&complaint).is_ok_and(|text| text.contains("exit.json.tmp"))).await;
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(attempt.ended(&supervisor).await.exit_code, Some(6));
}
