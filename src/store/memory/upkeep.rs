//! Forgetting and erasing.

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::{OutboxState, State, Target};
use crate::store::error::Error;
use crate::store::memory::tables::Tables;

/// As the other databases do it.
pub(in crate::store) fn forget_outbox(tables: &mut Tables, before: i64, limit: u32) -> Result<u64, Error> {
    let ended = |state: OutboxState| !matches!(state, OutboxState::Waiting | OutboxState::Sending);
    let old = tables.outbox.values().filter(|row| ended(row.state) && row.created_at < before);
    let old: Vec<Id> = old.map(|row| row.id).take(usize::try_from(limit).unwrap_or(usize::MAX)).collect();
    old.iter().for_each(|id| drop(tables.outbox.remove(id)));
    Ok(u64::try_from(old.len()).unwrap_or(u64::MAX))
}

/// Of payments alone: simulations erase nobody.
pub(in crate::store) fn erase_number(
    tables: &mut Tables,
    account: Id,
    number: &Msisdn,
    pseudonym: &Msisdn,
    other: bool,
) -> Result<u64, Error> {
    let mut changed = 0_u64;
    let target = Target::Phone(number.clone());
    let open: Vec<_> =
        tables.pairs.values().filter(|pair| pair.state == 1).map(|pair| pair.key.clone()).collect();
    let ended = |state: State| matches!(state, State::Delivered | State::Refused | State::Reversed);
    for row in tables.payments.values_mut().filter(|row| ended(row.state)) {
        if row.caller.as_ref() == Some(number) && (!other || row.account == account) {
            row.caller = Some(pseudonym.clone());
            changed = changed.saturating_add(1);
        }
        if !other && row.target == target && !open.contains(&row.pair_key()) {
            row.target = Target::Phone(pseudonym.clone());
            changed = changed.saturating_add(1);
        }
    }
    if !other {
        let moved: Vec<_> =
            tables.pairs.keys().filter(|key| key.target == target && !open.contains(key)).cloned().collect();
        for key in moved {
            if let Some(mut pair) = tables.pairs.remove(&key) {
                pair.key.target = Target::Phone(pseudonym.clone());
                tables.pairs.insert(pair.key.clone(), pair);
            }
        }
    }
    Ok(changed)
}
