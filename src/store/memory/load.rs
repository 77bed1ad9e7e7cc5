//! Loads the rows of a batch.

use crate::ledger::row::{EntryRow, TransferRow};
use crate::store::keys::{Keys, Loaded};

use super::Tables;

/// The act of a reversal, as the ledger numbers it.
const REVERSE: i16 = 7;
/// A hold that is not resolved.
pub(super) const PENDING: i16 = 0;

/// Loads what `keys` name and what follows from it, as the other databases do.
pub(super) fn load(tables: &Tables, mut keys: Keys, at: i64) -> (Keys, Loaded) {
    let payments: Vec<_> = keys.all_payments().filter_map(|id| tables.payments.get(id)).cloned().collect();
    keys.follow(&payments, &[]);
    let holds: Vec<_> = keys.holds.iter().filter_map(|id| tables.holds.get(id)).cloned().collect();
    keys.follow(&[], &holds);
    let mut loaded = Loaded { payments, holds, ..Loaded::default() };
    load_ledger(tables, &mut keys, &mut loaded, at);
    load_payment(tables, &keys, &mut loaded);
    load_messages(tables, &keys, &mut loaded);
    loaded.records = keys.records.iter().filter_map(|key| tables.records.get(key)).cloned().collect();
    (keys, loaded)
}

fn load_ledger(tables: &Tables, keys: &mut Keys, loaded: &mut Loaded, at: i64) {
    loaded.accounts = keys.accounts.iter().filter_map(|id| tables.accounts.get(id)).cloned().collect();
    let due = |expires_at: Option<i64>| expires_at.is_some_and(|expiry| expiry <= at);
    for hold in tables.holds.values().filter(|hold| hold.state == PENDING && due(hold.expires_at)) {
        if keys.accounts.contains(&hold.account) && keys.holds.insert(hold.id) {
            loaded.holds.push(hold.clone());
        }
    }
    loaded.transfers =
        keys.transfers.union(&keys.reversed).filter_map(|id| tables.transfers.get(id)).cloned().collect();
    let known: Vec<_> =
        keys.reversed.iter().filter(|id| tables.transfers.contains_key(id)).copied().collect();
    for original in known {
        loaded.original_entries.extend(tables.entries_of(original).cloned());
        let reverses =
            |row: &&TransferRow| row.act == REVERSE && row.outcome == 0 && row.refers_to == Some(original);
        for reversal in tables.transfers.values().filter(reverses) {
            let named =
                tables.entries_of(reversal.id).map(|row| EntryRow { transfer: original, ..row.clone() });
            loaded.reversal_entries.extend(named);
        }
    }
}

fn load_payment(tables: &Tables, keys: &Keys, loaded: &mut Loaded) {
    loaded.payers = keys.payers.iter().filter_map(|id| tables.payers.get(id)).cloned().collect();
    loaded.attempts = keys.attempts.iter().filter_map(|id| tables.attempts.get(id)).cloned().collect();
    loaded.bindings = keys.bindings.iter().filter_map(|key| tables.bindings.get(key)).cloned().collect();
    loaded.counters = keys.counters.iter().filter_map(|key| tables.counters.get(key)).cloned().collect();
    loaded.pairs = keys.pairs.iter().filter_map(|key| tables.pairs.get(key)).cloned().collect();
    loaded.suspensions =
        keys.suspensions.iter().filter_map(|key| tables.suspensions.get(key)).cloned().collect();
    loaded.references =
        keys.references.iter().filter(|text| tables.references.contains_key(*text)).cloned().collect();
}

fn load_messages(tables: &Tables, keys: &Keys, loaded: &mut Loaded) {
    loaded.sessions = keys.sessions.iter().filter_map(|id| tables.sessions.get(id)).cloned().collect();
    loaded.sessions.extend(keys.session_keys.iter().filter_map(|key| tables.holder(key)).cloned());
    loaded.outbox = keys.outbox.iter().filter_map(|id| tables.outbox.get(id)).cloned().collect();
    loaded.inbox = keys.inbox.iter().filter_map(|id| tables.inbox.get(id)).cloned().collect();
}
