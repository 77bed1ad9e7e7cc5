//! What must go out: claims texts from the outbox, gives each to a route's carrier, and writes what became of it.
//!
//! ```text
//! waiting ──claim──► hand (order per recipient, routes, pauses) ──► carrier ──► settled, many in one commit
//! receipt ──► row by route and message id ──► delivered, undelivered; parked while there is none
//! ```
//! A claimed text is *sending* under a lease; a dispatcher that dies leaves it so, and it becomes *unknown* when the lease is
//! over. Nothing that may have left is sent again. Several nodes may run one each on the same database.

mod hand;
mod receipts;
mod run;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::session::Id;
use crate::session::mailbox::Mailbox;
use crate::sms::carry::Carry;
use crate::sms::parked::{PARKED_MAX, Parked};
use crate::sms::route::Route;

pub use receipts::{Receipt, Reported, Told};

/// Pause before a dispatcher that broke begins anew.
const BROKEN_PAUSE: Duration = Duration::from_secs(1);

/// How a dispatcher works.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Texts in hand at once, whatever the carriers would take.
    pub hand_max: usize,
    /// How long a claimed text is ours. Longer than any carrier's patience.
    pub lease: Duration,
    /// How often it looks for texts that became due, or were queued by another node.
    pub look_every: Duration,
    /// How long it waits for carriers when it stops; what they have then is unknown.
    pub drain: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hand_max: 4_096,
            lease: Duration::from_secs(300),
            look_every: Duration::from_secs(1),
            drain: Duration::from_secs(35),
        }
    }
}

/// What a dispatcher is made of.
pub struct Parts {
    /// The outbox.
    pub mailbox: Mailbox,
    /// The routes and what carries their texts.
    pub routes: Vec<(Route, Arc<dyn Carry>)>,
    /// How it works.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Figures {
    /// Texts given to a carrier.
    pub tried: u64,
    /// Texts that a carrier took.
    pub accepted: u64,
    /// Texts that failed.
    pub failed: u64,
    /// Texts of which nobody knows whether they left.
    pub unknown: u64,
    /// Texts that went back to waiting.
    pub again: u64,
    /// Receipts that matched a text.
    pub receipts: u64,
    /// Receipts that came before the text's id was known.
    pub parked: u64,
    /// Receipts that matched nothing, or told what was known.
    pub unmatched: u64,
}

#[derive(Debug, Default)]
struct Counters {
    tried: AtomicU64,
    accepted: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    again: AtomicU64,
    receipts: AtomicU64,
    parked: AtomicU64,
    unmatched: AtomicU64,
}

fn count(counter: &AtomicU64, by: usize) {
    counter.fetch_add(u64::try_from(by).unwrap_or(0), Ordering::Relaxed);
}

struct Inner {
    mailbox: Mailbox,
    clock: Clock,
    parked: Mutex<Parked<Receipt>>,
    counters: Counters,
    stop: CancellationToken,
}

/// A dispatcher at work. Clones are handles on the same one.
#[derive(Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dispatcher {:?}", self.figures())
    }
}

/// Runs the task, and again if it breaks: nobody is told anything any more without it. What it had in hand stays *sending*
/// and becomes *unknown* when its lease is over.
async fn keep(inner: Arc<Inner>, routes: Vec<(Route, Arc<dyn Carry>)>, settings: Settings) {
    loop {
        let task = run::Task::new(Arc::clone(&inner), routes.clone(), settings);
        match tokio::spawn(task.run()).await {
            Err(broken) if broken.is_panic() && !inner.stop.is_cancelled() => {
                tracing::error!("the dispatcher of texts broke off, and begins anew: {broken}");
                tokio::time::sleep(BROKEN_PAUSE).await;
            }
            _ => return,
        }
    }
}

impl Dispatcher {
    /// Starts the task. It ends after [`Dispatcher::stop`], when what carriers have in hand is answered and written.
    #[must_use]
    pub fn start(parts: Parts) -> (Self, JoinHandle<()>) {
        let Parts { mailbox, routes, settings, clock } = parts;
        let inner = Arc::new(Inner {
            mailbox,
            clock,
            parked: Mutex::new(Parked::new(PARKED_MAX)),
            counters: Counters::default(),
            stop: CancellationToken::new(),
        });
        let kept = tokio::spawn(keep(Arc::clone(&inner), routes, settings));
        (Self { inner }, kept)
    }

    /// Claims nothing any more, gives back what has not left, waits for what is under way.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// What has been counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            tried: read(&counters.tried),
            accepted: read(&counters.accepted),
            failed: read(&counters.failed),
            unknown: read(&counters.unknown),
            again: read(&counters.again),
            receipts: read(&counters.receipts),
            parked: read(&counters.parked),
            unmatched: read(&counters.unmatched),
        }
    }

    /// A carrier answered too late that it took a text: what was unknown is accepted.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn answered_late(&self, text: Id, message_id: Option<String>) -> Result<bool, Error> {
        self.inner.answered_late(text, message_id).await
    }

    /// A receipt came. Gives what it told, when that is written or the receipt is kept: then it may be acknowledged.
    ///
    /// # Errors
    /// When it could not be written; the network may send it again.
    pub async fn receipt(&self, receipt: Receipt) -> Result<Told, Error> {
        self.inner.receipt(receipt).await
    }
}

/// What can go wrong on our side.
pub type Error = crate::session::Error;
