//! Proves payments against the books from stored rows alone: invariants I10 and I11, and by `history` I8 and I9, naming each
//! row that is wrong.
//!
//! The rows stream in (see [`PaymentFact`]) beside those of the ledger; only the sums of counters are kept. Pure, and
//! nothing here repairs anything.
//!
//! - I10 a payment from authorised to needs_review has exactly one pending hold, of its amount and fee on its account,
//!   that no longer expires once a request may have left; a delivered one's is posted, a refused one's voided or
//!   expired, a reversed one's posting taken back; and every pending hold is that of a payment;
//! - I11 each limit counter is what the payments of its account and day come to, and none is missing or left over;
//!   what was paid without a PIN is at most what came by text message; the row that keeps equal payments apart is open
//!   exactly while its payment is.
//!
//! A contested payment (see [`CONTESTED`]) stands under a second hold, its first posting reversed. A payment that was
//! refused and delivered late stays refused here: what the house lost on it is the ledger's to prove.

use std::collections::HashMap;
use std::fmt;

use crate::ledger::apply::hold_state;
use crate::ledger::chart::House;
use crate::ledger::command::act;
use crate::ledger::row::{HoldRow, Id};
use crate::ledger::verify::{Fault, Report};
use crate::payment::answer::Channel;
use crate::payment::audit::Chain;
use crate::payment::charge;
use crate::payment::charge::Stage;
use crate::payment::decision::CONTESTED;
use crate::payment::fold::ids;
use crate::payment::history;
use crate::payment::order;
use crate::payment::outside::Outside;
use crate::payment::posting;
use crate::payment::row::charge::ChargeRow;
use crate::payment::row::order::OrderRow;
use crate::payment::row::provider::ReservationRow;
use crate::payment::row::record::Record;
use crate::payment::row::{
    ACCOUNT_DAY, BILL_DAY, CounterRow, DEPOSIT_DAY, ORDER_DAY, PairRow, PaymentCase, PaymentFact, PaymentRow,
    State, WITHOUT_PIN, day_scope, pair,
};

/// What the payments of an account and day come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Used {
    minor: i128,
    payments: i64,
}

/// How a payment's money stands in the books.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Standing {
    /// The state of its hold.
    hold: Option<i16>,
    /// Whether the posting of it was reversed.
    reversed: bool,
    /// The state of the hold under which contested money stands.
    anew: Option<i16>,
    /// Whether the posting of that one was reversed.
    anew_reversed: bool,
}

impl Standing {
    const fn plain(hold: i16, reversed: bool) -> Self {
        Self { hold: Some(hold), reversed, anew: None, anew_reversed: false }
    }

    const fn contested(anew: i16, anew_reversed: bool) -> Self {
        Self { hold: Some(hold_state::POSTED), reversed: true, anew: Some(anew), anew_reversed }
    }

