//! What an SMPP PDU says: the header's numbers and one type for each body (SMPP 3.4 §4, 5.0 §4).
//!
//! Numbers stay numbers, since peers use values of their own, and texts stay bytes, since their charset is a matter of the
//! route. Nothing here is checked: `parse` takes what it can, `encode` refuses what the standard does not allow.

use bytes::Bytes;

use crate::smpp::other::{Other, QuerySmResp, SubmitMultiResp};
use crate::smpp::tlv::Tlvs;

/// A `command_id` (SMPP 3.4 §5.1.2.1). A response has the top bit.
pub mod command {
    #![allow(missing_docs, reason = "the standard's names say what they are")]
    pub const BIND_RECEIVER: u32 = 0x0000_0001;
    pub const BIND_TRANSMITTER: u32 = 0x0000_0002;
    pub const QUERY_SM: u32 = 0x0000_0003;
    pub const SUBMIT_SM: u32 = 0x0000_0004;
    pub const DELIVER_SM: u32 = 0x0000_0005;
    pub const UNBIND: u32 = 0x0000_0006;
    pub const REPLACE_SM: u32 = 0x0000_0007;
    pub const CANCEL_SM: u32 = 0x0000_0008;
    pub const BIND_TRANSCEIVER: u32 = 0x0000_0009;
    pub const OUTBIND: u32 = 0x0000_000b;
    pub const ENQUIRE_LINK: u32 = 0x0000_0015;
    pub const SUBMIT_MULTI: u32 = 0x0000_0021;
    pub const ALERT_NOTIFICATION: u32 = 0x0000_0102;
    pub const DATA_SM: u32 = 0x0000_0103;
    pub const BROADCAST_SM: u32 = 0x0000_0111;
    pub const QUERY_BROADCAST_SM: u32 = 0x0000_0112;
    pub const CANCEL_BROADCAST_SM: u32 = 0x0000_0113;
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    /// The bit that a response has over its request.
    pub const RESPONSE: u32 = 0x8000_0000;
}

/// One PDU.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pdu {
    /// `command_status`; 0 in requests.
    pub status: u32,
    /// `sequence_number`, 1 to 0x7fff_ffff.
    pub sequence: u32,
    /// What it says.
    pub body: Body,
}

/// A PDU's body, by its `command_id`.
#[derive(Clone, Eq, PartialEq)]
pub enum Body {
    /// `bind_receiver`, `bind_transmitter`, `bind_transceiver`.
    Bind(Role, Bind),
    /// The response to it.
    BindResp(Role, BindResp),
    /// `outbind`: an SMSC asks us to bind.
    Outbind {
        /// The SMSC's id.
        system_id: Bytes,
        /// Its password.
        password: Bytes,
    },
    /// `unbind`.
    Unbind,
    /// `unbind_resp`.
    UnbindResp,
    /// `enquire_link`.
    EnquireLink,
    /// `enquire_link_resp`.
    EnquireLinkResp,
    /// `generic_nack`.
    GenericNack,
    /// `submit_sm`.
    SubmitSm(Message),
    /// `submit_sm_resp`.
    SubmitSmResp(MessageResp),
    /// `deliver_sm`.
    DeliverSm(Message),
    /// `deliver_sm_resp`.
    DeliverSmResp(MessageResp),
    /// `data_sm`: a [`Message`] whose text is in `message_payload`; the fields that it does not have are their defaults.
    DataSm(Message),
    /// `data_sm_resp`.
    DataSmResp(MessageResp),
    /// Any other PDU of the standard, typed in `other`.
    Other(Other),
}

impl Body {
    /// The `command_id` that this body goes with.
    #[must_use]
    pub const fn command_id(&self) -> u32 {
        use command as c;
        match self {
            Self::Bind(role, _) => role.command_id(),
            Self::BindResp(role, _) => role.command_id() | c::RESPONSE,
            Self::Outbind { .. } => c::OUTBIND,
            Self::Unbind => c::UNBIND,
            Self::UnbindResp => c::UNBIND | c::RESPONSE,
            Self::EnquireLink => c::ENQUIRE_LINK,
            Self::EnquireLinkResp => c::ENQUIRE_LINK | c::RESPONSE,
            Self::GenericNack => c::GENERIC_NACK,
            Self::SubmitSm(_) => c::SUBMIT_SM,
            Self::SubmitSmResp(_) => c::SUBMIT_SM | c::RESPONSE,
            Self::DeliverSm(_) => c::DELIVER_SM,
            Self::DeliverSmResp(_) => c::DELIVER_SM | c::RESPONSE,
            Self::DataSm(_) => c::DATA_SM,
            Self::DataSmResp(_) => c::DATA_SM | c::RESPONSE,
            Self::Other(other) => other.command_id(),
        }
    }

