//! Delivery receipts (SMPP 3.4 appendix B, §5.2.12, §5.3.2.12, §5.3.2.35): read from parameters first, then from a text
//! that every SMSC writes in its own way, and written for those who bind to us.

mod scan;
mod write;

use bytes::Bytes;

use crate::smpp::coding::{self, Charset, Charsets};
use crate::smpp::long;
use crate::smpp::pdu::Message;
use crate::smpp::tlv::tag;

pub use write::{Report, written};

/// Octets of a text that are looked at.
const SCANNED: usize = 1_024;

/// What a message is, by bits 2 to 5 of `esm_class` (§5.2.12).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sort {
    /// An ordinary message of a person.
    Message,
    /// A receipt of the SMSC.
    Receipt,
    /// The phone's own acknowledgement.
    DeliveryAck,
    /// The person's.
    UserAck,
    /// The end of a conversation (Korean CDMA).
    Abort,
    /// A word in between, when nothing is final.
    Intermediate,
    /// Reserved.
    Reserved,
}

impl Sort {
    /// By `esm_class`.
    #[must_use]
    pub const fn of(esm_class: u8) -> Self {
        match esm_class & 0x3c {
            0x00 => Self::Message,
            0x04 => Self::Receipt,
            0x08 => Self::DeliveryAck,
            0x10 => Self::UserAck,
            0x18 => Self::Abort,
            0x20 => Self::Intermediate,
            _ => Self::Reserved,
        }
    }
}

/// Where a message is on its way (§5.2.28, 5.0 §4.7.15).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// 0: waits for its time.
    Scheduled,
    /// 1: on the way.
    Enroute,
    /// 2.
    Delivered,
    /// 3: its time ran out.
    Expired,
    /// 4: somebody took it back.
    Deleted,
    /// 5.
    Undeliverable,
    /// 6: somebody read it for the person.
    Accepted,
    /// 7.
    Unknown,
    /// 8.
    Rejected,
    /// 9.
    Skipped,
}

impl State {
    /// By `message_state`.
    #[must_use]
    pub const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            7 => Self::Unknown,
            8 => Self::Rejected,
            9 => Self::Skipped,
            _ => return None,
        })
    }

    /// `message_state`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
        }
    }

    /// The word of a receipt's `stat:` (appendix B).
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDLD",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// By a word as SMSCs write it: in any case, whole or shortened.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        /// The letters that a word begins with.
        const WORDS: [(&str, State); 18] = [
            ("DELIV", State::Delivered),
            ("DLVRD", State::Delivered),
            ("SUCCESS", State::Delivered),
            ("EXPIR", State::Expired),
            ("DELET", State::Deleted),
            ("CANCEL", State::Deleted),
            ("UNDELIV", State::Undeliverable),
            ("UNDLV", State::Undeliverable),
            ("FAIL", State::Undeliverable),
            ("ACCEP", State::Accepted),
            ("ACKED", State::Accepted),
            ("UNKNO", State::Unknown),
            ("REJEC", State::Rejected),
            ("ENROU", State::Enroute),
            ("BUFFER", State::Enroute),
            ("SCHED", State::Scheduled),
            ("SKIP", State::Skipped),
            ("EN_ROUTE", State::Enroute),
        ];
        let starts =
            |begin: &str| word.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin));
        WORDS.iter().find(|(begin, _)| starts(begin)).map(|(_, state)| *state)
    }

    /// Whether nothing more will come. After `ACCEPTD` many SMSCs still send `DELIVRD`.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Scheduled | Self::Enroute | Self::Accepted | Self::Unknown)
    }
}

/// What a receipt says. Any of it may be missing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Receipt {
    /// The SMSC's id of our message, as the receipt has it.
    pub message_id: Option<Bytes>,
    /// Where the message is.
    pub state: Option<State>,
    /// The network's error as it stands there: mostly digits, of any length. From `network_error_code` if the text has
    /// none: the network's kind and the code, as `3:27`.
    pub error: Option<String>,
    /// When the message came to its end, microseconds UTC if the SMSC's clock is UTC; most are local.
    pub done_at: Option<i64>,
    /// A word in between (`esm_class` 0x20) is never final, whatever the state.
    pub intermediate: bool,
}

