//! How long a text is on the air: septets of GSM 03.38 (3GPP TS 23.038 §6.2.1), or UTF-16 units where a character is
//! outside of that alphabet. Pages and worst-case lengths are counted with it; nothing is encoded here.

/// The default alphabet without ESC, which stands for no character of its own.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The extension table: each is ESC and a septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The septets of a character, or nothing if it is outside of the alphabet.
#[must_use]
pub fn septets_of(c: char) -> Option<usize> {
    match c {
        // Most of what is counted, without a look at the tables.
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' => Some(2),
        ' '..='_' | 'a'..='z' | '\n' => Some(1),
        _ if BASIC.contains(c) => Some(1),
        _ if EXTENSION.contains(c) => Some(2),
        _ => None,
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
