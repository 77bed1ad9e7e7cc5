//! Inside a call: keys by INFO, new offers by re-INVITE and UPDATE, and what happens when they cross.

use super::support::Bench;
use super::support::SDP;
use super::support::header;
use super::support::kind;
use super::support::reply;
use super::support::request;
use bytes::Bytes;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::Event;

const TYPE: &str = "Content-Type: application/sdp\r\n";
const HOLD: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n";

fn sdp() -> Bytes {
    Bytes::from_static(SDP.as_bytes())
}

fn talking() -> (Bench, CallKey, String) {
    let mut bench = Bench::new();
    let (call, tag) = bench.established();
    (bench, call, tag)
}

fn digits(bench: &mut Bench) -> String {
    let events = bench.take_events();
    events
        .iter()
        .filter_map(|e| if let Event::Digit { key, .. } = e { Some(key.sign()) } else { None })
        .collect()
}

fn info(cseq: u32, branch: &str, tag: &str, key: &str) -> String {
    let body = format!("Signal={key}\r\nDuration=160\r\n");
    request("INFO", cseq, branch, tag, "Content-Type: application/dtmf-relay\r\n", &body)
}

#[test]
fn keys_by_info_come_once_each() {
    let (mut bench, _, tag) = talking();
    bench.bytes(info(2, "z9hG4bKa", &tag, "1"));
    bench.bytes(info(2, "z9hG4bKa", &tag, "1"));
    bench.bytes(info(3, "z9hG4bKb", &tag, "#"));
    assert_eq!(bench.statuses(), ["200", "200", "200"]);
    assert_eq!(digits(&mut bench), "1#");
    // The same request by another path, and one that was overtaken.
    bench.bytes(info(3, "z9hG4bKc", &tag, "#"));
    bench.bytes(info(2, "z9hG4bKd", &tag, "1"));
    assert_eq!(bench.statuses(), ["200", "500"]);
    assert_eq!(digits(&mut bench), "");
}

#[test]
fn other_infos_are_answered_and_tell_nothing() {
    let (mut bench, _, tag) = talking();
    bench.bytes(request("INFO", 2, "z9hG4bKa", &tag, "", ""));
    bench.bytes(request(
        "INFO",
        3,
        "z9hG4bKb",
        &tag,
        "Content-Type: application/media_control+xml\r\n",
        "<x/>",
    ));
    bench.bytes(request("INFO", 4, "z9hG4bKc", &tag, "Content-Type: application/dtmf\r\n", "99"));
    let sent = bench.take();
    assert_eq!(sent.iter().map(|m| kind(m)).collect::<Vec<_>>(), ["200", "415", "400"]);
    assert_eq!(header(&sent[1], "Accept"), Some("application/dtmf-relay, application/dtmf"));
    assert!(bench.events.is_empty());
}

#[test]
fn keys_before_the_ack_count() {
    let mut bench = Bench::new();
    bench.bytes(super::support::invite("z9hG4bKinvite"));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = super::support::to_tag(&bench.take().pop().unwrap());
    bench.bytes(info(2, "z9hG4bKa", &tag, "7"));
    assert_eq!(digits(&mut bench), "7");
}

#[test]
fn a_reinvite_is_offered_accepted_and_acknowledged() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    let events = bench.take_events();
    let [Event::Offer { sdp: Some(offer), .. }] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(offer, HOLD);
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    assert_eq!(bench.statuses(), ["200"]);
    bench.wait_ms(1500);
    assert_eq!(bench.statuses(), ["200", "200"]);
    bench.bytes(request("ACK", 2, "z9hG4bKack2", &tag, "", ""));
    bench.wait_ms(40_000);
    assert!(bench.sent.is_empty() && bench.events.is_empty());
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.command(Command::RejectOffer { call, status: 488 });
    assert_eq!(bench.statuses(), ["488"]);
    bench.bytes(request("ACK", 2, "z9hG4bKre", &tag, "", ""));
    bench.bytes(info(3, "z9hG4bKi", &tag, "5"));
    assert_eq!(digits(&mut bench), "5");
}

#[test]
fn a_reinvite_without_offer_wants_ours() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, "", ""));
    assert!(matches!(bench.take_events().as_slice(), [Event::Offer { sdp: None, .. }]));
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    assert_eq!(bench.statuses(), ["200"]);
    bench.bytes(request("ACK", 2, "z9hG4bKack2", &tag, TYPE, SDP));
    assert_eq!(bench.event_names(), ["AckSdp"]);
}

#[test]
fn a_second_offer_before_the_first_is_answered_is_500() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.bytes(request("UPDATE", 3, "z9hG4bKup", &tag, TYPE, HOLD));
    let refused = bench.take().pop().unwrap();
    assert_eq!((kind(&refused).as_str(), header(&refused, "Retry-After").is_some()), ("500", true));
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    assert_eq!(bench.statuses(), ["200"]);
}

#[test]
fn an_offer_before_the_first_answer_is_500() {
    let mut bench = Bench::new();
    bench.bytes(super::support::invite("z9hG4bKinvite"));
    let call = bench.incoming().call;
    bench.command(Command::Ring { call });
    let tag = super::support::to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("UPDATE", 2, "z9hG4bKup", &tag, TYPE, HOLD));
    assert_eq!(bench.statuses(), ["500"]);
}

