//! A payment and the dialogue that asked for it: whatever becomes of the dialogue, the payment goes on and its caller is
//! told.

use std::time::Duration;

use keytone::payment::row::State as Stage;
use keytone::session::SessionRow;
use keytone::ussd::{Screen, Taken};

use crate::support::market::{Database, Market, PIN};
use crate::ussd::{
    AIR, PATIENCE, Phone, answer, begin, close, desk, desk_with, on_both_databases, registry, says, texts,
    until_texts,
};

/// The carrier takes it at once and delivers later.
const LATER: &str = "+8613800000911";

async fn slow(database: Database) -> Market {
    Market::open_with(database, |plans| {
        plans.settings.answer_within = Duration::from_secs(25);
        plans.carrier.later = Duration::from_millis(2_500);
    })
    .await
}

/// The payment that a dialogue has begun.
async fn paying(phone: &Phone) -> keytone::ussd::Later {
    phone.asked(begin("*125*50#")).await;
    match phone.take(answer(PIN)).await.unwrap() {
        Taken::Later(later) => later,
        other => panic!("{other:?}"),
    }
}

async fn delivered(market: &Market) {
    let texts = until_texts(market, LATER, 1).await;
    assert_eq!(texts.len(), 1, "{texts:?}");
    says(&texts[0], "was recharged with");
    assert_eq!(market.carrier(LATER).len(), 1);
}

async fn a_slow_carrier_ends_the_dialogue_and_the_payment_goes_on(database: Database) {
    let market = slow(database).await;
    let account = market.account(LATER, 500_000).await;
    let desk = desk_with(&market, |route| route.answer_within = Duration::from_millis(1_500));
    let me = Phone::new(&desk, LATER, "1");
    let screen = paying(&me).await.await.unwrap();
    assert!(screen.end);
    says(&screen.text, "You will get an SMS");
    // The key is free for the caller's next dialogue, before the payment is known.
    let next = Phone::new(&desk, LATER, "2");
    says(&next.asked(begin("*125#")).await, "Your number is");
    assert!(texts(&market, LATER).await.is_empty());
    next.abort().await;
    delivered(&market).await;
    assert_eq!(market.money(account).await.1, 0);
    close(market, &[desk]).await;
}

async fn an_abort_while_it_is_paid_stops_nothing(database: Database) {
    let market = slow(database).await;
    market.account(LATER, 500_000).await;
    let desk = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let me = Phone::new(&desk, LATER, "1");
    let later = paying(&me).await;
    me.abort().await;
    assert_eq!(tokio::time::timeout(PATIENCE, later).await.unwrap(), None);
    delivered(&market).await;
    close(market, &[desk]).await;
}

async fn an_abort_before_the_pin_pays_nothing(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(LATER, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, LATER, "1");
    me.asked(begin("*125*50#")).await;
    me.abort().await;
    says(&me.told(answer(PIN)).await, "start again");
    assert_eq!(market.money(account).await, (500_000, 0));
    assert!(market.carrier(LATER).is_empty());
    close(market, &[desk]).await;
}

async fn a_new_dialogue_while_it_is_paid_stops_nothing(database: Database) {
    let market = slow(database).await;
    market.account(LATER, 500_000).await;
    let desk = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let old = Phone::new(&desk, LATER, "1");
    let later = paying(&old).await;
    let new = Phone::new(&desk, LATER, "2");
    says(&new.asked(begin("*125#")).await, "Your number is");
    assert_eq!(tokio::time::timeout(PATIENCE, later).await.unwrap(), None);
    says(&new.asked(answer("1")).await, "Amount:");
    delivered(&market).await;
    new.abort().await;
    close(market, &[desk]).await;
}

async fn a_transport_that_goes_away_stops_nothing(database: Database) {
    let market = slow(database).await;
    market.account(LATER, 500_000).await;
    let desk = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let me = Phone::new(&desk, LATER, "1");
    drop(paying(&me).await);
    delivered(&market).await;
    close(market, &[desk]).await;
}

