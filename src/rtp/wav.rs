//! WAV files of G.711 µ-law (`WAVE_FORMAT_MULAW`, RFC 2361 §A.5): half the size of 16-bit samples, and just what a call
//! carries. Files of plain samples are read by `hound`, which does not know this form.

use crate::rtp::SAMPLE_RATE;

/// The tag of µ-law in a `fmt ` chunk.
const ULAW: u16 = 7;

/// The samples of a µ-law file of one channel at 8 kHz, one byte each. `None` for every other file, which may still be
/// one of plain samples; a file that ends early gives what there is.
#[must_use]
pub fn ulaw_samples(file: &[u8]) -> Option<&[u8]> {
    let mut rest = file.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut telephone = false;
    loop {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let body = after.get(..length.min(after.len()))?;
        match name {
            b"fmt " => telephone = is_telephone(body)?,
            b"data" => return telephone.then_some(body),
            _ => {}
        }
        // Chunks begin at even places.
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

fn is_telephone(format: &[u8]) -> Option<bool> {
    let (tag, rest) = format.split_first_chunk::<2>()?;
    let (channels, rest) = rest.split_first_chunk::<2>()?;
    let (rate, _) = rest.split_first_chunk::<4>()?;
    Some(
        u16::from_le_bytes(*tag) == ULAW
            && u16::from_le_bytes(*channels) == 1
            && u32::from_le_bytes(*rate) == SAMPLE_RATE,
    )
}

/// A µ-law file of these samples. `None` when they are more than a WAV file can count (4 GiB).
#[must_use]
pub fn ulaw_file(samples: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(samples.len()).ok()?;
    let padding = length % 2;
    // The header behind the first eight bytes: WAVE, fmt with its empty extension, fact, and the head of the data.
    let riff = length.checked_add(padding)?.checked_add(50)?;
    let mut file = Vec::with_capacity(samples.len().saturating_add(59));
    for part in [
        &b"RIFF"[..],
        &riff.to_le_bytes(),
        b"WAVEfmt ",
        &18_u32.to_le_bytes(),
        &ULAW.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &SAMPLE_RATE.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &8_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        b"fact",
        &4_u32.to_le_bytes(),
        &length.to_le_bytes(),
        b"data",
        &length.to_le_bytes(),
        samples,
    ] {
        file.extend_from_slice(part);
    }
    if padding == 1 {
        file.push(0);
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_files_are_left_to_others() {
        let file = ulaw_file(&[1, 2, 3]).unwrap();
        for (at, byte) in [(0, b'X'), (8, b'X'), (20, 1), (22, 2), (24, 0x80)] {
            let mut other = file.clone();
            other[at] = byte;
            assert_eq!(ulaw_samples(&other), None, "{at}");
        }
        assert_eq!(ulaw_samples(&file[..file.len() - 2]), Some(&[1, 2][..]), "cut off");
        // A chunk between the two that nobody knows, of odd length.
        let mut more = file[..38].to_vec();
        more.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        more.extend_from_slice(&file[38..]);
        assert_eq!(ulaw_samples(&more), Some(&[1, 2, 3][..]));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(samples in proptest::collection::vec(any::<u8>(), 0..64)) {
            let file = ulaw_file(&samples).unwrap();
            prop_assert_eq!(ulaw_samples(&file), Some(&samples[..]));
            prop_assert_eq!(file.len() % 2, 0);
            prop_assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize, file.len() - 8);
        }

        #[test]
        fn rubbish_never_panics(mut file in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = ulaw_samples(&file);
            if file.len() > 12 {
                file[..4].copy_from_slice(b"RIFF");
                file[8..12].copy_from_slice(b"WAVE");
                let _ = ulaw_samples(&file);
            }
        }
    }
}
