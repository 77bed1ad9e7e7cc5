//! A recharge from the first key to the books, in every way that keys and audio travel.

use keytone::rtp::Codec;

use super::{OWN, PIN};
use crate::support::daemon::Plan;
use crate::support::pcap::Network;
use crate::support::postgres;
use crate::support::sipp::{Keys, Phone};

const PAID: [(&str, &str, &str); 1] = [("delivered", OWN, "50.00")];

/// The clips of a national number.
fn spoken_number(number: &str) -> Vec<String> {
    let words = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let digit = |c: char| usize::try_from(c.to_digit(10).unwrap()).unwrap();
    number.chars().map(|c| format!("en/num/{}", words[digit(c)])).collect()
}

#[test]
fn by_events_with_every_word_of_the_result() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::with_events(&house, OWN).recharge_own(PIN).they_end();
    house.assert_paid(&PAID);
    let payment = house.payments().remove(0);
    let reference = payment["reference"].as_str().unwrap();
    // Whatever the wording, the result names the amount, the end of the number and the whole reference, in clips.
    let from = call.heard.iter().position(|h| h.is("en/msg/recharged.0")).unwrap();
    let result = &call.clips[from..];
    let amount = ["en/num/fifty", "en/num/yuan"].map(str::to_owned);
    for part in [&amount[..], &spoken_number("0001"), &spoken_number(reference)] {
        assert!(result.windows(part.len()).any(|w| w == part), "{part:?} is not in {result:?}");
    }
    assert!(result.iter().all(|c| !c.ends_with('…')), "cut off: {result:?}");
    let sms = house.sms();
    assert_eq!(sms.len(), 1, "{sms:?}");
    assert!(sms[0].0 == OWN && sms[0].1.contains("50 CNY") && sms[0].1.contains(reference), "{sms:?}");
    house.stop();
}

#[test]
fn by_info() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, OWN).keys(Keys::Info).recharge_own(PIN).hang_up();
    house.assert_paid(&PAID);
}

#[test]
fn by_info_without_the_relay_form() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, OWN).keys(Keys::InfoPlain).recharge_own(PIN).hang_up();
    house.assert_paid(&PAID);
}

#[test]
fn by_sipps_own_events_whose_timestamps_overlap() {
    let house = Plan::with(OWN, PIN).open();
    Phone::of(&house, OWN).keys(Keys::PlayDtmf).recharge_own(PIN).hang_up();
    house.assert_paid(&PAID);
}

/// The PIN has the same key twice in a row: a packet too much or too little would make it another PIN.
#[test]
fn one_press_is_one_key_under_loss_repetition_and_reordering() {
    let pin = "885570";
    let house = Plan::with(OWN, pin).open();
    let expected =
        [("delivered", OWN, "50.00"), ("delivered", OWN, "100.00"), ("delivered", "+8613800000002", "50.00")];
    let lossy = Keys::Events(Network::Lossy);
    Phone::of(&house, OWN).keys(lossy).recharge_own(pin).hang_up();
    house.assert_paid(&expected[..1]);
    let doubled = Phone::of(&house, OWN).keys(Keys::Events(Network::Doubled));
    let doubled = doubled.hear("confirm-number").press("1").amount("100#").press(&format!("{pin}#"));
    doubled.hear("recharged").hang_up();
    house.assert_paid(&expected[..2]);
    let shuffled = Phone::of(&house, OWN).keys(Keys::Events(Network::Shuffled));
    let shuffled = shuffled.hear("confirm-number").press("2").hear("enter-number").press("13800000002#");
    let shuffled = shuffled.hear("enter-number-again").press("13800000002#").amount("50#");
    shuffled.press(&format!("{pin}#")).hear("recharged").hang_up();
    house.assert_paid(&expected);
}

#[test]
fn in_a_law() {
    let house = Plan::with(OWN, PIN).open();
    Phone::with_events(&house, OWN).codec(Codec::Pcma).recharge_own(PIN).hang_up();
    house.assert_paid(&PAID);
}

#[test]
fn on_postgres() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let database = runtime.block_on(postgres::database_url());
    let house = Plan { database, ..Plan::with(OWN, PIN) }.open();
    Phone::with_events(&house, OWN).recharge_own(PIN).hang_up();
    house.assert_paid(&PAID);
}

/// Keys pressed ahead of the questions count, up to the PIN, whose question renders what is confirmed.
#[test]
fn type_ahead_reaches_the_confirmation() {
    let house = Plan::with(OWN, PIN).open();
    let call = Phone::with_events(&house, OWN).hear("confirm-number").press("150#").hear("enter-pin");
    call.press(&format!("{PIN}#")).hear("recharged").hang_up();
    house.assert_paid(&PAID);
}
