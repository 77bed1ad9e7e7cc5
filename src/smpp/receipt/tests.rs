//! Receipts as SMSCs were seen to write them.

use proptest::prelude::*;

use super::*;
use crate::smpp::pdu::Address;

fn receipt(text: impl Into<Bytes>) -> Message {
    Message { esm_class: 0x04, short_message: text.into(), ..Message::default() }
}

fn told(text: &'static str) -> (Option<String>, Option<State>, Option<String>, Option<i64>) {
    let receipt = read(&receipt(text), &Charsets::sms()).unwrap();
    let id = receipt.message_id.map(|id| String::from_utf8(id.to_vec()).unwrap());
    (id, receipt.state, receipt.error, receipt.done_at.map(|at| at / 1_000_000))
}

fn all(
    id: &str,
    state: State,
    error: &str,
    done: i64,
) -> (Option<String>, Option<State>, Option<String>, Option<i64>) {
    (Some(id.into()), Some(state), Some(error.into()), Some(done))
}

#[test]
fn texts_of_many_smscs_are_read() {
    // 2017-01-24 09:04:00 UTC.
    let done = 1_485_248_640;
    for (text, wanted) in [
        // Appendix B.
        (
            "id:0123456789 sub:001 dlvrd:001 submit date:1701240903 done date:1701240904 stat:DELIVRD err:000 text:RC 50",
            all("0123456789", State::Delivered, "000", done),
        ),
        // Without sub and dlvrd (jsmpp #62).
        (
            "id:1526758174 submit date:1701240904 done date:1701240904 stat:DELIVRD err:000 text:hellow",
            all("1526758174", State::Delivered, "000", done),
        ),
        // Seconds, an id of hexadecimal digits, no text (Jasmin #70).
        (
            "id:a29f6845555647139e5c8f3b817f2c9a sub:001 dlvrd:001 submit date:170124090301 done date:170124090400 stat:DELIVRD err:000 text:",
            all("a29f6845555647139e5c8f3b817f2c9a", State::Delivered, "000", done),
        ),
        // A time as PDUs have it (smppex #46).
        (
            "id:rdwjwxns sub:000 dlvrd:000 submit date:170124090400012+ done date:170124120400012+ stat:UNDELIV err:000",
            all("rdwjwxns", State::Undeliverable, "000", done),
        ),
        // err of four digits (php-smpp #70), of letters, with a space (php-smpp #29).
        (
            "id:117062714244798261 sub:001 dlvrd:001 submit date:1701240904 done date:1701240904 stat:DELIVRD err:0000 text:x",
            all("117062714244798261", State::Delivered, "0000", done),
        ),
        (
            "id:7 done date:1701240904 stat:UNDELIV err:EC_06b text:",
            all("7", State::Undeliverable, "EC_06b", done),
        ),
        (
            "id: 7 sub: 001 done date: 1701240904 stat: EXPIRED err: 0 text: x",
            all("7", State::Expired, "0", done),
        ),
        // Another order, another case, a century.
        (
            "STAT:Rejectd ERR:11 DONE DATE:20170124090400 SUBMIT DATE:20170124090400 ID:ab-cd Text:x",
            all("ab-cd", State::Rejected, "11", done),
        ),
        ("id=7;done_date=1701240904;status=DELIVERED;error=0", all("7", State::Delivered, "0", done)),
        // Fields that are empty, or not there.
        ("id:7 sub: dlvrd: submit date: done date: stat: err: text:", (Some("7".into()), None, None, None)),
        ("id:7 stat:ACCEPTD", (Some("7".into()), Some(State::Accepted), None, None)),
        ("stat:2 id:7", (Some("7".into()), Some(State::Delivered), None, None)),
        ("stat:WHATEVER id:7 err:000000000000000000000", (Some("7".into()), None, None, None)),
        ("id:7 done date:1713240904 stat:DELETED", (Some("7".into()), Some(State::Deleted), None, None)),
        // What stands in the message's own text is a person's.
        (
            "id:7 stat:UNDELIV text:id:8 stat:DELIVRD err:1",
            (Some("7".into()), Some(State::Undeliverable), None, None),
        ),
        ("id:7 text:stat:DELIVRD", (Some("7".into()), None, None, None)),
        // No key inside of a word.
        ("paid:9 id:7 restat:DELIVRD", (Some("7".into()), None, None, None)),
        // Between commas.
        (
            "12345678,001,001,1701240903,1701240904,DELIVRD,000,",
            all("12345678", State::Delivered, "000", done),
        ),
        ("\"99-a\",\"FAILED\",\"27\",\"170124090400\"", all("99-a", State::Undeliverable, "27", done)),
        ("", (None, None, None, None)),
        ("hello", (None, None, None, None)),
        ("id", (None, None, None, None)),
        ("id:", (None, None, None, None)),
        (":::: id :", (None, None, None, None)),
    ] {
        assert_eq!(told(text), wanted, "{text}");
    }
}

