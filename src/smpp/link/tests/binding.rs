//! Binds: asked for, granted, refused, probed, ended.

use super::*;
use crate::smpp::link::event::Doubt;
use crate::smpp::link::event::Silence;
use crate::smpp::link::event::Unsent;
use crate::smpp::link::settings::UNBOUND_PDUS_MAX;
use crate::smpp::link::status::Phase;
use crate::smpp::pdu::Bind;
use crate::smpp::pdu::command;
use crate::smpp::status as code;
use crate::smpp::tlv::Tlvs;
use crate::smpp::tlv::tag;

const ROLES: [Role; 3] = [Role::Receiver, Role::Transmitter, Role::Transceiver];

fn bind(role: Role, version: u8) -> Body {
    Body::Bind(
        role,
        Bind {
            system_id: "shop".into(),
            password: "hunter2".into(),
            interface_version: version,
            ..Bind::default()
        },
    )
}

#[test]
fn an_esme_binds_in_every_role_and_version() {
    for role in ROLES {
        for version in [0x33, 0x34, 0x50] {
            let mut settings = esme(role);
            if let Side::Esme(esme) = &mut settings.side {
                esme.version = version;
            }
            let (rig, seen) = Rig::new(settings);
            assert_eq!(seen.pdus, [Pdu::request(1, bind(role, version))]);
            assert_eq!(rig.link.status(rig.now).phase, Phase::Binding);
        }
    }
}

#[test]
fn the_version_is_the_lower_one_of_both() {
    let table = [
        (None, 0x34),
        (Some(0x33), 0x33),
        (Some(0x34), 0x34),
        (Some(0x50), 0x34),
        (Some(0), 0x34),
        (Some(0xff), 0x34),
    ];
    for (spoken, version) in table {
        let (mut rig, _) = Rig::new(esme(Role::Transceiver));
        let mut tlvs = Tlvs::default();
        if let Some(spoken) = spoken {
            tlvs.push(tag::SC_INTERFACE_VERSION, vec![spoken]);
        }
        let seen = rig.hear(1, Body::BindResp(Role::Transceiver, BindResp { system_id: "mc".into(), tlvs }));
        assert!(matches!(&seen.events[..], [Event::Up(up)] if up.version == version), "{spoken:?}");
    }
}

#[test]
fn refused_binds_and_silence_end_the_link() {
    for status in [code::RINVPASWD, code::RINVSYSID, code::RBINDFAIL, code::RALYBND, 0x400] {
        let (mut rig, _) = Rig::new(esme(Role::Receiver));
        let seen = rig.hear_status(status, 1, Body::BindResp(Role::Receiver, BindResp::default()));
        assert_eq!(seen.closed, Some(Ended::Refused(status)));
        assert!(rig.link.next_deadline().is_none() && rig.ask(1, submit("")).done.len() == 1);
    }
    let (mut rig, _) = Rig::new(esme(Role::Receiver));
    let seen = rig.hear_status(code::RINVCMDID, 1, Body::GenericNack);
    assert_eq!(seen.closed, Some(Ended::Refused(code::RINVCMDID)));
    let (mut rig, _) = Rig::new(esme(Role::Receiver));
    assert!(rig.hear_status(0, 2, Body::BindResp(Role::Receiver, BindResp::default())).nothing(), "not ours");
    assert!(rig.pass(secs(10) - ms(1)).closed.is_none());
    assert_eq!(rig.pass(ms(1)).closed, Some(Ended::BindTimeout));
}

#[test]
fn a_body_before_the_bind_is_never_read() {
    // A submit_sm whose text is longer than the PDU: read, it would be answered ESME_RINVMSGLEN.
    let mut rubbish = frame(0, 9, submit("text"));
    rubbish.body = rubbish.body.slice(..rubbish.body.len() - 2);
    assert!(parse(&rubbish).is_err());
    let (mut smsc, _) = Rig::new(smsc());
    let (mut esme, _) = Rig::new(esme(Role::Transceiver));
    for rig in [&mut smsc, &mut esme] {
        let seen = rig.give(Input::Frame(rubbish.clone()));
        assert_eq!(seen.heads(), [(0x8000_0004, code::RINVBNDSTS, 9)]);
        let status = rig.link.status(rig.now);
        assert_eq!((status.counters.bad, status.counters.forbidden), (0, 1));
    }
    let seen = smsc.give(Input::Frame(Frame { id: 0x77, status: 0, sequence: 10, body: Bytes::new() }));
    assert_eq!(seen.heads(), [(command::GENERIC_NACK, code::RINVCMDID, 10)]);
}

