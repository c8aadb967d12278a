//! The two small C programs of the fault tests, compiled with `cc` once a test run.

use std::path::{Path, PathBuf};
use std::process::Command;
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

/// A program that takes a spool's lock as a supervisor does, and plays the turn when it is told.
pub(crate) fn holder() -> &'static Path {
    &NATIVE.holder
}

/// Faults that a test switches on and off while a gateway runs (shim.c).
pub(crate) struct Faults {
    switches: TempDir,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { switches: TempDir::new().expect("a temporary folder can be made") }
    }

    /// Puts the shim in front of a gateway's system calls. Only files with `only` in their path are touched.
    pub(crate) fn under(&self, settings: Builder, only: &str) -> Builder {
        settings
            .env("LD_PRELOAD", &NATIVE.shim.display().to_string())
            .env("FAULT_SWITCHES", &self.switches.path().display().to_string())
            .env("FAULT_ONLY", only)
    }

    /// Begins a fault: `enospc` (nothing can be written) or `fsync` (nothing can be made durable).
    pub(crate) fn begin(&self, fault: &str) {
        std::fs::write(self.switches.path().join(fault), "").expect("a temporary folder is writable");
    }

    /// Ends it.
    pub(crate) fn end(&self, fault: &str) {
        std::fs::remove_file(self.switches.path().join(fault)).expect("the fault was begun");
    }
}