async fn a_screen_that_reaches_nobody_leaves_the_conversation_for_the_next_one(database: Database) {
    let market = Market::open(database).await;
    market.account(LATER, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, LATER, "1");
    me.asked(begin("*125#")).await;
    me.asked(answer("1")).await;
    desk.undelivered(AIR, &me.number, Some("another")).await.unwrap();
    says(&me.asked(answer("70")).await, "not one of the amounts");
    desk.undelivered(AIR, &me.number, Some("1")).await.unwrap();
    says(&me.told(answer("50")).await, "start again");
    says(&Phone::new(&desk, LATER, "2").asked(begin("*125#")).await, "was not finished");
    close(market, &[desk]).await;
}

/// The process dies while it is paid: its row says what was under way.
async fn what_a_dead_process_left_is_told(database: Database) {
    let market = slow(database).await;
    let account = market.account(LATER, 500_000).await;
    let first = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let later = paying(&Phone::new(&first, LATER, "1")).await;
    let key = format!("ussd/{AIR}/{LATER}");
    let row = market.payments.session_by_key(&key).await.unwrap().unwrap();
    assert!(!row.state.contains(PIN), "no state holds a PIN");
    let payment = row.payment.unwrap();
    while market.store.payment(payment).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nobody who finds the row touches it: its process may be alive.
    let second = desk(&market);
    says(&Phone::new(&second, LATER, "1").told(answer("1")).await, "You will get an SMS");
    assert_eq!(market.payments.session_by_key(&key).await.unwrap().unwrap(), row);
    // A new dialogue takes the key; the row waits beside it.
    let next = Phone::new(&second, LATER, "2");
    says(&next.asked(begin("*125#")).await, "Your number is");
    let tasks = tokio_util::task::TaskTracker::new();
    assert_eq!(registry(&market, 1).recover_kept(&tasks, |_| true).await.unwrap(), 1);
    tasks.close();
    tasks.wait().await;
    market.until(payment, Stage::Delivered).await;
    drop(later);
    delivered(&market).await;
    assert_eq!(market.money(account).await.1, 0);
    next.abort().await;
    close(market, &[first, second]).await;
}

/// A session in wait for a payment that nobody can begin any more, since no PIN is kept.
async fn what_had_not_begun_is_told_as_not_made(database: Database) {
    let market = slow(database).await;
    let account = market.account(LATER, 500_000).await;
    let first = desk_with(&market, |route| route.answer_within = Duration::from_secs(20));
    let me = Phone::new(&first, LATER, "1");
    let later = paying(&me).await;
    let key = format!("ussd/{AIR}/{LATER}");
    let row = market.payments.session_by_key(&key).await.unwrap().unwrap();
    later.await.unwrap();
    first.idle().await;
    let before = until_texts(&market, LATER, 1).await.len();
    // The same row with a payment that was never made, and whose process has said nothing for long.
    let (id, expires_at) = (market.id(), market.clock.now().0 - 1);
    let never = SessionRow { id, payment: Some(market.id()), revision: 1, expires_at, ..row };
    assert!(market.payments.save_session(never).await.unwrap());
    let second = desk(&market);
    second.sweep().await;
    second.idle().await;
    let texts = until_texts(&market, LATER, before + 1).await;
    says(&texts[before], "went wrong");
    assert_eq!(market.carrier(LATER).len(), 1);
    assert_eq!(market.money(account).await.1, 0);
    assert!(market.payments.sessions_expired(10).await.unwrap().is_empty());
    close(market, &[first, second]).await;
}

async fn a_refusal_is_shown_and_a_screen_is_no_secret(database: Database) {
    let market = Market::open(database).await;
    let barred = "+8613800000902";
    market.account(barred, 500_000).await;
    let desk = desk(&market);
    let me = Phone::new(&desk, barred, "1");
    me.asked(begin("*125*50#")).await;
    let Some(Screen { text, end: true }) = me.shown(answer(PIN)).await else { panic!("no end") };
    says(&text, "was refused");
    assert!(!text.contains(PIN));
    close(market, &[desk]).await;
}

on_both_databases!(money:
    a_slow_carrier_ends_the_dialogue_and_the_payment_goes_on,
    an_abort_while_it_is_paid_stops_nothing,
    an_abort_before_the_pin_pays_nothing,
    a_new_dialogue_while_it_is_paid_stops_nothing,
    a_transport_that_goes_away_stops_nothing,
    a_screen_that_reaches_nobody_leaves_the_conversation_for_the_next_one,
    what_a_dead_process_left_is_told,
    what_had_not_begun_is_told_as_not_made,
    a_refusal_is_shown_and_a_screen_is_no_secret,
);
