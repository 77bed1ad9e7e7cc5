//! What a batch needs, what it found, and what it writes: plain sets of rows, the same for each database.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::row::record::{Record, RecordKey};
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, InboxRow, OutboxRow, PairKey, PairRow, PartRow,
    PayerRow, PaymentRow, SessionRow, SuspensionRow,
};

/// The rows that the units of a batch touch. Sorted sets, so that rows are locked in the same order by every node.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Ledger accounts. They are what nodes lock: whatever belongs to an account is safe under its lock.
    pub accounts: BTreeSet<Id>,
    /// Commands that may have been answered before.
    pub transfers: BTreeSet<Id>,
    /// Transfers to be reversed: their entries, and their reversals so far.
    pub reversed: BTreeSet<Id>,
    /// Holds; their accounts are added to `accounts`.
    pub holds: BTreeSet<Id>,
    /// Payments; their accounts and pairs are added.
    pub payments: BTreeSet<Id>,
    /// Of these the ones whose step gives back what they counted: their counters are added.
    pub given_back: BTreeSet<Id>,
    /// Payments that should be new, and what is written together with them: it is looked for only if the payment is there. Their
    /// accounts, counters and pairs are named by who begins them.
    pub begun: BTreeMap<Id, Begun>,
    /// Attempts.
    pub attempts: BTreeSet<Id>,
    /// Settings of payment accounts; the accounts are added to `accounts`.
    pub payers: BTreeSet<Id>,
    /// Bound numbers.
    pub bindings: BTreeSet<Msisdn>,
    /// Limit counters.
    pub counters: BTreeSet<CounterKey>,
    /// Equal payments; their accounts are added to `accounts`.
    pub pairs: BTreeSet<PairKey>,
    /// Scope and key.
    pub suspensions: BTreeSet<(String, String)>,
    /// Saved sessions.
    pub sessions: BTreeSet<Id>,
    /// Keys by which channels find conversations; the sessions that hold them are loaded too.
    pub session_keys: BTreeSet<String>,
    /// Messages to be queued. They are not loaded: one that is there already stays as it is.
    pub queued: BTreeSet<Id>,
    /// Messages whose state is to be changed.
    pub outbox: BTreeSet<Id>,
    /// Messages that came in.
    pub inbox: BTreeSet<Id>,
    /// Payment references that may be taken.
    pub references: BTreeSet<String>,
    /// Rows of tables without rules of their own.
    pub records: BTreeSet<RecordKey>,
}

/// Rows that are in the database only if their payment is.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// Its hold.
    pub holds: BTreeSet<Id>,
    /// Its attempts.
    pub attempts: BTreeSet<Id>,
}

impl Keys {
    /// Takes the keys of another unit in.
    pub fn extend(&mut self, other: Self) {
        self.accounts.extend(other.accounts);
        self.transfers.extend(other.transfers);
        self.reversed.extend(other.reversed);
        self.holds.extend(other.holds);
        self.payments.extend(other.payments);
        self.given_back.extend(other.given_back);
        for (payment, begun) in other.begun {
            let known = self.begun.entry(payment).or_default();
            known.holds.extend(begun.holds);
            known.attempts.extend(begun.attempts);
        }
        self.attempts.extend(other.attempts);
        self.payers.extend(other.payers);
        self.bindings.extend(other.bindings);
        self.counters.extend(other.counters);
        self.pairs.extend(other.pairs);
        self.suspensions.extend(other.suspensions);
        self.sessions.extend(other.sessions);
        self.session_keys.extend(other.session_keys);
        self.queued.extend(other.queued);
        self.outbox.extend(other.outbox);
        self.inbox.extend(other.inbox);
        self.references.extend(other.references);
        self.records.extend(other.records);
    }

    /// The payments that are there or should be new; one may be named twice.
    pub(crate) fn all_payments(&self) -> impl Iterator<Item = &Id> {
        self.payments.iter().chain(self.begun.keys())
    }

    /// Adds what follows from rows that were found: a payment's hold, counter and pair, a hold's account. These never
    /// change in a row, so they may be read before anything is locked.
    pub(crate) fn follow(&mut self, payments: &[PaymentRow], holds: &[HoldRow]) {
        for payment in payments {
            if self.given_back.contains(&payment.id) {
                self.counters.insert(payment.counter_key());
            }
            self.pairs.insert(payment.pair_key());
            self.holds.insert(payment.hold);
            self.accounts.insert(payment.account);
            if let Some(begun) = self.begun.remove(&payment.id) {
                self.holds.extend(begun.holds);
                self.attempts.extend(begun.attempts);
            }
        }
        self.accounts.extend(holds.iter().map(|hold| hold.account));
        self.accounts.extend(self.payers.iter().copied());
        self.accounts.extend(self.pairs.iter().map(|pair| pair.account));
    }
}

