//! The fuzz targets' corpus, replayed; and random bytes and random changes of the corpus at the same entries, on stable Rust.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../fuzz/entries.rs"]
mod entries;

type Entry = fn(&[u8]);

const ENTRIES: [(&str, Entry); 5] = [
    ("frames", entries::frames),
    ("records", entries::records),
    ("lines", entries::lines),
    ("spool", entries::spool),
    ("sign_in", entries::sign_in),
];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files = fs::read_dir(folder).expect("each target has a corpus").flatten();
    files.map(|file| fs::read(file.path()).expect("our own file")).collect()
}

#[test]
fn the_corpus_holds() {
    for (name, entry) in ENTRIES {
        let corpus = corpus(name);
        assert!(corpus.len() >= 5, "{name}");
        for bytes in corpus {
            entry(&bytes);
        }
    }
}

/// A piece of one, then a piece of another, then noise.
fn spliced(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let corpus = corpus(name);
    let one = prop::sample::select(corpus.clone());
    let other = prop::sample::select(corpus);
    let place = any::<prop::sample::Index>();
    (one, other, place, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..8)).prop_map(
        |(one, other, end, begin, noise)| {
            let head = &one[..end.index(one.len() + 1)];
            let tail = &other[begin.index(other.len() + 1)..];
            [head, &noise, tail].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn frames(bytes in spliced("frames")) { entries::frames(&bytes); }

    #[test]
    fn records(bytes in spliced("records")) { entries::records(&bytes); }

    #[test]
    fn lines(bytes in spliced("lines")) { entries::lines(&bytes); }

    #[test]
    fn spool(bytes in spliced("spool")) { entries::spool(&bytes); }

    #[test]
    fn sign_in(bytes in spliced("sign_in")) { entries::sign_in(&bytes); }

    #[test]
    fn anything(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for (_, entry) in ENTRIES { entry(&bytes); }
    }
}
