//! The one writer thread: it drains what is queued, commits it as one transaction, then tells everybody.
//!
//! Invariant: a job's `committed` step and its answer come only after the COMMIT that holds it has returned, in the order
//! in which jobs were queued. No linger: a batch is what has queued up while the last commit was under way.

use std::time::Instant;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::checkpoint::Checkpointer;
use super::error::{OpenError, WriteError, classify_statement, classify_transaction};

/// Jobs waiting for the writer. A tunable: when it is full, those who write wait.
const QUEUE_JOBS: usize = 4_096;
/// Jobs in one transaction. Measured: 256 to 512 is right, more gains nothing.
const BATCH_JOBS: usize = 512;

/// Whether the log can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The last transaction was committed.
    Writable,
    /// The last transaction was refused; the next may succeed.
    Refusing(String),
    /// The disk failed; this process must not write again.
    Broken(String),
}

/// A handle to the writer thread.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    health: watch::Receiver<Health>,
    last_commit: watch::Receiver<Instant>,
}

impl Writer {
    pub(super) fn start(connection: Connection, checkpointer: Checkpointer) -> Result<Self, OpenError> {
        let (queue, jobs) = mpsc::channel(QUEUE_JOBS);
        let (health_sender, health) = watch::channel(Health::Writable);
        let (commit_sender, last_commit) = watch::channel(Instant::now());
        let thread = Thread { connection, checkpointer, health: health_sender, last_commit: commit_sender };
        std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || thread.run(jobs))?;
        Ok(Self { queue, health, last_commit })
    }

    /// Runs `work` in the next transaction. If it fails, what it did is rolled back and its neighbours are not touched.
    ///
    /// # Errors
    /// See [`WriteError`]: only `InDoubt` leaves open whether the work is in the file.
    pub async fn write<T, F>(&self, work: F) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_then(work, |_| {}).await
    }

    /// As [`Writer::write`]; `committed` then runs on the writer's thread, after the commit and before any later job's. It
    /// must be quick and must not wait.
    pub async fn write_then<T, F, C>(&self, work: F, committed: C) -> Result<T, WriteError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
        C: FnOnce(&T) + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = WriteJob { work: Some(work), committed, output: None, answer };
        self.queue.send(Box::new(job)).await.map_err(|_| WriteError::Closed)?;
        answered.await.map_err(|_| WriteError::Closed)?
    }

    /// Whether the log can be written, as of the last transaction.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// When the last commit returned.
    pub fn last_commit(&self) -> Instant {
        *self.last_commit.borrow()
    }
}

/// One unit of work, with its types hidden.
trait Job: Send {
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;
    fn settle(self: Box<Self>, result: Result<(), WriteError>);
}

struct WriteJob<T, F, C> {
    work: Option<F>,
    committed: C,
    output: Option<T>,
    answer: oneshot::Sender<Result<T, WriteError>>,
}

impl<T, F, C> Job for WriteJob<T, F, C>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send,
    C: FnOnce(&T) + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.output = Some(work(transaction)?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, result: Result<(), WriteError>) {
        let this = *self;
        let answer = match (result, this.output) {
            (Ok(()), Some(output)) => {
                (this.committed)(&output);
                Ok(output)
            }
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(WriteError::Closed),
        };
        // Whoever asked may have gone; the work is done all the same.
        let _gone = this.answer.send(answer);
    }
}

type Settled = (Box<dyn Job>, Result<(), WriteError>);

struct Thread {
    connection: Connection,
    checkpointer: Checkpointer,
    health: watch::Sender<Health>,
    last_commit: watch::Sender<Instant>,
}

impl Thread {
    fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(BATCH_JOBS);
        while jobs.blocking_recv_many(&mut batch, BATCH_JOBS) > 0 {
            let settled = self.transact(&mut batch);
            self.report(&settled);
            for (job, result) in settled {
                job.settle(result);
            }
            self.checkpointer.committed(&self.connection);
            if matches!(*self.health.borrow(), Health::Broken(_)) {
                jobs.close();
            }
        }
        self.checkpointer.closing(&self.connection);
    }

    /// Runs a batch as one transaction. Every job comes back with what became of it.
    fn transact(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Vec<Settled> {
        if let Health::Broken(why) = &*self.health.borrow() {
            let refused = WriteError::InDoubt { why: why.clone() };
            return batch.drain(..).map(|job| (job, Err(refused.clone()))).collect();
        }
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let mut transaction = match begun {
            Ok(transaction) => transaction,
            Err(error) => {
                let refused = classify_transaction(&error);
                return batch.drain(..).map(|job| (job, Err(refused.clone()))).collect();
            }
        };
        let mut settled: Vec<Settled> = Vec::with_capacity(batch.len());
        for mut job in batch.drain(..) {
            let result = run_one(&mut transaction, job.as_mut());
            settled.push((job, result));
        }
        // A full disk can roll the whole transaction back in the middle; then nothing of it is in the file.
        let ended = if transaction.is_autocommit() {
            Err(WriteError::Unavailable {
                why: "the transaction was rolled back; the disk is probably full".to_owned(),
            })
        } else {
            transaction.commit().map_err(|error| classify_transaction(&error))
        };
        if let Err(error) = ended {
            for (_, result) in &mut settled {
                if result.is_ok() {
                    *result = Err(error.clone());
                }
            }
        }
        settled
    }

    fn report(&self, settled: &[Settled]) {
        let mut health = Health::Writable;
        for (_, result) in settled {
            match result {
                Err(WriteError::InDoubt { why }) => health = Health::Broken(why.clone()),
                Err(WriteError::Unavailable { why }) if health == Health::Writable => {
                    health = Health::Refusing(why.clone());
                }
                _ => {}
            }
        }
        if health == Health::Writable {
            self.last_commit.send_replace(Instant::now());
        }
        self.health.send_if_modified(|now| {
            if *now == health {
                return false;
            }
            match &health {
                Health::Writable => tracing::info!("the log can be written again"),
                Health::Refusing(why) => {
                    tracing::error!(why, "the log cannot be written; nothing is accepted until it can");
                }
                Health::Broken(why) => tracing::error!(why, "the log's disk failed; the gateway must restart"),
            }
            *now = health;
            true
        });
    }
}

fn run_one(transaction: &mut Transaction<'_>, job: &mut dyn Job) -> Result<(), WriteError> {
    let begun = transaction.prepare_cached("SAVEPOINT job").and_then(|mut statement| statement.execute([]));
    begun.map_err(|error| classify_statement(&error))?;
    let run = job.run(transaction);
    if transaction.is_autocommit() {
        return Err(run.err().map_or(WriteError::Closed, |error| classify_statement(&error)));
    }
    let undo = if run.is_err() { "ROLLBACK TO job" } else { "RELEASE job" };
    let ended = transaction.prepare_cached(undo).and_then(|mut statement| statement.execute([]));
    if run.is_err() {
        let released = transaction.prepare_cached("RELEASE job").and_then(|mut statement| statement.execute([]));
        released.map_err(|error| classify_statement(&error))?;
    }
    ended.map_err(|error| classify_statement(&error))?;
    run.map_err(|error| classify_statement(&error))
}
