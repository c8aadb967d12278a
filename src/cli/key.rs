//! `breakglass key`.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::{Failure, data_dir};
use crate::config::DataSettings;
use crate::sign::key::open_or_make;

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(flatten)]
    settings: DataSettings,
    /// What a new key is called, such as `break.example.org/glass` [default: HOST/breakglass]
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn key(args: &KeyArgs) -> Result<(), Failure> {
    data_dir::keep_private();
    let data = args.settings.data_paths()?;
    data_dir::create(&data)?;
    let signer = open_or_make(&data.signing_key(), args.name.as_deref()).map_err(anyhow::Error::from)?;
    writeln!(std::io::stdout(), "{}", signer.verifier()).context("cannot write to stdout")?;
    Ok(())
}
