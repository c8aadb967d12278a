//! Fake agents: shell scripts that stand in for `claude` and that the test steers through files.
//!
//! Every run first writes down what it was given (`calls/N`, made whole by a rename), then plays its body. A body may
//! `emit` JSON lines, say `text`, `wait_gate` for the test, or `keep` a process alive under a name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::process;
use super::wait::eventually;

/// What a run of a fake agent was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its arguments, without the program's name.
    pub(crate) argv: Vec<String>,
    /// Its environment, `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Its working folder.
    pub(crate) cwd: PathBuf,
    /// What its standard input is, as the kernel names it.
    pub(crate) stdin_is: String,
    /// What came from its standard input.
    pub(crate) stdin: String,
    /// Its process id.
    pub(crate) pid: i32,
}

impl Call {
    /// The argument that follows an option.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let at = self.argv.iter().position(|one| one == name)?;
        self.argv.get(at + 1).map(String::as_str)
    }

    /// The value of a variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|one| one.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A shell script to be used as the agent's program.
pub(crate) struct FakeAgent {
    dir: TempDir,
}

/// What every script begins with. `$bench` is the test's folder, `$id` the conversation that the arguments name.
const PRELUDE: &str = r#"
n=1; until mkdir "$bench/calls/$n.part" 2>/dev/null; do n=$((n + 1)); done
call=$bench/calls/$n.part
for one in "$@"; do printf '%s\0' "$one"; done > "$call/argv"
cat "/proc/$$/environ" > "$call/env"
pwd -P > "$call/cwd"
readlink "/proc/$$/fd/0" > "$call/stdin_is"
cat > "$call/stdin"
echo $$ > "$call/pid"
id=; want=
for one in "$@"; do
  case $want in yes) id=$one; want= ;; esac
  case $one in --session-id|--resume) want=yes ;; --) break ;; esac
done
# Whatever it starts can be found by this.
export FAKE_AGENT="$bench"
# The part stays so that the number is not taken again.
cp -r "$call" "$bench/calls/$n.copy"; mv "$bench/calls/$n.copy" "$bench/calls/$n"
emit() { printf '%s\n' "$1"; }
init() { emit "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"$id\"}"; }
text() { emit "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}}"; }
result() { emit "{\"type\":\"result\",\"is_error\":false,\"result\":\"$1\",\"duration_ms\":5,\"session_id\":\"$id\"}"; }
wait_gate() { until [ -e "$bench/gates/$1" ]; do sleep 0.02; done; }
named() { echo "$2" > "$bench/pids/$1.part"; mv "$bench/pids/$1.part" "$bench/pids/$1"; }
# A process in a session of its own, as the real program's tools are: no signal to the agent's group reaches it.
keep() { setsid sh -c 'echo $$ > "$0.part"; mv "$0.part" "$0"; exec env sleep 600' "$bench/pids/$1" >/dev/null 2>&1 & }
flood_stderr() { head -c "$1" /dev/zero | tr '\0' e >&2; }
"#;

impl FakeAgent {
    /// An agent that plays a piece of shell.
    pub(crate) fn shell(body: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder can be made");
        for name in ["calls", "gates", "pids"] {
            fs::create_dir(dir.path().join(name)).expect("a temporary folder is writable");
        }
        let agent = Self { dir };
        let script = format!("#!/bin/sh\nbench='{}'\n{PRELUDE}\n{body}\n", agent.dir.path().display());
        fs::write(agent.program(), script).expect("a temporary folder is writable");
        fs::set_permissions(agent.program(), fs::Permissions::from_mode(0o755)).expect("our own file can be changed");
        agent
    }

    /// Prints the lines as they are, then ends with a code.
    pub(crate) fn printing(lines: &[&str], exit_code: i32) -> Self {
        let agent = Self::shell(&format!("cat \"$bench/lines\"; exit {exit_code}"));
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(agent.path("lines"), lines).expect("a temporary folder is writable");
        agent
    }

    /// Says hello and ends well: the simplest turn.
    pub(crate) fn polite() -> Self {
        Self::shell("init; text hello; result hello")
    }

    /// Says `started`, waits for the gate `go`, says `finished`, ends well.
    pub(crate) fn gated() -> Self {
        Self::shell("init; text started; wait_gate go; text finished; result finished")
    }

    /// Begins, and then never says or does anything again.
    pub(crate) fn hanging() -> Self {
        Self::shell("init; exec env sleep 600")
    }

