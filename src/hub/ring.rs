//! The newest frames of one session, bounded in bytes, already encoded.
//!
//! Invariant: the ring's chunks follow each other without a hole; what it cannot answer without a hole it does not answer.

use std::collections::VecDeque;

use crate::frames::Chunk;
use crate::ids::Seq;

/// What one followed session may keep in memory, bytes. A tunable: viewers further behind read from the log.
const RING_BYTES_MAX: usize = 512 << 10;

#[derive(Default)]
pub(super) struct Ring {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push_all(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks {
            self.push(chunk);
        }
    }

    fn push(&mut self, chunk: Chunk) {
        if self.chunks.back().is_some_and(|newest| newest.last().next() != chunk.first()) {
            self.chunks.clear();
            self.bytes = 0;
        }
        self.bytes += chunk.wire().len();
        self.chunks.push_back(chunk);
        while self.bytes > RING_BYTES_MAX && self.chunks.len() > 1 {
            if let Some(oldest) = self.chunks.pop_front() {
                self.bytes -= oldest.wire().len();
            }
        }
    }

    pub(super) fn after(&self, after: Seq, bytes_max: usize) -> Option<Vec<Chunk>> {
        let oldest = self.chunks.front()?.first();
        if after.next() < oldest {
            return None;
        }
        let start = self.chunks.partition_point(|chunk| chunk.last() <= after);
        let (mut bytes, mut after) = (0, after);
        let mut taken = Vec::new();
        for chunk in self.chunks.range(start..) {
            if bytes >= bytes_max {
                break;
            }
            let chunk = chunk.after(after)?;
            bytes += chunk.wire().len();
            after = chunk.last();
            taken.push(chunk);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frames::ChunkBuilder;

    proptest! {
        /// The ring against the plainest model: all frames ever pushed.
        #[test]
        fn answers_are_contiguous_and_right(
            batches in prop::collection::vec((1usize..20, 1usize..60_000), 1..40), after in 0u64..400, bytes_max in 1usize..300_000,
        ) {
            let mut ring = Ring::default();
            let mut last = 0u64;
            for (count, size) in batches {
                let mut builder = ChunkBuilder::new(Seq(last + 1));
                for _ in 0..count {
                    last += 1;
                    builder.push(&format!(r#"{{"seq":{last},"x":"{}"}}"#, "x".repeat(size / count)));
                }
                ring.push(builder.finish().unwrap());
            }
            let after = Seq(after.min(last));
            let Some(chunks) = ring.after(after, bytes_max) else {
                prop_assert!(after.next() < ring.chunks[0].first());
                return Ok(());
            };
            let mut expected = after;
            for record in chunks.iter().flat_map(Chunk::records) {
                expected = expected.next();
                let wanted = format!("{{\"seq\":{expected},");
                prop_assert!(record.starts_with(wanted.as_bytes()));
            }
            prop_assert!(after == Seq(last) || expected > after, "something is always given");
        }
    }
}
