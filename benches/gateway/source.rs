//! The publisher of the reference: the same messages as the gateway sends, at the same rate, over one TCP connection.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use uuid::Uuid;

use crate::cpu;
use crate::load::now_ns;

/// How much is gathered for one write when nothing throttles it: what the drill does too.
const BATCH_BYTES: usize = 64 << 10;

/// What to publish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) events: u64,
    /// How many a second; `None`: as fast as it goes.
    pub(crate) rate: Option<u64>,
    /// Bytes of each text.
    pub(crate) text_bytes: usize,
}

impl Flow {
    /// The drill's directive for it.
    pub(crate) fn directive(&self) -> String {
        let Self { events, rate, text_bytes } = self;
        let rate = rate.map(|rate| format!(" rate:{rate}")).unwrap_or_default();
        format!("[[events:{events}{rate} size:{text_bytes} stamp:1]]")
    }

    /// Events of the gateway's turn: these, and `user`, `session`, `result`, `turn_end`.
    pub(crate) fn turn_events(&self) -> u64 {
        self.events + 4
    }

    /// How long it may take, with much to spare.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(60 + self.rate.map_or(60, |rate| 2 * self.events / rate))
    }

    /// Publishes it all, one JSON text a line, then a `turn_end`.
    pub(crate) fn publish(self, to: SocketAddr) -> thread::JoinHandle<Result<()>> {
        thread::spawn(move || {
            cpu::pin(cpu::LOAD_CORE)?;
            let mut stream = TcpStream::connect(to)?;
            stream.set_nodelay(true)?;
            let (session, turn) = (Uuid::new_v4(), Uuid::new_v4());
            let start = Instant::now();
            let mut lines = String::with_capacity(BATCH_BYTES * 2);
            for seq in 1..=self.events + 1 {
                if let Some(rate) = self.rate {
                    let due = Duration::from_secs_f64((seq - 1) as f64 / rate as f64);
                    thread::sleep(due.saturating_sub(start.elapsed()));
                }
                write!(
                    lines,
                    r#"{{"type":"event","session":"{session}","seq":{seq},"time":"2026-11-21T03:14:15.926Z","turn":"{turn}","kind":""#
                )?;
                if seq > self.events {
                    lines.push_str("turn_end\"}\n");
                } else {
                    let from = lines.len() + r#"text","text":""#.len();
                    write!(lines, r##"text","text":"#{seq} t={} "##, now_ns())?;
                    let missing = self.text_bytes.saturating_sub(lines.len() - from);
                    lines.extend(std::iter::repeat_n('x', missing));
                    lines.push_str("\"}\n");
                }
                if self.rate.is_some() || lines.len() >= BATCH_BYTES || seq > self.events {
                    stream.write_all(lines.as_bytes())?;
                    lines.clear();
                }
            }
            Ok(())
        })
    }
}
