//! Merchants' orders that are paid from an account which an outside provider holds, and their money's way back.
//!
//! ```text
//!  hold, payment, reservation          (one commit; the order is still open)
//!  request to the provider             reserved: reservation, payment delivered, order paid, money frozen (one commit)
//!  the reservation follows its payment captured at once, without end
//!  the whole comes back                order returned, payment taken back (one commit); refunded, or released, without end
//! ```
//! **The money is taken when the order is paid, not when it is released.** Providers give reservations up after hours or days, an
//! order may be frozen for ninety: money that is only kept could be gone when the merchant is to have it. So what is frozen stands
//! on our intermediary account from the payment on, owed to us by the provider (`receivable:P`) for the moment until it is
//! captured, and what comes back goes back by the provider's refund.
//!
//! **An order is claimed by the provider's word, not before.** Until then others may pay it, the merchant may cancel it and its
//! time may pass; then the payment is refused ([`ORDER_GONE`]), and what is reserved is set free. Nothing is captured of it.
//!
//! What comes back in parts, or from the merchant after the release, is not what was reserved and stands on the customer's account
//! in our books, from where staff pay it out; so does everything of a provider that gives nothing back.

use crate::ledger::chart::House;
use crate::payment::answer::PayOutcome;
use crate::payment::order;
use crate::payment::order::{Input, Movement, Step};
use crate::payment::posting;
use crate::payment::row::order::{MerchantRow, OrderRow};
use crate::payment::row::record::cell;
use crate::payment::row::{Id, PaymentRow, State, product};
use crate::payment::run::crash::crash_point;
use crate::payment::run::merchants::SCOPE;
use crate::payment::run::orders::{OrderPayment, PayOrder, fee_of, writes};
use crate::payment::run::pay::{Intent, PinVerdict};
use crate::payment::run::within::Stopped;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Move, Op, Posting, Refusal};
use crate::payment::webhook;
use crate::store::PaymentFilter;

/// The class of a payment whose order was paid by somebody else, cancelled or too old when the provider had kept the money.
pub const ORDER_GONE: &str = "order_gone";
/// The class of a payment whose order was given back whole.
pub const ORDER_RETURNED: &str = "order_returned";

/// Open payments of an account among which an order's is looked for.
const OPEN_MAX: u32 = 100;

impl Payments {
    /// Who shares the money of an order: all of it is frozen first.
    pub(super) fn order_posting(&self) -> Posting {
        let currency = self.inner.settings.currency;
        Posting {
            counterparty: House::Intermediary.id(currency),
            commission: House::Fee.id(currency),
            fee: House::Fee.id(currency),
            tax: House::Tax.id(currency),
        }
    }

    /// Pays from outside: PIN, limits, hold and reservation in one commit, and then the provider.
    pub(super) async fn pay_order_outside(
        &self,
        asked: PayOrder,
        draft: PaymentRow,
    ) -> Result<OrderPayment, Error> {
        // Before anything is written: what is resolved from now on is heard.
        let mut news = self.inner.changes.of(draft.id);
        if self.under_maintenance(&draft).await? || self.is_test(asked.account).await? {
            return Ok(OrderPayment::Told(PayOutcome::Suspended));
        }
        let passed = match self.check_pin(asked.account, &asked.pin).await? {
            PinVerdict::Right { rehash } => Op::PinPassed { account: asked.account, rehash },
            PinVerdict::Wrong { left } => {
                return self.unless_paid_outside(draft.id, PayOutcome::WrongPin { left }).await;
            }
            PinVerdict::Locked => return self.unless_paid_outside(draft.id, PayOutcome::Locked).await,
        };
        let intent = Intent {
            channel: asked.channel,
            // An order is paid once; no other payment is equal to it.
            repeat: true,
            payment_limit_minor: self.inner.settings.order_limit_minor,
            day_limit_minor: self.order_day_limit(asked.account).await?,
        };
        let order = draft.deal;
        let payment = match self.authorise(intent, draft, Some(passed)).await? {
            Ok(payment) => payment,
            Err(Refusal::PaymentExists(known)) if (known.account, known.deal) == (asked.account, order) => {
                *known
            }
            Err(Refusal::PaymentExists(_)) => return Err(Error::IdReused),
            Err(Refusal::StillProcessing(_)) => return self.already_asked(asked.account, order).await,
            Err(refusal) => {
                let outcome = Stopped::Refused(refusal).told().map_err(Error::Refused)?;
                return Ok(OrderPayment::Told(outcome));
            }
        };
        let id = payment.id;
        let outcome = self.carry_on(payment, &mut news).await?;
        self.order_told(id, outcome).await
    }

