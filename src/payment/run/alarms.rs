//! Watches what staff must be told of, and tells them: a signed webhook, and texts to their telephones. What is said is written
//! in the commit that changes the alarm's row, so that it is said once whatever node looked and however often they restart.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::connector::breaker;
use crate::ledger::chart::House;
use crate::ledger::row::Id;
use crate::money::Money;
use crate::payment::alarm;
use crate::payment::alarm::{Bounds, Kind, Reading, Said, Standing};
use crate::payment::charge::Stage;
use crate::payment::day::{TRUST, is_owed};
use crate::payment::order;
use crate::payment::row::State;
use crate::payment::row::alarm::{AlarmRow, NoticeRow};
use crate::payment::row::charge::ChargeRow;
use crate::payment::row::order::OrderRow;
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::ClosedDayRow;
use crate::payment::run::webhooks::client;
use crate::payment::run::{Error, Payments, audit};
use crate::payment::unit::{Op, Refusal};
use crate::payment::webhook;

/// Notices sent in one round.
const ROUND_MAX: u32 = 32;
/// Alarms read at once.
const ALARMS_MAX: u32 = 1_000;
/// The subject of the alarm about money that an account provider does not let us have, or does not take back.
const OUTSIDE: &str = "outside";

/// Readings of what the payment core cannot see, such as binds, with the kinds that they are all there is of.
pub type Others = Arc<dyn Fn() -> (Vec<Kind>, Vec<Reading>) + Send + Sync>;

/// What the last proof of the books said, and when (microseconds).
#[derive(Clone, Debug)]
struct Proved {
    at: i64,
    faults: i64,
    of_trust: i64,
    first: String,
}

/// Goes from round to round.
#[derive(Default)]
pub struct Watch {
    proved: Option<Proved>,
    client: Option<reqwest::Client>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("proved", &self.proved).finish_non_exhaustive()
    }
}

