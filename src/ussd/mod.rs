//! USSD: dialogues of a network on one side, conversations on the other. Whoever brings the messages (SMPP, HTTP) gives a
//! [`Desk`] what came and shows the caller what it answers.
//!
//! ```text
//! smpp.rs ─┐            ┌─ Screen   a question, or the last word
//! http ────┴─► take ────┼─ Later    the payment runs: a screen within the network's time
//!                │      └─ Duplicate, Gone
//!                ▼
//!           Line (one a caller: one input after the other) ─► Session ─► settle (one commit) ─► the network is answered
//! ```
//! A conversation is a row between two inputs. Its key is route and number, so that a dialogue's id which a network gives to
//! another number meets nothing of the former; the id itself tells late messages of one dialogue from those of the next.
//! What moves money is committed with the payment's id before the network is answered, and begins after that. The end of a
//! dialogue, whoever ends it, neither makes a payment nor undoes one: what was under way goes on and is told by text message.

mod asking;
mod dialogue;
mod line;
mod paying;
pub mod profile;
mod reach;
mod retell;
pub mod smpp;
mod sweep;
mod text;
pub mod wire;
mod words;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::msisdn::Msisdn;
use crate::session::registry::Registry;
use crate::session::{Channel, Id, System};
use crate::ussd::line::{Entered, Lines};

pub use line::{LINES_MAX, Sending, WAITING_MAX};
pub use reach::{Notified, Pushed, Pusher};
pub use sweep::SWEEP_EVERY;
pub use words::{Phase, Screen, Typed};

/// What came from a network.
#[derive(Clone, Debug)]
pub struct Input {
    /// The name of the way it came.
    pub route: String,
    /// The network's name of the dialogue, where it has one.
    pub dialogue: Option<String>,
    /// Who is at the other end.
    pub msisdn: Msisdn,
    /// Whether that number is believed.
    pub trusted: bool,
    /// The service's address.
    pub code: String,
    /// What happened.
    pub phase: Phase,
}

/// A screen that comes within the network's time; nothing when there is nobody any more to show it to.
pub type Later = Pin<Box<dyn Future<Output = Option<Screen>> + Send>>;

/// What is to be done about an input. By then all that it caused is committed.
pub enum Taken {
    /// Show this.
    Screen(Screen),
    /// The network is answered now, the caller later.
    Later(Later),
    /// It came before, or before the screen that it would answer: nothing is to be done. Who must show a screen asks
    /// [`Desk::again`].
    Duplicate,
    /// Nothing is to be answered.
    Gone,
}

impl std::fmt::Debug for Taken {
    /// Without the words.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Screen(screen) => write!(f, "Screen({} bytes, end {})", screen.text.len(), screen.end),
            Self::Later(_) => f.write_str("Later"),
            Self::Duplicate => f.write_str("Duplicate"),
            Self::Gone => f.write_str("Gone"),
        }
    }
}

/// Why an input was not taken. Nothing was done about it, or nothing that a second try would do twice: the network may send
/// it again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such way.
    #[error("no USSD route \"{0}\"")]
    NoSuchRoute(String),
    /// The conversation could not be gone on with.
    #[error(transparent)]
    Session(#[from] crate::session::Error),
    /// The handling of this input died.
    #[error("the handling of an input broke off")]
    Broken,
}

/// A way to a network's callers.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Whether its numbers are believed.
    pub trusted: bool,
    /// How long the network waits for a screen.
    pub answer_within: Duration,
    /// How long a dialogue waits for its caller.
    pub idle: Duration,
    /// An answer that is equal to the one before and comes within this time is that one again. Nothing by default: a
    /// telephone that is a machine answers at once, and gives the same number twice when it is asked twice.
    pub same_within: Duration,
    /// Whether we may begin dialogues on it.
    pub push: bool,
}

impl Route {
    /// A route with a profile's times.
    #[must_use]
    pub fn of(name: &str, trusted: bool, profile: &profile::Profile) -> Self {
        Self {
            name: name.to_owned(),
            trusted,
            answer_within: profile.answer_within,
            idle: profile.idle,
            same_within: profile.same_within,
            push: profile.push,
        }
    }
}

/// Takes what networks send, and answers. Clones are handles on the same one.
pub struct Desk<M> {
    inner: Arc<Inner<M>>,
}

impl<M> Clone for Desk<M> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<M> std::fmt::Debug for Desk<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

struct Inner<M> {
    registry: Registry<M>,
    /// In the order in which they are tried for what we begin.
    routes: Vec<Route>,
    clock: Clock,
    lines: Arc<Lines>,
    /// By route.
    pushers: OnceLock<BTreeMap<String, Arc<dyn Pusher>>>,
    /// Sessions without a dialogue whose payment is under way in this process.
    leaving: Mutex<std::collections::HashSet<Id>>,
    tasks: TaskTracker,
}

