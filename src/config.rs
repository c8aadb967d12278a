//! Every setting, by flag or variable, read once and checked; nothing else reads the environment.

mod agent;
mod client;
mod doors;

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::keep::limits::Limits;
use crate::mask::Masks;
use crate::presets::{self, Preset};
use crate::sign::anchor::Anchor;

pub use agent::{AgentConfig, AgentSettings};
pub use client::{ClientConfig, ClientSettings};
pub use doors::{Cidr, DoorConfig, DoorLimits, DoorSettings, ProxyConfig, TlsFiles};

/// The gateway's settings as they were given. One list for `--help`, for flags and for variables.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings (a flag, or the variable behind it)")]
pub struct Settings {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "BREAKGLASS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:7878")]
    pub listen: String,
    /// Folder of the log, the spools and the workspaces
    #[arg(long, env = "BREAKGLASS_DATA", value_name = "FOLDER", default_value = "./breakglass-data")]
    pub data: PathBuf,
    /// Folder of the workspaces: each session's is named by its id [default: DATA/sessions]
    #[arg(long, env = "BREAKGLASS_SESSIONS_DIR", value_name = "FOLDER")]
    pub sessions_dir: Option<PathBuf>,
    /// Name passed to the agent's program as --agent
    #[arg(long, env = "BREAKGLASS_AGENT", value_name = "NAME", default_value = "breakglass")]
    pub agent: String,
    /// Model, where neither the session nor the prompt names one
    #[arg(long, env = "BREAKGLASS_MODEL", value_name = "NAME", default_value = "sonnet")]
    pub model: String,
    /// The claude program: a name to look up in PATH, or a path
    #[arg(long, env = "BREAKGLASS_CLAUDE", value_name = "PROGRAM", default_value = "claude")]
    pub claude: OsString,
    /// Longest time that a turn may take, seconds
    #[arg(long, env = "BREAKGLASS_TURN_TIMEOUT_SECONDS", value_name = "SECONDS", default_value = "1800")]
    pub turn_timeout_seconds: String,
    /// Turns that may run at the same time, in all sessions together
    #[arg(long, env = "BREAKGLASS_MAX_CONCURRENT_TURNS", value_name = "COUNT", default_value = "4")]
    pub max_concurrent_turns: String,
    /// Address that people use when a proxy stands in front, such as `https://breakglass.example.org`
    #[arg(long, env = "BREAKGLASS_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// File of prompts to begin with (TOML: `[[preset]]` with `label` and `prompt`) [default: a set for the usual incident]
    #[arg(long, env = "BREAKGLASS_PRESETS", value_name = "FILE")]
    pub presets: Option<PathBuf>,
    /// Days that the agents' raw output is kept after its turn [default: without end]
    #[arg(long, env = "BREAKGLASS_KEEP_RAW_DAYS", value_name = "DAYS")]
    pub keep_raw_days: Option<String>,
    /// MiB of the agents' raw output that are kept, the newest [default: without end]
    #[arg(long, env = "BREAKGLASS_KEEP_RAW_MIB", value_name = "MIB")]
    pub keep_raw_mib: Option<String>,
    /// Days that a session is kept after its last activity; then all of it goes [default: without end]
    #[arg(long, env = "BREAKGLASS_KEEP_SESSIONS_DAYS", value_name = "DAYS")]
    pub keep_sessions_days: Option<String>,
    /// MiB of records that are kept in all; beyond it the sessions go that were longest without activity [default: without end]
    #[arg(long, env = "BREAKGLASS_KEEP_SESSIONS_MIB", value_name = "MIB")]
    pub keep_sessions_mib: Option<String>,
    /// Where copies of signed checkpoints go, several with commas between: `file:PATH`, `syslog` or `http://HOST/PATH`
    #[arg(long, env = "BREAKGLASS_ANCHOR", value_name = "PLACES", value_delimiter = ',')]
    pub anchor: Vec<String>,
    /// What is logged on stderr, as in `info` or `breakglass=debug`
    #[arg(long, env = "BREAKGLASS_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Who may come in.
    #[command(flatten)]
    pub doors: DoorSettings,
    /// What the agent may do.
    #[command(flatten)]
    pub cage: AgentSettings,
}

/// The settings of commands that work beside a running gateway, in its data folder. They may stand anywhere in the line.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings (a flag, or the variable behind it)")]
pub struct DataSettings {
    /// Folder of the log
    #[arg(long, global = true, env = "BREAKGLASS_DATA", value_name = "FOLDER", default_value = "./breakglass-data")]
    pub data: PathBuf,
    /// What is logged on stderr, as in `info` or `breakglass=debug`
    #[arg(long, global = true, env = "BREAKGLASS_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// A setting that cannot be used: which, why, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct BadSetting {
    setting: &'static str,
    problem: String,
}

