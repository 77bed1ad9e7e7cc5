//! Applies units to the loaded rows, one after the other, in memory.
//!
//! `keys_of` says which rows a unit touches; the store loads them; `fold` judges the unit's operations in order and takes
//! the whole unit back when one is refused, so that its neighbours in the batch never see it. Ledger commands go to
//! [`crate::ledger::apply()`], everything else about payments to [`crate::payment::judge`]. Nothing here waits, reads a
//! clock or writes.

mod keys;
mod messages;
mod table;

use std::collections::BTreeSet;

pub use keys::{ALL, RESTORED, WHOLE, ids, keys_of, suspension_keys, whole};

use crate::ledger::apply::{Books, Broken, Mark as BooksMark};
use crate::ledger::command::{Command, Refusal as LedgerRefusal};
use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::fold::messages::{Mark as MessagesMark, Messages};
use crate::payment::fold::table::Table;
use crate::payment::judge::judge;
use crate::payment::row::record::{Record, RecordKey, Write};
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, PairKey, PairRow, PayerRow, PaymentRow,
    SuspensionRow,
};
use crate::payment::unit::{Done, Op, Refusal, Unit};
use crate::store::keys::{Begun, Changes, Keys, Loaded, Rows};

/// The rows of a batch as its units change them.
#[derive(Debug)]
pub struct Working {
    books: Books,
    payers: Table<Id, PayerRow>,
    bindings: Table<Msisdn, BindingRow>,
    payments: Table<Id, PaymentRow>,
    attempts: Table<Id, AttemptRow>,
    counters: Table<CounterKey, CounterRow>,
    pairs: Table<PairKey, PairRow>,
    suspensions: Table<(String, String), SuspensionRow>,
    messages: Messages,
    references: Table<String, ()>,
    records: Table<RecordKey, Record>,
    events: Vec<EventRow>,
    broken: Option<Broken>,
    refused: Option<TransferRow>,
    commands: u32,
    repeats: u32,
    touched_payment: Option<Id>,
    touched_payer: Option<Id>,
}

struct Mark {
    books: BooksMark,
    payers: usize,
    bindings: usize,
    payments: usize,
    attempts: usize,
    counters: usize,
    pairs: usize,
    suspensions: usize,
    messages: MessagesMark,
    references: usize,
    records: usize,
    events: usize,
}

impl Working {
    /// The rows that the store found for `keys`, in a batch that commits at `at` (microseconds). Overdue holds are
    /// expired here, before any unit is judged.
    ///
    /// # Errors
    /// [`Broken`] when the rows contradict each other.
    pub fn new(keys: &Keys, loaded: Loaded, at: i64) -> Result<Self, Broken> {
        let Loaded {
            accounts,
            transfers,
            original_entries,
            reversal_entries,
            holds,
            payments,
            attempts,
            payers,
            bindings,
            counters,
            pairs,
            suspensions,
            sessions,
            outbox,
            inbox,
            references,
            records,
        } = loaded;
        let mut books = load_books(keys, at, accounts, transfers, holds);
        load_reversible(keys, &mut books, &original_entries, &reversal_entries);
        books.expire_due()?;
        let begun = |of: fn(&Begun) -> &BTreeSet<Id>| keys.begun.values().flat_map(of);
        let suspension = |s: SuspensionRow| ((s.scope.clone(), s.key.clone()), s);
        Ok(Self {
            books,
            payers: Table::new(keys.payers.iter().copied(), payers.into_iter().map(|r| (r.account, r))),
            bindings: Table::new(
                keys.bindings.iter().cloned(),
                bindings.into_iter().map(|r| (r.msisdn.clone(), r)),
            ),
            payments: Table::new(keys.all_payments().copied(), payments.into_iter().map(|r| (r.id, r))),
            attempts: Table::new(
                keys.attempts.iter().chain(begun(|b| &b.attempts)).copied(),
                attempts.into_iter().map(|r| (r.id, r)),
            ),
            counters: Table::new(
                keys.counters.iter().cloned(),
                counters.into_iter().map(|r| (r.key.clone(), r)),
            ),
            pairs: Table::new(keys.pairs.iter().cloned(), pairs.into_iter().map(|r| (r.key.clone(), r))),
            suspensions: Table::new(
                keys.suspensions.iter().cloned(),
                suspensions.into_iter().map(suspension),
            ),
            messages: Messages::new(keys, sessions, outbox, inbox),
            references: Table::new(
                keys.references.iter().cloned(),
                references.into_iter().map(|text| (text, ())),
            ),
            records: Table::new(keys.records.iter().cloned(), records.into_iter().map(|r| (r.key(), r))),
            events: Vec::new(),
            broken: None,
            refused: None,
            commands: 0,
            repeats: 0,
            touched_payment: None,
            touched_payer: None,
        })
    }

