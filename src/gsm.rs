//! GSM 03.38 (3GPP TS 23.038): how long a text is on the air, its septets, and how septets are packed into octets.
//!
//! A text is counted in septets of the default alphabet with its extension table (§6.2.1), or in UTF-16 units where a
//! character is outside of that alphabet. Reading is tolerant, as §6.2.1.1 asks of a receiver.

/// The default alphabet by septet. ESC stands for no character of its own.
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', //
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É', //
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/', //
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', //
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', //
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', //
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', //
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à', //
];
/// The extension table: each is ESC and a septet.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];
/// Leads to the extension table.
pub const ESC: u8 = 0x1b;
/// Fills what is left of the last octet of a USSD string (§6.1.2.3.1).
pub const CR: u8 = 0x0d;

/// The septets of a character, or nothing if it is outside of the alphabet.
#[must_use]
pub fn septets_of(c: char) -> Option<usize> {
    match c {
        // Most of what is counted, without a look at the tables.
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' => Some(2),
        ' '..='_' | 'a'..='z' | '\n' => Some(1),
        _ => match code_of(c)? {
            Code::Basic(_) => Some(1),
            Code::Extended(_) => Some(2),
        },
    }
}

enum Code {
    Basic(u8),
    Extended(u8),
}

fn code_of(c: char) -> Option<Code> {
    // Where the alphabet is ASCII, but for $ and the brackets' neighbours.
    if matches!(c, ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z') {
        return u8::try_from(c).ok().map(Code::Basic);
    }
    if let Some(at) = BASIC.iter().position(|basic| *basic == c && c != '\u{1b}') {
        return u8::try_from(at).ok().map(Code::Basic);
    }
    EXTENSION.iter().find(|(_, extended)| *extended == c).map(|(septet, _)| Code::Extended(*septet))
}

/// The septets of a text, one in each octet, or nothing if a character is outside of the alphabet.
#[must_use]
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match code_of(c)? {
            Code::Basic(septet) => septets.push(septet),
            Code::Extended(septet) => septets.extend_from_slice(&[ESC, septet]),
        }
    }
    Some(septets)
}

/// The text of septets, one in each octet, and whether something of it was not understood: an octet over 127, which
/// becomes U+FFFD, an ESC at the end, which is dropped, or an ESC before what the extension table does not have. That is
/// the character of the default alphabet, or a space for a second ESC (§6.2.1.1).
#[must_use]
pub fn decode(septets: &[u8]) -> (String, bool) {
    let (mut text, mut lossy) = (String::with_capacity(septets.len()), false);
    let mut rest = septets.iter().copied();
    while let Some(septet) = rest.next() {
        if septet != ESC {
            let basic = BASIC.get(usize::from(septet)).copied();
            lossy |= basic.is_none();
            text.push(basic.unwrap_or(char::REPLACEMENT_CHARACTER));
            continue;
        }
        let Some(next) = rest.next() else { return (text, true) };
        if let Some((_, extended)) = EXTENSION.iter().find(|(code, _)| *code == next) {
            text.push(*extended);
            continue;
        }
        lossy = true;
        text.push(match BASIC.get(usize::from(next)) {
            Some('\u{1b}') => ' ',
            Some(basic) => *basic,
            None => char::REPLACEMENT_CHARACTER,
        });
    }
    (text, lossy)
}

