//! `breakglass schema`.

use std::io::Write;

use anyhow::Context;

use super::Failure;

pub(super) fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&crate::protocol::schema::schema()).context("cannot write the schema")?;
    writeln!(std::io::stdout(), "{text}").context("cannot write to stdout")?;
    Ok(())
}