    /// Whether `payment` may stand so.
    fn fits(self, payment: &PaymentRow) -> bool {
        use hold_state::{EXPIRED, PENDING, POSTED, VOIDED};
        let contested = payment.class.as_deref() == Some(CONTESTED);
        match payment.state {
            State::Created => false,
            // It may have expired before anybody took the payment up; then no request leaves on its strength.
            State::Authorised => [Self::plain(PENDING, false), Self::plain(EXPIRED, false)].contains(&self),
            State::NeedsReview if contested => self == Self::contested(PENDING, false),
            State::Submitting | State::Submitted | State::Unknown | State::NeedsReview => {
                self == Self::plain(PENDING, false)
            }
            State::Delivered if contested => self == Self::contested(POSTED, false),
            State::Delivered => self == Self::plain(POSTED, false),
            // A contested payment that is refused in the end has the class of its refusal.
            State::Refused => {
                let ways =
                    [Self::plain(VOIDED, false), Self::plain(EXPIRED, false), Self::contested(VOIDED, false)];
                ways.contains(&self)
            }
            State::Reversed if contested => self == Self::contested(POSTED, true),
            State::Reversed => self == Self::plain(POSTED, true),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |state: Option<i16>| match state {
            None => "missing",
            Some(hold_state::PENDING) => "pending",
            Some(hold_state::POSTED) => "posted",
            Some(hold_state::VOIDED) => "voided",
            Some(hold_state::EXPIRED) => "expired",
            Some(_) => "in no known state",
        };
        let back = |reversed: bool| if reversed { " and taken back" } else { "" };
        write!(f, "its hold is {}{}", word(self.hold), back(self.reversed))?;
        if self.anew.is_some() || self.anew_reversed {
            write!(f, ", the contested one {}{}", word(self.anew), back(self.anew_reversed))?;
        }
        Ok(())
    }
}

/// The intermediary account of a row's currency and what of it is this row's, minor units; `None` for rows of no such money.
#[must_use]
pub fn frozen_minor(record: &Record) -> Option<(Id, i64)> {
    if let Some(order) = record.read::<OrderRow>() {
        return Some((House::Intermediary.id(order.currency), order.frozen_minor));
    }
    let charge = record.read::<ChargeRow>()?;
    let kept = Stage::from_number(charge.state).is_some_and(Stage::holds_money);
    Some((House::Intermediary.id(charge.currency), if kept { charge.amount_minor } else { 0 }))
}

/// Reads the stream of facts.
#[derive(Debug, Default)]
pub struct Verifier {
    used: HashMap<(Id, i16, i32), Used>,
    /// Of payments by text message in any state, with their fees.
    by_sms: HashMap<(Id, i32), Used>,
    /// What rows say is on the intermediary account of each currency.
    frozen: HashMap<Id, i128>,
    outside: Outside,
    chain: Chain,
    report: Report,
}

impl Verifier {
    /// One fact, in the order that [`PaymentFact`] names.
    pub fn see(&mut self, fact: PaymentFact) {
        match fact {
            PaymentFact::Payment(case) => self.payment(&case),
            PaymentFact::StrayHold(hold) => {
                let what = format!("holds {} for no payment", hold.amount_minor);
                self.fault("I10", "hold", hold.id, None, what);
            }
            PaymentFact::StrayPair(pair) => {
                let key = &pair.key;
                let name = format!("{} {:?} {}", key.account, key.target, key.amount_minor);
                let what = "names a payment that is not there, or is of another pair";
                self.fault("I11", "pair", pair.payment, Some(name), what);
            }
            PaymentFact::Mislisted(payment) => {
                let what = "is open and not in the list of open payments, or the list has it otherwise";
                self.fault("I9", "open payment", payment, None, what);
            }
            PaymentFact::Counter(counter) => self.counter(&counter),
            PaymentFact::Record(record) => self.record(&record),
        }
    }

    /// What is frozen of orders and deposits: the intermediary account must hold it.
    fn record(&mut self, record: &Record) {
        self.chain.see(record);
        if let Some(reservation) = record.read::<ReservationRow>()
            && let Some(what) = self.outside.reservation(&reservation)
        {
            self.fault("I10", "reservation", reservation.payment, Some(reservation.reference), what);
        }
        if let Some(order) = record.read::<OrderRow>()
            && let Some(what) = order::fault(&order)
        {
            self.fault("I10", "order", order.id, Some(order.number.clone()), what);
        }
        if let Some(charge) = record.read::<ChargeRow>()
            && let Some(what) = charge::fault(&charge)
        {
            self.fault("I10", "charge", charge.id, Some(charge.number.clone()), what);
        }
        if let Some((account, minor)) = frozen_minor(record) {
            let frozen = self.frozen.entry(account).or_default();
            *frozen = frozen.saturating_add(i128::from(minor));
        }
    }

    /// What the rows seen so far say is on an intermediary account, minor units.
    #[must_use]
    pub fn frozen_on(&self, account: Id) -> i128 {
        self.frozen.get(&account).copied().unwrap_or_default()
    }

