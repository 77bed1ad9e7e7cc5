//! The endpoint's vocabulary: everything that goes in and everything that comes out.
//!
//! Closed enums, so that all that can happen is listed here. Nothing in this file prints a key, a body or a
//! whole number.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// Names one call of one endpoint, never used twice.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallKey(u64);

/// Set in the keys of calls that we place, so that the two kinds cannot meet.
const OUTGOING: u64 = 1 << 63;

impl CallKey {
    /// The key of the `n`-th call that the application places; it chooses `n` and uses each once.
    #[must_use]
    pub const fn outgoing(n: u64) -> Self {
        Self(n | OUTGOING)
    }

    pub(super) const fn incoming(n: u64) -> Self {
        Self(n & !OUTGOING)
    }

    /// For logs and maps.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0 & !OUTGOING
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", if self.0 & OUTGOING == 0 { "in" } else { "out" }, self.number())
    }
}

/// What an endpoint is given.
pub enum Input {
    /// A datagram came.
    Datagram {
        /// Who sent it.
        source: SocketAddr,
        /// Our address as the sender sees it; written into Via, Contact and Record-Route answers.
        local: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Time has passed; fires what is due.
    Tick,
    /// The application wants something.
    Command(Command),
}

/// What the application can ask for. A command for a call that is over is ignored.
#[derive(Clone)]
pub enum Command {
    /// Answer 180 Ringing.
    Ring {
        /// An unanswered incoming call.
        call: CallKey,
    },
    /// Answer 200 with a session description: an answer, or an offer if the INVITE brought none.
    Answer {
        /// An unanswered incoming call.
        call: CallKey,
        /// The description.
        sdp: Bytes,
    },
    /// Refuse an unanswered incoming call; no further event follows.
    Reject {
        /// An unanswered incoming call.
        call: CallKey,
        /// 300 to 699.
        status: u16,
        /// Retry-After in seconds.
        retry_after: Option<u32>,
    },
    /// End a call in whatever state: BYE, CANCEL or 480. [`Event::Ended`] follows at once.
    Hangup {
        /// Any call.
        call: CallKey,
    },
    /// Accept the peer's new offer, or make one when it asked for one.
    AcceptOffer {
        /// A call with an open [`Event::Offer`].
        call: CallKey,
        /// Our description.
        sdp: Bytes,
    },
    /// Refuse the peer's new offer; the session goes on unchanged.
    RejectOffer {
        /// A call with an open [`Event::Offer`].
        call: CallKey,
        /// Usually 488.
        status: u16,
    },
    /// Place a call.
    Invite(Box<Invite>),
    /// Offer the peer a new session (re-INVITE) in an established call.
    Reinvite {
        /// An established call.
        call: CallKey,
        /// The offer.
        sdp: Bytes,
    },
    /// Send a key by INFO (application/dtmf-relay).
    SendKey {
        /// An established call.
        call: CallKey,
        /// The key.
        key: Key,
        /// How long it was held.
        duration_ms: u32,
    },
    /// Start or stop refusing new calls with 503.
    Drain(bool),
}

/// A call to be placed.
#[derive(Clone)]
pub struct Invite {
    /// Made by [`CallKey::outgoing`].
    pub call: CallKey,
    /// Our address.
    pub local: SocketAddr,
    /// Where the INVITE is sent.
    pub destination: SocketAddr,
    /// Request-URI, also of To.
    pub target: String,
    /// From without tag: `"Name" <sip:user@host>`.
    pub from: String,
    /// The offer.
    pub sdp: Bytes,
    /// Further headers, such as P-Asserted-Identity or Privacy.
    pub headers: Vec<(String, String)>,
}

/// What an endpoint gives back.
pub enum Output {
    /// A datagram to be sent.
    Send {
        /// The address to send from.
        local: SocketAddr,
        /// Where to.
        destination: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Something the application must know.
    Event(Event),
}

/// What happened. Every call that was announced by [`Event::Incoming`] or [`Command::Invite`] ends with
/// exactly one of [`Event::Cancelled`], [`Event::Failed`] and [`Event::Ended`], except one that the
/// application rejected.
#[derive(Clone, Debug)]
pub enum Event {
    /// Somebody calls.
    Incoming(Box<Incoming>),
    /// The caller gave up before we answered.
    Cancelled {
        /// The call, which is over.
        call: CallKey,
    },
    /// Our answer was acknowledged.
    Established {
        /// The call.
        call: CallKey,
    },
    /// The peer answers the offer that we made in a 200.
    AckSdp {
        /// The call.
        call: CallKey,
        /// Its answer.
        sdp: Bytes,
    },
    /// The peer offers a new session, or asks for our offer if `sdp` is `None`. Answer with
    /// [`Command::AcceptOffer`] or [`Command::RejectOffer`].
    Offer {
        /// The call.
        call: CallKey,
        /// Its offer.
        sdp: Option<Bytes>,
    },
    /// A key came by INFO.
    Digit {
        /// The call.
        call: CallKey,
        /// Which.
        key: Key,
        /// How long it was held, as far as the peer told.
        duration_ms: u32,
    },
    /// The call that we placed is making its way.
    Progress {
        /// The call.
        call: CallKey,
        /// 101 to 199.
        status: u16,
        /// Early media.
        sdp: Option<Bytes>,
    },
    /// The call that we placed, or our re-INVITE in an established call, was answered.
    Answered {
        /// The call.
        call: CallKey,
        /// The answer to our offer.
        sdp: Bytes,
    },
    /// The call that we placed was not answered.
    Failed {
        /// The call, which is over.
        call: CallKey,
        /// Final status; 408 when nobody answered at all.
        status: u16,
    },
    /// Our re-INVITE was refused; the session goes on unchanged.
    OfferRefused {
        /// The call.
        call: CallKey,
        /// Final status; 491 means that the peer's own offer crossed ours.
        status: u16,
    },
    /// The call is over.
    Ended {
        /// The call.
        call: CallKey,
        /// How.
        by: EndedBy,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndedBy {
    /// The peer sent BYE.
    Peer,
    /// We hung up.
    Us,
    /// Nobody acknowledged our 200 in 64·T1.
    NoAck,
    /// The application left the call unanswered too long.
    Unanswered,
    /// The session timer of RFC 4028 ran out.
    Expired,
    /// The peer answered 481 or 408 to a request of ours, or not at all: its side of the dialog is gone.
    Lost,
}

/// A new call, with all that is needed to judge who calls.
#[derive(Clone)]
pub struct Incoming {
    /// Its key.
    pub call: CallKey,
    /// Where the INVITE came from.
    pub source: SocketAddr,
    /// Our address as the caller sees it.
    pub local: SocketAddr,
    /// Name of the trunk whose networks hold `source`.
    pub trunk: String,
    /// The number dialled: user part of the Request-URI without telephone parameters; empty if there is none.
    pub request_user: String,
    /// From. Anybody can write anything there.
    pub from: Identity,
    /// P-Asserted-Identity (RFC 3325), worth as much as the trunk that sent it.
    pub asserted: Vec<Identity>,
    /// The caller withholds the number: Privacy `id`, `user` or `header`, or an anonymous From.
    pub privacy: bool,
    /// The offer, `None` if we are to make one.
    pub offer: Option<Bytes>,
    /// Call-ID, for logs and for finding the call in the carrier's records.
    pub call_id: String,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({:?} over {} from {:?} at {})", self.call, self.trunk, self.from, self.source)
    }
}

/// Somebody as named in From or P-Asserted-Identity.
#[derive(Clone, Eq, PartialEq)]
pub struct Identity {
    /// Display name.
    pub display: Option<String>,
    /// User part or telephone number, escapes resolved, telephone parameters taken off; empty if there is
    /// none.
    pub user: String,
    /// Host; empty for `tel:`.
    pub host: String,
    /// `phone-context` of a local number (RFC 3966 §5.1.5).
    pub phone_context: Option<String>,
}

impl Identity {
    /// The user as a telephone number: a leading `+` and digits, with visual separators taken out. `None` if
    /// it is a name.
    #[must_use]
    pub fn number(&self) -> Option<String> {
        let global = self.user.starts_with('+');
        let mut number = String::from(if global { "+" } else { "" });
        for c in self.user.strip_prefix('+').unwrap_or(&self.user).chars() {
            match c {
                '0'..='9' => number.push(c),
                '-' | '.' | '(' | ')' => {}
                _ => return None,
            }
        }
        (number.len() > usize::from(global)).then_some(number)
    }

