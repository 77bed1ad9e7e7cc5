//! The fields of each body in their order (SMPP 3.4 §4, 5.0 §4).

use bytes::Bytes;

use crate::smpp::encode::limit;
use crate::smpp::other::{
    AlertNotification, BroadcastSm, CancelBroadcastSm, CancelSm, Destination, Other, QueryBroadcastSm,
    QuerySm, QuerySmResp, Refused, ReplaceSm, SubmitMulti, SubmitMultiResp,
};
use crate::smpp::parse::{Reader, Tolerated, Why, is_all_tlvs};
use crate::smpp::pdu::{Address, Bind, BindResp, Body, Message, MessageResp, Role, command as c};
use crate::smpp::tlv::{Tlvs, tag};

const RESP: u32 = c::RESPONSE;
const BIND_RECEIVER_RESP: u32 = c::BIND_RECEIVER | RESP;
const BIND_TRANSMITTER_RESP: u32 = c::BIND_TRANSMITTER | RESP;
const BIND_TRANSCEIVER_RESP: u32 = c::BIND_TRANSCEIVER | RESP;
const UNBIND_RESP: u32 = c::UNBIND | RESP;
const ENQUIRE_LINK_RESP: u32 = c::ENQUIRE_LINK | RESP;
const SUBMIT_SM_RESP: u32 = c::SUBMIT_SM | RESP;
const DELIVER_SM_RESP: u32 = c::DELIVER_SM | RESP;
const DATA_SM_RESP: u32 = c::DATA_SM | RESP;
const QUERY_SM_RESP: u32 = c::QUERY_SM | RESP;
const CANCEL_SM_RESP: u32 = c::CANCEL_SM | RESP;
const REPLACE_SM_RESP: u32 = c::REPLACE_SM | RESP;
const SUBMIT_MULTI_RESP: u32 = c::SUBMIT_MULTI | RESP;
const BROADCAST_SM_RESP: u32 = c::BROADCAST_SM | RESP;
const QUERY_BROADCAST_SM_RESP: u32 = c::QUERY_BROADCAST_SM | RESP;
const CANCEL_BROADCAST_SM_RESP: u32 = c::CANCEL_BROADCAST_SM | RESP;

pub(super) fn read(id: u32, r: &mut Reader<'_>) -> Result<Body, Why> {
    Ok(match id {
        c::SUBMIT_SM => Body::SubmitSm(message(r)?),
        c::DELIVER_SM => Body::DeliverSm(message(r)?),
        SUBMIT_SM_RESP => Body::SubmitSmResp(message_resp(r)?),
        DELIVER_SM_RESP => Body::DeliverSmResp(message_resp(r)?),
        c::DATA_SM => Body::DataSm(data(r)?),
        DATA_SM_RESP => Body::DataSmResp(message_resp(r)?),
        c::ENQUIRE_LINK => bare(r, Body::EnquireLink),
        ENQUIRE_LINK_RESP => bare(r, Body::EnquireLinkResp),
        c::UNBIND => bare(r, Body::Unbind),
        UNBIND_RESP => bare(r, Body::UnbindResp),
        c::GENERIC_NACK => bare(r, Body::GenericNack),
        c::BIND_RECEIVER => Body::Bind(Role::Receiver, bind(r)?),
        c::BIND_TRANSMITTER => Body::Bind(Role::Transmitter, bind(r)?),
        c::BIND_TRANSCEIVER => Body::Bind(Role::Transceiver, bind(r)?),
        BIND_RECEIVER_RESP => Body::BindResp(Role::Receiver, bind_resp(r)?),
        BIND_TRANSMITTER_RESP => Body::BindResp(Role::Transmitter, bind_resp(r)?),
        BIND_TRANSCEIVER_RESP => Body::BindResp(Role::Transceiver, bind_resp(r)?),
        c::OUTBIND => outbind(r)?,
        _ => Body::Other(other(id, r)?),
    })
}