    /// The time of the batch, microseconds.
    #[must_use]
    pub const fn at(&self) -> i64 {
        self.books.at()
    }

    /// A ledger account.
    #[must_use]
    pub fn account(&self, id: Id) -> Option<&AccountRow> {
        self.books.account(id)
    }

    /// A hold.
    #[must_use]
    pub fn hold(&self, id: Id) -> Option<&HoldRow> {
        self.books.hold(id)
    }

    /// What an account may spend; `None` when it has no floor or does not exist.
    #[must_use]
    pub fn available_minor(&self, id: Id) -> Option<i64> {
        self.books.available_minor(id)
    }

    /// Asks the ledger.
    ///
    /// # Errors
    /// [`Refusal::Ledger`], which is stored under the command's id even though the unit is taken back.
    pub fn apply_ledger(&mut self, command: &Command) -> Result<(), Refusal> {
        match self.books.apply(command) {
            Ok(answer) => {
                self.commands += 1;
                self.repeats += u32::from(answer.repeated);
                // A reused id has its first answer stored already.
                if answer.result.is_err_and(|refusal| refusal != LedgerRefusal::IdReused) && !answer.repeated
                {
                    self.refused = self.books.transfer(command.id).filter(|row| row.outcome != 0).cloned();
                }
                Ok(answer.result?)
            }
            Err(broken) => {
                // The unit ends here whatever the refusal says: `fold` reports the breach instead of it.
                self.broken = Some(broken);
                Err(Refusal::Stale)
            }
        }
    }

    fn open_account(&mut self, row: &AccountRow) -> Result<(), Refusal> {
        if let Some(stored) = self.books.account(row.id) {
            let same = stored.kind == row.kind && stored.currency == row.currency && stored.name == row.name;
            return if same { Ok(()) } else { Err(Refusal::Exists("account")) };
        }
        if let Err(broken) = self.books.open_account(row.clone()) {
            self.broken = Some(broken);
            return Err(Refusal::Stale);
        }
        Ok(())
    }

    /// The settings of a payment account.
    #[must_use]
    pub fn payer(&self, account: Id) -> Option<&PayerRow> {
        self.payers.row(&account)
    }

    /// The settings of a payment account, to be changed.
    pub fn payer_mut(&mut self, account: Id) -> Option<&mut PayerRow> {
        self.touched_payer = Some(account);
        self.payers.row_mut(&account)
    }

    /// Adds or replaces settings.
    pub fn put_payer(&mut self, row: PayerRow) {
        self.touched_payer = Some(row.account);
        self.payers.set(row.account, Some(row));
    }

    /// What a number is bound to.
    #[must_use]
    pub fn binding(&self, msisdn: &Msisdn) -> Option<&BindingRow> {
        self.bindings.row(msisdn)
    }

    /// Binds a number.
    pub fn put_binding(&mut self, row: BindingRow) {
        self.bindings.set(row.msisdn.clone(), Some(row));
    }

    /// Unbinds a number.
    pub fn remove_binding(&mut self, msisdn: &Msisdn) {
        self.bindings.set(msisdn.clone(), None);
    }

    /// A payment.
    #[must_use]
    pub fn payment(&self, id: Id) -> Option<&PaymentRow> {
        self.payments.row(&id)
    }

    /// Adds or replaces a payment. Its reference is taken from then on.
    pub fn put_payment(&mut self, row: PaymentRow) {
        self.touched_payment = Some(row.id);
        if self.payments.row(&row.id).is_none() {
            self.references.set(row.reference.clone(), Some(()));
        }
        self.payments.set(row.id, Some(row));
    }

    /// An attempt.
    #[must_use]
    pub fn attempt(&self, id: Id) -> Option<&AttemptRow> {
        self.attempts.row(&id)
    }

    /// Adds or replaces an attempt.
    pub fn put_attempt(&mut self, row: AttemptRow) {
        self.attempts.set(row.id, Some(row));
    }

    /// Adds a step to a payment's history.
    pub fn put_event(&mut self, row: EventRow) {
        self.events.push(row);
    }

    /// What is used of a limit; zeros when nothing was counted yet.
    #[must_use]
    pub fn counter(&self, key: &CounterKey) -> CounterRow {
        let none = || CounterRow { key: key.clone(), used_minor: 0, payments: 0 };
        self.counters.row(key).cloned().unwrap_or_else(none)
    }

