//! From what a speech engine writes to a prompt: resampled, trimmed, levelled.

use std::path::Path;

use anyhow::{Context as _, bail};

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
/// Fade in and out, in seconds: no click where clips meet.
const FADE: f32 = 0.004;

/// Reads a WAV file and makes a prompt of it, with `pad` seconds of quiet left before and after the words.
pub(super) fn prompt_from(path: &Path, rate: u32, pad: f32, seconds_max: u32) -> anyhow::Result<Vec<f32>> {
    let (samples, from) = read(path)?;
    if samples.len() > usize::try_from(u64::from(from) * u64::from(seconds_max)).unwrap_or(usize::MAX) {
        bail!("longer than {seconds_max} seconds");
    }
    let resampled = resample(&samples, from, rate);
    let trimmed = trim(&resampled, rate, pad);
    if trimmed.is_empty() {
        bail!("silence: the engine cannot say this text");
    }
    Ok(level(trimmed, rate))
}

fn read(path: &Path) -> anyhow::Result<(Vec<f32>, u32)> {
    let mut reader = hound::WavReader::open(path).context("not a WAV file")?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 || spec.sample_format != hound::SampleFormat::Int {
        bail!("one channel of 16 bits is wanted");
    }
    let samples = reader.samples::<i16>().map(|sample| sample.map(|s| f32::from(s) / 32_768.0));
    Ok((samples.collect::<Result<_, _>>().context("a broken WAV file")?, spec.sample_rate))
}

/// Writes a prompt.
pub(super) fn write(path: &Path, rate: u32, samples: &[f32]) -> anyhow::Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer =
        hound::WavWriter::create(path, spec).with_context(|| format!("cannot write {}", path.display()))?;
    for sample in samples {
        writer.write_sample(quantised(*sample))?;
    }
    writer.finalize().context("cannot finish the WAV file")
}

#[expect(clippy::cast_possible_truncation, reason = "the value is clamped to the range of i16 first")]
fn quantised(sample: f32) -> i16 {
    (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16
}

/// Whether a file is what calls play.
pub(super) fn is_prompt(path: &Path, rate: u32) -> bool {
    hound::WavReader::open(path).is_ok_and(|reader| {
        let spec = reader.spec();
        spec.channels == 1 && spec.sample_rate == rate && spec.bits_per_sample == 16 && reader.duration() > 0
    })
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
        write(&path, 8_000, &sine(500.0, 8_000, 0.1)).unwrap();
        assert!(is_prompt(&path, 8_000));
        assert!(!is_prompt(&path, 16_000));
        let (samples, rate) = read(&path).unwrap();
        assert_eq!((samples.len(), rate), (800, 8_000));
    }
}
