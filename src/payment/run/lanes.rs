//! Several batches at once, for a database that lets several connections write: while one waits for its rows, another is being
//! judged or written.
//!
//! Batches that are under way have nothing in common that one of them might change, so that none waits for another's locks,
//! and units that have something in common are written in the order in which they came. A unit of which that cannot be told
//! goes alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::ledger::row::Id;
use crate::msisdn::Msisdn;
use crate::payment::row::record::RecordKey;
use crate::payment::run::writer::{BATCH_MAX, Lane, OPS_MAX, Waiting, gather};
use crate::payment::unit::Op;
use crate::store::Store;

/// Units from which on a batch is begun beside another: fewer are cheaper in the commit after it. The tests' callers are fewer.
const BESIDE_MIN: usize = if cfg!(debug_assertions) { 32 } else { 128 };

/// Something that two batches must not have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Claim {
    /// An account, and with it its payments, limits and settings.
    Account(Id),
    /// A ledger command, whoever asks it.
    Command(Id),
    /// A payment that should be new.
    Payment(Id),
    /// What a number is bound to.
    Number(Msisdn),
    /// A row of a table without rules of its own.
    Record(RecordKey),
    /// Conversations: their keys go from one to another.
    Sessions,
    /// A message that came in or goes out, or a long text of which parts came in.
    Message(Id),
}

/// What a batch that is under way may change.
#[derive(Debug, Eq, PartialEq)]
enum Held {
    /// This.
    Claims(HashSet<Claim>),
    /// Anything.
    Any,
}

/// What a unit may change or must see unchanged; nothing when that is not known without asking the database.
fn claims(store: &Store, Waiting { unit, keys, .. }: &Waiting) -> Option<Vec<Claim>> {
    // Everybody looks at what is shut.
    if unit.ops.iter().any(|op| matches!(op, Op::Suspend(_) | Op::Resume(_))) {
        return None;
    }
    let sessions = !keys.sessions.is_empty() || !keys.session_keys.is_empty();
    let texts = unit.ops.iter().filter_map(|op| match op {
        Op::Part(row) => Some(row.message),
        Op::DropParts(message) => Some(*message),
        _ => None,
    });
    let mut claims: Vec<Claim> = store.accounts_of(keys)?.into_iter().map(Claim::Account).collect();
    claims.extend(keys.transfers.iter().chain(&keys.reversed).copied().map(Claim::Command));
    claims.extend(keys.begun.keys().copied().map(Claim::Payment));
    claims.extend(keys.bindings.iter().cloned().map(Claim::Number));
    claims.extend(keys.records.iter().cloned().map(Claim::Record));
    claims.extend(sessions.then_some(Claim::Sessions));
    let messages = keys.queued.iter().chain(&keys.outbox).chain(&keys.inbox).copied().chain(texts);
    claims.extend(messages.map(Claim::Message));
    Some(claims)
}

/// Hands what is queued to lanes that are free, until the gate closes and everything is written.
pub(super) async fn run(
    store: Store,
    mut free: Vec<Lane>,
    mut units: mpsc::Receiver<Waiting>,
    stop: Arc<Semaphore>,
) {
    let mut busy: JoinSet<(Lane, u64)> = JoinSet::new();
    let mut held: HashMap<u64, Held> = HashMap::new();
    let mut queue: Vec<Waiting> = Vec::with_capacity(BATCH_MAX);
    let (mut batches, mut open, mut closing) = (0_u64, true, false);
    loop {
        while (queue.len() >= BESIDE_MIN || (busy.is_empty() && !queue.is_empty()))
            && let Some(mut lane) = free.pop()
        {
            gather(&mut units, &mut queue).await;
            let claims = |waiting: &Waiting| claims(&store, waiting);
            let ops = |waiting: &Waiting| waiting.unit.ops.len();
            let (batch, of) = take(&mut queue, held.values(), claims, ops);
            if batch.is_empty() {
                free.push(lane);
                break;
            }
            batches = batches.wrapping_add(1);
            let number = batches;
            held.insert(number, of);
            busy.spawn(async move {
                lane.write(batch).await;
                (lane, number)
            });
        }
        if !open && queue.is_empty() && busy.is_empty() {
            return;
        }
        let room = BATCH_MAX.saturating_sub(queue.len());
        tokio::select! {
            biased;
            Some(done) = busy.join_next(), if !busy.is_empty() => match done {
                Ok((lane, number)) => {
                    held.remove(&number);
                    free.push(lane);
                }
                // Whoever waits for this task sees why it ended.
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return,
                },
            },
            taken = units.recv_many(&mut queue, room), if open && !free.is_empty() && room > 0 => {
                open = taken > 0;
            }
            // Fails when the gate closes; then the channel is drained to its end.
            _ = stop.acquire_many(2), if !closing => {
                closing = true;
                units.close();
            }
        }
    }
}

