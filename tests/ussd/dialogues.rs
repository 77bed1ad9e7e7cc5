//! A recharge by menus and in one string, going wrong and right; breaking off and going on; a new process between any two
//! inputs.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};

use crate::support::market::{Database, Market, PIN};
use crate::ussd::{
    AIR, ME, Phone, YOU, answer, begin, close, desk, desk_with, on_both_databases, registry, route, says,
    texts, until_texts,
};

/// A Sunday in 2026.
const START: Timestamp = Timestamp(1_795_000_000_000_000);

async fn a_recharge_by_menus_with_a_wrong_amount_on_the_way(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    let menu = me.asked(begin("*125#")).await;
    says(&menu, "Your number is");
    says(&menu, "1. Recharge this number");
    says(&me.asked(answer("1")).await, "Amount:");
    let wrong = me.asked(answer("70")).await;
    says(&wrong, "not one of the amounts");
    says(&wrong, "Amount:");
    says(&me.asked(answer("50")).await, "reply with your PIN");
    says(&me.told(answer(PIN)).await, "was recharged with");
    assert_eq!(market.carrier(ME).len(), 1);
    assert_eq!(market.money(account).await.1, 0);
    assert_eq!(until_texts(&market, ME, 1).await.len(), 1);
    // It is over: whatever comes now is told so.
    says(&me.told(answer("1")).await, "start again");
    close(market, &[desk]).await;
}

async fn a_recharge_in_one_string_and_for_another_number(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    says(&me.asked(begin("*125*50#")).await, "reply with your PIN");
    says(&me.told(answer(PIN)).await, "was recharged with");
    // The same number twice, as fast as a machine can.
    let me = Phone::new(&desk, ME, "2");
    me.asked(begin("*125#")).await;
    says(&me.asked(answer("2")).await, "Number to recharge");
    says(&me.asked(answer("13800000002")).await, "Once more");
    says(&me.asked(answer("13800000002")).await, "Amount:");
    says(&me.asked(answer("100")).await, "reply with your PIN");
    says(&me.told(answer(PIN)).await, "was recharged with");
    assert_eq!((market.carrier(ME).len(), market.carrier(YOU).len()), (1, 1));
    // A `*` in an answer is a character like any other, and back when it is alone.
    let me = Phone::new(&desk, ME, "3");
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    says(&me.asked(answer("5*0")).await, "Input error");
    says(&me.asked(answer("*")).await, "Your number is");
    me.abort().await;
    close(market, &[desk]).await;
}

async fn wrong_pins_are_counted_one_by_one(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125*50#")).await;
    says(&me.asked(answer("111222")).await, "You have 4");
    // Equal answers to two questions are two answers.
    says(&me.asked(answer("111222")).await, "You have 3");
    says(&me.told(answer(PIN)).await, "was recharged with");
    let stored = format!("{:?}", market.store.outbox_of(market.id()).await.unwrap());
    assert!(!stored.contains(PIN));
    close(market, &[desk]).await;
}

async fn codes_that_nobody_serves_and_callers_without_an_account(database: Database) {
    let market = Market::open(database).await;
    let desk = desk(&market);
    says(&Phone::new(&desk, ME, "1").told(begin("*999#")).await, "not available");
    says(&Phone::new(&desk, ME, "2").told(begin("*125#")).await, "No payment account");
    // A route that is not believed says nothing about who calls.
    let me = Phone::new(&desk, ME, "3");
    let mut input = me.input(begin("*125#"));
    input.trusted = false;
    let keytone::ussd::Taken::Screen(screen) = desk.take(input).await.unwrap() else { panic!("no screen") };
    says(&screen.text, "Mobile number of your account");
    assert!(!screen.end);
    let mut elsewhere = me.input(begin("*125#"));
    elsewhere.route = "nowhere".into();
    assert!(matches!(desk.take(elsewhere).await, Err(keytone::ussd::Error::NoSuchRoute(_))));
    close(market, &[desk]).await;
}

