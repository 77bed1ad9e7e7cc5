//! The quirks that peers were seen with (one row each), and what is refused.

use super::*;
use crate::smpp::encode::encode;
use crate::smpp::other::Other;
use crate::smpp::pdu::{Address, Bind, Message, MessageResp, Role};
use crate::smpp::tlv::tag;
use bytes::BytesMut;

const RESP: u32 = command::RESPONSE;

fn frame(id: u32, status: u32, body: impl Into<Vec<u8>>) -> Frame {
    Frame { id, status, sequence: 7, body: Bytes::from(body.into()) }
}

fn read(frame: &Frame) -> (Body, Vec<&'static str>) {
    let mut tolerated = Tolerated::default();
    let pdu = parse_noting(frame, &mut tolerated).unwrap();
    assert_eq!((pdu.sequence, pdu.status), (frame.sequence, frame.status));
    (pdu.body, tolerated.names().collect())
}

fn refuse(frame: &Frame) -> Bad {
    let bad = parse(frame).unwrap_err();
    assert_eq!((bad.command, bad.sequence), (frame.id, frame.sequence));
    bad
}

/// A `deliver_sm` made of its pieces, so that each can be bent.
struct Pieces {
    service_type: &'static [u8],
    source: Vec<u8>,
    validity: &'static [u8],
    said: u8,
    text: &'static [u8],
    after: Vec<u8>,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            service_type: b"",
            source: b"8613800000001".to_vec(),
            validity: b"",
            said: 5,
            text: b"RC 50",
            after: Vec::new(),
        }
    }
}

impl Pieces {
    fn frame(self) -> Frame {
        let mut body = Vec::new();
        let mut text = |prefix: &[u8], text: &[u8]| {
            body.extend_from_slice(prefix);
            body.extend_from_slice(text);
            body.push(0);
        };
        text(b"", self.service_type);
        text(&[1, 1], &self.source);
        text(&[3, 0], b"12580");
        text(&[0, 0, 0], b"");
        text(b"", self.validity);
        body.extend_from_slice(&[0, 0, 0, 0, self.said]);
        body.extend_from_slice(self.text);
        body.extend_from_slice(&self.after);
        frame(command::DELIVER_SM, 0, body)
    }

    fn read(self) -> (Message, Vec<&'static str>) {
        match read(&self.frame()) {
            (Body::DeliverSm(message), noted) => (message, noted),
            (body, _) => panic!("{body:?}"),
        }
    }
}

#[test]
fn responses_are_taken_however_they_come() {
    let submit_resp = |status, body: &[u8]| match read(&frame(command::SUBMIT_SM | RESP, status, body)) {
        (Body::SubmitSmResp(resp), noted) => (resp, noted),
        (body, _) => panic!("{body:?}"),
    };
    let id = |id: &'static [u8]| MessageResp { message_id: Bytes::from_static(id), tlvs: Tlvs::default() };
    assert_eq!(submit_resp(0, b"ab12\0"), (id(b"ab12"), vec![]));
    assert_eq!(submit_resp(0, b""), (id(b""), vec!["empty_body"]));
    assert_eq!(submit_resp(0x58, b""), (id(b""), vec![]), "a header alone is what the standard asks for");
    assert_eq!(submit_resp(0x58, b"\0"), (id(b""), vec![]));
    assert_eq!(submit_resp(0, b"ab12"), (id(b"ab12"), vec!["no_nul"]));
    let long: &'static [u8] = &[b'9'; 80];
    let with_nul = [long, b"\0"].concat();
    assert_eq!(submit_resp(0, &with_nul), (id(long), vec!["long_field"]));
    assert_eq!(submit_resp(0, b"1\xe9\0"), (id(b"1\xe9"), vec!["not_ascii"]));
    // An error response with TLVs and no id before them.
    let (resp, noted) = submit_resp(0x45, b"\x00\x1d\x00\x03bad");
    assert_eq!((resp.tlvs.get(0x1d).unwrap().as_ref(), noted), (b"bad".as_ref(), vec!["no_id"]));
    let (resp, noted) = submit_resp(0x45, b"\0\x00\x1d\x00\x03bad");
    assert_eq!((resp.tlvs.get(0x1d).unwrap().as_ref(), noted), (b"bad".as_ref(), vec![]));
    let (resp, noted) = submit_resp(0x45, b"77\0\x00\x1d\x00\x03bad");
    assert_eq!((resp.message_id.as_ref(), resp.tlvs.0.len(), noted), (b"77".as_ref(), 1, vec![]));
    assert_eq!(submit_resp(0x400, b"").0, id(b""), "vendors' statuses pass through");
}

