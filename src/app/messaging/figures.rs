//! What `keytone smpp status` shows: each bind as it is now, and what was counted since the start.

use std::time::Instant;

use crate::smpp::io::Handle;
use crate::smpp::link::status::Phase;
use crate::sms::{desk, dispatch};

/// A bind as it is now.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct LinkFigures {
    /// Its name: the route, and its number.
    pub bind: String,
    /// `bound`, `binding`, `closing` or `down`.
    pub state: String,
    /// The far end.
    pub address: Option<String>,
    /// `transmitter`, `receiver` or `transceiver`.
    pub role: Option<String>,
    /// What the peer calls itself.
    pub peer: String,
    /// Seconds since it is bound.
    pub bound_s: Option<u64>,
    /// Requests of ours without a response, of how many that may be.
    pub window_used: usize,
    /// See `window_used`.
    pub window: usize,
    /// Requests that wait to be sent.
    pub queued: usize,
    /// Segments a second, if there is a limit.
    pub segments_per_s: Option<u32>,
    /// Whether it waits because the peer throttles.
    pub paused: bool,
    /// Milliseconds since the oldest request without a response was sent.
    pub oldest_unanswered_ms: Option<u64>,
    /// PDUs that came and went.
    pub pdus_in: u64,
    /// See `pdus_in`.
    pub pdus_out: u64,
    /// Requests that the peer throttled.
    pub throttled: u64,
    /// Requests without a response in time.
    pub timeouts: u64,
    /// Faults of the peer's PDUs that were overlooked.
    pub tolerances: u64,
    /// Requests of the peer that could not be read.
    pub bad: u64,
    /// Connections that were made.
    pub connections: u64,
    /// What went wrong last.
    pub trouble: Option<String>,
}

impl LinkFigures {
    pub(super) fn of(handle: &Handle, now: Instant) -> Self {
        let status = handle.status();
        let link = &status.state;
        let since = |at: Instant| now.saturating_duration_since(at);
        Self {
            bind: handle.name().to_owned(),
            state: match link.phase {
                Phase::Down => "down",
                Phase::Binding => "binding",
                Phase::Bound => "bound",
                Phase::Closing => "closing",
            }
            .to_owned(),
            address: status.address.map(|address| address.to_string()),
            role: link.role.map(|role| format!("{role:?}").to_lowercase()),
            peer: String::from_utf8_lossy(&link.peer).into_owned(),
            bound_s: link.bound_since.map(|at| since(at).as_secs()),
            window_used: link.window_used,
            window: link.window,
            queued: link.queued,
            segments_per_s: link.per_second,
            paused: link.paused_until.is_some_and(|until| until > now),
            oldest_unanswered_ms: link
                .oldest_outstanding
                .map(|at| u64::try_from(since(at).as_millis()).unwrap_or(u64::MAX)),
            pdus_in: link.counters.pdus_in,
            pdus_out: link.counters.pdus_out,
            throttled: link.counters.throttled,
            timeouts: link.counters.timeouts,
            tolerances: link.counters.tolerances,
            bad: link.counters.bad,
            connections: status.connections,
            trouble: status.trouble.map(|trouble| format!("{trouble:?}")),
        }
    }
}

/// Binds, and what was counted since the start.
#[derive(Clone, Debug, Default, serde::Deserialize, serde::Serialize)]
pub struct MessagingFigures {
    /// Each bind.
    pub links: Vec<LinkFigures>,
    /// Text messages that came in.
    pub received: desk::Figures,
    /// Text messages that went out.
    pub sent: dispatch::Figures,
}
