//! One turn from its prompt to its evidence: which conversation, how many attempts, launched here or found.
//!
//! Invariant: the agent is run again only when it said that it did nothing (its conversation was lost, or was open already),
//! and at most `ATTEMPTS_MAX` times; an attempt that any gateway launched is never launched again.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::agent::AgentKind;
use crate::agent::command::{self, Command, Conversation};
use crate::agent::translate::{StartProblem, start_problem};
use crate::clock::{BootMs, WallMs};
use crate::config::AgentConfig;
use crate::ids::{SessionId, TurnId};
use crate::log::{Log, NewEvent, Place, Shared};
use crate::mask::Masks;
use crate::protocol::event::{Body, Outcome, State, Status, TurnEnd};
use crate::turn::claim::Liveness;
use crate::turn::import::{Folders, Import, Position};
use crate::turn::launch::{LaunchError, Supervisor, launch};
use crate::turn::outcome::{Circumstances, Evidence, conclude};
use crate::turn::persist::{Abandoned, RETRY_AFTER, persist};
use crate::turn::spool::{CageUser, EndReason, LaunchSpec, SPOOL_VERSION, SpoolDir, SpoolError};

/// Resume and find it lost, open it and find it half made, open another: no attempt can need a fourth.
const ATTEMPTS_MAX: u32 = 3;
/// The seed's `err.strip()[:500]`.
const STDERR_CHARS: usize = 500;
/// What is looked through for the agent's complaint about its conversation, characters.
const COMPLAINT_CHARS: usize = 4_096;

/// Between taking the lock and taking the turn a supervisor does next to nothing; this is for one that hangs.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
const CLAIM_LOOK: Duration = Duration::from_millis(10);

/// What every turn needs.
pub struct Workshop {
    /// Where events go.
    pub log: Log,
    /// How the agents are run.
    pub agent: AgentConfig,
    /// Where spools and workspaces lie.
    pub folders: Folders,
    /// What is cut out of what they say.
    pub masks: Masks,
    /// Longest time of a turn.
    pub timeout: Duration,
    /// The gateway stops.
    pub stopping: CancellationToken,
}

impl Workshop {
    /// Where an attempt at a turn lies.
    pub fn spool(&self, turn: TurnId, attempt: u32) -> SpoolDir {
        SpoolDir::new(&self.folders.spools, turn, attempt)
    }
}

/// A turn whose `user` event is in the log.
pub struct Turn {
    /// Which.
    pub place: Place,
    /// Which agent.
    pub kind: AgentKind,
    /// Which model.
    pub model: String,
    /// The prompt.
    pub prompt: String,
    /// When it was accepted.
    pub accepted: WallMs,
    /// The same by a clock that does not jump; none when another gateway accepted it.
    pub begun: Option<BootMs>,
    /// Which attempt is under way.
    pub attempt: u32,
    /// How far its import is.
    pub position: Position,
    /// The session's conversation with its agent, once one was opened.
    pub conversation: Option<SessionId>,
    /// Somebody's wish to stop it, once it is in the log.
    pub stop: CancellationToken,
}

/// How a turn leaves [`Turn::run`]: its last events, to be logged by the session's actor.
pub struct Ended {
    /// What is left to say.
    pub events: Shared,
    /// The end.
    pub end: TurnEnd,
    /// The spools, to be archived.
    pub spools: Vec<SpoolDir>,
}

impl Ended {
    /// The same end for a turn that somebody stopped while its end was on the way here.
    #[must_use]
    pub fn as_cancelled(self) -> Self {
        let events = Shared::from([]);
        Self { events, end: TurnEnd { outcome: Outcome::Cancelled, ..self.end }, spools: self.spools }
    }
}

