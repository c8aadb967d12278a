//! The real binary, started in a folder of its own on a free port of loopback.
//!
//! Invariant: it ends with the value, and so does everything that it started. A test that leaves a process running which
//! nobody asked for fails, unless it said [`Builder::may_leave_processes`].

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::agent::FakeAgent;
use super::claude;
use super::http::Http;
use super::mock_api::MockApi;
use super::process::{self, Process};
use super::wait::{PATIENCE, within};

/// How long a stop may take: `serve` promises 10 s (README).
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How long supervisors may take to go after the gateway did.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(3);

/// How often a start on a port that was just ours is tried again, should another test's socket hold it.
const START_TRIES: u32 = 5;

/// The settings of a gateway to be started.
pub(crate) struct Builder {
    program: PathBuf,
    env: Vec<(String, String)>,
    may_leave_processes: bool,
    public_url: Option<String>,
    root: TempDir,
}

impl Builder {
    /// A setting or a variable for the agent.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses a program as `claude`.
    pub(crate) fn claude(self, program: &Path) -> Self {
        self.env("BREAKGLASS_CLAUDE", &program.display().to_string())
    }

    /// Uses a fake agent as `claude`.
    pub(crate) fn agent(self, agent: &FakeAgent) -> Self {
        self.claude(&agent.program())
    }

    /// Uses the real agent program, in a home of its own, with the mock as its API.
    pub(crate) fn real_claude(self, api: &MockApi) -> Self {
        let home = self.root.path().join("home");
        claude::make_home(&home);
        let variables = claude::environment(&home, api);
        let with_variables = variables.iter().fold(self, |settings, (name, value)| settings.env(name, value));
        with_variables.claude(&claude::program())
    }

    /// Names the agent that the program is told to be (`--agent`).
    pub(crate) fn agent_name(self, name: &str) -> Self {
        self.env("BREAKGLASS_AGENT", name)
    }

    /// Stops a turn after so many seconds.
    pub(crate) fn turn_timeout_s(self, seconds: u32) -> Self {
        self.env("BREAKGLASS_TURN_TIMEOUT_SECONDS", &seconds.to_string())
    }

    /// Lets so many turns run at once.
    pub(crate) fn max_turns(self, turns: u32) -> Self {
        self.env("BREAKGLASS_MAX_CONCURRENT_TURNS", &turns.to_string())
    }

    /// Names the address that people use; the gateway then shows no other, so its port is chosen beforehand.
    pub(crate) fn public_url(mut self, url: &str) -> Self {
        self.public_url = Some(url.to_owned());
        self.env("BREAKGLASS_PUBLIC_URL", url)
    }

    /// Does not mind what the turns leave behind; it is ended all the same.
    pub(crate) fn may_leave_processes(mut self) -> Self {
        self.may_leave_processes = true;
        self
    }

    /// Runs another program in place of the gateway, such as one that becomes it elsewhere.
    pub(crate) fn program(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    /// Runs a command with these settings where no gateway was ever started; how it ended.
    pub(crate) async fn run_alone(self, args: &[&str]) -> Output {
        Gateway { settings: self, child: None, address: None, token: None }.run(args).await
    }

    /// Starts it with settings that it must refuse; how it ended.
    pub(crate) async fn start_refused(self) -> Output {
        let ended = self.run_alone(&["serve"]).await;
        assert!(!ended.status.success(), "it was to be refused");
        ended
    }

    /// Starts it and waits for its sign-in line.
    pub(crate) async fn start(self) -> Gateway {
        let address = self.public_url.is_some().then(free_address);
        let mut gateway = Gateway { settings: self, child: None, address, token: None };
        gateway.spawn().await;
        gateway
    }
}

/// A gateway, running or between two runs.
pub(crate) struct Gateway {
    settings: Builder,
    child: Option<Child>,
    address: Option<SocketAddr>,
    token: Option<String>,
}

impl Gateway {
    /// Settings without an agent program: `claude` is not installed there, `drill` is.
    pub(crate) fn builder() -> Builder {
        let root = TempDir::new().expect("a temporary folder can be made");
        let home = root.path().join("home");
        fs::create_dir(&home).expect("a temporary folder is writable");
        let env = [
            ("PATH", claude::PATH),
            ("LANG", "C.UTF-8"),
            ("HOME", &home.display().to_string()),
            // Tests may run as root, which the agent's program refuses outside of a sandbox.
            ("IS_SANDBOX", "1"),
            // Reaches the agents and their children: the marker. The rest is for the real program.
            ("TEST_GATEWAY", &root.path().display().to_string()),
            ("BREAKGLASS_AGENT_ENV", "TEST_*,DISABLE_*"),
            ("BREAKGLASS_DATA", &root.path().join("data").display().to_string()),
            ("BREAKGLASS_CLAUDE", "/nonexistent/claude"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        Builder {
            program: env!("CARGO_BIN_EXE_breakglass").into(),
            env,
            may_leave_processes: false,
            public_url: None,
            root,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("a started gateway has an address")
    }

    /// `http://HOST:PORT`, without a slash.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The operator token of the first start.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().expect("the first start shows a token")
    }

    /// An HTTP client with the operator token.
    pub(crate) fn http(&self) -> Http {
        Http::new(self.address(), Some(self.token()))
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.settings.root.path().join("data")
    }

    /// The gateway's process id.
    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().expect("the gateway runs").id().cast_signed()
    }

    /// The processes of this gateway other than itself: supervisors, agents and what they started.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let own = self.child.as_ref().map(|child| child.id().cast_signed());
        process::with_marker(&self.marker()).into_iter().filter(|one| Some(one.pid) != own).collect()
    }

