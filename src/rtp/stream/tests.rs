//! One call's media on hand-set time: what leaves frame by frame, and what is let in.

use super::*;
use crate::rtp::testing::{ms, start};

const PEER: &str = "192.0.2.1:4000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn config() -> StreamConfig {
    StreamConfig {
        remote: at(PEER),
        codec: Codec::Pcmu,
        payload_type: 0,
        dtmf_payload_type: Some(101),
        symmetric: false,
        signalling: None,
        receive: true,
        send: true,
        idle: Idle::Quiet,
        silent_after: None,
    }
}

/// A stream with its hand-set time.
struct Lab {
    stream: Stream,
    now: Instant,
}

impl Lab {
    fn new(config: StreamConfig) -> Self {
        let now = start();
        let mut stream = Stream::new(Origin { ssrc: 7, sequence: 65_534, timestamp: 1_000 });
        stream.configure(now, config);
        Self { stream, now }
    }

    /// One tick; the packet that left.
    fn tick(&mut self) -> Option<(SocketAddr, Header, Vec<u8>)> {
        self.now += ms(20);
        let mut out = [0; FRAME_BYTES_MAX];
        let (target, len) = self.stream.tick(self.now, &mut out)?;
        let packet = packet::parse(&out[..len]).unwrap();
        Some((target, packet.header, packet.payload.to_vec()))
    }

    fn events(&mut self) -> Vec<MediaEvent> {
        std::iter::from_fn(|| self.stream.poll()).collect()
    }

    /// A datagram from `source`; whether it was accepted as audio.
    fn receive(&mut self, source: &str, payload_type: u8, sequence: u16, payload: &[u8]) -> bool {
        let header = Header { marker: false, payload_type, sequence, timestamp: 99, ssrc: 3 };
        let mut out = [0; 1_500];
        let len = packet::write(&header, payload, &mut out).unwrap();
        self.stream.handle(self.now, at(source), &out[..len]).is_some()
    }

    fn keys(&mut self) -> String {
        let key = |event| match event {
            MediaEvent::Key { key, .. } => Some(key),
            _ => None,
        };
        self.events().into_iter().filter_map(key).collect()
    }
}

fn clip(name: &str, samples: i16) -> Arc<Clip> {
    let samples: Vec<i16> = (0..samples).map(|n| n % 300 * 60 - 9_000).collect();
    Arc::new(Clip::from_samples(name, &samples))
}

const fn done(play_id: u64, finished: bool) -> MediaEvent {
    MediaEvent::PlayDone { play_id, finished }
}

#[test]
fn clips_follow_without_gaps_and_only_the_last_frame_is_padded() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut lab = Lab::new(StreamConfig { codec, payload_type: codec.payload_type(), ..config() });
        let (a, b, c) = (clip("a", 250), clip("b", 3), clip("c", 100));
        lab.stream.play(1, vec![Arc::clone(&a), Arc::clone(&b), Arc::clone(&c)]);
        let mut expected = [a.bytes(codec), b.bytes(codec), c.bytes(codec)].concat();
        expected.resize(480, codec.silence());
        let mut bytes = Vec::new();
        for (n, sequence) in [65_534, 65_535, 0].into_iter().enumerate() {
            let (target, header, payload) = lab.tick().unwrap();
            let timestamp = 1_000 + u32::try_from(n).unwrap() * 160;
            let payload_type = codec.payload_type();
            assert_eq!(target, at(PEER));
            assert_eq!(header, Header { marker: n == 0, payload_type, sequence, timestamp, ssrc: 7 });
            bytes.extend(payload);
        }
        assert_eq!(bytes, expected);
        assert_eq!(lab.events(), [MediaEvent::FirstSound { at: lab.now - ms(40) }]);
        assert!(lab.tick().is_none());
        assert_eq!(lab.events(), [done(1, true)]);
    }
}

#[test]
fn a_second_playlist_follows_at_once_and_speech_after_silence_is_marked() {
    let mut lab = Lab::new(config());
    lab.stream.play(1, vec![clip("a", 200)]);
    lab.stream.play(2, vec![clip("b", 160)]);
    lab.stream.play(3, vec![]);
    let markers: Vec<bool> = (0..3).map(|_| lab.tick().unwrap().1.marker).collect();
    assert_eq!(markers, [true, false, false]);
    assert!(lab.tick().is_none());
    assert_eq!(lab.events()[1..], [done(1, true), done(2, true), done(3, true)]);
    lab.stream.play(4, vec![clip("c", 10)]);
    let (_, header, _) = lab.tick().unwrap();
    // Four ticks passed and three packets left: the clock counts ticks, the sequence packets.
    assert_eq!((header.marker, header.timestamp, header.sequence), (true, 1_000 + 4 * 160, 1));
}

