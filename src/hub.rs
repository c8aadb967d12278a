//! Where every followed session's log stands: the head, and the newest frames, shared by all who watch.
//!
//! Invariant: a head is monotone and never ahead of what is durable; the log's writer publishes only what it has committed.
//! Announces positions, never payloads: a reader that wakes fetches from its own cursor, from the ring of recent frames or
//! from the log. Knows nothing of who reads.

mod changes;
mod ring;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

pub use changes::{Changes, Version};
use ring::Ring;

use crate::frames::Chunk;
use crate::ids::{Seq, SessionId};

/// All topics that somebody follows. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct Hub {
    topics: Arc<Mutex<HashMap<SessionId, Weak<Topic>>>>,
    changes: Arc<Changes>,
}

/// One followed session. Lives as long as somebody holds it.
pub struct Topic {
    session: SessionId,
    head: watch::Sender<Seq>,
    ring: Mutex<Ring>,
    topics: Weak<Mutex<HashMap<SessionId, Weak<Topic>>>>,
}

impl Hub {
    /// The session's topic, made if nobody follows it yet. Whoever makes it must read the log's head afterwards and
    /// [`Topic::raise`] it: then no commit falls between the two.
    pub fn topic(&self, session: SessionId) -> Arc<Topic> {
        let mut topics = lock(&self.topics);
        if let Some(topic) = topics.get(&session).and_then(Weak::upgrade) {
            return topic;
        }
        let topic = Arc::new(Topic {
            session,
            head: watch::Sender::new(Seq::ZERO),
            ring: Mutex::new(Ring::default()),
            topics: Arc::downgrade(&self.topics),
        });
        topics.insert(session, Arc::downgrade(&topic));
        topic
    }

    /// Called by the log's writer, after the commit: these frames are durable.
    pub(crate) fn publish(&self, session: SessionId, chunks: Vec<Chunk>) {
        let topic = lock(&self.topics).get(&session).and_then(Weak::upgrade);
        if let (Some(topic), Some(newest)) = (topic, chunks.last()) {
            let head = newest.last();
            lock(&topic.ring).push_all(chunks);
            topic.raise(head);
        }
        self.changes.touch(session);
    }

    /// Drops the session's recent frames: what the log does not hold any more must not be shown from memory.
    pub(crate) fn forget(&self, session: SessionId) {
        if let Some(topic) = lock(&self.topics).get(&session).and_then(Weak::upgrade) {
            *lock(&topic.ring) = Ring::default();
        }
    }

    /// Something in the session's summary changed.
    pub fn touch(&self, session: SessionId) {
        self.changes.touch(session);
    }

    /// Which sessions changed, and when.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }
}

impl Topic {
    /// Moves the head forward; never back.
    pub fn raise(&self, head: Seq) {
        self.head.send_if_modified(|now| {
            let moved = head > *now;
            *now = (*now).max(head);
            moved
        });
    }

    /// The newest durable seq.
    pub fn head(&self) -> Seq {
        *self.head.borrow()
    }

    /// Wakes when the head moves; a move between two looks is never missed.
    pub fn follow(&self) -> watch::Receiver<Seq> {
        self.head.subscribe()
    }

    /// Recent frames that follow `after` without a hole, at most about `bytes_max` (always at least one if there is one).
    /// `None`: the log must be asked.
    pub fn recent(&self, after: Seq, bytes_max: usize) -> Option<Vec<Chunk>> {
        lock(&self.ring).after(after, bytes_max)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let Some(topics) = self.topics.upgrade() else { return };
        let mut topics = lock(&topics);
        // A new topic may have taken the place already.
        if topics.get(&self.session).is_some_and(|topic| topic.strong_count() == 0) {
            topics.remove(&self.session);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that these locks guard is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;
    use crate::frames::ChunkBuilder;

    fn chunk(first: u64, last: u64) -> Chunk {
        let mut builder = ChunkBuilder::new(Seq(first));
        for seq in first..=last {
            builder.push(&format!(r#"{{"seq":{seq}}}"#));
        }
        builder.finish().unwrap()
    }

    #[test]
    fn head_never_goes_back_and_topics_end_with_their_followers() {
        let hub = Hub::default();
        let session = SessionId::random();
        let topic = hub.topic(session);
        topic.raise(Seq(5));
        topic.raise(Seq(3));
        assert_eq!(topic.head(), Seq(5));
        hub.publish(session, vec![chunk(6, 8)]);
        assert_eq!(topic.head(), Seq(8));
        assert!(Arc::ptr_eq(&topic, &hub.topic(session)));
        drop(topic);
        assert_eq!(lock(&hub.topics).len(), 0);
        assert_eq!(hub.topic(session).head(), Seq::ZERO);
    }

    #[test]
    fn publishing_wakes_followers_and_fills_the_ring() {
        let hub = Hub::default();
        let session = SessionId::random();
        let topic = hub.topic(session);
        let follower = topic.follow();
        hub.publish(session, vec![chunk(1, 3)]);
        assert!(follower.has_changed().unwrap());
        let chunks = topic.recent(Seq(1), 1 << 20).unwrap();
        assert_eq!((chunks[0].first(), chunks[0].last()), (Seq(2), Seq(3)));
        assert!(topic.recent(Seq(3), 1 << 20).unwrap().is_empty());
    }

    /// Somebody who comes, stays for a few wake-ups, goes and comes again, until everything was seen.
    async fn look(hub: Hub, session: SessionId, committed: Arc<AtomicU64>, stay: usize) {
        let mut taken = Seq::ZERO;
        while taken < Seq(EVENTS) {
            let topic = hub.topic(session);
            topic.raise(Seq(committed.load(Ordering::SeqCst)));
            let mut follower = topic.follow();
            for _ in 0..stay {
                if taken == Seq(EVENTS) {
                    return;
                }
                let woken =
                    tokio::time::timeout(Duration::from_secs(30), follower.wait_for(|head| *head > taken)).await;
                let head = *woken.expect("a wake-up was lost").unwrap();
                assert!(head.0 <= committed.load(Ordering::SeqCst), "the head is ahead of what is durable");
                match topic.recent(taken, 1 << 10) {
                    Some(chunks) if !chunks.is_empty() => {
                        for chunk in chunks {
                            assert_eq!(chunk.first(), taken.next(), "a hole in the ring");
                            taken = chunk.last();
                        }
                    }
                    // The ring does not reach back so far: the log does.
                    _ => taken = head,
                }
            }
        }
    }

    const EVENTS: u64 = 100_000;

    /// Real threads, in whatever order they come: nobody sees a hole, waits for what was announced, or sees too much.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn viewers_that_come_and_go_while_it_is_written_see_one_run() {
        let (hub, session, committed) = (Hub::default(), SessionId::random(), Arc::new(AtomicU64::new(0)));
        let mut viewers = JoinSet::new();
        for stay in [1, 2, 3, 7, 50, 1_000] {
            viewers.spawn(look(hub.clone(), session, Arc::clone(&committed), stay));
        }
        let writer = std::thread::spawn(move || {
            let mut last = 0;
            while last < EVENTS {
                let first = last + 1;
                last = (last + 1 + last % 7).min(EVENTS);
                committed.store(last, Ordering::SeqCst);
                hub.publish(session, vec![chunk(first, last)]);
                std::thread::yield_now();
            }
        });
        viewers.join_all().await;
        writer.join().unwrap();
    }
}
