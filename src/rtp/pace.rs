//! When each call's tick is due, pure: absolute deadlines on a fixed grid, and how late they were kept.
//!
//! A tick of 20 ms has [`SLOTS`] phases; each phase is a slot whose calls are served together. A slot that is
//! late is served at once, up to [`CATCH_UP_FRAMES`] frames behind; beyond that the frames are skipped rather
//! than sent in a burst that would overrun the peer's jitter buffer. It never looks at a call.

use std::time::{Duration, Instant};

/// Phases of a tick.
pub const SLOTS: usize = 10;

/// From one phase to the next: 20 ms over [`SLOTS`].
pub const SLOT: Duration = Duration::from_millis(2);

/// Frames that are made up for after a stall: 60 ms, the least that jitter buffers hold.
pub const CATCH_UP_FRAMES: u64 = 3;

/// Upper bounds of the lateness classes in microseconds; the last class has none.
pub const LATENESS_US: [u64; 12] =
    [100, 250, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 7_500, 10_000, 20_000, 50_000];

/// Classes of lateness.
pub const LATENESS_CLASSES: usize = LATENESS_US.len() + 1;

const SLOTS_U64: u64 = SLOTS as u64;

/// The grid of one engine thread.
#[derive(Clone, Debug)]
pub struct Pacer {
    base: Instant,
    /// For each slot the step of the grid at which it is due next; step n is at base + n * SLOT.
    due: [u64; SLOTS],
}

/// One serving of a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Turn {
    /// When it was due.
    pub due: Instant,
    /// Frames that came too late and are left out before this one.
    pub skipped: u32,
}

impl Pacer {
    /// A grid that begins now.
    #[must_use]
    pub const fn new(base: Instant) -> Self {
        Self { base, due: [0; SLOTS] }
    }

    /// A slot has its first call: it is due at its next phase from now on.
    pub fn wake(&mut self, now: Instant, slot: usize) {
        let phase = u64::try_from(slot).unwrap_or(0);
        let next = self.step(now) + 1;
        let step = next + (phase + SLOTS_U64 - next % SLOTS_U64) % SLOTS_U64;
        if let Some(due) = self.due.get_mut(slot) {
            *due = step;
        }
    }

    /// The busy slot that is due first, and when.
    pub fn next(&self, busy: impl Fn(usize) -> bool) -> Option<(usize, Instant)> {
        let due = self.due.iter().copied().enumerate().filter(|(slot, _)| busy(*slot));
        due.min_by_key(|(_, step)| *step).map(|(slot, step)| (slot, self.at(step)))
    }

    /// Serves a slot: moves it on by one frame, or past all that are too late to be sent.
    pub fn take(&mut self, now: Instant, slot: usize) -> Turn {
        let reached = self.step(now);
        let base = self.base;
        let Some(due) = self.due.get_mut(slot) else { return Turn { due: base, skipped: 0 } };
        let behind = reached.saturating_sub(*due) / SLOTS_U64;
        let skipped = if behind > CATCH_UP_FRAMES { behind } else { 0 };
        let served = *due + skipped * SLOTS_U64;
        *due = served + SLOTS_U64;
        Turn { due: self.at(served), skipped: u32::try_from(skipped).unwrap_or(u32::MAX) }
    }

    fn step(&self, now: Instant) -> u64 {
        let steps = now.saturating_duration_since(self.base).as_micros() / SLOT.as_micros();
        u64::try_from(steps).unwrap_or(u64::MAX)
    }

    fn at(&self, step: u64) -> Instant {
        self.base + Duration::from_micros(step.saturating_mul(2_000))
    }
}

/// The class of a lateness, an index below [`LATENESS_CLASSES`].
#[must_use]
pub fn lateness_class(late: Duration) -> usize {
    let us = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
    LATENESS_US.iter().position(|bound| us <= *bound).unwrap_or(LATENESS_US.len())
}

/// The bound that so many per mille of the ticks kept; `None` when that is beyond the last bound or nothing
/// was counted.
#[must_use]
pub fn lateness_quantile(classes: &[u64; LATENESS_CLASSES], per_mille: u64) -> Option<Duration> {
    let total: u64 = classes.iter().sum();
    let wanted = total.saturating_mul(per_mille).div_ceil(1_000);
    let mut counted = 0;
    for (count, bound) in classes.iter().zip(LATENESS_US) {
        counted += count;
        if total > 0 && counted >= wanted {
            return Some(Duration::from_micros(bound));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::testing::{ms, start};

    #[test]
    fn a_slot_is_due_every_20_ms_on_the_grid_however_late_it_was_served() {
        let base = start();
        let mut pacer = Pacer::new(base);
        pacer.wake(base + ms(5), 3);
        let busy = |slot: usize| slot == 3;
        let mut expected = base + ms(6);
        for late_us in [0, 150, 1_900, 7_000, 19_999] {
            assert_eq!(pacer.next(busy), Some((3, expected)));
            let turn = pacer.take(expected + Duration::from_micros(late_us), 3);
            assert_eq!(turn, Turn { due: expected, skipped: 0 });
            expected += ms(20);
        }
        assert_eq!(pacer.next(|_| false), None);
    }

    #[test]
    fn calls_woken_at_any_time_wait_at_most_one_tick() {
        let base = start();
        for at in 0..60 {
            for slot in 0..SLOTS {
                let mut pacer = Pacer::new(base);
                pacer.wake(base + ms(at), slot);
                let (_, due) = pacer.next(|s| s == slot).unwrap();
                let phase = (due - base).as_millis() % 20;
                assert_eq!(phase, 2 * u128::try_from(slot).unwrap());
                assert!(due > base + ms(at) && due <= base + ms(at + 20), "{at} {slot}");
            }
        }
    }

    #[test]
    fn a_short_stall_is_made_up_and_a_long_one_skipped() {
        let base = start();
        let mut pacer = Pacer::new(base);
        pacer.wake(base, 0);
        let due = base + ms(20);
        // 60 ms late: four frames at once, in order.
        for n in 0..4 {
            assert_eq!(pacer.take(due + ms(60), 0), Turn { due: due + ms(n * 20), skipped: 0 });
        }
        assert_eq!(pacer.next(|s| s == 0), Some((0, due + ms(80))));
        // A second late: those frames never leave.
        let turn = pacer.take(due + ms(1_080), 0);
        assert_eq!(turn, Turn { due: due + ms(1_080), skipped: 50 });
        assert_eq!(pacer.next(|s| s == 0), Some((0, due + ms(1_100))));
    }

    #[test]
    fn lateness_is_classed_and_read_back() {
        let mut classes = [0; LATENESS_CLASSES];
        assert_eq!(lateness_quantile(&classes, 990), None);
        classes[lateness_class(Duration::from_micros(100))] += 980;
        classes[lateness_class(Duration::from_micros(1_001))] += 15;
        classes[lateness_class(ms(80))] += 5;
        assert_eq!(lateness_quantile(&classes, 500), Some(Duration::from_micros(100)));
        assert_eq!(lateness_quantile(&classes, 990), Some(ms(2)));
        assert_eq!(lateness_quantile(&classes, 1_000), None);
    }
}
