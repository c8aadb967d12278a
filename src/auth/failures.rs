//! Failed sign-ins, by address: the more there are, the slower the answer. Pure but for the time that is handed in.
//!
//! Invariant: the table is bounded, and nobody is locked out by somebody else: this slows answers to wrong credentials only;
//! a right one is never asked about here. (Guessing 256 random bits is hopeless anyway; what is saved is work and log lines.)

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Addresses that are remembered. When it is full the quietest is forgotten.
const ADDRESSES_MAX: usize = 4_096;
/// So many failures in a row are answered at once: people mistype.
const FREE: f64 = 10.0;
/// One failure is forgotten in so long.
const FORGET_ONE: Duration = Duration::from_secs(10);
/// The longest time that an answer is held back.
const HOLD_MAX: Duration = Duration::from_secs(2);
/// The longest time that a client is told to wait.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// What is thought of one more failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// How many there were in a row from this address, this one included.
    pub streak: u64,
    /// The answer is to be held back for so long, and is then to be "too many", with so long to wait.
    pub slowed: Option<Slowed>,
}

/// How an address is slowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowed {
    /// The answer is held back for so long.
    pub hold: Duration,
    /// The client is told to come back after so long.
    pub wait: Duration,
}

impl Failure {
    /// Whether this one goes on record: the first few of a row, then each time that their number has doubled, so that a
    /// flood does not fill the disk.
    pub fn is_recorded(self) -> bool {
        const ALWAYS: u64 = 5;
        self.streak <= ALWAYS || self.streak.is_power_of_two()
    }
}

#[derive(Debug)]
struct Entry {
    level: f64,
    streak: u64,
    last: Instant,
}

impl Entry {
    fn level_at(&self, now: Instant) -> f64 {
        let forgotten = now.saturating_duration_since(self.last).as_secs_f64() / FORGET_ONE.as_secs_f64();
        (self.level - forgotten).max(0.0)
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Failures {
    entries: HashMap<IpAddr, Entry>,
}

/// Whoever has one IPv6 address has a whole /64 of them.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => four.into(),
        IpAddr::V6(six) => std::net::Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

impl Failures {
    /// One more from this address.
    pub(super) fn failed(&mut self, address: IpAddr, now: Instant) -> Failure {
        let block = block(address);
        if !self.entries.contains_key(&block) && self.entries.len() >= ADDRESSES_MAX {
            self.forget_quietest(now);
        }
        let entry = self.entries.entry(block).or_insert(Entry { level: 0.0, streak: 0, last: now });
        let level = entry.level_at(now);
        entry.streak = if level > 0.0 { entry.streak + 1 } else { 1 };
        entry.level = level + 1.0;
        entry.last = now;
        let over = entry.level - FREE;
        let slowed = (over > 0.0).then(|| Slowed {
            hold: Duration::from_millis(100).mul_f64(over.min(1_000.0)).min(HOLD_MAX),
            wait: FORGET_ONE.mul_f64(over.min(1_000.0)).min(WAIT_MAX),
        });
        Failure { streak: entry.streak, slowed }
    }

    fn forget_quietest(&mut self, now: Instant) {
        let level = |entry: &Entry| entry.level_at(now);
        let quietest = self.entries.iter().min_by(|(_, a), (_, b)| level(a).total_cmp(&level(b)));
        if let Some(address) = quietest.map(|(address, _)| *address) {
            self.entries.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn a_few_mistakes_are_free_more_are_slow_and_time_forgives() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        assert!((0..10).all(|_| failures.failed(HOME, now).slowed.is_none()));
        let eleventh = failures.failed(HOME, now);
        assert_eq!(eleventh.streak, 11);
        let slowed = Slowed { hold: Duration::from_millis(100), wait: Duration::from_secs(10) };
        assert_eq!(eleventh.slowed, Some(slowed));
        let many = (0..5_000).map(|_| failures.failed(HOME, now)).last().unwrap();
        assert_eq!(many.slowed, Some(Slowed { hold: HOLD_MAX, wait: WAIT_MAX }));
        let other: IpAddr = "127.0.0.2".parse().unwrap();
        assert_eq!(failures.failed(other, now), Failure { streak: 1, slowed: None });
        let later = now + FORGET_ONE * 6_000;
        assert_eq!(failures.failed(HOME, later), Failure { streak: 1, slowed: None });
    }

    #[test]
    fn one_ipv6_network_is_one_address_and_the_table_is_bounded() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let six = |high: u128, low: u128| IpAddr::from(std::net::Ipv6Addr::from_bits((high << 64) | low));
        assert_eq!(failures.failed(six(7, 1), now).streak, 1);
        assert_eq!(failures.failed(six(7, 2), now).streak, 2);
        assert_eq!(failures.failed("::ffff:127.0.0.1".parse().unwrap(), now).streak, 1);
        assert_eq!(failures.failed(HOME, now).streak, 2, "a mapped address is the same one");
        for network in 0..20_000u128 {
            failures.failed(six(network + 100, 1), now);
        }
        assert_eq!(failures.entries.len(), ADDRESSES_MAX);
        assert_eq!(failures.failed(HOME, now).streak, 3, "who fails most is not forgotten");
    }

    #[test]
    fn a_flood_leaves_few_rows() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        let rows = (0..100_000).filter(|_| failures.failed(HOME, now).is_recorded()).count();
        assert_eq!(rows, 5 + 14, "1 to 5, then 8, 16 … 65536");
    }
}
