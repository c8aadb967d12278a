//! The table of doors by clients that are not ours: curl(1), and Python with `websockets` (`outside/doors.py`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::gateway::Gateway;

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// The Python that `tests/run` puts the pinned `websockets` into.
pub(super) fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/outside/.venv/bin/python");
    assert!(python.exists(), "`{}` is missing: run tests/run, which makes it", python.display());
    python
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_by_python_websockets() {
    let gateway = Gateway::builder().start().await;
    let viewer = gateway.add_token("viewer", "viewer").await;
    let auditor = gateway.add_token("auditor", "auditor").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/outside/doors.py");
    let address = gateway.address().to_string();
    let ran = run(Command::new(python()).arg(script).args([&address, gateway.token(), &viewer, &auditor]));
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{stdout}\n{stderr}");
    let checks = stdout.lines().filter(|line| line.starts_with("ok ")).count();
    assert!(checks >= 60 && stdout.ends_with(&format!("{checks} checks passed\n")), "{stdout}");
}

/// curl's exit status, the answer's status, and all that was said.
fn curl(args: &[&str]) -> (u16, String) {
    let ran = run(Command::new("curl").args(["-sS", "-i", "--max-time", "20"]).args(args));
    let text = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {text}")), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doors_by_curl() {
    let gateway = Gateway::builder().start().await;
    let (url, address) = (gateway.url(), gateway.address());
    let bearer = format!("Authorization: Bearer {}", gateway.token());
    let upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
    let key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    let (me, sessions, ws) = (format!("{url}/api/me"), format!("{url}/api/sessions"), format!("{url}/ws"));
    let evil = format!("evil.example:{}", address.port());
    let rebinding = format!("{evil}:127.0.0.1");
    let by_name = format!("http://{evil}/api/me");
    let in_url = format!("{me}?access_token={}", gateway.token());
    for (what, args, wanted) in [
        ("a bearer token", vec!["-H", &bearer, &me], 200),
        ("nothing", vec![&*me], 401),
        ("a token in the URL", vec![&*in_url], 401),
        ("DNS rebinding: a foreign name that leads here", vec!["--resolve", &rebinding, "-H", &bearer, &by_name], 421),
        ("a foreign page's POST", vec!["-H", &bearer, "-H", "Origin: http://evil.example", "-d", "{}", &sessions], 403),
        ("a page without an origin of its own", vec!["-H", &bearer, "-H", "Origin: null", "-d", "{}", &sessions], 403),
        (
            "a socket from a foreign page",
            [&upgrade[..], &key, &["-H", &bearer, "-H", "Origin: http://evil.example", &ws]].concat(),
            403,
        ),
        ("a socket without credentials", [&upgrade[..], &key, &[&*ws]].concat(), 401),
        ("an old socket", vec!["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", &bearer, &ws], 426),
        ("TRACE", vec!["-X", "TRACE", "-H", &bearer, &me], 405),
    ] {
        let (status, text) = curl(&args);
        assert_eq!(status, wanted, "{what}: {text}");
        assert!(!text.contains(gateway.token()), "{what}: an answer repeats the token");
    }
    let climbing = format!("{url}/api/sessions/..%2f..%2fetc%2fpasswd/events");
    assert_eq!(curl(&["--path-as-is", "-H", &bearer, &climbing]).0, 400);
}
