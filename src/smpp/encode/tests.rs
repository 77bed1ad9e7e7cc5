//! What is refused, by the field that is named.

use super::*;
use crate::smpp::other::{Destination, Other, QuerySm, SubmitMulti, SubmitMultiResp};
use crate::smpp::pdu::{Address, Bind, BindResp, Body, Message, MessageResp, Role};
use crate::smpp::status;
use crate::smpp::tlv::{Tlvs, tag};

fn written(pdu: &Pdu, version: u8) -> Result<Bytes, Unfit> {
    let mut out = BytesMut::from(&b"before"[..]);
    let done = encode(pdu, version, &mut out);
    assert_eq!(out.split_to(6), "before");
    if done.is_err() {
        assert!(out.is_empty(), "nothing of it is written");
    }
    done.map(|()| out.freeze())
}

fn unfit(body: Body) -> Unfit {
    written(&Pdu::request(1, body), 0x34).unwrap_err()
}

fn x(count: usize) -> Bytes {
    vec![b'1'; count].into()
}

fn address(count: usize) -> Address {
    Address { digits: x(count), ..Address::default() }
}

#[test]
fn texts_have_the_lengths_of_the_standard() {
    let bind = |bind| unfit(Body::Bind(Role::Transceiver, bind));
    let submit = |message| unfit(Body::SubmitSm(message));
    let (d, m) = (Bind::default, Message::default);
    for (unfit, field, max) in [
        (bind(Bind { system_id: x(16), ..d() }), "system_id", 15),
        (bind(Bind { password: x(9), ..d() }), "password", 8),
        (bind(Bind { system_type: x(13), ..d() }), "system_type", 12),
        (bind(Bind { address_range: x(41), ..d() }), "address_range", 40),
        (submit(Message { service_type: x(6), ..m() }), "service_type", 5),
        (submit(Message { source: address(21), ..m() }), "source_addr", 20),
        (submit(Message { destination: address(21), ..m() }), "destination_addr", 20),
        (submit(Message { short_message: x(255), ..m() }), "short_message", 254),
        (unfit(Body::DataSm(Message { source: address(65), ..m() })), "source_addr", 64),
        (
            unfit(Body::SubmitSmResp(MessageResp { message_id: x(65), ..MessageResp::default() })),
            "message_id",
            64,
        ),
        (
            unfit(Body::Other(Other::QuerySm(QuerySm { source: address(21), ..QuerySm::default() }))),
            "source_addr",
            20,
        ),
        (unfit(Body::Outbind { system_id: x(1), password: x(9) }), "password", 8),
    ] {
        assert_eq!(unfit, Unfit::TooLong { field, max });
    }
    // And the longest that fit.
    let message = Message {
        service_type: x(5),
        source: address(20),
        destination: address(20),
        short_message: x(254),
        validity_period: x(16),
        ..Message::default()
    };
    assert!(written(&Pdu::request(1, Body::SubmitSm(message)), 0x34).is_ok());
    let message = Message { source: address(64), destination: address(64), ..Message::default() };
    assert!(written(&Pdu::request(1, Body::DataSm(message)), 0x34).is_ok());
}

#[test]
fn texts_are_texts_and_times_are_times() {
    for octets in [&b"a\0b"[..], b"\0", b"Caf\xe9"] {
        let source = Address { digits: Bytes::from_static(octets), ..Address::default() };
        assert_eq!(
            unfit(Body::SubmitSm(Message { source, ..Message::default() })),
            Unfit::NotText("source_addr")
        );
    }
    for count in [1, 15, 17] {
        let message = Message { validity_period: x(count), ..Message::default() };
        assert_eq!(unfit(Body::SubmitSm(message)), Unfit::NotTime("validity_period"));
        let message = Message { schedule_delivery_time: x(count), ..Message::default() };
        assert_eq!(unfit(Body::DeliverSm(message)), Unfit::NotTime("schedule_delivery_time"));
    }
}

#[test]
fn a_text_is_in_one_place() {
    let mut message = Message { short_message: x(1), ..Message::default() };
    message.tlvs.push(tag::MESSAGE_PAYLOAD, x(1));
    assert_eq!(unfit(Body::SubmitSm(message.clone())), Unfit::TwoTexts);
    assert_eq!(unfit(Body::DataSm(message.clone())), Unfit::NoSuchField("short_message"));
    message.short_message.clear();
    assert!(written(&Pdu::request(1, Body::SubmitSm(message.clone())), 0x34).is_ok());
    message.tlvs = Tlvs::default();
    message.tlvs.push(tag::MESSAGE_PAYLOAD, x(65_536));
    assert_eq!(unfit(Body::SubmitSm(message)), Unfit::TooLong { field: "optional parameter", max: 65_535 });
}

#[test]
fn fields_that_a_pdu_lacks_are_not_dropped_in_silence() {
    let m = Message::default;
    for (message, field) in [
        (Message { protocol_id: 1, ..m() }, "protocol_id"),
        (Message { priority: 1, ..m() }, "priority_flag"),
        (Message { validity_period: x(16), ..m() }, "validity_period"),
        (Message { schedule_delivery_time: x(16), ..m() }, "schedule_delivery_time"),
        (Message { replace_if_present: 1, ..m() }, "replace_if_present_flag"),
        (Message { sm_default_msg_id: 1, ..m() }, "sm_default_msg_id"),
    ] {
        assert_eq!(unfit(Body::DataSm(message)), Unfit::NoSuchField(field));
    }
    let multi = SubmitMulti {
        message: Message { destination: address(1), ..m() },
        destinations: vec![Destination::List(x(1))],
    };
    assert_eq!(unfit(Body::Other(Other::SubmitMulti(multi))), Unfit::NoSuchField("destination_addr"));
}

