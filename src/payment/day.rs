//! What proves a closed day, and the reading of that proof. Pure.
//!
//! A day ends at a midnight of the market, and every sum of its close is of that moment, whenever the close happens and
//! whatever is paid meanwhile: so anybody can compute it again from the entries. The trust account of the day is what its
//! entries before midnight come to, with the sweeps of all days before; the day's own sweep makes it equal to what customers,
//! merchants and the intermediary account had. A hash over every command of the day, chained to the day before, seals it.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use sha2::Digest;

use crate::ledger::chart::House;
use crate::ledger::row::{Fact, Id, Kind, TransferRow};
use crate::ledger::verify::{Fault, Report};
use crate::payment::row::day::DayProofRow;

/// The hash before the first day.
pub const NOTHING: [u8; 32] = [0; 32];
/// The most days that one statement covers: more than a year.
pub const COVERED_MAX: i32 = 400;
/// Under which letter faults of the trust account are told: it is no invariant of a single commit, but of each close.
pub const TRUST: &str = "TRUST";

/// What the close of a day wants of the statements of those who were asked for something on it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Statements {
    /// Nothing.
    Ignore,
    /// Whose was not read is named, and the day is closed.
    #[default]
    Warn,
    /// The day is not closed, but by two persons.
    Refuse,
}

impl Statements {
    /// Of its name in the configuration.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ignore" => Some(Self::Ignore),
            "warn" => Some(Self::Warn),
            "refuse" => Some(Self::Refuse),
            _ => None,
        }
    }
}

/// The days that lie wholly in a time, microseconds: from, and up to but without; [`COVERED_MAX`] at most, the first ones.
#[must_use]
pub fn whole_days(covers: (i64, i64), zone: &TimeZone) -> Vec<i32> {
    let (from, until) = covers;
    let first = crate::clock::Timestamp(from).business_day(zone);
    let starts_at = |day: i32| day.checked_sub(1).and_then(|before| midnight_after(before, zone));
    (0..COVERED_MAX)
        .map_while(|n| first.checked_add(n))
        .skip_while(|day| starts_at(*day).is_none_or(|start| start < from))
        .take_while(|day| midnight_after(*day, zone).is_some_and(|end| end <= until))
        .collect()
}

/// Whether money on accounts of this kind is not the house's own: the trust account must equal it.
#[must_use]
pub const fn is_owed(kind: Kind) -> bool {
    matches!(kind, Kind::Customer | Kind::Merchant | Kind::Intermediary)
}

/// Where a business day ends, microseconds; `None` beyond the calendar.
#[must_use]
pub fn midnight_after(day: i32, zone: &TimeZone) -> Option<i64> {
    let first = jiff::civil::date(1970, 1, 1);
    let next = first.checked_add(jiff::Span::new().try_days(i64::from(day).checked_add(1)?).ok()?).ok()?;
    Some(next.to_zoned(zone.clone()).ok()?.timestamp().as_microsecond())
}

/// The date of a day, such as 2026-05-03.
#[must_use]
pub fn date(day: i32) -> String {
    let first = jiff::civil::date(1970, 1, 1);
    let span = jiff::Span::new().try_days(i64::from(day));
    span.and_then(|span| first.checked_add(span))
        .map_or_else(|_| format!("day {day}"), |date| date.to_string())
}

/// Makes the hash of a day: the row's figures, then every command in the order of time and id.
#[derive(Clone, Debug)]
pub struct Seal {
    hash: sha2::Sha256,
    transfers: i64,
}

impl Seal {
    /// Begins with the figures of `row`, whose count and hash are not looked at.
    #[must_use]
    pub fn new(row: &DayProofRow) -> Self {
        let mut hash = sha2::Sha256::new();
        hash.update(b"keytone.day.1");
        hash.update(row.day.to_be_bytes());
        for number in [row.from_at, row.until_at, row.owed_minor, row.trust_minor] {
            hash.update(number.to_be_bytes());
        }
        hash.update(row.currency.code().as_bytes());
        some(&mut hash, row.sweep);
        hash.update(&row.previous);
        Self { hash, transfers: 0 }
    }

