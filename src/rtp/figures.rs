//! What the engine counts: each thread tallies a slot's calls in plain numbers, then adds them to shared
//! totals.
//!
//! No packet costs an atomic operation, and reading the totals disturbs nobody. Nothing here tells one call
//! from another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::rtp::pace::{self, LATENESS_CLASSES};
use crate::rtp::stream::Counters;

/// What the engine has done since it started.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Calls with media now.
    pub calls: usize,
    /// Packets of all calls, published every few milliseconds.
    pub packets: Counters,
    /// Packets that the system did not take.
    pub send_errors: u64,
    /// Events lost because their receiver was too slow.
    pub events_lost: u64,
    /// Frames of a call left out after stalls.
    pub frames_skipped: u64,
    /// Ticks by lateness, in the classes of [`pace::LATENESS_US`].
    pub lateness: [u64; LATENESS_CLASSES],
}

impl Figures {
    /// The lateness that 99 of 100 ticks kept; `None` when it is above 50 ms or nothing was sent.
    #[must_use]
    pub fn lateness_p99(&self) -> Option<Duration> {
        pace::lateness_quantile(&self.lateness, 990)
    }
}

/// What one thread counted for one slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Packets.
    pub packets: Counters,
    /// Packets that the system did not take.
    pub send_errors: u64,
    /// Events lost.
    pub events_lost: u64,
    /// Frames left out.
    pub frames_skipped: u64,
    lateness: [u64; LATENESS_CLASSES],
}

impl Tally {
    /// One tick was so late.
    pub fn late(&mut self, lateness: Duration) {
        if let Some(count) = self.lateness.get_mut(pace::lateness_class(lateness)) {
            *count += 1;
        }
    }
}

/// The sums of all threads.
#[derive(Debug, Default)]
pub struct Totals {
    sent: AtomicU64,
    received: AtomicU64,
    rejected: AtomicU64,
    unreadable: AtomicU64,
    send_errors: AtomicU64,
    events_lost: AtomicU64,
    frames_skipped: AtomicU64,
    lateness: [AtomicU64; LATENESS_CLASSES],
}

impl Totals {
    /// Adds a tally.
    pub fn publish(&self, tally: &Tally) {
        let add = |total: &AtomicU64, n: u64| {
            if n > 0 {
                total.fetch_add(n, Ordering::Relaxed);
            }
        };
        add(&self.sent, tally.packets.sent);
        add(&self.received, tally.packets.received);
        add(&self.rejected, tally.packets.rejected);
        add(&self.unreadable, tally.packets.unreadable);
        add(&self.send_errors, tally.send_errors);
        add(&self.events_lost, tally.events_lost);
        add(&self.frames_skipped, tally.frames_skipped);
        for (total, n) in self.lateness.iter().zip(tally.lateness) {
            add(total, n);
        }
    }

    /// The sums now, beside the number of calls.
    #[must_use]
    pub fn figures(&self, calls: usize) -> Figures {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Figures {
            calls,
            packets: Counters {
                sent: read(&self.sent),
                received: read(&self.received),
                rejected: read(&self.rejected),
                unreadable: read(&self.unreadable),
            },
            send_errors: read(&self.send_errors),
            events_lost: read(&self.events_lost),
            frames_skipped: read(&self.frames_skipped),
            lateness: std::array::from_fn(|class| self.lateness.get(class).map_or(0, read)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up() {
        let totals = Totals::default();
        let mut tally = Tally { send_errors: 1, frames_skipped: 3, ..Tally::default() };
        tally.packets.sent = 10;
        for _ in 0..10 {
            tally.late(Duration::from_micros(300));
        }
        totals.publish(&tally);
        totals.publish(&tally);
        let figures = totals.figures(5);
        assert_eq!(
            (figures.calls, figures.packets.sent, figures.send_errors, figures.frames_skipped),
            (5, 20, 2, 6)
        );
        assert_eq!(figures.lateness_p99(), Some(Duration::from_micros(500)));
    }
}
