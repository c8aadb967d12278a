//! The two small C programs of the fault tests, compiled with `cc` once a test run.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::support::gateway::Builder;

struct Native {
    _dir: TempDir,
    shim: PathBuf,
    holder: PathBuf,
}

static NATIVE: LazyLock<Native> = LazyLock::new(|| {
    let dir = TempDir::new().expect("a temporary folder can be made");
    let (shim, holder) = (dir.path().join("faults.so"), dir.path().join("holder"));
    cc(&["-shared", "-fPIC"], "shim.c", &shim, &["-ldl"]);
    cc(&[], "holder.c", &holder, &[]);
    Native { _dir: dir, shim, holder }
});

fn cc(flags: &[&str], source: &str, output: &Path, libraries: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults").join(source);
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-Werror"]).args(flags).arg("-o").arg(output).arg(&source).args(libraries);
    let compiled = command.output().expect("`cc` is installed (apt-get install build-essential)");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
}

/// A process that has taken a spool's lock as a supervisor does, and has not begun with the turn.
pub(crate) struct Holder {
    child: Child,
}

impl Holder {
    /// Starts it; it has the lock then.
    pub(crate) fn of(spool: &Path) -> Self {
        let mut command = Command::new(&NATIVE.holder);
        let mut child =
            command.arg(spool).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("our own program starts");
        let mut said = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut said).expect("it speaks");
        assert_eq!(said, "held\n");
        Self { child }
    }

    /// It plays the turn, with one text `from the holder`, and ends.
    pub(crate) fn play(mut self) {
        let record = r#"{"version":1,"reason":{"kind":"exited"},"exit_code":0,"signal":null,"duration_ms":1,"stdout_bytes":86,"stderr_bytes":0}"#;
        let _dead = writeln!(self.child.stdin.as_mut().expect("a pipe"), "{record}");
        let status = self.child.wait().expect("our own child");
        assert_eq!(status.code(), Some(0), "the holder was not let play");
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Faults that a test switches on and off while a gateway runs (shim.c).
pub(crate) struct Faults {
    switches: TempDir,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { switches: TempDir::new().expect("a temporary folder can be made") }
    }

    /// Puts the shim in front of a gateway's system calls. Only files with `only` in their path are touched;
    /// a `$` behind it means the end of the path.
    pub(crate) fn under(&self, settings: Builder, only: &str) -> Builder {
        settings
            .env("LD_PRELOAD", &NATIVE.shim.display().to_string())
            .env("FAULT_SWITCHES", &self.switches.path().display().to_string())
            .env("FAULT_ONLY", only)
    }

    /// Begins a fault: `enospc` (nothing can be written), `fsync` (nothing can be made durable) or `eio` (nothing can be read).
    pub(crate) fn begin(&self, fault: &str) {
        std::fs::write(self.switches.path().join(fault), "").expect("a temporary folder is writable");
    }

    /// Makes the wall clock wrong by so many seconds.
    pub(crate) fn shift_clock(&self, seconds: i64) {
        // Whole at once: somebody reads it all the time.
        let aside = self.switches.path().join("clock.new");
        std::fs::write(&aside, seconds.to_string()).expect("a temporary folder is writable");
        std::fs::rename(&aside, self.switches.path().join("clock")).expect("our own file");
    }

    /// Ends it.
    pub(crate) fn end(&self, fault: &str) {
        std::fs::remove_file(self.switches.path().join(fault)).expect("the fault was begun");
    }
}
