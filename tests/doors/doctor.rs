//! `breakglass doctor` says beforehand what a start would meet, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::agent::FakeAgent;
use crate::support::gateway::Gateway;

#[tokio::test]
async fn the_doctor_says_what_is_wrong_and_what_to_do_and_changes_nothing() {
    let agent = FakeAgent::polite();
    let well = Gateway::builder().agent(&agent).run_alone(&["doctor"]).await;
    let said = String::from_utf8_lossy(&well.stdout).into_owned();
    assert!(well.status.success() && !said.contains("PROBLEM"), "{said}");
    assert!(said.contains(&agent.program().display().to_string()) && said.contains("will be made"), "{said}");

    let open = tempfile::TempDir::new().expect("a temporary folder can be made");
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
    let ill = Gateway::builder()
        .env("BREAKGLASS_CLAUDE", "/nonexistent/claude")
        .env("BREAKGLASS_DATA", &open.path().display().to_string())
        .env("BREAKGLASS_TLS_CERT", "/nonexistent/cert")
        .env("BREAKGLASS_TLS_KEY", "/nonexistent/key")
        .env("IS_SANDBOX", "0")
        .run_alone(&["doctor"])
        .await;
    let said = String::from_utf8_lossy(&ill.stdout).into_owned();
    assert_eq!(ill.status.code(), Some(1), "{said}");
    for word in ["chmod 700", "/nonexistent/cert", "Claude Code"] {
        assert!(said.lines().any(|line| line.starts_with("PROBLEM") && line.contains(word)), "{word}: {said}");
    }
    let root = said.contains("--agent-user") && said.contains("IS_SANDBOX=1");
    assert_eq!(root, rustix::process::geteuid().is_root(), "{said}");
    assert_eq!(fs::read_dir(open.path()).expect("our own folder").count(), 0, "nothing was made");
}
