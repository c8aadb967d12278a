//! Salts, drawn from the system's random source many at a time: a call for each record costs more than its hash.
//!
//! Invariant: no salt is given out twice. Knows nothing of what they are for.

use std::cell::RefCell;

use crate::evidence::leaf::{SALT_BYTES, Salt};

/// Salts drawn at once: 4 KiB of random bytes.
const DRAWN: usize = 256;

thread_local! {
    static DRAWN_AHEAD: RefCell<Vec<Salt>> = const { RefCell::new(Vec::new()) };
}

/// A salt that nobody had before.
///
/// # Errors
/// When the system has no random bytes.
pub(super) fn draw() -> rusqlite::Result<Salt> {
    DRAWN_AHEAD.with_borrow_mut(|ahead| {
        if let Some(salt) = ahead.pop() {
            return Ok(salt);
        }
        let mut random = [0; DRAWN * SALT_BYTES];
        getrandom::fill(&mut random).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        let (first, rest) = random.as_chunks().0.split_first().ok_or(rusqlite::Error::InvalidQuery)?;
        ahead.extend_from_slice(rest);
        Ok(*first)
    })
}