impl Receipt {
    /// Whether nothing more will come for this message.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !self.intermediate && self.state.is_some_and(State::is_final)
    }
}

/// Reads a receipt from a `deliver_sm` or `data_sm`, or nothing if the message is none.
///
/// A person can write what looks like a receipt; so only `esm_class` makes one of a text. `receipted_message_id` does it
/// too, since phones cannot send it.
#[must_use]
pub fn read(message: &Message, charsets: &Charsets) -> Option<Receipt> {
    let sort = Sort::of(message.esm_class);
    let id = message.tlvs.text(tag::RECEIPTED_MESSAGE_ID).filter(|id| !id.is_empty());
    if !matches!(sort, Sort::Receipt | Sort::Intermediate) && (sort != Sort::Message || id.is_none()) {
        return None;
    }
    let content = long::content(message);
    let octets = content.text.get(..SCANNED).unwrap_or(&content.text);
    let scanned = scan::scan(&text_of(message.data_coding, octets, charsets));
    let state = message.tlvs.octet(tag::MESSAGE_STATE).and_then(State::of);
    let network = message.tlvs.get(tag::NETWORK_ERROR_CODE).and_then(|value| match value.as_ref() {
        [_, 0, 0] => None,
        [kind, high, low] => Some(format!("{kind}:{}", u16::from_be_bytes([*high, *low]))),
        _ => None,
    });
    Some(Receipt {
        message_id: id.or(scanned.id),
        state: state.or(scanned.state),
        error: scanned.error.or(network),
        done_at: scanned.done_at,
        intermediate: sort == Sort::Intermediate,
    })
}

/// Receipts are ASCII under whatever `data_coding` they come, now and then UCS-2, and now and then UCS-2 without saying
/// so. What is looked for is ASCII, so that reading Latin-1 finds it in every other charset.
fn text_of(data_coding: u8, octets: &[u8], charsets: &Charsets) -> String {
    let wide = octets.len() >= 4 && octets.iter().step_by(2).all(|octet| *octet == 0);
    let packed = charsets.default == Charset::Gsm7Packed && !octets.starts_with(b"id:");
    let says_wide =
        coding::charset(data_coding, charsets) == Ok(Charset::Ucs2) && !octets.starts_with(b"id:");
    if wide || says_wide {
        return coding::decode(coding::UCS2, octets, charsets)
            .map(|decoded| decoded.text)
            .unwrap_or_default();
    }
    if packed && let Ok(decoded) = coding::decode(data_coding, octets, charsets) {
        return decoded.text;
    }
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// How a peer writes a message's id in one place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IdForm {
    /// Octets that mean nothing; they are compared as they are.
    #[default]
    Opaque,
    /// A hexadecimal number: case and leading zeros do not matter.
    Hex,
    /// A decimal number: leading zeros do not matter.
    Decimal,
}

/// How a route's peer writes ids: in responses and in receipts, which may differ.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct IdForms {
    /// In `submit_sm_resp`.
    pub response: IdForm,
    /// In receipts.
    pub receipt: IdForm,
}

impl IdForms {
    /// What an id of a response is found by.
    #[must_use]
    pub fn of_response(&self, id: &[u8]) -> Bytes {
        key(self.response, id)
    }

    /// What the id of a receipt is found by: the same as that of its response.
    #[must_use]
    pub fn of_receipt(&self, id: &[u8]) -> Bytes {
        key(self.receipt, id)
    }
}

/// A number in decimal without leading zeros; what is no number, or has more than 128 bits, stays as it is.
fn key(form: IdForm, id: &[u8]) -> Bytes {
    let radix = match form {
        IdForm::Opaque => return Bytes::copy_from_slice(id),
        IdForm::Hex => 16,
        IdForm::Decimal => 10,
    };
    let text = str::from_utf8(id).unwrap_or_default().trim();
    let text = if form == IdForm::Hex {
        text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
    } else {
        text
    };
    // from_str_radix takes a sign.
    match u128::from_str_radix(text, radix) {
        Ok(number) if text.bytes().all(|octet| octet.is_ascii_hexdigit()) => number.to_string().into(),
        _ => Bytes::copy_from_slice(id),
    }
}

#[cfg(test)]
mod tests;
