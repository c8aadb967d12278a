//! Settings of the doors: who may come from where, over what, and how many.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{BadSetting, PublicUrl, number, public_url};
use crate::auth::{LoginLimits, parse_role};
use crate::protocol::server::Role;

/// The settings as they were given.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Doors")]
pub struct DoorSettings {
    /// More origins whose pages may use this gateway, separated by commas, such as `https://ops.example.org`
    #[arg(long, env = "BREAKGLASS_ALLOWED_ORIGINS", value_name = "ORIGINS")]
    pub allowed_origins: Option<String>,
    /// More names that this gateway goes by (`Host`), separated by commas, with the port if it is not 80 or 443
    #[arg(long, env = "BREAKGLASS_ALLOWED_HOSTS", value_name = "HOSTS")]
    pub allowed_hosts: Option<String>,
    /// Certificate chain (PEM): speak TLS; read again on SIGHUP
    #[arg(long, env = "BREAKGLASS_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate (PEM), readable by no others; read again on SIGHUP
    #[arg(long, env = "BREAKGLASS_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// A proxy in front speaks TLS: listening beyond loopback without it is then not refused
    #[arg(long, env = "BREAKGLASS_BEHIND_PROXY", value_parser = FalseyValueParser::new())]
    pub behind_proxy: bool,
    /// Addresses of sign-on proxies whose user header counts, as CIDR, separated by commas
    #[arg(long, env = "BREAKGLASS_TRUSTED_PROXY", value_name = "CIDR")]
    pub trusted_proxy: Option<String>,
    /// Header in which a trusted proxy names the user
    #[arg(long, env = "BREAKGLASS_PROXY_USER_HEADER", value_name = "HEADER", default_value = "X-authentik-username")]
    pub proxy_user_header: String,
    /// Header in which a trusted proxy names the user's groups, separated by `|` or `,`
    #[arg(long, env = "BREAKGLASS_PROXY_GROUPS_HEADER", value_name = "HEADER")]
    pub proxy_groups_header: Option<String>,
    /// What a trusted proxy's users may do, as GROUP=ROLE separated by commas; `*=ROLE` for everybody
    #[arg(long, env = "BREAKGLASS_PROXY_ROLES", value_name = "ROLES", default_value = "*=viewer")]
    pub proxy_roles: String,
    /// A browser that is not used for so long is signed out, seconds
    #[arg(long, env = "BREAKGLASS_LOGIN_IDLE_SECONDS", value_name = "SECONDS", default_value = "43200")]
    pub login_idle_seconds: String,
    /// A browser is signed out after so long in any case, seconds
    #[arg(long, env = "BREAKGLASS_LOGIN_MAX_SECONDS", value_name = "SECONDS", default_value = "604800")]
    pub login_max_seconds: String,
    /// Connections at the same time
    #[arg(long, env = "BREAKGLASS_MAX_CONNECTIONS", value_name = "COUNT", default_value = "10000")]
    pub max_connections: String,
    /// Connections of one person at the same time
    #[arg(long, env = "BREAKGLASS_MAX_CONNECTIONS_PER_IDENTITY", value_name = "COUNT", default_value = "8000")]
    pub max_connections_per_identity: String,
    /// Connections at the same time that have not shown a credential
    #[arg(long, env = "BREAKGLASS_MAX_CONNECTIONS_UNAUTHENTICATED", value_name = "COUNT", default_value = "2000")]
    pub max_connections_unauthenticated: String,
    /// HTTP requests of one person a second, in the long run; bursts may be five times as many
    #[arg(long, env = "BREAKGLASS_REQUESTS_PER_SECOND", value_name = "COUNT", default_value = "1000")]
    pub requests_per_second: String,
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: u128,
    mask: u128,
}

/// IPv4 addresses as IPv6 ones (`::ffff:a.b.c.d`), so that there is one arithmetic.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped().to_bits(),
        IpAddr::V6(six) => six.to_bits(),
    }
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (outer, longest) = if address.is_ipv4() { (96, 32) } else { (0, 128) };
        let length = length.unwrap_or(longest);
        if length > longest {
            return None;
        }
        let mask = match outer + length {
            0 => 0,
            ones => u128::MAX << (128 - ones),
        };
        Some(Self { network: bits(address) & mask, mask })
    }

    /// Whether the address lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.network
    }
}

/// A sign-on proxy, and what its users may do.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// From where its headers count.
    pub trusted: Vec<Cidr>,
    /// The header that names the user.
    pub user_header: hyper::header::HeaderName,
    /// The header that names their groups.
    pub groups_header: Option<hyper::header::HeaderName>,
    /// Groups and roles; `*` for everybody.
    pub roles: Vec<(String, Role)>,
}

/// The files of a TLS certificate.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// How many.
#[derive(Debug, Clone, Copy)]
pub struct DoorLimits {
    /// Connections at the same time.
    pub connections: usize,
    /// Of one person.
    pub per_identity: usize,
    /// Without a credential.
    pub unauthenticated: usize,
    /// Requests of one person a second.
    pub requests_per_second: u32,
}

