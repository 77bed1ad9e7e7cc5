//! Cuts a text into the parts that go on the air. A part holds 140 octets with its header; septets and UTF-16 units are
//! counted, and what belongs together stays so: ESC and its septet, a pair of surrogates, the octets of one character.

use bytes::{Bytes, BytesMut};

use crate::gsm;
use crate::smpp::coding::{self, Charset, Charsets, Scheme};
use crate::smpp::long::{CONCAT_8, CONCAT_16, UDHI};
use crate::smpp::pdu::Message;
use crate::smpp::tlv::{Tlvs, tag};

/// Octets of user data in one SMS, the header counted (3GPP TS 23.040 §9.2.3.16).
const OCTETS: usize = 140;
/// Octets of a header with a reference of 8 bits, its length counted.
const HEADER_8: usize = 6;
/// Octets of a header with a reference of 16 bits, its length counted.
const HEADER_16: usize = 7;
/// The most parts that a reference can number.
const PARTS: usize = 255;

/// How a route wants long messages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// A user data header with a reference of 8 bits: 153 septets or 67 UCS-2 characters a part.
    #[default]
    Udh8,
    /// A user data header with a reference of 16 bits: 152 septets or 66 UCS-2 characters a part.
    Udh16,
    /// `sar_` parameters, of which the SMSC makes a header: 153 septets or 67 UCS-2 characters a part.
    Sar,
    /// All of it in `message_payload`, which the SMSC cuts.
    Payload,
}

/// A text that is ready to be put into messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// For all parts.
    pub data_coding: u8,
    /// One or more, in order.
    pub parts: Vec<Part>,
    /// How many messages go on the air and are paid for; more than `parts` if the SMSC cuts.
    pub segments: usize,
}

/// One part.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Part {
    /// What to add to `esm_class`.
    pub esm_class: u8,
    /// `short_message`, the header in front if there is one.
    pub short_message: Bytes,
    /// `sar_` parameters or `message_payload`.
    pub tlvs: Tlvs,
}

impl Part {
    /// Puts this part into a message; its other optional parameters stay.
    pub fn put(&self, data_coding: u8, message: &mut Message) {
        message.data_coding = data_coding;
        message.esm_class |= self.esm_class;
        message.short_message = self.short_message.clone();
        message.tlvs.0.extend(self.tlvs.0.iter().cloned());
    }
}

/// A text that has more parts than can be numbered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("text: {parts} parts, at most 255 can be numbered")]
pub struct TooLong {
    /// How many it would have.
    pub parts: usize,
}

/// A text, encoded, and where it may be cut.
struct Encoded {
    charset: Charset,
    data_coding: u8,
    /// Octets as they go into `short_message`; septets are not packed yet.
    octets: Vec<u8>,
}

impl Encoded {
    fn new(text: &str, charsets: &Charsets) -> Self {
        let chosen = coding::choose(text, charsets);
        let octets = coding::octets(&chosen.text, chosen.charset).unwrap_or_default();
        Self { charset: chosen.charset, data_coding: chosen.data_coding, octets }
    }

    /// How many octets of ours fit in as many octets on the air.
    const fn room(&self, air: usize) -> usize {
        match self.charset {
            Charset::Gsm7 | Charset::Gsm7Packed => air * 8 / 7,
            Charset::Ucs2 => air / 2 * 2,
            _ => air,
        }
    }

    /// The pieces of at most `room` octets.
    fn pieces(&self, room: usize) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        let mut rest = self.octets.as_slice();
        while rest.len() > room {
            let (piece, after) = rest.split_at(self.whole(rest, room));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        pieces
    }

    /// The last place up to `end` that divides no character.
    fn whole(&self, octets: &[u8], end: usize) -> usize {
        let before = |at: usize| octets.get(at).copied();
        let back = match self.charset {
            // An ESC is never the second half of a pair that we wrote.
            Charset::Gsm7 | Charset::Gsm7Packed if before(end - 1) == Some(gsm::ESC) => 1,
            Charset::Ucs2 if before(end).is_some_and(|high| (0xdc..=0xdf).contains(&high)) => 2,
            Charset::Utf8 => {
                (0..4).find(|back| before(end - back).is_some_and(|o| o & 0xc0 != 0x80)).unwrap_or(0)
            }
            _ => 0,
        };
        end - back
    }