#[test]
fn a_peer_that_talks_before_its_bind_is_cut_off() {
    let (mut rig, _) = Rig::new(smsc());
    for sequence in 1..=UNBOUND_PDUS_MAX {
        let seen = rig.hear(sequence, Body::EnquireLink);
        assert_eq!((seen.heads(), seen.closed), (vec![(0x8000_0015, 0, sequence)], None));
    }
    assert_eq!(rig.hear(99, Body::EnquireLink).closed, Some(Ended::Unruly));
    let (mut rig, _) = Rig::new(smsc());
    assert_eq!(rig.pass(secs(10)).closed, Some(Ended::BindTimeout));
}

#[test]
fn an_smsc_asks_the_application_for_every_bind() {
    for role in ROLES {
        for (asked, version, told) in [(0x33, 0x33, None), (0x34, 0x34, Some(0x50)), (0x50, 0x50, Some(0x50))]
        {
            let (mut rig, _) = Rig::new(smsc());
            let seen = rig.hear(7, bind(role, asked));
            let [Event::BindAsked(ask)] = &seen.events[..] else { panic!("asked") };
            assert_eq!(
                (&ask.system_id[..], ask.password.expose(), ask.role),
                (&b"shop"[..], &b"hunter2"[..], role)
            );
            assert!(seen.pdus.is_empty());
            let seen = rig.give(Input::Allow(Box::new(Settings { window: 3, ..smsc() })));
            let [Pdu { status: 0, sequence: 7, body: Body::BindResp(_, answer) }] = &seen.pdus[..] else {
                panic!()
            };
            assert_eq!(answer.tlvs.octet(tag::SC_INTERFACE_VERSION), told, "{asked:#x}");
            assert!(matches!(&seen.events[..], [Event::Up(up)] if up.version == version && up.role == role));
            let status = rig.link.status(rig.now);
            assert_eq!((status.window, status.role, status.phase), (3, Some(role), Phase::Bound));
        }
    }
}

#[test]
fn a_bind_is_refused_by_the_application_by_its_silence_and_when_there_is_one() {
    let (mut rig, _) = Rig::new(smsc());
    rig.hear(7, bind(Role::Transceiver, 0x34));
    let seen = rig.hear(8, bind(Role::Transceiver, 0x34));
    assert_eq!(seen.heads(), [(0x8000_0009, code::RALYBND, 8)]);
    let seen = rig.give(Input::Deny(code::RINVPASWD));
    assert_eq!(seen.heads(), [(0x8000_0009, code::RINVPASWD, 7)]);
    assert_eq!(seen.closed, Some(Ended::Refused(code::RINVPASWD)));

    let (mut rig, _) = Rig::new(smsc());
    rig.hear(7, bind(Role::Transceiver, 0x34));
    let seen = rig.pass(secs(10));
    assert_eq!(
        (seen.heads(), seen.closed),
        (vec![(0x8000_0009, code::RSYSERR, 7)], Some(Ended::Refused(code::RSYSERR)))
    );
    assert!(rig.give(Input::Allow(Box::new(smsc()))).nothing(), "too late");

    let mut rig = Rig::serving(smsc(), Role::Transmitter);
    let seen = rig.hear(8, bind(Role::Receiver, 0x34));
    assert_eq!((seen.heads(), seen.closed), (vec![(0x8000_0001, code::RALYBND, 8)], None));
}

