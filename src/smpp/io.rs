//! Links on TCP and TLS: a [`Client`] that keeps one bind to an SMSC, a [`Listener`] for those who bind to us. The only
//! place of this room that knows tokio.
//!
//! Each connection is one task around one [`Link`]: socket, deadline, requests, answers, stop. It has no `if` about the
//! protocol. Both kinds give [`Handle`]s, and tell [`Event`]s through one bounded channel. An application that does not
//! take its events stops the reading of that socket; nothing is dropped.
//!
//! [`Link`]: crate::smpp::link::Link

mod client;
mod connection;
mod listener;
pub mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::smpp::link::event;
use crate::smpp::link::event::Ended;
use crate::smpp::link::event::Outcome;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::event::Up;
use crate::smpp::link::status as link_status;
use crate::smpp::pdu::Body;

pub use client::Client;
pub use client::ClientSettings;
pub use listener::Ask;
pub use listener::Asked;
pub use listener::Grant;
pub use listener::Listener;
pub use listener::ListenerSettings;
pub use listener::Network;

/// Requests that wait between the callers and the link; whoever asks for one more waits his turn.
const REQUESTS_WAITING: usize = 256;

/// Answers that wait between the application and the link. One that finds no room is dropped, and the link answers in its
/// stead after `answer_timeout`, with a status that makes the peer try again.
const ANSWERS_WAITING: usize = 4_096;

/// One connection, never named twice.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkId(pub [u8; 16]);

impl LinkId {
    /// A new one.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn random() -> io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| io::Error::other("no randomness"))?;
        Ok(Self(id))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A request of the peer that waits for an answer on the connection that it came by.
#[derive(Debug, Eq, Hash, PartialEq)]
pub struct Ticket {
    link: LinkId,
    of_link: event::Ticket,
}

impl Ticket {
    /// The connection that it came by.
    #[must_use]
    pub const fn link(&self) -> LinkId {
        self.link
    }

    /// The `sequence_number` that the peer gave it.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.of_link.sequence()
    }
}

/// What the application is told of a bind.
#[derive(Debug)]
pub struct Event {
    /// The connection that it is about.
    pub link: LinkId,
    /// The bind.
    pub handle: Handle,
    /// What happened.
    pub what: What,
}

/// What happened on a bind.
pub enum What {
    /// It is made.
    Up(Up),
    /// The peer asks something: answer by [`Handle::respond`].
    Request {
        /// What the answer needs.
        ticket: Ticket,
        /// What it says.
        body: Body,
    },
    /// The peer tells something that wants no answer.
    Notice(Body),
    /// A response came after its request's outcome was told as unknown.
    LateResponse {
        /// As in [`event::Doubt::sequence`], on this connection.
        sequence: u32,
        /// `command_status`.
        status: u32,
        /// The response.
        body: Body,
    },
    /// It was up and is over. A client makes another by itself.
    Down(Ended),
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(up) => write!(f, "{up:?}"),
            Self::Request { ticket, body } => {
                write!(f, "Request({:#010x}, {})", body.command_id(), ticket.sequence())
            }
            Self::Notice(body) => write!(f, "Notice({:#010x})", body.command_id()),
            Self::LateResponse { sequence, status, .. } => write!(f, "LateResponse({sequence}, {status:#x})"),
            Self::Down(why) => write!(f, "Down({why:?})"),
        }
    }
}

/// One bind: a client's through all of its connections, or a peer's on its one connection. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    name: OnceLock<Box<str>>,
    requests: mpsc::Sender<Wanted>,
    answers: mpsc::Sender<Answer>,
    status: Mutex<Status>,
    /// How long a close may wait for answers; nothing while it is not asked for.
    closing: watch::Sender<Option<Duration>>,
    over: CancellationToken,
}

/// A bind's state and figures.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The running connection.
    pub link: Option<LinkId>,
    /// Its far end.
    pub address: Option<SocketAddr>,
    /// Connections that were made.
    pub connections: u64,
    /// What went wrong last.
    pub trouble: Option<Trouble>,
    /// The link's own. Its counters are those of all connections.
    pub state: link_status::Status,
}

/// What keeps a client from its bind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The name could not be resolved.
    Resolve,
    /// The connection was not made.
    Connect(io::ErrorKind),
    /// The TLS handshake failed: no trust, no certificate, no common version.
    Tls,
    /// The link ended.
    Ended(Ended),
}

/// A request on its way to the link.
struct Wanted {
    body: Body,
    cost: u32,
    outcome: oneshot::Sender<(Outcome, Option<LinkId>)>,
}