fn other(id: u32, r: &mut Reader<'_>) -> Result<Other, Why> {
    Ok(match id {
        c::QUERY_SM => Other::QuerySm(query(r)?),
        QUERY_SM_RESP => Other::QuerySmResp(query_resp(r)?),
        c::CANCEL_SM => Other::CancelSm(cancel(r)?),
        CANCEL_SM_RESP => bare(r, Other::CancelSmResp),
        c::REPLACE_SM => Other::ReplaceSm(replace(r)?),
        REPLACE_SM_RESP => bare(r, Other::ReplaceSmResp),
        c::SUBMIT_MULTI => Other::SubmitMulti(multi(r)?),
        SUBMIT_MULTI_RESP => Other::SubmitMultiResp(multi_resp(r)?),
        c::ALERT_NOTIFICATION => Other::AlertNotification(alert(r)?),
        c::BROADCAST_SM => Other::BroadcastSm(broadcast(r)?),
        BROADCAST_SM_RESP => Other::BroadcastSmResp(message_resp(r)?),
        c::QUERY_BROADCAST_SM => Other::QueryBroadcastSm(query_broadcast(r)?),
        QUERY_BROADCAST_SM_RESP => Other::QueryBroadcastSmResp(message_resp(r)?),
        c::CANCEL_BROADCAST_SM => Other::CancelBroadcastSm(cancel_broadcast(r)?),
        CANCEL_BROADCAST_SM_RESP => bare(r, Other::CancelBroadcastSmResp),
        _ => return Err(Why::UnknownCommand),
    })
}

/// A PDU of a header alone; octets after it are dropped.
fn bare<T>(r: &mut Reader<'_>, body: T) -> T {
    r.stray();
    body
}

fn bind(r: &mut Reader<'_>) -> Result<Bind, Why> {
    let bind = Bind {
        system_id: r.text("system_id", limit::SYSTEM_ID)?,
        password: r.text("password", limit::PASSWORD)?,
        system_type: r.text("system_type", limit::SYSTEM_TYPE)?,
        interface_version: r.octet("interface_version")?,
        addr_ton: r.octet("addr_ton")?,
        addr_npi: r.octet("addr_npi")?,
        address_range: r.last_text("address_range", limit::ADDRESS_RANGE)?,
    };
    r.stray();
    Ok(bind)
}

fn bind_resp(r: &mut Reader<'_>) -> Result<BindResp, Why> {
    if only_tlvs(r) {
        return Ok(BindResp { system_id: Bytes::new(), tlvs: r.tlvs() });
    }
    Ok(BindResp { system_id: r.text("system_id", limit::SYSTEM_ID)?, tlvs: r.tlvs() })
}

fn outbind(r: &mut Reader<'_>) -> Result<Body, Why> {
    let system_id = r.text("system_id", limit::SYSTEM_ID)?;
    let password = r.last_text("password", limit::PASSWORD)?;
    r.stray();
    Ok(Body::Outbind { system_id, password })
}

fn address(r: &mut Reader<'_>, names: [&'static str; 3], max: usize) -> Result<Address, Why> {
    let [ton, npi, digits] = names;
    Ok(Address { ton: r.octet(ton)?, npi: r.octet(npi)?, digits: r.text(digits, max)? })
}

fn source(r: &mut Reader<'_>, max: usize) -> Result<Address, Why> {
    address(r, ["source_addr_ton", "source_addr_npi", "source_addr"], max)
}

fn destination(r: &mut Reader<'_>, max: usize) -> Result<Address, Why> {
    address(r, ["dest_addr_ton", "dest_addr_npi", "destination_addr"], max)
}

fn message(r: &mut Reader<'_>) -> Result<Message, Why> {
    let mut message = Message {
        service_type: r.text("service_type", limit::SERVICE_TYPE)?,
        source: source(r, limit::ADDRESS)?,
        destination: destination(r, limit::ADDRESS)?,
        ..Message::default()
    };
    message_rest(r, &mut message)?;
    Ok(message)
}

