//! The tables as ordered maps, and the few indexes that the other databases have as unique ones.

use std::collections::BTreeMap;

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::row::record::{Cell, Record, RecordKey};
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, InboxRow, OutboxRow, PairKey, PairRow, PartRow,
    PayerRow, PaymentRow, SessionRow, SuspensionRow,
};

/// Every row.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Tables {
    pub(super) accounts: BTreeMap<Id, AccountRow>,
    pub(super) transfers: BTreeMap<Id, TransferRow>,
    /// By transfer and account.
    pub(super) entries: BTreeMap<(Id, Id), EntryRow>,
    pub(super) holds: BTreeMap<Id, HoldRow>,
    pub(super) payers: BTreeMap<Id, PayerRow>,
    pub(super) bindings: BTreeMap<Msisdn, BindingRow>,
    pub(super) payments: BTreeMap<Id, PaymentRow>,
    /// By payment and version.
    pub(super) events: BTreeMap<(Id, i64), EventRow>,
    pub(super) attempts: BTreeMap<Id, AttemptRow>,
    pub(super) counters: BTreeMap<CounterKey, CounterRow>,
    pub(super) pairs: BTreeMap<PairKey, PairRow>,
    /// By scope and key.
    pub(super) suspensions: BTreeMap<(String, String), SuspensionRow>,
    pub(super) sessions: BTreeMap<Id, SessionRow>,
    pub(super) outbox: BTreeMap<Id, OutboxRow>,
    pub(super) inbox: BTreeMap<Id, InboxRow>,
    /// By message and number.
    pub(super) parts: BTreeMap<(Id, i16), PartRow>,
    /// Rows of tables without rules of their own.
    pub(super) records: BTreeMap<RecordKey, Record>,
    /// Records by what must be unique of them beside their key: table and value.
    pub(super) unique: BTreeMap<(&'static str, Cell), RecordKey>,
    /// Attempts by payment and number.
    pub(super) tried: BTreeMap<(Id, i32), Id>,
    /// The last batch of each writer.
    pub(super) writers: BTreeMap<Id, i64>,
    /// Payments by their spoken reference.
    pub(super) references: BTreeMap<String, Id>,
    /// Attempts by the reference that the carrier was given.
    pub(super) sent: BTreeMap<String, Id>,
    /// Sessions by their key.
    pub(super) held: BTreeMap<String, Id>,
}

/// The least and the greatest id.
const ENDS: (Id, Id) = (Id([0; 16]), Id([0xff; 16]));

impl Tables {
    /// The entries of a transfer, by account.
    pub(super) fn entries_of(&self, transfer: Id) -> impl Iterator<Item = &EntryRow> {
        self.entries.range((transfer, ENDS.0)..=(transfer, ENDS.1)).map(|(_, row)| row)
    }

    /// Whether an id names an open session.
    pub(super) fn holder(&self, key: &str) -> Option<&SessionRow> {
        self.sessions.get(self.held.get(key)?)
    }
}
