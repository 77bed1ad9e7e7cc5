//! Each profile in both directions, octet by octet, and messages that nobody would send.

use proptest::prelude::*;

use super::*;
use crate::smpp::coding::{Charset, Charsets};
use crate::smpp::tlv::{Tlv, Tlvs};

fn profile(name: &str) -> Profile {
    Profile::named(name).unwrap()
}

fn address(ton: u8, npi: u8, digits: &str) -> Address {
    Address { ton, npi, digits: Bytes::copy_from_slice(digits.as_bytes()) }
}

fn message(op: Option<u8>, session: Option<(u16, &[u8])>, text: &str) -> Message {
    let mut message = Message {
        source: address(1, 1, "8613800000001"),
        destination: address(3, 9, "125"),
        data_coding: 0x0f,
        short_message: Bytes::copy_from_slice(text.as_bytes()),
        ..Message::default()
    };
    if let Some(op) = op {
        message.tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
    }
    if let Some((tag, value)) = session {
        message.tlvs.push(tag, value.to_vec());
    }
    message
}

fn its(value: &[u8]) -> Option<(u16, &[u8])> {
    Some((tag::ITS_SESSION_INFO, value))
}

fn umr(value: &[u8]) -> Option<(u16, &[u8])> {
    Some((tag::USER_MESSAGE_REFERENCE, value))
}

fn begin(dialled: &str) -> Phase {
    Phase::Begin { dialled: Typed::new(dialled.to_owned()) }
}

fn answer(text: &str) -> Phase {
    Phase::Answer { text: Typed::new(text.to_owned()) }
}

type Inbound<'t> =
    (&'t str, Option<u8>, Option<(u16, &'t [u8])>, &'t str, Result<(Option<&'t str>, Phase), Unread>);

#[test]
fn each_profile_reads_its_gateway() {
    let table: Vec<Inbound<'_>> = vec![
        // The standard's ops; the session is octet 1, and octet 2 changes as it likes. Its end bit counts without a text.
        ("spec", Some(1), its(&[0x12, 0x34]), "*125#", Ok((Some("12"), begin("*125#")))),
        ("spec", Some(18), its(&[0x12, 0x35]), "50", Ok((Some("12"), answer("50")))),
        ("spec", Some(18), its(&[0x12]), "50", Ok((Some("12"), answer("50")))),
        ("spec", Some(18), its(&[0x12, 0, 0, 1]), "50", Ok((Some("12"), answer("50")))),
        ("spec", Some(18), None, "1*2#", Ok((None, answer("1*2#")))),
        ("spec", Some(18), umr(&[0, 7]), "50", Ok((None, answer("50")))),
        ("spec", Some(1), its(&[0, 1]), "*125#", Ok((Some("00"), begin("*125#")))),
        ("spec", Some(18), its(&[0x12, 0x35]), "", Ok((Some("12"), Phase::Abort))),
        ("spec", Some(18), its(&[0x12, 0x34]), "", Ok((Some("12"), answer("")))),
        ("spec", Some(0x81), its(&[0x12, 0]), "", Ok((Some("12"), Phase::Abort))),
        ("spec", Some(17), its(&[0x12, 0]), "", Ok((Some("12"), Phase::Abort))),
        ("spec", Some(19), its(&[0x12, 0]), "", Ok((Some("12"), Phase::Notified))),
        ("spec", Some(2), its(&[0x12, 0]), "1", Err(Unread::Op(2))),
        ("spec", Some(0), its(&[0x12, 0]), "1", Err(Unread::Op(0))),
        ("spec", None, its(&[0x12, 0]), "*125#", Err(Unread::NoOp)),
        // SixDee: 15 bits and the end bit.
        ("its15", Some(1), its(&[0x12, 0x34]), "*125*50#", Ok((Some("1234"), begin("*125*50#")))),
        ("its15", Some(18), its(&[0x12, 0x34]), "1", Ok((Some("1234"), answer("1")))),
        ("its15", Some(18), its(&[0x12, 0x35]), "", Ok((Some("1234"), Phase::Abort))),
        ("its15", Some(0x81), its(&[0x12, 0x34]), "", Ok((Some("1234"), Phase::Abort))),
        ("its15", None, its(&[0x12, 0x35]), "", Ok((Some("1234"), Phase::Abort))),
        ("its15", Some(17), its(&[0x12, 0x34]), "", Err(Unread::Op(17))),
        // MICA: the user message reference, whatever its length.
        ("umr", Some(1), umr(&[0x01, 0x2c]), "*125#", Ok((Some("012c"), begin("*125#")))),
        ("umr", Some(18), umr(&[0x2c]), "1", Ok((Some("2c"), answer("1")))),
        ("umr", Some(18), umr(&[0, 0, 1, 0x2d]), "1", Ok((Some("0000012d"), answer("1")))),
        ("umr", Some(0x81), umr(&[0x01, 0x2c]), "", Ok((Some("012c"), Phase::Abort))),
        ("umr", Some(18), its(&[0x12, 0x35]), "1", Ok((None, answer("1")))),
        // Tata: answers by either op, ends by op 17 or the end bit.
        ("tata", Some(1), its(&[0xff, 0xfe]), "*125#", Ok((Some("fffe"), begin("*125#")))),
        ("tata", Some(2), its(&[0xff, 0xfe]), "1", Ok((Some("fffe"), answer("1")))),
        ("tata", Some(18), its(&[0xff, 0xfe]), "1", Ok((Some("fffe"), answer("1")))),
        ("tata", Some(17), its(&[0xff, 0xfe]), "", Ok((Some("fffe"), Phase::Abort))),
        ("tata", Some(2), its(&[0xff, 0xff]), "", Ok((Some("fffe"), Phase::Abort))),
        // No session field: what looks like one is not read.
        ("none", Some(1), None, "*125#", Ok((None, begin("*125#")))),
        ("none", Some(18), its(&[0x12, 0x35]), "1", Ok((None, answer("1")))),
    ];
    for (name, op, session, text, expected) in table {
        let heard = read(&profile(name), &message(op, session, text));
        let heard = heard.map(|heard| (heard.dialogue, heard.phase));
        let expected = expected.map(|(dialogue, phase)| (dialogue.map(str::to_owned), phase));
        assert_eq!(heard, expected, "{name} {op:?} {session:02x?}");
    }
}