#[test]
fn bind_responses_are_taken_however_they_come() {
    let resp = |status, body: &[u8]| match read(&frame(command::BIND_TRANSCEIVER | RESP, status, body)) {
        (Body::BindResp(Role::Transceiver, resp), noted) => (resp, noted),
        (body, _) => panic!("{body:?}"),
    };
    let (full, noted) = resp(0, b"SMSC\0\x02\x10\x00\x01\x34");
    assert_eq!(
        (full.system_id.as_ref(), full.tlvs.octet(tag::SC_INTERFACE_VERSION)),
        (b"SMSC".as_ref(), Some(0x34))
    );
    assert!(noted.is_empty());
    assert_eq!(resp(0, b"SMSC").1, ["no_nul"]);
    assert_eq!(resp(0, b"").1, ["empty_body"]);
    assert_eq!(resp(0xd, b"").1, Vec::<&str>::new());
    let (long, noted) = resp(0, b"a-system-id-of-20-ch\0");
    assert_eq!((long.system_id.len(), noted), (20, vec!["long_field"]));
}

#[test]
fn a_plain_message_needs_no_tolerance() {
    let (message, noted) = Pieces::default().read();
    assert_eq!(message.source.digits.as_ref(), b"8613800000001");
    assert_eq!(message.destination, Address { ton: 3, npi: 0, digits: Bytes::from_static(b"12580") });
    assert_eq!(message.short_message.as_ref(), b"RC 50");
    assert!(noted.is_empty());
}

#[test]
fn requests_with_bent_fields_are_taken() {
    let (message, noted) = Pieces { source: b"Caf\xe9".to_vec(), ..Pieces::default() }.read();
    assert_eq!((message.source.digits.as_ref(), noted), (b"Caf\xe9".as_ref(), vec!["not_ascii"]));
    let (message, noted) = Pieces { source: vec![b'1'; 25], ..Pieces::default() }.read();
    assert_eq!((message.source.digits.len(), noted), (25, vec!["long_field"]));
    let (message, noted) = Pieces { service_type: b"LONGTYPE", ..Pieces::default() }.read();
    assert_eq!((message.service_type.as_ref(), noted), (b"LONGTYPE".as_ref(), vec!["long_field"]));
    let (message, noted) = Pieces { validity: b"00000100", ..Pieces::default() }.read();
    assert_eq!((message.validity_period.as_ref(), noted), (b"00000100".as_ref(), vec![]));
    let (message, noted) = Pieces { said: 255, text: &[b'x'; 255], ..Pieces::default() }.read();
    assert_eq!((message.short_message.len(), noted), (255, vec!["long_field"]));
}

