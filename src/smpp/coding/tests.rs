//! Octets and texts, by route.

use proptest::prelude::*;

use super::*;

const ALL: [Charset; 5] =
    [Charset::Gsm7, Charset::Gsm7Packed, Charset::Latin1, Charset::Ascii, Charset::Utf8];

fn of(default: Charset) -> Charsets {
    Charsets { default, ..Charsets::sms() }
}

fn text(coding: u8, octets: &[u8], charsets: &Charsets) -> String {
    let decoded = decode(coding, octets, charsets).unwrap();
    assert!(!decoded.lossy, "{coding:#x} {octets:x?}: {decoded:?}");
    decoded.text
}

#[test]
fn nought_is_what_the_route_says() {
    for (charset, octets, wanted) in [
        (Charset::Gsm7, b"\x00 \x1b\x65".as_ref(), "@ €"),
        (Charset::Gsm7Packed, &[0xe8, 0x32, 0x9b, 0xfd, 0x06], "hello"),
        (Charset::Latin1, b"Caf\xe9", "Café"),
        (Charset::Ascii, b"RC 50@", "RC 50@"),
        (Charset::Utf8, "Café 充".as_bytes(), "Café 充"),
        (Charset::Ucs2, b"\x51\x45", "充"),
    ] {
        assert_eq!(text(0, octets, &of(charset)), wanted, "{charset:?}");
    }
}

#[test]
fn codings_of_sms() {
    let sms = Charsets::sms();
    assert_eq!(text(1, b"@", &sms), "@");
    assert_eq!(text(3, b"\xe9@", &sms), "é@");
    assert_eq!(text(6, b"\xb0\xd0\xf0\xf1", &sms), "Аа№ё");
    assert_eq!(text(8, b"\x8b\xf7\xd8\x3d\xde\x00", &sms), "请😀");
    // The default alphabet: class 0 to 3, automatic deletion, waiting indications, what is reserved.
    for coding in [0x0f, 0x0b, 0x10, 0x11, 0x13, 0x40, 0x80, 0xb0, 0xc0, 0xd8, 0xf0, 0xf1, 0xf3] {
        assert_eq!(text(coding, b"\x00", &sms), "@", "{coding:#x}");
    }
    for coding in [0x18, 0x19, 0x1b, 0x58, 0xe0, 0xe8] {
        assert_eq!(text(coding, b"\0A", &sms), "A", "{coding:#x}");
    }
    for coding in [2, 4, 0x14, 0x15, 0xf4, 0xf5, 0xf7] {
        assert_eq!(decode(coding, b"\0", &sms), Err(NotText::Binary(coding)));
    }
    assert_eq!(decode(0x20, b"\0", &sms), Err(NotText::Compressed(0x20)));
    for coding in [5, 7, 9, 0x0a, 0x0d, 0x0e] {
        assert_eq!(decode(coding, b"\0", &sms), Err(NotText::Unsupported(coding)));
    }
}

#[test]
fn codings_of_ussd() {
    let ussd = Charsets::ussd();
    for coding in [0, 1, 4, 0x0f, 0x20, 0x40, 0x44 & 0xf3, 0x50] {
        assert_eq!(text(coding, b"\x00", &ussd), "@", "{coding:#x}");
    }
    assert_eq!(text(0x48, b"\0A", &ussd), "A");
    assert_eq!(text(8, b"\0A", &ussd), "A", "SMPP's value, in common use");
    assert_eq!(text(3, b"\xe9", &ussd), "é");
    // With a language before the text.
    assert_eq!(text(0x11, b"\xe5\x1b\x8b\xf7", &ussd), "请");
    assert_eq!(text(0x10, b"en\rHello", &ussd), "Hello");
    assert_eq!(text(0x10, b"Hello", &ussd), "Hello", "none is there");
    assert_eq!(decode(0x11, b"\xe5", &ussd).unwrap().text, "");
    assert_eq!(decode(0x44, b"\0", &ussd), Err(NotText::Binary(0x44)));
    assert_eq!(decode(0x60, b"\0", &ussd), Err(NotText::Compressed(0x60)));
    assert_eq!(decode(0xf4, b"\0", &ussd), Err(NotText::Binary(0xf4)));
    // Gateways that send ASCII under 0x0f.
    let ascii = Charsets { default: Charset::Ascii, ..ussd };
    assert_eq!(text(0x0f, b"*120*1#@", &ascii), "*120*1#@");
    // Packed, seven characters: the eighth septet is a CR and no @.
    let packed = Charsets { default: Charset::Gsm7Packed, ..ussd };
    let (coding, octets) = encode("*120*1#", &packed);
    assert_eq!((coding, octets.len(), text(0x0f, &octets, &packed)), (0x0f, 7, "*120*1#".to_owned()));
}

