//! Neither lock file holds a package below the version that mended its last known flaw (`floors.toml`), also where there is no
//! network to ask `cargo deny` and `npm audit`. That the page is made of production's packages only, its build sees to
//! (`web/build/made-of.ts`).

use std::collections::BTreeMap;

use semver::Version;
use serde::Deserialize;

#[derive(Deserialize)]
struct Floors {
    rust: Vec<String>,
    page: Vec<String>,
    rust_at_least: BTreeMap<String, Floor>,
    page_at_least: BTreeMap<String, Floor>,
}

#[derive(Deserialize)]
struct Floor {
    version: Version,
    because: String,
}

#[derive(Deserialize)]
struct CargoLock {
    package: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: Version,
    source: Option<String>,
}

#[derive(Deserialize)]
struct NpmLock {
    packages: BTreeMap<String, NpmPackage>,
}

#[derive(Deserialize)]
struct NpmPackage {
    version: Version,
    #[serde(default)]
    dev: bool,
}

/// Names and versions of what comes from others.
type Packages = Vec<(String, Version)>;

fn floors() -> Floors {
    toml::from_str(include_str!("floors.toml")).expect("the list is well-formed")
}

fn of_the_binary() -> Packages {
    let lock: CargoLock = toml::from_str(include_str!("../../Cargo.lock")).expect("cargo wrote it");
    lock.package.into_iter().filter(|each| each.source.is_some()).map(|each| (each.name, each.version)).collect()
}

/// `node_modules/a/node_modules/b` is a `b`, and `` is the page itself.
fn of_the_page() -> Packages {
    let lock: NpmLock = serde_json::from_str(include_str!("../../web/package-lock.json")).expect("npm wrote it");
    let named = |(folder, package): (String, NpmPackage)| {
        let (_, name) = folder.rsplit_once("node_modules/")?;
        (!package.dev).then(|| (name.to_owned(), package.version))
    };
    lock.packages.into_iter().filter_map(named).collect()
}

/// What is wrong with these packages.
fn found(packages: &[(String, Version)], looked_up: &[String], at_least: &BTreeMap<String, Floor>) -> Vec<String> {
    let wrong = |(name, version): &(String, Version)| match at_least.get(name) {
        Some(floor) if *version < floor.version => {
            Some(format!("{name} {version} has a known flaw ({}): lock {} or later", floor.because, floor.version))
        }
        None if !looked_up.contains(name) => {
            Some(format!("{name} is new: look up its advisories and add it to floors.toml"))
        }
        _ => None,
    };
    packages.iter().filter_map(wrong).collect()
}

#[test]
fn no_package_has_a_known_flaw() {
    let (floors, packages) = (floors(), of_the_binary());
    assert!(packages.len() > 100, "Cargo.lock is no longer what this test takes it for");
    assert_eq!(found(&packages, &floors.rust, &floors.rust_at_least), <[String; 0]>::default());
}

#[test]
fn nothing_that_the_page_is_made_of_has_a_known_flaw() {
    let (floors, packages) = (floors(), of_the_page());
    for name in ["anser", "dompurify", "marked", "svelte"] {
        assert!(packages.iter().any(|(used, _)| used == name), "the page is no longer made of `{name}`");
    }
    assert_eq!(found(&packages, &floors.page, &floors.page_at_least), <[String; 0]>::default());
}

#[test]
fn versions_with_known_flaws_are_found_and_those_that_mended_them_are_not() {
    let floors = floors();
    let found = |name: &str, version: &str| {
        let packages = [(name.to_owned(), version.parse().expect("a version"))];
        found(&packages, &floors.page, &floors.page_at_least).concat()
    };
    assert!(found("dompurify", "3.4.12").contains("GHSA-55q2-fjhq-7xh7"));
    assert!(found("svelte", "5.55.6").contains("lock 5.55.7"));
    assert!(found("marked", "18.0.2-rc.1").contains("lock 18.0.2"), "what came before a release is not it");
    assert_eq!(found("dompurify", "3.4.13"), "");
    assert!(found("left-pad", "1.0.0").contains("is new"));
}
