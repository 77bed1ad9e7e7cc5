//! Key presses as telephone events (RFC 4733): packets in, one key out for each press; and for our own phone,
//! a press out as packets.
//!
//! One press of `5` for 100 ms, 20 ms a packet, as a sender puts it on the wire:
//! ```text
//! sequence  timestamp  marker  event  end  duration          what we do
//!      100      16000       1      5    0       160          new (ssrc, timestamp): report '5'
//!      101      16000       0      5    0       320          same press: nothing
//!      102      16000       0      5    0       480             "
//!      103      16000       0      5    0       640             "
//!      104      16000       0      5    0       800             "
//!      105      16000       0      5    1       800          the end, sent three times (§2.5.1.4)
//!      106      16000       0      5    1       800             "
//!      107      16000       0      5    1       800             "
//! ```
//! The press is reported at its first packet seen, whichever that is: with the start lost the second reports
//! it, with everything else lost an end packet does. Presses are told apart by (ssrc, timestamp) alone:
//! neither time between packets nor expected durations tell one press from two, since senders repeat, stretch
//! and overlap them (sipp's next press is 400 ahead of one that lasted 1600). It never keeps, prints or logs
//! the keys that it reported.

use std::time::{Duration, Instant};

use crate::rtp::FRAME_SAMPLES;
use crate::rtp::packet::Header;

/// The keys of events 0 to 15 (RFC 4733 §3.2); higher events are not keys.
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// How many presses are remembered: more than a caller can key while one packet is late.
const PRESSES_REMEMBERED: usize = 16;

/// A press whose end was seen may start again with the same timestamp after this time without a packet of it.
/// Players of recorded packets (sipp's pcap play) send the same press again bit for bit when a key is
/// repeated; no network reorders by as much.
const REPLAY_AFTER: Duration = Duration::from_millis(400);

/// A press without a packet for so long is forgotten, ended or not.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// The longest duration a packet can state: a longer press goes on as a new segment (RFC 4733 §2.5.1.3).
const SEGMENT_SAMPLES: u32 = 0xffff;

/// The end packet is sent so many times (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;

/// Finds presses in event packets of one call. Give it packets of the call's own, accepted source only.
#[derive(Clone, Debug, Default)]
pub struct EventReceiver {
    presses: [Option<Press>; PRESSES_REMEMBERED],
    oldest: usize,
}

/// A press that was reported. The key itself is not kept.
#[derive(Clone, Copy)]
struct Press {
    ssrc: u32,
    timestamp: u32,
    ended: bool,
    last_packet: Instant,
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Press")
    }
}

impl EventReceiver {
    /// The key, when this packet is the first seen of its press.
    pub fn handle(&mut self, now: Instant, header: &Header, payload: &[u8]) -> Option<char> {
        let &[event, flags, ..] = payload.first_chunk::<4>()?;
        let key = *KEYS.get(usize::from(event))?;
        let end = flags & 0x80 != 0;
        for slot in &mut self.presses {
            if slot.is_some_and(|p| now.duration_since(p.last_packet) > FORGET_AFTER) {
                *slot = None;
            }
        }
        let known = self.presses.iter_mut().flatten().find(|p| {
            p.ssrc == header.ssrc
                && (p.timestamp == header.timestamp
                    // RFC 4733 §2.5.1.3: the next segment of one long press starts where the full one
                    // stopped.
                    || !p.ended && header.timestamp.wrapping_sub(p.timestamp) == SEGMENT_SAMPLES)
        });
        if let Some(press) = known {
            let replayed = press.ended && !end && now.duration_since(press.last_packet) > REPLAY_AFTER;
            press.timestamp = header.timestamp;
            press.last_packet = now;
            press.ended = end || press.ended && !replayed;
            return replayed.then_some(key);
        }
        let press = Press { ssrc: header.ssrc, timestamp: header.timestamp, ended: end, last_packet: now };
        if let Some(slot) = self.presses.get_mut(self.oldest) {
            *slot = Some(press);
        }
        self.oldest = (self.oldest + 1) % PRESSES_REMEMBERED;
        Some(key)
    }
}

/// The packets of one press that we send, one every 20 ms: `frames` of them while the key is down, then the
/// ends.
#[derive(Clone, Copy)]
pub struct EventSender {
    event: u8,
    frames: u8,
    sent: u8,
}

