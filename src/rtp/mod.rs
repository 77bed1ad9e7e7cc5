//! Media of a call: RTP (RFC 3550) with G.711, key presses as telephone events (RFC 4733), prompts.
//!
//! The path of a packet: [`io`] takes a datagram from the call's socket, [`stream`] judges its source
//! ([`source`]), reads it ([`packet`]) and makes keys of it ([`dtmf`]); every 20 ms the stream hands the next
//! slice of its clips ([`prompt`]) back to `io`. Everything but `io` is pure: time comes as an argument,
//! bytes go in and out. It never knows what a key means, never logs one, and imports no other room.

pub mod dtmf;
pub mod figures;
pub mod g711;
pub mod io;
pub mod listen;
pub mod pace;
pub mod packet;
pub mod prompt;
pub mod source;
pub mod stream;
pub mod wav;

pub use figures::Figures;
pub use g711::Codec;
pub use io::{Engine, EngineConfig, Error, HeardFrame, Media, Report};
pub use prompt::Clip;
pub use stream::{Idle, MediaEvent, StreamConfig};

/// Samples, and for G.711 bytes, in one frame, packet and tick: 20 ms at 8 kHz (RFC 3551 §4.2).
pub const FRAME_SAMPLES: usize = 160;

/// Samples a second (RFC 3551 §4.5.14).
pub const SAMPLE_RATE: u32 = 8_000;

#[cfg(test)]
mod testing {
    //! What the tests of this room share: an instant to count from and a small seeded generator.
    use std::time::{Duration, Instant};

    #[expect(clippy::disallowed_methods, reason = "tests of pure parts count from any instant")]
    pub(super) fn start() -> Instant {
        Instant::now()
    }

    pub(super) fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// SplitMix64: the whole run follows from the seed, which every failing assertion prints.
    pub(super) struct Random(pub(super) u64);

    impl Random {
        pub(super) fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }

        /// A number below `n`.
        pub(super) fn below(&mut self, n: u64) -> u64 {
            self.next() % n
        }
    }
}
