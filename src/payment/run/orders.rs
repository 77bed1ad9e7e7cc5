//! Drives orders: reads the row, has [`order::step`] decide, and commits row, money and webhook together; what was stale is
//! read again.

use sha2::{Digest, Sha256};

use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg, Refusal as LedgerRefusal};
use crate::money::AMOUNT_MAX_MINOR;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayOutcome};
use crate::payment::ask;
use crate::payment::order;
use crate::payment::order::{Input, Movement, OnTimeout, RefundState, State, Step};
use crate::payment::pin;
use crate::payment::row::order::{MerchantRow, OrderKeyRow, OrderRow, RefundRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::{AnswerRow, Id, Target, product};
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::merchants::SCOPE;
use crate::payment::run::pay::PinVerdict;
use crate::payment::run::within::{Asked, Stopped, Within};
use crate::payment::run::{Error, Needs, Payments};
use crate::payment::share::{Fee, Sharers};
use crate::payment::unit::{Op, Refusal};
use crate::payment::webhook;
use crate::random;
use crate::secret::Secret;

/// Times that a step is tried anew when somebody else changed the order.
const STALE_MAX: usize = 8;
/// Orders looked at in one round.
const ROUND_MAX: u32 = 64;
/// Orders that a caller is told of.
const TOLD_MAX: u32 = 20;
/// How long an idempotency key is kept, microseconds: 30 days.
pub(super) const KEY_KEPT_MICROS: i64 = 30 * order::DAY_MICROS;
/// The longest idempotency key, bytes.
const KEY_BYTES_MAX: usize = 100;
/// The action of an answer to a confirmation of receipt.
const CONFIRM: &str = "order.confirm";
/// Orders of one page of the API.
const PAGE_MAX: u32 = 100;

/// What a merchant asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewOrder {
    /// Who is to pay.
    pub customer: Msisdn,
    /// Minor units.
    pub amount_minor: i64,
    /// What is sold.
    pub description: String,
    /// How long it may be paid, microseconds from now.
    pub payable_micros: i64,
    /// Whether the money is kept until the customer confirms receipt.
    pub frozen: bool,
    /// How long at most, microseconds from the payment.
    pub freeze_micros: i64,
    /// What then happens.
    pub on_timeout: OnTimeout,
}

/// Which orders of a merchant are wanted.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Only in this state.
    pub state: Option<State>,
    /// Only of this number.
    pub customer: Option<Msisdn>,
    /// Only those placed before this time, microseconds.
    pub before: Option<i64>,
    /// At most so many; 100 is the most.
    pub limit: u32,
}

