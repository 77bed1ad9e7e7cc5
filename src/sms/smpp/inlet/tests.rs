//! Messages of peers, read.

use bytes::Bytes;

use super::*;
use crate::smpp::pdu::Address;
use crate::smpp::tlv::Tlvs;
use crate::sms::address::Country;
use crate::sms::smpp::Trust;

const LINK: LinkId = LinkId([7; 16]);

fn dialect() -> Dialect {
    let country = Country { code: "86".into(), national_max: 11 };
    Dialect { trust: Trust::Prefixes(vec!["86138".into()]), ..Dialect::new("carrier", country) }
}

fn message(text: &[u8]) -> Message {
    Message {
        source: Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613800000001") },
        destination: Address { ton: 3, npi: 0, digits: Bytes::from_static(b"12580") },
        short_message: Bytes::copy_from_slice(text),
        ..Message::default()
    }
}

fn text(message: &Message) -> Received {
    match brought(&dialect(), LINK, message) {
        Brought::Text(received) => *received,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_is_read_with_who_and_what() {
    let received = text(&message(b"RC 50"));
    assert_eq!((received.text.as_str(), received.to.as_str()), ("RC 50", "12580"));
    assert_eq!(received.from.as_str(), "+8613800000001");
    assert!(received.trusted && received.part.is_none() && received.identity.is_empty());
    assert_eq!(received.link, Id([7; 16]));
    let shown = format!("{received:?}");
    assert!(!shown.contains("RC 50") && !shown.contains("13800000001"), "{shown}");
}

#[test]
fn only_the_carriers_own_numbers_are_believed() {
    let mut other = message(b"RC 50");
    other.source.digits = Bytes::from_static(b"8615900000001");
    assert!(!text(&other).trusted);
    other.source = Address { ton: 5, npi: 0, digits: Bytes::from_static(b"KEYTONE") };
    let received = text(&other);
    assert!(!received.trusted && received.from.number().is_none());
}

#[test]
fn references_tell_equal_texts_apart() {
    let mut one = message(b"1");
    one.tlvs.push(tag::USER_MESSAGE_REFERENCE, vec![0, 9]);
    assert_eq!(text(&one).identity, [0, 9]);
}

#[test]
fn a_part_keeps_its_octets_and_the_name_of_its_text() {
    let mut part = message(&[5, 0, 3, 0x2a, 2, 1, b'R', b'C']);
    part.esm_class = 0x40;
    part.tlvs.push(tag::USER_MESSAGE_REFERENCE, vec![0, 9]);
    let received = text(&part);
    assert_eq!(received.identity, [0, 0x2a], "the reference of its own is not the text's");
    let part = received.part.unwrap();
    assert_eq!(
        (part.reference, part.total, part.number, part.octets.as_slice()),
        (0x2a, 2, 1, b"RC".as_slice())
    );
    // One of one is whole.
    let mut only = message(&[5, 0, 3, 0x2a, 1, 1, b'R', b'C']);
    only.esm_class = 0x40;
    assert_eq!(text(&only).text.as_str(), "RC");
    // By parameters, and with all of it in message_payload.
    let mut tlvs = Tlvs::default();
    tlvs.push(tag::SAR_MSG_REF_NUM, vec![1, 2]);
    tlvs.push(tag::SAR_TOTAL_SEGMENTS, vec![3]);
    tlvs.push(tag::SAR_SEGMENT_SEQNUM, vec![2]);
    tlvs.push(tag::MESSAGE_PAYLOAD, b"50".as_slice());
    let part = text(&Message { tlvs, ..message(b"") }).part.unwrap();
    assert_eq!(
        (part.reference, part.total, part.number, part.octets.as_slice()),
        (0x102, 3, 2, b"50".as_slice())
    );
}

#[test]
fn receipts_are_no_texts() {
    let read = |esm_class: u8, text: &str| {
        let message = Message { esm_class, ..message(text.as_bytes()) };
        match brought(&dialect(), LINK, &message) {
            Brought::Receipt(receipt) => Some((receipt.message_id, receipt.reported, receipt.code)),
            Brought::Text(_) | Brought::Nothing(_) => None,
        }
    };
    let table = [
        ("id:a1 stat:DELIVRD err:000", Reported::Delivered, "000"),
        ("id:a1 stat:UNDELIV err:027", Reported::Undelivered, "027"),
        ("id:a1 stat:EXPIRED", Reported::Undelivered, "EXPIRED"),
        ("id:a1 stat:ACCEPTD", Reported::UnderWay, "ACCEPTD"),
        ("id:a1 stat:ENROUTE", Reported::UnderWay, "ENROUTE"),
        ("id:a1 stat:UNKNOWN", Reported::UnderWay, "UNKNOWN"),
    ];
    for (text, reported, code) in table {
        assert_eq!(read(4, text), Some(("a1".into(), reported, Some(code.into()))), "{text}");
    }
    let (_, reported, _) = read(0x20, "id:a1 stat:DELIVRD").unwrap();
    assert_eq!(reported, Reported::UnderWay, "a word in between");
    assert_eq!(read(0, "id:a1 stat:DELIVRD"), None, "a person can write that");
}

#[test]
fn what_is_no_text_is_nothing() {
    for (esm_class, data_coding) in [(0x08, 0), (0x10, 0), (0, 0x04), (0, 0xf5)] {
        let message = Message { esm_class, data_coding, ..message(b"x") };
        let read = brought(&dialect(), LINK, &message);
        assert!(matches!(read, Brought::Nothing(_)), "{esm_class:#x} {data_coding:#x} {read:?}");
    }
}
