//! Prompts: WAV files become [`Clip`]s, encoded once in both laws, shared by every call that plays them.
//!
//! Clips of a playlist follow each other without a gap; only its last frame is padded. A clip never changes,
//! and a file that is not 8 kHz, mono, µ-law or 16 bit is refused by name rather than played at the wrong speed.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use crate::rtp::SAMPLE_RATE;
use crate::rtp::g711::Codec;
use crate::rtp::wav;

/// The longest clip: ten minutes.
pub const CLIP_SAMPLES_MAX: usize = 8_000 * 600;

/// What is wrong with a file that should be a prompt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No WAV file at all.
    #[error("prompt {name}: not a readable WAV file")]
    Unreadable {
        /// The clip.
        name: String,
        /// What the reader said.
        source: hound::Error,
    },
    /// Another form than telephones carry.
    #[error(
        "prompt {name}: expected 8000 Hz, mono, µ-law or 16 bit; found {rate} Hz, {channels} channel(s), {bits} bit"
    )]
    Format {
        /// The clip.
        name: String,
        /// Samples a second.
        rate: u32,
        /// Channels.
        channels: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// No samples.
    #[error("prompt {name}: no sound in it")]
    Empty {
        /// The clip.
        name: String,
    },
    /// Longer than [`CLIP_SAMPLES_MAX`].
    #[error("prompt {name}: longer than ten minutes")]
    TooLong {
        /// The clip.
        name: String,
    },
}

/// One piece of audio under its name. Cloning shares the bytes.
#[derive(Clone)]
pub struct Clip {
    name: String,
    ulaw: Arc<[u8]>,
    alaw: Arc<[u8]>,
}

impl Clip {
    /// Reads a WAV file of 8 kHz, mono, µ-law or 16 bit.
    ///
    /// # Errors
    /// Names the clip and the fault.
    pub fn from_wav(name: &str, file: &[u8]) -> Result<Self, Error> {
        if let Some(samples) = wav::ulaw_samples(file) {
            return Self::from_ulaw(name, samples);
        }
        let unreadable = |source| Error::Unreadable { name: name.to_owned(), source };
        let mut reader = hound::WavReader::new(Cursor::new(file)).map_err(unreadable)?;
        let spec = reader.spec();
        let telephone = spec.sample_rate == SAMPLE_RATE
            && spec.channels == 1
            && spec.bits_per_sample == 16
            && spec.sample_format == hound::SampleFormat::Int;
        if !telephone {
            let (rate, channels, bits) = (spec.sample_rate, spec.channels, spec.bits_per_sample);
            return Err(Error::Format { name: name.to_owned(), rate, channels, bits });
        }
        let mut samples = Vec::with_capacity(file.len() / 2);
        for sample in reader.samples::<i16>() {
            samples.push(sample.map_err(unreadable)?);
            if samples.len() > CLIP_SAMPLES_MAX {
                return Err(Error::TooLong { name: name.to_owned() });
            }
        }
        if samples.is_empty() {
            return Err(Error::Empty { name: name.to_owned() });
        }
        Ok(Self::from_samples(name, &samples))
    }

    fn from_ulaw(name: &str, samples: &[u8]) -> Result<Self, Error> {
        if samples.is_empty() {
            return Err(Error::Empty { name: name.to_owned() });
        }
        if samples.len() > CLIP_SAMPLES_MAX {
            return Err(Error::TooLong { name: name.to_owned() });
        }
        let alaw = samples.iter().map(|b| Codec::Pcma.encode(Codec::Pcmu.decode(*b))).collect();
        Ok(Self { name: name.to_owned(), ulaw: samples.into(), alaw })
    }

    /// A clip of 16-bit samples at 8 kHz.
    #[must_use]
    pub fn from_samples(name: &str, samples: &[i16]) -> Self {
        let encode = |codec: Codec| samples.iter().map(|s| codec.encode(*s)).collect();
        Self { name: name.to_owned(), ulaw: encode(Codec::Pcmu), alaw: encode(Codec::Pcma) }
    }

    /// Silence of so many milliseconds.
    #[must_use]
    pub fn silence(ms: u16) -> Self {
        let samples = usize::from(ms) * 8;
        let fill = |codec: Codec| vec![codec.silence(); samples].into();
        Self { name: format!("silence-{ms}"), ulaw: fill(Codec::Pcmu), alaw: fill(Codec::Pcma) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes in one law, one for each sample.
    #[must_use]
    pub fn bytes(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.ulaw,
            Codec::Pcma => &self.alaw,
        }
    }

    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.ulaw.len()).unwrap_or(u64::MAX).saturating_mul(125))
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clip({}, {:?})", self.name, self.duration())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wav(rate: u32, channels: u16, bits: u16, samples: &[i16]) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let mut out = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut out, spec).unwrap();
        for sample in samples {
            writer.write_sample(*sample).unwrap();
        }
        writer.finalize().unwrap();
        out.into_inner()
    }

    #[test]
    fn a_telephone_wav_becomes_both_laws() {
        let samples = [0, 1_000, -1_000, 32_767, i16::MIN];
        let clip = Clip::from_wav("amount", &wav(8_000, 1, 16, &samples)).unwrap();
        assert_eq!(clip.name(), "amount");
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let expected: Vec<u8> = samples.iter().map(|s| codec.encode(*s)).collect();
            assert_eq!(clip.bytes(codec), expected);
        }
        assert_eq!(clip.duration(), Duration::from_micros(625));
        assert_eq!(Clip::silence(20).bytes(Codec::Pcma), [0xd5; 160]);
    }

    #[test]
    fn a_ulaw_wav_is_played_byte_for_byte() {
        let samples: Vec<u8> = (0..=255).collect();
        let clip = Clip::from_wav("amount", &wav::ulaw_file(&samples).unwrap()).unwrap();
        assert_eq!(clip.bytes(Codec::Pcmu), samples);
        for (ulaw, alaw) in samples.iter().zip(clip.bytes(Codec::Pcma)) {
            let (there, here) = (Codec::Pcmu.decode(*ulaw), Codec::Pcma.decode(*alaw));
            // The steps of the two laws are alike, A-law's smallest is 16.
            assert!(i32::from(there).abs_diff(i32::from(here)) <= 16.max(there.unsigned_abs() / 16).into());
        }
        assert!(matches!(Clip::from_wav("x", &wav::ulaw_file(&[]).unwrap()), Err(Error::Empty { .. })));
        let long = wav::ulaw_file(&vec![0; CLIP_SAMPLES_MAX + 1]).unwrap();
        assert!(matches!(Clip::from_wav("x", &long), Err(Error::TooLong { .. })));
    }

    #[test]
    fn every_other_form_is_refused_by_name() {
        for (rate, channels, bits) in [(16_000, 1, 16), (8_000, 2, 16), (8_000, 1, 8), (44_100, 2, 24)] {
            let samples: &[i16] = &[1, 2, 3, 4];
            let error = Clip::from_wav("hello", &wav(rate, channels, bits, samples)).unwrap_err().to_string();
            assert!(error.contains("hello") && error.contains(&format!("{rate} Hz")), "{error}");
        }
        assert!(matches!(Clip::from_wav("x", b"RIFF"), Err(Error::Unreadable { .. })));
        assert!(matches!(Clip::from_wav("x", &wav(8_000, 1, 16, &[])), Err(Error::Empty { .. })));
        let long = vec![0; CLIP_SAMPLES_MAX + 1];
        assert!(matches!(Clip::from_wav("x", &wav(8_000, 1, 16, &long)), Err(Error::TooLong { .. })));
    }
}