    /// Takes a command in.
    pub fn add(&mut self, row: &TransferRow) {
        self.transfers = self.transfers.saturating_add(1);
        self.hash.update(row.id.0);
        self.hash.update(row.act.to_be_bytes());
        self.hash.update(row.fingerprint);
        self.hash.update(row.outcome.to_be_bytes());
        self.hash.update(row.outcome_minor.to_be_bytes());
        some(&mut self.hash, row.refers_to);
        some(&mut self.hash, row.payment);
        self.hash.update(row.at.to_be_bytes());
    }

    /// How many commands there were, and the hash.
    #[must_use]
    pub fn finish(self) -> (i64, Vec<u8>) {
        (self.transfers, self.hash.finalize().to_vec())
    }
}

fn some(hash: &mut sha2::Sha256, id: Option<Id>) {
    hash.update([u8::from(id.is_some())]);
    hash.update(id.map_or([0; 16], |id| id.0));
}

/// What the entries of one day come to, minor units.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    owed: i128,
    /// Entries of the trust account but for sweeps.
    trust: i128,
    /// The day's own sweep, as an entry of the trust account.
    sweep: i128,
}

/// Proves closed days from the rows of the books.
#[derive(Debug)]
pub struct Verifier {
    proofs: Vec<DayProofRow>,
    tallies: Vec<Tally>,
    sweeps: BTreeMap<Id, usize>,
    /// Accounts of which nothing is owed to others.
    own: HashSet<Id>,
    trust: Option<Id>,
    /// The seal of the day whose commands are being shown.
    seal: Option<(usize, Seal)>,
    sealed: Vec<Option<(i64, Vec<u8>)>>,
}

impl Verifier {
    /// Proves these days, given in their order.
    #[must_use]
    pub fn new(proofs: Vec<DayProofRow>) -> Self {
        let sweeps = proofs.iter().enumerate().filter_map(|(n, proof)| Some((proof.sweep?, n))).collect();
        let trust = proofs.last().map(|proof| House::Trust.id(proof.currency));
        Self {
            tallies: vec![Tally::default(); proofs.len()],
            sealed: vec![None; proofs.len()],
            own: HashSet::new(),
            seal: None,
            sweeps,
            trust,
            proofs,
        }
    }

    /// Where the last closed day ends: commands before it must be shown to [`Verifier::command`]. `None` without closed days.
    #[must_use]
    pub fn until(&self) -> Option<i64> {
        self.proofs.last().map(|proof| proof.until_at)
    }

    fn day_of(&self, at: i64) -> usize {
        self.proofs.partition_point(|proof| proof.until_at <= at)
    }

