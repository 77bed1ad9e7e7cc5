//! Spoilt messages: whatever comes, nothing panics, nothing grows without bound, and good calls go on.

use super::support::Bench;
use super::support::invite_of;
use super::torture::CORPUS;
use bytes::Bytes;
use keytone::sip::wire::Limits;
use keytone::sip::wire::parse::parse;
use proptest::prelude::any;
use proptest::prelude::proptest;

/// A small generator with a fixed seed (xorshift64*), so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides.max(1)
    }
}

const SPICE: [&[u8]; 16] = [
    b"\r\n",
    b"\r\n ",
    b"\"",
    b"<",
    b">",
    b";",
    b",",
    b"\0",
    b"\xff\xfe",
    b"%",
    b"z9hG4bK",
    b"sip:",
    b"[::",
    b"\n",
    b"99999999999999999999",
    b"Content-Length: 4294967296\r\n",
];

fn spoil(dice: &mut Dice, message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(out.len() + 1);
        match dice.roll(5) {
            0 => out.truncate(at),
            1 => {
                let end = (at + dice.roll(40)).min(out.len());
                out.drain(at..end);
            }
            2 => {
                let spice = SPICE[dice.roll(SPICE.len())];
                out.splice(at..at, spice.iter().copied());
            }
            3 if at < out.len() => out[at] = dice.roll(256) as u8,
            _ => {
                let end = (at + dice.roll(60)).min(out.len());
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
        }
    }
    out
}

#[test]
fn spoilt_corpus_never_panics_and_calls_go_on() {
    let seed = 0x5EED_0001;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    let mut bench = Bench::new();
    for round in 0..6000 {
        let (name, message) = CORPUS[dice.roll(CORPUS.len())];
        let spoilt = spoil(&mut dice, message);
        bench.bytes(spoilt);
        let sent = bench.take();
        assert!(sent.len() <= 2, "round {round}, {name}: {sent:?}");
        for text in sent {
            let parsed = parse(&Bytes::from(text.clone().into_bytes()), &Limits::UDP);
            // Our answer to a broken request echoes what was broken, but it is always a whole message.
            assert!(text.starts_with("SIP/2.0 ") && text.contains("\r\n\r\n"), "{name}: {parsed:?} {text}");
        }
        if round % 500 == 0 {
            bench.take_events();
            bench.bytes(invite_of(round));
            assert_eq!(bench.event_names(), ["Incoming"], "round {round}");
        }
        bench.wait_ms(50);
        bench.take();
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_dropped(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut bench = Bench::new();
        bench.bytes(bytes);
    }

    #[test]
    fn any_header_value_is_taken_or_refused(value in "\\PC{0,80}", which in 0_usize..8) {
        let names =
            ["Via", "From", "To", "CSeq", "Contact", "Record-Route", "Session-Expires", "Privacy"];
        let line = format!("{}: {value}", names[which]);
        let mut bench = Bench::new();
        let text = super::support::invite("z9hG4bKx").replacen("Max-Forwards: 70", &line, 1);
        bench.bytes(text);
        assert!(bench.sent.len() + bench.events.len() <= 1, "{:?} {:?}", bench.sent, bench.events);
    }
}