#[test]
fn an_outbind_is_believed_or_not() {
    let outbind = Body::Outbind { system_id: "mc".into(), password: "pw".into() };
    let Side::Esme(ours) = esme(Role::Receiver).side else { unreachable!() };
    let (mut rig, _) = Rig::new(smsc());
    let seen = rig.hear(1, outbind.clone());
    assert!(matches!(&seen.events[..], [Event::Outbind { system_id, password }]
        if system_id == "mc" && password.expose() == b"pw"));
    let seen = rig.give(Input::BindAs(Box::new(ours)));
    assert_eq!(seen.pdus, [Pdu::request(1, bind(Role::Receiver, 0x34))]);
    let seen = rig.hear(1, Body::BindResp(Role::Receiver, BindResp::default()));
    assert!(matches!(&seen.events[..], [Event::Up(_)]));
    let ticket = rig.hear(5, Body::DeliverSm(message("in"))).ticket();
    let seen =
        rig.give(Input::Respond { ticket, status: 0, body: Body::DeliverSmResp(MessageResp::default()) });
    assert_eq!(seen.heads(), [(0x8000_0005, 0, 5)]);

    let (mut rig, _) = Rig::new(smsc());
    rig.hear(1, outbind.clone());
    let seen = rig.give(Input::Deny(code::RBINDFAIL));
    assert_eq!((seen.pdus.len(), seen.closed), (0, Some(Ended::Refused(code::RBINDFAIL))));
    let mut rig = Rig::bound(esme(Role::Transceiver));
    assert!(rig.hear(1, outbind).nothing(), "it is bound already");
}

#[test]
fn silence_is_probed_and_any_traffic_is_a_sign_of_life() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    assert!(rig.pass(secs(30) - ms(1)).nothing());
    assert_eq!(rig.pass(ms(1)).heads(), [(command::ENQUIRE_LINK, 0, 2)]);
    assert!(rig.hear(2, Body::EnquireLinkResp).nothing());
    assert!(rig.pass(secs(29)).nothing());
    rig.hear(77, submitted("unasked for, and still a sign of life"));
    assert!(rig.pass(secs(29)).nothing());
    assert_eq!(rig.pass(secs(1)).heads(), [(command::ENQUIRE_LINK, 0, 3)]);
    assert_eq!(rig.pass(secs(10)).heads(), [(command::ENQUIRE_LINK, 0, 4)]);
    rig.hear(4, Body::EnquireLinkResp);
    rig.pass(secs(30));
    assert!(rig.pass(secs(20) - ms(1)).closed.is_none(), "misses are counted from anew");
    assert_eq!(rig.pass(ms(1)).closed, Some(Ended::Silent));
    assert_eq!(rig.link.status(rig.now).counters.missed_probes, 3);
}

#[test]
fn a_probe_of_the_peer_is_answered_in_every_state() {
    let (mut binding, _) = Rig::new(esme(Role::Transceiver));
    let mut bound = Rig::bound(esme(Role::Transceiver));
    let mut draining = Rig::bound(esme(Role::Transceiver));
    draining.ask(1, submit("in flight"));
    draining.give(Input::Unbind { until: draining.now + secs(5) });
    for rig in [&mut binding, &mut bound, &mut draining] {
        assert_eq!(rig.hear(5, Body::EnquireLink).heads(), [(0x8000_0015, 0, 5)]);
    }
}

#[test]
fn a_drain_waits_for_answers_both_ways_and_unbinds() {
    let mut rig = Rig::bound(Settings { window: 1, ..esme(Role::Transceiver) });
    let ticket = rig.hear(5, Body::DeliverSm(message("in"))).ticket();
    rig.ask(1, submit("in flight"));
    rig.ask(2, submit("queued"));
    let seen = rig.give(Input::Unbind { until: rig.now + secs(5) });
    assert_eq!(seen.done, [(2, Outcome::NotSent(Unsent::Closing))]);
    assert_eq!(rig.ask(3, submit("")).done, [(3, Outcome::NotSent(Unsent::Closing))]);
    let seen = rig.hear(6, Body::DeliverSm(message("too late")));
    assert_eq!(seen.heads(), [(0x8000_0005, code::RX_T_APPN, 6)]);
    let seen = rig.hear(2, submitted("17"));
    assert!(matches!(&seen.done[..], [(1, Outcome::Answered { status: 0, .. })]));
    let seen =
        rig.give(Input::Respond { ticket, status: 0, body: Body::DeliverSmResp(MessageResp::default()) });
    assert_eq!(seen.heads(), [(0x8000_0005, 0, 5), (command::UNBIND, 0, 3)]);
    let seen = rig.hear(3, Body::UnbindResp);
    assert_eq!(seen.closed, Some(Ended::Unbound));
}

