//! What comes twice, late, out of turn, or under a name that was somebody else's.

use std::time::Duration;

use keytone::ussd::{Taken, WAITING_MAX};

use crate::support::market::{Database, Market, PIN, phone};
use crate::ussd::{AIR, ME, Phone, YOU, answer, begin, close, desk, desk_with, on_both_databases, says};

async fn a_begin_that_comes_twice_begins_once(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    let first = me.asked(begin("*125#")).await;
    let row = market.payments.session_by_key(&format!("ussd/{AIR}/{ME}")).await.unwrap().unwrap();
    assert_eq!(me.asked(begin("*125#")).await, first);
    let again = market.payments.session_by_key(&format!("ussd/{AIR}/{ME}")).await.unwrap().unwrap();
    assert_eq!(again, row, "nothing was written a second time");
    says(&me.asked(answer("1")).await, "Amount:");
    // Once it was answered the same name begins anew; what was left is offered.
    says(&me.asked(begin("*125#")).await, "was not finished");
    // And with another string too, at once.
    says(&me.asked(begin("*125*50#")).await, "with your PIN");
    close(market, &[desk]).await;
}

async fn of_two_dialogues_the_later_one_is_meant(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let (old, new) = (Phone::new(&desk, ME, "1"), Phone::new(&desk, ME, "2"));
    old.asked(begin("*125#")).await;
    new.asked(begin("*125#")).await;
    // What comes late from the old one does nothing to the new one.
    says(&old.told(answer("1")).await, "start again");
    old.abort().await;
    says(&new.asked(answer("1")).await, "Amount:");
    says(&new.asked(answer("50")).await, "with your PIN");
    says(&new.told(answer(PIN)).await, "was recharged");
    close(market, &[desk]).await;
}

async fn a_name_that_was_somebody_elses_crosses_nothing(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    market.account(YOU, 500_000).await;
    let desk = desk(&market);
    let (me, you) = (Phone::new(&desk, ME, "7"), Phone::new(&desk, YOU, "7"));
    me.asked(begin("*125*50#")).await;
    says(&you.told(answer(PIN)).await, "start again");
    let menu = you.asked(begin("*125#")).await;
    says(&menu, "0002");
    you.abort().await;
    says(&me.told(answer(PIN)).await, "was recharged");
    assert_eq!((market.carrier(ME).len(), market.carrier(YOU).len()), (1, 0));
    close(market, &[desk]).await;
}

async fn gateways_without_names_are_told_by_the_number(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone { dialogue: None, ..Phone::new(&desk, ME, "") };
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    // A new dialogue is only told by its beginning.
    says(&me.asked(begin("*125*50#")).await, "with your PIN");
    says(&me.told(answer(PIN)).await, "was recharged");
    assert_eq!(market.carrier(ME).len(), 1);
    close(market, &[desk]).await;
}

async fn an_answer_that_comes_twice_answers_once(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125#")).await;
    // Both are there before the screen that the second would answer.
    let (first, second) = tokio::join!(me.take(answer("1")), me.take(answer("1")));
    assert!(matches!(first.unwrap(), Taken::Screen(_)));
    assert!(matches!(second.unwrap(), Taken::Duplicate));
    says(&desk.again(AIR, &phone(ME)).await.unwrap().text, "Amount:");
    // A screen is on its way for so long that an equal answer cannot have seen it.
    let sending = desk.sending(AIR, &phone(ME));
    let early = tokio::spawn(desk.take(me.input(answer("1"))));
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(sending);
    assert!(matches!(early.await.unwrap().unwrap(), Taken::Duplicate));
    says(&me.asked(answer("50")).await, "with your PIN");
    // The PIN twice: one try, one payment.
    let (first, second) = tokio::join!(me.take(answer(PIN)), me.take(answer(PIN)));
    assert!(matches!(second.unwrap(), Taken::Duplicate));
    let Taken::Later(later) = first.unwrap() else { panic!("not a payment") };
    assert!(matches!(me.take(answer(PIN)).await.unwrap(), Taken::Duplicate), "while it is paid");
    let again = tokio::spawn({
        let desk = desk.clone();
        async move { desk.again(AIR, &phone(ME)).await }
    });
    let told = later.await.unwrap();
    says(&told.text, "was recharged");
    assert_eq!(again.await.unwrap(), Some(told));
    assert!(matches!(me.take(answer(PIN)).await.unwrap(), Taken::Duplicate), "and after that");
    assert_eq!(market.carrier(ME).len(), 1);
    close(market, &[desk]).await;
}

async fn equal_answers_are_one_where_the_route_says_so(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk_with(&market, |route| route.same_within = Duration::from_secs(5));
    let me = Phone::new(&desk, ME, "1");
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    assert!(matches!(me.take(answer("1")).await.unwrap(), Taken::Duplicate));
    says(&me.asked(answer("50")).await, "with your PIN");
    me.abort().await;
    close(market, &[desk]).await;
}

async fn too_many_inputs_of_one_caller_are_answered_that_we_are_busy(database: Database) {
    let market = Market::open(database).await;
    market.account(ME, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, ME, "1");
    // The places are taken in this order before any of them is handled.
    let inputs: Vec<_> = (0..=WAITING_MAX + 1).map(|_| desk.take(me.input(begin("*125#")))).collect();
    let other = desk.take(Phone::new(&desk, YOU, "1").input(begin("*125#")));
    let mut taken = Vec::new();
    for input in inputs {
        taken.push(input.await.unwrap());
    }
    let Some(Taken::Screen(busy)) = taken.pop() else { panic!("no screen") };
    says(&busy.text, "cannot serve you right now");
    assert!(busy.end);
    assert!(matches!(&taken[0], Taken::Screen(screen) if !screen.end));
    assert!(taken[1..].iter().all(|taken| matches!(taken, Taken::Duplicate)), "{taken:?}");
    assert!(matches!(other.await.unwrap(), Taken::Screen(_)));
    me.abort().await;
    close(market, &[desk]).await;
}

on_both_databases!(doubles:
    a_begin_that_comes_twice_begins_once,
    of_two_dialogues_the_later_one_is_meant,
    a_name_that_was_somebody_elses_crosses_nothing,
    gateways_without_names_are_told_by_the_number,
    an_answer_that_comes_twice_answers_once,
    equal_answers_are_one_where_the_route_says_so,
    too_many_inputs_of_one_caller_are_answered_that_we_are_busy,
);