#[test]
fn stop_cuts_at_the_next_frame_and_each_play_is_answered_once() {
    let mut lab = Lab::new(config());
    for id in 1..=3 {
        lab.stream.play(id, vec![clip("long", 800)]);
    }
    lab.tick().unwrap();
    lab.stream.stop(Some(2));
    assert!(lab.tick().is_some());
    lab.stream.stop(None);
    assert!(lab.tick().is_none());
    lab.stream.stop(None);
    assert_eq!(lab.events()[1..], [done(2, false), done(1, false), done(3, false)]);
    for id in 0..=u64::try_from(PLAYS_MAX).unwrap() {
        lab.stream.play(id, vec![clip("x", 10)]);
    }
    assert_eq!(lab.events(), [done(16, false)]);
}

#[test]
fn hold_pauses_the_prompt_and_a_change_of_codec_goes_on_with_it() {
    let mut lab = Lab::new(config());
    let long = clip("long", 480);
    lab.stream.play(1, vec![Arc::clone(&long)]);
    assert_eq!(lab.tick().unwrap().2, long.bytes(Codec::Pcmu)[..160]);
    lab.stream.configure(lab.now, StreamConfig { send: false, ..config() });
    assert!(lab.tick().is_none() && lab.tick().is_none());
    let pcma = StreamConfig { codec: Codec::Pcma, payload_type: 8, ..config() };
    lab.stream.configure(lab.now, pcma.clone());
    let (_, header, payload) = lab.tick().unwrap();
    assert_eq!(payload, long.bytes(Codec::Pcma)[160..320]);
    assert_eq!((header.marker, header.timestamp, header.payload_type), (true, 1_000 + 3 * 160, 8));
    lab.stream.configure(lab.now, StreamConfig { remote: at("0.0.0.0:4000"), ..pcma });
    assert!(lab.tick().is_none());
}

#[test]
fn skipped_frames_move_the_clock_and_not_the_prompt() {
    let mut lab = Lab::new(config());
    let long = clip("long", 480);
    lab.stream.play(1, vec![Arc::clone(&long)]);
    lab.tick().unwrap();
    lab.stream.skip(50);
    let (_, header, payload) = lab.tick().unwrap();
    assert_eq!(payload, long.bytes(Codec::Pcmu)[160..320]);
    assert_eq!((header.marker, header.timestamp), (true, 1_000 + 51 * 160));
}

#[test]
fn idle_sends_what_was_asked_for() {
    let count = |idle: Idle, ticks: u32| {
        let mut lab = Lab::new(StreamConfig { idle, ..config() });
        (0..ticks).filter(|_| lab.tick().is_some_and(|(_, _, p)| p == [0xff; 160])).count()
    };
    assert_eq!(count(Idle::Quiet, 1_000), 0);
    assert_eq!(count(Idle::KeepAlive, 1_000), 4);
    assert_eq!(count(Idle::Silence, 100), 100);
    let mut lab = Lab::new(StreamConfig { idle: Idle::Silence, ..config() });
    let markers: Vec<bool> = (0..3).map(|_| lab.tick().unwrap().1.marker).collect();
    assert_eq!(markers, [true, false, false]);
}

#[test]
fn a_pressed_key_leaves_as_rfc_4733_and_is_heard_once_by_another_stream() {
    let mut phone = Lab::new(config());
    let mut server = Lab::new(config());
    phone.stream.play(1, vec![clip("noise", 160)]);
    assert!(phone.stream.press('1') && phone.stream.press('1') && phone.stream.press('#'));
    assert!(!phone.stream.press('x'));
    let mut out = [0; FRAME_BYTES_MAX];
    let mut starts = Vec::new();
    for _ in 0..60 {
        phone.now += ms(20);
        if let Some((_, len)) = phone.stream.tick(phone.now, &mut out) {
            let packet = packet::parse(&out[..len]).unwrap();
            if packet.header.payload_type == 101 && packet.header.marker {
                starts.push(packet.header.timestamp);
            }
            server.stream.handle(phone.now, at(PEER), &out[..len]);
        }
    }
    assert_eq!(server.keys(), "11#");
    assert_eq!(starts.len(), 3);
    assert!(starts.windows(2).all(|w| w[1] - w[0] >= 8 * 160));
    // Not agreed, not sent.
    let mut without = Lab::new(StreamConfig { dtmf_payload_type: None, ..config() });
    without.stream.press('1');
    assert!((0..10).all(|_| without.tick().is_none()));
    let accepted = (0..100).filter(|_| without.stream.press('1')).count();
    assert_eq!(accepted, PRESSES_MAX - 1);
}

