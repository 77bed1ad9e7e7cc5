//! From what a speech engine or a person recorded to a prompt: one channel, resampled, trimmed, levelled.
//!
//! Pure arithmetic on samples and the reading of one file; it decides nothing about which clip is whose.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::rtp::wav;
use crate::rtp::{Clip, Codec, SAMPLE_RATE};

/// What counts as quiet, of the highest peak.
const QUIET: f32 = 0.006;
/// The highest peak of a prompt: -3 dBFS.
const PEAK: f32 = 0.707;
/// The level that all prompts share unless their peaks forbid it: -19 dBFS.
const LEVEL: f32 = 0.112;
/// Zero crossings of the resampling filter on each side.
const CROSSINGS: f32 = 24.0;
/// Where the filter cuts, of the new rate: 3.6 kHz for 8 kHz.
const CUTOFF: f32 = 0.45;
/// Sample rates that are read.
const RATES: RangeInclusive<u32> = 4_000..=192_000;
/// Fade in and out, in seconds: no click where clips meet.
const FADE: f32 = 0.004;

/// Reads a WAV file and makes a prompt of it, with `pad` seconds of quiet left before and after the words.
pub(super) fn prompt_from(path: &Path, rate: u32, pad: f32, seconds_max: u32) -> anyhow::Result<Vec<f32>> {
    let (samples, from) = read(path, seconds_max)?;
    let resampled = if from == rate { samples } else { resample(&samples, from, rate) };
    let trimmed = trim(&resampled, rate, pad);
    if trimmed.is_empty() {
        bail!("there is only silence in it");
    }
    Ok(level(trimmed, rate))
}

/// The samples of any usual WAV file as one channel, and its rate.
fn read(path: &Path, seconds_max: u32) -> anyhow::Result<(Vec<f32>, u32)> {
    let file = std::fs::read(path).context("cannot be read")?;
    if let Some(bytes) = wav::ulaw_samples(&file) {
        let samples = bytes.iter().map(|byte| f32::from(Codec::Pcmu.decode(*byte)) / 32_768.0).collect();
        return Ok((samples, SAMPLE_RATE));
    }
    let mut reader = hound::WavReader::new(file.as_slice()).context("not a WAV file of plain samples")?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        bail!("{} samples a second: between 4000 and 192000 are wanted", spec.sample_rate);
    }
    if u64::from(reader.duration()) > u64::from(spec.sample_rate) * u64::from(seconds_max) {
        bail!("longer than {seconds_max} seconds");
    }
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect::<Result<_, _>>(),
        hound::SampleFormat::Int => {
            let full = 2.0_f32.powi(i32::from(spec.bits_per_sample) - 1);
            #[expect(clippy::cast_precision_loss, reason = "24 bits of a sample are more than anybody hears")]
            let scaled = |sample: Result<i32, _>| sample.map(|sample| sample as f32 / full);
            reader.samples::<i32>().map(scaled).collect()
        }
    }
    .context("a broken WAV file")?;
    if samples.iter().any(|sample| !sample.is_finite()) {
        bail!("a broken WAV file: a sample is no number");
    }
    let channels = usize::from(spec.channels.max(1));
    let mixed =
        samples.chunks(channels).map(|frame| frame.iter().sum::<f32>() / f32::from(spec.channels.max(1)));
    Ok((mixed.collect(), spec.sample_rate))
}

/// A WAV file of a prompt: 8 kHz, one channel, µ-law, as most calls carry it.
pub(super) fn encode(samples: &[f32]) -> anyhow::Result<Vec<u8>> {
    let bytes: Vec<u8> = samples.iter().map(|sample| Codec::Pcmu.encode(quantised(*sample))).collect();
    wav::ulaw_file(&bytes).context("too long for a WAV file")
}

#[expect(clippy::cast_possible_truncation, reason = "the value is clamped to the range of i16 first")]
fn quantised(sample: f32) -> i16 {
    (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// Whether a file is what calls play.
pub(super) fn is_prompt(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|file| Clip::from_wav("", &file).is_ok())
}

/// A windowed-sinc low-pass evaluated at the new rate's points.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "indices of a clip of at most a minute are exact in f32 and f64, and checked against the slice"
)]
fn resample(samples: &[f32], from: u32, to: u32) -> Vec<f32> {
    let ratio = f64::from(from) / f64::from(to);
    // The cut in cycles per input sample: below the new rate's half, and below the old one's.
    let cut = CUTOFF * (to.min(from) as f32) / (from as f32);
    let half = CROSSINGS / (2.0 * cut);
    let length = (samples.len() as f64 / ratio).ceil() as usize;
    let mut out = Vec::with_capacity(length);
    for index in 0..length {
        let centre = index as f64 * ratio;
        let first = (centre - f64::from(half)).ceil().max(0.0) as usize;
        let last = ((centre + f64::from(half)).floor() as usize).min(samples.len().saturating_sub(1));
        let mut sum = 0.0;
        let mut weight = 0.0;
        for (offset, sample) in samples.get(first..=last).unwrap_or_default().iter().enumerate() {
            let distance = ((first + offset) as f64 - centre) as f32;
            let tap = sinc(2.0 * cut * distance) * blackman(distance / half);
            sum += sample * tap;
            weight += tap;
        }
        out.push(if weight.abs() > f32::EPSILON { sum / weight } else { 0.0 });
    }
    out
}

