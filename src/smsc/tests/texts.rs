//! SMS both ways, receipts, who waits for what, the log.

use super::*;
use crate::smpp::status;
use crate::smpp::tlv::tag;

const TO: &str = "+8613800000001";

#[test]
fn a_text_reaches_its_handset_and_who_waits_for_it() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let id = lab.bind();
    let ticket = lab.wait(json!({ "msisdn": TO }));
    let sequence = lab.ask(id, Body::SubmitSm(text("8613800000001", "Pay 50 \u{0}")));
    let resp = lab.one(id);
    assert_eq!((resp.sequence, resp.status, message_id(&resp)), (sequence, 0, "1000".to_owned()));
    let (status, message) = lab.answered(ticket);
    assert_eq!((status, &message["text"], &message["from"]), (200, &json!("Pay 50 @"), &json!("1069125")));
    assert_eq!(message["ids"], json!(["1000"]));
    let next = lab.wait(json!({ "msisdn": TO, "after": 1, "timeout_ms": 500 }));
    lab.pass(500);
    assert_eq!(lab.answered(next).0, 504);
    let old = lab.wait(json!({ "msisdn": TO, "after": 0 }));
    assert_eq!(lab.answered(old).1["number"], 1);
    lab.settings(json!({ "ids": "decimal" }));
    lab.ask(id, Body::DataSm(text("008613800000001", "")));
    assert_eq!(message_id(&lab.one(id)), "4097");
    assert_eq!(lab.handset(TO)["received"], 2);
}

#[test]
fn long_texts_of_handsets_come_in_parts() {
    for (parts, pdus) in [("udh8", 3), ("udh16", 3), ("sar", 3), ("payload", 1)] {
        let mut lab = Lab::new(&json!({ "parts": parts }), &json!({}));
        let id = lab.bind();
        let long = "请".repeat(150);
        let ticket = lab.sms(&long);
        let came = lab.pdus(id);
        assert_eq!(came.len(), pdus, "{parts}");
        // Sent back as they are, the small network itself must make the same text of them.
        for pdu in came {
            lab.acknowledge(id, pdu.sequence, 0);
            let Body::DeliverSm(message) = pdu.body else { panic!() };
            assert_eq!((message.source.ton, message.source.npi), (1, 1));
            let destination = message.source.clone();
            lab.ask(id, Body::SubmitSm(Message { destination, ..message }));
        }
        assert_eq!(lab.answered(ticket).1["statuses"], json!(vec![0; pdus]));
        let handset = lab.handset(TO);
        assert_eq!(handset["messages"][0]["text"], json!(long), "{parts}");
        assert_eq!(handset["messages"][0]["parts"], json!(pdus));
    }
}

/// What a receipt says: id and state by text, id and state by TLV, error by TLV.
fn receipt(message: &Message) -> (String, String, Option<u8>) {
    assert_eq!(message.esm_class & 0x3c, 0x04);
    let name = message.tlvs.get(tag::RECEIPTED_MESSAGE_ID);
    let name = name.map(|n| String::from_utf8_lossy(n).trim_end_matches('\0').to_owned());
    let words = String::from_utf8(message.short_message.to_vec()).unwrap();
    (words, name.unwrap_or_default(), message.tlvs.octet(tag::MESSAGE_STATE))
}

