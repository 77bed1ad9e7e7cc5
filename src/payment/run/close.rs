//! The end of a business day: what was paid, what is still open, whether the bank's side equals what customers have.

use std::collections::BTreeMap;

use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::ledger::row::{Id, Kind};
use crate::payment::audit::{Entry, hexadecimal};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::{AuditHeadRow, ClosedDayRow, HEAD, StatementRow};
use crate::payment::row::{PaymentRow, State};
use crate::payment::run::staff::{Refused, between};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::Op;
use crate::store::PaymentFilter;

/// Microseconds of a day and a half: no market's midnight is farther from UTC's day.
const AROUND_US: i64 = 36 * 3_600 * 1_000_000;
/// Microseconds of a day.
const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// Times that a close is judged anew when money moved in between.
const STALE_MAX: u32 = 32;

/// What payments of one product and connector came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Sum {
    /// How many were delivered.
    pub delivered: i64,
    /// Face value, minor units.
    pub amount_minor: i64,
    /// What the carrier took, minor units.
    pub cost_minor: i64,
    /// Fees, minor units.
    pub fee_minor: i64,
    /// How many were refused.
    pub refused: i64,
    /// How many were reversed.
    pub reversed: i64,
}

/// A day as it stands.
#[derive(Clone, Debug)]
pub struct Day {
    /// Days since 1970-01-01 in the market's zone.
    pub day: i32,
    /// By product and connector.
    pub sums: BTreeMap<(String, String), Sum>,
    /// Payments up to this day that are open now.
    pub open: Vec<PaymentRow>,
    /// What customers, merchants and the intermediary account have, minor units.
    pub owed_minor: i64,
    /// What the trust account has, minor units.
    pub trust_minor: i64,
    /// Our float with each connector by the books, minor units.
    pub floats: BTreeMap<String, i64>,
    /// Statements with lines that did not agree.
    pub unmatched: Vec<StatementRow>,
    /// The row, when the day is closed.
    pub closed: Option<ClosedDayRow>,
}

/// Why a day is not closed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotClosed {
    /// It has not ended.
    #[error("the day has not ended")]
    NotEnded,
    /// It is closed.
    #[error("the day is closed already")]
    Closed,
    /// Days are closed in order.
    #[error("day {0} was closed already: what is found now belongs to the next day")]
    Later(i32),
    /// Payments are open.
    #[error("{0} payments are open: resolve them, or carry them over and say why")]
    Open(usize),
    /// A connector tells another balance than the books.
    #[error("{connector} has {told_minor} by its own word and {booked_minor} by the books, minor units")]
    Float {
        /// Which.
        connector: String,
        /// Minor units.
        told_minor: i64,
        /// Minor units.
        booked_minor: i64,
    },
    /// Staff's rules.
    #[error("{0}")]
    Staff(#[from] Refused),
}

/// How a day is to be closed.
#[derive(Clone, Debug, Default)]
pub struct Closing {
    /// Who closes it.
    pub who: String,
    /// Why open payments and differing floats are carried over to the next day; without it they stop the close.
    pub carry: Option<String>,
    /// What connectors say that they have of ours, minor units.
    pub told: BTreeMap<String, i64>,
}