type Outbound<'t> = (&'t str, Option<(u16, &'t [u8])>, bool, u8, Option<&'t [u8]>);

#[test]
fn each_profile_writes_for_its_gateway() {
    let table: Vec<Outbound<'_>> = vec![
        ("spec", its(&[0x12, 0x35]), false, 2, Some(&[0x12, 0x35])),
        ("spec", its(&[0x12, 0x34]), true, 17, Some(&[0x12, 0x34])),
        ("spec", its(&[0x12]), true, 17, Some(&[0x12])),
        ("spec", None, true, 17, None),
        ("its15", its(&[0x12, 0x34]), false, 2, Some(&[0x12, 0x34])),
        ("its15", its(&[0x12, 0x34]), true, 17, Some(&[0x12, 0x35])),
        ("umr", umr(&[0x01, 0x2c]), false, 2, Some(&[0x01, 0x2c])),
        ("umr", umr(&[0x01, 0x2c]), true, 17, Some(&[0x01, 0x2c])),
        ("tata", its(&[0xff, 0xfe]), false, 2, Some(&[0xff, 0xfe])),
        ("tata", its(&[0xff, 0xfe]), true, 2, Some(&[0xff, 0xff])),
        ("none", its(&[0x12, 0x34]), false, 2, None),
        ("none", None, true, 17, None),
    ];
    for (name, session, end, op, expected) in table {
        let profile = profile(name);
        let way = read(&profile, &message(Some(1), session, "*125#")).unwrap().way;
        let written = write(&profile, &way, &Screen { text: "Amount?".into(), end }, Kind::Reply);
        assert_eq!(written.tlvs.octet(tag::USSD_SERVICE_OP), Some(op), "{name} {end}");
        let tag = session_tag(&profile).unwrap_or(tag::ITS_SESSION_INFO);
        assert_eq!(written.tlvs.get(tag).map(AsRef::as_ref), expected, "{name} {session:02x?} {end}");
        assert_eq!(written.tlvs.0.len(), 1 + usize::from(expected.is_some()));
        assert_eq!(written.service_type, "USSD");
        assert_eq!(written.source, address(3, 9, "125"), "the service's address as it was heard");
        assert_eq!(written.destination, address(1, 1, "8613800000001"));
        assert_eq!((written.data_coding, &written.short_message[..]), (0x0f, &b"Amount?"[..]));
    }
}

#[test]
fn messages_are_numbered_where_the_gateway_wants_it() {
    let profile = Profile { sequence: Sequence::Next, ..profile("spec") };
    for (heard, said) in
        [([0x12, 0x00], [0x12, 0x02]), ([0x12, 0x03], [0x12, 0x05]), ([0x12, 0xff], [0x12, 0x01])]
    {
        let way = read(&profile, &message(Some(18), its(&heard), "1")).unwrap().way;
        let written = write(&profile, &way, &Screen { text: "Amount?".into(), end: false }, Kind::Reply);
        assert_eq!(written.tlvs.get(tag::ITS_SESSION_INFO).unwrap()[..], said, "{heard:02x?}");
    }
}

