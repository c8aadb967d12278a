//! `breakglass redact`: for people who may write to the data folder, and nobody else. Beside a running gateway the wish goes
//! through the database, and the gateway does it; without one it is done here.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use super::{Failure, data_dir};
use crate::config::{DataPaths, DataSettings};
use crate::db::Db;
use crate::hub::Hub;
use crate::ids::Seq;
use crate::log::{Log, Redactable, WishKey, redaction_outcome};
use crate::redact::Redactor;
use crate::search;
use crate::sign::{Signer, key};

/// A running gateway is waited for so long: it looks every second.
const GATEWAY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often its answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest reason, characters.
const REASON_CHARS_MAX: usize = 500;

/// The record's content and its salt go for good, and with them the whole of what the agent itself wrote in that turn; a stub
/// stays, and the log says who did it and why. Copies that were taken away earlier, backups, the workspace and what the
/// agent's own program remembers are not in reach of this.
#[derive(Debug, Args)]
pub(super) struct RedactArgs {
    #[command(flatten)]
    pub settings: DataSettings,
    /// Which session: its id, or the beginning of its id
    session: String,
    /// Which record: its seq
    seq: u64,
    /// Why; everybody who may read the log will read this
    #[arg(long)]
    reason: String,
}

pub(super) async fn redact(args: RedactArgs) -> Result<(), Failure> {
    let reason = args.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX || reason.chars().any(char::is_control) {
        let message = format!("--reason: must be one line of 1 to {REASON_CHARS_MAX} characters");
        return Err(Failure::new(super::EXIT_USAGE, message));
    }
    data_dir::keep_private();
    let paths = args.settings.data_paths()?;
    if !paths.database().is_file() {
        return Err(anyhow!("`{}` is no data folder; name it with --data", paths.root.display()).into());
    }
    let db = Db::open(&paths.database()).context("cannot open the log")?;
    let seq = Seq(args.seq);
    let found = Redactable::find(&db, &args.session, seq).await.context("cannot read the log")?;
    let found = found.ok_or_else(|| {
        anyhow!("there is no record {seq} in a session whose id begins with `{}`, or several begin so", args.session)
    })?;
    let wish = found.ask(&db, who(), reason.to_owned()).await.context("cannot write to the log")?;
    match data_dir::lock(&paths.lock()) {
        Ok(_lock) => without_gateway(&db, &paths).await?,
        Err(_) => wait_for_gateway(&db, wish).await?,
    }
    let outcome = redaction_outcome(&db, wish).await.context("cannot read the log")?.unwrap_or_default();
    if !outcome.is_empty() {
        return Err(anyhow!("record {seq} of `{}`: {outcome}", found.session_id).into());
    }
    let mut out = std::io::stdout();
    let said = writeln!(out, "record {seq} of {} is redacted", found.session_id).and_then(|()| {
        let same: Vec<String> = found.same_text.iter().map(ToString::to_string).collect();
        if same.is_empty() { Ok(()) } else { writeln!(out, "records with the same text: {}", same.join(" ")) }
    });
    said.context("cannot write to stdout")?;
    Ok(())
}

/// No gateway runs, and none can start while this does it.
async fn without_gateway(db: &Db, paths: &DataPaths) -> Result<(), Failure> {
    let log = Log::open(db.clone(), Hub::default(), &paths.high_water()).await.context("cannot open the log")?;
    let signing = key::open_or_make(&paths.signing_key(), None).map_err(anyhow::Error::from)?;
    let signer = Signer::new(log.clone(), signing, paths.signed()).context("cannot remember what was signed")?;
    // It has the words too. The next gateway makes it anew from the log, as that is then.
    search::discard(&paths.search_index()).context("cannot remove the search index")?;
    Redactor::new(log, paths.spools()).work_off().await;
    signer.finish().await;
    Ok(())
}

async fn wait_for_gateway(db: &Db, wish: WishKey) -> Result<(), Failure> {
    let answered = async {
        while redaction_outcome(db, wish).await?.is_none() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok::<_, crate::log::LogError>(())
    };
    match tokio::time::timeout(GATEWAY_TIMEOUT, answered).await {
        Ok(answered) => Ok(answered.context("cannot read the log")?),
        Err(_) => Err(anyhow!("the gateway has not done it yet; it will, at the latest at its next start").into()),
    }
}

/// The account that this runs as: what the system says, not what the environment does.
fn who() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id == uid).then(|| name.to_owned())
    });
    format!("{} (local)", name.unwrap_or_else(|| format!("uid {uid}")))
}
