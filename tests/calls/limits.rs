//! S11 to S14 and the PIN: what is refused is said, asked again, and moves no money.

use super::{OWN, PIN};
use crate::support::daemon::Plan;
use crate::support::sipp::Phone;

#[test]
fn s11_a_number_that_nobody_recharges_leads_back_by_star() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("2");
    let call =
        call.hear("enter-number").press("13300000009#").hear("enter-number-again").press("13300000009#");
    let call = call.hear("not-supported").press("*").recharge_own(PIN).hang_up();
    assert_eq!(
        call.messages_said().iter().filter(|m| **m == "confirm-number").count(),
        2,
        "star returns to the first question: {:?}",
        call.clips
    );
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn s11_two_numbers_that_differ_are_asked_for_again() {
    let other = "+8613900000007";
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::with_events(&house, OWN).hear("confirm-number").press("2");
    let call =
        call.hear("enter-number").press("13900000007#").hear("enter-number-again").press("13900000008#");
    let call = call.hear("numbers-differ").hear("enter-number").press("13900000007#");
    let call = call.hear("enter-number-again").press("13900000007#");
    call.amount("100#").press(&format!("{PIN}#")).hear("recharged").hang_up();
    house.assert_paid(&[("delivered", other, "100.00")]);
}

#[test]
fn s12_a_wrong_amount_is_asked_for_again() {
    let house = Plan::with(OWN, PIN).open();
    let call =
        Phone::with_events(&house, OWN).hear("confirm-number").press("1").hear("enter-amount").press("70#");
    let call = call.hear("bad-amount").amount("50#").press(&format!("{PIN}#")).hear("recharged").hang_up();
    assert_eq!(call.messages_said().iter().filter(|m| **m == "enter-amount").count(), 2, "{:?}", call.clips);
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn s13_the_days_limit_counts_earlier_calls() {
    let house = Plan { day_limit: "150".to_owned(), ..Plan::with(OWN, PIN) }.open();
    let first = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#");
    first.press(&format!("{PIN}#")).hear("recharged").hang_up().assert_not_said("over-day-limit");
    house.assert_paid(&[("delivered", OWN, "100.00")]);
    let second = Phone::of(&house, OWN).hear("confirm-number").press("1").hear("enter-amount").press("100#");
    let second =
        second.hear("over-day-limit").amount("50#").press(&format!("{PIN}#")).hear("recharged").hang_up();
    second.assert_not_said("over-user-limit");
    // Exactly at the limit passes.
    house.assert_paid(&[("delivered", OWN, "100.00"), ("delivered", OWN, "50.00")]);
}

/// Two calls of one account at once: both are told that the amount fits, and only the first to pay passes.
#[test]
fn s13_is_judged_again_when_the_money_moves() {
    let (other, house) =
        ("+8613900000007", Plan { day_limit: "150".to_owned(), ..Plan::with(OWN, PIN) }.open());
    let pin = format!("{PIN}#");
    let slower = Phone::of(&house, OWN).hear("confirm-number").press("1").amount("100#").then(|_| {
        let quicker = Phone::of(&house, OWN).hear("confirm-number").press("2").hear("enter-number");
        let quicker = quicker.press("13900000007#").hear("enter-number-again").press("13900000007#");
        quicker.amount("100#").press(&pin).hear("recharged").hang_up();
    });
    let slower = slower.press(&pin).hear("over-day-limit").amount("50#").press(&pin).hear("recharged");
    slower.hang_up();
    house.assert_paid(&[("delivered", other, "100.00"), ("delivered", OWN, "50.00")]);
}

#[test]
fn s14_the_customers_own_limit() {
    let house = Plan::default().customer(OWN, PIN, "5000", Some("80")).open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").hear("enter-amount").press("100#");
    let call =
        call.hear("over-user-limit").amount("50#").press(&format!("{PIN}#")).hear("recharged").hang_up();
    call.assert_not_said("over-day-limit");
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn a_balance_that_is_too_low() {
    let house = Plan::default().customer(OWN, PIN, "70", None).open();
    let call = Phone::of(&house, OWN).hear("confirm-number").press("1").hear("enter-amount").press("100#");
    call.hear("no-money").amount("50#").press(&format!("{PIN}#")).hear("recharged").hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
    assert_eq!(house.account(OWN)["balance"], "20.00");
}

#[test]
fn a_wrong_pin_three_times_ends_the_call_and_pays_nothing() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::with_events(&house, OWN).hear("confirm-number").press("1").amount("50#");
    let call = call.press("284914#").hear("wrong-pin").hear("enter-pin").press("284915#");
    let call = call.hear("wrong-pin").hear("enter-pin").press("284916#").they_end();
    call.assert_not_said("recharged");
    house.assert_paid(&[]);
    assert_eq!(house.account(OWN)["balance"], "5000.00");
    // Two tries are left, so the right PIN still pays.
    Phone::with_events(&house, OWN).recharge_own(PIN).hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}
