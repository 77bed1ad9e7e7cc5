//! Takes up what was left in the middle, and asks carriers what became of what is unknown.
//!
//! A payment that is due is claimed for a while, so that of several nodes one asks. What had not left is
//! freed; what may have left is asked for, never sent again under another reference.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::connector::contract::{Outcome, Unclear};
use crate::ledger::command::Command;
use crate::payment::decision::Source;
use crate::payment::row::{PaymentRow, State};
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::pay::{MARGIN, order};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Move, Op, Refusal};

/// Payments looked at in one round.
const ROUND_MAX: u32 = 64;
/// Waiting payments that a start asks for at once; the others keep their times.
const CLAIMS_MAX: u32 = 10_000;
/// Carriers asked at once.
const ASKED_AT_ONCE: usize = 16;
/// Overdue holds given back in one batch.
const SWEEP_MAX: u32 = 256;
/// Batches of them in one round, so that due payments are not kept waiting.
const SWEEPS_MAX: u32 = 8;
/// Rounds between two looks for sessions whose time is up.
const FORGET_ROUNDS: u32 = 60;
/// Rounds between two looks for messages whose lease ran out, and for old ones.
const MESSAGE_ROUNDS: u32 = 5;
/// Rounds between two looks for what is not kept any longer: an hour.
const UPKEEP_ROUNDS: u32 = 3_600;
/// The class of a payment whose request never left.
const NEVER_SENT: &str = "never_sent";
/// The class of a payment whose request may have left when the process ended.
const INTERRUPTED: &str = "interrupted";

/// What was found in the middle at start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recovered {
    /// Holds given back: nothing had left.
    pub freed: usize,
    /// Requests that may have left: their carriers are asked now.
    pub unknown: usize,
}

