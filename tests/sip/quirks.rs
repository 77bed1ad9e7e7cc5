//! What rsip loses or rejects and carriers send: one test for each, with the right answer.

use super::support::Bench;
use super::support::SDP;
use super::support::body;
use super::support::header;
use super::support::invite;
use super::support::kind;
use super::support::request;
use bytes::Bytes;
use keytone::sip::event::Command;
use keytone::sip::event::Incoming;
use keytone::sip::wire::Limits;
use keytone::sip::wire::header::Name;
use keytone::sip::wire::message::Fields;
use keytone::sip::wire::message::Parsed;
use keytone::sip::wire::message::Request;
use keytone::sip::wire::parse::parse;
use keytone::sip::wire::print::Body;
use keytone::sip::wire::print::Echo;
use keytone::sip::wire::print::Headers;
use keytone::sip::wire::uri::Scheme;

fn read(text: impl Into<Vec<u8>>) -> Request {
    match parse(&Bytes::from(text.into()), &Limits::UDP) {
        Parsed::Request(request) => *request,
        other => panic!("{other:?}"),
    }
}

/// The INVITE with one piece of text replaced.
fn altered(from: &str, to: &str) -> String {
    let text = invite("z9hG4bKq");
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn call_of(text: impl Into<Vec<u8>>) -> Incoming {
    let mut bench = Bench::new();
    bench.bytes(text.into());
    bench.incoming()
}

fn refusal_of(text: impl Into<Vec<u8>>) -> String {
    let mut bench = Bench::new();
    bench.bytes(text.into());
    assert!(bench.events.is_empty());
    bench.take().pop().unwrap_or_default()
}

const URI: &str = "INVITE sip:12580@198.51.100.1 SIP/2.0";
const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKq";
const CONTACT: &str = "Contact: <sip:peer@192.0.2.1:5060>";
const FROM: &str = "From: \"A\" <sip:+15550100@192.0.2.1>;tag=peer";

#[test]
fn compact_names_are_names() {
    let mut text = invite("z9hG4bKq");
    for (long, compact) in [
        ("Via:", "v:"),
        ("From:", "f:"),
        ("To:", "t:"),
        ("Call-ID:", "i:"),
        ("Contact:", "m:"),
        ("Content-Length:", "l:"),
        ("Content-Type:", "c:"),
    ] {
        text = text.replacen(long, compact, 1);
    }
    let call = call_of(text);
    assert_eq!(call.from.user, "+15550100");
    assert_eq!(call.offer.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn folded_headers_and_space_before_the_colon() {
    let call = call_of(altered(FROM, "From :\r\n \"A\"\r\n\t<sip:+15550100@192.0.2.1>\r\n ;tag=peer"));
    assert_eq!(call.from.user, "+15550100");
    assert_eq!(read(altered(FROM, "From\t: <sip:a@b>;tag=x")).from.tag(), Some("x"));
}

#[test]
fn tel_is_dialled_and_calls() {
    let call = call_of(altered(URI, "INVITE tel:+256700000001 SIP/2.0"));
    assert_eq!(call.request_user, "+256700000001");
    let call = call_of(altered(FROM, "From: <tel:+256-700-000-001>;tag=peer"));
    assert_eq!(call.from.number().as_deref(), Some("+256700000001"));
    let mut bench = Bench::new();
    bench.bytes(altered("To: <sip:12580@198.51.100.1>", "To: <tel:12580;phone-context=+256>"));
    assert_eq!(bench.event_names(), ["Incoming"]);
}

#[test]
fn a_short_tel_number_is_a_number_and_no_port() {
    let call = call_of(altered(URI, "INVITE tel:7042 SIP/2.0"));
    assert_eq!(call.request_user, "7042");
    let uri = read(altered(URI, "INVITE tel:7042 SIP/2.0")).uri;
    assert_eq!((uri.scheme(), uri.host(), uri.port()), (Scheme::Tel, "", None));
}

#[test]
fn ipv6_stands_in_targets_and_vias() {
    for (uri, port) in [("sip:12580@[2001:db8::9]", None), ("sip:12580@[2001:db8::9]:5070", Some(5070))] {
        let uri = read(altered(URI, &format!("INVITE {uri} SIP/2.0"))).uri;
        assert_eq!((uri.host(), uri.port()), ("[2001:db8::9]", port));
    }
    for (host, port) in [("[2001:db8::9]", None), ("[2001:db8::9]:5070", Some(5070))] {
        let via = read(altered(VIA, &format!("Via: SIP/2.0/UDP {host};branch=z9hG4bKq"))).via;
        assert_eq!((via.host.as_str(), via.port), ("[2001:db8::9]", port));
    }
}

#[test]
fn our_side_of_an_ipv6_call_is_printed_with_brackets() {
    let mut bench = Bench::new();
    bench.peer = "[2001:db8::9]:5060".parse().unwrap();
    bench.local = "[2001:db8::1]:5060".parse().unwrap();
    bench.bytes(altered(VIA, "Via: SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKq"));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: Bytes::from_static(b"v=0\r\n") });
    assert_eq!(bench.sent_to, [bench.peer]);
    let answer = bench.take().pop().unwrap();
    assert_eq!(header(&answer, "Contact"), Some("<sip:keytone@[2001:db8::1]:5060>"));
    assert_eq!(header(&answer, "Via"), Some("SIP/2.0/UDP [2001:db8::9]:5060;branch=z9hG4bKq"));
}

#[test]
fn received_holds_a_whole_ipv6_address() {
    let via = read(altered(VIA, "Via: SIP/2.0/UDP h;branch=z9hG4bKq;received=2001:db8::9")).via;
    assert_eq!(via.received(), Some("2001:db8::9".parse().unwrap()));
}

#[test]
fn two_hops_in_one_via_come_back_as_two() {
    let two =
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKq;rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKbelow";
    let answer = refusal_of(altered(VIA, two).replace("INVITE", "OPTIONS"));
    assert_eq!(
        header(&answer, "Via"),
        Some(
            "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKq;received=192.0.2.1;rport=5060, \
             SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKbelow"
        )
    );
}

#[test]
fn a_branch_survives_white_space() {
    let via = read(altered(VIA, "Via: SIP/2.0/UDP host ; branch = z9hG4bKspaced")).via;
    assert_eq!(via.unique_branch(), Some("z9hG4bKspaced"));
}

#[test]
fn contact_parameters_may_be_quoted() {
    let instance = "Contact: <sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:0000>\"";
    let contact = read(altered(CONTACT, instance)).contact.unwrap();
    assert_eq!(contact.param("+sip.instance"), Some(Some("<urn:uuid:0000>")));
}

#[test]
fn a_contact_list_is_a_list() {
    let request = read(altered(CONTACT, "Contact: <sip:a@192.0.2.1>;q=0.7, \"B, b\" <sip:b@192.0.2.2>"));
    assert_eq!(request.contact.as_ref().map(|c| c.uri.as_str()), Some("sip:a@192.0.2.1"));
    let all: Vec<String> =
        request.fields.name_addrs(Name::Contact).iter().map(|c| c.uri.as_str().to_owned()).collect();
    assert_eq!(all, ["sip:a@192.0.2.1", "sip:b@192.0.2.2"]);
}

#[test]
fn a_gruu_is_called_back_whole() {
    let gruu = "sip:a@192.0.2.1;gr=urn:uuid:f81d4fae-7dec";
    let mut bench = Bench::new();
    bench.bytes(altered(CONTACT, &format!("Contact: <{gruu}>")));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: Bytes::from_static(b"v=0\r\n") });
    let tag = super::support::to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKa", &tag, "", ""));
    bench.command(Command::Hangup { call });
    let bye = bench.take().pop().unwrap();
    assert!(bye.starts_with(&format!("BYE {gruu} SIP/2.0\r\n")), "{bye}");
}

