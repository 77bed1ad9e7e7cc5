//! The rules of the ledger: a batch of commands over a working set of rows, in memory.
//!
//! `Books` is filled with the rows that the commands touch, judges one command after the other, and ends as the rows to
//! write. A refusal changes nothing but its own stored row; a run of commands can be taken back whole. No clock, no
//! database: the batch has one time, given at the start. A state that these rules cannot produce is [`Broken`], and
//! whoever drives the books must then stop before anything is written.

mod rules;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::ledger::command::{Act, Command, Refusal};
use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};

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
    Totals { account: Id, balance_minor: i64, held_minor: i64, entries: i64, last_transfer: Option<Id> },
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
                let row =
                    AccountRow { balance_minor: 0, held_minor: 0, entries: 0, last_transfer: None, ..row };
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
            Undo::Totals { account, balance_minor, held_minor, entries, last_transfer } => {
                if let Some(Some(slot)) = self.accounts.get_mut(&account) {
                    slot.row.balance_minor = balance_minor;
                    slot.row.held_minor = held_minor;
                    slot.row.entries = entries;
                    slot.row.last_transfer = last_transfer;
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

fn expiry(row: &HoldRow) -> Option<(i64, Id)> {
    (row.state == hold_state::PENDING).then_some(row.expires_at).flatten().map(|t| (t, row.id))
}

const fn totals(row: &AccountRow) -> Undo {
    Undo::Totals {
        account: row.id,
        balance_minor: row.balance_minor,
        held_minor: row.held_minor,
        entries: row.entries,
        last_transfer: row.last_transfer,
    }
}

fn available(row: &AccountRow) -> Option<i64> {
    let free = row.balance_minor.saturating_sub(row.held_minor);
    row.floor_minor.map(|floor| free.saturating_sub(floor))
}