#[test]
fn a_stranger_presses_no_key_speaks_no_word_and_gets_no_byte() {
    let mut lab = Lab::new(StreamConfig { idle: Idle::Silence, ..config() });
    lab.stream.play(1, vec![clip("secret", 800)]);
    for n in 0..200 {
        assert!(!lab.receive("203.0.113.9:666", 0, n, &[0xff; 160]));
        assert!(!lab.receive("203.0.113.9:666", 101, n, &[5, 0x8a, 3, 32]));
        assert_eq!(lab.tick().unwrap().0, at(PEER));
    }
    assert_eq!(lab.keys(), "");
    assert_eq!(lab.stream.take_counters(), Counters { sent: 200, rejected: 400, ..Counters::default() });
    assert!(lab.receive(PEER, 0, 1, &[0xff; 160]));
    assert!(!lab.receive(PEER, 101, 1, &[5, 0x8a, 3, 32]));
    assert_eq!(lab.keys(), "5");
}

#[test]
fn the_first_key_of_a_silent_phone_behind_nat_counts() {
    let mut lab = Lab::new(StreamConfig { symmetric: true, ..config() });
    for n in 0..8 {
        lab.receive("198.51.100.7:3000", 101, n, &[7, if n < 5 { 10 } else { 0x8a }, 3, 32]);
        lab.now += ms(20);
    }
    assert_eq!(lab.keys(), "7");
    lab.stream.play(1, vec![clip("a", 160)]);
    assert_eq!(lab.tick().unwrap().0, at("198.51.100.7:3000"));
}

#[test]
fn what_is_no_rtp_or_was_not_agreed_is_counted_and_left() {
    let mut lab = Lab::new(config());
    assert!(!lab.receive(PEER, 97, 1, &[1, 2, 3, 4]));
    assert!(!lab.receive(PEER, 8, 1, &[1, 2, 3, 4]));
    assert!(lab.stream.handle(lab.now, at(PEER), b"INVITE sip:x SIP/2.0").is_none());
    assert!(lab.stream.handle(lab.now, at(PEER), &[0x80, 200, 0, 6, 0, 0, 0, 0]).is_none());
    assert_eq!(lab.stream.take_counters(), Counters { unreadable: 3, ..Counters::default() });
    let mut bare = Stream::new(Origin { ssrc: 1, sequence: 1, timestamp: 1 });
    assert!(bare.handle(lab.now, at(PEER), &[0x80; 200]).is_none());
    assert_eq!(bare.take_counters().rejected, 1);
}

#[test]
fn silence_is_reported_once_until_something_is_heard_and_not_on_hold() {
    let quiet = StreamConfig { silent_after: Some(ms(1_000)), ..config() };
    let mut lab = Lab::new(quiet.clone());
    let silences = |lab: &mut Lab, ticks: usize| {
        for _ in 0..ticks {
            lab.tick();
        }
        lab.events().iter().filter(|e| **e == MediaEvent::Silent).count()
    };
    assert_eq!(silences(&mut lab, 49), 0);
    assert_eq!(silences(&mut lab, 200), 1);
    // A stranger's packets are not the caller's.
    lab.receive("203.0.113.9:666", 0, 1, &[0xff; 160]);
    assert_eq!(silences(&mut lab, 200), 0);
    lab.receive(PEER, 0, 1, &[0xff; 160]);
    assert_eq!(silences(&mut lab, 200), 1);
    lab.receive(PEER, 0, 2, &[0xff; 160]);
    lab.stream.configure(lab.now, StreamConfig { receive: false, ..quiet });
    assert_eq!(silences(&mut lab, 200), 0);
}

#[test]
fn keys_do_not_show_in_debug_output() {
    let mut lab = Lab::new(config());
    lab.receive(PEER, 101, 1, &[5, 0, 0, 0]);
    let key = lab.stream.poll().unwrap();
    assert_eq!(format!("{key:?}"), "Key");
    assert!(!format!("{:?} {:?}", lab.stream, EventSender::new('5', 5)).contains('5'));
}

#[test]
fn an_ipv4_peer_on_an_ipv6_socket_is_the_same_peer() {
    let mut lab = Lab::new(config());
    assert!(lab.receive("[::ffff:192.0.2.1]:4000", 0, 1, &[0xff; 160]));
}