    /// A piece as it goes into `short_message`, behind as many octets of header.
    fn written(&self, piece: &[u8], header: usize, scheme: Scheme) -> Vec<u8> {
        match (self.charset, scheme) {
            (Charset::Gsm7Packed, Scheme::Cbs) => gsm::pack_ussd(piece),
            (Charset::Gsm7Packed, Scheme::Sms) => gsm::pack(piece, fill(header)),
            _ => piece.to_vec(),
        }
    }
}

/// Bits between a header and the septet that follows it.
fn fill(header: usize) -> u32 {
    u32::try_from((7 - header * 8 % 7) % 7).unwrap_or(0)
}

/// How many messages a text is on the air.
#[must_use]
pub fn segments(text: &str, charsets: &Charsets, form: Form) -> usize {
    pieces_of(&Encoded::new(text, charsets), form).len()
}

fn pieces_of(encoded: &Encoded, form: Form) -> Vec<&[u8]> {
    if encoded.octets.len() <= encoded.room(OCTETS) {
        return vec![encoded.octets.as_slice()];
    }
    let header = if form == Form::Udh16 { HEADER_16 } else { HEADER_8 };
    encoded.pieces(encoded.room(OCTETS - header))
}

/// Cuts a text. `reference` should be another for each long message to one number; of it the low 8 bits count where the
/// form has no more.
///
/// # Errors
/// [`TooLong`] for more than 255 parts.
pub fn cut(text: &str, charsets: &Charsets, form: Form, reference: u16) -> Result<Cut, TooLong> {
    let encoded = Encoded::new(text, charsets);
    let pieces = pieces_of(&encoded, form);
    let segments = pieces.len();
    let Some(total) = u8::try_from(segments).ok().filter(|_| segments <= PARTS) else {
        return Err(TooLong { parts: segments });
    };
    let whole = |piece: &[u8]| Bytes::from(encoded.written(piece, 0, charsets.scheme));
    let parts = match (form, pieces.as_slice()) {
        (_, [only]) => vec![Part { short_message: whole(only), ..Part::default() }],
        (Form::Payload, _) => {
            let mut tlvs = Tlvs::default();
            tlvs.push(tag::MESSAGE_PAYLOAD, whole(&encoded.octets));
            vec![Part { tlvs, ..Part::default() }]
        }
        (Form::Sar, pieces) => (1..=total)
            .zip(pieces)
            .map(|(part, piece)| {
                let mut tlvs = Tlvs::default();
                tlvs.push(tag::SAR_MSG_REF_NUM, reference.to_be_bytes().to_vec());
                tlvs.push(tag::SAR_TOTAL_SEGMENTS, vec![total]);
                tlvs.push(tag::SAR_SEGMENT_SEQNUM, vec![part]);
                Part { esm_class: 0, short_message: whole(piece), tlvs }
            })
            .collect(),
        (Form::Udh8 | Form::Udh16, pieces) => (1..=total)
            .zip(pieces)
            .map(|(part, piece)| {
                let mut octets = BytesMut::with_capacity(HEADER_16 + piece.len());
                let [high, low] = reference.to_be_bytes();
                if form == Form::Udh16 {
                    octets.extend_from_slice(&[6, CONCAT_16, 4, high, low, total, part]);
                } else {
                    octets.extend_from_slice(&[5, CONCAT_8, 3, low, total, part]);
                }
                octets.extend_from_slice(&encoded.written(piece, octets.len(), charsets.scheme));
                Part { esm_class: UDHI, short_message: octets.freeze(), tlvs: Tlvs::default() }
            })
            .collect(),
    };
    Ok(Cut { data_coding: encoded.data_coding, parts, segments })
}
