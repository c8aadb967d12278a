//! The drill, played into memory and translated as a gateway would; and, in `process`, as a real process with real signals.

mod directives;
mod face;
mod play;
mod process;

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;
use tokio::sync::watch;

use super::stage::{Signal, Signals};
use super::{World, rehearse};
use crate::agent::translate::{Line, Note, Translated, line};

const ID: &str = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55";

/// A signal that comes as soon as a needle was printed.
type Trigger = (&'static str, Signal);

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<Vec<u8>>>>);

struct Pen {
    paper: Paper,
    trigger: Option<Trigger>,
    bell: watch::Sender<Option<Signal>>,
}

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.paper.0.borrow_mut().push(bytes.to_vec());
        if let Some((needle, signal)) = self.trigger
            && String::from_utf8_lossy(bytes).contains(needle)
        {
            self.bell.send_replace(Some(signal));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bell(watch::Receiver<Option<Signal>>);

impl Signals for Bell {
    async fn next(&mut self) -> Signal {
        match self.0.wait_for(Option::is_some).await.ok().and_then(|signal| *signal) {
            Some(signal) => signal,
            None => pending().await,
        }
    }
}

/// What came of a run.
struct Run {
    code: u8,
    writes: Vec<Vec<u8>>,
    err: String,
}

impl Run {
    fn out(&self) -> String {
        String::from_utf8(self.writes.concat()).unwrap()
    }

    fn values(&self) -> Vec<Value> {
        self.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn lines(&self) -> Vec<Line> {
        self.writes.concat().split(|byte| *byte == b'\n').map(line).collect()
    }

    fn events(&self) -> Vec<Translated> {
        self.lines().into_iter().flat_map(|line| line.events).collect()
    }

    fn kinds(&self) -> String {
        self.events().iter().map(|event| event.body.kind()).collect::<Vec<_>>().join(" ")
    }

    fn notes(&self) -> Vec<Note> {
        self.lines().into_iter().map(|line| line.note).filter(|note| *note != Note::None).collect()
    }

    fn bodies(&self) -> Vec<Value> {
        self.events().iter().map(|event| serde_json::to_value(&event.body).unwrap()).collect()
    }
}

fn run(cwd: &Path, args: &[&str], stdin: &str, trigger: Option<Trigger>) -> Run {
    let (paper, errors) = (Paper::default(), Paper::default());
    let (bell, ring) = watch::channel(None);
    let world = World {
        cwd: cwd.to_owned(),
        stdin: stdin.as_bytes(),
        out: Pen { paper: paper.clone(), trigger, bell: bell.clone() },
        err: Pen { paper: errors.clone(), trigger: None, bell },
        signals: Bell(ring),
    };
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let code = runtime.block_on(rehearse(args, world));
    let err = String::from_utf8(errors.0.take().concat()).unwrap();
    Run { code, writes: paper.0.take(), err }
}

/// The arguments that a gateway gives.
fn face<'a>(conversation: [&'a str; 2], prompt: &'a str) -> Vec<&'a str> {
    let fixed = "-p --agent drill --dangerously-skip-permissions --output-format stream-json --verbose --model opus";
    fixed.split(' ').chain(conversation).chain(["--", prompt]).collect()
}

/// A first turn in a folder of its own.
fn play(prompt: &str) -> Run {
    play_until(prompt, None)
}

fn play_until(prompt: &str, trigger: Option<Trigger>) -> Run {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &face(["--session-id", ID], prompt), "", trigger)
}