impl Turn {
    /// Runs the turn, or takes it up where another gateway left it. `taken_up` is dropped as soon as a found turn is known
    /// to be alive and that is in the log.
    ///
    /// # Errors
    /// [`Abandoned`] when the gateway stops: the supervisor goes on alone.
    pub async fn run<T>(mut self, workshop: &Workshop, taken_up: Option<T>) -> Result<(Ended, Option<T>), Abandoned> {
        let mut taken_up = taken_up;
        loop {
            let dir = self.spool(workshop, self.attempt);
            let evidence = self.attempt(workshop, &dir, &mut taken_up).await?;
            match self.next(&dir, &evidence) {
                Some(problem) => self.begin_again(workshop, problem).await?,
                None => return Ok((self.conclude(workshop, &dir, &evidence), taken_up)),
            }
        }
    }

    fn spool(&self, workshop: &Workshop, attempt: u32) -> SpoolDir {
        workshop.spool(self.place.turn_id, attempt)
    }

    /// Since it was accepted. Of a turn that another gateway accepted only the wall clock can tell.
    fn elapsed_ms(&self) -> u64 {
        self.begun.map_or_else(|| self.accepted.elapsed_ms(), BootMs::elapsed_ms)
    }

    async fn attempt<T>(
        &mut self,
        workshop: &Workshop,
        dir: &SpoolDir,
        taken_up: &mut Option<T>,
    ) -> Result<Evidence, Abandoned> {
        let supervisor = loop {
            match self.supervisor(workshop, dir, taken_up).await {
                Ok(supervisor) => break supervisor,
                Err(NotRunning::Abandoned) => return Err(Abandoned),
                Err(NotRunning::Because(why)) => return Ok(Evidence::NotStarted { why }),
                Err(NotRunning::Unknown(why)) => {
                    tracing::warn!(turn.id = %self.place.turn_id, why, "whether a turn runs cannot be seen now; looking again");
                    pause(workshop).await?;
                }
            }
        };
        let mut import = Import {
            log: &workshop.log,
            masks: &workshop.masks,
            place: self.place,
            dir,
            conversation: told(dir).unwrap_or(self.place.session_id),
            position: self.position,
            end: None,
            stop: &self.stop,
            stopping: &workshop.stopping,
        };
        let evidence = import.follow(supervisor.as_ref()).await?;
        self.position = import.position;
        Ok(evidence)
    }

    /// The supervisor of this attempt: found alive, or launched now if nobody ever did. `None`: it is over.
    async fn supervisor<T>(
        &self,
        workshop: &Workshop,
        dir: &SpoolDir,
        taken_up: &mut Option<T>,
    ) -> Result<Option<Supervisor>, NotRunning> {
        let begun = Instant::now();
        loop {
            match dir.liveness()? {
                Liveness::Gone => return Ok(None),
                Liveness::Alive { .. } => {
                    // It may have ended just now.
                    let Some(supervisor) = Supervisor::adopt(dir)? else { continue };
                    if !dir.is_claimed() {
                        // One that an earlier gateway started in its last moment is about to take the turn.
                        wait_for_claim(workshop, &supervisor, begun).await?;
                        continue;
                    }
                    if taken_up.is_some() {
                        let detail = "the gateway restarted during this turn and took it up again".to_owned();
                        self.note(workshop, Status { state: State::Adopted, detail }).await?;
                        *taken_up = None;
                    }
                    return Ok(Some(supervisor));
                }
                Liveness::NeverLaunched if self.stop.is_cancelled() => {
                    dir.abandon("the turn was stopped before the agent was started")?;
                    return Ok(None);
                }
                Liveness::NeverLaunched => {
                    let supervisor = self.launch(workshop, dir).await?;
                    *taken_up = None;
                    if dir.is_claimed() {
                        return Ok(Some(supervisor));
                    }
                }
            }
        }
    }

    async fn launch(&self, workshop: &Workshop, dir: &SpoolDir) -> Result<Supervisor, NotRunning> {
        let workspace = workshop.folders.workspaces.join(self.place.session_id.to_string());
        make_folder(&workspace, workshop.agent.cage.user.as_ref()).map_err(because)?;
        // A gateway that died after it wrote the launch and before it started it has decided all of this already.
        if !dir.is_created() {
            let command = self.command(workshop)?;
            dir.create(&self.spec(workshop, &command, workspace), command.stdin.as_deref())?;
        }
        Ok(launch(dir, &workshop.agent.environment).await?)
    }

