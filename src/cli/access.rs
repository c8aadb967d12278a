//! `breakglass access`: who came and what they did, beside a running gateway, through the same database.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use super::{Failure, data_dir};
use crate::access::{self, AccessLine};
use crate::config::DataSettings;
use crate::db::Db;

/// Lines read at a time.
const PAGE_LINES: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct AccessArgs {
    #[command(flatten)]
    pub settings: DataSettings,
    /// How many lines, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    lines: usize,
    /// One JSON object a line, as GET /api/access gives them
    #[arg(long)]
    json: bool,
}

pub(super) async fn access(AccessArgs { settings, lines, json }: &AccessArgs) -> Result<(), Failure> {
    data_dir::keep_private();
    let paths = settings.data_paths()?;
    data_dir::check(&paths)?;
    let db = Db::open(&paths.database()).context("cannot open the access record")?;
    let (mut left, mut before, mut out) = (*lines, None, std::io::stdout().lock());
    while left > 0 {
        let page = access::page(&db, before, left.min(PAGE_LINES)).await.context("cannot read the access record")?;
        let Some(last) = page.last() else { break };
        (left, before) = (left - page.len(), Some(last.key));
        for line in page {
            let text =
                if *json { serde_json::to_string(&line).context("cannot write a line")? } else { for_people(&line) };
            writeln!(out, "{text}").context("cannot write to stdout")?;
        }
    }
    Ok(())
}

/// Tabs between, `-` for nothing, the newest first.
fn for_people(line: &AccessLine) -> String {
    let optional =
        [&line.who, &line.role, &line.how, &line.address, &line.session, &line.turn, &line.detail, &line.client];
    let rest = optional.map(|text| text.as_deref().unwrap_or("-"));
    format!("{}\t{}\t{}", line.time, line.what, rest.join("\t"))
}