    /// Sets what is used of a limit.
    pub fn put_counter(&mut self, row: CounterRow) {
        self.counters.set(row.key.clone(), Some(row));
    }

    /// The latest equal payment.
    #[must_use]
    pub fn pair(&self, key: &PairKey) -> Option<&PairRow> {
        self.pairs.row(key)
    }

    /// Sets the latest equal payment.
    pub fn put_pair(&mut self, row: PairRow) {
        self.pairs.set(row.key.clone(), Some(row));
    }

    /// Whether anything that this payment needs is shut.
    #[must_use]
    pub fn suspended(&self, payment: &PaymentRow) -> bool {
        suspension_keys(payment).iter().any(|key| self.suspensions.row(key).is_some())
    }

    /// Whether one thing is shut.
    #[must_use]
    pub fn suspension(&self, scope: &str, key: &str) -> Option<&SuspensionRow> {
        self.suspensions.row(&(scope.to_owned(), key.to_owned()))
    }

    /// Whether a payment has this reference.
    #[must_use]
    pub fn reference_taken(&self, reference: &str) -> bool {
        self.references.row(&reference.to_owned()).is_some()
    }

    fn write_record(&mut self, write: &Write) -> Result<(), Refusal> {
        let key = write.key();
        let table = key.shape.table;
        let stored = self.records.row(&key);
        let row = match write {
            Write::Add(record) => match stored {
                Some(stored) if stored == record => return Ok(()),
                Some(_) => return Err(Refusal::Exists(table)),
                None => Some(record.clone()),
            },
            Write::Set(record) => {
                let seen = record.version().ok_or(Refusal::Unfit(table))?.checked_sub(1);
                match stored.ok_or(Refusal::Unknown(table))?.version() {
                    version if version == seen => Some(record.clone()),
                    _ => return Err(Refusal::Stale),
                }
            }
            Write::Put(record) => Some(record.clone()),
            Write::Remove(_) => None,
        };
        self.records.set(key, row);
        Ok(())
    }

    fn must_be_open(&self, wanted: &[(String, String)]) -> Result<(), Refusal> {
        let shut = wanted.iter().any(|key| self.suspensions.row(key).is_some());
        if shut { Err(Refusal::Suspended) } else { Ok(()) }
    }

    fn below_ceiling(&self, account: Id, balance_minor: i64) -> Result<(), Refusal> {
        let row = self.account(account).ok_or(Refusal::Unknown("account"))?;
        if row.balance_minor > balance_minor { Err(Refusal::Ceiling { balance_minor }) } else { Ok(()) }
    }

    fn mark(&self) -> Mark {
        Mark {
            books: self.books.mark(),
            payers: self.payers.undo.len(),
            bindings: self.bindings.undo.len(),
            payments: self.payments.undo.len(),
            attempts: self.attempts.undo.len(),
            counters: self.counters.undo.len(),
            pairs: self.pairs.undo.len(),
            suspensions: self.suspensions.undo.len(),
            messages: self.messages.mark(),
            references: self.references.undo.len(),
            records: self.records.undo.len(),
            events: self.events.len(),
        }
    }

    fn rollback(&mut self, mark: &Mark) {
        self.books.rollback(mark.books);
        self.payers.rollback(mark.payers);
        self.bindings.rollback(mark.bindings);
        self.payments.rollback(mark.payments);
        self.attempts.rollback(mark.attempts);
        self.counters.rollback(mark.counters);
        self.pairs.rollback(mark.pairs);
        self.suspensions.rollback(mark.suspensions);
        self.messages.rollback(&mark.messages);
        self.references.rollback(mark.references);
        self.records.rollback(mark.records);
        self.events.truncate(mark.events);
    }

    fn missed(&self) -> Option<&'static str> {
        [
            (self.payers.missed.get(), "payer"),
            (self.bindings.missed.get(), "binding"),
            (self.payments.missed.get(), "payment"),
            (self.attempts.missed.get(), "attempt"),
            (self.counters.missed.get(), "counter"),
            (self.pairs.missed.get(), "pair"),
            (self.suspensions.missed.get(), "suspension"),
            (self.references.missed.get(), "reference"),
            (self.records.missed.get(), "record"),
        ]
        .into_iter()
        .find_map(|(missed, table)| missed.then_some(table))
        .or_else(|| self.messages.missed())
    }

    /// The rows to write.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let books = self.books.into_changes();
        let (payers, _) = self.payers.into_rows();
        let (bindings, unbound) = self.bindings.into_rows();
        let (payments, _) = self.payments.into_rows();
        let (attempts, _) = self.attempts.into_rows();
        let (counters, _) = self.counters.into_rows();
        let (pairs, _) = self.pairs.into_rows();
        let (suspensions, resumed) = self.suspensions.into_rows();
        let (records, removed) = self.records.into_rows();
        let mut changes = Changes {
            accounts: Rows { added: books.opened, changed: books.accounts },
            transfers: books.transfers,
            entries: books.entries,
            holds: Rows { added: books.placed, changed: books.holds },
            payers,
            bindings,
            unbound,
            payments,
            events: self.events,
            attempts,
            counters,
            pairs,
            suspended: suspensions.added,
            resumed,
            records,
            removed,
            ..Changes::default()
        };
        self.messages.write_to(&mut changes);
        changes
    }
}

