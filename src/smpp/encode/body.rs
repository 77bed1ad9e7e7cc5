//! The fields of each body in their order (SMPP 3.4 §4, 5.0 §4).

use bytes::{BufMut, Bytes};

use crate::smpp::encode::{Unfit, Writer, limit};
use crate::smpp::frame::HEADER;
use crate::smpp::other::{Destination, Other, QuerySmResp, ReplaceSm, SubmitMulti, SubmitMultiResp};
use crate::smpp::pdu::{Address, Bind, Body, Message, MessageResp};
use crate::smpp::tlv::{Tlvs, tag};

/// Octets that the fields of fixed length and the short texts of a PDU take at most, as in `alert_notification`.
const FIELDS: usize = 240;

/// Room to make before writing: seldom too little, and then the buffer grows.
pub(super) fn room(body: &Body) -> usize {
    let message = |message: &Message| {
        let text = message.short_message.len();
        let tlvs: usize = message.tlvs.0.iter().map(|tlv| 4 + tlv.value.len()).sum();
        HEADER + FIELDS + text + tlvs
    };
    match body {
        Body::SubmitSm(m) | Body::DeliverSm(m) | Body::DataSm(m) => message(m),
        Body::Other(Other::SubmitMulti(multi)) => message(&multi.message) + 24 * multi.destinations.len(),
        Body::EnquireLink | Body::EnquireLinkResp | Body::Unbind | Body::UnbindResp | Body::GenericNack => {
            HEADER
        }
        _ => HEADER + FIELDS,
    }
}

pub(super) fn write(body: &Body, w: &mut Writer<'_>) -> Result<(), Unfit> {
    match body {
        Body::SubmitSm(message) | Body::DeliverSm(message) => self::message(w, message),
        Body::DataSm(message) => data(w, message),
        Body::SubmitSmResp(resp) | Body::DeliverSmResp(resp) | Body::DataSmResp(resp) => {
            message_resp(w, resp)
        }
        Body::EnquireLink | Body::EnquireLinkResp | Body::Unbind | Body::UnbindResp | Body::GenericNack => {
            Ok(())
        }
        Body::Bind(_, bind) => self::bind(w, bind),
        Body::BindResp(_, resp) => {
            w.text("system_id", &resp.system_id, limit::SYSTEM_ID)?;
            w.optional(&resp.tlvs)
        }
        Body::Outbind { system_id, password } => {
            w.text("system_id", system_id, limit::SYSTEM_ID)?;
            w.text("password", password, limit::PASSWORD)
        }
        Body::Other(other) => self::other(w, other),
    }
}

fn other(w: &mut Writer<'_>, other: &Other) -> Result<(), Unfit> {
    match other {
        Other::QuerySm(query) => {
            w.text("message_id", &query.message_id, limit::MESSAGE_ID)?;
            w.source(&query.source, limit::ADDRESS)
        }
        Other::QuerySmResp(resp) => query_resp(w, resp),
        Other::CancelSm(cancel) => {
            w.text("service_type", &cancel.service_type, limit::SERVICE_TYPE)?;
            w.text("message_id", &cancel.message_id, limit::MESSAGE_ID)?;
            w.source(&cancel.source, limit::ADDRESS)?;
            w.destination(&cancel.destination, limit::ADDRESS)
        }
        Other::ReplaceSm(replace) => self::replace(w, replace),
        Other::SubmitMulti(multi) => self::multi(w, multi),
        Other::SubmitMultiResp(resp) => multi_resp(w, resp),
        Other::AlertNotification(alert) => {
            w.source(&alert.source, limit::LONG_ADDRESS)?;
            w.address("esme_addr", &alert.esme, limit::LONG_ADDRESS)?;
            w.optional(&alert.tlvs)
        }
        Other::BroadcastSm(broadcast) => {
            w.text("service_type", &broadcast.service_type, limit::SERVICE_TYPE)?;
            w.source(&broadcast.source, limit::ADDRESS)?;
            w.text("message_id", &broadcast.message_id, limit::MESSAGE_ID)?;
            w.octets([broadcast.priority]);
            w.time("schedule_delivery_time", &broadcast.schedule_delivery_time)?;
            w.time("validity_period", &broadcast.validity_period)?;
            w.octets([broadcast.replace_if_present, broadcast.data_coding, broadcast.sm_default_msg_id]);
            w.essential(&broadcast.tlvs)
        }
        Other::BroadcastSmResp(resp) | Other::QueryBroadcastSmResp(resp) => message_resp(w, resp),
        Other::QueryBroadcastSm(query) => {
            w.text("message_id", &query.message_id, limit::MESSAGE_ID)?;
            w.source(&query.source, limit::ADDRESS)?;
            w.optional(&query.tlvs)
        }
        Other::CancelBroadcastSm(cancel) => {
            w.text("service_type", &cancel.service_type, limit::SERVICE_TYPE)?;
            w.text("message_id", &cancel.message_id, limit::MESSAGE_ID)?;
            w.source(&cancel.source, limit::ADDRESS)?;
            w.optional(&cancel.tlvs)
        }
        Other::CancelSmResp | Other::ReplaceSmResp | Other::CancelBroadcastSmResp => Ok(()),
    }
}

