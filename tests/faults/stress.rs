//! The stress program (stress/main.rs) with its oracle, a short while of it. Longer by the environment: seconds in
//! `BREAKGLASS_TEST_STRESS_SECONDS`, kills in `BREAKGLASS_TEST_KILLS`.

use std::time::{SystemTime, UNIX_EPOCH};

const PROGRAM: &str = env!("CARGO_BIN_EXE_breakglass-stress");
const GATEWAY: &str = env!("CARGO_BIN_EXE_breakglass");

/// How much of something a test does: as much as usual, or as its variable says.
#[expect(clippy::disallowed_methods, reason = "a test's length is not a setting of the gateway")]
pub(super) fn length(variable: &str, usual: u64) -> String {
    std::env::var(variable).unwrap_or_else(|_| usual.to_string())
}

fn play(args: &[&str]) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let seed = (since.as_nanos() % 1_000_000).to_string();
    let output = std::process::Command::new(PROGRAM)
        .args(["--gateway", GATEWAY, "--seed", &seed])
        // No test is timed; that everybody keeps moving is checked in any case. By hand the promise's 2 s hold.
        .args(["--at-head-ms", "60000"])
        .args(args)
        .output()
        .expect("the stress program starts");
    let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{failed}");
    println!("{told}");
}

#[test]
fn every_promise_holds_while_viewers_come_go_stall_and_jump() {
    play(&["--only", "steady", "--seconds", &length("BREAKGLASS_TEST_STRESS_SECONDS", 20)]);
}

#[test]
fn every_promise_holds_while_gateway_supervisors_and_agents_are_killed() {
    play(&["--only", "kills", "--rounds", &length("BREAKGLASS_TEST_KILLS", 60)]);
}
