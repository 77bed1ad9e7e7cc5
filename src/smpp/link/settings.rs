//! What a link is told once: which side it is, how patient, how fast, how much at a time. Every limit of a link is
//! named here.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::smpp::link::retry::FAST_MAX;
use crate::smpp::pdu::Role;

/// Requests that were answered too late and are still known, so that the late answer can be told to whom it concerns.
/// The oldest is forgotten when another comes.
pub const OVERDUE_MAX: usize = 1_024;

/// PDUs that a peer may send before it is bound; one more closes the connection.
pub const UNBOUND_PDUS_MAX: u32 = 8;

/// A pause after `ESME_RTHROTTLED` begins with this.
pub const PAUSE_FIRST: Duration = Duration::from_millis(500);

/// A pause doubles with each throttled try, up to this.
pub const PAUSE_MAX: Duration = Duration::from_secs(16);

/// The slowest that throttling makes a link, in segments per second.
pub const RATE_FLOOR: u32 = 1;

/// A bind's password: wiped when dropped, never shown.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    /// Copies the bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes, for the one who compares or hashes them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Which end of the link we are.
#[derive(Clone, Debug)]
pub enum Side {
    /// We bind to an SMSC.
    Esme(Esme),
    /// Others bind to us.
    Smsc {
        /// What we call ourselves in the response, at most 15 octets.
        system_id: Bytes,
        /// The highest `interface_version` that we speak: 0x34 or 0x50.
        version: u8,
    },
}

/// How we bind to an SMSC (SMPP 3.4 §4.1).
#[derive(Clone, Debug)]
pub struct Esme {
    /// Who we are, at most 15 octets.
    pub system_id: Bytes,
    /// At most 8 octets.
    pub password: Password,
    /// At most 12 octets, often empty.
    pub system_type: Bytes,
    /// What the bind is for.
    pub role: Role,
    /// 0x33, 0x34 or 0x50.
    pub version: u8,
    /// Type of number of the range.
    pub addr_ton: u8,
    /// Numbering plan of the range.
    pub addr_npi: u8,
    /// Addresses that we serve, at most 40 octets, often empty.
    pub address_range: Bytes,
}

/// A speed limit, counted in segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate {
    /// Segments per second, at least 1.
    pub per_second: u32,
    /// Segments that may go at once after a rest, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Evenly spread: no second has more than a twentieth above `per_second`, and one segment. A peer that counts by
    /// the second would throttle a whole second's segments at once after a rest.
    #[must_use]
    pub const fn even(per_second: u32) -> Self {
        let burst = per_second / 20;
        Self { per_second, burst: if burst == 0 { 1 } else { burst } }
    }
}

/// What a link is told once.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which end we are.
    pub side: Side,
    /// Our requests without a response at any time, 1 or more. Probes and unbind do not count.
    pub window: usize,
    /// Requests that wait for the window or the rate, 1 or more; one more is `NotSent(Full)`.
    pub queue: usize,
    /// How long a request may wait there before it is `NotSent(Waited)`.
    pub queue_timeout: Duration,
    /// Our speed; nothing means as fast as the window allows.
    pub rate: Option<Rate>,
    /// The peer's speed; its requests beyond are answered `ESME_RTHROTTLED`. A listener counts all binds of one name
    /// together.
    pub peer_rate: Option<Rate>,
    /// From the connection to the end of the bind, and from `unbind` to its response.
    pub bind_timeout: Duration,
    /// After this a request without a response is `Unknown`.
    pub response_timeout: Duration,
    /// Silence of the peer after which we ask `enquire_link`.
    pub enquire_after: Duration,
    /// How long one `enquire_link` waits for any sign of life.
    pub enquire_timeout: Duration,
    /// Unanswered `enquire_link` in a row that close the connection, 1 or more.
    pub enquire_misses: u32,
    /// The peer's requests that wait for our answer; one more is answered `ESME_RTHROTTLED`.
    pub unanswered: usize,
    /// A request that nobody answered for so long gets a retryable status from the link itself.
    pub answer_timeout: Duration,
    /// The longest wait between two tries to connect, where we bind.
    pub reconnect_max: Duration,
}

impl Settings {
    /// The values that suit most carriers, for one side.
    #[must_use]
    pub const fn new(side: Side) -> Self {
        Self {
            side,
            window: 10,
            queue: 1_000,
            queue_timeout: Duration::from_secs(30),
            rate: None,
            peer_rate: None,
            bind_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            enquire_after: Duration::from_secs(30),
            enquire_timeout: Duration::from_secs(10),
            enquire_misses: 2,
            unanswered: 1_024,
            answer_timeout: Duration::from_secs(30),
            reconnect_max: FAST_MAX,
        }
    }
}
