//! Bodies that a payment gateway meets seldom: query, cancel, replace, many destinations, alerts, and the broadcasts of
//! SMPP 5.0.

use bytes::Bytes;

use crate::smpp::pdu::{Address, Message, MessageResp, command};
use crate::smpp::tlv::Tlvs;

/// The seldom ones, requests and responses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Other {
    /// `query_sm`.
    QuerySm(QuerySm),
    /// `query_sm_resp`.
    QuerySmResp(QuerySmResp),
    /// `cancel_sm`.
    CancelSm(CancelSm),
    /// `cancel_sm_resp`.
    CancelSmResp,
    /// `replace_sm`.
    ReplaceSm(ReplaceSm),
    /// `replace_sm_resp`.
    ReplaceSmResp,
    /// `submit_multi`.
    SubmitMulti(SubmitMulti),
    /// `submit_multi_resp`.
    SubmitMultiResp(SubmitMultiResp),
    /// `alert_notification`, which has no response.
    AlertNotification(AlertNotification),
    /// `broadcast_sm`.
    BroadcastSm(BroadcastSm),
    /// `broadcast_sm_resp`.
    BroadcastSmResp(MessageResp),
    /// `query_broadcast_sm`.
    QueryBroadcastSm(QueryBroadcastSm),
    /// `query_broadcast_sm_resp`: the state is in its TLVs.
    QueryBroadcastSmResp(MessageResp),
    /// `cancel_broadcast_sm`.
    CancelBroadcastSm(CancelBroadcastSm),
    /// `cancel_broadcast_sm_resp`.
    CancelBroadcastSmResp,
}

impl Other {
    /// The `command_id` that this body goes with.
    #[must_use]
    pub const fn command_id(&self) -> u32 {
        match self {
            Self::QuerySm(_) => command::QUERY_SM,
            Self::QuerySmResp(_) => command::QUERY_SM | command::RESPONSE,
            Self::CancelSm(_) => command::CANCEL_SM,
            Self::CancelSmResp => command::CANCEL_SM | command::RESPONSE,
            Self::ReplaceSm(_) => command::REPLACE_SM,
            Self::ReplaceSmResp => command::REPLACE_SM | command::RESPONSE,
            Self::SubmitMulti(_) => command::SUBMIT_MULTI,
            Self::SubmitMultiResp(_) => command::SUBMIT_MULTI | command::RESPONSE,
            Self::AlertNotification(_) => command::ALERT_NOTIFICATION,
            Self::BroadcastSm(_) => command::BROADCAST_SM,
            Self::BroadcastSmResp(_) => command::BROADCAST_SM | command::RESPONSE,
            Self::QueryBroadcastSm(_) => command::QUERY_BROADCAST_SM,
            Self::QueryBroadcastSmResp(_) => command::QUERY_BROADCAST_SM | command::RESPONSE,
            Self::CancelBroadcastSm(_) => command::CANCEL_BROADCAST_SM,
            Self::CancelBroadcastSmResp => command::CANCEL_BROADCAST_SM | command::RESPONSE,
        }
    }
}

/// What became of a message? (SMPP 3.4 §4.8.1)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QuerySm {
    /// The SMSC's id, at most 64 octets.
    pub message_id: Bytes,
    /// The sender of the message, or nothing if it was the default.
    pub source: Address,
}

/// What became of it (§4.8.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QuerySmResp {
    /// The SMSC's id.
    pub message_id: Bytes,
    /// When it came to its end, 16 octets, or none while it has not.
    pub final_date: Bytes,
    /// §5.2.28.
    pub message_state: u8,
    /// The network's error.
    pub error_code: u8,
    /// What follows (5.0).
    pub tlvs: Tlvs,
}

/// Do not send a message (§4.9.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CancelSm {
    /// Of which service, where no id is given.
    pub service_type: Bytes,
    /// Which; empty for all that fit the addresses.
    pub message_id: Bytes,
    /// From.
    pub source: Address,
    /// To.
    pub destination: Address,
}

/// Send another text (§4.10.1).
#[derive(Clone, Default, Eq, PartialEq)]
pub struct ReplaceSm {
    /// Which message.
    pub message_id: Bytes,
    /// Its sender.
    pub source: Address,
    /// When, 16 octets or none.
    pub schedule_delivery_time: Bytes,
    /// Until when, 16 octets or none.
    pub validity_period: Bytes,
    /// Whether a receipt is wanted.
    pub registered_delivery: u8,
    /// A canned message.
    pub sm_default_msg_id: u8,
    /// At most 254 octets.
    pub short_message: Bytes,
    /// What follows (5.0: `message_payload`).
    pub tlvs: Tlvs,
}

/// One text to many (§4.5.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubmitMulti {
    /// The message; its `destination` is not sent.
    pub message: Message,
    /// To whom, at most 254.
    pub destinations: Vec<Destination>,
}

/// One of many destinations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// A number.
    Address(Address),
    /// A list that the SMSC knows by name, at most 20 octets.
    List(Bytes),
}

/// Who of many was refused (§4.5.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubmitMultiResp {
    /// The SMSC's id.
    pub message_id: Bytes,
    /// To whom it will not go.
    pub refused: Vec<Refused>,
    /// What follows (5.0).
    pub tlvs: Tlvs,
}

/// A destination that was refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Refused {
    /// Who.
    pub address: Address,
    /// Why, a `command_status`.
    pub status: u32,
}

/// A subscriber can be reached again (§4.12.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlertNotification {
    /// Who, at most 64 octets.
    pub source: Address,
    /// Whom it concerns, at most 64 octets.
    pub esme: Address,
    /// `ms_availability_status`.
    pub tlvs: Tlvs,
}

/// A text to all in some cells (5.0 §4.4.1.1); the areas are in its TLVs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BroadcastSm {
    /// At most 5 octets.
    pub service_type: Bytes,
    /// From.
    pub source: Address,
    /// Which message it replaces, or none.
    pub message_id: Bytes,
    /// 0 to 4.
    pub priority: u8,
    /// When, 16 octets or none.
    pub schedule_delivery_time: Bytes,
    /// Until when, 16 octets or none.
    pub validity_period: Bytes,
    /// Replaces an equal message.
    pub replace_if_present: u8,
    /// How the text is coded.
    pub data_coding: u8,
    /// A canned message.
    pub sm_default_msg_id: u8,
    /// Areas, content type, repetitions, interval, text.
    pub tlvs: Tlvs,
}

/// What became of a broadcast? (5.0 §4.6.1.1)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueryBroadcastSm {
    /// Which.
    pub message_id: Bytes,
    /// Its sender.
    pub source: Address,
    /// `user_message_reference`.
    pub tlvs: Tlvs,
}

/// End a broadcast (5.0 §4.6.2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CancelBroadcastSm {
    /// Of which service, where no id is given.
    pub service_type: Bytes,
    /// Which.
    pub message_id: Bytes,
    /// Its sender.
    pub source: Address,
    /// `broadcast_content_type`, `user_message_reference`.
    pub tlvs: Tlvs,
}