impl Payments {
    /// Looks and tells, round after round, until `stop`.
    pub async fn watch_alarms(self, others: Others, stop: CancellationToken) {
        let mut watch = Watch::default();
        while !stop.is_cancelled() {
            let (kinds, readings) = others();
            if let Err(error) = self.look(&mut watch, &kinds, readings).await {
                tracing::error!(%error, "ALARM: what staff must be told of could not be looked for");
            }
            if let Err(error) = self.tell_staff(&mut watch).await {
                tracing::warn!(%error, "notices of alarms could not be sent");
            }
            tokio::select! {
                () = tokio::time::sleep(self.inner.settings.alarms.every) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// One look at everything: raises, repeats and clears. `readings` are all there is of `kinds`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn look(&self, watch: &mut Watch, kinds: &[Kind], readings: Vec<Reading>) -> Result<(), Error> {
        let mut readings = readings;
        let mut kinds = kinds.to_vec();
        self.floats(&mut readings).await?;
        self.ages(&mut readings).await?;
        self.trust(&mut readings).await?;
        self.proved(watch, &mut readings).await?;
        self.breakers(&mut readings);
        kinds.extend([Kind::FloatLow, Kind::OldUnknown, Kind::OldDispute, Kind::BreakerOpen, Kind::DayOpen]);
        kinds.extend([Kind::Imbalance, Kind::Trust]);
        let rows = self.alarms(true).await?;
        for row in &rows {
            let Some(kind) = kinds.iter().find(|kind| kind.name() == row.kind) else { continue };
            if !readings.iter().any(|r| r.kind == *kind && r.subject == row.subject) {
                readings.push(Reading::gone(*kind, &row.subject));
            }
        }
        for reading in &readings {
            self.weigh(reading).await?;
        }
        Ok(())
    }

    /// Writes what a reading changes, with what is said of it.
    async fn weigh(&self, reading: &Reading) -> Result<(), Error> {
        let rules = &self.inner.settings.alarms;
        let key = [cell(&reading.kind.name().to_owned()), cell(&reading.subject)];
        let before: Option<AlarmRow> = self.inner.store.record(&key).await?;
        let now = self.now();
        let Some((row, said)) = alarm::judge(before.as_ref(), reading, rules.repeat, now) else {
            return Ok(());
        };
        let mut ops = vec![if before.is_some() { Op::set(&row) } else { Op::add(&row) }];
        if let Some(said) = said {
            let id = Id::new(now);
            if rules.webhook.is_some() {
                ops.push(Op::add(&alarm::notice(id, &row, said, now)));
            }
            let body = alarm::text(&row, said);
            for number in &rules.numbers {
                ops.push(Op::Outbox(self.sms(id.derived(number.as_str()), number, body.clone())));
            }
        }
        match self.commit(ops).await? {
            Ok(_) => {}
            // Another node looked at the same time, and has told.
            Err(Refusal::Stale | Refusal::Exists("alarms")) => return Ok(()),
            Err(refusal) => return Err(Error::Refused(refusal)),
        }
        let (kind, subject, detail) = (row.kind.as_str(), row.subject.as_str(), row.detail.as_str());
        match said {
            Some(Said::Raised | Said::Repeated) => tracing::error!(kind, subject, detail, "ALARM"),
            Some(Said::Cleared) => tracing::warn!(kind, subject, detail, "an alarm is over"),
            None => {}
        }
        Ok(())
    }

    async fn floats(&self, readings: &mut Vec<Reading>) -> Result<(), Error> {
        let rules = &self.inner.settings.alarms;
        let currency = self.inner.settings.currency;
        for connector in self.inner.connectors.keys() {
            let Some(least_minor) = rules.floats.get(connector).copied().or(rules.float_least_minor) else {
                continue;
            };
            let row = self.inner.store.account(House::Float(connector).id(currency)).await?;
            // The house's assets stand with a minus.
            let badness = row.map_or(0, |row| row.balance_minor);
            let money = |minor: i64| Money::new(minor, currency).to_string();
            readings.push(Reading {
                kind: Kind::FloatLow,
                subject: connector.clone(),
                badness,
                bounds: Bounds::least(least_minor),
                detail: format!(
                    "{} left, {} is the least",
                    money(badness.saturating_neg()),
                    money(least_minor)
                ),
            });
        }
        Ok(())
    }

    /// The oldest of what is unknown or disputed, and days that nobody closed.
    async fn ages(&self, readings: &mut Vec<Reading>) -> Result<(), Error> {
        let rules = &self.inner.settings.alarms;
        let (store, now) = (&self.inner.store, self.now());
        let mut oldest = |kind: Kind, subject: &str, since: i64, limit, name: String| {
            let age = now.saturating_sub(since);
            let detail = format!("{name} since {} min", age.div_euclid(60_000_000));
            let (subject, bounds) = (subject.to_owned(), Bounds::older_than(limit));
            readings.push(Reading { kind, subject, badness: age, bounds, detail });
        };
        let unknown = store.open_payments(&[State::Unknown, State::NeedsReview], 1).await?;
        if let Some(payment) = unknown.first() {
            let name = format!("payment {} with {}", payment.reference, payment.connector);
            oldest(Kind::OldUnknown, "", payment.created_at, rules.unknown_age, name);
        }
        if let Some(row) = self.oldest_unsettled().await? {
            let name = format!("the money of payment {} at {}", row.payment, row.provider);
            oldest(Kind::OldUnknown, OUTSIDE, row.created_at, rules.unknown_age, name);
        }
        let disputed = |state: i16| (state, 1_u32);
        let (state, limit) = disputed(Stage::Disputed.number());
        let charges = Select::<ChargeRow>::new().equal("state", &state).order("disputed_at").limit(limit);
        if let Some(charge) = store.records(&charges).await?.first() {
            let since = charge.disputed_at.unwrap_or(charge.updated_at);
            oldest(Kind::OldDispute, "charge", since, rules.dispute_age, format!("charge {}", charge.number));
        }
        let (state, limit) = disputed(order::State::Disputed.number());
        let orders = Select::<OrderRow>::new().equal("state", &state).order("disputed_at").limit(limit);
        if let Some(order) = store.records(&orders).await?.first() {
            let since = order.disputed_at.unwrap_or(order.updated_at);
            oldest(Kind::OldDispute, "order", since, rules.dispute_age, format!("order {}", order.number));
        }
        let last = Select::<ClosedDayRow>::new().order("day").descending().limit(1);
        // A house that has never closed a day has not begun to.
        if let Some(last) = store.records(&last).await?.first() {
            let days = i64::from(self.today()).saturating_sub(1).saturating_sub(i64::from(last.day)).max(0);
            let raise = rules.days_open.max(1);
            readings.push(Reading {
                kind: Kind::DayOpen,
                subject: String::new(),
                badness: days,
                bounds: Bounds { raise, clear: raise.saturating_sub(1), after_us: 0 },
                detail: format!("{days} days have ended and are not closed"),
            });
        }
        Ok(())
    }

    /// What is missing on the trust account now.
    async fn trust(&self, readings: &mut Vec<Reading>) -> Result<(), Error> {
        let Some(most_minor) = self.inner.settings.alarms.trust_short_minor else { return Ok(()) };
        let currency = self.inner.settings.currency;
        let mut owed = 0_i64;
        for total in self.inner.store.totals().await?.iter().filter(|t| t.currency == currency) {
            if is_owed(total.kind) {
                owed = owed.saturating_add(total.balance_minor);
            }
        }
        let trust = self.inner.store.account(House::Trust.id(currency)).await?;
        let short = owed.saturating_add(trust.map_or(0, |row| row.balance_minor));
        let raise = most_minor.max(0).saturating_add(1);
        readings.push(Reading {
            kind: Kind::Trust,
            subject: "now".to_owned(),
            badness: short,
            bounds: Bounds { raise, clear: raise / 2, after_us: 0 },
            detail: format!("{} of what is owed is not on the trust account", Money::new(short, currency)),
        });
        Ok(())
    }

    /// Proves the books when it is time; until then the last proof stands.
    async fn proved(&self, watch: &mut Watch, readings: &mut Vec<Reading>) -> Result<(), Error> {
        let Some(every) = self.inner.settings.alarms.verify_every else { return Ok(()) };
        let every = i64::try_from(every.as_micros()).unwrap_or(i64::MAX);
        let now = self.now();
        if watch.proved.as_ref().is_none_or(|proved| now.saturating_sub(proved.at) >= every) {
            let report = audit::verify(&self.inner.store).await?;
            let of_trust = report.faults.iter().filter(|fault| fault.invariant == TRUST).count();
            let of_trust = i64::try_from(of_trust).unwrap_or(i64::MAX);
            let first = report.faults.first().map(ToString::to_string).unwrap_or_default();
            let faults = i64::try_from(report.fault_count).unwrap_or(i64::MAX).saturating_sub(of_trust);
            watch.proved = Some(Proved { at: now, faults, of_trust, first });
        }
        let Some(proved) = &watch.proved else { return Ok(()) };
        for (kind, subject, badness) in
            [(Kind::Imbalance, "", proved.faults), (Kind::Trust, "closed", proved.of_trust)]
        {
            let (subject, bounds) = (subject.to_owned(), Bounds { raise: 1, clear: 0, after_us: 0 });
            let detail = format!("{badness} faults, the first: {}", proved.first);
            readings.push(Reading { kind, subject, badness, bounds, detail });
        }
        Ok(())
    }

    fn breakers(&self, readings: &mut Vec<Reading>) {
        for (name, connector) in &self.inner.connectors {
            let health = connector.health();
            let open = health.breaker != breaker::State::Closed;
            readings.push(Reading {
                kind: Kind::BreakerOpen,
                subject: name.clone(),
                badness: i64::from(open),
                bounds: Bounds::so_for(self.inner.settings.alarms.breaker_open),
                detail: format!("{} of {} requests in trouble", health.troubles, health.requests),
            });
        }
    }

    /// Sends the notices that are due.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tell_staff(&self, watch: &mut Watch) -> Result<(), Error> {
        let now = self.now();
        let due = Select::<NoticeRow>::new().below("due_at", &now.saturating_add(1)).order("due_at");
        for row in self.inner.store.records(&due.limit(ROUND_MAX)).await? {
            let Some(sending) = alarm::begin(&row, self.now()) else { continue };
            match self.commit(vec![Op::set(&sending)]).await? {
                Ok(_) => {}
                // Another node sends it.
                Err(Refusal::Stale) => continue,
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
            let (status, outcome) = self.post_notice(watch, &sending).await;
            let done = alarm::end(&sending, self.now(), status, outcome);
            match self.commit(vec![Op::set(&done)]).await? {
                Ok(_) | Err(Refusal::Stale) => {}
                Err(refusal) => return Err(Error::Refused(refusal)),
            }
        }
        Ok(())
    }

    async fn post_notice(&self, watch: &mut Watch, row: &NoticeRow) -> (Option<i32>, &'static str) {
        let rules = &self.inner.settings.alarms;
        let (Some(url), Some(key)) = (&rules.webhook, &rules.key) else {
            return (None, "no webhook is configured");
        };
        if watch.client.is_none() {
            // Staff's own receiver may well be inside: whoever writes the configuration may name any address.
            match client(true) {
                Ok(client) => watch.client = Some(client),
                Err(_) => return (None, "no HTTP client"),
            }
        }
        let Some(client) = &watch.client else { return (None, "no HTTP client") };
        let id = webhook::header_id(row.id);
        let timestamp = self.now().div_euclid(1_000_000);
        let keys = std::slice::from_ref(key);
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", webhook::signatures(keys, &id, timestamp, &row.body))
            .body(row.body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                (Some(i32::from(answer.status().as_u16())), "delivered")
            }
            Ok(answer) => (Some(i32::from(answer.status().as_u16())), "refused"),
            Err(error) if error.is_timeout() => (None, "no answer in time"),
            Err(error) if error.is_connect() => (None, "no connection"),
            Err(_) => (None, "the connection broke"),
        }
    }

    /// Alarms by kind and subject: those that are raised or pending, or all that there ever were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn alarms(&self, only_bad: bool) -> Result<Vec<AlarmRow>, Error> {
        let mut rows = self.inner.store.records(&Select::<AlarmRow>::new().limit(ALARMS_MAX)).await?;
        rows.retain(|row| !only_bad || row.state != Standing::Clear.number());
        Ok(rows)
    }

    /// What was sent of alarms, the latest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn alarm_notices(&self, limit: u32) -> Result<Vec<NoticeRow>, Error> {
        // Ids are in the order of time.
        Ok(self.inner.store.records(&Select::new().descending().limit(limit)).await?)
    }
}

/// The least of what is known of binds: whether each is up, by its name.
#[must_use]
pub fn of_binds(binds: &BTreeMap<String, bool>, after: std::time::Duration) -> Vec<Reading> {
    binds
        .iter()
        .map(|(name, up)| Reading {
            kind: Kind::BindDown,
            subject: name.clone(),
            badness: i64::from(!up),
            bounds: Bounds::so_for(after),
            detail: "the bind is down".to_owned(),
        })
        .collect()
}
