//! The media engine on loopback: real sockets, real threads, the machine's clock.
//!
//! Times are judged by the best of a few runs where the machine may be busy; contents and counts are judged
//! exactly.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keytone::clock::Clock;
use keytone::rtp::dtmf::EventSender;
use keytone::rtp::listen::Listener;
use keytone::rtp::packet::{self, Header};
use keytone::rtp::{Clip, Codec, Engine, EngineConfig, Error, Idle, Media, MediaEvent, Report, StreamConfig};
use tokio::sync::mpsc;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// No event or packet of these tests takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(10);

fn now() -> Instant {
    Clock::machine().instant()
}

fn engine_on(bind: IpAddr, ports: RangeInclusive<u16>, calls_max: usize) -> Engine {
    Engine::start(EngineConfig { bind, ports, threads: 1, calls_max }, now).unwrap()
}

fn engine() -> Engine {
    engine_on(LOOPBACK, 0..=0, 1_000)
}

fn config(remote: SocketAddr) -> StreamConfig {
    StreamConfig {
        remote,
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

fn clip(name: &str, seed: i64, samples: i64) -> Arc<Clip> {
    let samples: Vec<i16> =
        (0..samples).map(|n| i16::try_from((n * n + seed * n * 37) % 20_000 - 10_000).unwrap()).collect();
    Arc::new(Clip::from_samples(name, &samples))
}

/// A plain socket that is the peer of one call.
struct Peer(UdpSocket);

struct Arrived {
    at: Instant,
    header: Header,
    payload: Vec<u8>,
}

impl Peer {
    fn new() -> Self {
        Self(UdpSocket::bind((LOOPBACK, 0)).unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next packet, or nothing within `wait`.
    fn receive(&self, wait: Duration) -> Option<Arrived> {
        let mut bytes = [0; 1_500];
        self.0.set_read_timeout(Some(wait)).unwrap();
        let (len, _) = self.0.recv_from(&mut bytes).ok()?;
        let at = now();
        let packet = packet::parse(&bytes[..len]).unwrap();
        Some(Arrived { at, header: packet.header, payload: packet.payload.to_vec() })
    }

    /// All packets of one press, at once.
    fn press(&self, to: SocketAddr, key: char, timestamp: u32) {
        let mut sender = EventSender::new(key, 5).unwrap();
        let mut sequence = 0;
        while let Some((marker, payload)) = sender.next_packet() {
            let header = Header { marker, payload_type: 101, sequence, timestamp, ssrc: 5 };
            let mut out = [0; 64];
            let len = packet::write(&header, &payload, &mut out).unwrap();
            self.0.send_to(&out[..len], to).unwrap();
            sequence += 1;
        }
    }
}

async fn event(events: &mut mpsc::Receiver<Report>) -> Report {
    tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap()
}

async fn key(events: &mut mpsc::Receiver<Report>) -> char {
    loop {
        if let MediaEvent::Key { key, .. } = event(events).await.event {
            return key;
        }
    }
}

async fn done(events: &mut mpsc::Receiver<Report>) -> (u64, bool) {
    loop {
        if let MediaEvent::PlayDone { play_id, finished } = event(events).await.event {
            return (play_id, finished);
        }
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = now();
    while !condition() {
        assert!(now() - started < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clip_arrives_byte_for_byte_in_order_and_evenly() {
    let engine = engine();
    let (sender, mut events) = mpsc::channel(16);
    let long = clip("long", 1, 8_000);
    let mut best = Duration::MAX;
    for run in 0..5 {
        let peer = Peer::new();
        let media = engine.open(sender.clone(), 40 + run).unwrap();
        media.configure(config(peer.address())).unwrap();
        media.play(run, vec![Arc::clone(&long)]).unwrap();
        let packets: Vec<Arrived> = (0..50).map(|_| peer.receive(PATIENCE).unwrap()).collect();
        let bytes: Vec<u8> = packets.iter().flat_map(|p| p.payload.clone()).collect();
        assert_eq!(bytes, long.bytes(Codec::Pcmu));
        for pair in packets.windows(2) {
            assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
            assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(160));
            assert!(!pair[1].header.marker);
        }
        assert!(packets[0].header.marker);
        let report = event(&mut events).await;
        assert!(matches!(report.event, MediaEvent::FirstSound { .. }) && report.tag == 40 + run);
        assert_eq!(done(&mut events).await, (run, true));
        // The furthest that a packet strays from the grid that starts with the first.
        let stray = |(n, p): (u64, &Arrived)| (p.at - packets[0].at).abs_diff(Duration::from_millis(20 * n));
        best = best.min((0..).zip(&packets).map(stray).max().unwrap());
    }
    assert!(best < Duration::from_millis(10), "packets stray by {best:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sound_is_prompt_and_a_key_stops_the_prompt_within_60_ms() {
    let engine = engine();
    let (mut first, mut stopped) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let (sender, mut events) = mpsc::channel(16);
        let peer = Peer::new();
        let media = engine.open(sender, 1).unwrap();
        media.configure(config(peer.address())).unwrap();
        let started = now();
        media.play(7, vec![clip("long", 1, 80_000)]).unwrap();
        first = first.min(peer.receive(PATIENCE).unwrap().at - started);
        let pressed = now();
        peer.press(media.local, '5', 1_000);
        assert_eq!(key(&mut events).await, '5');
        media.stop(Some(7)).unwrap();
        assert_eq!(done(&mut events).await, (7, false));
        let mut last = pressed;
        while let Some(packet) = peer.receive(Duration::from_millis(100)) {
            last = packet.at;
        }
        stopped = stopped.min(last - pressed);
        assert!(events.try_recv().is_err(), "one press is one key");
    }
    assert!(first < Duration::from_millis(60), "first sound after {first:?}");
    assert!(stopped < Duration::from_millis(60), "silence after {stopped:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_gets_no_byte_and_presses_no_key() {
    let engine = engine();
    let (sender, mut events) = mpsc::channel(16);
    let (peer, stranger) = (Peer::new(), Peer::new());
    let media = engine.open(sender, 1).unwrap();
    // The call's own peer speaks first, then another port of its address floods the socket.
    media.configure(StreamConfig { symmetric: true, ..config(peer.address()) }).unwrap();
    peer.press(media.local, '1', 1_000);
    assert_eq!(key(&mut events).await, '1');
    media.play(1, vec![clip("secret", 1, 8_000)]).unwrap();
    for n in 0..40 {
        stranger.press(media.local, '9', 5_000 + n);
        peer.receive(PATIENCE).unwrap();
    }
    until("the flood is counted", || engine.figures().packets.rejected >= 40).await;
    assert!(stranger.receive(Duration::from_millis(50)).is_none());
    assert_eq!(done(&mut events).await, (1, true));
    assert!(events.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_of_the_same_kind_presses_keys_and_hears_the_prompts() {
    for bind in [LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        if UdpSocket::bind((bind, 0)).is_err() {
            continue;
        }
        let (server, phone) = (engine_on(bind, 0..=0, 10), engine_on(bind, 0..=0, 10));
        let (sender, mut events) = mpsc::channel(64);
        let (phone_sender, _phone_events) = mpsc::channel(64);
        let (ear, mut heard) = mpsc::channel(1_000);
        let answering = server.open(sender, 1).unwrap();
        let calling = phone.open(phone_sender, 1).unwrap();
        calling.hear(ear).unwrap();
        let codec = Codec::Pcma;
        let agreed = |remote| StreamConfig { codec, payload_type: 8, ..config(remote) };
        answering.configure(agreed(calling.local)).unwrap();
        calling.configure(agreed(answering.local)).unwrap();
        let clips = vec![clip("welcome", 3, 1_234), clip("fifty", 4, 777), clip("yuan", 5, 1_001)];
        answering.play(1, clips.clone()).unwrap();
        for pressed in "1550#".chars() {
            calling.press(pressed).unwrap();
        }
        let mut keys = String::new();
        while keys.len() < 5 {
            keys.push(key(&mut events).await);
        }
        assert_eq!(keys, "1550#");
        let mut listener = Listener::new(codec, clips);
        while let Ok(frame) = heard.try_recv() {
            listener.push(frame.sequence, frame.timestamp, &frame.payload);
        }
        let names: Vec<String> = listener.heard().into_iter().map(|h| h.name).collect();
        assert_eq!(names, ["welcome", "fifty", "yuan"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_are_even_bounded_and_given_back() {
    let (sender, _events) = mpsc::channel(1);
    let engine = engine();
    for _ in 0..20 {
        assert_eq!(engine.open(sender.clone(), 1).unwrap().local.port() % 2, 0);
    }
    // A range that is surely free: around a port that the system just gave.
    let (first, last) = loop {
        let port = Peer::new().address().port() & !1;
        let free = |p: u16| UdpSocket::bind((LOOPBACK, p)).is_ok();
        if port < 60_000 && free(port) && free(port + 2) {
            break (port - 1, port + 3);
        }
    };
    let narrow = engine_on(LOOPBACK, first..=last, 10);
    let open = || narrow.open(sender.clone(), 1);
    let one = open().unwrap();
    let two = open().unwrap();
    let mut ports = [one.local.port(), two.local.port()];
    ports.sort_unstable();
    assert_eq!(ports, [first + 1, first + 3]);
    assert!(matches!(open(), Err(Error::NoPort { .. })));
    drop(one);
    until("the port is given back", || narrow.figures().calls == 1).await;
    assert!(open().is_ok());

    let small = engine_on(LOOPBACK, 0..=0, 2);
    let held: Vec<Media> = (0..2).map(|_| small.open(sender.clone(), 1).unwrap()).collect();
    assert!(matches!(small.open(sender.clone(), 1), Err(Error::Full { calls_max: 2 })));
    drop(held);
    until("the calls are gone", || small.figures().calls == 0).await;
    assert!(small.open(sender.clone(), 1).is_ok());
    assert!(matches!(engine_on(LOOPBACK, 5..=5, 2).open(sender, 1), Err(Error::NoPort { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_calls_at_once_each_play_and_hear_their_own() {
    let engine = engine();
    let (sender, mut events) = mpsc::channel(4_096);
    let prompt = clip("half a second", 1, 4_000);
    let calls: Vec<(Peer, Media)> = (0..200)
        .map(|tag| {
            let (peer, media) = (Peer::new(), engine.open(sender.clone(), tag).unwrap());
            media.configure(config(peer.address())).unwrap();
            media.play(tag, vec![Arc::clone(&prompt)]).unwrap();
            (peer, media)
        })
        .collect();
    let keys: Vec<char> = "0123456789*#".chars().collect();
    for (tag, (peer, media)) in calls.iter().enumerate() {
        peer.press(media.local, keys[tag % 12], 77);
    }
    let mut heard = [(0, 0); 200];
    while heard.iter().any(|(keys, ends)| (*keys, *ends) != (1, 1)) {
        let Report { tag, event } = event(&mut events).await;
        let call = usize::try_from(tag).unwrap();
        match event {
            MediaEvent::Key { key, .. } => {
                assert_eq!(key, keys[call % 12]);
                heard[call].0 += 1;
            }
            MediaEvent::PlayDone { play_id, finished } => {
                assert_eq!((play_id, finished), (tag, true));
                heard[call].1 += 1;
            }
            MediaEvent::FirstSound { .. } | MediaEvent::Silent => {}
        }
    }
    for (peer, _) in &calls {
        let bytes: Vec<u8> = (0..25).flat_map(|_| peer.receive(PATIENCE).unwrap().payload).collect();
        assert_eq!(bytes, prompt.bytes(Codec::Pcmu));
    }
    let figures = engine.figures();
    assert_eq!((figures.calls, figures.packets.sent, figures.send_errors), (200, 200 * 25, 0));
    assert_eq!(figures.packets.received, 200 * 8);
    drop(calls);
    until("the calls are gone", || engine.figures().calls == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_receiver_gets_its_events_later_and_in_order() {
    let engine = engine();
    let (sender, mut events) = mpsc::channel(1);
    let peer = Peer::new();
    let media = engine.open(sender, 1).unwrap();
    media.configure(config(peer.address())).unwrap();
    for (n, pressed) in (0..).zip("12345678".chars()) {
        peer.press(media.local, pressed, 1_000 + n * 400);
    }
    until("all packets were read", || engine.figures().packets.received == 64).await;
    let mut keys = String::new();
    for _ in 0..8 {
        keys.push(key(&mut events).await);
    }
    assert_eq!((keys.as_str(), engine.figures().events_lost), ("12345678", 0));
    // Beyond what may wait, the oldest are lost and counted.
    for n in 0..100 {
        peer.press(media.local, '9', 100_000 + n * 400);
        let read = 64 + (u64::from(n) + 1) * 8;
        until("the press was read", || engine.figures().packets.received == read).await;
    }
    assert_eq!(engine.figures().events_lost, 100 - 64 - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_beyond_the_limits_or_after_the_end() {
    let engine = engine();
    let (sender, _events) = mpsc::channel(1);
    let peer = Peer::new();
    let media = engine.open(sender.clone(), 1).unwrap();
    let many = vec![clip("x", 1, 1); 513];
    assert!(matches!(media.play(1, many), Err(Error::Clips { count: 513 })));
    media.configure(StreamConfig { idle: Idle::Silence, ..config(peer.address()) }).unwrap();
    peer.receive(PATIENCE).unwrap();
    engine.stop();
    until("the calls are gone", || engine.figures().calls == 0).await;
    assert!(matches!(engine.open(sender, 1), Err(Error::Stopped)));
    assert!(matches!(media.press('1'), Err(Error::Stopped)));
}
