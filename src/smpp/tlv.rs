//! Optional parameters: kept raw and in order, typed on demand (SMPP 3.4 §5.3, 5.0 §4.8).

use bytes::Bytes;

/// The tags of the standards (SMPP 3.4 §5.3.2, 5.0 §4.8.3). Vendors' are 0x1400 to 0x3fff.
pub mod tag {
    #![allow(missing_docs, reason = "the standard's names say what they are")]
    pub const DEST_ADDR_SUBUNIT: u16 = 0x0005;
    pub const DEST_NETWORK_TYPE: u16 = 0x0006;
    pub const DEST_BEARER_TYPE: u16 = 0x0007;
    pub const DEST_TELEMATICS_ID: u16 = 0x0008;
    pub const SOURCE_ADDR_SUBUNIT: u16 = 0x000d;
    pub const SOURCE_NETWORK_TYPE: u16 = 0x000e;
    pub const SOURCE_BEARER_TYPE: u16 = 0x000f;
    pub const SOURCE_TELEMATICS_ID: u16 = 0x0010;
    pub const QOS_TIME_TO_LIVE: u16 = 0x0017;
    pub const PAYLOAD_TYPE: u16 = 0x0019;
    pub const ADDITIONAL_STATUS_INFO_TEXT: u16 = 0x001d;
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
    pub const MS_MSG_WAIT_FACILITIES: u16 = 0x0030;
    pub const PRIVACY_INDICATOR: u16 = 0x0201;
    pub const SOURCE_SUBADDRESS: u16 = 0x0202;
    pub const DEST_SUBADDRESS: u16 = 0x0203;
    pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub const USER_RESPONSE_CODE: u16 = 0x0205;
    pub const SOURCE_PORT: u16 = 0x020a;
    pub const DESTINATION_PORT: u16 = 0x020b;
    pub const SAR_MSG_REF_NUM: u16 = 0x020c;
    pub const LANGUAGE_INDICATOR: u16 = 0x020d;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020f;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub const CALLBACK_NUM_PRES_IND: u16 = 0x0302;
    pub const CALLBACK_NUM_ATAG: u16 = 0x0303;
    pub const NUMBER_OF_MESSAGES: u16 = 0x0304;
    pub const CALLBACK_NUM: u16 = 0x0381;
    pub const DPF_RESULT: u16 = 0x0420;
    pub const SET_DPF: u16 = 0x0421;
    pub const MS_AVAILABILITY_STATUS: u16 = 0x0422;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const DELIVERY_FAILURE_REASON: u16 = 0x0425;
    pub const MORE_MESSAGES_TO_SEND: u16 = 0x0426;
    pub const MESSAGE_STATE: u16 = 0x0427;
    pub const CONGESTION_STATE: u16 = 0x0428;
    pub const USSD_SERVICE_OP: u16 = 0x0501;
    pub const BROADCAST_CHANNEL_INDICATOR: u16 = 0x0600;
    pub const BROADCAST_CONTENT_TYPE: u16 = 0x0601;
    pub const BROADCAST_CONTENT_TYPE_INFO: u16 = 0x0602;
    pub const BROADCAST_MESSAGE_CLASS: u16 = 0x0603;
    pub const BROADCAST_REP_NUM: u16 = 0x0604;
    pub const BROADCAST_FREQUENCY_INTERVAL: u16 = 0x0605;
    pub const BROADCAST_AREA_IDENTIFIER: u16 = 0x0606;
    pub const BROADCAST_ERROR_STATUS: u16 = 0x0607;
    pub const BROADCAST_AREA_SUCCESS: u16 = 0x0608;
    pub const BROADCAST_END_TIME: u16 = 0x0609;
    pub const BROADCAST_SERVICE_GROUP: u16 = 0x060a;
    pub const BILLING_IDENTIFICATION: u16 = 0x060b;
    pub const SOURCE_NETWORK_ID: u16 = 0x060d;
    pub const DEST_NETWORK_ID: u16 = 0x060e;
    pub const SOURCE_NODE_ID: u16 = 0x060f;
    pub const DEST_NODE_ID: u16 = 0x0610;
    pub const DEST_ADDR_NP_RESOLUTION: u16 = 0x0611;
    pub const DEST_ADDR_NP_INFORMATION: u16 = 0x0612;
    pub const DEST_ADDR_NP_COUNTRY: u16 = 0x0613;
    pub const DISPLAY_TIME: u16 = 0x1201;
    pub const SMS_SIGNAL: u16 = 0x1203;
    pub const MS_VALIDITY: u16 = 0x1204;
    pub const ALERT_ON_MESSAGE_DELIVERY: u16 = 0x130c;
    pub const ITS_REPLY_TYPE: u16 = 0x1380;
    pub const ITS_SESSION_INFO: u16 = 0x1383;
}

/// A list of optional parameters, unknown and repeated ones too.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tlvs(pub Vec<Tlv>);

/// One of them.
#[derive(Clone, Eq, PartialEq)]
pub struct Tlv {
    /// Which.
    pub tag: u16,
    /// Its value, at most 65,535 octets.
    pub value: Bytes,
}

impl Tlvs {
    /// The first value of a tag.
    #[must_use]
    pub fn get(&self, tag: u16) -> Option<&Bytes> {
        self.0.iter().find(|tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// A value of one octet.
    #[must_use]
    pub fn octet(&self, tag: u16) -> Option<u8> {
        self.get(tag)?.first().copied()
    }

    /// A big-endian number of one, two or four octets; peers differ in how many they send.
    #[must_use]
    pub fn number(&self, tag: u16) -> Option<u32> {
        let value = self.get(tag)?;
        (1..=4)
            .contains(&value.len())
            .then(|| value.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    /// A C-string, with its NUL or without.
    #[must_use]
    pub fn text(&self, tag: u16) -> Option<Bytes> {
        let value = self.get(tag)?;
        let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
        Some(value.slice(..end))
    }

    /// Every value of a tag, in order.
    pub fn all(&self, tag: u16) -> impl Iterator<Item = &Bytes> {
        self.0.iter().filter(move |tlv| tlv.tag == tag).map(|tlv| &tlv.value)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one at the end.
    pub fn push(&mut self, tag: u16, value: impl Into<Bytes>) {
        self.0.push(Tlv { tag, value: value.into() });
    }
}
