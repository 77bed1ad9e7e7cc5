//! SIP around the conversation: full houses, givers-up, hold, late offers, questions in between, and how fast it all is.

use std::time::Duration;

use super::{OWN, PIN};
use crate::support::daemon::Plan;
use crate::support::ear::Ear;
use crate::support::sipp::Phone;
use crate::support::wire::Wire;

#[test]
fn a_full_house_is_busy_and_then_free_again() {
    let house = Plan { calls_max: 1, ..Plan::with(OWN, PIN) }.open();
    let call = Phone::of(&house, OWN).hear("confirm-number").then(|_| {
        let refusal = Phone::of(&house, OWN).refused(503);
        assert!(refusal.messages.contains("Retry-After: "), "{}", refusal.messages);
    });
    call.recharge_after_confirm(PIN).hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    Phone::of(&house, OWN).hear("confirm-number").hang_up();
}

#[test]
fn a_caller_who_gives_up_before_the_answer_leaves_nothing_behind() {
    let house = Plan { calls_max: 1, ..Plan::with(OWN, PIN) }.open();
    // The daemon answers at once; stopped for a moment, it finds INVITE and CANCEL together.
    house.signal("STOP");
    Phone::of(&house, OWN).cancel(|| house.signal("CONT"));
    Phone::of(&house, OWN).hear("confirm-number").hang_up();
    house.assert_paid(&[]);
}

/// No audio while the caller holds the line; it comes back with the call.
#[test]
fn hold_and_resume() {
    let house = Plan::with(OWN, PIN).open();
    let packets = |ear: &Ear| ear.arrivals().len();
    let call = Phone::with_events(&house, OWN).hear("confirm-number").offer("inactive").then(move |ear| {
        std::thread::sleep(Duration::from_millis(100));
        let before = packets(ear);
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(packets(ear), before, "audio while the call is on hold");
    });
    let call = call.offer("sendrecv").press("1").amount("50#").press(&format!("{PIN}#")).hear("recharged");
    call.hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn an_offer_that_comes_with_the_ack() {
    let house = Plan::with(OWN, PIN).open();
    Phone::with_events(&house, OWN).late_offer().recharge_own(PIN).hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn options_inside_and_outside_of_a_call() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, OWN).hear("confirm-number").options();
    let call = call.recharge_after_confirm(PIN).hang_up();
    assert!(call.messages.contains("OPTIONS"), "{}", call.messages);
    let wire = Wire::to(house.sip);
    let answer = wire.ask(&wire.request("OPTIONS", "sip:keytone", "o1", ""));
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    for name in ["Allow:", "Accept:"] {
        assert!(answer.contains(name), "{name} in {answer}");
    }
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

/// The first sound within 300 ms of the answer, and a prompt stops within 60 ms of a key: the best of several, since the
/// machine that tests is shared.
#[test]
fn the_first_sound_and_the_silence_after_a_key_are_quick() {
    let house = Plan::with(OWN, PIN).open();
    let (mut first, mut stop) = (Duration::MAX, Duration::MAX);
    for _ in 0..3 {
        let timed = Wire::to(house.sip).timed_call(OWN);
        first = first.min(timed.first_sound);
        stop = stop.min(timed.silence_after_key);
        if first < Duration::from_millis(300) && stop < Duration::from_millis(60) {
            break;
        }
    }
    println!("first sound after {first:?}, silence after a key within {stop:?}");
    assert!(first < Duration::from_millis(300), "the first sound came after {first:?}");
    assert!(stop < Duration::from_millis(60), "the prompt went on for {stop:?} after a key");
}
