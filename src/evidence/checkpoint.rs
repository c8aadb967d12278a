//! What a tree's size and root look like when they are signed (C2SP `tlog-checkpoint`).

use data_encoding::BASE64;

use super::tree::{Frontier, Hash};

/// The head of a tree: which, how large, its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which tree.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// The head of this tree.
    pub fn of(origin: String, tree: &Frontier) -> Self {
        Self { origin, size: tree.size(), root: tree.root() }
    }

    /// The note's text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(&self.root))
    }

    /// Reads a note's text. `None`: it is not a checkpoint. Lines behind the third are extensions, and say nothing here.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let canonical = size.bytes().all(|digit| digit.is_ascii_digit()) && (size == "0" || !size.starts_with('0'));
        if origin.is_empty() || !canonical || lines.any(str::is_empty) {
            return None;
        }
        let root = BASE64.decode(root.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { origin: origin.to_owned(), size: size.parse().ok()?, root })
    }
}
