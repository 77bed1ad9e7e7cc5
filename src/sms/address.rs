//! Who a text is from and what it is sent as: numbers, short codes and words, by type of number (SMPP 3.4 §5.2.5).
//!
//! Only a number has a thread with us. Nobody answers a short code or a word: at the other end stands a machine.

use std::fmt;

use crate::msisdn::Msisdn;
use crate::smpp::pdu::Address;

/// Digits of a short code at most; no number of E.164 that can text is as short.
pub const SHORT_MAX: usize = 6;
/// Characters of a word as sender at most (3GPP TS 23.040 §9.1.2.5).
pub const WORD_MAX: usize = 11;

/// Type of number: international.
const INTERNATIONAL: u8 = 1;
/// Type of number: national.
const NATIONAL: u8 = 2;
/// Type of number: alphanumeric.
const ALPHANUMERIC: u8 = 5;
/// Type of number: abbreviated.
const ABBREVIATED: u8 = 6;

/// The market's numbers, to read what the network writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Country {
    /// Its code without `+`.
    pub code: String,
    /// The most digits of a national number.
    pub national_max: usize,
}

/// Who wrote a text.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum Origin {
    /// A number.
    Number(Msisdn),
    /// A short code: another service.
    Short(String),
    /// A word, or what is no address at all.
    Word(String),
}

impl Origin {
    /// Reads the address of a message. Peers are careless with the type of number, so the digits have the last word: what
    /// has a letter is a word, what is too short for a number is a short code.
    #[must_use]
    pub fn of(address: &Address, country: &Country) -> Self {
        Self::read(&String::from_utf8_lossy(&address.digits), Some(address.ton), country)
    }

    /// Reads an address as an HTTP provider writes it: `+86138…`, `86138…`, `12580`, `KEYTONE`.
    #[must_use]
    pub fn written(text: &str, country: &Country) -> Self {
        Self::read(text, None, country)
    }

    fn read(text: &str, ton: Option<u8>, country: &Country) -> Self {
        let text = text.trim();
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Self::Word(text.to_owned());
        }
        if digits.len() <= SHORT_MAX || ton == Some(ABBREVIATED) {
            return Self::Short(digits.to_owned());
        }
        let number = match ton {
            Some(INTERNATIONAL) => {
                Msisdn::parse(&format!("+{}", digits.strip_prefix("00").unwrap_or(digits)))
            }
            Some(NATIONAL) => {
                Msisdn::parse(&format!("+{}{}", country.code, digits.strip_prefix('0').unwrap_or(digits)))
            }
            _ => Msisdn::dialled(text, &country.code, country.national_max),
        };
        number.map_or_else(|_| Self::Word(text.to_owned()), Self::Number)
    }

    /// The number, if it is one.
    #[must_use]
    pub const fn number(&self) -> Option<&Msisdn> {
        match self {
            Self::Number(number) => Some(number),
            Self::Short(_) | Self::Word(_) => None,
        }
    }

    /// As it is stored: a number with `+`, a short code as digits, a word as it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Number(number) => number.as_str(),
            Self::Short(text) | Self::Word(text) => text,
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Short(code) => write!(f, "short code {code}"),
            Self::Word(word) => write!(f, "a word of {} bytes", word.len()),
        }
    }
}

/// A type of number and its numbering plan.
pub type TonNpi = (u8, u8);

/// How a route wants addresses typed; carriers differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Numbering {
    /// Of a word as sender.
    pub word: TonNpi,
    /// Of a short code as sender.
    pub short: TonNpi,
    /// Of a number as sender.
    pub international: TonNpi,
    /// Of recipients.
    pub recipient: TonNpi,
    /// Whether numbers are written with `+`; few carriers want it.
    pub plus: bool,
}

impl Default for Numbering {
    fn default() -> Self {
        Self {
            word: (ALPHANUMERIC, 0),
            short: (3, 0),
            international: (INTERNATIONAL, 1),
            recipient: (INTERNATIONAL, 1),
            plus: false,
        }
    }
}

