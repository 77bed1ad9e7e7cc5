//! Generated PDUs of every type, within what the standard allows.

use bytes::Bytes;
use keytone::smpp::encode::limit;
use keytone::smpp::other::{
    AlertNotification, BroadcastSm, CancelBroadcastSm, CancelSm, Destination, Other, QueryBroadcastSm,
    QuerySm, QuerySmResp, Refused, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
use keytone::smpp::pdu::{Address, Bind, BindResp, Body, Message, MessageResp, Pdu, Role};
use keytone::smpp::tlv::{Tlv, Tlvs, tag};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn octets(lengths: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), lengths).prop_map(Bytes::from)
}

/// A C-string of at most `max` octets with its NUL.
fn text(max: usize) -> impl Strategy<Value = Bytes> {
    vec(1_u8..=127, 0..max).prop_map(Bytes::from)
}

fn service_type() -> impl Strategy<Value = Bytes> {
    select(vec!["", "CMT", "CPT", "VMN", "VMA", "WAP", "USSD", "CBS", "GUTS", "X1", "abcde"])
        .prop_map(Bytes::from)
}

fn time() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        Just(Bytes::new()),
        "[0-9]{12}000R".prop_map(Bytes::from),
        "[0-9]{15}\\+".prop_map(Bytes::from)
    ]
}

fn address(max: usize) -> impl Strategy<Value = Address> {
    (any::<u8>(), any::<u8>(), text(max)).prop_map(|(ton, npi, digits)| Address { ton, npi, digits })
}

/// A parameter as the standard has it, or a vendor's.
fn tlv() -> impl Strategy<Value = Tlv> {
    let fixed = select(vec![
        (tag::USER_MESSAGE_REFERENCE, 2),
        (tag::SAR_MSG_REF_NUM, 2),
        (tag::SAR_TOTAL_SEGMENTS, 1),
        (tag::SAR_SEGMENT_SEQNUM, 1),
        (tag::NETWORK_ERROR_CODE, 3),
        (tag::MESSAGE_STATE, 1),
        (tag::CONGESTION_STATE, 1),
        (tag::USSD_SERVICE_OP, 1),
        (tag::ITS_REPLY_TYPE, 1),
        (tag::ITS_SESSION_INFO, 2),
        (tag::QOS_TIME_TO_LIVE, 4),
        (tag::SOURCE_PORT, 2),
        (tag::LANGUAGE_INDICATOR, 1),
        (tag::PAYLOAD_TYPE, 1),
        (tag::DEST_ADDR_SUBUNIT, 1),
        (tag::MORE_MESSAGES_TO_SEND, 1),
    ]);
    let fixed = fixed
        .prop_flat_map(|(tag, length)| octets(length..length + 1).prop_map(move |value| Tlv { tag, value }));
    let id = text(65)
        .prop_map(|id| Tlv { tag: tag::RECEIPTED_MESSAGE_ID, value: [&id, &b"\0"[..]].concat().into() });
    let vendor = (0x1400_u16..0x3fff, octets(0..40)).prop_map(|(tag, value)| Tlv { tag, value });
    prop_oneof![4 => fixed, 1 => id, 2 => vendor]
}

fn tlvs() -> impl Strategy<Value = Tlvs> {
    vec(tlv(), 0..6).prop_map(Tlvs)
}

/// At most one parameter of a kind.
fn only(tag: u16, length: usize) -> impl Strategy<Value = Tlvs> {
    prop::option::of(octets(length..length + 1))
        .prop_map(move |value| Tlvs(value.into_iter().map(|value| Tlv { tag, value }).collect()))
}

