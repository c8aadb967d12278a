//! Plays the steps: paces them, prints their lines, and listens for signals meanwhile (claude-cli.md section 5).
//!
//! Invariant: one write call a line; signals are heard in every pause and between any two writes; whoever does not read
//! stdout any more ends the play without a word.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::conversation::Conversation;
use super::events::{BATCH_BYTES, Events, Template};
use super::play::{Play, Settings, Step, ToolUse};
use super::voice::Voice;

/// The exit code after SIGTERM: 128 and the signal's number.
const EXIT_TERMINATED: u8 = 143;
/// How many times an overloaded API is tried again, by what the lines say.
const RETRIES: u32 = 10;
/// The longest wait that a retry line tells of, milliseconds.
const RETRY_MS_MAX: u64 = 32_000;

/// What can end a play from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    Interrupt,
    Terminate,
}

/// Where signals come from.
pub(super) trait Signals {
    /// The next one. May be dropped while it waits, without loss.
    async fn next(&mut self) -> Signal;
}

/// The operating system's signals to this process.
pub(super) struct OsSignals {
    interrupt: Listener,
    terminate: Listener,
}

impl OsSignals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

impl Signals for OsSignals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

/// Why a play ends before its last step.
enum End {
    Exit(u8),
    Signal(Signal),
    Write(io::Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Where it is played.
pub(super) struct Stage<O, E, S> {
    out: O,
    err: E,
    signals: S,
    voice: Voice,
    settings: Settings,
    recollection: String,
    /// The tool that is being used.
    open_tool: Option<String>,
    result_given: bool,
}

impl<O: Write, E: Write, S: Signals> Stage<O, E, S> {
    pub(super) fn new(out: O, err: E, signals: S, voice: Voice, play: &Play) -> Self {
        let (settings, recollection) = (play.settings.clone(), play.recollection.clone());
        Self { out, err, signals, voice, settings, recollection, open_tool: None, result_given: false }
    }

    /// Plays it all; gives the exit code.
    pub(super) async fn perform(&mut self, play: Play, conversation: &Conversation, prompt: &str) -> u8 {
        let end = self.all(play, conversation, prompt).await;
        self.last_lines(end).unwrap_or_else(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return 0; // as `claude` does: nobody is there who would care
            }
            self.complain(&format!("Error: cannot write to stdout: {error}"));
            1
        })
    }

    async fn all(&mut self, play: Play, conversation: &Conversation, prompt: &str) -> Result<(), End> {
        self.print(&self.voice.init())?;
        // Only now, as `claude` does: who is killed before this has no conversation to resume.
        if let Err(error) = conversation.remember(prompt) {
            self.complain(&format!("Warning: this conversation cannot be resumed: {error}"));
        }
        for step in play.steps {
            self.listen(Duration::ZERO).await?;
            self.step(step).await?;
        }
        Ok(())
    }

    fn last_lines(&mut self, end: Result<(), End>) -> io::Result<u8> {
        match end {
            Ok(()) | Err(End::Exit(0)) => {
                self.final_result(|voice| voice.result(None))?;
                Ok(0)
            }
            Err(End::Exit(code)) => Ok(code),
            Err(End::Signal(Signal::Interrupt)) => {
                if let Some(id) = self.open_tool.take() {
                    let line = self.voice.tool_rejected(&id);
                    self.print(&line)?;
                }
                let line = self.voice.interrupted();
                self.print(&line)?;
                self.final_result(Voice::result_interrupted)?;
                Ok(0)
            }
            Err(End::Signal(Signal::Terminate)) => {
                if let Some(id) = self.open_tool.take() {
                    let line = self.voice.tool_killed(&id);
                    self.print(&line)?;
                }
                Ok(EXIT_TERMINATED)
            }
            Err(End::Write(error)) => Err(error),
        }
    }

    /// The result line at the end, unless one was given before or none is wanted.
    fn final_result(&mut self, line: impl FnOnce(&mut Voice) -> Value) -> io::Result<()> {
        if self.result_given || self.settings.no_result {
            return Ok(());
        }
        let line = line(&mut self.voice);
        self.print(&line)
    }

