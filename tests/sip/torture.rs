//! RFC 4475: every message of it, and the verdict that a user agent like ours owes it.

use super::support::Bench;
use super::support::header;
use super::support::kind;
use bytes::Bytes;
use keytone::sip::wire::Limits;
use keytone::sip::wire::message::Parsed;
use keytone::sip::wire::parse::parse;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Announced as a call.
    Call,
    /// Answered with this status, and nothing else happens.
    Answer(u16),
    /// A response that is read, and ignored because we asked nothing.
    Stray,
    /// Dropped unread.
    Dropped,
}

macro_rules! corpus {
    ($($name:literal => $verdict:expr,)*) => {
        pub(crate) const CORPUS: &[(&str, &[u8])] =
            &[$(($name, include_bytes!(concat!("corpus/", $name, ".dat")))),*];
        const VERDICTS: &[(&str, Verdict)] = &[$(($name, $verdict)),*];
    };
}

corpus! {
    // 3.1.1: valid.
    // It carries a To tag, so the right answer to its form is 481 to its meaning.
    "wsinv" => Verdict::Answer(481),
    "intmeth" => Verdict::Answer(501),
    "esc01" => Verdict::Call,
    "escnull" => Verdict::Answer(405),
    "esc02" => Verdict::Answer(501),
    "lwsdisp" => Verdict::Answer(200),
    "longreq" => Verdict::Call,
    "dblreq" => Verdict::Answer(405),
    "semiuri" => Verdict::Answer(200),
    "transports" => Verdict::Answer(200),
    "mpart01" => Verdict::Answer(405),
    "unreason" => Verdict::Stray,
    "noreason" => Verdict::Stray,
    // 3.1.2: invalid.
    "badinv01" => Verdict::Answer(400),
    "clerr" => Verdict::Answer(400),
    "ncl" => Verdict::Answer(400),
    "scalar02" => Verdict::Answer(400),
    "scalarlg" => Verdict::Dropped,
    "quotbal" => Verdict::Answer(400),
    "ltgtruri" => Verdict::Answer(400),
    "lwsruri" => Verdict::Answer(400),
    "lwsstart" => Verdict::Answer(400),
    "trws" => Verdict::Answer(400),
    "escruri" => Verdict::Answer(400),
    "baddate" => Verdict::Answer(400),
    "regbadct" => Verdict::Answer(400),
    "badaspec" => Verdict::Answer(400),
    "baddn" => Verdict::Answer(400),
    "badvers" => Verdict::Answer(505),
    "mismatch01" => Verdict::Answer(400),
    "mismatch02" => Verdict::Answer(400),
    "bigcode" => Verdict::Dropped,
    // 3.2 to 3.4: for the transaction and the application.
    "badbranch" => Verdict::Answer(200),
    "insuf" => Verdict::Answer(400),
    "unkscm" => Verdict::Answer(416),
    "novelsc" => Verdict::Answer(416),
    "unksm2" => Verdict::Answer(405),
    "bext01" => Verdict::Answer(420),
    "invut" => Verdict::Answer(415),
    "regaut01" => Verdict::Answer(405),
    "multi01" => Verdict::Answer(400),
    "mcl01" => Verdict::Answer(400),
    // Two Vias: it was not meant for us.
    "bcast" => Verdict::Dropped,
    // An endpoint answers a request that it was reached by with no hop left; only a proxy says 483.
    "zeromf" => Verdict::Answer(200),
    "cparam01" => Verdict::Answer(405),
    "cparam02" => Verdict::Answer(405),
    "regescrt" => Verdict::Answer(405),
    "sdp01" => Verdict::Answer(406),
    "inv2543" => Verdict::Call,
}

fn message(name: &str) -> &'static [u8] {
    CORPUS.iter().find(|(n, _)| *n == name).unwrap().1
}

