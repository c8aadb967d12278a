//! Every test that docs/security.md names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read_below(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("our own folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_below(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("our own file"));
        }
    }
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let mut source = String::new();
    for folder in ["src", "tests"] {
        read_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut source);
    }
    let page = include_str!("../../docs/security.md");
    let quoted: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let is_name =
        |text: &&&str| text.matches('_').count() >= 3 && text.chars().all(|c| c.is_alphanumeric() || "_…".contains(c));
    let named: Vec<_> = quoted.iter().filter(is_name).filter(|name| name.chars().any(char::is_lowercase)).collect();
    assert!(named.len() > 40, "{}: the tests are no longer named as this test reads them", named.len());
    for name in named {
        let begins = format!("fn {}", name.trim_end_matches('…'));
        assert!(source.contains(&begins), "docs/security.md names `{name}`, and there is no such test");
    }
}