    /// What became of the payment, when the same id was asked at the same time; or else what the PIN came to.
    async fn unless_paid_outside(&self, id: Id, told: PayOutcome) -> Result<OrderPayment, Error> {
        let known = match self.inner.store.payment(id).await? {
            Some(payment) => self.unpaid_outside(&payment).await?,
            None => None,
        };
        Ok(known.unwrap_or(OrderPayment::Told(told)))
    }

    /// The caller asks for an order again of which the provider has not told yet.
    async fn already_asked(&self, account: Id, order: Option<Id>) -> Result<OrderPayment, Error> {
        let open = PaymentFilter {
            account: Some(account),
            state: Some(State::Authorised),
            limit: OPEN_MAX,
            ..PaymentFilter::default()
        };
        let first = self.inner.store.payments(&open).await?.into_iter().find(|payment| payment.deal == order);
        // Between the two looks it may have come to its end: then this one was asked too early all the same.
        Ok(OrderPayment::Told(match first {
            Some(payment) => PayOutcome::Pending { receipt: payment.reference },
            None => PayOutcome::StillProcessing,
        }))
    }

    /// What an outcome of such a payment is in the terms of orders.
    async fn order_told(&self, payment: Id, outcome: PayOutcome) -> Result<OrderPayment, Error> {
        let gone = matches!(&outcome, PayOutcome::Refused { class } if class == ORDER_GONE);
        if gone {
            return Ok(OrderPayment::Gone);
        }
        if !matches!(outcome, PayOutcome::Delivered { .. }) {
            return Ok(OrderPayment::Told(outcome));
        }
        let paid = self.inner.store.payment(payment).await?.ok_or(Error::IdReused)?;
        match self.order_of(&paid).await? {
            Some(row) => self.paid_order(payment, &row).await,
            None => Ok(OrderPayment::Gone),
        }
    }

    /// What became of an order's payment from outside that is not at its end, or was refused; `None` of any other.
    pub(super) async fn unpaid_outside(&self, payment: &PaymentRow) -> Result<Option<OrderPayment>, Error> {
        if payment.provider.is_none() || payment.product != product::ORDER {
            return Ok(None);
        }
        let mut news = self.inner.changes.of(payment.id);
        let outcome = self.wait(payment.clone(), &mut news).await?;
        self.order_told(payment.id, outcome).await.map(Some)
    }

    async fn order_of(&self, payment: &PaymentRow) -> Result<Option<OrderRow>, Error> {
        let Some(deal) = payment.deal else { return Ok(None) };
        Ok(self.inner.store.record(&[cell(&deal)]).await?)
    }

