//! A bundle's files against the signed list of their hashes.

use std::collections::BTreeSet;
use std::io;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::bundle::{Zip, text};
use super::report::{Finding, Report, Verdict};
use crate::evidence::note::Verifier;
use crate::ids::SessionId;

const LIST: &str = "SHA256SUMS";
const LIST_SIGNED: &str = "SHA256SUMS.note";

pub(super) fn check(zip: &mut Zip, key: &Verifier, session: SessionId, report: &mut Report) {
    let mut add = |verdict, check, message| report.add(Finding { verdict, check, session: None, seq: None, message });
    if zip.has_duplicate_names() {
        add(Verdict::Altered, "files", "two files have one name".to_owned());
    }
    let (Some(list), Some(note)) = (text(zip, LIST), text(zip, LIST_SIGNED)) else {
        return add(Verdict::Incomplete, "files", format!("`{LIST}` or `{LIST_SIGNED}` is not there"));
    };
    match key.open(&note) {
        Err(error) => add(Verdict::Altered, "signature", format!("the list of files: {error}")),
        Ok(signed) => {
            let (origin, sha256) = (format!("{}/bundles/{session}", key.name()), sha256(list.as_bytes()));
            let expected = format!("{origin}\nsha256 {sha256}\n");
            if !signed.starts_with(&expected) {
                add(Verdict::Altered, "files", "the list of files is not the one that was signed".to_owned());
            }
        }
    }
    let mut listed = BTreeSet::from([LIST, LIST_SIGNED]);
    for line in list.lines() {
        let Some((expected, name)) = line.split_once("  ") else {
            add(Verdict::Altered, "files", "the list of files has a line that is none".to_owned());
            continue;
        };
        listed.insert(name);
        match hash_of(zip, name) {
            Some(Ok(found)) if found == expected => {}
            None => add(Verdict::Incomplete, "files", format!("`{name}` is not there")),
            Some(Ok(_)) => add(Verdict::Altered, "files", format!("`{name}` is not what was signed")),
            Some(Err(error)) => add(Verdict::Altered, "files", format!("`{name}` cannot be read: {error}")),
        }
    }
    let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    for name in names.iter().filter(|name| !listed.contains(name.as_str())) {
        add(Verdict::Altered, "files", format!("`{name}` is not in the list"));
    }
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// `None`: there is no such file.
fn hash_of(zip: &mut Zip, name: &str) -> Option<io::Result<String>> {
    zip.index_for_name(name)?;
    let mut hash = Hash(Sha256::new());
    let copied = zip.by_name(name).map_err(io::Error::from).and_then(|mut file| io::copy(&mut file, &mut hash));
    Some(copied.map(|_| HEXLOWER.encode(&hash.0.finalize())))
}

struct Hash(Sha256);

impl io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
