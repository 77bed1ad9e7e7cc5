//! Writes PDUs, strict: only what the standard allows leaves us, and the error names the field that is not.

mod body;

use bytes::{BufMut, Bytes, BytesMut};

use crate::smpp::frame::HEADER;
use crate::smpp::pdu::{Pdu, command};
use crate::smpp::status;

/// Greatest lengths of texts in octets, the NUL included (SMPP 3.4 §5.2).
pub mod limit {
    /// §5.2.1.
    pub const SYSTEM_ID: usize = 16;
    /// §5.2.2.
    pub const PASSWORD: usize = 9;
    /// §5.2.3.
    pub const SYSTEM_TYPE: usize = 13;
    /// §5.2.7.
    pub const ADDRESS_RANGE: usize = 41;
    /// §5.2.11.
    pub const SERVICE_TYPE: usize = 6;
    /// §5.2.8, §5.2.9.
    pub const ADDRESS: usize = 21;
    /// In `data_sm` and `alert_notification` (§4.7.1, §4.12.1).
    pub const LONG_ADDRESS: usize = 65;
    /// §5.2.15, §5.2.16: a time has this length or none.
    pub const TIME: usize = 17;
    /// §5.2.23.
    pub const MESSAGE_ID: usize = 65;
    /// §5.2.27.
    pub const LIST_NAME: usize = 21;
    /// §5.2.21: octets of `short_message`.
    pub const SHORT_MESSAGE: usize = 254;
    /// §5.2.24: destinations of `submit_multi`.
    pub const DESTINATIONS: usize = 254;
    /// Octets of a TLV's value (§3.2.4.1).
    pub const TLV: usize = 65_535;
}

/// Why a PDU is not written. Nothing of it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// A field is longer than the standard allows.
    #[error("{field}: longer than {max} octets")]
    TooLong {
        /// The field's name in the standard.
        field: &'static str,
        /// Octets that are allowed, without a NUL.
        max: usize,
    },
    /// A text holds a NUL or an octet over 127 (§3.1: a C-string is ASCII).
    #[error("{0}: not ASCII, or a NUL inside")]
    NotText(&'static str),
    /// A time is neither empty nor of 16 octets.
    #[error("{0}: neither empty nor of 16 octets")]
    NotTime(&'static str),
    /// A field has a value, but the PDU has no such field.
    #[error("{0}: not a field of this PDU")]
    NoSuchField(&'static str),
    /// Text is both in `short_message` and in `message_payload` (§5.2.21).
    #[error("short_message: message_payload holds the text already")]
    TwoTexts,
    /// The peer's version knows no optional parameters, and this one says what the message is.
    #[error("{0}: the peer's version knows no optional parameters")]
    Version(&'static str),
    /// A list has too few elements or too many.
    #[error("{field}: {count} elements, allowed are {min} to {max}")]
    Count {
        /// The field that counts them.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many there must be.
        min: usize,
        /// How many there may be.
        max: usize,
    },
    /// A request's number is not between 1 and 0x7fff_ffff (§5.1.4).
    #[error("sequence_number: {0} is not between 1 and 2147483647")]
    Sequence(u32),
    /// A request has a status (§5.1.3), or a `generic_nack` none.
    #[error("command_status: {0:#x} does not go with this PDU")]
    Status(u32),
}

/// Writes a PDU at the end of `to` for a peer that speaks `interface_version`.
///
/// A response with a status other than 0 is written as a header alone (SMPP 3.4 §4.4.2 and others). For versions below
/// 0x34 optional parameters are left out (§2.7.1), or the PDU refused if they say what the message is.
///
/// # Errors
/// [`Unfit`] names the field that the standard does not allow so; `to` is as it was.
pub fn encode(pdu: &Pdu, interface_version: u8, to: &mut BytesMut) -> Result<(), Unfit> {
    let start = to.len();
    let written = write(pdu, interface_version, to, start);
    if written.is_err() {
        to.truncate(start);
    }
    written
}

fn write(pdu: &Pdu, interface_version: u8, to: &mut BytesMut, start: usize) -> Result<(), Unfit> {
    let id = pdu.body.command_id();
    let response = id & command::RESPONSE != 0;
    if !response && !(1..=0x7fff_ffff).contains(&pdu.sequence) {
        return Err(Unfit::Sequence(pdu.sequence));
    }
    if (!response && pdu.status != status::ROK) || (id == command::GENERIC_NACK && pdu.status == status::ROK)
    {
        return Err(Unfit::Status(pdu.status));
    }
    to.reserve(body::room(&pdu.body));
    to.put_u32(0);
    to.put_u32(id);
    to.put_u32(pdu.status);
    to.put_u32(pdu.sequence);
    if pdu.status == status::ROK {
        let mut writer = Writer { to, tlvs: interface_version >= 0x34 };
        body::write(&pdu.body, &mut writer)?;
    }
    let size = to.len() - start;
    let length = u32::try_from(size)
        .map_err(|_| Unfit::TooLong { field: "command_length", max: u32::MAX as usize })?;
    if let Some(place) = to.get_mut(start..).and_then(|pdu| pdu.first_chunk_mut()) {
        *place = length.to_be_bytes();
    }
    debug_assert!(size >= HEADER);
    Ok(())
}

struct Writer<'t> {
    to: &'t mut BytesMut,
    /// Whether the peer knows optional parameters.
    tlvs: bool,
}

impl Writer<'_> {
    fn octets<const N: usize>(&mut self, octets: [u8; N]) {
        self.to.put_slice(&octets);
    }

    /// A C-string of at most `max` octets with its NUL.
    fn text(&mut self, field: &'static str, text: &Bytes, max: usize) -> Result<(), Unfit> {
        if text.len() >= max {
            return Err(Unfit::TooLong { field, max: max - 1 });
        }
        if !text.iter().all(|octet| (1..=127).contains(octet)) {
            return Err(Unfit::NotText(field));
        }
        self.to.put_slice(text);
        self.to.put_u8(0);
        Ok(())
    }

    /// A time, or none.
    fn time(&mut self, field: &'static str, time: &Bytes) -> Result<(), Unfit> {
        if !time.is_empty() && time.len() != limit::TIME - 1 {
            return Err(Unfit::NotTime(field));
        }
        self.text(field, time, limit::TIME)
    }
}

#[cfg(test)]
mod tests;
