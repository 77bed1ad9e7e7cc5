//! What goes wrong on order.

use super::*;
use crate::smpp::status;

const TO: &str = "8613800000001";

fn submit(lab: &mut Lab, id: u64) -> u32 {
    lab.ask(id, Body::SubmitSm(text(TO, "hello")))
}

/// The statuses of so many submits, in the order in which they were answered.
fn statuses(lab: &mut Lab, id: u64, count: usize) -> Vec<u32> {
    for _ in 0..count {
        submit(lab, id);
    }
    lab.pdus(id).iter().map(|p| p.status).collect()
}

#[test]
fn every_nth_is_refused() {
    let mut lab = Lab::new(&json!({}), &json!({ "throttle_every": 3, "queue_full_every": 4 }));
    let id = lab.bind();
    let (t, q) = (status::RTHROTTLED, status::RMSGQFUL);
    assert_eq!(statuses(&mut lab, id, 8), [0, 0, t, q, 0, t, 0, q]);
    assert_eq!(lab.handset(TO)["received"], 4);
    lab.faults(json!({ "clear": true }));
    assert_eq!(statuses(&mut lab, id, 4), [0; 4]);
}

#[test]
fn more_than_a_rate_is_throttled() {
    let mut lab = Lab::new(&json!({}), &json!({ "throttle_over": 5 }));
    let id = lab.bind();
    let all = statuses(&mut lab, id, 8);
    assert_eq!(all, [[0; 5].as_slice(), &[status::RTHROTTLED; 3]].concat());
    lab.pass(1_100);
    assert_eq!(statuses(&mut lab, id, 1), [0]);
    assert_eq!(lab.stats()["taken_per_second_max"], 5);
}

#[test]
fn responses_are_dropped_late_foreign_nacked_and_out_of_order() {
    let mut lab = Lab::new(&json!({}), &json!({ "drop_response_every": 2 }));
    let id = lab.bind();
    assert_eq!(statuses(&mut lab, id, 4), [0, 0]);
    assert_eq!(lab.handset(TO)["received"], 4, "dropped means done and not answered");

    lab.faults(json!({ "clear": true, "delay_every": 1, "delay_ms": 3_000 }));
    let sequence = submit(&mut lab, id);
    lab.pass(2_999);
    assert!(lab.pdus(id).is_empty());
    lab.pass(1);
    assert_eq!(lab.one(id).sequence, sequence);

    lab.faults(json!({ "clear": true, "wrong_sequence_every": 1 }));
    let sequence = submit(&mut lab, id);
    assert_eq!(lab.one(id).sequence, sequence | 0x4000_0000);

    lab.faults(json!({ "clear": true, "nack_every": 1 }));
    let sequence = submit(&mut lab, id);
    let nack = lab.one(id);
    assert_eq!((nack.sequence, nack.body), (sequence, Body::GenericNack));

    lab.faults(json!({ "clear": true, "reorder": 3 }));
    let asked: Vec<u32> = (0..4).map(|_| submit(&mut lab, id)).collect();
    let mut seen: Vec<u32> = lab.pdus(id).iter().map(|p| p.sequence).collect();
    lab.pass(50);
    seen.extend(lab.pdus(id).iter().map(|p| p.sequence));
    assert_eq!(seen, [asked[2], asked[1], asked[0], asked[3]]);
}

#[test]
fn binds_are_refused_so_often_as_told() {
    let mut lab = Lab::new(&json!({}), &json!({ "refuse_binds": 2 }));
    let bind = |lab: &mut Lab| lab.bind_as(Role::Transceiver, "keytone", "sandbox").1;
    assert_eq!([(); 3].map(|()| bind(&mut lab)), [status::RBINDFAIL, status::RBINDFAIL, 0]);
    lab.faults(json!({ "refuse_binds": 1, "refuse_bind_status": 14 }));
    assert_eq!([(); 2].map(|()| bind(&mut lab)), [status::RINVPASWD, 0]);
}

#[test]
fn a_pdu_is_halved_and_then_there_is_silence() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let id = lab.bind();
    lab.faults(json!({ "half_pdu_at": 2 }));
    submit(&mut lab, id);
    submit(&mut lab, id);
    submit(&mut lab, id);
    let bytes = &lab.clients[&id].bytes;
    let whole = 17 + 4;
    assert_eq!(bytes.len(), whole + whole / 2);
    assert_eq!(lab.clients[&id].ended, "", "it only stalls");
    let other = lab.bind();
    assert_eq!(statuses(&mut lab, other, 1), [0], "others go on");
}

#[test]
fn rubbish_is_no_pdu() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let id = lab.bind();
    lab.faults(json!({ "rubbish_at": 1 }));
    submit(&mut lab, id);
    let bytes = &mut lab.clients.get_mut(&id).unwrap().bytes;
    assert!(Framer::default().decode(bytes).is_err());
}

