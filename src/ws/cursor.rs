//! Where one viewer stands in one session's log. Pure.
//!
//! Invariant: what is taken follows what was taken before, without a hole and without a repetition; "caught up" is said
//! once, when all that was in the log at the time of attaching has been taken.

use crate::frames::Chunk;
use crate::ids::Seq;

/// A viewer's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    taken: Seq,
    /// The head when the viewer attached; `None` once it was told that it has caught up.
    replay_until: Option<Seq>,
}

impl Cursor {
    /// A viewer that has everything up to `after` and finds the log at `head`.
    pub fn new(after: Seq, head: Seq) -> Self {
        Self { taken: after, replay_until: Some(head) }
    }

    /// The last seq that was taken.
    pub fn taken(self) -> Seq {
        self.taken
    }

    /// Whether there is something to take when the log stands at `head`.
    pub fn is_behind(self, head: Seq) -> bool {
        self.taken < head
    }

    /// Takes the chunk, or the part of it that follows; `None` when it does not follow.
    pub fn take(&mut self, chunk: &Chunk) -> Option<Chunk> {
        let next = chunk.after(self.taken)?;
        self.taken = next.last();
        Some(next)
    }

    /// Once, when the replay is over: the last seq that was taken.
    pub fn caught_up(&mut self) -> Option<Seq> {
        let until = self.replay_until?;
        if self.taken < until {
            return None;
        }
        self.replay_until = None;
        Some(self.taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frames::ChunkBuilder;

    fn chunk(first: u64, count: u64) -> Chunk {
        let mut builder = ChunkBuilder::new(Seq(first));
        (first..first + count).for_each(|seq| builder.push(&format!(r#"{{"seq":{seq}}}"#)));
        builder.finish().unwrap()
    }

    proptest! {
        /// Whatever chunks are offered, in whatever order and however they overlap: what is taken is one run.
        #[test]
        fn takes_one_run(after in 0u64..50, head in 0u64..60, offers in prop::collection::vec((1u64..60, 1u64..20), 0..60)) {
            let (after, head) = (after.min(head), head);
            let mut cursor = Cursor::new(Seq(after), Seq(head));
            let (mut model, mut told) = (after, 0);
            for (first, count) in offers {
                if let Some(taken) = cursor.take(&chunk(first, count)) {
                    prop_assert_eq!(taken.first(), Seq(model + 1));
                    prop_assert_eq!(taken.last(), Seq(first + count - 1));
                    model = taken.last().0;
                } else {
                    prop_assert!(first > model + 1 || first + count - 1 <= model, "a chunk that follows is taken");
                }
                if let Some(seq) = cursor.caught_up() {
                    told += 1;
                    prop_assert_eq!(seq, Seq(model));
                    prop_assert!(model >= head);
                }
            }
            prop_assert_eq!(told, u32::from(model >= head && told > 0));
            prop_assert_eq!(cursor.taken(), Seq(model));
        }
    }
}
