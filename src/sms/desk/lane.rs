//! Texts of one sender are handled one after another, in the order in which they came; those of others beside them.
//!
//! A place in the line is taken at once, before anything is awaited, so that the order is that of the calls and not that in
//! which tasks happen to run. Places are limited: of one sender, and in all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// How many texts may wait or be handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Of one sender.
    pub sender_max: usize,
    /// In all.
    pub all_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sender_max: 16, all_max: 4_096 }
    }
}

/// Who wrote, and whether that is believed: who forges a number does not fill the line of whose it is.
type Sender = (String, bool);

/// The lines.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    inner: Arc<Mutex<Inner>>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Inner {
    /// The front of each is whose turn it is; a line is never empty.
    lanes: HashMap<Sender, VecDeque<Waiting>>,
    taken: usize,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    call: Option<oneshot::Sender<()>>,
}

/// A place in a sender's line; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    lanes: Lanes,
    sender: Sender,
    number: u64,
    called: Option<oneshot::Receiver<()>>,
}

impl Lanes {
    pub(super) fn new(limits: Limits) -> Self {
        Self { inner: Arc::default(), limits }
    }

    /// Takes a place at the end of a sender's line; nothing when there is none.
    pub(super) fn take(&self, sender: &str, believed: bool) -> Option<Place> {
        let sender = (sender.to_owned(), believed);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.lanes.get(&sender).map_or(0, VecDeque::len);
        if inner.taken >= self.limits.all_max || before >= self.limits.sender_max {
            return None;
        }
        let (call, called) = if before == 0 {
            (None, None)
        } else {
            let (call, called) = oneshot::channel();
            (Some(call), Some(called))
        };
        let number = inner.next;
        inner.next = inner.next.wrapping_add(1);
        inner.taken += 1;
        inner.lanes.entry(sender.clone()).or_default().push_back(Waiting { number, call });
        Some(Place { lanes: self.clone(), sender, number, called })
    }

    /// Texts that wait or are handled.
    pub(super) fn taken(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).taken
    }
}

impl Place {
    /// Waits until all that came before from this sender are handled.
    pub(super) async fn turn(&mut self) {
        if let Some(called) = &mut self.called {
            // It is not closed before it is called: this place would have to be gone.
            let _ = called.await;
            self.called = None;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.lanes.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.taken = inner.taken.saturating_sub(1);
        let Some(line) = inner.lanes.get_mut(&self.sender) else { return };
        line.retain(|waiting| waiting.number != self.number);
        match line.front_mut() {
            Some(front) => {
                if let Some(call) = front.call.take() {
                    let _ = call.send(());
                }
            }
            None => {
                inner.lanes.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn one_senders_texts_keep_their_order_and_others_do_not_wait() {
        let lanes = Lanes::new(Limits { sender_max: 100, all_max: 1_000 });
        let order = Arc::new(Mutex::new(Vec::new()));
        let stuck = lanes.take("stuck", true).unwrap();
        let mut tasks = Vec::new();
        for n in 0..100 {
            let mut place = lanes.take("a", true).unwrap();
            let order = Arc::clone(&order);
            tasks.push(tokio::spawn(async move {
                place.turn().await;
                tokio::task::yield_now().await;
                order.lock().unwrap().push(n);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
        assert_eq!(lanes.taken(), 1);
        drop(stuck);
        assert!(lanes.inner.lock().unwrap().lanes.is_empty());
    }

    #[tokio::test]
    async fn a_place_that_is_given_up_lets_the_next_one_wait_for_those_before() {
        let lanes = Lanes::new(Limits::default());
        let first = lanes.take("a", true).unwrap();
        let second = lanes.take("a", true).unwrap();
        let mut third = lanes.take("a", true).unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), third.turn()).await;
        assert!(early.is_err());
        drop(second);
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), third.turn()).await;
        assert!(early.is_err(), "the first is still there");
        drop(first);
        third.turn().await;
    }

    #[test]
    fn places_are_limited() {
        let lanes = Lanes::new(Limits { sender_max: 2, all_max: 3 });
        let a = (lanes.take("a", true), lanes.take("a", true));
        assert!(lanes.take("a", true).is_none(), "two of one sender");
        let b = lanes.take("b", true);
        assert!(b.is_some() && lanes.take("c", true).is_none(), "three in all");
        drop(a);
        assert!(lanes.take("a", true).is_some());
        drop(b);
        let forged = (lanes.take("a", false), lanes.take("a", false));
        assert!(forged.1.is_some() && lanes.take("a", false).is_none() && lanes.take("a", true).is_some());
    }
}
