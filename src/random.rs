//! The only source of what must not be guessed or repeated in payments: the operating system's randomness.
//!
//! In builds with debug assertions a thread may put a seed in its place, so that a simulation can be run again.

/// No randomness is to be had.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub struct Exhausted;

/// Fills with random bytes.
///
/// # Errors
/// [`Exhausted`] when the operating system gives none.
pub fn fill(bytes: &mut [u8]) -> Result<(), Exhausted> {
    #[cfg(debug_assertions)]
    if seeded::fill(bytes) {
        return Ok(());
    }
    getrandom::fill(bytes).map_err(|_| Exhausted)
}

#[cfg(debug_assertions)]
pub use seeded::seed;

#[cfg(debug_assertions)]
mod seeded {
    use std::cell::Cell;

    thread_local! {
        static STATE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From here on what this thread fills follows from `seed`; with `None` it is random again.
    pub fn seed(seed: Option<u64>) {
        STATE.set(seed);
    }

    /// SplitMix64. Whether a seed is there.
    pub(super) fn fill(bytes: &mut [u8]) -> bool {
        let Some(mut state) = STATE.get() else { return false };
        for chunk in bytes.chunks_mut(8) {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            chunk.iter_mut().zip(mixed.to_le_bytes()).for_each(|(byte, random)| *byte = random);
        }
        STATE.set(Some(state));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::fill;

    fn drawn() -> [u8; 20] {
        let mut bytes = [0; 20];
        fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(drawn(), drawn());
    }

    #[cfg(debug_assertions)]
    #[test]
    fn the_same_seed_gives_the_same() {
        super::seed(Some(7));
        let first = (drawn(), drawn());
        super::seed(Some(7));
        assert_eq!((drawn(), drawn()), first);
        assert_ne!(first.0, first.1);
        super::seed(None);
        assert_ne!(drawn(), first.0);
    }
}
