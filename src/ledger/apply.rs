//! The rules of the ledger: a batch of commands over a working set of rows, in memory.
//!
//! `Books` is filled with the rows that the commands touch, judges one command after the other, and ends as the rows to
//! write. A refusal changes nothing but its own stored row; a run of commands can be taken back whole. No clock, no
//! database: the batch has one time, given at the start. A state that these rules cannot produce is [`Broken`], and
//! whoever drives the books must then stop before anything is written.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::ledger::command::{Act, Command, LEGS_MAX, Leg, Refusal, act};
use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::money::Currency;

/// The stored numbers of a hold's state.
pub mod hold_state {
    /// Reserved.
    pub const PENDING: i16 = 0;
    /// Moved, whole or in part.
    pub const POSTED: i16 = 1;
    /// Freed.
    pub const VOIDED: i16 = 2;
    /// Freed by time.
    pub const EXPIRED: i16 = 3;
}

/// The answer to a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Done, or why not.
    pub result: Result<(), Refusal>,
    /// Whether this command was answered before and this is that answer.
    pub repeated: bool,
}

/// The rows contradict each other, or a row was not loaded that had to be: nothing may be written any more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the ledger is broken: {0}")]
pub struct Broken(pub String);

/// What a batch writes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Accounts opened, as they stand at the end.
    pub opened: Vec<AccountRow>,
    /// Accounts whose totals changed, as they stand at the end.
    pub accounts: Vec<AccountRow>,
    /// New transfers, in order.
    pub transfers: Vec<TransferRow>,
    /// New entries, in order.
    pub entries: Vec<EntryRow>,
    /// New holds, as they stand at the end.
    pub placed: Vec<HoldRow>,
    /// Holds that changed, as they stand at the end.
    pub holds: Vec<HoldRow>,
}

#[derive(Debug)]
struct AccountSlot {
    row: AccountRow,
    opened: bool,
    dirty: bool,
}

#[derive(Debug)]
struct HoldSlot {
    row: HoldRow,
    placed: bool,
    dirty: bool,
}

/// What can be reversed of one account in one transfer.
#[derive(Clone, Copy, Debug)]
struct Reversible {
    account: Id,
    original_minor: i64,
    reversed_minor: i64,
}

#[derive(Debug)]
enum Undo {
    Totals { account: Id, balance_minor: i64, held_minor: i64, entries: i64 },
    Opened(Id),
    Transfer(Id),
    Hold { id: Id, before: Option<HoldRow> },
    Reversed { transfer: Id, account: Id, reversed_minor: i64 },
    Reversible(Id),
}

/// A point to which [`Books::rollback`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    undo: usize,
    transfers: usize,
    entries: usize,
}

/// The working set of a batch. `None` in a map means: looked for, and not there.
#[derive(Debug)]
pub struct Books {
    at: i64,
    accounts: HashMap<Id, Option<AccountSlot>>,
    transfers: HashMap<Id, Option<TransferRow>>,
    holds: HashMap<Id, Option<HoldSlot>>,
    reversible: HashMap<Id, Vec<Reversible>>,
    /// Pending holds with an expiry, soonest first.
    expiring: BTreeSet<(i64, Id)>,
    new_transfers: Vec<TransferRow>,
    new_entries: Vec<EntryRow>,
    undo: Vec<Undo>,
}

/// Judges one command and does it, or leaves everything as it was.
///
/// # Errors
/// [`Broken`] when the rows contradict each other.
pub fn apply(books: &mut Books, command: &Command) -> Result<Answer, Broken> {
    books.apply(command)
}

fn broken<T>(what: impl std::fmt::Display) -> Result<T, Broken> {
    Err(Broken(what.to_string()))
}

impl Books {
    /// Empty books whose batch commits at `at`, microseconds.
    #[must_use]
    pub fn new(at: i64) -> Self {
        Self {
            at,
            accounts: HashMap::new(),
            transfers: HashMap::new(),
            holds: HashMap::new(),
            reversible: HashMap::new(),
            expiring: BTreeSet::new(),
            new_transfers: Vec::new(),
            new_entries: Vec::new(),
            undo: Vec::new(),
        }
    }

