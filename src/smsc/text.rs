//! Texts in PDUs, as a network writes and reads them: alphabets, parts, dates. Pure.
//!
//! It is written apart from the product's own (`smpp::coding`, `smpp::long`), so that the two are not wrong together;
//! only the table of GSM 03.38 is shared.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::gsm;
use crate::smpp::pdu::Message;
use crate::smpp::tlv::{Tlvs, tag};
use crate::smsc::handset::Part;
use crate::smsc::settings::{Parts, UssdCoding};

/// `esm_class`: a header stands before the text (SMPP 3.4 §5.2.12).
const ESM_UDHI: u8 = 0x40;
/// Information elements of the header (3GPP TS 23.040 §9.2.3.24).
const CONCATENATED_8: u8 = 0x00;
const CONCATENATED_16: u8 = 0x08;
/// `data_coding` (SMPP 3.4 §5.2.19).
const DEFAULT: u8 = 0x00;
const UCS2: u8 = 0x08;

/// A text as it was found in a PDU.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) part: Option<Part>,
}

/// A PDU's worth of a text; addresses are for the caller to fill in.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) message: Message,
    pub(super) text: String,
}

/// Reads a message.
pub(super) fn read(message: &Message) -> Read {
    let bytes = match message.tlvs.get(tag::MESSAGE_PAYLOAD) {
        Some(payload) if message.short_message.is_empty() => payload,
        _ => &message.short_message,
    };
    let (header, bytes) = if message.esm_class & ESM_UDHI == 0 {
        (None, bytes.as_ref())
    } else {
        let length = bytes.first().map_or(0, |l| usize::from(*l) + 1);
        let (header, rest) = bytes.split_at_checked(length).unwrap_or((bytes, &[]));
        (header.get(1..), rest)
    };
    let part = header.and_then(concatenation).or_else(|| sar(message));
    Read { text: decode(message.data_coding, bytes), part }
}

fn concatenation(mut header: &[u8]) -> Option<Part> {
    while let [element, length, rest @ ..] = header {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        match (*element, value) {
            (CONCATENATED_8, &[reference, total, index]) => {
                return Some(Part { reference: u16::from(reference), total, index });
            }
            (CONCATENATED_16, &[a, b, total, index]) => {
                return Some(Part { reference: u16::from_be_bytes([a, b]), total, index });
            }
            _ => header = rest,
        }
    }
    None
}

/// SMPP 3.4 §5.3.2.22 to 24.
fn sar(message: &Message) -> Option<Part> {
    let reference = match message.tlvs.get(tag::SAR_MSG_REF_NUM)?.as_ref() {
        &[a, b] => u16::from_be_bytes([a, b]),
        _ => return None,
    };
    let total = message.tlvs.octet(tag::SAR_TOTAL_SEGMENTS)?;
    let index = message.tlvs.octet(tag::SAR_SEGMENT_SEQNUM)?;
    Some(Part { reference, total, index })
}

fn decode(data_coding: u8, bytes: &[u8]) -> String {
    match data_coding {
        DEFAULT | 0x0f | 0x40..=0x43 | 0x50..=0x53 => gsm::decode(bytes).0,
        UCS2 | 0x48..=0x4b | 0x58..=0x5b => {
            let units: Vec<u16> = bytes
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)))
                .collect();
            String::from_utf16_lossy(&units)
        }
        0xf0..=0xff if data_coding & 0x04 == 0 => gsm::decode(bytes).0,
        // ASCII, Latin-1, and what else has a character in each octet.
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Cuts the text of a handset into what one PDU takes.
///
/// # Errors
/// When the text needs more than 255 parts.
pub(super) fn cut(text: &str, parts: Parts, reference: u16) -> Result<Vec<Piece>, &'static str> {
    let is_gsm = gsm::septets(text).is_some();
    let (single, with_header) = match (is_gsm, parts) {
        (true, Parts::Udh16) => (160, 152),
        (true, _) => (160, 153),
        (false, Parts::Udh16) => (70, 66),
        (false, _) => (70, 67),
    };
    let whole = parts == Parts::Payload || length(text, is_gsm) <= single;
    let texts = if whole { vec![text.to_owned()] } else { split(text, is_gsm, with_header) };
    let total = u8::try_from(texts.len()).map_err(|_| "the text needs more than 255 parts")?;
    let pieces = texts.into_iter().zip(1..=total).map(|(text, index)| {
        let bytes = encode(&text, is_gsm);
        let mut message = Message { data_coding: if is_gsm { DEFAULT } else { UCS2 }, ..Message::default() };
        let [high, low] = reference.to_be_bytes();
        let mut tlvs = Tlvs::default();
        let header: Vec<u8> = match parts {
            Parts::Payload => {
                tlvs.push(tag::MESSAGE_PAYLOAD, bytes);
                message.tlvs = tlvs;
                return Piece { message, text };
            }
            _ if total == 1 => Vec::new(),
            Parts::Udh8 => vec![5, CONCATENATED_8, 3, low, total, index],
            Parts::Udh16 => vec![6, CONCATENATED_16, 4, high, low, total, index],
            Parts::Sar => {
                tlvs.push(tag::SAR_MSG_REF_NUM, vec![high, low]);
                tlvs.push(tag::SAR_TOTAL_SEGMENTS, vec![total]);
                tlvs.push(tag::SAR_SEGMENT_SEQNUM, vec![index]);
                Vec::new()
            }
        };
        if !header.is_empty() {
            message.esm_class = ESM_UDHI;
        }
        message.short_message = Bytes::from([header, bytes].concat());
        message.tlvs = tlvs;
        Piece { message, text }
    });
    Ok(pieces.collect())
}

