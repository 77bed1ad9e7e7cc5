//! Calls that end before their work does: hang-ups around the confirmation, a carrier that does not answer, a daemon that
//! is told to stop.

use std::time::Duration;

use super::{OWN, PIN};
use crate::support::daemon::{House, Plan};
use crate::support::postgres;
use crate::support::sipp::Phone;
use crate::support::wait_for;
use crate::support::wire::{Wire, status};

/// The sandbox carrier takes its time for this number.
const SLOW: &str = "+8613800000910";
/// It recharges this one, and never answers.
const SILENT: &str = "+8613800000920";

fn state(house: &House) -> Option<String> {
    house.states().first().map(|payment| payment.0.clone())
}

#[test]
fn hanging_up_before_the_confirmation_pays_nothing() {
    let house = Plan::with(OWN, PIN).open();
    Phone::with_events(&house, OWN).hear("confirm-number").press("1").amount("50#").press("28491").hang_up();
    Phone::of(&house, OWN).hear("confirm-number").hang_up();
    house.stop();
    house.assert_paid(&[]);
}

#[test]
fn hanging_up_right_after_the_pin_pays_and_a_message_tells() {
    let house = Plan::with(SLOW, PIN).open();
    let call = Phone::of(&house, SLOW).hear("confirm-number").press("1").amount("50#");
    call.press(&format!("{PIN}#")).hang_up().assert_not_said("recharged");
    wait_for("delivery", Duration::from_secs(10), || (state(&house)? == "delivered").then_some(()));
    house.assert_paid(&[("delivered", SLOW, "50.00")]);
    let sms = house.sms();
    assert!(sms.iter().any(|(to, body)| to == SLOW && body.contains("50")), "no receipt was queued: {sms:?}");
}

#[test]
fn a_carrier_without_an_answer_is_being_processed_until_its_status_is_known() {
    let house = Plan { carrier_timeout_ms: 1000, answer_within_s: 2, ..Plan::with(SILENT, PIN) }.open();
    let call = Phone::of(&house, SILENT).hear("confirm-number").press("1").amount("50#");
    let call = call.press(&format!("{PIN}#")).then(|_| {
        wait_for("the time-out", Duration::from_secs(5), || (state(&house)? == "unknown").then_some(()));
        // The money is neither spent nor free while nobody knows.
        let account = house.account(SILENT);
        assert_eq!((&account["balance"], &account["available"]), (&"5000.00".into(), &"4950.00".into()));
        house.verify();
    });
    call.hear("pending").hang_up().assert_not_said("recharged");
    wait_for("the status query", Duration::from_secs(15), || (state(&house)? == "delivered").then_some(()));
    assert_eq!(house.account(SILENT)["balance"], "4950.00");
    house.assert_paid(&[("delivered", SILENT, "50.00")]);
}

#[test]
fn a_refusal_is_said_and_nothing_is_deducted() {
    let barred = "+8613800000902";
    let house = Plan::with(barred, PIN).open();
    let call = Phone::of(&house, barred).hear("confirm-number").press("1").amount("50#");
    call.press(&format!("{PIN}#")).hear("refused").hang_up().assert_not_said("recharged");
    assert_eq!(house.states(), [("refused".to_owned(), barred.to_owned(), "50.00".to_owned())]);
    assert_eq!(house.recharges(), [("refused".to_owned(), barred.to_owned(), "50.00".to_owned())]);
    let account = house.account(barred);
    assert_eq!((&account["balance"], &account["available"]), (&"5000.00".into(), &"5000.00".into()));
    house.verify();
}

#[test]
fn what_staff_have_shut_is_said_and_the_pin_is_not_counted() {
    let house = Plan::with(OWN, PIN).open();
    house.run(&["payment", "suspend", "carrier", "sandbox"]);
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    let call = call.press("11112222#").they_end();
    call.assert_said("shut");
    call.assert_said("suspension.carrier");
    call.assert_not_said("wrong-pin");
    assert_eq!(house.states(), []);
    house.run(&["payment", "resume", "carrier", "sandbox"]);
    Phone::of(&house, OWN).recharge_own(PIN).they_end();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn a_stopping_daemon_refuses_new_calls_and_lets_the_one_under_way_finish() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::with_events(&house, OWN).hear("confirm-number").press("1").amount("50#").then(|_| {
        house.signal("TERM");
        wait_for("the refusal of new calls", Duration::from_secs(5), || {
            let wire = Wire::to(house.sip);
            let invite = wire.request("INVITE", "12584", OWN, &Wire::sdp(9));
            let answer = wire.ask(&invite);
            if status(&answer) == 200 {
                wire.established(&invite, &answer).hang_up(&wire);
            }
            (status(&answer) == 503).then_some(())
        });
        let refusal = Phone::of(&house, OWN).refused(503);
        assert!(refusal.messages.contains("Retry-After: "), "{}", refusal.messages);
    });
    call.press(&format!("{PIN}#")).hear("recharged").they_end();
    let status = house.wait_end();
    assert!(status.success(), "{status}; {}", house.log_tail());
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn a_database_that_is_gone_is_said_to_be_trouble_and_the_next_call_is_served() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let database = runtime.block_on(postgres::database_url());
    let house = Plan { database: database.clone(), ..Plan::with(OWN, PIN) }.open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("50#");
    let call = call.then(|_| runtime.block_on(postgres::plug(&database, false)));
    let call = call.press(&format!("{PIN}#")).they_end();
    call.assert_said("trouble");
    call.assert_not_said("recharged");
    assert!(house.is_alive(), "{}", house.log_tail());
    assert_eq!(house.recharges(), []);
    runtime.block_on(postgres::plug(&database, true));
    Phone::of(&house, OWN).recharge_own(PIN).they_end();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}
