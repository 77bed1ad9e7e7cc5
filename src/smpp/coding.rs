//! Between octets and text, by `data_coding` (SMPP 3.4 §5.2.19; 3GPP TS 23.038 §4 for SMS, §5 for USSD) and by what a
//! route means with 0.

mod fold;

use bytes::Bytes;

use crate::gsm;

/// `data_coding` of UCS-2 in SMPP.
pub const UCS2: u8 = 0x08;
/// `data_coding` of the default alphabet, language unspecified, in the cell broadcast scheme that USSD uses.
pub const CBS_GSM7: u8 = 0x0f;
/// `data_coding` of UCS-2 in the cell broadcast scheme.
pub const CBS_UCS2: u8 = 0x48;

/// How a route's octets make a text.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Charset {
    /// GSM 03.38, a septet in each octet.
    #[default]
    Gsm7,
    /// GSM 03.38, eight septets in seven octets.
    Gsm7Packed,
    /// ISO 8859-1.
    Latin1,
    /// IA5.
    Ascii,
    /// UTF-8, as some aggregators have it.
    Utf8,
    /// UTF-16 big-endian, with surrogates where there are.
    Ucs2,
    /// ISO 8859-5. Only read.
    Cyrillic,
}

/// Which table `data_coding` is looked up in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Scheme {
    /// SMPP's own values up to 15, GSM message classes above.
    #[default]
    Sms,
    /// Cell broadcast, as USSD has it; 0, 3 and 8 stay what SMPP says, since many gateways mix the two.
    Cbs,
}

/// A route's choice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Charsets {
    /// What 0, and whatever else says "default alphabet", means on this route, both ways.
    pub default: Charset,
    /// Which table.
    pub scheme: Scheme,
    /// `data_coding` that we write with the default charset: 0, or 0x0f.
    pub default_coding: u8,
    /// `data_coding` that we write with UCS-2: 8, or 0x48.
    pub ucs2_coding: u8,
    /// Whether a text that would need UCS-2 is written with the nearest letters of the default charset, if they exist.
    pub fold: bool,
}

impl Default for Charsets {
    fn default() -> Self {
        Self::sms()
    }
}

impl Charsets {
    /// As most SMSCs have it.
    #[must_use]
    pub const fn sms() -> Self {
        Self {
            default: Charset::Gsm7,
            scheme: Scheme::Sms,
            default_coding: 0,
            ucs2_coding: UCS2,
            fold: false,
        }
    }

    /// USSD in the cell broadcast scheme: 0x0f and 0x48.
    #[must_use]
    pub const fn ussd() -> Self {
        Self {
            default: Charset::Gsm7,
            scheme: Scheme::Cbs,
            default_coding: CBS_GSM7,
            ucs2_coding: CBS_UCS2,
            fold: false,
        }
    }
}

/// A text that was read.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Decoded {
    /// The text.
    pub text: String,
    /// Whether something was not understood; U+FFFD stands in its place, or it is left out.
    pub lossy: bool,
}

/// Octets that are no text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotText {
    /// The sender says that they are binary.
    #[error("data_coding {0:#04x} is binary")]
    Binary(u8),
    /// Compressed text (3GPP TS 23.042).
    #[error("data_coding {0:#04x} is compressed")]
    Compressed(u8),
    /// A charset that is not read here: JIS, Hebrew, pictograms, ISO 2022-JP, KS C 5601.
    #[error("data_coding {0:#04x} is of a charset that is not read")]
    Unsupported(u8),
}

/// A text prefix that says its language, in the cell broadcast scheme.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Prefix {
    None,
    /// Two letters and CR, in the text's own septets.
    Septets,
    /// Two septets in two octets.
    Octets,
}

/// The charset that a `data_coding` means on a route.
///
/// # Errors
/// [`NotText`] where the octets are no text, or none that is read here.
pub fn charset(data_coding: u8, charsets: &Charsets) -> Result<Charset, NotText> {
    look_up(data_coding, charsets).map(|(charset, _)| charset)
}

