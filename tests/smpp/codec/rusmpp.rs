//! Beside `rusmpp-core` on PDUs that the standard allows: both read the same fields in each other's octets.

use bytes::{Bytes, BytesMut};
use keytone::smpp::other::{Destination, Other};
use keytone::smpp::parse::parse;
use keytone::smpp::pdu::{Address, Body, Message, MessageResp, Pdu, Role};
use keytone::smpp::tlv::Tlvs;
use proptest::prelude::*;
use rusmpp_core::command::owned::Command;
use rusmpp_core::decode::owned::DecodeWithLength;
use rusmpp_core::encode::owned::Encode;
use rusmpp_core::pdus::owned as theirs;

use super::{any, frame, octets};

fn raw(value: &impl Encode) -> Vec<u8> {
    let mut octets = BytesMut::with_capacity(4_096);
    value.encode(&mut octets);
    octets.to_vec()
}

fn c(text: &Bytes) -> Vec<u8> {
    [text.as_ref(), b"\0"].concat()
}

fn raw_tlvs(tlvs: &Tlvs) -> Vec<u8> {
    tlvs.0
        .iter()
        .flat_map(|tlv| {
            let length = u16::try_from(tlv.value.len()).unwrap();
            [&tlv.tag.to_be_bytes(), &length.to_be_bytes(), tlv.value.as_ref()].concat()
        })
        .collect()
}

/// Each of their fields beside ours.
macro_rules! same {
    ($($theirs:expr => $ours:expr,)*) => {{
        $(assert_eq!(raw(&$theirs), $ours, stringify!($theirs));)*
    }};
}

macro_rules! same_source {
    ($theirs:expr, $ours:expr) => {
        same! {
            $theirs.source_addr_ton => [$ours.ton],
            $theirs.source_addr_npi => [$ours.npi],
            $theirs.source_addr => c(&$ours.digits),
        }
    };
}

macro_rules! same_destination {
    ($theirs:expr, $ours:expr) => {
        same! {
            $theirs.dest_addr_ton => [$ours.ton],
            $theirs.dest_addr_npi => [$ours.npi],
            $theirs.destination_addr => c(&$ours.digits),
        }
    };
}

/// From `service_type` on without the destination, as in `submit_sm`, `deliver_sm` and `submit_multi`.
macro_rules! same_message {
    ($theirs:expr, $ours:expr) => {
        same_source!($theirs, $ours.source);
        same! {
            $theirs.service_type => c(&$ours.service_type),
            $theirs.esm_class => [$ours.esm_class],
            $theirs.protocol_id => [$ours.protocol_id],
            $theirs.priority_flag => [$ours.priority],
            $theirs.schedule_delivery_time => c(&$ours.schedule_delivery_time),
            $theirs.validity_period => c(&$ours.validity_period),
            $theirs.registered_delivery => [$ours.registered_delivery],
            $theirs.replace_if_present_flag => [$ours.replace_if_present],
            $theirs.data_coding => [$ours.data_coding],
            $theirs.sm_default_msg_id => [$ours.sm_default_msg_id],
            *$theirs.short_message() => $ours.short_message.as_ref(),
            $theirs.tlvs().to_vec() => raw_tlvs(&$ours.tlvs),
        }
    };
}

macro_rules! same_bind {
    ($theirs:expr, $ours:expr) => {
        same! {
            $theirs.system_id => c(&$ours.system_id),
            $theirs.password => c(&$ours.password),
            $theirs.system_type => c(&$ours.system_type),
            $theirs.interface_version => [$ours.interface_version],
            $theirs.addr_ton => [$ours.addr_ton],
            $theirs.addr_npi => [$ours.addr_npi],
            $theirs.address_range => c(&$ours.address_range),
        }
    };
}

fn same_address(theirs: &impl Encode, flag: Option<u8>, ours: &Address) {
    let flag: Vec<u8> = flag.into_iter().collect();
    assert_eq!(raw(theirs), [flag, vec![ours.ton, ours.npi], c(&ours.digits)].concat());
}

fn same_resp(message_id: &impl Encode, tlvs: &[rusmpp_core::tlvs::owned::Tlv], ours: &MessageResp) {
    same! {
        *message_id => c(&ours.message_id),
        tlvs.to_vec() => raw_tlvs(&ours.tlvs),
    }
}

