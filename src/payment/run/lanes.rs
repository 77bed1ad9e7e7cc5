//! Several batches at once, for a database that lets several connections write: while one waits for its rows, another is being
//! judged or written.
//!
//! Batches that are under way have no account in common, so that none waits for another's locks; of one account, units are
//! written in the order in which they came. A unit of which the store cannot tell the accounts goes alone. What is kept
//! apart by other rows than accounts is left to the database, as between two nodes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::ledger::row::Id;
use crate::payment::fold::keys_of;
use crate::payment::run::writer::{BATCH_MAX, Lane, OPS_MAX, Waiting, gather};
use crate::store::Store;

/// The accounts of a batch that is under way.
#[derive(Debug, Eq, PartialEq)]
enum Held {
    /// These.
    Accounts(HashSet<Id>),
    /// It may be any.
    Any,
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
        while !queue.is_empty()
            && let Some(mut lane) = free.pop()
        {
            gather(&mut units, &mut queue).await;
            let accounts = |waiting: &Waiting| store.accounts_of(&keys_of(&waiting.unit));
            let ops = |waiting: &Waiting| waiting.unit.ops.len();
            let (batch, of) = take(&mut queue, held.values(), accounts, ops);
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
            taken = units.recv_many(&mut queue, BATCH_MAX), if open && !free.is_empty() && queue.len() < BATCH_MAX => {
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
    accounts: impl Fn(&T) -> Option<BTreeSet<Id>>,
    ops: impl Fn(&T) -> usize,
) -> (Vec<T>, Held) {
    let mut others: HashSet<Id> = HashSet::new();
    let mut alone = true;
    for one in held {
        alone = false;
        match one {
            Held::Accounts(accounts) => others.extend(accounts),
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
        match accounts(&unit) {
            Some(of) if of.iter().all(|id| !others.contains(id)) => {
                taken = more;
                mine.extend(of);
                batch.push(unit);
            }
            // What comes after it of these accounts waits with it.
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
    (batch, if any { Held::Any } else { Held::Accounts(mine) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Id = Id([1; 16]);
    const B: Id = Id([2; 16]);
    const C: Id = Id([3; 16]);

    type Unit = (u32, Option<Vec<Id>>);

    fn numbers(units: &[Unit]) -> Vec<u32> {
        units.iter().map(|(number, _)| *number).collect()
    }

    fn taken(queue: &[Unit], held: &[Held]) -> (Vec<u32>, Vec<u32>, Held) {
        let mut queue = queue.to_vec();
        let of = |unit: &Unit| unit.1.as_ref().map(|accounts| accounts.iter().copied().collect());
        let (batch, held) = take(&mut queue, held.iter(), of, |_| 1);
        (numbers(&batch), numbers(&queue), held)
    }

    fn accounts(ids: &[Id]) -> Held {
        Held::Accounts(ids.iter().copied().collect())
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
        let queue: Vec<Unit> = (0..many + 2).map(|n| (n, Some(vec![A]))).collect();
        let (batch, rest, _) = taken(&queue, &[]);
        assert_eq!((batch.len(), rest), (OPS_MAX, vec![many, many + 1]));
    }
}
