//! The real gateway in a folder of its own: started, killed, started again, measured.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a start may take on a busy machine. A port that was just ours may be held by a test beside us: see `TRIES`.
const START_TIMEOUT: Duration = Duration::from_secs(30);
const START_TRIES: u32 = 5;

/// What a gateway holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) files: u64,
    pub(crate) threads: u64,
    pub(crate) memory_bytes: u64,
}

/// Which of a gateway's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Supervisor,
    Agent,
}

pub(crate) struct Gateway {
    program: PathBuf,
    root: PathBuf,
    turns_max: usize,
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl Gateway {
    /// Starts one on a new folder.
    pub(crate) fn start(program: &Path, root: &Path, turns_max: usize) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make `{}`", root.display()))?;
        let (child, address, token) = spawn(program, root, turns_max, "127.0.0.1:0")?;
        let token = token.context("the first start shows no token")?;
        Ok(Self { program: program.to_owned(), root: root.to_owned(), turns_max, child, address, token })
    }

    /// Kills it, and it alone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the gateway")?;
        self.child.wait().context("cannot wait for the gateway")?;
        Ok(())
    }

    /// Starts it again on the same folder and port.
    pub(crate) fn restart(&mut self) -> Result<()> {
        let mut failed = None;
        for _ in 0..START_TRIES {
            match spawn(&self.program, &self.root, self.turns_max, &self.address.to_string()) {
                Ok((child, _, _)) => {
                    self.child = child;
                    return Ok(());
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| anyhow::anyhow!("not tried"))).context("the gateway does not start again")
    }

    /// Asks it to end; it must, with status 0.
    pub(crate) fn stop(&mut self) -> Result<()> {
        signal(self.pid(), Signal::TERM);
        let status = self.child.wait().context("cannot wait for the gateway")?;
        if !status.success() {
            bail!("the gateway ended with {status} when it was asked to stop");
        }
        Ok(())
    }

    /// Another command of the program, on the same folder; its last line.
    pub(crate) fn command(&self, args: &[&str]) -> Result<String> {
        let output = base(&self.program, &self.root, self.turns_max).args(args).output().context("cannot run it")?;
        if !output.status.success() {
            bail!("breakglass {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned())
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Open files, threads, and resident memory without what is shared with files.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let proc = PathBuf::from(format!("/proc/{}", self.pid()));
        let status = fs::read_to_string(proc.join("status")).context("the gateway is gone")?;
        let field = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let files = fs::read_dir(proc.join("fd")).context("the gateway is gone")?.count() as u64;
        Ok(Usage { files, threads: field("Threads:"), memory_bytes: field("RssAnon:") << 10 })
    }

    /// Processes that its turns run in.
    pub(crate) fn parts(&self) -> Vec<(i32, Part)> {
        let own = self.pid();
        marked(&self.root).into_iter().filter(|(pid, _)| *pid != own).collect()
    }

    /// What the gateway logged last.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.root.join("gateway.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..50 {
            let left = marked(&self.root);
            if left.is_empty() {
                return;
            }
            left.iter().for_each(|(pid, _)| signal(*pid, Signal::KILL));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
}

fn base(program: &Path, root: &Path, turns_max: usize) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(root).stdin(Stdio::null());
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8").env("HOME", root);
    // Reaches the agents too: by this their processes are known.
    command.env("STRESS_ROOT", root).env("BREAKGLASS_AGENT_ENV", "STRESS_ROOT").env("IS_SANDBOX", "1");
    command.env("BREAKGLASS_DATA", root.join("data")).env("BREAKGLASS_CLAUDE", "/nonexistent/claude");
    command.env("BREAKGLASS_MAX_CONCURRENT_TURNS", turns_max.to_string());
    command.env("BREAKGLASS_TURN_TIMEOUT_SECONDS", "20");
    // The allocator gives back what was freed: what is measured is what is held, and not what is kept for next time.
    command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_TRIM_THRESHOLD_", "65536").env("MALLOC_MMAP_THRESHOLD_", "65536");
    command
}

/// The process, where it listens, and the token if this was the first start.
fn spawn(program: &Path, root: &Path, turns_max: usize, listen: &str) -> Result<(Child, SocketAddr, Option<String>)> {
    let log =
        File::options().create(true).append(true).open(root.join("gateway.log")).context("cannot open its log")?;
    let mut command = base(program, root, turns_max);
    command.arg("serve").env("BREAKGLASS_LISTEN", listen).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", program.display()))?;
    let (links, link) = mpsc::channel();
    let stdout = child.stdout.take().context("no pipe")?;
    // Reads to the end, so that the gateway never blocks on it.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok).filter(|line| line.starts_with("http://")) {
            let _ = links.send(line);
        }
    });
    let Ok(link) = link.recv_timeout(START_TIMEOUT) else {
        let _ = child.kill();
        let status = child.wait().context("cannot wait for the gateway")?;
        let log = fs::read_to_string(root.join("gateway.log")).unwrap_or_default();
        bail!("the gateway showed no address ({status}): {}", log.lines().last().unwrap_or_default());
    };
    let (base, fragment) = link.rsplit_once('/').context("no link")?;
    let address = base.trim_start_matches("http://").parse().context("no address in the link")?;
    Ok((child, address, fragment.strip_prefix("#token=").map(str::to_owned)))
}

fn marked(root: &Path) -> Vec<(i32, Part)> {
    let marker = format!("STRESS_ROOT={}\0", root.display());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        if !String::from_utf8_lossy(&read("environ")).contains(&marker) {
            return None;
        }
        let command = read("cmdline");
        let second = command.split(|byte| *byte == 0).nth(1).unwrap_or_default();
        Some((pid, if second == b"supervise" { Part::Supervisor } else { Part::Agent }))
    })
    .collect()
}
