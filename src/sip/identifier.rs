//! Tags, branches and Call-IDs: unique, and not to be guessed (RFC 3261 §19.3 asks for 32 bits, these have
//! 96).
//!
//! A tag is the only proof that a request belongs to a call, so all come from a keyed hash. The key comes
//! from the operating system, by whoever makes the endpoint; this file reads no randomness itself.

use sha2::Digest as _;
use sha2::Sha256;

pub(super) struct Identifiers {
    seed: [u8; 32],
    issued: u64,
}

impl Identifiers {
    pub(super) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, issued: 0 }
    }

    /// Never the same twice.
    pub(super) fn fresh(&mut self) -> String {
        self.issued += 1;
        self.hashed(&[b"fresh", &self.issued.to_be_bytes()])
    }

    /// Always the same for the same `parts`: a stateless answer keeps its To tag over retransmissions
    /// (RFC 3261 §8.2.7).
    pub(super) fn derived(&self, parts: &[&[u8]]) -> String {
        self.hashed(parts)
    }

    fn hashed(&self, parts: &[&[u8]]) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let mut text = String::with_capacity(IDENTIFIER_BYTES * 2);
        for byte in hash.finalize().iter().take(IDENTIFIER_BYTES) {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }
}

const IDENTIFIER_BYTES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_ones_differ_and_derived_ones_repeat() {
        let mut ids = Identifiers::new([7; 32]);
        let all: std::collections::HashSet<_> = (0..1000).map(|_| ids.fresh()).collect();
        assert_eq!(all.len(), 1000);
        assert_eq!(ids.derived(&[b"a", b"b"]), ids.derived(&[b"a", b"b"]));
        assert_ne!(ids.derived(&[b"a", b"b"]), ids.derived(&[b"ab", b""]));
        assert_ne!(ids.derived(&[b"a"]), Identifiers::new([8; 32]).derived(&[b"a"]));
        assert_eq!(ids.fresh().len(), 24);
    }
}
