//! Signing a session's tree.
//!
//! Invariant: what is signed extends the tree that is remembered. That is known of what this process itself appended since,
//! one commit upon another; of everything else the leaves are read and counted again.

use super::memory::Tree;
use super::{BACK_AGAIN, SignError, Signer, shorter};
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::tree::Frontier;
use crate::log::{Growth, SessionKey, SessionTree};

/// What was signed last of a session.
struct Last {
    /// As it is remembered; of a session that was signed and of which nothing is remembered, from before its first leaf.
    tree: Frontier,
    /// `None`: it was never signed.
    signed: Option<(Checkpoint, String)>,
}

impl Last {
    fn size(&self) -> u64 {
        self.signed.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size)
    }
}

impl Signer {
    /// True when there was something to sign.
    pub(super) async fn sign_session(&self, key: SessionKey) -> Result<bool, (Tree, SignError)> {
        let _turn = self.turn.lock().await;
        // Before the look at the database, which then has at least that.
        let growth = self.log.due().hand_out(key);
        let found = self.log.session_tree(key).await.map_err(|error| (Tree::Gateway, error.into()))?;
        let Some(found) = found else { return Ok(false) };
        let tree = Tree::Session(found.session);
        self.sign_found(key, tree, &found, growth).await.map_err(|error| (tree, error))
    }

    /// Signs what is due of a session, as it was found.
    pub(super) async fn sign_found(
        &self,
        key: SessionKey,
        tree: Tree,
        found: &SessionTree,
        growth: Option<Growth>,
    ) -> Result<bool, SignError> {
        if self.was_removed(tree)? {
            return Err(self.alarm(tree, BACK_AGAIN.to_owned()));
        }
        let claimed = found.tree.as_ref().ok_or_else(|| self.alarm(tree, "its tree is damaged".to_owned()))?;
        let last = self.last(tree, found).await?;
        if claimed.size() < last.size() {
            return Err(self.alarm(tree, shorter(last.size(), claimed.size())));
        }
        if let Some((checkpoint, note)) = &last.signed
            && (checkpoint.size, checkpoint.root) == (claimed.size(), claimed.root())
        {
            if found.signed_size == found.size {
                return Ok(false);
            }
            // Signed and remembered, but the gateway was killed before the database had it.
            self.log.add_checkpoints(key, found.session, vec![(checkpoint.size, note.clone())]).await?;
            return Ok(true);
        }
        let trees = match growth {
            Some(Growth::Followed { from, trees }) if from == last.tree && from.size() == last.size() => {
                trees.into_iter().filter(|extended| extended.size() > last.size()).collect()
            }
            // It was signed from elsewhere meanwhile, or this process does not know how it came to be: counted up to there.
            Some(Growth::Followed { trees, .. }) => match trees.last().filter(|newest| newest.size() > last.size()) {
                Some(newest) => vec![self.extend(key, tree, &last, Some(newest), newest.size()).await?],
                None => Vec::new(),
            },
            Some(Growth::Broken { was }) => vec![self.extend(key, tree, &last, Some(&was), claimed.size()).await?],
            None => vec![self.extend(key, tree, &last, None, claimed.size()).await?],
        };
        let Some(newest) = trees.last() else { return Ok(false) };
        if newest.size() > claimed.size() {
            return Err(self.alarm(tree, shorter(newest.size(), claimed.size())));
        }
        if newest.size() == claimed.size() && newest != claimed {
            let why = format!("its first {} records are not those that were signed", last.size());
            return Err(self.alarm(tree, why));
        }
        let heads = self.sign_growth(tree, trees).await?;
        self.log.add_checkpoints(key, found.session, heads).await?;
        Ok(true)
    }

    /// Signs each of these trees; the newest is remembered, and stands for those before it, too.
    async fn sign_growth(&self, tree: Tree, trees: Vec<Frontier>) -> Result<Vec<(u64, String)>, SignError> {
        let signer = self.clone();
        let sign = move || {
            let sign = |extended: Frontier| (signer.sign(tree, &extended), extended);
            trees.into_iter().map(sign).collect::<Vec<_>>()
        };
        // After a flood they are many, and each takes some 20 us.
        let signed = tokio::task::spawn_blocking(sign).await.map_err(std::io::Error::other)?;
        if let Some((note, newest)) = signed.last() {
            self.remember(tree, newest, note).await?;
        }
        Ok(signed.into_iter().map(|(note, extended)| (extended.size(), note)).collect())
    }

    async fn last(&self, tree: Tree, found: &SessionTree) -> Result<Last, SignError> {
        let (tree_then, note) = match self.memory.recall(tree)? {
            Some(signed) => (signed.tree, Some(signed.note)),
            // Nothing remembered, but perhaps signed before: then it is checked from the first leaf.
            None => (Frontier::default(), self.log.newest_checkpoint(found.session).await?),
        };
        let signed = note.map(|note| self.read(tree, &note).map(|checkpoint| (checkpoint, note))).transpose()?;
        Ok(Last { tree: tree_then, signed })
    }

    /// Continues a tree with the leaves that the database has now; on the way it must meet the last checkpoint, and what
    /// this process knows that it was.
    async fn extend(
        &self,
        key: SessionKey,
        tree: Tree,
        last: &Last,
        was: Option<&Frontier>,
        until: u64,
    ) -> Result<Frontier, SignError> {
        let mut ours = last.tree.clone();
        if let Some(was) = was.filter(|was| was.size() > until) {
            return Err(self.alarm(tree, format!("{} records were appended, and {until} are there", was.size())));
        }
        while ours.size() < until {
            let leaves = self.log.leaves(key, ours.size(), until).await?;
            if leaves.is_empty() {
                return Err(self.alarm(tree, format!("its record {} is gone", ours.size() + 1)));
            }
            for leaf in leaves {
                ours.push(leaf);
                let met = last.signed.as_ref().filter(|(checkpoint, _)| checkpoint.size == ours.size());
                let other = was.is_some_and(|was| was.size() == ours.size() && *was != ours);
                if other || met.is_some_and(|(checkpoint, _)| checkpoint.root != ours.root()) {
                    return Err(self.alarm(tree, format!("its first {} records were changed", ours.size())));
                }
            }
        }
        Ok(ours)
    }
}
