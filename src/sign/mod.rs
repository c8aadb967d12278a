//! The signer: signed checkpoints of every session's tree, and of the gateway's own tree over those checkpoints.
//!
//! Invariant: nothing is signed that does not extend what was signed last, as a file outside the database remembers it: the
//! remembered tree is continued with the leaves that the database has now, and must come out as the tree that the database
//! claims. A restored or edited database becomes an alarm, not a silence. Off the append's path: a log that cannot be
//! signed is still written.

pub mod anchor;
mod gateway;
pub mod key;
mod memory;
mod removal;
mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::WallMs;
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::note::{self, Verifier};
use crate::evidence::tree::Frontier;
use crate::ids::SessionId;
use crate::log::{Log, LogError, SessionKey};
use anchor::Anchors;
use memory::{Memory, Signed, Tree};
pub use removal::Going;

/// The gateway's own tree gets a checkpoint at least so often, also when nothing happened.
const HEARTBEAT: Duration = Duration::from_secs(60 * 60);
/// From one round of signatures to the next, at least: turns that end in one go are signed in one go.
const ROUND_MIN: Duration = Duration::from_millis(100);
/// Milestones in the middle of turns wait so long for each other: in a flood, files that are synced all the time beside the
/// log would make everybody wait.
const MILESTONES_AFTER: Duration = Duration::from_secs(1);
/// On a planned stop what is unsigned is signed, for at most so long: the next start signs the rest.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What is wrong with a session that stands in the database although its removal was signed.
const BACK_AGAIN: &str = "it was removed when its time was over, and is there again";

/// Why a tree was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The log could not be asked.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was signed last could not be read or written.
    #[error("what was signed last cannot be remembered: {0}")]
    Memory(#[from] std::io::Error),
    /// The history is another one than that which was signed.
    #[error(
        "{why}: the database was edited, or restored from an older copy; nothing more of this history is signed. Put the right \
         database back, or, if it was put back on purpose, move `{place}` away: whoever holds a checkpoint will see it"
    )]
    Alarm {
        /// What does not fit.
        why: String,
        /// The file that remembers.
        place: String,
    },
}