/// All settings of the doors, checked.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// More origins.
    pub origins: Vec<String>,
    /// More hosts.
    pub hosts: Vec<String>,
    /// TLS, if it is spoken here.
    pub tls: Option<TlsFiles>,
    /// The sign-on proxy.
    pub proxy: ProxyConfig,
    /// Browsers' sign-ins.
    pub logins: LoginLimits,
    /// How many.
    pub limits: DoorLimits,
}

/// More than any setting here can mean.
const COUNT_MAX: u64 = 1_000_000;
/// Ten years.
const SECONDS_MAX: u64 = 10 * 366 * 24 * 60 * 60;

fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl DoorSettings {
    /// Checks them; `listen` is where the gateway will listen.
    ///
    /// # Errors
    /// [`BadSetting`] for the first that cannot be used.
    pub fn check(&self, listen: SocketAddr) -> Result<DoorConfig, BadSetting> {
        let tls = self.tls()?;
        if tls.is_none() && !self.behind_proxy && !listen.ip().is_loopback() {
            let problem = format!(
                "`{listen}` can be reached from other machines, and without TLS everybody on the way reads the tokens; give \
                 --tls-cert and --tls-key, or say --behind-proxy when a proxy in front speaks TLS, or listen on 127.0.0.1"
            );
            return Err(BadSetting { setting: "--listen", problem });
        }
        let count = |setting, text: &str| number(setting, text, COUNT_MAX);
        let seconds = |setting, text: &str| number(setting, text, SECONDS_MAX).map(Duration::from_secs);
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let limits = DoorLimits {
            connections: size(count("--max-connections", &self.max_connections)?),
            per_identity: size(count("--max-connections-per-identity", &self.max_connections_per_identity)?),
            unauthenticated: size(count("--max-connections-unauthenticated", &self.max_connections_unauthenticated)?),
            requests_per_second: u32::try_from(count("--requests-per-second", &self.requests_per_second)?)
                .unwrap_or(u32::MAX),
        };
        let origins = list(self.allowed_origins.as_deref())
            .map(|text| public_url("--allowed-origins", text).map(|PublicUrl { origin, .. }| origin))
            .collect::<Result<_, _>>()?;
        let hosts = list(self.allowed_hosts.as_deref()).map(host).collect::<Result<_, _>>()?;
        let logins = LoginLimits {
            idle: seconds("--login-idle-seconds", &self.login_idle_seconds)?,
            absolute: seconds("--login-max-seconds", &self.login_max_seconds)?,
        };
        Ok(DoorConfig { origins, hosts, tls, proxy: self.proxy()?, logins, limits })
    }

    fn tls(&self) -> Result<Option<TlsFiles>, BadSetting> {
        match (&self.tls_cert, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone() })),
            (Some(_), None) => {
                Err(BadSetting { setting: "--tls-key", problem: "is missing: --tls-cert needs it".to_owned() })
            }
            (None, Some(_)) => {
                Err(BadSetting { setting: "--tls-cert", problem: "is missing: --tls-key needs it".to_owned() })
            }
        }
    }

    fn proxy(&self) -> Result<ProxyConfig, BadSetting> {
        let cidr = |text: &str| {
            Cidr::parse(text).ok_or_else(|| BadSetting {
                setting: "--trusted-proxy",
                problem: format!("`{text}` is not an address or a range like 10.0.0.0/8 or fd00::/8"),
            })
        };
        let header = |setting, text: &str| {
            text.parse().map_err(|_| BadSetting { setting, problem: format!("`{text}` is not a header's name") })
        };
        let role = |text: &str| {
            let parsed = text.split_once('=').and_then(|(group, role)| {
                Some((group.trim().to_owned(), parse_role(role.trim())?)).filter(|(group, _)| !group.is_empty())
            });
            parsed.ok_or_else(|| BadSetting {
                setting: "--proxy-roles",
                problem: format!("`{text}` is not GROUP=ROLE with a role of viewer, auditor or operator"),
            })
        };
        Ok(ProxyConfig {
            trusted: list(self.trusted_proxy.as_deref()).map(cidr).collect::<Result<_, _>>()?,
            user_header: header("--proxy-user-header", &self.proxy_user_header)?,
            groups_header: self
                .proxy_groups_header
                .as_deref()
                .map(|text| header("--proxy-groups-header", text))
                .transpose()?,
            roles: list(Some(&self.proxy_roles)).map(role).collect::<Result<_, _>>()?,
        })
    }
}

fn host(text: &str) -> Result<String, BadSetting> {
    let authority = text.parse::<hyper::http::uri::Authority>().ok().filter(|_| !text.contains('@'));
    authority.map(|authority| authority.as_str().to_ascii_lowercase()).ok_or_else(|| BadSetting {
        setting: "--allowed-hosts",
        problem: format!("`{text}` is not a name like ops.example.org or ops.example.org:8443"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_name() {
        let holds = |range: &str, address: &str| Cidr::parse(range).unwrap().contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.1.2") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"), "as a dual-stack socket shows it");
        assert!(holds("127.0.0.1", "127.0.0.1") && !holds("127.0.0.1", "127.0.0.2"));
        assert!(holds("0.0.0.0/0", "9.9.9.9") && !holds("0.0.0.0/0", "fd00::1"));
        assert!(holds("::/0", "fd00::1") && holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "fe80::1"));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/-1", "10.0.0.0/"] {
            assert!(Cidr::parse(wrong).is_none(), "{wrong}");
        }
    }
}