/// Where everything lies inside the data folder.
#[derive(Debug, Clone)]
pub struct DataPaths {
    /// The folder itself.
    pub root: PathBuf,
}

impl DataPaths {
    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("breakglass.db")
    }

    /// The search index, which can be made anew from the database.
    pub fn search_index(&self) -> PathBuf {
        self.root.join("search.db")
    }

    /// Held by the gateway that uses this folder.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// How far the log was, remembered outside it.
    pub fn high_water(&self) -> PathBuf {
        self.root.join("high-water")
    }

    /// The key that signs checkpoints.
    pub fn signing_key(&self) -> PathBuf {
        self.root.join("signing-key")
    }

    /// What was signed last, remembered outside the database.
    pub fn signed(&self) -> PathBuf {
        self.root.join("signed")
    }

    /// The turns' spools.
    pub fn spools(&self) -> PathBuf {
        self.root.join("turns")
    }
}

/// The address that people use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://breakglass.example.org`: no path, no slash at the end, as browsers send it in `Origin`.
    pub origin: String,
    /// `breakglass.example.org`: as browsers send it in `Host`.
    pub host: String,
}

/// All settings of `serve`, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where everything lies.
    pub data: DataPaths,
    /// Where the workspaces lie.
    pub sessions_dir: PathBuf,
    /// The model, where nobody names one.
    pub model: String,
    /// What the agents need.
    pub agent: AgentConfig,
    /// Longest time of a turn.
    pub turn_timeout: Duration,
    /// Turns at the same time.
    pub turns_max: usize,
    /// The address that people use, when it is not the one that is listened on.
    pub public_url: Option<PublicUrl>,
    /// Who may come in.
    pub doors: DoorConfig,
    /// What is cut out of what the agents say.
    pub masks: Masks,
    /// Prompts to begin with.
    pub presets: Vec<Preset>,
    /// How much raw evidence is kept, and how long after its turn's end.
    pub keep_raw: Limits,
    /// How many sessions are kept: how long after their last activity, and how much of their records.
    pub keep_sessions: Limits,
    /// Where copies of signed checkpoints go.
    pub anchors: Vec<Anchor>,
}

/// A turn time-out beyond this is a mistake, seconds (30 days).
const TURN_TIMEOUT_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;
/// More turns at once than this is a mistake.
const TURNS_MAX: u64 = 1_000;
/// Longer than this is a mistake, days (100 years).
const KEEP_DAYS_MAX: u64 = 36_500;
/// More than this is a mistake, MiB (a petabyte).
const KEEP_MIB_MAX: u64 = 1 << 30;
/// The longest model or agent name, characters.
const NAME_CHARS_MAX: usize = 128;

impl Settings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`BadSetting`] for the first that cannot be used.
    pub fn check(&self) -> Result<Config, BadSetting> {
        let bad = |setting, problem: String| BadSetting { setting, problem };
        let working_dir = std::env::current_dir().map_err(|error| {
            bad("the working folder", format!("cannot be found: {error}; start from one that exists"))
        })?;
        let data = DataPaths { root: non_empty("--data", &self.data)?.absolute(&working_dir) };
        let sessions_dir = match &self.sessions_dir {
            Some(path) => non_empty("--sessions-dir", path)?.absolute(&working_dir),
            None => data.root.join("sessions"),
        };
        check_name(&self.model).map_err(|problem| bad("--model", problem))?;
        check_name(&self.agent).map_err(|problem| bad("--agent", problem))?;
        if self.claude.is_empty() {
            return Err(bad("--claude", "is empty; give a program's name or path".to_owned()));
        }
        let variables: Vec<_> = std::env::vars_os().collect();
        let agent = self.cage.check(&self.agent, &self.claude, &variables, working_dir)?;
        let seconds = number("--turn-timeout-seconds", &self.turn_timeout_seconds, TURN_TIMEOUT_SECONDS_MAX)?;
        let turns_max = number("--max-concurrent-turns", &self.max_concurrent_turns, TURNS_MAX)?;
        let listen = self.listen_address()?;
        Ok(Config {
            listen,
            doors: self.doors.check(listen)?,
            masks: self.cage.masks(&variables)?,
            data,
            sessions_dir,
            model: self.model.clone(),
            agent,
            turn_timeout: Duration::from_secs(seconds),
            turns_max: usize::try_from(turns_max).unwrap_or(usize::MAX),
            presets: self.read_presets()?,
            anchors: self.anchors()?,
            keep_raw: limits(("--keep-raw-days", &self.keep_raw_days), ("--keep-raw-mib", &self.keep_raw_mib))?,
            keep_sessions: limits(
                ("--keep-sessions-days", &self.keep_sessions_days),
                ("--keep-sessions-mib", &self.keep_sessions_mib),
            )?,
            public_url: self.public_url.as_deref().map(|text| public_url("--public-url", text)).transpose()?,
        })
    }

    fn anchors(&self) -> Result<Vec<Anchor>, BadSetting> {
        let read = |text: &String| text.parse().map_err(|problem| BadSetting { setting: "--anchor", problem });
        self.anchor.iter().filter(|text| !text.is_empty()).map(read).collect()
    }

    fn read_presets(&self) -> Result<Vec<Preset>, BadSetting> {
        let Some(path) = &self.presets else { return Ok(presets::usual()) };
        presets::read(path).map_err(|error| BadSetting { setting: "--presets", problem: error.to_string() })
    }

    fn listen_address(&self) -> Result<SocketAddr, BadSetting> {
        let refused = |why: String| BadSetting {
            setting: "--listen",
            problem: format!("`{}` is not an address and port like 127.0.0.1:7878{why}", self.listen),
        };
        let mut found = self.listen.to_socket_addrs().map_err(|error| refused(format!(": {error}")))?;
        found.next().ok_or_else(|| refused(String::new()))
    }
}

