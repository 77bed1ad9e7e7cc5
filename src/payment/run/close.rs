//! The end of a business day: what was paid, what is still open, whether the bank's side equals what customers have.
//!
//! Nothing is closed over an open payment, an unmatched finding, a float that differs or, if the market wants it so, a statement
//! that was not read, unless two persons want it and say why. The figures are those of the day's midnight, whenever it is closed: see [`crate::payment::day`].

use std::collections::BTreeMap;

use crate::ledger::chart::House;
use crate::ledger::command::{Act, Command, Leg};
use crate::ledger::row::{Id, Kind};
use crate::payment::audit::{Entry, hexadecimal};
use crate::payment::day;
use crate::payment::day::{NOTHING, Seal, Statements};
use crate::payment::finding::Standing;
use crate::payment::row::day::{DayProofRow, FindingRow, StatementDayRow};
use crate::payment::row::record::{Select, cell};
use crate::payment::row::staff::{AuditHeadRow, ClosedDayRow, HEAD};
use crate::payment::row::{PaymentRow, State};
use crate::payment::run::findings::FINDINGS_MAX;
use crate::payment::run::staff::{Ready, Refused, between};
use crate::payment::run::{Error, Payments};
use crate::payment::unit::Op;
use crate::store::PaymentFilter;
use crate::store::accounting::Sum as Booked;

