//! Charges as their two sides see them: found and listed, the certificate sent, what an action came to after a restart, and the
//! API keys by which an account is known over HTTP.

use subtle::ConstantTimeEq;

use crate::msisdn::Msisdn;
use crate::payment::charge::{Side, Stage, texts};
use crate::payment::row::charge::{AccountKeyRow, ChargeRow};
use crate::payment::row::order::OrderRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{AnswerRow, Id};
use crate::payment::run::charges::CONFIRM;
use crate::payment::run::merchants::{NO_HASH, fresh_key, read_key};
use crate::payment::run::{Error, OrderPayment, Payments};
use crate::payment::unit::{Op, Refusal};
use crate::secret::Secret;

/// Charges of one page.
pub const PAGE_MAX: u32 = 100;
/// Times that a new key is written when somebody else writes one at the same moment.
const STALE_MAX: usize = 8;

/// Which charges of an account are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChargeFilter {
    /// Only those in this stage.
    pub stage: Option<Stage>,
    /// Only those that were asked for before this time, microseconds.
    pub before: Option<i64>,
    /// At most so many, [`PAGE_MAX`] at most.
    pub limit: u32,
}

impl Payments {
    /// A charge by its number, and which side of it an account is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge_of(&self, account: Id, number: &str) -> Result<Option<(Side, ChargeRow)>, Error> {
        let found = self.charge_by_number(number).await?;
        Ok(found.and_then(|row| match account {
            account if account == row.buyer => Some((Side::Buyer, row)),
            account if account == row.agent => Some((Side::Agent, row)),
            _ => None,
        }))
    }

    /// The charges of one side, open or over, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charges_of(
        &self,
        side: Side,
        account: Id,
        filter: ChargeFilter,
    ) -> Result<Vec<ChargeRow>, Error> {
        let column = if side == Side::Buyer { "buyer" } else { "agent" };
        let mut wanted = Select::<ChargeRow>::new()
            .equal(column, &account)
            .order("created_at")
            .descending()
            .limit(filter.limit.clamp(1, PAGE_MAX));
        if let Some(stage) = filter.stage {
            wanted = wanted.equal("state", &stage.number());
        }
        if let Some(before) = filter.before {
            wanted = wanted.below("created_at", &before);
        }
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// The numbers that are bound to an account, the first bound first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn phones_of(&self, account: Id) -> Result<Vec<Msisdn>, Error> {
        let bound = self.inner.store.bindings_of(account).await?;
        Ok(bound.into_iter().map(|binding| binding.msisdn).collect())
    }

    /// Sends the buyer the certificate and where to pay, in a text that is encrypted until it leaves. False when there is no
    /// such charge of this buyer, or its amount is not on the intermediary account.
    ///
    /// # Errors
    /// When the database or the writer does not answer.
    pub async fn send_certificate(&self, buyer: Id, number: &str) -> Result<bool, Error> {
        let Some((row, certificate)) = self.charge_details(buyer, number).await? else { return Ok(false) };
        let Some(body) = texts::certificate(&row, &certificate, self.inner.settings.currency) else {
            return Ok(false);
        };
        let text = self.sealed(self.sms(Id::new(self.now()), &row.buyer_phone, body))?;
        self.commit(vec![Op::Outbox(text)]).await?.map_err(Error::Refused)?;
        Ok(true)
    }

    /// The charge that a deposit or a confirmation of this id has brought forward; none when it was not done.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn charge_outcome(&self, id: Id) -> Result<Option<ChargeRow>, Error> {
        if let Some(deal) = self.inner.store.payment(id).await?.and_then(|payment| payment.deal) {
            return self.charge(deal).await;
        }
        let answer: Option<AnswerRow> = self.inner.store.record(&[cell(&id)]).await?;
        match answer.filter(|answer| answer.action == CONFIRM).and_then(|a| Id::parse(&a.outcome_values)) {
            Some(charge) => self.charge(charge).await,
            None => Ok(None),
        }
    }

    /// What the payment of an order, or the confirmation of its receipt, of this id has come to; none when it was not done.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_outcome(&self, id: Id) -> Result<Option<OrderPayment>, Error> {
        let known = self.inner.store.payment(id).await?;
        if let Some(known) = &known
            && let Some(outcome) = self.unpaid_outside(known).await?
        {
            return Ok(Some(outcome));
        }
        if let Some(deal) = known.and_then(|payment| payment.deal) {
            let order: Option<OrderRow> = self.inner.store.record(&[cell(&deal)]).await?;
            return match order {
                Some(order) => self.paid_order(id, &order).await.map(Some),
                None => Ok(None),
            };
        }
        let answer: Option<AnswerRow> = self.inner.store.record(&[cell(&id)]).await?;
        Ok(answer.filter(|answer| answer.outcome == "released").map(|_| OrderPayment::Released))
    }

    /// A new API key for an account, told once; the one before is void at once. Nothing is paid by it alone: what moves an
    /// agent's money asks the PIN as well.
    ///
    /// # Errors
    /// When there is no such account that pays, or the database or the writer does not answer.
    pub async fn new_account_key(&self, account: Id) -> Result<Secret, Error> {
        if self.inner.store.payer(account).await?.is_none() {
            return Err(Error::NoSuchAccount);
        }
        let (key, key_hash) = fresh_key(account)?;
        for _ in 0..STALE_MAX {
            let known: Option<AccountKeyRow> = self.inner.store.record(&[cell(&account)]).await?;
            let version = known.as_ref().map_or(1, |known| known.version.saturating_add(1));
            let row = AccountKeyRow { account, key_hash: key_hash.clone(), created_at: self.now(), version };
            let op = if known.is_some() { Op::set(&row) } else { Op::add(&row) };
            match self.commit(vec![op]).await? {
                Ok(_) => return Ok(key),
                Err(Refusal::Stale | Refusal::Exists(_)) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// The account whose API key this is. The hash is compared in constant time.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account_by_key(&self, key: &str) -> Result<Option<Id>, Error> {
        let Some((account, hash)) = read_key(key) else { return Ok(None) };
        let known: Option<AccountKeyRow> = self.inner.store.record(&[cell(&account)]).await?;
        let stored = known.as_ref().map_or(NO_HASH.as_slice(), |row| row.key_hash.as_slice());
        let same: bool = stored.ct_eq(&hash).into();
        Ok(known.filter(|_| same).map(|row| row.account))
    }
}