impl Wanted {
    fn not_sent(self, why: Unsent) {
        // Whoever asked may have stopped waiting.
        let _ = self.outcome.send((Outcome::NotSent(why), None));
    }
}

/// An answer on its way to the link.
struct Answer {
    ticket: Ticket,
    status: u32,
    body: Body,
}

/// The task's ends of a handle's channels.
struct Ends {
    requests: mpsc::Receiver<Wanted>,
    answers: mpsc::Receiver<Answer>,
    closing: watch::Receiver<Option<Duration>>,
    events: mpsc::Sender<Event>,
    handle: Handle,
}

impl Handle {
    fn new(events: mpsc::Sender<Event>) -> (Self, Ends) {
        let (requests, wanted) = mpsc::channel(REQUESTS_WAITING);
        let (answers, answered) = mpsc::channel(ANSWERS_WAITING);
        let (closing, close) = watch::channel(None);
        let handle = Self(Arc::new(Shared {
            name: OnceLock::new(),
            requests,
            answers,
            status: Mutex::default(),
            closing,
            over: CancellationToken::new(),
        }));
        let ends =
            Ends { requests: wanted, answers: answered, closing: close, events, handle: handle.clone() };
        (handle, ends)
    }

    /// The bind's name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name.get().map_or("", |name| name)
    }

    /// Sends a request and waits for what becomes of it; waits its turn when many do. `cost` is its segments. Whoever
    /// stops waiting does not stop the request.
    pub async fn request(&self, body: Body, cost: u32) -> Outcome {
        self.request_by(body, cost).await.0
    }

    /// As [`Handle::request`], with the connection that it went by, which a late response names together with the
    /// sequence number. It is none when the request was not sent.
    pub async fn request_by(&self, body: Body, cost: u32) -> (Outcome, Option<LinkId>) {
        let (outcome, told) = oneshot::channel();
        if self.0.requests.send(Wanted { body, cost, outcome }).await.is_err() {
            return (Outcome::NotSent(Unsent::Down), None);
        }
        // The task tells every outcome before it ends; if it dies before, nothing is known of the bytes.
        told.await
            .unwrap_or((Outcome::Unknown(event::Doubt { sequence: 0, why: event::Silence::Lost }), None))
    }

    /// Answers a request of the peer: at once, without waiting for the socket. With a status other than 0 the body is
    /// left out. An answer for a connection that is gone is dropped; the peer asks again.
    pub fn respond(&self, ticket: Ticket, status: u32, body: Body) {
        let _ = self.0.answers.try_send(Answer { ticket, status, body });
    }

    /// State and figures, as of the last thing that happened.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no more requests, waits up to `drain` for answers, unbinds, and does not come back. Returns when that is
    /// done.
    pub async fn close(&self, drain: Duration) {
        self.0.closing.send_replace(Some(drain));
        self.0.over.cancelled().await;
    }

    /// Whether it is over and will not come back.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.over.is_cancelled()
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn call(&self, name: &str) {
        let _ = self.0.name.set(name.into());
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.name())
    }
}

impl Ends {
    /// Does something that takes time while there is no bind: whoever wants something sent is told so meanwhile.
    /// Nothing comes back when a close is asked for.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                _ = Self::closed(&mut self.closing) => return None,
                done = &mut work => return Some(done),
                Some(wanted) = self.requests.recv() => wanted.not_sent(Unsent::Down),
                // What is still answered was asked on a connection that is gone.
                Some(_) = self.answers.recv() => {}
            }
        }
    }

    /// How long a close may wait, once one is asked for.
    async fn closed(closing: &mut watch::Receiver<Option<Duration>>) -> Duration {
        loop {
            if let Some(drain) = *closing.borrow_and_update() {
                return drain;
            }
            if closing.changed().await.is_err() {
                return Duration::ZERO;
            }
        }
    }

    /// The bind will not come back: whoever still waits is told so.
    fn finish(mut self) {
        self.requests.close();
        while let Ok(wanted) = self.requests.try_recv() {
            wanted.not_sent(Unsent::Closing);
        }
        self.handle.update(|status| {
            status.link = None;
            status.state.phase = link_status::Phase::Down;
        });
        self.handle.0.over.cancel();
    }
}

/// Reads the clock.
pub type Now = fn() -> Instant;

/// A name from outside for a log: without control characters.
fn printable(name: &Bytes) -> String {
    name.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' }).collect()
}
