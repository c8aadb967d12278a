//! The drill as a process: real signals, a real pipe. The process is this test program, told to run `child` only; what the
//! test harness prints around it is no JSON and is skipped, as a gateway would.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::agent::translate::line;
use crate::drill::run_here;

/// The file by which the child knows that it was started by one of us.
const MARKER: &str = "this-is-a-drill";

/// Not a test: what the child process does. The prompt comes on stdin.
#[test]
#[ignore = "run by the other tests of this module, in a process of its own"]
fn child() {
    if !Path::new(MARKER).exists() {
        return; // somebody runs the ignored tests too
    }
    let args = ["-p", "--verbose"].map(str::to_owned).into();
    let code = run_here(args).unwrap();
    std::process::exit(code.into());
}

/// Killed when dropped, whatever a test finds.
struct Drill {
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Drill {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drill {
    fn start(prompt: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER), "").unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "drill::tests::process::child"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.as_bytes()).unwrap();
        Self { process: child, _folder: dir }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The kinds of the events up to the text `go`, or to the end.
    fn kinds(&mut self, until: Until) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        let mut out = BufReader::new(self.process.stdout.as_mut().unwrap());
        let mut text = Vec::new();
        while out.read_until(b'\n', &mut text).unwrap() > 0 {
            kinds.extend(line(&text).events.iter().map(|event| event.body.kind()));
            if until == Until::Go && kinds.last() == Some(&"text") {
                break;
            }
            text.clear();
        }
        kinds
    }

    fn end(&mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        let mut err = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (status, err)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Go,
    End,
}

#[test]
fn sigint_is_an_interruption() {
    let mut drill = Drill::start("[[text:go]][[hang]]");
    assert_eq!(drill.kinds(Until::Go), ["session", "text"]);
    drill.signal(Signal::INT);
    assert_eq!(drill.kinds(Until::End), ["result"]);
    assert_eq!(drill.end().0.code(), Some(0));
}

#[test]
fn sigterm_ends_it() {
    let mut drill = Drill::start("[[text:go]][[hang]]");
    assert_eq!(drill.kinds(Until::Go), ["session", "text"]);
    drill.signal(Signal::TERM);
    assert_eq!(drill.kinds(Until::End), [""; 0]);
    assert_eq!(drill.end().0.code(), Some(143));
}

#[test]
fn the_deaf_hear_neither() {
    let mut drill = Drill::start("[[deaf]][[text:go]][[wait:300]][[result:still here]]");
    assert_eq!(drill.kinds(Until::Go), ["session", "text"]);
    drill.signal(Signal::INT);
    drill.signal(Signal::TERM);
    assert_eq!(drill.kinds(Until::End), ["result"]);
    assert_eq!(drill.end().0.code(), Some(0));
}

#[test]
fn it_ends_quietly_when_nobody_reads() {
    let mut drill = Drill::start("[[text:go]][[events:10000000]]");
    drill.kinds(Until::Go);
    drop(drill.process.stdout.take());
    let (status, err) = drill.end();
    assert_eq!((status.code(), err.as_str()), (Some(0), ""));
}
