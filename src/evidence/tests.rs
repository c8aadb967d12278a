//! Against the published vectors, and against other people's implementations of the same formats.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use sha2::Sha256;

use super::checkpoint::Checkpoint;
use super::inclusion::{Inclusion, PathMaker};
use super::leaf;
use super::note::{NoteError, Signer, Verifier};
use super::tree::{Frontier, leaf_hash};
use crate::ids::{Epoch, Seq, SessionId};

/// The leaves and roots that RFC 6962's authors publish with their reference implementation.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn roots_are_those_that_are_published() {
    let mut tree = Frontier::default();
    assert_eq!(HEXLOWER.encode(&tree.root()), ROOTS[0]);
    for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
        tree.push(leaf_hash(&[&HEXLOWER.decode(leaf.as_bytes()).unwrap()]));
        assert_eq!(HEXLOWER.encode(&tree.root()), *root, "{} leaves", tree.size());
        assert_eq!(Frontier::from_bytes(tree.size(), tree.as_bytes()).as_ref(), Some(&tree));
        assert_eq!(Frontier::from_bytes(tree.size() | 1 << 20, tree.as_bytes()), None);
    }
}

/// Pins this project's own bytes: `docs/evidence.md` has the same numbers, and `docs/verify.py` checks them.
#[test]
fn leaves_are_those_of_the_documentation() {
    let epoch: Epoch = "00112233-4455-6677-8899-aabbccddeeff".parse().unwrap();
    let session: SessionId = "0190a6c8-7e1d-7cc0-9d3c-2f6b7a1e4d55".parse().unwrap();
    let commitment = leaf::commitment(&[7; 16], br#"{"seq":1}"#);
    let hash = leaf::of_record(epoch, session, Seq(1), &commitment);
    assert_eq!(
        (HEXLOWER.encode(&commitment).as_str(), HEXLOWER.encode(&hash).as_str()),
        (DOCUMENTED_COMMITMENT, DOCUMENTED_LEAF)
    );
    let documented = include_str!("../../docs/evidence.md");
    assert!(documented.contains(DOCUMENTED_COMMITMENT) && documented.contains(DOCUMENTED_LEAF));
}

const DOCUMENTED_COMMITMENT: &str = "3d74125ca05a513d9e09326c8f769830c79068daa6fe4a8715587e85f7d2d0c3";
const DOCUMENTED_LEAF: &str = "a102f3d3445064587113e968c5f67626455aca66051c8adb70850e5b31df3e10";

#[test]
fn keys_and_notes_are_read_back_and_nothing_else_is_believed() {
    let signer = Signer::new("break.example/glass", &[3; 32]).unwrap();
    let verifier: Verifier = signer.verifier().to_string().parse().unwrap();
    assert_eq!(&verifier, signer.verifier());
    let again: Signer = signer.secret_text().parse().unwrap();
    let text = "break.example/glass\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let note = again.sign(text);
    assert_eq!(verifier.open(&note), Ok(text));
    assert_eq!(Checkpoint::parse(text).map(|head| head.text()).as_deref(), Some(text));

    assert_eq!(verifier.open(&note.replacen("\n0\n", "\n1\n", 1)), Err(NoteError::Forged));
    let other = Signer::new("break.example/glass", &[4; 32]).unwrap();
    assert!(matches!(verifier.open(&other.sign(text)), Err(NoteError::OtherKey { .. })));
    for broken in ["", "\n", "\n\n", "x\n\ny\n", text, &note[..note.len() - 1], "a\n\n— b \n"] {
        assert_eq!(verifier.open(broken), Err(NoteError::Malformed), "{broken:?}");
    }
    for broken in ["", "a+b+c", "a b+00000000+AQ==", &signer.verifier().to_string().replace("glass", "gloss")] {
        assert!(broken.parse::<Verifier>().is_err(), "{broken}");
    }
    for broken in ["a\n01\nAA==\n", "a\n1\nAA==\n", "\n1\n\n", "a\n1\n"] {
        assert_eq!(Checkpoint::parse(broken), None, "{broken:?}");
    }
}

#[test]
fn other_peoples_notes_verify_our_checkpoints() {
    let signer = Signer::new("break.example/glass", &[5; 32]).unwrap();
    let text = Checkpoint::of("break.example/glass/sessions/x".to_owned(), &Frontier::default()).text();
    let theirs = signed_note::StandardVerifier::new(&signer.verifier().to_string()).unwrap();
    let verifiers = signed_note::VerifierList::new(vec![Box::new(theirs)]);
    let note = signed_note::Note::from_bytes(signer.sign(&text).as_bytes()).unwrap();
    let (verified, _) = note.verify(&verifiers).unwrap();
    assert_eq!((verified.len(), note.text()), (1, text.as_bytes()));
    assert!(signed_note::StandardSigner::new(&signer.secret_text()).is_ok());
}

proptest! {
    #[test]
    fn roots_are_those_of_another_implementation(leaves in prop::collection::vec(any::<Vec<u8>>(), 0..200)) {
        let (mut ours, mut theirs) = (Frontier::default(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
        for leaf in leaves {
            ours.push(leaf_hash(&[&leaf]));
            theirs.push(leaf);
        }
        let (ours, theirs) = (ours.root(), theirs.root());
        prop_assert_eq!(ours.as_slice(), theirs.as_bytes().as_slice());
    }

    #[test]
    fn inclusion_is_proved_as_another_implementation_does(count in 1usize..70, at in any::<prop::sample::Index>()) {
        let index = at.index(count);
        let mut maker = PathMaker::new(index as u64, count as u64).unwrap();
        let (mut tree, mut theirs) = (Frontier::default(), MemoryBackedTree::<Sha256, Vec<u8>>::new());
        for number in 0..count {
            let leaf = vec![number as u8];
            maker.push(leaf_hash(&[&leaf]));
            tree.push(leaf_hash(&[&leaf]));
            theirs.push(leaf);
        }
        let (ours, leaf) = (maker.finish(), leaf_hash(&[&[index as u8]]));
        let expected = theirs.prove_inclusion(index);
        prop_assert_eq!(ours.path.concat(), expected.as_bytes());
        prop_assert_eq!(ours.root(leaf, count as u64), Some(tree.root()));
        prop_assert_ne!(ours.root(leaf_hash(&[b"another"]), count as u64), Some(tree.root()));
        prop_assert_eq!(ours.root(leaf, index as u64), None);
        let text = ours.text("head\n");
        prop_assert_eq!(Inclusion::read(&text), Some((ours, "head\n")));
    }

    #[test]
    fn no_text_is_a_note_by_accident(text in any::<String>()) {
        let verifier = Signer::new("a", &[1; 32]).unwrap().verifier().clone();
        prop_assert!(verifier.open(&text).is_err());
        let _total = (text.parse::<Verifier>().is_ok(), Checkpoint::parse(&text));
    }
}
