//! USSD: the whole recharge by screens, on each kind of gateway, and across restarts.

use super::{FIRST, PIN, SECOND, house, plan};
use crate::support::daemon::{House, SMSC};

/// A recharge with 50 with a wrong amount on the way; `between` happens before each input.
fn recharge(house: &House, msisdn: &str, mut between: impl FnMut()) {
    let network = house.network();
    let mut shown = network.dial(msisdn, "*125#");
    for (part, answer) in
        [("Your number is", "1"), ("Amount", "70"), ("Input error", "50"), ("reply with your PIN", PIN)]
    {
        assert!(shown.open && shown.text.contains(part), "{part}: {shown:?}; {}", house.log_tail());
        between();
        shown = network.reply(msisdn, answer);
    }
    assert!(!shown.open && shown.text.contains("was recharged with 50 CNY"), "{shown:?}");
}

#[test]
fn a_recharge_on_every_kind_of_gateway() {
    for profile in ["spec", "its15", "umr", "tata", "none"] {
        let setting: &'static str = Box::leak(format!("profile={profile}").into_boxed_str());
        let mut plan = plan().on_network(&["--set", setting]);
        plan.smsc = format!("{SMSC}profile = \"{profile}\"\n");
        let house = plan.open();
        house.network().bound(1);
        recharge(&house, FIRST, || {});
        house.assert_paid(&[("delivered", FIRST, "50.00")]);
        let receipt = house.network().text_after(FIRST, 0);
        assert!(receipt.contains("was recharged with 50 CNY"), "{profile}: {receipt}");
        house.stop();
    }
}

#[test]
fn two_callers_at_once_and_a_one_shot() {
    let house = house(&[]);
    let network = house.network();
    let first = network.dial(FIRST, "*125*50#");
    let second = network.dial(SECOND, "*125*100#");
    assert!(first.text.contains("50 CNY") && second.text.contains("100 CNY"), "{first:?} {second:?}");
    let done = network.reply(SECOND, PIN);
    assert!(done.text.contains("recharged with 100 CNY"), "{done:?}");
    let done = network.reply(FIRST, PIN);
    assert!(done.text.contains("recharged with 50 CNY"), "{done:?}");
    house.assert_paid(&[("delivered", SECOND, "100.00"), ("delivered", FIRST, "50.00")]);
    let unknown = network.dial(FIRST, "*999#");
    assert!(!unknown.open, "{unknown:?}");
}

#[test]
fn a_dialogue_survives_a_restart_before_each_input() {
    let mut house = house(&[]);
    let network = house.network();
    let mut shown = network.dial(FIRST, "*125#");
    for (signal, answer) in [("TERM", "1"), ("KILL", "70"), ("TERM", "50"), ("KILL", PIN)] {
        assert!(shown.open, "{shown:?}");
        house.signal(signal);
        house.wait_end();
        house.start();
        let network = house.network();
        network.bound(1);
        shown = network.reply(FIRST, answer);
    }
    assert!(!shown.open && shown.text.contains("was recharged with 50 CNY"), "{shown:?}");
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
}

#[test]
fn a_slow_carrier_ends_the_dialogue_and_the_result_comes_by_text() {
    // The last digits of the number choose a carrier that never answers, and has delivered.
    let slow = "+8613800000920";
    let house = crate::support::daemon::Plan::with(slow, PIN).on_network(&[]).open();
    let network = house.network();
    network.bound(1);
    network.dial(slow, "*125*50#");
    let shown = network.reply(slow, PIN);
    assert!(!shown.open, "{shown:?}");
    let known =
        ["You will get a message", "You will get an SMS"].iter().any(|words| shown.text.contains(words));
    assert!(known, "{shown:?}");
    // Where the flow was quick enough to say so itself, its reference comes first.
    let told = (0..2).map(|seen| network.text_after(slow, seen)).find(|text| text.contains("50"));
    assert!(told.is_some(), "{:?}", network.texts(slow));
    house.verify();
}