/// Signs. Clones are handles to the same one.
#[derive(Clone)]
pub struct Signer {
    log: Log,
    key: Arc<note::Signer>,
    memory: Memory,
    alarms: Arc<AtomicU64>,
    anchors: Anchors,
    /// One checkpoint at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Signer {
    /// A signer for this log; `remembered` is the folder outside the database.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(log: Log, key: note::Signer, remembered: PathBuf) -> std::io::Result<Self> {
        let memory = Memory::open(remembered)?;
        Ok(Self {
            log,
            key: Arc::new(key),
            memory,
            alarms: Arc::default(),
            anchors: Anchors::default(),
            turn: Arc::default(),
        })
    }

    /// The same, with copies of what it signs going to these places.
    #[must_use]
    pub fn anchored(mut self, anchors: Anchors) -> Self {
        self.anchors = anchors;
        self
    }

    /// How many copies of checkpoints came to nothing since the start.
    pub fn anchors_failed(&self) -> u64 {
        self.anchors.failed()
    }

    /// The public half of the key.
    pub fn verifier(&self) -> &Verifier {
        self.key.verifier()
    }

    /// How often a signature was refused since the start.
    pub fn alarms(&self) -> u64 {
        self.alarms.load(Ordering::Relaxed)
    }

    /// Signs what becomes due, until the gateway stops.
    pub async fn run(self, stopping: CancellationToken) {
        let due = self.log.due().clone();
        let (mut marks, mut milestones) = (due.follow_marks(), due.follow_milestones());
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        self.check_all().await;
        self.sign_leftovers().await;
        loop {
            let milestones_ripe = Instant::now() + MILESTONES_AFTER;
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = heartbeat.tick() => self.sign_gateway().await,
                Ok(()) = marks.changed() => {}
                () = ripe(&mut milestones, milestones_ripe) => {}
            }
            let next = Instant::now() + ROUND_MIN;
            self.sign_sessions(due.sessions()).await;
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// Signs what has no signature yet: at the start what a killed gateway left, and at the stop.
    pub async fn finish(&self) {
        if tokio::time::timeout(STOP_TIMEOUT, self.sign_leftovers()).await.is_err() {
            tracing::warn!("not every session could be signed in time; the next start signs the rest");
        }
        self.anchors.flush().await;
    }

    /// Signs what a session has now; how much of it stands under a checkpoint then.
    ///
    /// # Errors
    /// When the log cannot be read. A refusal is an alarm, and then less is signed than there is.
    pub async fn sign_now(&self, key: SessionKey) -> Result<u64, LogError> {
        self.log.due().mark(key);
        self.sign_sessions([key]).await;
        // Another task may have signed the session, and be about to sign the gateway's tree.
        let covered = self.log.newest_gateway_head().await?.map_or(0, |(size, _)| size);
        if covered < self.log.checkpoint_count().await? {
            self.sign_gateway().await;
        }
        Ok(self.log.session_tree(key).await?.map_or(0, |found| found.signed_size))
    }

    /// Signs what was handed out: the hash of a bundle's list of files. No checkpoint reads like this.
    pub fn sign_bundle(&self, session: SessionId, list_sha256: &str) -> String {
        let name = self.key.verifier().name();
        self.key.sign(&format!("{name}/bundles/{session}\nsha256 {list_sha256}\ntime {}\n", WallMs::now().rfc3339()))
    }

    async fn sign_leftovers(&self) {
        match self.log.unsigned_sessions().await {
            Ok(sessions) => {
                sessions.iter().for_each(|key| self.log.due().mark(*key));
                self.sign_sessions(sessions).await;
            }
            Err(error) => tracing::error!(%error, "cannot look for what is not signed yet"),
        }
    }

    /// Every session that was signed must still be there, and be as long as it was.
    async fn check_all(&self) {
        let sessions = match self.memory.sessions() {
            Ok(sessions) => sessions,
            Err(error) => return self.refuse(Tree::Gateway, &error.into()),
        };
        for session in sessions {
            let tree = Tree::Session(session);
            // Nothing is removed between the look at the log and that at the memory.
            let _turn = self.turn.lock().await;
            let checked = async {
                let signed = self.memory.recall(tree)?.map_or(0, |signed| signed.tree.size());
                match self.log.tree_size(session).await? {
                    None => self.check_removed(session).await,
                    Some(_) if self.was_removed(tree)? => Err(self.alarm(tree, BACK_AGAIN.to_owned())),
                    Some(size) if size < signed => Err(self.alarm(tree, shorter(signed, size))),
                    Some(_) => Ok(()),
                }
            };
            if let Err(error) = checked.await {
                self.refuse(tree, &error);
            }
        }
    }

    async fn sign_sessions(&self, sessions: impl IntoIterator<Item = SessionKey>) {
        let mut any = false;
        for key in sessions {
            match self.sign_session(key).await {
                Ok(signed) => any |= signed,
                Err((tree, error)) => self.refuse(tree, &error),
            }
        }
        if any {
            self.sign_gateway().await;
        }
    }

    fn refuse(&self, tree: Tree, error: &SignError) {
        if matches!(error, SignError::Alarm { .. }) {
            self.alarms.fetch_add(1, Ordering::Relaxed);
        }
        tracing::error!(origin = tree.origin(self.key.verifier().name()), %error, "ALARM: a checkpoint was refused");
    }

    fn alarm(&self, tree: Tree, why: String) -> SignError {
        SignError::Alarm { why, place: self.memory.place(tree) }
    }

    fn read(&self, tree: Tree, note: &str) -> Result<Checkpoint, SignError> {
        self.read_as(tree, note, &tree.origin(self.key.verifier().name()))
    }

    fn read_as(&self, tree: Tree, note: &str, origin: &str) -> Result<Checkpoint, SignError> {
        let verifier = self.key.verifier();
        let text = verifier.open(note).map_err(|error| self.alarm(tree, format!("its last checkpoint: {error}")))?;
        let checkpoint = Checkpoint::parse(text).filter(|head| head.origin == origin);
        checkpoint.ok_or_else(|| self.alarm(tree, "its last checkpoint is of something else".to_owned()))
    }

    /// A tree's signed checkpoint, which nobody sees before it is remembered.
    fn sign(&self, tree: Tree, frontier: &Frontier) -> String {
        let checkpoint = Checkpoint::of(tree.origin(self.key.verifier().name()), frontier);
        let mut text = checkpoint.text();
        if tree == Tree::Gateway {
            // An hourly checkpoint of a gateway at rest says that it lived only if it says when.
            text.push_str(&format!("time {}\n", WallMs::now().rfc3339()));
        }
        self.key.sign(&text)
    }

    /// Remembers what was signed, then copies it to where it is kept off the database.
    async fn remember(&self, tree: Tree, frontier: &Frontier, note: &str) -> Result<(), SignError> {
        let (memory, signed) = (self.memory.clone(), Signed { tree: frontier.clone(), note: note.to_owned() });
        let remembered = tokio::task::spawn_blocking(move || memory.remember(tree, &signed)).await;
        remembered.map_err(std::io::Error::other)??;
        self.anchors.send(note);
        // The service's journal is an anchor off the database, and often off the machine.
        tracing::info!(target: "breakglass::anchor", note = note.replace('\n', "|"), "signed");
        Ok(())
    }
}

/// A tree has come to a milestone, and it is time for them.
async fn ripe(milestones: &mut watch::Receiver<()>, when: Instant) {
    if milestones.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(when).await;
}

fn shorter(signed: u64, found: u64) -> String {
    format!("{signed} records were signed, and {found} are there")
}
