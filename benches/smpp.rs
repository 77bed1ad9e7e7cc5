//! SMPP on one core: PDUs read and written a second, framing included, beside `rusmpp-core` in the same run. Run by
//! `scripts/bench smpp`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench fails by panicking, speaks on the terminal, and rounds"
)]

use std::hint::black_box;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use keytone::clock::Clock;
use keytone::smpp::encode::encode;
use keytone::smpp::frame::{Framer, VERSION_3_4};
use keytone::smpp::parse::parse;
use keytone::smpp::pdu::{Address, Body, Message, Pdu};
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength;
use rusmpp_core::encode::Length;
use rusmpp_core::encode::owned::Encode;
use tokio_util::codec::Decoder;

/// How often each is measured, of which the best counts: another process may take the core meanwhile, and seldom does so
/// in all of many short rounds.
const ROUNDS: usize = 100;
const ROUND: Duration = Duration::from_millis(20);
/// PDUs in one read of a socket.
const BATCH: usize = 64;
/// Characters of the text.
const TEXT: usize = 100;

#[derive(serde::Serialize)]
struct Line {
    what: &'static str,
    keytone_per_s: f64,
    rusmpp_per_s: f64,
    ratio: f64,
}

#[derive(serde::Serialize)]
struct Target {
    what: &'static str,
    value: f64,
    wanted: &'static str,
    met: bool,
}

#[derive(serde::Serialize)]
struct Outcome {
    lines: Vec<Line>,
    targets: Vec<Target>,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let pdu = submit();
    let mut stream = BytesMut::new();
    for _ in 0..BATCH {
        encode(&pdu, VERSION_3_4, &mut stream).unwrap();
    }
    let stream = stream.freeze();
    let lines = vec![
        line("decode", || decode(&stream), || rusmpp_decode(&stream)),
        line("encode", encoder(&pdu), rusmpp_encoder(&stream)),
    ];
    let targets = vec![
        Target {
            what: "decode, times rusmpp-core",
            value: lines[0].ratio,
            wanted: "at least 1.5",
            met: lines[0].ratio >= 1.5,
        },
        Target {
            what: "encode, times rusmpp-core",
            value: lines[1].ratio,
            wanted: "at least 1",
            met: lines[1].ratio >= 1.0,
        },
    ];
    let outcome = Outcome { lines, targets };
    if json {
        println!("{}", serde_json::to_string(&outcome).unwrap());
    } else {
        print(&outcome);
    }
}

fn print(outcome: &Outcome) {
    println!("{:<8} {:>16} {:>16} {:>8}", "", "keytone PDUs/s", "rusmpp PDUs/s", "ratio");
    for line in &outcome.lines {
        println!(
            "{:<8} {:>16.0} {:>16.0} {:>8.2}",
            line.what, line.keytone_per_s, line.rusmpp_per_s, line.ratio
        );
    }
    for target in &outcome.targets {
        let met = if target.met { "met" } else { "not met" };
        println!("{}: {:.2} (wanted {}: {met})", target.what, target.value, target.wanted);
    }
}

/// A `submit_sm` as it goes out by the thousand.
fn submit() -> Pdu {
    let number = |digits: &'static [u8]| Address { ton: 1, npi: 1, digits: Bytes::from_static(digits) };
    Pdu::request(
        4_711,
        Body::SubmitSm(Message {
            source: number(b"12580"),
            destination: number(b"8613800000001"),
            registered_delivery: 1,
            short_message: vec![b'x'; TEXT].into(),
            ..Message::default()
        }),
    )
}

/// Both in turns, so that what else the machine does hits both.
fn line(what: &'static str, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Line {
    let clock = Clock::machine();
    let rate = |run: &mut dyn FnMut()| {
        let (start, mut batches) = (clock.instant(), 0_u32);
        while clock.instant() - start < ROUND {
            for _ in 0..32 {
                run();
            }
            batches += 32;
        }
        f64::from(batches) * BATCH as f64 / (clock.instant() - start).as_secs_f64()
    };
    let (mut best, mut other) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        best = best.max(rate(&mut ours));
        other = other.max(rate(&mut theirs));
    }
    Line { what, keytone_per_s: best, rusmpp_per_s: other, ratio: best / other }
}

/// One read of a socket, framed and parsed; each PDU is dropped before the next.
fn decode(stream: &[u8]) {
    let (mut framer, mut buffer) = (Framer::default(), BytesMut::from(stream));
    while let Some(frame) = framer.decode(&mut buffer).unwrap() {
        black_box(parse(&frame).unwrap());
    }
}

/// As rusmpp's own codec for tokio does it: the length is looked at, the command read from the shared buffer.
fn rusmpp_decode(stream: &[u8]) {
    let mut buffer = BytesMut::from(stream);
    while let Some(length) = buffer.first_chunk::<4>().map(|length| u32::from_be_bytes(*length)) {
        let length = usize::try_from(length).unwrap();
        assert!((16..=8_192).contains(&length) && buffer.len() >= length);
        buffer.advance(4);
        black_box(Command::decode(&mut buffer, length - 4).unwrap());
    }
}

fn encoder(pdu: &Pdu) -> impl FnMut() {
    let mut out = BytesMut::with_capacity(64 * 1_024);
    move || {
        out.clear();
        for _ in 0..BATCH {
            encode(black_box(pdu), VERSION_3_4, &mut out).unwrap();
        }
        black_box(&out);
    }
}

/// As rusmpp's own codec for tokio does it.
fn rusmpp_encoder(stream: &[u8]) -> impl FnMut() {
    let mut buffer = BytesMut::from(stream);
    let length = usize::try_from(buffer.get_u32()).unwrap();
    let (command, _) = Command::decode(&mut buffer, length - 4).unwrap();
    let mut out = BytesMut::with_capacity(64 * 1_024);
    move || {
        out.clear();
        for _ in 0..BATCH {
            let command = black_box(&command);
            let length = 4 + command.length();
            out.reserve(length);
            out.put_u32(u32::try_from(length).unwrap());
            command.encode(&mut out);
        }
        black_box(&out);
    }
}
