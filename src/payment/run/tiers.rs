//! Limits of an account by its tier; what the tier does not say is as the market says.

use crate::ledger::row::Id;
use crate::payment::row::record::cell;
use crate::payment::row::staff::AccountTierRow;
use crate::payment::run::{Error, Payments};
use crate::payment::tier::Tier;

impl Payments {
    /// The tier of an account: the first of the market's when nothing is written, none where the market has none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tier_of(&self, account: Id) -> Result<Option<&Tier>, Error> {
        let tiers = &self.inner.settings.staff.tiers;
        if tiers.0.is_empty() {
            return Ok(None);
        }
        let row: Option<AccountTierRow> = self.inner.store.record(&[cell(&account)]).await?;
        Ok(tiers.of(row.as_ref().map(|row| row.tier.as_str())))
    }

    /// An account's recharges a day, minor units of face value, before what the customer and recent changes make of it.
    pub(super) async fn market_day_limit(&self, account: Id) -> Result<i64, Error> {
        let own = self.tier_of(account).await?.and_then(|tier| tier.day_limit_minor);
        Ok(own.unwrap_or(self.inner.settings.day_limit_minor))
    }

    /// One recharge, minor units of face value.
    pub(super) async fn payment_limit(&self, account: Id) -> Result<i64, Error> {
        let own = self.tier_of(account).await?.and_then(|tier| tier.payment_limit_minor);
        Ok(own.unwrap_or(self.inner.settings.payment_limit_minor))
    }

    /// An account's bills a day, minor units of face value.
    pub(super) async fn bill_day_limit(&self, account: Id) -> Result<i64, Error> {
        let own = self.tier_of(account).await?.and_then(|tier| tier.bill_day_limit_minor);
        Ok(own.unwrap_or(self.inner.settings.bill_day_limit_minor))
    }

    /// An account's orders a day, minor units.
    pub(super) async fn order_day_limit(&self, account: Id) -> Result<i64, Error> {
        let own = self.tier_of(account).await?.and_then(|tier| tier.order_day_limit_minor);
        Ok(own.unwrap_or(self.inner.settings.order_day_limit_minor))
    }
}
