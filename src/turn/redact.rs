//! What an attempt leaves beside the log, once a record of its turn was redacted: the agent's own output goes as a whole,
//! because which of its bytes made the record, and which repeat it, nobody can say for sure.
//!
//! Invariant: a mark stands in the directory before anything goes, so that an archive that is just being written goes too.

use std::fs;
use std::io;

use super::spool::{SpoolDir, SpoolError, sync_dir};

/// What stands in the place of a prompt in what was started.
const GONE: &str = "[redacted]";

impl SpoolDir {
    fn redacted_path(&self) -> std::path::PathBuf {
        self.path().join("redacted")
    }

    /// Whether the agent's own output was taken away.
    pub fn is_redacted(&self) -> bool {
        self.redacted_path().exists()
    }

    /// Takes the agent's own output away for good. For a turn that has ended; doing it again is harmless.
    ///
    /// # Errors
    /// When a file is there and cannot be removed.
    pub fn redact(&self) -> Result<(), SpoolError> {
        if !self.path().exists() {
            return Ok(());
        }
        let mark = self.redacted_path();
        fs::File::create(&mark).and_then(|file| file.sync_all()).map_err(SpoolError::io("write", &mark))?;
        sync_dir(self.path())?;
        self.remove_raw()?;
        self.redact_launch()
    }

    pub(super) fn remove_raw(&self) -> Result<(), SpoolError> {
        let archives = [self.out_archive_path(), self.err_archive_path()];
        let aside = archives.clone().map(|path| path.with_added_extension("tmp"));
        let plain = [self.out_path(), self.err_path(), self.stdin_path(), self.supervisor_err_path()];
        for path in plain.iter().chain(&archives).chain(&aside) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SpoolError::io("remove", path)(error));
                }
                _ => {}
            }
        }
        sync_dir(self.path())
    }

    /// Short prompts are the last argument; signalled command lines may repeat it.
    fn redact_launch(&self) -> Result<(), SpoolError> {
        if let Ok(mut spec) = self.spec() {
            let prompt = spec.args.iter().position(|arg| arg == "--").map_or(spec.args.len(), |flag| flag + 1);
            spec.args.truncate(prompt);
            spec.args.push(GONE.to_owned());
            self.rewrite_launch(&spec)?;
        }
        let Ok(Some(mut exit)) = self.exit_record() else { return Ok(()) };
        exit.signalled.iter_mut().for_each(|one| GONE.clone_into(&mut one.command));
        exit.left.iter_mut().for_each(|one| GONE.clone_into(&mut one.command));
        self.write_exit_record(&exit)
    }
}
