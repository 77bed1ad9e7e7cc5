//! Recognises clips in received audio, for the built-in phone and for tests: what did the caller hear?
//!
//! G.711 passes through our path bit for bit, so a clip is recognised by its exact bytes. Packets are put in
//! order by sequence number; lost ones match anything. A playlist starts on a packet's first byte and its
//! clips follow without gaps, so only those places are searched. It is no recogniser for audio that was
//! transcoded on the way.

use std::sync::Arc;

use crate::rtp::FRAME_SAMPLES;
use crate::rtp::g711::Codec;
use crate::rtp::prompt::Clip;

/// Packets that are kept: ten minutes. Later ones are left out.
pub const PACKETS_MAX: usize = 30_000;

/// The least that is recognised of a clip that was cut off: one frame.
const PART_BYTES_MIN: usize = FRAME_SAMPLES;

/// A clip that was heard, whole or cut off by a key or the end of the call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Its name.
    pub name: String,
    /// The names of other clips with the same bytes: messages that share words share their sound.
    pub alike: Vec<String>,
    /// Whether it was heard to its end.
    pub whole: bool,
}

impl Heard {
    /// Every name that the sound goes by, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.alike).map(String::as_str)
    }
}

/// Collects the packets of one call.
#[derive(Clone, Debug)]
pub struct Listener {
    codec: Codec,
    clips: Vec<Arc<Clip>>,
    packets: Vec<(i64, u32, Vec<u8>)>,
    newest: i64,
}

impl Listener {
    /// A listener for these clips in this law.
    #[must_use]
    pub const fn new(codec: Codec, clips: Vec<Arc<Clip>>) -> Self {
        Self { codec, clips, packets: Vec::new(), newest: 0 }
    }

    /// One packet of audio, in any order.
    pub fn push(&mut self, sequence: u16, timestamp: u32, payload: &[u8]) {
        if self.packets.len() >= PACKETS_MAX {
            return;
        }
        // The low 16 bits of the place are the sequence number; the place nearest to the newest packet is
        // meant.
        let ahead = i64::from(sequence) - self.newest.rem_euclid(65_536);
        let step = if ahead > 32_768 { ahead - 65_536 } else { ahead };
        let step = if step < -32_768 { step + 65_536 } else { step };
        let place = self.newest + step;
        self.newest = self.newest.max(place);
        self.packets.push((place, timestamp, payload.to_vec()));
    }

    /// What was heard so far, in order. Silence between clips is left out.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        let mut packets: Vec<&(i64, u32, Vec<u8>)> = self.packets.iter().collect();
        packets.sort_by_key(|p| p.0);
        packets.dedup_by_key(|p| p.0);
        let mut heard = Vec::new();
        let mut talk: Vec<Option<u8>> = Vec::new();
        let mut expected: Option<(i64, u32)> = None;
        for (place, timestamp, payload) in packets {
            if let Some((next_place, next_timestamp)) = expected {
                let lost = usize::try_from(timestamp.wrapping_sub(next_timestamp)).unwrap_or(usize::MAX);
                if lost == 0 || *place != next_place && lost <= FRAME_SAMPLES * 50 {
                    talk.extend(std::iter::repeat_n(None, lost));
                } else {
                    // The clock moved on without a packet missing: a pause, and a new playlist after it.
                    self.recognise(&talk, &mut heard);
                    talk.clear();
                }
            }
            talk.extend(payload.iter().map(|b| Some(*b)));
            let samples = u32::try_from(payload.len()).unwrap_or(0);
            expected = Some((place + 1, timestamp.wrapping_add(samples)));
        }
        self.recognise(&talk, &mut heard);
        heard
    }

    fn recognise(&self, talk: &[Option<u8>], heard: &mut Vec<Heard>) {
        let mut at = 0;
        while at < talk.len() {
            let rest = talk.get(at..).unwrap_or_default();
            let matches = self.clips.iter().map(|clip| (clip, matching(rest, clip.bytes(self.codec))));
            let Some((clip, count)) =
                matches.max_by_key(|(clip, count)| (*count == clip.bytes(self.codec).len(), *count))
            else {
                return;
            };
            let whole = count == clip.bytes(self.codec).len();
            let next_frame = (at / FRAME_SAMPLES + 1) * FRAME_SAMPLES;
            let end = at + count;
            // A playlist that is cut stops at the end of a packet.
            let cut_end = end - end % FRAME_SAMPLES;
            if whole && count > 0 {
                heard.push(self.named(clip, whole));
                at = end;
            } else if !self.silent(rest, count) && cut_end >= at + PART_BYTES_MIN {
                heard.push(self.named(clip, whole));
                at = cut_end;
            } else {
                at = next_frame;
            }
        }
    }

    fn named(&self, clip: &Clip, whole: bool) -> Heard {
        let same = |other: &&Arc<Clip>| {
            other.name() != clip.name() && other.bytes(self.codec) == clip.bytes(self.codec)
        };
        let alike = self.clips.iter().filter(same).map(|other| other.name().to_owned()).collect();
        Heard { name: clip.name().to_owned(), alike, whole }
    }

    fn silent(&self, talk: &[Option<u8>], count: usize) -> bool {
        talk.iter().take(count).all(|b| b.is_none_or(|b| b == self.codec.silence()))
    }
}

