//! Proves the books from stored rows alone: invariants I1 to I7, naming each row that is wrong.
//!
//! The rows stream in (see [`Fact`]); only accounts are kept. Nothing here repairs anything.
//!
//! - I1 the entries of a transfer sum to zero in each currency;
//! - I2 an account's balance is the sum of its entries, and their chain has no gap;
//! - I3 all accounts of a currency sum to zero;
//! - I4 what is available is not below the floor, at any entry, unless the floor was raised later;
//! - I5 a hold ends once, by a posting of at most what was held, by a void or by its expiry; what an account holds is the
//!   sum of its pending holds;
//! - I6 every entry, hold and reversal has its transfer, and reversals do not exceed the original;
//! - I7 the fingerprint of a done command is that of its rows, and a refused one moved nothing.

use std::collections::HashMap;
use std::fmt;

use crate::ledger::apply::hold_state;
use crate::ledger::command::{Leg, Refusal, act, fingerprint};
use crate::ledger::row::{AccountRow, Case, EntryRow, Fact, HoldRow, Id, TransferRow};
use crate::money::Currency;

/// Faults that are listed; further ones are counted.
pub const FAULTS_MAX: usize = 1000;

/// A row that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Fault {
    /// "I1" to "I7"; "I8" to "I11" of payments, "I12" of hash chains, "TRUST" of closed days.
    pub invariant: &'static str,
    /// "account", "entry", "hold" or "transfer"; "payment", "pair" or "counter"; "audit" or "day".
    pub row: &'static str,
    /// Its id: of an entry and a counter the account's, of a pair the payment's.
    pub id: Id,
    /// What else names it: a payment's reference, a counter's day.
    pub name: Option<String>,
    /// What is wrong, with the figures.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.invariant, self.row, self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What was seen and what was wrong.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// Accounts seen.
    pub accounts: u64,
    /// Answered commands seen.
    pub transfers: u64,
    /// Entries seen.
    pub entries: u64,
    /// Holds seen.
    pub holds: u64,
    /// Payments seen.
    pub payments: u64,
    /// At most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// Faults in all.
    pub fault_count: u64,
}

impl Report {
    /// Whether every invariant holds.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.fault_count == 0
    }

    /// Takes a fault in; beyond [`FAULTS_MAX`] it is counted only.
    pub fn note(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }

    /// Adds what another reader of the same rows saw.
    pub fn join(&mut self, other: Self) {
        self.accounts += other.accounts;
        self.transfers += other.transfers;
        self.entries += other.entries;
        self.holds += other.holds;
        self.payments += other.payments;
        self.fault_count += other.fault_count;
        let room = FAULTS_MAX.saturating_sub(self.faults.len());
        self.faults.extend(other.faults.into_iter().take(room));
    }

    fn fault(&mut self, invariant: &'static str, row: &'static str, id: Id, what: impl fmt::Display) {
        self.note(Fault { invariant, row, id, name: None, what: what.to_string() });
    }
}

/// What the chain of an account has come to.
#[derive(Debug)]
struct Tally {
    row: AccountRow,
    entries: i64,
    last: Option<Id>,
    balance: i128,
    held: i128,
}

/// Reads the stream of facts.
#[derive(Debug, Default)]
pub struct Verifier {
    accounts: HashMap<Id, Tally>,
    report: Report,
    chained: u64,
}

impl Verifier {
    /// One fact, in the order that [`Fact`] names.
    pub fn see(&mut self, fact: Fact) {
        match fact {
            Fact::Account(row) => {
                self.report.accounts += 1;
                self.accounts.insert(row.id, Tally { row, entries: 0, last: None, balance: 0, held: 0 });
            }
            Fact::Chain(entry) => self.chain(&entry),
            Fact::Pending(hold) => self.pending(&hold),
            Fact::Case(case) => self.case(&case),
            Fact::Orphan { table, id } => {
                self.report.fault("I6", "transfer", id, format_args!("missing, a row of {table} needs it"));
            }
        }
    }