    fn spec(&self, workshop: &Workshop, command: &Command, workspace: PathBuf) -> LaunchSpec {
        let left = workshop.timeout.saturating_sub(Duration::from_millis(self.elapsed_ms()));
        LaunchSpec {
            version: SPOOL_VERSION,
            turn: self.place.turn_id,
            attempt: self.attempt,
            program: command.program.clone(),
            args: command.args.clone(),
            stdin: command.stdin.is_some(),
            workspace,
            // 0 would mean without end.
            timeout_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1),
            cage: workshop.agent.cage.clone(),
        }
    }

    fn command(&self, workshop: &Workshop) -> Result<Command, NotRunning> {
        let conversation = self.conversation(workshop);
        Ok(match self.kind {
            AgentKind::Drill => command::drill(&self.model, conversation, &self.prompt),
            AgentKind::Claude => {
                let program: PathBuf = workshop.agent.find_claude().map_err(because)?;
                command::claude(&program, &workshop.agent.agent_name, &self.model, conversation, &self.prompt)
            }
        })
    }

    /// Opens or resumes: what earlier attempts complained of decides, and without a complaint whether it was ever opened. One
    /// that can neither be resumed nor opened was killed while it was made: it is left behind for a new one.
    fn conversation(&self, workshop: &Workshop) -> Conversation {
        let known = self.conversation.unwrap_or(self.place.session_id);
        let complaints: Vec<_> =
            (1..self.attempt).filter_map(|attempt| complaint(&self.spool(workshop, attempt))).collect();
        let lost = complaints.contains(&StartProblem::ConversationLost);
        let in_use = complaints.contains(&StartProblem::ConversationInUse);
        match (lost, in_use) {
            (true, true) => Conversation::Open(SessionId::random()),
            (true, false) => Conversation::Open(known),
            (false, true) => Conversation::Resume(known),
            (false, false) if self.conversation.is_some() => Conversation::Resume(known),
            (false, false) => Conversation::Open(known),
        }
    }

    /// Whether the agent did nothing but complain about its conversation, so that it is to be run again another way.
    fn next(&self, dir: &SpoolDir, evidence: &Evidence) -> Option<StartProblem> {
        let Evidence::Record(record) = evidence else { return None };
        let failed = record.reason == EndReason::Exited && record.exit_code.is_some_and(|code| code != 0);
        let may_again = self.attempt < ATTEMPTS_MAX && !self.stop.is_cancelled();
        if !failed || self.position.began || !may_again {
            return None;
        }
        complaint(dir)
    }

    async fn begin_again(&mut self, workshop: &Workshop, problem: StartProblem) -> Result<(), Abandoned> {
        let status = match problem {
            StartProblem::ConversationLost => Some(Status {
                state: State::NewConversation,
                detail: "the agent had lost the conversation and began a new one: it does not remember earlier turns"
                    .to_owned(),
            }),
            StartProblem::ConversationInUse => None,
        };
        self.attempt += 1;
        self.position = Position::default();
        let events: Vec<_> = status.map(Body::Status).iter().map(NewEvent::from).collect();
        let events: Shared = events.into();
        persist(&workshop.stopping, || workshop.log.next_attempt(self.place, self.attempt, &events)).await
    }

    async fn note(&self, workshop: &Workshop, status: Status) -> Result<(), Abandoned> {
        let events: Shared = Arc::from([NewEvent::from(&Body::Status(status))]);
        persist(&workshop.stopping, || workshop.log.note(self.place, &events)).await
    }

    fn conclude(&self, workshop: &Workshop, dir: &SpoolDir, evidence: &Evidence) -> Ended {
        let stderr = dir.stderr_head(STDERR_CHARS);
        let duration_ms = match evidence {
            // The supervisor's clock does not jump either, and it was there all the time.
            Evidence::Record(record) if self.begun.is_none() => record.duration_ms,
            _ => self.elapsed_ms(),
        };
        let circumstances = Circumstances {
            cancelled: self.stop.is_cancelled(),
            result_is_error: self.position.result_is_error,
            stderr: &stderr,
            timeout_seconds: workshop.timeout.as_secs(),
            duration_ms,
        };
        let (mut error, mut end) = conclude(evidence, circumstances);
        let in_error = error.as_mut().map_or(0, |error| workshop.masks.apply(error));
        let in_left = end.left.iter_mut().map(|process| workshop.masks.text(&mut process.command)).sum::<u64>();
        end.masked = in_error + in_left;
        let events: Vec<_> = error.iter().map(NewEvent::from).collect();
        let spools = (1..=self.attempt).map(|attempt| self.spool(workshop, attempt)).collect();
        Ended { events: events.into(), end, spools }
    }
}