#[test]
fn dialogues_of_ours_have_a_name_that_the_gateway_can_send_back() {
    for (name, field) in [("spec", Some(vec![0xcd, 0])), ("its15", Some(vec![0xab, 0xcc])), ("none", None)] {
        let profile = profile(name);
        let session = named(&profile, 0xabcd);
        assert_eq!(session.as_deref(), field.as_deref(), "{name}");
        let way =
            Way { ours: address(3, 9, "125"), theirs: address(1, 1, "861"), session, data_coding: None };
        let screen = Screen { text: "Your PIN?".into(), end: false };
        let pushed = write(&profile, &way, &screen, Kind::Push);
        assert_eq!(pushed.tlvs.octet(tag::USSD_SERVICE_OP), Some(2));
        let told = write(&profile, &way, &Screen { end: true, ..screen }, Kind::Notify);
        assert_eq!(told.tlvs.octet(tag::USSD_SERVICE_OP), Some(3));
        assert_eq!(told.tlvs.get(tag::ITS_SESSION_INFO), pushed.tlvs.get(tag::ITS_SESSION_INFO));
    }
    let unnamed = Profile {
        said: crate::ussd::profile::Said { push_named: false, ..profile("umr").said },
        ..profile("umr")
    };
    assert_eq!(named(&unnamed, 1), None);
}

#[test]
fn the_dialled_string_is_found_where_the_profile_says() {
    let by_destination = Profile { dialled: Dialled::Destination, ..profile("its15") };
    let table = [
        (&profile("spec"), "125", "*125#", "*125#"),
        (&profile("spec"), "125", "*125*50*13800000001#", "*125*50*13800000001#"),
        (&profile("spec"), "125", "*125", "*125#"),
        (&profile("spec"), "125", "125*50", "*125*50#"),
        (&profile("spec"), "*125#", "", "*125#"),
        (&by_destination, "*125#", "", "*125#"),
        (&by_destination, "125", "", "*125#"),
        (&by_destination, "*125#", "50", "*125*50#"),
        (&by_destination, "*125#", "*125*50#", "*125*50#"),
        (&by_destination, "125", "125", "*125#"),
        (&by_destination, "", "*125#", "*125#"),
        (&by_destination, "125", "1250", "*125*1250#"),
    ];
    for (profile, destination, text, dialled) in table {
        let mut message = message(Some(1), None, text);
        message.destination = address(0, 1, destination);
        assert_eq!(
            read(profile, &message).map(|heard| heard.phase),
            Ok(begin(dialled)),
            "{destination} {text}"
        );
    }
    let mut empty = message(Some(1), None, " ");
    empty.destination = Address::default();
    assert_eq!(read(&profile("spec"), &empty), Err(Unread::Code));
}

#[test]
fn texts_are_read_by_coding_and_answered_in_kind() {
    let ucs2 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    let table: Vec<(u8, Vec<u8>, &str, u8, u8)> = vec![
        (0x0f, b"50".to_vec(), "50", 0x0f, 0x48),
        (0x48, ucs2("五十"), "五十", 0x0f, 0x48),
        (0x00, b"50\x02".to_vec(), "50$", 0x00, 0x08),
        (0x08, ucs2("٥٠"), "٥٠", 0x00, 0x08),
        // What a vendor invents is the default alphabet, and answered with the profile's codings.
        (0xc3, b"50".to_vec(), "50", 0x0f, 0x48),
    ];
    for (coding, octets, text, narrow, wide) in table {
        let mut message = message(Some(18), its(&[1, 0]), "");
        (message.data_coding, message.short_message) = (coding, octets.into());
        let heard = read(&profile("spec"), &message).unwrap();
        assert_eq!(heard.phase, answer(text), "{coding:#x}");
        let coded = |text: &str| {
            let screen = Screen { text: text.into(), end: false };
            write(&profile("spec"), &heard.way, &screen, Kind::Reply).data_coding
        };
        assert_eq!((coded("Amount?"), coded("金额?")), (narrow, wide), "{coding:#x}");
    }
    // ASCII where the standard has its own alphabet: `$` is no longer septet 2, and `_` not septet 0x11.
    let charsets = Charsets { default: Charset::Ascii, ..Charsets::ussd() };
    let ascii = Profile { charsets, mirror_coding: false, ..profile("spec") };
    let heard = read(&ascii, &message(Some(18), None, "a_$@")).unwrap();
    assert_eq!(heard.phase, answer("a_$@"));
    let written = write(&ascii, &heard.way, &Screen { text: "_@".into(), end: false }, Kind::Reply);
    assert_eq!((written.data_coding, &written.short_message[..]), (0x0f, &b"_@"[..]));
    let mut binary = message(Some(18), None, "x");
    binary.data_coding = 0xf4;
    assert_eq!(read(&profile("spec"), &binary).unwrap_err().status(), status::RINVDCS);
}

