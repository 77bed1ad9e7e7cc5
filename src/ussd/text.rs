//! Texts of screens and answers: read by the route's charsets, and cut to what a screen holds.

use bytes::Bytes;
use zeroize::Zeroize;

use crate::gsm;
use crate::smpp::coding;
use crate::smpp::coding::{Charset, Charsets};
use crate::ussd::Typed;
use crate::ussd::profile::Profile;
use crate::ussd::wire::Unread;

/// Octets of a dialled string or answer that are looked at; a USSD string has 160 at most, or 182 when it is not packed.
const OCTETS_MAX: usize = 400;

/// An address as text. Octets that no address has are left out.
pub(super) fn address(digits: &[u8]) -> String {
    let seen = digits.iter().filter(|octet| octet.is_ascii_graphic());
    seen.map(|octet| char::from(*octet)).collect()
}

/// What a caller typed. A network's filling at its end is taken off.
pub(super) fn typed(data_coding: u8, octets: &[u8], charsets: &Charsets) -> Result<Typed, Unread> {
    let octets = octets.get(..OCTETS_MAX).unwrap_or(octets);
    let mut decoded = coding::decode(data_coding, octets, charsets).map_err(|_| Unread::Coding)?;
    let end = decoded.text.trim_end_matches(['\0', '\r', '\n', ' ']).len();
    decoded.text.truncate(end);
    let typed = Typed::new(decoded.text.clone());
    decoded.text.zeroize();
    Ok(typed)
}

/// A screen's `data_coding` and octets; `heard` is the `data_coding` of what it answers.
pub(super) fn coded(profile: &Profile, text: &str, heard: Option<u8>) -> (u8, Bytes) {
    let (default_coding, ucs2_coding) = match heard.filter(|_| profile.mirror_coding) {
        Some(0x00 | coding::UCS2) => (0x00, coding::UCS2),
        Some(coding::CBS_GSM7 | coding::CBS_UCS2) => (coding::CBS_GSM7, coding::CBS_UCS2),
        _ => (profile.charsets.default_coding, profile.charsets.ucs2_coding),
    };
    coding::encode(cut(profile, text), &Charsets { default_coding, ucs2_coding, ..profile.charsets })
}

/// Whether a screen of the route holds a text.
#[must_use]
pub(super) fn holds(profile: &Profile, text: &str) -> bool {
    let narrow = match profile.charsets.default {
        Charset::Gsm7 | Charset::Gsm7Packed => gsm::septets(text),
        Charset::Ascii => text.is_ascii().then_some(text.len()),
        Charset::Latin1 | Charset::Cyrillic => {
            text.chars().all(|c| u32::from(c) < 0x100).then(|| text.chars().count())
        }
        Charset::Utf8 => Some(text.len()),
        Charset::Ucs2 => None,
    };
    match narrow {
        Some(octets) => octets <= profile.septets,
        None => gsm::units(text) <= profile.units,
    }
}

/// As much of a text as a screen holds. The dialplan cuts texts into pages where they may be cut; this is for a route whose
/// screens are smaller than the market's.
fn cut<'t>(profile: &Profile, text: &'t str) -> &'t str {
    if holds(profile, text) {
        return text;
    }
    let ends = text.char_indices().map(|(at, _)| at);
    let longest = ends.take_while(|end| text.get(..*end).is_some_and(|head| holds(profile, head))).last();
    text.get(..longest.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_full_at_exactly_its_capacity() {
        let profile = Profile::default();
        for (unit, fits) in [("a", 182), ("€", 91), ("语", 80), ("😀", 40)] {
            assert!(holds(&profile, &unit.repeat(fits)), "{unit}");
            assert!(!holds(&profile, &unit.repeat(fits + 1)), "{unit}");
            assert_eq!(cut(&profile, &unit.repeat(fits + 3)), unit.repeat(fits), "{unit}");
        }
        assert_eq!(cut(&Profile { septets: 160, ..profile }, &"a".repeat(161)).len(), 160);
    }

    #[test]
    fn what_a_network_fills_up_with_is_no_answer() {
        let charsets = Charsets { default: Charset::Ascii, ..Charsets::ussd() };
        let read = |octets: &[u8]| typed(0x0f, octets, &charsets).unwrap().expose().to_owned();
        assert_eq!(read(b"50\r"), "50");
        assert_eq!(read(b"50\0\0"), "50");
        assert_eq!(read(b" 1*2 "), " 1*2");
        assert_eq!(read(&[b'1'; 1_000]).len(), OCTETS_MAX);
    }
}