#[test]
fn offers_that_cross_are_491() {
    let (mut bench, call, tag) = talking();
    bench.command(Command::Reinvite { call, sdp: sdp() });
    let ours = bench.take().pop().unwrap();
    assert_eq!(kind(&ours), "INVITE");
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    assert_eq!(bench.statuses(), ["491"]);
    bench.bytes(reply(&ours, 491, "", ""));
    assert_eq!(bench.statuses(), ["ACK"]);
    let events = bench.take_events();
    assert!(matches!(events.as_slice(), [Event::OfferRefused { status: 491, .. }]), "{events:?}");
    // The call goes on, and the peer may try again.
    bench.bytes(request("INVITE", 3, "z9hG4bKre3", &tag, TYPE, HOLD));
    assert_eq!(bench.event_names(), ["Offer"]);
}

#[test]
fn our_offer_while_theirs_is_open_is_not_sent() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.take_events();
    bench.command(Command::Reinvite { call, sdp: sdp() });
    assert!(bench.take().is_empty());
    assert_eq!(bench.event_names(), ["OfferRefused"]);
}

#[test]
fn our_reinvite_is_answered_and_acknowledged_as_often_as_it_comes() {
    let (mut bench, call, _) = talking();
    bench.command(Command::Reinvite { call, sdp: sdp() });
    let ours = bench.take().pop().unwrap();
    bench.bytes(reply(&ours, 100, "", ""));
    let answer =
        reply(&ours, 200, "Contact: <sip:moved@192.0.2.9>\r\nContent-Type: application/sdp\r\n", SDP);
    bench.bytes(answer.clone());
    bench.bytes(answer);
    let sent = bench.take();
    assert_eq!(sent.iter().map(|m| kind(m)).collect::<Vec<_>>(), ["ACK", "ACK"]);
    assert!(sent[0].starts_with("ACK sip:") && header(&sent[0], "CSeq") == Some("1 ACK"));
    assert_eq!(bench.event_names(), ["Answered"]);
    bench.command(Command::Hangup { call });
    assert!(bench.take()[0].starts_with("BYE sip:moved@192.0.2.9 "));
}

#[test]
fn a_reinvite_before_the_ack_stands_for_it() {
    let mut bench = Bench::new();
    bench.bytes(super::support::invite("z9hG4bKinvite"));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: sdp() });
    let tag = super::support::to_tag(&bench.take().pop().unwrap());
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    assert_eq!(bench.event_names(), ["Established", "Offer"]);
}

#[test]
fn an_update_with_an_offer_needs_no_ack() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("UPDATE", 2, "z9hG4bKup", &tag, TYPE, HOLD));
    assert_eq!(bench.event_names(), ["Offer"]);
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    let answer = bench.take().pop().unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "CSeq")), ("200", Some("2 UPDATE")));
    bench.wait_ms(40_000);
    assert!(bench.take().is_empty());
}

#[test]
fn an_update_without_offer_moves_the_target() {
    let (mut bench, call, tag) = talking();
    let moved = request("UPDATE", 2, "z9hG4bKup", &tag, "", "").replace("<sip:peer@", "<sip:elsewhere@");
    bench.bytes(moved);
    assert_eq!(bench.statuses(), ["200"]);
    assert!(bench.events.is_empty());
    bench.command(Command::Hangup { call });
    assert!(bench.take()[0].starts_with("BYE sip:elsewhere@192.0.2.1:5060 "));
}

#[test]
fn an_offer_that_the_application_ignores_is_refused_for_it() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.wait_ms(55_000);
    assert_eq!(bench.statuses()[0], "500");
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    assert!(!bench.statuses().contains(&"200".to_owned()));
    assert_eq!(bench.endpoint.live_calls(), 1);
}

#[test]
fn a_cancelled_reinvite_leaves_the_call() {
    let (mut bench, call, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.bytes(request("CANCEL", 2, "z9hG4bKre", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200", "487"]);
    bench.command(Command::AcceptOffer { call, sdp: sdp() });
    assert!(bench.take().is_empty());
    assert_eq!(bench.endpoint.live_calls(), 1);
}

#[test]
fn a_bye_while_an_offer_is_open_answers_both() {
    let (mut bench, _, tag) = talking();
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, HOLD));
    bench.bytes(request("BYE", 3, "z9hG4bKbye", &tag, "", ""));
    assert_eq!(bench.statuses(), ["200", "487"]);
    assert_eq!(bench.event_names(), ["Offer", "Ended"]);
}

#[test]
fn our_keys_go_out_as_info() {
    let (mut bench, call, _) = talking();
    let key = keytone::sip::event::Key::new('#').unwrap();
    bench.command(Command::SendKey { call, key, duration_ms: 120 });
    let sent = bench.take().pop().unwrap();
    assert_eq!((kind(&sent).as_str(), super::support::body(&sent)), ("INFO", "Signal=#\r\nDuration=120\r\n"));
    bench.bytes(reply(&sent, 200, "", ""));
    bench.wait_ms(10_000);
    assert!(bench.take().is_empty());
}

#[test]
fn a_peer_that_forgot_the_dialog_has_ended_the_call() {
    let (mut bench, call, _) = talking();
    let key = keytone::sip::event::Key::new('1').unwrap();
    bench.command(Command::SendKey { call, key, duration_ms: 120 });
    let sent = bench.take().pop().unwrap();
    bench.bytes(reply(&sent, 481, "", ""));
    let events = bench.take_events();
    assert!(
        matches!(events.as_slice(), [Event::Ended { by: keytone::sip::event::EndedBy::Lost, .. }]),
        "{events:?}"
    );
    assert_eq!(bench.statuses(), ["BYE"]);
}