impl Payments {
    /// Takes up what an earlier process left in the middle. Call it before the first payment is taken.
    ///
    /// With more than one node on the database only what is overdue is taken up, and [`Payments::run`] does
    /// that.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recover(&self) -> Result<Recovered, Error> {
        let mut recovered = Recovered::default();
        if !self.inner.settings.sole_node {
            return Ok(recovered);
        }
        crash_point("recover_before");
        loop {
            let states = [State::Authorised, State::Submitting];
            let left = self.inner.store.open_payments(&states, ROUND_MAX).await?;
            if left.is_empty() {
                break;
            }
            for payment in left {
                let state = payment.state;
                self.take_up(payment).await?;
                match state {
                    State::Authorised => recovered.freed += 1,
                    _ => recovered.unknown += 1,
                }
            }
        }
        self.release_claims().await?;
        self.release_reservations().await?;
        self.give_up_lost(true).await?;
        crash_point("recover_after");
        if recovered != Recovered::default() {
            let Recovered { freed, unknown } = recovered;
            tracing::warn!(freed, unknown, "payments were left in the middle and are taken up");
        }
        Ok(recovered)
    }

    /// A sole node that starts knows that every claim is that of a dead process: whatever waits is asked for
    /// now.
    async fn release_claims(&self) -> Result<(), Error> {
        let now = self.now();
        let waiting = self.inner.store.open_payments(&[State::Submitted, State::Unknown], CLAIMS_MAX).await?;
        for payment in waiting.iter().filter(|p| p.next_check_at.is_some_and(|at| at > now)) {
            self.inner.store.claim_payment(payment, now).await?;
        }
        Ok(())
    }

    /// Asks what is due, and gives back what is held past its time, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let at_once = Arc::new(Semaphore::new(ASKED_AT_ONCE));
        let telling = tokio::spawn(self.clone().tell_merchants(stop.clone()));
        let tending = tokio::spawn(self.clone().tend_reservations(stop.clone()));
        let asking = tokio::spawn(self.clone().ask_customers(stop.clone()));
        let mut rounds: u32 = 0;
        while !stop.is_cancelled() {
            if rounds.is_multiple_of(FORGET_ROUNDS)
                && let Err(error) = self.forget_sessions().await
            {
                tracing::warn!(%error, "old sessions could not be forgotten");
            }
            if rounds.is_multiple_of(FORGET_ROUNDS)
                && let Err(error) = self.forget_quotes().await
            {
                tracing::warn!(%error, "old quotes could not be forgotten");
            }
            if rounds.is_multiple_of(FORGET_ROUNDS)
                && let Err(error) = self.forget_vouchers().await
            {
                tracing::warn!(%error, "vouchers that are told could not be forgotten");
            }
            if rounds.is_multiple_of(MESSAGE_ROUNDS)
                && let Err(error) = self.look_after_messages().await
            {
                tracing::warn!(%error, "messages could not be looked after");
            }
            rounds = rounds.wrapping_add(1);
            if let Err(error) = self.round(&at_once).await {
                tracing::warn!(%error, "due payments could not be looked for");
            }
            if rounds.is_multiple_of(UPKEEP_ROUNDS)
                && let Err(error) = self.forget_old().await
            {
                tracing::warn!(%error, "what is not kept any longer could not be forgotten");
            }
            if rounds.is_multiple_of(MESSAGE_ROUNDS)
                && let Err(error) = self.unlock_when_known().await
            {
                tracing::warn!(%error, "the lock after a restore could not be looked at");
            }
            let locked = self.is_locked().await.unwrap_or(true);
            if !locked && let Err(error) = self.charges_due().await {
                tracing::warn!(%error, "due charges could not be looked after");
            }
            if let Err(error) = self.sweep().await {
                tracing::warn!(%error, "overdue holds could not be given back");
            }
            if !locked && let Err(error) = self.sweep_orders().await {
                tracing::warn!(%error, "due orders could not be looked after");
            }
            tokio::select! {
                () = tokio::time::sleep(self.inner.settings.poll_every) => {}
                () = stop.cancelled() => {}
            }
        }
        if asking.await.is_err() {
            tracing::error!("asking customers has stopped");
        }
        if telling.await.is_err() {
            tracing::error!("the task that tells merchants has ended");
        }
        if tending.await.is_err() {
            tracing::error!("the task that looks after reservations has ended");
        }
    }

    /// Expires the holds whose time has passed, in bounded batches; what is left then waits for the next round.
    /// Reads never count such a hold, swept or not. Any node may sweep: the command is the same of all of them.
    async fn sweep(&self) -> Result<(), Error> {
        for _ in 0..SWEEPS_MAX {
            let due = self.inner.store.due_holds(self.now(), SWEEP_MAX).await?;
            let full = due.len() >= usize::try_from(SWEEP_MAX).unwrap_or(usize::MAX);
            // One unit for each hold, so that one that was resolved meanwhile drops only itself; all are queued
            // before the first is waited for, so that they share a commit.
            let units = due.iter().map(|hold| self.commit(vec![Op::Ledger(Command::expire(hold.id))]));
            let mut expired: usize = 0;
            for answer in futures_util::future::join_all(units).await {
                // Refused: posted or voided since it was read, or not due by the writer's time.
                expired += usize::from(answer?.is_ok());
            }
            if expired > 0 {
                tracing::info!(expired, "holds were given back, their time had passed");
            }
            if !full || expired == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn round(&self, at_once: &Arc<Semaphore>) -> Result<(), Error> {
        let now = self.inner.clock.now();
        for payment in self.inner.store.due_payments(now.0, ROUND_MAX).await? {
            let Ok(permit) = Arc::clone(at_once).acquire_owned().await else { return Ok(()) };
            let timeout = self
                .inner
                .connectors
                .get(&payment.connector)
                .map_or(Duration::ZERO, |c| c.describe().timeout);
            let until = self.inner.clock.now().after(timeout).after(MARGIN).0;
            if !self.inner.store.claim_payment(&payment, until).await? {
                continue;
            }
            let this = self.clone();
            self.inner.tracker.spawn(async move {
                let id = payment.id;
                if let Err(error) = this.look_after(payment).await {
                    tracing::warn!(payment = %id, %error, "a due payment could not be looked after");
                }
                drop(permit);
            });
        }
        Ok(())
    }

    /// One due payment.
    async fn look_after(&self, payment: PaymentRow) -> Result<(), Error> {
        match payment.state {
            State::Authorised => self.take_up(payment).await.map(drop),
            State::Submitting => match self.take_up(payment).await? {
                Some(payment) => self.ask_status(payment).await,
                None => Ok(()),
            },
            State::Submitted | State::Unknown => self.ask_status(payment).await,
            // Nothing is due in these.
            State::Created | State::Delivered | State::Refused | State::NeedsReview | State::Reversed => {
                Ok(())
            }
        }
    }

    /// Authorised: nothing has left, the money is free. Submitting: it may have left, the carrier is to be
    /// asked. `None` when somebody else took it up.
    async fn take_up(&self, payment: PaymentRow) -> Result<Option<PaymentRow>, Error> {
        let payment = if payment.state == State::Authorised && self.is_locked().await? {
            self.as_if_sent(payment).await?
        } else {
            payment
        };
        let (to, class, next_check_at, detail) = match payment.state {
            State::Authorised => {
                (State::Refused, NEVER_SENT, None, "nothing was sent before the process ended")
            }
            _ => {
                let detail = "the request may have left before the process ended";
                (State::Unknown, INTERRUPTED, Some(self.now()), detail)
            }
        };
        let step = Move {
            payment: payment.id,
            version: payment.version,
            to,
            class: Some(class.to_owned()),
            carrier_reference: None,
            cost_minor: None,
            next_check_at,
            checked: false,
            attempt: None,
            posting: None,
            detail: detail.to_owned(),
        };
        let mut ops = vec![Op::Move(Box::new(step))];
        let resolved = PaymentRow { state: to, class: Some(class.to_owned()), ..payment };
        ops.extend(self.result_sms(&resolved).await.map(Op::Outbox));
        match self.commit(ops).await? {
            Ok(done) => {
                let payment = done.payment.ok_or(Error::IdReused)?;
                self.inner.changes.tell(&payment);
                Ok(Some(payment))
            }
            Err(Refusal::Stale | Refusal::NotAllowed(_)) => Ok(None),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// Asks the carrier; by its idempotent submit of the very same request where there is no status query.
    pub(super) async fn ask_status(&self, payment: PaymentRow) -> Result<(), Error> {
        let attempts = self.inner.store.attempts(payment.id).await?;
        let Some(attempt) = attempts.into_iter().max_by_key(|a| a.number) else { return Ok(()) };
        let Some(mut order) = order(&payment, &attempt) else { return Ok(()) };
        crash_point("status_before");
        let outcome = match self.inner.connectors.get(&payment.connector) {
            Some(connector) if planted("new_reference_on_retry") => {
                order.reference = crate::ledger::row::Id::new(self.now()).text();
                connector.submit(&order).await
            }
            Some(connector)
                if payment.class.as_deref() == Some(INTERRUPTED) && planted("recovery_sends_again") =>
            {
                connector.submit(&order).await
            }
            Some(connector) => match connector.status(&order).await {
                Some(outcome) => outcome,
                None if connector.describe().idempotent_submit => {
                    of_the_first(connector.submit(&order).await)
                }
                None => unasked("this carrier cannot be asked"),
            },
            None => unasked("the connector is not there any more"),
        };
        crash_point("status_after");
        self.resolve(payment, attempt, &outcome, Source::Status).await?;
        Ok(())
    }
}

/// What the answer to a repeated request says of the first one: a refusal that may be meant for the repetition alone says
/// nothing of it.
fn of_the_first(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Refused { class, code, .. } if class.is_of_one_request() => {
            if class.is_alarm() {
                tracing::error!(class = class.name(), "ALARM: a carrier cannot be asked");
            }
            let detail = format!("the repetition was refused: {} ({code})", class.name());
            Outcome::Unknown { why: Unclear::Unexpected, detail }
        }
        other => other,
    }
}

fn unasked(detail: &str) -> Outcome {
    Outcome::Unknown { why: Unclear::Unexpected, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::contract::RefusalClass;

    #[test]
    fn a_repetition_that_is_refused_says_nothing_of_the_first() {
        for class in RefusalClass::ALL.iter().copied() {
            let refused = Outcome::Refused { class, code: "X".to_owned(), carrier_reference: None };
            let said = of_the_first(refused.clone());
            let of_the_number = matches!(
                class,
                RefusalClass::BadNumber
                    | RefusalClass::NumberNotOnOperator
                    | RefusalClass::AmountNotAllowed
                    | RefusalClass::SubscriberBarred
                    | RefusalClass::AlreadyPaid
                    | RefusalClass::BillExpired
                    | RefusalClass::BillChanged
                    | RefusalClass::Other
            );
            if of_the_number {
                assert_eq!(said, refused, "{class:?}");
            } else {
                assert!(matches!(said, Outcome::Unknown { .. }), "{class:?}");
            }
        }
        let delivered = Outcome::Delivered { carrier_reference: None, cost: None, voucher: None };
        assert_eq!(of_the_first(delivered.clone()), delivered);
    }
}
