//! Whose packets count: locks one call's media on its first valid source, inside what the SDP said.
//!
//! Three kinds of source, each trusted more than the one below it:
//! ```text
//! exact     the SDP's address and port                 locks with its first packet
//! address   the SDP's address, another port            after a steady stream, where `symmetric` is on
//! learned   another address; when the signalling's     the same (a phone behind NAT, whose SDP names a
//!           address is known, only that one            private address)
//! ```
//! Without `symmetric` nothing but the exact source counts: on a shared gateway another port of the same
//! address is another call, perhaps the one that had our port before and still sends. A steady stream is
//! [`LEARN_PACKETS`] packets of one SSRC with rising sequence numbers over at least [`LEARN_SPAN`]. A more
//! trusted source takes the lock over; an equally trusted one only after the locked one was silent for
//! [`RELOCK_AFTER`]; a less trusted one never. So a stranger who sprays packets at our ports (RTP bleed) gets
//! no byte back and presses no key. It reads no payloads.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::rtp::packet::Header;

/// Packets of one SSRC that make a source steady. A key press has eight, so one that arrives first is still
/// heard.
pub const LEARN_PACKETS: u8 = 4;

/// The least time that these packets span: a burst is not a stream.
pub const LEARN_SPAN: Duration = Duration::from_millis(40);

/// How long the locked source is silent before an equally trusted one may be learned (a NAT that moved).
pub const RELOCK_AFTER: Duration = Duration::from_secs(5);

/// Sources that are watched at once before one is locked; one more takes the place of the oldest.
const CANDIDATES: usize = 4;

/// How far a sequence number may jump within a steady stream.
const SEQUENCE_STEP_MAX: u16 = 16;

/// What the offer or answer said about the peer's media.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expected {
    /// Address and port of the SDP. An unspecified address or port 0 matches nothing.
    pub remote: SocketAddr,
    /// Whether media may come from, and be sent to, an address or port that the SDP does not name.
    pub symmetric: bool,
    /// Where the call's signalling comes from; when set, only this address is learned besides the SDP's.
    pub signalling: Option<IpAddr>,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It is the call's.
    Accept,
    /// It may become the call's; until then it says nothing.
    Learning,
    /// It is not the call's.
    Reject,
}

/// The lock of one call.
#[derive(Clone, Debug)]
pub struct SourceLock {
    expected: Expected,
    locked: Option<Locked>,
    candidates: [Option<Candidate>; CANDIDATES],
    oldest: usize,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Trust {
    Learned,
    Address,
    Exact,
}

#[derive(Clone, Copy, Debug)]
struct Locked {
    source: SocketAddr,
    trust: Trust,
    last_packet: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    packets: u8,
    since: Instant,
}

impl SourceLock {
    /// A lock that waits for its first packet.
    #[must_use]
    pub const fn new(expected: Expected) -> Self {
        Self { expected, locked: None, candidates: [None; CANDIDATES], oldest: 0 }
    }

    /// The SDP changed; a lock that it still allows stays.
    pub fn expect(&mut self, expected: Expected) {
        if expected != self.expected {
            *self = Self::new(expected);
        }
    }

    /// Where to send: the locked source, or before there is one the SDP's address. Nowhere on hold
    /// (`0.0.0.0`, port 0).
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        let remote = self.expected.remote;
        let named = !remote.ip().is_unspecified() && remote.port() != 0;
        self.locked.map(|l| l.source).or_else(|| named.then_some(remote))
    }

    /// Judges one packet from `source`, an address in its canonical form (no IPv4 inside IPv6).
    pub fn judge(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        if let Some(locked) = self.locked.as_mut().filter(|l| l.source == source) {
            locked.last_packet = now;
            return Verdict::Accept;
        }
        let Some(trust) = self.trust(source) else { return Verdict::Reject };
        let open = self.locked.is_none_or(|l| {
            trust > l.trust || trust == l.trust && now.duration_since(l.last_packet) > RELOCK_AFTER
        });
        if !open {
            return Verdict::Reject;
        }
        if trust < Trust::Exact && !self.steady(now, source, header) {
            return Verdict::Learning;
        }
        self.locked = Some(Locked { source, trust, last_packet: now });
        self.candidates = [None; CANDIDATES];
        Verdict::Accept
    }

