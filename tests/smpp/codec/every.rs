//! One PDU of every type, with values that tell their fields apart.

use bytes::Bytes;
use keytone::smpp::other::{
    AlertNotification, BroadcastSm, CancelBroadcastSm, CancelSm, Destination, Other, QueryBroadcastSm,
    QuerySm, QuerySmResp, Refused, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
use keytone::smpp::pdu::{Address, Bind, BindResp, Body, Message, MessageResp, Pdu, Role};
use keytone::smpp::tlv::{Tlvs, tag};

fn b(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn address(ton: u8, npi: u8, digits: &'static str) -> Address {
    Address { ton, npi, digits: b(digits) }
}

fn tlvs<const N: usize>(all: [(u16, &'static [u8]); N]) -> Tlvs {
    let mut tlvs = Tlvs::default();
    all.into_iter().for_each(|(tag, value)| tlvs.push(tag, Bytes::from_static(value)));
    tlvs
}

fn message() -> Message {
    Message {
        service_type: b("USSD"),
        source: address(1, 1, "8613800000001"),
        destination: address(5, 8, "KEYTONE"),
        esm_class: 0x03,
        protocol_id: 0x11,
        priority: 2,
        schedule_delivery_time: b("261122101112300+"),
        validity_period: b("000001020304000R"),
        registered_delivery: 1,
        replace_if_present: 1,
        data_coding: 3,
        sm_default_msg_id: 7,
        short_message: b("RC 50"),
        tlvs: tlvs([
            (tag::USER_MESSAGE_REFERENCE, &[0x12, 0x34]),
            (tag::USSD_SERVICE_OP, &[2]),
            (tag::ITS_SESSION_INFO, &[9, 4]),
            (0x1403, b"vendor"),
        ]),
    }
}

fn receipt() -> Message {
    let tlvs = tlvs([
        (tag::RECEIPTED_MESSAGE_ID, b"ab12\0"),
        (tag::MESSAGE_STATE, &[2]),
        (tag::NETWORK_ERROR_CODE, &[3, 0, 27]),
    ]);
    Message { esm_class: 0x44, tlvs, ..message() }
}

fn data() -> Message {
    Message {
        service_type: b("WAP"),
        source: address(2, 3, "12580"),
        destination: address(1, 1, "8613800000002"),
        esm_class: 0x02,
        registered_delivery: 2,
        data_coding: 8,
        tlvs: tlvs([
            (tag::MESSAGE_PAYLOAD, b"\x51\x45\x50\x3c"),
            (tag::SAR_MSG_REF_NUM, &[1, 2]),
            (tag::SAR_TOTAL_SEGMENTS, &[4]),
            (tag::SAR_SEGMENT_SEQNUM, &[3]),
        ]),
        ..Message::default()
    }
}

fn bind() -> Bind {
    Bind {
        system_id: b("esme-7"),
        password: b("secret8"),
        system_type: b("PAY"),
        interface_version: 0x34,
        addr_ton: 1,
        addr_npi: 8,
        address_range: b("^125"),
    }
}

fn bind_resp() -> BindResp {
    BindResp { system_id: b("SMSC-1"), tlvs: tlvs([(tag::SC_INTERFACE_VERSION, &[0x50])]) }
}

fn resp(id: &'static str) -> MessageResp {
    MessageResp { message_id: b(id), tlvs: Tlvs::default() }
}

fn requests() -> Vec<Body> {
    let mut bodies = vec![
        Body::Bind(Role::Receiver, bind()),
        Body::Bind(Role::Transmitter, bind()),
        Body::Bind(Role::Transceiver, bind()),
        Body::Outbind { system_id: b("SMSC-2"), password: b("outpass") },
        Body::Unbind,
        Body::EnquireLink,
        Body::SubmitSm(message()),
        Body::DeliverSm(receipt()),
        Body::DataSm(data()),
    ];
    bodies.extend(other_requests().map(Body::Other));
    bodies
}

fn other_requests() -> [Other; 8] {
    let area: (u16, &[u8]) = (tag::BROADCAST_AREA_IDENTIFIER, b"\x00Nairobi");
    [
        Other::QuerySm(QuerySm { message_id: b("q-1"), source: address(1, 1, "254700000001") }),
        Other::CancelSm(CancelSm {
            service_type: b("CMT"),
            message_id: b("c-1"),
            source: address(3, 6, "12580"),
            destination: address(1, 1, "254700000002"),
        }),
        Other::ReplaceSm(ReplaceSm {
            message_id: b("r-1"),
            source: address(3, 6, "12580"),
            schedule_delivery_time: b("000000000500000R"),
            validity_period: b("000001000000000R"),
            registered_delivery: 1,
            sm_default_msg_id: 5,
            short_message: b("another text"),
            tlvs: Tlvs::default(),
        }),
        Other::SubmitMulti(SubmitMulti {
            message: Message { destination: Address::default(), ..message() },
            destinations: vec![
                Destination::Address(address(1, 1, "254700000003")),
                Destination::List(b("friends")),
            ],
        }),
        Other::AlertNotification(AlertNotification {
            source: address(1, 1, "254700000004"),
            esme: address(2, 8, "12581"),
            tlvs: tlvs([(tag::MS_AVAILABILITY_STATUS, &[1])]),
        }),
        Other::BroadcastSm(BroadcastSm {
            service_type: b("CBS"),
            source: address(3, 6, "12580"),
            message_id: b("b-0"),
            priority: 3,
            schedule_delivery_time: b("000000000100000R"),
            validity_period: b("000000010000000R"),
            replace_if_present: 1,
            data_coding: 1,
            sm_default_msg_id: 4,
            tlvs: tlvs([
                area,
                (tag::BROADCAST_CONTENT_TYPE, &[0, 0, 2]),
                (tag::BROADCAST_REP_NUM, &[3]),
                (tag::BROADCAST_FREQUENCY_INTERVAL, &[9, 0, 5]),
                (tag::MESSAGE_PAYLOAD, b"to all"),
            ]),
        }),
        Other::QueryBroadcastSm(QueryBroadcastSm {
            message_id: b("b-1"),
            source: address(3, 6, "12580"),
            tlvs: tlvs([(tag::USER_MESSAGE_REFERENCE, &[0, 8])]),
        }),
        Other::CancelBroadcastSm(CancelBroadcastSm {
            service_type: b("CBS"),
            message_id: b("b-2"),
            source: address(3, 6, "12580"),
            tlvs: tlvs([(tag::USER_MESSAGE_REFERENCE, &[0, 9])]),
        }),
    ]
}

fn responses() -> Vec<Body> {
    let refused = vec![
        Refused { address: address(1, 1, "254700000005"), status: 0x0b },
        Refused { address: address(1, 1, "254700000006"), status: 0x58 },
    ];
    let others = [
        Other::QuerySmResp(QuerySmResp {
            message_id: b("q-1"),
            final_date: b("261122101112300+"),
            message_state: 2,
            error_code: 9,
            tlvs: Tlvs::default(),
        }),
        Other::CancelSmResp,
        Other::ReplaceSmResp,
        Other::SubmitMultiResp(SubmitMultiResp { message_id: b("m-1"), refused, tlvs: Tlvs::default() }),
        Other::BroadcastSmResp(resp("b-1")),
        Other::QueryBroadcastSmResp(MessageResp {
            message_id: b("b-1"),
            tlvs: tlvs([
                (tag::MESSAGE_STATE, &[1]),
                (tag::BROADCAST_AREA_IDENTIFIER, b"\x00Nairobi"),
                (tag::BROADCAST_AREA_SUCCESS, &[90]),
            ]),
        }),
        Other::CancelBroadcastSmResp,
    ];
    let mut bodies = vec![
        Body::BindResp(Role::Receiver, bind_resp()),
        Body::BindResp(Role::Transmitter, bind_resp()),
        Body::BindResp(Role::Transceiver, bind_resp()),
        Body::UnbindResp,
        Body::EnquireLinkResp,
        Body::SubmitSmResp(MessageResp { tlvs: tlvs([(tag::CONGESTION_STATE, &[80])]), ..resp("s-1") }),
        Body::DeliverSmResp(resp("")),
        Body::DataSmResp(resp("d-1")),
    ];
    bodies.extend(others.map(Body::Other));
    bodies
}

/// Every type once, numbered from 1; the last are refusals.
pub(super) fn pdus() -> Vec<Pdu> {
    let mut bodies = requests();
    bodies.extend(responses());
    let mut pdus: Vec<Pdu> = (1..).zip(bodies).map(|(sequence, body)| Pdu::request(sequence, body)).collect();
    pdus.push(Pdu { status: 0x03, sequence: 0x7fff_ffff, body: Body::GenericNack });
    pdus.push(Pdu { status: 0x58, sequence: 77, body: Body::SubmitSmResp(MessageResp::default()) });
    pdus.push(Pdu {
        status: 0x0e,
        sequence: 78,
        body: Body::BindResp(Role::Transceiver, BindResp::default()),
    });
    pdus
}

/// The `command_id` of every type.
pub(super) fn command_ids() -> Vec<u32> {
    let mut ids: Vec<u32> = pdus().iter().map(|pdu| pdu.body.command_id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 33, "every command of 3.4 and 5.0");
    ids
}