async fn an_aborted_dialogue_is_gone_on_with_at_the_next_dialling(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    me.asked(answer("50")).await;
    me.abort().await;
    // An abort of what is over does nothing.
    me.abort().await;
    says(&me.told(answer("1")).await, "start again");
    let me = Phone::new(&desk, ME, "2");
    let back = me.asked(begin("*125#")).await;
    says(&back, "was not finished");
    says(&me.asked(answer("1")).await, "reply with your PIN");
    says(&me.told(answer(PIN)).await, "was recharged with");
    assert_eq!(market.carrier(ME).len(), 1);
    close(market, &[desk]).await;
}

async fn a_dialogue_that_idles_ends_and_is_gone_on_with(database: Database) {
    let clock = Clock::manual(START);
    let market = Market::open_at(clock.clone(), database, |_| {}).await;
    market.account(ME, 500_000).await;
    market.account(YOU, 500_000).await;
    let desk = desk(&market);
    let (me, you) = (Phone::new(&desk, ME, "1"), Phone::new(&desk, YOU, "1"));
    for phone in [&me, &you] {
        phone.asked(begin("*125#")).await;
        phone.asked(answer("1")).await;
    }
    // Not a moment too early: the time is counted from the last input.
    clock.advance(Duration::from_secs(179));
    desk.sweep().await;
    says(&me.asked(answer("50")).await, "reply with your PIN");
    clock.advance(Duration::from_secs(2));
    desk.sweep().await;
    assert!(market.payments.session_by_key(&format!("ussd/{AIR}/{YOU}")).await.unwrap().is_none());
    says(&you.told(answer("50")).await, "took too long");
    says(&Phone::new(&desk, YOU, "2").asked(begin("*125#")).await, "was not finished");
    // The same without anybody who sweeps.
    clock.advance(Duration::from_secs(180));
    says(&me.told(answer(PIN)).await, "took too long");
    says(&Phone::new(&desk, ME, "2").asked(begin("*125#")).await, "was not finished");
    assert!(texts(&market, ME).await.is_empty(), "nothing was paid");
    assert!(market.carrier(ME).is_empty());
    close(market, &[desk]).await;
}

async fn a_new_process_between_any_two_inputs(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let inputs = [begin("*125#"), answer("1"), answer("70"), answer("50"), answer("111222"), answer(PIN)];
    let expected = [
        "Your number is",
        "Amount:",
        "not one of the amounts",
        "with your PIN",
        "You have 4",
        "was recharged",
    ];
    for (phase, words) in inputs.into_iter().zip(expected) {
        let desk = desk(&market);
        let me = Phone::new(&desk, ME, "1");
        says(&me.shown(phase).await.unwrap().text, words);
        desk.idle().await;
    }
    assert_eq!(market.carrier(ME).len(), 1);
    assert_eq!(until_texts(&market, ME, 1).await.len(), 1);
    close(market, &[]).await;
}

async fn a_place_too_few_and_a_dead_database(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let full = keytone::ussd::Desk::new(registry(&market, 0), vec![route()], market.clock.clone());
    says(&Phone::new(&full, ME, "1").told(begin("*125#")).await, "cannot serve you right now");
    let desk = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125#")).await;
    if let Database::Postgres = database {
        crate::support::postgres::plug(&market.url, false).await;
        // The network is told to try again, and what it sends then is taken.
        me.take(answer("1")).await.unwrap_err();
        Phone::new(&desk, YOU, "1").take(begin("*125#")).await.unwrap_err();
        crate::support::postgres::plug(&market.url, true).await;
        // A connection that was cut may be found out by one more.
        let taken = loop {
            if let Ok(taken) = me.take(answer("1")).await {
                break taken;
            }
        };
        let keytone::ussd::Taken::Screen(screen) = taken else { panic!("{taken:?}") };
        says(&screen.text, "Amount:");
    }
    me.abort().await;
    close(market, &[desk]).await;
}

on_both_databases!(dialogues:
    a_recharge_by_menus_with_a_wrong_amount_on_the_way,
    a_recharge_in_one_string_and_for_another_number,
    wrong_pins_are_counted_one_by_one,
    codes_that_nobody_serves_and_callers_without_an_account,
    an_aborted_dialogue_is_gone_on_with_at_the_next_dialling,
    a_dialogue_that_idles_ends_and_is_gone_on_with,
    a_new_process_between_any_two_inputs,
    a_place_too_few_and_a_dead_database,
);