/// From `esm_class` on, as in `submit_sm`, `deliver_sm` and `submit_multi`.
fn message_rest(r: &mut Reader<'_>, message: &mut Message) -> Result<(), Why> {
    message.esm_class = r.octet("esm_class")?;
    message.protocol_id = r.octet("protocol_id")?;
    message.priority = r.octet("priority_flag")?;
    message.schedule_delivery_time = r.text("schedule_delivery_time", limit::TIME)?;
    message.validity_period = r.text("validity_period", limit::TIME)?;
    message.registered_delivery = r.octet("registered_delivery")?;
    message.replace_if_present = r.octet("replace_if_present_flag")?;
    message.data_coding = r.octet("data_coding")?;
    message.sm_default_msg_id = r.octet("sm_default_msg_id")?;
    message.short_message = r.short_message()?;
    message.tlvs = r.tlvs();
    two_texts(r, &message.short_message, &message.tlvs);
    Ok(())
}

fn two_texts(r: &mut Reader<'_>, short_message: &Bytes, tlvs: &Tlvs) {
    if !short_message.is_empty() && tlvs.get(tag::MESSAGE_PAYLOAD).is_some_and(|text| !text.is_empty()) {
        r.tolerated.note(Tolerated::TWO_TEXTS);
    }
}

fn data(r: &mut Reader<'_>) -> Result<Message, Why> {
    Ok(Message {
        service_type: r.text("service_type", limit::SERVICE_TYPE)?,
        source: source(r, limit::LONG_ADDRESS)?,
        destination: destination(r, limit::LONG_ADDRESS)?,
        esm_class: r.octet("esm_class")?,
        registered_delivery: r.octet("registered_delivery")?,
        data_coding: r.octet("data_coding")?,
        tlvs: r.tlvs(),
        ..Message::default()
    })
}

fn message_resp(r: &mut Reader<'_>) -> Result<MessageResp, Why> {
    if only_tlvs(r) {
        return Ok(MessageResp { message_id: Bytes::new(), tlvs: r.tlvs() });
    }
    Ok(MessageResp { message_id: r.text("message_id", limit::MESSAGE_ID)?, tlvs: r.tlvs() })
}

/// Whether an error response has its TLVs right behind the header. An id before them is looked for first, since it is
/// what the standard asks for.
fn only_tlvs(r: &mut Reader<'_>) -> bool {
    if r.status == 0 {
        return false;
    }
    let after_text = r.rest.iter().position(|octet| *octet == 0).and_then(|at| r.rest.get(at + 1..));
    if let Some(rest) = after_text
        && (rest.is_empty() || is_all_tlvs(rest))
    {
        return false;
    }
    let only = is_all_tlvs(r.rest);
    if only {
        r.tolerated.note(Tolerated::NO_ID);
    }
    only
}

fn query(r: &mut Reader<'_>) -> Result<QuerySm, Why> {
    let message_id = r.text("message_id", limit::MESSAGE_ID)?;
    let (ton, npi) = (r.octet("source_addr_ton")?, r.octet("source_addr_npi")?);
    let digits = r.last_text("source_addr", limit::ADDRESS)?;
    r.stray();
    Ok(QuerySm { message_id, source: Address { ton, npi, digits } })
}

fn query_resp(r: &mut Reader<'_>) -> Result<QuerySmResp, Why> {
    Ok(QuerySmResp {
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        final_date: r.text("final_date", limit::TIME)?,
        message_state: r.octet("message_state")?,
        error_code: r.octet("error_code")?,
        tlvs: r.tlvs(),
    })
}

fn cancel(r: &mut Reader<'_>) -> Result<CancelSm, Why> {
    let service_type = r.text("service_type", limit::SERVICE_TYPE)?;
    let message_id = r.text("message_id", limit::MESSAGE_ID)?;
    let source = source(r, limit::ADDRESS)?;
    let (ton, npi) = (r.octet("dest_addr_ton")?, r.octet("dest_addr_npi")?);
    let digits = r.last_text("destination_addr", limit::ADDRESS)?;
    r.stray();
    Ok(CancelSm { service_type, message_id, source, destination: Address { ton, npi, digits } })
}