/// The rows that were found for [`Keys`]. A key without a row has none in the database.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Accounts.
    pub accounts: Vec<AccountRow>,
    /// Answered commands, and the transfers to be reversed.
    pub transfers: Vec<TransferRow>,
    /// The entries of the transfers to be reversed.
    pub original_entries: Vec<EntryRow>,
    /// The entries of their reversals so far, each with the transfer that is reversed in place of its own.
    pub reversal_entries: Vec<EntryRow>,
    /// Holds asked for, and every overdue hold of the accounts.
    pub holds: Vec<HoldRow>,
    /// Payments.
    pub payments: Vec<PaymentRow>,
    /// Attempts.
    pub attempts: Vec<AttemptRow>,
    /// Settings.
    pub payers: Vec<PayerRow>,
    /// Bound numbers.
    pub bindings: Vec<BindingRow>,
    /// Counters.
    pub counters: Vec<CounterRow>,
    /// Pairs.
    pub pairs: Vec<PairRow>,
    /// Suspensions.
    pub suspensions: Vec<SuspensionRow>,
    /// Sessions. One that was found by its id and by its key may be there twice.
    pub sessions: Vec<SessionRow>,
    /// Messages to be settled.
    pub outbox: Vec<OutboxRow>,
    /// Messages that came in before.
    pub inbox: Vec<InboxRow>,
    /// References taken.
    pub references: Vec<String>,
    /// Rows of tables without rules of their own.
    pub records: Vec<Record>,
}

/// Rows that a batch adds and rows that it changes, of one table.
#[derive(Clone, Debug)]
pub struct Rows<T> {
    /// New rows.
    pub added: Vec<T>,
    /// Rows that replace the stored ones.
    pub changed: Vec<T>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { added: Vec::new(), changed: Vec::new() }
    }
}

/// What a batch writes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Accounts opened, and accounts whose totals changed (only the totals are written).
    pub accounts: Rows<AccountRow>,
    /// Answered commands.
    pub transfers: Vec<TransferRow>,
    /// Entries.
    pub entries: Vec<EntryRow>,
    /// Holds.
    pub holds: Rows<HoldRow>,
    /// Settings.
    pub payers: Rows<PayerRow>,
    /// Numbers bound; a changed binding is one to another account.
    pub bindings: Rows<BindingRow>,
    /// Numbers unbound.
    pub unbound: Vec<Msisdn>,
    /// Payments.
    pub payments: Rows<PaymentRow>,
    /// Steps of payments.
    pub events: Vec<EventRow>,
    /// Attempts.
    pub attempts: Rows<AttemptRow>,
    /// Counters.
    pub counters: Rows<CounterRow>,
    /// Pairs.
    pub pairs: Rows<PairRow>,
    /// Shut.
    pub suspended: Vec<SuspensionRow>,
    /// Opened again: scope and key.
    pub resumed: Vec<(String, String)>,
    /// Sessions saved.
    pub sessions: Rows<SessionRow>,
    /// Sessions that gave up the key that they had. Written before the saved ones, as the forgotten ones are, since
    /// others may hold the keys now.
    pub released: Vec<Id>,
    /// Sessions forgotten.
    pub ended: Vec<Id>,
    /// Messages queued, and messages settled (what they say is not written again).
    pub outbox: Rows<OutboxRow>,
    /// Messages that came in.
    pub inbox: Rows<InboxRow>,
    /// Long texts whose segments are forgotten; before `parts` are kept.
    pub dropped_parts: Vec<Id>,
    /// Segments kept.
    pub parts: Vec<PartRow>,
    /// Rows of tables without rules of their own.
    pub records: Rows<Record>,
    /// Such rows taken out.
    pub removed: Vec<RecordKey>,
}

/// What changes in the list of open payments.
#[derive(Debug)]
pub(in crate::store) struct Listed<'c> {
    /// New ones.
    pub added: Vec<&'c PaymentRow>,
    /// Those that are open still, or again.
    pub changed: Vec<&'c PaymentRow>,
    /// Those that are not any more.
    pub ended: Vec<Id>,
}

impl Changes {
    /// What changes in the list of open payments.
    pub(in crate::store) fn listed(&self) -> Listed<'_> {
        let ended = |row: &&PaymentRow| row.state.is_definite();
        let (gone, changed) = self.payments.changed.iter().partition::<Vec<_>, _>(ended);
        let added = self.payments.added.iter().filter(|row| !ended(row)).collect();
        Listed { added, changed, ended: gone.iter().map(|row| row.id).collect() }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        fn none<T>(rows: &Rows<T>) -> bool {
            rows.added.is_empty() && rows.changed.is_empty()
        }
        none(&self.accounts)
            && self.transfers.is_empty()
            && self.entries.is_empty()
            && none(&self.holds)
            && none(&self.payers)
            && none(&self.bindings)
            && self.unbound.is_empty()
            && none(&self.payments)
            && self.events.is_empty()
            && none(&self.attempts)
            && none(&self.counters)
            && none(&self.pairs)
            && self.suspended.is_empty()
            && self.resumed.is_empty()
            && none(&self.sessions)
            && self.released.is_empty()
            && self.ended.is_empty()
            && none(&self.outbox)
            && none(&self.inbox)
            && self.dropped_parts.is_empty()
            && self.parts.is_empty()
            && none(&self.records)
            && self.removed.is_empty()
    }
}
