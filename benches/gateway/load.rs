//! The viewers: many WebSockets read by one thread, each event's seq checked.
//!
//! Invariant: an event that does not follow its predecessor fails the run. Cheap on purpose (one epoll, one buffer, no JSON),
//! so that it is not the load that is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{Timespec, epoll};

use crate::socket::{self, Opened, PATIENCE};
use crate::wire::{self, Event, Frame, FrameReader, ID_BYTES};

/// What one read brings at most, bytes.
const READ_BYTES: usize = 256 << 10;
/// A paced viewer's reads in a second.
const PACES_PER_S: u64 = 10;

/// How a viewer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// All that comes, as soon as it comes.
    Freely,
    /// Not at all.
    Frozen,
    /// So many bytes a second.
    Paced(u64),
}

/// One connection.
pub(crate) struct Viewer {
    stream: TcpStream,
    frames: FrameReader,
    /// An unfinished frame's beginning.
    rest: Vec<u8>,
    reading: Reading,
    next_pace: Instant,
    /// What it has of each session.
    seen: Vec<Seen>,
    /// How many of its sessions it has caught up with.
    caught_up: usize,
}

/// What a viewer has of one session.
struct Seen {
    session: [u8; ID_BYTES],
    /// The newest seq.
    seq: u64,
    /// The seq of the newest `turn_end`.
    ended: Option<u64>,
}

/// The session's place among those that the viewer has seen; a new one begins at seq 0.
fn place(seen: &mut Vec<Seen>, session: &[u8; ID_BYTES]) -> usize {
    seen.iter().position(|one| one.session == *session).unwrap_or_else(|| {
        seen.push(Seen { session: *session, seq: 0, ended: None });
        seen.len() - 1
    })
}

impl Viewer {
    fn newest(&self) -> u64 {
        self.seen.iter().map(|one| one.seq).max().unwrap_or(0)
    }

    /// Whether it saw the ends of the turns of so many sessions, each with this seq.
    pub(crate) fn has_ended(&self, sessions: usize, seq: u64) -> bool {
        self.seen.iter().filter(|one| one.ended == Some(seq)).count() == sessions
    }
}

/// All connections.
pub(crate) struct Load {
    epoll: OwnedFd,
    pub(crate) viewers: Vec<Viewer>,
    buffer: Vec<u8>,
    /// How many events came in all.
    pub(crate) deliveries: u64,
}

