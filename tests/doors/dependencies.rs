//! What comes into the binary, by `deny.toml`, where cargo-deny is not at hand: licences, sources and bans. Needs no network;
//! advisories are for cargo-deny and a network (`tests/run` says whether they were looked at).

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Every package that the lock file brings in on this platform: these are on this machine, for this test was built of them.
fn packages() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let ran = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let metadata: Value = serde_json::from_slice(&ran.stdout).expect("cargo prints JSON");
    metadata["packages"].as_array().expect("a list").clone()
}

/// Whether an SPDX expression (`/` is the old way to say OR) can be met by what is allowed.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "+WITH+");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed);
    }
    met
}

fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
    match words.next() {
        Some("(") => any(words, allowed) & words.next_if_eq(&")").is_some(),
        Some(name) => allowed.contains(&name.replace("+WITH+", " WITH ")),
        None => false,
    }
}

#[test]
fn what_comes_into_the_binary_is_allowed() {
    let rules: toml::Table = include_str!("../../deny.toml").parse().expect("TOML");
    let allowed: BTreeSet<String> = rules["licenses"]["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one.as_str().expect("text").into())
        .collect();
    let banned: BTreeSet<&str> = rules["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["crate"].as_str().expect("text"))
        .collect();
    assert!(allowed.len() >= 5 && banned.contains("openssl-sys"), "the rules are no longer where this test looks");
    let packages = packages();
    assert!(packages.len() > 100, "{}", packages.len());
    let from = packages.iter().find_map(|package| package["source"].as_str()).expect("a registry");
    for package in packages.iter().filter(|package| package["name"] != "breakglass") {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_met(licence, &allowed), "`{name}` is licensed as `{licence}`, which deny.toml does not allow");
        let source = package["source"].as_str().unwrap_or("a path");
        assert!(source.starts_with("registry+") && source == from, "`{name}` comes from {source}");
        assert!(!banned.contains(name), "`{name}` is banned by deny.toml");
    }
}

#[test]
fn licence_expressions_are_read_right() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for met in
        ["MIT", "GPL-3.0 OR MIT", "MIT AND ISC", "(GPL-3.0 OR MIT) AND ISC", "X/MIT", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR X) AND MIT", "MIT AND (ISC", "Apache-2.0", "MIT ISC"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}
