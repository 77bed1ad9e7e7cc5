//! What becomes of payments, told to those who wait for it: callers on the line hear of their own payment alone, so that a
//! thousand of them cost no more than a thousand.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::ledger::row::Id;
use crate::payment::answer::Change;
use crate::payment::row::PaymentRow;

/// Changes that may wait for a slow listener to all of them.
const CHANGES_MAX: usize = 1024;

type Told = watch::Sender<Option<PaymentRow>>;

/// Who is told.
#[derive(Debug)]
pub(super) struct Changes {
    /// Those who hear of every payment.
    all: broadcast::Sender<Change>,
    /// Those who wait for one.
    one: Arc<Mutex<HashMap<Id, Told>>>,
}

/// Waits for news of one payment.
#[derive(Debug)]
pub(super) struct Listener {
    id: Id,
    news: watch::Receiver<Option<PaymentRow>>,
    one: Arc<Mutex<HashMap<Id, Told>>>,
}

fn lock(one: &Mutex<HashMap<Id, Told>>) -> MutexGuard<'_, HashMap<Id, Told>> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Changes {
    pub(super) fn new() -> Self {
        Self { all: broadcast::channel(CHANGES_MAX).0, one: Arc::default() }
    }

    /// Every change from now on.
    pub(super) fn all(&self) -> broadcast::Receiver<Change> {
        self.all.subscribe()
    }

    /// What becomes of one payment from now on.
    pub(super) fn of(&self, id: Id) -> Listener {
        let news = match lock(&self.one).entry(id) {
            Entry::Occupied(told) => told.get().subscribe(),
            Entry::Vacant(place) => place.insert(watch::channel(None).0).subscribe(),
        };
        Listener { id, news, one: Arc::clone(&self.one) }
    }

    /// Tells of a payment as it now stands. Nobody may be listening.
    pub(super) fn tell(&self, payment: &PaymentRow) {
        if let Some(told) = lock(&self.one).get(&payment.id) {
            // A later state is never replaced by one that was told late.
            told.send_if_modified(|known| {
                let newer = known.as_ref().is_none_or(|known| known.version < payment.version);
                if newer {
                    *known = Some(payment.clone());
                }
                newer
            });
        }
        if self.all.receiver_count() > 0 {
            let _ = self.all.send(Change { payment: payment.clone() });
        }
    }
}

impl Listener {
    /// The payment's next state that is told, the newest if there were several; nothing when nobody is left to tell.
    pub(super) async fn next(&mut self) -> Option<PaymentRow> {
        self.news.changed().await.ok()?;
        self.news.borrow_and_update().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut one = lock(&self.one);
        // This one is still counted.
        if one.get(&self.id).is_some_and(|told| told.receiver_count() <= 1) {
            one.remove(&self.id);
        }
    }
}
