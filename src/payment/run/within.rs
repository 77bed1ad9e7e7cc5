//! Payments inside the house: nobody outside is asked, so that hold, posting and what the payment is for are one commit.

use crate::ledger::command::Refusal as LedgerRefusal;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::fold::ids;
use crate::payment::pin;
use crate::payment::reference;
use crate::payment::row::{Id, PaymentRow, State, Target};
use crate::payment::run::pay::PinVerdict;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Authorise, Move, Op, Posting, Refusal};
use crate::secret::Secret;

/// References drawn before a clash counts as a fault.
const REFERENCE_TRIES: usize = 8;

/// The class of what can only be done with money in our books, by somebody whose account an outside provider holds.
pub const HELD_OUTSIDE: &str = "held_outside";

/// A payment whose money stays in the house.
pub(super) struct Within {
    /// The payment as [`Payments::draft_within`] makes it.
    pub draft: PaymentRow,
    /// The payer's PIN.
    pub pin: Secret,
    /// The most of one payment, minor units.
    pub payment_limit_minor: i64,
    /// The most of the account's day of this product, minor units.
    pub day_limit_minor: i64,
    /// Who shares the money.
    pub posting: Posting,
    /// What else is written in the same commit; a refusal of it drops the payment.
    pub with: Vec<Op>,
}

/// What a payment inside the house is asked for with.
pub(super) struct Asked {
    /// The payment's id, made before anything was asked.
    pub id: Id,
    /// Who pays.
    pub account: Id,
    /// The payer's number, if it is believed.
    pub caller: Option<Msisdn>,
    /// The channel.
    pub channel: Channel,
    /// See [`crate::payment::row::product`].
    pub product: &'static str,
    /// What is paid.
    pub target: Target,
    /// Face value, minor units.
    pub amount_minor: i64,
    /// Added to it, minor units.
    pub fee_minor: i64,
    /// A name for receipts.
    pub payee: Option<String>,
    /// The order or charge.
    pub deal: Option<Id>,
}

/// Why a payment inside the house was not made.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The PIN, in the terms of the caller.
    Told(PayOutcome),
    /// The commit was refused: limits, money, suspensions, or what was to be written with it.
    Refused(Refusal),
}

impl Stopped {
    /// In the terms of the caller; a refusal that callers have no word for comes back.
    pub(super) fn told(self) -> Result<PayOutcome, Refusal> {
        Ok(match self {
            Self::Told(outcome) => outcome,
            Self::Refused(Refusal::Suspended) => PayOutcome::Suspended,
            Self::Refused(Refusal::StillProcessing(_)) => PayOutcome::StillProcessing,
            Self::Refused(Refusal::PinLocked) => PayOutcome::Locked,
            Self::Refused(Refusal::PaymentLimit { limit_minor }) => PayOutcome::PaymentLimit { limit_minor },
            Self::Refused(Refusal::DayLimit { limit_minor, left_minor }) => {
                PayOutcome::DayLimit { limit_minor, left_minor, fits: false }
            }
            Self::Refused(Refusal::Ledger(LedgerRefusal::Insufficient { available_minor })) => {
                PayOutcome::Insufficient { left_minor: available_minor.max(0) }
            }
            Self::Refused(refusal) => return Err(refusal),
        })
    }
}

/// The same id again: the same payment, or another question under a used id.
fn again(asked: &PaymentRow, known: PaymentRow) -> Result<Result<PaymentRow, Stopped>, Error> {
    let same = known.account == asked.account
        && known.product == asked.product
        && known.target == asked.target
        && known.amount_minor == asked.amount_minor;
    if same { Ok(Ok(known)) } else { Err(Error::IdReused) }
}

