//! Checks a history against its signed checkpoints: a database's, or a bundle's.
//!
//! Invariant: "proved" is said only when every record stands under a checkpoint that this key signed, and every checkpoint
//! that is known is met. Reads only; believes nothing that it reads: everything may be forged. Shares the bytes' rules
//! (`evidence`) with the gateway, and no other code; `docs/verify.py` shares none.

mod bundle;
mod bundle_files;
mod database;
mod heads;
mod pinned;
mod removals;
mod report;
mod session;

use std::io::Read;
use std::path::Path;

use crate::evidence::checkpoint::Checkpoint;
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
    if path.is_dir() {
        return database::verify(&path.join("breakglass.db"), key, pinned);
    }
    if begins_as_zip(path) { bundle::verify(path, key, pinned) } else { database::verify(path, key, pinned) }
}

/// How a zip's first file begins (APPNOTE.TXT section 4.3.7).
fn begins_as_zip(path: &Path) -> bool {
    let mut start = [0; 4];
    std::fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == *b"PK\x03\x04"
}

/// What a bundle says it is, in `bundle.json`.
pub const BUNDLE_FORMAT: &str = "breakglass-bundle/1";

/// What every checkpoint of a session's tree begins with, before the session's id.
fn session_origin(key: &Verifier) -> String {
    format!("{}/sessions/", key.name())
}

/// The origin of the gateway's own tree.
fn gateway_origin(key: &Verifier) -> String {
    format!("{}/heads", key.name())
}

/// A checkpoint of this tree, signed by the key; else what is wrong with it.
fn read_checkpoint(key: &Verifier, note: &str, origin: &str) -> Result<Checkpoint, String> {
    let text = key.open(note).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::parse(text).ok_or("it is no checkpoint")?;
    if checkpoint.origin != origin {
        return Err(format!("it is one of `{}`", checkpoint.origin));
    }
    Ok(checkpoint)
}
