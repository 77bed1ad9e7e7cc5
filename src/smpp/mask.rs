//! What of a PDU a log may show: never a text or a password, which may be or hold a PIN, and of a number its end.

use std::fmt::{Debug, Formatter, Result};

use crate::smpp::coding::Decoded;
use crate::smpp::long::{Content, Held, Part};
use crate::smpp::other::ReplaceSm;
use crate::smpp::pdu::{Address, Bind, Body, Message};
use crate::smpp::tlv::Tlv;

/// Digits of a number that are shown.
const SHOWN: usize = 3;
/// Octets of an optional parameter that are shown; longer ones are texts and numbers.
const SHORT: usize = 4;

/// Something of which only the length is shown.
struct Hidden(usize);

impl Debug for Hidden {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "<{} octets>", self.0)
    }
}

impl Debug for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let end = self.digits.len().saturating_sub(SHOWN);
        let shown = self.digits.get(end..).unwrap_or_default();
        write!(f, "{}/{}:{}{}", self.ton, self.npi, "*".repeat(end), shown.escape_ascii())
    }
}

impl Debug for Tlv {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{:#06x}=", self.tag)?;
        if self.value.len() > SHORT {
            return Hidden(self.value.len()).fmt(f);
        }
        self.value.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl Debug for Bind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("password", &Hidden(self.password.len()))
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("addr_ton", &self.addr_ton)
            .field("addr_npi", &self.addr_npi)
            .field("address_range", &self.address_range)
            .finish()
    }
}

impl Debug for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Message")
            .field("service_type", &self.service_type)
            .field("source", &self.source)
            .field("destination", &self.destination)
            .field("esm_class", &self.esm_class)
            .field("protocol_id", &self.protocol_id)
            .field("priority", &self.priority)
            .field("schedule_delivery_time", &self.schedule_delivery_time)
            .field("validity_period", &self.validity_period)
            .field("registered_delivery", &self.registered_delivery)
            .field("replace_if_present", &self.replace_if_present)
            .field("data_coding", &self.data_coding)
            .field("sm_default_msg_id", &self.sm_default_msg_id)
            .field("short_message", &Hidden(self.short_message.len()))
            .field("tlvs", &self.tlvs.0)
            .finish()
    }
}

impl Debug for ReplaceSm {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("ReplaceSm")
            .field("message_id", &self.message_id)
            .field("source", &self.source)
            .field("schedule_delivery_time", &self.schedule_delivery_time)
            .field("validity_period", &self.validity_period)
            .field("registered_delivery", &self.registered_delivery)
            .field("sm_default_msg_id", &self.sm_default_msg_id)
            .field("short_message", &Hidden(self.short_message.len()))
            .field("tlvs", &self.tlvs.0)
            .finish()
    }
}

impl Debug for Body {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Bind(role, bind) => f.debug_tuple("Bind").field(role).field(bind).finish(),
            Self::BindResp(role, resp) => f.debug_tuple("BindResp").field(role).field(resp).finish(),
            Self::Outbind { system_id, password } => f
                .debug_struct("Outbind")
                .field("system_id", system_id)
                .field("password", &Hidden(password.len()))
                .finish(),
            Self::Unbind => f.write_str("Unbind"),
            Self::UnbindResp => f.write_str("UnbindResp"),
            Self::EnquireLink => f.write_str("EnquireLink"),
            Self::EnquireLinkResp => f.write_str("EnquireLinkResp"),
            Self::GenericNack => f.write_str("GenericNack"),
            Self::SubmitSm(message) => f.debug_tuple("SubmitSm").field(message).finish(),
            Self::SubmitSmResp(resp) => f.debug_tuple("SubmitSmResp").field(resp).finish(),
            Self::DeliverSm(message) => f.debug_tuple("DeliverSm").field(message).finish(),
            Self::DeliverSmResp(resp) => f.debug_tuple("DeliverSmResp").field(resp).finish(),
            Self::DataSm(message) => f.debug_tuple("DataSm").field(message).finish(),
            Self::DataSmResp(resp) => f.debug_tuple("DataSmResp").field(resp).finish(),
            Self::Other(other) => f.debug_tuple("Other").field(other).finish(),
        }
    }
}

impl Debug for Decoded {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { text, lossy } = self;
        f.debug_struct("Decoded").field("text", &Hidden(text.len())).field("lossy", lossy).finish()
    }
}

impl Debug for Content {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Content")
            .field("text", &Hidden(self.text.len()))
            .field("concat", &self.concat)
            .field("elements", &self.elements.len())
            .field("malformed", &self.malformed)
            .finish_non_exhaustive()
    }
}

impl Debug for Held {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Held")
            .field("part", &self.part)
            .field("data_coding", &self.data_coding)
            .field("text", &Hidden(self.text.len()))
            .finish_non_exhaustive()
    }
}

impl Debug for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Part")
            .field("esm_class", &self.esm_class)
            .field("short_message", &Hidden(self.short_message.len()))
            .field("tlvs", &self.tlvs.0)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::smpp::other::Other;
    use crate::smpp::pdu::Role;
    use crate::smpp::tlv::{Tlvs, tag};

    #[test]
    fn neither_texts_nor_passwords_are_shown() {
        let pin = Bytes::from_static(b"RC 50 4711");
        let mut tlvs = Tlvs::default();
        tlvs.push(tag::MESSAGE_PAYLOAD, pin.clone());
        tlvs.push(tag::USSD_SERVICE_OP, vec![2]);
        let source = Address { ton: 1, npi: 1, digits: Bytes::from_static(b"8613847110001") };
        let message =
            Message { source, short_message: pin.clone(), tlvs: tlvs.clone(), ..Message::default() };
        let bind = Bind { password: pin.clone(), ..Bind::default() };
        for shown in [
            format!("{:?}", Body::SubmitSm(message.clone())),
            format!("{:#?}", Body::DeliverSm(message.clone())),
            format!("{:?}", Body::DataSm(message)),
            format!("{:?}", Body::Bind(Role::Transceiver, bind)),
            format!("{:?}", Body::Outbind { system_id: Bytes::new(), password: pin.clone() }),
            format!(
                "{:?}",
                Body::Other(Other::ReplaceSm(ReplaceSm {
                    short_message: pin.clone(),
                    ..ReplaceSm::default()
                }))
            ),
            format!("{:?}", Decoded { text: "4711".into(), lossy: false }),
            format!("{:?}", Content { text: pin.clone(), ..Content::default() }),
            format!("{:?}", Held { part: 1, data_coding: 0, text: pin.clone(), fill: 0 }),
            format!("{:?}", Part { short_message: pin.clone(), tlvs, ..Part::default() }),
        ] {
            assert!(!shown.contains("4711"), "{shown}");
            assert!(!shown.contains("34, 37"), "as numbers: {shown}");
        }
        let address = Address { ton: 5, npi: 0, digits: Bytes::from_static(b"\xe9\0") };
        assert_eq!(format!("{address:?}"), "5/0:\\xe9\\x00");
    }
}