    async fn step(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::Say(text) => self.say(&text)?,
            Step::Recall => self.say(&self.recollection.clone())?,
            Step::Use(tool) => self.use_tool(&tool).await?,
            Step::Pause(time) => self.listen(self.settings.speed.paced(time)).await?,
            Step::Wait(time) => self.listen(time).await?,
            Step::Events(events) => self.events(&events).await?,
            Step::Big(bytes) => self.say(&"x".repeat(bytes))?,
            Step::Hang => self.hang().await?,
            Step::Stderr(words) => self.complain(&words),
            Step::Retry(times) => self.retry(times)?,
            Step::Raw(bytes) => self.out.write_all(&bytes)?,
            Step::Result(words) => {
                let line = self.voice.result(Some(&words));
                self.print(&line)?;
                self.result_given = true;
            }
            Step::ApiError(words) => {
                let line = self.voice.api_error(&words);
                self.print(&line)?;
                self.final_result(|voice| voice.result_api_error(&words))?;
                return Err(End::Exit(1));
            }
            Step::Exit(code) => return Err(End::Exit(code)),
        }
        Ok(())
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        let line = self.voice.text(text);
        self.print(&line)
    }

    async fn use_tool(&mut self, tool: &ToolUse) -> Result<(), End> {
        let (id, line) = self.voice.tool_use(tool);
        self.print(&line)?;
        self.open_tool = Some(id.clone());
        self.listen(self.settings.speed.paced(tool.takes)).await?;
        self.open_tool = None;
        let line = self.voice.tool_result(&id, tool);
        Ok(self.print(&line)?)
    }

    fn retry(&mut self, times: u32) -> io::Result<()> {
        let mut delay_ms = 500;
        for attempt in 1..=times {
            let line = self.voice.api_retry(attempt, times.max(RETRIES), delay_ms);
            self.print(&line)?;
            delay_ms = (delay_ms * 2).min(RETRY_MS_MAX);
        }
        Ok(())
    }

    async fn events(&mut self, events: &Events) -> Result<(), End> {
        if events.count == 0 {
            return Ok(());
        }
        let hole = uuid::Uuid::new_v4().to_string();
        let template = Template::new(&self.voice.text(&hole), &hole);
        let since = Instant::now();
        let mut buffer = String::new();
        let mut text = String::new();
        for index in 1..=events.count {
            if events.rate.is_some() {
                self.listen(events.due(index).saturating_sub(since.elapsed())).await?;
            }
            text = events.text(index);
            template.add(&mut buffer, &text);
            if events.rate.is_some() || buffer.len() >= BATCH_BYTES || index == events.count {
                self.out.write_all(buffer.as_bytes())?;
                buffer.clear();
            }
            if events.rate.is_none() && buffer.is_empty() {
                self.listen(Duration::ZERO).await?;
            }
        }
        self.voice.said(text);
        Ok(())
    }

    /// Waits, and listens meanwhile.
    async fn listen(&mut self, time: Duration) -> Result<(), End> {
        let pause = async {
            match time {
                Duration::ZERO => tokio::task::yield_now().await, // lets the runtime see what has come
                time => tokio::time::sleep(time).await,
            }
        };
        if self.settings.deaf {
            pause.await;
            return Ok(());
        }
        tokio::select! {
            biased;
            signal = self.signals.next() => Err(End::Signal(signal)),
            () = pause => Ok(()),
        }
    }

    async fn hang(&mut self) -> Result<(), End> {
        if self.settings.deaf {
            std::future::pending::<()>().await;
        }
        Err(End::Signal(self.signals.next().await))
    }

    /// One line on stdout, in one write.
    fn print(&mut self, line: &Value) -> io::Result<()> {
        self.out.write_all(format!("{line}\n").as_bytes())
    }

    /// One line on stderr. Where nobody reads that, there is nobody to tell.
    fn complain(&mut self, words: &str) {
        let _ = self.err.write_all(format!("{words}\n").as_bytes());
    }
}