impl Payments {
    /// A day as it stands now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn day(&self, day: i32) -> Result<Day, Error> {
        let store = &self.inner.store;
        let mut sums: BTreeMap<(String, String), Sum> = BTreeMap::new();
        for payment in self.payments_of_day(day).await? {
            let sum = sums.entry((payment.product.clone(), payment.connector.clone())).or_default();
            match payment.state {
                State::Delivered => {
                    sum.delivered += 1;
                    sum.amount_minor = sum.amount_minor.saturating_add(payment.amount_minor);
                    sum.cost_minor = sum.cost_minor.saturating_add(payment.cost_minor);
                    sum.fee_minor = sum.fee_minor.saturating_add(payment.fee_minor);
                }
                State::Refused => sum.refused += 1,
                State::Reversed => sum.reversed += 1,
                _ => {}
            }
        }
        let states: Vec<State> = State::ALL.iter().copied().filter(|s| s.is_open()).collect();
        let mut open = store.open_payments(&states, u32::MAX).await?;
        open.retain(|payment| payment.business_day <= day);
        let currency = self.inner.settings.currency;
        let mut owed_minor = 0_i64;
        for total in store.totals().await?.iter().filter(|t| t.currency == currency) {
            if matches!(total.kind, Kind::Customer | Kind::Merchant | Kind::Intermediary) {
                owed_minor = owed_minor.saturating_add(total.balance_minor);
            }
        }
        let mut floats = BTreeMap::new();
        for connector in self.inner.connectors.keys() {
            let float = store.account(House::Float(connector).id(currency)).await?;
            floats.insert(connector.clone(), float.map_or(0, |row| row.balance_minor.saturating_neg()));
        }
        let trust = store.account(House::Trust.id(currency)).await?;
        let unmatched = Select::<StatementRow>::new().from("open", &1_i64).order("read_at").descending();
        Ok(Day {
            day,
            sums,
            open,
            owed_minor,
            trust_minor: trust.map_or(0, |row| row.balance_minor.saturating_neg()),
            floats,
            unmatched: store.records(&unmatched.limit(100)).await?,
            closed: store.record(&[cell(&day)]).await?,
        })
    }

    /// The payments that count for a business day, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payments_of_day(&self, day: i32) -> Result<Vec<PaymentRow>, Error> {
        let midnight = i64::from(day).saturating_mul(DAY_US);
        let filter = PaymentFilter {
            since: Some(midnight.saturating_sub(AROUND_US)),
            until: Some(midnight.saturating_add(DAY_US).saturating_add(AROUND_US)),
            limit: u32::MAX,
            ..PaymentFilter::default()
        };
        let mut payments = self.inner.store.payments(&filter).await?;
        payments.retain(|payment| payment.business_day == day);
        payments.reverse();
        Ok(payments)
    }

    /// Closes a day: moves between the house's bank account and the trust account what makes the trust account equal to what
    /// customers, merchants and the intermediary account have, and writes the day's row. What is found later belongs to a later
    /// day.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_day(
        &self,
        day: i32,
        closing: &Closing,
    ) -> Result<Result<ClosedDayRow, NotClosed>, Error> {
        if day >= self.today() {
            return Ok(Err(NotClosed::NotEnded));
        }
        for _ in 0..STALE_MAX {
            let seen = self.day(day).await?;
            if seen.closed.is_some() {
                return Ok(Err(NotClosed::Closed));
            }
            let last = Select::<ClosedDayRow>::new().order("day").descending().limit(1);
            if let Some(last) = self.inner.store.records(&last).await?.first()
                && last.day > day
            {
                return Ok(Err(NotClosed::Later(last.day)));
            }
            if let Some(no) = stops(&seen, closing) {
                return Ok(Err(no));
            }
            let head: Option<AuditHeadRow> = self.inner.store.record(&[cell(&HEAD)]).await?;
            let swept_minor = seen.owed_minor.saturating_sub(seen.trust_minor);
            let row = ClosedDayRow {
                day,
                closed_by: closing.who.trim().to_owned(),
                closed_at: self.now(),
                totals: totals(&seen).to_string(),
                open_payments: i64::try_from(seen.open.len()).unwrap_or(i64::MAX),
                swept_minor,
                audit_hash: head.map(|head| hexadecimal(&head.hash)).unwrap_or_default(),
            };
            if row.closed_by.is_empty() {
                return Ok(Err(Refused::from(crate::payment::staff::Refusal::Nobody).into()));
            }
            let mut ops = vec![Op::add(&row)];
            ops.extend(self.sweep_trust(swept_minor));
            let entry = Entry {
                who: row.closed_by.clone(),
                what: "close",
                subject: format!("day {day}"),
                details: serde_json::json!({
                    "open": row.open_payments, "swept_minor": swept_minor, "carry": closing.carry,
                }),
            };
            match self.write_staff(ops, &entry, None).await? {
                Ok(()) => return Ok(Ok(row)),
                Err(refusal) if between(&refusal) => {}
                Err(crate::payment::unit::Refusal::Exists("closed_days")) => {
                    return Ok(Err(NotClosed::Closed));
                }
                Err(refusal) => return Ok(Err(Refused::Books(refusal).into())),
            }
        }
        Err(Error::Busy)
    }

    fn sweep_trust(&self, swept_minor: i64) -> Option<Op> {
        if swept_minor == 0 {
            return None;
        }
        let currency = self.inner.settings.currency;
        let legs = vec![
            Leg::new(House::Trust.id(currency), swept_minor.saturating_neg()),
            Leg::new(House::Bank.id(currency), swept_minor),
        ];
        Some(Op::Ledger(Command::new(Id::new(self.now()), None, Act::Transfer { legs })))
    }
}

fn stops(day: &Day, closing: &Closing) -> Option<NotClosed> {
    if closing.carry.as_ref().is_some_and(|why| !why.trim().is_empty()) {
        return None;
    }
    if !day.open.is_empty() {
        return Some(NotClosed::Open(day.open.len()));
    }
    closing.told.iter().find_map(|(connector, told_minor)| {
        let booked_minor = day.floats.get(connector).copied().unwrap_or(0);
        (booked_minor != *told_minor).then(|| NotClosed::Float {
            connector: connector.clone(),
            told_minor: *told_minor,
            booked_minor,
        })
    })
}

/// The day's totals as its row keeps them.
#[must_use]
pub fn totals(day: &Day) -> serde_json::Value {
    let sums: Vec<_> = day
        .sums
        .iter()
        .map(|((product, connector), sum)| {
            serde_json::json!({ "product": product, "connector": connector, "sum": sum })
        })
        .collect();
    serde_json::json!({
        "sums": sums, "owed_minor": day.owed_minor, "trust_minor": day.trust_minor, "floats": day.floats,
    })
}