/// Waits a moment for a supervisor to take its turn. One that does not in all that time is ended: then another may be started.
async fn wait_for_claim(workshop: &Workshop, supervisor: &Supervisor, begun: Instant) -> Result<(), Abandoned> {
    if begun.elapsed() > CLAIM_WAIT {
        tracing::warn!("a supervisor holds a turn and does not take it; it is killed");
        if let Err(error) = supervisor.kill() {
            tracing::warn!(%error, "cannot kill the supervisor");
        }
    }
    tokio::select! {
        () = workshop.stopping.cancelled() => Err(Abandoned),
        () = tokio::time::sleep(CLAIM_LOOK) => Ok(()),
    }
}

async fn pause(workshop: &Workshop) -> Result<(), Abandoned> {
    tokio::select! {
        () = workshop.stopping.cancelled() => Err(Abandoned),
        () = tokio::time::sleep(RETRY_AFTER) => Ok(()),
    }
}

/// Why there is nothing to follow.
enum NotRunning {
    Abandoned,
    Because(String),
    /// The system is out of something (files, memory) that it will have again. An agent may be running.
    Unknown(String),
}

impl From<SpoolError> for NotRunning {
    fn from(error: SpoolError) -> Self {
        if error.is_passing() { Self::Unknown(error.to_string()) } else { Self::Because(error.to_string()) }
    }
}

impl From<LaunchError> for NotRunning {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Spool(error) => error.into(),
            other => Self::Because(other.to_string()),
        }
    }
}

impl From<Abandoned> for NotRunning {
    fn from(_: Abandoned) -> Self {
        Self::Abandoned
    }
}

fn because(error: impl std::fmt::Display) -> NotRunning {
    NotRunning::Because(error.to_string())
}

fn complaint(dir: &SpoolDir) -> Option<StartProblem> {
    start_problem(&dir.stderr_head(COMPLAINT_CHARS))
}

/// Which conversation this attempt's agent was told to open or resume.
fn told(dir: &SpoolDir) -> Option<SessionId> {
    let args = dir.spec().ok()?.args;
    let flag = args.iter().position(|arg| arg == "--session-id" || arg == "--resume")?;
    args.get(flag + 1)?.parse().ok()
}

/// The workspace, for the agent's user alone. One that was there already is closed to others too.
fn make_folder(path: &Path, user: Option<&CageUser>) -> Result<(), String> {
    let why = |error: io::Error| format!("cannot make the workspace `{}`: {error}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(why)?;
    if let Some(user) = user {
        // Not through a link: what it leads to is not ours to give away.
        std::os::unix::fs::lchown(path, Some(user.uid), Some(user.gid)).map_err(why)?;
    }
    let now = fs::symlink_metadata(path).map_err(why)?;
    if !now.is_dir() {
        return Err(format!("the workspace `{}` is not a folder; remove it", path.display()));
    }
    if now.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(why)
    }
}