    fn trust(&self, source: SocketAddr) -> Option<Trust> {
        let Expected { remote, symmetric, signalling } = self.expected;
        if source == remote {
            Some(Trust::Exact)
        } else if symmetric && source.ip() == remote.ip() {
            Some(Trust::Address)
        } else if symmetric && signalling.is_none_or(|ip| ip == source.ip()) {
            Some(Trust::Learned)
        } else {
            None
        }
    }

    fn steady(&mut self, now: Instant, source: SocketAddr, header: &Header) -> bool {
        let fresh =
            Candidate { source, ssrc: header.ssrc, sequence: header.sequence, packets: 1, since: now };
        let Some(candidate) = self.candidates.iter_mut().flatten().find(|c| c.source == source) else {
            if let Some(slot) = self.candidates.get_mut(self.oldest) {
                *slot = Some(fresh);
            }
            self.oldest = (self.oldest + 1) % CANDIDATES;
            return false;
        };
        let step = header.sequence.wrapping_sub(candidate.sequence);
        if candidate.ssrc != header.ssrc {
            *candidate = fresh;
            return false;
        }
        if step == 0 || step > u16::MAX / 2 {
            // A repeated or late packet neither helps nor harms.
            return false;
        }
        if step > SEQUENCE_STEP_MAX {
            *candidate = fresh;
            return false;
        }
        candidate.sequence = header.sequence;
        candidate.packets = candidate.packets.saturating_add(1);
        candidate.packets >= LEARN_PACKETS && now.duration_since(candidate.since) >= LEARN_SPAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::testing::{ms, start};

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn header(ssrc: u32, sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc }
    }

    fn lock(symmetric: bool, signalling: Option<&str>) -> SourceLock {
        let signalling = signalling.map(|ip| ip.parse().unwrap());
        SourceLock::new(Expected { remote: at("192.0.2.1:4000"), symmetric, signalling })
    }

    /// `count` packets 20 ms apart from `source`; the verdicts as letters.
    fn stream(lock: &mut SourceLock, from: Instant, source: &str, ssrc: u32, count: u16) -> String {
        (0..count)
            .map(|n| match lock.judge(from + ms(u64::from(n) * 20), at(source), &header(ssrc, n)) {
                Verdict::Accept => 'a',
                Verdict::Learning => 'l',
                Verdict::Reject => 'r',
            })
            .collect()
    }

    const STRANGER: &str = "203.0.113.9:666";

    #[test]
    fn the_sdps_own_source_counts_at_once_and_a_stranger_never() {
        let mut lock = lock(false, None);
        let now = start();
        assert_eq!(stream(&mut lock, now, STRANGER, 1, 20), "r".repeat(20));
        assert_eq!(stream(&mut lock, now, "192.0.2.1:4000", 2, 3), "aaa");
        assert_eq!(stream(&mut lock, now + ms(60_000), STRANGER, 1, 20), "r".repeat(20));
        assert_eq!(lock.target(), Some(at("192.0.2.1:4000")));
    }

    #[test]
    fn another_port_of_the_same_address_counts_only_when_symmetric() {
        let now = start();
        let mut strict = lock(false, None);
        assert_eq!(stream(&mut strict, now, "192.0.2.1:5000", 1, 5), "rrrrr");
        assert_eq!(strict.target(), Some(at("192.0.2.1:4000")));
        let mut symmetric = lock(true, None);
        assert_eq!(stream(&mut symmetric, now, "192.0.2.1:5000", 1, 5), "lllaa");
        assert_eq!(symmetric.target(), Some(at("192.0.2.1:5000")));
    }

