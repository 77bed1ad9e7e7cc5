//! Calls that come in: their answers, their repetitions, their ends.

use super::support::Bench;
use super::support::SDP;
use super::support::header;
use super::support::invite;
use super::support::kind;
use super::support::request;
use super::support::to_tag;
use bytes::Bytes;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::EndedBy;
use keytone::sip::event::Event;

fn sdp() -> Bytes {
    Bytes::from_static(SDP.as_bytes())
}

fn ended(bench: &mut Bench) -> Vec<EndedBy> {
    let events = bench.take_events();
    events.iter().filter_map(|e| if let Event::Ended { by, .. } = e { Some(*by) } else { None }).collect()
}

/// A call that came in and was not answered yet.
fn offered() -> (Bench, CallKey) {
    let mut bench = Bench::new();
    bench.bytes(invite("z9hG4bKinvite"));
    let call = bench.incoming().call;
    (bench, call)
}

/// A call answered 200 and not acknowledged.
fn answered() -> (Bench, CallKey, String) {
    let (mut bench, call) = offered();
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    (bench, call, tag)
}

#[test]
fn a_call_from_ring_to_bye() {
    let (mut bench, call) = offered();
    bench.command(Command::Ring { call });
    let ringing = bench.take().pop().unwrap();
    assert_eq!(
        (kind(&ringing).as_str(), header(&ringing, "Contact")),
        ("180", Some("<sip:keytone@198.51.100.1:5060>"))
    );
    bench.command(Command::Answer { call, sdp: sdp() });
    let answer = bench.take().pop().unwrap();
    assert_eq!(kind(&answer), "200");
    assert_eq!(header(&answer, "Content-Type"), Some("application/sdp"));
    assert_eq!(to_tag(&answer), to_tag(&ringing));
    let tag = to_tag(&answer);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    assert_eq!(bench.event_names(), ["Established"]);
    bench.wait_ms(60_000);
    assert!(bench.take().is_empty());
    bench.bytes(request("BYE", 2, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    assert_eq!(ended(&mut bench), [EndedBy::Peer]);
    // The answer to the BYE was lost: the transaction gives it again, without a second event.
    bench.bytes(request("BYE", 2, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    assert!(bench.events.is_empty());
    assert_eq!(bench.endpoint.live_calls(), 0);
    bench.wait_ms(40_000);
    assert_eq!(bench.endpoint.transactions(), 0);
    assert_eq!(bench.endpoint.next_deadline(), None);
}

#[test]
fn a_repeated_invite_is_one_call() {
    let (mut bench, call) = offered();
    bench.bytes(invite("z9hG4bKinvite"));
    assert!(bench.take().is_empty());
    bench.command(Command::Ring { call });
    bench.bytes(invite("z9hG4bKinvite"));
    assert_eq!(bench.statuses(), ["180", "180"]);
    bench.command(Command::Answer { call, sdp: sdp() });
    bench.bytes(invite("z9hG4bKinvite"));
    assert_eq!(bench.statuses(), ["200"]);
    assert_eq!(bench.event_names().len(), 0);
    assert_eq!(bench.endpoint.counters().repeated, 3);
}

#[test]
fn a_silent_application_makes_100_after_200_ms() {
    let (mut bench, _) = offered();
    bench.wait_ms(199);
    assert!(bench.take().is_empty());
    bench.wait_ms(1);
    assert_eq!(bench.statuses(), ["100"]);
    bench.bytes(invite("z9hG4bKinvite"));
    assert_eq!(bench.statuses(), ["100"]);
}

#[test]
fn an_application_that_never_answers_is_answered_for() {
    let (mut bench, _) = offered();
    bench.wait_ms(56_000);
    assert_eq!(bench.statuses()[..2], ["100", "480"]);
    assert_eq!(ended(&mut bench), [EndedBy::Unanswered]);
    assert_eq!(bench.endpoint.live_calls(), 0);
}

#[test]
fn the_200_is_repeated_until_its_ack() {
    let (mut bench, _, tag) = answered();
    let mut at_ms = Vec::new();
    for step in 0..120 {
        bench.wait_ms(100);
        at_ms.extend(bench.take().iter().map(|m| (kind(m), (step + 1) * 100)));
    }
    let expected: Vec<_> = [500, 1500, 3500, 7500, 11_500].map(|at| ("200".to_owned(), at)).to_vec();
    assert_eq!(at_ms, expected);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    assert_eq!(bench.event_names(), ["Established"]);
    bench.wait_ms(60_000);
    assert!(bench.take().is_empty());
}

#[test]
fn a_200_that_nobody_acknowledges_ends_in_bye() {
    let (mut bench, _, _) = answered();
    bench.wait_ms(31_999);
    assert!(bench.statuses().iter().all(|s| s == "200"));
    assert!(ended(&mut bench).is_empty());
    bench.wait_ms(1);
    assert_eq!(bench.statuses(), ["BYE"]);
    assert_eq!(ended(&mut bench), [EndedBy::NoAck]);
    bench.wait_ms(40_000);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn an_ack_of_another_dialog_or_sequence_is_no_ack() {
    let (mut bench, _, tag) = answered();
    bench.bytes(request("ACK", 2, "z9hG4bKa", &tag, "", ""));
    bench.bytes(request("ACK", 1, "z9hG4bKb", &tag, "", "").replace("tag=peer", "tag=other"));
    bench.bytes(request("ACK", 1, "z9hG4bKc", "unknown", "", ""));
    assert!(bench.events.is_empty() && bench.sent.is_empty());
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let (mut bench, call) = offered();
    bench.command(Command::Reject { call, status: 486, retry_after: None });
    bench.wait_ms(3500);
    assert_eq!(bench.statuses(), ["486", "486", "486", "486"]);
    let tag = {
        bench.bytes(invite("z9hG4bKinvite"));
        to_tag(&bench.take().pop().unwrap())
    };
    bench.bytes(request("ACK", 1, "z9hG4bKinvite", &tag, "", ""));
    bench.wait_ms(4999);
    assert!(bench.take().is_empty());
    assert_eq!(bench.endpoint.transactions(), 1);
    bench.wait_ms(1);
    assert_eq!(bench.endpoint.transactions(), 0);
    assert!(bench.events.is_empty());
}

#[test]
fn a_refusal_may_say_when_to_try_again() {
    let (mut bench, call) = offered();
    bench.command(Command::Reject { call, status: 503, retry_after: Some(30) });
    assert_eq!(header(&bench.take()[0], "Retry-After"), Some("30"));
}

#[test]
fn cancel_before_the_answer() {
    let (mut bench, call) = offered();
    bench.command(Command::Ring { call });
    bench.take();
    bench.bytes(request("CANCEL", 1, "z9hG4bKinvite", "", "", ""));
    assert_eq!(bench.statuses(), ["200", "487"]);
    assert_eq!(bench.event_names(), ["Cancelled"]);
    // Whatever the application had in mind comes too late.
    bench.command(Command::Answer { call, sdp: sdp() });
    bench.command(Command::Hangup { call });
    assert!(bench.sent.is_empty() && bench.events.is_empty());
    bench.bytes(request("CANCEL", 1, "z9hG4bKinvite", "", "", ""));
    assert_eq!(bench.statuses(), ["200"]);
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let (mut bench, _, tag) = answered();
    bench.bytes(request("CANCEL", 1, "z9hG4bKinvite", "", "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    assert_eq!(bench.event_names(), ["Established"]);
}

#[test]
fn cancel_of_nothing_is_481() {
    let mut bench = Bench::new();
    bench.bytes(request("CANCEL", 1, "z9hG4bKnone", "", "", ""));
    assert_eq!(bench.statuses(), ["481"]);
}

#[test]
fn we_hang_up_and_the_answer_ends_it() {
    let mut bench = Bench::new();
    let (call, tag) = bench.established();
    bench.command(Command::Hangup { call });
    assert_eq!(ended(&mut bench), [EndedBy::Us]);
    assert_eq!(bench.endpoint.live_calls(), 0);
    let bye = bench.take().pop().unwrap();
    assert!(bye.starts_with("BYE sip:peer@192.0.2.1:5060 SIP/2.0\r\n"));
    assert_eq!(header(&bye, "From"), Some(format!("<sip:12580@198.51.100.1>;tag={tag}").as_str()));
    assert_eq!(header(&bye, "To"), Some("\"A\" <sip:+15550100@192.0.2.1>;tag=peer"));
    bench.wait_ms(1500);
    assert_eq!(bench.statuses(), ["BYE", "BYE"]);
    bench.bytes(reply(&bye, 200));
    bench.wait_ms(60_000);
    assert!(bench.sent.is_empty() && bench.events.is_empty());
    bench.bytes(request("BYE", 2, "z9hG4bKlate", &tag, "", ""));
    assert_eq!(bench.statuses(), ["481"]);
}

#[test]
fn both_hang_up_at_once() {
    let mut bench = Bench::new();
    let (call, tag) = bench.established();
    bench.command(Command::Hangup { call });
    bench.take();
    bench.bytes(request("BYE", 2, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    assert_eq!(ended(&mut bench), [EndedBy::Us]);
    bench.bytes(request("INFO", 3, "z9hG4bKinfo", &tag, "", ""));
    assert_eq!(bench.statuses(), ["481"]);
}

#[test]
fn a_bye_that_nobody_answers_is_given_up() {
    let mut bench = Bench::new();
    let (call, _) = bench.established();
    bench.command(Command::Hangup { call });
    bench.wait_ms(32_000);
    // At 0, 0.5, 1.5, 3.5 s and every 4 s from then on: timers E and F.
    assert_eq!(bench.statuses().len(), 11);
    bench.wait_ms(60_000);
    assert!(bench.take().is_empty());
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn hanging_up_waits_for_the_ack() {
    let (mut bench, call, tag) = answered();
    bench.command(Command::Hangup { call });
    assert!(bench.take().is_empty());
    assert_eq!(ended(&mut bench), [EndedBy::Us]);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    assert_eq!(bench.statuses(), ["BYE"]);
    assert!(bench.events.is_empty());
}

#[test]
fn hanging_up_does_not_wait_for_ever() {
    let (mut bench, call, _) = answered();
    bench.command(Command::Hangup { call });
    bench.take_events();
    bench.wait_ms(31_900);
    assert!(!bench.statuses().contains(&"BYE".to_owned()));
    bench.wait_ms(100);
    assert_eq!(bench.statuses(), ["BYE"]);
    assert!(bench.events.is_empty());
}

#[test]
fn hanging_up_before_the_answer_is_480() {
    let (mut bench, call) = offered();
    bench.command(Command::Hangup { call });
    assert_eq!(bench.statuses(), ["480"]);
    assert_eq!(ended(&mut bench), [EndedBy::Us]);
}

#[test]
fn a_bye_before_the_ack_ends_the_call() {
    let (mut bench, _, tag) = answered();
    bench.bytes(request("BYE", 2, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    assert_eq!(ended(&mut bench), [EndedBy::Peer]);
    bench.wait_ms(60_000);
    assert!(bench.take().is_empty());
}

#[test]
fn a_bye_in_the_early_dialog_is_a_cancel() {
    let (mut bench, call) = offered();
    bench.command(Command::Ring { call });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("BYE", 2, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200", "487"]);
    assert_eq!(bench.event_names(), ["Cancelled"]);
}

#[test]
fn requests_for_unknown_dialogs_are_481() {
    let mut bench = Bench::new();
    let (_, tag) = bench.established();
    for method in ["BYE", "INFO", "UPDATE", "INVITE", "OPTIONS", "PRACK"] {
        bench.bytes(request(method, 9, &format!("z9hG4bKu{method}"), "nosuchtag", "", ""));
        assert_eq!(bench.statuses(), ["481"], "{method}");
        let stranger =
            request(method, 9, &format!("z9hG4bKs{method}"), &tag, "", "").replace("tag=peer", "tag=thief");
        bench.bytes(stranger);
        assert_eq!(bench.statuses(), ["481"], "{method}");
    }
    for method in ["BYE", "INFO", "UPDATE", "PRACK"] {
        bench.bytes(request(method, 9, &format!("z9hG4bKt{method}"), "", "", ""));
        assert_eq!(bench.statuses(), ["481"], "{method}");
    }
    assert!(bench.events.is_empty());
}

#[test]
fn old_sequence_numbers_are_500_and_nothing_happens() {
    let mut bench = Bench::new();
    let (_, tag) = bench.established();
    bench.bytes(request("INFO", 5, "z9hG4bKi5", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200"]);
    bench.bytes(request("BYE", 4, "z9hG4bKb4", &tag, "", ""));
    assert_eq!(bench.statuses(), ["500"]);
    assert!(bench.events.is_empty());
}

#[test]
fn other_requests_inside_a_call() {
    let mut bench = Bench::new();
    let (_, tag) = bench.established();
    let cases = [
        ("OPTIONS", "200"),
        ("REFER", "603"),
        ("MESSAGE", "405"),
        ("NOTIFY", "405"),
        ("PRACK", "481"),
        ("NEW", "501"),
    ];
    for (n, (method, status)) in (2..).zip(cases) {
        bench.bytes(request(method, n, &format!("z9hG4bK{method}"), &tag, "", ""));
        assert_eq!(bench.statuses(), [status], "{method}");
    }
    bench.bytes(request("INVITE", 20, "z9hG4bKx", &tag, "Require: 100rel\r\n", ""));
    let refused = bench.take().pop().unwrap();
    assert_eq!((kind(&refused).as_str(), header(&refused, "Unsupported")), ("420", Some("100rel")));
}

#[test]
fn the_same_call_by_two_paths_is_482() {
    let (mut bench, _) = offered();
    bench.bytes(invite("z9hG4bKother"));
    assert_eq!(bench.statuses(), ["482"]);
    assert!(bench.events.is_empty());
}

#[test]
fn routes_are_copied_kept_and_followed() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:p2.example.com;lr>, <sip:192.0.2.77:5080;lr>\r\n\
                  Content-Type: application/sdp\r\n";
    bench.bytes(request("INVITE", 1, "z9hG4bKr", "", routes, SDP));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let answer = bench.take().pop().unwrap();
    assert_eq!(header(&answer, "Record-Route"), Some("<sip:p2.example.com;lr>, <sip:192.0.2.77:5080;lr>"));
    let tag = to_tag(&answer);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.command(Command::Hangup { call });
    let bye = &bench.sent[0];
    let found: Vec<&str> = bye.lines().filter(|l| l.starts_with("Route:")).collect();
    assert_eq!(found, ["Route: <sip:p2.example.com;lr>", "Route: <sip:192.0.2.77:5080;lr>"]);
    assert!(bye.starts_with("BYE sip:peer@192.0.2.1:5060 "));
    // A name is not resolved: the request goes back the way that the call came.
    assert_eq!(bench.sent_to, [bench.peer]);
}

#[test]
fn a_first_route_that_is_an_address_is_where_requests_go() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:192.0.2.77:5080;lr>\r\nContent-Type: application/sdp\r\n";
    bench.bytes(request("INVITE", 1, "z9hG4bKr", "", routes, SDP));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.command(Command::Hangup { call });
    assert_eq!(bench.sent_to, ["192.0.2.77:5080".parse().unwrap()]);
}

#[test]
fn a_strict_router_takes_the_place_of_the_target() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:old@192.0.2.77>\r\nContent-Type: application/sdp\r\n";
    bench.bytes(request("INVITE", 1, "z9hG4bKr", "", routes, SDP));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.command(Command::Hangup { call });
    let bye = bench.take().pop().unwrap();
    assert!(bye.starts_with("BYE sip:old@192.0.2.77 SIP/2.0\r\n"));
    assert_eq!(header(&bye, "Route"), Some("<sip:peer@192.0.2.1:5060>"));
}

#[test]
fn a_private_contact_behind_a_nat_is_not_followed() {
    let mut bench = Bench::new();
    bench.peer = "203.0.113.5:31000".parse().unwrap();
    bench.bytes(invite("z9hG4bKn").replace("<sip:peer@192.0.2.1:5060>", "<sip:peer@10.0.0.5:5060>"));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.command(Command::Hangup { call });
    assert_eq!(bench.sent_to, [bench.peer]);
}

#[test]
fn answers_go_where_via_and_rport_say() {
    let check = |via: &str, to: &str| {
        let mut bench = Bench::new();
        bench.peer = "203.0.113.5:31000".parse().unwrap();
        let text =
            invite("z9hG4bKv").replace("Via: SIP/2.0/UDP 192.0.2.1:5060", &format!("Via: SIP/2.0/UDP {via}"));
        bench.bytes(text.replace("INVITE", "OPTIONS"));
        assert_eq!(bench.sent_to, [to.parse().unwrap()], "{via}");
        bench.take().pop().unwrap()
    };
    check("192.0.2.1:5066", "203.0.113.5:5066");
    check("192.0.2.1", "203.0.113.5:5060");
    check("host.example.com;maddr=192.0.2.99", "203.0.113.5:5060");
    let stamped = check("192.0.2.1:5066;rport", "203.0.113.5:31000");
    let via = header(&stamped, "Via").unwrap();
    assert!(via.contains(";received=203.0.113.5;rport=31000") && via.contains("branch=z9hG4bKv"), "{via}");
}

#[test]
fn a_late_offer_is_ours_and_the_ack_answers_it() {
    let mut bench = Bench::new();
    bench.bytes(request("INVITE", 1, "z9hG4bKl", "", "", ""));
    let incoming = bench.incoming();
    assert_eq!(incoming.offer, None);
    bench.command(Command::Answer { call: incoming.call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "Content-Type: application/sdp\r\n", "v=0\r\n"));
    assert_eq!(bench.event_names(), ["AckSdp", "Established"]);
}

#[test]
fn a_late_offer_that_stays_unanswered_ends_the_call() {
    let mut bench = Bench::new();
    bench.bytes(request("INVITE", 1, "z9hG4bKl", "", "", ""));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    assert_eq!(bench.statuses(), ["BYE"]);
    assert_eq!(ended(&mut bench), [EndedBy::Lost]);
}

/// The peer's answer to a request of ours.
fn reply(request: &str, status: u16) -> String {
    super::support::reply(request, status, "", "")
}

#[test]
fn stray_responses_are_ignored() {
    let mut bench = Bench::new();
    let (call, _) = bench.established();
    bench.command(Command::Hangup { call });
    let bye = bench.take().pop().unwrap();
    bench.bytes(reply(&bye, 200).replace("z9hG4bK", "z9hG4bKx"));
    bench.bytes(reply(&bye, 200).replace("CSeq: 1 BYE", "CSeq: 1 INFO"));
    bench.take_events();
    bench.wait_ms(500);
    assert_eq!(bench.statuses(), ["BYE"]);
    assert_eq!(bench.endpoint.counters().discarded, 2);
}

#[test]
fn nothing_is_remembered_longer_than_it_must() {
    let (mut bench, call) = offered();
    bench.command(Command::Reject { call, status: 486, retry_after: None });
    bench.wait_ms(40_000);
    bench.take();
    // By another path it would have been 482 while the first was remembered.
    bench.bytes(invite("z9hG4bKother"));
    let call = bench.incoming().call;
    bench.command(Command::Reject { call, status: 486, retry_after: None });
    bench.wait_ms(40_000);
    bench.bytes(invite("z9hG4bKinvite"));
    assert_eq!(bench.event_names(), ["Incoming"]);
}

#[test]
fn a_malformed_ack_is_not_answered() {
    let mut bench = Bench::new();
    let ack = request("ACK", 1, "z9hG4bKack", "x", "", "");
    for broken in
        [ack.replace("CSeq: 1 ACK", "CSeq: x ACK"), ack.replace("From: ", "From: <"), ack + "Date: x"]
    {
        bench.bytes(broken);
    }
    bench.bytes(request("ACK", 1, "z9hG4bKack", "", "Require: 100rel\r\n", ""));
    assert!(bench.sent.is_empty() && bench.events.is_empty());
}