fn bind(w: &mut Writer<'_>, bind: &Bind) -> Result<(), Unfit> {
    w.text("system_id", &bind.system_id, limit::SYSTEM_ID)?;
    w.text("password", &bind.password, limit::PASSWORD)?;
    w.text("system_type", &bind.system_type, limit::SYSTEM_TYPE)?;
    w.octets([bind.interface_version, bind.addr_ton, bind.addr_npi]);
    w.text("address_range", &bind.address_range, limit::ADDRESS_RANGE)
}

fn message(w: &mut Writer<'_>, message: &Message) -> Result<(), Unfit> {
    w.text("service_type", &message.service_type, limit::SERVICE_TYPE)?;
    w.source(&message.source, limit::ADDRESS)?;
    w.destination(&message.destination, limit::ADDRESS)?;
    message_rest(w, message)
}

/// From `esm_class` on, as in `submit_sm`, `deliver_sm` and `submit_multi`.
fn message_rest(w: &mut Writer<'_>, message: &Message) -> Result<(), Unfit> {
    w.octets([message.esm_class, message.protocol_id, message.priority]);
    w.time("schedule_delivery_time", &message.schedule_delivery_time)?;
    w.time("validity_period", &message.validity_period)?;
    w.octets([
        message.registered_delivery,
        message.replace_if_present,
        message.data_coding,
        message.sm_default_msg_id,
    ]);
    w.short_message(&message.short_message, &message.tlvs)?;
    w.essential(&message.tlvs)
}

fn data(w: &mut Writer<'_>, message: &Message) -> Result<(), Unfit> {
    let foreign = [
        ("short_message", !message.short_message.is_empty()),
        ("protocol_id", message.protocol_id != 0),
        ("priority_flag", message.priority != 0),
        ("schedule_delivery_time", !message.schedule_delivery_time.is_empty()),
        ("validity_period", !message.validity_period.is_empty()),
        ("replace_if_present_flag", message.replace_if_present != 0),
        ("sm_default_msg_id", message.sm_default_msg_id != 0),
    ];
    if let Some((field, _)) = foreign.into_iter().find(|(_, set)| *set) {
        return Err(Unfit::NoSuchField(field));
    }
    if !w.tlvs {
        return Err(Unfit::Version("data_sm"));
    }
    w.text("service_type", &message.service_type, limit::SERVICE_TYPE)?;
    w.source(&message.source, limit::LONG_ADDRESS)?;
    w.destination(&message.destination, limit::LONG_ADDRESS)?;
    w.octets([message.esm_class, message.registered_delivery, message.data_coding]);
    w.essential(&message.tlvs)
}

fn message_resp(w: &mut Writer<'_>, resp: &MessageResp) -> Result<(), Unfit> {
    w.text("message_id", &resp.message_id, limit::MESSAGE_ID)?;
    w.optional(&resp.tlvs)
}

fn query_resp(w: &mut Writer<'_>, resp: &QuerySmResp) -> Result<(), Unfit> {
    w.text("message_id", &resp.message_id, limit::MESSAGE_ID)?;
    w.time("final_date", &resp.final_date)?;
    w.octets([resp.message_state, resp.error_code]);
    w.optional(&resp.tlvs)
}

fn replace(w: &mut Writer<'_>, replace: &ReplaceSm) -> Result<(), Unfit> {
    w.text("message_id", &replace.message_id, limit::MESSAGE_ID)?;
    w.source(&replace.source, limit::ADDRESS)?;
    w.time("schedule_delivery_time", &replace.schedule_delivery_time)?;
    w.time("validity_period", &replace.validity_period)?;
    w.octets([replace.registered_delivery, replace.sm_default_msg_id]);
    w.short_message(&replace.short_message, &replace.tlvs)?;
    w.essential(&replace.tlvs)
}

