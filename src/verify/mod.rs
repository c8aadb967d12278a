//! Checks a history against its signed checkpoints: a database's, or a bundle's.
//!
//! Invariant: "proved" is said only when every record stands under a checkpoint that this key signed, and every checkpoint
//! that is known is met. Reads only; believes nothing that it reads: everything may be forged. Shares the bytes' rules
//! (`evidence`) with the gateway, and no other code; `docs/verify.py` shares none.

mod database;
mod heads;
mod pinned;
mod report;
mod session;

use std::path::Path;

use crate::evidence::note::Verifier;

pub use pinned::Pinned;
pub use report::{Finding, Report, Verdict};

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be opened.
    #[error("cannot read `{path}`: {why}")]
    Unreadable {
        /// Which file.
        path: String,
        /// What is in the way.
        why: String,
    },
    /// It is something else.
    #[error("`{path}` is neither a breakglass database nor a bundle{why}")]
    NeitherNor {
        /// Which file.
        path: String,
        /// What was found missing.
        why: String,
    },
    /// The pinned file has no checkpoint in it.
    #[error("the pinned file has no checkpoint of this key: {0}")]
    Pinned(String),
}

/// Checks a database, a data folder or a bundle.
///
/// # Errors
/// [`VerifyError`] when it is none of these.
pub fn verify(path: &Path, key: &Verifier, pinned: &Pinned) -> Result<Report, VerifyError> {
    let inside = path.join("breakglass.db");
    database::verify(if path.is_dir() { &inside } else { path }, key, pinned)
}