fn verdict(bytes: &'static [u8]) -> Verdict {
    let mut bench = Bench::new();
    bench.bytes(Bytes::from_static(bytes));
    let (sent, events) = (bench.statuses(), bench.event_names());
    match (sent.as_slice(), events.as_slice()) {
        ([], [event]) if event == "Incoming" => Verdict::Call,
        ([status], []) => Verdict::Answer(status.parse().unwrap()),
        ([], []) => match parse(&Bytes::from_static(bytes), &Limits::UDP) {
            Parsed::Response(_) => Verdict::Stray,
            _ => Verdict::Dropped,
        },
        other => panic!("more than one thing happened: {other:?}"),
    }
}

#[test]
fn every_message_gets_its_verdict() {
    let wrong: Vec<_> = VERDICTS
        .iter()
        .map(|(name, expected)| (*name, *expected, verdict(message(name))))
        .filter(|(_, expected, got)| expected != got)
        .collect();
    assert!(wrong.is_empty(), "name, expected, got: {wrong:#?}");
    assert_eq!(VERDICTS.len(), 49);
}

#[test]
fn wsinv_is_read_through_its_white_space() {
    let Parsed::Request(read) = parse(&Bytes::from_static(message("wsinv")), &Limits::UDP) else {
        panic!("refused")
    };
    assert_eq!(read.uri.as_str(), "sip:vivekg@chair-dnrc.example.com;unknownparam");
    assert_eq!(read.from.display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!((read.from.tag(), read.to.tag()), (Some("98asjd8"), Some("1918181833n")));
    assert_eq!((read.cseq, &*read.call_id), (9, "wsinv.ndaksdj@192.0.2.1"));
    assert_eq!((read.via.transport.as_str(), read.via.host.as_str()), ("UDP", "192.0.2.2"));
    let contact = read.contact.unwrap();
    assert_eq!(contact.display.as_deref(), Some("Quoted string \"\""));
    assert_eq!(contact.param("secondparam"), Some(None));
    assert_eq!(contact.param("q"), Some(Some("0.33")));
    assert_eq!(read.body.len(), 150);
}

#[test]
fn baddn_is_wrong_in_its_name_even_when_its_end_is_mended() {
    // The vector lacks the empty line after its headers, which would be reason enough to refuse it.
    let mut bench = Bench::new();
    bench.bytes([message("baddn"), b"\r\n"].concat());
    let answer = bench.take().pop().unwrap();
    assert!(answer.starts_with("SIP/2.0 400 Missing, Multiple Or Malformed From"), "{answer}");
}

#[test]
fn esc01_keeps_an_escaped_user_apart_from_its_host() {
    let mut bench = Bench::new();
    bench.bytes(message("esc01"));
    assert_eq!(bench.incoming().request_user, "sips:user@example.com");
}

#[test]
fn intmeth_comes_back_unaltered() {
    let mut bench = Bench::new();
    bench.bytes(message("intmeth"));
    let answer = bench.take().pop().unwrap();
    assert_eq!(header(&answer, "Call-ID"), Some(r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#));
    assert!(header(&answer, "From").unwrap().contains("работающий"));
    assert_eq!(header(&answer, "CSeq"), Some("139122385 !interesting-Method0123456789_*+`.%indeed'~"));
}

#[test]
fn a_bad_request_is_told_what_is_wrong() {
    for (name, reason) in [
        ("mcl01", "Multiple Content-Length"),
        ("clerr", "Content-Length Exceeds Message"),
        ("trws", "Malformed Request-Line"),
        ("mismatch01", "CSeq Method Does Not Match Request Line"),
        ("insuf", "Missing, Multiple Or Malformed From"),
        ("badinv01", "Malformed Via"),
    ] {
        let mut bench = Bench::new();
        bench.bytes(message(name));
        let answer = bench.take().pop().unwrap();
        assert_eq!(kind(&answer), "400", "{name}");
        assert!(answer.lines().next().unwrap().ends_with(reason), "{name}: {answer}");
    }
}

#[test]
fn bext01_is_told_which_extension_is_missing() {
    let mut bench = Bench::new();
    bench.bytes(message("bext01"));
    let answer = bench.take().pop().unwrap();
    assert_eq!(header(&answer, "Unsupported"), Some("nothingSupportsThis, nothingSupportsThisEither"));
}