fn multi(w: &mut Writer<'_>, multi: &SubmitMulti) -> Result<(), Unfit> {
    if multi.message.destination != Address::default() {
        return Err(Unfit::NoSuchField("destination_addr"));
    }
    w.text("service_type", &multi.message.service_type, limit::SERVICE_TYPE)?;
    w.source(&multi.message.source, limit::ADDRESS)?;
    w.count("number_of_dests", multi.destinations.len(), 1, limit::DESTINATIONS)?;
    for destination in &multi.destinations {
        match destination {
            Destination::Address(address) => {
                w.octets([1]);
                w.destination(address, limit::ADDRESS)?;
            }
            Destination::List(name) => {
                w.octets([2]);
                w.text("dl_name", name, limit::LIST_NAME)?;
            }
        }
    }
    message_rest(w, &multi.message)
}

fn multi_resp(w: &mut Writer<'_>, resp: &SubmitMultiResp) -> Result<(), Unfit> {
    w.text("message_id", &resp.message_id, limit::MESSAGE_ID)?;
    w.count("no_unsuccess", resp.refused.len(), 0, usize::from(u8::MAX))?;
    for refused in &resp.refused {
        w.destination(&refused.address, limit::ADDRESS)?;
        w.to.put_u32(refused.status);
    }
    w.optional(&resp.tlvs)
}

impl Writer<'_> {
    fn address(&mut self, field: &'static str, address: &Address, max: usize) -> Result<(), Unfit> {
        self.octets([address.ton, address.npi]);
        self.text(field, &address.digits, max)
    }

    fn source(&mut self, address: &Address, max: usize) -> Result<(), Unfit> {
        self.address("source_addr", address, max)
    }

    fn destination(&mut self, address: &Address, max: usize) -> Result<(), Unfit> {
        self.address("destination_addr", address, max)
    }

    fn count(&mut self, field: &'static str, count: usize, min: usize, max: usize) -> Result<(), Unfit> {
        let octet = u8::try_from(count).ok().filter(|_| (min..=max).contains(&count));
        self.octets([octet.ok_or(Unfit::Count { field, count, min, max })?]);
        Ok(())
    }

    /// `sm_length` and the text, which may be in one place only.
    fn short_message(&mut self, text: &Bytes, tlvs: &Tlvs) -> Result<(), Unfit> {
        let length = u8::try_from(text.len()).ok().filter(|_| text.len() <= limit::SHORT_MESSAGE);
        let length = length.ok_or(Unfit::TooLong { field: "short_message", max: limit::SHORT_MESSAGE })?;
        if length != 0 && tlvs.get(tag::MESSAGE_PAYLOAD).is_some() {
            return Err(Unfit::TwoTexts);
        }
        self.octets([length]);
        self.to.put_slice(text);
        Ok(())
    }

    /// Optional parameters that can be left out for a peer that knows none.
    fn optional(&mut self, tlvs: &Tlvs) -> Result<(), Unfit> {
        if !self.tlvs {
            return Ok(());
        }
        for tlv in &tlvs.0 {
            let length = u16::try_from(tlv.value.len());
            let length =
                length.map_err(|_| Unfit::TooLong { field: "optional parameter", max: limit::TLV })?;
            self.to.put_u16(tlv.tag);
            self.to.put_u16(length);
            self.to.put_slice(&tlv.value);
        }
        Ok(())
    }

    /// Optional parameters of which some make another message of the message when they are missing.
    fn essential(&mut self, tlvs: &Tlvs) -> Result<(), Unfit> {
        if !self.tlvs {
            for tlv in &tlvs.0 {
                let name = match tlv.tag {
                    tag::MESSAGE_PAYLOAD => "message_payload",
                    tag::SAR_MSG_REF_NUM => "sar_msg_ref_num",
                    tag::SAR_TOTAL_SEGMENTS => "sar_total_segments",
                    tag::SAR_SEGMENT_SEQNUM => "sar_segment_seqnum",
                    tag::USSD_SERVICE_OP => "ussd_service_op",
                    tag::ITS_SESSION_INFO => "its_session_info",
                    _ => continue,
                };
                return Err(Unfit::Version(name));
            }
        }
        self.optional(tlvs)
    }
}