    /// Whether this names nobody (RFC 3323 §4.1.1.3 and RFC 3261 §8.1.1.3).
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.user.eq_ignore_ascii_case("anonymous") || self.host.eq_ignore_ascii_case("anonymous.invalid")
    }
}

impl fmt::Debug for Identity {
    /// Shows the last two characters of the user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.user.chars().count().saturating_sub(2);
        let shown: String = self.user.chars().skip(hidden).collect();
        write!(f, "Identity(…{shown}@{})", self.host)
    }
}

/// One key of a telephone. Its Debug shows nothing: it may belong to a PIN.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Key(char);

impl Key {
    /// `0`-`9`, `*`, `#`, `A`-`D` (either case).
    #[must_use]
    pub fn new(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Self(key))
    }

    /// The key's sign.
    #[must_use]
    pub const fn sign(self) -> char {
        self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(_)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(user: &str, host: &str) -> Identity {
        Identity { display: None, user: user.into(), host: host.into(), phone_context: None }
    }

    #[test]
    fn numbers_lose_their_separators_and_names_are_none() {
        assert_eq!(identity("+1-(555).0100", "h").number().as_deref(), Some("+15550100"));
        assert_eq!(identity("07042", "h").number().as_deref(), Some("07042"));
        for name in ["", "+", "alice", "12a", "*100#"] {
            assert_eq!(identity(name, "h").number(), None, "{name}");
        }
    }

    #[test]
    fn anonymous_has_two_spellings() {
        assert!(identity("Anonymous", "192.0.2.1").is_anonymous());
        assert!(identity("x", "anonymous.invalid").is_anonymous());
        assert!(!identity("+256700000001", "192.0.2.1").is_anonymous());
    }

    #[test]
    fn debug_shows_neither_keys_nor_numbers() {
        let call = CallKey::outgoing(1);
        let digit = Event::Digit { call, key: Key::new('7').unwrap(), duration_ms: 100 };
        assert_eq!(format!("{digit:?}").matches('7').count(), 0);
        assert!(!format!("{:?}", identity("+256700000001", "h")).contains("2567"));
    }
}