impl std::fmt::Debug for EventSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventSender")
    }
}

impl EventSender {
    /// A press of `key` that lasts `frames` times 20 ms (at least one); nothing if the key is none of the 16.
    #[must_use]
    pub fn new(key: char, frames: u8) -> Option<Self> {
        let event = KEYS.iter().position(|k| *k == key.to_ascii_uppercase())?;
        Some(Self { event: u8::try_from(event).ok()?, frames: frames.max(1), sent: 0 })
    }

    /// The marker bit and payload of the next packet; all of them carry the timestamp of the first.
    pub fn next_packet(&mut self) -> Option<(bool, [u8; 4])> {
        if self.sent >= self.frames.saturating_add(END_PACKETS) {
            return None;
        }
        self.sent += 1;
        let end = self.sent > self.frames;
        let frames = usize::from(self.sent.min(self.frames));
        let [high, low] = u16::try_from(frames * FRAME_SAMPLES).unwrap_or(u16::MAX).to_be_bytes();
        // Volume 10: -10 dBm0, as loud as a telephone's own tone (RFC 4733 §2.3.4).
        let flags = if end { 0x80 } else { 0 } | 10;
        Some((self.sent == 1, [self.event, flags, high, low]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::testing::{Random, ms, start};

    /// (timestamp, marker, event, end, duration, milliseconds after the previous packet)
    type Line = (u32, bool, u8, bool, u16, u64);

    fn keys(lines: &[Line]) -> String {
        let mut receiver = EventReceiver::default();
        let mut now = start();
        let mut out = String::new();
        for (sequence, &(timestamp, marker, event, end, duration, after)) in (1..).zip(lines) {
            now += ms(after);
            let header = Header { marker, payload_type: 101, sequence, timestamp, ssrc: 7 };
            let [high, low] = duration.to_be_bytes();
            out.extend(receiver.handle(now, &header, &[event, u8::from(end) << 7 | 10, high, low]));
        }
        out
    }

    fn press(timestamp: u32, event: u8) -> Vec<Line> {
        let mut lines: Vec<Line> = (1..=5).map(|n| (timestamp, n == 1, event, false, n * 160, 20)).collect();
        lines.extend([(timestamp, false, event, true, 800, 20); 3]);
        lines
    }

    #[test]
    fn one_press_is_one_key_whatever_is_lost() {
        let whole = press(16_000, 5);
        // Every subset of the eight packets but the empty one.
        for kept in 1_u32..256 {
            let lines: Vec<Line> =
                whole.iter().enumerate().filter(|(i, _)| kept >> i & 1 == 1).map(|(_, l)| *l).collect();
            assert_eq!(keys(&lines), "5", "kept {kept:#b}");
        }
    }

    #[test]
    fn every_event_has_its_key_and_higher_ones_have_none() {
        let all: String = (0..16_u8).map(|e| keys(&press(100, e))).collect();
        assert_eq!(all, "0123456789*#ABCD");
        assert_eq!(keys(&press(100, 16)), "");
        let mut receiver = EventReceiver::default();
        let header = Header { marker: true, payload_type: 101, sequence: 1, timestamp: 1, ssrc: 1 };
        assert_eq!(receiver.handle(start(), &header, &[5, 0, 0]), None);
        assert_eq!(receiver.handle(start(), &header, &[]), None);
    }

    #[test]
    fn a_key_twice_is_two_keys_and_sipps_overlapping_timestamps_are_apart() {
        assert_eq!(keys(&[press(1_000, 5), press(3_000, 5)].concat()), "55");
        // sipp: ten packets whose durations rise from 0 to 1440, ends of 1600 one ms apart, next press 400
        // ahead.
        let sipp = |t: u32, event: u8| -> Vec<Line> {
            let mut lines: Vec<Line> = (0..10).map(|n| (t, n == 0, event, false, n * 160, 20)).collect();
            lines.extend([(t, false, event, true, 1600, 1); 3]);
            lines
        };
        let four = [sipp(24_000, 1), sipp(24_400, 1), sipp(24_800, 2), sipp(25_200, 1)].concat();
        assert_eq!(keys(&four), "1121");
    }

    #[test]
    fn a_late_packet_of_an_earlier_press_adds_nothing() {
        let mut lines = press(1_000, 1);
        let late = lines.pop().unwrap();
        lines.extend(press(3_000, 2));
        lines.insert(10, late);
        lines.push(late);
        assert_eq!(keys(&lines), "12");
    }

    #[test]
    fn a_long_press_is_one_key_also_beyond_one_segment() {
        let mut lines: Vec<Line> = (1..=409).map(|n| (500, n == 1, 9, false, n * 160, 20)).collect();
        lines.push((500, false, 9, false, 0xffff, 20));
        lines.extend((1..=50).map(|n| (500 + 0xffff, false, 9, false, n * 160, 20)));
        lines.extend([(500 + 0xffff, false, 9, true, 8_000, 20); 3]);
        assert_eq!(keys(&lines), "9");
        // A hole of a second in a press that has not ended does not split it.
        assert_eq!(keys(&[(1, true, 3, false, 160, 20), (1, false, 3, true, 9_000, 1_100)]), "3");
    }

    #[test]
    fn a_recording_played_again_is_a_new_press() {
        let again = |after: u64| {
            let mut second = press(16_000, 5);
            second[0].5 = after;
            keys(&[press(16_000, 5), second].concat())
        };
        assert_eq!(again(20), "5");
        assert_eq!(again(399), "5");
        assert_eq!(again(450), "55");
        assert_eq!(again(6_000), "55");
        // A late end packet alone never counts again.
        assert_eq!(keys(&[press(16_000, 5), vec![(16_000, false, 5, true, 800, 900)]].concat()), "5");
    }

    #[test]
    fn the_timestamp_may_wrap_and_another_sender_is_another_press() {
        assert_eq!(keys(&[press(u32::MAX - 100, 1), press(900, 1)].concat()), "11");
        let mut receiver = EventReceiver::default();
        let mut header = Header { marker: true, payload_type: 101, sequence: 1, timestamp: 1, ssrc: 1 };
        assert_eq!(receiver.handle(start(), &header, &[5, 0, 0, 0]), Some('5'));
        header.ssrc = 2;
        assert_eq!(receiver.handle(start(), &header, &[5, 0, 0, 0]), Some('5'));
    }

    #[test]
    fn what_we_send_is_the_table_and_reads_back() {
        let mut sender = EventSender::new('5', 5).unwrap();
        let mut packets = Vec::new();
        while let Some(packet) = sender.next_packet() {
            packets.push(packet);
        }
        assert_eq!(packets.len(), 8);
        assert_eq!(packets[0], (true, [5, 10, 0, 160]));
        assert_eq!(packets[4], (false, [5, 10, 3, 32]));
        assert_eq!(packets[7], (false, [5, 0x8a, 3, 32]));
        assert!(EventSender::new('x', 5).is_none());
        assert_eq!(EventSender::new('d', 0).unwrap().next_packet().unwrap().1[0], 15);
    }

    #[test]
    fn loss_repetition_and_reordering_never_add_a_key_and_lose_one_only_with_all_its_packets() {
        for seed in 0..300 {
            let mut random = Random(seed);
            let mut arrivals: Vec<(u64, usize, Line)> = Vec::new();
            let mut at = 0;
            let mut survived = [false; 12];
            for (index, heard) in survived.iter_mut().enumerate() {
                let timestamp = u32::try_from(at * 8).unwrap();
                let event = u8::try_from(random.below(12)).unwrap();
                for line in press(timestamp, event) {
                    at += 20;
                    // Up to three copies of each, a third of all lost, each up to 300 ms late on its own.
                    for _ in 0..=random.below(3) {
                        if random.below(3) != 0 {
                            *heard = true;
                            arrivals.push((at + random.below(300), index, line));
                        }
                    }
                }
                at += 60;
            }
            arrivals.sort_by_key(|a| a.0);
            let mut receiver = EventReceiver::default();
            let begin = start();
            let mut reported = [0; 12];
            for (at, index, (timestamp, marker, event, end, duration, _)) in arrivals {
                let header = Header { marker, payload_type: 101, sequence: 0, timestamp, ssrc: 9 };
                let [high, low] = duration.to_be_bytes();
                let payload = [event, u8::from(end) << 7, high, low];
                if receiver.handle(begin + ms(at), &header, &payload).is_some() {
                    reported[index] += 1;
                }
            }
            for (index, (count, heard)) in reported.into_iter().zip(survived).enumerate() {
                assert_eq!(count, i32::from(heard), "seed {seed} press {index}");
            }
        }
    }
}