    /// A fact of the books, in the order that [`Fact`] names.
    pub fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::Account(account) => {
                let currency = self.proofs.last().map(|proof| proof.currency);
                if !is_owed(account.kind) || Some(account.currency) != currency {
                    self.own.insert(account.id);
                }
            }
            Fact::Case(case) => {
                let sweep = self.sweeps.get(&case.transfer.id).copied();
                let day = self.day_of(case.transfer.at);
                for entry in &case.entries {
                    let minor = i128::from(entry.amount_minor);
                    let trust = Some(entry.account) == self.trust;
                    let day = if trust { sweep.unwrap_or(day) } else { day };
                    let Some(tally) = self.tallies.get_mut(day) else { continue };
                    match (trust, sweep) {
                        (true, Some(_)) => tally.sweep += minor,
                        (true, None) => tally.trust += minor,
                        (false, _) if !self.own.contains(&entry.account) => tally.owed += minor,
                        (false, _) => {}
                    }
                }
            }
            Fact::Chain(_) | Fact::Pending(_) | Fact::Orphan { .. } => {}
        }
    }

    /// A command of closed days, in the order of time and id.
    pub fn command(&mut self, row: &TransferRow) {
        let day = self.day_of(row.at);
        if self.seal.as_ref().is_none_or(|(sealing, _)| *sealing != day) {
            self.end_seal();
            self.seal = self.proofs.get(day).map(|proof| (day, Seal::new(proof)));
        }
        if let Some((_, seal)) = &mut self.seal {
            seal.add(row);
        }
    }

    fn end_seal(&mut self) {
        if let Some((day, seal)) = self.seal.take()
            && let Some(sealed) = self.sealed.get_mut(day)
        {
            *sealed = Some(seal.finish());
        }
    }

    /// Adds every fault to `report`.
    pub fn finish(mut self, report: &mut Report) {
        self.end_seal();
        let (mut owed, mut trust) = (0_i128, 0_i128);
        let (mut previous, mut until) = (NOTHING.to_vec(), 0_i64);
        for ((proof, tally), sealed) in self.proofs.iter().zip(&self.tallies).zip(self.sealed) {
            owed += tally.owed;
            trust -= tally.trust;
            let mut wrong =
                |invariant: &'static str, what: String| report.note(fault(proof, invariant, what));
            if i128::from(proof.owed_minor) != owed {
                let said = proof.owed_minor;
                wrong(TRUST, format!("says that {said} was owed, the entries come to {owed}"));
            }
            if i128::from(proof.trust_minor) != trust {
                let said = proof.trust_minor;
                wrong(TRUST, format!("says that the trust account had {said}, its entries come to {trust}"));
            }
            trust -= tally.sweep;
            if trust != owed {
                wrong(TRUST, format!("closed with {trust} on the trust account, {owed} was owed"));
            }
            if proof.previous != previous || proof.from_at != until {
                wrong("I12", "does not follow the closed day before it as that now stands".to_owned());
            }
            let (transfers, hash) = sealed.unwrap_or_else(|| Seal::new(proof).finish());
            if proof.transfers != transfers {
                let said = proof.transfers;
                wrong("I12", format!("counts {said} commands, there are {transfers}"));
            } else if proof.hash != hash {
                wrong("I12", "was changed, or a command of it was: its hash is another".to_owned());
            }
            previous.clone_from(&proof.hash);
            until = proof.until_at;
        }
    }
}

