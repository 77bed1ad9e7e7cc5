//! Calls that we place.

use super::support::Bench;
use super::support::SDP;
use super::support::header;
use super::support::kind;
use super::support::reply;
use super::support::request;
use bytes::Bytes;
use keytone::sip::config::EndpointConfig;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::EndedBy;
use keytone::sip::event::Event;
use keytone::sip::event::Invite;

const TYPE: &str = "Content-Type: application/sdp\r\n";
const CALL: CallKey = CallKey::outgoing(1);

fn invitation(bench: &Bench) -> Invite {
    Invite {
        call: CALL,
        local: bench.local,
        destination: bench.peer,
        target: "sip:100@192.0.2.1:5060".to_owned(),
        from: "\"K\" <sip:12580@198.51.100.1>".to_owned(),
        sdp: Bytes::from_static(SDP.as_bytes()),
        headers: vec![("P-Asserted-Identity".to_owned(), "<tel:+15550100>".to_owned())],
    }
}

/// An INVITE on its way, and its text.
fn calling() -> (Bench, String) {
    // Nobody may call us, and still we may call.
    let mut bench = Bench::with(EndpointConfig::new(Vec::new()));
    let invite = invitation(&bench);
    bench.command(Command::Invite(Box::new(invite)));
    let text = bench.take().pop().unwrap();
    (bench, text)
}

fn answer(invite: &str) -> String {
    reply(invite, 200, &format!("Contact: <sip:there@192.0.2.1:5070>\r\n{TYPE}"), SDP)
}

fn last_event(bench: &mut Bench) -> Event {
    bench.take_events().pop().unwrap()
}

#[test]
fn a_call_from_invite_to_bye() {
    let (mut bench, invite) = calling();
    assert!(invite.starts_with("INVITE sip:100@192.0.2.1:5060 SIP/2.0\r\n"));
    assert_eq!(header(&invite, "P-Asserted-Identity"), Some("<tel:+15550100>"));
    assert_eq!(header(&invite, "Contact"), Some("<sip:keytone@198.51.100.1:5060>"));
    bench.bytes(reply(&invite, 100, "", ""));
    assert!(bench.events.is_empty());
    bench.bytes(reply(&invite, 180, "", ""));
    assert!(matches!(last_event(&mut bench), Event::Progress { status: 180, sdp: None, .. }));
    bench.bytes(answer(&invite));
    let ack = bench.take().pop().unwrap();
    assert!(ack.starts_with("ACK sip:there@192.0.2.1:5070 SIP/2.0\r\n"));
    assert_ne!(header(&ack, "Via"), header(&invite, "Via"));
    assert!(header(&ack, "To").unwrap().ends_with(";tag=theirs"));
    let Event::Answered { sdp, .. } = last_event(&mut bench) else { panic!("no answer") };
    assert_eq!(sdp, SDP);
    // Our ACK was lost: the repeated 200 gets it again, and nothing else happens.
    bench.bytes(answer(&invite));
    assert_eq!(bench.statuses(), ["ACK"]);
    assert!(bench.events.is_empty());
    let tag = header(&invite, "From").unwrap().split(";tag=").nth(1).unwrap().to_owned();
    let call_id = header(&invite, "Call-ID").unwrap();
    let bye = request("BYE", 1, "z9hG4bKb", &tag, "", "").replace("tag=peer", "tag=theirs");
    bench.bytes(bye.replace("one@peer", call_id));
    assert_eq!(bench.statuses(), ["200"]);
    assert!(matches!(last_event(&mut bench), Event::Ended { by: EndedBy::Peer, .. }));
    bench.wait_ms(60_000);
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.live_calls()), (0, 0));
}

#[test]
fn an_invite_that_nobody_answers_is_repeated_and_fails() {
    let (mut bench, _) = calling();
    bench.wait_ms(31_999);
    // After 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s: timer A.
    assert_eq!(bench.statuses().len(), 6);
    bench.wait_ms(1);
    assert!(matches!(last_event(&mut bench), Event::Failed { status: 408, .. }));
    assert_eq!((bench.endpoint.transactions(), bench.endpoint.live_calls()), (0, 0));
}

#[test]
fn a_refused_call_is_acknowledged_as_often_as_it_is_refused() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 486, "", ""));
    bench.bytes(reply(&invite, 486, "", ""));
    let sent = bench.take();
    assert_eq!(sent.iter().map(|m| kind(m)).collect::<Vec<_>>(), ["ACK", "ACK"]);
    assert_eq!(header(&sent[0], "Via"), header(&invite, "Via"));
    assert_eq!(header(&sent[0], "CSeq"), Some("1 ACK"));
    assert_eq!(bench.event_names(), ["Failed"]);
    bench.wait_ms(32_000);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn challenges_and_redirections_are_failures() {
    for status in [302, 401, 407, 503, 603] {
        let (mut bench, invite) = calling();
        bench.bytes(reply(&invite, status, "", ""));
        assert_eq!(bench.statuses(), ["ACK"]);
        assert!(matches!(last_event(&mut bench), Event::Failed { status: s, .. } if s == status));
    }
}

