//! The short reference of a payment: what a caller writes down and staff look for (DESIGN 6.4 point 25). Pure
//! but for its randomness.
//!
//! Nine digits: eight at random, the first not 0, and a check digit after Damm that finds every wrong digit
//! and every two neighbours exchanged. It is not a secret, and it does not tell how many payments there are.

/// Digits before the check digit.
const DIGITS: u32 = 8;

/// The quasigroup of order 10 of H. Michael Damm's thesis (2004): totally anti-symmetric.
const TABLE: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// A reference from 64 random bits.
#[must_use]
pub fn from_bits(bits: u64) -> String {
    let low = 10_u64.pow(DIGITS - 1);
    let body = (low + bits % (9 * low)).to_string();
    let check = damm(&body).unwrap_or(0);
    format!("{body}{check}")
}

/// A fresh reference; `None` when the operating system gives no randomness.
#[must_use]
pub fn fresh() -> Option<String> {
    let mut bits = [0_u8; 8];
    crate::random::fill(&mut bits).ok()?;
    Some(from_bits(u64::from_le_bytes(bits)))
}

/// Whether a text is a reference whose check digit holds.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    u32::try_from(text.len()) == Ok(DIGITS + 1) && !text.starts_with('0') && damm(text) == Some(0)
}

/// A reference as people write it down and read it out, in groups, as it is stored.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '/')).collect()
}

fn damm(digits: &str) -> Option<u8> {
    digits.bytes().try_fold(0_u8, |interim, byte| {
        let digit = char::from(byte).to_digit(10)?;
        TABLE.get(usize::from(interim))?.get(usize::try_from(digit).ok()?).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_read_as_one() {
        assert_eq!(clean(" 482 913-476"), "482913476");
        assert_eq!(clean("482.913/476"), "482913476");
    }

    #[test]
    fn the_check_digit_finds_slips() {
        assert_eq!(damm("572"), Some(4), "Damm's own example");
        for bits in [0, 1, 42, u64::MAX, 0x1234_5678_9abc_def0] {
            let good = from_bits(bits);
            assert!(is_valid(&good), "{good}");
            let digits: Vec<char> = good.chars().collect();
            for at in 0..digits.len() {
                for other in '0'..='9' {
                    let mut slip = digits.clone();
                    slip[at] = other;
                    assert_eq!(is_valid(&slip.iter().collect::<String>()), other == digits[at]);
                }
                if at + 1 < digits.len() && digits[at] != digits[at + 1] {
                    let mut slip = digits.clone();
                    slip.swap(at, at + 1);
                    assert!(!is_valid(&slip.iter().collect::<String>()), "{good} at {at}");
                }
            }
        }
    }

    #[test]
    fn refuses_what_is_no_reference() {
        for bad in ["", "5724", "abcdefghi", "0000000000", "٠٠٠٠٠٠٠٠٠"] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert_ne!(fresh(), fresh());
    }
}