#[test]
fn links_are_reset_by_count_and_by_chance() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let id = lab.bind();
    lab.faults(json!({ "disconnect_at": 3 }));
    assert_eq!(statuses(&mut lab, id, 5), [0, 0]);
    assert_eq!(lab.clients[&id].ended, "reset");

    let cut = |seed: u64| {
        let mut lab = Lab::new(&json!({}), &json!({}));
        let id = lab.bind();
        lab.faults(json!({ "disconnect_per_million": 20_000, "seed": seed }));
        statuses(&mut lab, id, 1_000).len()
    };
    assert_eq!(cut(7), cut(7));
    assert_ne!(cut(7), cut(8));
}

#[test]
fn deliveries_come_twice_spread_and_again() {
    let mut lab = Lab::new(&json!({}), &json!({ "duplicate_every": 2 }));
    let id = lab.bind();
    lab.sms("one");
    lab.sms("two");
    let pdus = lab.pdus(id);
    assert_eq!(pdus.len(), 3);
    assert_eq!(pdus[1].body, pdus[2].body);
    assert_ne!(pdus[1].sequence, pdus[2].sequence);

    let mut lab = Lab::new(&json!({}), &json!({ "spread": true }));
    let (a, b) = (lab.bind(), lab.bind());
    lab.sms(&"x".repeat(400));
    assert_eq!((lab.pdus(a).len(), lab.pdus(b).len()), (2, 1));

    // What a link leaves unanswered comes on the next one, in its order, and only that.
    let mut lab = Lab::new(&json!({}), &json!({}));
    let first = lab.bind();
    let tickets = ["one", "two", "three"].map(|words| lab.sms(words));
    let sent = lab.pdus(first);
    lab.acknowledge(first, sent[1].sequence, 0);
    lab.give(Input::Closed(first));
    let second = lab.bind();
    let again = lab.pdus(second);
    let words = |pdu: &Pdu| match &pdu.body {
        Body::DeliverSm(message) => message.short_message.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(again.iter().map(words).collect::<Vec<_>>(), ["one", "three"]);
    for pdu in again {
        lab.acknowledge(second, pdu.sequence, 0);
    }
    for ticket in tickets {
        assert_eq!(lab.answered(ticket), (200, json!({ "answered": true, "status": 0, "statuses": [0] })));
    }
    assert_eq!((&lab.stats()["redelivers"], &lab.stats()["unanswered"]), (&json!(2), &json!(0)));
}

#[test]
fn a_delivery_without_an_answer_and_one_refused_for_now_come_again() {
    let settings = json!({ "response_ms": 1_000, "again_ms": 200, "again_max": 2, "enquire_ms": 0 });
    let mut lab = Lab::new(&settings, &json!({}));
    let id = lab.bind();
    let ticket = lab.sms("RC 50");
    lab.pass(1_200);
    assert_eq!(lab.pdus(id).len(), 2, "no answer within response_ms");
    lab.pass(10_000);
    assert_eq!(lab.answered(ticket).0, 504);
    assert_eq!((lab.pdus(id).len(), &lab.stats()["delivers_lost"]), (1, &json!(1)));

    let ticket = lab.sms("RC 51");
    lab.answer(id, status::RX_T_APPN);
    assert_eq!(
        lab.answered(ticket).1["status"],
        status::RX_T_APPN,
        "whoever waits hears of the first answer"
    );
    lab.pass(199);
    assert!(lab.pdus(id).is_empty());
    lab.pass(1);
    lab.answer(id, 0);
    let ticket = lab.sms("RC 52");
    lab.answer(id, status::RX_P_APPN);
    lab.pass(5_000);
    assert!(lab.pdus(id).is_empty(), "what is refused for good does not come again");
    assert_eq!(lab.answered(ticket).1["statuses"], json!([status::RX_P_APPN]));
}

#[test]
fn numbers_have_faults_of_their_own() {
    let mut lab = Lab::new(&json!({}), &json!({ "statuses": { "+8613800000002": 1_025 } }));
    let id = lab.bind();
    let to = |lab: &mut Lab, digits: &str| {
        lab.ask(id, Body::SubmitSm(text(digits, "hello")));
        lab.pdus(id).iter().map(|p| p.status).collect::<Vec<_>>()
    };
    assert_eq!(to(&mut lab, "8613800000002"), [0x401]);
    assert_eq!(to(&mut lab, "8613800007001"), [status::RINVDSTADR]);
    assert_eq!(to(&mut lab, "8613800007004"), [status::RTHROTTLED]);
    let twice = [(); 4].map(|()| to(&mut lab, "8613800007006"));
    assert_eq!(twice, [[status::RMSGQFUL], [status::RMSGQFUL], [0], [0]]);
    assert!(to(&mut lab, "8613800007021").is_empty());
    assert_eq!(lab.handset("8613800007021")["received"], 1);
    assert!(to(&mut lab, "8613800007022").is_empty());
    lab.pass(2_000);
    assert_eq!(lab.one(id).status, 0);
}

#[test]
fn a_kill_cuts_all_and_an_unbind_asks() {
    let mut lab = Lab::new(&json!({}), &json!({}));
    let (a, b) = (lab.bind(), lab.bind());
    let ticket = lab.control(Control::Kill(1_500));
    assert_eq!(lab.answered(ticket).1, json!({ "killed": 2 }));
    assert_eq!([a, b].map(|id| lab.clients[&id].ended), ["reset", "reset"]);
    assert_eq!(lab.outages, [Duration::from_millis(1_500)]);

    let (c, d) = (lab.bind(), lab.bind());
    let ticket = lab.control(Control::Unbind);
    assert_eq!(lab.answered(ticket).1, json!({ "unbinding": 2 }));
    let asked = lab.one(c);
    assert_eq!(asked.body, Body::Unbind);
    lab.sms("not to those who leave");
    lab.raw(c, &Pdu { status: 0, sequence: asked.sequence, body: Body::UnbindResp });
    assert_eq!(lab.clients[&c].ended, "close");
    lab.pass(10_000);
    assert_eq!(lab.clients[&d].ended, "reset", "it did not answer");
    assert_eq!(lab.pdus(d).len(), 1);
    let next = lab.bind();
    lab.answer(next, 0);
}

#[test]
fn links_are_asked_whether_they_live() {
    let mut lab = Lab::new(&json!({ "enquire_ms": 1_000, "response_ms": 500 }), &json!({}));
    let id = lab.bind();
    lab.pass(900);
    submit(&mut lab, id);
    lab.pdus(id);
    lab.pass(900);
    assert!(lab.pdus(id).is_empty(), "it spoke 900 ms ago");
    lab.pass(200);
    let asked = lab.one(id);
    assert_eq!(asked.body, Body::EnquireLink);
    lab.raw(id, &Pdu { status: 0, sequence: asked.sequence, body: Body::EnquireLinkResp });
    lab.pass(1_400);
    assert_eq!(lab.clients[&id].ended, "");
    lab.pass(600);
    assert_eq!(lab.clients[&id].ended, "reset");

    lab.ask(id, Body::EnquireLink);
    let id = lab.bind();
    lab.ask(id, Body::EnquireLink);
    assert_eq!(lab.one(id).body, Body::EnquireLinkResp);
    lab.faults(json!({ "deaf": true }));
    lab.ask(id, Body::EnquireLink);
    assert!(lab.pdus(id).is_empty());
}

#[test]
fn who_binds_and_what_before_it_is_judged() {
    let mut lab = Lab::new(&json!({ "binds_max": 2 }), &json!({}));
    let bind = |lab: &mut Lab, who: &str, password: &str| lab.bind_as(Role::Transceiver, who, password);
    assert_eq!(bind(&mut lab, "nobody", "sandbox").1, status::RINVSYSID);
    assert_eq!(bind(&mut lab, "keytone", "wrong").1, status::RINVPASWD);
    let (id, first) = bind(&mut lab, "keytone", "sandbox");
    let second = bind(&mut lab, "keytone", "sandbox").1;
    let third = bind(&mut lab, "keytone", "sandbox").1;
    assert_eq!((first, second, third), (0, 0, status::RBINDFAIL));
    lab.ask(id, Body::Bind(Role::Receiver, Bind::default()));
    assert_eq!(lab.one(id).status, status::RALYBND);

    let mut lab = Lab::new(&json!({}), &json!({}));
    let unbound = lab.connect();
    submit(&mut lab, unbound);
    assert_eq!(lab.one(unbound).status, status::RINVBNDSTS);
    let (receiver, _) = lab.bind_as(Role::Receiver, "keytone", "sandbox");
    submit(&mut lab, receiver);
    assert_eq!(lab.one(receiver).status, status::RINVBNDSTS);
    let (transmitter, _) = lab.bind_as(Role::Transmitter, "keytone", "sandbox");
    submit(&mut lab, transmitter);
    assert_eq!(lab.one(transmitter).status, 0);
    lab.sms("RC 50");
    assert!(lab.pdus(transmitter).is_empty(), "a transmitter has no deliveries");
    lab.answer(receiver, 0);
    lab.ask(transmitter, Body::Unbind);
    assert_eq!(lab.one(transmitter).body, Body::UnbindResp);
    assert_eq!(lab.clients[&transmitter].ended, "close");
}
