//! One payment from the confirmed PIN to the carrier and back.
//!
//! ```text
//!  same id? ─► suspended? ─► PIN try counted ─► PIN hashed ─► limits, hold, payment, attempt   (one commit)
//!                                                             request to the carrier
//!                                                             outcome, money, SMS              (one commit)
//! ```
//! An account that a provider holds is asked for its money between the payment and the attempt, which is a commit of its own
//! then. A process that ends between the first commit and the request leaves a payment that may have been sent: the carrier is
//! asked, and one that it does not know ends refused.
//!
//! The caller waits for a definite outcome as long as the market says; the work itself never stops for that.

use std::time::Duration;

use crate::connector::bill::BillOrder;
use crate::connector::contract::{DEDUCTION_RESERVED, Order, Outcome, RefusalClass};
use crate::ledger::command::Refusal as LedgerRefusal;
use crate::money::Money;
use crate::msisdn::Msisdn;
use crate::payment::answer::{Channel, PayOutcome, PayRequest, Pin};
use crate::payment::decision::Source;
use crate::payment::fold::{ids, suspension_keys};
use crate::payment::pin;
use crate::payment::posting;
use crate::payment::reference;
use crate::payment::row::{AttemptRow, Id, PaymentRow, State, Target};
use crate::payment::run::changes::Listener;
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::providers::Outside;
use crate::payment::run::routes::Chosen;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Authorise, Op, Refusal};
use crate::secret::Secret;

/// References drawn before a clash counts as a fault.
const REFERENCE_TRIES: usize = 8;
/// Times that a PIN try waits for its turn.
const PIN_WAITS_MAX: u32 = 3;
/// Times that the attempt's commit is tried while the writer is busy.
const SUBMIT_TRIES: u32 = 5;
/// Given to a carrier's request over its own timeout before somebody else takes the payment up.
pub(super) const MARGIN: Duration = Duration::from_secs(30);

/// How a payment is to be judged with its hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    /// The channel.
    pub channel: Channel,
    /// Whether an equal payment a short time ago is no reason to ask.
    pub repeat: bool,
    /// The most of one payment, minor units.
    pub payment_limit_minor: i64,
    /// The most of the account's day of this product, minor units.
    pub day_limit_minor: i64,
}

/// What a PIN check came to.
#[derive(Debug)]
pub(super) enum PinVerdict {
    /// It is right: [`Op::PinPassed`] with `rehash` belongs into the commit of what it confirms.
    Right { rehash: Option<(String, i32)> },
    /// It is wrong; so many tries are left.
    Wrong { left: i32 },
    /// It is locked now, or was never set.
    Locked,
}

impl Payments {
    /// Pays. The same id again answers the same and never pays twice. Dropping the future stops nothing.
    ///
    /// # Errors
    /// When the core is busy or stopping, the database does not answer, or the id was used for something
    /// else. What was asked may then have been done: ask again with the same id.
    pub async fn pay(&self, request: PayRequest) -> Result<PayOutcome, Error> {
        if self.inner.tracker.is_closed() {
            return Err(Error::Stopped);
        }
        let this = self.clone();
        let task = self.inner.tracker.spawn(async move { this.pay_through(request).await });
        task.await.map_err(|_| Error::Stopped)?
    }

