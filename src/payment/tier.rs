//! Tiers: how much an account may hold and pay at most, by what is known of its owner. Pure.

/// Most tiers of a market.
pub const TIERS_MAX: usize = 32;

/// One tier. What it does not say is as the market says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tier {
    /// Its name in the configuration.
    pub name: String,
    /// The most that an account of it may hold, minor units; `None` for no ceiling.
    pub balance_max_minor: Option<i64>,
    /// Recharges a day, minor units of face value.
    pub day_limit_minor: Option<i64>,
    /// One recharge, minor units of face value.
    pub payment_limit_minor: Option<i64>,
    /// Bills a day, minor units of face value.
    pub bill_day_limit_minor: Option<i64>,
    /// Orders a day, minor units.
    pub order_day_limit_minor: Option<i64>,
}

impl Tier {
    /// A tier that says nothing of its own.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// The market's tiers; the first is that of accounts of which nothing is written. Without any there is no ceiling.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tiers(pub Vec<Tier>);

impl Tiers {
    /// The tier of this name; the first without a name. A name that is not configured any more is the first tier too: the
    /// one that is trusted least.
    #[must_use]
    pub fn of(&self, name: Option<&str>) -> Option<&Tier> {
        name.and_then(|name| self.0.iter().find(|tier| tier.name == name)).or_else(|| self.0.first())
    }

    /// The most that an account may hold, minor units; `None` for no ceiling.
    #[must_use]
    pub fn ceiling_minor(&self, name: Option<&str>) -> Option<i64> {
        self.of(name)?.balance_max_minor
    }

    /// Whether there is a tier of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|tier| tier.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_is_of_the_first_tier() {
        let tier = |name: &str, balance_max_minor| Tier { balance_max_minor, ..Tier::named(name) };
        let tiers = Tiers(vec![tier("basic", Some(100)), tier("known", Some(900)), tier("firm", None)]);
        let wanted =
            [(None, Some(100)), (Some("known"), Some(900)), (Some("firm"), None), (Some("gone"), Some(100))];
        for (name, ceiling) in wanted {
            assert_eq!(tiers.ceiling_minor(name), ceiling, "{name:?}");
        }
        assert_eq!(Tiers::default().ceiling_minor(Some("known")), None);
        assert!(tiers.has("firm") && !tiers.has("gone"));
    }
}