/// Compares what they read with what we wrote, field by field.
fn compare(theirs: &theirs::Pdu, ours: &Body) {
    use theirs::Pdu as T;
    match (theirs, ours) {
        (T::BindReceiver(t), Body::Bind(Role::Receiver, o)) => same_bind!(t, o),
        (T::BindTransmitter(t), Body::Bind(Role::Transmitter, o)) => same_bind!(t, o),
        (T::BindTransceiver(t), Body::Bind(Role::Transceiver, o)) => same_bind!(t, o),
        (T::BindReceiverResp(t), Body::BindResp(Role::Receiver, o)) => {
            same! { t.system_id => c(&o.system_id), }
        }
        (T::BindTransmitterResp(t), Body::BindResp(Role::Transmitter, o)) => {
            same! { t.system_id => c(&o.system_id), }
        }
        (T::BindTransceiverResp(t), Body::BindResp(Role::Transceiver, o)) => {
            same! { t.system_id => c(&o.system_id), }
        }
        (T::Outbind(t), Body::Outbind { system_id, password }) => same! {
            t.system_id => c(system_id),
            t.password => c(password),
        },
        (T::SubmitSm(t), Body::SubmitSm(o)) => {
            same_message!(t, o);
            same_destination!(t, o.destination);
        }
        (T::DeliverSm(t), Body::DeliverSm(o)) => {
            same_message!(t, o);
            same_destination!(t, o.destination);
        }
        (T::DataSm(t), Body::DataSm(o)) => {
            same_source!(t, o.source);
            same_destination!(t, o.destination);
            same! {
                t.service_type => c(&o.service_type),
                t.esm_class => [o.esm_class],
                t.registered_delivery => [o.registered_delivery],
                t.data_coding => [o.data_coding],
                t.tlvs().to_vec() => raw_tlvs(&o.tlvs),
            }
        }
        (T::SubmitSmResp(t), Body::SubmitSmResp(o)) => same_resp(t.message_id(), t.tlvs(), o),
        (T::DeliverSmResp(t), Body::DeliverSmResp(o)) => same_resp(t.message_id(), t.tlvs(), o),
        (T::DataSmResp(t), Body::DataSmResp(o)) => same_resp(t.message_id(), t.tlvs(), o),
        (T::Unbind, Body::Unbind)
        | (T::UnbindResp, Body::UnbindResp)
        | (T::EnquireLink, Body::EnquireLink)
        | (T::EnquireLinkResp, Body::EnquireLinkResp)
        | (T::GenericNack, Body::GenericNack) => {}
        (theirs, Body::Other(ours)) => compare_other(theirs, ours),
        (theirs, ours) => panic!("{theirs:?} is not {ours:?}"),
    }
}

fn compare_other(theirs: &theirs::Pdu, ours: &Other) {
    use theirs::Pdu as T;
    match (theirs, ours) {
        (T::QuerySm(t), Other::QuerySm(o)) => {
            same! { t.message_id => c(&o.message_id), }
            same_source!(t, o.source);
        }
        (T::QuerySmResp(t), Other::QuerySmResp(o)) => same! {
            t.message_id => c(&o.message_id),
            t.final_date => c(&o.final_date),
            t.message_state => [o.message_state],
            t.error_code => [o.error_code],
        },
        (T::CancelSm(t), Other::CancelSm(o)) => {
            same! {
                t.service_type => c(&o.service_type),
                t.message_id => c(&o.message_id),
            }
            same_source!(t, o.source);
            same_destination!(t, o.destination);
        }
        (T::ReplaceSm(t), Other::ReplaceSm(o)) => {
            same! {
                t.message_id => c(&o.message_id),
                t.schedule_delivery_time => c(&o.schedule_delivery_time),
                t.validity_period => c(&o.validity_period),
                t.registered_delivery => [o.registered_delivery],
                t.sm_default_msg_id => [o.sm_default_msg_id],
                *t.short_message() => o.short_message.as_ref(),
            }
            same_source!(t, o.source);
        }
        (T::SubmitMulti(t), Other::SubmitMulti(o)) => {
            same_message!(t, o.message);
            assert_eq!(t.dest_address().len(), o.destinations.len());
            for (theirs, ours) in t.dest_address().iter().zip(&o.destinations) {
                match ours {
                    Destination::Address(address) => same_address(theirs, Some(1), address),
                    Destination::List(name) => assert_eq!(raw(theirs), [vec![2], c(name)].concat()),
                }
            }
        }
        (T::SubmitMultiResp(t), Other::SubmitMultiResp(o)) => {
            same! {
                t.message_id => c(&o.message_id),
                t.tlvs().to_vec() => raw_tlvs(&o.tlvs),
            }
            assert_eq!(t.unsuccess_sme().len(), o.refused.len());
            for (theirs, ours) in t.unsuccess_sme().iter().zip(&o.refused) {
                let address = [vec![ours.address.ton, ours.address.npi], c(&ours.address.digits)].concat();
                assert_eq!(raw(theirs), [address, ours.status.to_be_bytes().to_vec()].concat());
            }
        }
        (T::AlertNotification(t), Other::AlertNotification(o)) => {
            same_source!(t, o.source);
            same! {
                t.esme_addr_ton => [o.esme.ton],
                t.esme_addr_npi => [o.esme.npi],
                t.esme_addr => c(&o.esme.digits),
            }
        }
        (theirs, ours) => compare_broadcast(theirs, ours),
    }
}

