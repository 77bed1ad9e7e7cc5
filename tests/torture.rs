//! What the open network sends, over UDP to a running daemon: every quirk that carriers and phones are known for with its
//! right answer, spoilt messages, rubbish at the media port. Afterwards a call goes through as if nothing had been.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::support::daemon::{House, Plan};
use crate::support::ear::Ear;
use crate::support::pcap::PAYLOAD_TYPE;
use crate::support::sipp::Phone;
use crate::support::wire::{Wire, status};
use crate::support::{now, root};

const OWN: &str = "+8613800000001";
const PIN: &str = "284913";
/// The daemon may grow by so much while thousands of strange messages come, KiB.
const GROWTH_MAX_KIB: u64 = 48 * 1024;
/// A message that is owed no answer has none after this time.
const SILENCE: Duration = Duration::from_millis(150);

/// What a message is owed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Owed {
    /// A call: 200 to an INVITE, until ACK and BYE.
    Call,
    /// This status.
    Status(u16),
    /// Nothing.
    Nothing,
}

/// The one line of an INVITE that begins so, with its end.
fn line(invite: &str, name: &str) -> String {
    let line = invite.lines().find(|l| l.starts_with(name)).unwrap();
    format!("{line}\r\n")
}

/// Sends a message and asserts what comes back; a call is taken and ended, a refusal acknowledged.
fn assert_owed(wire: &Wire, what: &str, message: &[u8], owed: Owed) {
    let within = if owed == Owed::Nothing { SILENCE } else { Duration::from_secs(5) };
    let answer = wire.try_ask(message, within);
    let text = String::from_utf8_lossy(message);
    match (owed, &answer) {
        (Owed::Nothing, None) => {}
        (Owed::Status(wanted), Some(answer)) if status(answer) == wanted => {
            let head = text.split("\r\n\r\n").next().unwrap();
            if head.starts_with("INVITE ") {
                wire.send((head.replace("INVITE", "ACK") + "\r\n\r\n").as_bytes());
            }
        }
        (Owed::Call, Some(answer)) if status(answer) == 200 => {
            wire.established(&text, answer).hang_up(wire);
        }
        _ => panic!("{what} is owed {owed:?} and got {answer:?}\n{text}"),
    }
}

