//! Settings of the agents: what they are started with, as whom, within which limits, and what is masked of what they say.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{BadSetting, number};
use crate::agent::command::{self as agent_command, NoAgent};
use crate::mask::Masks;
use crate::turn::spool::{CageSpec, CageUser};

/// The variable with more values to mask. It has no flag: a command line is for everybody to see.
const MASK_VARIABLE: &str = "BREAKGLASS_MASK";

/// The settings as they were given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Agents")]
pub struct AgentSettings {
    /// More variables that the agent gets, by name, separated by commas; `NAME*` for all that begin so
    #[arg(long, env = "BREAKGLASS_AGENT_ENV", value_name = "NAMES")]
    pub agent_env: Option<String>,
    /// Run the agent as this user of /etc/passwd (the gateway must be root)
    #[arg(long, env = "BREAKGLASS_AGENT_USER", value_name = "USER")]
    pub agent_user: Option<String>,
    /// The agent cannot gain privileges: no sudo, no set-uid programs
    #[arg(long, env = "BREAKGLASS_AGENT_NO_NEW_PRIVS", value_parser = FalseyValueParser::new())]
    pub agent_no_new_privs: bool,
    /// Memory that each process of the agent may have for data, MiB (RLIMIT_DATA; claude itself needs about 1024)
    #[arg(long, env = "BREAKGLASS_AGENT_MEMORY_MIB", value_name = "MIB")]
    pub agent_memory_mib: Option<String>,
    /// Processes and threads that the agent's user may have (RLIMIT_NPROC; does not bind root)
    #[arg(long, env = "BREAKGLASS_AGENT_PROCESSES", value_name = "COUNT")]
    pub agent_processes: Option<String>,
    /// Size that a file of the agent may have, MiB (RLIMIT_FSIZE; its own output is such a file)
    #[arg(long, env = "BREAKGLASS_AGENT_FILE_MIB", value_name = "MIB")]
    pub agent_file_mib: Option<String>,
    /// A cgroup (v2) that is delegated to the gateway: each agent gets one of its own in it, where the limits of memory and
    /// processes also hold for all its processes together
    #[arg(long, env = "BREAKGLASS_AGENT_CGROUP", value_name = "FOLDER")]
    pub agent_cgroup: Option<PathBuf>,
    /// How much the agent stands back behind other programs, 0 to 19
    #[arg(long, env = "BREAKGLASS_AGENT_NICE", value_name = "LEVEL")]
    pub agent_nice: Option<String>,
    /// Log what the agent says as it is, secrets too (else known shapes are masked, and the values in BREAKGLASS_MASK,
    /// separated by white space, where `$NAME` is a variable's value)
    #[arg(long, env = "BREAKGLASS_NO_MASK", value_parser = FalseyValueParser::new())]
    pub no_mask: bool,
}

/// What the agents need to know.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// The name passed as `--agent`.
    pub agent_name: String,
    /// The program to look up for the `claude` agent.
    pub claude: OsString,
    /// The agent's environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where relative programs are looked up.
    pub working_dir: PathBuf,
    /// As whom and within which limits it runs.
    pub cage: CageSpec,
}

impl AgentConfig {
    /// The `claude` program on this machine, looked up anew each time: it may be installed while the gateway runs.
    ///
    /// # Errors
    /// Says where it was looked for, or why it would not work, and what to do.
    pub fn find_claude(&self) -> Result<PathBuf, NoAgent> {
        agent_command::find_program(&self.claude, self.variable("PATH"), &self.working_dir)
    }

    /// A variable of the agent's environment.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// Whether the real program would refuse the permission flag, by its own rule (claude-cli.md section 0). That is for it
    /// to decide: here it is only said, for the program may be another one.
    pub fn is_unsandboxed_root(&self) -> bool {
        let is_root = match &self.cage.user {
            Some(user) => user.uid == 0,
            None => rustix::process::geteuid().is_root(),
        };
        let sandboxed = self.variable("IS_SANDBOX").is_some_and(|value| value == "1");
        is_root && !sandboxed && self.variable("CLAUDE_CODE_BUBBLEWRAP").is_none()
    }
}

/// More than any limit here can mean: 16 TiB in MiB.
const LIMIT_MAX: u64 = 16 << 20;
/// The kernel's lowest priority.
const NICE_MAX: u64 = 19;

