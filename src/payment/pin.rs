//! PINs: which are taken, how they are kept, how one is checked. Pure but for the salt.
//!
//! A PIN of six digits is found in a million tries, so the protection of a stolen table is the pepper:
//! HMAC-SHA256 under a key that is not in the database, before argon2id. A lost pepper loses every PIN: back
//! it up apart from the rows.

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::secret::Secret;

/// The shortest pepper, in bytes.
const PEPPER_BYTES_MIN: usize = 16;
/// Salt, in bytes (RFC 9106 §3.1).
const SALT_BYTES: usize = 16;
/// Tag, in bytes.
const TAG_BYTES: usize = 32;
/// The most memory that a stored hash may ask for, in KiB: a tampered row must not take the machine.
const MEMORY_MAX_KIB: u32 = 64 * 1024;
/// The most passes that a stored hash may ask for.
const PASSES_MAX: u32 = 10;

/// What is wrong with peppers or a stored hash.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pepper file.
    #[error("expected lines such as `1 = 64 hexadecimal digits` in the pepper file, line {line}")]
    PepperFile {
        /// From 1.
        line: usize,
    },
    /// No pepper of this version is loaded.
    #[error("no pepper of version {0} is loaded")]
    NoPepper(i32),
    /// The stored text is no hash of ours.
    #[error("a stored PIN hash cannot be read")]
    Hash,
    /// No randomness.
    #[error("the operating system gives no randomness")]
    Random,
}

/// Why a new PIN is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Something besides digits.
    #[error("a PIN has digits only")]
    NotDigits,
    /// Too short or too long.
    #[error("a PIN has {min} to {max} digits")]
    Length {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
    },
    /// One digit or one group repeated: 1111, 1212, 123123.
    #[error("a PIN may not repeat itself")]
    Repeats,
    /// Digits in order: 1234, 8765, 7890.
    #[error("a PIN may not be digits in order")]
    Run,
    /// The end of the account's own number.
    #[error("a PIN may not be the end of the own number")]
    OwnNumber,
}

/// How dear a check is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Profile {
    /// argon2id, 4 MiB, 3 passes.
    #[default]
    Standard,
    /// argon2id, 19 MiB, 2 passes.
    Strict,
    /// argon2id, 8 KiB, 1 pass: protects nothing. For simulations; no configuration names it.
    #[cfg(debug_assertions)]
    Trifling,
}

impl Profile {
    const fn cost(self) -> (u32, u32) {
        match self {
            Self::Standard => (4 * 1024, 3),
            Self::Strict => (19 * 1024, 2),
            #[cfg(debug_assertions)]
            Self::Trifling => (8, 1),
        }
    }
}

/// The keys that PINs are mixed with, by version; new hashes use the newest.
#[derive(Clone, Debug)]
pub struct Peppers {
    current: i32,
    keys: BTreeMap<i32, Secret>,
}

impl Peppers {
    /// One pepper, version 1.
    #[must_use]
    pub fn single(key: Secret) -> Self {
        Self { current: 1, keys: BTreeMap::from([(1, key)]) }
    }