fn load_books(
    keys: &Keys,
    at: i64,
    accounts: Vec<AccountRow>,
    transfers: Vec<TransferRow>,
    holds: Vec<HoldRow>,
) -> Books {
    let mut books = Books::new(at);
    for id in &keys.accounts {
        books.load_account(*id, None);
    }
    for row in accounts {
        books.load_account(row.id, Some(row));
    }
    for id in keys.transfers.iter().chain(&keys.reversed) {
        books.load_transfer(*id, None);
    }
    for row in transfers {
        books.load_transfer(row.id, Some(row));
    }
    for id in keys.holds.iter().chain(keys.begun.values().flat_map(|begun| &begun.holds)) {
        books.load_hold(*id, None);
    }
    for row in holds {
        books.load_hold(row.id, Some(row));
    }
    books
}

fn load_reversible(keys: &Keys, books: &mut Books, originals: &[EntryRow], reversals: &[EntryRow]) {
    for id in &keys.reversed {
        if books.transfer(*id).is_none() {
            continue;
        }
        let of = |rows: &[EntryRow]| -> Vec<EntryRow> {
            rows.iter().filter(|entry| entry.transfer == *id).cloned().collect()
        };
        books.load_reversible(*id, &of(originals), &of(reversals));
    }
}

/// Applies a unit, or leaves everything but the stored refusal as it was.
///
/// # Errors
/// [`Broken`] when the rows contradict each other or a row was asked for that [`keys_of`] does not name: nothing of the
/// batch may then be written.
pub fn fold(work: &mut Working, unit: &Unit) -> Result<Result<Done, Refusal>, Broken> {
    let mark = work.mark();
    (work.commands, work.repeats) = (0, 0);
    (work.touched_payment, work.touched_payer, work.refused) = (None, None, None);
    let verdict = unit.ops.iter().try_for_each(|op| match op {
        Op::Ledger(command) => work.apply_ledger(command),
        Op::OpenAccount(row) => work.open_account(row),
        Op::Outbox(row) => work.messages.queue(row),
        Op::SettleOutbox(settled) => work.messages.settle(settled),
        Op::Receive(receive) => work.messages.receive(receive),
        Op::Part(row) => work.messages.part(row),
        Op::DropParts(message) => work.messages.drop_parts(*message),
        Op::Record(write) => work.write_record(write),
        Op::Open(wanted) => work.must_be_open(wanted),
        Op::Ceiling { account, balance_minor } => work.below_ceiling(*account, *balance_minor),
        Op::SaveSession(row) => work.messages.save_session(row, work.books.at()),
        Op::EndSession(id) => work.messages.end_session(*id),
        Op::Suspend(row) => {
            let key = (row.scope.clone(), row.key.clone());
            if work.suspensions.row(&key).is_none() {
                work.suspensions.set(key, Some(row.clone()));
            }
            Ok(())
        }
        Op::Resume(row) => {
            work.suspensions.set((row.scope.clone(), row.key.clone()), None);
            Ok(())
        }
        _ => judge(op, work),
    });
    if let Some(broken) = work.broken.take() {
        return Err(broken);
    }
    if let Some(table) = work.missed() {
        return Err(Broken(format!("a {table} row was used that was not loaded")));
    }
    match verdict {
        Ok(()) => Ok(Ok(Done {
            payment: work.touched_payment.and_then(|id| work.payment(id).cloned()),
            payer: work.touched_payer.and_then(|id| work.payer(id).cloned()),
            repeated: work.commands > 0 && work.repeats == work.commands,
        })),
        Err(refusal) => {
            work.rollback(&mark);
            if let (Refusal::Ledger(_), Some(row)) = (&refusal, work.refused.take()) {
                work.books.put_transfer(row);
            }
            Ok(Err(refusal))
        }
    }
}
