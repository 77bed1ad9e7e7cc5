//! The peer's requests: what is handed up, what is refused, how each is answered once.

use super::*;
use crate::smpp::link::Allowance;
use crate::smpp::link::settings::Rate;
use crate::smpp::pdu::command;
use crate::smpp::status as code;

fn delivered() -> Body {
    Body::DeliverSmResp(MessageResp::default())
}

#[test]
fn a_request_is_answered_once_with_its_number() {
    let mut rig = Rig::serving(smsc(), Role::Transceiver);
    let first = rig.hear(5, submit("a")).ticket();
    let second = rig.hear(5, submit("the same number again")).ticket();
    assert_eq!(rig.link.status(rig.now).unanswered, 2);
    let seen = rig.give(Input::Respond { ticket: second, status: 0, body: submitted("2") });
    assert_eq!(seen.pdus, [Pdu { status: 0, sequence: 5, body: submitted("2") }]);
    let seen = rig.give(Input::Respond { ticket: first, status: code::RINVDSTADR, body: submitted("1") });
    assert_eq!(seen.heads(), [(0x8000_0004, code::RINVDSTADR, 5)]);
    assert_eq!(rig.link.status(rig.now).unanswered, 0);
}

#[test]
fn too_many_without_an_answer_are_throttled() {
    let mut rig = Rig::serving(Settings { unanswered: 2, ..smsc() }, Role::Transceiver);
    let ticket = rig.hear(2, submit("a")).ticket();
    rig.hear(3, submit("b")).ticket();
    let seen = rig.hear(4, submit("c"));
    assert_eq!((seen.heads(), seen.events.len()), (vec![(0x8000_0004, code::RTHROTTLED, 4)], 0));
    rig.give(Input::Respond { ticket, status: 0, body: submitted("1") });
    rig.hear(5, submit("d")).ticket();
    assert_eq!(rig.link.status(rig.now).counters.shed, 1);
}

#[test]
fn a_peer_has_a_rate() {
    let peer_rate = Some(Rate { per_second: 2, burst: 1 });
    let mut rig = Rig::serving(Settings { peer_rate, ..smsc() }, Role::Transceiver);
    rig.hear(2, submit("a")).ticket();
    assert_eq!(rig.hear(3, submit("b")).heads(), [(0x8000_0004, code::RTHROTTLED, 3)]);
    rig.pass(ms(500));
    rig.hear(4, submit("c")).ticket();
}

#[test]
fn links_can_share_an_allowance() {
    let mut one = Rig::serving(smsc(), Role::Transceiver);
    let mut two = Rig::serving(smsc(), Role::Transceiver);
    two.now = one.now;
    let shared = Allowance::new(Rate { per_second: 2, burst: 2 }, one.now);
    one.link.share(shared.clone());
    two.link.share(shared);
    one.hear(2, submit("a")).ticket();
    two.hear(2, submit("b")).ticket();
    for rig in [&mut one, &mut two] {
        assert_eq!(rig.hear(3, submit("c")).heads(), [(0x8000_0004, code::RTHROTTLED, 3)]);
    }
}

#[test]
fn what_nobody_answers_the_link_does() {
    let mut rig = Rig::bound(Settings { enquire_after: secs(600), ..esme(Role::Transceiver) });
    let ticket = rig.hear(5, Body::DeliverSm(message("in"))).ticket();
    assert!(rig.pass(secs(30) - ms(1)).nothing());
    assert_eq!(rig.pass(ms(1)).heads(), [(0x8000_0005, code::RX_T_APPN, 5)]);
    assert!(rig.give(Input::Respond { ticket, status: 0, body: delivered() }).nothing(), "too late");
    assert_eq!(rig.link.status(rig.now).counters.abandoned, 1);
}

