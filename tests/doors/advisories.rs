//! No package in Cargo.lock has a known flaw: by RustSec's advisories as they were pinned (`advisories.toml`, made by
//! `advisories.py`), for where there is no network. `tests/run` asks for newer ones where it can.

use semver::{Version, VersionReq};
use serde::Deserialize;

#[derive(Deserialize)]
struct Pinned {
    looked_at: Vec<String>,
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    title: String,
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
    source: Option<String>,
}

impl Advisory {
    fn is_about(&self, name: &str, version: &Version) -> bool {
        self.package == name && !self.patched.iter().chain(&self.unaffected).any(|safe| safe.matches(version))
    }
}

#[test]
fn no_package_has_a_known_flaw() {
    let pinned: Pinned = toml::from_str(include_str!("advisories.toml")).expect("what advisories.py wrote");
    let lock: Lock = toml::from_str(include_str!("../../Cargo.lock")).expect("cargo wrote it");
    let packages: Vec<_> = lock.package.iter().filter(|package| package.source.is_some()).collect();
    assert!(
        packages.len() > 100 && pinned.advisory.len() > 20,
        "the files are no longer what this test takes them for"
    );
    for Package { name, version, .. } in packages {
        assert!(
            pinned.looked_at.contains(name),
            "`{name}` is new: run tests/doors/advisories.py, which looks for it too"
        );
        let found = pinned.advisory.iter().find(|advisory| advisory.is_about(name, version));
        let found = found.map(|advisory| format!("{}: {}", advisory.id, advisory.title));
        assert_eq!(found, None, "update {name} {version}");
    }
}

#[test]
fn an_advisory_is_about_the_versions_between_what_is_safe() {
    let requirements = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a requirement")).collect();
    let advisory = Advisory {
        id: "X".into(),
        package: "p".into(),
        title: String::new(),
        patched: requirements(&[">= 1.8.4, < 1.9.0", ">= 1.13.1"]),
        unaffected: requirements(&["< 0.1.14"]),
    };
    let is_about = |version: &str| advisory.is_about("p", &version.parse().expect("a version"));
    assert!(["0.1.14", "1.8.3", "1.9.0", "1.13.0"].into_iter().all(is_about));
    assert!(!["0.1.13", "1.8.4", "1.13.1", "2.0.0"].into_iter().any(is_about));
    assert!(!advisory.is_about("q", &Version::new(1, 0, 0)));
}
