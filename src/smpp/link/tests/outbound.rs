//! Our requests: window, queue, order, sequence numbers, pace, outcomes.

use super::*;
use crate::smpp::encode::Unfit;
use crate::smpp::link::event::Doubt;
use crate::smpp::link::event::Silence;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::settings::OVERDUE_MAX;
use crate::smpp::link::settings::PAUSE_FIRST;
use crate::smpp::link::settings::Rate;
use crate::smpp::pdu::command;
use crate::smpp::status as code;
use crate::smpp::tlv::Tlvs;
use crate::smpp::tlv::tag;

fn sequences(seen: &Seen) -> Vec<u32> {
    seen.pdus.iter().map(|pdu| pdu.sequence).collect()
}

fn unknown(request: u64, sequence: u32, why: Silence) -> (u64, Outcome) {
    (request, Outcome::Unknown(Doubt { sequence, why }))
}

fn answered(request: u64, status: u32) -> impl Fn(&(u64, Outcome)) -> bool {
    move |(done, outcome)| {
        *done == request && matches!(outcome, Outcome::Answered { status: told, .. } if *told == status)
    }
}

#[test]
fn the_window_is_never_exceeded_and_the_queue_has_an_end() {
    for window in [1, 3, 10] {
        let mut rig = Rig::bound(Settings { window, queue: 5, ..esme(Role::Transceiver) });
        let mut sent = 0;
        for request in 0..20 {
            let seen = rig.ask(request, submit("text"));
            sent += seen.pdus.len();
            let full = usize::try_from(request).unwrap() >= window + 5;
            assert_eq!(!seen.done.is_empty(), full, "{window}: {request}");
            assert!(!full || seen.done == [(request, Outcome::NotSent(Unsent::Full))]);
        }
        assert_eq!(sent, window);
        assert_eq!(rig.link.room(), 0);
        let seen = rig.hear(2, submitted("1"));
        assert_eq!((seen.done.len(), seen.pdus.len()), (1, 1), "an answer lets one more go");
        let status = rig.link.status(rig.now);
        assert_eq!((status.window_used, status.queued), (window, 4));
    }
}

#[test]
fn answers_are_matched_in_any_order_and_by_their_kind() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    for request in 0..4 {
        rig.ask(request, submit("text"));
    }
    assert!(answered(2, 0)(&rig.hear(4, submitted("c")).done[0]));
    assert!(answered(0, 0x0b)(&rig.hear_status(0x0b, 2, submitted("")).done[0]));
    assert!(rig.hear(3, Body::DeliverSmResp(MessageResp::default())).nothing(), "of another kind");
    assert!(rig.hear(4, submitted("c")).nothing(), "a second time");
    assert!(rig.hear(99, submitted("x")).nothing(), "for nothing");
    assert!(rig.hear_status(code::RSYSERR, 98, Body::GenericNack).nothing());
    assert_eq!(rig.link.status(rig.now).counters.unmatched, 4);
    let seen = rig.hear_status(code::RINVCMDID, 3, Body::GenericNack);
    assert_eq!(seen.done, [(1, Outcome::Answered { status: code::RINVCMDID, body: Body::GenericNack })]);
    let seen = rig.hear(5, submitted("d"));
    assert!(
        matches!(&seen.done[..], [(3, Outcome::Answered { status: 0, body: Body::SubmitSmResp(answer) })]
        if answer.message_id == "d")
    );
}

#[test]
fn an_answer_without_a_body_is_an_answer() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    rig.ask(1, submit("text"));
    let bare = Frame { id: 0x8000_0004, status: 0, sequence: 2, body: Bytes::new() };
    let seen = rig.give(Input::Frame(bare));
    assert_eq!(seen.done, [(1, Outcome::Answered { status: 0, body: submitted("") })]);
    let status = rig.link.status(rig.now);
    assert_eq!((status.counters.tolerances, status.tolerances.get("empty_body")), (1, Some(&1)));
}

#[test]
fn sequence_numbers_wrap_and_skip_those_in_use() {
    let mut rig = Rig::bound(Settings { window: 100, ..esme(Role::Transceiver) });
    rig.ask(0, submit("holds 2"));
    rig.link.outbound.start_after(0x7fff_fffd);
    let mut all = Vec::new();
    for request in 1..5 {
        all.extend(sequences(&rig.ask(request, submit("text"))));
    }
    assert_eq!(all, [0x7fff_fffe, 0x7fff_ffff, 1, 3]);
    // A number whose answer may still come late is not used either.
    rig.pass(rig.link.settings.response_timeout);
    rig.link.outbound.start_after(0x7fff_ffff);
    assert_eq!(sequences(&rig.ask(9, submit("text"))), [4]);
}