    /// An intermediary account of the books against the rows that tell of its money. Call it when all are seen.
    pub fn intermediary(&mut self, account: Id, balance_minor: i64) {
        let frozen = self.frozen_on(account);
        if i128::from(balance_minor) != frozen {
            let what = format!("holds {balance_minor}, but orders and charges come to {frozen}");
            self.fault("I10", "account", account, Some("intermediary".to_owned()), what);
        }
    }

    /// What an account provider keeps for us, by the books, against payments and reservations. Call it when all are seen.
    pub fn receivable(&mut self, account: Id, name: &str, balance_minor: i64) {
        if let Some(what) = self.outside.receivable(account, name, balance_minor) {
            self.fault("I10", "account", account, Some(name.to_owned()), what);
        }
    }

    /// Judges what is missing and joins all into the ledger's report.
    pub fn finish(mut self, report: &mut Report) {
        let mut missing: Vec<((Id, i16, i32), Used)> = self.used.drain().collect();
        missing.sort_unstable_by_key(|(key, _)| *key);
        for ((account, scope, day), used) in missing {
            let what = format!("missing, its {} payments come to {}", used.payments, used.minor);
            self.fault("I11", "counter", account, Some(format!("scope {scope} day {day}")), what);
        }
        for (payment, reference, what) in self.outside.missing() {
            self.fault("I10", "payment", payment, Some(reference), what);
        }
        self.chain.finish(&mut self.report);
        report.join(self.report);
    }

    fn fault(
        &mut self,
        invariant: &'static str,
        row: &'static str,
        id: Id,
        name: Option<String>,
        what: impl fmt::Display,
    ) {
        self.report.note(Fault { invariant, row, id, name, what: what.to_string() });
    }

    fn payment(&mut self, case: &PaymentCase) {
        let payment = &case.payment;
        self.report.payments += 1;
        let used = self
            .used
            .entry((payment.account, day_scope(&payment.product), payment.business_day))
            .or_default();
        // Refused and reversed ones gave back, to the day that had counted them (DESIGN 6.4 point 8).
        if payment.state.is_open() || payment.state == State::Delivered {
            used.minor += i128::from(payment.amount_minor);
            used.payments += 1;
        }
        if payment.channel == Channel::Sms.number() {
            let by_sms = self.by_sms.entry((payment.account, payment.business_day)).or_default();
            by_sms.minor += i128::from(payment.amount_minor) + i128::from(payment.fee_minor);
            by_sms.payments += 1;
        }
        self.outside.payment(payment);
        self.money(case);
        self.equals(payment, case.pair.as_ref());
        for (invariant, what) in history::faults(case) {
            self.fault(invariant, "payment", payment.id, Some(payment.reference.clone()), what);
        }
    }

    /// I10.
    fn money(&mut self, case: &PaymentCase) {
        let payment = &case.payment;
        let mut wrong = |what: String| {
            let name = Some(payment.reference.clone());
            self.report.note(Fault { invariant: "I10", row: "payment", id: payment.id, name, what });
        };
        let (own, anew) = (ids::hold(payment.id), posting::contest_hold(payment.id));
        if payment.hold != own {
            wrong(format!("names the hold {}, which is not its own", payment.hold));
        }
        for hold in &case.holds {
            if hold.id != own && hold.id != anew {
                wrong(format!("has the hold {} besides its own", hold.id));
                continue;
            }
            let total = i128::from(payment.amount_minor) + i128::from(payment.fee_minor);
            if hold.account != posting::source(payment) {
                wrong(format!("its hold is on the account {}", hold.account));
            }
            if i128::from(hold.amount_minor) != total {
                wrong(format!("costs {total} with its fee, {} is held", hold.amount_minor));
            }
            let kept = hold.expires_at.is_none() || payment.state == State::Authorised;
            if hold.state == hold_state::PENDING && payment.state.is_open() && !kept {
                wrong("its hold may expire, though a request may have left".to_owned());
            }
        }
        let state = |id: Id| case.holds.iter().find(|hold: &&HoldRow| hold.id == id).map(|hold| hold.state);
        let reversed = |id: Id| {
            let done = case.transfers.iter().filter(|t| t.act == act::REVERSE && t.outcome == 0);
            done.into_iter().any(|t| t.refers_to == Some(id))
        };
        let standing = Standing {
            hold: state(own),
            reversed: reversed(ids::post(payment.id)),
            anew: state(anew),
            anew_reversed: reversed(posting::contest_post(payment.id)),
        };
        if !standing.fits(payment) {
            let class = payment.class.as_deref().map(|class| format!(" ({class})")).unwrap_or_default();
            wrong(format!("is {:?}{class}, but {standing}", payment.state));
        }
    }

