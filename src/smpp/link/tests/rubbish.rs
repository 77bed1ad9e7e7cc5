//! Any PDUs at all, before and after a bind, to either end: each request has at most one answer of its own kind, an answer
//! has none, and the link never panics nor talks before its bind.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::smpp::pdu::command;
use crate::smpp::status as code;

/// The requests of the standards, and some that nobody knows.
const KNOWN: &[u32] =
    &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0xb, 0x15, 0x21, 0x102, 0x103, 0x111, 0x112, 0x113, 0, 0x77, 0x0001_0000];

/// Any command, or its response.
fn id() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => (select(KNOWN), any::<bool>()).prop_map(|(id, response)| if response { id | command::RESPONSE } else { id }),
        1 => any::<u32>(),
    ]
}

fn rubbish() -> impl Strategy<Value = Frame> {
    let sequence = prop_oneof![4 => 0..6_u32, 1 => any::<u32>()];
    let status = prop_oneof![3 => Just(0_u32), 1 => select(&[0x58_u32, 0x14, 0x0e, 0xffff_ffff][..])];
    let body = prop_oneof![
        2 => Just(frame(0, 1, submit("text")).body),
        1 => Just(frame(0, 1, submitted("1")).body),
        2 => vec(any::<u8>(), 0..80).prop_map(Bytes::from),
        1 => vec(0..2_u8, 0..300).prop_map(Bytes::from),
    ];
    (id(), status, sequence, body).prop_map(|(id, status, sequence, body)| Frame {
        id,
        status,
        sequence,
        body,
    })
}

fn is_answer(of: &Frame, pdu: &Pdu) -> bool {
    pdu.sequence == of.sequence
        && (pdu.body.command_id() == of.id | command::RESPONSE || pdu.body == Body::GenericNack)
}

fn take(mut rig: Rig, frames: Vec<Frame>) {
    // What it was asked to unbind under: the answer waits for what is still to be answered, whichever end owes it.
    let mut parting = None;
    for (asked, frame) in (0..).zip(frames) {
        if frame.id == command::UNBIND {
            parting = parting.or(Some(frame.sequence));
        }
        let bound_before = rig.link.has_bound();
        let seen = rig.give(Input::Frame(frame.clone()));
        let (answers, others): (Vec<_>, Vec<_>) = seen.pdus.iter().partition(|pdu| pdu.body.is_response());
        let (parted, answers): (Vec<&Pdu>, Vec<&Pdu>) = answers
            .into_iter()
            .partition(|pdu| pdu.body == Body::UnbindResp && Some(pdu.sequence) == parting);
        assert!(answers.len() <= 1 && parted.len() <= 1, "{frame:?}: {answers:?} {parted:?}");
        for answer in answers {
            assert!(frame.id & command::RESPONSE == 0 && is_answer(&frame, answer), "{frame:?}: {answer:?}");
        }
        assert!(others.len() <= 10 && (bound_before || others.is_empty()), "{frame:?}: {others:?}");
        for event in seen.events {
            match event {
                Event::Request { ticket, body } if ticket.sequence() % 2 == 0 => {
                    let answer = Body::response_of(body.command_id()).unwrap();
                    rig.give(Input::Respond { ticket, status: code::RSYSERR, body: answer });
                }
                Event::Request { .. } | Event::Notice(_) => assert!(bound_before),
                _ => {}
            }
        }
        let seen =
            rig.ask(asked, if rig.link.esme { submit("text") } else { Body::DeliverSm(message("text")) });
        assert!(rig.link.is_bound() || seen.pdus.is_empty());
        rig.pass(ms(700));
    }
    rig.give(Input::Lost);
    assert!(rig.link.is_over());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn any_pdus_are_survived(frames in vec(rubbish(), 1..40)) {
        for role in [Role::Receiver, Role::Transmitter, Role::Transceiver] {
            take(Rig::bound(esme(role)), frames.clone());
            take(Rig::serving(smsc(), role), frames.clone());
            take(Rig::new(esme(role)).0, frames.clone());
        }
        take(Rig::new(smsc()).0, frames);
    }
}
