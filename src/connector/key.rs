//! Credentials of a connector: where they come from, and the one signature scheme that uses them.
//!
//! A key never prints, is wiped when dropped, and leaves this file only into a header or a MAC.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest key that is read, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;

/// One credential.
#[derive(Clone)]
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key as a text for a header; bytes that are no text are left out.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The credentials of one connector by the names that its file gives them.
pub type Keys = BTreeMap<String, Key>;

/// Where a credential is kept: never in the connector's file itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// An environment variable.
    Env(String),
    /// A file; a final line break is not part of the key.
    File(String),
}

impl Source {
    /// Reads the credential from the environment or the file system.
    ///
    /// # Errors
    /// In words, when it is not there, empty, or longer than [`KEY_BYTES_MAX`].
    pub fn load(&self) -> Result<Key, String> {
        let bytes = match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("expected the environment variable {name} to be set"))?
                .into_bytes(),
            Self::File(path) => {
                let mut bytes = std::fs::read(path).map_err(|e| format!("cannot read {path}: {e}"))?;
                while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                    bytes.pop();
                }
                bytes
            }
        };
        if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
            return Err(format!("expected a key of 1 to {KEY_BYTES_MAX} bytes"));
        }
        Ok(Key::new(bytes))
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Base64 with padding.
    Base64,
}

/// HMAC-SHA256 of `text` under `key` (RFC 2104).
#[must_use]
pub fn sign(key: &Key, text: &[u8], encoding: Encoding) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key.0) else {
        // RFC 2104 §3: a key of any length is taken, so this is never reached; an empty signature verifies
        // nowhere.
        return String::new();
    };
    mac.update(text);
    let tag = mac.finalize().into_bytes();
    match encoding {
        Encoding::Hex => tag.iter().map(|b| format!("{b:02x}")).collect(),
        Encoding::Base64 => BASE64.encode(tag),
    }
}

/// Whether `signature` is that of `text`, compared in constant time.
#[must_use]
pub fn verify(key: &Key, text: &[u8], encoding: Encoding, signature: &str) -> bool {
    let ours = sign(key, text, encoding);
    let theirs = match encoding {
        Encoding::Hex => signature.to_ascii_lowercase(),
        Encoding::Base64 => signature.to_owned(),
    };
    !ours.is_empty() && bool::from(ours.as_bytes().ct_eq(theirs.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_rfc_4231_test_case_2() {
        let key = Key::new(b"Jefe".to_vec());
        let hex = sign(&key, b"what do ya want for nothing?", Encoding::Hex);
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(verify(&key, b"what do ya want for nothing?", Encoding::Hex, &hex.to_uppercase()));
        assert!(!verify(&key, b"what do ya want for nothing!", Encoding::Hex, &hex));
        assert!(!verify(&key, b"", Encoding::Hex, ""));
        let base64 = sign(&key, b"x", Encoding::Base64);
        assert!(verify(&key, b"x", Encoding::Base64, &base64));
    }

    #[test]
    fn keys_do_not_print_and_missing_ones_are_told() {
        assert_eq!(format!("{:?}", Key::new(b"hush".to_vec())), "***");
        assert!(
            Source::Env("KEYTONE_NO_SUCH_VARIABLE".to_owned()).load().unwrap_err().contains("KEYTONE_NO")
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(Source::File(path.display().to_string()).load().unwrap().text(), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert!(Source::File(path.display().to_string()).load().is_err());
    }
}