#[test]
fn a_contact_of_everything_is_no_address() {
    let request = read(altered(CONTACT, "Contact: *"));
    assert!(request.contact.is_none());
}

#[test]
fn unknown_methods_are_answered_501_and_unwanted_ones_405() {
    let answer = refusal_of(request("PROCEED", 1, "z9hG4bKq", "", "", ""));
    assert_eq!((kind(&answer).as_str(), header(&answer, "CSeq")), ("501", Some("1 PROCEED")));
    assert!(header(&answer, "Allow").is_some_and(|a| a.contains("INVITE")));
    for method in ["REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH"] {
        assert_eq!(kind(&refusal_of(request(method, 1, "z9hG4bKq", "", "", ""))), "405", "{method}");
    }
    assert_eq!(kind(&refusal_of(request("invite", 1, "z9hG4bKq", "", "", ""))), "501");
}

#[test]
fn a_dot_in_the_user_part_stays_there() {
    assert_eq!(call_of(altered(FROM, "From: <sip:john.doe@example.com>;tag=peer")).from.user, "john.doe");
    let call = call_of(altered(URI, "INVITE sip:12.580@198.51.100.1 SIP/2.0"));
    assert_eq!(call.request_user, "12.580");
    let from = call_of(altered(FROM, "From: <sip:user;par=u.v@example.com>;tag=peer")).from;
    assert_eq!((from.user.as_str(), from.host.as_str()), ("user", "example.com"));
}

