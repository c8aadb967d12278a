//! That a leaf stands in a tree: RFC 6962 section 2.1.1, in the text form that others read too (C2SP `tlog-proof`).
//!
//! Invariant: a proof is made from the leaves in their order, one at a time, with memory for the tree's right edges only.

use std::fmt::Write;
use std::ops::Range;

use data_encoding::BASE64;

use super::tree::{Frontier, Hash, node_hash};

/// The first line of a proof's text.
const FORMAT: &str = "c2sp.org/tlog-proof@v1";
/// A path has a hash for each doubling of the tree.
const PATH_HASHES_MAX: usize = 64;

/// Makes the path of one leaf, fed with every leaf of the tree.
pub struct PathMaker {
    index: u64,
    next: u64,
    /// The subtrees beside the path, from the leaf upwards.
    siblings: Vec<(Range<u64>, Frontier)>,
}

impl PathMaker {
    /// For the leaf `index` (from 0) of a tree of `size` leaves. `None`: it has no such leaf.
    pub fn new(index: u64, size: u64) -> Option<Self> {
        if index >= size {
            return None;
        }
        let (mut siblings, mut tree) = (Vec::new(), 0..size);
        while tree.end - tree.start > 1 {
            // The largest power of two below the number of leaves.
            let left = 1 << (tree.end - tree.start - 1).ilog2();
            let middle = tree.start + left;
            let (inside, beside) = if index < middle {
                (tree.start..middle, middle..tree.end)
            } else {
                (middle..tree.end, tree.start..middle)
            };
            siblings.push((beside, Frontier::default()));
            tree = inside;
        }
        siblings.reverse();
        Some(Self { index, next: 0, siblings })
    }

    /// The next leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let number = self.next;
        self.next += 1;
        if let Some((_, tree)) = self.siblings.iter_mut().find(|(range, _)| range.contains(&number)) {
            tree.push(leaf);
        }
    }

    /// The proof, once all leaves are in.
    pub fn finish(self) -> Inclusion {
        let path = self.siblings.iter().map(|(_, tree)| tree.root()).collect();
        Inclusion { index: self.index, path }
    }
}

/// Where a leaf stands, and the hashes beside its way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The leaf's number, from 0.
    pub index: u64,
    /// The hashes, from the leaf upwards.
    pub path: Vec<Hash>,
}

impl Inclusion {
    /// The root of the tree of `size` leaves in which the leaf stands so. `None`: this is no path in such a tree.
    pub fn root(&self, leaf: Hash, size: u64) -> Option<Hash> {
        if self.index >= size {
            return None;
        }
        // RFC 9162 section 2.1.3.2: the leaf's place and the last one's, going up together.
        let (mut at, mut last, mut hash) = (self.index, size - 1, leaf);
        for beside in &self.path {
            if last == 0 {
                return None;
            }
            if at & 1 == 1 || at == last {
                hash = node_hash(beside, &hash);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, beside);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(hash)
    }

    /// The proof's text: the path, then the signed head of the tree.
    pub fn text(&self, head: &str) -> String {
        let mut text = format!("{FORMAT}\nindex {}\n", self.index);
        for hash in &self.path {
            // Writing into a string cannot fail.
            let _infallible = writeln!(text, "{}", BASE64.encode(hash));
        }
        text.push('\n');
        text.push_str(head);
        text
    }

    /// Reads a proof's text: the proof, and the signed head. `None`: it is none.
    pub fn read(text: &str) -> Option<(Self, &str)> {
        let (proof, head) = text.split_once("\n\n")?;
        let mut lines = proof.split('\n');
        if lines.next()? != FORMAT {
            return None;
        }
        let index = lines.next()?.strip_prefix("index ")?;
        let canonical = index.bytes().all(|digit| digit.is_ascii_digit()) && (index == "0" || !index.starts_with('0'));
        let index = index.parse().ok().filter(|_| canonical)?;
        let path: Option<Vec<Hash>> =
            lines.take(PATH_HASHES_MAX + 1).map(|line| BASE64.decode(line.as_bytes()).ok()?.try_into().ok()).collect();
        Some((Self { index, path: path.filter(|path| path.len() <= PATH_HASHES_MAX)? }, head))
    }
}