impl<M: Clone + Send + Sync + 'static> Desk<M> {
    /// A desk for these ways. Call [`Desk::run`] beside it.
    #[must_use]
    pub fn new(registry: Registry<M>, routes: Vec<Route>, clock: Clock) -> Self {
        let inner = Inner {
            registry,
            routes,
            clock,
            lines: Arc::default(),
            pushers: OnceLock::new(),
            leaving: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Gives the ways on which dialogues of ours begin, by route; once, since links are made after the desk.
    pub fn push_by(&self, pushers: BTreeMap<String, Arc<dyn Pusher>>) {
        // A second table is not taken.
        let _ = self.inner.pushers.set(pushers);
    }

    /// A route by its name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Route> {
        self.inner.route(name)
    }

    /// Takes what a network sent. Inputs of one caller are handled in the order in which this is called, whenever the
    /// futures are polled; those of different callers side by side. A future that is dropped does not stop what it began.
    ///
    /// # Errors
    /// When the database does not answer, or the route is unknown.
    pub fn take(&self, input: Input) -> impl Future<Output = Result<Taken, Error>> + Send + use<M> {
        let arrived = self.inner.clock.instant();
        let entered = self.inner.lines.enter(&input.route, &input.msisdn, arrived);
        let inner = self.inner.clone();
        async move {
            let Some(route) = inner.route(&input.route).cloned() else {
                return Err(Error::NoSuchRoute(input.route));
            };
            let seat = match entered {
                Entered::Full => {
                    tracing::warn!(route = %route.name, caller = ?input.msisdn, "too many inputs of one caller at once");
                    return Ok(Taken::Screen(inner.last_word(None, System::Busy)));
                }
                Entered::Seat(seat) => seat,
            };
            let (answer, answered) = oneshot::channel();
            let tasks = inner.tasks.clone();
            tasks.spawn(async move {
                let taken = inner.handle(route, seat, input).await;
                // Whoever asked may have gone; what was done stays done.
                let _ = answer.send(taken);
            });
            answered.await.unwrap_or(Err(Error::Broken))
        }
    }

    /// The screen that a caller has, once all that came before is done, a payment too: for a transport whose network asks
    /// again for the answer of the same input.
    pub async fn again(&self, route: &str, msisdn: &Msisdn) -> Option<Screen> {
        let at = self.inner.clock.instant();
        let Entered::Seat(seat) = self.inner.lines.enter(route, msisdn, at) else { return None };
        drop(seat.turn().await);
        if let Some(performing) = seat.performing() {
            performing.over.cancelled().await;
        }
        seat.screen()
    }

    /// A screen is on its way to a caller, until what is given back is dropped. An equal answer that comes before the
    /// network has the screen is the former one again.
    #[must_use]
    pub fn sending(&self, route: &str, msisdn: &Msisdn) -> Sending {
        self.inner.lines.sending(route, msisdn, &self.inner.clock)
    }

    /// A screen did not reach the caller: the dialogue is dead, and nothing is sent again.
    ///
    /// # Errors
    /// When the database does not answer. The dialogue ends by itself then, when its time is over.
    pub async fn undelivered(
        &self,
        route: &str,
        msisdn: &Msisdn,
        dialogue: Option<&str>,
    ) -> Result<(), Error> {
        let input = Input {
            route: route.to_owned(),
            dialogue: dialogue.map(str::to_owned),
            msisdn: msisdn.clone(),
            trusted: false,
            code: String::new(),
            phase: Phase::Abort,
        };
        self.take(input).await.map(|_| ())
    }

    /// Takes up what a former process left, then ends dialogues whose time is over, until `stop` is cancelled and what is
    /// under way is done.
    pub async fn run(self, stop: CancellationToken) {
        self.inner.recover().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => self.inner.sweep().await,
                () = stop.cancelled() => break,
            }
        }
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Ends dialogues whose time is over now; [`Desk::run`] does it by itself.
    pub async fn sweep(&self) {
        self.inner.sweep().await;
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
    }
}

impl<M: Clone + Send + Sync + 'static> Inner<M> {
    fn route(&self, name: &str) -> Option<&Route> {
        self.routes.iter().find(|route| route.name == name)
    }

    /// How much of the network's time is left.
    fn left(&self, deadline: Instant) -> Duration {
        deadline.saturating_duration_since(self.clock.instant())
    }

    /// The screen that ends a dialogue with words of Keytone's own.
    fn last_word(&self, language: Option<&str>, system: System) -> Screen {
        Screen { text: self.registry.system_text(language, system, Channel::Ussd), end: true }
    }
}

/// The key of a dialogue's row.
fn key(route: &str, msisdn: &Msisdn) -> String {
    format!("{PREFIX}{route}/{}", msisdn.as_str())
}

/// What keys of dialogues begin with.
const PREFIX: &str = "ussd/";
/// What keys of sessions begin with whose dialogue is gone while their payment is under way.
const GONE: &str = "gone/";
