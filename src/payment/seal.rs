//! Keys for messages, made from the pepper: a MAC that tells equal messages without keeping what they say, and
//! encryption for segments of texts that wait. Pure but for the nonce.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::payment::pin::{Error, Peppers};

/// What the key of [`Seals::mac`] is derived for.
const INBOX: &str = "keytone inbox";
/// What the keys of [`Seals::seal`] are derived for.
const PARTS: &str = "keytone parts";
/// The pepper's version in front of what is sealed, in bytes.
const VERSION_BYTES: usize = 4;

/// The keys. A new pepper makes new ones: what was sealed under an older one still opens as long as that is loaded, and
/// the MAC of a message is another one from then on.
pub struct Seals {
    current: i32,
    mac: Hmac<Sha256>,
    keys: BTreeMap<i32, LessSafeKey>,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seals")
    }
}

impl Seals {
    /// Derives the keys.
    ///
    /// # Errors
    /// [`Error::NoPepper`] when a pepper cannot be used.
    pub fn new(peppers: &Peppers) -> Result<Self, Error> {
        let current = peppers.current();
        let inbox = peppers.derived(INBOX)?;
        let key = inbox.get(&current).ok_or(Error::NoPepper(current))?;
        let mac = Hmac::new_from_slice(key.expose()).map_err(|_| Error::NoPepper(current))?;
        let mut keys = BTreeMap::new();
        for (version, key) in peppers.derived(PARTS)? {
            let key =
                UnboundKey::new(&CHACHA20_POLY1305, key.expose()).map_err(|_| Error::NoPepper(version))?;
            keys.insert(version, LessSafeKey::new(key));
        }
        Ok(Self { current, mac, keys })
    }

    /// A name for a list of parts: the same for the same list, after a restart too, and telling nothing of them. Where one
    /// part ends and the next begins counts.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        let mut name = [0; 16];
        name.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        name
    }

    /// Encrypts (RFC 8439) and binds to `aad`: the pepper's version, a nonce, the text and its tag.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let key = self.keys.get(&self.current).ok_or(Error::NoPepper(self.current))?;
        let mut nonce = [0; NONCE_LEN];
        crate::random::fill(&mut nonce).map_err(|_| Error::Random)?;
        let mut text = Zeroizing::new(plain.to_vec());
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        // Only a text of 256 GiB is refused.
        let tag = key
            .seal_in_place_separate_tag(nonce_used, Aad::from(aad), text.as_mut_slice())
            .map_err(|_| Error::Random)?;
        Ok([self.current.to_be_bytes().as_slice(), &nonce, &text, tag.as_ref()].concat())
    }

    /// What was sealed; `None` when it was not sealed by us, for this `aad`, under a pepper that is loaded.
    #[must_use]
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first_chunk::<VERSION_BYTES>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = self.keys.get(&i32::from_be_bytes(*version))?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(aad), text.as_mut_slice()).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn seals(file: &str) -> Seals {
        Seals::new(&Peppers::parse(file).unwrap()).unwrap()
    }

    const ONE: &str = "1 = 00112233445566778899aabbccddeeff";
    const TWO: &str = "1 = 00112233445566778899aabbccddeeff\n2 = ffeeddccbbaa99887766554433221100";

    #[test]
    fn a_name_is_of_the_parts_and_of_the_pepper() {
        let seals = seals(ONE);
        let name = seals.mac(&[b"smsc", b"+8613800000001", b"RC 50"]);
        assert_eq!(
            name,
            Seals::new(&Peppers::parse(ONE).unwrap()).unwrap().mac(&[b"smsc", b"+8613800000001", b"RC 50"])
        );
        for other in [
            seals.mac(&[b"smsc", b"+8613800000001", b"RC 51"]),
            seals.mac(&[b"smsc+", b"8613800000001", b"RC 50"]),
            seals.mac(&[b"smsc", b"+8613800000001RC 50"]),
            seals.mac(&[b"smsc", b"+8613800000001", b"RC 50", b""]),
            self::seals(TWO).mac(&[b"smsc", b"+8613800000001", b"RC 50"]),
            Seals::new(&Peppers::single(Secret::from("0123456789abcdef"))).unwrap().mac(&[b"smsc"]),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn the_keys_are_apart_from_each_other_and_from_the_pepper() {
        let peppers = Peppers::parse(ONE).unwrap();
        let keys = [peppers.derived(INBOX).unwrap(), peppers.derived(PARTS).unwrap()].map(|k| k[&1].clone());
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() == 32 && !key.expose().starts_with(&[0, 0x11, 0x22])));
    }

    #[test]
    fn what_is_sealed_opens_only_whole_and_where_it_belongs() {
        let seals = seals(ONE);
        let sealed = seals.seal(b"text 1", b"RC 50 739154").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"739154"));
        assert_ne!(sealed, seals.seal(b"text 1", b"RC 50 739154").unwrap(), "each has a nonce of its own");
        assert_eq!(seals.open(b"text 1", &sealed).unwrap().as_slice(), b"RC 50 739154");
        assert!(seals.open(b"text 2", &sealed).is_none());
        for length in 0..sealed.len() {
            assert!(seals.open(b"text 1", &sealed[..length]).is_none(), "{length} bytes");
        }
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(seals.open(b"text 1", &bad).is_none(), "byte {at}");
        }
        assert_eq!(seals.open(b"", &seals.seal(b"", b"").unwrap()).unwrap().as_slice(), b"");
    }

    #[test]
    fn an_older_pepper_opens_and_a_lost_one_does_not() {
        let (old, new) = (seals(ONE), seals(TWO));
        let sealed = old.seal(b"", b"x").unwrap();
        assert!(new.open(b"", &sealed).is_some());
        assert!(old.open(b"", &new.seal(b"", b"x").unwrap()).is_none());
        assert_eq!(format!("{old:?}"), "Seals");
    }
}
