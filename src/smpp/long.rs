//! Long messages: the user data header (3GPP TS 23.040 §9.2.3.24), the `sar_` parameters (SMPP 3.4 §5.3.2.22 and on) and
//! `message_payload`; a text cut into parts, and parts joined. Where parts wait for each other is not known here.

mod cut;

use bytes::Bytes;

use crate::gsm;
use crate::smpp::coding::{self, Charset, Charsets, Decoded, NotText, Scheme};
use crate::smpp::pdu::Message;
use crate::smpp::tlv::{Tlvs, tag};

pub use cut::{Cut, Form, Part, TooLong, cut, segments};

/// `esm_class`: a user data header stands before the text (SMPP 3.4 §5.2.12).
pub const UDHI: u8 = 0x40;
/// Information element: concatenation with a reference of 8 bits.
const CONCAT_8: u8 = 0x00;
/// Information element: concatenation with a reference of 16 bits.
const CONCAT_16: u8 = 0x08;

/// Which part of which message this is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Concat {
    /// The sender's number for the whole message; comes again after 256 or 65,536 messages.
    pub reference: u16,
    /// How many parts there are, 1 to 255.
    pub total: u8,
    /// Which one this is, from 1.
    pub part: u8,
}

/// One information element of a user data header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Element {
    /// Which.
    pub id: u8,
    /// Its octets.
    pub data: Bytes,
}

/// A message's content without what says how it was cut.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Content {
    /// The octets of the text, or of this part of it.
    pub text: Bytes,
    /// Bits before the first septet, where septets are packed behind a header.
    pub fill: u32,
    /// Which part it is, if it is one of several.
    pub concat: Option<Concat>,
    /// The header's elements, all of them.
    pub elements: Vec<Element>,
    /// The header did not say what `esm_class` promised; the octets are in the text then.
    pub malformed: bool,
}

/// Takes a message's content apart.
#[must_use]
pub fn content(message: &Message) -> Content {
    let payload = message.tlvs.get(tag::MESSAGE_PAYLOAD);
    let octets = match payload {
        Some(payload) if message.short_message.is_empty() => payload,
        _ => &message.short_message,
    };
    let mut content = if message.esm_class & UDHI != 0 { headed(octets) } else { plain(octets) };
    if content.concat.is_none() {
        content.concat = sar(&message.tlvs);
    }
    content
}

fn plain(octets: &Bytes) -> Content {
    Content { text: octets.clone(), ..Content::default() }
}

/// Reads `UDHL`, the elements and the text behind them. A header that is longer than its message is none.
fn headed(octets: &Bytes) -> Content {
    let length = octets.first().map_or(usize::MAX, |length| usize::from(*length));
    let Some(header) = length.checked_add(1).and_then(|end| octets.get(1..end)) else {
        return Content { malformed: true, ..plain(octets) };
    };
    let mut content = Content { text: octets.slice(length + 1..), ..Content::default() };
    // 23.040 §9.2.3.24: packed septets begin at the next septet's place.
    content.fill = (7 - u32::from(octets.first().copied().unwrap_or(0)).wrapping_add(1) * 8 % 7) % 7;
    let mut rest = header;
    while let [id, length, after @ ..] = rest {
        let Some((data, next)) = after.split_at_checked(usize::from(*length)) else { break };
        // The last of several counts.
        content.concat = concat(*id, data).or(content.concat);
        content.elements.push(Element { id: *id, data: octets.slice_ref(data) });
        rest = next;
    }
    content.malformed = !rest.is_empty();
    content
}

fn concat(id: u8, data: &[u8]) -> Option<Concat> {
    let (reference, total, part) = match (id, data) {
        (CONCAT_8, [reference, total, part, ..]) => (u16::from(*reference), *total, *part),
        (CONCAT_16, [high, low, total, part, ..]) => (u16::from_be_bytes([*high, *low]), *total, *part),
        _ => return None,
    };
    numbered(reference, total, part)
}

