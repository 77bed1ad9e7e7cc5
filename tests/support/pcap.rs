//! Key presses as RFC 4733 events in a capture file, which sipp plays from the port that the call's SDP names. Unlike
//! sipp's own recordings, every press has its own sequence numbers and timestamp, as from a telephone; and what a network
//! does to packets can be done to them on purpose.

use std::path::Path;

/// The payload type of the events, as offered in the SDP.
pub(crate) const PAYLOAD_TYPE: u8 = 101;
/// Milliseconds that a key is down, and until the next goes down.
const DOWN_MS: u32 = 100;
const UP_MS: u32 = 80;
const PACKET_MS: u32 = 20;
const SAMPLES_PER_MS: u32 = 8;
/// The end of a press is sent so many times (RFC 4733 §2.5.1.4).
const ENDS: u32 = 3;

/// What the network does to the packets of each press.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Network {
    /// Nothing.
    #[default]
    Good,
    /// The first two packets and all ends but the last are lost.
    Lossy,
    /// Every packet comes twice.
    Doubled,
    /// Neighbours change places.
    Shuffled,
}

/// One telephone's stream of events: what goes on from press to press.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    network: Network,
}

/// A packet and when it leaves, microseconds from the first.
type Timed = (u32, Vec<u8>);

impl Stream {
    pub(crate) fn new(network: Network) -> Self {
        Self { ssrc: 0x4b45_594e, sequence: 65_500, timestamp: 4_294_900_000, network }
    }

    /// Writes the presses of `keys` and gives how long they take, milliseconds.
    pub(crate) fn write(&mut self, path: &Path, keys: &str) -> u32 {
        let mut packets = Vec::new();
        for (n, key) in (0_u32..).zip(keys.chars()) {
            let press = self.press(key, n * (DOWN_MS + UP_MS) * 1000);
            packets.extend(self.network.treat(press));
        }
        std::fs::write(path, capture(&packets)).unwrap();
        let lasts = (DOWN_MS + UP_MS) * u32::try_from(keys.chars().count()).unwrap();
        // Seconds may pass until the next presses; the telephone's clock goes on meanwhile.
        self.timestamp = self.timestamp.wrapping_add(SAMPLES_PER_MS * 1000);
        lasts
    }

    fn press(&mut self, key: char, from_us: u32) -> Vec<Timed> {
        let event = "0123456789*#ABCD".find(key).unwrap_or_else(|| panic!("{key} is no key"));
        let frames = DOWN_MS / PACKET_MS;
        let mut packets = Vec::new();
        for n in 0..frames + ENDS {
            let end = n >= frames;
            let duration = u16::try_from((n + 1).min(frames) * PACKET_MS * SAMPLES_PER_MS).unwrap();
            let mut rtp = vec![0x80, PAYLOAD_TYPE | if n == 0 { 0x80 } else { 0 }];
            rtp.extend(self.sequence.to_be_bytes());
            rtp.extend(self.timestamp.to_be_bytes());
            rtp.extend(self.ssrc.to_be_bytes());
            rtp.extend([u8::try_from(event).unwrap(), if end { 0x8a } else { 0x0a }]);
            rtp.extend(duration.to_be_bytes());
            self.sequence = self.sequence.wrapping_add(1);
            packets.push((from_us + n.min(frames) * PACKET_MS * 1000, rtp));
        }
        self.timestamp = self.timestamp.wrapping_add((DOWN_MS + UP_MS) * SAMPLES_PER_MS);
        packets
    }
}

impl Network {
    fn treat(self, mut packets: Vec<Timed>) -> Vec<Timed> {
        match self {
            Self::Good => {}
            Self::Lossy => {
                let last = packets.len() - 1;
                let kept = |n: &usize| (2..last - 1).contains(n) || *n == last;
                packets = packets.into_iter().enumerate().filter(|(n, _)| kept(n)).map(|(_, p)| p).collect();
            }
            Self::Doubled => packets = packets.into_iter().flat_map(|p| [p.clone(), p]).collect(),
            Self::Shuffled => {
                for pair in packets.chunks_exact_mut(2) {
                    let (one, two) = (pair[0].1.clone(), pair[1].1.clone());
                    (pair[0].1, pair[1].1) = (two, one);
                }
            }
        }
        packets
    }
}

/// A classic capture of Ethernet frames. Addresses are placeholders that the player replaces.
fn capture(packets: &[Timed]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for (at_us, rtp) in packets {
        let udp = u16::try_from(8 + rtp.len()).unwrap();
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00, 0x45, 0x00]);
        frame.extend((20 + udp).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for field in [6000, 6000, udp, 0] {
            frame.extend(field.to_be_bytes());
        }
        frame.extend(rtp);
        let length = u32::try_from(frame.len()).unwrap();
        for word in [1_700_000_000 + at_us / 1_000_000, at_us % 1_000_000, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}
