//! An attempt at a turn in a temporary folder, with a shell script for an agent. Leaves nothing running, also when a
//! test fails.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use breakglass::ids::TurnId;
use breakglass::turn::launch::{LaunchError, Supervisor, launch_as};
use breakglass::turn::spool::{CageSpec, ExitRecord, LaunchSpec, SPOOL_VERSION, SpoolDir};
use breakglass::turn::sweep::sweep;
use tempfile::TempDir;

/// Nothing here takes so long, unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) const BREAKGLASS: &str = env!("CARGO_BIN_EXE_breakglass");

pub(crate) struct Attempt {
    pub(crate) spec: LaunchSpec,
    pub(crate) dir: SpoolDir,
    root: TempDir,
}

impl Attempt {
    /// An agent that runs a shell script, in a workspace of its own.
    pub(crate) fn of(script: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let workspace = root.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        let spec = LaunchSpec {
            version: SPOOL_VERSION,
            turn: TurnId::random(),
            attempt: 1,
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            stdin: false,
            workspace,
            timeout_ms: 0,
            cage: CageSpec::default(),
        };
        let dir = SpoolDir::new(&root.path().join("spool"), spec.turn, spec.attempt);
        Self { spec, dir, root }
    }

    /// Another program instead of the shell.
    pub(crate) fn of_program(program: impl Into<PathBuf>) -> Self {
        let mut attempt = Self::of("");
        attempt.spec.program = program.into();
        attempt.spec.args.clear();
        attempt
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.spec.workspace.join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn create(&self) {
        self.dir.create(&self.spec, None).unwrap();
    }

    pub(crate) async fn try_launch(&self) -> Result<Supervisor, LaunchError> {
        launch_as(Path::new(BREAKGLASS), &self.dir, &environment()).await
    }

    pub(crate) async fn launch(&self) -> Supervisor {
        self.create();
        self.try_launch().await.unwrap()
    }

    /// Launches it and waits until it has ended by itself.
    pub(crate) async fn run(&self) -> ExitRecord {
        let supervisor = self.launch().await;
        self.ended(&supervisor).await
    }

    /// Launches it, waits for the agent to have written `ready` in its workspace, stops it, and waits for the end.
    pub(crate) async fn stop_when_ready(&self) -> ExitRecord {
        let supervisor = self.launch().await;
        wait_for("the agent to be ready", || self.file("ready").exists()).await;
        supervisor.stop().unwrap();
        self.ended(&supervisor).await
    }

    pub(crate) async fn ended(&self, supervisor: &Supervisor) -> ExitRecord {
        tokio::time::timeout(DEADLINE, supervisor.exited()).await.expect("the supervisor does not end").unwrap();
        self.dir.exit_record().unwrap().expect("no exit record")
    }

    pub(crate) fn out(&self) -> String {
        fs::read_to_string(self.dir.out_path()).unwrap()
    }

    /// A number that the agent wrote into a file of its workspace.
    pub(crate) async fn pid_in(&self, name: &str) -> u32 {
        wait_for(name, || fs::read_to_string(self.file(name)).is_ok_and(|text| text.ends_with('\n'))).await;
        fs::read_to_string(self.file(name)).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let report = sweep(self.spec.turn).unwrap();
        assert!(report.left.is_empty(), "{:?} are left", report.left);
    }
}

pub(crate) fn environment() -> Vec<(OsString, OsString)> {
    vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()), ("COLOUR".into(), "blue".into())]
}

/// Polls, for what has no event to wait on.
pub(crate) async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there, zombies not counted.
pub(crate) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z" && fields[0] != "X")
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, group, session …
pub(crate) fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}