/// Why a merchant's or customer's wish is not done.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// No such order of this merchant or customer.
    #[error("no such order")]
    Unknown,
    /// The merchant is suspended.
    #[error("the merchant is suspended")]
    Suspended,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A part of the request cannot be taken.
    #[error("{0}")]
    Invalid(&'static str),
    /// The order does not allow it.
    #[error("{0}")]
    Order(#[from] order::Refusal),
    /// The customer is not asked.
    #[error("{0}")]
    Ask(#[from] ask::Refusal),
}

/// A customer's wish to pay an order, or to confirm its receipt.
#[derive(Clone, Debug)]
pub struct PayOrder {
    /// Made before anything was asked: the same id again gets the same answer.
    pub id: Id,
    /// Whose money.
    pub account: Id,
    /// The caller's number.
    pub caller: Option<Msisdn>,
    /// The channel.
    pub channel: Channel,
    /// The order's number.
    pub number: String,
    /// What the caller heard that it costs, minor units.
    pub amount_minor: i64,
    /// The PIN.
    pub pin: Secret,
}

/// What paying or confirming came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OrderPayment {
    /// The merchant has the money.
    Paid {
        /// The payment's short reference.
        receipt: String,
    },
    /// It is frozen.
    Held {
        /// The payment's short reference.
        receipt: String,
        /// Until when at most, microseconds.
        until: i64,
    },
    /// Its receipt was confirmed; the merchant has the money.
    Released,
    /// It is not there any more, has another amount, or is not the caller's.
    Gone,
    /// The payment was refused.
    Told(PayOutcome),
}

/// The account that orders' frozen money is on.
fn sharers(order: &OrderRow) -> Sharers {
    Sharers {
        from: House::Intermediary.id(order.currency),
        merchant: order.merchant,
        fee: House::Fee.id(order.currency),
        rounding: House::Rounding.id(order.currency),
    }
}

/// The ledger's commands of a step. Their ids follow from order and version: a step that was stale left none behind.
fn commands(step: &Step) -> Result<Vec<Op>, order::Refusal> {
    let row = &step.row;
    let mut ops = Vec::with_capacity(step.movements.len());
    for movement in &step.movements {
        let payer = row.payer.ok_or(order::Refusal::Unsound)?;
        let (word, legs) = match movement {
            Movement::Release(share) => ("release", share.legs(&sharers(row))),
            Movement::Return(minor) => {
                let from = House::Intermediary.id(row.currency);
                ("return", vec![Leg::new(from, minor.saturating_neg()), Leg::new(payer, *minor)])
            }
            Movement::Refund(minor) => {
                ("refund", vec![Leg::new(row.merchant, minor.saturating_neg()), Leg::new(payer, *minor)])
            }
        };
        let id = row.id.derived(&format!("{word} {}", row.version));
        ops.push(Op::Ledger(Command::new(id, None, Act::Transfer { legs })));
    }
    Ok(ops)
}

/// Row, money and webhook.
pub(super) fn writes(step: &Step, merchant: &MerchantRow) -> Result<Vec<Op>, order::Refusal> {
    let mut ops = vec![Op::set(&step.row)];
    ops.extend(commands(step)?);
    ops.push(Op::add(&webhook::row(step.event, &step.row, merchant.webhook_url.is_some())));
    Ok(ops)
}

pub(super) fn fee_of(merchant: &MerchantRow) -> Result<Fee, order::Refusal> {
    Fee::new(&merchant.fee_rate, merchant.fee_fixed_minor).map_err(|_| order::Refusal::Unsound)
}

fn check(new: &NewOrder, key: &str) -> Result<(), Fault> {
    let printable = |text: &str| !text.chars().any(char::is_control);
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !printable(key) {
        return Err(Fault::Invalid("the idempotency key must have 1 to 100 bytes"));
    }
    if !(1..=AMOUNT_MAX_MINOR).contains(&new.amount_minor) {
        return Err(Fault::Invalid("the amount must be positive"));
    }
    let length = new.description.trim().len();
    if length == 0 || length > order::DESCRIPTION_BYTES_MAX || !printable(&new.description) {
        return Err(Fault::Invalid("the description must be one line of 1 to 200 bytes"));
    }
    if !(1..=order::PAYABLE_MAX_MICROS).contains(&new.payable_micros) {
        return Err(Fault::Invalid("the order must be payable for 1 second to 90 days"));
    }
    if !(1..=order::FREEZE_MAX_MICROS).contains(&new.freeze_micros) {
        return Err(Fault::Invalid("the time limit must be 1 second to 90 days"));
    }
    Ok(())
}

fn fingerprint(new: &NewOrder) -> Vec<u8> {
    Sha256::digest(format!("{new:?}")).to_vec()
}

/// Eight digits, drawn anew for each order.
fn fresh_number() -> Result<String, Error> {
    let mut bytes = [0; 4];
    random::fill(&mut bytes).map_err(|_| pin::Error::Random)?;
    Ok(format!("{:08}", u32::from_be_bytes(bytes) % 100_000_000))
}

impl Payments {
    /// Places an order. The same key with the same request gets the same order; a key is kept for 30 days.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn place_order(
        &self,
        merchant: &MerchantRow,
        key: &str,
        new: NewOrder,
    ) -> Result<Result<OrderRow, Fault>, Error> {
        if let Err(fault) = check(&new, key) {
            return Ok(Err(fault));
        }
        let fingerprint = fingerprint(&new);
        for _ in 0..STALE_MAX {
            let now = self.now();
            let known: Option<OrderKeyRow> =
                self.inner.store.record(&[cell(&merchant.id), cell(&key.to_owned())]).await?;
            let known = known.filter(|known| known.created_at > now.saturating_sub(KEY_KEPT_MICROS));
            if let Some(known) = known {
                if known.fingerprint != fingerprint {
                    return Ok(Err(Fault::KeyReused));
                }
                return Ok(self.order(merchant.id, known.order_id).await?.ok_or(Fault::Unknown));
            }
            let row = new_row(merchant, &new, now, fresh_number()?);
            let used = OrderKeyRow {
                merchant: merchant.id,
                idempotency: key.to_owned(),
                fingerprint: fingerprint.clone(),
                order_id: row.id,
                created_at: now,
                version: 1,
            };
            let ops = vec![
                Op::Open(vec![(SCOPE.to_owned(), merchant.id.text())]),
                Op::add(&used),
                Op::add(&row),
                Op::add(&webhook::row("order.created", &row, merchant.webhook_url.is_some())),
            ];
            crash_point("order_before");
            match self.commit(ops).await? {
                Ok(_) => {
                    crash_point("order_after");
                    return Ok(Ok(row));
                }
                Err(Refusal::Suspended) => return Ok(Err(Fault::Suspended)),
                // Somebody was faster with this key, or it is an old one.
                Err(Refusal::Exists(_)) => self.forget_key(merchant.id, key, now).await?,
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Takes a key out whose time is up.
    async fn forget_key(&self, merchant: Id, key: &str, now: i64) -> Result<(), Error> {
        let cells = [cell(&merchant), cell(&key.to_owned())];
        let known: Option<OrderKeyRow> = self.inner.store.record(&cells).await?;
        if known.is_some_and(|known| known.created_at <= now.saturating_sub(KEY_KEPT_MICROS)) {
            self.commit(vec![Op::remove::<OrderKeyRow>(&cells)]).await?.map_err(Error::Refused)?;
        }
        Ok(())
    }

    /// An order of a merchant.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order(&self, merchant: Id, id: Id) -> Result<Option<OrderRow>, Error> {
        let order: Option<OrderRow> = self.inner.store.record(&[cell(&id)]).await?;
        Ok(order.filter(|order| order.merchant == merchant))
    }

    /// An order, for staff.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn any_order(&self, id: Id) -> Result<Option<OrderRow>, Error> {
        Ok(self.inner.store.record(&[cell(&id)]).await?)
    }

    /// Orders, the newest first; of one merchant, or of all for staff.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders(&self, merchant: Option<Id>, filter: &OrderFilter) -> Result<Vec<OrderRow>, Error> {
        let mut wanted =
            Select::new().order("created_at").descending().limit(filter.limit.clamp(1, PAGE_MAX));
        if let Some(merchant) = merchant {
            wanted = wanted.equal("merchant", &merchant);
        }
        if let Some(state) = filter.state {
            wanted = wanted.equal("state", &state.number());
        }
        if let Some(customer) = &filter.customer {
            wanted = wanted.equal("customer", customer);
        }
        if let Some(before) = filter.before {
            wanted = wanted.below("created_at", &before);
        }
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// The orders in one state of the numbers that are bound to an account, the newest first.
    async fn orders_of(&self, account: Id, state: State) -> Result<Vec<OrderRow>, Error> {
        let mut found: Vec<OrderRow> = Vec::new();
        for binding in self.inner.store.bindings_of(account).await? {
            let wanted = Select::new().equal("customer", &binding.msisdn).equal("state", &state.number());
            found.extend(
                self.inner.store.records(&wanted.order("created_at").descending().limit(TOLD_MAX)).await?,
            );
        }
        found.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.id)));
        found.truncate(usize::try_from(TOLD_MAX).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// What the account's numbers can pay now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unpaid_orders(&self, account: Id) -> Result<Vec<OrderRow>, Error> {
        let now = self.now();
        let mut orders = self.orders_of(account, State::Created).await?;
        orders.retain(|order| order.expires_at > now);
        Ok(orders)
    }

    /// What the account paid and can confirm or dispute; what is disputed it can only confirm.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn frozen_orders(&self, account: Id) -> Result<Vec<OrderRow>, Error> {
        let mut orders = self.orders_of(account, State::Paid).await?;
        orders.extend(self.orders_of(account, State::Disputed).await?);
        orders.retain(|order| order.payer == Some(account));
        Ok(orders)
    }

    /// Does a step of a merchant's or of the clock's. What is so already is answered as it is.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn step_order(&self, id: Id, input: &Input) -> Result<Result<OrderRow, Fault>, Error> {
        self.step_with(id, input, None, |_| Vec::new()).await
    }

    /// The same for one merchant's order only.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn merchant_step(
        &self,
        merchant: Id,
        id: Id,
        input: &Input,
    ) -> Result<Result<OrderRow, Fault>, Error> {
        if self.order(merchant, id).await?.is_none() {
            return Ok(Err(Fault::Unknown));
        }
        self.step_order(id, input).await
    }

    /// With a refund it is done unless that refund is done already. The order is read first: whoever did it in between has
    /// changed the order too.
    async fn step_with(
        &self,
        id: Id,
        input: &Input,
        refund: Option<Id>,
        with: impl Fn(&OrderRow) -> Vec<Op>,
    ) -> Result<Result<OrderRow, Fault>, Error> {
        for _ in 0..STALE_MAX {
            let Some(row) = self.any_order(id).await? else { return Ok(Err(Fault::Unknown)) };
            let Some(merchant) = self.merchant(row.merchant).await? else { return Ok(Err(Fault::Unknown)) };
            if let Some(refund) = refund {
                let known: Option<RefundRow> = self.inner.store.record(&[cell(&refund)]).await?;
                if known.is_some_and(|known| known.state == RefundState::Done.number()) {
                    return Err(Error::Refused(Refusal::Exists("order_refunds")));
                }
            }
            let decided = fee_of(&merchant).and_then(|fee| order::step(&row, self.now(), input, &fee));
            let step = match decided {
                Ok(step) => step,
                Err(order::Refusal::Already) => return Ok(Ok(row)),
                Err(refusal) => return Ok(Err(refusal.into())),
            };
            let mut ops = match self.order_writes(&step, &merchant).await? {
                Ok(ops) => ops,
                Err(refusal) => return Ok(Err(refusal.into())),
            };
            ops.extend(with(&step.row));
            crash_point("order_step_before");
            match self.commit(ops).await? {
                Ok(done) => {
                    crash_point("order_step_after");
                    if let Some(payment) = done.payment {
                        // What was reserved outside follows.
                        self.inner.changes.tell(&payment);
                    }
                    return Ok(Ok(step.row));
                }
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Gives money back. The same key again is the same refund; one that the merchant's balance was too low for is tried
    /// again.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn refund_order(
        &self,
        merchant: Id,
        id: Id,
        key: &str,
        amount_minor: i64,
    ) -> Result<Result<RefundRow, Fault>, Error> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Ok(Err(Fault::Invalid("the idempotency key must have 1 to 100 bytes")));
        }
        if self.order(merchant, id).await?.is_none() {
            return Ok(Err(Fault::Unknown));
        }
        let mut refund_id = id.derived(&format!("refund of {key}"));
        if planted("refund_key_forgotten") {
            refund_id = Id::new(self.now());
        }
        let known: Option<RefundRow> = self.inner.store.record(&[cell(&refund_id)]).await?;
        if let Some(known) = &known {
            if known.amount_minor != amount_minor {
                return Ok(Err(Fault::KeyReused));
            }
            if known.state == RefundState::Done.number() {
                return Ok(Ok(known.clone()));
            }
        }
        let now = self.now();
        let parked_before = known.is_some();
        let refund = |state: RefundState| RefundRow {
            id: refund_id,
            order_id: id,
            merchant,
            amount_minor,
            state: state.number(),
            created_at: known.as_ref().map_or(now, |known| known.created_at),
            updated_at: now,
            version: known.as_ref().map_or(1, |known| known.version.saturating_add(1)),
        };
        let write = |row: &RefundRow| if parked_before { Op::set(row) } else { Op::add(row) };
        let done = refund(RefundState::Done);
        let input = Input::Refund { amount_minor };
        match self.step_with(id, &input, Some(refund_id), |_| vec![write(&done)]).await {
            Ok(Ok(_)) => Ok(Ok(done)),
            Ok(Err(fault)) => Ok(Err(fault)),
            Err(Error::Refused(Refusal::Exists(_))) => {
                // The same key at the same moment: whoever was faster has answered.
                let known: Option<RefundRow> = self.inner.store.record(&[cell(&refund_id)]).await?;
                Ok(known.filter(|known| known.amount_minor == amount_minor).ok_or(Fault::KeyReused))
            }
            Err(Error::Refused(Refusal::Ledger(LedgerRefusal::Insufficient { .. }))) => {
                self.park_refund(parked_before, refund(RefundState::NeedsReview)).await
            }
            Err(error) => Err(error),
        }
    }

    /// The merchant's balance is too low: a person must look. The order's version goes up, so that the next try has ids of
    /// its own: the ledger's refusal is final for those of this one.
    async fn park_refund(
        &self,
        parked_before: bool,
        parked: RefundRow,
    ) -> Result<Result<RefundRow, Fault>, Error> {
        for _ in 0..STALE_MAX {
            let Some(row) = self.any_order(parked.order_id).await? else { return Ok(Err(Fault::Unknown)) };
            let told = self.merchant(row.merchant).await?.is_some_and(|m| m.webhook_url.is_some());
            let next = OrderRow { version: row.version.saturating_add(1), updated_at: self.now(), ..row };
            let write = if parked_before { Op::set(&parked) } else { Op::add(&parked) };
            let ops =
                vec![Op::set(&next), write, Op::add(&webhook::row("order.refund_needs_review", &next, told))];
            match self.commit(ops).await? {
                Ok(_) => {
                    tracing::warn!(order = %next.id, "a refund waits for a person: the merchant's balance is too low");
                    return Ok(Ok(parked));
                }
                Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Err(Error::Busy)
    }

    /// Refunds that wait for a person, or all of an order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refunds(&self, order: Option<Id>) -> Result<Vec<RefundRow>, Error> {
        let wanted = match order {
            Some(order) => Select::new().equal("order_id", &order).order("created_at"),
            None => Select::new().equal("state", &RefundState::NeedsReview.number()).order("created_at"),
        };
        Ok(self.inner.store.records(&wanted).await?)
    }

    /// Pays an order: PIN, limits, hold, posting and the order's next state are one commit. Dropping the future stops nothing.
    ///
    /// # Errors
    /// When the core is busy or stopping, or the database does not answer: ask again with the same id.
    pub async fn pay_order(&self, asked: PayOrder) -> Result<OrderPayment, Error> {
        if self.inner.tracker.is_closed() {
            return Err(Error::Stopped);
        }
        let this = self.clone();
        let task = self.inner.tracker.spawn(async move { this.pay_through_order(asked).await });
        task.await.map_err(|_| Error::Stopped)?
    }

    /// Why this caller may not pay an order of so much, if so.
    async fn distrusted_order(&self, asked: &PayOrder) -> Result<Option<OrderPayment>, Error> {
        let Some(caller) = asked.caller.as_ref() else { return Ok(None) };
        let needs =
            self.needs("order.pay", asked.amount_minor, asked.account, Some(caller), asked.channel).await?;
        let class = "not_believed".to_owned();
        Ok((needs != Needs::Pin).then_some(OrderPayment::Told(PayOutcome::Refused { class })))
    }

    async fn pay_through_order(&self, asked: PayOrder) -> Result<OrderPayment, Error> {
        let numbered: Vec<OrderRow> = self.numbered(&asked).await?;
        if let Some(paid) = numbered.iter().find(|order| order.payment == Some(asked.id)) {
            return self.paid_order(asked.id, paid).await;
        }
        if let Some(known) = self.inner.store.payment(asked.id).await?
            && let Some(outcome) = self.unpaid_outside(&known).await?
        {
            return if known.account == asked.account { Ok(outcome) } else { Err(Error::IdReused) };
        }
        let found = numbered.into_iter().find(|o| o.state == State::Created.number());
        let Some(row) = found.filter(|order| order.amount_minor == asked.amount_minor) else {
            return Ok(OrderPayment::Gone);
        };
        let Some(merchant) = self.merchant(row.merchant).await? else { return Ok(OrderPayment::Gone) };
        if merchant.suspended {
            return Ok(OrderPayment::Told(PayOutcome::Suspended));
        }
        if let Some(refused) = self.distrusted_order(&asked).await? {
            return Ok(refused);
        }
        let input = Input::Pay { payer: asked.account, payment: asked.id };
        let decided = fee_of(&merchant).and_then(|fee| order::step(&row, self.now(), &input, &fee));
        let Ok(step) = decided else { return Ok(OrderPayment::Gone) };
        let Ok(mut with) = writes(&step, &merchant) else { return Ok(OrderPayment::Gone) };
        with.insert(0, Op::Open(vec![(SCOPE.to_owned(), merchant.id.text())]));
        let draft = self.draft_within(Asked {
            id: asked.id,
            account: asked.account,
            caller: asked.caller.clone(),
            channel: asked.channel,
            product: product::ORDER,
            target: Target::Deal(row.id),
            amount_minor: row.amount_minor,
            fee_minor: 0,
            payee: Some(row.merchant_name.clone()),
            deal: Some(row.id),
        });
        if self.outside(asked.account).await?.is_some() {
            return self.pay_order_outside(asked, draft).await;
        }
        let within = Within {
            draft,
            pin: asked.pin,
            payment_limit_minor: self.inner.settings.order_limit_minor,
            day_limit_minor: self.order_day_limit(asked.account).await?,
            posting: self.order_posting(),
            with,
        };
        crash_point("order_pay_before");
        let paid = self.pay_within(within).await?;
        crash_point("order_pay_after");
        match paid {
            Ok(payment) => self.paid_order(payment.id, &step.row).await,
            // Cancelled, expired or paid by somebody else since it was read.
            Err(Stopped::Refused(Refusal::Stale | Refusal::Exists(_))) => Ok(OrderPayment::Gone),
            Err(stopped) => match stopped.told() {
                Ok(outcome) => Ok(OrderPayment::Told(outcome)),
                Err(refusal) => Err(Error::Refused(refusal)),
            },
        }
    }

    /// The orders of this number that are the account's.
    async fn numbered(&self, asked: &PayOrder) -> Result<Vec<OrderRow>, Error> {
        self.numbered_of(asked.account, &asked.number).await
    }

    pub(super) async fn numbered_of(&self, account: Id, number: &str) -> Result<Vec<OrderRow>, Error> {
        let own: Vec<Msisdn> =
            self.inner.store.bindings_of(account).await?.into_iter().map(|b| b.msisdn).collect();
        let mut found: Vec<OrderRow> =
            self.inner.store.records(&Select::new().equal("number", &number.to_owned())).await?;
        found.retain(|order| order.payer == Some(account) || own.contains(&order.customer));
        Ok(found)
    }

    pub(super) async fn paid_order(&self, payment: Id, row: &OrderRow) -> Result<OrderPayment, Error> {
        let payment = self.inner.store.payment(payment).await?.ok_or(Error::IdReused)?;
        let receipt = payment.reference;
        let until = row.paid_at.unwrap_or(row.updated_at).saturating_add(row.freeze_micros);
        Ok(if row.frozen { OrderPayment::Held { receipt, until } } else { OrderPayment::Paid { receipt } })
    }

    /// Confirms receipt: PIN and release. The same id again gets the same answer.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer: ask again with the same id.
    pub async fn confirm_order(&self, asked: PayOrder) -> Result<OrderPayment, Error> {
        if self.has_confirmed(asked.id).await? {
            return Ok(OrderPayment::Released);
        }
        let told = self.confirm_order_now(&asked).await?;
        // The same id may have been asked at the same time, and have confirmed by now.
        let released = matches!(told, OrderPayment::Released) || self.has_confirmed(asked.id).await?;
        Ok(if released { OrderPayment::Released } else { told })
    }

    async fn has_confirmed(&self, id: Id) -> Result<bool, Error> {
        match self.inner.store.record::<AnswerRow>(&[cell(&id)]).await? {
            Some(known) if known.action == CONFIRM => Ok(true),
            Some(_) => Err(Error::IdReused),
            None => Ok(false),
        }
    }

    async fn confirm_order_now(&self, asked: &PayOrder) -> Result<OrderPayment, Error> {
        let frozen = |order: &OrderRow| State::from_number(order.state).is_some_and(State::is_frozen);
        let found = self.numbered(asked).await?.into_iter().find(frozen);
        let Some(row) =
            found.filter(|o| o.payer == Some(asked.account) && o.frozen_minor == asked.amount_minor)
        else {
            return Ok(OrderPayment::Gone);
        };
        let rehash = match self.check_pin(asked.account, &asked.pin).await? {
            PinVerdict::Right { rehash } => rehash,
            PinVerdict::Wrong { left } => return Ok(OrderPayment::Told(PayOutcome::WrongPin { left })),
            PinVerdict::Locked => return Ok(OrderPayment::Told(PayOutcome::Locked)),
        };
        let passed = Op::PinPassed { account: asked.account, rehash };
        let answer = AnswerRow {
            id: asked.id,
            action: CONFIRM.to_owned(),
            outcome: "released".to_owned(),
            outcome_values: "[]".to_owned(),
            at: self.now(),
        };
        let input = Input::Confirm { payer: asked.account };
        let done = self.step_with(row.id, &input, None, |_| vec![passed.clone(), Op::add(&answer)]).await?;
        match done {
            Ok(row) if row.state == State::Released.number() => Ok(OrderPayment::Released),
            Ok(_) | Err(_) => {
                self.commit(vec![passed]).await?.map_err(Error::Refused)?;
                Ok(OrderPayment::Gone)
            }
        }
    }

    /// Disputes an order. False when it is not there, not frozen, not the caller's, or its time limit has passed.
    ///
    /// # Errors
    /// When the core is busy or the database does not answer.
    pub async fn dispute_order(&self, account: Id, number: &str) -> Result<bool, Error> {
        let frozen = |order: &OrderRow| State::from_number(order.state).is_some_and(State::is_frozen);
        let Some(row) = self.numbered_of(account, number).await?.into_iter().find(frozen) else {
            return Ok(false);
        };
        let done = self.step_order(row.id, &Input::Dispute { payer: account }).await?;
        Ok(done.is_ok_and(|row| row.state == State::Disputed.number()))
    }

    /// Expires what was not paid, and ends what was not confirmed in time. Any node may: whoever is second finds it done.
    pub(super) async fn sweep_orders(&self) -> Result<(), Error> {
        let now = self.now();
        let due = Select::<OrderRow>::new().below("due_at", &now.saturating_add(1)).order("due_at");
        for row in self.inner.store.records(&due.limit(ROUND_MAX)).await? {
            match self.step_order(row.id, &Input::Elapse).await? {
                Ok(_) | Err(Fault::Order(order::Refusal::NotDue)) => {}
                Err(fault) => tracing::error!(order = %row.id, %fault, "a due order could not be ended"),
            }
        }
        let old = now.saturating_sub(KEY_KEPT_MICROS);
        let keys =
            Select::<OrderKeyRow>::new().below("created_at", &old).order("created_at").limit(ROUND_MAX);
        let removals: Vec<Op> = self
            .inner
            .store
            .records(&keys)
            .await?
            .iter()
            .map(|key| Op::remove::<OrderKeyRow>(&[cell(&key.merchant), cell(&key.idempotency)]))
            .collect();
        if !removals.is_empty() {
            self.commit(removals).await?.map_err(Error::Refused)?;
        }
        Ok(())
    }
}

fn new_row(merchant: &MerchantRow, new: &NewOrder, now: i64, number: String) -> OrderRow {
    let expires_at = now.saturating_add(new.payable_micros);
    OrderRow {
        id: Id::new(now),
        merchant: merchant.id,
        merchant_name: merchant.name.clone(),
        number,
        customer: new.customer.clone(),
        payer: None,
        payment: None,
        state: State::Created.number(),
        amount_minor: new.amount_minor,
        currency: merchant.currency,
        description: new.description.trim().to_owned(),
        frozen: new.frozen,
        freeze_micros: new.freeze_micros,
        on_timeout: new.on_timeout.number(),
        frozen_minor: 0,
        released_minor: 0,
        fee_minor: 0,
        returned_minor: 0,
        refunded_minor: 0,
        created_at: now,
        expires_at,
        paid_at: None,
        shipped_at: None,
        disputed_at: None,
        due_at: Some(expires_at),
        updated_at: now,
        reason: None,
        resolved_by: None,
        version: 1,
    }
}
