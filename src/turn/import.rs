//! Follows a turn's spool into the log, whether this gateway started the turn or found it.
//!
//! Invariant: every whole line of the spool is translated once and its events are logged once: the offset behind a line
//! commits in the same transaction as what was made from it. Whatever ends the agent, this ends with the evidence of it,
//! and leaves the turn to its supervisor only when the gateway stops. Knows nothing of who watches.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent::translate::{self, Note};
use crate::ids::{SessionId, TurnId};
use crate::log::{Log, LogEnd, NewEvent, Offer, Place, Progress};
use crate::mask::Masks;
use crate::protocol::event::LeftProcess;
use crate::turn::follow::{Chunk, SpoolReader, SpoolWatch};
use crate::turn::launch::Supervisor;
use crate::turn::outcome::{Evidence, Loss};
use crate::turn::persist::{Abandoned, RETRY_AFTER, persist};
use crate::turn::spool::{ExitRecord, SpoolDir, SpoolError, is_passing};
use crate::turn::sweep;

/// Spool bytes that are read, translated and committed in one go. Cap of one wake-up, so that a flood stays in pieces.
const READ_BYTES_MAX: usize = 256 << 10;
/// After a stop was asked for, the supervisor needs at most 2 s + 3 s and its last rounds; beyond this it is frozen.
const STOP_BACKSTOP: Duration = Duration::from_secs(15);
/// Spool bytes from which translating is moved off the async threads' time: some milliseconds of work.
const HEAVY_BYTES: usize = 1 << 20;

/// How often to look for what a lost turn left running while the system is out of files or memory, once a second.
const CLEAN_UP_TRIES: u32 = 60;

/// How far the import is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    /// Bytes of the spool that are in the log.
    pub spool_bytes: u64,
    /// Whether an `init` line was among them.
    pub began: bool,
    /// The newest `result`'s `is_error`.
    pub result_is_error: Option<bool>,
}

/// One attempt's import.
pub struct Import<'a> {
    /// Where the events go.
    pub log: &'a Log,
    /// What is cut out of them first.
    pub masks: &'a Masks,
    /// Whose they are.
    pub place: Place,
    /// Where they come from.
    pub dir: &'a SpoolDir,
    /// Which conversation the agent was told to open or resume.
    pub conversation: SessionId,
    /// How far it is.
    pub position: Position,
    /// Where the session's log ends, as far as is known; to be wrong costs time only.
    pub end: Option<LogEnd>,
    /// Somebody's wish to stop the turn, once it is in the log.
    pub stop: &'a CancellationToken,
    /// The gateway stops: leave the turn to its supervisor.
    pub stopping: &'a CancellationToken,
}

