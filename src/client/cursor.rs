//! Where a follower stands in one session's log: which event it has, and how to ask for the next. Pure.
//!
//! Invariant: the client's half of "every event, in order, once": a repeated event is known for one, a hole never passes.

use crate::ids::{Epoch, Seq, SessionId};
use crate::protocol::client::Attach;

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Behind this seq.
    After(Seq),
    /// With the newest so many events.
    Tail(u64),
}

/// A place in a log that is known to exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: Epoch,
    last: Seq,
}

/// A place in one session's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    session: SessionId,
    start: Start,
    place: Option<Place>,
}

/// What an event is to a follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The next one.
    New,
    /// One that it has.
    Known,
    /// One that does not follow.
    Hole,
}

impl Cursor {
    /// Before anything was seen.
    pub fn begin(session: SessionId, start: Start) -> Self {
        Self { session, start, place: None }
    }

    /// Behind an event of a known log.
    pub fn behind(session: SessionId, epoch: Epoch, last: Seq) -> Self {
        Self { session, start: Start::After(last), place: Some(Place { epoch, last }) }
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The newest seq seen or skipped; `None` before the gateway said where the log begins for this follower.
    pub fn last(&self) -> Option<Seq> {
        self.place.map(|place| place.last)
    }

    /// What to ask for.
    pub(super) fn request(&self) -> Attach {
        let (after, tail, epoch) = match (self.place, self.start) {
            (Some(place), _) => (Some(place.last), None, Some(place.epoch)),
            (None, Start::After(seq)) => (Some(seq), None, None),
            (None, Start::Tail(events)) => (None, Some(events), None),
        };
        Attach { session: self.session, after, tail, epoch }
    }

    /// The gateway will send from `from` on. `false`: that does not follow on what was seen.
    pub(super) fn attached(&mut self, epoch: Epoch, from: Seq) -> bool {
        let last = Seq(from.0.saturating_sub(1));
        let follows = self.place.is_none_or(|place| place == Place { epoch, last });
        if follows {
            self.place = Some(Place { epoch, last });
        }
        follows
    }

    /// An event came.
    pub(super) fn take(&mut self, seq: Seq) -> Step {
        let Some(place) = &mut self.place else { return Step::Hole };
        if seq <= place.last {
            return Step::Known;
        }
        if seq != place.last.next() {
            return Step::Hole;
        }
        place.last = seq;
        Step::New
    }

    /// Another log is there now: what was seen is void.
    pub(super) fn begin_anew(&mut self) {
        *self = Self::begin(self.session, Start::After(Seq::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session() -> SessionId {
        SessionId::random()
    }

    #[test]
    fn asks_for_what_was_wanted_and_then_from_where_it_stands() {
        let (epoch, mut cursor) = (Epoch::random(), Cursor::begin(session(), Start::Tail(5)));
        assert_eq!((cursor.request().tail, cursor.request().after, cursor.request().epoch), (Some(5), None, None));
        assert_eq!(cursor.take(Seq(1)), Step::Hole, "nothing may come before the answer to the attach");
        assert!(cursor.attached(epoch, Seq(8)));
        assert_eq!(
            (cursor.take(Seq(8)), cursor.take(Seq(8)), cursor.take(Seq(10))),
            (Step::New, Step::Known, Step::Hole)
        );
        let again = cursor.request();
        assert_eq!((again.tail, again.after, again.epoch), (None, Some(Seq(8)), Some(epoch)));
        assert!(!cursor.attached(epoch, Seq(10)) && !cursor.attached(Epoch::random(), Seq(9)));
        cursor.begin_anew();
        assert_eq!((cursor.request().after, cursor.request().epoch), (Some(Seq::ZERO), None));
    }

    proptest! {
        #[test]
        fn what_passes_is_consecutive(seqs in proptest::collection::vec(0_u64..12, 0..60), from in 1_u64..6) {
            let mut cursor = Cursor::begin(session(), Start::After(Seq(from - 1)));
            prop_assert!(cursor.attached(Epoch::random(), Seq(from)));
            let passed: Vec<u64> = seqs.into_iter().filter(|seq| cursor.take(Seq(*seq)) == Step::New).collect();
            prop_assert_eq!(&passed, &(from..from + passed.len() as u64).collect::<Vec<_>>());
        }
    }
}
