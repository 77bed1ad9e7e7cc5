//! Dialogues under every profile, from both sides.

use super::*;
use crate::smpp::status;
use crate::smpp::tlv::tag;

const WHO: &str = "+8613800000001";

/// A screen with an operation and a session field.
fn screen(words: &str, op: u8, session: Option<(u16, Vec<u8>)>) -> Body {
    let mut message = text("8613800000001", words);
    message.source.digits = Bytes::from_static(b"125");
    message.data_coding = 0x0f;
    message.tlvs.push(tag::USSD_SERVICE_OP, vec![op]);
    if let Some((tag, value)) = session {
        message.tlvs.push(tag, value);
    }
    Body::SubmitSm(message)
}

fn session(profile: &str, message: &Message, end: bool) -> Option<(u16, Vec<u8>)> {
    let field = |tag| message.tlvs.get(tag).map(|value| (tag, value.to_vec()));
    match profile {
        "umr" => field(tag::USER_MESSAGE_REFERENCE),
        "none" => {
            assert_eq!((field(tag::USER_MESSAGE_REFERENCE), field(tag::ITS_SESSION_INFO)), (None, None));
            None
        }
        _ => field(tag::ITS_SESSION_INFO).map(|(tag, mut value)| {
            value[1] = value[1] & 0xfe | u8::from(end);
            (tag, value)
        }),
    }
}

#[test]
fn a_dialogue_goes_from_code_to_end_under_every_profile() {
    for profile in ["spec", "its15", "umr", "tata", "none"] {
        let mut lab = Lab::new(&json!({ "profile": profile }), &json!({}));
        let id = lab.bind();
        let dialled = lab.dial(WHO, "*125*50#");
        let begin = lab.answer(id, 0);
        assert_eq!(begin.tlvs.octet(tag::USSD_SERVICE_OP), Some(1));
        assert_eq!(
            (&begin.short_message[..], &begin.destination.digits[..]),
            (&b"*125*50#"[..], &b"125"[..])
        );
        assert_eq!((&begin.service_type[..], begin.data_coding), (&b"USSD"[..], 0x0f));
        lab.ask(id, screen("Amount?", 2, session(profile, &begin, false)));
        assert_eq!(lab.one(id).status, 0, "{profile}");
        let (_, shown) = lab.answered(dialled);
        assert_eq!((&shown["screen"], &shown["open"]), (&json!("Amount?"), &json!(true)));

        let said = lab.say(WHO, "50");
        let answer = lab.answer(id, 0);
        assert_eq!(answer.tlvs.octet(tag::USSD_SERVICE_OP), Some(18));
        assert_eq!(&answer.short_message[..], b"50");
        let op = if profile == "tata" { 2 } else { 17 };
        lab.ask(id, screen("Paid.", op, session(profile, &answer, profile != "spec")));
        assert_eq!(lab.one(id).status, 0, "{profile}");
        let (_, shown) = lab.answered(said);
        assert_eq!((&shown["screen"], &shown["open"]), (&json!("Paid."), &json!(false)), "{profile}");

        // Whatever comes now is for a dialogue that is gone.
        lab.ask(id, screen("Late", op, session(profile, &answer, true)));
        assert_eq!(lab.one(id).status, status::RSUBMITFAIL, "{profile}");
        let late = lab.say(WHO, "1");
        assert_eq!(lab.answered(late).0, 409);
    }
}

#[test]
fn the_second_octet_of_its_session_info_counts() {
    let mut lab = Lab::new(&json!({ "next_dialogue": 200 }), &json!({}));
    let id = lab.bind();
    lab.dial(WHO, "*125#");
    let begin = lab.answer(id, 0);
    assert_eq!(begin.tlvs.get(tag::ITS_SESSION_INFO).unwrap()[..], [200, 0]);
    lab.ask(id, screen("?", 2, Some((tag::ITS_SESSION_INFO, vec![200, 2]))));
    lab.pdus(id);
    lab.say(WHO, "1");
    assert_eq!(lab.answer(id, 0).tlvs.get(tag::ITS_SESSION_INFO).unwrap()[..], [200, 2]);
}

