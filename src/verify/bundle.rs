//! A bundle, as a file that anybody may have edited: one session's log with its seals, checkpoints and proofs.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Take};
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use zip::ZipArchive;

use super::report::{Finding, Report, Verdict};
use super::session::{Found, Session};
use super::{
    BUNDLE_FORMAT, Pinned, VerifyError, bundle_files, gateway_origin, pinned, read_checkpoint, session_origin,
};
use crate::evidence::inclusion::Inclusion;
use crate::evidence::leaf;
use crate::evidence::note::Verifier;
use crate::ids::{Epoch, SessionId};

/// Files that are read whole: checkpoints and lists, of some hundred thousand lines.
pub(super) const TEXT_BYTES_MAX: u64 = 64 << 20;
/// A line: a record has at most 1 MiB.
const LINE_BYTES_MAX: u64 = 2 << 20;

pub(super) type Zip = ZipArchive<BufReader<File>>;

/// The marker, `bundle.json`.
#[derive(Deserialize)]
struct About {
    format: String,
    session: SessionId,
}

/// What stands beside a record, a line of `seals.jsonl`.
#[derive(Deserialize)]
struct SealLine {
    seq: u64,
    epoch: Epoch,
    salt: Option<String>,
    commitment: String,
}

pub(super) fn verify(path: &Path, key: &Verifier, pinned: &Pinned) -> Result<Report, VerifyError> {
    let neither = |why: String| VerifyError::NeitherNor { path: path.display().to_string(), why: format!(": {why}") };
    let open = || {
        let file = File::open(path).map_err(|error| neither(error.to_string()))?;
        ZipArchive::new(BufReader::new(file)).map_err(|error| neither(error.to_string()))
    };
    let mut zip = open()?;
    let about = text(&mut zip, "bundle.json").ok_or_else(|| neither("it has no `bundle.json`".to_owned()))?;
    let about: About = serde_json::from_str(&about).map_err(|error| neither(format!("`bundle.json`: {error}")))?;
    if about.format != BUNDLE_FORMAT {
        return Err(neither(format!("its format is `{}`, this program knows `{BUNDLE_FORMAT}`", about.format)));
    }
    let mut report = Report::default();
    bundle_files::check(&mut zip, key, about.session, &mut report);
    let mut check = Check { key, pinned, session: about.session, report: &mut report };
    let notes = pinned::notes(&text(&mut zip, "checkpoints.txt").unwrap_or_default());
    check.gateway(&mut zip, &notes);
    check.records(&mut zip, &mut open()?, &notes);
    check.pinned_were_of_use();
    Ok(report)
}