impl Payments {
    /// Checks the PIN, and then pays in one commit. The same id again answers the same. A refusal that comes from `with` is given
    /// back as it is.
    pub(super) async fn pay_within(&self, within: Within) -> Result<Result<PaymentRow, Stopped>, Error> {
        let asked = &within.draft;
        if let Some(known) = self.inner.store.payment(asked.id).await? {
            return again(asked, known);
        }
        // What stays in the house is of the live book.
        if self.under_maintenance(asked).await? || self.is_test(asked.account).await? {
            return Ok(Err(Stopped::Refused(Refusal::Suspended)));
        }
        if self.held_outside(asked.account).await?.is_some() {
            // It would find no money, which is not the reason.
            let class = HELD_OUTSIDE.to_owned();
            return Ok(Err(Stopped::Told(PayOutcome::Refused { class })));
        }
        let rehash = match self.check_pin(asked.account, &within.pin).await? {
            PinVerdict::Right { rehash } => rehash,
            PinVerdict::Wrong { left } => {
                return self.unless_made(asked, PayOutcome::WrongPin { left }).await;
            }
            PinVerdict::Locked => return self.unless_made(asked, PayOutcome::Locked).await,
        };
        let passed = Op::PinPassed { account: asked.account, rehash };
        let settings = &self.inner.settings;
        for _ in 0..REFERENCE_TRIES {
            let payment = PaymentRow {
                reference: reference::fresh().ok_or(pin::Error::Random)?,
                state: State::Authorised,
                ..asked.clone()
            };
            let step = Move {
                payment: payment.id,
                version: 1,
                to: State::Delivered,
                class: None,
                carrier_reference: None,
                cost_minor: None,
                next_check_at: None,
                checked: false,
                attempt: None,
                posting: Some(within.posting),
                detail: "paid within the house".to_owned(),
            };
            let authorise = Authorise {
                payment,
                payment_limit_minor: within.payment_limit_minor,
                day_limit_minor: within.day_limit_minor,
                hold_expires_at: Some(self.inner.clock.now().after(settings.hold_expiry).0),
                duplicate_window_us: 0,
                repeat: false,
                without_pin: None,
            };
            let mut ops = vec![passed.clone(), Op::Authorise(Box::new(authorise)), Op::Move(Box::new(step))];
            ops.extend(within.with.iter().cloned());
            match self.commit(ops).await? {
                Ok(done) => {
                    let payment = done.payment.ok_or(Error::IdReused)?;
                    self.inner.changes.tell(&payment);
                    return Ok(Ok(payment));
                }
                Err(Refusal::Exists("reference")) => {}
                Err(Refusal::PaymentExists(known)) => return again(asked, *known),
                Err(refusal) => {
                    // The unit was dropped whole, but the PIN was right.
                    self.commit(vec![passed]).await?.map_err(Error::Refused)?;
                    return Ok(Err(Stopped::Refused(refusal)));
                }
            }
        }
        Err(Error::Refused(Refusal::Exists("reference")))
    }

    /// The payment, when the same id was asked at the same time and has paid by now; or else what the PIN came to.
    async fn unless_made(
        &self,
        asked: &PaymentRow,
        told: PayOutcome,
    ) -> Result<Result<PaymentRow, Stopped>, Error> {
        match self.inner.store.payment(asked.id).await? {
            Some(known) => again(asked, known),
            None => Ok(Err(Stopped::Told(told))),
        }
    }

    /// A payment inside the house before anything is known of it but what is asked.
    #[must_use]
    pub(super) fn draft_within(&self, asked: Asked) -> PaymentRow {
        let now = self.now();
        PaymentRow {
            id: asked.id,
            reference: String::new(),
            account: asked.account,
            caller: asked.caller,
            channel: asked.channel.number(),
            product: asked.product.to_owned(),
            target: asked.target,
            amount_minor: asked.amount_minor,
            fee_minor: asked.fee_minor,
            cost_minor: asked.amount_minor,
            tax_minor: 0,
            currency: self.inner.settings.currency,
            state: State::Created,
            class: None,
            business_day: self.today(),
            hold: ids::hold(asked.id),
            connector: String::new(),
            carrier_reference: None,
            payee: asked.payee,
            quote: None,
            provider: None,
            deal: asked.deal,
            created_at: now,
            updated_at: now,
            next_check_at: None,
            checks: 0,
            version: 0,
        }
    }
}
