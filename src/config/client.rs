//! The settings of the commands that talk to a gateway: where it is, who asks, and how to print.
//!
//! Invariant: a token comes from a file or a variable, never from the command line, and is in no message.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::BadSetting;
use crate::client::{Address, Credential, Gateway};

/// The settings of a client command, as they were given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection (a flag, or the variable behind it)")]
pub struct ClientSettings {
    /// Where the gateway is
    #[arg(long, env = "BREAKGLASS_URL", value_name = "URL", default_value = "http://127.0.0.1:7878")]
    pub url: String,
    /// File that holds the token and nothing else. Without one, the token is read from the variable BREAKGLASS_TOKEN. There is
    /// no flag for the token itself: everybody on the machine could read it in the list of processes
    #[arg(long, env = "BREAKGLASS_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Only to be refused in words.
    #[arg(long = "token", hide = true)]
    refused_token: Option<String>,
}

/// The settings of a client command, checked.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The gateway to talk to.
    pub gateway: Gateway,
    /// Colours, where a terminal shows them.
    pub colours: bool,
}

/// The variable with the token.
const TOKEN_VARIABLE: &str = "BREAKGLASS_TOKEN";
/// A file that is longer is not a token's, bytes.
const TOKEN_FILE_BYTES_MAX: u64 = 4096;

impl ClientSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`BadSetting`] for the first that cannot be used.
    pub fn check(&self) -> Result<ClientConfig, BadSetting> {
        let bad = |setting, problem: String| BadSetting { setting, problem };
        if self.refused_token.is_some() {
            let problem = "is refused: everybody on this machine can read the list of processes; set BREAKGLASS_TOKEN, or \
                give a file with --token-file";
            return Err(bad("--token", problem.to_owned()));
        }
        let address: Address =
            self.url.parse().map_err(|error: crate::client::AddressError| bad("--url", error.to_string()))?;
        let credential = match &self.token_file {
            Some(path) => token_in_file(path).map_err(|problem| bad("--token-file", problem))?,
            None => token_in_variable(variable(TOKEN_VARIABLE).as_deref())
                .map_err(|problem| bad(TOKEN_VARIABLE, problem))?,
        };
        Ok(ClientConfig { gateway: Gateway::new(address, credential), colours: colours() })
    }
}

/// <https://no-color.org>: set and not empty. A dumb terminal has none either.
fn colours() -> bool {
    let no_colour = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_colour && variable("TERM").is_none_or(|terminal| terminal != "dumb")
}

#[expect(clippy::disallowed_methods, reason = "these have no flag, so clap does not read them")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn token_in_variable(value: Option<&OsStr>) -> Result<Credential, String> {
    let value = value.filter(|value| !value.is_empty()).ok_or(
        "is not set, and there is no --token-file; `breakglass token add NAME --role operator`, where the gateway runs, \
         makes a token",
    )?;
    Credential::new(value.to_str().unwrap_or_default().trim()).map_err(|error| error.to_string())
}

fn token_in_file(path: &Path) -> Result<Credential, String> {
    let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(TOKEN_FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Credential::new(text.trim()).map_err(|error| format!("`{}` {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_and_never_repeated() {
        assert!(token_in_variable(Some(OsStr::new(" bg_secret \n"))).is_ok());
        for wrong in [None, Some(""), Some("two words"), Some("a\nb"), Some("caf\u{e9}")] {
            let error = token_in_variable(wrong.map(OsStr::new)).unwrap_err();
            assert!(!error.contains("words") && !error.contains("caf"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(token_in_file(&path).unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "bg_secret\n").unwrap();
        assert!(token_in_file(&path).is_ok());
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        assert!(token_in_file(&path).is_err());
    }
}
