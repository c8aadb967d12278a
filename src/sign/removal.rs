//! A session's removal: signed like a checkpoint, as a leaf of the gateway's own tree, so that a session that went because
//! its time was over is told from one that somebody took away.
//!
//! Invariant: only a session whose records are those that were signed is removed; its records go only after the note is in
//! the database, remembered outside it, and under a signed head of the gateway's own tree. A session that was removed and
//! is there again is an alarm.

use rusqlite::Transaction;

use super::memory::Tree;
use super::{SignError, Signer};
use crate::clock::WallMs;
use crate::evidence::checkpoint::Checkpoint;
use crate::evidence::leaf;
use crate::evidence::removal::{self, Cause};
use crate::evidence::tree::Frontier;
use crate::ids::{Seq, SessionId};
use crate::log::{Condition, PageLimits, Removed, SessionKey};

/// Records that are looked at in one read.
const PAGE: PageLimits = PageLimits { events_max: 512, bytes_max: 256 << 10 };

/// A session whose time is over.
#[derive(Debug, Clone, Copy)]
pub struct Going {
    /// What must still be so.
    pub condition: Condition,
    /// Why it goes.
    pub cause: Cause,
}

impl Signer {
    /// Signs the gateway's own tree now: nothing is removed while that is refused.
    ///
    /// # Errors
    /// [`SignError::Alarm`] when it is not the tree that was signed.
    pub async fn check_gateway(&self) -> Result<(), SignError> {
        let _turn = self.turn.lock().await;
        self.try_sign_gateway().await.inspect_err(|error| self.refuse(Tree::Gateway, error))
    }

    /// Signs a session's removal and hides it, in one commit with `also`. False: it stays, because something about it has
    /// changed.
    ///
    /// # Errors
    /// [`SignError::Alarm`] when its records are not those that were signed: then it stays as evidence.
    pub async fn remove(
        &self,
        going: Going,
        also: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<bool, SignError> {
        let key = going.condition.session;
        let Some(found) = self.log.session_tree(key).await? else { return Ok(false) };
        let tree = Tree::Session(found.session);
        // It may take a while, and others' checkpoints do not wait for it: what comes meanwhile makes the session stay.
        let counted = self.recount(key, found.session).await.inspect_err(|error| self.refuse(tree, error))?;
        let _turn = self.turn.lock().await;
        let Some(found) = self.log.session_tree(key).await? else { return Ok(false) };
        // A session that nobody ever prompted has nothing to be signed.
        if found.size > 0 {
            // All of it is counted again, whatever is known of how it grew.
            self.log.due().hand_out(key);
            self.sign_found(key, tree, &found, None).await.inspect_err(|error| self.refuse(tree, error))?;
        }
        if found.tree.as_ref() != Some(&counted) {
            let error = self.alarm(tree, "its records are not those that were signed".to_owned());
            self.refuse(tree, &error);
            return Err(error);
        }
        let name = self.key.verifier().name();
        let note = self.key.sign(&removal::text(name, found.session, &counted, WallMs::now(), going.cause));
        Ok(self.log.hide_removed(going.condition, found.size, note, also).await?)
    }

    /// A session's tree from its records as they stand: when they are gone nobody can look any more.
    async fn recount(&self, key: SessionKey, session: SessionId) -> Result<Frontier, SignError> {
        let mut counted = Frontier::default();
        loop {
            let page = self.log.sealed_after(key, Seq(counted.size()), PAGE).await?;
            if page.is_empty() {
                return Ok(counted);
            }
            for sealed in page {
                let seq = Seq(counted.size()).next();
                let as_committed = sealed
                    .salt
                    .is_none_or(|salt| leaf::commitment(&salt, sealed.record.as_bytes()) == sealed.commitment);
                if sealed.seq != seq || !as_committed {
                    return Err(self.alarm(Tree::Session(session), format!("its record {seq} was changed")));
                }
                counted.push(leaf::of_record(sealed.epoch, session, seq, &sealed.commitment));
            }
        }
    }

    /// Makes sure that a removal is remembered outside the database, before anything of the session goes. Doing it again is
    /// harmless. [`Self::check_gateway`] then puts it under the gateway's own tree.
    ///
    /// # Errors
    /// [`SignError::Alarm`] when the removal is not one that this gateway signed of this history.
    pub async fn confirm_removal(&self, removed: &Removed) -> Result<(), SignError> {
        let _turn = self.turn.lock().await;
        let tree = Tree::Session(removed.session);
        self.confirm(tree, removed).await.inspect_err(|error| self.refuse(tree, error))
    }

    async fn confirm(&self, tree: Tree, removed: &Removed) -> Result<(), SignError> {
        let (said, note) = (self.read_removal(tree, removed)?, &removed.note);
        let head = removed.tree.as_ref().filter(|head| head.size() == said.size && head.root() == said.root);
        let head = head.ok_or_else(|| self.alarm(tree, "its removal is of another history".to_owned()))?;
        let signed = self.memory.recall(tree)?;
        match signed {
            Some(signed) if signed.note == *note => Ok(()),
            Some(signed) if signed.tree != *head => {
                Err(self.alarm(tree, "its removal is not of the history that was signed".to_owned()))
            }
            _ => self.remember(tree, head, note).await,
        }
    }

    fn read_removal(&self, tree: Tree, removed: &Removed) -> Result<Checkpoint, SignError> {
        self.read_as(tree, &removed.note, &removal::origin(self.key.verifier().name(), removed.session))
    }

    /// Whether what is remembered of a session is its removal.
    pub(super) fn was_removed(&self, tree: Tree) -> Result<bool, SignError> {
        let Tree::Session(session) = tree else { return Ok(false) };
        let origin = removal::origin(self.key.verifier().name(), session);
        let signed = self.memory.recall(tree)?;
        Ok(signed.is_some_and(|signed| signed.note.lines().next() == Some(&origin)))
    }

    /// A session that was signed is not there: it must have been removed, at no smaller size than what was signed of it.
    pub(super) async fn check_removed(&self, session: SessionId) -> Result<(), SignError> {
        let tree = Tree::Session(session);
        let signed = self.memory.recall(tree)?.map_or_else(Frontier::default, |signed| signed.tree);
        let Some(removed) = self.log.removed(session).await? else {
            return Err(self.alarm(tree, format!("the session `{session}` is gone")));
        };
        let said = self.read_removal(tree, &removed)?;
        if said.size < signed.size() || (said.size == signed.size() && said.root != signed.root()) {
            return Err(
                self.alarm(tree, format!("the session `{session}` is gone, and its removal is of another history"))
            );
        }
        Ok(())
    }
}
