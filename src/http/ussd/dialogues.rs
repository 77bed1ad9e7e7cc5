//! What is remembered of dialogues while they last, so that a request that comes again is answered again and nothing
//! happens twice. Of this process alone; the conversation itself is a row. The time is given.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turns, OwnedMutexGuard};

use crate::http::ussd::history::History;
use crate::msisdn::Msisdn;
use crate::ussd::Screen;

/// Dialogues that are remembered at most; one more is put off.
pub const DIALOGUES_MAX: usize = 100_000;
/// Requests of one dialogue that may wait or be answered at once.
pub const WAITING_MAX: usize = 8;
/// How long a dialogue is remembered after its last request. Networks end one much sooner.
pub const KEPT_FOR: Duration = Duration::from_secs(900);
/// How long one that has ended is: its last request may come again.
pub const ENDED_FOR: Duration = Duration::from_secs(60);

/// Which dialogue: the caller's number is part of it, so that a name which a gateway gives to another caller finds nothing.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Named {
    /// The route.
    pub route: String,
    /// The gateway's name.
    pub session: String,
    /// The caller.
    pub msisdn: Msisdn,
}

/// What is remembered of one.
#[derive(Debug, Default)]
pub struct Held {
    /// The texts that were answered, where a gateway sends the whole dialogue each time.
    pub history: History,
    /// The name of the request that was answered last, where a gateway names them.
    pub request: Option<String>,
    /// What it was answered.
    pub screen: Option<Screen>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Dialogues(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_name: HashMap<Arc<Named>, Slot>,
    order: BTreeSet<(Instant, Arc<Named>)>,
}

#[derive(Debug)]
struct Slot {
    held: Arc<Turns<Held>>,
    until: Instant,
}

impl Table {
    fn keep(&mut self, name: &Arc<Named>, until: Instant) {
        if let Some(slot) = self.by_name.get_mut(name) {
            self.order.remove(&(slot.until, Arc::clone(name)));
            slot.until = until;
            self.order.insert((until, Arc::clone(name)));
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.order.first().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, name)) = self.order.pop_first() {
                self.by_name.remove(&name);
            }
        }
    }
}

impl Dialogues {
    /// Waits for a dialogue's turn, beginning it if it is not known. Nothing when there is no place.
    pub async fn enter(&self, now: Instant, name: &Named) -> Option<OwnedMutexGuard<Held>> {
        let held = {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            table.expire(now);
            let known = table
                .by_name
                .get_key_value(name)
                .map(|(name, slot)| (Arc::clone(name), Arc::clone(&slot.held)));
            match known {
                // Two for the table and this, one for each request before this one.
                Some((_, held)) if Arc::strong_count(&held) >= WAITING_MAX + 2 => return None,
                Some((name, held)) => {
                    table.keep(&name, now + KEPT_FOR);
                    held
                }
                None if table.by_name.len() >= DIALOGUES_MAX => return None,
                None => {
                    let (name, held, until) = (Arc::new(name.clone()), Arc::default(), now + KEPT_FOR);
                    table.order.insert((until, Arc::clone(&name)));
                    table.by_name.insert(name, Slot { held: Arc::clone(&held), until });
                    held
                }
            }
        };
        Some(held.lock_owned().await)
    }

    /// A dialogue has ended.
    pub fn ended(&self, now: Instant, name: &Named) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, _)) = table.by_name.get_key_value(name) {
            let name = Arc::clone(name);
            table.keep(&name, now + ENDED_FOR);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_name.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn named(session: &str, msisdn: &str) -> Named {
        Named { route: "at".into(), session: session.into(), msisdn: Msisdn::parse(msisdn).unwrap() }
    }

    #[tokio::test]
    async fn a_dialogue_is_remembered_for_a_while() {
        let now = Clock::machine().instant();
        let dialogues = Dialogues::default();
        let one = named("s1", "+254711000111");
        dialogues.enter(now, &one).await.unwrap().request = Some("r".into());
        let later = now + KEPT_FOR - Duration::from_secs(1);
        assert_eq!(dialogues.enter(later, &one).await.unwrap().request.as_deref(), Some("r"));
        assert!(dialogues.enter(later, &named("s1", "+254711000112")).await.unwrap().request.is_none());
        // It was used since, so it is still there; an ended one goes soon.
        assert_eq!(dialogues.enter(now + KEPT_FOR, &one).await.unwrap().request.as_deref(), Some("r"));
        let over = now + KEPT_FOR;
        dialogues.ended(over, &one);
        assert!(dialogues.enter(over + ENDED_FOR, &one).await.unwrap().request.is_none());
        assert_eq!(dialogues.len(), 2);
        dialogues.enter(over + 3 * KEPT_FOR, &named("s3", "+254711000111")).await.unwrap();
        assert_eq!(dialogues.len(), 1);
    }

    #[tokio::test]
    async fn places_are_limited() {
        let now = Clock::machine().instant();
        let dialogues = Arc::new(Dialogues::default());
        let one = named("s1", "+254711000111");
        let first = dialogues.enter(now, &one).await.unwrap();
        let waiting: Vec<_> = (1..WAITING_MAX)
            .map(|_| {
                let (dialogues, one) = (Arc::clone(&dialogues), one.clone());
                tokio::spawn(async move { dialogues.enter(now, &one).await.is_some() })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(dialogues.enter(now, &one).await.is_none(), "eight are inside");
        drop(first);
        for task in waiting {
            assert!(task.await.unwrap());
        }
        assert!(dialogues.enter(now, &one).await.is_some());
        for n in 1..DIALOGUES_MAX {
            assert!(dialogues.enter(now, &named(&n.to_string(), "+254711000111")).await.is_some());
        }
        assert!(dialogues.enter(now, &named("more", "+254711000111")).await.is_none());
        assert!(dialogues.enter(now, &one).await.is_some(), "who has a place keeps it");
        assert!(dialogues.enter(now + KEPT_FOR, &named("more", "+254711000111")).await.is_some());
    }
}
