//! The built-in rehearsal agent: `breakglass drill`, which looks to a gateway like the `claude` program.
//!
//! Invariant: it runs nothing, opens no socket, and writes only to stdout, stderr and its own conversation file; everything
//! that it claims to do is made up. Its face (arguments, stream-json lines, exit codes, signals) is that of claude 2.1.329
//! as measured in `claude-cli.md` sections 1, 2, 4, 5 and 7. It knows nothing of the gateway.
//!
//! What `breakglass drill --help` prints:
//!
//! ```text
#![doc = include_str!("help.txt")]
//! ```

mod conversation;
mod directive;
mod events;
mod face;
mod play;
mod scenes;
mod stage;
mod voice;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use conversation::Conversation;
use face::{Invocation, Opening, Refusal, Request};
use play::Play;
use stage::{OsSignals, Signals, Stage};
use voice::Voice;

/// What `breakglass drill --help` prints.
pub const HELP: &str = include_str!("help.txt");

/// The longest prompt that is read from stdin, bytes; what is beyond is not read. A gateway's limit is far below.
const STDIN_BYTES_MAX: u64 = 16 << 20;

/// Runs the drill. `args` are those after `drill`. Not to be called inside of an async runtime: it brings its own.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    match run_here(args) {
        Ok(code) => code.into(),
        Err(error) => {
            // Nobody is left to tell if stderr is gone as well.
            let _ = writeln!(io::stderr(), "Error: the drill cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_here(args: Vec<String>) -> io::Result<u8> {
    // Not `io::stdout()`: its buffer would cut lines in two.
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let cwd = std::env::current_dir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = OsSignals::new()?;
        let world = World { cwd, stdin: io::stdin(), out, err: io::stderr(), signals };
        Ok(rehearse(args, world).await)
    })
}

/// All that the drill sees of the world.
struct World<I, O, E, S> {
    cwd: PathBuf,
    stdin: I,
    out: O,
    err: E,
    signals: S,
}

/// One run, from arguments to exit code.
async fn rehearse<I: Read, O: Write, E: Write, S: Signals>(args: Vec<String>, mut world: World<I, O, E, S>) -> u8 {
    let invocation = match face::read(args) {
        Ok(Request::Play(invocation)) => invocation,
        Ok(Request::Help) => return u8::from(world.out.write_all(HELP.as_bytes()).is_err()),
        Err(refusal) => return refuse(&mut world.err, &refusal),
    };
    match prepare(invocation, &mut world.stdin, &world.cwd) {
        Ok(Prepared { play, voice, conversation, prompt }) => {
            let mut stage = Stage::new(world.out, world.err, world.signals, voice, &play);
            stage.perform(play, &conversation, &prompt).await
        }
        Err(refusal) => {
            if let Some(line) = &refusal.line {
                let _ = world.out.write_all(format!("{line}\n").as_bytes()); // stderr and the exit code say it too
            }
            refuse(&mut world.err, &refusal)
        }
    }
}

struct Prepared {
    play: Play,
    voice: Voice,
    conversation: Conversation,
    prompt: String,
}

/// Everything that can be refused, before anything is played.
fn prepare(invocation: Invocation, stdin: &mut impl Read, cwd: &Path) -> Result<Prepared, Refusal> {
    let Invocation { agent, model, opening, prompt } = invocation;
    let prompt = match prompt {
        Some(prompt) => prompt,
        None => read_prompt(stdin).map_err(|error| Refusal::plain(format!("Error: cannot read stdin: {error}")))?,
    };
    face::check_prompt(&prompt)?;
    let (Opening::New(id) | Opening::Resume(id)) = &opening;
    let conversation = Conversation::of(cwd, id);
    match (&opening, conversation.exists()) {
        (Opening::New(id), true) => return Err(Refusal::in_use(id)),
        (Opening::Resume(id), false) => return Err(Refusal::lost(id)),
        _ => {}
    }
    let play = Play::of(&prompt, &conversation.earlier())?;
    let voice = Voice::new(id.clone(), agent, model, cwd);
    Ok(Prepared { play, voice, conversation, prompt })
}

fn read_prompt(stdin: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    stdin.take(STDIN_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn refuse(err: &mut impl Write, refusal: &Refusal) -> u8 {
    let _ = writeln!(err, "{}", refusal.message); // the exit code says it too
    refusal.code
}