/// Packs septets into octets, lowest bits first (§6.1.2.1), after `fill` bits of zero: with a header of six octets in
/// front one bit is left before the next septet begins. Bits over the seventh of each are lost.
#[must_use]
pub fn pack(septets: &[u8], fill: u32) -> Vec<u8> {
    let fill = fill % 7;
    let mut octets = Vec::with_capacity(septets.len() * 7 / 8 + 2);
    let (mut held, mut bits) = (0_u32, fill);
    for septet in septets {
        held |= u32::from(septet & 0x7f) << bits;
        bits += 7;
        while bits >= 8 {
            octets.push(lowest(held));
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 && !septets.is_empty() {
        octets.push(lowest(held));
    }
    octets
}

/// All whole septets in packed octets after `fill` bits. Where seven bits are left over at the end it cannot be told
/// from the octets alone whether they are an @: they are given as one.
#[must_use]
pub fn unpack(octets: &[u8], fill: u32) -> Vec<u8> {
    let fill = fill % 7;
    let mut septets = Vec::with_capacity(octets.len() * 8 / 7);
    let (mut held, mut bits, mut skip) = (0_u32, 0_u32, fill);
    for octet in octets {
        held |= u32::from(*octet) << bits;
        bits += 8;
        if skip > 0 {
            held >>= skip;
            bits -= skip;
            skip = 0;
        }
        while bits >= 7 {
            septets.push(lowest(held & 0x7f));
            held >>= 7;
            bits -= 7;
        }
    }
    septets
}

/// Packs a USSD string (§6.1.2.3.1): seven spare bits are filled with CR, so that they are no @; a CR that would end on
/// the last bit of an octet, and be taken for such a fill, is written twice.
#[must_use]
pub fn pack_ussd(septets: &[u8]) -> Vec<u8> {
    let fill = septets.len() % 8 == 7 || (septets.len().is_multiple_of(8) && septets.last() == Some(&CR));
    if fill { pack(&[septets, &[CR]].concat(), 0) } else { pack(septets, 0) }
}

/// Unpacks a USSD string: a CR that ends on the last bit of an octet is a fill.
#[must_use]
pub fn unpack_ussd(octets: &[u8]) -> Vec<u8> {
    let mut septets = unpack(octets, 0);
    if !septets.is_empty() && septets.len().is_multiple_of(8) && septets.last() == Some(&CR) {
        septets.pop();
    }
    septets
}

const fn lowest(bits: u32) -> u8 {
    bits.to_le_bytes()[0]
}

/// The septets of a text, or nothing if a character is outside of the alphabet.
#[must_use]
pub fn septets(text: &str) -> Option<usize> {
    text.chars().map(septets_of).sum()
}

/// The UTF-16 units of a text.
#[must_use]
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_that_of_the_standard() {
        let (mut one, mut two) = (0, 0);
        for c in '\0'..=char::MAX {
            match septets_of(c) {
                Some(1) => one += 1,
                Some(_) => two += 1,
                None => {}
            }
        }
        assert_eq!((one, two), (127, 10));
        assert!(EXTENSION.iter().all(|(_, c)| septets_of(*c) == Some(2)));
    }

    #[test]
    fn texts_are_counted_by_what_is_in_them() {
        assert_eq!(septets("Amount: 50 CNY?"), Some(15));
        assert_eq!(septets("[50 €]"), Some(9));
        assert_eq!(septets("¿Cuánto?"), None, "á is outside");
        assert_eq!(septets("garçon"), None, "only the capital Ç is inside");
        assert_eq!(septets("Número`"), None);
        assert_eq!((septets(""), units("")), (Some(0), 0));
        assert_eq!((units("请输入金额"), units("😀!"), units("é")), (5, 3, 1));
    }

    #[test]
    fn septets_are_read_as_a_receiver_should() {
        for (septets, text, lossy) in [
            (b"RC 50".as_ref(), "RC 50", false),
            (b"\x00\x01\x02\x1b\x65", "@£$€", false),
            (b"\x1b\x3c50\x1b\x3e", "[50]", false),
            // What the extension table lacks is the character of the default alphabet.
            (b"\x1bA\x1b\x00", "A@", true),
            (b"\x1b\x1bA", " A", true),
            (b"A\x1b", "A", true),
            (b"A\x80B\x1b\xe9", "A\u{fffd}B\u{fffd}", true),
            (b"", "", false),
        ] {
            assert_eq!(decode(septets), (text.to_owned(), lossy), "{septets:x?}");
        }
    }

    #[test]
    fn every_character_comes_back() {
        let all: String =
            BASIC.iter().filter(|c| **c != '\u{1b}').chain(EXTENSION.iter().map(|(_, c)| c)).collect();
        let encoded = encode(&all).unwrap();
        assert_eq!(encoded.len(), 127 + 20);
        assert_eq!(septets(&all), Some(encoded.len()), "counted as it is written");
        assert_eq!(decode(&encoded), (all, false));
        assert_eq!((encode("garçon"), encode("\u{1b}"), encode("`")), (None, None, None));
    }

    #[test]
    fn septets_are_packed_as_on_the_air() {
        // Vectors that are printed in every text on the matter.
        for (text, octets) in [
            ("hello", [0xe8, 0x32, 0x9b, 0xfd, 0x06].as_ref()),
            ("hellohello", &[0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37]),
            ("", &[]),
        ] {
            let septets = encode(text).unwrap();
            assert_eq!(pack(&septets, 0), octets);
            assert_eq!(unpack(octets, 0), septets);
        }
        // Behind a header of six octets the first bit is left out: "a" is 0x61 << 1.
        assert_eq!(pack(b"a", 1), [0xc2]);
        for fill in 0..7 {
            for count in 0..40 {
                let septets: Vec<u8> = (0..count).map(|n: u8| n.wrapping_mul(37) & 0x7f).collect();
                let octets = pack(&septets, fill);
                let bits = usize::try_from(fill).unwrap() + 7 * septets.len();
                assert_eq!(octets.len(), if septets.is_empty() { 0 } else { bits.div_ceil(8) });
                assert_eq!(unpack(&octets, fill)[..septets.len()], septets);
            }
        }
        assert_eq!(pack(&[0x41; 153], 1).len(), 134, "a part of a long message");
        assert_eq!(pack(&[0x41; 160], 0).len(), 140);
    }

    #[test]
    fn spare_bits_of_ussd_are_no_at_sign() {
        // *#100# has 6 septets: two spare bits need no fill. Seven septets do, and then end on a CR.
        assert_eq!(unpack_ussd(&pack_ussd(b"*#100#")), b"*#100#");
        assert_eq!(unpack(&pack_ussd(b"*#1000#"), 0), b"*#1000#\r");
        for count in 0..50 {
            let text: Vec<u8> = (0..count).map(|n| b'a' + n % 26).collect();
            assert_eq!(unpack_ussd(&pack_ussd(&text)), text, "{count} septets");
            // A last @ comes back too: spare bits are never seven.
            let at = [text.as_slice(), b"\0"].concat();
            assert_eq!(unpack_ussd(&pack_ussd(&at)), at);
        }
        // A wanted CR on the octet's end is doubled, which means the same (§6.1.2.3.1).
        assert_eq!(unpack_ussd(&pack_ussd(b"1234567\r")), b"1234567\r\r");
        assert_eq!(unpack_ussd(&pack_ussd(b"123456\r")), b"123456\r");
        assert_eq!(pack_ussd(&[0x41; 182]).len(), 160, "a whole screen");
    }
}