    /// Reads a pepper file: a line `version = hexadecimal key` for each version, `#` begins a comment.
    ///
    /// # Errors
    /// [`Error::PepperFile`] with the line; nothing of a key is told.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut keys = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let fault = || Error::PepperFile { line: index + 1 };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (version, key) = line.split_once('=').ok_or_else(fault)?;
            let version: i32 = version.trim().parse().map_err(|_| fault())?;
            let key = from_hex(key.trim()).ok_or_else(fault)?;
            if version < 1 || key.len() < PEPPER_BYTES_MIN || keys.insert(version, key).is_some() {
                return Err(fault());
            }
        }
        let current = *keys.keys().next_back().ok_or(Error::PepperFile { line: 1 })?;
        Ok(Self { current, keys })
    }

    /// A pepper file with one fresh key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn fresh_file() -> Result<String, Error> {
        let hex = fresh_key()?;
        Ok(format!("# Keep a copy apart from the database. Without this key every PIN is lost.\n1 = {hex}\n"))
    }

    /// The line of a further version with a fresh key, to stand at the end of a file of these.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn further_line(&self) -> Result<(i32, String), Error> {
        let version = self.current.saturating_add(1);
        Ok((version, format!("{version} = {}\n", fresh_key()?)))
    }

    /// Whether a version is there.
    #[must_use]
    pub fn knows(&self, version: i32) -> bool {
        self.keys.contains_key(&version)
    }

    /// The version of new hashes.
    #[must_use]
    pub const fn current(&self) -> i32 {
        self.current
    }

    /// A key for another purpose than PINs from each pepper, by version: HMAC-SHA256 of the purpose's `label`. A PIN
    /// goes into it behind the 16 bytes of an account's id: a label is shorter, so the two are never the same.
    ///
    /// # Errors
    /// [`Error::NoPepper`] when a key cannot be used.
    pub(super) fn derived(&self, label: &str) -> Result<BTreeMap<i32, Secret>, Error> {
        self.keys
            .iter()
            .map(|(version, key)| {
                let mut mac =
                    Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| Error::NoPepper(*version))?;
                mac.update(label.as_bytes());
                Ok((*version, Secret::new(mac.finalize().into_bytes().to_vec())))
            })
            .collect()
    }
}

fn fresh_key() -> Result<String, Error> {
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|_| Error::Random)?;
    Ok(key.iter().map(|b| format!("{b:02x}")).collect())
}

fn from_hex(text: &str) -> Option<Secret> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let mut key = Secret::default();
    for at in (0..text.len()).step_by(2) {
        key.push(u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?);
    }
    Some(key)
}

/// Whether a new PIN is good enough for an account with these numbers.
///
/// # Errors
/// The first [`Refusal`] that holds.
pub fn judge(pin: &Secret, numbers: &[Msisdn], min: usize, max: usize) -> Result<(), Refusal> {
    let digits = pin.expose();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::NotDigits);
    }
    if !(min..=max).contains(&digits.len()) {
        return Err(Refusal::Length { min, max });
    }
    let repeats = (1..=digits.len() / 2)
        .filter(|period| digits.len().is_multiple_of(*period))
        .any(|period| digits.iter().zip(digits.iter().skip(period)).all(|(a, b)| a == b));
    if repeats {
        return Err(Refusal::Repeats);
    }
    // Modulo ten, so that 7890 and 3210 count.
    let is_run =
        |step: u8| digits.iter().zip(digits.iter().skip(1)).all(|(a, b)| (a - b'0' + step) % 10 == b - b'0');
    if is_run(1) || is_run(9) {
        return Err(Refusal::Run);
    }
    if numbers.iter().any(|n| n.digits().as_bytes().ends_with(digits)) {
        return Err(Refusal::OwnNumber);
    }
    Ok(())
}

/// A new hash of a PIN: PHC string and pepper version. Takes 10 to 40 ms of CPU: run it on the pool.
///
/// # Errors
/// [`Error::Random`].
pub fn hash(pin: &Secret, account: Id, peppers: &Peppers, profile: Profile) -> Result<(String, i32), Error> {
    let mut salt = [0_u8; SALT_BYTES];
    crate::random::fill(&mut salt).map_err(|_| Error::Random)?;
    let (memory, passes) = profile.cost();
    let tag = tag(pin, account, peppers, peppers.current, &salt, memory, passes)?;
    let phc =
        format!("$argon2id$v=19$m={memory},t={passes},p=1${}${}", BASE64.encode(salt), BASE64.encode(tag));
    Ok((phc, peppers.current))
}

/// What a check found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checked {
    /// Whether it was the PIN.
    pub right: bool,
    /// Whether the hash should be made anew: an older pepper or another cost.
    pub stale: bool,
}