#[test]
fn a_screen_reaches_only_the_dialogue_that_it_names() {
    let mut lab = Lab::new(&json!({ "profile": "umr" }), &json!({}));
    let id = lab.bind();
    lab.dial(WHO, "*125#");
    let begin = lab.answer(id, 0);
    let own = session("umr", &begin, false);
    lab.ask(id, screen("?", 2, Some((tag::USER_MESSAGE_REFERENCE, vec![0x7f, 0xff]))));
    assert_eq!(lab.one(id).status, status::RSUBMITFAIL);
    lab.ask(id, screen("?", 2, None));
    assert_eq!(lab.one(id).status, status::RMISSINGOPTPARAM);
    lab.ask(id, screen("?", 2, own.clone()));
    assert_eq!(lab.one(id).status, 0);
    lab.ask(id, screen("again", 2, own));
    assert_eq!(lab.one(id).status, status::RSUBMITFAIL, "nobody waits for a second one");
    // Another handset in a dialogue of the same number.
    lab.settings(json!({ "next_dialogue": 1 }));
    let other = "+8613800000002";
    let ticket = lab.dial(other, "*125#");
    let begin = lab.answer(id, 0);
    assert_eq!(begin.tlvs.get(tag::USER_MESSAGE_REFERENCE).unwrap()[..], [0, 1]);
    lab.pass(10_000);
    assert_eq!(lab.answered(ticket).0, 504, "the screens were for the first handset");
    assert_eq!(lab.handset(WHO)["screen"], "?");
}

#[test]
fn each_gateway_tells_an_abort_its_own_way() {
    let table: &[(&str, Option<u8>, Option<u8>)] = &[
        ("spec", Some(18), Some(1)),
        ("its15", Some(0x81), Some(1)),
        ("umr", Some(0x81), None),
        ("tata", Some(17), Some(1)),
        ("none", None, None),
    ];
    for (profile, op, end) in table {
        let mut lab = Lab::new(&json!({ "profile": profile }), &json!({}));
        let id = lab.bind();
        let ticket = lab.dial(WHO, "*125#");
        lab.answer(id, 0);
        let handset = serde_json::from_value(json!({ "msisdn": WHO })).unwrap();
        let aborted = lab.control(Control::Abort(handset));
        assert_eq!(lab.answered(aborted).1["open"], false);
        assert_eq!(lab.answered(ticket).1["why"], "aborted by the subscriber");
        let told = lab.pdus(id).pop().map(|p| match p.body {
            Body::DeliverSm(message) => message,
            other => panic!("{other:?}"),
        });
        assert_eq!(told.as_ref().and_then(|m| m.tlvs.octet(tag::USSD_SERVICE_OP)), *op, "{profile}");
        let bit = told.and_then(|m| m.tlvs.get(tag::ITS_SESSION_INFO).map(|v| v[1] & 1));
        assert_eq!(bit, *end, "{profile}");
    }
}

#[test]
fn the_network_waits_so_long_and_no_longer() {
    let settings = json!({ "screen_ms": 3_000, "user_ms": 5_000, "profile": "its15" });
    let mut lab = Lab::new(&settings, &json!({}));
    let id = lab.bind();
    let ticket = lab.dial(WHO, "*125#");
    let begin = lab.answer(id, 0);
    lab.pass(2_000);
    lab.ask(id, screen("?", 2, session("its15", &begin, false)));
    lab.pdus(id);
    assert_eq!(lab.answered(ticket).1["screen"], "?");
    lab.pass(4_000);
    let said = lab.say(WHO, "1");
    lab.answer(id, 0);
    lab.pass(3_000);
    assert_eq!(lab.answer(id, 0).tlvs.octet(tag::USSD_SERVICE_OP), Some(0x81));
    assert_eq!(lab.answered(said).1["why"], "the ESME shows nothing");

    lab.dial(WHO, "*125#");
    let begin = lab.answer(id, 0);
    lab.ask(id, screen("?", 2, session("its15", &begin, false)));
    lab.pdus(id);
    lab.pass(5_000);
    lab.answer(id, 0);
    assert_eq!(lab.handset(WHO)["dialogue"]["why"], "the subscriber answers nothing");
}