impl Import<'_> {
    /// Follows the spool until the agent has ended and all that it said is in the log.
    ///
    /// # Errors
    /// [`Abandoned`] when the gateway stops first.
    pub async fn follow(&mut self, supervisor: Option<&Supervisor>) -> Result<Evidence, Abandoned> {
        let (stop, turn) = (self.stop, self.place.turn_id);
        // Beside the following, which may be waiting for room on a full disk: a stop must not wait with it.
        tokio::select! {
            ended = self.follow_on(supervisor) => ended,
            never = obey(stop, supervisor, turn) => match never {},
        }
    }

    async fn follow_on(&mut self, supervisor: Option<&Supervisor>) -> Result<Evidence, Abandoned> {
        loop {
            let error = match self.follow_files(supervisor).await {
                Ok(ended) => return ended,
                Err(error) => error,
            };
            if !error.is_passing() {
                tracing::error!(turn.id = %self.place.turn_id, %error, "a spool cannot be read");
                if let Some(supervisor) = supervisor {
                    stop_frozen(supervisor).await;
                }
                let left = clean_up(self.place.turn_id).await;
                return Ok(Evidence::Lost { loss: Loss::Unreadable(error.to_string()), left });
            }
            // The agent is not to blame: it works on, and what it says is kept.
            tracing::warn!(turn.id = %self.place.turn_id, %error, "a spool cannot be read now; trying again");
            tokio::select! {
                () = self.stopping.cancelled() => return Err(Abandoned),
                () = tokio::time::sleep(RETRY_AFTER) => {}
            }
        }
    }

    async fn follow_files(
        &mut self,
        supervisor: Option<&Supervisor>,
    ) -> Result<Result<Evidence, Abandoned>, FollowError> {
        // The watch comes before the first look, so that no change falls between.
        let mut watch = SpoolWatch::new(self.dir)?;
        let mut reader = SpoolReader::open(self.dir, self.position.spool_bytes)?;
        let mut gone = supervisor.is_none();
        if gone {
            let record = self.dir.exit_record()?;
            if reader.has_lost_its_end(record.as_ref())? {
                tracing::warn!(turn.id = %self.place.turn_id, "a spool's end is gone, as after a power cut; the log has it");
                return Ok(Ok(match record {
                    Some(record) => Evidence::Record(record),
                    None => self.lost().await,
                }));
            }
        }
        loop {
            // The record is looked for before the spool is read: what was written before it is then seen.
            let record = self.dir.exit_record()?;
            if self.drain(&mut reader).await?.is_err() {
                return Ok(Err(Abandoned));
            }
            if let Some(record) = record {
                let rest = self.finish(&mut reader, &record).await?;
                return Ok(rest.map(|()| Evidence::Record(record)));
            }
            if gone {
                return Ok(Ok(self.lost().await));
            }
            let Some(supervisor) = supervisor else { continue };
            tokio::select! {
                changed = watch.changed() => changed?,
                ended = supervisor.exited() => {
                    ended?;
                    gone = true;
                }
                () = self.stopping.cancelled() => return Ok(Err(Abandoned)),
            }
        }
    }

    /// Nobody can say how the agent ended.
    async fn lost(&self) -> Evidence {
        Evidence::Lost { loss: Loss::SupervisorDied, left: clean_up(self.place.turn_id).await }
    }

    /// Imports every whole line that is there now. While one chunk becomes durable the next is read, translated and drafted.
    async fn drain(&mut self, reader: &mut SpoolReader) -> std::io::Result<Result<(), Abandoned>> {
        let translator = Translator { log: self.log, masks: self.masks, place: self.place };
        let (mut read, mut translated) = translator.next(reader, self.end.as_ref())?;
        loop {
            let is_last = read.read_bytes == 0;
            if !translated.offer.fits(self.end.as_ref()) {
                // Somebody else has appended since it was drafted.
                translated.offer = self.log.offer(self.place, translated.offer.events(), self.end.as_ref());
            }
            let end = translated.offer.end().or(self.end.as_ref()).cloned();
            let ahead = async { if is_last { Ok(None) } else { translator.next(reader, end.as_ref()).map(Some) } };
            let (imported, ahead) = tokio::join!(self.import(&read, translated), ahead);
            if imported.is_err() || self.stopping.is_cancelled() {
                return Ok(Err(Abandoned));
            }
            let Some(ahead) = ahead? else { return Ok(Ok(())) };
            (read, translated) = ahead;
        }
    }

    /// The agent has ended: what it had written by then is all, and a last line without its newline is a line now.
    async fn finish(
        &mut self,
        reader: &mut SpoolReader,
        record: &ExitRecord,
    ) -> std::io::Result<Result<(), Abandoned>> {
        reader.end_at(record.stdout_bytes);
        if self.drain(reader).await?.is_err() {
            return Ok(Err(Abandoned));
        }
        let rest = reader.rest();
        let translator = Translator { log: self.log, masks: self.masks, place: self.place };
        let translated = translator.translate(&rest, self.end.as_ref());
        Ok(self.import(&rest, translated).await)
    }

    async fn import(&mut self, chunk: &Chunk, translated: Translated) -> Result<(), Abandoned> {
        if chunk.skipped > 0 {
            tracing::warn!(turn.id = %self.place.turn_id, lines = chunk.skipped, "lines too long to translate were left out");
        }
        if chunk.lines.is_empty() && chunk.offset == self.position.spool_bytes {
            return Ok(());
        }
        self.position.began |= translated.began;
        self.position.result_is_error = translated.result_is_error.or(self.position.result_is_error);
        self.position.spool_bytes = chunk.offset;
        let progress = Progress {
            spool_bytes: chunk.offset,
            started: translated.began.then_some(self.conversation),
            result_is_error: translated.result_is_error,
            masked: translated.masked,
        };
        let (log, place, mut offer) = (self.log, self.place, translated.offer);
        let end = persist(self.stopping, || {
            // What could not be written at once is drafted when it can: its time is that of the append.
            let later = offer.undrafted();
            log.import(place, std::mem::replace(&mut offer, later), progress)
        });
        if let Some(end) = end.await? {
            self.end = Some(end);
        }
        Ok(())
    }
}

