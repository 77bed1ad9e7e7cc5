//! Writes a batch: into a copy of what it touches first, so that a conflict leaves nothing of it.

use std::collections::BTreeMap;

use crate::ledger::row::{AccountRow, Id};
use crate::store::Stamp;
use crate::store::error::Error;
use crate::store::keys::{Changes, Rows};

use super::{Tables, records};

/// All or nothing.
pub(super) fn write(tables: &mut Tables, changes: Changes, stamp: Stamp) -> Result<(), Error> {
    judge(tables, &changes)?;
    write_ledger(tables, &changes);
    write_payment(tables, &changes);
    for key in &changes.removed {
        records::remove(tables, key);
    }
    for record in changes.records.added.iter().chain(&changes.records.changed) {
        records::put(tables, record);
    }
    write_messages(tables, changes);
    tables.writers.insert(stamp.writer, stamp.batch);
    Ok(())
}

/// What the unique indexes of the other databases refuse.
fn judge(tables: &Tables, changes: &Changes) -> Result<(), Error> {
    let taken = |what: &str, is: bool| {
        if is { Err(Error::Conflict(format!("{what} is there already"))) } else { Ok(()) }
    };
    for row in &changes.accounts.added {
        let same = |other: &&AccountRow| {
            !row.name.is_empty() && other.name == row.name && other.currency == row.currency
        };
        let name = !row.name.is_empty() && tables.accounts.values().find(same).is_some();
        taken("an account", name || tables.accounts.contains_key(&row.id))?;
    }
    for row in &changes.transfers {
        taken("a transfer", tables.transfers.contains_key(&row.id))?;
    }
    for row in &changes.entries {
        taken("an entry", tables.entries.contains_key(&(row.transfer, row.account)))?;
    }
    for row in &changes.holds.added {
        taken("a hold", tables.holds.contains_key(&row.id))?;
    }
    for row in &changes.payments.added {
        let reference = tables.references.contains_key(&row.reference);
        taken("a payment", reference || tables.payments.contains_key(&row.id))?;
    }
    for row in &changes.events {
        taken("an event", tables.events.contains_key(&(row.payment, row.version)))?;
    }
    for row in &changes.attempts.added {
        let known = tables.sent.contains_key(&row.reference);
        let tried = tables.tried.contains_key(&(row.payment, row.number));
        taken("an attempt", known || tried || tables.attempts.contains_key(&row.id))?;
    }
    for row in &changes.bindings.added {
        let leaves = changes.unbound.contains(&row.msisdn);
        taken("a binding", !leaves && tables.bindings.contains_key(&row.msisdn))?;
    }
    for row in &changes.suspended {
        taken("a suspension", tables.suspensions.contains_key(&(row.scope.clone(), row.key.clone())))?;
    }
    for row in &changes.records.added {
        let key = row.key();
        taken(row.shape.table, !changes.removed.contains(&key) && tables.records.contains_key(&key))?;
    }
    if let Some(table) = records::clash(tables, changes) {
        taken(table, true)?;
    }
    judge_sessions(tables, changes)
}

fn judge_sessions(tables: &Tables, changes: &Changes) -> Result<(), Error> {
    for row in changes.sessions.added.iter().chain(&changes.sessions.changed) {
        let holder = row.key.as_ref().and_then(|key| tables.held.get(key)).filter(|id| **id != row.id);
        let lets_go = |id: &Id| {
            changes.ended.contains(id)
                || changes.released.contains(id)
                || changes.sessions.changed.iter().any(|other| other.id == *id && other.key != row.key)
        };
        if holder.is_some_and(|id| !lets_go(id)) {
            return Err(Error::Conflict("a session's key is there already".to_owned()));
        }
    }
    Ok(())
}

/// Adds rows and replaces rows.
fn put<K: Ord, V: Clone>(table: &mut BTreeMap<K, V>, rows: &Rows<V>, key: impl Fn(&V) -> K) {
    for row in rows.added.iter().chain(&rows.changed) {
        table.insert(key(row), row.clone());
    }
}