fn replace(r: &mut Reader<'_>) -> Result<ReplaceSm, Why> {
    let replace = ReplaceSm {
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        source: source(r, limit::ADDRESS)?,
        schedule_delivery_time: r.text("schedule_delivery_time", limit::TIME)?,
        validity_period: r.text("validity_period", limit::TIME)?,
        registered_delivery: r.octet("registered_delivery")?,
        sm_default_msg_id: r.octet("sm_default_msg_id")?,
        short_message: r.short_message()?,
        tlvs: r.tlvs(),
    };
    two_texts(r, &replace.short_message, &replace.tlvs);
    Ok(replace)
}

fn multi(r: &mut Reader<'_>) -> Result<SubmitMulti, Why> {
    let mut message = Message {
        service_type: r.text("service_type", limit::SERVICE_TYPE)?,
        source: source(r, limit::ADDRESS)?,
        ..Message::default()
    };
    let count = r.octet("number_of_dests")?;
    let mut destinations = Vec::new();
    for _ in 0..count {
        destinations.push(match r.octet("dest_flag")? {
            1 => Destination::Address(destination(r, limit::ADDRESS)?),
            2 => Destination::List(r.text("dl_name", limit::LIST_NAME)?),
            flag => return Err(Why::DestinationFlag(flag)),
        });
    }
    message_rest(r, &mut message)?;
    Ok(SubmitMulti { message, destinations })
}

fn multi_resp(r: &mut Reader<'_>) -> Result<SubmitMultiResp, Why> {
    let mut resp = SubmitMultiResp {
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        ..SubmitMultiResp::default()
    };
    for _ in 0..r.octet("no_unsuccess")? {
        if r.rest.is_empty() {
            r.tolerated.note(Tolerated::CUT_BODY);
            break;
        }
        resp.refused.push(Refused {
            address: destination(r, limit::ADDRESS)?,
            status: r.number("error_status_code")?,
        });
    }
    resp.tlvs = r.tlvs();
    Ok(resp)
}

fn alert(r: &mut Reader<'_>) -> Result<AlertNotification, Why> {
    Ok(AlertNotification {
        source: source(r, limit::LONG_ADDRESS)?,
        esme: {
            let (ton, npi) = (r.octet("esme_addr_ton")?, r.octet("esme_addr_npi")?);
            Address { ton, npi, digits: r.last_text("esme_addr", limit::LONG_ADDRESS)? }
        },
        tlvs: r.tlvs(),
    })
}

fn broadcast(r: &mut Reader<'_>) -> Result<BroadcastSm, Why> {
    Ok(BroadcastSm {
        service_type: r.text("service_type", limit::SERVICE_TYPE)?,
        source: source(r, limit::ADDRESS)?,
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        priority: r.octet("priority_flag")?,
        schedule_delivery_time: r.text("schedule_delivery_time", limit::TIME)?,
        validity_period: r.text("validity_period", limit::TIME)?,
        replace_if_present: r.octet("replace_if_present_flag")?,
        data_coding: r.octet("data_coding")?,
        sm_default_msg_id: r.octet("sm_default_msg_id")?,
        tlvs: r.tlvs(),
    })
}

fn query_broadcast(r: &mut Reader<'_>) -> Result<QueryBroadcastSm, Why> {
    Ok(QueryBroadcastSm {
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        source: source(r, limit::ADDRESS)?,
        tlvs: r.tlvs(),
    })
}

fn cancel_broadcast(r: &mut Reader<'_>) -> Result<CancelBroadcastSm, Why> {
    Ok(CancelBroadcastSm {
        service_type: r.text("service_type", limit::SERVICE_TYPE)?,
        message_id: r.text("message_id", limit::MESSAGE_ID)?,
        source: source(r, limit::ADDRESS)?,
        tlvs: r.tlvs(),
    })
}