#[test]
fn what_is_no_message_of_a_dialogue_is_refused_with_its_reason() {
    let mut nobody = message(Some(1), None, "*125#");
    nobody.source.digits = Bytes::from_static(b"anonymous");
    assert_eq!(read(&profile("spec"), &nobody), Err(Unread::Source));
    nobody.source.digits = Bytes::from_static(b"+8613800000001");
    let heard = read(&profile("spec"), &nobody).unwrap();
    assert_eq!((heard.msisdn.as_str(), heard.international), ("+8613800000001", true));
    for (unread, expected) in [
        (Unread::NoOp, 0xc3),
        (Unread::Op(7), 0xc4),
        (Unread::Source, 0x0a),
        (Unread::Code, 0x0b),
        (Unread::Coding, 0x104),
    ] {
        assert_eq!(unread.status(), expected, "{unread}");
    }
}

#[test]
fn messages_without_an_op_are_told_by_their_text_where_the_profile_says_so() {
    let mut by_text = profile("none");
    by_text.heard.by_text = true;
    let phase = |text: &str| read(&by_text, &message(None, None, text)).unwrap().phase;
    assert_eq!(phase("*125#"), begin("*125#"));
    assert_eq!(phase("1"), answer("1"));
    assert_eq!(phase("1*2"), answer("1*2"));
}

#[test]
fn ussd_is_told_from_text_messages_on_a_mixed_route() {
    assert!(is_ussd(&message(Some(1), None, "*125#")));
    assert!(is_ussd(&message(None, its(&[1, 0]), "1")));
    assert!(is_ussd(&Message { service_type: Bytes::from_static(b"ussd"), ..message(None, None, "1") }));
    assert!(!is_ussd(&message(None, None, "*125#")));
    assert!(!is_ussd(&message(None, umr(&[0, 1]), "RC 50")));
}

#[test]
fn nobody_sees_what_was_typed_nor_whose_it_is() {
    let heard = read(&profile("spec"), &message(Some(18), its(&[1, 0]), "739154")).unwrap();
    let shown = format!("{:?} {:?}", heard.phase, heard.way);
    assert!(!shown.contains("739154") && !shown.contains("138"), "{shown}");
}

#[test]
fn a_text_in_the_payload_or_behind_a_header_is_read() {
    let mut long = message(Some(18), None, "");
    long.tlvs.push(tag::MESSAGE_PAYLOAD, &b"50"[..]);
    assert_eq!(read(&profile("spec"), &long).unwrap().phase, answer("50"));
    let mut headed = message(Some(18), None, "\u{5}\u{0}\u{3}\u{1}\u{1}\u{1}50");
    headed.esm_class = UDHI;
    assert_eq!(read(&profile("spec"), &headed).unwrap().phase, answer("50"));
}

fn octets(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

prop_compose! {
    fn any_message()(
        source in prop_oneof![octets(30), Just(Bytes::from_static(b"8613800000001"))],
        destination in octets(30),
        text in octets(300),
        (esm_class, data_coding, ton) in (any::<u8>(), any::<u8>(), 0_u8..8),
        tlvs in prop::collection::vec((prop_oneof![
            Just(tag::USSD_SERVICE_OP), Just(tag::ITS_SESSION_INFO), Just(tag::USER_MESSAGE_REFERENCE),
            Just(tag::MESSAGE_PAYLOAD), any::<u16>()], octets(12)), 0..5),
    ) -> Message {
        Message {
            source: Address { ton, npi: 1, digits: source },
            destination: Address { ton, npi: 9, digits: destination },
            short_message: text, esm_class, data_coding,
            tlvs: Tlvs(tlvs.into_iter().map(|(tag, value)| Tlv { tag, value }).collect()),
            ..Message::default()
        }
    }
}

proptest! {
    #[test]
    fn reading_and_answering_never_fail(message in any_message(), text in ".{0,300}", end: bool, by_text: bool) {
        for name in Profile::NAMES {
            let mut profile = profile(name);
            profile.heard.by_text = by_text;
            let _ = is_ussd(&message);
            let Ok(heard) = read(&profile, &message) else { continue };
            let written = write(&profile, &heard.way, &Screen { text: text.clone(), end }, Kind::Reply);
            // However it ends, the answer is in the dialogue that was heard.
            let session = session_value(&profile, &written);
            prop_assert_eq!(session.and_then(|value| dialogue(&profile, &value)), heard.dialogue);
            prop_assert!(written.short_message.len() <= 182);
        }
    }
}
