//! Signed notes (C2SP `signed-note`, Ed25519) and the keys for them, in the text forms that other people's tools read.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The signature type of Ed25519 in key ids and keys.
const ED25519: u8 = 1;
/// Begins a signing key's text.
const PRIVATE: &str = "PRIVATE+KEY+";
/// Begins a signature's line.
const SIGNATURE: &str = "— ";
/// Bytes of a note that are looked at, at most: a checkpoint has some 300.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(String);

/// Why a note is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a note.
    #[error("it is not a signed note")]
    Malformed,
    /// No signature on it is by this key.
    #[error("it is signed by another key (`{by}`)")]
    OtherKey {
        /// Whose name stands on it.
        by: String,
    },
    /// A signature that says to be by this key is not.
    #[error("its signature is wrong: it was changed, or forged")]
    Forged,
}

/// Checks that a key's name can stand in a note.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), KeyError> {
    let bad = name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
    if bad {
        return Err(KeyError(format!("`{name}` cannot name a key: it must have no spaces and no `+`")));
    }
    Ok(())
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash: [u8; 32] =
        Sha256::new_with_prefix(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The public half: who signed. Its text form is `NAME+ID+KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl Verifier {
    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note that this key signed.
    ///
    /// # Errors
    /// Why it is not to be believed.
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        let plain = note.len() <= NOTE_BYTES_MAX && !note.contains(|c: char| c < ' ' && c != '\n');
        let (text, signatures) = note.rsplit_once("\n\n").filter(|_| plain).ok_or(NoteError::Malformed)?;
        // The text keeps its last newline; the empty line between is nobody's.
        let text = &note[..=text.len()];
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut other = None;
        for line in signatures.split('\n') {
            let parts = line.strip_prefix(SIGNATURE).and_then(|rest| rest.split_once(' '));
            let (name, signature) = parts.ok_or(NoteError::Malformed)?;
            let bytes = BASE64.decode(signature.as_bytes()).map_err(|_| NoteError::Malformed)?;
            let (id, signature) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
            if name != self.name || *id != self.id {
                other.get_or_insert_with(|| name.to_owned());
                continue;
            }
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::Forged)?;
            let verified = self.key.verify_strict(text.as_bytes(), &signature);
            return verified.map(|()| text).map_err(|_| NoteError::Forged);
        }
        Err(NoteError::OtherKey { by: other.unwrap_or_default() })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id), BASE64.encode(&key))
    }
}

impl FromStr for Verifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bad = || KeyError("not a verifier key like `NAME+1234abcd+AQ…`, as `breakglass key` prints it".to_owned());
        let (name, id, bytes) = read_key(text).ok_or_else(bad)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| bad())?;
        if key_id(name, &key) != id {
            return Err(KeyError("the key's id does not fit its name and key: it was mistyped".to_owned()));
        }
        Ok(Self { name: name.to_owned(), id, key })
    }
}

/// The private half. Its text form is `PRIVATE+KEY+NAME+ID+SEED`; it is never printed.
pub struct Signer {
    key: SigningKey,
    verifier: Verifier,
}

impl Signer {
    /// A new key from 32 random bytes.
    ///
    /// # Errors
    /// When the name cannot name a key.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        check_name(name)?;
        let signing = SigningKey::from_bytes(seed);
        let key = signing.verifying_key();
        let verifier = Verifier { name: name.to_owned(), id: key_id(name, &key), key };
        Ok(Self { key: signing, verifier })
    }

    /// The public half.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// A note: this text, which must end with a newline, and the signature.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{SIGNATURE}{} {}\n", self.verifier.name, BASE64.encode(&signature))
    }

    /// The secret text to keep in a file.
    pub fn secret_text(&self) -> String {
        let mut seed = vec![ED25519];
        seed.extend_from_slice(self.key.as_bytes());
        format!("{PRIVATE}{}+{}+{}", self.verifier.name, HEXLOWER.encode(&self.verifier.id), BASE64.encode(&seed))
    }
}

impl FromStr for Signer {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bad = || KeyError("not a signing key".to_owned());
        let (name, id, seed) = text.strip_prefix(PRIVATE).and_then(read_key).ok_or_else(bad)?;
        let this = Self::new(name, &seed)?;
        if this.verifier.id == id { Ok(this) } else { Err(bad()) }
    }
}

/// `NAME+ID+BASE64(0x01 || 32 bytes)`. The base64 may have a `+` in it, the name and the id have none.
fn read_key(text: &str) -> Option<(&str, [u8; 4], [u8; 32])> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    check_name(name).ok()?;
    let id = HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?;
    let key = BASE64.decode(key.as_bytes()).ok()?;
    let (kind, key) = key.split_first()?;
    let key = key.try_into().ok().filter(|_| *kind == ED25519)?;
    Some((name, id, key))
}
