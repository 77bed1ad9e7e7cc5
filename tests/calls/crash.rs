//! The daemon dies by SIGKILL in the middle of a call's payment, at a step of its own choosing, and is started again: the
//! books, the carrier and the customer must agree whatever the step was. `tests/crash.rs` goes through every step of the
//! payment core in the same way; here it is the whole daemon, under a real call.

use std::time::Duration;

use super::{OWN, PIN};
use crate::support::daemon::{House, Plan};
use crate::support::sipp::Phone;
use crate::support::{now, wait_for};

/// A step, and the state in which the payment must end: `None` where nothing was confirmed in the books yet.
const STEPS: &[(&str, Option<&str>)] = &[
    ("pin_after", None),
    ("authorise_before", None),
    ("authorise_after", Some("refused")),
    ("submit_before", Some("refused")),
    ("submit_after", Some("delivered")),
    ("answered", Some("delivered")),
    ("outcome_before", Some("delivered")),
    ("outcome_after", Some("delivered")),
];

/// States in which nothing more happens by itself.
const FINAL: &[&str] = &["delivered", "refused", "needs_review"];

fn dies_at(step: &'static str, ends: Option<&str>) {
    let mut house = Plan { crash_point: Some(step), ..Plan::with(OWN, PIN) }.open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    let status = call.press(&format!("{PIN}#")).cut_off();
    assert!(!status.success(), "{step}: the daemon lives");
    house.start();
    let settled = wait_for("the payment is settled", Duration::from_secs(30), || {
        let states = house.states();
        states.iter().all(|(state, ..)| FINAL.contains(&state.as_str())).then_some(states)
    });
    judge(&house, step, ends, &settled);
    // The next call is served as if nothing had been; after a delivery the same amount would be asked about.
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    house.verify();
}

fn judge(house: &House, step: &str, ends: Option<&str>, settled: &[(String, String, String)]) {
    let states: Vec<&str> = settled.iter().map(|(state, ..)| state.as_str()).collect();
    match (ends, states.as_slice()) {
        (None, []) => {}
        // A request that never left is refused; one that may have left is asked for, and never sent twice.
        (Some(end), [state]) if *state == end => {}
        // The step is passed after the answer is known or before the carrier has it: either end is right, if it agrees.
        (Some("delivered"), ["refused"]) if house.recharges().is_empty() => {}
        other => panic!("{step}: {other:?}; {}", house.log_tail()),
    }
    let delivered = states.iter().filter(|state| **state == "delivered").count();
    assert_eq!(house.recharges().len(), delivered, "{step}: the carrier's log; {}", house.log_tail());
    let account = house.account(OWN);
    let balance = if delivered == 1 { "4950.00" } else { "5000.00" };
    assert_eq!(account["balance"], balance, "{step}");
    assert_eq!(account["available"], balance, "{step}: something is still held");
    house.verify();
}

#[test]
fn killed_before_anything_is_confirmed() {
    STEPS.iter().filter(|(_, ends)| ends.is_none()).for_each(|(step, ends)| dies_at(step, *ends));
}

#[test]
fn killed_while_the_money_is_held() {
    STEPS.iter().filter(|(_, ends)| *ends == Some("refused")).for_each(|(step, ends)| dies_at(step, *ends));
}

#[test]
fn killed_around_the_carriers_answer() {
    STEPS.iter().skip(4).take(2).for_each(|(step, ends)| dies_at(step, *ends));
}

#[test]
fn killed_around_the_last_commit() {
    STEPS.iter().skip(6).for_each(|(step, ends)| dies_at(step, *ends));
}

/// After a kill with payments in the middle the daemon takes calls again within ten seconds, and what it acknowledged is there.
#[test]
fn calls_are_taken_again_within_ten_seconds() {
    let mut house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    house.signal("KILL");
    house.wait_end();
    let began = now();
    house.start();
    let greeted = std::cell::Cell::new(None);
    let call = Phone::of(&house, OWN).hear("confirm-number").then(|_| greeted.set(Some(now() - began)));
    call.press("1").amount("100#").press(&format!("{PIN}#")).hear("recharged").they_end();
    let took = greeted.get().unwrap();
    assert!(took < Duration::from_secs(10), "a caller was greeted after {took:?}");
    assert_eq!(house.account(OWN)["balance"], "4850.00", "what was acknowledged is there");
    house.verify();
}
