//! Which carrier recharges a number, and which one after it: the next route is tried when a carrier has refused for a reason of
//! its own, and never when nobody knows what it did.
//!
//! What became of the last request and the next attempt are one commit, and only then the next request leaves. So a process
//! that ends in between finds one attempt that may have left, and asks its carrier.

use std::future::Future;
use std::pin::Pin;

use crate::clock::Timestamp;
use crate::connector::breaker;
use crate::connector::contract::Outcome;
use crate::connector::numbering::Carrier;
use crate::ledger::chart::House;
use crate::msisdn::Msisdn;
use crate::payment::decision::Source;
use crate::payment::elsewhere;
use crate::payment::elsewhere::Late;
use crate::payment::posting;
use crate::payment::row::{AttemptRow, PaymentRow, State};
use crate::payment::run::crash::crash_point;
use crate::payment::run::pay::{MARGIN, order};
use crate::payment::run::resolve::too_soon;
use crate::payment::run::{Error, Payments};
use crate::payment::unit::{Note, Op, Refusal, Resubmit};

/// Who is to recharge a number with an amount.
#[derive(Debug)]
pub(super) enum Chosen<'p> {
    /// This carrier.
    Carrier(&'p Carrier),
    /// Nobody.
    NotSupported,
    /// Not a mobile number of the plan.
    BadNumber,
    /// Nobody sells this amount for it.
    NotSold,
}

/// What came of the search for another route.
pub(super) enum Elsewhere {
    /// There is none: the outcome stands.
    No,
    /// The next request is on its way.
    Sent(Box<PaymentRow>),
    /// The payment changed in between.
    Stale,
}