fn fault(proof: &DayProofRow, invariant: &'static str, what: String) -> Fault {
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().rev().zip(proof.day.to_be_bytes().iter().rev()) {
        *to = *from;
    }
    Fault { invariant, row: "day", id: Id(bytes), name: Some(date(proof.day)), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::chart::customer;
    use crate::ledger::row::{Case, EntryRow};
    use crate::money::Currency;

    #[test]
    fn only_whole_days_are_covered() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let at = |day: i32| midnight_after(day - 1, &zone).unwrap();
        for (from, until, days) in [
            (at(100), at(101), vec![100]),
            (at(100), at(103), vec![100, 101, 102]),
            (at(100) + 1, at(102), vec![101]),
            (at(100), at(102) - 1, vec![100]),
            (at(100) + 1, at(101), vec![]),
            (at(100), at(100), vec![]),
            (at(101), at(100), vec![]),
        ] {
            assert_eq!(whole_days((from, until), &zone), days, "{from} to {until}");
        }
        assert_eq!(whole_days((at(100), i64::MAX), &zone).len(), usize::try_from(COVERED_MAX).unwrap());
    }

    fn cny() -> Currency {
        Currency::new("CNY").unwrap()
    }

    const DAY: i64 = 100;

    fn moved(n: u8, at: i64, legs: &[(Id, i64)]) -> Case {
        let transfer = TransferRow {
            id: Id([n; 16]),
            act: 1,
            fingerprint: [n; 32],
            outcome: 0,
            outcome_minor: 0,
            refers_to: None,
            payment: None,
            at,
        };
        let entries = legs.iter().map(|(account, amount_minor)| EntryRow {
            account: *account,
            sequence: 1,
            transfer: transfer.id,
            amount_minor: *amount_minor,
            balance_after_minor: 0,
            previous: None,
        });
        Case { entries: entries.collect(), transfer, hold: None, referring: Vec::new() }
    }

    fn cases() -> Vec<Case> {
        let (trust, bank, fee, me) =
            (House::Trust.id(cny()), House::Bank.id(cny()), House::Fee.id(cny()), Id([77; 16]));
        vec![
            moved(1, 10, &[(trust, -500), (me, 500)]),
            moved(2, 20, &[(me, -30), (fee, 30)]),
            // The sweep of the first day happens in the second.
            moved(3, 110, &[(trust, 30), (bank, -30)]),
            moved(4, 120, &[(me, -70), (fee, 70)]),
            moved(5, 250, &[(trust, 70), (bank, -70)]),
        ]
    }

    fn proofs() -> Vec<DayProofRow> {
        let mut previous = NOTHING.to_vec();
        let days = [(1, 0, 470, 500, 3_u8, 0..2), (2, 100, 400, 470, 5, 2..4)];
        let mut rows = Vec::new();
        for (day, from_at, owed_minor, trust_minor, sweep, commands) in days {
            let mut row = DayProofRow {
                day,
                from_at,
                until_at: from_at + DAY,
                currency: cny(),
                owed_minor,
                trust_minor,
                sweep: Some(Id([sweep; 16])),
                transfers: 0,
                previous: previous.clone(),
                hash: Vec::new(),
            };
            let mut seal = Seal::new(&row);
            cases()[commands].iter().for_each(|case| seal.add(&case.transfer));
            (row.transfers, row.hash) = seal.finish();
            previous.clone_from(&row.hash);
            rows.push(row);
        }
        rows
    }

    fn faults(proofs: Vec<DayProofRow>, cases: &[Case]) -> Vec<String> {
        let mut verifier = Verifier::new(proofs);
        let until = verifier.until().unwrap();
        for house in [House::Trust, House::Bank, House::Fee] {
            verifier.see(&Fact::Account(house.row(cny(), 0)));
        }
        verifier.see(&Fact::Account(customer(Id([77; 16]), cny(), 0)));
        cases.iter().for_each(|case| verifier.see(&Fact::Case(case.clone())));
        cases.iter().filter(|c| c.transfer.at < until).for_each(|c| verifier.command(&c.transfer));
        let mut report = Report::default();
        verifier.finish(&mut report);
        report.faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn closed_days_are_proved_and_any_change_of_them_is_named() {
        assert_eq!(faults(proofs(), &cases()), Vec::<String>::new());
        let with = |change: &dyn Fn(&mut Vec<DayProofRow>, &mut Vec<Case>)| {
            let (mut proofs, mut cases) = (proofs(), cases());
            change(&mut proofs, &mut cases);
            faults(proofs, &cases).join("\n")
        };
        let said = with(&|proofs, _| proofs[0].owed_minor += 1);
        assert!(said.contains("TRUST day") && said.contains("1970-01-02") && said.contains("471"), "{said}");
        assert!(said.contains("I12"), "the figures are sealed too: {said}");
        assert!(with(&|proofs, _| proofs[1].trust_minor -= 1).contains("had 469"));
        assert!(with(&|_, cases| cases[2].entries[0].amount_minor = 29).contains("closed with"));
        assert!(with(&|_, cases| cases[1].transfer.at = 21).contains("its hash is another"));
        assert!(with(&|_, cases| cases[1].transfer.at = 130).contains("counts 2 commands, there are 1"));
        assert!(with(&|proofs, _| proofs[1].previous = vec![1; 32]).contains("does not follow"));
        assert!(with(&|proofs, _| proofs[0].hash = vec![1; 32]).contains("1970-01-03: does not follow"));
        assert!(
            with(&|proofs, _| {
                proofs.remove(0);
            })
            .contains("does not follow")
        );
    }

    #[test]
    fn a_day_ends_at_its_markets_midnight() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        // The end of 1970-01-01 there is 16:00 in UTC.
        assert_eq!(midnight_after(0, &shanghai), Some(16 * 3_600_000_000));
        assert_eq!(midnight_after(0, &TimeZone::UTC), Some(86_400_000_000));
        assert_eq!(midnight_after(i32::MAX, &TimeZone::UTC), None);
        assert_eq!(date(20_576), "2026-05-03");
    }
}