#[test]
fn optional_parameters_are_kept_raw() {
    let tlv = |tag: u16, value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap();
        [&tag.to_be_bytes(), &length.to_be_bytes(), value].concat()
    };
    for (tag, value) in [
        (tag::ITS_SESSION_INFO, b"\x01".as_ref()),
        (tag::ITS_SESSION_INFO, b"\x01\x02\x03\x04"),
        (tag::USER_MESSAGE_REFERENCE, b"\x07"),
        (tag::USER_MESSAGE_REFERENCE, b"\0\0\0\x07"),
        (tag::NETWORK_ERROR_CODE, b"\x03\x01"),
        (tag::RECEIPTED_MESSAGE_ID, b"no-nul"),
        (tag::USSD_SERVICE_OP, b"\x81"),
        (0x1403, b"vendor's"),
        (tag::MESSAGE_STATE, b""),
    ] {
        let (message, noted) = Pieces { after: tlv(tag, value), ..Pieces::default() }.read();
        assert_eq!((message.tlvs.get(tag).unwrap().as_ref(), noted), (value, vec![]), "{tag:#x}");
    }
    let payload = vec![b'x'; 1000];
    let after = tlv(tag::MESSAGE_PAYLOAD, &payload);
    let (message, noted) = Pieces { said: 0, text: b"", after: after.clone(), ..Pieces::default() }.read();
    assert_eq!((message.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().len(), noted), (1000, vec![]));
    assert_eq!(Pieces { after, ..Pieces::default() }.read().1, ["two_texts"]);
    // Order and repetition stay.
    let after = [tlv(0x1403, b"a"), tlv(0x1401, b"b"), tlv(0x1403, b"c")].concat();
    let (message, _) = Pieces { after, ..Pieces::default() }.read();
    assert_eq!(message.tlvs.0.iter().map(|tlv| tlv.tag).collect::<Vec<_>>(), [0x1403, 0x1401, 0x1403]);
    assert_eq!(message.tlvs.all(0x1403).count(), 2);
}

#[test]
fn what_is_behind_the_end_is_dropped_and_told() {
    // A TLV that is longer than what is left: dropped, and it never reaches out of its PDU.
    let after = b"\x05\x01\x00\x01\x01\x04\x24\x00\x20only this".to_vec();
    let (message, noted) = Pieces { after, ..Pieces::default() }.read();
    assert_eq!((message.tlvs.octet(tag::USSD_SERVICE_OP), message.tlvs.0.len()), (Some(1), 1));
    assert_eq!(noted, ["cut_tlv"]);
    for stray in [b"\0".as_ref(), b"\0\0", b"\x05\x01\x00"] {
        let (message, noted) = Pieces { after: stray.to_vec(), ..Pieces::default() }.read();
        assert_eq!((message.short_message.as_ref(), noted), (b"RC 50".as_ref(), vec!["stray"]));
    }
    assert_eq!(read(&frame(command::ENQUIRE_LINK, 0, b"\x01\x02\x03")), (Body::EnquireLink, vec!["stray"]));
    assert_eq!(read(&frame(command::ENQUIRE_LINK | RESP, 0, b"x")), (Body::EnquireLinkResp, vec!["stray"]));
    assert_eq!(read(&frame(command::UNBIND, 0, b"x")), (Body::Unbind, vec!["stray"]));
    assert_eq!(read(&frame(command::GENERIC_NACK, 3, b"x")), (Body::GenericNack, vec!["stray"]));
}

#[test]
fn the_last_text_of_a_request_may_lack_its_nul() {
    let body = b"esme\0secret\0\0\x34\x01\x01".to_vec();
    for (range, noted) in
        [(b"5".as_ref(), vec!["no_nul"]), (b"", vec!["no_nul"]), (b"5\0", vec![]), (b"5\0x", vec!["stray"])]
    {
        let bound = read(&frame(command::BIND_RECEIVER, 0, [&body, range].concat()));
        let (Body::Bind(Role::Receiver, bind), told) = bound else { panic!("{bound:?}") };
        assert_eq!((bind.system_id.as_ref(), bind.interface_version, told), (b"esme".as_ref(), 0x34, noted));
    }
    let (body, noted) = read(&frame(command::OUTBIND, 0, b"smsc\0secret"));
    assert_eq!(
        (body, noted),
        (
            Body::Outbind { system_id: Bytes::from_static(b"smsc"), password: Bytes::from_static(b"secret") },
            vec!["no_nul"]
        )
    );
}

#[test]
fn a_strange_header_is_told() {
    for (sequence, noted) in
        [(1, vec![]), (0x7fff_ffff, vec![]), (0, vec!["sequence"]), (0x8000_0000, vec!["sequence"])]
    {
        let frame = Frame { sequence, ..frame(command::ENQUIRE_LINK, 0, b"") };
        assert_eq!(read(&frame), (Body::EnquireLink, noted));
    }
    assert_eq!(read(&frame(command::ENQUIRE_LINK, 8, b"")).1, ["status"]);
}

