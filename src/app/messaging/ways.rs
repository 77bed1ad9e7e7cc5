//! The binds of one route as a way to send on: whatever bind is up and may send, the one that was asked for first.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::smpp::io::Handle;
use crate::smpp::link::event::{Outcome, Unsent};
use crate::smpp::link::status::Phase;
use crate::smpp::pdu::{Body, Role};
use crate::ussd::smpp::{Link, Side};

/// A route's binds. Clones are handles on the same ones.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    side: Side,
    binds: Arc<RwLock<Vec<Handle>>>,
    next: Arc<AtomicUsize>,
    /// The bind that a message came by, if this is for its answer.
    first: Option<Handle>,
}

impl Ways {
    pub(super) fn new(side: Side) -> Self {
        Self { side, binds: Arc::default(), next: Arc::default(), first: None }
    }

    pub(super) fn add(&self, handle: Handle) {
        let mut binds = self.binds.write().unwrap_or_else(PoisonError::into_inner);
        binds.retain(|bind| !bind.is_closed());
        binds.push(handle);
    }

    pub(super) fn all(&self) -> Vec<Handle> {
        self.binds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For the answer to what came by a bind: by the same, if that may send.
    pub(super) fn answering(&self, handle: Handle) -> Self {
        Self { first: Some(handle), ..self.clone() }
    }

    /// The bind to take now.
    fn choose(&self) -> Option<Handle> {
        if let Some(first) = self.first.as_ref().filter(|first| self.sends(first)) {
            return Some(first.clone());
        }
        let binds = self.all();
        let start = self.next.fetch_add(1, Ordering::Relaxed) % binds.len().max(1);
        binds.iter().cycle().skip(start).take(binds.len()).find(|bind| self.sends(bind)).cloned()
    }

    fn sends(&self, handle: &Handle) -> bool {
        let status = handle.status().state;
        // A peer that is bound to us takes what we send on its receiver.
        let deaf = match self.side {
            Side::Esme => Role::Receiver,
            Side::Smsc => Role::Transmitter,
        };
        status.phase == Phase::Bound && status.role != Some(deaf)
    }
}

impl Link for Ways {
    fn request(&self, body: Body) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            match self.choose() {
                Some(bind) => bind.request(body, 1).await,
                None => Outcome::NotSent(Unsent::Down),
            }
        })
    }
}
