//! Reads outside a batch, and the conditional updates of payments and sessions: what the statements of the other databases say.

use std::cmp::Reverse;

use crate::ledger::row::{AccountRow, EntryRow, HoldRow, Id, TransferRow};
use crate::msisdn::Msisdn;
use crate::payment::row::{
    AttemptRow, BindingRow, CounterKey, CounterRow, EventRow, PairKey, PairRow, PayerRow, PaymentRow,
    SessionRow, State, SuspensionRow,
};
use crate::store::error::Error;
use crate::store::{PaymentFilter, Total};

use super::Tables;
use super::load::PENDING;

/// At most `limit` of them.
pub(super) fn some<T>(mut rows: Vec<T>, limit: u32) -> Vec<T> {
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    rows
}

pub(in crate::store) fn account(tables: &Tables, id: Id) -> Result<Option<AccountRow>, Error> {
    Ok(tables.accounts.get(&id).cloned())
}

pub(in crate::store) fn account_at(tables: &Tables, id: Id, now: i64) -> Result<Option<AccountRow>, Error> {
    let overdue = tables
        .holds
        .values()
        .filter(|hold| hold.account == id && is_due(hold, now))
        .fold(0_i64, |sum, hold| sum.saturating_add(hold.amount_minor));
    let row = tables.accounts.get(&id);
    Ok(row.map(|row| AccountRow { held_minor: row.held_minor.saturating_sub(overdue), ..row.clone() }))
}

fn is_due(hold: &HoldRow, now: i64) -> bool {
    hold.state == PENDING && hold.expires_at.is_some_and(|at| at <= now)
}

pub(in crate::store) fn house_accounts(tables: &Tables) -> Result<Vec<AccountRow>, Error> {
    let mut rows: Vec<_> = tables.accounts.values().filter(|row| !row.name.is_empty()).cloned().collect();
    rows.sort_by(|a, b| (&a.name, a.currency.code()).cmp(&(&b.name, b.currency.code())));
    Ok(rows)
}

pub(in crate::store) fn totals(tables: &Tables) -> Result<Vec<Total>, Error> {
    let mut totals: Vec<Total> = Vec::new();
    for row in tables.accounts.values() {
        let known = totals.iter_mut().find(|t| t.kind == row.kind && t.currency == row.currency);
        match known {
            Some(total) => {
                total.balance_minor = total.balance_minor.saturating_add(row.balance_minor);
                total.held_minor = total.held_minor.saturating_add(row.held_minor);
                total.accounts += 1;
            }
            None => totals.push(Total {
                kind: row.kind,
                currency: row.currency,
                balance_minor: row.balance_minor,
                held_minor: row.held_minor,
                accounts: 1,
            }),
        }
    }
    totals.sort_by(|a, b| (a.currency.code(), a.kind.number()).cmp(&(b.currency.code(), b.kind.number())));
    Ok(totals)
}

pub(in crate::store) fn payer(tables: &Tables, account: Id) -> Result<Option<PayerRow>, Error> {
    Ok(tables.payers.get(&account).cloned())
}

pub(in crate::store) fn pins_by_pepper(tables: &Tables) -> Result<Vec<(i32, i64)>, Error> {
    let mut counts = std::collections::BTreeMap::new();
    for payer in tables.payers.values().filter(|payer| payer.pin_hash.is_some()) {
        *counts.entry(payer.pin_pepper).or_insert(0) += 1;
    }
    Ok(counts.into_iter().collect())
}

pub(in crate::store) fn binding(tables: &Tables, msisdn: &Msisdn) -> Result<Option<BindingRow>, Error> {
    Ok(tables.bindings.get(msisdn).cloned())
}

pub(in crate::store) fn bindings_of(tables: &Tables, account: Id) -> Result<Vec<BindingRow>, Error> {
    let mut rows: Vec<_> = tables.bindings.values().filter(|row| row.account == account).cloned().collect();
    rows.sort_by(|a, b| (a.bound_at, a.msisdn.as_str()).cmp(&(b.bound_at, b.msisdn.as_str())));
    Ok(rows)
}

pub(in crate::store) fn payment(tables: &Tables, id: Id) -> Result<Option<PaymentRow>, Error> {
    Ok(tables.payments.get(&id).cloned())
}

pub(in crate::store) fn payment_by_reference(
    tables: &Tables,
    reference: &str,
) -> Result<Option<PaymentRow>, Error> {
    Ok(tables.references.get(reference).and_then(|id| tables.payments.get(id)).cloned())
}

pub(in crate::store) fn payment_by_attempt(
    tables: &Tables,
    reference: &str,
) -> Result<Option<PaymentRow>, Error> {
    let attempt = tables.sent.get(reference).and_then(|id| tables.attempts.get(id));
    Ok(attempt.and_then(|attempt| tables.payments.get(&attempt.payment)).cloned())
}

pub(in crate::store) fn payments(tables: &Tables, filter: &PaymentFilter) -> Result<Vec<PaymentRow>, Error> {
    let wanted = |row: &&PaymentRow| {
        row.created_at >= filter.since.unwrap_or(i64::MIN)
            && filter.until.is_none_or(|until| row.created_at < until)
            && filter.account.is_none_or(|account| row.account == account)
            && filter.state.is_none_or(|state| row.state == state)
            && filter.target.as_ref().is_none_or(|target| row.target == *target)
    };
    let mut rows: Vec<_> = tables.payments.values().filter(wanted).cloned().collect();
    rows.sort_by_key(|row| Reverse((row.created_at, row.id)));
    Ok(some(rows, filter.limit))
}