/// How many bytes of the clip the audio begins with.
fn matching(talk: &[Option<u8>], clip: &[u8]) -> usize {
    talk.iter().zip(clip).take_while(|(heard, byte)| heard.is_none_or(|h| h == **byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::testing::Random;

    fn clip(name: &str, seed: u64, samples: usize) -> Arc<Clip> {
        let mut random = Random(seed);
        let samples: Vec<i16> =
            (0..samples).map(|_| i16::try_from(random.below(20_000)).unwrap() - 10_000).collect();
        Arc::new(Clip::from_samples(name, &samples))
    }

    fn clips() -> Vec<Arc<Clip>> {
        vec![clip("welcome", 1, 4_000), clip("fifty", 2, 333), clip("yuan", 3, 1_001), clip("pin", 4, 8_000)]
    }

    /// The packets of a playlist, padded at its end.
    fn packets(playlist: &[&Arc<Clip>], codec: Codec) -> Vec<Vec<u8>> {
        let bytes: Vec<u8> = playlist.iter().flat_map(|c| c.bytes(codec).to_vec()).collect();
        let mut packets: Vec<Vec<u8>> = bytes.chunks(160).map(<[u8]>::to_vec).collect();
        packets.last_mut().unwrap().resize(160, codec.silence());
        packets
    }

    fn text(listener: &Listener) -> String {
        let words: Vec<String> = listener
            .heard()
            .into_iter()
            .map(|h| if h.whole { h.name } else { format!("{}…", h.name) })
            .collect();
        words.join(" ")
    }

    #[test]
    fn hears_clips_that_follow_without_gaps_in_both_laws_out_of_order() {
        let all = clips();
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let mut listener = Listener::new(codec, all.clone());
            let mut packets: Vec<(u16, u32, Vec<u8>)> = (65_520_u16..=65_535)
                .chain(0..)
                .zip((0_u32..).map(|n| (n * 160).wrapping_sub(900)))
                .zip(packets(&[&all[0], &all[1], &all[2], &all[1]], codec))
                .map(|((sequence, timestamp), payload)| (sequence, timestamp, payload))
                .collect();
            packets.swap(3, 5);
            let again = packets[7].clone();
            packets.push(again);
            for (sequence, timestamp, payload) in packets {
                listener.push(sequence, timestamp, &payload);
            }
            assert_eq!(text(&listener), "welcome fifty yuan fifty");
        }
    }

    #[test]
    fn hears_a_cut_and_what_follows_it_with_and_without_a_pause() {
        let all = clips();
        for pause in [0, 16_000] {
            let mut listener = Listener::new(Codec::Pcmu, all.clone());
            let first = packets(&[&all[0]], Codec::Pcmu);
            let second = packets(&[&all[3]], Codec::Pcmu);
            for (n, payload) in first.iter().take(12).chain(&second).enumerate() {
                let n32 = u32::try_from(n).unwrap();
                let shift = if n >= 12 { pause } else { 0 };
                listener.push(u16::try_from(n).unwrap(), n32 * 160 + shift, payload);
            }
            assert_eq!(text(&listener), "welcome… pin", "pause {pause}");
        }
    }

    #[test]
    fn lost_packets_are_bridged_and_strange_audio_is_not_named() {
        let all = clips();
        let mut listener = Listener::new(Codec::Pcmu, all.clone());
        for (n, payload) in packets(&[&all[0], &all[2]], Codec::Pcmu).iter().enumerate() {
            if n % 7 != 2 {
                listener.push(u16::try_from(n).unwrap(), u32::try_from(n).unwrap() * 160, payload);
            }
        }
        assert_eq!(text(&listener), "welcome yuan");
        let mut strange = Listener::new(Codec::Pcmu, all);
        for n in 0..50_u16 {
            strange.push(n, u32::from(n) * 160, &[if n % 2 == 0 { 0xff } else { 0x11 }; 160]);
        }
        assert_eq!(text(&strange), "");
    }
}