#[test]
fn what_is_not_understood_is_told() {
    let sms = Charsets::sms();
    for (coding, octets, wanted) in [
        (0, b"A\xe9".as_ref(), "A\u{fffd}"),
        (1, b"A\xe9", "A\u{fffd}"),
        (8, b"\0A\0", "A"),
        (8, b"\xd8\x3d\0A", "\u{fffd}A"),
        (8, b"\xde\x00", "\u{fffd}"),
    ] {
        assert_eq!(decode(coding, octets, &sms), Ok(Decoded { text: wanted.to_owned(), lossy: true }));
    }
    assert_eq!(
        decode(0, b"A\xff", &of(Charset::Utf8)),
        Ok(Decoded { text: "A\u{fffd}".to_owned(), lossy: true })
    );
    // A byte order mark is none of the text, and is believed.
    assert_eq!(text(8, b"\xfe\xff\0A", &sms), "A");
    assert_eq!(text(8, b"\xff\xfeA\0", &sms), "A");
}

#[test]
fn the_shortest_that_fits_is_chosen() {
    let sms = Charsets::sms();
    assert_eq!(encode("50 €", &sms), (0, Bytes::from_static(b"50 \x1b\x65")));
    assert_eq!(encode("garçon", &sms), (8, Bytes::from_static(b"\0g\0a\0r\0\xe7\0o\0n")));
    assert_eq!(encode("garçon", &of(Charset::Latin1)), (0, Bytes::from_static(b"gar\xe7on")));
    assert_eq!(encode("50 €", &of(Charset::Latin1)).0, 8);
    assert_eq!(encode("充值", &of(Charset::Utf8)), (0, Bytes::from("充值")));
    assert_eq!(encode("é", &of(Charset::Ascii)).0, 8);
    let ussd = Charsets::ussd();
    assert_eq!((encode("1. Pay", &ussd).0, encode("充值", &ussd).0), (0x0f, 0x48));
    assert_eq!(encode("😀", &sms).1.as_ref(), b"\xd8\x3d\xde\x00");
}

#[test]
fn a_route_may_fold_letters() {
    let sms = Charsets { fold: true, ..Charsets::sms() };
    assert_eq!(encode("garçon", &sms), (0, Bytes::from_static(b"garcon")));
    assert_eq!(encode("Número “50”…", &sms), (0, Bytes::from_static(b"Numero \"50\"...")));
    assert_eq!(encode("é", &sms), (0, Bytes::from_static(b"\x05")), "what is in the alphabet stays");
    assert_eq!(encode("çé充", &sms).0, 8, "all or nothing");
    assert_eq!(decode(8, &encode("çé充", &sms).1, &sms).unwrap().text, "çé充");
    let ascii = Charsets { fold: true, ..of(Charset::Ascii) };
    assert_eq!(encode("50 €", &ascii), (0, Bytes::from_static(b"50 EUR")));
}

proptest! {
    #[test]
    fn texts_come_back(text in "\\PC{0,80}|[a-z@€\\[ ]{0,90}", which in 0..ALL.len(), cbs: bool) {
        let base = if cbs { Charsets::ussd() } else { Charsets::sms() };
        let charsets = Charsets { default: ALL[which], ..base };
        let (coding, octets) = encode(&text, &charsets);
        let decoded = decode(coding, &octets, &charsets).unwrap();
        // A packed SMS cannot tell a last @ from spare bits, and a mark of byte order is taken for one.
        let ends = |text: &str| !cbs && ALL[which] == Charset::Gsm7Packed && text.ends_with('@');
        prop_assume!(!ends(&text) && !text.starts_with(['\u{feff}', '\u{fffe}']));
        prop_assert!(!decoded.lossy);
        prop_assert_eq!(decoded.text, text);
    }

    #[test]
    fn any_octets_are_read(coding: u8, octets: Vec<u8>, fill in 0_u32..9, which in 0..ALL.len(), cbs: bool) {
        let base = if cbs { Charsets::ussd() } else { Charsets::sms() };
        let charsets = Charsets { default: ALL[which], ..base };
        if let Ok(decoded) = decode_from(coding, &octets, fill, &charsets) {
            prop_assert!(decoded.text.chars().count() <= octets.len() * 8 / 7 + 1);
        }
    }
}
