//! Telephone numbers in E.164 form. Logs see only the first and last digits.

use std::fmt;

/// A number in E.164 form: `+` and 5 to 15 digits (ITU-T E.164 §6.2.1). Whether it is a mobile number is for the
/// numbering plan to say.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Msisdn(String);

/// How far a caller's number can be believed, the least first. A caller without a number has none.
#[derive(
    Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Nobody vouches for it.
    None,
    /// The way that it came carries whatever the far end writes.
    Low,
    /// A way that is trusted for numbers.
    #[default]
    Medium,
    /// The subscriber's own network.
    High,
}

impl Assurance {
    /// Every level, the least first.
    pub const ALL: &[Self] = &[Self::None, Self::Low, Self::Medium, Self::High];

    /// Its name, as configurations write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The level of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|level| level.name() == name)
    }
}

/// What is wrong with a text that should be a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Something besides digits.
    #[error("expected digits, with + in front for a full number")]
    NotDigits,
    /// Too short or too long for E.164.
    #[error("expected 5 to 15 digits after the country code is added")]
    Length,
}

impl Msisdn {
    /// Reads `+8613800000001`.
    ///
    /// # Errors
    /// When it is not `+` and 5 to 15 digits, the first of them not 0.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits = text.strip_prefix('+').ok_or(Error::NotDigits)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::NotDigits);
        }
        if !(5..=15).contains(&digits.len()) || digits.starts_with('0') {
            return Err(Error::Length);
        }
        Ok(Self(text.to_owned()))
    }

    /// Reads what a person keys in a country: `+86138…`, `0086138…`, `138…`, `0138…`; `country` is the code
    /// without `+`. A text that begins with the country code and is too long for a national number (more than
    /// `national_max` digits) is taken as international.
    ///
    /// # Errors
    /// As [`Msisdn::parse`].
    pub fn dialled(text: &str, country: &str, national_max: usize) -> Result<Self, Error> {
        if text.starts_with('+') {
            return Self::parse(text);
        }
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::NotDigits);
        }
        if let Some(international) = text.strip_prefix("00") {
            return Self::parse(&format!("+{international}"));
        }
        let national = text.strip_prefix('0').unwrap_or(text);
        if national.starts_with(country) && national.len() > national_max {
            return Self::parse(&format!("+{national}"));
        }
        Self::parse(&format!("+{country}{national}"))
    }

    /// The full number with `+`: for the wire, the database and the caller, never for a log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits without `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.get(1..).unwrap_or_default()
    }

    /// The number without its country code, if it has this one.
    #[must_use]
    pub fn national(&self, country: &str) -> &str {
        self.digits().strip_prefix(country).unwrap_or_else(|| self.digits())
    }

    /// For logs: the first four characters and the last two digits.
    #[must_use]
    pub fn masked(&self) -> String {
        let head: String = self.0.chars().take(4).collect();
        let tail = self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default();
        format!("{head}…{tail}")
    }
}

impl fmt::Debug for Msisdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl serde::Serialize for Msisdn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Msisdn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_dial() {
        for text in ["+8613800000001", "008613800000001", "8613800000001", "13800000001", "013800000001"] {
            assert_eq!(Msisdn::dialled(text, "86", 11).unwrap().as_str(), "+8613800000001", "{text}");
        }
        assert_eq!(Msisdn::dialled("86123", "86", 11).unwrap().as_str(), "+8686123");
    }

    #[test]
    fn refuses_what_is_not_a_number() {
        for bad in ["", "+", "*", "12a", "+12a45", "+0123456", "1", "+1234567890123456", "anonymous"] {
            assert!(Msisdn::dialled(bad, "86", 11).is_err(), "{bad}");
        }
    }

    #[test]
    fn debug_masks() {
        let number = Msisdn::parse("+8613800000001").unwrap();
        assert_eq!(format!("{number:?}"), "+861…01");
    }
}
