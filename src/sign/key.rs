//! The signing key's file: made once, for this user only, never printed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::evidence::note::{KeyError, Signer};

/// A key's text has some 100 bytes.
const KEY_BYTES_MAX: u64 = 4096;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error("cannot use the signing key `{}`: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else, or the name cannot be a key's.
    #[error("cannot use the signing key `{}`: {source}; put the right file back from a backup", .path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Another name was asked for than the key has.
    #[error("the key's name is `{found}` already: checkpoints bear it, so it cannot become `{wanted}`")]
    Named {
        /// The key's name.
        found: String,
        /// What was asked for.
        wanted: String,
    },
}

/// The key in this file, made if there is none. `name` is what a new one is called: by default this machine's name.
///
/// # Errors
/// When it can neither be read nor made, or has another name.
pub fn open_or_make(path: &Path, name: Option<&str>) -> Result<Signer, KeyFileError> {
    let io = |source| KeyFileError::Io { path: path.to_owned(), source };
    let bad = |source| KeyFileError::Key { path: path.to_owned(), source };
    match read(path) {
        Ok(text) => {
            let signer: Signer = text.trim_end().parse().map_err(bad)?;
            let found = signer.verifier().name();
            match name.filter(|wanted| *wanted != found) {
                Some(wanted) => Err(KeyFileError::Named { found: found.to_owned(), wanted: wanted.to_owned() }),
                None => Ok(signer),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| io(io::Error::other(error)))?;
            let signer = Signer::new(&name.map_or_else(usual_name, str::to_owned), &seed).map_err(bad)?;
            match write(path, &signer) {
                // Another process was faster: its key is the one.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_or_make(path, name),
                written => written.map(|()| signer).map_err(io),
            }
        }
        Err(error) => Err(io(error)),
    }
}

/// `HOST/breakglass`: a name that nobody else has by accident.
fn usual_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    if host.is_empty() { "breakglass".to_owned() } else { format!("{host}/breakglass") }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Written aside and linked, so that the file appears whole, and never in the place of another key.
fn write(path: &Path, signer: &Signer) -> io::Result<()> {
    let aside = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(file, "{}", signer.secret_text())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    linked?;
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}