    async fn pay_through(&self, request: PayRequest) -> Result<PayOutcome, Error> {
        crash_point("received");
        // Before anything is written: what is resolved from now on is heard.
        let mut news = self.inner.changes.of(request.id);
        // Without a PIN no try is counted, and whether the payment is known is found with its hold.
        let typed = matches!(request.pin, Pin::Typed(_));
        if typed && let Some(known) = self.inner.store.payment(request.id).await? {
            return self.answer_again(&request, known, &mut news).await;
        }
        let mut draft = match self.judge_unpaid(&request).await? {
            Ok(draft) => draft,
            Err(outcome) => return self.unless_known(&request, &mut news, outcome).await,
        };
        draft.caller.clone_from(&request.caller);
        let passed = match &request.pin {
            Pin::Typed(pin) => match self.check_pin(request.account, pin).await? {
                PinVerdict::Right { rehash } => Some(Op::PinPassed { account: request.account, rehash }),
                PinVerdict::Wrong { left } => {
                    return self.unless_known(&request, &mut news, PayOutcome::WrongPin { left }).await;
                }
                PinVerdict::Locked => {
                    return self.unless_known(&request, &mut news, PayOutcome::Locked).await;
                }
            },
            Pin::Waived if self.may_waive(request.channel, &draft) => None,
            Pin::Waived => return self.unless_known(&request, &mut news, PayOutcome::PinNeeded).await,
        };
        if planted("send_before_hold") {
            self.send_too_early(&draft).await;
        }
        let intent = Intent {
            channel: request.channel,
            repeat: request.repeat,
            payment_limit_minor: self.payment_limit(request.account).await?,
            day_limit_minor: self.day_limit(request.account).await?,
        };
        let fee_minor = draft.fee_minor;
        let payment = match self.authorise(intent, draft, passed).await? {
            Ok(payment) => payment,
            Err(Refusal::PaymentExists(known)) => {
                return self.answer_again(&request, *known, &mut news).await;
            }
            Err(Refusal::Unknown(_)) => return Err(Error::NoSuchAccount),
            Err(refusal) => return self.refusal(&request, fee_minor, refusal),
        };
        self.carry_on(payment, &mut news).await
    }

    /// What comes of the payment when it was asked for before, or at the same time as now; or else `outcome`.
    async fn unless_known(
        &self,
        request: &PayRequest,
        news: &mut Listener,
        outcome: PayOutcome,
    ) -> Result<PayOutcome, Error> {
        match self.inner.store.payment(request.id).await? {
            Some(known) => self.answer_again(request, known, news).await,
            None => Ok(outcome),
        }
    }

    /// Carries an authorised payment out, whoever waits, and waits.
    pub(super) async fn carry_on(
        &self,
        payment: PaymentRow,
        news: &mut Listener,
    ) -> Result<PayOutcome, Error> {
        let this = self.clone();
        let authorised = payment.clone();
        self.inner.tracker.spawn(async move { this.carry_out(authorised).await });
        self.wait(payment, news).await
    }

    /// What can be said before a PIN try is counted: the route, the amount, suspensions, assurance.
    async fn judge_unpaid(&self, request: &PayRequest) -> Result<Result<PaymentRow, PayOutcome>, Error> {
        let refused = |class: &str| Ok(Err(PayOutcome::Refused { class: class.to_owned() }));
        let carrier = match self.choose(&request.phone, request.amount_minor).await? {
            Chosen::Carrier(carrier) => carrier,
            Chosen::NotSupported => return refused(RefusalClass::ProductUnavailable.name()),
            Chosen::BadNumber => return refused(RefusalClass::BadNumber.name()),
            Chosen::NotSold => return refused(RefusalClass::AmountNotAllowed.name()),
        };
        let (amount_minor, caller) = (request.amount_minor, request.caller.as_ref());
        if let Some(class) =
            self.distrust("recharge.pay", amount_minor, request.account, caller, request.channel).await?
        {
            return refused(class);
        }
        let draft = self.draft(
            request.id,
            request.account,
            request.channel,
            &request.phone,
            request.amount_minor,
            carrier,
        );
        let draft = self.in_its_book(draft).await?;
        let shut = match request.pin {
            Pin::Typed(_) => self.is_shut(&draft, request.caller.as_ref()).await?,
            // Suspensions are judged with the hold.
            Pin::Waived => self.under_maintenance(&draft).await?,
        };
        Ok(if shut { Err(PayOutcome::Suspended) } else { Ok(draft) })
    }