/// Microseconds of a day and a half: no market's midnight is farther from UTC's day.
const AROUND_US: i64 = 36 * 3_600 * 1_000_000;
/// Microseconds of a day.
const DAY_US: i64 = 24 * 3_600 * 1_000_000;
/// A day is closed so long after its midnight at the earliest, microseconds: every node has committed by then what it began
/// before.
pub const SETTLE_US: i64 = 60 * 1_000_000;
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
    /// What the carrier let us keep, minor units.
    pub commission_minor: i64,
    /// Fees without their tax, minor units.
    pub fee_minor: i64,
    /// Tax on fees, minor units.
    pub tax_minor: i64,
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
    /// What customers, merchants and the intermediary account had at its midnight, minor units.
    pub owed_minor: i64,
    /// What the trust account had at its midnight, with the sweeps of all days before, minor units.
    pub trust_minor: i64,
    /// Our float with each connector by the books, now, minor units.
    pub floats: BTreeMap<String, i64>,
    /// What did not agree in statements and is not settled, the oldest first.
    pub unmatched: Vec<FindingRow>,
    /// Who was asked for something on this day and whose statement of it was not read, with what was delivered through them on
    /// it, minor units; empty when the market does not care.
    pub unread: BTreeMap<String, i64>,
    /// What was booked before the day's midnight, by house account.
    pub booked: BTreeMap<String, i64>,
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
    #[error("{0} payments are open: resolve them, or let two persons carry them over and say why")]
    Open(usize),
    /// Something of a statement did not agree.
    #[error(
        "{0} findings of statements are open: settle them, or let two persons carry them over and say why"
    )]
    Unmatched(usize),
    /// Statements were not read.
    #[error(
        "no statement that covers the whole day was read of {}: read it with `keytone reconcile --from DAY --days 1 --apply`, \
         or let two persons close the day and say why", .0.join(", ")
    )]
    Unread(Vec<String>),
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
        let payments = self.payments_of_day(day).await?;
        let unread = self.unread_statements(day, &payments).await?;
        for payment in payments {
            let sum = sums.entry((payment.product.clone(), payment.connector.clone())).or_default();
            match payment.state {
                State::Delivered => {
                    sum.delivered += 1;
                    sum.amount_minor = sum.amount_minor.saturating_add(payment.amount_minor);
                    sum.cost_minor = sum.cost_minor.saturating_add(payment.cost_minor);
                    let commission = payment.amount_minor.saturating_sub(payment.cost_minor);
                    sum.commission_minor = sum.commission_minor.saturating_add(commission);
                    let fee = payment.fee_minor.saturating_sub(payment.tax_minor);
                    sum.fee_minor = sum.fee_minor.saturating_add(fee);
                    sum.tax_minor = sum.tax_minor.saturating_add(payment.tax_minor);
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
        let mut floats = BTreeMap::new();
        for connector in self.inner.connectors.keys() {
            let float = store.account(House::Float(connector).id(currency)).await?;
            floats.insert(connector.clone(), float.map_or(0, |row| row.balance_minor.saturating_neg()));
        }
        let until = day::midnight_after(day, &self.inner.settings.zone).unwrap_or(i64::MAX);
        let mut books = store.sums_until(until).await?;
        books.retain(|sum| sum.currency == currency);
        let total = |wanted: &dyn Fn(&Booked) -> bool| {
            books
                .iter()
                .filter(|sum| wanted(sum))
                .fold(0_i64, |all, sum| all.saturating_add(sum.amount_minor))
        };
        let trust = total(&|sum| sum.kind == Kind::Bank && sum.name == House::Trust.name());
        let later = self.swept_after(day, until).await?;
        Ok(Day {
            day,
            sums,
            open,
            owed_minor: total(&|sum| day::is_owed(sum.kind)),
            trust_minor: later.saturating_sub(trust),
            floats,
            unmatched: self.findings(Standing::Open, FINDINGS_MAX).await?,
            unread,
            booked: books
                .iter()
                .filter(|sum| !sum.name.is_empty())
                .map(|sum| (sum.name.clone(), sum.amount_minor))
                .collect(),
            closed: store.record(&[cell(&day)]).await?,
        })
    }

    /// Whose statement of a day is missing.
    async fn unread_statements(
        &self,
        day: i32,
        payments: &[PaymentRow],
    ) -> Result<BTreeMap<String, i64>, Error> {
        let (store, settings) = (&self.inner.store, &self.inner.settings);
        let mut unread = BTreeMap::new();
        if settings.statements == Statements::Ignore {
            return Ok(unread);
        }
        let starts = day.checked_sub(1).and_then(|before| day::midnight_after(before, &settings.zone));
        let from = starts.unwrap_or(0);
        let until = day::midnight_after(day, &settings.zone).unwrap_or(i64::MAX);
        for connector in self.inner.connectors.keys() {
            if settings.upkeep.test_connector.as_ref() == Some(connector) {
                continue;
            }
            let read: Option<StatementDayRow> = store.record(&[cell(connector), cell(&day)]).await?;
            if read.is_some() {
                continue;
            }
            let of = |payment: &&PaymentRow| {
                payment.connector == *connector || payment.provider.as_ref() == Some(connector)
            };
            let charged = |payment: &PaymentRow| {
                payment.provider.as_ref() == Some(connector) && payment.state != State::Created
            };
            let asked = payments.iter().any(charged)
                || !store.attempts_with(connector, from, until).await?.is_empty();
            if asked {
                let delivered = payments.iter().filter(of).filter(|p| p.state == State::Delivered);
                let minor = delivered.fold(0_i64, |all, payment| all.saturating_add(payment.amount_minor));
                unread.insert(connector.clone(), minor);
            }
        }
        Ok(unread)
    }

    /// What the closes of earlier days moved into the trust account after a day's midnight, minor units.
    async fn swept_after(&self, day: i32, until: i64) -> Result<i64, Error> {
        let mut later = 0_i64;
        let wanted = Select::<DayProofRow>::new().below("day", &day).order("day").descending();
        for proof in self.inner.store.records(&wanted.limit(u32::MAX)).await? {
            let Some(sweep) = proof.sweep else { continue };
            // Days are closed in order, so that all sweeps before this one are earlier too.
            match self.inner.store.transfer(sweep).await? {
                Some(transfer) if transfer.at >= until => {
                    later = later.saturating_add(proof.owed_minor.saturating_sub(proof.trust_minor));
                }
                Some(_) | None => break,
            }
        }
        Ok(later)
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
    /// customers, merchants and the intermediary account had at midnight, writes the day's row, and seals its commands. What is
    /// found later belongs to a later day. With open payments, unmatched findings, a differing float or, where statements are wanted,
    /// one that was not read, it is refused; two persons may close it even so, by [`crate::payment::staff::Act::CloseDay`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_day(
        &self,
        day: i32,
        closing: &Closing,
    ) -> Result<Result<ClosedDayRow, NotClosed>, Error> {
        let who = closing.who.trim();
        if who.is_empty() {
            return Ok(Err(Refused::from(crate::payment::staff::Refusal::Nobody).into()));
        }
        for _ in 0..STALE_MAX {
            let seen = self.day(day).await?;
            let no = match self.may_close(&seen).await? {
                Some(no) => Some(no),
                None => stops(&seen, &closing.told, self.inner.settings.statements),
            };
            if let Some(no) = no {
                return Ok(Err(no));
            }
            let (row, ops) = self.closed(&seen, who, Id::new(self.now())).await?;
            let entry =
                Entry { who: who.to_owned(), what: "close", subject: subject(day), details: details(&row) };
            match self.write_staff(ops, &entry, None).await? {
                Ok(()) => return Ok(Ok(row)),
                Err(refusal) if between(&refusal) => {}
                Err(refusal) => return Ok(Err(Refused::Books(refusal).into())),
            }
        }
        Err(Error::Busy)
    }

    /// A close that two persons want although something is open.
    pub(super) async fn ready_close(
        &self,
        day: i32,
        told: &BTreeMap<String, i64>,
        request: Id,
        who: &str,
    ) -> Result<Result<Ready, Refused>, Error> {
        let seen = self.day(day).await?;
        if let Some(no) = self.may_close(&seen).await? {
            return Ok(Err(Refused::Day(Box::new(no))));
        }
        let (row, ops) = self.closed(&seen, who, request.derived("sweep")).await?;
        let differs = |(connector, told_minor): (&String, &i64)| {
            seen.floats.get(connector).copied().unwrap_or(0).saturating_sub(*told_minor).saturating_abs()
        };
        let open = seen.open.iter().map(|payment| payment.amount_minor);
        let unmatched = seen.unmatched.iter().map(crate::payment::finding::differs_minor);
        let unread = seen.unread.values().copied();
        let all = open.chain(unmatched).chain(unread).chain(told.iter().map(differs));
        let amount_minor = all.fold(0_i64, i64::saturating_add);
        Ok(Ok(Ready { subject: subject(row.day), amount_minor, ops, news: None }))
    }

    /// Whether the day's turn has come.
    async fn may_close(&self, seen: &Day) -> Result<Option<NotClosed>, Error> {
        if seen.closed.is_some() {
            return Ok(Some(NotClosed::Closed));
        }
        let ends = day::midnight_after(seen.day, &self.inner.settings.zone);
        if ends.is_none_or(|until| self.now() < until.saturating_add(SETTLE_US)) {
            return Ok(Some(NotClosed::NotEnded));
        }
        let last = Select::<ClosedDayRow>::new().order("day").descending().limit(1);
        let last = self.inner.store.records(&last).await?.first().map(|last| last.day);
        Ok(last.filter(|last| *last > seen.day).map(NotClosed::Later))
    }

    /// The day's row, and all that closing it writes.
    async fn closed(&self, seen: &Day, who: &str, sweep: Id) -> Result<(ClosedDayRow, Vec<Op>), Error> {
        let head: Option<AuditHeadRow> = self.inner.store.record(&[cell(&HEAD)]).await?;
        let swept_minor = seen.owed_minor.saturating_sub(seen.trust_minor);
        let row = ClosedDayRow {
            day: seen.day,
            closed_by: who.to_owned(),
            closed_at: self.now(),
            totals: totals(seen).to_string(),
            open_payments: i64::try_from(seen.open.len()).unwrap_or(i64::MAX),
            swept_minor,
            audit_hash: head.map(|head| hexadecimal(&head.hash)).unwrap_or_default(),
        };
        let swept = self.sweep_trust(sweep, swept_minor);
        let proof = self.proof_of(seen, swept.is_some().then_some(sweep)).await?;
        let mut ops = vec![Op::add(&row), Op::add(&proof)];
        ops.extend(swept);
        Ok((row, ops))
    }

    async fn proof_of(&self, seen: &Day, sweep: Option<Id>) -> Result<DayProofRow, Error> {
        let store = &self.inner.store;
        let before = Select::<DayProofRow>::new().order("day").descending().limit(1);
        let before = store.records(&before).await?.into_iter().next();
        let mut row = DayProofRow {
            day: seen.day,
            from_at: before.as_ref().map_or(0, |proof| proof.until_at),
            until_at: day::midnight_after(seen.day, &self.inner.settings.zone).unwrap_or(i64::MAX),
            currency: self.inner.settings.currency,
            owed_minor: seen.owed_minor,
            trust_minor: seen.trust_minor,
            sweep,
            transfers: 0,
            previous: before.map_or_else(|| NOTHING.to_vec(), |proof| proof.hash),
            hash: Vec::new(),
        };
        let mut seal = Seal::new(&row);
        store.transfers_between(row.from_at, row.until_at, &mut |transfer| seal.add(&transfer)).await?;
        (row.transfers, row.hash) = seal.finish();
        Ok(row)
    }

    fn sweep_trust(&self, id: Id, swept_minor: i64) -> Option<Op> {
        if swept_minor == 0 {
            return None;
        }
        let currency = self.inner.settings.currency;
        let legs = vec![
            Leg::new(House::Trust.id(currency), swept_minor.saturating_neg()),
            Leg::new(House::Bank.id(currency), swept_minor),
        ];
        Some(Op::Ledger(Command::new(id, None, Act::Transfer { legs })))
    }
}

fn subject(day: i32) -> String {
    format!("day {}", day::date(day))
}

fn details(row: &ClosedDayRow) -> serde_json::Value {
    serde_json::json!({ "open": row.open_payments, "swept_minor": row.swept_minor })
}

fn stops(day: &Day, told: &BTreeMap<String, i64>, statements: Statements) -> Option<NotClosed> {
    if !day.open.is_empty() {
        return Some(NotClosed::Open(day.open.len()));
    }
    if !day.unmatched.is_empty() {
        return Some(NotClosed::Unmatched(day.unmatched.len()));
    }
    if statements == Statements::Refuse && !day.unread.is_empty() {
        return Some(NotClosed::Unread(day.unread.keys().cloned().collect()));
    }
    told.iter().find_map(|(connector, told_minor)| {
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
        "booked": day.booked, "unmatched": day.unmatched.len(),
        "unread": day.unread.keys().collect::<Vec<_>>(),
    })
}