fn compare_broadcast(theirs: &theirs::Pdu, ours: &Other) {
    use theirs::Pdu as T;
    match (theirs, ours) {
        (T::BroadcastSm(t), Other::BroadcastSm(o)) => {
            same_source!(t, o.source);
            same! {
                t.service_type => c(&o.service_type),
                t.message_id => c(&o.message_id),
                t.priority_flag => [o.priority],
                t.schedule_delivery_time => c(&o.schedule_delivery_time),
                t.validity_period => c(&o.validity_period),
                t.replace_if_present_flag => [o.replace_if_present],
                t.data_coding => [o.data_coding],
                t.sm_default_msg_id => [o.sm_default_msg_id],
                t.tlvs().to_vec() => raw_tlvs(&o.tlvs),
            }
        }
        (T::QueryBroadcastSm(t), Other::QueryBroadcastSm(o)) => {
            same! { t.message_id => c(&o.message_id), }
            same_source!(t, o.source);
        }
        (T::CancelBroadcastSm(t), Other::CancelBroadcastSm(o)) => {
            same! {
                t.service_type => c(&o.service_type),
                t.message_id => c(&o.message_id),
                t.tlvs().to_vec() => raw_tlvs(&o.tlvs),
            }
            same_source!(t, o.source);
        }
        (T::BroadcastSmResp(t), Other::BroadcastSmResp(o)) => same_resp(&t.message_id, t.tlvs(), o),
        (T::QueryBroadcastSmResp(t), Other::QueryBroadcastSmResp(o)) => same_resp(&t.message_id, t.tlvs(), o),
        (T::CancelSmResp, Other::CancelSmResp)
        | (T::ReplaceSmResp, Other::ReplaceSmResp)
        | (T::CancelBroadcastSmResp, Other::CancelBroadcastSmResp) => {}
        (theirs, ours) => panic!("{theirs:?} is not {ours:?}"),
    }
}

/// `esm_class` without the combinations that they cannot hold in two enumerations.
fn within(mut pdu: Pdu) -> Pdu {
    let message = match &mut pdu.body {
        Body::SubmitSm(message) | Body::DeliverSm(message) | Body::DataSm(message) => Some(message),
        Body::Other(Other::SubmitMulti(multi)) => Some(&mut multi.message),
        _ => None,
    };
    if let Some(Message { esm_class, .. }) = message {
        *esm_class &= 0b1110_0111;
    }
    pdu
}

fn both_ways(ours: &Pdu) {
    let written = octets(ours);
    let mut body = written.clone().split_off(4);
    let length = body.len();
    let (theirs, size) =
        Command::decode(&mut body, length).unwrap_or_else(|error| panic!("{error:?}: {ours:?}"));
    assert_eq!((size, body.len()), (length, 0), "{ours:?}");
    assert_eq!((u32::from(theirs.status()), theirs.sequence_number()), (ours.status, ours.sequence));
    match theirs.pdu() {
        Some(pdu) if ours.status == 0 => compare(pdu, &ours.body),
        _ => assert_ne!(ours.status, 0, "they read no body of {ours:?}"),
    }
    // What they write of it, we read as it was.
    let again = raw(&theirs);
    let length = u32::try_from(4 + again.len()).unwrap();
    let again = BytesMut::from(&[&length.to_be_bytes(), again.as_slice()].concat()[..]);
    assert!(parse(&frame(again.clone())).as_ref() == Ok(ours), "{theirs:?} is not {ours:?}");
    assert_eq!(again, written);
}

#[test]
fn one_of_every_type_is_read_alike() {
    super::every::pdus().iter().for_each(both_ways);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn both_codecs_read_each_others_octets(pdu in any::pdu()) {
        both_ways(&within(pdu));
    }
}

/// The oracle is one: it tells a field of another value.
#[test]
#[should_panic(expected = "t.data_coding")]
fn another_value_is_told() {
    let mut pdu = super::every::pdus().into_iter().find(|pdu| matches!(pdu.body, Body::SubmitSm(_))).unwrap();
    let mut body = octets(&pdu).split_off(4);
    let length = body.len();
    let (theirs, _) = Command::decode(&mut body, length).unwrap();
    if let Body::SubmitSm(message) = &mut pdu.body {
        message.data_coding = 4;
    }
    compare(theirs.pdu().unwrap(), &pdu.body);
}
