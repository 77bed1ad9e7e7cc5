//! Digits and keys that nobody may see: PINs, one-time codes, the pepper, signing keys.
//!
//! A [`Secret`] has no `Display` and no serialisation, prints as `***`, compares in constant time, and wipes its memory.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes that are wiped when dropped and never printed.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one call that needs them (hash, MAC).
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Adds one byte, moving to a larger buffer without leaving the old one behind.
    pub fn push(&mut self, byte: u8) {
        if self.0.len() == self.0.capacity() {
            let mut larger = Vec::with_capacity((self.0.capacity() * 2).max(16));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.push(byte);
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wipes it and starts again.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_itself() {
        let mut pin = Secret::from("123456");
        pin.push(b'7');
        assert_eq!(format!("{pin:?}"), "***");
        assert_eq!(pin, Secret::from("1234567"));
        assert_ne!(pin, Secret::from("1234568"));
        pin.clear();
        assert!(pin.is_empty());
    }
}
