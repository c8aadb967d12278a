//! Reads server frames as cheaply as it can be done: what an event says of itself stands at fixed places near its beginning,
//! so the rest of it is skipped, not looked at.

/// An event's frame begins with this, and the session's id follows.
const EVENT_START: &[u8] = br#"{"type":"event","session":""#;
/// A session's id, as text.
pub(crate) const ID_BYTES: usize = 36;
/// Where the seq's digits stand: behind the id and `","seq":`.
const SEQ_AT: usize = EVENT_START.len() + ID_BYTES + 8;
/// From the end of the seq to the kind: `,"time":"` and 24, `","turn":"` and 36, `","kind":"`.
const KIND_BEHIND_SEQ: usize = 9 + 24 + 10 + 36 + 10;
/// So much of an event is looked at, bytes: envelope, kind, and a stamp at the beginning of its text.
const LOOK_BYTES: usize = 280;

/// The beginning of an event's frame.
pub(crate) struct Event<'a> {
    pub(crate) session: &'a [u8; ID_BYTES],
    pub(crate) seq: u64,
    behind_seq: &'a [u8],
}

impl<'a> Event<'a> {
    fn read(payload: &'a [u8]) -> Option<Self> {
        let digits = payload.get(SEQ_AT..)?;
        let (mut seq, mut at) = (0u64, 0);
        while let Some(digit @ b'0'..=b'9') = digits.get(at) {
            seq = seq.wrapping_mul(10) + u64::from(digit - b'0');
            at += 1;
        }
        let session = payload.get(EVENT_START.len()..)?.first_chunk()?;
        (at > 0).then_some(Self { session, seq, behind_seq: &digits[at..] })
    }

    fn kind_on(&self) -> &'a [u8] {
        self.behind_seq.get(KIND_BEHIND_SEQ..).unwrap_or_default()
    }

    /// Whether this is the last event of a turn.
    pub(crate) fn is_turn_end(&self) -> bool {
        self.kind_on().starts_with(b"turn_end\"")
    }

    /// The wall-clock nanoseconds that the drill put into its text.
    pub(crate) fn stamp_ns(&self) -> Option<u64> {
        let text = self.kind_on().strip_prefix(b"text\"")?;
        let at = memchr::memmem::find(text, b" t=")? + 3;
        let digits = &text[at..];
        let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
    }
}

/// One frame, or as much of it as matters.
pub(crate) enum Frame<'a> {
    Event(Event<'a>),
    /// A whole text frame that is no event.
    Other(&'a str),
    Ping,
    Close(u16),
}

/// Takes frames out of a byte stream.
#[derive(Default)]
pub(crate) struct FrameReader {
    /// The rest of an event that was seen already.
    skip_bytes: usize,
}

impl FrameReader {
    /// Gives every frame that can be told by now; returns how many bytes are used up. The rest is to be offered again, with
    /// more behind it.
    pub(crate) fn read(&mut self, bytes: &[u8], on_frame: &mut dyn FnMut(Frame<'_>)) -> usize {
        let mut at = 0;
        loop {
            let skipped = self.skip_bytes.min(bytes.len() - at);
            self.skip_bytes -= skipped;
            at += skipped;
            let Some((header, length)) = header(&bytes[at..]) else { return at };
            let payload = &bytes[at + header..];
            let is_text = bytes[at] & 0x0f == 1;
            let look = if is_text && payload.starts_with(EVENT_START) { LOOK_BYTES.min(length) } else { length };
            if payload.len() < look {
                return at;
            }
            match (bytes[at] & 0x0f, Event::read(&payload[..look])) {
                (1, Some(event)) if payload.starts_with(EVENT_START) => on_frame(Frame::Event(event)),
                (1, _) => on_frame(Frame::Other(std::str::from_utf8(&payload[..look]).unwrap_or_default())),
                (9, _) => on_frame(Frame::Ping),
                (8, _) => {
                    let code = payload[..look].first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    on_frame(Frame::Close(code));
                }
                _ => {}
            }
            at += header + look;
            self.skip_bytes = length - look;
        }
    }
}

/// A server frame's header: its own length and its payload's (RFC 6455 section 5.2; servers do not mask).
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? {
        126 => Some((4, usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)))),
        127 => Some((10, usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).ok()?)),
        small => Some((2, usize::from(*small))),
    }
}

/// A client's text frame. Its mask is zero, which leaves the payload as it is.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload.as_bytes());
    frame
}

/// An empty pong.
pub(crate) const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