#[test]
fn requests_that_cannot_be_told_apart_are_refused_with_a_status() {
    let bad = refuse(&Pieces { said: 200, ..Pieces::default() }.frame());
    assert_eq!((bad.status, bad.why), (status::RINVMSGLEN, Why::TextBeyond { said: 200, left: 5 }));
    assert_eq!(
        bad.answer().unwrap(),
        Pdu { status: status::RINVMSGLEN, sequence: 7, body: Body::DeliverSmResp(MessageResp::default()) }
    );
    assert_eq!(bad.to_string(), "0x00000005 sequence 7: sm_length 200 with 5 octets left");
    // Every cut of the mandatory part.
    let whole = Pieces::default().frame();
    for end in 0..whole.body.len() {
        let cut = Frame { body: whole.body.slice(..end), ..whole.clone() };
        let bad = refuse(&cut);
        assert!([status::RINVCMDLEN, status::RINVMSGLEN].contains(&bad.status), "{end}: {bad:?}");
    }
    assert_eq!(refuse(&frame(command::DELIVER_SM, 0, b"")).why, Why::Cut("service_type"));
    assert_eq!(refuse(&frame(command::BIND_RECEIVER, 0, b"esme")).why, Why::Cut("system_id"));
    let bad = refuse(&frame(command::SUBMIT_MULTI, 0, b"\0\0\0\0\x01\x03"));
    assert_eq!((bad.status, bad.why), (status::RINVDESTFLAG, Why::DestinationFlag(3)));
}

#[test]
fn unknown_commands_are_answered_unless_they_are_answers() {
    let bad = refuse(&frame(0x0001_0200, 0, b"whatever"));
    assert_eq!((bad.status, bad.why), (status::RINVCMDID, Why::UnknownCommand));
    assert_eq!(
        bad.answer().unwrap(),
        Pdu { status: status::RINVCMDID, sequence: 7, body: Body::GenericNack }
    );
    assert_eq!(refuse(&frame(0x8001_0200, 0, b"")).answer(), None);
    assert_eq!(refuse(&frame(command::OUTBIND, 0, b"")).answer(), None, "it has no response");
    // 0x8000_0102 would be the response that alert_notification does not have.
    assert_eq!(refuse(&frame(command::ALERT_NOTIFICATION | RESP, 0, b"")).answer(), None);
}

#[test]
fn the_seldom_responses_are_as_lenient() {
    let (body, noted) = read(&frame(command::QUERY_SM | RESP, 0, b"77\0\0\x02"));
    let Body::Other(Other::QuerySmResp(resp)) = body else { panic!("{body:?}") };
    assert_eq!((resp.message_state, resp.error_code, noted), (2, 0, vec!["cut_body"]));
    let (body, noted) = read(&frame(command::SUBMIT_MULTI | RESP, 0, b"77\0\x02\x01\x01123\0\0\0\0\x0b"));
    let Body::Other(Other::SubmitMultiResp(resp)) = body else { panic!("{body:?}") };
    assert_eq!((resp.refused.len(), resp.refused[0].status, noted), (1, 0xb, vec!["cut_body"]));
    for id in [command::CANCEL_SM, command::REPLACE_SM, command::CANCEL_BROADCAST_SM] {
        assert_eq!(read(&frame(id | RESP, 0, b"x")).1, ["stray"]);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let bind = Bind {
        system_id: Bytes::from_static(b"esme"),
        password: Bytes::from_static(b"secret"),
        interface_version: 0x34,
        ..Bind::default()
    };
    let pdu = Pdu::request(1, Body::Bind(Role::Transceiver, bind));
    let mut out = BytesMut::new();
    encode(&pdu, 0x34, &mut out).unwrap();
    assert_eq!(out.len(), 16 + 5 + 7 + 1 + 3 + 1);
    let frame = Frame { id: pdu.body.command_id(), status: 0, sequence: 1, body: out.freeze().slice(16..) };
    assert_eq!(parse(&frame), Ok(pdu));
}
