//! How long a text is on the air: septets of GSM 03.38 (3GPP TS 23.038 §6.2.1), or UTF-16 units where a character is
//! outside of that alphabet. Pages and worst-case lengths are counted with it; nothing is encoded here.

/// The default alphabet without ESC, which stands for no character of its own.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table: each is ESC and a septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The septets of each ASCII character, 0 for those outside of the alphabet: most of what is counted.
const ASCII: [u8; 128] = {
    let mut table = [1_u8; 128];
    let outside = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0b\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\
                     \x18\x19\x1a\x1b\x1c\x1d\x1e\x1f`\x7f";
    let extension = *b"\x0c^{}\\[~]|";
    let mut index = 0;
    while index < outside.len() {
        table[outside[index] as usize] = 0;
        index += 1;
    }
    index = 0;
    while index < extension.len() {
        table[extension[index] as usize] = 2;
        index += 1;
    }
    table
};

/// The septets of a character, or nothing if it is outside of the alphabet.
#[must_use]
pub fn septets_of(c: char) -> Option<usize> {
    let known = u32::from(c).try_into().ok().and_then(|index: usize| ASCII.get(index));
    match known {
        Some(0) => None,
        Some(septets) => Some(usize::from(*septets)),
        None if BASIC.contains(c) => Some(1),
        None if EXTENSION.contains(c) => Some(2),
        None => None,
    }
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
        assert_eq!(BASIC.chars().count(), 127, "128 septets, one of them ESC");
        assert_eq!(EXTENSION.chars().count(), 10);
        let (mut one, mut two) = (0, 0);
        for c in '\0'..=char::MAX {
            match septets_of(c) {
                Some(1) => one += 1,
                Some(_) => two += 1,
                None => {}
            }
        }
        assert_eq!((one, two), (127, 10));
        assert!(BASIC.chars().all(|c| septets_of(c) == Some(1)));
        assert!(EXTENSION.chars().all(|c| septets_of(c) == Some(2)));
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
}
