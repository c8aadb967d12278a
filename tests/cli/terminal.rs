//! A person at a terminal: runs client commands with a URL and a token, and reads what they print.

use std::process::{ExitStatus, Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::support::claude;
use crate::support::gateway::Gateway;
use crate::support::wait::within;

/// Where and as whom commands are run.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    url: String,
    token: String,
}

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Terminal {
    /// The gateway's first operator.
    pub(super) fn of(gateway: &Gateway) -> Self {
        Self::at(&gateway.url(), gateway.token())
    }

    pub(super) fn at(url: &str, token: &str) -> Self {
        Self { url: url.to_owned(), token: token.to_owned() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakglass"));
        command.args(args).env_clear().env("PATH", claude::PATH).env("LANG", "C.UTF-8");
        command.env("BREAKGLASS_URL", &self.url).env("BREAKGLASS_TOKEN", &self.token);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, args: &[&str]) -> Ended {
        Ended::of(within(&format!("breakglass {args:?}"), self.command(args).output()).await.expect("it starts"))
    }

    /// The same with something on stdin.
    pub(super) async fn run_with(&self, stdin: &str, args: &[&str]) -> Ended {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut pipe = child.stdin.take().expect("stdin is a pipe");
        // A command that does not read its stdin is no failure of this.
        let _ = pipe.write_all(stdin.as_bytes()).await;
        drop(pipe);
        Ended::of(within(&format!("breakglass {args:?}"), child.wait_with_output()).await.expect("our own child"))
    }

    /// Runs one that must succeed; its standard output.
    pub(super) async fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args).await;
        assert_eq!(ended.status, 0, "{args:?}: {ended:?}");
        ended.stdout
    }

    /// Starts one that goes on.
    pub(super) fn start(&self, args: &[&str]) -> Running {
        let mut child = self.command(args).spawn().expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
        let said = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        Running { child, lines, said }
    }
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("commands print UTF-8");
        let status = output.status.code().expect("no signal ended it");
        Self { status, stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A command that goes on.
pub(super) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
}

impl Running {
    /// Lines of stdout, up to and with the first that holds `text`.
    pub(super) async fn until(&mut self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        within(&format!("a line with `{text}`"), async {
            while let Some(line) = self.lines.next_line().await.expect("UTF-8") {
                let found = line.contains(text);
                seen.push(line);
                if found {
                    return;
                }
            }
            panic!("stdout ended without `{text}`: {seen:?}");
        })
        .await;
        seen
    }

    /// The first line of stderr that holds `text`.
    pub(super) async fn said(&mut self, text: &str) -> String {
        within(&format!("`{text}` on stderr"), async {
            let mut before = Vec::new();
            while let Some(line) = self.said.next_line().await.expect("UTF-8") {
                if line.contains(text) {
                    return line;
                }
                before.push(line);
            }
            panic!("stderr ended without `{text}`: {before:?}");
        })
        .await
    }

    /// Sends it what Ctrl-C sends.
    pub(super) fn interrupt(&self) {
        let pid = self.child.id().expect("it runs").cast_signed();
        crate::support::process::signal(pid, rustix::process::Signal::INT);
    }

    /// Stops reading what it prints.
    pub(super) fn close_stdout(self) -> Deaf {
        Deaf { child: self.child, said: self.said }
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> ExitStatus {
        within("the command to end", self.child.wait()).await.expect("our own child")
    }
}

/// A command whose stdout nobody reads.
pub(super) struct Deaf {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Deaf {
    /// Waits for its end; also what it said that was not read yet.
    pub(super) async fn ended(mut self) -> (ExitStatus, String) {
        let status = within("the command to end", self.child.wait()).await.expect("our own child");
        let mut rest = String::new();
        self.said.get_mut().read_to_string(&mut rest).await.expect("UTF-8");
        (status, rest)
    }
}
