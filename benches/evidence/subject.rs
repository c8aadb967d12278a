//! One of the two logs, and the loads that it gets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use breakglass::db::Db;
use breakglass::evidence::note;
use breakglass::hub::Hub;
use breakglass::log::{Log, Shared};
use breakglass::sign::Signer;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::measured::Appended;
use super::session::{PROGRESS, Session, at_hand, output, read};

const SLICE: Duration = Duration::from_millis(500);
/// As many as are at work at once at most: a session has one import at a time.
const SESSIONS: usize = 512;

/// How the load is offered.
#[derive(Clone, Copy)]
pub(crate) enum Offer {
    /// So many events, one at a time, at this rate a second over all sessions.
    Paced(u32),
    /// One session's imports of so many events, so many imports a second.
    PacedImports(u32, usize),
    /// One session's imports of so many events, one after another.
    Flood(usize),
    /// The same, of events that nobody has to read.
    AtHand(usize),
    /// So many single events in flight over all sessions.
    InFlight(usize),
}

async fn open(dir: &TempDir) -> Log {
    let db = Db::open(&dir.path().join("log.db")).unwrap();
    Log::open(db, Hub::default(), &dir.path().join("mark")).await.unwrap()
}

async fn sessions(log: &Log) -> Vec<Arc<Session>> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Arc::new(Session::new(log).await));
    }
    sessions
}

/// One of the two logs.
pub(crate) struct Subject {
    _dir: TempDir,
    _signing: Option<DropGuard>,
    log: Log,
    sessions: Vec<Arc<Session>>,
}

impl Subject {
    /// Without evidence.
    pub(crate) async fn unsealed() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = open(&dir).await.unsealed();
        Self { sessions: sessions(&log).await, log, _dir: dir, _signing: None }
    }

    /// With it: records are sealed, and trees are signed.
    pub(crate) async fn sealed() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let log = open(&dir).await;
        let key = note::Signer::new("bench", &[1; 32]).unwrap();
        let signer = Signer::new(log.clone(), key, dir.path().join("signed")).unwrap();
        let stopping = CancellationToken::new();
        tokio::spawn(signer.run(stopping.clone()));
        Self { sessions: sessions(&log).await, log, _dir: dir, _signing: Some(stopping.drop_guard()) }
    }

    fn session(&self, number: usize) -> Arc<Session> {
        Arc::clone(&self.sessions[number % SESSIONS])
    }

    pub(crate) async fn slice(&self, offer: Offer) -> Vec<Appended> {
        let start = Instant::now();
        match offer {
            Offer::Flood(size) => {
                let lines = output(size);
                self.flood(|| read(&lines), start).await
            }
            Offer::AtHand(size) => self.flood(|| at_hand(size), start).await,
            Offer::PacedImports(rate, size) => self.paced_imports(rate, size, start).await,
            Offer::Paced(rate) => self.paced(rate, start).await,
            Offer::InFlight(tasks) => self.in_flight(tasks, start).await,
        }
    }

    /// As an import does: the next is made while this one becomes durable.
    async fn flood(&self, events: impl Fn() -> Shared, start: Instant) -> Vec<Appended> {
        let (session, place, mut all) = (self.session(0), self.sessions[0].place, Vec::new());
        let mut next = self.log.offer(place, events(), session.end().as_ref());
        while start.elapsed() < SLICE {
            if !next.fits(session.end().as_ref()) {
                next = self.log.offer(place, next.events(), session.end().as_ref());
            }
            let (log, predicted, offer) = (self.log.clone(), next.end().cloned(), next);
            let events_in_it = offer.events().len();
            // In a task of its own, so that the time to durable is not taken for that of making the next.
            let appending = tokio::spawn(async move {
                let begun = Instant::now();
                let end = log.import(place, offer, PROGRESS).await.unwrap();
                (end, begun.elapsed())
            });
            next = self.log.offer(place, events(), predicted.as_ref());
            let (end, took) = appending.await.unwrap();
            *session.end.lock().unwrap() = end;
            all.push((events_in_it, took.as_secs_f64() * 1e6));
        }
        all
    }

    async fn paced(&self, rate: u32, start: Instant) -> Vec<Appended> {
        let mut writing = JoinSet::new();
        for number in 0.. {
            let early = (Duration::from_secs(1) * number / rate).saturating_sub(start.elapsed());
            if early > Duration::ZERO {
                tokio::time::sleep(early).await;
            }
            if start.elapsed() >= SLICE {
                break;
            }
            let (log, session) = (self.log.clone(), self.session(number as usize));
            writing.spawn(async move { session.append_one(&log).await });
        }
        writing.join_all().await
    }

    async fn paced_imports(&self, rate: u32, size: usize, start: Instant) -> Vec<Appended> {
        let (session, lines, mut all) = (self.session(0), output(size), Vec::new());
        for number in 0.. {
            let offer = self.log.offer(session.place, read(&lines), session.end().as_ref());
            let due = start + Duration::from_secs(1) * number / rate;
            let early = due.saturating_duration_since(Instant::now());
            if early > Duration::ZERO {
                tokio::time::sleep(early).await;
            }
            if start.elapsed() >= SLICE {
                break;
            }
            // One that is late because of the one before waits since it was due.
            let begun = if early > Duration::ZERO { Instant::now() } else { due };
            let end = self.log.import(session.place, offer, PROGRESS).await.unwrap();
            *session.end.lock().unwrap() = end;
            all.push((size, begun.elapsed().as_secs_f64() * 1e6));
        }
        all
    }

    async fn in_flight(&self, tasks: usize, start: Instant) -> Vec<Appended> {
        let mut writing = JoinSet::new();
        for number in 0..tasks {
            let (log, session) = (self.log.clone(), self.session(number));
            writing.spawn(async move {
                let mut all = Vec::new();
                while start.elapsed() < SLICE {
                    all.push(session.append_one(&log).await);
                }
                all
            });
        }
        writing.join_all().await.concat()
    }
}