#[test]
fn no_answer_is_an_unknown_outcome_and_a_late_one_is_told() {
    let mut rig = Rig::bound(Settings { window: 1, enquire_after: secs(600), ..esme(Role::Transceiver) });
    rig.ask(1, submit("first"));
    rig.pass(secs(29));
    rig.ask(2, submit("second"));
    let seen = rig.pass(secs(1));
    assert_eq!(seen.done, [unknown(1, 2, Silence::Timeout)]);
    assert_eq!(seen.heads(), [(command::SUBMIT_SM, 0, 3)], "the window is free, and nothing goes twice");
    let seen = rig.hear(2, submitted("17"));
    assert!(seen.done.is_empty());
    assert!(
        matches!(&seen.events[..], [Event::LateResponse { sequence: 2, status: 0, body: Body::SubmitSmResp(answer) }]
        if answer.message_id == "17")
    );
    assert!(rig.hear(2, submitted("17")).nothing(), "told once");
    let counters = rig.link.status(rig.now).counters;
    assert_eq!((counters.timeouts, counters.late, counters.unmatched), (1, 1, 1));
}

#[test]
fn late_answers_are_remembered_up_to_a_limit() {
    let mut rig = Rig::bound(Settings {
        window: OVERDUE_MAX + 10,
        queue: OVERDUE_MAX + 10,
        enquire_after: secs(600),
        ..esme(Role::Transceiver)
    });
    for request in 0..u64::try_from(OVERDUE_MAX).unwrap() + 1 {
        rig.ask(request, submit("text"));
    }
    assert_eq!(rig.pass(secs(30)).done.len(), OVERDUE_MAX + 1);
    assert!(rig.hear(2, submitted("oldest")).nothing(), "forgotten");
    assert_eq!(rig.hear(3, submitted("next")).events.len(), 1);
}

#[test]
fn a_lost_connection_tells_what_had_left_from_what_had_not() {
    let mut rig = Rig::bound(Settings { window: 2, ..esme(Role::Transceiver) });
    for request in 0..4 {
        rig.ask(request, submit("text"));
    }
    let seen = rig.give(Input::Lost);
    assert_eq!(
        seen.done,
        [
            unknown(0, 2, Silence::Lost),
            unknown(1, 3, Silence::Lost),
            (2, Outcome::NotSent(Unsent::Down)),
            (3, Outcome::NotSent(Unsent::Down)),
        ]
    );
    assert_eq!(seen.closed, Some(Ended::Lost));
    assert_eq!(rig.ask(9, submit("")).done, [(9, Outcome::NotSent(Unsent::Down))]);
    assert!(rig.give(Input::Lost).nothing());
}

#[test]
fn a_request_does_not_wait_for_ever() {
    let settings =
        Settings { window: 1, queue_timeout: secs(5), enquire_after: secs(600), ..esme(Role::Transceiver) };
    let mut rig = Rig::bound(settings);
    rig.ask(1, submit("in flight"));
    rig.ask(2, submit("waits"));
    rig.pass(secs(2));
    rig.ask(3, submit("waits"));
    assert_eq!(rig.pass(secs(3)).done, [(2, Outcome::NotSent(Unsent::Waited))]);
    assert_eq!(rig.pass(secs(2)).done, [(3, Outcome::NotSent(Unsent::Waited))]);
}

#[test]
fn roles_and_kinds_that_may_not_be_sent_are_not() {
    let table = [
        (Role::Receiver, submit("text"), false),
        (Role::Transmitter, submit("text"), true),
        (Role::Transceiver, Body::DataSm(message("")), true),
        (Role::Transceiver, Body::DeliverSm(message("text")), false),
        (Role::Transceiver, Body::EnquireLink, false),
        (Role::Transceiver, submitted("1"), false),
    ];
    for (role, body, goes) in table {
        let seen = Rig::bound(esme(role)).ask(1, body.clone());
        assert_eq!(seen.pdus.len(), usize::from(goes), "{role:?} {:#x}", body.command_id());
        assert!(goes || seen.done == [(1, Outcome::NotSent(Unsent::Role))]);
    }
    for (role, goes) in [(Role::Receiver, true), (Role::Transmitter, false), (Role::Transceiver, true)] {
        let seen = Rig::serving(smsc(), role).ask(1, Body::DeliverSm(message("text")));
        assert_eq!(seen.pdus.len(), usize::from(goes), "{role:?}");
    }
    let (mut unbound, _) = Rig::new(esme(Role::Transceiver));
    assert_eq!(unbound.ask(1, submit("")).done, [(1, Outcome::NotSent(Unsent::Down))]);
}

