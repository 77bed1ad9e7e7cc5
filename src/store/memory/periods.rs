//! The books of a time: what the statements of the other databases say.

use std::collections::BTreeMap;

use crate::ledger::row::{Id, TransferRow};
use crate::payment::row::AttemptRow;
use crate::store::accounting::{Booked, Sum};
use crate::store::error::Error;

use super::Tables;

pub(in crate::store) fn sums_until(tables: &Tables, until: i64) -> Result<Vec<Sum>, Error> {
    let mut sums: BTreeMap<(i16, String, String), Sum> = BTreeMap::new();
    for booked in booked(tables).filter(|booked| booked.at < until) {
        let key = (booked.kind.number(), booked.name.clone(), booked.currency.code().to_owned());
        let sum = sums.entry(key).or_insert_with(|| Sum {
            kind: booked.kind,
            name: booked.name.clone(),
            currency: booked.currency,
            amount_minor: 0,
        });
        sum.amount_minor = sum.amount_minor.saturating_add(booked.entry.amount_minor);
    }
    Ok(sums.into_values().collect())
}

/// Every entry whose transfer and account are there.
fn booked(tables: &Tables) -> impl Iterator<Item = Booked> + '_ {
    tables.entries.values().filter_map(|entry| {
        let transfer = tables.transfers.get(&entry.transfer)?;
        let account = tables.accounts.get(&entry.account)?;
        Some(Booked {
            entry: entry.clone(),
            at: transfer.at,
            payment: transfer.payment,
            kind: account.kind,
            name: account.name.clone(),
            currency: account.currency,
        })
    })
}

pub(in crate::store) fn transfers_between(
    tables: &Tables,
    from: i64,
    until: i64,
    see: &mut (dyn FnMut(TransferRow) + Send),
) -> Result<(), Error> {
    let within = |row: &&TransferRow| (from..until).contains(&row.at);
    let mut rows: Vec<&TransferRow> = tables.transfers.values().filter(within).collect();
    rows.sort_by_key(|row| (row.at, row.id));
    rows.into_iter().for_each(|row| see(row.clone()));
    Ok(())
}

pub(in crate::store) fn transfers_of(tables: &Tables, ids: &[Id]) -> Result<Vec<TransferRow>, Error> {
    Ok(ids.iter().filter_map(|id| tables.transfers.get(id)).cloned().collect())
}

pub(in crate::store) fn entries_between(
    tables: &Tables,
    from: i64,
    until: i64,
    see: &mut (dyn FnMut(Booked) + Send),
) -> Result<(), Error> {
    let mut rows: Vec<Booked> = booked(tables).filter(|row| (from..until).contains(&row.at)).collect();
    rows.sort_by_key(|row| (row.at, row.entry.transfer, row.entry.account));
    rows.into_iter().for_each(see);
    Ok(())
}

pub(in crate::store) fn attempts_with(
    tables: &Tables,
    connector: &str,
    from: i64,
    until: i64,
) -> Result<Vec<AttemptRow>, Error> {
    let wanted = |row: &&AttemptRow| row.connector == connector && (from..until).contains(&row.created_at);
    let mut rows: Vec<AttemptRow> = tables.attempts.values().filter(wanted).cloned().collect();
    rows.sort_by_key(|row| (row.created_at, row.payment, row.number));
    Ok(rows)
}
