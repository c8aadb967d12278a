//! `breakglass token`: beside a running gateway, through the same database.

use std::io::Write;

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};

use super::{Failure, data_dir};
use crate::auth::Auth;
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
    },
    /// List the tokens that count
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

pub(super) async fn token(TokenArgs { settings, command }: TokenArgs) -> Result<(), Failure> {
    let paths = settings.data_paths()?;
    data_dir::create(&paths.root)?;
    let auth = Auth::new(Db::open(&paths.database()).context("cannot open the tokens")?);
    let mut out = std::io::stdout();
    match command {
        TokenCommand::Add { name, role } => {
            let secret = auth.add_token(&name, role.into()).await.context("no token was made")?;
            writeln!(out, "{}", secret.expose()).context("cannot write to stdout")?;
        }
        TokenCommand::List => {
            for token in auth.tokens().await.context("cannot list the tokens")? {
                let role = serde_json::to_value(token.role).unwrap_or_default();
                let role = role.as_str().unwrap_or_default();
                writeln!(out, "{}\t{role}\t{}", token.name, token.created.rfc3339())
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
