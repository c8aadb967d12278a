//! `breakglass token`: beside a running gateway, through the same database.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, data_dir};
use crate::auth::{Auth, role_name};
use crate::clock::WallMs;
use crate::config::DataSettings;
use crate::db::Db;
use crate::protocol::server::Role;

#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    pub settings: DataSettings,
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is printed once, alone on the last line
    Add {
        /// Who holds it: shown beside everything they do
        name: String,
        /// What they may do
        #[arg(long, value_enum)]
        role: RoleArg,
        /// When it stops counting by itself, such as 30d, 12h, 45m or 90s; never, if left out
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        expires: Option<Duration>,
    },
    /// List the tokens: name, role, made, expires, last used (up to half a minute late), with tabs between
    List,
    /// Withdraw a token; whoever came in with it is sent away
    Revoke {
        /// Whose
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// May also create, prompt, stop and rename
    Operator,
    /// May list, attach and read
    Viewer,
    /// May read and export
    Auditor,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Operator => Self::Operator,
            RoleArg::Viewer => Self::Viewer,
            RoleArg::Auditor => Self::Auditor,
        }
    }
}

/// A token for longer than ten years is one that does not expire.
const LIFETIME_SECONDS_MAX: u64 = 3_660 * 24 * 60 * 60;

fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time like 30d, 12h, 45m or 90s, at most 3660d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit_seconds: u64 = match unit {
        "d" => 24 * 60 * 60,
        "h" => 60 * 60,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_seconds));
    let seconds = seconds.filter(|seconds| (1..=LIFETIME_SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) async fn token(TokenArgs { settings, command }: TokenArgs) -> Result<(), Failure> {
    data_dir::keep_private();
    let paths = settings.data_paths()?;
    data_dir::create(&paths)?;
    let auth = Auth::new(Db::open(&paths.database()).context("cannot open the tokens")?);
    let mut out = std::io::stdout();
    match command {
        TokenCommand::Add { name, role, expires } => {
            let secret = auth.add_token(&name, role.into(), expires).await.context("no token was made")?;
            writeln!(out, "{}", secret.expose()).context("cannot write to stdout")?;
        }
        TokenCommand::List => {
            for token in auth.tokens().await.context("cannot list the tokens")? {
                let time = |time: Option<WallMs>| time.map_or_else(|| "-".to_owned(), WallMs::rfc3339);
                let (role, created) = (role_name(token.role), token.created.rfc3339());
                let is_over = token.expires.is_some_and(|expires| expires <= WallMs::now());
                let expires = format!("{}{}", if is_over { "expired " } else { "" }, time(token.expires));
                let last_used = time(token.last_used);
                writeln!(out, "{}\t{role}\t{created}\t{expires}\t{last_used}", token.name)
                    .context("cannot write to stdout")?;
            }
        }
        TokenCommand::Revoke { name } => {
            if !auth.revoke_token(&name).await.context("the token was not revoked")? {
                return Err(anyhow!("there is no token named `{name}`; `breakglass token list` names them").into());
            }
            writeln!(out, "revoked {name}").context("cannot write to stdout")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit_and_bounds() {
        let seconds = |text| lifetime(text).map(|time| time.as_secs());
        let read = ["30d", "12h", "45m", "90s", "3660d"].map(|text| seconds(text).unwrap());
        assert_eq!(read, [2_592_000, 43_200, 2_700, 90, 316_224_000]);
        for wrong in ["", "d", "30", "0s", "-1d", "1.5h", "1w", "30D", "3661d", "99999999999999999999d", "1é", "é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