/// Why a spool could not be followed.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl FollowError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Spool(error) => error.is_passing(),
            Self::Io(error) => is_passing(error),
        }
    }
}

/// What some lines come to.
struct Translated {
    offer: Offer,
    began: bool,
    result_is_error: Option<bool>,
    masked: u64,
}

/// Makes of lines what the log takes.
#[derive(Clone, Copy)]
struct Translator<'a> {
    log: &'a Log,
    masks: &'a Masks,
    place: Place,
}

impl Translator<'_> {
    /// The next chunk of the spool; `end` is where the log will end when its turn comes.
    fn next(self, reader: &mut SpoolReader, end: Option<&LogEnd>) -> std::io::Result<(Chunk, Translated)> {
        let read = reader.read(READ_BYTES_MAX)?;
        let translated = self.translate(&read, end);
        Ok((read, translated))
    }

    fn translate(self, chunk: &Chunk, end: Option<&LogEnd>) -> Translated {
        let mut lines = Lines { masks: self.masks, events: Vec::new(), began: false, result_is_error: None, masked: 0 };
        for line in &chunk.lines {
            if line.bytes.len() >= HEAVY_BYTES {
                tokio::task::block_in_place(|| lines.add(&line.bytes));
            } else {
                lines.add(&line.bytes);
            }
        }
        let Lines { events, began, result_is_error, masked, .. } = lines;
        Translated { offer: self.log.offer(self.place, events.into(), end), began, result_is_error, masked }
    }
}

/// What the lines so far come to.
struct Lines<'m> {
    masks: &'m Masks,
    events: Vec<NewEvent>,
    began: bool,
    result_is_error: Option<bool>,
    masked: u64,
}

impl Lines<'_> {
    fn add(&mut self, line: &[u8]) {
        let line = translate::line(line);
        match line.note {
            // Not an answer to the prompt: the attempt that follows gives that, and the raw output keeps this.
            Note::LostConversation => return,
            Note::Init => self.began = true,
            Note::Result { is_error } => self.result_is_error = Some(is_error),
            Note::None => {}
        }
        for mut event in line.events {
            self.masked += self.masks.apply(&mut event.body);
            self.events.push(NewEvent::new(event.reference.as_deref(), &event.body));
        }
    }
}

/// Tells the supervisor when somebody wants the turn stopped, and ends one that does not obey.
async fn obey(stop: &CancellationToken, supervisor: Option<&Supervisor>, turn: TurnId) -> Infallible {
    stop.cancelled().await;
    if let Some(supervisor) = supervisor {
        if let Err(error) = supervisor.stop() {
            tracing::warn!(turn.id = %turn, %error, "cannot signal the supervisor");
        }
        tokio::time::sleep(STOP_BACKSTOP).await;
        stop_frozen(supervisor).await;
    }
    std::future::pending().await
}

/// A supervisor that did not do what it was told in its time is killed; the agent dies with it.
async fn stop_frozen(supervisor: &Supervisor) {
    tracing::warn!("a supervisor did not stop in time and is killed");
    if let Err(error) = supervisor.kill() {
        tracing::warn!(%error, "cannot kill the supervisor");
    }
    if let Err(error) = supervisor.exited().await {
        tracing::warn!(%error, "cannot wait for the supervisor");
    }
}

/// Ends what the agent left running, when its supervisor cannot. Says what is still alive.
async fn clean_up(turn: TurnId) -> Vec<LeftProcess> {
    for _ in 0..CLEAN_UP_TRIES {
        match tokio::task::spawn_blocking(move || sweep::sweep(turn)).await {
            Ok(Ok(report)) => return report.left,
            Ok(Err(error)) if is_passing(&error) => tokio::time::sleep(RETRY_AFTER).await,
            Ok(Err(error)) => {
                tracing::error!(turn.id = %turn, %error, "cannot look for what a lost turn left running");
                return Vec::new();
            }
            Err(_) => return Vec::new(),
        }
    }
    tracing::error!(turn.id = %turn, "what a lost turn left running could not be ended: the system is out of files or memory");
    Vec::new()
}

/// Where spools and workspaces lie.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The spools.
    pub spools: PathBuf,
    /// The workspaces.
    pub workspaces: PathBuf,
}
