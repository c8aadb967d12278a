//! What the page is made of has no known flaw: by advisories as they were pinned (`page_advisories.toml`, made by
//! `page_advisories.py`), for where `npm audit` has nobody to ask. That the page is made of production's packages only, its
//! build sees to (`web/build/made-of.ts`).

use semver::Version;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Pinned {
    known: Vec<String>,
    unknown: Vec<String>,
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    from: Version,
    below: Version,
}

#[derive(Deserialize)]
struct Lock {
    packages: BTreeMap<String, Package>,
}

#[derive(Deserialize)]
struct Package {
    version: Version,
    #[serde(default)]
    dev: bool,
}

impl Pinned {
    fn read() -> Self {
        toml::from_str(include_str!("page_advisories.toml")).expect("what page_advisories.py wrote")
    }

    fn about(&self, name: &str, version: &Version) -> Vec<&str> {
        let hits = |flaw: &&Advisory| flaw.package == name && (&flaw.from..&flaw.below).contains(&version);
        self.advisory.iter().filter(hits).map(|flaw| flaw.id.as_str()).collect()
    }
}

/// Name and version of what may reach the page; `node_modules/a/node_modules/b` is a `b`, and `` is the page itself.
fn production() -> Vec<(String, Version)> {
    let lock: Lock = serde_json::from_str(include_str!("../../web/package-lock.json")).expect("npm wrote it");
    let named = |(folder, package): (String, Package)| {
        let (_, name) = folder.rsplit_once("node_modules/")?;
        (!package.dev).then(|| (name.to_owned(), package.version))
    };
    lock.packages.into_iter().filter_map(named).collect()
}

#[test]
fn nothing_that_the_page_is_made_of_has_a_known_flaw() {
    let (pinned, production) = (Pinned::read(), production());
    for name in ["dompurify", "marked", "svelte"] {
        assert!(pinned.known.iter().any(|known| known == name), "the source no longer knows `{name}`");
        assert!(production.iter().any(|(used, _)| used == name), "the page is no longer made of `{name}`");
    }
    for (name, version) in production {
        assert!(
            pinned.known.contains(&name) || pinned.unknown.contains(&name),
            "`{name}` is new: run tests/doors/page_advisories.py, which looks for it too"
        );
        assert_eq!(pinned.about(&name, &version), <[&str; 0]>::default(), "update {name} {version}");
    }
}

#[test]
fn versions_with_known_flaws_are_found_and_the_ones_that_mended_them_are_not() {
    let pinned = Pinned::read();
    let about = |name, version: &str| pinned.about(name, &version.parse().expect("a version"));
    for (name, flawed, mended, id) in [
        ("dompurify", "3.4.12", "3.4.13", "GHSA-55q2-fjhq-7xh7"),
        ("dompurify", "3.0.0", "3.1.3", "GHSA-gx9m-whjm-85jf"),
        ("dompurify", "2.4.9", "2.5.0", "GHSA-gx9m-whjm-85jf"),
        ("marked", "18.0.0", "18.0.2", "GHSA-6v9c-7cg6-27q7"),
        ("svelte", "5.55.6", "5.55.7", "GHSA-9rmh-mm8f-r9h6"),
    ] {
        assert!(about(name, flawed).contains(&id), "{name} {flawed} is not found by {id}");
        assert!(!about(name, mended).contains(&id), "{name} {mended} is found by {id}");
    }
    // Below the range, and by another name.
    assert!(!about("marked", "17.0.9").contains(&"GHSA-6v9c-7cg6-27q7"));
    assert!(about("anser", "0.0.1").is_empty());
}
