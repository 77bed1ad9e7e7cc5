//! Money: a whole number of minor units and a currency. Only checked arithmetic; decimals live at the edges.

#![deny(clippy::float_arithmetic)]

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

/// The largest amount that is read from outside, in minor units: 10^15, far from overflow in any sum.
pub const AMOUNT_MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An ISO 4217 alphabetic code with the number of its minor digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Currency {
    code: [u8; 3],
    exponent: u8,
}

/// Currencies whose exponent is not 2 (ISO 4217).
const EXPONENTS: &[(&str, u8)] = &[
    ("BHD", 3),
    ("BIF", 0),
    ("CLP", 0),
    ("DJF", 0),
    ("GNF", 0),
    ("IQD", 3),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KMF", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("LYD", 3),
    ("OMR", 3),
    ("PYG", 0),
    ("RWF", 0),
    ("TND", 3),
    ("UGX", 0),
    ("UYI", 0),
    ("VND", 0),
    ("VUV", 0),
    ("XAF", 0),
    ("XOF", 0),
    ("XPF", 0),
];

/// What is wrong with a text that should be money.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Not three capital letters.
    #[error("expected a currency code of three capital letters")]
    Currency,
    /// Not a decimal number.
    #[error("expected an amount such as 50 or 50.00")]
    Amount,
    /// More decimals than the currency has.
    #[error("{currency} has {decimals} decimals")]
    Precision {
        /// The currency.
        currency: Currency,
        /// Its minor digits.
        decimals: u8,
    },
    /// Beyond [`AMOUNT_MAX_MINOR`].
    #[error("the amount is too large")]
    Range,
}

impl Currency {
    /// The currency of an ISO 4217 code.
    ///
    /// # Errors
    /// [`Error::Currency`] unless the code is three capital ASCII letters.
    pub fn new(code: &str) -> Result<Self, Error> {
        let bytes: [u8; 3] = code.as_bytes().try_into().map_err(|_| Error::Currency)?;
        if !bytes.iter().all(u8::is_ascii_uppercase) {
            return Err(Error::Currency);
        }
        let exponent = EXPONENTS.iter().find(|(c, _)| *c == code).map_or(2, |(_, e)| *e);
        Ok(Self { code: bytes, exponent })
    }

    /// ISO 4217's `XXX`: no currency.
    pub const NONE: Self = Self { code: *b"XXX", exponent: 2 };

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).unwrap_or("XXX")
    }

    /// Minor digits: 2 for CNY, 0 for JPY.
    #[must_use]
    pub const fn exponent(&self) -> u8 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = Error;

    fn from_str(code: &str) -> Result<Self, Error> {
        Self::new(code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&code).map_err(serde::de::Error::custom)
    }
}

/// An amount in minor units of a currency.
#[derive(Clone, Copy, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Money {
    /// Minor units; 5000 is 50.00 CNY.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads a decimal text such as `50`, `50.5` or `50.00`.
    ///
    /// # Errors
    /// When it is not a plain non-negative decimal, has more decimals than the currency, or is too large.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, Error> {
        let plain = !text.is_empty()
            && text.len() <= 24
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && text.as_bytes().first().is_some_and(u8::is_ascii_digit);
        if !plain {
            return Err(Error::Amount);
        }
        let decimal = Decimal::from_str_exact(text).map_err(|_| Error::Amount)?;
        Self::from_decimal(decimal, currency)
    }

    /// The exact amount of a decimal.
    ///
    /// # Errors
    /// When it has more decimals than the currency or is too large.
    pub fn from_decimal(decimal: Decimal, currency: Currency) -> Result<Self, Error> {
        let scaled = Decimal::from(10_i64.pow(u32::from(currency.exponent)))
            .checked_mul(decimal)
            .ok_or(Error::Range)?
            .normalize();
        if scaled.scale() != 0 {
            return Err(Error::Precision { currency, decimals: currency.exponent });
        }
        let minor = i64::try_from(scaled).map_err(|_| Error::Range)?;
        if minor.abs() > AMOUNT_MAX_MINOR {
            return Err(Error::Range);
        }
        Ok(Self { minor, currency })
    }

    /// The amount as a decimal with the currency's scale.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor, u32::from(self.currency.exponent))
    }

    /// The sum, if the currencies agree and it fits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self { minor: self.minor.checked_add(other.minor)?, currency: self.currency })
    }

    /// The difference, if the currencies agree and it fits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self { minor: self.minor.checked_sub(other.minor)?, currency: self.currency })
    }

    /// The number without its currency: `50.00`.
    #[must_use]
    pub fn amount_text(self) -> String {
        self.to_decimal().to_string()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_amounts() {
        let cny = Currency::new("CNY").unwrap();
        assert_eq!(Money::parse("50", cny).unwrap(), Money::new(5000, cny));
        assert_eq!(Money::parse("50.5", cny).unwrap().to_string(), "50.50 CNY");
        assert_eq!(Money::parse("0.01", cny).unwrap().minor, 1);
        assert_eq!(Money::parse("7", Currency::new("UGX").unwrap()).unwrap().to_string(), "7 UGX");
        assert_eq!(Money::new(-250, cny).to_string(), "-2.50 CNY");
    }

    #[test]
    fn refuses_what_is_not_an_exact_amount() {
        let cny = Currency::new("CNY").unwrap();
        for bad in ["", "-1", "+1", "1e3", "1E999999999", ".5", "1,5", "١", " 1", "5 0"] {
            assert_eq!(Money::parse(bad, cny), Err(Error::Amount), "{bad:?}");
        }
        assert!(matches!(Money::parse("0.001", cny), Err(Error::Precision { .. })));
        assert_eq!(Money::parse("99999999999999999999", cny), Err(Error::Range));
        assert_eq!(Currency::new("cny"), Err(Error::Currency));
    }

    #[test]
    fn arithmetic_is_checked() {
        let cny = Currency::new("CNY").unwrap();
        let usd = Currency::new("USD").unwrap();
        assert_eq!(Money::new(i64::MAX, cny).checked_add(Money::new(1, cny)), None);
        assert_eq!(Money::new(1, cny).checked_add(Money::new(1, usd)), None);
        assert_eq!(Money::new(i64::MIN, cny).checked_sub(Money::new(1, cny)), None);
    }
}