impl DataSettings {
    /// Where everything lies.
    ///
    /// # Errors
    /// [`BadSetting`] when it is empty.
    pub fn data_paths(&self) -> Result<DataPaths, BadSetting> {
        Ok(DataPaths { root: non_empty("--data", &self.data)?.to_owned() })
    }
}

/// Whether a text can be a model's or an agent's name on a command line.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    if !fits || name.starts_with('-') || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("must be 1 to {NAME_CHARS_MAX} characters without spaces, not beginning with `-`"));
    }
    Ok(())
}

fn limits(days: Given<'_>, mib: Given<'_>) -> Result<Limits, BadSetting> {
    let limit = |(setting, text): Given<'_>, max| text.as_ref().map(|text| number(setting, text, max)).transpose();
    let (days, mib) = (limit(days, KEEP_DAYS_MAX)?, limit(mib, KEEP_MIB_MAX)?);
    Ok(Limits { days, bytes: mib.map(|mib| mib << 20) })
}

/// A setting's name and its text.
type Given<'a> = (&'static str, &'a Option<String>);

fn number(setting: &'static str, text: &str, max: u64) -> Result<u64, BadSetting> {
    match text.parse::<u64>() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        _ => Err(BadSetting { setting, problem: format!("`{text}` is not a whole number from 1 to {max}") }),
    }
}

fn public_url(setting: &'static str, text: &str) -> Result<PublicUrl, BadSetting> {
    let bad = || BadSetting {
        setting,
        problem: format!("`{text}` is not an address like https://breakglass.example.org (no path)"),
    };
    let uri: hyper::Uri = text.parse().map_err(|_| bad())?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https")).ok_or_else(bad)?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
    if uri.path_and_query().is_some_and(|rest| rest.as_str() != "/") {
        return Err(bad());
    }
    // Browsers leave the scheme's own port out.
    let own_port = if scheme == "https" { 443 } else { 80 };
    let host = match authority.port_u16() {
        Some(port) if port != own_port => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    let host = host.to_ascii_lowercase();
    Ok(PublicUrl { origin: format!("{scheme}://{host}"), host })
}

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn absolute(&self, working_dir: &Path) -> PathBuf {
        // Only `.` and double slashes go: a link's `..` may lead elsewhere than its text says.
        std::path::absolute(working_dir.join(self.0)).unwrap_or_else(|_| working_dir.join(self.0))
    }

    fn to_owned(&self) -> PathBuf {
        self.0.to_owned()
    }
}

fn non_empty<'a>(setting: &'static str, path: &'a Path) -> Result<Folder<'a>, BadSetting> {
    if path.as_os_str().is_empty() {
        return Err(BadSetting { setting, problem: "is empty; give a folder".to_owned() });
    }
    Ok(Folder(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_what_browsers_send() {
        let url = public_url("--public-url", "https://Break.Example.org:443/").unwrap();
        assert_eq!((url.origin.as_str(), url.host.as_str()), ("https://break.example.org", "break.example.org"));
        assert_eq!(public_url("--public-url", "http://h:8080").unwrap().host, "h:8080");
        for wrong in ["", "h", "ftp://h", "https://h/path", "https://u@h", "https://"] {
            assert!(public_url("--public-url", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_bounds() {
        for wrong in ["", "0", "-1", "1.5", "x", "99999999999999999999", "1001"] {
            assert!(number("--max-concurrent-turns", wrong, TURNS_MAX).is_err(), "{wrong}");
        }
        assert_eq!(number("--max-concurrent-turns", "4", TURNS_MAX).unwrap(), 4);
    }
}