    /// The time of the batch, microseconds.
    #[must_use]
    pub const fn at(&self) -> i64 {
        self.at
    }

    /// Takes an account in, or the knowledge that there is none.
    pub fn load_account(&mut self, id: Id, row: Option<AccountRow>) {
        self.accounts.insert(id, row.map(|row| AccountSlot { row, opened: false, dirty: false }));
    }

    /// Takes an answered command in, or the knowledge that there is none.
    pub fn load_transfer(&mut self, id: Id, row: Option<TransferRow>) {
        self.transfers.insert(id, row);
    }

    /// Takes a hold in, or the knowledge that there is none. Its account must be loaded too.
    pub fn load_hold(&mut self, id: Id, row: Option<HoldRow>) {
        if let Some((expires_at, hold)) = row.as_ref().and_then(expiry) {
            self.expiring.insert((expires_at, hold));
        }
        self.holds.insert(id, row.map(|row| HoldSlot { row, placed: false, dirty: false }));
    }

    /// Takes in the entries of a transfer that is to be reversed, and those of its reversals so far.
    pub fn load_reversible(&mut self, transfer: Id, original: &[EntryRow], reversals: &[EntryRow]) {
        let mut parts: Vec<Reversible> = original
            .iter()
            .map(|e| Reversible { account: e.account, original_minor: e.amount_minor, reversed_minor: 0 })
            .collect();
        for entry in reversals {
            if let Some(part) = parts.iter_mut().find(|p| p.account == entry.account) {
                part.reversed_minor = part.reversed_minor.saturating_add(entry.amount_minor);
            }
        }
        self.reversible.insert(transfer, parts);
    }

    /// An account as it now stands.
    #[must_use]
    pub fn account(&self, id: Id) -> Option<&AccountRow> {
        self.accounts.get(&id)?.as_ref().map(|slot| &slot.row)
    }

    /// A hold as it now stands.
    #[must_use]
    pub fn hold(&self, id: Id) -> Option<&HoldRow> {
        self.holds.get(&id)?.as_ref().map(|slot| &slot.row)
    }

    /// What may be spent: balance less holds less floor, and `None` for an account without a floor.
    #[must_use]
    pub fn available_minor(&self, id: Id) -> Option<i64> {
        available(self.account(id)?)
    }

    /// Opens an account with nothing on it.
    ///
    /// # Errors
    /// [`Broken`] when the account was not looked for.
    ///
    /// # Returns
    /// `false` when it exists.
    pub fn open_account(&mut self, row: AccountRow) -> Result<bool, Broken> {
        match self.accounts.get_mut(&row.id) {
            None => broken(format_args!("account {} was not loaded before it was opened", row.id)),
            Some(Some(_)) => Ok(false),
            Some(empty) => {
                self.undo.push(Undo::Opened(row.id));
                let row = AccountRow { balance_minor: 0, held_minor: 0, entries: 0, ..row };
                *empty = Some(AccountSlot { row, opened: true, dirty: false });
                Ok(true)
            }
        }
    }

    /// Expires every loaded hold whose time has passed, each by a command of its own. To be called once after loading:
    /// within the batch the time stands still.
    ///
    /// # Errors
    /// [`Broken`] as [`apply`].
    pub fn expire_due(&mut self) -> Result<(), Broken> {
        while let Some((expires_at, hold)) = self.expiring.first().copied() {
            if expires_at > self.at {
                break;
            }
            let command = Command::expire(hold);
            self.transfers.entry(command.id).or_insert(None);
            if self.apply(&command)? != (Answer { result: Ok(()), repeated: false }) {
                return broken(format_args!("hold {hold} is due and cannot be expired"));
            }
            self.expiring.remove(&(expires_at, hold));
        }
        Ok(())
    }

