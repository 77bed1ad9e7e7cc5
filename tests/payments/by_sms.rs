//! What text messages have of their own: small sums without a PIN, and equal payments that are asked about for a day.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::ledger::row::Id;
use keytone::payment::answer::{Channel, PayOutcome, PayRequest, Pin, Quote};
use keytone::payment::row::{CounterKey, PairKey, WITHOUT_PIN};
use keytone::secret::Secret;

use super::{ME, OTHER, refused};
use crate::support::market::{Database, Market, phone};

/// A payment by text message that no PIN vouches for.
fn waived(market: &Market, account: Id, target: &str, amount_minor: i64) -> PayRequest {
    PayRequest {
        channel: Channel::Sms,
        pin: Pin::Waived,
        ..market.request(account, ME, target, amount_minor)
    }
}

async fn pay(market: &Market, account: Id, target: &str, amount_minor: i64) -> PayOutcome {
    market.payments.pay(waived(market, account, target, amount_minor)).await.unwrap()
}

async fn open(database: Database, cap_minor: i64, day_minor: i64) -> Market {
    Market::open_with(database, |plans| {
        plans.settings.pin.sms_without_pin_minor = cap_minor;
        plans.settings.pin.sms_without_pin_day_minor = day_minor;
    })
    .await
}

/// What an account has used of its day without a PIN: amounts and fees, and how often.
async fn used(market: &Market, account: Id) -> (i64, i64) {
    let day = market.clock.now().business_day(&market.payments.settings().zone);
    let key = CounterKey { scope: WITHOUT_PIN, owner: account.text(), day };
    let row = market.store.counter(&key).await.unwrap();
    row.map_or((0, 0), |row| (row.used_minor, row.payments))
}

pub(super) async fn small_sums_need_no_pin(database: Database) {
    let market = open(database, 5_000, 15_000).await;
    let account = market.account(ME, 500_000).await;
    // Exactly at the cap passes, and nothing above it.
    assert_eq!(pay(&market, account, OTHER, 5_000).await.name(), "delivered");
    assert_eq!(pay(&market, account, OTHER, 10_000).await, PayOutcome::PinNeeded);
    assert_eq!(used(&market, account).await, (5_000, 1));
    // Only by text message, and only for a number that is believed and bound to the account.
    for channel in [Channel::Voice, Channel::Ussd, Channel::Http] {
        let request = PayRequest { channel, ..waived(&market, account, "+8613800000010", 5_000) };
        assert_eq!(market.payments.pay(request).await.unwrap(), PayOutcome::PinNeeded, "{channel:?}");
    }
    let stranger = PayRequest { caller: None, ..waived(&market, account, "+8613800000010", 5_000) };
    assert_eq!(market.payments.pay(stranger).await.unwrap(), refused("not_believed"));
    let other =
        PayRequest { caller: Some(phone(OTHER)), ..waived(&market, account, "+8613800000010", 5_000) };
    assert_eq!(market.payments.pay(other).await.unwrap(), refused("not_believed"));
    assert!(market.carrier("+8613800000010").is_empty());
    // A refusal gives the money back, and nothing of the day without a PIN.
    assert_eq!(pay(&market, account, "+8613800000901", 5_000).await, refused("bad_number"));
    assert_eq!(used(&market, account).await, (10_000, 2));
    assert_eq!(market.money(account).await, (495_000, 0));
    // The day is full to the last unit, then the PIN is asked; what needs none of it costs no try.
    assert_eq!(pay(&market, account, "+8613800000011", 5_000).await.name(), "delivered");
    assert_eq!(pay(&market, account, "+8613800000012", 5_000).await, PayOutcome::PinNeeded);
    assert_eq!(used(&market, account).await, (15_000, 3));
    assert_eq!(market.money(account).await, (490_000, 0), "asking holds nothing");
    let typed = PayRequest { channel: Channel::Sms, ..market.request(account, ME, "+8613800000012", 5_000) };
    assert_eq!(market.payments.pay(typed).await.unwrap().name(), "delivered");
    assert_eq!(used(&market, account).await, (15_000, 3), "with a PIN nothing of it is used");
    market.close().await;
}

