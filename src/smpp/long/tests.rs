//! Headers as they come, texts cut and joined.

use proptest::prelude::*;

use super::*;

fn message(esm_class: u8, short_message: &'static [u8]) -> Message {
    Message { esm_class, short_message: Bytes::from_static(short_message), ..Message::default() }
}

#[test]
fn headers_are_read() {
    let read = content(&message(UDHI, b"\x05\x00\x03\x2a\x02\x01RC 50"));
    assert_eq!(read.concat, Some(Concat { reference: 0x2a, total: 2, part: 1 }));
    assert_eq!((read.text.as_ref(), read.fill, read.malformed), (b"RC 50".as_ref(), 1, false));
    let read = content(&message(UDHI | 4, b"\x06\x08\x04\x01\x2a\x02\x02RC 50"));
    assert_eq!(read.concat, Some(Concat { reference: 0x12a, total: 2, part: 2 }));
    assert_eq!((read.text.as_ref(), read.fill), (b"RC 50".as_ref(), 0));
    // Ports first, then the concatenation; both are kept.
    let read = content(&message(UDHI, b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x07\x03\x03x"));
    assert_eq!(read.elements.iter().map(|element| element.id).collect::<Vec<_>>(), [5, 0]);
    assert_eq!(read.concat, Some(Concat { reference: 7, total: 3, part: 3 }));
    // National language shift tables: kept, not understood.
    let read = content(&message(UDHI, b"\x03\x24\x01\x01merhaba"));
    assert_eq!((read.elements.len(), read.concat, read.text.as_ref()), (1, None, b"merhaba".as_ref()));
}

#[test]
fn headers_that_say_nonsense_are_survived() {
    for (octets, text, malformed) in [
        (b"".as_ref(), b"".as_ref(), true),
        (b"\x05\x00\x03", b"\x05\x00\x03", true),
        (b"\xffRC 50", b"\xffRC 50", true),
        // An element longer than the header.
        (b"\x05\x00\x30\x2a\x02\x01RC", b"RC", true),
        // One octet of an element.
        (b"\x01\x00RC", b"RC", true),
        (b"\x00RC", b"RC", false),
        // Numbers that make no sense.
        (b"\x05\x00\x03\x2a\x02\x00RC", b"RC", false),
        (b"\x05\x00\x03\x2a\x02\x03RC", b"RC", false),
        (b"\x05\x00\x03\x2a\x00\x00RC", b"RC", false),
        (b"\x04\x00\x02\x2a\x02RC", b"RC", false),
    ] {
        let octets = Bytes::from_static(octets);
        let read = content(&Message { esm_class: UDHI, short_message: octets.clone(), ..Message::default() });
        assert_eq!((read.text.as_ref(), read.malformed, read.concat), (text, malformed, None), "{octets:x?}");
    }
    // Of two concatenations the last counts.
    let read = content(&message(UDHI, b"\x0a\x00\x03\x01\x02\x01\x00\x03\x02\x02\x02RC"));
    assert_eq!(read.concat, Some(Concat { reference: 2, total: 2, part: 2 }));
    // No header is promised: nothing is taken for one.
    assert_eq!(content(&message(0, b"\x05\x00\x03\x2a\x02\x01RC")).text.len(), 8);
}

#[test]
fn sar_parameters_and_payload_are_read() {
    let mut sent = message(0, b"RC 50");
    sent.tlvs.push(tag::SAR_MSG_REF_NUM, vec![1, 2]);
    sent.tlvs.push(tag::SAR_TOTAL_SEGMENTS, vec![2]);
    assert_eq!(content(&sent).concat, None, "its number is missing");
    sent.tlvs.push(tag::SAR_SEGMENT_SEQNUM, vec![2]);
    assert_eq!(content(&sent).concat, Some(Concat { reference: 0x102, total: 2, part: 2 }));
    let mut sent = message(0, b"");
    sent.tlvs.push(tag::MESSAGE_PAYLOAD, Bytes::from_static(b"a long text"));
    assert_eq!(content(&sent).text.as_ref(), b"a long text");
    sent.short_message = Bytes::from_static(b"short");
    assert_eq!(content(&sent).text.as_ref(), b"short", "the field of its own is believed");
    let mut sent = message(UDHI, b"");
    sent.tlvs.push(tag::MESSAGE_PAYLOAD, Bytes::from_static(b"\x05\x00\x03\x2a\x02\x01RC"));
    assert_eq!(content(&sent).concat.map(|concat| concat.part), Some(1));
}

#[test]
fn segments_are_counted_exactly() {
    let sms = Charsets::sms();
    let packed = Charsets { default: Charset::Gsm7Packed, ..sms };
    let latin = Charsets { default: Charset::Latin1, ..sms };
    let utf8 = Charsets { default: Charset::Utf8, ..sms };
    let count = |text: String, charsets: &Charsets| {
        let one = |form| {
            let segments = segments(&text, charsets, form);
            assert_eq!(cut(&text, charsets, form, 1).unwrap().segments, segments);
            segments
        };
        let counts = [one(Form::Udh8), one(Form::Udh16)];
        assert_eq!((one(Form::Sar), one(Form::Payload)), (counts[0], counts[0]));
        counts
    };
    for charsets in [&sms, &packed] {
        for (septets, segments) in [
            (0, [1, 1]),
            (1, [1, 1]),
            (160, [1, 1]),
            (161, [2, 2]),
            (304, [2, 2]),
            (305, [2, 3]),
            (306, [2, 3]),
            (307, [3, 3]),
            (153 * 5, [5, 6]),
        ] {
            assert_eq!(count("a".repeat(septets), charsets), segments, "{septets} septets");
        }
        // 80 pairs fill one; in parts of 153 only 76 pairs fit.
        assert_eq!(count("€".repeat(80), charsets), [1, 1]);
        assert_eq!(count("€".repeat(81), charsets), [2, 2]);
        assert_eq!(count("€".repeat(152), charsets), [2, 2]);
        assert_eq!(count("€".repeat(153), charsets), [3, 3]);
        assert_eq!(count(format!("{}€", "a".repeat(152 + 153)), charsets), [3, 3], "no ESC at a part's end");
    }
    for (units, segments) in
        [(70, [1, 1]), (71, [2, 2]), (132, [2, 2]), (133, [2, 3]), (134, [2, 3]), (135, [3, 3])]
    {
        assert_eq!(count("充".repeat(units), &sms), segments, "{units} units");
    }
    assert_eq!(count("😀".repeat(35), &sms), [1, 1]);
    assert_eq!(count("😀".repeat(66), &sms), [2, 2], "33 pairs in 67 units");
    assert_eq!(count("😀".repeat(67), &sms), [3, 3]);
    for (octets, segments) in [(140, [1, 1]), (141, [2, 2]), (266, [2, 2]), (268, [2, 3]), (269, [3, 3])] {
        assert_eq!(count("é".repeat(octets), &latin), segments, "{octets} octets");
    }
    // 44 characters of three octets in 134.
    assert_eq!(count("充".repeat(47), &utf8), [2, 2]);
    assert_eq!(count("充".repeat(88), &utf8), [2, 2]);
    assert_eq!(count("充".repeat(89), &utf8), [3, 3]);
}

#[test]
fn parts_are_written_as_the_form_says() {
    let text = "a".repeat(161);
    let sms = Charsets::sms();
    let cut8 = cut(&text, &sms, Form::Udh8, 0x1ff).unwrap();
    assert_eq!(cut8.parts.iter().map(|part| part.esm_class).collect::<Vec<_>>(), [UDHI, UDHI]);
    assert_eq!(cut8.parts[0].short_message.len(), 6 + 153);
    assert_eq!(cut8.parts[1].short_message.as_ref(), b"\x05\x00\x03\xff\x02\x02aaaaaaaa");
    let cut16 = cut(&text, &sms, Form::Udh16, 0x1ff).unwrap();
    assert_eq!(cut16.parts[1].short_message.as_ref(), b"\x06\x08\x04\x01\xff\x02\x02aaaaaaaaa");
    let sar = cut(&text, &sms, Form::Sar, 0x1ff).unwrap();
    assert_eq!(sar.parts[1].short_message.as_ref(), b"aaaaaaaa");
    assert_eq!(
        [tag::SAR_MSG_REF_NUM, tag::SAR_TOTAL_SEGMENTS, tag::SAR_SEGMENT_SEQNUM]
            .map(|tag| sar.parts[1].tlvs.number(tag)),
        [Some(0x1ff), Some(2), Some(2)]
    );
    let payload = cut(&text, &sms, Form::Payload, 1).unwrap();
    assert_eq!((payload.parts.len(), payload.segments), (1, 2));
    assert_eq!(payload.parts[0].tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().len(), 161);
    assert!(payload.parts[0].short_message.is_empty());
    let packed = Charsets { default: Charset::Gsm7Packed, ..sms };
    assert_eq!(cut(&text, &packed, Form::Udh8, 1).unwrap().parts[0].short_message.len(), 140);
    assert_eq!(cut(&text, &packed, Form::Udh16, 1).unwrap().parts[0].short_message.len(), 140);
    // One part has no header and no parameters, in any form.
    for form in [Form::Udh8, Form::Udh16, Form::Sar, Form::Payload] {
        let one = cut("RC 50", &sms, form, 1).unwrap();
        assert_eq!(one.parts, [Part { short_message: Bytes::from_static(b"RC 50"), ..Part::default() }]);
    }
    assert_eq!(cut(&"a".repeat(153 * 255), &sms, Form::Udh8, 1).unwrap().segments, 255);
    assert_eq!(cut(&"a".repeat(153 * 255 + 1), &sms, Form::Udh8, 1), Err(TooLong { parts: 256 }));
    let mut message = message(0, b"");
    message.esm_class = 3;
    message.tlvs.push(tag::USER_MESSAGE_REFERENCE, vec![0, 1]);
    sar.parts[0].put(sar.data_coding, &mut message);
    assert_eq!((message.esm_class, message.tlvs.0.len(), message.short_message.len()), (3, 4, 153));
}

fn held(part: u8, data_coding: u8, text: &'static [u8]) -> Held {
    Held { part, data_coding, text: Bytes::from_static(text), fill: 0 }
}

#[test]
fn parts_are_joined_when_all_are_there() {
    let sms = Charsets::sms();
    let joined = |total, parts: &[Held]| join(total, parts, &sms).map(|whole| whole.map(|whole| whole.text));
    let (one, two) = (held(1, 0, b"RC "), held(2, 0, b"50"));
    assert_eq!(missing(3, &[2]).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(missing(2, &[2, 1, 1]).count(), 0);
    assert_eq!(joined(2, std::slice::from_ref(&two)), Ok(None));
    assert_eq!(joined(2, &[two.clone(), one.clone()]), Ok(Some("RC 50".to_owned())));
    assert_eq!(
        joined(2, &[two.clone(), one.clone(), held(2, 0, b"99"), held(7, 0, b"x")]),
        Ok(Some("RC 50".to_owned()))
    );
    assert_eq!(joined(0, &[]), Ok(None));
    // What was cut in two is whole again.
    assert_eq!(joined(2, &[held(1, 0, b"\x1b"), held(2, 0, b"\x6550")]), Ok(Some("€50".to_owned())));
    assert_eq!(joined(2, &[held(1, 8, b"\xd8\x3d"), held(2, 8, b"\xde\x00")]), Ok(Some("😀".to_owned())));
    assert_eq!(joined(2, &[held(1, 8, b"\0A\x8b"), held(2, 8, b"\xf7")]), Ok(Some("A请".to_owned())));
    let utf8 = Charsets { default: Charset::Utf8, ..sms };
    let halves = [held(1, 0, b"\xe5\x85"), held(2, 0, b"\x85")];
    assert_eq!(join(2, &halves, &utf8).unwrap().unwrap().text, "充");
    // An octet too many harms its own part only.
    assert_eq!(joined(2, &[held(1, 8, b"\0A\0"), held(2, 8, b"\0B")]), Ok(Some("AB".to_owned())));
    // Parts of two codings.
    assert_eq!(joined(2, &[held(1, 0, b"A"), held(2, 8, b"\x8b\xf7")]), Ok(Some("A请".to_owned())));
    assert_eq!(joined(2, &[held(1, 0, b"A"), held(2, 4, b"B")]), Err(NotText::Binary(4)));
}

proptest! {
    #[test]
    fn what_is_cut_is_joined(
        text in "\\PC{0,400}|[a-z€\\[\\^]{0,700}|[充😀a]{0,300}",
        form in prop::sample::select(vec![Form::Udh8, Form::Udh16, Form::Sar, Form::Payload]),
        default in prop::sample::select(vec![Charset::Gsm7, Charset::Gsm7Packed, Charset::Latin1, Charset::Utf8]),
        reference: u16,
    ) {
        let charsets = Charsets { default, ..Charsets::sms() };
        prop_assume!(!text.starts_with(['\u{feff}', '\u{fffe}']) && !text.contains('@'));
        let cut = cut(&text, &charsets, form, reference).unwrap();
        prop_assert_eq!(segments(&text, &charsets, form), cut.segments);
        let mut parts = Vec::new();
        for (number, part) in (1..).zip(&cut.parts) {
            let mut message = Message::default();
            part.put(cut.data_coding, &mut message);
            let read = content(&message);
            prop_assert!(!read.malformed);
            if cut.parts.len() > 1 {
                let concat = read.concat.unwrap();
                prop_assert_eq!((concat.part, usize::from(concat.total)), (number, cut.parts.len()));
                prop_assert_eq!(concat.reference & 0xff, reference & 0xff);
                // Each part can be read by itself.
                let alone = coding::decode_from(cut.data_coding, &read.text, read.fill, &charsets).unwrap();
                prop_assert!(!alone.lossy);
            }
            prop_assert!(message.short_message.len() <= 254);
            parts.push(Held { part: number, data_coding: cut.data_coding, text: read.text, fill: read.fill });
        }
        parts.reverse();
        let joined = join(u8::try_from(parts.len()).unwrap(), &parts, &charsets).unwrap().unwrap();
        prop_assert!(!joined.lossy);
        prop_assert_eq!(joined.text, text);
    }

    #[test]
    fn any_header_is_survived(octets: Vec<u8>) {
        let whole = Bytes::from(octets);
        let message = Message { esm_class: UDHI, short_message: whole.clone(), ..Message::default() };
        let read = content(&message);
        prop_assert!(whole.ends_with(&read.text));
        prop_assert!(read.fill < 7);
    }
}