fn look_up(coding: u8, charsets: &Charsets) -> Result<(Charset, Prefix), NotText> {
    let plain = |charset| Ok((charset, Prefix::None));
    let default = charsets.default;
    match (coding, charsets.scheme) {
        (0x03, _) => plain(Charset::Latin1),
        (0x08, _) => plain(Charset::Ucs2),
        (0x01, Scheme::Sms) => plain(Charset::Ascii),
        (0x02 | 0x04, Scheme::Sms) => Err(NotText::Binary(coding)),
        (0x06, Scheme::Sms) => plain(Charset::Cyrillic),
        (0x05 | 0x07 | 0x09 | 0x0a | 0x0d | 0x0e, Scheme::Sms) => Err(NotText::Unsupported(coding)),
        (0x10, Scheme::Cbs) => Ok((default, Prefix::Septets)),
        (0x11, Scheme::Cbs) => Ok((Charset::Ucs2, Prefix::Octets)),
        // 23.038 §4 and §5: the group with compression, class and charset bits.
        (0x10..=0x7f, Scheme::Sms) | (0x40..=0x7f | 0x90..=0x9f, Scheme::Cbs) => {
            let compressed = coding & 0x20 != 0 && coding < 0x80;
            match coding & 0x0c {
                _ if compressed => Err(NotText::Compressed(coding)),
                0x04 => Err(NotText::Binary(coding)),
                0x08 => plain(Charset::Ucs2),
                _ => plain(default),
            }
        }
        (0xe0..=0xef, Scheme::Sms) => plain(Charset::Ucs2),
        (0xf0..=0xff, _) if coding & 0x04 != 0 => Err(NotText::Binary(coding)),
        // 23.038 §4: whatever is reserved is taken for the default alphabet.
        _ => plain(default),
    }
}

/// Reads octets as a text.
///
/// # Errors
/// [`NotText`], as [`charset`].
pub fn decode(data_coding: u8, octets: &[u8], charsets: &Charsets) -> Result<Decoded, NotText> {
    decode_from(data_coding, octets, 0, charsets)
}

/// [`decode`] where packed septets begin after `fill` bits, behind a user data header.
///
/// # Errors
/// As [`charset`].
pub fn decode_from(
    data_coding: u8,
    octets: &[u8],
    fill: u32,
    charsets: &Charsets,
) -> Result<Decoded, NotText> {
    let (charset, prefix) = look_up(data_coding, charsets)?;
    let octets = match prefix {
        Prefix::Octets => octets.get(2..).unwrap_or_default(),
        Prefix::None | Prefix::Septets => octets,
    };
    let decoded = match charset {
        Charset::Gsm7 => septets(octets),
        Charset::Gsm7Packed => {
            let unpacked = match charsets.scheme {
                Scheme::Cbs => gsm::unpack_ussd(octets),
                Scheme::Sms => unpack_sms(octets, fill),
            };
            septets(&unpacked)
        }
        Charset::Latin1 => {
            Decoded { text: octets.iter().map(|octet| char::from(*octet)).collect(), lossy: false }
        }
        Charset::Ascii => ascii(octets),
        Charset::Utf8 => match str::from_utf8(octets) {
            Ok(text) => Decoded { text: text.to_owned(), lossy: false },
            Err(_) => Decoded { text: String::from_utf8_lossy(octets).into_owned(), lossy: true },
        },
        Charset::Ucs2 => ucs2(octets),
        Charset::Cyrillic => {
            Decoded { text: octets.iter().map(|octet| cyrillic(*octet)).collect(), lossy: false }
        }
    };
    Ok(if prefix == Prefix::Septets { without_language(decoded) } else { decoded })
}

fn septets(septets: &[u8]) -> Decoded {
    let (text, lossy) = gsm::decode(septets);
    Decoded { text, lossy }
}

/// A packed SMS does not say how many septets it has. Seven spare bits of zero at the end are a fill rather than an @.
pub(crate) fn unpack_sms(octets: &[u8], fill: u32) -> Vec<u8> {
    let mut septets = gsm::unpack(octets, fill);
    let bits = (octets.len() * 8).checked_sub(usize::try_from(fill % 7).unwrap_or(0));
    if bits.is_some_and(|bits| bits % 7 == 0) && septets.last() == Some(&0) {
        septets.pop();
    }
    septets
}

