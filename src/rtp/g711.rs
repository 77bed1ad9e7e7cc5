//! G.711: the two laws, mu (ITU-T G.711 table 2) and A (table 1), between 16-bit samples and bytes.
//!
//! Prompts pass through once, when they are loaded; a sending tick only copies. It never resamples.

/// The audio format of a call, as its SDP names it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Codec {
    /// mu-law, payload type 0 (RFC 3551 §6).
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// The payload type that RFC 3551 §6 fixes.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The byte of silence.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// One sample as a byte.
    #[must_use]
    pub const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => ulaw(sample),
            Self::Pcma => alaw(sample),
        }
    }

    /// One byte as a sample.
    #[must_use]
    pub fn decode(self, byte: u8) -> i16 {
        let table = match self {
            Self::Pcmu => &ULAW,
            Self::Pcma => &ALAW,
        };
        table.get(usize::from(byte)).copied().unwrap_or(0)
    }
}

/// Decoded values of all 256 mu-law bytes.
static ULAW: [i16; 256] = table(true);

/// Decoded values of all 256 A-law bytes.
static ALAW: [i16; 256] = table(false);

#[expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time; the index is below 256"
)]
const fn table(mu: bool) -> [i16; 256] {
    let mut out = [0; 256];
    let mut code = 0_usize;
    while code < 256 {
        out[code] = if mu { ulaw_value(code as u8) } else { alaw_value(code as u8) };
        code += 1;
    }
    out
}

/// Added before the segment is sought, so that every segment starts at a power of two (in 14-bit units, 33).
const ULAW_BIAS: i32 = 0x84;

/// The largest magnitude that the last segment holds.
const ULAW_CLIP: i32 = 32_635;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "const; the value is built from a sign bit, a 3-bit segment and 4 bits of interval"
)]
const fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80_u8 } else { 0 };
    let magnitude = (sample as i32).abs();
    let biased = (if magnitude > ULAW_CLIP { ULAW_CLIP } else { magnitude }) + ULAW_BIAS;
    // The highest set bit, 7 to 14, names the segment.
    let segment = 24 - biased.leading_zeros();
    let interval = (biased >> (segment + 3)) & 0x0f;
    // G.711 inverts all bits on the line.
    !(sign | ((segment as u8) << 4) | interval as u8)
}

#[expect(clippy::cast_possible_truncation, reason = "const; at most 32,124 by construction")]
const fn ulaw_value(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 7;
    let interval = (code & 0x0f) as i32;
    let magnitude = ((((interval << 3) + ULAW_BIAS) << segment) - ULAW_BIAS) as i16;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "const; the value is built from a sign bit, a 3-bit segment and 4 bits of interval"
)]
const fn alaw(sample: i16) -> u8 {
    // Negative samples are complemented, so that -1 shares the first interval below zero and -32,768 fits.
    let (sign, magnitude) = if sample < 0 { (0, !sample as i32) } else { (0x80_u8, sample as i32) };
    let coded = if magnitude < 256 {
        (magnitude >> 4) as u8
    } else {
        let segment = 24 - magnitude.leading_zeros();
        ((segment as u8) << 4) | ((magnitude >> (segment + 3)) & 0x0f) as u8
    };
    // G.711 inverts the even bits on the line.
    (sign | coded) ^ 0x55
}

#[expect(clippy::cast_possible_truncation, reason = "const; at most 32,256 by construction")]
const fn alaw_value(code: u8) -> i16 {
    let code = code ^ 0x55;
    let segment = (code >> 4) & 7;
    let interval = ((code & 0x0f) as i32) << 4;
    let magnitude = if segment == 0 { interval + 8 } else { (interval + 0x108) << (segment - 1) } as i16;
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_round_trip() {
        for code in 0..=255_u8 {
            // 0x7f is minus zero in mu-law; it reads as 0 and is written as plus zero.
            let ulaw = if code == 0x7f { 0xff } else { code };
            assert_eq!(Codec::Pcmu.encode(Codec::Pcmu.decode(code)), ulaw, "mu {code:#x}");
            assert_eq!(Codec::Pcma.encode(Codec::Pcma.decode(code)), code, "A {code:#x}");
        }
    }

    #[test]
    fn the_tables_of_g711_hold() {
        // G.711 table 2a: decision values and the value at the decoder output, in 14-bit units (ours are
        // times 4).
        for (code, value) in [
            (0x80, 8031),
            (0x8f, 4191),
            (0x9f, 2079),
            (0xaf, 1023),
            (0xbf, 495),
            (0xcf, 231),
            (0xdf, 99),
            (0xff, 0),
        ] {
            assert_eq!(Codec::Pcmu.decode(code), value * 4, "{code:#x}");
        }
        // G.711 table 1a: decoder outputs in 13-bit units (ours are times 8), with the even bits inverted.
        for (code, value) in [
            (0xff_u8, 4032),
            (0xf0, 2112),
            (0xe0, 1056),
            (0xd0, 528),
            (0xc0, 264),
            (0xb0, 132),
            (0xa0, 66),
            (0x80, 1),
        ] {
            assert_eq!(Codec::Pcma.decode(code ^ 0x55), value * 8, "{code:#x}");
        }
        assert_eq!(Codec::Pcmu.decode(0x00), -32_124);
        assert_eq!(Codec::Pcma.decode(0x2a), -32_256);
    }

    #[test]
    fn every_sample_lies_in_the_interval_of_its_code() {
        for sample in i16::MIN..=i16::MAX {
            let size = i32::from(sample);
            let code = Codec::Pcmu.encode(sample);
            let half = 4 << (!code >> 4 & 7);
            let value = i32::from(Codec::Pcmu.decode(code));
            assert!((size.clamp(-32_635, 32_635) - value).abs() <= half, "mu {sample} {value}");
            let code = Codec::Pcma.encode(sample);
            let half = 8 << ((code ^ 0x55) >> 4 & 7).saturating_sub(1);
            let value = i32::from(Codec::Pcma.decode(code));
            assert!((size - value).abs() <= half, "A {sample} {value}");
        }
    }

    #[test]
    fn silence_is_the_code_of_nearly_zero() {
        assert_eq!(Codec::Pcmu.encode(0), Codec::Pcmu.silence());
        assert_eq!(Codec::Pcma.encode(0), Codec::Pcma.silence());
    }
}
