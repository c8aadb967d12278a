//! The files of a bundle, written one behind another, and the list of them with their hashes.
//!
//! Invariant: every file but the list and its signature is in the list, as `sha256sum --check` reads it.

use std::io::{self, Write};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use super::pipe::Pipe;

/// Records are JSON: the fastest level makes a tenth of them, and an emergency needs its cores elsewhere.
const LEVEL: i64 = 1;

/// A bundle under way.
pub(super) struct Members {
    zip: ZipWriter<StreamWriter<Pipe>>,
    list: String,
}

impl Members {
    pub(super) fn new(pipe: Pipe) -> Self {
        Self { zip: ZipWriter::new_stream(pipe), list: String::new() }
    }

    /// Adds a file that `write` writes.
    pub(super) fn add(&mut self, name: &str, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .compression_level(Some(LEVEL))
            .unix_permissions(0o600)
            // How large it gets is known only at its end.
            .large_file(true);
        self.zip.start_file(name, options)?;
        let mut hashed = Hashed { into: &mut self.zip, hash: Sha256::new() };
        write(&mut hashed)?;
        let hash = HEXLOWER.encode(&hashed.hash.finalize());
        self.list.push_str(&format!("{hash}  {name}\n"));
        Ok(())
    }

    /// Adds a file with this text.
    pub(super) fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        self.add(name, |out| out.write_all(text.as_bytes()))
    }

    /// Adds the list and its signature, which `sign` makes of the list's hash, and ends the bundle.
    pub(super) fn finish(mut self, sign: impl FnOnce(&str) -> String) -> io::Result<()> {
        let list = std::mem::take(&mut self.list);
        let note = sign(&HEXLOWER.encode(&Sha256::digest(&list)));
        self.text(super::LIST, &list)?;
        self.text(super::LIST_SIGNED, &note)?;
        self.zip.finish()?.into_inner().flush()
    }
}

struct Hashed<'z, W> {
    into: &'z mut W,
    hash: Sha256,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}
