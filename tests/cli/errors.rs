//! What people do wrong: one clear line each, and the right status.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::terminal::{Ended, Terminal};
use crate::support::gateway::Gateway;
use crate::support::scene::Scene;
use crate::support::wait::background;

const NO_SESSION: &str = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55";

/// Every command that talks to a gateway.
const COMMANDS: [&[&str]; 6] = [
    &["sessions"],
    &["sessions", "new"],
    &["attach", NO_SESSION],
    &["prompt", NO_SESSION, "hello"],
    &["stop", NO_SESSION],
    &["export", NO_SESSION],
];

/// Asserts that a command failed with a status and one line that holds all of these.
fn failed(what: &[&str], ended: &Ended, status: i32, says: &[&str]) {
    assert_eq!((ended.status, ended.stdout.as_str()), (status, ""), "{what:?}: {ended:?}");
    assert!(ended.stderr.starts_with("breakglass: ") && ended.stderr.lines().count() == 1, "{what:?}: {ended:?}");
    for text in says {
        assert!(ended.stderr.contains(text), "{what:?}: `{text}` is not in {ended:?}");
    }
}

#[tokio::test]
async fn a_token_that_does_not_count() {
    let gateway = Gateway::builder().start().await;
    for command in COMMANDS {
        let ended = Terminal::at(&gateway.url(), "hush-hush").run(command).await;
        failed(command, &ended, 77, &["token", "token add", &gateway.url()]);
        assert!(!ended.stderr.contains("hush-hush"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_not_there() {
    let gateway = Gateway::builder().start().await;
    let terminal = Terminal::of(&gateway);
    for command in COMMANDS.into_iter().skip(2) {
        failed(command, &terminal.run(command).await, 66, &[NO_SESSION, "breakglass sessions"]);
        let mut by_name = command.to_vec();
        by_name[1] = "web1";
        failed(&by_name, &terminal.run(&by_name).await, 64, &["web1", "breakglass sessions"]);
    }
}

#[tokio::test]
async fn nobody_or_somebody_else_at_the_address() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let nobody = format!("http://{}", closed.local_addr().expect("an address"));
    drop(closed);
    let other = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let stranger = format!("http://{}", other.local_addr().expect("an address"));
    let _task = background(async move {
        loop {
            let (mut socket, _) = other.accept().await.expect("loopback accepts");
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = socket.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n<h1>\x1b[2J\n").await;
        }
    });
    for command in COMMANDS {
        let ended = Terminal::at(&nobody, "token").run(command).await;
        failed(command, &ended, 69, &[&nobody, "BREAKGLASS_URL"]);
        let ended = Terminal::at(&stranger, "token").run(command).await;
        failed(command, &ended, 69, &[&stranger, "not a breakglass gateway", "404"]);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used() {
    let gateway = Gateway::builder().start().await;
    let (url, token) = (gateway.url(), gateway.token().to_owned());
    let link = format!("{url}/#token={token}");
    for command in COMMANDS {
        for (url, says) in
            [("https://h:1", "TLS"), ("localhost:7878", "http://127.0.0.1:7878"), (&link, "BREAKGLASS_TOKEN")]
        {
            let ended = Terminal::at(url, &token).run(command).await;
            failed(command, &ended, 64, &["--url", says]);
            assert!(!ended.stderr.contains(&token), "{ended:?}");
        }
        failed(command, &Terminal::at(&url, "").run(command).await, 64, &["BREAKGLASS_TOKEN", "token add"]);
        let mut with_flag = command.to_vec();
        with_flag.extend(["--token", &token]);
        let ended = Terminal::at(&url, &token).run(&with_flag).await;
        failed(command, &ended, 64, &["--token-file", "processes"]);
        assert!(!ended.stderr.contains(&token), "{ended:?}");
    }
    let ended = Terminal::at(&url, "").run(&["sessions", "--token-file", "/nonexistent"]).await;
    failed(&["--token-file"], &ended, 64, &["/nonexistent"]);
}

#[tokio::test]
async fn a_token_from_a_file_counts_before_the_variable() {
    let gateway = Gateway::builder().start().await;
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), format!("{}\n", gateway.token())).expect("it is writable");
    let path = file.path().display().to_string();
    Terminal::at(&gateway.url(), "mistyped").ok(&["sessions", "--token-file", &path]).await;
}

#[tokio::test]
async fn arguments_that_make_no_sense() {
    let scene = Scene::drill().await;
    let terminal = Terminal::of(&scene.gateway);
    let session = scene.session.as_str();
    for (args, status, says) in [
        (&["attach"][..], 64, "<SESSION>"),
        (&["attach", session, "--after", "1", "--tail", "1"], 64, "--tail"),
        (&["attach", session, "--after", "99"], 64, "99"),
        (&["prompt"], 64, "which session"),
        (&["prompt", session, " "], 64, "empty"),
        (&["prompt", session], 64, "empty"),
        (&["prompt", session, "x", "--title", "t"], 64, "--new"),
        (&["prompt", session, "x", "--model", "a b"], 65, "model"),
        (&["prompt", "--new", "--agent", "hal", "x"], 65, "hal"),
        (&["sessions", "new", "--title", "a\u{1b}[2J"], 65, "title"),
        (&["sessions", "old"], 64, "old"),
    ] {
        let ended = terminal.run(args).await;
        failed(args, &ended, status, &[says]);
        assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
    let long = "x".repeat(300_000);
    failed(&["prompt", "-"], &terminal.run_with(&long, &["prompt", session, "-"]).await, 65, &["262144"]);
    let escaped = "\u{1}".repeat(250_000);
    failed(&["prompt", "-"], &terminal.run_with(&escaped, &["prompt", session]).await, 65, &["JSON"]);
    let viewer = scene.gateway.add_token("guest", "viewer").await;
    let guest = Terminal::at(&scene.gateway.url(), &viewer);
    failed(&["prompt"], &guest.run(&["prompt", session, "x"]).await, 77, &["viewer"]);
}