pub(super) async fn sums_at_once_cannot_pass_the_day_without_a_pin(database: Database) {
    let market = open(database, 5_000, 15_000).await;
    let account = market.account(ME, 500_000).await;
    let mut calls = Vec::new();
    for n in 20..30 {
        let (payments, request) =
            (market.payments.clone(), waived(&market, account, &format!("+86138000000{n}"), 5_000));
        calls.push(tokio::spawn(async move { payments.pay(request).await.unwrap() }));
    }
    let mut names = Vec::new();
    for call in calls {
        names.push(call.await.unwrap().name());
    }
    assert_eq!(names.iter().filter(|name| **name == "delivered").count(), 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "pin_needed").count(), 7, "{names:?}");
    market.close().await;
}

pub(super) async fn a_locked_pin_locks_what_needs_none(database: Database) {
    let market = open(database, 5_000, 15_000).await;
    let account = market.account(ME, 500_000).await;
    for _ in 0..5 {
        let mut request = market.request(account, ME, OTHER, 5_000);
        request.pin = Pin::Typed(Secret::from("000111"));
        market.payments.pay(request).await.unwrap();
    }
    assert_eq!(pay(&market, account, OTHER, 5_000).await, PayOutcome::Locked);
    market.close().await;
    // Without a cap nothing is paid so, however little.
    let market = open(database, 0, 0).await;
    let account = market.account(ME, 500_000).await;
    assert_eq!(pay(&market, account, OTHER, 5_000).await, PayOutcome::PinNeeded);
    market.close().await;
}

pub(super) async fn an_equal_payment_by_sms_is_asked_about_for_a_day(database: Database) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let clock = Clock::manual(Timestamp(1_800_000_000_000_000));
    let market = Market::open_at(clock.clone(), database, |_| {}).await;
    let account = market.account(ME, 500_000).await;
    let request = |channel| PayRequest { channel, ..market.request(account, ME, OTHER, 5_000) };
    let quote = |channel| {
        let target = phone(OTHER);
        let payments = market.payments.clone();
        async move { payments.quote(account, channel, &target, 5_000, false).await.unwrap() }
    };
    assert_eq!(market.payments.pay(request(Channel::Voice)).await.unwrap().name(), "delivered");
    let key = PairKey { account, target: phone(OTHER).into(), amount_minor: 5_000 };
    let delivered = Timestamp(market.store.pair(&key).await.unwrap().unwrap().delivered_at);
    let to = |at: Timestamp| clock.advance(at.since(clock.now()));
    // Long after a call would pay again, a message still asks.
    to(delivered.after(Duration::from_secs(3 * 60 * 60)));
    assert!(matches!(quote(Channel::Voice).await, Quote::Ok { .. }));
    assert!(matches!(quote(Channel::Sms).await, Quote::Duplicate { minutes_ago: 180, .. }));
    // Just before the day is over; the writer judges by its own reading of the clock, which stands.
    to(delivered.after(DAY.saturating_sub(Duration::from_micros(1))));
    assert!(matches!(quote(Channel::Sms).await, Quote::Duplicate { minutes_ago: 1_439, .. }));
    let asked = market.payments.pay(request(Channel::Sms)).await.unwrap();
    assert!(matches!(asked, PayOutcome::Duplicate { minutes_ago: 1_439, .. }), "{asked:?}");
    let again = PayRequest { repeat: true, ..request(Channel::Sms) };
    let without_asking = market.payments.quote(account, Channel::Sms, &phone(OTHER), 5_000, true).await;
    assert!(matches!(without_asking.unwrap(), Quote::Ok { .. }));
    to(delivered.after(DAY));
    assert!(matches!(quote(Channel::Sms).await, Quote::Ok { .. }));
    assert_eq!(market.payments.pay(request(Channel::Sms)).await.unwrap().name(), "delivered");
    // And again within the day, since the caller said so.
    assert_eq!(market.payments.pay(again).await.unwrap().name(), "delivered");
    market.close().await;
}