    /// Whether the account, or anything else that the payment goes by, is suspended.
    pub(super) async fn is_shut(&self, draft: &PaymentRow, caller: Option<&Msisdn>) -> Result<bool, Error> {
        let payer = self.inner.store.payer(draft.account).await?.ok_or(Error::NoSuchAccount)?;
        let mut keys = suspension_keys(draft);
        keys.extend(caller.map(|c| ("number".to_owned(), c.as_str().to_owned())));
        Ok(payer.suspended
            || self.inner.store.suspended(&keys).await?
            || self.under_maintenance(draft).await?)
    }

    /// Whether so much may be paid without a PIN at all; the day's sum is judged with the hold.
    pub(super) fn may_waive(&self, channel: Channel, draft: &PaymentRow) -> bool {
        let cap_minor = self.inner.settings.pin.sms_without_pin_minor;
        channel == Channel::Sms
            && draft.caller.is_some()
            && posting::total_minor(draft).is_some_and(|total| total <= cap_minor)
    }

    /// Counts the try, then hashes: a crash in between costs the caller a try, never us the lock.
    pub(super) async fn check_pin(&self, account: Id, pin: &Secret) -> Result<PinVerdict, Error> {
        if self.is_stranger() {
            return self.check_pin_apart(account, pin).await;
        }
        let rules = &self.inner.settings.pin;
        let delay_us = i64::try_from(rules.delay.as_micros()).unwrap_or(i64::MAX);
        let mut waits = 0;
        if planted("pin_counted_after_hashing") {
            return self.check_pin_carelessly(account, pin).await;
        }
        crash_point("pin_before");
        let (_turn, payer) = loop {
            let turn = self.inner.turns.of(account).await;
            let op = Op::PinTry { account, tries_max: rules.tries_max, delay_us };
            match self.commit(vec![op]).await? {
                Ok(done) => break (turn, done.payer.ok_or(Error::NoSuchAccount)?),
                Err(Refusal::PinLocked | Refusal::PinMissing) => return Ok(PinVerdict::Locked),
                Err(Refusal::PinTooSoon { wait_until }) if waits < PIN_WAITS_MAX => {
                    waits += 1;
                    drop(turn);
                    let wait = u64::try_from(wait_until.saturating_sub(self.now())).unwrap_or(0);
                    tokio::time::sleep(Duration::from_micros(wait.saturating_add(1_000))).await;
                }
                Err(Refusal::PinTooSoon { .. }) => return Err(Error::Busy),
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        };
        crash_point("pin_after");
        let left = rules.tries_max.saturating_sub(payer.pin_tries);
        let stored = payer.pin_hash.ok_or(Error::NoSuchAccount)?;
        Ok(match self.hashes(account, pin, stored, payer.pin_pepper).await? {
            (true, rehash) => {
                // Others that were counted may be right too, and not through yet.
                if payer.pin_tries > 1 {
                    let passed = Op::PinPassed { account, rehash: None };
                    self.commit(vec![passed]).await?.map_err(Error::Refused)?;
                }
                PinVerdict::Right { rehash }
            }
            (false, _) if left <= 0 => PinVerdict::Locked,
            (false, _) => PinVerdict::Wrong { left },
        })
    }

    /// Whether a PIN is the one whose hash is stored, and the hash that is to take its place when it was made with an older
    /// pepper or profile.
    pub(super) async fn hashes(
        &self,
        account: Id,
        pin: &Secret,
        stored: String,
        pepper: i32,
    ) -> Result<(bool, Option<(String, i32)>), Error> {
        let profile = self.inner.settings.pin.profile;
        let (pin, peppers) = (pin.clone(), self.inner.peppers.clone());
        let checked = self.inner.pool.run(move || {
            let checked = pin::check(&pin, account, &stored, pepper, &peppers, profile)?;
            let rehash = if checked.right && checked.stale {
                Some(pin::hash(&pin, account, &peppers, profile)?)
            } else {
                None
            };
            Ok::<_, pin::Error>((checked.right, rehash))
        });
        Ok(checked.await??)
    }

    /// The planted mistake of a build that counts a try when it has failed.
    async fn check_pin_carelessly(&self, account: Id, pin: &Secret) -> Result<PinVerdict, Error> {
        let rules = &self.inner.settings.pin;
        let payer = self.inner.store.payer(account).await?.ok_or(Error::NoSuchAccount)?;
        let stored = payer.pin_hash.filter(|_| !payer.pin_locked);
        let Some(stored) = stored else { return Ok(PinVerdict::Locked) };
        if pin::check(pin, account, &stored, payer.pin_pepper, &self.inner.peppers, rules.profile)?.right {
            return Ok(PinVerdict::Right { rehash: None });
        }
        let op = Op::PinTry { account, tries_max: rules.tries_max, delay_us: 0 };
        let counted = self.commit(vec![op]).await?;
        let tries = counted.ok().and_then(|done| done.payer).map_or(rules.tries_max, |row| row.pin_tries);
        Ok(PinVerdict::Wrong { left: rules.tries_max.saturating_sub(tries) })
    }

    /// One commit: the PIN passed, limits and duplicates judged, the hold placed, the payment written, and with it the attempt
    /// when no provider is to be asked first. Without a PIN nothing has `passed`.
    pub(super) async fn authorise(
        &self,
        intent: Intent,
        draft: PaymentRow,
        passed: Option<Op>,
    ) -> Result<Result<PaymentRow, Refusal>, Error> {
        let settings = &self.inner.settings;
        let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        let timeout = self
            .inner
            .connectors
            .get(&draft.connector)
            .map_or(Duration::ZERO, |connector| connector.describe().timeout);
        let outside = self.outside(draft.account).await?;
        if outside.as_ref().is_some_and(Outside::is_blocked) {
            return self.not_now(passed).await;
        }
        let reservation = outside.as_ref().map(|outside| self.reservation(outside, &draft));
        let patience = outside.as_ref().map_or(Duration::ZERO, |outside| self.patience(outside));
        let draft = PaymentRow { provider: outside.and_then(Outside::into_provider), ..draft };
        crash_point("authorise_before");
        for _ in 0..REFERENCE_TRIES {
            let now = self.inner.clock.now();
            let payment = PaymentRow {
                reference: reference::fresh().ok_or(pin::Error::Random)?,
                state: State::Authorised,
                // Should this process end now, the next one finds the payment by this.
                next_check_at: Some(now.after(patience).after(timeout).after(MARGIN).0),
                ..draft.clone()
            };
            let authorise = Authorise {
                payment,
                payment_limit_minor: intent.payment_limit_minor,
                day_limit_minor: intent.day_limit_minor,
                hold_expires_at: reservation
                    .as_ref()
                    .map(|_| now.after(patience).after(settings.hold_expiry).0),
                duplicate_window_us: micros(settings.duplicate_window_on(intent.channel)),
                repeat: intent.repeat,
                without_pin: passed.is_none().then_some(settings.pin.sms_without_pin_day_minor),
            };
            // Nothing stands between the hold and the request unless a provider holds the money.
            let submit = reservation.is_none().then(|| {
                let attempt = self.attempt(draft.id, 1, &draft.connector);
                // The version in which the payment is written.
                Op::Submit { payment: draft.id, version: 1, attempt }
            });
            let authorise = Op::Authorise(Box::new(authorise));
            let ops = passed
                .iter()
                .cloned()
                .chain([authorise])
                .chain(reservation.iter().map(Op::add))
                .chain(submit);
            match self.commit(ops.collect()).await? {
                Ok(done) => {
                    crash_point("authorise_after");
                    return Ok(Ok(done.payment.ok_or(Error::IdReused)?));
                }
                Err(Refusal::Exists("reference")) => {}
                Err(refusal) => {
                    // The unit was dropped whole, but the PIN was right.
                    if let Some(passed) = passed {
                        self.commit(vec![passed]).await?.map_err(Error::Refused)?;
                    }
                    return Ok(Err(refusal));
                }
            }
        }
        Err(Error::Refused(Refusal::Exists("reference")))
    }

    /// From the hold to the carrier's answer. Whatever stops it here is taken up by the schedule.
    async fn carry_out(&self, payment: PaymentRow) {
        match payment.provider {
            // It is large, and most payments need none of it.
            Some(_) => Box::pin(self.reserve_first(payment)).await,
            None => {
                if !self.carry_to(payment, Vec::new()).await {
                    tracing::warn!("nothing was sent: somebody else took the payment up");
                }
            }
        }
    }

    /// From the money that is kept to the carrier's answer; `with` is written in the commit before the request leaves. A payment
    /// whose attempt was written with its hold may leave at once. False when something changed under it, and nothing was
    /// written.
    pub(super) async fn carry_to(&self, payment: PaymentRow, with: Vec<Op>) -> bool {
        let Some(connector) = self.inner.connectors.get(&payment.connector) else { return true };
        let mut attempt = self.attempt(payment.id, 1, &payment.connector);
        crash_point("submit_before");
        let payment = if payment.state == State::Submitting && with.is_empty() {
            payment
        } else {
            match self.submit(&payment, &attempt, &with).await {
                Ok(payment) => payment,
                Err(Error::Refused(Refusal::Stale)) => return false,
                Err(error) => {
                    tracing::warn!(payment = %payment.id, %error, "nothing was sent; the hold ends by itself");
                    return true;
                }
            }
        };
        attempt.created_at = payment.updated_at;
        crash_point("submit_after");
        let outcome = match order(&payment, &attempt) {
            Some(order) => connector.submit(&order).await,
            None => Outcome::NotSent { retryable: false, reason: "no connector pays this".to_owned() },
        };
        crash_point("answered");
        self.resolve_for_certain(payment, attempt, outcome, Source::Reply).await;
        true
    }

    pub(super) async fn submit(
        &self,
        payment: &PaymentRow,
        attempt: &AttemptRow,
        with: &[Op],
    ) -> Result<PaymentRow, Error> {
        let mut tries = 0;
        loop {
            let (id, version) = (payment.id, payment.version);
            let op = Op::Submit { payment: id, version, attempt: attempt.clone() };
            match self.commit([op].into_iter().chain(with.iter().cloned()).collect()).await {
                Ok(Ok(done)) => return done.payment.ok_or(Error::IdReused),
                Ok(Err(refusal)) => return Err(Error::Refused(refusal)),
                Err(Error::Busy) if tries < SUBMIT_TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(50) * tries).await;
                }
                // The commit may have happened, so nothing is sent on it: the carrier is asked later.
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn attempt(&self, payment: Id, number: i32, connector: &str) -> AttemptRow {
        let id = ids::attempt(payment, number);
        let reference = match self.inner.connectors.get(connector) {
            Some(connector) => connector.describe().reference.write(id.0),
            None => id.text(),
        };
        AttemptRow {
            id,
            payment,
            number,
            connector: connector.to_owned(),
            reference,
            created_at: self.now(),
            answered_at: None,
            outcome: None,
            code: None,
            carrier_reference: None,
        }
    }

    /// The planted mistake of a build without the hold before the request.
    async fn send_too_early(&self, draft: &PaymentRow) {
        if let Some(connector) = self.inner.connectors.get(&draft.connector) {
            let Some(order) = order(draft, &self.attempt(draft.id, 1, &draft.connector)) else { return };
            let _ = connector.submit(&order).await;
        }
    }

    async fn answer_again(
        &self,
        request: &PayRequest,
        known: PaymentRow,
        news: &mut Listener,
    ) -> Result<PayOutcome, Error> {
        let same = known.account == request.account
            && known.target.phone() == Some(&request.phone)
            && known.amount_minor == request.amount_minor;
        if same { self.wait(known, news).await } else { Err(Error::IdReused) }
    }

    /// What came of a payment that was asked for before, as [`Payments::pay`] would have told it. Nothing when no payment of
    /// this id was ever authorised.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn outcome_of(&self, id: Id) -> Result<Option<PayOutcome>, Error> {
        let mut news = self.inner.changes.of(id);
        match self.inner.store.payment(id).await? {
            Some(known) => self.wait(known, &mut news).await.map(Some),
            None => Ok(None),
        }
    }

    /// Waits for a definite outcome, at most as long as the market lets a caller wait.
    pub(super) async fn wait(&self, payment: PaymentRow, news: &mut Listener) -> Result<PayOutcome, Error> {
        let pending = PayOutcome::Pending { receipt: payment.reference.clone() };
        if payment.state.is_definite() {
            crash_point("told");
            return Ok(told(&payment));
        }
        let definite = async {
            loop {
                let payment = news.next().await?;
                if payment.state.is_definite() {
                    return Some(told(&payment));
                }
                // A person must look: there is nothing to wait for.
                if payment.state == State::NeedsReview {
                    return None;
                }
            }
        };
        let outcome = tokio::time::timeout(self.inner.settings.answer_within, definite).await;
        crash_point("told");
        Ok(outcome.ok().flatten().unwrap_or(pending))
    }

    fn refusal(&self, request: &PayRequest, fee_minor: i64, refusal: Refusal) -> Result<PayOutcome, Error> {
        let carriers = self.inner.plan.carriers(&request.phone);
        let fits = |left: i64| carriers.iter().any(|carrier| carrier.offer.any_fits(left));
        Ok(match refusal {
            Refusal::Suspended => PayOutcome::Suspended,
            Refusal::StillProcessing(_) => PayOutcome::StillProcessing,
            Refusal::PinNeeded => PayOutcome::PinNeeded,
            Refusal::PinLocked => PayOutcome::Locked,
            Refusal::Duplicate { delivered_at, .. } => PayOutcome::Duplicate {
                first_at: delivered_at,
                minutes_ago: self.minutes_ago(delivered_at),
                fee_minor,
            },
            Refusal::PaymentLimit { limit_minor } => PayOutcome::PaymentLimit { limit_minor },
            Refusal::DayLimit { limit_minor, left_minor } => {
                PayOutcome::DayLimit { limit_minor, left_minor, fits: fits(left_minor) }
            }
            Refusal::UserLimit { limit_minor, left_minor } => {
                PayOutcome::UserLimit { limit_minor, left_minor, fits: fits(left_minor) }
            }
            Refusal::Ledger(LedgerRefusal::Insufficient { available_minor }) => {
                PayOutcome::Insufficient { left_minor: available_minor.max(0) }
            }
            Refusal::Ledger(LedgerRefusal::IdReused) => return Err(Error::IdReused),
            other => return Err(Error::Refused(other)),
        })
    }
}

/// What the caller is told of a payment that is resolved.
fn told(payment: &PaymentRow) -> PayOutcome {
    let receipt = payment.reference.clone();
    match payment.state {
        State::Delivered => PayOutcome::Delivered { receipt },
        State::Refused | State::Reversed => PayOutcome::Refused {
            class: payment.class.clone().unwrap_or_else(|| RefusalClass::Other.name().to_owned()),
        },
        State::Created
        | State::Authorised
        | State::Submitting
        | State::Submitted
        | State::Unknown
        | State::NeedsReview => PayOutcome::Pending { receipt },
    }
}

/// The request for an attempt: the same whenever it is asked.
pub(super) fn order(payment: &PaymentRow, attempt: &AttemptRow) -> Option<Order> {
    let (phone, bill) = match &payment.target {
        Target::Phone(phone) => (Some(phone.clone()), None),
        Target::Bill { number, .. } => {
            let quote = payment.quote.clone().unwrap_or_default();
            (None, Some(BillOrder { number: number.clone(), quote }))
        }
        Target::Deal(_) => return None,
    };
    Some(Order {
        reference: attempt.reference.clone(),
        msisdn: phone,
        bill,
        external_id: None,
        amount: Money::new(payment.amount_minor, payment.currency),
        deduction: payment.hold.text(),
        state: DEDUCTION_RESERVED,
        at: crate::clock::Timestamp(attempt.created_at),
        carrier_reference: attempt.carrier_reference.clone(),
    })
}
