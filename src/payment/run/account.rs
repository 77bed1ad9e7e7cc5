//! What a caller asks and sets about an account: last payments, the own limit, a receipt once more.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::{PaymentRow, State};
use crate::payment::run::identity::Changed;
use crate::payment::run::messages::REPLACED;
use crate::payment::run::vouchers;
use crate::payment::run::{Error, Payments};
use crate::secret::Secret;
use crate::store::PaymentFilter;

/// Payments that are told at most.
const LAST: u32 = 5;
/// Numbers that are offered at most.
const RECENT_MAX: usize = 5;
/// Payments that are looked at for them.
const RECENT_AMONG: u32 = 50;

/// What came of setting the own day limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitSet {
    /// It holds now.
    Now,
    /// It is higher than before and comes into force later.
    Later,
    /// A higher limit needs a code first.
    CodeNeeded,
    /// It is above the market's limit, minor units.
    TooHigh {
        /// The most, minor units.
        most_minor: i64,
    },
    /// The PIN stood in the way.
    Pin(Changed),
}

impl Payments {
    /// The last payments of an account, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_payments(&self, account: Id) -> Result<Vec<PaymentRow>, Error> {
        let filter = PaymentFilter { account: Some(account), limit: LAST, ..PaymentFilter::default() };
        Ok(self.inner.store.payments(&filter).await?)
    }

    /// The last distinct numbers that were recharged from an account, the newest first, without the caller's own: as many as
    /// are offered in a menu, among so many payments as are looked at.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recent_numbers(&self, account: Id, caller: Option<&Msisdn>) -> Result<Vec<Msisdn>, Error> {
        let filter = PaymentFilter {
            account: Some(account),
            state: Some(State::Delivered),
            limit: RECENT_AMONG,
            ..PaymentFilter::default()
        };
        let mut numbers: Vec<Msisdn> = Vec::new();
        for payment in self.inner.store.payments(&filter).await? {
            let Some(phone) = payment.target.phone().filter(|phone| Some(*phone) != caller) else { continue };
            if numbers.len() < RECENT_MAX && !numbers.contains(phone) {
                numbers.push(phone.clone());
            }
        }
        Ok(numbers)
    }

    /// The limit of a day as it holds for an account now, and what is left of it today, minor units.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn own_limit(&self, account: Id) -> Result<(i64, i64), Error> {
        let market_minor = self.day_limit(account).await?;
        let view = self.account(account).await?.ok_or(Error::NoSuchAccount)?;
        let limit = view.payer.user_day_limit_minor.map_or(market_minor, |own| own.min(market_minor));
        Ok((limit, limit.saturating_sub(view.used_today_minor).max(0)))
    }

    /// Sets the customer's own day limit, minor units of face value. A lower one holds at once; a higher one needs a code to
    /// the number besides the PIN, and waits for the cool-down.
    ///
    /// # Errors
    /// When the account does not exist or it could not be committed.
    pub async fn set_own_limit(
        &self,
        account: Id,
        phone: &Msisdn,
        limit_minor: i64,
        pin: &Secret,
    ) -> Result<LimitSet, Error> {
        let most_minor = self.market_day_limit(account).await?;
        if limit_minor > most_minor {
            return Ok(LimitSet::TooHigh { most_minor });
        }
        let payer = self.inner.store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
        let raises = payer.user_day_limit_minor.is_some_and(|own| limit_minor > own);
        let proof = if raises {
            match self.proven(phone, Some(account)).await? {
                Some(proof) => Some(proof),
                None => return Ok(LimitSet::CodeNeeded),
            }
        } else {
            None
        };
        let confirmed = self.confirm_pin(account, pin).await?;
        if confirmed != Changed::Done {
            return Ok(LimitSet::Pin(confirmed));
        }
        if let Some(proof) = proof {
            self.commit(vec![Self::spent(proof)]).await?.map_err(Error::Refused)?;
            self.plan_limit(account, Some(limit_minor)).await?;
            return Ok(LimitSet::Later);
        }
        self.plan_limit(account, None).await?;
        self.change_payer(account, |payer| payer.user_day_limit_minor = Some(limit_minor.max(0))).await?;
        Ok(LimitSet::Now)
    }

    /// Sends the result of a payment of this account once more, to a number of it: as it was told last, or plainly when that is
    /// forgotten by now. False when there is no such payment or it is not at an end.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn send_receipt(&self, account: Id, to: &Msisdn, reference: &str) -> Result<bool, Error> {
        let Some(payment) = self.inner.store.payment_by_reference(reference).await? else { return Ok(false) };
        if payment.account != account {
            return Ok(false);
        }
        if self.send_voucher_again(&payment).await? {
            return Ok(true);
        }
        let language = self.tongue(Some(account)).await;
        let Some(plain) = (self.inner.settings.receipt)(&payment, &language) else { return Ok(false) };
        let told = self.inner.store.outbox_of(payment.id).await?.into_iter().rev().find(|text| {
            let replaced = text.code.as_deref() == Some(REPLACED);
            let of_the_end = text.created_at >= payment.updated_at && text.recipient == to.as_str();
            of_the_end && !replaced && !text.body.is_empty() && !vouchers::is_private(&text.body)
        });
        self.queue_sms(None, to, told.map_or(plain, |text| text.body)).await?;
        Ok(true)
    }
}