impl AgentSettings {
    /// Checks them.
    ///
    /// # Errors
    /// [`BadSetting`] for the first that cannot be used.
    pub(super) fn check(
        &self,
        agent_name: &str,
        claude: &OsStr,
        variables: &[(OsString, OsString)],
        working_dir: PathBuf,
    ) -> Result<AgentConfig, BadSetting> {
        let names = self.agent_env.as_deref().unwrap_or_default();
        let named: Vec<&str> = names.split([',', ' ']).filter(|name| !name.is_empty()).collect();
        if let Some(own) = named.iter().find(|name| name.starts_with("BREAKGLASS_") || **name == "*") {
            let problem = format!("`{own}` would hand the gateway's own settings to the agent; name other variables");
            return Err(BadSetting { setting: "--agent-env", problem });
        }
        let mut environment = agent_command::environment(variables.iter().cloned(), &named);
        let limit =
            |setting, text: &Option<String>| text.as_deref().map(|text| number(setting, text, LIMIT_MAX)).transpose();
        let bytes = |mib: Option<u64>| mib.map(|mib| mib << 20);
        let user = self.agent_user.as_deref().map(find_user).transpose()?;
        if let Some(Account { name, home, .. }) = &user {
            environment.retain(|(name, _)| !["HOME", "USER", "LOGNAME"].iter().any(|own| name == own));
            environment.extend([("HOME", home), ("USER", name), ("LOGNAME", name)].map(|(k, v)| (k.into(), v.into())));
        }
        let cage = CageSpec {
            user: user.map(|user| user.ids),
            no_new_privs: self.agent_no_new_privs,
            memory_bytes: bytes(limit("--agent-memory-mib", &self.agent_memory_mib)?),
            processes: limit("--agent-processes", &self.agent_processes)?,
            file_bytes: bytes(limit("--agent-file-mib", &self.agent_file_mib)?),
            cgroup: self.agent_cgroup.as_ref().map(|folder| working_dir.join(folder)),
            nice: self.nice()?,
            umask: None,
        };
        Ok(AgentConfig { agent_name: agent_name.to_owned(), claude: claude.to_owned(), environment, working_dir, cage })
    }

    fn nice(&self) -> Result<Option<i32>, BadSetting> {
        let level = |text: &str| match text.parse::<i32>() {
            Ok(level) if (0..=NICE_MAX).contains(&u64::try_from(level).unwrap_or(u64::MAX)) => Ok(level),
            _ => Err(BadSetting {
                setting: "--agent-nice",
                problem: format!("`{text}` is not a whole number from 0 to {NICE_MAX}"),
            }),
        };
        self.agent_nice.as_deref().map(level).transpose()
    }

    /// What is to be masked.
    ///
    /// # Errors
    /// [`BadSetting`] for a value that would mask half of everything, or a variable that is not there.
    pub(super) fn masks(&self, variables: &[(OsString, OsString)]) -> Result<Masks, BadSetting> {
        if self.no_mask {
            return Ok(Masks::none());
        }
        let bad = |problem: String| BadSetting { setting: MASK_VARIABLE, problem };
        let value = |name: &str| variables.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.to_str());
        let words = value(MASK_VARIABLE).unwrap_or_default().split_whitespace();
        let literals = words.map(|word| match word.strip_prefix('$') {
            None => Ok(word.to_owned()),
            Some(name) => value(name)
                .map(str::to_owned)
                .ok_or_else(|| bad(format!("`${name}` is not set, or not UTF-8; leave it out or set it"))),
        });
        let literals = literals.collect::<Result<Vec<_>, _>>()?;
        // The value itself must not be shown: it is a secret.
        Masks::new(&literals).map_err(|error| bad(error.to_string()))
    }
}

struct Account {
    name: String,
    home: String,
    ids: CageUser,
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Looks in the files alone: in an outage the directory service may be what is down.
fn find_user(wanted: &str) -> Result<Account, BadSetting> {
    let bad = |problem: String| BadSetting { setting: "--agent-user", problem };
    let read = |path: &str| fs::read_to_string(path).map_err(|error| bad(format!("cannot read `{path}`: {error}")));
    let (passwd, groups) = (read(PASSWD)?, read(GROUP)?);
    let account = account(wanted, &passwd, &groups)
        .ok_or_else(|| bad(format!("there is no user `{wanted}` in {PASSWD}; make one with useradd(8)")))?;
    let own = rustix::process::geteuid();
    if !own.is_root() && own.as_raw() != account.ids.uid {
        return Err(bad(format!(
            "only root can run the agent as `{wanted}`: start breakglass as root, or leave it out"
        )));
    }
    if !Path::new(&account.home).is_dir() {
        return Err(bad(format!("the home folder `{}` of `{wanted}` is not there; the agent needs one", account.home)));
    }
    Ok(account)
}

/// passwd(5) and group(5).
fn account(wanted: &str, passwd: &str, groups: &str) -> Option<Account> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let fields = lines.find(|fields| fields.len() >= 7 && (fields[0] == wanted || fields[2] == wanted))?;
    let (name, uid, gid) = (fields[0], fields[2].parse().ok()?, fields[3].parse().ok()?);
    let member = |line: &str| {
        let fields: Vec<_> = line.split(':').collect();
        let is_member = fields.len() >= 4 && fields[3].split(',').any(|member| member == name);
        is_member.then(|| fields[2].parse::<u32>().ok()).flatten()
    };
    let mut all: Vec<u32> = groups.lines().filter_map(member).chain([gid]).collect();
    all.sort_unstable();
    all.dedup();
    Some(Account { name: name.to_owned(), home: fields[5].to_owned(), ids: CageUser { uid, gid, groups: all } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_read_with_its_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad line\nops:x:1001:1002:Ops:/home/ops:/bin/sh\n";
        let groups = "root:x:0:\nadm:x:4:syslog,ops\nops:x:1002:\ndocker:x:999:ops\nopsx:x:7:opsx\n";
        for wanted in ["ops", "1001"] {
            let found = account(wanted, passwd, groups).unwrap();
            assert_eq!((found.name.as_str(), found.home.as_str()), ("ops", "/home/ops"));
            assert_eq!(found.ids, CageUser { uid: 1001, gid: 1002, groups: vec![4, 999, 1002] });
        }
        assert!(account("nobody", passwd, groups).is_none());
    }
}