    /// As [`Self::hanging`], deaf to every signal that can be ignored, with a deaf child in a session of its own.
    pub(crate) fn deaf() -> Self {
        Self::shell("trap '' HUP INT QUIT TERM; init; keep grandchild; while :; do env sleep 1; done")
    }

    /// The program to configure.
    pub(crate) fn program(&self) -> PathBuf {
        self.path("claude")
    }

    /// Lets `wait_gate NAME` go on, now and later.
    pub(crate) fn open(&self, gate: &str) {
        fs::write(self.path("gates").join(gate), "").expect("a temporary folder is writable");
    }

    /// Every run so far, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        (1..).map_while(|number| read_call(&self.path(&format!("calls/{number}")))).collect()
    }

    /// Waits for the run with a number, from 1.
    pub(crate) async fn call(&self, number: usize) -> Call {
        let what = format!("run {number} of the agent to begin");
        eventually(&what, || read_call(&self.path(&format!("calls/{number}")))).await
    }

    /// Waits until the process that the script names (`keep NAME`, `named NAME PID`) runs; its id.
    pub(crate) async fn pid(&self, name: &str) -> i32 {
        let path = self.path("pids").join(name);
        eventually(&format!("process `{name}` of the agent"), || fs::read_to_string(&path).ok()?.trim().parse().ok())
            .await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        process::kill_all(&self.dir.path().display().to_string());
    }
}

fn read_call(path: &Path) -> Option<Call> {
    let read = |name: &str| fs::read(path.join(name)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let list = |text: String| text.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>();
    Some(Call {
        argv: list(read("argv")?),
        env: list(read("env")?),
        cwd: read("cwd")?.trim_end().into(),
        stdin_is: read("stdin_is")?.trim_end().to_owned(),
        stdin: read("stdin")?,
        pid: read("pid")?.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use rustix::process::Signal;
    use tokio::process::{Child, Command};

    use super::*;
    use crate::support::wait::within;

    fn run(agent: &FakeAgent, args: &[&str]) -> Child {
        let mut command = Command::new(agent.program());
        command.args(args).env_clear().env("PATH", crate::support::claude::PATH).env("LANG", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("a fake agent starts")
    }

    #[tokio::test]
    async fn writes_down_what_it_was_given_and_waits_for_the_test() {
        let agent = FakeAgent::gated();
        let child = run(&agent, &["-p", "--session-id", "7", "--", "a\nb \"c\" --session-id 8"]);
        let call = agent.call(1).await;
        assert_eq!(call.argv, ["-p", "--session-id", "7", "--", "a\nb \"c\" --session-id 8"]);
        assert_eq!((call.option("--session-id"), call.variable("LANG")), (Some("7"), Some("C.UTF-8")));
        assert_eq!((call.stdin_is.as_str(), call.stdin.as_str()), ("/dev/null", ""));
        assert_eq!(call.cwd, std::env::current_dir().expect("tests have a working folder"));
        agent.open("go");
        let output = within("the fake agent to end", child.wait_with_output()).await.expect("our own child");
        let lines = String::from_utf8(output.stdout).expect("UTF-8");
        let kinds: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        assert_eq!((kinds.len(), &kinds[0]["session_id"], &kinds[3]["result"]), (4, &"7".into(), &"finished".into()));
        assert_eq!(agent.calls(), [call]);
    }

    #[tokio::test]
    async fn a_deaf_one_is_ended_by_kill_only_and_its_grandchild_by_the_drop() {
        let agent = FakeAgent::deaf();
        let mut child = run(&agent, &[]);
        let grandchild = agent.pid("grandchild").await;
        let pid = agent.call(1).await.pid;
        process::signal(pid, Signal::TERM);
        process::signal(pid, Signal::KILL);
        let status = within("the agent to die", child.wait()).await.expect("our own child");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        assert!(process::is_alive(grandchild) && process::parent(grandchild) != Some(pid));
        drop(agent);
        assert!(!process::is_alive(grandchild));
    }

    #[tokio::test]
    async fn prints_and_floods() {
        let agent = FakeAgent::printing(&["{\"it's\":1}", "$HOME `x`"], 3);
        let output = run(&agent, &[]).wait_with_output().await.expect("our own child");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"{\"it's\":1}\n$HOME `x`\n"[..]));
        let loud = FakeAgent::shell("flood_stderr 300000");
        assert_eq!(run(&loud, &[]).wait_with_output().await.expect("our own child").stderr.len(), 300_000);
    }
}