#[test]
fn what_the_standard_does_not_allow_is_not_sent_and_the_next_one_is() {
    let mut rig = Rig::bound(Settings { window: 1, ..esme(Role::Transceiver) });
    let seen = rig.ask(1, submit(&"x".repeat(255)));
    assert!(matches!(&seen.done[..], [(1, Outcome::NotSent(Unsent::Unfit(Unfit::TooLong { .. })))]));
    assert_eq!(rig.ask(2, submit("text")).pdus.len(), 1);
}

#[test]
fn segments_are_paced_in_order() {
    let rate = Some(Rate { per_second: 10, burst: 2 });
    let mut rig = Rig::bound(Settings { rate, window: 100, ..esme(Role::Transceiver) });
    for (request, cost) in [(0, 2), (1, 3), (2, 1)] {
        let body = submit("text");
        let seen = rig.give(Input::Request { request: RequestId(request), body, cost });
        assert_eq!(seen.pdus.len(), usize::from(request == 0));
    }
    assert!(rig.pass(ms(199)).nothing());
    assert_eq!(sequences(&rig.pass(ms(1))), [3], "three go when the bucket of two is full");
    assert!(rig.pass(ms(199)).nothing(), "and one is owed");
    assert_eq!(sequences(&rig.pass(ms(1))), [4]);
}

#[test]
fn throttling_pauses_the_whole_queue_and_keeps_its_order() {
    for status in [code::RTHROTTLED, code::RMSGQFUL] {
        let mut rig = Rig::bound(Settings { window: 2, ..esme(Role::Transceiver) });
        for request in 0..5 {
            rig.ask(request, submit("text"));
        }
        let seen = rig.hear_status(status, 2, submitted(""));
        assert!(answered(0, status)(&seen.done[0]));
        assert!(seen.pdus.is_empty(), "nothing goes in a pause");
        assert!(rig.hear(3, submitted("1")).pdus.is_empty());
        let state = rig.link.status(rig.now);
        assert_eq!((state.paused_until, state.counters.throttled), (Some(rig.now + PAUSE_FIRST), 1));
        assert!(rig.pass(PAUSE_FIRST - ms(1)).nothing());
        let seen = rig.pass(secs(3));
        assert_eq!(sequences(&seen), [4, 5], "in order, by the window");
    }
}

#[test]
fn a_new_connection_is_no_way_around_throttling() {
    let settings = Settings { rate: Some(Rate { per_second: 100, burst: 1 }), ..esme(Role::Transceiver) };
    let mut rig = Rig::bound(settings.clone());
    rig.ask(1, submit("text"));
    rig.hear_status(code::RTHROTTLED, 2, submitted(""));
    rig.give(Input::Lost);
    let link = Link::after(&rig.link, settings, rig.now);
    assert_eq!(link.status(rig.now).per_second, Some(50));
    assert_eq!(link.status(rig.now).paused_until, Some(rig.now + PAUSE_FIRST));
}

#[test]
fn congestion_steers_the_rate() {
    let rate = Some(Rate { per_second: 100, burst: 10 });
    let mut rig = Rig::bound(Settings { rate, ..esme(Role::Transceiver) });
    rig.pass(secs(2));
    rig.ask(1, submit("text"));
    let mut tlvs = Tlvs::default();
    tlvs.push(tag::CONGESTION_STATE, vec![95]);
    let answer = Body::SubmitSmResp(MessageResp { message_id: "1".into(), tlvs });
    assert!(answered(1, 0)(&rig.hear(2, answer).done[0]));
    assert_eq!(rig.link.status(rig.now).per_second, Some(75));
}

#[test]
fn the_memory_of_what_was_sent_follows_the_window() {
    let mut rig = Rig::bound(Settings { window: 2, ..esme(Role::Transceiver) });
    rig.ask(0, submit("never answered"));
    for request in 1..10_000 {
        let sequence = u32::try_from(request).unwrap() + 2;
        assert_eq!(sequences(&rig.ask(request, submit("text"))), [sequence]);
        assert_eq!(rig.hear(sequence, submitted("1")).done.len(), 1);
        assert!(rig.link.outbound.remembered() <= 100);
    }
    assert_eq!(rig.link.status(rig.now).oldest_outstanding, Some(rig.now));
    let mut last = rig.pass(secs(30)).done;
    assert_eq!(last.pop(), Some(unknown(0, 2, Silence::Timeout)));
}