    /// Where the books stand now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { undo: self.undo.len(), transfers: self.new_transfers.len(), entries: self.new_entries.len() }
    }

    /// Takes everything since `mark` back.
    pub fn rollback(&mut self, mark: Mark) {
        self.new_transfers.truncate(mark.transfers);
        self.new_entries.truncate(mark.entries);
        while self.undo.len() > mark.undo {
            match self.undo.pop() {
                Some(undo) => self.take_back(undo),
                None => break,
            }
        }
    }

    fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Totals { account, balance_minor, held_minor, entries } => {
                if let Some(Some(slot)) = self.accounts.get_mut(&account) {
                    slot.row.balance_minor = balance_minor;
                    slot.row.held_minor = held_minor;
                    slot.row.entries = entries;
                }
            }
            Undo::Opened(id) => {
                self.accounts.insert(id, None);
            }
            Undo::Transfer(id) => {
                self.transfers.insert(id, None);
            }
            Undo::Hold { id, before } => {
                if let Some((expires_at, hold)) = self.hold(id).and_then(expiry) {
                    self.expiring.remove(&(expires_at, hold));
                }
                if let Some((expires_at, hold)) = before.as_ref().and_then(expiry) {
                    self.expiring.insert((expires_at, hold));
                }
                match (before, self.holds.get_mut(&id)) {
                    (Some(row), Some(Some(slot))) => slot.row = row,
                    (_, Some(slot)) => *slot = None,
                    (_, None) => {}
                }
            }
            Undo::Reversed { transfer, account, reversed_minor } => {
                let parts = self.reversible.get_mut(&transfer);
                if let Some(part) = parts.and_then(|p| p.iter_mut().find(|p| p.account == account)) {
                    part.reversed_minor = reversed_minor;
                }
            }
            Undo::Reversible(transfer) => {
                self.reversible.remove(&transfer);
            }
        }
    }

    /// Judges one command; see [`apply`].
    ///
    /// # Errors
    /// [`Broken`] when the rows contradict each other.
    pub fn apply(&mut self, command: &Command) -> Result<Answer, Broken> {
        let fingerprint = command.fingerprint();
        match self.transfers.get(&command.id) {
            None => return broken(format_args!("command {} was not looked for", command.id)),
            Some(Some(row)) => return repeated(row, &fingerprint),
            Some(None) => {}
        }
        let result = self.judge(command)?;
        if result.is_err() && matches!(command.act, Act::Expire { .. }) {
            // Its id is shared by all who look at the clock: an early one must not spoil it for the one in time.
            return Ok(Answer { result, repeated: false });
        }
        let row = TransferRow {
            id: command.id,
            act: command.act.number(),
            fingerprint,
            outcome: result.map_or_else(Refusal::number, |()| 0),
            outcome_minor: result.map_or_else(Refusal::minor, |()| 0),
            refers_to: command.act.refers_to(),
            payment: command.payment,
            at: self.at,
        };
        self.put_transfer(row);
        Ok(Answer { result, repeated: false })
    }

    /// Stores an answered command: used by [`apply`], and again for a refusal whose unit was taken back.
    pub fn put_transfer(&mut self, row: TransferRow) {
        self.undo.push(Undo::Transfer(row.id));
        self.new_transfers.push(row.clone());
        self.transfers.insert(row.id, Some(row));
    }

    /// The answered command of this id, if it was loaded or made here.
    #[must_use]
    pub fn transfer(&self, id: Id) -> Option<&TransferRow> {
        self.transfers.get(&id)?.as_ref()
    }

    fn judge(&mut self, command: &Command) -> Result<Result<(), Refusal>, Broken> {
        let verdict = match &command.act {
            Act::Transfer { legs } => self.transfer_legs(command.id, legs),
            Act::Hold { account, amount_minor, currency, expires_at } => {
                self.place(command.id, *account, *amount_minor, *currency, *expires_at)
            }
            Act::Keep { hold } => self.keep(*hold),
            Act::Post { hold, legs } => self.post(command.id, *hold, legs),
            Act::Void { hold } => self.free(command.id, *hold, hold_state::VOIDED),
            Act::Expire { hold } => self.free(command.id, *hold, hold_state::EXPIRED),
            Act::Reverse { transfer, legs } => self.reverse(command.id, *transfer, legs),
        };
        match verdict {
            Ok(()) => Ok(Ok(())),
            Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
            Err(Stop::Broken(broken)) => Err(broken),
        }
    }

    fn transfer_legs(&mut self, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        self.judge_balance(legs)?;
        self.fits(legs)?;
        self.floors(legs, None)?;
        self.remember_reversible(transfer, legs);
        self.enter(transfer, legs)
    }

    fn place(
        &mut self,
        id: Id,
        account: Id,
        amount_minor: i64,
        currency: Currency,
        expires_at: Option<i64>,
    ) -> Result<(), Stop> {
        if amount_minor <= 0 {
            return Err(Refusal::Amount.into());
        }
        if expires_at.is_some_and(|t| t <= self.at) {
            return Err(Refusal::ExpiryPassed.into());
        }
        let row = self.existing_account(account)?;
        if row.currency != currency {
            return Err(Refusal::CurrencyMismatch.into());
        }
        let held = row.held_minor.checked_add(amount_minor).ok_or(Refusal::Overflow)?;
        row.balance_minor.checked_sub(held).ok_or(Refusal::Overflow)?;
        if let Some(available_minor) = available(row).filter(|a| *a < amount_minor) {
            return Err(Refusal::Insufficient { available_minor }.into());
        }
        let hold =
            HoldRow { id, account, amount_minor, expires_at, state: hold_state::PENDING, resolved_by: None };
        self.change_held(account, amount_minor)?;
        self.undo.push(Undo::Hold { id, before: None });
        if let Some(due) = expiry(&hold) {
            self.expiring.insert(due);
        }
        self.holds.insert(id, Some(HoldSlot { row: hold, placed: true, dirty: false }));
        Ok(())
    }

    fn keep(&mut self, hold: Id) -> Result<(), Stop> {
        let mut row = self.pending(hold)?;
        row.expires_at = None;
        self.change_hold(row)
    }

    fn free(&mut self, id: Id, hold: Id, state: i16) -> Result<(), Stop> {
        let row = self.pending(hold)?;
        if state == hold_state::EXPIRED && row.expires_at.is_none_or(|t| t > self.at) {
            return Err(Refusal::NotDue.into());
        }
        self.resolve(id, row, state)
    }

    fn post(&mut self, id: Id, hold: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        let row = self.pending(hold)?;
        self.judge_balance(legs)?;
        let debit = legs.iter().find(|leg| leg.account == row.account).map_or(0, |leg| leg.amount_minor);
        if debit >= 0 || debit.checked_neg().is_none_or(|d| d > row.amount_minor) {
            return Err(Refusal::OverHold { held_minor: row.amount_minor }.into());
        }
        self.fits(legs)?;
        self.floors(legs, Some(&row))?;
        self.resolve(id, row, hold_state::POSTED)?;
        self.remember_reversible(id, legs);
        self.enter(id, legs)
    }

    fn reverse(&mut self, id: Id, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        shape(legs)?;
        let original = match self.transfers.get(&transfer) {
            None => return Err(Stop::broken(format_args!("transfer {transfer} was not loaded"))),
            Some(None) => return Err(Refusal::UnknownTransfer.into()),
            Some(Some(row)) => row,
        };
        if original.outcome != 0 || !matches!(original.act, act::TRANSFER | act::POST) {
            return Err(Refusal::NotReversible.into());
        }
        self.judge_balance(legs)?;
        let Some(parts) = self.reversible.get(&transfer) else {
            return Err(Stop::broken(format_args!("the entries of transfer {transfer} were not loaded")));
        };
        let mut after = Vec::with_capacity(legs.len());
        for leg in legs {
            let part = parts.iter().find(|p| p.account == leg.account);
            let part = part.ok_or(Refusal::OverReversed { left_minor: 0 })?;
            let left = part.original_minor.saturating_add(part.reversed_minor);
            let total = part.reversed_minor.checked_add(leg.amount_minor).ok_or(Refusal::Overflow)?;
            let against = (leg.amount_minor > 0) != (part.original_minor > 0);
            if !against || total.unsigned_abs() > part.original_minor.unsigned_abs() {
                return Err(Refusal::OverReversed { left_minor: left.saturating_abs() }.into());
            }
            after.push((leg.account, total));
        }
        self.fits(legs)?;
        self.floors(legs, None)?;
        for (account, total) in after {
            let parts = self.reversible.get_mut(&transfer);
            if let Some(part) = parts.and_then(|p| p.iter_mut().find(|p| p.account == account)) {
                self.undo.push(Undo::Reversed { transfer, account, reversed_minor: part.reversed_minor });
                part.reversed_minor = total;
            }
        }
        self.enter(id, legs)
    }

    fn judge_balance(&self, legs: &[Leg]) -> Result<(), Stop> {
        let mut sums: Vec<(Currency, i128)> = Vec::with_capacity(2);
        for leg in legs {
            let row = self.existing_account(leg.account)?;
            match sums.iter_mut().find(|(currency, _)| *currency == row.currency) {
                Some((_, sum)) => *sum += i128::from(leg.amount_minor),
                None => sums.push((row.currency, i128::from(leg.amount_minor))),
            }
        }
        if sums.iter().any(|(_, sum)| *sum != 0) { Err(Refusal::Unbalanced.into()) } else { Ok(()) }
    }

    fn fits(&self, legs: &[Leg]) -> Result<(), Stop> {
        for leg in legs {
            let row = self.existing_account(leg.account)?;
            let balance = row.balance_minor.checked_add(leg.amount_minor).ok_or(Refusal::Overflow)?;
            balance.checked_sub(row.held_minor).ok_or(Refusal::Overflow)?;
        }
        Ok(())
    }

    /// I4: no debit drives an account under its floor. A posting may always take what its hold reserved.
    fn floors(&self, legs: &[Leg], hold: Option<&HoldRow>) -> Result<(), Stop> {
        for leg in legs {
            if leg.amount_minor > 0 || hold.is_some_and(|h| h.account == leg.account) {
                continue;
            }
            let available = available(self.existing_account(leg.account)?);
            if let Some(available_minor) = available.filter(|a| a.saturating_add(leg.amount_minor) < 0) {
                return Err(Refusal::Insufficient { available_minor }.into());
            }
        }
        Ok(())
    }

    fn enter(&mut self, transfer: Id, legs: &[Leg]) -> Result<(), Stop> {
        for leg in legs {
            let Some(Some(slot)) = self.accounts.get_mut(&leg.account) else {
                return Err(Stop::broken(format_args!("account {} vanished", leg.account)));
            };
            let row = &mut slot.row;
            self.undo.push(totals(row));
            let sums = row.balance_minor.checked_add(leg.amount_minor).zip(row.entries.checked_add(1));
            let Some((balance, sequence)) = sums else {
                return Err(Stop::broken(format_args!("account {} overflows", leg.account)));
            };
            row.balance_minor = balance;
            row.entries = sequence;
            slot.dirty = true;
            self.new_entries.push(EntryRow {
                account: leg.account,
                sequence,
                transfer,
                amount_minor: leg.amount_minor,
                balance_after_minor: balance,
            });
        }
        Ok(())
    }

    fn remember_reversible(&mut self, transfer: Id, legs: &[Leg]) {
        let parts = legs
            .iter()
            .map(|l| Reversible { account: l.account, original_minor: l.amount_minor, reversed_minor: 0 })
            .collect();
        self.undo.push(Undo::Reversible(transfer));
        self.reversible.insert(transfer, parts);
    }

    fn resolve(&mut self, by: Id, mut row: HoldRow, state: i16) -> Result<(), Stop> {
        self.change_held(row.account, -row.amount_minor)?;
        row.state = state;
        row.resolved_by = Some(by);
        self.change_hold(row)
    }

    fn change_hold(&mut self, row: HoldRow) -> Result<(), Stop> {
        let id = row.id;
        let Some(Some(slot)) = self.holds.get_mut(&id) else {
            return Err(Stop::broken(format_args!("hold {id} vanished")));
        };
        slot.dirty = true;
        let before = std::mem::replace(&mut slot.row, row);
        if let Some(due) = expiry(&before) {
            self.expiring.remove(&due);
        }
        self.undo.push(Undo::Hold { id, before: Some(before) });
        Ok(())
    }

    fn change_held(&mut self, account: Id, by_minor: i64) -> Result<(), Stop> {
        let Some(Some(slot)) = self.accounts.get_mut(&account) else {
            return Err(Stop::broken(format_args!("account {account} of a hold is missing")));
        };
        let held = slot.row.held_minor.checked_add(by_minor).filter(|held| *held >= 0);
        let Some(held) = held else {
            return Err(Stop::broken(format_args!("account {account} holds less than its holds")));
        };
        self.undo.push(totals(&slot.row));
        slot.row.held_minor = held;
        slot.dirty = true;
        Ok(())
    }

    /// The hold, if it can still be used.
    fn pending(&self, hold: Id) -> Result<HoldRow, Stop> {
        let row = match self.holds.get(&hold) {
            None => return Err(Stop::broken(format_args!("hold {hold} was not loaded"))),
            Some(None) => return Err(Refusal::UnknownHold.into()),
            Some(Some(slot)) => &slot.row,
        };
        match row.state {
            hold_state::PENDING => Ok(row.clone()),
            hold_state::POSTED => Err(Refusal::HoldPosted.into()),
            hold_state::VOIDED => Err(Refusal::HoldVoided.into()),
            hold_state::EXPIRED => Err(Refusal::HoldExpired.into()),
            other => Err(Stop::broken(format_args!("hold {hold} has state {other}"))),
        }
    }

    fn existing_account(&self, id: Id) -> Result<&AccountRow, Stop> {
        match self.accounts.get(&id) {
            None => Err(Stop::broken(format_args!("account {id} was not loaded"))),
            Some(None) => Err(Refusal::UnknownAccount.into()),
            Some(Some(slot)) => Ok(&slot.row),
        }
    }

    /// The rows to write.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let mut changes =
            Changes { transfers: self.new_transfers, entries: self.new_entries, ..Changes::default() };
        for slot in self.accounts.into_values().flatten() {
            if slot.opened {
                changes.opened.push(slot.row);
            } else if slot.dirty {
                changes.accounts.push(slot.row);
            }
        }
        for slot in self.holds.into_values().flatten() {
            if slot.placed {
                changes.placed.push(slot.row);
            } else if slot.dirty {
                changes.holds.push(slot.row);
            }
        }
        // In id order the pages of the tables are visited once, and two runs write the same.
        changes.opened.sort_unstable_by_key(|row| row.id);
        changes.accounts.sort_unstable_by_key(|row| row.id);
        changes.placed.sort_unstable_by_key(|row| row.id);
        changes.holds.sort_unstable_by_key(|row| row.id);
        changes
    }
}