/// Checks a PIN against a stored hash, in constant time. Takes 10 to 40 ms of CPU: run it on the pool.
///
/// # Errors
/// When the stored hash cannot be read or its pepper is not loaded.
pub fn check(
    pin: &Secret,
    account: Id,
    stored: &str,
    pepper: i32,
    peppers: &Peppers,
    profile: Profile,
) -> Result<Checked, Error> {
    let (memory, passes, salt, wanted) = parse(stored).ok_or(Error::Hash)?;
    let tag = tag(pin, account, peppers, pepper, &salt, memory, passes)?;
    let right = Secret::new(tag.to_vec()) == Secret::new(wanted);
    Ok(Checked { right, stale: pepper != peppers.current || (memory, passes) != profile.cost() })
}

fn parse(stored: &str) -> Option<(u32, u32, Vec<u8>, Vec<u8>)> {
    let mut parts = stored.strip_prefix("$argon2id$v=19$")?.split('$');
    let mut costs = parts.next()?.split(',');
    let memory: u32 = costs.next()?.strip_prefix("m=")?.parse().ok()?;
    let passes: u32 = costs.next()?.strip_prefix("t=")?.parse().ok()?;
    let lanes = costs.next()?;
    let salt = BASE64.decode(parts.next()?).ok()?;
    let tag = BASE64.decode(parts.next()?).ok()?;
    let sound = lanes == "p=1"
        && parts.next().is_none()
        && (8..=MEMORY_MAX_KIB).contains(&memory)
        && (1..=PASSES_MAX).contains(&passes)
        && salt.len() == SALT_BYTES
        && tag.len() == TAG_BYTES;
    sound.then_some((memory, passes, salt, tag))
}