#[test]
fn parameters_come_before_the_text() {
    let mut message = receipt("id:7 stat:ENROUTE err:001");
    message.tlvs.push(tag::RECEIPTED_MESSAGE_ID, Bytes::from_static(b"ff-7\0"));
    message.tlvs.push(tag::MESSAGE_STATE, vec![2]);
    message.tlvs.push(tag::NETWORK_ERROR_CODE, vec![3, 0, 27]);
    let read = read(&message, &Charsets::sms()).unwrap();
    assert_eq!((read.message_id.as_deref(), read.state), (Some(b"ff-7".as_ref()), Some(State::Delivered)));
    assert_eq!(read.error.as_deref(), Some("001"));
    assert!(read.is_final());
}

#[test]
fn parameters_are_enough() {
    let mut message = Message { esm_class: 0x04, ..Message::default() };
    message.tlvs.push(tag::RECEIPTED_MESSAGE_ID, Bytes::from_static(b"no-nul"));
    message.tlvs.push(tag::MESSAGE_STATE, vec![5]);
    message.tlvs.push(tag::NETWORK_ERROR_CODE, vec![3, 0, 27]);
    let receipt = read(&message, &Charsets::sms()).unwrap();
    assert_eq!(receipt.message_id.as_deref(), Some(b"no-nul".as_ref()));
    assert_eq!((receipt.state, receipt.error.as_deref()), (Some(State::Undeliverable), Some("3:27")));
    // A peer that forgets esm_class; the parameter is the network's.
    message.esm_class = 0;
    assert!(read(&message, &Charsets::sms()).is_some());
}

#[test]
fn a_person_cannot_write_a_receipt() {
    let text = "id:7 stat:DELIVRD err:000 text:";
    for esm_class in [0x00, 0x03, 0x40, 0x08, 0x10, 0x18] {
        let message = Message { esm_class, ..receipt(text) };
        assert_eq!(read(&message, &Charsets::sms()), None, "{esm_class:#x}");
    }
    for esm_class in [0x04, 0x07, 0x20] {
        assert!(read(&Message { esm_class, ..receipt(text) }, &Charsets::sms()).is_some(), "{esm_class:#x}");
    }
    let between = read(&Message { esm_class: 0x20, ..receipt(text) }, &Charsets::sms()).unwrap();
    assert!(between.intermediate && !between.is_final());
}

#[test]
fn receipts_come_in_any_coding() {
    let text = "id:7 stat:DELIVRD err:000 text:充";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let narrow = "id:7 stat:DELIVRD err:000 text:";
    let blind: Vec<u8> = narrow.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let sms = Charsets::sms();
    let packed = Charsets { default: Charset::Gsm7Packed, ..sms };
    let seven = coding::encode(narrow, &packed).1;
    for (data_coding, octets, charsets) in [
        (8, wide, &sms),
        (0, blind, &sms),
        (8, narrow.into(), &sms),
        (0, text.into(), &sms),
        (3, narrow.into(), &sms),
        (4, narrow.into(), &sms),
        (0, seven.to_vec(), &packed),
        (0, narrow.into(), &packed),
    ] {
        let message = Message { data_coding, ..receipt(octets) };
        let receipt = read(&message, charsets).unwrap();
        assert_eq!(receipt.message_id.as_deref(), Some(b"7".as_ref()), "{data_coding}");
        assert_eq!(receipt.state, Some(State::Delivered));
    }
    // In message_payload, by data_sm.
    let mut message = receipt("");
    message.tlvs.push(tag::MESSAGE_PAYLOAD, Bytes::from_static(narrow.as_bytes()));
    assert_eq!(read(&message, &sms).unwrap().state, Some(State::Delivered));
}

