//! Brings news of a carrier into the books: one commit with the state, the money, the attempt and the SMS.
//!
//! News may come by several ways at once and in any order. Each is judged against the payment as it stands;
//! if that changed in between, it is judged again.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::connector::contract::Outcome;
use crate::payment::decision::{Act, Seen, Source, Step, decide};
use crate::payment::posting;
use crate::payment::row::record::cell;
use crate::payment::row::staff::RefundRow;
use crate::payment::row::{AttemptRow, PaymentRow, State};
use crate::payment::run::crash::{crash_point, planted};
use crate::payment::run::routes::Elsewhere;
use crate::payment::run::{Error, Payments};
use crate::payment::staff;
use crate::payment::unit::{Move, Op, Refusal};

/// Times that news is judged anew because the payment changed under it.
const STALE_MAX: u32 = 16;
/// Times that a known outcome is brought to a database that does not take it.
const COMMIT_TRIES: u32 = 40;
/// The longest wait between two of them.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(2);

impl Payments {
    /// Brings an outcome in, however long the database takes; gives up only when it stays away, and then the
    /// schedule asks the carrier again.
    pub(super) async fn resolve_for_certain(
        &self,
        payment: PaymentRow,
        attempt: AttemptRow,
        outcome: Outcome,
        source: Source,
    ) {
        for tries in 1..=COMMIT_TRIES {
            match self.resolve(payment.clone(), attempt.clone(), &outcome, source).await {
                Ok(_) => return,
                Err(Error::Stopped) => break,
                Err(error) => {
                    tracing::warn!(payment = %payment.id, %error, "an outcome waits for the database");
                    tokio::time::sleep((Duration::from_millis(50) * tries).min(COMMIT_WAIT_MAX)).await;
                }
            }
        }
        tracing::error!(payment = %payment.id, "an outcome was not written; the carrier will be asked again");
    }

    /// Brings an outcome in. `payment` and `attempt` may be out of date.
    pub(super) async fn resolve(
        &self,
        mut payment: PaymentRow,
        mut attempt: AttemptRow,
        outcome: &Outcome,
        source: Source,
    ) -> Result<PaymentRow, Error> {
        crash_point("outcome_before");
        for _ in 0..STALE_MAX {
            if attempt.connector != payment.connector {
                // The payment has gone to another carrier since.
                match self.late_news(&payment, &attempt, outcome).await? {
                    Some(payment) => return Ok(payment),
                    None => {
                        (payment, attempt) = self.as_stored(&payment, attempt).await?;
                        continue;
                    }
                }
            }
            let Some(step) = self.decide(&payment, &attempt, outcome, source) else {
                self.keep_late_voucher(&payment, outcome).await?;
                let (state, outcome) = (payment.state, outcome.name());
                tracing::debug!(payment = %payment.id, ?state, outcome, "no news");
                return Ok(payment);
            };
            if (step.to, step.act) == (State::Refused, Act::Void) || too_soon(outcome) {
                match self.go_elsewhere(&payment, &attempt, outcome, source).await? {
                    Elsewhere::No => {}
                    Elsewhere::Sent(payment) => return Ok(*payment),
                    Elsewhere::Stale => {
                        (payment, attempt) = self.as_stored(&payment, attempt).await?;
                        continue;
                    }
                }
            }
            let mut ops = self.ops(&payment, &attempt, outcome, source, &step).await;
            ops.extend(self.goodwill(&payment, step.act).await?);
            ops.extend(self.ended(&payment, step.to).await?);
            let voucher = self.keep_voucher(&payment, outcome, &step)?;
            if !voucher.is_empty() {
                // Its own text tells the result too; nothing is recharged until the code is keyed.
                ops.retain(|op| !matches!(op, Op::Outbox(_)));
                ops.extend(voucher);
            }
            match self.commit(ops).await? {
                Ok(done) => {
                    crash_point("outcome_after");
                    let payment = done.payment.ok_or(Error::IdReused)?;
                    self.tell(&payment, outcome, &step);
                    return Ok(payment);
                }
                // Also a reservation that goes with it.
                Err(Refusal::Stale | Refusal::NotAllowed(_) | Refusal::Exists("refunds")) => {
                    (payment, attempt) = self.as_stored(&payment, attempt).await?;
                }
                Err(refusal) => {
                    tracing::error!(payment = %payment.id, %refusal, "the books refuse an outcome");
                    return Err(Error::Refused(refusal));
                }
            }
        }
        Err(Error::Busy)
    }

    async fn as_stored(
        &self,
        payment: &PaymentRow,
        attempt: AttemptRow,
    ) -> Result<(PaymentRow, AttemptRow), Error> {
        let stored = self.inner.store.payment(payment.id).await?.ok_or(Error::IdReused)?;
        let seen = self.inner.store.attempt_by_reference(&attempt.reference).await?;
        Ok((stored, seen.unwrap_or(attempt)))
    }

    pub(super) fn decide(
        &self,
        payment: &PaymentRow,
        attempt: &AttemptRow,
        outcome: &Outcome,
        source: Source,
    ) -> Option<Step> {
        let connector = self.inner.connectors.get(&payment.connector);
        decide(&Seen {
            state: payment.state,
            class: payment.class.as_deref(),
            checks: payment.checks,
            outcome,
            source,
            age: self.inner.clock.now().since(Timestamp(attempt.created_at)),
            not_found_after: connector.and_then(|c| c.describe().not_found_after),
            schedule: &self.inner.settings.status_schedule,
        })
    }