    #[test]
    fn a_phone_behind_nat_is_learned_when_allowed_and_only_from_the_signallings_address() {
        let now = start();
        let mut any = lock(true, None);
        assert_eq!(stream(&mut any, now, "198.51.100.7:3000", 1, 4), "llla");
        assert_eq!(any.target(), Some(at("198.51.100.7:3000")));
        let mut near = lock(true, Some("198.51.100.7"));
        assert_eq!(stream(&mut near, now, STRANGER, 1, 9), "r".repeat(9));
        assert_eq!(near.target(), Some(at("192.0.2.1:4000")));
        assert_eq!(stream(&mut near, now, "198.51.100.7:3000", 2, 4), "llla");
    }

    #[test]
    fn a_burst_changing_ssrcs_or_jumping_numbers_are_not_a_stream() {
        let now = start();
        let mut burst = lock(true, None);
        for n in 0..50 {
            assert_eq!(burst.judge(now, at(STRANGER), &header(1, n)), Verdict::Learning);
        }
        let mut other = lock(true, None);
        for n in 0..50_u16 {
            let later = now + ms(u64::from(n) * 20);
            assert_eq!(other.judge(later, at(STRANGER), &header(u32::from(n), n)), Verdict::Learning);
            let far = header(7, n.wrapping_mul(1_000));
            assert_eq!(other.judge(later, at("203.0.113.8:1"), &far), Verdict::Learning);
            assert_eq!(other.judge(later, at("203.0.113.8:2"), &header(8, 5)), Verdict::Learning);
        }
    }

    #[test]
    fn the_true_source_takes_the_lock_back_and_keeps_it() {
        let now = start();
        let mut lock = lock(true, None);
        assert_eq!(stream(&mut lock, now, STRANGER, 1, 5), "lllaa");
        assert_eq!(stream(&mut lock, now, "192.0.2.1:4000", 2, 2), "aa");
        assert_eq!(lock.target(), Some(at("192.0.2.1:4000")));
        assert_eq!(stream(&mut lock, now + ms(60_000), STRANGER, 1, 9), "r".repeat(9));
    }

    #[test]
    fn a_nat_that_moved_is_followed_only_after_silence() {
        let now = start();
        let mut lock = lock(true, None);
        assert_eq!(stream(&mut lock, now, "198.51.100.7:3000", 1, 4), "llla");
        assert_eq!(stream(&mut lock, now + ms(100), "198.51.100.7:3001", 1, 9), "r".repeat(9));
        assert_eq!(stream(&mut lock, now + ms(5_200), "198.51.100.7:3001", 1, 4), "llla");
        assert_eq!(lock.target(), Some(at("198.51.100.7:3001")));
    }

    #[test]
    fn many_strangers_do_not_keep_the_phone_from_being_learned_for_long() {
        let now = start();
        let mut lock = lock(true, None);
        for n in 0..40_u16 {
            let stranger = SocketAddr::new([203, 0, 113, 9].into(), 1_000 + n);
            lock.judge(now, stranger, &header(1, 0));
        }
        assert_eq!(stream(&mut lock, now, "198.51.100.7:3000", 1, 4), "llla");
    }

    #[test]
    fn a_new_sdp_starts_anew_and_hold_sends_nowhere() {
        let now = start();
        let mut lock = lock(true, None);
        stream(&mut lock, now, "198.51.100.7:3000", 1, 4);
        let same = Expected { remote: at("192.0.2.1:4000"), symmetric: true, signalling: None };
        lock.expect(same);
        assert_eq!(lock.target(), Some(at("198.51.100.7:3000")));
        lock.expect(Expected { remote: at("0.0.0.0:4000"), ..same });
        assert_eq!(lock.target(), None);
        lock.expect(Expected { remote: at("192.0.2.1:0"), ..same });
        assert_eq!(lock.target(), None);
    }
}