impl Payments {
    /// The first of the number's carriers that sells the amount, is not suspended and answers.
    pub(super) async fn choose(&self, phone: &Msisdn, amount_minor: i64) -> Result<Chosen<'_>, Error> {
        let plan = &self.inner.plan;
        if !plan.is_mobile(phone) {
            return Ok(Chosen::BadNumber);
        }
        let carriers = plan.carriers(phone);
        if carriers.is_empty() {
            return Ok(Chosen::NotSupported);
        }
        let selling: Vec<&Carrier> = carriers.into_iter().filter(|c| c.offer.sells(amount_minor)).collect();
        let Some(first) = selling.first().copied() else { return Ok(Chosen::NotSold) };
        if selling.len() > 1 {
            for carrier in selling {
                if self.answers(carrier) && !self.is_carrier_shut(&carrier.connector).await? {
                    return Ok(Chosen::Carrier(carrier));
                }
            }
        }
        // Alone, or one like the others: what stops it is told by whoever judges it.
        Ok(Chosen::Carrier(first))
    }

    fn answers(&self, carrier: &Carrier) -> bool {
        let connector = self.inner.connectors.get(&carrier.connector);
        connector.is_some_and(|c| c.health().breaker != breaker::State::Open)
    }

    async fn is_carrier_shut(&self, connector: &str) -> Result<bool, Error> {
        Ok(self.inner.store.suspended(&[carrier_key(connector)]).await?)
    }

    /// Tries the next route, if the news allows that and there is one.
    pub(super) async fn go_elsewhere(
        &self,
        payment: &PaymentRow,
        attempt: &AttemptRow,
        outcome: &Outcome,
        source: Source,
    ) -> Result<Elsewhere, Error> {
        let now = self.inner.clock.now();
        let age = now.since(Timestamp(payment.created_at));
        let within = self.inner.settings.failover_within;
        let allowed = elsewhere::allows(payment.state, outcome, source)
            || (payment.state == State::Submitting && too_soon(outcome));
        if !allowed || age >= within {
            return Ok(Elsewhere::No);
        }
        let Some(phone) = payment.target.phone() else { return Ok(Elsewhere::No) };
        let tried = self.inner.store.attempts(payment.id).await?;
        let events = self.inner.store.events(payment.id).await?;
        // What was unknown once is refused when it is known to be refused, and nothing more.
        if events.iter().any(|event| event.state == State::Unknown) {
            return Ok(Elsewhere::No);
        }
        let carriers = self.inner.plan.carriers(phone);
        let next = carriers.into_iter().filter(|c| {
            c.offer.sells(payment.amount_minor) && !tried.iter().any(|a| a.connector == c.connector)
        });
        for carrier in next {
            let Some(connector) = self.inner.connectors.get(&carrier.connector) else { continue };
            if attempt.number >= elsewhere::ATTEMPTS_MAX {
                break;
            }
            let number = attempt.number.saturating_add(1);
            let following = self.attempt(payment.id, number, &carrier.connector);
            let resubmit = Resubmit {
                payment: payment.id,
                version: payment.version,
                answered: elsewhere::answered(attempt, outcome, now.0),
                attempt: following.clone(),
                cost_minor: carrier.cost_minor(payment.amount_minor),
                next_check_at: now.after(connector.describe().timeout).after(MARGIN).0,
                detail: elsewhere::words(outcome, &carrier.connector),
            };
            crash_point("reroute_before");
            let ops = vec![Op::Open(vec![carrier_key(&carrier.connector)]), Op::Resubmit(Box::new(resubmit))];
            match self.commit(ops).await? {
                Ok(done) => {
                    crash_point("reroute_after");
                    let payment = done.payment.ok_or(Error::IdReused)?;
                    let (id, from) = (payment.id, attempt.connector.as_str());
                    let to = payment.connector.as_str();
                    tracing::warn!(payment = %id, from, to, "a payment goes to the next carrier");
                    if elsewhere::alarms(outcome) {
                        tracing::error!(payment = %id, from, "ALARM: a carrier refuses for a fault of ours");
                    }
                    let sending = self.send_next(payment.clone(), following);
                    self.inner.tracker.spawn(sending);
                    return Ok(Elsewhere::Sent(Box::new(payment)));
                }
                Err(Refusal::Suspended) => {}
                Err(Refusal::Stale | Refusal::NotAllowed(_)) => return Ok(Elsewhere::Stale),
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Ok(Elsewhere::No)
    }

    /// Sends an attempt that was written before, and brings in what came of it. Boxed, since what came of it may be one more.
    fn send_next(
        &self,
        payment: PaymentRow,
        attempt: AttemptRow,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
        let this = self.clone();
        Box::pin(async move {
            // As the row has it.
            let attempt = AttemptRow { created_at: payment.updated_at, ..attempt };
            let Some(connector) = this.inner.connectors.get(&attempt.connector) else { return };
            let outcome = match order(&payment, &attempt) {
                Some(order) => connector.submit(&order).await,
                None => Outcome::NotSent { retryable: false, reason: "no connector pays this".to_owned() },
            };
            crash_point("answered");
            this.resolve_for_certain(payment, attempt, outcome, Source::Reply).await;
        })
    }

    /// News of a request that was refused before the payment went to another carrier: if that one was made after all, its cost
    /// is the house's loss, since the customer pays once. Gives the payment as it is then; `None` when it changed in between.
    pub(super) async fn late_news(
        &self,
        payment: &PaymentRow,
        attempt: &AttemptRow,
        outcome: &Outcome,
    ) -> Result<Option<PaymentRow>, Error> {
        let Some(late) = elsewhere::late(attempt, outcome) else { return Ok(Some(payment.clone())) };
        let loss = House::Loss.id(payment.currency);
        let cost_minor = self.late_cost(payment, attempt);
        let posting = self.posting(&attempt.connector);
        let command = match late {
            Late::Delivered => posting::lose_elsewhere(payment, attempt, &posting, loss, cost_minor),
            Late::Reversed => posting::regain_elsewhere(payment, attempt, &posting, loss, cost_minor),
        };
        let mut ops: Vec<Op> = command.into_iter().map(Op::Ledger).collect();
        ops.push(Op::Note(Box::new(Note {
            payment: payment.id,
            version: payment.version,
            attempt: elsewhere::answered(attempt, outcome, self.now()),
            detail: format!("{} after all by {}", outcome.name(), attempt.connector),
        })));
        match self.commit(ops).await? {
            Ok(done) => {
                let (id, connector) = (payment.id, attempt.connector.as_str());
                match late {
                    Late::Delivered => {
                        tracing::error!(payment = %id, connector, "ALARM: made by two carriers: a loss");
                    }
                    Late::Reversed => tracing::warn!(payment = %id, connector, "that loss is taken back"),
                }
                done.payment.ok_or(Error::IdReused).map(Some)
            }
            Err(Refusal::Stale) => Ok(None),
            Err(refusal) => Err(Error::Refused(refusal)),
        }
    }

    /// What that carrier took, by the plan.
    fn late_cost(&self, payment: &PaymentRow, attempt: &AttemptRow) -> i64 {
        let carriers =
            payment.target.phone().map(|phone| self.inner.plan.carriers(phone)).unwrap_or_default();
        let carrier = carriers.into_iter().find(|c| c.connector == attempt.connector);
        carrier.map_or(payment.amount_minor, |c| c.cost_minor(payment.amount_minor))
    }
}

fn carrier_key(connector: &str) -> (String, String) {
    ("carrier".to_owned(), connector.to_owned())
}