#[test]
fn receipts_come_as_told() {
    let mut lab = Lab::new(&json!({ "receipt_ms": 100, "receipt_ids": "decimal" }), &json!({}));
    let id = lab.bind();
    let submit = |lab: &mut Lab, to: &str, registered_delivery: u8| {
        let message = Message { registered_delivery, ..text(to, "hello") };
        lab.ask(id, Body::SubmitSm(message));
        let mut came = lab.pdus(id);
        lab.pass(99);
        assert!(lab.pdus(id).is_empty());
        lab.pass(1);
        came.extend(lab.pdus(id));
        lab.pass(100);
        came.extend(lab.pdus(id));
        let mut kinds = Vec::new();
        for pdu in came {
            match pdu.body {
                Body::SubmitSmResp(_) => kinds.push("resp".to_owned()),
                Body::DeliverSm(message) => {
                    let (words, name, state) = receipt(&message);
                    lab.acknowledge(id, pdu.sequence, 0);
                    let stat = words.split("stat:").nth(1).unwrap_or("-");
                    let stat: String = stat.chars().take_while(|c| *c != ' ').collect();
                    kinds.push(format!("{stat} {name} {}", state.unwrap_or(0)));
                }
                other => panic!("{other:?}"),
            }
        }
        kinds
    };
    let ok = "8613800000001";
    assert_eq!(submit(&mut lab, ok, 0), ["resp"]);
    assert_eq!(submit(&mut lab, ok, 1), ["resp", "DELIVRD 4097 2"]);
    assert_eq!(submit(&mut lab, ok, 2), ["resp"], "only of failures");
    assert_eq!(submit(&mut lab, "8613800007011", 2), ["resp", "UNDELIV 4099 5"]);
    assert_eq!(submit(&mut lab, "8613800007012", 1), ["resp", "EXPIRED 4100 3"]);
    assert_eq!(submit(&mut lab, "8613800007013", 1), ["resp", "REJECTD 4101 8"]);
    assert_eq!(submit(&mut lab, "8613800007014", 1), ["resp"]);
    assert_eq!(submit(&mut lab, "8613800007015", 1), ["resp", "DELIVRD 4103 2", "DELIVRD 4103 2"]);
    assert_eq!(submit(&mut lab, "8613800007016", 1), ["resp", "ACCEPTD 4104 6", "DELIVRD 4104 2"]);
    assert_eq!(submit(&mut lab, "8613800007017", 1), ["DELIVRD 4105 2", "resp"]);
    assert_eq!(submit(&mut lab, "8613800007018", 1), ["resp", "UNKNOWN 4106 7"]);
    lab.settings(json!({ "receipt_form": "tlv", "receipts": "undelivered" }));
    assert_eq!(submit(&mut lab, ok, 1), ["resp", "- 4107 5"]);
    lab.settings(json!({ "receipt_form": "text", "receipts": "twice", "receipt_ids": null }));
    assert_eq!(submit(&mut lab, ok, 1), ["resp", "DELIVRD  0", "DELIVRD  0"]);
    lab.settings(json!({ "receipts": "never" }));
    assert_eq!(submit(&mut lab, ok, 1), ["resp"]);
    assert_eq!(submit(&mut lab, "8613800007001", 1), ["resp"], "nothing follows what was refused");

    lab.settings(json!({ "receipts": "once", "receipts_by_data_sm": true }));
    lab.ask(id, Body::SubmitSm(Message { registered_delivery: 1, ..text(ok, "hello") }));
    lab.pass(100);
    let Body::DataSm(message) = lab.pdus(id).remove(1).body else { panic!() };
    assert!(message.tlvs.get(tag::MESSAGE_PAYLOAD).unwrap().ends_with(b"text:hello"));
    let quiet = lab.wait(json!({ "for": "quiet", "timeout_ms": 20_000 }));
    lab.pass(20_000);
    assert_eq!(lab.answered(quiet).0, 504, "the receipt is not answered");
}

#[test]
fn the_window_to_the_esme_is_kept() {
    let mut lab = Lab::new(&json!({ "window": 2 }), &json!({}));
    let id = lab.bind();
    for n in 0..5 {
        lab.sms(&n.to_string());
    }
    let first = lab.pdus(id);
    assert_eq!(first.len(), 2);
    lab.acknowledge(id, first[0].sequence, 0);
    assert_eq!(lab.pdus(id).len(), 1);
    assert_eq!((&lab.stats()["queued"], &lab.stats()["unanswered"]), (&json!(2), &json!(2)));
    let quiet = lab.wait(json!({ "for": "quiet" }));
    lab.give(Input::Closed(id));
    let id = lab.bind();
    for _ in 0..4 {
        for pdu in lab.pdus(id) {
            lab.acknowledge(id, pdu.sequence, 0);
        }
    }
    assert_eq!(lab.answered(quiet).0, 200);
}

