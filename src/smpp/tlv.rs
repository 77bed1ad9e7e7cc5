//! Optional parameters: kept raw and in order, typed on demand (SMPP 3.4 §5.3, 5.0 §4.8).

use bytes::Bytes;

/// Tags that Keytone reads or writes.
pub mod tag {
    #![allow(missing_docs, reason = "the standard's names say what they are")]
    pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub const SC_INTERFACE_VERSION: u16 = 0x0210;
    pub const SAR_MSG_REF_NUM: u16 = 0x020c;
    pub const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
    pub const SAR_SEGMENT_SEQNUM: u16 = 0x020f;
    pub const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
    pub const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub const CONGESTION_STATE: u16 = 0x0428;
    pub const MESSAGE_STATE: u16 = 0x0427;
    pub const USSD_SERVICE_OP: u16 = 0x0501;
    pub const ITS_REPLY_TYPE: u16 = 0x1380;
    pub const ITS_SESSION_INFO: u16 = 0x1383;
}

/// A list of optional parameters, unknown and repeated ones too.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tlvs(pub Vec<Tlv>);

/// One of them.
#[derive(Clone, Debug, Eq, PartialEq)]
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

    /// Adds one at the end.
    pub fn push(&mut self, tag: u16, value: impl Into<Bytes>) {
        self.0.push(Tlv { tag, value: value.into() });
    }
}