fn length(text: &str, is_gsm: bool) -> usize {
    if is_gsm { gsm::septets(text).unwrap_or(0) } else { gsm::units(text) }
}

/// Never in the middle of a character that takes two septets or two units.
fn split(text: &str, is_gsm: bool, most: usize) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut filled = 0;
    for c in text.chars() {
        let wide = if is_gsm { gsm::septets_of(c).unwrap_or(1) } else { c.len_utf16() };
        if filled + wide > most {
            texts.push(String::new());
            filled = 0;
        }
        filled += wide;
        if let Some(last) = texts.last_mut() {
            last.push(c);
        }
    }
    texts
}

fn encode(text: &str, is_gsm: bool) -> Vec<u8> {
    match gsm::encode(text).filter(|_| is_gsm) {
        Some(septets) => septets,
        None => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    }
}

/// The text of a USSD message with its `data_coding`; GSM 03.38 where it can be.
pub(super) fn ussd(text: &str, coding: UssdCoding) -> (u8, Bytes) {
    let is_gsm = gsm::septets(text).is_some();
    let data_coding = match (coding, is_gsm) {
        (UssdCoding::Cbs, true) => 0x0f,
        (UssdCoding::Cbs, false) => 0x48,
        (UssdCoding::Smpp, true) => DEFAULT,
        (UssdCoding::Smpp, false) => UCS2,
    };
    (data_coding, Bytes::from(encode(text, is_gsm)))
}

/// `YYMMDDhhmm` (SMPP 3.4 Appendix B), in UTC.
pub(super) fn receipt_date(at: Timestamp) -> String {
    at.to_rfc3339().chars().filter(char::is_ascii_digit).skip(2).take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str, parts: Parts) -> (usize, String) {
        let pieces = cut(text, parts, 0x1234).unwrap();
        let found: Vec<Read> = pieces.iter().map(|p| read(&p.message)).collect();
        for (n, (read, piece)) in found.iter().zip(&pieces).enumerate() {
            assert_eq!(read.text, piece.text);
            assert!(piece.message.short_message.len() <= 254);
            if let Some(part) = read.part {
                let low = parts == Parts::Udh8;
                assert_eq!(part.reference, if low { 0x34 } else { 0x1234 });
                assert_eq!((usize::from(part.total), usize::from(part.index)), (pieces.len(), n + 1));
            } else {
                assert_eq!(pieces.len(), 1);
            }
        }
        (pieces.len(), found.into_iter().map(|r| r.text).collect())
    }

    #[test]
    fn texts_are_cut_and_read_back() {
        for parts in [Parts::Udh8, Parts::Udh16, Parts::Sar, Parts::Payload] {
            for (text, wanted) in [
                ("RC 50".to_owned(), 1),
                ("a".repeat(160), 1),
                ("a".repeat(161), 2),
                ("€".repeat(80), 1),
                // 76 pairs in each part of 153: one septet is left over.
                ("€".repeat(153), 3),
                ("请".repeat(70), 1),
                ("请".repeat(71), 2),
                ("😀".repeat(67), 3),
            ] {
                let wanted = if parts == Parts::Payload { 1 } else { wanted };
                assert_eq!(joined(&text, parts), (wanted, text.clone()), "{parts:?} {text}");
            }
        }
        assert!(cut(&"a".repeat(153 * 256), Parts::Udh8, 1).is_err());
    }

    #[test]
    fn headers_that_lie_cost_only_the_header() {
        let of = |bytes: &[u8]| {
            let short_message = Bytes::copy_from_slice(bytes);
            read(&Message { esm_class: ESM_UDHI, data_coding: 1, short_message, ..Message::default() })
        };
        assert_eq!(of(b"\x09\x00\x03ab"), Read { text: String::new(), part: None });
        assert_eq!(of(b""), Read { text: String::new(), part: None });
        assert_eq!(of(b"\x03\x01\x09xhi"), Read { text: "hi".to_owned(), part: None });
        let part = Some(Part { reference: 7, total: 2, index: 1 });
        assert_eq!(of(b"\x08\x24\x01\x00\x00\x03\x07\x02\x01hi"), Read { text: "hi".to_owned(), part });
    }

    #[test]
    fn ussd_is_coded_by_setting() {
        assert_eq!(ussd("1", UssdCoding::Cbs), (0x0f, Bytes::from_static(b"1")));
        assert_eq!(ussd("é~", UssdCoding::Smpp), (0, Bytes::from_static(b"\x05\x1b\x3d")));
        assert_eq!(ussd("请", UssdCoding::Cbs).0, 0x48);
        assert_eq!(ussd("请", UssdCoding::Smpp), (8, Bytes::from_static(b"\x8b\xf7")));
        assert_eq!(decode(0x48, &ussd("请", UssdCoding::Cbs).1), "请");
    }

    #[test]
    fn dates_of_receipts_have_ten_digits() {
        assert_eq!(receipt_date(Timestamp(1_795_000_000_000_000)), "2611181106");
    }
}
