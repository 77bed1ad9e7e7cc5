//! What takes a text to its recipient: a route of SMPP binds, or a provider over HTTP.
//!
//! A carrier sends once and says truly what it knows. It never tries again by itself what may have left: the dispatcher
//! decides that ([`crate::sms::retry`]).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::msisdn::Msisdn;
use crate::session::Id;
use crate::sms::retry::Sent;

/// A text as a carrier is given it. It shows neither its words nor its recipient when printed.
#[derive(Clone)]
pub struct Outgoing {
    /// The row's: the same text has the same id at every try, so what the carrier derives from it (a reference of its parts,
    /// a key against doubles) is the same too.
    pub id: Id,
    /// To whom.
    pub recipient: Msisdn,
    /// Which address it comes from: a number with `+`, a short code, or a word.
    pub sender: String,
    /// What it says.
    pub text: Zeroizing<String>,
    /// For how long the network is to try.
    pub validity: Duration,
    /// Whether a receipt is wanted.
    pub receipt: bool,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "text {} to {:?} of {} bytes", self.id, self.recipient, self.text.len())
    }
}

/// How a carrier is now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Readiness {
    /// Whether it has a way out: a bind that may send, a provider that answers.
    pub up: bool,
    /// Texts that it wants in hand at once, those under way among them.
    pub window: usize,
}

/// A text on its way.
pub type Sending = Pin<Box<dyn Future<Output = Sent> + Send>>;

/// Takes texts to recipients.
pub trait Carry: Send + Sync {
    /// How it is now.
    fn readiness(&self) -> Readiness;

    /// Into how many segments a text is cut.
    fn segments(&self, text: &str) -> u16;

    /// Sends a text once. The future ends in bounded time, and dropping it leaves the outcome unknown.
    fn send(&self, text: Outgoing) -> Sending;
}