#[test]
fn the_esme_may_begin() {
    let mut lab = Lab::new(&json!({ "profile": "its15" }), &json!({}));
    let id = lab.bind();
    let waits = lab.wait(json!({ "msisdn": WHO, "for": "push" }));
    lab.ask(id, screen("PIN?", 2, Some((tag::ITS_SESSION_INFO, vec![0x24, 0x68]))));
    assert_eq!(lab.one(id).status, 0);
    assert_eq!(lab.answered(waits).1["screen"], "PIN?");
    assert_eq!((&lab.handset(WHO)["push"], &lab.handset(WHO)["screen"]), (&json!(true), &json!("PIN?")));
    let said = lab.say(WHO, "2849");
    let answer = lab.answer(id, 0);
    assert_eq!(answer.tlvs.get(tag::ITS_SESSION_INFO).unwrap()[..], [0x24, 0x68], "the ESME's own number");
    assert_eq!(
        (answer.tlvs.octet(tag::USSD_SERVICE_OP), &answer.destination.digits[..]),
        (Some(18), &b"125"[..])
    );
    lab.ask(id, screen("Thank you", 17, Some((tag::ITS_SESSION_INFO, vec![0x24, 0x69]))));
    lab.pdus(id);
    assert_eq!(lab.answered(said).1["screen"], "Thank you");

    lab.ask(id, screen("Balance 5", 3, None));
    let mut came = lab.pdus(id);
    assert_eq!(came.len(), 2, "a response and the confirmation");
    let Body::DeliverSm(noted) = came.remove(1).body else { panic!() };
    assert_eq!(noted.tlvs.octet(tag::USSD_SERVICE_OP), Some(19));
    assert_eq!(lab.handset(WHO)["dialogue"]["screen"], "Balance 5");

    lab.settings(json!({ "pushes": false }));
    lab.ask(id, screen("PIN?", 2, None));
    assert_eq!(lab.one(id).status, status::RSUBMITFAIL);
    let change = json!({ "msisdn": WHO, "pushes": true });
    lab.control(Control::Change(serde_json::from_value(change).unwrap()));
    lab.ask(id, screen("PIN?", 2, None));
    assert_eq!(lab.one(id).status, 0, "this handset takes them");
    assert_eq!(lab.handset(WHO)["push"], true);
}

#[test]
fn a_dialogue_ends_with_its_link_and_with_a_refusal() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let none = lab.dial(WHO, "*125#");
    assert_eq!(lab.answered(none).1["why"], "no ESME is bound to receive");
    let id = lab.bind();
    let ticket = lab.dial(WHO, "*125#");
    lab.give(Input::Closed(id));
    assert_eq!(lab.answered(ticket).1["why"], "the link is gone");
    let id = lab.bind();
    assert!(lab.pdus(id).is_empty(), "it is not delivered to the next link");
    let ticket = lab.dial(WHO, "*125#");
    lab.answer(id, status::RX_T_APPN);
    assert_eq!(lab.answered(ticket).1["why"], "refused by the ESME: ESME_RX_T_APPN");
    // The last to dial has the handset.
    let first = lab.dial(WHO, "*125#");
    lab.answer(id, 0);
    let second = lab.dial(WHO, "*126#");
    lab.answer(id, 0);
    assert_eq!(lab.answered(first).1["why"], "another code was dialled");
    lab.pass(10_000);
    assert_eq!(lab.answered(second).0, 504);
}

#[test]
fn codings_and_codes_are_written_as_told() {
    let mut lab = Lab::new(&json!({ "ussd_coding": "smpp", "code_in": "address" }), &json!({}));
    let id = lab.bind();
    lab.dial(WHO, "*125#");
    let begin = lab.answer(id, 0);
    assert_eq!((&begin.destination.digits[..], begin.short_message.len()), (&b"*125#"[..], 0));
    assert_eq!(begin.data_coding, 0);
    lab.settings(json!({ "ussd_coding": "cbs", "code_in": "text" }));
    let mut message = text("8613800000001", "");
    message.source.digits = Bytes::from_static(b"*125#");
    message.data_coding = 0x48;
    message.short_message = Bytes::from_static(b"\x8b\xf7");
    message.tlvs.push(tag::USSD_SERVICE_OP, vec![2]);
    message.tlvs.push(tag::ITS_SESSION_INFO, begin.tlvs.get(tag::ITS_SESSION_INFO).unwrap().to_vec());
    lab.ask(id, Body::SubmitSm(message));
    assert_eq!((lab.one(id).status, &lab.handset(WHO)["screen"]), (0, &json!("请")));
}

#[test]
fn a_screen_that_no_telephone_can_show_is_refused() {
    let mut lab = Lab::new(&json!({ "profile": "none", "abort_op": 17 }), &json!({}));
    let id = lab.bind();
    let mut status_of = |words: Bytes, data_coding: u8| {
        let mut message = text("8613800000001", "");
        message.tlvs.push(tag::USSD_SERVICE_OP, vec![3]);
        message.short_message = words;
        message.data_coding = data_coding;
        lab.ask(id, Body::SubmitSm(message));
        let status = lab.pdus(id)[0].status;
        let seen = lab.handset(WHO)["screens"].clone();
        (status, seen)
    };
    assert_eq!(status_of(Bytes::from(vec![b'a'; 182]), 0x0f), (0, json!(1)));
    assert_eq!(status_of(Bytes::from(vec![b'a'; 183]), 0x0f), (status::RINVMSGLEN, json!(1)));
    assert_eq!(status_of(Bytes::from([0x8b, 0xf7].repeat(80)), 0x48), (0, json!(2)));
    assert_eq!(status_of(Bytes::from([0x8b, 0xf7].repeat(81)), 0x48), (status::RINVMSGLEN, json!(2)));
}
