//! Who is calling: only a bound number that a trusted trunk vouches for can pay.

use super::{OWN, PIN};
use crate::support::daemon::Plan;
use crate::support::sipp::Phone;

#[test]
fn a_number_without_an_account_is_told_how_to_bind() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, "+8613800000002").they_end();
    call.assert_said("how-to-bind");
    call.assert_not_said("confirm-number");
    house.assert_paid(&[]);
}

#[test]
fn a_withheld_number_is_no_number_although_the_network_asserts_it() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, OWN)
        .from("\"Anonymous\" <sip:anonymous@anonymous.invalid>")
        .header(&format!("P-Asserted-Identity: <tel:{OWN}>"))
        .header("Privacy: id");
    let call = call.hear("stranger.number").hang_up();
    call.assert_not_said("confirm-number");
    house.assert_paid(&[]);
}

#[test]
fn an_anonymous_caller_has_no_number() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, OWN).from("<sip:anonymous@anonymous.invalid>");
    let call = call.hear("stranger.number").hang_up();
    call.assert_not_said("confirm-number");
}

#[test]
fn the_networks_assertion_comes_before_the_phones_own_word() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::of(&house, "+8613800000002")
        .header(&format!("P-Asserted-Identity: <sip:{OWN}@carrier.example>"));
    call.recharge_own(PIN).hang_up();
    house.assert_paid(&[("delivered", OWN, "50.00")]);
}

#[test]
fn a_national_number_and_a_tel_uri_are_the_same_caller() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, "13800000001").hear("confirm-number").hang_up();
    Phone::of(&house, OWN).from(&format!("<tel:{OWN}>")).hear("confirm-number").hang_up();
    Phone::of(&house, "008613800000001").hear("confirm-number").hang_up();
}

#[test]
fn a_landline_cannot_be_bound_and_is_no_number() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, "+861062512345").hear("stranger.number").hang_up();
}

#[test]
fn a_trunk_that_is_not_trusted_cannot_name_a_customer() {
    let house = Plan { trusted: false, ..Plan::with(OWN, PIN) }.open();
    let call = Phone::of(&house, OWN).header(&format!("P-Asserted-Identity: <sip:{OWN}@carrier.example>"));
    let call = call.hear("stranger.number").hang_up();
    call.assert_not_said("confirm-number");
    house.assert_paid(&[]);
}

#[test]
fn a_service_number_that_nobody_serves_is_not_found() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, OWN).service("99999").refused(404);
}