    /// I11: the row that keeps equal payments apart.
    fn equals(&mut self, payment: &PaymentRow, row: Option<&PairRow>) {
        let mut wrong = |what: String| {
            let name = Some(payment.reference.clone());
            self.report.note(Fault { invariant: "I11", row: "pair", id: payment.id, name, what });
        };
        let Some(row) = row else {
            wrong("missing, equal payments are not kept apart".to_owned());
            return;
        };
        if row.payment != payment.id {
            // A later equal payment took the row; only a contested one opens again after that.
            if payment.state.is_open() && payment.class.as_deref() != Some(CONTESTED) {
                wrong(format!("names {}, but this payment is {:?}", row.payment, payment.state));
            }
            return;
        }
        let was_delivered = row.state == pair::DELIVERED && row.delivered_at > 0;
        let fits = match payment.state {
            State::Created => false,
            State::Authorised
            | State::Submitting
            | State::Submitted
            | State::Unknown
            | State::NeedsReview => row.state == pair::OPEN,
            State::Delivered => was_delivered,
            // Before a refused one an equal one may have been delivered.
            State::Refused => row.state == pair::NONE || was_delivered,
            State::Reversed => row.state == pair::NONE,
        };
        if !fits {
            let at = row.delivered_at;
            wrong(format!("has state {} (delivered at {at}), its payment is {:?}", row.state, payment.state));
        }
    }

    /// I11: a counter against the sum over payments, all of which came before.
    fn counter(&mut self, row: &CounterRow) {
        let key = &row.key;
        let known = matches!(key.scope, ACCOUNT_DAY | WITHOUT_PIN | BILL_DAY | ORDER_DAY | DEPOSIT_DAY);
        let Some(account) = Id::parse(&key.owner).filter(|_| known) else {
            // The owner of another scope may be a phone number: it is not told whole.
            let tail: String =
                key.owner.chars().rev().take(2).collect::<Vec<_>>().into_iter().rev().collect();
            let name = format!("scope {} owner …{tail} day {}", key.scope, key.day);
            self.fault("I11", "counter", Id([0; 16]), Some(name), "counts nothing that is known");
            return;
        };
        let name = Some(format!("scope {} day {}", key.scope, key.day));
        if key.scope == WITHOUT_PIN {
            // Which payments had no PIN is not stored: all those by text message are as much as it can come to.
            let most = self.by_sms.get(&(account, key.day)).copied().unwrap_or_default();
            if i128::from(row.used_minor) > most.minor || row.payments > most.payments {
                let (minor, payments) = (row.used_minor, row.payments);
                let what = format!(
                    "says {payments} payments of {minor} without a PIN, by text message there are {} of {}",
                    most.payments, most.minor
                );
                self.fault("I11", "counter", account, name, what);
            }
            return;
        }
        match self.used.remove(&(account, key.scope, key.day)) {
            None => self.fault("I11", "counter", account, name, "is of no payment"),
            Some(used) if (used.minor, used.payments) != (i128::from(row.used_minor), row.payments) => {
                let what = format!(
                    "says {} payments of {}, there are {} of {}",
                    row.payments, row.used_minor, used.payments, used.minor
                );
                self.fault("I11", "counter", account, name, what);
            }
            Some(_) => {}
        }
    }
}
