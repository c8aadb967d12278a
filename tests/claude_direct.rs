//! The real agent program against the mock API, without the gateway: if these fail, look here before suspecting ours.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

use crate::support::claude::{self, AGENT, MODEL};
use crate::support::mock_api::MockApi;
use crate::support::wait::within;

/// One run's output.
struct Run {
    lines: Vec<Value>,
    exit_code: Option<i32>,
}

impl Run {
    fn of_type(&self, name: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["type"] == name).collect()
    }

    fn result(&self) -> &Value {
        self.of_type("result").pop().expect("a run ends with a result line")
    }
}

/// A home, a workspace and the mock: what the program needs.
struct Bench {
    root: TempDir,
    api: MockApi,
}

impl Bench {
    async fn new() -> Self {
        let root = TempDir::new().expect("a temporary folder can be made");
        claude::make_home(&root.path().join("home"));
        std::fs::create_dir(root.path().join("workspace")).expect("a temporary folder is writable");
        Self { root, api: MockApi::start().await }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        Path::new(self.root.path()).join(name)
    }

    /// Runs the program as the gateway does; `conversation` is `--session-id` or `--resume` with an id.
    async fn run(&self, conversation: [&str; 2], prompt: &str) -> Run {
        let mut command = Command::new(claude::program());
        command
            .args(["-p", "--agent", AGENT, "--dangerously-skip-permissions", "--output-format", "stream-json"])
            .args(["--verbose", "--model", MODEL])
            .args(conversation)
            .args(["--", prompt])
            .env_clear()
            .envs(claude::environment(&self.path("home"), &self.api))
            .current_dir(self.path("workspace"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = within("the real agent program to end", command.output()).await.expect("the program starts");
        let stdout = String::from_utf8(output.stdout).expect("the program prints UTF-8");
        let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        assert!(!lines.is_empty(), "no output; stderr: {}", String::from_utf8_lossy(&output.stderr));
        Run { lines, exit_code: output.status.code() }
    }
}

#[tokio::test]
async fn a_second_turn_carries_the_first_ones_history() {
    let bench = Bench::new().await;
    let id = Uuid::new_v4().to_string();
    let first = bench.run(["--session-id", &id], "[[text:hello]] my name is Ana").await;
    assert_eq!(first.exit_code, Some(0));
    assert_eq!(first.lines[0]["subtype"], "init");
    assert_eq!(first.lines[0]["session_id"], id.as_str());
    assert_eq!(first.of_type("assistant")[0]["message"]["content"][0]["text"], "hello");
    assert_eq!((&first.result()["result"], &first.result()["is_error"]), (&"hello".into(), &false.into()));

    let second = bench.run(["--resume", &id], "[[text:Ana]] who am I?").await;
    assert_eq!((second.exit_code, &second.result()["result"]), (Some(0), &"Ana".into()));
    let seen = bench.api.requests_for("who am I?").pop().expect("the model was asked");
    assert!(seen.texts("user").iter().any(|text| text.contains("my name is Ana")), "{seen:?}");
    assert_eq!(seen.texts("assistant"), ["hello"]);
}

#[tokio::test]
async fn a_tool_turn_runs_the_command_and_plays_on() {
    let bench = Bench::new().await;
    let prompt = "[[text:Let me look.]][[bash:pwd; exit 3]][[text:It failed with 3.]]";
    let run = bench.run(["--session-id", &Uuid::new_v4().to_string()], prompt).await;
    assert_eq!(run.exit_code, Some(0));
    let said: Vec<&Value> = run.of_type("assistant").iter().map(|line| &line["message"]["content"][0]).collect();
    assert_eq!(said[0]["text"], "Let me look.");
    assert_eq!((&said[1]["name"], &said[1]["input"]["command"]), (&"Bash".into(), &"pwd; exit 3".into()));
    assert_eq!(said[2]["text"], "It failed with 3.");
    let back = &run.of_type("user")[0]["message"]["content"][0];
    assert_eq!((&back["tool_use_id"], &back["is_error"]), (&said[1]["id"], &true.into()));
    let workspace = bench.path("workspace").display().to_string();
    assert!(back["content"].to_string().contains(&workspace), "{back}");
}

#[tokio::test]
async fn an_api_error_is_a_result_line_and_exit_1() {
    let bench = Bench::new().await;
    let run = bench.run(["--session-id", &Uuid::new_v4().to_string()], "[[error:400]]").await;
    assert_eq!((run.exit_code, &run.result()["is_error"]), (Some(1), &true.into()));
    let retried = bench.run(["--session-id", &Uuid::new_v4().to_string()], "[[error:529:1]][[text:recovered]]").await;
    assert_eq!((retried.exit_code, &retried.result()["result"]), (Some(0), &"recovered".into()));
    assert_eq!(retried.lines.iter().filter(|line| line["subtype"] == "api_retry").count(), 1);
}

#[tokio::test]
async fn background_work_is_awaited_and_all_requests_go_to_the_mock_as_known() {
    let bench = Bench::new().await;
    let run = bench.run(["--session-id", &Uuid::new_v4().to_string()], "[[bg:env sleep 1]][[text:Started.]]").await;
    assert_eq!((run.exit_code, run.of_type("result").len()), (Some(0), 2));
    for request in bench.api.requests() {
        assert_eq!(request.line, "POST /v1/messages?beta=true");
    }
}