    /// The supervisors of running turns.
    pub(crate) fn supervisors(&self) -> Vec<Process> {
        let mut found = self.processes();
        found.retain(|one| one.command.split(' ').any(|word| word == "supervise"));
        found
    }

    /// Runs another subcommand on the same data, to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(args));
        command.env("BREAKGLASS_LISTEN", "127.0.0.1:0").kill_on_drop(true);
        within(&format!("`breakglass {}`", args.join(" ")), command.output()).await.expect("the program starts")
    }

    /// The same for one that must succeed; its standard output.
    pub(crate) async fn cli(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "breakglass {} ended with {}: {stderr}", args.join(" "), output.status);
        String::from_utf8(output.stdout).expect("the program prints UTF-8")
    }

    /// Makes a token; its text.
    pub(crate) async fn add_token(&self, name: &str, role: &str) -> String {
        let output = self.cli(&["token", "add", name, "--role", role]).await;
        output.lines().last().expect("`token add` prints the token").to_owned()
    }

    /// Kills the gateway's process, and only it, without a chance to say or save anything.
    pub(crate) async fn kill_9(&mut self) {
        self.stop_with(Signal::KILL, PATIENCE).await;
    }

    /// Asks the gateway to stop; how it ended.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.stop_with(Signal::TERM, STOP_LIMIT).await
    }

    /// Sends the gateway a signal that is to end it within a limit; how it ended.
    pub(crate) async fn stop_with(&mut self, signal: Signal, limit: Duration) -> ExitStatus {
        process::signal(self.pid(), signal);
        self.ended(limit).await
    }

    /// Waits for the gateway to end of itself; how it ended.
    pub(crate) async fn stopped_itself(&mut self) -> ExitStatus {
        self.ended(PATIENCE).await
    }

    /// Starts it again on the same data and the same address, after [`Self::kill_9`] or [`Self::terminate`].
    pub(crate) async fn restart(&mut self) {
        assert!(self.child.is_none(), "the gateway still runs");
        self.spawn().await;
    }

    async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let mut child = self.child.take().expect("the gateway runs");
        let pid = child.id().cast_signed();
        let ended = tokio::task::spawn_blocking(move || process::wait_end(pid, limit)).await;
        if !ended.expect("waiting does not panic") {
            self.child = Some(child);
            panic!("the gateway did not end within {} s", limit.as_secs());
        }
        child.wait().expect("our own child can be waited for")
    }

    async fn spawn(&mut self) {
        for _ in 0..START_TRIES {
            if self.try_spawn().await {
                return;
            }
        }
        panic!("the gateway does not start");
    }

    /// False when it ended without showing its address.
    async fn try_spawn(&mut self) -> bool {
        let mut command = self.command(&["serve"]);
        let listen = self.address.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        let log = File::options().create(true).append(true).open(self.log_path());
        command
            .env("BREAKGLASS_LISTEN", listen)
            .stdout(Stdio::piped())
            .stderr(log.expect("a temporary folder is writable"));
        let mut child = command.spawn().expect("the gateway's binary starts");
        let mut links = sign_in_links(&mut child);
        self.child = Some(child);
        let Some(link) = within("the gateway's sign-in line", links.recv()).await else {
            self.ended(PATIENCE).await;
            return false;
        };
        self.take_link(&link);
        true
    }

    fn take_link(&mut self, link: &str) {
        let (base, fragment) = link.rsplit_once('/').expect("a sign-in line is a link");
        match (&self.token, fragment.strip_prefix("#token=")) {
            (None, Some(token)) => self.token = Some(token.to_owned()),
            (Some(_), None) => assert_eq!(fragment, "", "a later sign-in link is bare"),
            (None, None) => panic!("the first sign-in link carries no token: {link}"),
            (Some(_), Some(_)) => panic!("a later start shows a token again"),
        }
        if let Some(public) = &self.settings.public_url {
            assert_eq!(base, public);
            return;
        }
        let address = base
            .strip_prefix("http://")
            .or_else(|| base.strip_prefix("https://"))
            .and_then(|address| address.parse().ok());
        let address: SocketAddr = address.unwrap_or_else(|| panic!("a sign-in link names the address: {link}"));
        assert!(self.address.is_none_or(|earlier| earlier == address), "it listens elsewhere: {link}");
        self.address = Some(address);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.settings.program);
        command.args(args).env_clear().envs(self.settings.env.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.settings.root.path()).stdin(Stdio::null());
        command
    }

    fn marker(&self) -> String {
        self.settings.root.path().display().to_string()
    }

    fn log_path(&self) -> PathBuf {
        self.settings.root.path().join("gateway.log")
    }

    /// Everything that the gateway logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("--- the gateway's log, its end ---\n{}", lines[lines.len().saturating_sub(60)..].join("\n"))
    }
}

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address")
}

/// Reads standard output to its end, so that the gateway never blocks on it; passes on the lines that are links.
fn sign_in_links(child: &mut Child) -> mpsc::UnboundedReceiver<String> {
    let (links, received) = mpsc::unbounded_channel();
    let stdout = child.stdout.take().expect("standard output is a pipe");
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with("http://") || line.starts_with("https://") {
                let _ = links.send(line);
            }
        }
    });
    received
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::signal(child.id().cast_signed(), Signal::TERM);
            if !process::wait_end(child.id().cast_signed(), STOP_LIMIT) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
        let limit = if std::thread::panicking() { Duration::ZERO } else { LEFTOVER_LIMIT };
        let left = process::wait_none(&self.marker(), limit);
        process::kill_all(&self.marker());
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        } else {
            assert!(
                left.is_empty() || self.settings.may_leave_processes,
                "left running: {left:#?}\n{}",
                self.log_tail()
            );
        }
    }
}

#[cfg(test)]
mod tests;