    /// The bare response of a command: `None` for responses, for what has no response (`outbind`,
    /// `alert_notification`), and for commands that are not of the standard.
    #[must_use]
    pub fn response_of(command_id: u32) -> Option<Self> {
        use command as c;
        Some(match command_id {
            c::BIND_RECEIVER => Self::BindResp(Role::Receiver, BindResp::default()),
            c::BIND_TRANSMITTER => Self::BindResp(Role::Transmitter, BindResp::default()),
            c::BIND_TRANSCEIVER => Self::BindResp(Role::Transceiver, BindResp::default()),
            c::UNBIND => Self::UnbindResp,
            c::ENQUIRE_LINK => Self::EnquireLinkResp,
            c::SUBMIT_SM => Self::SubmitSmResp(MessageResp::default()),
            c::DELIVER_SM => Self::DeliverSmResp(MessageResp::default()),
            c::DATA_SM => Self::DataSmResp(MessageResp::default()),
            c::QUERY_SM => Self::Other(Other::QuerySmResp(QuerySmResp::default())),
            c::CANCEL_SM => Self::Other(Other::CancelSmResp),
            c::REPLACE_SM => Self::Other(Other::ReplaceSmResp),
            c::SUBMIT_MULTI => Self::Other(Other::SubmitMultiResp(SubmitMultiResp::default())),
            c::BROADCAST_SM => Self::Other(Other::BroadcastSmResp(MessageResp::default())),
            c::QUERY_BROADCAST_SM => Self::Other(Other::QueryBroadcastSmResp(MessageResp::default())),
            c::CANCEL_BROADCAST_SM => Self::Other(Other::CancelBroadcastSmResp),
            _ => return None,
        })
    }

    /// Whether it is a response; `generic_nack` is one.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.command_id() & command::RESPONSE != 0
    }
}

impl Pdu {
    /// A request.
    #[must_use]
    pub const fn request(sequence: u32, body: Body) -> Self {
        Self { status: 0, sequence, body }
    }

    /// The bare response to this request with a status; nothing where the standard has no response. Whoever answers
    /// well fills the body in.
    #[must_use]
    pub fn response_to(&self, status: u32) -> Option<Self> {
        let body = Body::response_of(self.body.command_id())?;
        Some(Self { status, sequence: self.sequence, body })
    }
}

impl Role {
    /// The `command_id` of the bind for this role.
    #[must_use]
    pub const fn command_id(self) -> u32 {
        match self {
            Self::Receiver => command::BIND_RECEIVER,
            Self::Transmitter => command::BIND_TRANSMITTER,
            Self::Transceiver => command::BIND_TRANSCEIVER,
        }
    }
}

/// What a bind is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The ESME only receives.
    Receiver,
    /// The ESME only sends.
    Transmitter,
    /// Both.
    Transceiver,
}

/// The body of a bind request.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Bind {
    /// Who binds, at most 15 octets.
    pub system_id: Bytes,
    /// At most 8 octets.
    pub password: Bytes,
    /// At most 12 octets.
    pub system_type: Bytes,
    /// 0x34 for 3.4, 0x50 for 5.0, up to 0x33 for what is older.
    pub interface_version: u8,
    /// Type of number of the range.
    pub addr_ton: u8,
    /// Numbering plan of the range.
    pub addr_npi: u8,
    /// Which addresses are served, at most 40 octets.
    pub address_range: Bytes,
}

/// The body of a response to a bind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BindResp {
    /// The SMSC.
    pub system_id: Bytes,
    /// `sc_interface_version` and others.
    pub tlvs: Tlvs,
}

/// An address with its type of number and numbering plan.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Address {
    /// Type of number (SMPP 3.4 §5.2.5).
    pub ton: u8,
    /// Numbering plan indicator (§5.2.6).
    pub npi: u8,
    /// At most 20 octets (64 in `data_sm`).
    pub digits: Bytes,
}

/// The body of `submit_sm`, `deliver_sm` and `data_sm`.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Message {
    /// At most 5 octets; `USSD` by custom.
    pub service_type: Bytes,
    /// From.
    pub source: Address,
    /// To.
    pub destination: Address,
    /// What the message is (§5.2.12).
    pub esm_class: u8,
    /// Protocol identifier.
    pub protocol_id: u8,
    /// 0 to 3.
    pub priority: u8,
    /// When, 16 octets or none (§7.1.1).
    pub schedule_delivery_time: Bytes,
    /// Until when, 16 octets or none.
    pub validity_period: Bytes,
    /// Whether a receipt is wanted (§5.2.17).
    pub registered_delivery: u8,
    /// Replaces an equal message.
    pub replace_if_present: u8,
    /// How the text is coded (§5.2.19).
    pub data_coding: u8,
    /// A canned message.
    pub sm_default_msg_id: u8,
    /// At most 254 octets; with UDH in front when `esm_class` says so.
    pub short_message: Bytes,
    /// What follows.
    pub tlvs: Tlvs,
}

/// The body of a response to a message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MessageResp {
    /// The SMSC's id of the message; empty in `deliver_sm_resp`.
    pub message_id: Bytes,
    /// What follows.
    pub tlvs: Tlvs,
}
