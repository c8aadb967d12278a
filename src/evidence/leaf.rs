//! What stands in a leaf: not the record but a commitment to it, so that a record can be redacted and the tree still holds.

use sha2::{Digest, Sha256};

use super::tree::{Hash, leaf_hash};
use crate::ids::{Epoch, Seq, SessionId};

/// A salt's length, bytes: without it, a short secret could be guessed from its commitment.
pub const SALT_BYTES: usize = 16;

/// A record's salt.
pub type Salt = [u8; SALT_BYTES];

const RECORD: &[u8] = b"breakglass/record/v1\0";
const LEAF: &[u8] = b"breakglass/leaf/v1\0";
const HEAD: &[u8] = b"breakglass/head/v1\0";

/// `SHA-256("breakglass/record/v1" || 0x00 || salt || record)`; the record's bytes as they are stored.
pub fn commitment(salt: &Salt, record: &[u8]) -> Hash {
    Sha256::new_with_prefix(RECORD).chain_update(salt).chain_update(record).finalize().into()
}

/// The leaf of a session's tree: its data is
/// `"breakglass/leaf/v1" || 0x00 || epoch[16] || session[16] || seq as u64 big-endian || commitment`.
pub fn of_record(epoch: Epoch, session: SessionId, seq: Seq, commitment: &Hash) -> Hash {
    let (epoch, session, seq) = (epoch.uuid(), session.uuid(), seq.0.to_be_bytes());
    leaf_hash(&[LEAF, epoch.as_bytes(), session.as_bytes(), &seq, commitment])
}

/// The leaf of the gateway's own tree: its data is `"breakglass/head/v1" || 0x00 || a session's checkpoint, the whole note`.
pub fn of_checkpoint(note: &str) -> Hash {
    leaf_hash(&[HEAD, note.as_bytes()])
}
