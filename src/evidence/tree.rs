//! An append-only Merkle tree (RFC 6962 section 2.1), kept as its right edge: what an append and a root need, and no more.

use sha2::{Digest, Sha256};

/// SHA-256's length, bytes.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash.
pub type Hash = [u8; HASH_BYTES];

/// The hash of a leaf: `SHA-256(0x00 || data)`; the data in pieces.
pub fn leaf_hash(data: &[&[u8]]) -> Hash {
    data.iter().fold(Sha256::new_with_prefix([0]), |hash, piece| hash.chain_update(piece)).finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut data = [1; 1 + 2 * HASH_BYTES];
    data[1..=HASH_BYTES].copy_from_slice(left);
    data[1 + HASH_BYTES..].copy_from_slice(right);
    Sha256::digest(data).into()
}

/// A tree's right edge: the roots of the perfect trees that its leaves fall into, the largest first. Their number is that
/// of the ones in the size's binary form.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The right edge of a tree of this size, from [`Frontier::as_bytes`]. `None`: these are not as many hashes as such a
    /// tree has.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<Self> {
        let (peaks, rest) = bytes.as_chunks::<HASH_BYTES>();
        let fits = rest.is_empty() && peaks.len() == size.count_ones() as usize;
        fits.then(|| Self { size, peaks: peaks.to_vec() })
    }

    /// Its hashes, one after another.
    pub fn as_bytes(&self) -> &[u8] {
        self.peaks.as_flattened()
    }

    /// How many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let (mut hash, mut size) = (leaf, self.size);
        // Each one at the end of the size is a perfect tree as large as the one that has just been completed.
        while size & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            size >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree's root; of an empty tree the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev();
        let Some(last) = from_right.next() else { return Sha256::digest([]).into() };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}
