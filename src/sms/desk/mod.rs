//! What comes in: a text becomes a turn of its thread's conversation, and is acknowledged when that is committed.
//!
//! ```text
//! receive ─► line of its sender ─► parts ─► thread's session, or a new one ─► proceed ─► settle ─► Taken
//!                                                                                 then: perform, callback
//! ```
//! A thread is a number of ours and a sender, whose number is believed or not. While its session waits, a text is the
//! answer; one that is a command and does not fit the question begins anew instead. While money is moving, a text waits for
//! the outcome, and is refused for now if that takes long: the network brings it again. Who is no number is not answered.

mod lane;
mod long;
mod turn;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::session::Id;
use crate::session::kept::Reach;
use crate::session::mailbox::Mailbox;
use crate::session::registry::Registry;
use crate::sms::desk::lane::Lanes;
use crate::sms::nonsense::{self, Nonsense};
use crate::sms::received::{Received, Taken};
use crate::sms::repeat::Windows;

pub use lane::Limits as Lines;

/// How a desk works.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// How long a thread waits for its next text.
    pub thread: Duration,
    /// How long a session that waits for money is saved: longer than any payment is answered in. After it another node may
    /// take it up.
    pub money: Duration,
    /// How long a text waits for the outcome of its thread's payment before it is refused for now.
    pub patience: Duration,
    /// What is the same text.
    pub windows: Windows,
    /// Who is helped.
    pub nonsense: nonsense::Limits,
    /// How many wait.
    pub lines: Lines,
    /// Parts of one long text.
    pub parts_max: u8,
    /// Words by which people ask to be left alone, in lower case: they are not answered, nor is nonsense for a day.
    pub stop_words: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            thread: Duration::from_secs(600),
            money: Duration::from_secs(120),
            patience: Duration::from_secs(10),
            windows: Windows::default(),
            nonsense: nonsense::Limits::default(),
            lines: Lines::default(),
            parts_max: 10,
            stop_words: ["stop", "stopall", "unsubscribe", "quit", "alto", "arret", "acha", "退订", "td"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

/// Whether a link is up, by the id that texts came with.
pub type LinkUp = Arc<dyn Fn(Id) -> bool + Send + Sync>;

/// What a desk is made of.
pub struct Parts<M> {
    /// The flows.
    pub registry: Registry<M>,
    /// The mailbox.
    pub mailbox: Mailbox,
    /// How it works.
    pub settings: Settings,
    /// Which links are up.
    pub link_up: LinkUp,
    /// Reaches callers where a PIN may be asked, if anything can.
    pub reach: Option<Arc<dyn Reach>>,
    /// The time.
    pub clock: Clock,
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Figures {
    /// Texts that were handled.
    pub handled: u64,
    /// Texts that came again.
    pub duplicates: u64,
    /// Questions that were told again after what was perhaps a repetition.
    pub told_again: u64,
    /// Parts of long texts that wait for the others.
    pub parts: u64,
    /// Texts that were helped.
    pub helped: u64,
    /// Texts that were left in silence: helped enough, a loop, a stop word, no number.
    pub silent: u64,
    /// Texts that were refused for now.
    pub refused: u64,
    /// Texts that wait or are handled now.
    pub waiting: usize,
}

#[derive(Debug, Default)]
struct Counters {
    handled: AtomicU64,
    duplicates: AtomicU64,
    told_again: AtomicU64,
    parts: AtomicU64,
    helped: AtomicU64,
    silent: AtomicU64,
    refused: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Inner<M> {
    registry: Registry<M>,
    mailbox: Mailbox,
    settings: Settings,
    link_up: LinkUp,
    reach: Option<Arc<dyn Reach>>,
    clock: Clock,
    lanes: Lanes,
    nonsense: Mutex<Nonsense>,
    counters: Counters,
    /// What goes on after an acknowledgement.
    tasks: TaskTracker,
    /// Every thread that may have a session, once a sole node has read them: a text of another needs no look.
    known: Mutex<Option<HashSet<String>>>,
    /// Threads whose money is moving by this process; cancelled when it is over.
    moving: Mutex<HashMap<String, CancellationToken>>,
    /// Texts that were refused without it being known whether they were committed, by their keys.
    doubted: Mutex<HashSet<Id>>,
}

/// Takes texts in. Clones are handles on the same one.
pub struct Desk<M> {
    inner: Arc<Inner<M>>,
}

impl<M> Clone for Desk<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<M> std::fmt::Debug for Desk<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// A desk.
    #[must_use]
    pub fn new(parts: Parts<M>) -> Self {
        let Parts { registry, mailbox, settings, link_up, reach, clock } = parts;
        let inner = Inner {
            lanes: Lanes::new(settings.lines),
            nonsense: Mutex::new(Nonsense::new(settings.nonsense)),
            registry,
            mailbox,
            settings,
            link_up,
            reach,
            clock,
            counters: Counters::default(),
            tasks: TaskTracker::new(),
            known: Mutex::default(),
            moving: Mutex::default(),
            doubted: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Takes a text in. The order of these calls is the order in which one sender's texts are handled; the future may then
    /// run on any task. When it is ready, all that the text causes is committed.
    ///
    /// # Errors
    /// When nothing was done: the network may bring the text again. Dropping the future early is the same.
    pub fn receive(&self, received: Received) -> impl Future<Output = Result<Taken, Error>> + Send + use<M> {
        let place = self.inner.lanes.take(received.from.as_str(), received.trusted);
        let inner = Arc::clone(&self.inner);
        async move {
            let taken = match place {
                Some(mut place) => {
                    place.turn().await;
                    inner.take(received).await
                }
                None => Err(Error::Busy),
            };
            match &taken {
                Ok(Taken::Handled) => count(&inner.counters.handled),
                Ok(Taken::Duplicate) => count(&inner.counters.duplicates),
                Err(error) => {
                    count(&inner.counters.refused);
                    tracing::info!(%error, "a text was refused for now");
                }
            }
            taken
        }
    }

    /// What has been counted.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Figures {
            handled: read(&counters.handled),
            duplicates: read(&counters.duplicates),
            told_again: read(&counters.told_again),
            parts: read(&counters.parts),
            helped: read(&counters.helped),
            silent: read(&counters.silent),
            refused: read(&counters.refused),
            waiting: self.inner.lanes.taken(),
        }
    }

    /// Waits until nothing goes on after an acknowledgement; `false` when something still does after `within`. What is cut
    /// off is taken up at the next start.
    pub async fn drain(&self, within: Duration) -> bool {
        self.inner.tasks.close();
        tokio::time::timeout(within, self.inner.tasks.wait()).await.is_ok()
    }
}

impl<M> Inner<M> {
    fn nonsense(&self) -> MutexGuard<'_, Nonsense> {
        self.nonsense.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Threads of which a session is saved in the database are always among the known: only this process saves any, and it
    /// adds the thread before it does.
    fn known(&self) -> MutexGuard<'_, Option<HashSet<String>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doubted(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moving(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a text was not taken. Nothing was done, and it may come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many texts wait, or all places for sessions are taken.
    #[error("too much is waiting")]
    Busy,
    /// A payment of this thread is under way.
    #[error("a payment of this thread is under way")]
    Moving,
    /// The conversation was gone on with by another node at the same time.
    #[error("the conversation has gone on elsewhere")]
    Overtaken,
    /// It could not be committed.
    #[error(transparent)]
    Session(#[from] crate::session::Error),
}