#[test]
fn giving_up_while_it_rings_cancels() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 180, "", ""));
    bench.take_events();
    bench.command(Command::Hangup { call: CALL });
    assert!(matches!(last_event(&mut bench), Event::Ended { by: EndedBy::Us, .. }));
    let cancel = bench.take().pop().unwrap();
    assert_eq!((kind(&cancel).as_str(), header(&cancel, "CSeq")), ("CANCEL", Some("1 CANCEL")));
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    assert_eq!(header(&cancel, "To"), header(&invite, "To"));
    bench.bytes(reply(&cancel, 200, "", ""));
    bench.bytes(reply(&invite, 487, "", ""));
    assert_eq!(bench.statuses(), ["ACK"]);
    bench.wait_ms(60_000);
    assert!(bench.events.is_empty());
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn giving_up_before_the_peer_has_spoken_waits_for_its_first_word() {
    let (mut bench, invite) = calling();
    bench.command(Command::Hangup { call: CALL });
    assert!(bench.take().is_empty());
    bench.bytes(reply(&invite, 100, "", ""));
    assert_eq!(bench.statuses(), ["CANCEL"]);
}

#[test]
fn an_answer_that_crosses_the_cancel_is_hung_up() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 180, "", ""));
    bench.command(Command::Hangup { call: CALL });
    bench.take();
    bench.take_events();
    bench.bytes(answer(&invite));
    assert_eq!(bench.statuses(), ["ACK", "BYE"]);
    assert!(bench.events.is_empty());
}

#[test]
fn a_cancel_that_leads_to_nothing_is_forgotten() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 180, "", ""));
    bench.command(Command::Hangup { call: CALL });
    let cancel = bench.take().pop().unwrap();
    bench.bytes(reply(&cancel, 200, "", ""));
    bench.wait_ms(70_000);
    assert_eq!(bench.endpoint.transactions(), 0);
}

#[test]
fn ringing_does_not_go_on_for_ever() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 180, "", ""));
    bench.take_events();
    bench.wait_ms(180_000);
    assert!(bench.statuses().contains(&"CANCEL".to_owned()));
    assert!(matches!(last_event(&mut bench), Event::Ended { by: EndedBy::Unanswered, .. }));
}

#[test]
fn a_second_phone_that_answers_is_hung_up() {
    let (mut bench, invite) = calling();
    bench.bytes(answer(&invite));
    bench.take();
    bench.take_events();
    bench.bytes(answer(&invite).replace(";tag=theirs", ";tag=second"));
    let sent = bench.take();
    assert_eq!(sent.iter().map(|m| kind(m)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|m| header(m, "To").unwrap().ends_with(";tag=second")));
    assert!(bench.events.is_empty());
    assert_eq!(bench.endpoint.live_calls(), 1);
}

#[test]
fn an_answer_without_description_is_no_call() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 200, "Contact: <sip:there@192.0.2.1>\r\n", ""));
    assert_eq!(bench.statuses(), ["ACK", "BYE"]);
    assert!(matches!(last_event(&mut bench), Event::Failed { status: 488, .. }));
}

#[test]
fn the_route_back_is_the_recorded_one_reversed() {
    let (mut bench, invite) = calling();
    let routes =
        "Record-Route: <sip:near.example.com;lr>, <sip:192.0.2.88;lr>\r\nContact: <sip:there@192.0.2.1>\r\n";
    bench.bytes(reply(&invite, 200, &format!("{routes}{TYPE}"), SDP));
    assert_eq!(bench.sent_to, ["192.0.2.88:5060".parse().unwrap()]);
    let ack = bench.take().pop().unwrap();
    let found: Vec<&str> = ack.lines().filter(|l| l.starts_with("Route:")).collect();
    assert_eq!(found, ["Route: <sip:192.0.2.88;lr>", "Route: <sip:near.example.com;lr>"]);
}

#[test]
fn early_media_is_told() {
    let (mut bench, invite) = calling();
    bench.bytes(reply(&invite, 183, TYPE, SDP));
    assert!(matches!(last_event(&mut bench), Event::Progress { status: 183, sdp: Some(_), .. }));
}

#[test]
fn a_session_timer_of_the_peer_is_ours_to_refresh() {
    let (mut bench, invite) = calling();
    let headers = "Contact: <sip:there@192.0.2.1>\r\nAllow: UPDATE\r\nSession-Expires: 100;refresher=uac\r\n";
    bench.bytes(reply(&invite, 200, &format!("{headers}{TYPE}"), SDP));
    bench.take();
    bench.wait_ms(50_000);
    assert_eq!(bench.statuses(), ["UPDATE"]);
}

#[test]
fn text_that_would_break_a_message_is_not_sent() {
    let break_it: [fn(&mut Invite); 4] = [
        |i| i.target.push_str("\r\nVia: x"),
        |i| i.target.push('>'),
        |i| i.from.push('\n'),
        |i| i.headers.push(("X: y".to_owned(), "z".to_owned())),
    ];
    for change in break_it {
        let mut bench = Bench::new();
        let mut invite = invitation(&bench);
        change(&mut invite);
        bench.command(Command::Invite(Box::new(invite)));
        assert!(bench.sent.is_empty());
        assert!(matches!(last_event(&mut bench), Event::Failed { status: 400, .. }));
    }
}

#[test]
fn no_more_calls_out_than_there_is_room_for() {
    let mut config = EndpointConfig::new(Vec::new());
    config.limits.calls_max = 0;
    let mut bench = Bench::with(config);
    let invite = invitation(&bench);
    bench.command(Command::Invite(Box::new(invite)));
    assert!(matches!(last_event(&mut bench), Event::Failed { status: 503, .. }));
}
