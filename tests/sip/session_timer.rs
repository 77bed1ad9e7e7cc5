//! RFC 4028: a call whose peer has vanished ends by itself.

use super::support::Bench;
use super::support::SDP;
use super::support::header;
use super::support::kind;
use super::support::reply;
use super::support::request;
use super::support::to_tag;
use bytes::Bytes;
use keytone::sip::event::CallKey;
use keytone::sip::event::Command;
use keytone::sip::event::EndedBy;
use keytone::sip::event::Event;

const TYPE: &str = "Content-Type: application/sdp\r\n";

/// A call whose INVITE had `headers`: our 200, the call and our tag.
fn call_with(headers: &str) -> (Bench, String, CallKey, String) {
    let mut bench = Bench::new();
    bench.bytes(request("INVITE", 1, "z9hG4bKs", "", &format!("{headers}{TYPE}"), SDP));
    let call = bench.incoming().call;
    bench.command(Command::Answer { call, sdp: Bytes::from_static(SDP.as_bytes()) });
    let answer = bench.take().pop().unwrap();
    let tag = to_tag(&answer);
    bench.bytes(request("ACK", 1, "z9hG4bKack", &tag, "", ""));
    bench.take_events();
    (bench, answer, call, tag)
}

fn ended(bench: &mut Bench) -> Option<EndedBy> {
    let events = bench.take_events();
    events.iter().find_map(|e| if let Event::Ended { by, .. } = e { Some(*by) } else { None })
}

#[test]
fn a_peer_that_refreshes_keeps_its_call_and_one_that_stops_loses_it() {
    let (mut bench, answer, _, tag) = call_with("Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n");
    assert_eq!(header(&answer, "Session-Expires"), Some("120;refresher=uac"));
    assert_eq!(header(&answer, "Require"), Some("timer"));
    for cseq in 2..6 {
        bench.wait_ms(60_000);
        assert_eq!(ended(&mut bench), None);
        let refresh = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
        bench.bytes(request("UPDATE", cseq, &format!("z9hG4bKu{cseq}"), &tag, refresh, ""));
        let answer = bench.take().pop().unwrap();
        assert_eq!(
            (kind(&answer).as_str(), header(&answer, "Session-Expires")),
            ("200", Some("120;refresher=uac"))
        );
    }
    // 32 s before the end of the 120 s nobody will refresh any more.
    bench.wait_ms(87_999);
    assert_eq!(ended(&mut bench), None);
    bench.wait_ms(1);
    assert_eq!(ended(&mut bench), Some(EndedBy::Expired));
    assert_eq!(bench.statuses(), ["BYE"]);
}

#[test]
fn who_does_not_say_who_refreshes_does_it_itself() {
    let (_, answer, _, _) = call_with("Supported: timer\r\nSession-Expires: 1800\r\n");
    assert_eq!(header(&answer, "Session-Expires"), Some("1800;refresher=uac"));
}

#[test]
fn without_the_wish_there_is_no_timer() {
    let (mut bench, answer, _, _) = call_with("Supported: timer\r\n");
    assert_eq!((header(&answer, "Session-Expires"), header(&answer, "Require")), (None, None));
    bench.wait_ms(10_000_000);
    assert_eq!(ended(&mut bench), None);
}

#[test]
fn an_interval_that_is_too_short_is_422() {
    let mut bench = Bench::new();
    bench.bytes(request("INVITE", 1, "z9hG4bKs", "", "Supported: timer\r\nSession-Expires: 60\r\n", ""));
    let answer = bench.take().pop().unwrap();
    assert_eq!((kind(&answer).as_str(), header(&answer, "Min-SE")), ("422", Some("90")));
    assert!(bench.events.is_empty());
}

#[test]
fn we_refresh_by_update_when_the_peer_asks_us_to() {
    let (mut bench, answer, _, _) = call_with(
        "Allow: INVITE, ACK, BYE, UPDATE\r\nSupported: timer\r\nSession-Expires: 100;refresher=uas\r\n",
    );
    assert_eq!(header(&answer, "Session-Expires"), Some("100;refresher=uas"));
    assert_eq!(header(&answer, "Require"), None);
    for _ in 0..3 {
        bench.wait_ms(50_000);
        let refresh = bench.take().pop().unwrap();
        assert_eq!(
            (kind(&refresh).as_str(), header(&refresh, "Session-Expires")),
            ("UPDATE", Some("100;refresher=uac"))
        );
        bench.bytes(reply(&refresh, 200, "Session-Expires: 100;refresher=uac\r\n", ""));
        bench.take();
    }
    assert_eq!(ended(&mut bench), None);
}

#[test]
fn we_refresh_by_reinvite_when_the_peer_knows_no_update() {
    let (mut bench, _, _, _) = call_with("Supported: timer\r\nSession-Expires: 100;refresher=uas\r\n");
    bench.wait_ms(50_000);
    let refresh = bench.take().pop().unwrap();
    assert_eq!((kind(&refresh).as_str(), super::support::body(&refresh)), ("INVITE", SDP));
    bench.bytes(reply(&refresh, 200, &format!("Session-Expires: 100;refresher=uac\r\n{TYPE}"), SDP));
    assert_eq!(bench.statuses(), ["ACK"]);
    // The application's session did not change, so it hears nothing.
    assert!(bench.events.is_empty());
    bench.wait_ms(50_000);
    assert_eq!(bench.statuses().first().map(String::as_str), Some("INVITE"));
}

#[test]
fn a_proxy_that_wants_a_timer_for_a_peer_without_makes_us_refresh() {
    let (_, answer, _, _) = call_with("Session-Expires: 1800\r\n");
    assert_eq!(header(&answer, "Session-Expires"), Some("1800;refresher=uas"));
    assert_eq!(header(&answer, "Require"), None);
}

#[test]
fn a_refresh_that_finds_nobody_ends_the_call() {
    let (mut bench, _, _, _) =
        call_with("Allow: UPDATE\r\nSupported: timer\r\nSession-Expires: 100;refresher=uas\r\n");
    bench.wait_ms(50_000);
    let refresh = bench.take().pop().unwrap();
    bench.bytes(reply(&refresh, 481, "", ""));
    assert_eq!(ended(&mut bench), Some(EndedBy::Lost));
    assert_eq!(bench.statuses(), ["BYE"]);
}

#[test]
fn a_refresh_that_is_refused_for_now_is_tried_again_until_the_end() {
    let (mut bench, _, _, _) =
        call_with("Allow: UPDATE\r\nSupported: timer\r\nSession-Expires: 100;refresher=uas\r\n");
    bench.wait_ms(50_000);
    for _ in 0..5 {
        let refresh = bench.take().pop().unwrap();
        assert_eq!(kind(&refresh), "UPDATE");
        bench.bytes(reply(&refresh, 500, "", ""));
        bench.wait_ms(10_000);
    }
    assert_eq!(ended(&mut bench), Some(EndedBy::Expired));
    assert_eq!(bench.statuses(), ["BYE"]);
}

#[test]
fn a_reinvite_without_timer_ends_the_agreement() {
    let (mut bench, _, call, tag) = call_with("Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n");
    bench.bytes(request("INVITE", 2, "z9hG4bKre", &tag, TYPE, SDP));
    bench.command(Command::AcceptOffer { call, sdp: Bytes::from_static(SDP.as_bytes()) });
    bench.bytes(request("ACK", 2, "z9hG4bKa2", &tag, "", ""));
    bench.wait_ms(1_000_000);
    assert_eq!(ended(&mut bench), None);
}