/// A text in its field or in `message_payload`.
fn texts() -> impl Strategy<Value = (Bytes, Tlvs)> {
    prop_oneof![
        3 => (octets(0..limit::SHORT_MESSAGE + 1), tlvs()),
        1 => (octets(0..1_000), tlvs()).prop_map(|(text, mut tlvs)| {
            tlvs.push(tag::MESSAGE_PAYLOAD, text);
            (Bytes::new(), tlvs)
        }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let front = (service_type(), address(limit::ADDRESS), address(limit::ADDRESS), time(), time());
    (front, any::<[u8; 7]>(), texts()).prop_map(|(front, numbers, (short_message, tlvs))| {
        let (service_type, source, destination, schedule_delivery_time, validity_period) = front;
        let [esm_class, protocol_id, priority, registered_delivery, replace_if_present, data_coding, canned] =
            numbers;
        Message {
            service_type,
            source,
            destination,
            esm_class,
            protocol_id,
            priority,
            schedule_delivery_time,
            validity_period,
            registered_delivery,
            replace_if_present,
            data_coding,
            sm_default_msg_id: canned,
            short_message,
            tlvs,
        }
    })
}

fn data() -> impl Strategy<Value = Message> {
    let addresses = (address(limit::ADDRESS), address(limit::ADDRESS));
    (service_type(), addresses, any::<[u8; 3]>(), texts()).prop_map(
        |(service_type, addresses, numbers, (_, tlvs))| {
            let ((source, destination), [esm_class, registered_delivery, data_coding]) = (addresses, numbers);
            Message {
                service_type,
                source,
                destination,
                esm_class,
                registered_delivery,
                data_coding,
                tlvs,
                ..Message::default()
            }
        },
    )
}

fn message_resp() -> impl Strategy<Value = MessageResp> {
    (text(limit::MESSAGE_ID), tlvs()).prop_map(|(message_id, tlvs)| MessageResp { message_id, tlvs })
}

fn role() -> impl Strategy<Value = Role> {
    select(vec![Role::Receiver, Role::Transmitter, Role::Transceiver])
}

fn bind() -> impl Strategy<Value = Bind> {
    let texts =
        (text(limit::SYSTEM_ID), text(limit::PASSWORD), text(limit::SYSTEM_TYPE), text(limit::ADDRESS_RANGE));
    (texts, any::<[u8; 3]>()).prop_map(|((system_id, password, system_type, address_range), numbers)| {
        let [interface_version, addr_ton, addr_npi] = numbers;
        Bind { system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range }
    })
}

fn multi() -> impl Strategy<Value = SubmitMulti> {
    let destination = prop_oneof![
        address(limit::ADDRESS).prop_map(Destination::Address),
        text(limit::LIST_NAME).prop_map(Destination::List),
    ];
    (message(), vec(destination, 1..8)).prop_map(|(message, destinations)| SubmitMulti {
        message: Message { destination: Address::default(), ..message },
        destinations,
    })
}

fn replace() -> impl Strategy<Value = ReplaceSm> {
    let text_or_payload = prop_oneof![
        (octets(0..limit::SHORT_MESSAGE + 1), Just(Tlvs::default())),
        octets(0..500).prop_map(|text| {
            let mut tlvs = Tlvs::default();
            tlvs.push(tag::MESSAGE_PAYLOAD, text);
            (Bytes::new(), tlvs)
        }),
    ];
    let front = (text(limit::MESSAGE_ID), address(limit::ADDRESS), time(), time(), any::<[u8; 2]>());
    (front, text_or_payload).prop_map(|(front, (short_message, tlvs))| {
        let (message_id, source, schedule_delivery_time, validity_period, numbers) = front;
        let [registered_delivery, sm_default_msg_id] = numbers;
        ReplaceSm {
            message_id,
            source,
            schedule_delivery_time,
            validity_period,
            registered_delivery,
            sm_default_msg_id,
            short_message,
            tlvs,
        }
    })
}

fn broadcast() -> impl Strategy<Value = BroadcastSm> {
    let front = (service_type(), address(limit::ADDRESS), text(limit::MESSAGE_ID), time(), time());
    (front, any::<[u8; 4]>(), tlvs()).prop_map(|(front, numbers, tlvs)| {
        let (service_type, source, message_id, schedule_delivery_time, validity_period) = front;
        let [priority, replace_if_present, data_coding, sm_default_msg_id] = numbers;
        BroadcastSm {
            service_type,
            source,
            message_id,
            priority,
            schedule_delivery_time,
            validity_period,
            replace_if_present,
            data_coding,
            sm_default_msg_id,
            tlvs,
        }
    })
}

fn other_request() -> impl Strategy<Value = Other> {
    let id = || text(limit::MESSAGE_ID);
    let short = || address(limit::ADDRESS);
    let long = || address(limit::LONG_ADDRESS);
    prop_oneof![
        (id(), short()).prop_map(|(message_id, source)| Other::QuerySm(QuerySm { message_id, source })),
        (service_type(), id(), short(), short()).prop_map(
            |(service_type, message_id, source, destination)| {
                Other::CancelSm(CancelSm { service_type, message_id, source, destination })
            }
        ),
        replace().prop_map(Other::ReplaceSm),
        multi().prop_map(Other::SubmitMulti),
        (long(), long(), only(tag::MS_AVAILABILITY_STATUS, 1)).prop_map(|(source, esme, tlvs)| {
            Other::AlertNotification(AlertNotification { source, esme, tlvs })
        }),
        broadcast().prop_map(Other::BroadcastSm),
        (id(), short(), only(tag::USER_MESSAGE_REFERENCE, 2)).prop_map(|(message_id, source, tlvs)| {
            Other::QueryBroadcastSm(QueryBroadcastSm { message_id, source, tlvs })
        }),
        (service_type(), id(), short(), tlvs()).prop_map(|(service_type, message_id, source, tlvs)| {
            Other::CancelBroadcastSm(CancelBroadcastSm { service_type, message_id, source, tlvs })
        }),
    ]
}

fn other_response() -> impl Strategy<Value = Other> {
    let refused =
        (address(limit::ADDRESS), any::<u32>()).prop_map(|(address, status)| Refused { address, status });
    let end = (time(), any::<[u8; 2]>());
    prop_oneof![
        (text(limit::MESSAGE_ID), end).prop_map(|(message_id, (final_date, [message_state, error_code]))| {
            Other::QuerySmResp(QuerySmResp {
                message_id,
                final_date,
                message_state,
                error_code,
                tlvs: Tlvs::default(),
            })
        }),
        (text(limit::MESSAGE_ID), vec(refused, 0..5), tlvs()).prop_map(|(message_id, refused, tlvs)| {
            Other::SubmitMultiResp(SubmitMultiResp { message_id, refused, tlvs })
        }),
        message_resp().prop_map(Other::BroadcastSmResp),
        message_resp().prop_map(Other::QueryBroadcastSmResp),
        Just(Other::CancelSmResp),
        Just(Other::ReplaceSmResp),
        Just(Other::CancelBroadcastSmResp),
    ]
}

fn request() -> impl Strategy<Value = Body> {
    prop_oneof![
        1 => (role(), bind()).prop_map(|(role, bind)| Body::Bind(role, bind)),
        1 => (text(limit::SYSTEM_ID), text(limit::PASSWORD))
            .prop_map(|(system_id, password)| Body::Outbind { system_id, password }),
        1 => Just(Body::Unbind),
        1 => Just(Body::EnquireLink),
        2 => message().prop_map(Body::SubmitSm),
        2 => message().prop_map(Body::DeliverSm),
        1 => data().prop_map(Body::DataSm),
        8 => other_request().prop_map(Body::Other),
    ]
}

fn response() -> impl Strategy<Value = Body> {
    let bind_resp = (text(limit::SYSTEM_ID), only(tag::SC_INTERFACE_VERSION, 1));
    prop_oneof![
        1 => (role(), bind_resp).prop_map(|(role, (system_id, tlvs))| Body::BindResp(role, BindResp { system_id, tlvs })),
        1 => Just(Body::UnbindResp),
        1 => Just(Body::EnquireLinkResp),
        1 => message_resp().prop_map(Body::SubmitSmResp),
        1 => message_resp().prop_map(Body::DeliverSmResp),
        1 => message_resp().prop_map(Body::DataSmResp),
        7 => other_response().prop_map(Body::Other),
    ]
}

/// A PDU of any type; error responses are headers alone.
pub(super) fn pdu() -> impl Strategy<Value = Pdu> {
    let sequence = || 1..=0x7fff_ffff_u32;
    let refused = (sequence(), 1_u32..0x500, response()).prop_map(|(sequence, status, body)| Pdu {
        status,
        sequence,
        body: refused(body),
    });
    prop_oneof![
        4 => (sequence(), request()).prop_map(|(sequence, body)| Pdu::request(sequence, body)),
        3 => (any::<u32>().prop_map(|n| n.clamp(1, 0x7fff_ffff)), response())
            .prop_map(|(sequence, body)| Pdu { status: 0, sequence, body }),
        1 => refused,
        1 => (sequence(), 1_u32..0x500)
            .prop_map(|(sequence, status)| Pdu { status, sequence, body: Body::GenericNack }),
    ]
}

/// The same response without a body.
fn refused(body: Body) -> Body {
    Body::response_of(body.command_id() & 0x7fff_ffff).expect("a response")
}
