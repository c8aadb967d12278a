//! The gateway under test: this build's binary in a folder of its own, on the server's core, with its agents on the load's.
//!
//! Invariant: it ends with the value, and so do turns that a failed run left.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::cpu;
use crate::load::Load;
use crate::operator::Operator;
use crate::socket::PATIENCE;

/// The binary that is measured.
static PROGRAM: OnceLock<String> = OnceLock::new();
/// How long a stop may take: `serve` promises 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// The binary that is measured: this build's, unless another was chosen.
fn program() -> &'static str {
    PROGRAM.get_or_init(|| env!("CARGO_BIN_EXE_breakglass").to_owned())
}

/// Measures another build of the gateway. To be called first.
pub(crate) fn choose_program(path: &str) {
    let _chosen_already = PROGRAM.set(path.to_owned());
}

/// A folder for one measurement, on the disk that the build uses: a memory file system would have no fsync.
pub(crate) fn folder() -> Result<TempDir> {
    fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
    Ok(TempDir::with_prefix_in("bench-", env!("CARGO_TARGET_TMPDIR"))?)
}

/// The data folder within a measurement's folder.
pub(crate) fn data(root: &Path) -> PathBuf {
    root.join("data")
}

/// A running gateway.
pub(crate) struct Gateway {
    child: Child,
    root: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    /// From starting the process to its sign-in line.
    pub(crate) ready_ms: f64,
}

impl Gateway {
    /// Starts it on what the folder holds. `token` of an earlier start, if it was not the first.
    pub(crate) fn start(root: &Path, token: Option<&str>) -> Result<Self> {
        Self::start_with(root, token, &[])
    }

    /// The same, with more settings.
    pub(crate) fn start_with(root: &Path, token: Option<&str>, settings: &[(&str, &str)]) -> Result<Self> {
        let agent = agent(root)?;
        let mut command = Command::new(program());
        let log = fs::File::options().create(true).append(true).open(root.join("gateway.log"))?;
        command
            .arg("serve")
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", root)
            .current_dir(root);
        command
            .env("BREAKGLASS_DATA", data(root))
            .env("BREAKGLASS_LISTEN", "127.0.0.1:0")
            .env("BREAKGLASS_CLAUDE", agent)
            // It may run as root, which the agent's program refuses outside of a sandbox.
            .env("IS_SANDBOX", "1")
            .envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let start = Instant::now();
        let child = cpu::spawn_on(cpu::SERVER_CORE, &mut command)?;
        let mut gateway = Self {
            child,
            root: root.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: token.unwrap_or_default().to_owned(),
            ready_ms: 0.0,
        };
        let link = gateway.links().recv_timeout(PATIENCE).context("the gateway did not show its address in time")?;
        gateway.ready_ms = start.elapsed().as_secs_f64() * 1e3;
        let (base, fragment) = link.rsplit_once('/').context("a strange sign-in link")?;
        gateway.address = base.trim_start_matches("http://").parse()?;
        if let Some(token) = fragment.strip_prefix("#token=") {
            token.clone_into(&mut gateway.token);
        }
        Ok(gateway)
    }

    /// Reads its standard output to the end; gives the links in it.
    fn links(&mut self) -> Receiver<String> {
        let (sender, links) = channel();
        if let Some(stdout) = self.child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if line.starts_with("http://") {
                        let _gone = sender.send(line);
                    }
                }
            });
        }
        links
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn operator(&self) -> Result<Operator> {
        Operator::open(self.address, &self.token)
    }

    /// Viewers of a session, all caught up.
    pub(crate) fn viewers(&self, session: &str, count: usize) -> Result<Load> {
        Load::attach(self.address, &self.token, session, count)
    }

    /// Turns that a failed run left: their supervisors are asked to stop them.
    fn stop_turns(&self) {
        let root = self.root.display().to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
            let is_ours = words.get(1).is_some_and(|word| word == "supervise");
            if is_ours && words.get(2).is_some_and(|path| path.starts_with(&root)) {
                let _gone = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::TERM));
            }
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop_turns();
        let _gone = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The drill as `claude`, so that it can be put on the other core.
fn agent(root: &Path) -> Result<PathBuf> {
    let path = root.join("agent");
    let core = cpu::LOAD_CORE;
    let bound = if Path::new("/usr/bin/taskset").exists() { format!("taskset -c {core} ") } else { String::new() };
    fs::write(&path, format!("#!/bin/sh\nexec {bound}'{}' drill \"$@\"\n", program()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
