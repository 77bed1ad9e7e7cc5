//! What staff do: open and bind accounts, credit them, set limits and PINs, shut and open things, look at
//! payments.

use crate::ledger::chart;
use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::ledger::row::{AccountRow, Id};
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::pin;
use crate::payment::reference;
use crate::payment::row::{AttemptRow, BindingRow, EventRow, PayerRow, PaymentRow, SuspensionRow};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::secret::Secret;
use crate::store::PaymentFilter;

/// Times that a change of settings is tried when somebody else changed them at the same moment.
const STALE_MAX: usize = 8;

/// A new payment account.
#[derive(Clone, Debug, Default)]
pub struct OpenAccount {
    /// The number that it is bound to.
    pub msisdn: Option<Msisdn>,
    /// Its PIN; without one it cannot pay.
    pub pin: Option<Secret>,
}

/// A payment account as staff see it.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The ledger account; what it holds is without holds past their expiry.
    pub account: AccountRow,
    /// The settings. Its hash of the PIN is not to be shown.
    pub payer: PayerRow,
    /// The numbers that pay from it.
    pub numbers: Vec<Msisdn>,
    /// What may be spent, minor units.
    pub available_minor: i64,
    /// Recharges of today, delivered and open, minor units of face value.
    pub used_today_minor: i64,
}

/// A payment with its history.
#[derive(Clone, Debug)]
pub struct PaymentView {
    /// The payment.
    pub payment: PaymentRow,
    /// Every step.
    pub events: Vec<EventRow>,
    /// Every request to a carrier.
    pub attempts: Vec<AttemptRow>,
}

/// What can be shut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// `recharge`.
    Product,
    /// A connector's id.
    Carrier,
    /// `voice`, `ussd`, `sms` or `http`.
    Channel,
    /// An account's id.
    Account,
    /// A number with `+`, as caller or as target.
    Number,
    /// A biller's id.
    Biller,
    /// An agent, by his account's id.
    Agent,
    /// Everything: [`crate::payment::fold::ALL`].
    Whole,
}

impl Scope {
    /// The name that rows store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Carrier => "carrier",
            Self::Channel => "channel",
            Self::Account => "account",
            Self::Number => "number",
            Self::Biller => "biller",
            Self::Agent => "agent",
            Self::Whole => "whole",
        }
    }
}

impl Payments {
    /// Opens a payment account.
    ///
    /// # Errors
    /// When the PIN is not good enough, or the number is bound to another account.
    pub async fn open_account(&self, open: OpenAccount) -> Result<Id, Error> {
        self.open_as(open, chart::customer, |_| Vec::new()).await
    }

    /// Opens an account of some kind, with what else is written of it in the same commit.
    pub(super) async fn open_as(
        &self,
        open: OpenAccount,
        row: impl Fn(Id, Currency, i64) -> AccountRow,
        with: impl FnOnce(Id) -> Vec<Op>,
    ) -> Result<Id, Error> {
        let at = self.now();
        let id = Id::new(at);
        let numbers: Vec<Msisdn> = open.msisdn.iter().cloned().collect();
        let (pin_hash, pin_pepper) = match open.pin {
            Some(pin) => {
                let (hash, pepper) = self.new_pin(id, pin, &numbers).await?;
                (Some(hash), pepper)
            }
            None => (None, 0),
        };
        let payer = PayerRow {
            account: id,
            suspended: false,
            user_day_limit_minor: None,
            user_payment_limit_minor: None,
            pin_hash,
            pin_pepper,
            pin_tries: 0,
            pin_wait_until: 0,
            pin_locked: false,
            created_at: at,
            version: 1,
        };
        let currency = self.inner.settings.currency;
        let mut ops = vec![Op::OpenAccount(row(id, currency, at)), Op::OpenPayer(payer)];
        ops.extend(open.msisdn.map(|msisdn| Op::Bind(BindingRow { msisdn, account: id, bound_at: at })));
        ops.extend(with(id));
        self.commit(ops).await?.map_err(Error::Refused)?;
        Ok(id)
    }

