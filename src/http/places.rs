//! How many connections there are, whose they are, and how fast each person asks.
//!
//! Invariant: a connection counts from its acceptance until its end, also when it has become a WebSocket: whoever serves it
//! holds its [`Place`]. It counts as nobody's until a credential was shown on it. Every table here is bounded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::DoorLimits;

/// How many seconds' worth of requests may come at once: a page that opens asks for much.
const BURST_SECONDS: f64 = 5.0;
/// People whose pace is remembered; beyond it those who have been quiet are forgotten.
const PACES_MAX: usize = 4_096;

/// What there is too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// All places are taken.
    #[error("{0} connections are open, the most that this gateway takes (--max-connections); come back later")]
    Connections(usize),
    /// All places for those without a credential are taken.
    #[error(
        "{0} connections without a credential are open, the most that this gateway takes \
         (--max-connections-unauthenticated); come back later"
    )]
    Unauthenticated(usize),
}

/// Somebody has too much.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TooMuch {
    /// Too many connections.
    #[error("you have {0} connections open, the most for one person (--max-connections-per-identity); close some")]
    Connections(usize),
    /// Too many requests.
    #[error("too many requests: at most {per_second} a second (--requests-per-second); wait {wait_ms} ms")]
    Requests { per_second: u32, wait_ms: u64 },
}

struct Counts {
    open: usize,
    unauthenticated: usize,
    of: HashMap<String, usize>,
    paces: HashMap<String, Pace>,
}

struct Pace {
    left: f64,
    counted: Instant,
}

/// All places.
pub(super) struct Places {
    limits: DoorLimits,
    counts: Mutex<Counts>,
}

/// One connection's place.
pub(super) struct Place {
    places: Arc<Places>,
    peer: SocketAddr,
    who: Mutex<Option<String>>,
}

impl Places {
    pub(super) fn new(limits: DoorLimits) -> Self {
        let counts = Counts { open: 0, unauthenticated: 0, of: HashMap::new(), paces: HashMap::new() };
        Self { limits, counts: Mutex::new(counts) }
    }

    /// A place for a new connection.
    pub(super) fn enter(self: &Arc<Self>, peer: SocketAddr) -> Result<Arc<Place>, Full> {
        let mut counts = lock(&self.counts);
        if counts.open >= self.limits.connections {
            return Err(Full::Connections(self.limits.connections));
        }
        if counts.unauthenticated >= self.limits.unauthenticated {
            return Err(Full::Unauthenticated(self.limits.unauthenticated));
        }
        counts.open += 1;
        counts.unauthenticated += 1;
        Ok(Arc::new(Place { places: Arc::clone(self), peer, who: Mutex::new(None) }))
    }
}

impl Counts {
    fn leave(&mut self, who: Option<&str>) {
        let Some(who) = who else {
            self.unauthenticated -= 1;
            return;
        };
        if let Some(count) = self.of.get_mut(who) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(who);
            }
        }
    }

    fn pace(&mut self, who: &str, per_second: u32, now: Instant) -> Result<(), TooMuch> {
        let rate = f64::from(per_second);
        let full = rate * BURST_SECONDS;
        if self.paces.len() >= PACES_MAX && !self.paces.contains_key(who) {
            self.paces.retain(|_, pace| now.saturating_duration_since(pace.counted) < Duration::from_secs(5));
            if self.paces.len() >= PACES_MAX {
                self.paces.clear();
            }
        }
        let pace = self.paces.entry(who.to_owned()).or_insert(Pace { left: full, counted: now });
        pace.left = (pace.left + now.saturating_duration_since(pace.counted).as_secs_f64() * rate).min(full);
        pace.counted = now;
        if pace.left >= 1.0 {
            pace.left -= 1.0;
            return Ok(());
        }
        let wait = Duration::from_secs_f64((1.0 - pace.left) / rate);
        Err(TooMuch::Requests { per_second, wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) })
    }
}

impl Place {
    /// From where the connection comes: the next hop, which may be a proxy.
    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// A request with this person's credential came.
    pub(super) fn request_of(&self, who: &str) -> Result<(), TooMuch> {
        let limits = self.places.limits;
        let mut now = lock(&self.who);
        let mut counts = lock(&self.places.counts);
        counts.pace(who, limits.requests_per_second, Instant::now())?;
        if now.as_deref() == Some(who) {
            return Ok(());
        }
        if counts.of.get(who).is_some_and(|count| *count >= limits.per_identity) {
            return Err(TooMuch::Connections(limits.per_identity));
        }
        counts.leave(now.as_deref());
        *counts.of.entry(who.to_owned()).or_default() += 1;
        *now = Some(who.to_owned());
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let who = lock(&self.who).take();
        let mut counts = lock(&self.places.counts);
        counts.open -= 1;
        counts.leave(who.as_deref());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that these locks guard is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

    fn places() -> Arc<Places> {
        let limits = DoorLimits { connections: 4, per_identity: 2, unauthenticated: 2, requests_per_second: 10 };
        Arc::new(Places::new(limits))
    }

    #[test]
    fn connections_count_for_somebody_and_give_their_places_back() {
        let places = places();
        let (a, b) = (places.enter(PEER).unwrap(), places.enter(PEER).unwrap());
        assert_eq!(places.enter(PEER).err(), Some(Full::Unauthenticated(2)));
        a.request_of("ana").unwrap();
        b.request_of("ana").unwrap();
        let (c, d) = (places.enter(PEER).unwrap(), places.enter(PEER).unwrap());
        assert_eq!(c.request_of("ana"), Err(TooMuch::Connections(2)));
        c.request_of("ben").unwrap();
        assert_eq!(places.enter(PEER).err(), Some(Full::Connections(4)));
        a.request_of("ben").unwrap();
        d.request_of("ana").unwrap();
        drop((a, b, c, d));
        let counts = lock(&places.counts);
        assert_eq!((counts.open, counts.unauthenticated, counts.of.len()), (0, 0, 0));
    }

    #[test]
    fn who_asks_too_fast_waits() {
        let places = places();
        let mut counts = lock(&places.counts);
        let now = Instant::now();
        assert!((0..50).all(|_| counts.pace("ana", 10, now).is_ok()));
        assert_eq!(counts.pace("ana", 10, now), Err(TooMuch::Requests { per_second: 10, wait_ms: 100 }));
        assert!(counts.pace("ben", 10, now).is_ok());
        assert!(counts.pace("ana", 10, now + Duration::from_millis(100)).is_ok());
        for name in 0..10_000 {
            assert!(counts.pace(&name.to_string(), 10, now).is_ok());
        }
        assert!(counts.paces.len() <= PACES_MAX);
    }
}