fn tag(
    pin: &Secret,
    account: Id,
    peppers: &Peppers,
    pepper: i32,
    salt: &[u8],
    memory: u32,
    passes: u32,
) -> Result<[u8; TAG_BYTES], Error> {
    let key = peppers.keys.get(&pepper).ok_or(Error::NoPepper(pepper))?;
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|_| Error::NoPepper(pepper))?;
    // The account's id has a fixed length, so the two cannot be shifted against each other.
    mac.update(&account.0);
    mac.update(pin.expose());
    let peppered = Secret::new(mac.finalize().into_bytes().to_vec());
    let params = Params::new(memory, passes, 1, Some(TAG_BYTES)).map_err(|_| Error::Hash)?;
    let mut tag = [0_u8; TAG_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(peppered.expose(), salt, &mut tag)
        .map_err(|_| Error::Hash)?;
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> Id {
        Id([n; 16])
    }

    #[test]
    fn the_pin_the_account_and_the_pepper_all_count() {
        let peppers = Peppers::single(Secret::from("0123456789abcdef"));
        let (stored, version) =
            hash(&Secret::from("739154"), account(1), &peppers, Profile::Standard).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=4096,t=3,p=1$"), "{stored}");
        let right = |pin: &str, who, peppers: &Peppers| {
            check(&Secret::from(pin), who, &stored, version, peppers, Profile::Standard).unwrap().right
        };
        assert!(right("739154", account(1), &peppers));
        assert!(!right("739155", account(1), &peppers));
        assert!(!right("739154", account(2), &peppers));
        assert!(!right("739154", account(1), &Peppers::single(Secret::from("fedcba9876543210"))));
        let (again, _) = hash(&Secret::from("739154"), account(1), &peppers, Profile::Standard).unwrap();
        assert_ne!(stored, again, "each hash has a salt of its own");
    }

    #[test]
    fn an_old_pepper_or_cost_is_stale_and_a_lost_one_is_an_error() {
        let file =
            "# two\n1 = 00112233445566778899aabbccddeeff\n2 = ffeeddccbbaa99887766554433221100 # new\n";
        let old = Peppers::parse(file.lines().nth(1).unwrap()).unwrap();
        let new = Peppers::parse(file).unwrap();
        let pin = Secret::from("739154");
        let (stored, version) = hash(&pin, account(1), &old, Profile::Standard).unwrap();
        let checked = check(&pin, account(1), &stored, version, &new, Profile::Standard).unwrap();
        assert_eq!(checked, Checked { right: true, stale: true });
        let checked = check(&pin, account(1), &stored, version, &old, Profile::Strict).unwrap();
        assert_eq!(checked, Checked { right: true, stale: true });
        let (stored, version) = hash(&pin, account(1), &new, Profile::Standard).unwrap();
        assert_eq!(version, 2);
        let lost = check(&pin, account(1), &stored, version, &old, Profile::Standard);
        assert!(matches!(lost, Err(Error::NoPepper(2))));
    }

    #[test]
    fn a_tampered_hash_does_not_take_the_machine() {
        let peppers = Peppers::single(Secret::from("0123456789abcdef"));
        let (stored, _) = hash(&Secret::from("739154"), account(1), &peppers, Profile::Standard).unwrap();
        for bad in [
            stored.replace("m=4096", "m=4194304"),
            stored.replace("t=3", "t=4000000"),
            stored.replace("p=1", "p=9"),
            stored.replace("argon2id", "argon2d"),
            format!("{stored}$x"),
            String::new(),
            stored[..40].to_owned(),
        ] {
            let checked = check(&Secret::from("739154"), account(1), &bad, 1, &peppers, Profile::Standard);
            assert!(matches!(checked, Err(Error::Hash)), "{bad}");
        }
    }

    #[test]
    fn trivial_pins_are_refused() {
        let own = [Msisdn::parse("+8613800739154").unwrap()];
        let refusal = |pin: &str| judge(&Secret::from(pin), &own, 4, 8).err();
        for (pin, wanted) in [
            ("1111", Some(Refusal::Repeats)),
            ("1212", Some(Refusal::Repeats)),
            ("123123", Some(Refusal::Repeats)),
            ("12341234", Some(Refusal::Repeats)),
            ("1234", Some(Refusal::Run)),
            ("87654321", Some(Refusal::Run)),
            ("7890", Some(Refusal::Run)),
            ("3210987", Some(Refusal::Run)),
            ("739154", Some(Refusal::OwnNumber)),
            ("9154", Some(Refusal::OwnNumber)),
            ("123", Some(Refusal::Length { min: 4, max: 8 })),
            ("123456789", Some(Refusal::Length { min: 4, max: 8 })),
            ("", Some(Refusal::Length { min: 4, max: 8 })),
            ("12a4", Some(Refusal::NotDigits)),
            ("٣٤٥٦", Some(Refusal::NotDigits)),
            ("1231", None),
            ("739155", None),
            ("112233", None),
        ] {
            assert_eq!(refusal(pin), wanted, "{pin}");
        }
    }

    #[test]
    fn pepper_files_are_read_strictly() {
        let fresh = Peppers::fresh_file().unwrap();
        let first = Peppers::parse(&fresh).unwrap();
        let (version, line) = first.further_line().unwrap();
        let both = Peppers::parse(&format!("{fresh}{line}")).unwrap();
        assert_eq!((first.current(), version, both.current()), (1, 2, 2));
        assert!(both.knows(1) && both.knows(2) && !first.knows(2));
        for bad in [
            "",
            "1 = 00",
            "x = 00112233445566778899aabbccddeeff",
            "0 = 00112233445566778899aabbccddeeff",
            "1 00112233445566778899aabbccddeeff",
            "1 = 0g112233445566778899aabbccddeeff",
        ] {
            assert!(Peppers::parse(bad).is_err(), "{bad}");
        }
        let twice = "1 = 00112233445566778899aabbccddeeff\n1 = 00112233445566778899aabbccddeeff";
        assert!(matches!(Peppers::parse(twice), Err(Error::PepperFile { line: 2 })));
        assert!(!format!("{:?}", Peppers::parse(&twice[..37]).unwrap()).contains("1122"));
    }
}