#[test]
fn the_windows_high_water_mark_is_of_submits_without_a_response() {
    let mut lab = Lab::new(&json!({}), &json!({ "delay_every": 1, "delay_ms": 100 }));
    let id = lab.bind();
    for _ in 0..7 {
        lab.ask(id, Body::SubmitSm(text("8613800000001", "a")));
    }
    lab.pass(100);
    lab.ask(id, Body::SubmitSm(text("8613800000001", "a")));
    assert_eq!((&lab.stats()["window_max"], &lab.stats()["links"][0]["in_flight"]), (&json!(7), &json!(1)));
}

#[test]
fn the_log_has_what_was_shown_and_nothing_that_was_typed() {
    let run = |log_text: bool| {
        let mut config = Config::new("unused".into(), Clock::manual(Timestamp(0)));
        config.log_text = log_text;
        let mut lab = Lab::of(&config);
        let id = lab.bind();
        lab.sms("PIN 284913");
        lab.answer(id, 0);
        lab.dial(TO, "*125*284913#");
        lab.answer(id, 0);
        lab.ask(
            id,
            Body::SubmitSm(Message { registered_delivery: 1, ..text("8613800000002", "Receipt 17") }),
        );
        lab.pdus(id);
        lab.pass(1_000);
        lab.answer(id, 0);
        lab.log
    };
    let log = run(false);
    assert!(!log.contains("284913"), "{log}");
    for kind in ["connect", "bind", "sms", "ussd", "submit_sm", "receipt"] {
        assert!(log.contains(&format!("\"kind\":\"{kind}\"")), "{kind}: {log}");
    }
    assert!(log.contains("\"text\":\"Receipt 17\"") && log.contains("\"length\":10"));
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["at"].is_string() && line["direction"].is_string());
    }
    assert!(run(true).contains("284913"));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let long = lab.sms(&"x".repeat(10_001));
    assert_eq!(lab.answered(long).0, 413);
    let nobody = lab.wait(json!({}));
    assert_eq!(lab.answered(nobody).0, 400);
    let bad = lab.control(Control::Faults(Some(json!({ "nonsense": 1 }))));
    assert_eq!(lab.answered(bad).0, 400);
    let id = lab.bind();
    lab.pdus(id);
    lab.ask(id, Body::SubmitSm(text("", "to nobody")));
    assert_eq!(lab.one(id).status, status::RINVDSTADR);
}

#[test]
fn discarding_counts_and_answers() {
    let mut config = Config::new("unused".into(), Clock::manual(Timestamp(0)));
    config.discard = true;
    let mut lab = Lab::of(&config);
    let id = lab.bind();
    for _ in 0..100 {
        lab.ask(id, Body::SubmitSm(text("8613800000001", "a")));
    }
    let ids: std::collections::BTreeSet<String> = lab.pdus(id).iter().map(message_id).collect();
    assert_eq!(ids.len(), 100);
    assert_eq!((&lab.stats()["submits"], &lab.handset(TO)["received"]), (&json!(100), &json!(0)));
    lab.faults(json!({ "throttle_every": 2 }));
    for _ in 0..4 {
        lab.ask(id, Body::SubmitSm(text("8613800000001", "a")));
    }
    let refused = lab.pdus(id).iter().filter(|p| p.status != 0).count();
    assert_eq!(refused, 2, "faults work there too");
}

