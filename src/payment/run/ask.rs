//! Questions that move nothing: who calls, who recharges a number, what paying would answer now.

use crate::connector::numbering::{Carrier, Found, Offer};
use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, Identity, Quote, Route};
use crate::payment::fold::suspension_keys;
use crate::payment::limits;
use crate::payment::row::{ACCOUNT_DAY, CounterKey, PairKey, PairRow, PaymentRow, State, pair};
use crate::payment::run::providers::Outside;
use crate::payment::run::routes::Chosen;
use crate::payment::run::{Error, Payments};

/// The one product of this core.
pub(super) const RECHARGE: &str = "recharge";

impl Payments {
    /// Whose number this is. `caller` is there only when the network vouches for it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn identify(&self, caller: Option<&Msisdn>) -> Result<Identity, Error> {
        if let Some(unheard) = self.unheard() {
            return Ok(unheard);
        }
        let Some(phone) = caller else { return Ok(Identity::NoNumber) };
        if let Some(binding) = self.inner.store.binding(phone).await? {
            // A recycled number is heard of as one without an account, until it passes a code.
            if !self.is_recycled(phone).await? {
                return Ok(Identity::Bound { account: binding.account });
            }
        }
        Ok(if self.inner.plan.is_mobile(phone) {
            Identity::Unbound { phone: phone.clone() }
        } else {
            Identity::NoNumber
        })
    }

    /// Who recharges a number.
    #[must_use]
    pub fn route(&self, phone: &Msisdn) -> Route {
        match self.inner.plan.find(phone) {
            Found::Carrier(Carrier { connector, offer, .. }) => match offer {
                Offer::Fixed(amounts) => {
                    Route::Ok { carrier: connector.clone(), amounts_minor: amounts.clone() }
                }
                Offer::Range { min_minor, max_minor, step_minor } => Route::Range {
                    carrier: connector.clone(),
                    least_minor: *min_minor,
                    most_minor: *max_minor,
                    step_minor: *step_minor,
                },
            },
            Found::NotSupported => Route::NotSupported,
            Found::BadNumber => Route::BadNumber,
        }
    }

    /// What paying would answer now, in the same order of precedence as paying does.
    ///
    /// # Errors
    /// When the account does not exist or the database does not answer.
    pub async fn quote(
        &self,
        account: Id,
        channel: Channel,
        phone: &Msisdn,
        amount_minor: i64,
        repeat: bool,
    ) -> Result<Quote, Error> {
        let day_limit_minor = self.day_limit(account).await?;
        let carrier = match self.choose(phone, amount_minor).await? {
            Chosen::Carrier(carrier) => carrier,
            Chosen::NotSupported | Chosen::BadNumber => return Ok(Quote::NoRoute),
            Chosen::NotSold => return Ok(Quote::NotDesignated),
        };
        let store = &self.inner.store;
        let payer = store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
        let draft = self.draft(Id([0; 16]), account, channel, phone, amount_minor, carrier);
        if payer.suspended
            || store.suspended(&suspension_keys(&draft)).await?
            || self.under_maintenance(&draft).await?
        {
            return Ok(Quote::Suspended);
        }
        let key = PairKey { account, target: phone.clone().into(), amount_minor };
        let pair = store.pair(&key).await?;
        if pair.as_ref().is_some_and(|p| p.state == pair::OPEN) {
            return Ok(Quote::StillProcessing);
        }
        let used = store.counter(&self.counter_key(account)).await?;
        let over = limits::judge(&limits::Facts {
            amount_minor,
            used_minor: used.map_or(0, |c| c.used_minor),
            payment_limit_minor: self.payment_limit(account).await?,
            day_limit_minor,
            user_day_limit_minor: payer.user_day_limit_minor,
            user_payment_limit_minor: payer.user_payment_limit_minor,
        });
        let carriers = self.inner.plan.carriers(phone);
        let fits = |left: i64| carriers.iter().any(|carrier| carrier.offer.any_fits(left));
        match over {
            None => {}
            Some(limits::Over::Payment { limit_minor }) => return Ok(Quote::PaymentLimit { limit_minor }),
            Some(limits::Over::Day { limit_minor, left_minor }) => {
                return Ok(Quote::DayLimit { limit_minor, left_minor, fits: fits(left_minor) });
            }
            Some(limits::Over::User { limit_minor, left_minor }) => {
                return Ok(Quote::UserLimit { limit_minor, left_minor, fits: fits(left_minor) });
            }
        }
        // What an outside account holds is known when it is reserved.
        let outside = self.outside(account).await?;
        if outside.as_ref().is_some_and(Outside::is_blocked) {
            return Ok(Quote::Suspended);
        }
        let row = store.account_at(account, self.now()).await?.ok_or(Error::NoSuchAccount)?;
        let floor = row.floor_minor.unwrap_or(i64::MIN / 4);
        let left_minor = row.balance_minor.saturating_sub(row.held_minor).saturating_sub(floor);
        let total_minor = amount_minor.saturating_add(draft.fee_minor);
        if total_minor > left_minor && outside.is_none() {
            return Ok(Quote::Insufficient { left_minor: left_minor.max(0) });
        }
        Ok(match pair.filter(|_| !repeat).and_then(|p| self.duplicate(&p, channel)) {
            Some((first_at, minutes_ago)) => {
                Quote::Duplicate { first_at, minutes_ago, fee_minor: draft.fee_minor }
            }
            None => Quote::Ok { fee_minor: draft.fee_minor, total_minor },
        })
    }

    /// When an equal recharge was delivered and how many minutes ago, if that is recent.
    fn duplicate(&self, pair: &PairRow, channel: Channel) -> Option<(i64, i64)> {
        if pair.state != pair::DELIVERED {
            return None;
        }
        let ago = self.now().saturating_sub(pair.delivered_at);
        let window = self.inner.settings.duplicate_window_on(channel);
        let window = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        (ago < window).then(|| (pair.delivered_at, self.minutes_ago(pair.delivered_at)))
    }

    /// Whole minutes since `at`, at least 1, for a sentence.
    pub(super) fn minutes_ago(&self, at: i64) -> i64 {
        (self.now().saturating_sub(at) / 60_000_000).max(1)
    }

    pub(super) fn counter_key(&self, account: Id) -> CounterKey {
        CounterKey { scope: ACCOUNT_DAY, owner: account.text(), day: self.today() }
    }

    /// A payment before anything is known of it but what is asked.
    pub(super) fn draft(
        &self,
        id: Id,
        account: Id,
        channel: Channel,
        phone: &Msisdn,
        amount_minor: i64,
        carrier: &Carrier,
    ) -> PaymentRow {
        let now = self.now();
        PaymentRow {
            id,
            reference: String::new(),
            account,
            caller: None,
            channel: channel.number(),
            product: RECHARGE.to_owned(),
            target: phone.clone().into(),
            amount_minor,
            fee_minor: carrier.fee_minor(amount_minor),
            cost_minor: carrier.cost_minor(amount_minor),
            currency: self.inner.settings.currency,
            state: State::Created,
            class: None,
            business_day: self.today(),
            hold: crate::payment::fold::ids::hold(id),
            connector: carrier.connector.clone(),
            carrier_reference: None,
            tax_minor: self.inner.settings.fee_tax.of(carrier.fee_minor(amount_minor)),
            payee: None,
            quote: None,
            provider: None,
            deal: None,
            created_at: now,
            updated_at: now,
            next_check_at: None,
            checks: 0,
            version: 0,
        }
    }
}