#[test]
fn a_drain_has_an_end() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    rig.ask(1, submit("never answered"));
    rig.give(Input::Unbind { until: rig.now + secs(5) });
    assert!(rig.pass(secs(5) - ms(1)).nothing());
    assert_eq!(rig.pass(ms(1)).heads(), [(command::UNBIND, 0, 3)]);
    let seen = rig.pass(secs(10));
    assert_eq!(seen.closed, Some(Ended::Unbound));
    assert_eq!(seen.done, [(1, Outcome::Unknown(Doubt { sequence: 2, why: Silence::Lost }))]);
}

#[test]
fn a_peer_that_unbinds_gets_the_answers_that_are_due() {
    let mut rig = Rig::bound(Settings { window: 1, ..esme(Role::Transceiver) });
    let ticket = rig.hear(5, Body::DeliverSm(message("in"))).ticket();
    rig.ask(1, submit("in flight"));
    rig.ask(2, submit("queued"));
    let seen = rig.hear(6, Body::Unbind);
    assert_eq!((seen.done, seen.pdus.len()), (vec![(2, Outcome::NotSent(Unsent::Down))], 0));
    rig.give(Input::Respond { ticket, status: 0, body: Body::DeliverSmResp(MessageResp::default()) });
    let seen = rig.pass(secs(2));
    assert_eq!(seen.heads(), [(0x8000_0006, 0, 6)]);
    assert_eq!(seen.done, [(1, Outcome::Unknown(Doubt { sequence: 2, why: Silence::Lost }))]);
    assert_eq!(seen.closed, Some(Ended::PeerUnbound));

    let mut idle = Rig::bound(esme(Role::Transceiver));
    let seen = idle.hear(6, Body::Unbind);
    assert_eq!((seen.heads(), seen.closed), (vec![(0x8000_0006, 0, 6)], Some(Ended::PeerUnbound)));
}

#[test]
fn both_may_unbind_at_once() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    assert_eq!(rig.give(Input::Unbind { until: rig.now }).heads(), [(command::UNBIND, 0, 2)]);
    let seen = rig.hear(9, Body::Unbind);
    assert_eq!((seen.heads(), seen.closed), (vec![(0x8000_0006, 0, 9)], Some(Ended::Unbound)));
}

#[test]
fn a_length_that_cannot_be_costs_the_link() {
    let mut rig = Rig::bound(esme(Role::Transceiver));
    let seen = rig.give(Input::Unframed);
    assert_eq!(seen.heads(), [(command::GENERIC_NACK, code::RINVCMDLEN, 0)]);
    assert_eq!(seen.closed, Some(Ended::Framing));
    assert!(rig.hear(1, Body::EnquireLink).nothing(), "it is over");
}

#[test]
fn passwords_and_texts_are_never_printed() {
    let (mut rig, _) = Rig::new(smsc());
    let asked = rig.hear(1, bind(Role::Transceiver, 0x34));
    let printed = format!("{:?} {:?}", asked.events, esme(Role::Transceiver));
    assert!(!printed.contains("hunter2") && printed.contains("shop"), "{printed}");
    let mut rig = Rig::serving(smsc(), Role::Transceiver);
    let seen = rig.hear(2, submit("PIN 4711"));
    let input = Input::Request { request: RequestId(1), body: Body::DeliverSm(message("PIN 4711")), cost: 1 };
    let late = Event::LateResponse { sequence: 1, status: 0, body: submit("PIN 4711") };
    let outcome = Outcome::Answered { status: 0, body: submit("PIN 4711") };
    let printed = format!(
        "{:?} {input:?} {late:?} {outcome:?} {:?} {:?}",
        seen.events,
        Input::Frame(frame(0, 1, submit("PIN 4711"))),
        Output::Write(Bytes::from_static(b"PIN 4711")),
    );
    assert!(!printed.contains("4711") && !printed.contains("13800138000"), "{printed}");
}