/// A small file as text; `None`: it is not there, or cannot be read.
pub(super) fn text(zip: &mut Zip, name: &str) -> Option<String> {
    let mut text = String::new();
    zip.by_name(name).ok()?.take(TEXT_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

struct Check<'a> {
    key: &'a Verifier,
    pinned: &'a Pinned,
    session: SessionId,
    report: &'a mut Report,
}

impl Check<'_> {
    fn of_gateway(&mut self, verdict: Verdict, check: &'static str, seq: Option<u64>, message: String) {
        self.report.add(Finding { verdict, check, session: None, seq, message });
    }

    fn origin(&self) -> String {
        format!("{}{}", session_origin(self.key), self.session)
    }

    /// That the newest checkpoint stands in the gateway's own tree.
    fn gateway(&mut self, zip: &mut Zip, notes: &[String]) {
        let Some(proof) = text(zip, "gateway-proof.txt") else {
            let message = "there is no proof that the checkpoints stand in the gateway's own tree".to_owned();
            return self.of_gateway(Verdict::Incomplete, "heads", None, message);
        };
        let Some((inclusion, head)) = Inclusion::read(&proof) else {
            return self.of_gateway(Verdict::Altered, "heads", None, "`gateway-proof.txt` is no proof".to_owned());
        };
        let origin = gateway_origin(self.key);
        let head = match read_checkpoint(self.key, head, &origin) {
            Ok(head) => head,
            Err(why) => return self.of_gateway(Verdict::Altered, "signature", None, format!("the head: {why}")),
        };
        let root = notes.last().and_then(|newest| inclusion.root(leaf::of_checkpoint(newest), head.size));
        if root != Some(head.root) {
            let message = "the newest checkpoint is not where the gateway's own tree has it".to_owned();
            return self.of_gateway(Verdict::Altered, "heads", Some(inclusion.index.saturating_add(1)), message);
        }
        self.report.checkpoints += 1;
        if self.pinned.of(&origin).any(|pinned| pinned.size == head.size && pinned.root != head.root) {
            let message = format!("the first {} checkpoints are not those that were signed", head.size);
            self.of_gateway(Verdict::Altered, "pinned", Some(head.size), message);
        }
    }

    fn records(&mut self, zip: &mut Zip, again: &mut Zip, notes: &[String]) {
        let (key, origin) = (self.key, self.origin());
        let mut session = Session::new(self.session, self.report);
        for note in notes {
            match read_checkpoint(key, note, &origin) {
                Ok(checkpoint) => session.expect(&checkpoint, false),
                Err(why) => session.note("signature", format!("a checkpoint: {why}")),
            }
        }
        for checkpoint in self.pinned.of(&origin) {
            session.expect(checkpoint, true);
        }
        if let (Ok(log), Ok(seals)) = (zip.by_name("log.jsonl"), again.by_name("seals.jsonl")) {
            let (mut log, mut seals) = (BufReader::new(log), BufReader::new(seals));
            loop {
                match next(&mut log, &mut seals) {
                    Ok(Some((record, seal))) if take(&mut session, &record, &seal) => {}
                    Ok(_) => break,
                    Err(why) => {
                        session.unreadable(&why);
                        break;
                    }
                }
            }
        }
        session.finish();
    }

    /// A checkpoint from elsewhere that is of another session proves nothing here, and must not look as if it did.
    fn pinned_were_of_use(&mut self) {
        if !self.pinned.0.is_empty() && self.pinned.of(&self.origin()).next().is_none() {
            let message = "none of the pinned checkpoints is of this session".to_owned();
            self.of_gateway(Verdict::Incomplete, "pinned", None, message);
        }
    }
}

type Line = (Vec<u8>, SealLine);

/// The next record and its seal; `None`: both files are at their end.
fn next(log: &mut impl BufRead, seals: &mut impl BufRead) -> Result<Option<Line>, String> {
    let (record, seal) = (line(log)?, line(seals)?);
    match (record, seal) {
        (None, None) => Ok(None),
        (Some(record), Some(seal)) => {
            let seal = serde_json::from_slice(&seal).map_err(|error| error.to_string())?;
            Ok(Some((record, seal)))
        }
        (Some(_), None) => Err("`seals.jsonl` ends before `log.jsonl`".to_owned()),
        (None, Some(_)) => Err("`log.jsonl` ends before `seals.jsonl`".to_owned()),
    }
}

fn line(from: &mut impl BufRead) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    let mut bounded: Take<_> = from.take(LINE_BYTES_MAX);
    bounded.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err("a line does not end".to_owned()),
    }
}

fn take(session: &mut Session<'_>, record: &[u8], seal: &SealLine) -> bool {
    let salt = seal.salt.as_deref().map(hex).transpose();
    let (Ok(salt), Ok(commitment)) = (salt, hex(&seal.commitment)) else {
        session.unreadable(&"a salt or a commitment is not what it should be");
        return false;
    };
    session.take(&Found { seq: seal.seq, record, epoch: seal.epoch, salt, commitment }, None)
}

fn hex<const BYTES: usize>(text: &str) -> Result<[u8; BYTES], ()> {
    HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(())
}