fn ascii(octets: &[u8]) -> Decoded {
    let lossy = !octets.is_ascii();
    let one = |octet: &u8| if octet.is_ascii() { char::from(*octet) } else { char::REPLACEMENT_CHARACTER };
    Decoded { text: octets.iter().map(one).collect(), lossy }
}

/// ISO 8859-5: Cyrillic letters in the order of Unicode, three signs between.
fn cyrillic(octet: u8) -> char {
    match octet {
        0xad | ..=0xa0 => char::from(octet),
        0xf0 => '№',
        0xfd => '§',
        letter => char::from_u32(0x0360 + u32::from(letter)).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

/// Big-endian unless a byte order mark says otherwise. A single octet at the end is dropped.
fn ucs2(octets: &[u8]) -> Decoded {
    let (octets, swapped) = match octets {
        [0xfe, 0xff, rest @ ..] => (rest, false),
        [0xff, 0xfe, rest @ ..] => (rest, true),
        _ => (octets, false),
    };
    let read = |pair| if swapped { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
    let (pairs, odd) = octets.as_chunks::<2>();
    let mut lossy = !odd.is_empty();
    let text = char::decode_utf16(pairs.iter().map(|pair| read(*pair)))
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                lossy = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Decoded { text, lossy }
}

/// 23.038 §5, 0x10: two letters of a language and CR stand before the text.
fn without_language(decoded: Decoded) -> Decoded {
    let mut rest = decoded.text.chars();
    let prefix = (rest.next(), rest.next(), rest.next());
    match prefix {
        (Some(a), Some(b), Some('\r')) if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Decoded { text: rest.as_str().to_owned(), lossy: decoded.lossy }
        }
        _ => decoded,
    }
}

/// The octets of a text and their `data_coding`: the route's default charset if it has every character, folded if the
/// route wants that and it helps, else UCS-2.
#[must_use]
pub fn encode(text: &str, charsets: &Charsets) -> (u8, Bytes) {
    let chosen = choose(text, charsets);
    let octets = match chosen.charset {
        Charset::Gsm7Packed => {
            let septets = gsm::encode(&chosen.text).unwrap_or_default();
            match charsets.scheme {
                Scheme::Cbs => gsm::pack_ussd(&septets),
                Scheme::Sms => gsm::pack(&septets, 0),
            }
        }
        charset => octets(&chosen.text, charset).unwrap_or_default(),
    };
    (chosen.data_coding, octets.into())
}

/// How a text is written.
pub(crate) struct Chosen<'t> {
    /// The text, folded if need be.
    pub(crate) text: std::borrow::Cow<'t, str>,
    pub(crate) charset: Charset,
    pub(crate) data_coding: u8,
}

pub(crate) fn choose<'t>(text: &'t str, charsets: &Charsets) -> Chosen<'t> {
    let default = charsets.default;
    if fits(text, default) {
        return Chosen { text: text.into(), charset: default, data_coding: charsets.default_coding };
    }
    if charsets.fold
        && let Some(folded) = fold::fold(text, |c| fits(c.encode_utf8(&mut [0; 4]), default))
    {
        return Chosen { text: folded.into(), charset: default, data_coding: charsets.default_coding };
    }
    Chosen { text: text.into(), charset: Charset::Ucs2, data_coding: charsets.ucs2_coding }
}

/// Whether a charset has every character of a text.
fn fits(text: &str, charset: Charset) -> bool {
    match charset {
        Charset::Gsm7 | Charset::Gsm7Packed => gsm::septets(text).is_some(),
        Charset::Latin1 => text.chars().all(|c| u8::try_from(c).is_ok()),
        Charset::Ascii => text.is_ascii(),
        Charset::Utf8 | Charset::Ucs2 => true,
        Charset::Cyrillic => false,
    }
}

/// The octets of a text in a charset that has all of it. Septets are one in each octet, for packed ones too.
pub(crate) fn octets(text: &str, charset: Charset) -> Option<Vec<u8>> {
    match charset {
        Charset::Gsm7 | Charset::Gsm7Packed => gsm::encode(text),
        Charset::Latin1 => text.chars().map(|c| u8::try_from(c).ok()).collect(),
        Charset::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
        Charset::Utf8 => Some(text.as_bytes().to_vec()),
        Charset::Ucs2 => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Charset::Cyrillic => None,
    }
}

#[cfg(test)]
mod tests;