impl Numbering {
    /// The source address of a message that is sent as `sender`.
    #[must_use]
    pub fn source(&self, sender: &str) -> Address {
        let digits = sender.strip_prefix('+').unwrap_or(sender);
        if digits.is_empty() {
            return Address::default();
        }
        let (ton, npi) = if !digits.bytes().all(|b| b.is_ascii_digit()) {
            self.word
        } else if digits.len() <= SHORT_MAX {
            self.short
        } else {
            self.international
        };
        let text = if self.plus && (ton, npi) == self.international { sender } else { digits };
        let text = if ton == self.word.0 { sender } else { text };
        Address { ton, npi, digits: text.to_owned().into() }
    }

    /// The destination address of a message to a number.
    #[must_use]
    pub fn destination(&self, recipient: &Msisdn) -> Address {
        let (ton, npi) = self.recipient;
        let text = if self.plus { recipient.as_str() } else { recipient.digits() };
        Address { ton, npi, digits: text.to_owned().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ton: u8, digits: &str) -> Origin {
        let country = Country { code: "86".into(), national_max: 11 };
        Origin::of(&Address { ton, npi: 1, digits: digits.to_owned().into() }, &country)
    }

    #[test]
    fn senders_are_what_their_digits_say() {
        let number = Origin::Number(Msisdn::parse("+8613800000001").unwrap());
        for (ton, digits) in [
            (1, "8613800000001"),
            (1, "+8613800000001"),
            (1, "008613800000001"),
            (2, "13800000001"),
            (2, "013800000001"),
            (0, "13800000001"),
            (0, "+8613800000001"),
            (0, "8613800000001"),
            (4, "13800000001"),
            (5, "8613800000001"),
        ] {
            assert_eq!(of(ton, digits), number, "{ton} {digits}");
        }
        for (ton, digits) in [(3, "12580"), (0, "125"), (1, "10086"), (6, "1258012580"), (5, "10086")] {
            assert!(matches!(of(ton, digits), Origin::Short(_)), "{ton} {digits}");
        }
        for (ton, digits) in [(5, "KEYTONE"), (0, ""), (1, "+"), (1, "138x"), (5, "Bank 24"), (1, "00")] {
            let origin = of(ton, digits);
            assert!(origin.number().is_none(), "{ton} {digits}");
        }
        assert_eq!(of(1, "0123456789"), Origin::Word("0123456789".into()), "no country begins with 0");
        assert_eq!(of(5, "Caf\u{fffd}"), Origin::Word("Caf\u{fffd}".into()));
    }

    #[test]
    fn debug_shows_no_number() {
        assert_eq!(format!("{:?} {:?}", of(1, "8613800000001"), of(5, "BANK")), "+861…01 a word of 4 bytes");
    }

    #[test]
    fn addresses_are_typed_as_the_route_wants() {
        let usual = Numbering::default();
        let typed = |n: &Numbering, sender: &str| {
            let a = n.source(sender);
            (a.ton, a.npi, String::from_utf8(a.digits.to_vec()).unwrap())
        };
        assert_eq!(typed(&usual, "KEYTONE"), (5, 0, "KEYTONE".into()));
        assert_eq!(typed(&usual, "12580"), (3, 0, "12580".into()));
        assert_eq!(typed(&usual, "+8613800000001"), (1, 1, "8613800000001".into()));
        assert_eq!(typed(&usual, ""), (0, 0, String::new()));
        let odd = Numbering { short: (6, 0), plus: true, ..usual };
        assert_eq!(typed(&odd, "12580"), (6, 0, "12580".into()));
        assert_eq!(typed(&odd, "+8613800000001"), (1, 1, "+8613800000001".into()));
        let to = Msisdn::parse("+8613800000001").unwrap();
        assert_eq!(&*usual.destination(&to).digits, b"8613800000001");
        assert_eq!(&*odd.destination(&to).digits, b"+8613800000001");
    }
}
