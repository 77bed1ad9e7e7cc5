//! What can be told of a link at any time: its bind, its load, and what it has counted.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use crate::smpp::pdu::Role;

/// How far a link is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// No connection, or one without a bind yet.
    #[default]
    Down,
    /// The bind was asked for.
    Binding,
    /// Requests flow.
    Bound,
    /// No more requests; answers are waited for.
    Closing,
}

/// A link's state and figures.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// How far it is.
    pub phase: Phase,
    /// Since when it is bound.
    pub bound_since: Option<Instant>,
    /// The role of the bind.
    pub role: Option<Role>,
    /// The `interface_version` that both speak; 0 before the bind.
    pub version: u8,
    /// What the peer calls itself.
    pub peer: Bytes,
    /// Our requests that may be without a response.
    pub window: usize,
    /// Those that are.
    pub window_used: usize,
    /// Requests that wait to be sent.
    pub queued: usize,
    /// The speed in force, in segments per second; nothing means no limit.
    pub per_second: Option<u32>,
    /// Until when nothing is sent because the peer throttles.
    pub paused_until: Option<Instant>,
    /// Since when the oldest of our requests is without a response.
    pub oldest_outstanding: Option<Instant>,
    /// The peer's requests that wait for our answer.
    pub unanswered: usize,
    /// Since when the oldest of them waits.
    pub oldest_unanswered: Option<Instant>,
    /// Which faults of the peer were overlooked, and how often.
    pub tolerances: BTreeMap<&'static str, u64>,
    /// What was counted.
    pub counters: Counters,
}

/// What a link has counted since it was made.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// PDUs that came.
    pub pdus_in: u64,
    /// PDUs that went.
    pub pdus_out: u64,
    /// Faults of the peer's PDUs that were overlooked.
    pub tolerances: u64,
    /// Requests of the peer that could not be read and were answered with an error.
    pub bad: u64,
    /// Requests of the peer that its bind does not allow, or that nobody knows.
    pub forbidden: u64,
    /// Requests of the peer answered `ESME_RTHROTTLED`: too many without an answer, or too fast.
    pub shed: u64,
    /// Requests of the peer that nobody here answered in time.
    pub abandoned: u64,
    /// Our requests that the peer throttled.
    pub throttled: u64,
    /// Our requests without a response in time.
    pub timeouts: u64,
    /// Responses that came after that.
    pub late: u64,
    /// Responses that belong to no request; they are ignored.
    pub unmatched: u64,
    /// `enquire_link` that got no sign of life in time.
    pub missed_probes: u64,
}

impl Counters {
    /// Adds the figures of another link, for a client that has had several.
    pub const fn add(&mut self, other: &Self) {
        self.pdus_in += other.pdus_in;
        self.pdus_out += other.pdus_out;
        self.tolerances += other.tolerances;
        self.bad += other.bad;
        self.forbidden += other.forbidden;
        self.shed += other.shed;
        self.abandoned += other.abandoned;
        self.throttled += other.throttled;
        self.timeouts += other.timeouts;
        self.late += other.late;
        self.unmatched += other.unmatched;
        self.missed_probes += other.missed_probes;
    }
}
