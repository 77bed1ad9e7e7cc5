//! Messages and the conversations that channels look for: what the statements of the other databases say.

use std::cmp::Reverse;

use crate::ledger::row::Id;
use crate::payment::row::{OutboxRow, OutboxState, PartRow, SessionRow};
use crate::store::error::Error;
use crate::store::{OutboxCount, OutboxFilter};

use super::Tables;
use super::reads::some;

/// What is said of a message whose lease ran out.
const INTERRUPTED: &str = "interrupted";

pub(in crate::store) fn claim(
    tables: &mut Tables,
    owner: Id,
    now: i64,
    lease_until: i64,
    limit: u32,
) -> Result<Vec<OutboxRow>, Error> {
    let due =
        |row: &&OutboxRow| row.state == OutboxState::Waiting && row.due_at <= now && row.expires_at > now;
    let mut chosen: Vec<(i64, Id)> =
        tables.outbox.values().filter(due).map(|row| (row.due_at, row.id)).collect();
    chosen.sort_unstable();
    let mut claimed = Vec::new();
    for (_, id) in some(chosen, limit) {
        if let Some(row) = tables.outbox.get_mut(&id) {
            row.state = OutboxState::Sending;
            row.owner = Some(owner);
            row.due_at = lease_until;
            row.updated_at = now;
            claimed.push(row.clone());
        }
    }
    claimed.sort_by_key(|row| (row.created_at, row.id));
    Ok(claimed)
}

pub(in crate::store) fn lost(tables: &mut Tables, now: i64, sole: Option<Id>) -> Result<u64, Error> {
    let mut lost = 0;
    for row in tables.outbox.values_mut().filter(|row| row.state == OutboxState::Sending) {
        let others = sole.is_some_and(|owner| row.owner.is_some_and(|other| other != owner));
        if row.due_at <= now || others {
            row.state = OutboxState::Unknown;
            row.owner = None;
            row.code = Some(INTERRUPTED.to_owned());
            row.updated_at = now;
            lost += 1;
        }
    }
    Ok(lost)
}

pub(in crate::store) fn forget_inbox(tables: &mut Tables, before: i64, limit: u32) -> Result<u64, Error> {
    let old = tables.inbox.values().filter(|row| row.received_at < before);
    let mut old: Vec<(i64, Id)> = old.map(|row| (row.received_at, row.key)).collect();
    old.sort_unstable();
    let gone = some(old, limit);
    gone.iter().for_each(|(_, key)| drop(tables.inbox.remove(key)));
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
}

pub(in crate::store) fn forget_parts(tables: &mut Tables, before: i64) -> Result<u64, Error> {
    let there = tables.parts.len();
    tables.parts.retain(|_, row| row.received_at >= before);
    Ok(u64::try_from(there - tables.parts.len()).unwrap_or(u64::MAX))
}

pub(in crate::store) fn row(tables: &Tables, id: Id) -> Result<Option<OutboxRow>, Error> {
    Ok(tables.outbox.get(&id).cloned())
}

pub(in crate::store) fn of_payment(tables: &Tables, payment: Id) -> Result<Vec<OutboxRow>, Error> {
    let own = tables.outbox.values().filter(|row| row.payment == Some(payment));
    let mut rows: Vec<_> = own.cloned().collect();
    rows.sort_by_key(|row| (row.created_at, row.id));
    Ok(rows)
}

pub(in crate::store) fn by_message_id(
    tables: &Tables,
    route: &str,
    message_id: &str,
) -> Result<Option<OutboxRow>, Error> {
    let own = |row: &&OutboxRow| {
        row.route.as_deref() == Some(route) && row.message_id.as_deref() == Some(message_id)
    };
    Ok(tables.outbox.values().filter(own).max_by_key(|row| (row.created_at, row.id)).cloned())
}

pub(in crate::store) fn overdue(tables: &Tables, now: i64, limit: u32) -> Result<Vec<OutboxRow>, Error> {
    let over = |row: &&OutboxRow| row.state == OutboxState::Waiting && row.expires_at <= now;
    let mut rows: Vec<_> = tables.outbox.values().filter(over).cloned().collect();
    rows.sort_by_key(|row| (row.expires_at, row.id));
    Ok(some(rows, limit))
}

pub(in crate::store) fn list(tables: &Tables, filter: &OutboxFilter) -> Result<Vec<OutboxRow>, Error> {
    let wanted = |row: &&OutboxRow| {
        row.created_at >= filter.since.unwrap_or(i64::MIN)
            && filter.state.is_none_or(|state| row.state == state)
            && filter.recipient.as_ref().is_none_or(|recipient| row.recipient == *recipient)
            && (filter.route.is_none() || row.route == filter.route)
    };
    let mut rows: Vec<_> = tables.outbox.values().filter(wanted).cloned().collect();
    rows.sort_by_key(|row| Reverse((row.created_at, row.id)));
    Ok(some(rows, filter.limit))
}

pub(in crate::store) fn counts(tables: &Tables) -> Result<Vec<OutboxCount>, Error> {
    let count = |state: &OutboxState| {
        let of = || tables.outbox.values().filter(|row| row.state == *state);
        let oldest_at = of().map(|row| row.created_at).min()?;
        Some(OutboxCount {
            state: *state,
            messages: i64::try_from(of().count()).unwrap_or(i64::MAX),
            oldest_at,
        })
    };
    let mut counts: Vec<_> = OutboxState::ALL.iter().filter_map(count).collect();
    counts.sort_by_key(|count| count.state.number());
    Ok(counts)
}

pub(in crate::store) fn parts(tables: &Tables, message: Id) -> Result<Vec<PartRow>, Error> {
    Ok(tables.parts.range((message, i16::MIN)..=(message, i16::MAX)).map(|(_, row)| row.clone()).collect())
}

pub(in crate::store) fn session_by_key(
    tables: &Tables,
    key: &str,
    now: i64,
) -> Result<Option<SessionRow>, Error> {
    Ok(tables.holder(key).filter(|row| row.expires_at > now).cloned())
}

pub(in crate::store) fn sessions_by_keys(
    tables: &Tables,
    keys: &[&str],
    now: i64,
) -> Result<Vec<SessionRow>, Error> {
    let held =
        |row: &&SessionRow| row.expires_at > now && row.key.as_deref().is_some_and(|key| keys.contains(&key));
    Ok(tables.sessions.values().filter(held).cloned().collect())
}

pub(in crate::store) fn sessions_expired(
    tables: &Tables,
    now: i64,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    let over = |row: &&SessionRow| row.key.is_some() && row.expires_at <= now;
    let mut rows: Vec<_> = tables.sessions.values().filter(over).cloned().collect();
    rows.sort_by_key(|row| (row.expires_at, row.id));
    Ok(some(rows, limit))
}

pub(in crate::store) fn sessions_under(
    tables: &Tables,
    prefix: &str,
    limit: u32,
) -> Result<Vec<SessionRow>, Error> {
    let under = |row: &&SessionRow| row.key.as_ref().is_some_and(|key| key.starts_with(prefix));
    let mut rows: Vec<_> = tables.sessions.values().filter(under).cloned().collect();
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(some(rows, limit))
}
