//! Shows the books in the order in which `ledger::verify` and `payment::verify` prove them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::row::{Case, EntryRow, Fact, Id, TransferRow};
use crate::payment::row::record::AUDITED;
use crate::payment::row::{AttemptRow, PairRow, PaymentCase, PaymentFact, PaymentRow};

use super::Tables;
use super::load::PENDING;

/// Shows every row of the ledger.
pub(super) fn books(tables: &Tables, see: &mut (dyn FnMut(Fact) + Send)) {
    tables.accounts.values().for_each(|row| see(Fact::Account(row.clone())));
    let mut chains: Vec<&EntryRow> = tables.entries.values().collect();
    chains.sort_by_key(|row| (row.account, row.sequence, row.transfer));
    chains.into_iter().for_each(|row| see(Fact::Chain(row.clone())));
    let pending = tables.holds.values().filter(|hold| hold.state == PENDING);
    pending.for_each(|row| see(Fact::Pending(row.clone())));
    let mut referring: BTreeMap<Id, Vec<&TransferRow>> = BTreeMap::new();
    for row in tables.transfers.values() {
        if let Some(to) = row.refers_to {
            referring.entry(to).or_default().push(row);
        }
    }
    let entries = |id: Id| -> Vec<EntryRow> { tables.entries_of(id).cloned().collect() };
    for row in tables.transfers.values() {
        let referring = referring.get(&row.id).map(Vec::as_slice).unwrap_or_default();
        see(Fact::Case(Case {
            transfer: row.clone(),
            entries: entries(row.id),
            hold: tables.holds.get(&row.id).cloned(),
            referring: referring.iter().map(|row| ((*row).clone(), entries(row.id))).collect(),
        }));
    }
    orphans(tables, see);
}

/// Rows whose transfer is gone.
fn orphans(tables: &Tables, see: &mut (dyn FnMut(Fact) + Send)) {
    let gone = |id: &Id| !tables.transfers.contains_key(id);
    for (id, _) in tables.entries.keys().filter(|(id, _)| gone(id)) {
        see(Fact::Orphan { table: "entries", id: *id });
    }
    for id in tables.holds.keys().filter(|id| gone(id)) {
        see(Fact::Orphan { table: "holds", id: *id });
    }
    let dangling = |row: &&TransferRow| row.outcome == 0 && row.refers_to.as_ref().is_some_and(gone);
    for row in tables.transfers.values().filter(dangling) {
        see(Fact::Orphan { table: "transfers", id: row.id });
    }
}

/// Shows every row of payments, of holds for none and of limits.
pub(super) fn payments(tables: &Tables, see: &mut (dyn FnMut(PaymentFact) + Send)) {
    let mut own: BTreeMap<Id, Vec<&TransferRow>> = BTreeMap::new();
    for row in tables.transfers.values() {
        if let Some(payment) = row.payment {
            own.entry(payment).or_default().push(row);
        }
    }
    let mut sent: BTreeMap<Id, Vec<AttemptRow>> = BTreeMap::new();
    for row in tables.attempts.values() {
        sent.entry(row.payment).or_default().push(row.clone());
    }
    sent.values_mut().for_each(|rows| rows.sort_by_key(|row| row.number));
    for payment in tables.payments.values() {
        let transfers = own.get(&payment.id).map(Vec::as_slice).unwrap_or_default();
        see(PaymentFact::Payment(Box::new(PaymentCase {
            payment: payment.clone(),
            transfers: transfers.iter().map(|row| (*row).clone()).collect(),
            holds: transfers.iter().filter_map(|row| tables.holds.get(&row.id)).cloned().collect(),
            pair: tables.pairs.get(&payment.pair_key()).cloned(),
            events: tables
                .events
                .range((payment.id, i64::MIN)..=(payment.id, i64::MAX))
                .map(|(_, row)| row.clone())
                .collect(),
            attempts: sent.get(&payment.id).cloned().unwrap_or_default(),
        })));
    }
    let paid: BTreeSet<Id> = tables.payments.keys().copied().collect();
    let of_none = |id: &Id| {
        let payment = tables.transfers.get(id).and_then(|row| row.payment);
        payment.is_none_or(|payment| !paid.contains(&payment))
    };
    for hold in tables.holds.values().filter(|hold| hold.state == PENDING && of_none(&hold.id)) {
        see(PaymentFact::StrayHold(hold.clone()));
    }
    let theirs = |pair: &PairRow, payment: &PaymentRow| payment.pair_key() == pair.key;
    let strays = tables
        .pairs
        .values()
        .filter(|pair| !tables.payments.get(&pair.payment).is_some_and(|payment| theirs(pair, payment)));
    strays.for_each(|pair| see(PaymentFact::StrayPair(pair.clone())));
    tables.counters.values().for_each(|row| see(PaymentFact::Counter(row.clone())));
    for shape in AUDITED {
        let own = tables.records.values().filter(|row| row.shape == *shape);
        own.for_each(|row| see(PaymentFact::Record(row.clone())));
    }
}
