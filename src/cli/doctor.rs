//! `breakglass doctor`: what a start with these settings would meet, said before it is needed. Changes nothing.

use std::io::Write;

use anyhow::Context;

use super::{Failure, data_dir, workspaces};
use crate::agent::start::ROOT_WAY_OUT;
use crate::config::{Config, Settings};
use crate::http::Tls;
use crate::turn::cgroup;

/// What was looked at, and what is wrong with it or what was found.
type Finding = (&'static str, Result<String, String>);

pub(super) fn doctor(settings: &Settings) -> Result<(), Failure> {
    let config = settings.check()?;
    let findings =
        [data_folder(&config), doors(&config), workspaces(&config), agent(&config), user(&config), cgroup(&config)];
    let mut out = std::io::stdout().lock();
    for (what, found) in &findings {
        let (word, text) = match found {
            Ok(text) => ("ok", text),
            Err(text) => ("PROBLEM", text),
        };
        writeln!(out, "{word:<8} {what}: {text}").context("cannot write to stdout")?;
    }
    match findings.iter().filter(|(_, found)| found.is_err()).count() {
        0 => Ok(()),
        problems => Err(Failure::new(1, format!("problems: {problems}; each says above what to do"))),
    }
}

fn data_folder(config: &Config) -> Finding {
    let root = config.data.root.display();
    let found = match data_dir::check(&config.data) {
        Ok(()) if config.data.root.exists() => Ok(format!("`{root}`, closed to others")),
        Ok(()) => Ok(format!("`{root}` will be made")),
        Err(error) => Err(format!("{error:#}")),
    };
    ("data folder", found)
}

fn doors(config: &Config) -> Finding {
    let found = match config.doors.tls.clone().map(Tls::load).transpose() {
        Ok(Some(_)) => Ok(format!("TLS on {}", config.listen)),
        Ok(None) => Ok(format!("plain HTTP on {}", config.listen)),
        Err(error) => Err(error.to_string()),
    };
    ("doors", found)
}

fn workspaces(config: &Config) -> Finding {
    let found = workspaces::check(config);
    let found = found.map(|()| format!("`{}`", config.sessions_dir.display()));
    ("workspaces", found.map_err(|error| error.to_string()))
}

fn agent(config: &Config) -> Finding {
    let found = config.agent.find_claude();
    ("agent", found.map(|program| format!("`{}`", program.display())).map_err(|missing| missing.to_string()))
}

fn user(config: &Config) -> Finding {
    let found = match &config.agent.cage.user {
        _ if config.agent.is_unsandboxed_root() => {
            Err(format!("it would run as root, and `claude` refuses that: {ROOT_WAY_OUT}"))
        }
        Some(user) => Ok(format!("it runs as the user with id {}", user.uid)),
        None => Ok("it runs as the gateway's own user".to_owned()),
    };
    ("agent's user", found)
}

fn cgroup(config: &Config) -> Finding {
    let cage = &config.agent.cage;
    let found = match &cage.cgroup {
        None => Ok("none: limits hold for each process alone".to_owned()),
        Some(folder) => match cgroup::check(folder, cage) {
            Ok(()) => Ok(format!("`{}`", folder.display())),
            Err(error) => Err(error.to_string()),
        },
    };
    ("agent's cgroup", found)
}
