//! The outside providers of payment accounts that the operator has named. Pure.

use std::time::Duration;

/// Providers at most.
pub const PROVIDERS_MAX: usize = 100;
/// The longest name that a provider may have for a customer's account, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 128;

/// One provider.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Its connector, which is also its name in rows and commands.
    pub connector: String,
    /// For people.
    pub name: String,
    /// A reservation of which nothing is known for so long is given up, and the payment with it.
    pub reserve_within: Duration,
    /// The first wait before a capture, release or refund that was not settled is asked about again; it doubles.
    pub retry_first: Duration,
    /// The longest of these waits.
    pub retry_max: Duration,
}

impl Provider {
    /// A provider with the usual times.
    #[must_use]
    pub fn new(connector: &str, name: &str) -> Self {
        Self {
            connector: connector.to_owned(),
            name: name.to_owned(),
            reserve_within: Duration::from_secs(120),
            retry_first: Duration::from_secs(2),
            retry_max: Duration::from_secs(900),
        }
    }
}

/// All of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Providers(Vec<Provider>);

impl Providers {
    /// These, in the order in which they were named.
    #[must_use]
    pub const fn new(providers: Vec<Provider>) -> Self {
        Self(providers)
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Provider] {
        &self.0
    }

    /// The provider of a connector.
    #[must_use]
    pub fn find(&self, connector: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.connector == connector)
    }
}

/// Whether a text may be a provider's name for an account: 1 to [`EXTERNAL_ID_BYTES_MAX`] bytes without spaces and control
/// characters.
#[must_use]
pub fn is_external_id(text: &str) -> bool {
    (1..=EXTERNAL_ID_BYTES_MAX).contains(&text.len())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_has_a_length_and_no_spaces() {
        for good in ["w-1", "+8613800000001", "a@b", &"x".repeat(EXTERNAL_ID_BYTES_MAX)] {
            assert!(is_external_id(good), "{good}");
        }
        for bad in ["", "a b", "a\n", &"x".repeat(EXTERNAL_ID_BYTES_MAX + 1)] {
            assert!(!is_external_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_provider_is_found_by_its_connector() {
        let providers = Providers::new(vec![Provider::new("wallet", "Wallet")]);
        assert_eq!(providers.find("wallet").map(|p| p.name.as_str()), Some("Wallet"));
        assert_eq!(providers.find("bank"), None);
    }
}