#[test]
fn lists_have_the_lengths_of_the_standard() {
    let multi = |count| {
        let destinations = vec![Destination::Address(address(3)); count];
        let multi = SubmitMulti { destinations, ..SubmitMulti::default() };
        written(&Pdu::request(1, Body::Other(Other::SubmitMulti(multi))), 0x34)
    };
    for count in [0, 255, 256] {
        assert_eq!(multi(count), Err(Unfit::Count { field: "number_of_dests", count, min: 1, max: 254 }));
    }
    assert!(multi(1).is_ok() && multi(254).is_ok());
    let resp = |count| {
        let resp = SubmitMultiResp { refused: vec![Default::default(); count], ..SubmitMultiResp::default() };
        written(&Pdu::request(1, Body::Other(Other::SubmitMultiResp(resp))), 0x34)
    };
    assert_eq!(resp(256), Err(Unfit::Count { field: "no_unsuccess", count: 256, min: 0, max: 255 }));
    assert!(resp(0).is_ok() && resp(255).is_ok());
}

#[test]
fn peers_before_3_4_get_no_optional_parameters() {
    let with = |tags: &[u16]| {
        let mut message = Message::default();
        tags.iter().for_each(|tag| message.tlvs.push(*tag, vec![1]));
        Pdu::request(1, Body::SubmitSm(message))
    };
    let bare = written(&with(&[]), 0x33).unwrap();
    let some = with(&[tag::USER_MESSAGE_REFERENCE, 0x1401]);
    assert_eq!(written(&some, 0x33).as_ref(), Ok(&bare), "they say nothing that the message needs");
    assert_eq!(written(&some, 0x34).unwrap().len(), bare.len() + 10);
    for (tag, name) in [
        (tag::MESSAGE_PAYLOAD, "message_payload"),
        (tag::SAR_MSG_REF_NUM, "sar_msg_ref_num"),
        (tag::USSD_SERVICE_OP, "ussd_service_op"),
        (tag::ITS_SESSION_INFO, "its_session_info"),
    ] {
        assert_eq!(written(&with(&[tag]), 0x33), Err(Unfit::Version(name)), "they do");
    }
    let data = Pdu::request(1, Body::DataSm(Message::default()));
    assert_eq!(written(&data, 0x33), Err(Unfit::Version("data_sm")));
    let mut resp = BindResp { system_id: x(4), ..BindResp::default() };
    resp.tlvs.push(tag::SC_INTERFACE_VERSION, vec![0x34]);
    let resp = Pdu::request(1, Body::BindResp(Role::Receiver, resp));
    assert_eq!((written(&resp, 0x33).unwrap().len(), written(&resp, 0x34).unwrap().len()), (21, 26));
}

#[test]
fn headers_are_those_of_the_standard() {
    for sequence in [0, 0x8000_0000, u32::MAX] {
        assert_eq!(written(&Pdu::request(sequence, Body::EnquireLink), 0x34), Err(Unfit::Sequence(sequence)));
        // Whatever number a request had, its answer has.
        assert!(written(&Pdu::request(sequence, Body::EnquireLinkResp), 0x34).is_ok());
    }
    let told = Pdu { status: status::RSYSERR, ..Pdu::request(1, Body::Unbind) };
    assert_eq!(written(&told, 0x34), Err(Unfit::Status(status::RSYSERR)));
    assert_eq!(written(&Pdu::request(1, Body::GenericNack), 0x34), Err(Unfit::Status(0)));
    // An error response is a header alone, whatever was put into it.
    let resp = MessageResp { message_id: x(200), ..MessageResp::default() };
    let refused = Pdu { status: status::RTHROTTLED, sequence: 5, body: Body::SubmitSmResp(resp) };
    assert_eq!(
        written(&refused, 0x34).unwrap().as_ref(),
        [0, 0, 0, 16, 0x80, 0, 0, 4, 0, 0, 0, 0x58, 0, 0, 0, 5]
    );
    assert_eq!(
        unfit(Body::Bind(Role::Receiver, Bind { password: x(9), ..Bind::default() })).to_string(),
        "password: longer than 8 octets"
    );
}

#[test]
fn every_request_has_its_bare_response() {
    let submit = Pdu::request(9, Body::SubmitSm(Message::default()));
    let resp = submit.response_to(status::RTHROTTLED).unwrap();
    assert_eq!((resp.sequence, resp.status, resp.body.command_id()), (9, status::RTHROTTLED, 0x8000_0004));
    assert!(resp.body.is_response() && !submit.body.is_response() && Body::GenericNack.is_response());
    assert_eq!(resp.response_to(0), None);
    let outbind = Pdu::request(1, Body::Outbind { system_id: x(1), password: x(1) });
    assert_eq!(outbind.response_to(0), None);
}