    pub(super) async fn new_pin(
        &self,
        account: Id,
        new: Secret,
        numbers: &[Msisdn],
    ) -> Result<(String, i32), Error> {
        let rules = &self.inner.settings.pin;
        pin::judge(&new, numbers, rules.digits_min, rules.digits_max)?;
        let (peppers, profile) = (self.inner.peppers.clone(), rules.profile);
        Ok(self.inner.pool.run(move || pin::hash(&new, account, &peppers, profile)).await??)
    }

    /// Binds a number to an account.
    ///
    /// # Errors
    /// When the number is bound to another account, or the account does not exist.
    pub async fn bind(&self, account: Id, msisdn: &Msisdn) -> Result<(), Error> {
        let row = BindingRow { msisdn: msisdn.clone(), account, bound_at: self.now() };
        let history = self.history(msisdn, account, "bound");
        self.commit(vec![Op::Bind(row), history]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Unbinds a number from an account.
    ///
    /// # Errors
    /// When it is not bound to it.
    pub async fn unbind(&self, account: Id, msisdn: &Msisdn) -> Result<(), Error> {
        let row = BindingRow { msisdn: msisdn.clone(), account, bound_at: 0 };
        let history = self.history(msisdn, account, "unbound");
        self.commit(vec![Op::Unbind(row), history]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Credits an account from the funding account and tells its balance. The same id again credits nothing
    /// more.
    ///
    /// # Errors
    /// When the account does not exist, the amount is not above 0, or the id was used for something else.
    pub async fn credit(&self, id: Id, account: Id, amount_minor: i64) -> Result<i64, Error> {
        if self.inner.store.payer(account).await?.is_none() {
            return Err(Error::NoSuchAccount);
        }
        let funding = if self.is_test(account).await? { House::Test("funding") } else { House::Funding };
        self.transfer(id, funding.id(self.inner.settings.currency), account, amount_minor).await?;
        let row = self.inner.store.account(account).await?.ok_or(Error::NoSuchAccount)?;
        Ok(row.balance_minor)
    }

    /// Books money paid in advance to a carrier. The same id again books nothing more.
    ///
    /// # Errors
    /// When the connector does not exist, the amount is not above 0, or the id was used for something else.
    pub async fn fund_float(&self, id: Id, connector: &str, amount_minor: i64) -> Result<(), Error> {
        if !self.inner.connectors.contains_key(connector) {
            return Err(Error::NoSuchConnector);
        }
        let currency = self.inner.settings.currency;
        let (float, funding) = (House::Float(connector).id(currency), House::Funding.id(currency));
        self.transfer(id, float, funding, amount_minor).await
    }

    async fn transfer(&self, id: Id, from: Id, to: Id, amount_minor: i64) -> Result<(), Error> {
        if amount_minor <= 0 {
            let amount = crate::ledger::command::Refusal::Amount;
            return Err(Error::Refused(Refusal::Ledger(amount)));
        }
        let legs = vec![Leg::new(from, -amount_minor), Leg::new(to, amount_minor)];
        let command = Command::new(id, None, Act::Transfer { legs });
        match self.commit(vec![Op::Ledger(command)]).await? {
            Ok(_) => Ok(()),
            Err(Refusal::Ledger(crate::ledger::command::Refusal::IdReused)) => Err(Error::IdReused),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Sets or clears the customer's own limits, minor units of face value.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn set_limits(
        &self,
        account: Id,
        day_minor: Option<i64>,
        payment_minor: Option<i64>,
    ) -> Result<(), Error> {
        let limit = |minor: Option<i64>| minor.map(|m| m.max(0));
        self.change_payer(account, |payer| {
            payer.user_day_limit_minor = limit(day_minor);
            payer.user_payment_limit_minor = limit(payment_minor);
        })
        .await
    }

    /// The pepper that new PINs are mixed with, by its version, and how many stored PINs are on each. A PIN on an older one
    /// moves to the newest when it is next given right.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pins_by_pepper(&self) -> Result<(i32, Vec<(i32, i64)>), Error> {
        Ok((self.inner.peppers.current(), self.inner.store.pins_by_pepper().await?))
    }

    /// Sets a new PIN and unlocks.
    ///
    /// # Errors
    /// [`Error::PinRefused`] when it is not good enough; or the account does not exist.
    pub async fn set_pin(&self, account: Id, new: Secret) -> Result<(), Error> {
        let bindings = self.inner.store.bindings_of(account).await?;
        let numbers: Vec<Msisdn> = bindings.into_iter().map(|b| b.msisdn).collect();
        let (hash, pepper) = self.new_pin(account, new, &numbers).await?;
        self.change_payer(account, |payer| {
            payer.pin_hash = Some(hash.clone());
            payer.pin_pepper = pepper;
            unlock(payer);
        })
        .await
    }

    /// Takes the lock off a PIN, also for callers whose number is not believed.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn unlock(&self, account: Id) -> Result<(), Error> {
        self.change_payer(account, unlock).await?;
        self.open_path(account).await
    }

    pub(super) async fn change_payer(
        &self,
        account: Id,
        change: impl Fn(&mut PayerRow),
    ) -> Result<(), Error> {
        for _ in 0..STALE_MAX {
            let mut payer = self.inner.store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
            change(&mut payer);
            match self.commit(vec![Op::SetPayer(payer)]).await? {
                Ok(_) => return Ok(()),
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Shuts something; payments that are under way go on.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn suspend(&self, scope: Scope, key: &str) -> Result<(), Error> {
        self.commit(vec![Op::Suspend(self.suspension(scope, key))]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    /// Opens it again.
    ///
    /// # Errors
    /// When it could not be committed.
    pub async fn resume(&self, scope: Scope, key: &str) -> Result<(), Error> {
        self.commit(vec![Op::Resume(self.suspension(scope, key))]).await?.map_err(Error::Refused)?;
        Ok(())
    }

    fn suspension(&self, scope: Scope, key: &str) -> SuspensionRow {
        SuspensionRow { scope: scope.name().to_owned(), key: key.to_owned(), since: self.now() }
    }

    /// An account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account(&self, id: Id) -> Result<Option<AccountView>, Error> {
        let store = &self.inner.store;
        let Some(payer) = store.payer(id).await? else { return Ok(None) };
        let Some(account) = store.account_at(id, self.now()).await? else { return Ok(None) };
        let numbers = store.bindings_of(id).await?.into_iter().map(|b| b.msisdn).collect();
        let used = store.counter(&self.counter_key(id)).await?;
        Ok(Some(AccountView {
            available_minor: account.balance_minor.saturating_sub(account.held_minor),
            account,
            payer,
            numbers,
            used_today_minor: used.map_or(0, |c| c.used_minor),
        }))
    }

    /// The account that a number pays from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_of(&self, msisdn: &Msisdn) -> Result<Option<Id>, Error> {
        Ok(self.inner.store.binding(msisdn).await?.map(|b| b.account))
    }

    /// A payment.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment(&self, id: Id) -> Result<Option<PaymentView>, Error> {
        self.view(self.inner.store.payment(id).await?).await
    }

    /// A payment by its short reference, as it is stored or as people write it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment_by_reference(&self, reference: &str) -> Result<Option<PaymentView>, Error> {
        let reference = reference::clean(reference);
        self.view(self.inner.store.payment_by_reference(&reference).await?).await
    }

    async fn view(&self, payment: Option<PaymentRow>) -> Result<Option<PaymentView>, Error> {
        let Some(payment) = payment else { return Ok(None) };
        let events = self.inner.store.events(payment.id).await?;
        let attempts = self.inner.store.attempts(payment.id).await?;
        Ok(Some(PaymentView { payment, events, attempts }))
    }

    /// Payments, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payments(&self, filter: &PaymentFilter) -> Result<Vec<PaymentRow>, Error> {
        Ok(self.inner.store.payments(filter).await?)
    }
}

fn unlock(payer: &mut PayerRow) {
    payer.pin_tries = 0;
    payer.pin_wait_until = 0;
    payer.pin_locked = false;
}