#[test]
fn ids_meet_by_the_forms_of_the_route() {
    use IdForm::{Decimal, Hex, Opaque};
    for (response, receipt, sent, told, meet) in [
        (Opaque, Opaque, "ab12", "ab12", true),
        (Opaque, Opaque, "ab12", "AB12", false),
        (Opaque, Opaque, "0012", "12", false),
        (Hex, Decimal, "1A", "26", true),
        (Hex, Decimal, "0000001a", "0000000026", true),
        (Hex, Decimal, "0x1a", "26", true),
        (Decimal, Hex, "26", "1a", true),
        (Hex, Hex, "00AB", "ab", true),
        (Decimal, Decimal, "0012", "12", true),
        (Hex, Decimal, "ffffffffffffffff", "18446744073709551615", true),
        (Hex, Decimal, "1A", "1A", false),
        // What is no number stays what it is.
        (Hex, Decimal, "ab-12-zz", "ab-12-zz", true),
        (Decimal, Decimal, "+12", "12", false),
        (Decimal, Decimal, "", "", true),
    ] {
        let forms = IdForms { response, receipt };
        let same = forms.of_response(sent.as_bytes()) == forms.of_receipt(told.as_bytes());
        assert_eq!(same, meet, "{forms:?} {sent} {told}");
    }
}

#[test]
fn what_we_write_is_what_appendix_b_has() {
    let report = Report {
        message_id: Bytes::from_static(b"01ab"),
        state: State::Undeliverable,
        error: 27,
        submitted_at: 1_485_248_580_000_000,
        done_at: 1_485_248_640_000_000,
        text: "RC 50 充 and more than twenty".to_owned(),
    };
    let message = written(&report, Address::default(), Address::default());
    assert_eq!(
        message.short_message,
        "id:01ab sub:001 dlvrd:000 submit date:1701240903 done date:1701240904 stat:UNDELIV err:027 text:RC 50 ? and more tha"
    );
    assert_eq!(message.tlvs.get(tag::RECEIPTED_MESSAGE_ID).unwrap().as_ref(), b"01ab\0");
    let receipt = read(&message, &Charsets::sms()).unwrap();
    assert_eq!(receipt.message_id.as_deref(), Some(b"01ab".as_ref()));
    assert_eq!((receipt.state, receipt.error.as_deref()), (Some(State::Undeliverable), Some("027")));
    assert_eq!(receipt.done_at, Some(report.done_at));
}

#[test]
fn states_have_numbers_and_words() {
    for number in 0..=9 {
        let state = State::of(number).unwrap();
        assert_eq!((state.number(), State::of_word(state.word())), (number, Some(state)));
    }
    assert_eq!((State::of(10), State::of_word("DEL"), State::of_word("éé")), (None, None, None));
    assert_eq!(
        [0x00, 0x43, 0x04, 0x28].map(Sort::of),
        [Sort::Message, Sort::Message, Sort::Receipt, Sort::Reserved]
    );
}

proptest! {
    #[test]
    fn any_text_is_survived(octets: Vec<u8>, text in "(id|stat|err|done date|text|,|:|=| |7|é|充){0,60}", coding: u8) {
        for octets in [octets, text.into_bytes()] {
            let message = Message { data_coding: coding, ..receipt(octets) };
            prop_assert!(read(&message, &Charsets::sms()).is_some());
        }
    }
}