pub(in crate::store) fn open_payments(
    tables: &Tables,
    states: &[State],
    limit: u32,
) -> Result<Vec<PaymentRow>, Error> {
    let over = |state: State| matches!(state, State::Delivered | State::Refused | State::Reversed);
    let wanted = |row: &&PaymentRow| states.contains(&row.state) && !over(row.state);
    let mut rows: Vec<_> = tables.payments.values().filter(wanted).cloned().collect();
    rows.sort_by_key(|row| (row.created_at, row.id));
    Ok(some(rows, limit))
}

pub(in crate::store) fn due_payments(
    tables: &Tables,
    now: i64,
    limit: u32,
) -> Result<Vec<PaymentRow>, Error> {
    let due = |row: &&PaymentRow| row.next_check_at.is_some_and(|at| at <= now);
    let mut rows: Vec<_> = tables.payments.values().filter(due).cloned().collect();
    rows.sort_by_key(|row| (row.next_check_at, row.id));
    Ok(some(rows, limit))
}

pub(in crate::store) fn claim_payment(
    tables: &mut Tables,
    id: Id,
    version: i64,
    seen: i64,
    until: i64,
) -> Result<bool, Error> {
    let row = tables.payments.get_mut(&id);
    let Some(row) = row.filter(|row| row.version == version && row.next_check_at == Some(seen)) else {
        return Ok(false);
    };
    row.next_check_at = Some(until);
    Ok(true)
}

pub(in crate::store) fn events(tables: &Tables, payment: Id) -> Result<Vec<EventRow>, Error> {
    Ok(tables.events.range((payment, i64::MIN)..=(payment, i64::MAX)).map(|(_, row)| row.clone()).collect())
}

pub(in crate::store) fn attempts(tables: &Tables, payment: Id) -> Result<Vec<AttemptRow>, Error> {
    let mut rows: Vec<_> = tables.attempts.values().filter(|row| row.payment == payment).cloned().collect();
    rows.sort_by_key(|row| row.number);
    Ok(rows)
}

pub(in crate::store) fn attempt_by_reference(
    tables: &Tables,
    reference: &str,
) -> Result<Option<AttemptRow>, Error> {
    Ok(tables.sent.get(reference).and_then(|id| tables.attempts.get(id)).cloned())
}

pub(in crate::store) fn pair(tables: &Tables, key: &PairKey) -> Result<Option<PairRow>, Error> {
    Ok(tables.pairs.get(key).cloned())
}

pub(in crate::store) fn counter(tables: &Tables, key: &CounterKey) -> Result<Option<CounterRow>, Error> {
    Ok(tables.counters.get(key).cloned())
}

pub(in crate::store) fn suspended(tables: &Tables, keys: &[(String, String)]) -> Result<bool, Error> {
    Ok(keys.iter().any(|key| tables.suspensions.contains_key(key)))
}

pub(in crate::store) fn suspensions(tables: &Tables) -> Result<Vec<SuspensionRow>, Error> {
    Ok(tables.suspensions.values().cloned().collect())
}

pub(in crate::store) fn hold(tables: &Tables, id: Id) -> Result<Option<HoldRow>, Error> {
    Ok(tables.holds.get(&id).cloned())
}

pub(in crate::store) fn due_holds(tables: &Tables, now: i64, limit: u32) -> Result<Vec<HoldRow>, Error> {
    let mut rows: Vec<_> = tables.holds.values().filter(|hold| is_due(hold, now)).cloned().collect();
    rows.sort_by_key(|row| row.expires_at);
    Ok(some(rows, limit))
}

pub(in crate::store) fn transfer(tables: &Tables, id: Id) -> Result<Option<TransferRow>, Error> {
    Ok(tables.transfers.get(&id).cloned())
}

pub(in crate::store) fn entries_of(
    tables: &Tables,
    account: Id,
    newest: Option<Id>,
    limit: u32,
) -> Result<Vec<EntryRow>, Error> {
    let entry = |transfer: Id| tables.entries.get(&(transfer, account)).cloned();
    let first = newest.and_then(entry);
    let chain = std::iter::successors(first, |row: &EntryRow| row.previous.and_then(entry));
    Ok(chain.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
}

pub(in crate::store) fn entries_of_payment(tables: &Tables, payment: Id) -> Result<Vec<EntryRow>, Error> {
    let own = tables.transfers.values().filter(|row| row.payment == Some(payment));
    Ok(own.flat_map(|row| tables.entries_of(row.id)).cloned().collect())
}

pub(in crate::store) fn kept_sessions(
    tables: &Tables,
    after: Id,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    let kept = |row: &&SessionRow| row.key.is_some() && row.id > after;
    Ok(some(tables.sessions.values().filter(kept).cloned().collect(), limit))
}

pub(in crate::store) fn session_of(
    tables: &Tables,
    caller: &Msisdn,
    flow: &str,
    now: i64,
) -> Result<Option<SessionRow>, Error> {
    let own = |row: &&SessionRow| {
        row.caller == *caller && row.flow == flow && row.key.is_none() && row.expires_at > now
    };
    Ok(tables.sessions.values().filter(own).min_by_key(|row| (Reverse(row.saved_at), row.id)).cloned())
}

pub(in crate::store) fn forget_sessions(
    tables: &mut Tables,
    now: i64,
    keyed_before: i64,
) -> Result<u64, Error> {
    let old =
        |row: &SessionRow| row.expires_at <= now && (row.key.is_none() || row.expires_at <= keyed_before);
    let gone: Vec<Id> = tables.sessions.values().filter(|row| old(row)).map(|row| row.id).collect();
    for id in &gone {
        if let Some(key) = tables.sessions.remove(id).and_then(|row| row.key) {
            tables.held.remove(&key);
        }
    }
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
}