/// Why judging ended early.
enum Stop {
    Refused(Refusal),
    Broken(Broken),
}

impl Stop {
    fn broken(what: impl std::fmt::Display) -> Self {
        Self::Broken(Broken(what.to_string()))
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn repeated(row: &TransferRow, fingerprint: &[u8; 32]) -> Result<Answer, Broken> {
    if row.fingerprint != *fingerprint {
        return Ok(Answer { result: Err(Refusal::IdReused), repeated: false });
    }
    let result = match (row.outcome, Refusal::from_stored(row.outcome, row.outcome_minor)) {
        (0, _) => Ok(()),
        (_, Some(refusal)) => Err(refusal),
        (number, None) => return broken(format_args!("transfer {} has outcome {number}", row.id)),
    };
    Ok(Answer { result, repeated: true })
}

/// What is said against legs before any row is looked at.
fn shape(legs: &[Leg]) -> Result<(), Stop> {
    if !(2..=LEGS_MAX).contains(&legs.len()) {
        return Err(Refusal::LegCount.into());
    }
    if legs.iter().any(|leg| leg.amount_minor == 0) {
        return Err(Refusal::Amount.into());
    }
    let twice = legs.iter().enumerate().any(|(n, leg)| legs.iter().take(n).any(|l| l.account == leg.account));
    if twice { Err(Refusal::AccountTwice.into()) } else { Ok(()) }
}

fn expiry(row: &HoldRow) -> Option<(i64, Id)> {
    (row.state == hold_state::PENDING).then_some(row.expires_at).flatten().map(|t| (t, row.id))
}

const fn totals(row: &AccountRow) -> Undo {
    Undo::Totals {
        account: row.id,
        balance_minor: row.balance_minor,
        held_minor: row.held_minor,
        entries: row.entries,
    }
}

fn available(row: &AccountRow) -> Option<i64> {
    let free = row.balance_minor.saturating_sub(row.held_minor);
    row.floor_minor.map(|floor| free.saturating_sub(floor))
}

#[cfg(test)]
mod tests;
