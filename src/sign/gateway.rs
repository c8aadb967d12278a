//! Signing the gateway's own tree, over its sessions' checkpoints.
//!
//! Invariant: what is signed has the checkpoints that were signed before, in their order.

use super::memory::Tree;
use super::{SignError, Signer, shorter};
use crate::evidence::leaf;
use crate::evidence::tree::Frontier;

impl Signer {
    pub(super) async fn sign_gateway(&self) {
        let _turn = self.turn.lock().await;
        if let Err(error) = self.try_sign_gateway().await {
            self.refuse(Tree::Gateway, &error);
        }
    }

    pub(super) async fn try_sign_gateway(&self) -> Result<(), SignError> {
        let tree = Tree::Gateway;
        let last = match self.memory.recall(tree)? {
            Some(signed) => Some((signed.tree, signed.note)),
            None => self.log.newest_head().await?.map(|note| (Frontier::default(), note)),
        };
        let (mut ours, note) = last.unwrap_or_default();
        let earlier = if note.is_empty() { None } else { Some(self.read(tree, &note)?) };
        loop {
            let page = self.log.heads_after(ours.size()).await?;
            if page.notes.is_empty() {
                break;
            }
            for note in page.notes {
                ours.push(leaf::of_checkpoint(&note));
                let met = earlier.as_ref().filter(|earlier| earlier.size == ours.size());
                if met.is_some_and(|earlier| earlier.root != ours.root()) {
                    return Err(self.alarm(tree, format!("the first {} checkpoints were changed", ours.size())));
                }
            }
        }
        if let Some(earlier) = earlier.filter(|earlier| earlier.size > ours.size()) {
            return Err(self.alarm(tree, shorter(earlier.size, ours.size())));
        }
        let size = ours.size();
        let note = self.sign(tree, &ours);
        self.remember(tree, &ours, &note).await?;
        self.log.add_head(size, note).await?;
        Ok(())
    }
}
