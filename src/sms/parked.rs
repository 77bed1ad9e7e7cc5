//! Receipts that came before the response that gives their message its id, kept until it comes. Pure: the time is given.
//!
//! A network may be quicker with the receipt than with the response to the text, and the response may have gone to another
//! node, so a receipt that matches nothing is looked up again for some minutes. It is kept in memory: one that is lost
//! leaves a text *accepted* that was delivered.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;

/// Receipts that are kept at most; the oldest goes when another comes.
pub const PARKED_MAX: usize = 10_000;
/// How long a receipt is kept.
pub const PARKED_FOR: Duration = Duration::from_secs(300);
/// Receipts of one message that are kept at most; the latest are.
const OF_ONE_MAX: usize = 4;

/// Which message of which route a receipt names.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Named {
    /// The route.
    pub route: String,
    /// The network's id, as rows have it.
    pub message_id: String,
}

/// Kept receipts, each `R`, by the message that they name.
#[derive(Debug)]
pub struct Parked<R> {
    by_name: HashMap<Named, Vec<R>>,
    /// In the order in which they came; some may be taken already.
    order: VecDeque<(Timestamp, Named)>,
    len: usize,
    max: usize,
}

impl<R> Parked<R> {
    /// Keeps nothing yet.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { by_name: HashMap::new(), order: VecDeque::new(), len: 0, max }
    }

    /// Keeps a receipt; gives how many others had to go for it.
    pub fn park(&mut self, now: Timestamp, named: Named, receipt: R) -> usize {
        let mut gone = 0;
        while self.len >= self.max
            && let Some((_, oldest)) = self.order.pop_front()
        {
            gone += self.take(&oldest).len();
        }
        let kept = self.by_name.entry(named.clone()).or_default();
        if kept.is_empty() {
            self.order.push_back((now, named));
        }
        if kept.len() >= OF_ONE_MAX {
            kept.remove(0);
            self.len -= 1;
            gone += 1;
        }
        kept.push(receipt);
        self.len += 1;
        // What was taken leaves its name behind; they are swept when they are most.
        if self.order.len() > self.max.saturating_mul(2).max(64) {
            let by_name = &self.by_name;
            self.order.retain(|(_, named)| by_name.contains_key(named));
        }
        gone
    }

    /// The receipts of a message, in the order in which they came.
    pub fn take(&mut self, named: &Named) -> Vec<R> {
        let taken = self.by_name.remove(named).unwrap_or_default();
        self.len -= taken.len();
        taken
    }

    /// Drops those that are older than [`PARKED_FOR`]; gives how many.
    pub fn expire(&mut self, now: Timestamp) -> usize {
        let mut gone = 0;
        while let Some((at, _)) = self.order.front()
            && now.since(*at) >= PARKED_FOR
        {
            let Some((_, named)) = self.order.pop_front() else { break };
            gone += self.take(&named).len();
        }
        gone
    }

    /// The messages that receipts are kept for, by route.
    #[must_use]
    pub fn names(&self) -> BTreeMap<String, Vec<String>> {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for named in self.by_name.keys() {
            names.entry(named.route.clone()).or_default().push(named.message_id.clone());
        }
        names
    }

    /// Receipts that are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: u32) -> Named {
        Named { route: "a".into(), message_id: id.to_string() }
    }

    #[test]
    fn receipts_wait_for_their_message_and_no_longer_than_minutes() {
        let mut parked = Parked::new(100);
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        parked.park(at(0), named(1), "accepted");
        parked.park(at(1), named(1), "delivered");
        parked.park(at(200), named(2), "delivered");
        assert_eq!(parked.take(&named(1)), ["accepted", "delivered"]);
        assert_eq!(parked.take(&named(1)), Vec::<&str>::new());
        assert_eq!((parked.expire(at(499)), parked.len()), (0, 1));
        assert_eq!((parked.expire(at(500)), parked.len()), (1, 0));
    }

    #[test]
    fn they_are_limited() {
        let mut parked = Parked::new(8);
        for n in 0..1_000 {
            let gone = parked.park(Timestamp(n), named(u32::try_from(n).unwrap()), n);
            assert_eq!(gone, usize::from(n >= 8));
            assert!(parked.len() <= 8 && parked.order.len() <= 64);
        }
        assert!(parked.take(&named(991)).is_empty() && !parked.take(&named(999)).is_empty());
        // A peer that tells of one message without end fills one place of it.
        let mut parked = Parked::new(8);
        for n in 0..1_000 {
            parked.park(Timestamp(n), named(1), n);
            assert!(parked.order.len() <= 64);
        }
        assert_eq!(parked.take(&named(1)), [996, 997, 998, 999]);
        assert!(parked.is_empty());
    }
}