/// A message, what is odd about it, and what it is owed.
type Quirk = (&'static str, String, Owed);

/// An INVITE with this line in the place of the one that begins with `name`.
fn replaced(wire: &Wire, name: &str, with: &str) -> String {
    let invite = wire.request("INVITE", "12580", OWN, &Wire::sdp(9));
    let old = line(&invite, name);
    invite.replacen(&old, with, 1)
}

/// An INVITE for this URI.
fn dialled(wire: &Wire, uri: &str) -> String {
    let invite = wire.request("INVITE", "12580", OWN, &Wire::sdp(9));
    let target = invite.split(' ').nth(1).unwrap().to_owned();
    invite.replacen(&target, uri, 1)
}

/// Spellings of the headers of a call, all of which are calls.
fn spellings(wire: &Wire) -> Vec<Quirk> {
    let (fresh, here) = (Wire::fresh, wire.here());
    let from = |value: &str| replaced(wire, "From:", &format!("From{value};tag={}\r\n", fresh()));
    let via = |value: &str| replaced(wire, "Via:", &format!("Via: {value}\r\n"));
    let contact = |value: &str| replaced(wire, "Contact:", &format!("Contact: {value}\r\n"));
    let own = format!("<sip:caller@{here}>");
    let mut compact = wire.request("INVITE", "12580", OWN, &Wire::sdp(9));
    for (long, short) in [("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Contact", "m")] {
        compact = compact.replacen(&format!("{long}:"), &format!("{short}:"), 1);
    }
    let hops =
        format!("SIP/2.0/UDP {here};branch=z9hG4bK{};rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKb", fresh());
    let received = format!("SIP/2.0/UDP {here};branch=z9hG4bK{};received=2001:db8::9;rport", fresh());
    let calls = [
        ("nothing odd", wire.request("INVITE", "12580", OWN, &Wire::sdp(9))),
        ("compact header names", compact.replacen("Content-Length:", "l:", 1)),
        ("a folded header", from(&format!(": \"A\"\r\n\t<sip:{OWN}@127.0.0.1>\r\n "))),
        ("a space before the colon", from(&format!(" : <sip:{OWN}@127.0.0.1>"))),
        ("a tel number as target", dialled(wire, "tel:12580")),
        ("a tel number as caller", from(&format!(": <tel:{OWN}>"))),
        ("an IPv6 target", dialled(wire, "sip:12580@[2001:db8::9]")),
        ("an IPv6 target with a port", dialled(wire, "sip:12580@[2001:db8::9]:5070")),
        ("an IPv6 Via", via(&format!("SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bK{};rport", fresh()))),
        ("received with an IPv6 address", via(&received)),
        ("two hops in one Via", via(&hops)),
        (
            "spaces around the branch",
            via(&format!("SIP/2.0/UDP {here} ; branch = z9hG4bK{} ; rport", fresh())),
        ),
        ("a quoted Contact parameter", contact(&format!("{own};+sip.instance=\"<urn:uuid:0000>\""))),
        ("two Contacts", contact(&format!("{own}, <sip:b@127.0.0.2>"))),
        ("a gruu", contact(&format!("<sip:caller@{here};gr=urn:uuid:f81d4fae-7dec>"))),
        ("a Contact of everything", contact("*")),
        ("a dot in the caller's user", from(": <sip:john.doe@example.com>")),
        ("parameters in the caller's user", from(&format!(": <sip:{OWN};npdi;rn=+861@example.com>"))),
        ("headers in the caller's URI", from(": <sip:b@example.com?Subject=x>")),
    ];
    calls.into_iter().map(|(what, message)| (what, message, Owed::Call)).collect()
}

/// Messages that are wrong, strange, or for somebody else.
fn verdicts(wire: &Wire) -> Vec<Quirk> {
    let invite = || wire.request("INVITE", "12580", OWN, &Wire::sdp(9));
    let other = |method: &str| wire.request(method, "12580", OWN, "");
    let with = |line: &str| replaced(wire, "Max-Forwards:", &format!("Max-Forwards: 70\r\n{line}\r\n"));
    let digest = "Authorization: Digest nc=0000000a, algorithm=SHA-256, qop=auth-int";
    let g729 = Wire::sdp(9).replace("RTP/AVP 0 101", "RTP/AVP 18");
    vec![
        ("credentials of any spelling", with(digest), Owed::Call),
        ("rubbish after the body", invite() + "trailing rubbish", Owed::Call),
        ("no Content-Length", replaced(wire, "Content-Length:", ""), Owed::Call),
        ("line ends before the message", format!("\r\n\r\n{}", invite()), Owed::Call),
        (
            "a body too short",
            replaced(wire, "Content-Length:", "Content-Length: 9999\r\n"),
            Owed::Status(400),
        ),
        ("a tel number that nobody serves", dialled(wire, "tel:+256700000001"), Owed::Status(404)),
        ("a method that nobody knows", other("PROCEED"), Owed::Status(501)),
        ("a method that is not wanted", other("REGISTER"), Owed::Status(405)),
        ("a call to be referred", other("REFER"), Owed::Status(405)),
        ("an extension that we do not have", with("Require: nothing-we-know"), Owed::Status(420)),
        ("another version", invite().replacen("SIP/2.0", "SIP/7.0", 1), Owed::Status(505)),
        ("a scheme that we do not have", dialled(wire, "mailto:a@b.example"), Owed::Status(416)),
        ("a BYE for no call", other("BYE"), Owed::Status(481)),
        ("no common codec", wire.request("INVITE", "12580", OWN, &g729), Owed::Status(488)),
        ("a keep-alive", "\r\n\r\n".to_owned(), Owed::Nothing),
        ("line feeds alone", invite().replace("\r\n", "\n"), Owed::Nothing),
    ]
}

#[test]
fn every_quirk_has_its_answer_and_calls_go_on() {
    let house = Plan::with(OWN, PIN).open();
    let count = [spellings, verdicts].map(|quirks| {
        let all = quirks(&Wire::to(house.sip)).len();
        for n in 0..all {
            // A socket for each, so that what is sent again for one is no answer to the next.
            let wire = Wire::to(house.sip);
            let (what, message, owed) = quirks(&wire).swap_remove(n);
            assert_owed(&wire, what, message.as_bytes(), owed);
        }
        all
    });
    assert_eq!(count, [19, 16]);
    let wire = Wire::to(house.sip);
    let mut latin = wire.request("OPTIONS", "12580", OWN, "").into_bytes();
    let at = latin.windows(3).position(|w| w == b"\"A\"").unwrap() + 1;
    latin[at] = 0xe9;
    assert_owed(&wire, "a byte that is no UTF-8", &latin, Owed::Status(200));
    assert_well(&house);
}

/// The daemon lives, answers, and takes a whole recharge.
fn assert_well(house: &House) {
    assert!(house.is_alive(), "the daemon is dead; {}", house.log_tail());
    let wire = Wire::to(house.sip);
    assert_eq!(status(&wire.ask(&wire.request("OPTIONS", "12580", OWN, ""))), 200);
    Phone::with_events(house, OWN).recharge_own(PIN).hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    let log = house.log();
    assert!(!log.contains("panicked"), "{}", house.log_tail());
}

/// A generator with a fixed seed (xorshift64*), so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % sides.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn spoil(&mut self, message: &[u8]) -> Vec<u8> {
        const SPICE: [&[u8]; 12] = [
            b"\r\n",
            b"\"",
            b"<",
            b">",
            b";",
            b",",
            b"\0",
            b"\xff\xfe",
            b"%",
            b"[::",
            b"99999999999999999999",
            b"sip:",
        ];
        let mut out = message.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(out.len() + 1);
            let end = (at + self.roll(60)).min(out.len());
            match self.roll(5) {
                0 => out.truncate(at.max(20)),
                1 => drop(out.drain(at..end)),
                2 => drop(out.splice(at..at, SPICE[self.roll(SPICE.len())].iter().copied())),
                3 if at < out.len() => out[at] = self.byte(),
                _ => {
                    let copy = out[at..end].to_vec();
                    drop(out.splice(at..at, copy));
                }
            }
        }
        out
    }
}