    /// Judges the accounts as wholes and gives the report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let mut sums: HashMap<(Currency, bool), (i128, Id)> = HashMap::new();
        let mut tallies: Vec<Tally> = self.accounts.into_values().collect();
        tallies.sort_unstable_by_key(|tally| tally.row.id);
        for tally in &tallies {
            let row = &tally.row;
            sums.entry((row.currency, row.kind.is_test())).or_insert((0, row.id)).0 +=
                i128::from(row.balance_minor);
            if i128::from(row.balance_minor) != tally.balance {
                let what = format!("balance is {}, its entries sum to {}", row.balance_minor, tally.balance);
                self.report.fault("I2", "account", row.id, what);
            }
            if row.entries != tally.entries {
                let what = format!("counts {} entries, has {}", row.entries, tally.entries);
                self.report.fault("I2", "account", row.id, what);
            }
            if row.last_transfer != tally.last {
                self.report.fault("I2", "account", row.id, "its latest entry is not the end of its chain");
            }
            if i128::from(row.held_minor) != tally.held {
                let what = format!("holds {}, its pending holds sum to {}", row.held_minor, tally.held);
                self.report.fault("I5", "account", row.id, what);
            }
            let free = i128::from(row.balance_minor) - i128::from(row.held_minor);
            if row.floor_minor.is_some_and(|floor| free < i128::from(floor)) {
                let what = format!("{free} is available, below its floor");
                self.report.fault("I4", "account", row.id, what);
            }
        }
        for ((currency, test), (sum, id)) in sums {
            if sum != 0 {
                let book = if test { " of the test book" } else { "" };
                let what = format!("first of the accounts in {currency}{book}, which sum to {sum}");
                self.report.fault("I3", "account", id, what);
            }
        }
        if self.chained != self.report.entries {
            let what = format!("{} entries in chains, {} in transfers", self.chained, self.report.entries);
            self.report.fault("I6", "entry", Id([0; 16]), what);
        }
        self.report
    }

    fn chain(&mut self, entry: &EntryRow) {
        self.chained += 1;
        let Some(tally) = self.accounts.get_mut(&entry.account) else {
            self.report.fault("I2", "entry", entry.account, "its account does not exist");
            return;
        };
        tally.entries += 1;
        let expected = tally.entries;
        if entry.sequence != expected {
            let what = format!("sequence {} follows {}", entry.sequence, expected - 1);
            self.report.fault("I2", "entry", entry.account, what);
            tally.entries = entry.sequence;
        }
        if entry.previous != tally.last {
            let what = format!("sequence {} is not linked to the one before", entry.sequence);
            self.report.fault("I2", "entry", entry.account, what);
        }
        tally.last = Some(entry.transfer);
        tally.balance += i128::from(entry.amount_minor);
        if i128::from(entry.balance_after_minor) != tally.balance {
            let what = format!(
                "sequence {} says balance {}, the sum is {}",
                entry.sequence, entry.balance_after_minor, tally.balance
            );
            self.report.fault("I2", "entry", entry.account, what);
        }
        let floor = tally.row.floor_minor;
        if entry.amount_minor < 0 && floor.is_some_and(|floor| tally.balance < i128::from(floor)) {
            let what = format!("sequence {} takes the balance to {}", entry.sequence, tally.balance);
            self.report.fault("I4", "entry", entry.account, what);
        }
    }

    fn pending(&mut self, hold: &HoldRow) {
        match self.accounts.get_mut(&hold.account) {
            Some(tally) => tally.held += i128::from(hold.amount_minor),
            None => self.report.fault("I5", "hold", hold.id, "its account does not exist"),
        }
    }

    fn case(&mut self, case: &Case) {
        let transfer = &case.transfer;
        self.report.transfers += 1;
        self.report.entries += case.entries.len() as u64;
        self.balanced(transfer.id, &case.entries);
        let moves = matches!(transfer.act, act::TRANSFER | act::POST | act::REVERSE);
        match (transfer.outcome, moves, case.entries.is_empty()) {
            (0, true, true) => self.report.fault("I6", "transfer", transfer.id, "its entries are gone"),
            (0, false, false) => {
                self.report.fault("I7", "transfer", transfer.id, "moved money, which its act does not");
            }
            (outcome, _, false) if outcome != 0 => {
                self.report.fault("I7", "transfer", transfer.id, "was refused and moved money");
            }
            _ => {}
        }
        self.answer(case);
        self.hold(case);
        self.reversals(case);
    }

    fn balanced(&mut self, transfer: Id, entries: &[EntryRow]) {
        let mut sums: Vec<(Option<(Currency, bool)>, i128)> = Vec::new();
        for entry in entries {
            let row = self.accounts.get(&entry.account).map(|tally| &tally.row);
            let book = row.map(|row| (row.currency, row.kind.is_test()));
            match sums.iter_mut().find(|(known, _)| *known == book) {
                Some((_, sum)) => *sum += i128::from(entry.amount_minor),
                None => sums.push((book, i128::from(entry.amount_minor))),
            }
        }
        for (_, sum) in sums.iter().filter(|(_, sum)| *sum != 0) {
            self.report.fault("I1", "transfer", transfer, format_args!("its entries sum to {sum}"));
        }
    }

    /// I7: what the rows say was done is what was asked.
    fn answer(&mut self, case: &Case) {
        let transfer = &case.transfer;
        if !(act::TRANSFER..=act::REVERSE).contains(&transfer.act) {
            self.report.fault("I7", "transfer", transfer.id, format_args!("has act {}", transfer.act));
        }
        if transfer.outcome != 0 {
            if Refusal::from_stored(transfer.outcome, transfer.outcome_minor).is_none() {
                let what = format!("has outcome {}", transfer.outcome);
                self.report.fault("I7", "transfer", transfer.id, what);
            }
            return;
        }
        let held = case.hold.as_ref().and_then(|hold| {
            let currency = self.accounts.get(&hold.account)?.row.currency;
            (transfer.act == act::HOLD).then_some((hold.account, hold.amount_minor, currency))
        });
        let legs: Vec<Leg> = case.entries.iter().map(|e| Leg::new(e.account, e.amount_minor)).collect();
        let made = fingerprint(transfer.act, transfer.payment, transfer.refers_to, held, &legs);
        if made != transfer.fingerprint {
            self.report.fault("I7", "transfer", transfer.id, "its rows are not what was asked");
        }
    }

    /// I5: how the hold that this command placed ended.
    fn hold(&mut self, case: &Case) {
        let placed = case.transfer.act == act::HOLD && case.transfer.outcome == 0;
        let Some(hold) = &case.hold else {
            if placed {
                self.report.fault("I5", "hold", case.transfer.id, "is gone");
            }
            return;
        };
        self.report.holds += 1;
        if !placed {
            self.report.fault("I5", "hold", hold.id, "was never placed");
        }
        let ends: Vec<&(TransferRow, Vec<EntryRow>)> = case
            .referring
            .iter()
            .filter(|(t, _)| t.outcome == 0 && matches!(t.act, act::POST | act::VOID | act::EXPIRE))
            .collect();
        let said = (hold.state, hold.resolved_by);
        match ends.as_slice() {
            [] if said == (hold_state::PENDING, None) => {}
            [] => self.report.fault("I5", "hold", hold.id, format_args!("state {} without an end", said.0)),
            [(end, entries)] => {
                let state = match end.act {
                    act::POST => hold_state::POSTED,
                    act::VOID => hold_state::VOIDED,
                    _ => hold_state::EXPIRED,
                };
                if said != (state, Some(end.id)) {
                    let what = format!("state {}, but {} ended it with state {state}", said.0, end.id);
                    self.report.fault("I5", "hold", hold.id, what);
                }
                if end.act == act::POST {
                    self.posting(hold, entries);
                }
            }
            more => {
                self.report.fault("I5", "hold", hold.id, format_args!("was ended {} times", more.len()));
            }
        }
    }

    fn posting(&mut self, hold: &HoldRow, entries: &[EntryRow]) {
        let own = entries.iter().filter(|entry| entry.account == hold.account);
        let debit: i128 = own.map(|entry| -i128::from(entry.amount_minor)).sum();
        if !(1..=i128::from(hold.amount_minor)).contains(&debit) {
            let what = format!("held {}, posted {debit}", hold.amount_minor);
            self.report.fault("I5", "hold", hold.id, what);
        }
    }

    /// I6: all reversals of this transfer together.
    fn reversals(&mut self, case: &Case) {
        let transfer = &case.transfer;
        let done = case.referring.iter().filter(|(t, _)| t.act == act::REVERSE && t.outcome == 0);
        let mut reversed: HashMap<Id, i128> = HashMap::new();
        for (_, entries) in done {
            for entry in entries {
                *reversed.entry(entry.account).or_default() += i128::from(entry.amount_minor);
            }
        }
        for (account, sum) in reversed {
            let own = case.entries.iter().filter(|entry| entry.account == account);
            let original: i128 = own.map(|entry| i128::from(entry.amount_minor)).sum();
            let against = (sum > 0) != (original > 0);
            if !against || sum.abs() > original.abs() {
                let what = format!("moved {original} on account {account}, {sum} was reversed");
                self.report.fault("I6", "transfer", transfer.id, what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stray(sequence: i64) -> Fact {
        let (account, transfer) = (Id([1; 16]), Id([2; 16]));
        Fact::Chain(EntryRow {
            account,
            sequence,
            transfer,
            amount_minor: 1,
            balance_after_minor: sequence,
            previous: None,
        })
    }

    #[test]
    fn nothing_is_sound() {
        assert!(Verifier::default().finish().is_sound());
    }

    #[test]
    fn faults_beyond_the_limit_are_counted_only() {
        let mut verifier = Verifier::default();
        for sequence in 1..=i64::try_from(FAULTS_MAX).unwrap() + 5 {
            verifier.see(stray(sequence));
        }
        let report = verifier.finish();
        assert_eq!(report.faults.len(), FAULTS_MAX);
        // One more since the chains have entries that no transfer has.
        assert_eq!(report.fault_count, FAULTS_MAX as u64 + 6);
        assert_eq!(
            report.faults[0].to_string(),
            format!("I2 entry {}: its account does not exist", Id([1; 16]))
        );
    }
}