fn sinc(x: f32) -> f32 {
    let x = std::f32::consts::PI * x;
    if x.abs() < 1e-6 { 1.0 } else { x.sin() / x }
}

/// Blackman's window, from -1 to 1.
fn blackman(x: f32) -> f32 {
    let x = std::f32::consts::PI * x;
    0.42 + 0.5 * x.cos() + 0.08 * (2.0 * x).cos()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred samples"
)]
fn samples_in(seconds: f32, rate: u32) -> usize {
    (seconds * rate as f32) as usize
}

fn trim(samples: &[f32], rate: u32, pad: f32) -> &[f32] {
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    let loud = |sample: &f32| sample.abs() > peak * QUIET;
    let (Some(first), Some(last)) = (samples.iter().position(loud), samples.iter().rposition(loud)) else {
        return &[];
    };
    let pad = samples_in(pad, rate);
    samples.get(first.saturating_sub(pad)..(last + pad).min(samples.len())).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a clip of at most a minute")]
fn level(samples: &[f32], rate: u32) -> Vec<f32> {
    let peak = samples.iter().fold(1e-6_f32, |peak, sample| peak.max(sample.abs()));
    let power = samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32;
    let gain = (LEVEL / power.sqrt().max(1e-6)).min(PEAK / peak);
    let fade = samples_in(FADE, rate).max(1);
    let last = samples.len().saturating_sub(1);
    let faded = samples.iter().enumerate().map(|(index, sample)| {
        let edge = index.min(last - index).min(fade) as f32 / fade as f32;
        sample * gain * edge
    });
    faded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hertz: f32, rate: u32, seconds: f32) -> Vec<f32> {
        let step = std::f32::consts::TAU * hertz / rate as f32;
        (0..samples_in(seconds, rate)).map(|n| (step * n as f32).sin() * 0.5).collect()
    }

    fn rms(samples: &[f32]) -> f32 {
        (samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32).sqrt()
    }

    #[test]
    fn speech_passes_and_what_would_alias_does_not() {
        let middle = |samples: Vec<f32>| samples[400..samples.len() - 400].to_vec();
        let kept = rms(&middle(resample(&sine(1_000.0, 22_050, 0.5), 22_050, 8_000)));
        assert!((kept - 0.3535).abs() < 0.01, "{kept}");
        let alias = rms(&middle(resample(&sine(5_000.0, 22_050, 0.5), 22_050, 8_000)));
        assert!(alias < 0.001, "{alias}");
    }

    #[test]
    fn silence_is_cut_to_a_pad_and_peaks_are_bounded() {
        let mut clip = vec![0.0; 8_000];
        clip.extend(sine(500.0, 8_000, 0.25));
        clip.extend(vec![0.0; 8_000]);
        let made = level(trim(&clip, 8_000, 0.03), 8_000);
        let wanted = 2_000 + 2 * samples_in(0.03, 8_000);
        assert!(made.len().abs_diff(wanted) < 40, "{} of {wanted}", made.len());
        let peak = made.iter().fold(0.0_f32, |p, s| p.max(s.abs()));
        assert!(peak <= PEAK + 0.001 && rms(&made) > 0.08, "{peak} {}", rms(&made));
        assert!(trim(&[0.0; 100], 8_000, 0.03).is_empty());
    }

    #[test]
    fn a_written_prompt_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        std::fs::write(&path, encode(&sine(500.0, 8_000, 0.1)).unwrap()).unwrap();
        assert!(is_prompt(&path));
        let (samples, rate) = read(&path, 1).unwrap();
        assert_eq!((samples.len(), rate), (800, 8_000));
        std::fs::write(&path, encode(&[0.0; 800]).unwrap()).unwrap();
        let silent = prompt_from(&path, 8_000, 0.01, 1).unwrap_err();
        assert!(silent.to_string().contains("silence"), "{silent}");
        std::fs::write(&path, b"RIFFnothing").unwrap();
        assert!(prompt_from(&path, 8_000, 0.01, 1).is_err());
    }

    #[test]
    fn recordings_of_every_usual_format_become_the_same_prompt() {
        let dir = tempfile::tempdir().unwrap();
        for (rate, channels, bits, format) in [
            (48_000, 2, 24, hound::SampleFormat::Int),
            (44_100, 1, 16, hound::SampleFormat::Int),
            (16_000, 1, 32, hound::SampleFormat::Float),
            (8_000, 1, 8, hound::SampleFormat::Int),
        ] {
            let path = dir.path().join("a.wav");
            let spec =
                hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for sample in sine(500.0, rate, 0.5) {
                for _ in 0..channels {
                    match format {
                        hound::SampleFormat::Float => writer.write_sample(sample).unwrap(),
                        hound::SampleFormat::Int => {
                            let sample = i32::from(quantised(sample)) << 8;
                            writer.write_sample(sample >> (24 - bits)).unwrap();
                        }
                    }
                }
            }
            writer.finalize().unwrap();
            let made = prompt_from(&path, 8_000, 0.03, 5).unwrap();
            assert!(made.len().abs_diff(4_000) < 60, "{rate}: {}", made.len());
            assert!((rms(&made) - LEVEL).abs() < 0.01, "{rate}: {}", rms(&made));
        }
    }
}