/// 23.040 §9.2.3.24.1: numbers that make no sense are passed over.
fn numbered(reference: u16, total: u8, part: u8) -> Option<Concat> {
    (part >= 1 && part <= total).then_some(Concat { reference, total, part })
}

fn sar(tlvs: &Tlvs) -> Option<Concat> {
    let octet = |tag| tlvs.number(tag).and_then(|number| u8::try_from(number).ok());
    let reference = tlvs.number(tag::SAR_MSG_REF_NUM)? & 0xffff;
    numbered(u16::try_from(reference).ok()?, octet(tag::SAR_TOTAL_SEGMENTS)?, octet(tag::SAR_SEGMENT_SEQNUM)?)
}

/// The parts of a long message that are not there, by their numbers; none if it is whole.
pub fn missing(total: u8, there: &[u8]) -> impl Iterator<Item = u8> {
    (1..=total).filter(|part| !there.contains(part))
}

/// A part that waited.
#[derive(Clone, Eq, PartialEq)]
pub struct Held {
    /// Its number, from 1.
    pub part: u8,
    /// How it is coded.
    pub data_coding: u8,
    /// Its octets without the header.
    pub text: Bytes,
    /// Bits before its first septet.
    pub fill: u32,
}

/// The text of all parts of a message, or nothing as long as one is missing. Parts may come in any order; of two with
/// one number the first counts, and numbers beyond `total` do not.
///
/// Neighbours of one coding are joined before they are read, so that what a sender cut in two, as ESC and its septet, a
/// pair of surrogates or the octets of one character, is whole again.
///
/// # Errors
/// [`NotText`] if a part is none.
pub fn join(total: u8, parts: &[Held], charsets: &Charsets) -> Result<Option<Decoded>, NotText> {
    let mut ordered = Vec::with_capacity(usize::from(total));
    for number in 1..=total {
        let Some(held) = parts.iter().find(|held| held.part == number) else { return Ok(None) };
        ordered.push(held);
    }
    let mut whole = Decoded::default();
    for run in ordered.chunk_by(|one, next| one.data_coding == next.data_coding) {
        let decoded = join_run(run, charsets)?;
        whole.text.push_str(&decoded.text);
        whole.lossy |= decoded.lossy;
    }
    Ok((total > 0).then_some(whole))
}

/// Parts of one coding.
fn join_run(run: &[&Held], charsets: &Charsets) -> Result<Decoded, NotText> {
    let Some(coding) = run.first().map(|held| held.data_coding) else { return Ok(Decoded::default()) };
    let charset = coding::charset(coding, charsets)?;
    let even = run.iter().all(|held| held.text.len().is_multiple_of(2));
    let total: usize = run.iter().map(|held| held.text.len()).sum();
    match charset {
        Charset::Gsm7Packed if charsets.scheme == Scheme::Sms => {
            let septets: Vec<u8> =
                run.iter().flat_map(|held| coding::unpack_sms(&held.text, held.fill)).collect();
            let (text, lossy) = gsm::decode(&septets);
            Ok(Decoded { text, lossy })
        }
        // An octet too many in one part must not turn all that follows into other characters.
        Charset::Gsm7Packed => one_by_one(run, charsets),
        Charset::Ucs2 if !even && !total.is_multiple_of(2) => one_by_one(run, charsets),
        _ => {
            let octets: Vec<u8> = run.iter().flat_map(|held| held.text.iter().copied()).collect();
            coding::decode(coding, &octets, charsets)
        }
    }
}

fn one_by_one(run: &[&Held], charsets: &Charsets) -> Result<Decoded, NotText> {
    let mut whole = Decoded::default();
    for held in run {
        let decoded = coding::decode_from(held.data_coding, &held.text, held.fill, charsets)?;
        whole.text.push_str(&decoded.text);
        whole.lossy |= decoded.lossy;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