#[test]
fn uri_headers_are_no_part_of_the_host() {
    let from = call_of(altered(FROM, "From: <sip:b@example.com?Subject=x>;tag=peer")).from;
    assert_eq!((from.user.as_str(), from.host.as_str()), ("b", "example.com"));
}

#[test]
fn bytes_that_are_no_utf8_come_back_unaltered() {
    let mut text = invite("z9hG4bKq").replace("INVITE", "OPTIONS").into_bytes();
    let at = text.windows(3).position(|w| w == b"\"A\"").unwrap() + 1;
    text[at] = 0xE9;
    let mut bench = Bench::new();
    let (source, local) = (bench.peer, bench.local);
    bench
        .endpoint
        .handle(bench.now, keytone::sip::event::Input::Datagram { source, local, bytes: text.into() });
    let Some(keytone::sip::event::Output::Send { bytes, .. }) = bench.endpoint.poll() else {
        panic!("no answer")
    };
    assert!(bytes.starts_with(b"SIP/2.0 200 OK"));
    assert!(bytes.windows(4).any(|w| w == b"\"\xE9\" "));
}

#[test]
fn content_length_rules_over_the_datagram() {
    let long = invite("z9hG4bKq") + "trailing rubbish";
    assert_eq!(call_of(long).offer.as_deref(), Some(SDP.as_bytes()));
    let short = invite("z9hG4bKq").replace(&format!("Content-Length: {}", SDP.len()), "Content-Length: 9999");
    assert!(refusal_of(short).starts_with("SIP/2.0 400 Content-Length Exceeds Message"));
    let none = invite("z9hG4bKq").replace(&format!("Content-Length: {}\r\n", SDP.len()), "");
    assert_eq!(call_of(none).offer.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn a_binary_body_is_printed_byte_for_byte() {
    let echo = Echo::new(&Fields::default(), None, "192.0.2.1:5060".parse().unwrap(), None);
    let every: Vec<u8> = (0..=255).collect();
    let sent = echo.response(
        200,
        None,
        &Headers::new(),
        Some(Body { content_type: "application/x", bytes: &every }),
    );
    assert!(sent.ends_with(&every));
    assert_eq!(header(&String::from_utf8_lossy(&sent), "Content-Length"), Some("256"));
}

#[test]
fn credentials_of_any_spelling_do_not_disturb_a_call() {
    // Nothing here reads them: a trunk is known by its address.
    let digest = "Authorization: Digest username=\"a\", realm=\"b\", nonce=\"c\", \
                  uri=\"sip:d\", response=\"e\", \
                  algorithm=SHA-256, qop=auth-int, nc=0000000a, cnonce=\"f\"\r\nMax-Forwards: 70";
    assert_eq!(call_of(altered("Max-Forwards: 70", digest)).request_user, "12580");
}

#[test]
fn keep_alives_are_silent_and_leading_line_ends_are_skipped() {
    let mut bench = Bench::new();
    for keep_alive in ["\r\n\r\n", "\r\n", "\n", ""] {
        bench.bytes(keep_alive);
    }
    assert!(bench.sent.is_empty() && bench.events.is_empty());
    bench.bytes(format!("\r\n\r\n{}", invite("z9hG4bKq")));
    assert_eq!(bench.event_names(), ["Incoming"]);
}

#[test]
fn line_feeds_alone_are_no_message() {
    let mut bench = Bench::new();
    bench.bytes(invite("z9hG4bKq").replace("\r\n", "\n"));
    assert!(bench.sent.is_empty() && bench.events.is_empty());
    assert_eq!(bench.endpoint.counters().discarded, 1);
    let smuggled = altered("Max-Forwards: 70", "Subject: x\nVia: SIP/2.0/UDP evil\r\nMax-Forwards: 70");
    assert!(refusal_of(smuggled).starts_with("SIP/2.0 400 Bare Line End In Header"));
}

#[test]
fn a_description_beside_isup_is_found() {
    let mixed = format!(
        "--b1\r\nContent-Type: application/ISUP\r\n\r\n\u{1}\u{10}\r\n--b1\r\n\
         Content-Type: application/sdp\r\n\r\n{SDP}\
         \r\n--b1--\r\n"
    );
    let text = request("INVITE", 1, "z9hG4bKq", "", "Content-Type: multipart/mixed;boundary=b1\r\n", &mixed);
    assert_eq!(call_of(text).offer.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn who_calls_is_read_from_every_header_that_says_so() {
    let asserted = "P-Asserted-Identity: \"X\" <sip:+256700000001;npdi@gw>, <tel:+256-700-000-002>\r\n\
                    Privacy: id\r\nMax-Forwards: 70";
    let call = call_of(altered("Max-Forwards: 70", asserted));
    let numbers: Vec<_> = call.asserted.iter().map(keytone::sip::event::Identity::number).collect();
    assert_eq!(numbers, [Some("+256700000001".to_owned()), Some("+256700000002".to_owned())]);
    assert!(call.privacy);
    let none = altered("Max-Forwards: 70", "Privacy: none\r\nMax-Forwards: 70");
    assert!(!call_of(none).privacy);
    let anonymous = altered(FROM, "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=peer");
    assert!(call_of(anonymous).privacy);
}

#[test]
fn limits_of_a_message_have_their_answers() {
    let too_many = "X-A: b\r\n".repeat(200) + "Max-Forwards: 70";
    assert!(refusal_of(altered("Max-Forwards: 70", &too_many)).starts_with("SIP/2.0 400 Too Many Headers"));
    let long = format!("Subject: {}\r\nMax-Forwards: 70", "x".repeat(9000));
    assert!(refusal_of(altered("Max-Forwards: 70", &long)).starts_with("SIP/2.0 400 Header Line Too Long"));
    let uri = format!("INVITE sip:{}@h SIP/2.0", "1".repeat(1100));
    assert!(refusal_of(altered(URI, &uri)).starts_with("SIP/2.0 414 "));
    let body_bytes = "x".repeat(40_000);
    let big = request("INVITE", 1, "z9hG4bKq", "", "Content-Type: application/sdp\r\n", &body_bytes);
    assert!(refusal_of(big).starts_with("SIP/2.0 413 "));
    let mut config = super::support::open_config();
    config.limits.wire.message_bytes_max = 300;
    let mut bench = Bench::with(config);
    bench.bytes(invite("z9hG4bKq"));
    assert_eq!(bench.statuses(), ["513"]);
}

#[test]
fn answers_to_what_is_printed_repeat_the_request() {
    let answer = refusal_of(invite("z9hG4bKq").replace("INVITE", "OPTIONS"));
    for name in ["From", "Call-ID", "CSeq"] {
        let asked = invite("z9hG4bKq").replace("INVITE", "OPTIONS");
        assert_eq!(header(&answer, name), header(&asked, name), "{name}");
    }
    assert!(header(&answer, "To").unwrap().contains(";tag="));
    assert_eq!(body(&answer), "");
}
