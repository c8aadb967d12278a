//! The indexing thread: sleeps until the log has grown, reads what is new, adds it in bounded steps.
//!
//! Invariant: it is woken, it never looks by itself; it only reads the log; whatever fails is tried again when the log has grown, and nobody
//! waits for it. It runs with less priority than what answers people.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::Places;
use super::index::{Index, is_damage};
use crate::db::OpenError;
use crate::hub::Hub;
use crate::ids::Epoch;
use crate::log::{Feed, PageLimits};
use crate::tasks::Tasks;

/// What one transaction of the index takes. A tunable: larger is faster, and holds more in memory.
const STEP: PageLimits = PageLimits { events_max: 512, bytes_max: 1 << 20 };
/// So long what is written gathers before it is indexed: a flood of commits is then a few steps.
const GATHER: Duration = Duration::from_millis(100);
/// The thread's niceness: when cores are scarce, indexing waits and turns do not.
const NICENESS: i32 = 10;

/// Tells the indexer that the index is damaged.
#[derive(Clone)]
pub(super) struct Alarm {
    is_damaged: Arc<AtomicBool>,
    edition: Arc<AtomicU64>,
    wake: SyncSender<()>,
}

/// Which making of the index is there; none while one is being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edition(Option<u64>);

impl Alarm {
    pub(super) fn edition(&self) -> Edition {
        // Odd numbers: between two editions.
        Edition(Some(self.edition.load(Ordering::Acquire)).filter(|number| number % 2 == 0))
    }

    /// What was seen at a damaged edition says nothing about a later one.
    pub(super) fn ring(&self, seen: Edition) {
        if seen.0.is_some() && seen == self.edition() {
            self.is_damaged.store(true, Ordering::Release);
            let _already_awake = self.wake.try_send(());
        }
    }
}

/// What went wrong, by whose fault.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the log cannot be read: {0}")]
    Log(rusqlite::Error),
    #[error(transparent)]
    Index(rusqlite::Error),
}

/// Whether the index holds what was redacted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outdated {
    Yes,
    No,
}

struct Indexer {
    feed: Feed,
    path: PathBuf,
    epoch: Epoch,
    is_damaged: Arc<AtomicBool>,
    edition: Arc<AtomicU64>,
    stopping: tokio_util::sync::CancellationToken,
    index: Option<Index>,
}

/// Starts the thread, and the task that wakes it.
pub(super) fn start(places: &Places, epoch: Epoch, hub: &Hub, tasks: &Tasks) -> Result<Alarm, OpenError> {
    // One pending wake-up is enough: the thread reads all there is.
    let (wake, woken) = sync_channel(1);
    let alarm = Alarm { is_damaged: Arc::default(), edition: Arc::new(AtomicU64::new(1)), wake };
    let indexer = Indexer {
        feed: Feed::open(&places.log)?,
        path: places.index.clone(),
        epoch,
        is_damaged: Arc::clone(&alarm.is_damaged),
        edition: Arc::clone(&alarm.edition),
        stopping: tasks.stopping().clone(),
        index: None,
    };
    std::thread::Builder::new().name("search-index".to_owned()).spawn(move || indexer.run(&woken))?;
    let (mut changes, stopping, waker) = (hub.changes().follow(), tasks.stopping().clone(), alarm.wake.clone());
    tasks.spawn(async move {
        while let Some(Ok(())) = stopping.run_until_cancelled(changes.changed()).await {
            tokio::time::sleep(GATHER).await;
            changes.mark_unchanged();
            let _already_awake = waker.try_send(());
        }
        // The thread looks whether the gateway stops.
        let _already_awake = waker.try_send(());
    });
    Ok(alarm)
}

impl Indexer {
    fn run(mut self, woken: &Receiver<()>) {
        // On Linux, 0 is the calling thread alone (sched(7)).
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "indexing keeps its priority");
        }
        loop {
            // An index that turns out to be damaged is made anew at once; if that fails too, when the log has grown.
            let _second = self.attempt() || self.attempt();
            if self.stopping.is_cancelled() || woken.recv().is_err() {
                return;
            }
        }
    }

    /// False when the index is damaged.
    fn attempt(&mut self) -> bool {
        let Err(error) = self.catch_up() else { return true };
        tracing::warn!(%error, "the search index cannot be brought up to date; it will be tried again");
        self.close();
        let is_damaged = matches!(&error, Failed::Index(error) if is_damage(error));
        self.is_damaged.fetch_or(is_damaged, Ordering::AcqRel);
        !is_damaged
    }

    fn close(&mut self) {
        if self.index.take().is_some() {
            self.edition.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Follows the log to its end; what says that something was redacted has the whole index made anew.
    fn catch_up(&mut self) -> Result<(), Failed> {
        while self.follow()? == Outdated::Yes {
            tracing::info!("something was redacted: the search index is made anew without it");
            self.close();
            super::index::remove(&self.path);
        }
        Ok(())
    }

    fn follow(&mut self) -> Result<Outdated, Failed> {
        if self.is_damaged.swap(false, Ordering::AcqRel) {
            self.close();
            super::index::remove(&self.path);
        }
        let index = match &mut self.index {
            Some(index) => index,
            none => {
                let newest = self.feed.newest().map_err(Failed::Log)?;
                let index = Index::open(&self.path, self.epoch, newest).map_err(Failed::Index)?;
                self.edition.fetch_add(1, Ordering::AcqRel);
                none.insert(index)
            }
        };
        while !self.stopping.is_cancelled() && !self.is_damaged.load(Ordering::Acquire) {
            // First, so that what was read before its session went is taken out again.
            let removed = self.feed.removed_after(index.removals).map_err(Failed::Log)?;
            if !removed.is_empty() {
                index.forget(&removed).map_err(Failed::Index)?;
                continue;
            }
            let events = self.feed.after(index.reaches, STEP).map_err(Failed::Log)?;
            if events.is_empty() {
                break;
            }
            if index.is_outdated_by(&events) {
                return Ok(Outdated::Yes);
            }
            index.add(&events).map_err(Failed::Index)?;
        }
        Ok(Outdated::No)
    }
}