/// Now, nanoseconds since 1970: what the drill stamps with.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Load {
    pub(crate) fn new() -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, viewers: Vec::new(), buffer: vec![0; READ_BYTES * 2], deliveries: 0 })
    }

    /// So many viewers of a server that shows all that it has to whoever connects.
    pub(crate) fn connect(address: SocketAddr, count: usize) -> Result<Self> {
        let mut load = Self::new()?;
        for _ in 0..count {
            load.add(socket::open(address, "")?)?;
        }
        Ok(load)
    }

    /// So many viewers of one session of a gateway, all caught up.
    pub(crate) fn attach(address: SocketAddr, token: &str, session: &str, count: usize) -> Result<Self> {
        Self::attach_each(address, token, &vec![vec![session]; count])
    }

    /// One viewer for each list of sessions, all caught up.
    pub(crate) fn attach_each(address: SocketAddr, token: &str, lists: &[Vec<&str>]) -> Result<Self> {
        let mut load = Self::new()?;
        for sessions in lists {
            let viewer = load.add(socket::open(address, token)?)?;
            for session in sessions {
                load.send(viewer, &format!(r#"{{"type":"attach","session":"{session}","after":0}}"#))?;
            }
        }
        let all = |load: &Self| load.viewers.iter().zip(lists).all(|(viewer, list)| viewer.caught_up == list.len());
        load.run(PATIENCE, |_, _, _| {}, all).context("the viewers did not catch up")?;
        Ok(load)
    }

    /// Takes a connection in; gives its index.
    pub(crate) fn add(&mut self, opened: Opened) -> Result<usize> {
        let index = self.viewers.len();
        opened.stream.set_nonblocking(true)?;
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.epoll, &opened.stream, data, epoll::EventFlags::IN)?;
        self.viewers.push(Viewer {
            stream: opened.stream,
            frames: FrameReader::default(),
            rest: opened.head,
            reading: Reading::Freely,
            next_pace: Instant::now(),
            seen: Vec::new(),
            caught_up: 0,
        });
        Ok(index)
    }

    /// Sends a request. Requests are short: an empty socket buffer holds them.
    pub(crate) fn send(&mut self, viewer: usize, request: &str) -> Result<()> {
        Ok(self.viewers[viewer].stream.write_all(&wire::text(request))?)
    }

    /// Changes how a viewer reads.
    pub(crate) fn set_reading(&mut self, index: usize, reading: Reading) -> Result<()> {
        let viewer = &mut self.viewers[index];
        let was_free = std::mem::replace(&mut viewer.reading, reading) == Reading::Freely;
        let data = epoll::EventData::new_u64(index as u64);
        match (was_free, reading == Reading::Freely) {
            (true, false) => epoll::delete(&self.epoll, &viewer.stream)?,
            (false, true) => epoll::add(&self.epoll, &viewer.stream, data, epoll::EventFlags::IN)?,
            _ => {}
        }
        Ok(())
    }

    /// Reads until `is_done`, which is asked after every wake-up. `on_event` gets the viewer, the event and when it was
    /// read, nanoseconds since 1970.
    pub(crate) fn run(
        &mut self,
        limit: Duration,
        mut on_event: impl FnMut(usize, &Event<'_>, u64),
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut woken = Vec::with_capacity(1024);
        while !is_done(self) {
            ensure!(Instant::now() < deadline, "not done within {} s: {}", limit.as_secs(), self.standing());
            let pause = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
            woken.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut woken), Some(&pause))?;
            for event in &woken {
                let index = usize::try_from(event.data.u64())?;
                self.read(index, READ_BYTES, &mut on_event)?;
            }
            for index in self.due() {
                let Reading::Paced(bytes_per_s) = self.viewers[index].reading else { continue };
                self.read(index, usize::try_from(bytes_per_s / PACES_PER_S)?, &mut on_event)?;
            }
        }
        Ok(())
    }

    /// Paced viewers whose time to read has come.
    fn due(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let paced =
            self.viewers.iter_mut().enumerate().filter(|(_, viewer)| matches!(viewer.reading, Reading::Paced(_)));
        paced
            .filter(|(_, viewer)| viewer.next_pace <= now)
            .map(|(index, viewer)| {
                viewer.next_pace = now + Duration::from_millis(1_000 / PACES_PER_S);
                index
            })
            .collect()
    }

    fn read(
        &mut self,
        index: usize,
        bytes_max: usize,
        on_event: &mut impl FnMut(usize, &Event<'_>, u64),
    ) -> Result<()> {
        let viewer = &mut self.viewers[index];
        let kept = viewer.rest.len();
        ensure!(kept < READ_BYTES, "viewer {index}: a frame of more than {READ_BYTES} bytes");
        self.buffer[..kept].copy_from_slice(&viewer.rest);
        let read = match viewer.stream.read(&mut self.buffer[kept..kept + bytes_max]) {
            Ok(0) => bail!("viewer {index} was cut off at seq {}", viewer.newest()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("viewer {index}")),
        };
        let now = now_ns();
        let (mut trouble, mut pings, deliveries) = (None, 0, &mut self.deliveries);
        let (seen, caught_up) = (&mut viewer.seen, &mut viewer.caught_up);
        let bytes = &self.buffer[..kept + read];
        let used = viewer.frames.read(bytes, &mut |frame| match frame {
            Frame::Event(event) => {
                let place = place(seen, event.session);
                let one = &mut seen[place];
                if event.seq != one.seq + 1 {
                    trouble.get_or_insert_with(|| format!("seq {} came after {}", event.seq, one.seq));
                }
                one.seq = event.seq;
                *deliveries += 1;
                if event.is_turn_end() {
                    one.ended = Some(event.seq);
                }
                on_event(index, &event, now);
            }
            Frame::Other(text) if text.starts_with(r#"{"type":"caught_up""#) => *caught_up += 1,
            Frame::Other(text) if text.starts_with(r#"{"type":"error""#) => trouble = Some(text.to_owned()),
            Frame::Other(_) => {}
            Frame::Ping => pings += 1,
            Frame::Close(code) => trouble = Some(format!("closed with {code}")),
        });
        viewer.rest.clear();
        viewer.rest.extend_from_slice(&bytes[used..]);
        if let Some(trouble) = trouble {
            bail!("viewer {index}: {trouble}");
        }
        for _ in 0..pings {
            viewer.stream.write_all(&wire::PONG)?;
        }
        Ok(())
    }

    /// Whether every viewer saw the turn's end, with this seq.
    pub(crate) fn all_ended_at(&self, seq: u64) -> bool {
        self.viewers.iter().all(|viewer| viewer.has_ended(1, seq))
    }

    fn standing(&self) -> String {
        let seqs = self.viewers.iter().map(Viewer::newest);
        let ended = self.viewers.iter().filter(|viewer| viewer.seen.iter().any(|one| one.ended.is_some())).count();
        format!(
            "{} viewers stand between seq {} and {}, {ended} saw the turn's end",
            self.viewers.len(),
            seqs.clone().min().unwrap_or(0),
            seqs.max().unwrap_or(0)
        )
    }
}
