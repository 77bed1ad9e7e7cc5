//! Suspensions, blocked numbers, maintenance and tiers.

use std::time::Duration;

use keytone::clock::{Clock, Timestamp};
use keytone::payment::answer::{Channel, PayOutcome};
use keytone::payment::row::product;
use keytone::payment::run::Scope;
use keytone::payment::run::staff::{Asked, Refused};
use keytone::payment::run::upkeep::{About, Planned};
use keytone::payment::staff::{Act, Movement};
use keytone::payment::tier::{Tier, Tiers};
use keytone::payment::unit::Refusal;
use keytone::payment::upkeep::{When, Window};

use crate::dayone::on_both_databases;
use crate::support::market::{Database, Market, phone};

const ME: &str = "+8613800000001";
const OTHER: &str = "+8613800000002";
const HOUR: i64 = 3_600_000_000;

on_both_databases!(
    each_thing_is_shut_at_once_and_said_to_be,
    maintenance_tells_when_it_ends,
    tiers_bound_what_is_held_and_paid,
);

fn about(market: &Market, account: keytone::ledger::row::Id) -> About {
    let _ = market;
    About {
        product: product::RECHARGE,
        account: Some(account),
        caller: Some(phone(ME)),
        channel: Some(Channel::Voice),
        phone: Some(phone(OTHER)),
        biller: None,
    }
}

async fn each_thing_is_shut_at_once_and_said_to_be(database: Database) {
    let market = Market::open(database).await;
    let account = market.account(ME, 1_000_000).await;
    let about = about(&market, account);
    assert_eq!(market.payments.notice(&about).await.unwrap().why, "other");
    for (scope, key, why) in [
        (Scope::Number, ME.to_owned(), "number"),
        (Scope::Number, OTHER.to_owned(), "number"),
        (Scope::Account, account.text(), "account"),
        (Scope::Carrier, "sandbox".to_owned(), "carrier"),
        (Scope::Product, "recharge".to_owned(), "product"),
        (Scope::Channel, "voice".to_owned(), "channel"),
        (Scope::Whole, "all".to_owned(), "platform"),
    ] {
        let shut = |shut| market.payments.suspend_for(scope, &key, shut, "ana", "ticket 9");
        shut(true).await.unwrap().unwrap();
        let outcome = market.pay(account, ME, OTHER, 5_000).await;
        assert_eq!(outcome, PayOutcome::Suspended, "{scope:?} {key}");
        assert_eq!(market.payments.notice(&about).await.unwrap().why, why);
        let notes = market.payments.suspension_notes().await.unwrap();
        assert_eq!(notes.len(), 1);
        assert_eq!((notes[0].reason.as_str(), notes[0].who.as_str()), ("ticket 9", "ana"));
        shut(false).await.unwrap().unwrap();
        assert_eq!(market.payments.suspension_notes().await.unwrap(), []);
    }
    // Agents are shut for deposits and charges, not for what they pay themselves.
    market.payments.suspend_for(Scope::Agent, &account.text(), true, "ana", "late").await.unwrap().unwrap();
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    let deposit = About { product: product::DEPOSIT, ..about };
    assert_eq!(market.payments.notice(&deposit).await.unwrap().why, "agent");
    market.close().await;
}

async fn maintenance_tells_when_it_ends(database: Database) {
    let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
    let daily = Window {
        scope: "product".to_owned(),
        key: "bill".to_owned(),
        when: When::Daily { from: 0, until: 1_439 },
    };
    let market = Market::open_at(clock.clone(), database, |plans| {
        plans.settings.upkeep.windows.push(daily);
    })
    .await;
    let account = market.account(ME, 1_000_000).await;
    let about = about(&market, account);
    let now = clock.now().0;
    let plan = |scope: &str, key: &str, from: i64, until: i64| Planned {
        scope: scope.to_owned(),
        key: key.to_owned(),
        from_at: now + from,
        until_at: now + until,
    };
    let payments = &market.payments;
    let add =
        async |planned| payments.plan_maintenance(market.id(), &planned, "ana", "upgrade").await.unwrap();
    assert!(add(plan("carrier", "sandbox", 2, 1)).await.is_err(), "it ends before it begins");
    assert!(add(plan("carrier", "sandbox", -2, -1)).await.is_err(), "it has ended");
    assert!(add(plan("moon", "sandbox", 0, 1)).await.is_err());
    add(plan("carrier", "sandbox", HOUR, 2 * HOUR)).await.unwrap();
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await, PayOutcome::Suspended);
    let notice = payments.notice(&about).await.unwrap();
    assert_eq!((notice.why, notice.back), ("maintenance", Some(now + 2 * HOUR)));
    // Far ahead: days are not told as a time.
    add(plan("whole", "", 0, 100 * HOUR)).await.unwrap();
    assert_eq!(payments.notice(&about).await.unwrap().why, "works");
    let planned = payments.planned().await.unwrap();
    let whole = planned.iter().find(|row| row.scope == "whole").unwrap();
    payments.drop_maintenance(whole.id, "ana").await.unwrap().unwrap();
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(market.pay(account, ME, OTHER, 10_000).await.name(), "delivered");
    let bill = About { product: product::BILL, phone: None, ..about };
    assert_eq!(payments.notice(&bill).await.unwrap().why, "maintenance", "the configuration's window");
    market.close().await;
}

async fn tiers_bound_what_is_held_and_paid(database: Database) {
    let market = Market::open_with(database, |plans| {
        plans.settings.staff.tiers = Tiers(vec![
            Tier {
                balance_max_minor: Some(30_000),
                day_limit_minor: Some(10_000),
                payment_limit_minor: Some(5_000),
                ..Tier::named("basic")
            },
            Tier::named("known"),
        ]);
    })
    .await;
    let account = market.account(ME, 20_000).await;
    let cash_in = |amount_minor| Asked {
        id: market.id(),
        who: "ana".to_owned(),
        reason: "deposit".to_owned(),
        evidence: "slip 1".to_owned(),
        act: Act::Move {
            movement: Movement::CashIn,
            amount_minor,
            account: Some(account),
            connector: None,
            discount_minor: 0,
        },
    };
    let full = market.payments.ask_staff(&cash_in(10_001)).await.unwrap();
    assert_eq!(full, Err(Refused::Books(Refusal::Ceiling { balance_minor: 30_000 })));
    market.payments.ask_staff(&cash_in(10_000)).await.unwrap().unwrap();
    assert_eq!(market.money(account).await.0, 30_000, "exactly the most");
    let over = market.pay(account, ME, OTHER, 10_000).await;
    assert_eq!(over, PayOutcome::PaymentLimit { limit_minor: 5_000 });
    assert_eq!(market.pay(account, ME, OTHER, 5_000).await.name(), "delivered");
    assert_eq!(market.pay(account, ME, ME, 5_000).await.name(), "delivered");
    let over = market.pay(account, ME, "+8613800000003", 5_000).await;
    assert!(matches!(over, PayOutcome::DayLimit { limit_minor: 10_000, left_minor: 0, .. }), "{over:?}");
    assert!(market.payments.set_tier(account, "gold", "ana", "seen").await.unwrap().is_err());
    market.payments.set_tier(account, "known", "ana", "identity card seen").await.unwrap().unwrap();
    assert_eq!(market.pay(account, ME, "+8613800000003", 10_000).await.name(), "delivered");
    market.payments.ask_staff(&cash_in(90_000)).await.unwrap().unwrap();
    market.close().await;
}
