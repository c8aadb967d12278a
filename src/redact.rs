//! Does what `breakglass redact` asks for: in the log, in what lies beside it, and in files that still hold older pages.
//!
//! Invariant: a wish is settled only when every place of the gateway's own is rid of the content; one that was broken off is
//! taken up at the next start. Wishes come through the database, from people who may write to the data folder: there is no
//! other door to this.

use std::path::PathBuf;
use std::time::Duration;

use crate::log::{Log, Wish};
use crate::turn::spool::SpoolDir;

/// How soon a wish is seen. A gateway at rest does nothing more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Redacts.
pub struct Redactor {
    log: Log,
    spools: PathBuf,
}

impl Redactor {
    /// For this log, and the turns' spools beside it.
    pub fn new(log: Log, spools: PathBuf) -> Self {
        Self { log, spools }
    }

    /// Does what is asked for as it comes. Runs until dropped.
    pub async fn run(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.work_off().await;
        }
    }

    /// Does what is asked for now.
    pub async fn work_off(&self) {
        let wishes = match self.log.wishes().await {
            Ok(wishes) => wishes,
            Err(error) => return tracing::warn!(%error, "cannot look for what is to be redacted"),
        };
        for wish in wishes {
            let outcome = match self.redact(&wish).await {
                Ok(()) => String::new(),
                Err(why) => why,
            };
            if let Err(error) = self.log.settle(&wish, outcome).await {
                tracing::error!(%error, "what came of a redaction could not be written down");
            }
        }
    }

    async fn redact(&self, wish: &Wish) -> Result<(), String> {
        let redacted = self.log.redact(wish).await.map_err(|error| error.to_string())??;
        let spools = self.spools.clone();
        let remove = move || {
            (1..=redacted.attempts).try_for_each(|attempt| SpoolDir::new(&spools, redacted.turn, attempt).redact())
        };
        let removed = tokio::task::spawn_blocking(remove).await.map_err(|error| error.to_string())?;
        removed.map_err(|error| format!("the log has it no more, but {error}; remove that by hand"))?;
        match self.log.forget_older_pages().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("the log has it no more, but somebody reads in the database's write-ahead file all the \
                              time, which may; stop the gateway once"
                .to_owned()),
            Err(error) => Err(format!("the log has it no more, but its write-ahead file may: {error}")),
        }
    }
}