#[test]
fn an_answer_of_the_wrong_kind_or_that_does_not_fit_is_an_error() {
    let mut rig = Rig::serving(smsc(), Role::Transceiver);
    let ticket = rig.hear(2, submit("a")).ticket();
    let seen = rig.give(Input::Respond { ticket, status: 0, body: delivered() });
    assert_eq!(seen.heads(), [(0x8000_0004, code::RSYSERR, 2)]);
    let ticket = rig.hear(3, submit("a")).ticket();
    let seen = rig.give(Input::Respond { ticket, status: 0, body: submitted(&"x".repeat(65)) });
    assert_eq!(seen.heads(), [(0x8000_0004, code::RSYSERR, 3)]);
    let ticket = rig.hear(4, submit("a")).ticket();
    let seen = rig.give(Input::Respond { ticket, status: code::RINVDSTADR, body: Body::GenericNack });
    assert_eq!(seen.heads(), [(0x8000_0004, code::RINVDSTADR, 4)]);
}

#[test]
fn a_bad_body_is_answered_and_the_link_goes_on() {
    let mut rig = Rig::serving(smsc(), Role::Transceiver);
    let whole = frame(0, 9, submit("text"));
    for cut in 0..whole.body.len() {
        let seen = rig.give(Input::Frame(Frame { body: whole.body.slice(..cut), ..whole.clone() }));
        let heads = seen.heads();
        assert_eq!((heads.len(), heads[0].0, heads[0].2), (1, 0x8000_0004, 9), "{cut}");
        assert!(heads[0].1 != 0 && seen.events.is_empty() && seen.closed.is_none(), "{cut}");
    }
    rig.hear(10, submit("and on it goes")).ticket();
    assert_eq!(rig.link.status(rig.now).counters.bad, u64::try_from(whole.body.len()).unwrap());
}

#[test]
fn unknown_commands_get_a_generic_nack() {
    for id in [0x77, 0x0000_0010, 0x0001_0000, 0x7fff_ffff] {
        let mut rig = Rig::bound(esme(Role::Transceiver));
        let seen =
            rig.give(Input::Frame(Frame { id, status: 0, sequence: 3, body: Bytes::from_static(b"?") }));
        assert_eq!(seen.heads(), [(command::GENERIC_NACK, code::RINVCMDID, 3)], "{id:#x}");
        assert!(seen.closed.is_none());
        let answer = Frame { id: id | command::RESPONSE, status: 0, sequence: 3, body: Bytes::new() };
        assert!(rig.give(Input::Frame(answer)).nothing(), "an answer is never answered");
    }
}

#[test]
fn roles_restrict_what_the_peer_may_ask() {
    // A receiver may not submit, and a transmitter is delivered nothing.
    let table = [
        (Role::Receiver, submit("a"), false),
        (Role::Transmitter, submit("a"), true),
        (Role::Transceiver, submit("a"), true),
        (Role::Receiver, Body::DataSm(message("")), false),
        (Role::Transceiver, Body::DeliverSm(message("a")), false),
    ];
    for (role, body, taken) in table {
        let id = body.command_id();
        let seen = Rig::serving(smsc(), role).hear(4, body);
        assert_eq!(seen.events.len(), usize::from(taken), "{role:?} {id:#x}");
        assert!(taken || seen.heads() == [(id | command::RESPONSE, code::RINVBNDSTS, 4)]);
    }
    for (role, taken) in [(Role::Receiver, true), (Role::Transmitter, false), (Role::Transceiver, true)] {
        let seen = Rig::bound(esme(role)).hear(4, Body::DeliverSm(message("a")));
        assert_eq!(seen.events.len(), usize::from(taken), "{role:?}");
        assert!(taken || seen.heads() == [(0x8000_0005, code::RINVBNDSTS, 4)]);
    }
}

#[test]
fn a_notice_wants_no_answer() {
    use crate::smpp::other::AlertNotification;
    use crate::smpp::other::Other;
    let alert = Body::Other(Other::AlertNotification(AlertNotification::default()));
    let seen = Rig::bound(esme(Role::Transceiver)).hear(4, alert.clone());
    assert!(matches!(&seen.events[..], [Event::Notice(_)]) && seen.pdus.is_empty());
    assert!(Rig::bound(esme(Role::Transmitter)).hear(4, alert).nothing());
}