#[test]
fn spoilt_messages_of_every_kind_leave_the_daemon_well() {
    let seed = 0x00c0_ffee_5eed;
    println!("seed {seed:#x}");
    let mut dice = Dice(seed);
    let house = Plan { filter: "info".to_owned(), ..Plan::with(OWN, PIN) }.open();
    let wire = Wire::to(house.sip);
    let mut kinds: Vec<Vec<u8>> = ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO", "UPDATE", "REGISTER"]
        .iter()
        .map(|method| wire.request(method, "12580", OWN, &Wire::sdp(9)).into_bytes())
        .collect();
    for entry in std::fs::read_dir(root().join("tests/sip/corpus")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dat") {
            kinds.push(std::fs::read(path).unwrap());
        }
    }
    assert!(kinds.len() > 45, "the corpus of RFC 4475 is missing");
    let before = house.memory_kib();
    let mut sent = 0;
    for kind in &kinds {
        wire.send(kind);
    }
    while sent < 800 {
        let kind = dice.roll(kinds.len());
        let spoilt = dice.spoil(&kinds[kind]);
        wire.send(&spoilt[..spoilt.len().min(60_000)]);
        sent += 1;
        if sent % 50 == 0 {
            let length = dice.roll(1400);
            wire.send(&dice.bytes(length));
            // Wait for the daemon: what overflows its socket's buffer would not be tested.
            let other = Wire::to(house.sip);
            assert_eq!(status(&other.ask(&other.request("OPTIONS", "12580", OWN, ""))), 200, "after {sent}");
        }
    }
    assert_well(&house);
    let grown = house.memory_kib().saturating_sub(before);
    assert!(grown < GROWTH_MAX_KIB, "the daemon grew by {grown} KiB");
}

/// A well-formed RFC 4733 press of `2`, as a stranger would send it.
fn press_of_two(sequence: u16, end: bool) -> Vec<u8> {
    let mut packet = vec![0x80, PAYLOAD_TYPE | if sequence == 1 { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(160_u32.to_be_bytes());
    packet.extend(0x0bad_5eed_u32.to_be_bytes());
    packet.extend([2, if end { 0x8a } else { 0x0a }]);
    packet.extend(800_u16.to_be_bytes());
    packet
}

/// Rubbish from the caller's own address and port, then from a stranger, who also presses `2`: nothing of it is a key, and
/// nothing goes back to the stranger.
fn disturb(ear: &Ear, stranger: &str, seed: u64) {
    let port = ear.sources();
    let [media]: [SocketAddr; 1] = port.try_into().expect("the audio comes from one port");
    let mut dice = Dice(seed);
    let odd: [&[u8]; 7] = [
        b"",
        b"\x80",
        b"\x80\x65\x00\x01",
        &[0x8f, 101, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2],
        &[0x90, 101, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0xff, 0xff],
        &[0xa0, 101, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 2, 10, 0, 255],
        &[0x40, 101, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 2, 0x8a, 3, 32],
    ];
    for packet in odd {
        ear.send(media, packet);
    }
    let stranger = UdpSocket::bind((stranger, 0)).unwrap();
    for n in 0..300 {
        let length = dice.roll(1500);
        let noise = dice.bytes(length);
        stranger.send_to(&noise, media).unwrap();
        // Version 1 at most: whatever follows, it is no RTP.
        let own: Vec<u8> =
            noise.iter().enumerate().map(|(at, b)| if at == 0 { b & 0x7f } else { *b }).collect();
        ear.send(media, &own);
        if n % 10 == 0 {
            let sequence = u16::try_from(n / 10 + 1).unwrap();
            stranger.send_to(&press_of_two(sequence, n > 280), media).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let deadline = now() + Duration::from_millis(400);
    while now() < deadline {
        let back = stranger.recv_from(&mut [0; 2048]);
        assert!(back.is_err(), "the stranger got {back:?}");
    }
}

#[test]
fn rubbish_at_the_media_port_presses_no_key_and_gets_nothing_back() {
    let seed = 0xbad_4e70;
    println!("seed {seed:#x}");
    // Where media may come from another port than SDP said, it must still come from the host that signals.
    for (symmetric, stranger) in [(false, "127.0.0.1"), (true, "127.0.0.2")] {
        let house = Plan { symmetric, ..Plan::with(OWN, PIN) }.open();
        let before = house.memory_kib();
        // A `2` would lead to the question for another number; `1` is what the caller presses.
        let call =
            Phone::with_events(&house, OWN).hear("confirm-number").then(|ear| disturb(ear, stranger, seed));
        let call = call.recharge_after_confirm(PIN).hang_up();
        call.assert_not_said("enter-number");
        call.assert_not_said("input.key");
        house.assert_paid(&[("delivered", OWN, "50.00")]);
        let grown = house.memory_kib().saturating_sub(before);
        assert!(grown < GROWTH_MAX_KIB, "the daemon grew by {grown} KiB");
    }
}