    pub(super) async fn ops(
        &self,
        payment: &PaymentRow,
        attempt: &AttemptRow,
        outcome: &Outcome,
        source: Source,
        step: &Step,
    ) -> Vec<Op> {
        let now = self.inner.clock.now();
        let posting = self.posting_of(payment);
        let cost_minor = self.cost(payment, outcome);
        let loss = if planted("late_delivery_charges_the_customer") {
            payment.account
        } else {
            self.loser(payment).id(payment.currency)
        };
        let commands = match step.act {
            Act::Post if planted("posts_twice") => vec![posting::again(payment, &posting, cost_minor)],
            Act::Nothing | Act::Post | Act::Void | Act::Reverse => Vec::new(),
            Act::Contest => posting::contest(payment, &posting),
            Act::PostContested => vec![posting::post_contested(payment, &posting)],
            Act::VoidContested => vec![posting::void_contested(payment)],
            Act::ReverseContested => vec![posting::reverse_contested(payment, &posting)],
            Act::Lose => posting::lose(payment, &posting, loss, payment.cost_minor).into_iter().collect(),
            Act::Regain => posting::regain(payment, &posting, loss).into_iter().collect(),
        };
        let mut ops: Vec<Op> = commands.into_iter().map(Op::Ledger).collect();
        let carrier_reference = outcome.carrier_reference().map(str::to_owned);
        let answered = AttemptRow {
            answered_at: Some(now.0),
            outcome: Some(outcome.name().to_owned()),
            code: code(outcome),
            carrier_reference: carrier_reference.clone().or_else(|| attempt.carrier_reference.clone()),
            ..attempt.clone()
        };
        // A status query that says nothing leaves the attempt's own outcome as it is.
        let says_nothing =
            matches!(outcome, Outcome::NotFound | Outcome::NotSent { .. } | Outcome::Unknown { .. })
                && source == Source::Status;
        ops.push(Op::Move(Box::new(Move {
            payment: payment.id,
            version: payment.version,
            to: step.to,
            class: step.class.clone(),
            carrier_reference,
            cost_minor: (step.act == Act::Post).then_some(cost_minor),
            next_check_at: step.next_check.map(|wait| now.after(wait).0),
            checked: source == Source::Status,
            attempt: (!says_nothing).then_some(answered),
            posting: Some(posting),
            detail: detail(outcome, source),
        })));
        if step.to != payment.state {
            let resolved = PaymentRow { state: step.to, class: step.class.clone(), ..payment.clone() };
            ops.extend(self.result_sms(&resolved).await.map(Op::Outbox));
        }
        ops
    }

    /// What a reversal means for what the house has refunded of the payment already: to stand after the ops of the step.
    pub(super) async fn goodwill(&self, payment: &PaymentRow, act: Act) -> Result<Vec<Op>, Error> {
        let gives_back = match act {
            Act::Reverse | Act::ReverseContested | Act::VoidContested => true,
            // The money is only held anew.
            Act::Contest => false,
            Act::Nothing | Act::Post | Act::Void | Act::PostContested | Act::Lose | Act::Regain => {
                return Ok(Vec::new());
            }
        };
        let refunded: Option<RefundRow> = self.inner.store.record(&[cell(&payment.id)]).await?;
        let (row, command) = staff::taken_back(payment, refunded.as_ref(), gives_back);
        let mut ops = vec![if refunded.is_some() { Op::set(&row) } else { Op::add(&row) }];
        ops.extend(command.map(Op::Ledger));
        Ok(ops)
    }

    /// What the carrier took: its word, if it makes sense, else the plan's.
    fn cost(&self, payment: &PaymentRow, outcome: &Outcome) -> i64 {
        let Outcome::Delivered { cost: Some(cost), .. } = outcome else { return payment.cost_minor };
        if cost.currency == payment.currency && (0..=payment.amount_minor).contains(&cost.minor) {
            return cost.minor;
        }
        tracing::error!(payment = %payment.id, %cost, "ALARM: the carrier tells a cost that cannot be");
        payment.cost_minor
    }

    pub(super) fn tell(&self, payment: &PaymentRow, outcome: &Outcome, step: &Step) {
        let (id, reference) = (payment.id, payment.reference.as_str());
        let (state, class) = (payment.state, payment.class.as_deref().unwrap_or(""));
        if step.alarm {
            tracing::error!(payment = %id, reference, ?state, class, "ALARM: a payment needs staff");
        } else {
            let outcome = outcome.name();
            tracing::info!(payment = %id, reference, ?state, class, outcome, "payment");
        }
        self.inner.changes.tell(payment);
    }
}

/// The planted mistake of a build that takes silence for a refusal when there is another carrier.
pub(super) fn too_soon(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Unknown { .. }) && planted("another_carrier_after_unknown")
}

fn code(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Refused { code, .. } => Some(code.clone()),
        Outcome::NotSent { reason, .. } => Some(reason.clone()),
        Outcome::Unknown { why, .. } => Some(why.name().to_owned()),
        Outcome::Accepted { .. }
        | Outcome::Delivered { .. }
        | Outcome::Reversed { .. }
        | Outcome::NotFound => None,
    }
}

fn detail(outcome: &Outcome, source: Source) -> String {
    let source = match source {
        Source::Reply => "reply",
        Source::Status => "status query",
        Source::Callback => "callback",
        Source::Staff => "staff",
    };
    let words = match outcome {
        Outcome::NotSent { reason, .. } => format!("not sent: {reason}"),
        Outcome::Accepted { .. } => "accepted".to_owned(),
        Outcome::Delivered { .. } => "delivered".to_owned(),
        Outcome::Refused { class, code, .. } => format!("refused: {} ({code})", class.name()),
        Outcome::Unknown { why, detail } => format!("unknown: {} ({detail})", why.name()),
        Outcome::Reversed { .. } => "reversed".to_owned(),
        Outcome::NotFound => "the carrier does not know it".to_owned(),
    };
    format!("{source}: {words}")
}
