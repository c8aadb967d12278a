//! Records as they stand on a WebSocket: encoded once, shared by all viewers, live or replayed.
//!
//! Invariant: a chunk is a run of consecutive seqs of one session; its bytes are whole server frames (RFC 6455 section 5.2:
//! FIN, text, unmasked), each `{"type":"event",` followed by the record without its opening brace. Knows nothing of sockets.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::Seq;

const EVENT_START: &str = r#"{"type":"event","#;
/// FIN and opcode text.
const TEXT: u8 = 0x81;

/// Appends a text frame's header for so many payload bytes.
fn put_header(into: &mut BytesMut, payload_bytes: usize) {
    into.put_u8(TEXT);
    match payload_bytes {
        0..=125 => into.put_u8(payload_bytes as u8),
        126..=0xffff => {
            into.put_u8(126);
            into.put_u16(payload_bytes as u16);
        }
        _ => {
            into.put_u8(127);
            into.put_u64(payload_bytes as u64);
        }
    }
}

/// One whole text frame.
pub fn text_frame(payload: &str) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    put_header(&mut frame, payload.len());
    frame.put_slice(payload.as_bytes());
    frame.freeze()
}

/// A control frame's payload is at most so long (RFC 6455 section 5.5), bytes.
const CONTROL_BYTES_MAX: usize = 125;

/// A ping without payload.
pub fn ping_frame() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

/// A close with its code, and as much of the reason as fits.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let reason = &reason[..reason.floor_char_boundary(CONTROL_BYTES_MAX - 2)];
    let mut frame = BytesMut::with_capacity(4 + reason.len());
    frame.put_u8(0x88);
    frame.put_u8(2 + reason.len() as u8);
    frame.put_u16(code);
    frame.put_slice(reason.as_bytes());
    frame.freeze()
}

/// Consecutive events, ready to be written. A clone shares the bytes.
#[derive(Clone)]
pub struct Chunk {
    wire: Bytes,
    /// Where each event's payload lies in the whole buffer that `wire` was cut from.
    payloads: Arc<[Range<u32>]>,
    /// The first seq of `payloads`.
    base: Seq,
    /// The first seq of this view of it.
    first: Seq,
    /// The offset of `wire` in the whole buffer.
    cut: u32,
}

impl Chunk {
    /// The first seq in it.
    pub fn first(&self) -> Seq {
        self.first
    }

    /// The last seq in it.
    pub fn last(&self) -> Seq {
        Seq(self.base.0 + self.payloads.len() as u64 - 1)
    }

    /// How many events it holds.
    pub fn count(&self) -> u64 {
        self.last().0 - self.first.0 + 1
    }

    /// WebSocket frames, whole ones.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// The part behind `after`; `None` when that is nothing, or when a hole would lie between.
    pub fn after(&self, after: Seq) -> Option<Self> {
        if after.next() == self.first {
            return Some(self.clone());
        }
        if after < self.first || after >= self.last() {
            return None;
        }
        let previous = self.payloads.get((after.0 - self.base.0) as usize)?;
        let wire = self.wire.slice((previous.end - self.cut) as usize..);
        Some(Self {
            wire,
            payloads: Arc::clone(&self.payloads),
            base: self.base,
            first: after.next(),
            cut: previous.end,
        })
    }

    /// The records with their seqs' order: JSON objects without their opening brace, and the whole frame is in `wire`.
    fn tails(&self) -> impl Iterator<Item = &[u8]> {
        let skipped = (self.first.0 - self.base.0) as usize;
        let start = EVENT_START.len();
        self.payloads[skipped..].iter().filter_map(move |payload| {
            let (from, to) = ((payload.start - self.cut) as usize, (payload.end - self.cut) as usize);
            self.wire.get(from + start..to)
        })
    }

    /// The records' own bytes, as stored.
    pub fn records(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.tails().map(|tail| [b"{", tail].concat())
    }
}

/// Collects records into a [`Chunk`].
pub struct ChunkBuilder {
    wire: BytesMut,
    payloads: Vec<Range<u32>>,
    first: Seq,
}

impl ChunkBuilder {
    /// An empty chunk whose first record will have this seq.
    pub fn new(first: Seq) -> Self {
        Self { wire: BytesMut::new(), payloads: Vec::new(), first }
    }

    /// Adds the record with the next seq: one JSON object.
    pub fn push(&mut self, record: &str) {
        let tail = record.strip_prefix('{').unwrap_or(record);
        let payload_bytes = EVENT_START.len() + tail.len();
        self.wire.reserve(payload_bytes + 10);
        put_header(&mut self.wire, payload_bytes);
        let start = self.wire.len();
        self.wire.put_slice(EVENT_START.as_bytes());
        self.wire.put_slice(tail.as_bytes());
        self.payloads.push(start as u32..self.wire.len() as u32);
    }

    /// Bytes collected so far.
    pub fn bytes(&self) -> usize {
        self.wire.len()
    }

    /// The chunk; `None` when nothing was added.
    pub fn finish(self) -> Option<Chunk> {
        if self.payloads.is_empty() {
            return None;
        }
        let (payloads, base) = (self.payloads.into(), self.first);
        Some(Chunk { wire: self.wire.freeze(), payloads, base, first: base, cut: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(sizes: &[usize]) -> Chunk {
        let mut builder = ChunkBuilder::new(Seq(10));
        for (index, size) in sizes.iter().enumerate() {
            builder.push(&format!(r#"{{"seq":{},"x":"{}"}}"#, 10 + index, "y".repeat(*size)));
        }
        builder.finish().unwrap()
    }

    #[test]
    fn frames_carry_the_right_length_at_every_boundary() {
        for size in [0, 90, 91, 92, 93, 94, 95, 96, 97, 98, 125, 126, 65_500, 65_535, 65_536, 200_000] {
            let chunk = chunk(&[size]);
            let wire = chunk.wire();
            let (header, length) = match wire[1] {
                126 => (4, usize::from(u16::from_be_bytes([wire[2], wire[3]]))),
                127 => (10, u64::from_be_bytes(wire[2..10].try_into().unwrap()) as usize),
                small => (2, usize::from(small)),
            };
            assert_eq!(wire[0], 0x81);
            assert_eq!(wire.len(), header + length, "{size}");
            assert!(wire[header..].starts_with(EVENT_START.as_bytes()));
        }
    }

    #[test]
    fn a_chunk_can_be_entered_anywhere() {
        let whole = chunk(&[5, 100, 70_000, 3]);
        assert_eq!((whole.first(), whole.last()), (Seq(10), Seq(13)));
        assert!(whole.after(Seq(13)).is_none(), "nothing is left");
        assert!(whole.after(Seq(8)).is_none(), "a hole");
        let records: Vec<_> = whole.records().collect();
        for after in 9..13u64 {
            let part = whole.after(Seq(after)).unwrap();
            assert_eq!(part.first(), Seq(after + 1));
            assert_eq!(part.records().collect::<Vec<_>>(), records[(after - 9) as usize..]);
            let again = part.after(Seq(12)).unwrap();
            assert_eq!(again.records().collect::<Vec<_>>(), records[3..]);
        }
    }
}
