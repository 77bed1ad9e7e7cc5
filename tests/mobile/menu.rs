//! The menu of all services: one code, one word and one number, and what an account's owner asks of his account there.

use super::{FIRST, PIN, SERVICE, house};
use crate::support::sipp::Phone;

#[test]
fn the_menu_leads_through_a_recharge_across_restarts() {
    let mut house = house(&[]);
    let mut shown = house.network().dial(FIRST, "*100#");
    assert!(shown.text.contains("1. Recharge") && shown.text.contains("4. My account"), "{shown:?}");
    for (signal, answer) in
        [("TERM", "1"), ("KILL", "*"), ("TERM", "1"), ("KILL", "1"), ("TERM", "50"), ("KILL", PIN)]
    {
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
fn the_balance_the_last_payments_and_a_receipt_by_screen_text_and_call() {
    let house = house(&[]);
    let network = house.network();
    // Nothing was paid yet.
    network.dial(FIRST, "*100#");
    network.reply(FIRST, "4");
    let shown = network.reply(FIRST, "2");
    assert!(!shown.open && shown.text.contains("There are no payments yet"), "{shown:?}");
    network.dial(FIRST, "*125*50#");
    let shown = network.reply(FIRST, PIN);
    assert!(shown.text.contains("was recharged with 50 CNY"), "{shown:?}");
    let receipt = network.text_after(FIRST, 0);
    // By screens.
    network.dial(FIRST, "*100#");
    network.reply(FIRST, "4");
    network.reply(FIRST, "1");
    let shown = network.reply(FIRST, PIN);
    assert!(!shown.open && shown.text.contains("Your balance is 4950"), "{shown:?}");
    network.dial(FIRST, "*100#");
    network.reply(FIRST, "4");
    let shown = network.reply(FIRST, "3");
    assert!(shown.open && shown.text.contains("Daily limit"), "{shown:?}");
    network.dial(FIRST, "*100#");
    network.reply(FIRST, "4");
    let shown = network.reply(FIRST, "2");
    assert!(shown.open && shown.text.contains("1. 50 CNY"), "{shown:?}");
    let shown = network.reply(FIRST, "1");
    assert!(!shown.open && shown.text.contains("The receipt was sent again"), "{shown:?}");
    let again = network.text_after(FIRST, 1);
    assert_eq!(again, receipt, "the very receipt");
    // By texts, each of which is one of the thread.
    for (seen, (text, part)) in
        [("menu", "1. Recharge"), ("4", "2. Last payments"), ("2", "1. 50 CNY")].into_iter().enumerate()
    {
        assert_eq!(network.text(FIRST, SERVICE, text), 0, "{text}");
        let answer = network.text_after(FIRST, 2 + seen);
        assert!(answer.contains(part), "{text}: {answer}; {}", house.log_tail());
    }
    // The answer and the receipt come in any order.
    assert_eq!(network.text(FIRST, SERVICE, "1"), 0);
    let both = [network.text_after(FIRST, 5), network.text_after(FIRST, 6)];
    assert!(both.contains(&again) && both.iter().any(|t| t.contains("sent again")), "{both:?}");
    // By a call.
    let call = Phone::with_events(&house, FIRST)
        .service("12580")
        .hear("main-services")
        .press("4")
        .hear("account-home")
        .press("2")
        .hear("last-choose")
        .press("1")
        .they_end();
    call.assert_said("receipt-sent");
    assert_eq!(network.text_after(FIRST, 7), again);
    house.assert_paid(&[("delivered", FIRST, "50.00")]);
}