fn write_ledger(tables: &mut Tables, changes: &Changes) {
    for row in &changes.accounts.added {
        tables.accounts.insert(row.id, row.clone());
    }
    for row in &changes.accounts.changed {
        if let Some(stored) = tables.accounts.get_mut(&row.id) {
            stored.balance_minor = row.balance_minor;
            stored.held_minor = row.held_minor;
            stored.entries = row.entries;
            stored.last_transfer = row.last_transfer;
        }
    }
    tables.transfers.extend(changes.transfers.iter().map(|row| (row.id, row.clone())));
    tables.entries.extend(changes.entries.iter().map(|row| ((row.transfer, row.account), row.clone())));
    for row in &changes.holds.added {
        tables.holds.insert(row.id, row.clone());
    }
    for row in &changes.holds.changed {
        if let Some(stored) = tables.holds.get_mut(&row.id) {
            stored.expires_at = row.expires_at;
            stored.state = row.state;
            stored.resolved_by = row.resolved_by;
        }
    }
}

fn write_payment(tables: &mut Tables, changes: &Changes) {
    for row in &changes.payments.added {
        tables.references.insert(row.reference.clone(), row.id);
        tables.payments.insert(row.id, row.clone());
    }
    for row in &changes.payments.changed {
        if let Some(stored) = tables.payments.get_mut(&row.id) {
            *stored = row.clone();
        }
    }
    tables.events.extend(changes.events.iter().map(|row| ((row.payment, row.version), row.clone())));
    for row in &changes.attempts.added {
        tables.sent.insert(row.reference.clone(), row.id);
        tables.tried.insert((row.payment, row.number), row.id);
    }
    put(&mut tables.attempts, &changes.attempts, |row| row.id);
    put(&mut tables.counters, &changes.counters, |row| row.key.clone());
    put(&mut tables.pairs, &changes.pairs, |row| row.key.clone());
    put(&mut tables.payers, &changes.payers, |row| row.account);
    for msisdn in &changes.unbound {
        tables.bindings.remove(msisdn);
    }
    put(&mut tables.bindings, &changes.bindings, |row| row.msisdn.clone());
    for row in &changes.suspended {
        tables.suspensions.insert((row.scope.clone(), row.key.clone()), row.clone());
    }
    for key in &changes.resumed {
        tables.suspensions.remove(key);
    }
}

fn write_messages(tables: &mut Tables, changes: Changes) {
    // What gives a key up goes before what takes it.
    for id in &changes.ended {
        if let Some(key) = tables.sessions.remove(id).and_then(|row| row.key) {
            tables.held.remove(&key);
        }
    }
    for id in &changes.released {
        if let Some(key) = tables.sessions.get_mut(id).and_then(|row| row.key.take()) {
            tables.held.remove(&key);
        }
    }
    for row in changes.sessions.added.into_iter().chain(changes.sessions.changed) {
        let id = row.id;
        if let Some(before) = tables.sessions.get(&id).and_then(|stored| stored.key.clone())
            && tables.held.get(&before) == Some(&id)
        {
            tables.held.remove(&before);
        }
        if let Some(key) = &row.key {
            tables.held.insert(key.clone(), id);
        }
        tables.sessions.insert(id, row);
    }
    for row in changes.outbox.added {
        tables.outbox.entry(row.id).or_insert(row);
    }
    for row in changes.outbox.changed {
        if let Some(stored) = tables.outbox.get_mut(&row.id) {
            stored.state = row.state;
            stored.route = row.route;
            stored.message_id = row.message_id;
            stored.code = row.code;
            stored.attempts = row.attempts;
            stored.segments = row.segments;
            stored.due_at = row.due_at;
            stored.owner = row.owner;
            stored.updated_at = row.updated_at;
        }
    }
    put(&mut tables.inbox, &changes.inbox, |row| row.key);
    tables.parts.retain(|(message, _), _| !changes.dropped_parts.contains(message));
    for row in changes.parts {
        tables.parts.entry((row.message, row.number)).or_insert(row);
    }
}