    /// The provider keeps the money: the order is paid with it, or, when it cannot be paid any more, the payment refused. `with`
    /// tells of the reservation. False when something changed under it.
    pub(super) async fn claim_order(&self, payment: &PaymentRow, with: Vec<Op>) -> Result<bool, Error> {
        let Some(paying) = self.order_paid(payment).await? else {
            return self.order_gone(payment, with).await;
        };
        let mut ops = with.clone();
        ops.extend(paying);
        crash_point("order_claim_before");
        match self.commit(ops).await? {
            Ok(done) => {
                crash_point("order_claim_after");
                if let Some(payment) = done.payment {
                    self.inner.changes.tell(&payment);
                }
                Ok(true)
            }
            Err(Refusal::Stale | Refusal::NotAllowed(_)) => Ok(false),
            // The merchant is shut, or the hold has expired.
            Err(Refusal::Suspended | Refusal::Ledger(_)) => self.order_gone(payment, with).await,
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// What pays the order; `None` when it cannot be paid any more.
    async fn order_paid(&self, payment: &PaymentRow) -> Result<Option<Vec<Op>>, Error> {
        let Some(row) = self.order_of(payment).await? else { return Ok(None) };
        let Some(merchant) = self.merchant(row.merchant).await? else { return Ok(None) };
        let input = Input::Pay { payer: payment.account, payment: payment.id };
        let decided = fee_of(&merchant).and_then(|fee| order::step(&row, self.now(), &input, &fee));
        let Ok(paid) = decided.and_then(|step| writes(&step, &merchant)) else { return Ok(None) };
        let mut ops = vec![
            Op::Open(vec![(SCOPE.to_owned(), merchant.id.text())]),
            Op::Move(Box::new(Move {
                posting: Some(self.order_posting()),
                ..moved(
                    payment,
                    State::Delivered,
                    None,
                    "the provider keeps the money, and the order is paid",
                )
            })),
        ];
        ops.extend(paid);
        let resolved = PaymentRow { state: State::Delivered, ..payment.clone() };
        ops.extend(self.result_sms(&resolved).await.map(Op::Outbox));
        Ok(Some(ops))
    }

    async fn order_gone(&self, payment: &PaymentRow, with: Vec<Op>) -> Result<bool, Error> {
        let step = moved(payment, State::Refused, Some(ORDER_GONE), "the order cannot be paid any more");
        let mut ops = with;
        ops.push(Op::Move(Box::new(step)));
        let class = Some(ORDER_GONE.to_owned());
        let resolved = PaymentRow { state: State::Refused, class, ..payment.clone() };
        ops.extend(self.result_sms(&resolved).await.map(Op::Outbox));
        match self.commit(ops).await? {
            Ok(done) => {
                tracing::info!(payment = %payment.id, "an order was gone when its money was reserved");
                if let Some(payment) = done.payment {
                    self.inner.changes.tell(&payment);
                }
                Ok(true)
            }
            Err(Refusal::Stale | Refusal::NotAllowed(_)) => Ok(false),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Row, money and webhook of an order's step. When it gives back all that was paid from outside, the payment is taken back, and
    /// its reservation follows; a part stands on the customer's account in our books.
    pub(super) async fn order_writes(
        &self,
        step: &Step,
        merchant: &MerchantRow,
    ) -> Result<Result<Vec<Op>, order::Refusal>, Error> {
        let back = step.movements.iter().any(|m| matches!(m, Movement::Return(_) | Movement::Refund(_)));
        let (true, Some(payment)) = (back, step.row.payment) else { return Ok(writes(step, merchant)) };
        let payment = self.inner.store.payment(payment).await?;
        let Some(payment) = payment.filter(|payment| payment.provider.is_some()) else {
            return Ok(writes(step, merchant));
        };
        if !is_whole(step, &payment) {
            let (id, order) = (payment.id, &step.row.number);
            tracing::warn!(payment = %id, order, "money comes back to an account outside: it stands in our books, to be paid out");
            return Ok(writes(step, merchant));
        }
        let told = PaymentRow { state: State::Reversed, ..payment.clone() };
        let mut ops = vec![
            Op::set(&step.row),
            Op::Move(Box::new(Move {
                posting: Some(self.order_posting()),
                ..moved(&payment, State::Reversed, Some(ORDER_RETURNED), "the order is given back")
            })),
            Op::add(&webhook::row(step.event, &step.row, merchant.webhook_url.is_some())),
        ];
        ops.extend(self.result_sms(&told).await.map(Op::Outbox));
        ops.extend(self.ended(&payment, State::Reversed).await?);
        Ok(Ok(ops))
    }
}

/// Whether a step gives back exactly what the payment took.
fn is_whole(step: &Step, payment: &PaymentRow) -> bool {
    step.movements == [Movement::Return(payment.amount_minor)]
        && posting::total_minor(payment) == Some(payment.amount_minor)
        && payment.state == State::Delivered
}

fn moved(payment: &PaymentRow, to: State, class: Option<&str>, detail: &str) -> Move {
    Move {
        payment: payment.id,
        version: payment.version,
        to,
        class: class.map(str::to_owned),
        carrier_reference: None,
        cost_minor: None,
        next_check_at: None,
        checked: false,
        attempt: None,
        posting: None,
        detail: detail.to_owned(),
    }
}