#[test]
fn a_burst_is_of_pairs_and_keeps_so_many_open() {
    let mut lab = Lab::new(&json!({ "window": 100 }), &json!({}));
    let id = lab.bind();
    let ask = json!({ "count": 7, "from": "+8613900000000", "to": "1069125", "text": "RC {n}",
        "in_flight": 3, "replies": true });
    let ticket = lab.control(Control::Burst(serde_json::from_value(ask.clone()).unwrap()));
    let second = lab.control(Control::Burst(serde_json::from_value(ask).unwrap()));
    assert_eq!(lab.answered(second).1["why"], "a burst goes on");
    let mut words = Vec::new();
    for round in [3, 3, 1] {
        let came = lab.pdus(id);
        assert_eq!(came.len(), round);
        lab.pass(5);
        for pdu in came {
            lab.acknowledge(id, pdu.sequence, 0);
            let Body::DeliverSm(message) = pdu.body else { panic!() };
            words.push(String::from_utf8(message.short_message.to_vec()).unwrap());
            lab.give(Input::Tick);
            let digits = String::from_utf8(message.source.digits.to_vec()).unwrap();
            lab.ask(id, Body::SubmitSm(text(&digits, "done")));
        }
        // The responses to the submits come between the next texts.
        let bytes = &mut lab.clients.get_mut(&id).unwrap().bytes;
        let mut left = BytesMut::new();
        while let Some(frame) = Framer::default().decode(bytes).unwrap() {
            let pdu = parse(&frame).unwrap();
            if !pdu.body.is_response() {
                encode(&pdu, 0x34, &mut left).unwrap();
            }
        }
        *bytes = left;
    }
    assert_eq!(words, (0..7).map(|n| format!("RC {n}")).collect::<Vec<_>>());
    let (status, found) = lab.answered(ticket);
    assert_eq!((status, &found["replied"], &found["refused"]), (200, &json!(7), &json!(0)));
    assert_eq!((&found["elapsed_ms"], &found["reply_us"]["median"]), (&json!(15), &json!(5_000)));
}

#[test]
fn a_burst_keeps_its_rate_and_its_time() {
    let mut lab = Lab::new(&json!({ "window": 100 }), &json!({}));
    let id = lab.bind();
    let ask = json!({ "count": 1_000, "from": "+8613900000000", "to": "1069125", "text": "HELP", "rate": 200,
        "timeout_ms": 500 });
    let ticket = lab.control(Control::Burst(serde_json::from_value(ask).unwrap()));
    lab.pass(100);
    let came = lab.pdus(id);
    assert!((20..=21).contains(&came.len()), "{}", came.len());
    lab.acknowledge(id, came[0].sequence, 0);
    lab.acknowledge(id, came[1].sequence, status::RX_P_APPN);
    lab.pass(400);
    let (code, found) = lab.answered(ticket);
    assert_eq!(
        (code, &found["answered"], &found["refused"], &found["timeout"]),
        (504, &json!(2), &json!(1), &json!(true))
    );
}

#[test]
fn an_esme_can_be_asked_to_bind_and_told_of_congestion() {
    let mut lab = Lab::new(&json!({ "congestion": 70 }), &json!({}));
    let address = "127.0.0.1:2775".parse().unwrap();
    let ticket = lab.control(Control::Outbind(address));
    assert_eq!(lab.connects, [(ticket, address)]);
    lab.next += 1;
    let id = lab.next;
    lab.clients.insert(id, Client::default());
    lab.give(Input::Outbound(ticket, Some(id)));
    assert_eq!(lab.answered(ticket).1, json!({ "link": id }));
    let Body::Outbind { system_id, password } = lab.one(id).body else { panic!() };
    assert_eq!((&system_id[..], &password[..]), (&b"sandbox"[..], &b"sandbox"[..]));
    let bind = Bind {
        system_id: Bytes::from_static(b"keytone"),
        password: Bytes::from_static(b"sandbox"),
        interface_version: 0x50,
        ..Bind::default()
    };
    lab.ask(id, Body::Bind(Role::Transceiver, bind));
    assert_eq!(lab.one(id).status, 0);
    lab.ask(id, Body::SubmitSm(text("8613800000001", "a")));
    let Body::SubmitSmResp(resp) = lab.one(id).body else { panic!() };
    assert_eq!(resp.tlvs.octet(tag::CONGESTION_STATE), Some(70));
    let ticket = lab.control(Control::Outbind(address));
    lab.give(Input::Outbound(ticket, None));
    assert_eq!(lab.answered(ticket).0, 502);
}