/// Takes from the queue, in order, what may be written beside the batches that are under way.
fn take<'h, T>(
    queue: &mut Vec<T>,
    held: impl Iterator<Item = &'h Held>,
    claims: impl Fn(&T) -> Option<Vec<Claim>>,
    ops: impl Fn(&T) -> usize,
) -> (Vec<T>, Held) {
    let mut others: HashSet<Claim> = HashSet::new();
    let mut alone = true;
    for one in held {
        alone = false;
        match one {
            Held::Claims(claims) => others.extend(claims.iter().cloned()),
            Held::Any => return (Vec::new(), Held::Any),
        }
    }
    let (mut batch, mut rest) = (Vec::new(), Vec::new());
    let (mut mine, mut any, mut full, mut taken) = (HashSet::new(), false, false, 0_usize);
    for unit in queue.drain(..) {
        let more = taken.saturating_add(ops(&unit));
        full = full || (more > OPS_MAX && !batch.is_empty());
        if full {
            rest.push(unit);
            continue;
        }
        match claims(&unit) {
            Some(of) if of.iter().all(|claim| !others.contains(claim)) => {
                taken = more;
                mine.extend(of);
                batch.push(unit);
            }
            // What comes after it and has something in common with it waits too.
            Some(of) => {
                others.extend(of);
                rest.push(unit);
            }
            None if alone => {
                taken = more;
                any = true;
                batch.push(unit);
            }
            None => {
                full = true;
                rest.push(unit);
            }
        }
    }
    *queue = rest;
    (batch, if any { Held::Any } else { Held::Claims(mine) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Id = Id([1; 16]);
    const B: Id = Id([2; 16]);
    const C: Id = Id([3; 16]);

    type Named = (u32, Option<Vec<Id>>);

    fn numbers(units: &[Named]) -> Vec<u32> {
        units.iter().map(|(number, _)| *number).collect()
    }

    fn taken(queue: &[Named], held: &[Held]) -> (Vec<u32>, Vec<u32>, Held) {
        let mut queue = queue.to_vec();
        let of = |unit: &Named| unit.1.as_ref().map(|ids| ids.iter().copied().map(Claim::Account).collect());
        let (batch, held) = take(&mut queue, held.iter(), of, |_| 1);
        (numbers(&batch), numbers(&queue), held)
    }

    fn accounts(ids: &[Id]) -> Held {
        Held::Claims(ids.iter().copied().map(Claim::Account).collect())
    }

    #[test]
    fn no_account_is_in_two_batches_and_each_keeps_its_order() {
        let queue = [
            (1, Some(vec![A])),
            (2, Some(vec![B, C])),
            (3, Some(vec![C])),
            (4, Some(vec![A])),
            (5, Some(vec![])),
        ];
        assert_eq!(taken(&queue, &[]), (vec![1, 2, 3, 4, 5], vec![], accounts(&[A, B, C])));
        // The third is free by itself, but the second comes before it.
        assert_eq!(taken(&queue, &[accounts(&[B])]), (vec![1, 4, 5], vec![2, 3], accounts(&[A])));
        assert_eq!(
            taken(&queue, &[accounts(&[A]), accounts(&[C])]),
            (vec![5], vec![1, 2, 3, 4], accounts(&[]))
        );
    }

    #[test]
    fn what_may_touch_anything_goes_alone() {
        let queue = [(1, Some(vec![A])), (2, None), (3, Some(vec![B]))];
        assert_eq!(taken(&queue, &[]), (vec![1, 2, 3], vec![], Held::Any));
        assert_eq!(
            taken(&queue, &[accounts(&[C])]),
            (vec![1], vec![2, 3], accounts(&[A])),
            "and is not passed"
        );
        assert_eq!(taken(&queue, &[Held::Any]), (vec![], vec![1, 2, 3], Held::Any));
    }

    #[test]
    fn a_batch_is_no_larger_than_others() {
        let many = u32::try_from(OPS_MAX).unwrap();
        let queue: Vec<Named> = (0..many + 2).map(|n| (n, Some(vec![A]))).collect();
        let (batch, rest, _) = taken(&queue, &[]);
        assert_eq!((batch.len(), rest), (OPS_MAX, vec![many, many + 1]));
    }
}
